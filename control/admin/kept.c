/* What operators ask of the store: a backup, the audit, events, an account. See admin.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "auth/account.h"
#include "net/net.h"
#include "sys/clock.h"

enum { AUDIT_LINES = 100 };

/* A request that waits for the store. */
struct asked {
    const struct admin *admin;
    struct net_req *req; /* NULL: the client is gone */
    char *text;          /* path, or login; heap */
};

static struct asked *asked_new(const struct admin *admin, struct net_req *req,
                               const char *text)
{
    struct asked *asked = admin->conf.store != NULL ? calloc(1, sizeof(*asked)) : NULL;

    if (asked != NULL) {
        asked->text = strdup(text);
    }
    if (asked == NULL || asked->text == NULL) {
        free(asked);
        admin_refuse(req, 503, "no_store", "this node keeps nothing (store.path)");
        return NULL;
    }
    asked->admin = admin;
    asked->req = req;
    net_req_set_data(req, asked);
    return asked;
}

static void asked_end(struct asked *asked)
{
    if (asked->req != NULL) {
        net_req_set_data(asked->req, NULL);
    }
    free(asked->text);
    free(asked);
}

void admin_on_abort(struct net_req *req)
{
    struct asked *asked = net_req_data(req);

    if (asked != NULL) {
        asked->req = NULL;
    }
}

/* 'data' is moved. */
static void answer(struct asked *asked, json_t *data)
{
    struct net_req *req = asked->req;

    asked_end(asked);
    if (req != NULL) {
        admin_answer(req, data);
    } else {
        json_decref(data);
    }
}

static void fail(struct asked *asked, int err)
{
    struct net_req *req = asked->req;

    asked_end(asked);
    if (req == NULL) {
        return;
    }
    switch (err) {
    case -EEXIST:
        admin_refuse(req, 409, "exists", "there is one already; nothing was changed");
        break;
    case -ENOSPC:
        admin_refuse(req, 507, "store_full", "the disk is full");
        break;
    case -EAGAIN:
        admin_refuse(req, 503, "overloaded", "too much at once; try again in a second");
        break;
    case -EINVAL:
        admin_refuse(req, 400, "invalid", "something is missing, or too long");
        break;
    case -ENOTSUP:
        admin_refuse(req, 501, "not_supported",
                     "the store is a MongoDB: use its own tools (mongodump)");
        break;
    case -EHOSTDOWN:
        admin_refuse(req, 503, "store_away", "the node's database does not answer");
        break;
    default:
        admin_refuse(req, 500, "store_failed", strerror(-err));
    }
}

/* ---- POST /backup?path=PATH ---- */

static void on_copied(void *arg, const struct store_result *result)
{
    struct asked *asked = arg;

    if (result->err != 0) {
        fail(asked, result->err);
    } else {
        admin_note(asked->admin, asked->req, "operator.backup", NULL, asked->text);
        answer(asked, json_pack("{s:s}", "backup", asked->text));
    }
}

void admin_backup(const struct admin *admin, struct net_req *req)
{
    const char *path = net_req_query(req, "path");
    struct asked *asked;
    int err;

    if (path == NULL || path[0] != '/') {
        admin_refuse(req, 400, "invalid", "give path=PATH, from the root");
        return;
    }
    asked = asked_new(admin, req, path);
    if (asked != NULL) {
        err = store_backup(admin->conf.store, path, on_copied, asked);
        if (err != 0) {
            fail(asked, err);
        }
    }
}

/* ---- GET /audit?limit=N ---- */

static json_t *entry_of(const struct store_doc *doc)
{
    json_t *more = json_loads(doc->json, 0, NULL);
    char at[CLOCK_RFC3339_LEN];
    json_t *row;

    clock_format((uint64_t)doc->at, at);
    row = json_pack("{s:s, s:s, s:s, s:s, s:s}", "at", at, "tenant", doc->tenant, "act",
                    doc->state, "actor", doc->ref, "meeting", doc->group);
    (void)json_object_update(row, more); /* target, address, result */
    json_decref(more);
    return row;
}

static void on_entries(void *arg, const struct store_result *result)
{
    struct asked *asked = arg;
    json_t *list = json_array();

    for (size_t i = 0; i < result->n_docs; i++) {
        (void)json_array_append_new(list, entry_of(&result->docs[i]));
    }
    if (result->err != 0) {
        json_decref(list);
        fail(asked, result->err);
    } else {
        answer(asked, list);
    }
}

