#include "rest/rest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "rest/documents.h"
#include "rest/health.h"
#include "rest/respond.h"
#include "rest/wish.h"
#include "sys/log.h"

struct rest {
    struct rest_conf conf;
    struct documents *documents;
    struct wish *wish; /* NULL: not served */
};

static void on_document(const struct rest_call *call);

/* What each route is, who may ask and what it takes is in schema/; here is who answers. A
 * route without a line here is not served by this node, or not below /api (WHIP and WHEP).
 */
static const struct {
    const char *method, *path;
    rest_fn *fn;
} handlers[] = {
    {"GET", "/api/health/live", health_live},
    {"GET", "/api/health/ready", health_ready},
    {"GET", "/api/health/webrtc", health_webrtc},
    {"GET", "/api/health/system", health_system},
    {"GET", "/api/openapi.json", on_document},
    {"GET", "/api/asyncapi.json", on_document},
    {"GET", "/docs", on_document},
    {"GET", "/docs/style.css", on_document},
};

rest_fn *rest_handler(const struct schema_route *route)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (strcmp(handlers[i].method, route->method) == 0 &&
            strcmp(handlers[i].path, route->path) == 0) {
            return handlers[i].fn;
        }
    }
    return NULL;
}

/* The page talks to its own origin only, shows what it was sent by WebRTC, and is in nobody
 * else's frame. 'self' covers the WebSocket of the same origin (CSP level 3). */
static const struct net_header page_headers[] = {
    {"content-security-policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     "img-src 'self' data: blob:; media-src 'self' blob: mediastream:; font-src 'self'; "
     "worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
     "frame-ancestors 'none'"},
    {"referrer-policy", "no-referrer"},
    {"permissions-policy", "camera=(self), microphone=(self), display-capture=(self)"},
};

static bool has_page(const char *root)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/index.html", root);

    return len > 0 && (size_t)len < sizeof(path) && access(path, R_OK) == 0;
}

int rest_create(struct rest **out, const struct rest_conf *conf)
{
    struct rest *rest = calloc(1, sizeof(*rest));

    if (rest == NULL) {
        return -ENOMEM;
    }
    rest->conf = *conf;
    if (conf->web_root[0] != '\0' && !has_page(conf->web_root)) {
        log_warn("no_page", LOG_STR("web.root", conf->web_root),
                 LOG_STR("cure", "build the page (target kcs-web) or set web.root to it"));
    }
    if (documents_create(&rest->documents, conf->version) != 0 ||
        (conf->meeting != NULL && wish_create(&rest->wish, &rest->conf) != 0)) {
        documents_destroy(rest->documents);
        free(rest);
        return -ENOMEM;
    }
    *out = rest;
    return 0;
}

void rest_destroy(struct rest *rest)
{
    if (rest != NULL) {
        wish_destroy(rest->wish);
        documents_destroy(rest->documents);
    }
    free(rest);
}

static void on_document(const struct rest_call *call)
{
    documents_serve(call->rest->documents, call);
}

void rest_on_abort(struct rest *rest, struct net_req *req)
{
    if (rest->wish != NULL) {
        wish_on_abort(rest->wish, req);
    }
}

void rest_on_restored(struct rest *rest)
{
    if (rest->wish != NULL) {
        wish_restore(rest->wish);
    }
}

void rest_media_lost(struct participant *p)
{
    wish_media_lost(p);
}

bool rest_is_health(const char *path)
{
    return strncmp(path, "/api/health/", strlen("/api/health/")) == 0;
}

static void serve_page(const struct rest_conf *conf, struct net_req *req, const char *path)
{
    static const struct net_header text[] = {{"content-type", "text/plain; charset=utf-8"},
                                             {"x-content-type-options", "nosniff"}};
    const char *why = NULL;

    if (conf->web_root[0] == '\0') {
        why = "This node serves no page: web.root is not set.\n";
    } else if ((strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0) &&
               !has_page(conf->web_root)) {
        why = "This node has no page to serve: the directory that web.root names has no "
              "index.html.\n";
    }
    if (why != NULL) {
        net_respond(req, 404, text, sizeof(text) / sizeof(text[0]), why, strlen(why));
        return;
    }
    net_respond_file(req, conf->web_root, path, page_headers,
                     sizeof(page_headers) / sizeof(page_headers[0]));
}

void rest_on_request(struct rest *rest, struct net_req *req)
{
    const char *path = net_req_path(req);
    struct rest_call call;

    if (rest->wish != NULL && wish_on_request(rest->wish, req)) {
        return;
    }
    if (rest_call_init(&call, rest, &rest->conf, req)) {
        rest_fn *fn = rest_handler(call.route);

        if (fn != NULL) {
            fn(&call);
        } else {
            respond_problem(req, 404, "not_found", "this node does not serve it", NULL);
        }
        rest_call_fini(&call);
    } else if (call.req == NULL) {
        return; /* refused */
    } else if (strcmp(path, "/api") == 0 || strncmp(path, "/api/", 5) == 0) {
        respond_problem(req, 404, "not_found", "the interface has no such route", NULL);
    } else {
        serve_page(&rest->conf, req, path);
    }
}
