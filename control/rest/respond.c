#include "rest/respond.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "schema/check.h"
#include "sys/entropy.h"
#include "sys/log.h"

enum { REQUEST_ID = 16, MORE_HEADERS = 8 };

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
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

/* Sends 'body', which is moved. */
static void send_json(struct net_req *req, unsigned status, const char *type, json_t *body,
                      const struct net_header *more, size_t n_more)
{
    struct net_header headers[3 + MORE_HEADERS] = {
        {"content-type", type},
        {"cache-control", "no-store"},
        {"x-content-type-options", "nosniff"},
    };
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (text == NULL) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    n_more = n_more < MORE_HEADERS ? n_more : MORE_HEADERS;
    for (size_t i = 0; i < n_more; i++) {
        headers[3 + i] = more[i];
    }
    net_respond(req, status, headers, 3 + n_more, text, strlen(text));
    free(text);
}

void respond_data(struct net_req *req, json_t *data)
{
    if (data == NULL) {
        respond_problem(req, 500, "no_memory", "the node is out of memory", NULL);
        return;
    }
    send_json(req, 200, "application/json",
              json_pack("{s:b, s:o}", "success", 1, "data", data), NULL, 0);
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
    char id[REQUEST_ID + 1];

    entropy_id(id, REQUEST_ID);
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
