#include "rest/respond.h"

#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/entropy.h"
#include "sys/log.h"

enum { REQUEST_ID = 16 };

static const char *title_of(unsigned status)
{
    switch (status) {
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
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
                      const char *allow)
{
    const struct net_header headers[] = {
        {"content-type", type},
        {"cache-control", "no-store"},
        {"x-content-type-options", "nosniff"},
        {"allow", allow},
    };
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (text == NULL) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    net_respond(req, status, headers, allow != NULL ? 4 : 3, text, strlen(text));
    free(text);
}

void respond_data(struct net_req *req, json_t *data)
{
    if (data == NULL) {
        respond_problem(req, 500, "no_memory", "the node is out of memory", NULL);
        return;
    }
    send_json(req, 200, "application/json",
              json_pack("{s:b, s:o}", "success", 1, "data", data), NULL);
}

void respond_problem(struct net_req *req, unsigned status, const char *code,
                     const char *message, const char *allow)
{
    char id[REQUEST_ID + 1];

    entropy_id(id, REQUEST_ID);
    log_debug("request_refused", LOG_STR("request_id", id), LOG_U64("status", status),
              LOG_STR("code", code), LOG_STR("path", net_req_path(req)));
    send_json(req, status, "application/problem+json",
              json_pack("{s:s, s:s, s:i, s:s, s:b, s:s, s:s, s:[], s:s}", "type",
                        "about:blank", "title", title_of(status), "status", (int)status,
                        "detail", message, "success", 0, "code", code, "message", message,
                        "errors", "request_id", id),
              allow);
}