void admin_audit(const struct admin *admin, struct net_req *req)
{
    const char *limit = net_req_query(req, "limit");
    long n = limit != NULL ? strtol(limit, NULL, 10) : AUDIT_LINES;
    const struct store_query query = {.kind = STORE_AUDIT,
                                      .any_tenant = true,
                                      .descending = true,
                                      .limit = n > 0 && n <= STORE_FIND_MAX ? (uint32_t)n
                                                                            : AUDIT_LINES};
    struct asked *asked = asked_new(admin, req, "");
    int err;

    if (asked != NULL) {
        err = store_find(admin->conf.store, &query, on_entries, asked);
        if (err != 0) {
            fail(asked, err);
        }
    }
}

/* ---- GET /events?after=POSITION&limit=N ---- */

/* What happened, not what was said: that is for who reads the events. */
static json_t *event_row(const struct store_event *event)
{
    char at[CLOCK_RFC3339_LEN];

    clock_format(event->at_us, at);
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "position",
                     (json_int_t)event->position, "at", at, "type", event->type, "tenant",
                     event->tenant, "meeting", event->meeting, "epoch",
                     (json_int_t)event->epoch, "seq", (json_int_t)event->seq, "user",
                     event->ref);
}

static void on_events(void *arg, const struct store_result *result)
{
    struct asked *asked = arg;
    json_t *list = json_array();

    for (size_t i = result->n_events; i > 0; i--) { /* in order */
        (void)json_array_append_new(list, event_row(&result->events[i - 1]));
    }
    if (result->err != 0) {
        json_decref(list);
        fail(asked, result->err);
    } else {
        answer(asked, json_pack("{s:b, s:o}", "more", (int)result->more, "events", list));
    }
}

void admin_events(const struct admin *admin, struct net_req *req)
{
    const char *after = net_req_query(req, "after");
    const char *limit = net_req_query(req, "limit");
    long n = limit != NULL ? strtol(limit, NULL, 10) : AUDIT_LINES;
    struct asked *asked = asked_new(admin, req, "");
    int err;

    if (asked != NULL) {
        err = store_latest(admin->conf.store, after != NULL ? strtoull(after, NULL, 10) : 0,
                           n > 0 && n <= STORE_FIND_MAX ? (uint32_t)n : AUDIT_LINES,
                           on_events, asked);
        if (err != 0) {
            fail(asked, err);
        }
    }
}

/* ---- POST /users?login=L&role=R&name=N&tenant=T, the password being the body ---- */

static void on_added(void *arg, int err, const char *code,
                     const struct account_tokens *tokens)
{
    struct asked *asked = arg;

    (void)code;
    if (err != 0) {
        fail(asked, err);
    } else {
        admin_note(asked->admin, asked->req, "operator.user_add", NULL, asked->text);
        answer(asked,
               json_pack("{s:s, s:s, s:s, s:s}", "user_id", tokens->who.user_id, "login",
                         asked->text, "role", auth_role_name(tokens->who.role), "tenant",
                         tokens->who.tenant));
    }
}

static const char *query_of(struct net_req *req, const char *name)
{
    const char *text = net_req_query(req, name);

    return text != NULL ? text : "";
}

void admin_add_user(const struct admin *admin, struct net_req *req)
{
    const char *role = net_req_query(req, "role");
    enum auth_role wanted = AUTH_PRESENTER;
    char password[HASHER_PASSWORD_MAX + 1];
    struct asked *asked;
    size_t len = 0;
    const char *body = net_req_body(req, &len);
    int err;

    if ((role != NULL && !auth_role_find(role, &wanted)) || len >= sizeof(password)) {
        admin_refuse(req, 400, "invalid", "no such role, or the password is too long");
        return;
    }
    asked = asked_new(admin, req, query_of(req, "login"));
    if (asked == NULL) {
        return;
    }
    if (len > 0) { /* else there may be no body to copy from */
        memcpy(password, body, len);
    }
    password[len] = '\0';
    err =
        accounts_add(admin->conf.accounts, query_of(req, "tenant"), query_of(req, "login"),
                     query_of(req, "name"), wanted, password, on_added, asked);
    explicit_bzero(password, sizeof(password));
    if (err != 0) {
        fail(asked, err);
    }
}
