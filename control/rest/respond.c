#include "rest/respond.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "proto/jtext.h"
#include "schema/check.h"
#include "sys/log.h"

enum { MORE_HEADERS = 8, OWN_HEADERS = 7 };

static const char *title_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 428:
        return "Precondition Required";
    case 429:
        return "Too Many Requests";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static const char *const *allowed;
static size_t n_allowed;

void respond_set_origins(const char *const *origins, size_t n)
{
    allowed = origins;
    n_allowed = n;
}

/* The origin of the asking page, if it may. */
static const char *origin_of(struct net_req *req)
{
    const char *origin = n_allowed > 0 ? net_req_header(req, "origin") : NULL;

    for (size_t i = 0; origin != NULL && i < n_allowed; i++) {
        if (strcmp(allowed[i], origin) == 0) {
            return allowed[i];
        }
    }
    return NULL;
}

bool respond_preflight(struct net_req *req, const char *methods)
{
    const char *origin = origin_of(req);
    const struct net_header headers[] = {
        {"access-control-allow-origin", origin},
        {"vary", "origin"},
        {"access-control-allow-methods", methods},
        {"access-control-allow-headers",
         "Authorization, Content-Type, If-Match, Idempotency-Key, X-Request-Id, Traceparent"},
        {"access-control-max-age", "600"}};

    if (origin == NULL || net_req_method(req) != NET_OPTIONS ||
        net_req_header(req, "access-control-request-method") == NULL) {
        return false;
    }
    net_respond(req, 204, headers, sizeof(headers) / sizeof(headers[0]), NULL, 0);
    return true;
}

/* Sends 'body', which is moved. */
static void send_json(struct net_req *req, unsigned status, const char *type, json_t *body,
                      const struct net_header *more, size_t n_more)
{
    const char *origin = origin_of(req);
    struct net_header headers[OWN_HEADERS + MORE_HEADERS] = {
        {"content-type", type},
        {"cache-control", "no-store"},
        {"x-content-type-options", "nosniff"},
    };
    size_t n = 3;
    char *text = jtext_make(body, JSON_COMPACT);

    json_decref(body);
    if (text == NULL) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    headers[n++] = (struct net_header){"x-request-id", net_req_id(req)};
    if (origin != NULL) {
        headers[n++] = (struct net_header){"access-control-allow-origin", origin};
        headers[n++] = (struct net_header){"vary", "origin"};
        headers[n++] =
            (struct net_header){"access-control-expose-headers",
                                "ETag, Retry-After, X-Request-Id, RateLimit-Limit, "
                                "RateLimit-Remaining, RateLimit-Reset"};
    }
    n_more = n_more < MORE_HEADERS ? n_more : MORE_HEADERS;
    for (size_t i = 0; i < n_more; i++) {
        headers[n++] = more[i];
    }
    net_respond(req, status, headers, n, text, strlen(text));
    free(text);
}

void respond_data(struct net_req *req, json_t *data)
{
    respond_data_with(req, 200, data, NULL, 0);
}

void respond_data_with(struct net_req *req, unsigned status, json_t *data,
                       const struct net_header *headers, size_t n)
{
    if (data == NULL) {
        respond_problem(req, 500, "no_memory", "the node is out of memory", NULL);
        return;
    }
    send_json(req, status, "application/json",
              json_pack("{s:b, s:o}", "success", 1, "data", data), headers, n);
}

void respond_json(struct net_req *req, unsigned status, json_t *whole)
{
    send_json(req, status, "application/json", whole, NULL, 0);
}

void respond_problem(struct net_req *req, unsigned status, const char *code,
                     const char *message, const char *allow)
{
    const struct net_header header = {"allow", allow};

    respond_problem_with(req, status, code, message, &header, allow != NULL ? 1 : 0);
}

/* 'errors' is moved. */
static void problem(struct net_req *req, unsigned status, const char *code,
                    const char *message, json_t *errors, const struct net_header *headers,
                    size_t n)
{
    const char *id = net_req_id(req);

    log_debug("request_refused", LOG_STR("request_id", id), LOG_U64("status", status),
              LOG_STR("code", code), LOG_STR("path", net_req_path(req)));
    send_json(req, status, "application/problem+json",
              json_pack("{s:s, s:s, s:i, s:s, s:b, s:s, s:s, s:o, s:s}", "type",
                        "about:blank", "title", title_of(status), "status", (int)status,
                        "detail", message, "success", 0, "code", code, "message", message,
                        "errors", errors, "request_id", id),
              headers, n);
}

void respond_problem_with(struct net_req *req, unsigned status, const char *code,
                          const char *message, const struct net_header *headers, size_t n)
{
    problem(req, status, code, message, json_array(), headers, n);
}

void respond_invalid(struct net_req *req, const struct schema_errors *errors)
{
    char message[SCHEMA_PATH_LEN + SCHEMA_REASON_LEN + 4];
    const struct schema_error *first = &errors->at[0];

    (void)snprintf(message, sizeof(message), "%s%s%s", first->path,
                   first->path[0] != '\0' ? ": " : "", first->reason);
    problem(req, 400, "invalid", message, schema_errors_json(errors), NULL, 0);
}
