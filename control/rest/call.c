/* See call.h. */
#include "rest/call.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/net.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "schema/check.h"
#include "sys/clock.h"

/* ---- who asks ---- */

static bool authorize(struct rest_call *call)
{
    bool link = (call->route->flags & SCHEMA_LINK) != 0;
    const char *header = net_req_header(call->req, "authorization");
    const struct net_header ask = {"www-authenticate", "Bearer"};
    const char *code = "token_missing";
    const char *token = NULL;

    if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0) {
        token = header + 7 + strspn(header + 7, " ");
    }
    if (token == NULL || call->conf->auth == NULL ||
        (link ? auth_verify_link : auth_verify)(call->conf->auth, token, strlen(token),
                                                clock_wall_s(), &call->who, &code) != 0) {
        respond_problem_with(call->req, 401, code,
                             token == NULL
                                 ? "a token is needed: Authorization: Bearer TOKEN"
                                 : "the token was refused",
                             &ask, 1);
        return false;
    }
    return true;
}

bool rest_is_of_meeting(const struct schema_route *route)
{
    return strncmp(route->path, "/api/meeting/{", 14) == 0;
}

/* The role that a token for a meeting has is in that meeting: elsewhere it only reads. */
static bool may(struct rest_call *call)
{
    bool signed_in = call->route->who == AUTH_SIGNED_IN;
    bool bound = call->who.meeting_id[0] != '\0';
    struct task *task;
    char text[160];

    if (rest_is_of_meeting(call->route) ||
        ((!bound || signed_in) && auth_may(call->who.role, NULL, call->route->who))) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "the role %s%s may not: it lacks %s",
                   auth_role_name(call->who.role), bound ? " of one meeting" : "",
                   auth_permission_name(call->route->who));
    if (call->conf->store == NULL) {
        respond_problem(call->req, 403, "forbidden", text, NULL);
    } else if ((task = task_new(call)) != NULL) {
        task_forbid(task, text);
    }
    return false;
}

/* ---- what is asked ---- */

static const char *query_text(void *arg, const char *name)
{
    return net_req_query(arg, name);
}

static bool is_json(struct net_req *req)
{
    const char *type = net_req_header(req, "content-type");
    size_t len = type != NULL ? strcspn(type, "; \t") : 0;

    return len == strlen("application/json") &&
           strncasecmp(type, "application/json", len) == 0;
}

/* A body that may be empty in all its fields may be left out. */
static bool take_body(struct rest_call *call, struct schema_errors *errors)
{
    const struct schema_object *object = call->route->body;
    size_t len = 0;
    const char *text = net_req_body(call->req, &len);

    if (object->n_fields == 0) {
        return true;
    }
    if (len > 0 && !is_json(call->req)) {
        respond_problem(call->req, 415, "unsupported_media_type",
                        "the body must be application/json", NULL);
        return false;
    }
    if (len > 0) {
        json_t *body = schema_parse(text, len, errors);

        if (body == NULL) {
            respond_invalid(call->req, errors);
            return false;
        }
        json_decref(call->body);
        call->body = body;
        if (json_is_null(body)) { /* as the payload of an event it would be an empty one */
            schema_error_add(errors, "", "must be an object");
            respond_invalid(call->req, errors);
            return false;
        }
    }
    if (!schema_check(call->body, object, errors)) {
        respond_invalid(call->req, errors);
        return false;
    }
    return true;
}

static bool take_query(struct rest_call *call, struct schema_errors *errors)
{
    call->query = schema_query(call->route->query, query_text, call->req, errors);
    call->body = json_object();
    if (call->query == NULL || call->body == NULL) {
        respond_problem(call->req, 503, "no_memory", "the node is out of memory", NULL);
        return false;
    }
    for (size_t i = 0; i < call->route->query->n_fields; i++) {
        const char *name = call->route->query->fields[i].name;
        char path[SCHEMA_PATH_LEN];

        if (net_req_query_twice(call->req, name)) {
            (void)snprintf(path, sizeof(path), "/%s", name);
            schema_error_add(errors, path, "stands twice");
        }
    }
    if (errors->n > 0) {
        respond_invalid(call->req, errors);
        return false;
    }
    return true;
}

bool rest_call_init(struct rest_call *call, struct rest *rest, const struct rest_conf *conf,
                    struct net_req *req)
{
    char methods[SCHEMA_METHODS_LEN], message[128];
    struct schema_errors errors;

    *call = (struct rest_call){.rest = rest, .conf = conf, .req = req};
    call->route =
        schema_route_find(net_req_method_name(req), net_req_path(req), &call->params, methods);
    if (call->route == NULL) {
        if (methods[0] != '\0') {
            (void)snprintf(message, sizeof(message), "this route takes %s", methods);
            respond_problem(req, 405, "method_not_allowed", message, methods);
            call->req = NULL;
        }
        return false;
    }
    net_req_trace(req, call->route->path);
    if ((call->route->flags & SCHEMA_LATER) != 0) {
        respond_problem(req, 501, "not_implemented",
                        "this part of the node is not built yet", NULL);
        call->req = NULL;
        return false;
    }
    if ((call->route->who != AUTH_PUBLIC && (!authorize(call) || !may(call))) ||
        !take_query(call, &errors) || !take_body(call, &errors)) {
        rest_call_fini(call);
        call->req = NULL;
        return false;
    }
    return true;
}

void rest_call_fini(struct rest_call *call)
{
    json_decref(call->query);
    json_decref(call->body);
    call->query = NULL;
    call->body = NULL;
}
