#include "rest/rest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "rest/health.h"
#include "rest/respond.h"
#include "rest/wish.h"
#include "sys/log.h"

struct rest {
    struct rest_conf conf;
    struct wish *wish; /* NULL: not served */
};

typedef void route_fn(const struct rest_conf *conf, struct net_req *req);

enum {
    GET = 1 << NET_GET,
    HEAD = 1 << NET_HEAD,
    POST = 1 << NET_POST,
    PUT = 1 << NET_PUT,
    PATCH = 1 << NET_PATCH,
    DELETE = 1 << NET_DELETE,
    OPTIONS = 1 << NET_OPTIONS,
    READ = GET | HEAD
};

/* docs/api.md. "*" stands for one name of any text. fn NULL: not built yet. */
static const struct route {
    const char *path;
    unsigned methods;
    route_fn *fn;
} routes[] = {
    {"/api/health/live", READ, health_live},
    {"/api/health/ready", READ, health_ready},
    {"/api/health/webrtc", READ, health_webrtc},
    {"/api/health/system", READ, health_system},
    {"/api/openapi.json", READ, NULL},
    {"/docs", READ, NULL},
    {"/api/auth/login", POST, NULL},
    {"/api/auth/refresh", POST, NULL},
    {"/api/auth/logout", POST, NULL},
    {"/api/meeting", READ | POST, NULL},
    {"/api/meeting/system/stats", READ, NULL},
    {"/api/meeting/*", READ | PUT | PATCH | DELETE, NULL},
    {"/api/meeting/*/start", POST, NULL},
    {"/api/meeting/*/end", POST, NULL},
    {"/api/meeting/*/join", POST, NULL},
    {"/api/meeting/*/participants", READ | POST | DELETE, NULL},
    {"/api/meeting/*/participants/*/role", PATCH, NULL},
    {"/api/meeting/*/chat", READ, NULL},
    {"/api/meeting/*/recordings", READ, NULL},
    {"/api/meeting/*/recordings/*/download", READ, NULL},
    {"/api/meeting/*/analytics", READ, NULL},
    {"/api/meeting/*/live-stats", READ, NULL},
    {"/api/meeting/*/webrtc-config", READ, NULL},
    {"/api/meeting/*/audit", READ, NULL},
    {"/api/meeting/*/export", READ, NULL},
    {"/api/audit", READ, NULL},
    {"/api/user/*/data", DELETE, NULL},
};

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
    if (conf->meeting != NULL && wish_create(&rest->wish, &rest->conf) != 0) {
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
    }
    free(rest);
}

static bool path_matches(const char *pattern, const char *path)
{
    for (;;) {
        size_t want = strcspn(pattern, "/");
        size_t have = strcspn(path, "/");
        bool any = want == 1 && pattern[0] == '*' && have > 0;

        if (!any && (want != have || memcmp(pattern, path, want) != 0)) {
            return false;
        }
        pattern += want;
        path += have;
        if (*pattern == '\0' || *path == '\0') {
            return *pattern == *path;
        }
        pattern++;
        path++;
    }
}

/* The first that fits: the table has fixed names before any. */
static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (path_matches(routes[i].path, path)) {
            return &routes[i];
        }
    }
    return NULL;
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

static void wrong_method(struct net_req *req, unsigned methods)
{
    static const char *const names[] = {
        [NET_GET] = "GET",         [NET_HEAD] = "HEAD",   [NET_POST] = "POST",
        [NET_PUT] = "PUT",         [NET_PATCH] = "PATCH", [NET_DELETE] = "DELETE",
        [NET_OPTIONS] = "OPTIONS",
    };
    char allow[64] = "";
    char message[128];
    size_t at = 0;

    for (unsigned m = NET_GET; m <= NET_OPTIONS; m++) {
        if (methods & 1U << m) {
            at += (size_t)snprintf(allow + at, sizeof(allow) - at, "%s%s",
                                   at > 0 ? ", " : "", names[m]);
        }
    }
    (void)snprintf(message, sizeof(message), "this route takes %s", allow);
    respond_problem(req, 405, "method_not_allowed", message, allow);
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
    const struct route *route = find_route(path);

    if (rest->wish != NULL && wish_on_request(rest->wish, req)) {
        return;
    }
    if (route != NULL && (route->methods & 1U << net_req_method(req)) == 0) {
        wrong_method(req, route->methods);
    } else if (route != NULL && route->fn != NULL) {
        route->fn(&rest->conf, req);
    } else if (route != NULL) {
        respond_problem(req, 501, "not_implemented",
                        "this part of the node is not built yet", NULL);
    } else if (strcmp(path, "/api") == 0 || strncmp(path, "/api/", 5) == 0) {
        respond_problem(req, 404, "not_found", "the interface has no such route", NULL);
    } else {
        serve_page(&rest->conf, req, path);
    }
}
