#include "rest/rest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "rest/chat.h"
#include "rest/documents.h"
#include "rest/health.h"
#include "rest/login.h"
#include "rest/meetings.h"
#include "rest/people.h"
#include "rest/rate.h"
#include "rest/live.h"
#include "rest/recordings.h"
#include "rest/respond.h"
#include "rest/task.h"
#include "rest/users.h"
#include "rest/wish.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "trace/trace.h"

enum {
    REFUSALS_PER_S_MILLI = 1000,
    REFUSALS_AT_ONCE = 20,
    ROUTES_MAX = 64,
    ROUTE_AT_ONCE_S = 10 /* of its share may be asked at once */
};

/* NULL: no limit */
struct rates {
    struct rate *by_address, *by_user;
    struct rate *by_route[ROUTES_MAX]; /* in the order of schema/'s table */
};

struct rest {
    struct rest_conf conf;
    struct documents *documents;
    struct rates rates;
    struct rate *refusals; /* of a user, that the audit has */
    struct wish *wish;     /* NULL: not served */
};

static void on_document(const struct rest_call *call);

/* What each route is, who may ask and what it takes is in schema/; here is who answers. A
 * route without a line here is not served by this node, or not below /api (WHIP and WHEP).
 */
static const struct handler {
    const char *method, *path;
    rest_fn *fn;
    const char *act; /* as the audit has it; NULL: it need not be answered for */
} handlers[] = {
    {"GET", "/api/health/live", health_live, NULL},
    {"GET", "/api/health/ready", health_ready, NULL},
    {"GET", "/api/health/webrtc", health_webrtc, NULL},
    {"GET", "/api/health/system", health_system, NULL},
    {"POST", "/api/auth/login", login_begin, "login"},
    {"POST", "/api/auth/refresh", login_refresh, "refresh"},
    {"POST", "/api/auth/logout", login_end, "logout"},
    {"GET", "/api/meeting", meetings_list, NULL},
    {"POST", "/api/meeting", meetings_create, "meeting.create"},
    {"GET", "/api/meeting/system/stats", people_stats, NULL},
    {"GET", "/api/meeting/{id}", meetings_get, NULL},
    {"PUT", "/api/meeting/{id}", meetings_replace, "meeting.update"},
    {"PATCH", "/api/meeting/{id}", meetings_change, "meeting.update"},
    {"DELETE", "/api/meeting/{id}", meetings_delete, "meeting.delete"},
    {"POST", "/api/meeting/{id}/start", meetings_start, "meeting.start"},
    {"POST", "/api/meeting/{id}/end", meetings_finish, "meeting.end"},
    {"POST", "/api/meeting/{id}/join", meetings_join, NULL},
    {"POST", "/api/meeting/{id}/link", meetings_link, "meeting.link"},
    {"GET", "/api/meeting/{id}/participants", people_list, NULL},
    {"POST", "/api/meeting/{id}/participants", people_invite, "participant.invite"},
    {"DELETE", "/api/meeting/{id}/participants", people_remove, "participant.remove"},
    {"PATCH", "/api/meeting/{id}/participants/{user_id}/role", people_role,
     "participant.role"},
    {"GET", "/api/meeting/{id}/chat", chat_list, NULL},
    {"GET", "/api/meeting/{id}/recordings", recordings_list, NULL},
    {"GET", "/api/meeting/{id}/recordings/{recording_id}/download", recordings_download,
     "recording.download"},
    {"GET", "/api/meeting/{id}/analytics", meetings_analytics, NULL},
    {"GET", "/api/meeting/{id}/live-stats", meetings_live, NULL},
    {"GET", "/api/meeting/{id}/webrtc-config", meetings_webrtc, NULL},
    {"GET", "/api/meeting/{id}/audit", people_audit, NULL},
    {"GET", "/api/meeting/{id}/export", meetings_export, "meeting.export"},
    {"GET", "/api/audit", people_audit_all, NULL},
    {"POST", "/api/user", users_create, "user.create"},
    {"GET", "/api/user/{id}/data", users_kept, "user.export"},
    {"DELETE", "/api/user/{id}/data", people_erase, "user.erase"},
    {"GET", "/api/openapi.json", on_document, NULL},
    {"GET", "/api/asyncapi.json", on_document, NULL},
    {"GET", "/api/events/schemas", on_document, NULL},
    {"GET", "/docs", on_document, NULL},
    {"GET", "/docs/style.css", on_document, NULL},
};

static const struct handler *handler_of(const struct schema_route *route)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (strcmp(handlers[i].method, route->method) == 0 &&
            strcmp(handlers[i].path, route->path) == 0) {
            return &handlers[i];
        }
    }
    return NULL;
}

rest_fn *rest_handler(const struct schema_route *route)
{
    const struct handler *handler = handler_of(route);

    return handler != NULL ? handler->fn : NULL;
}

const char *rest_act(const struct schema_route *route)
{
    const struct handler *handler = handler_of(route);

    return handler != NULL ? handler->act : NULL;
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

static int limit(struct rate **out, uint32_t n, uint32_t per_s_milli, uint32_t burst)
{
    return n > 0 ? rate_create(out, per_s_milli, burst) : 0;
}

static void rates_fini(struct rates *rates)
{
    rate_destroy(rates->by_address);
    rate_destroy(rates->by_user);
    for (size_t i = 0; i < ROUTES_MAX; i++) {
        rate_destroy(rates->by_route[i]);
    }
}

static int limit_route(struct rate **out, const struct schema_route *route,
                       const struct rest_limits *limits)
{
    uint32_t login = limits->logins_per_address_min;
    bool of_address = route->who == AUTH_PUBLIC || wish_is_path(route->path);
    uint32_t all = of_address ? limits->per_address_s : limits->per_user_s;
    uint32_t per_s_milli = all * route->share * 10;
    uint32_t burst = all * route->share * ROUTE_AT_ONCE_S / 100;

    if (rest_handler(route) == login_begin) {
        return limit(out, login, login * 1000 / 60 + 1, login);
    }
    return limit(out, per_s_milli, per_s_milli, burst > 0 ? burst : 1);
}

int rest_set_limits(struct rest *rest, const struct rest_limits *limits)
{
    uint32_t address = limits->per_address_s;
    uint32_t user = limits->per_user_s;
    struct rates fresh = {0};
    const struct schema_route *route;
    int err = limit(&fresh.by_address, address, address * 1000, address * 4);

    if (err == 0) {
        err = limit(&fresh.by_user, user, user * 1000, user * 4);
    }
    for (size_t i = 0; err == 0 && (route = schema_route_at(i)) != NULL; i++) {
        err = i < ROUTES_MAX ? limit_route(&fresh.by_route[i], route, limits) : -ENOSPC;
    }
    rates_fini(err == 0 ? &rest->rates : &fresh);
    if (err == 0) {
        rest->rates = fresh;
    }
    return err;
}

void rest_set_origins(struct rest *rest, const char *const *origins, size_t n_origins)
{
    rest->conf.origins = origins;
    rest->conf.n_origins = n_origins;
    respond_set_origins(origins, n_origins);
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
    respond_set_origins(conf->origins, conf->n_origins);
    if (rest_set_limits(rest, &conf->limits) != 0 ||
        rate_create(&rest->refusals, REFUSALS_PER_S_MILLI, REFUSALS_AT_ONCE) != 0 ||
        documents_create(&rest->documents, conf->version) != 0 ||
        (conf->meeting != NULL && wish_create(&rest->wish, &rest->conf) != 0)) {
        rest_destroy(rest);
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
        rates_fini(&rest->rates);
        rate_destroy(rest->refusals);
        respond_set_origins(NULL, 0);
    }
    free(rest);
}

static void on_document(const struct rest_call *call)
{
    documents_serve(call->rest->documents, call);
}

void rest_on_abort(struct rest *rest, struct net_req *req)
{
    task_on_abort(req);
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

/* Takes one request of 'key' from what it may; false: answered 429. */
static bool may_ask(struct rate *rate, const char *key, struct net_req *req)
{
    uint32_t wait_s = rate_take(rate, key, clock_mono_us());
    char most[16];
    char seconds[16];
    const struct net_header headers[] = {{"retry-after", seconds},
                                         {"ratelimit-limit", most},
                                         {"ratelimit-remaining", "0"},
                                         {"ratelimit-reset", seconds},
                                         /* WHIP and WHEP are for pages of every site */
                                         {"access-control-allow-origin", "*"}};
    size_t n = sizeof(headers) / sizeof(headers[0]);

    if (wait_s == 0) {
        return true;
    }
    (void)snprintf(seconds, sizeof(seconds), "%u", wait_s);
    (void)snprintf(most, sizeof(most), "%u", rate_burst(rate));
    respond_problem_with(req, 429, "too_many_requests", "too many requests: wait a little",
                         headers, wish_is_path(net_req_path(req)) ? n : n - 1);
    return false;
}

enum { ADDRESS_KEY = 2 * NET_ORIGIN + 1, USER_KEY = 2 * AUTH_ID_MAX + 2 };

/* What counts as one address: of IPv6 a customer has 2^64. */
static const char *address_key(struct net_req *req, char key[ADDRESS_KEY])
{
    uint8_t origin[NET_ORIGIN];

    (void)net_req_origin(req, origin);
    for (size_t i = 0; i < NET_ORIGIN; i++) {
        (void)snprintf(key + 2 * i, 3, "%02x", origin[i]);
    }
    return key;
}

static bool address_may_ask(struct rest *rest, const char *path, struct net_req *req)
{
    char key[ADDRESS_KEY];

    if (strncmp(path, "/api/", 5) != 0 || rest_is_health(path)) {
        return true;
    }
    return may_ask(rest->rates.by_address, address_key(req, key), req);
}

static const char *user_key(const struct auth_identity *who, char key[USER_KEY])
{
    (void)snprintf(key, USER_KEY, "%s\n%s", who->tenant, who->user_id);
    return key;
}

/* By user, and by route: of a user, or of an address where nobody signs in, or many do so
 * by one link. */
static bool route_may_ask(struct rest *rest, const struct rest_call *call)
{
    size_t i = (size_t)(call->route - schema_route_at(0));
    char key[USER_KEY];

    if (call->who.user_id[0] == '\0' || call->who.link) {
        return may_ask(rest->rates.by_route[i], address_key(call->req, key), call->req);
    }
    return may_ask(rest->rates.by_user, user_key(&call->who, key), call->req) &&
           may_ask(rest->rates.by_route[i], key, call->req);
}

/* WHIP and WHEP look at the token themselves, and many viewers may have one: the address's. */
static bool wish_may_ask(struct rest *rest, const char *path, struct net_req *req)
{
    const struct schema_route *route = NULL;
    char methods[SCHEMA_METHODS_LEN], key[ADDRESS_KEY];
    struct schema_params params;

    if (wish_is_path(path)) {
        route = schema_route_find(net_req_method_name(req), path, &params, methods);
    }
    return route == NULL ||
           may_ask(rest->rates.by_route[route - schema_route_at(0)], address_key(req, key),
                   req);
}

bool rest_may_note(struct rest *rest, const struct auth_identity *who)
{
    char key[USER_KEY];

    if (rate_take(rest->refusals, user_key(who, key), clock_mono_us()) == 0) {
        return true;
    }
    log_warn("audit_refusals_left_out", LOG_STR("user_id", who->user_id));
    return false;
}

void rest_on_request(struct rest *rest, struct net_req *req)
{
    const char *path = net_req_path(req);
    struct rest_call call;

    if (!address_may_ask(rest, path, req) || !wish_may_ask(rest, path, req) ||
        (rest->wish != NULL && wish_on_request(rest->wish, req)) ||
        (strncmp(path, "/api/", 5) == 0 &&
         respond_preflight(req, "GET, HEAD, POST, PUT, PATCH, DELETE"))) {
        return;
    }
    if (rest_call_init(&call, rest, &rest->conf, req)) {
        rest_fn *fn = rest_handler(call.route);
        struct trace_scope scope;

        trace_enter(&scope, net_req_traced(req), net_req_id(req),
                    rest_is_of_meeting(call.route) ? call.params.at[0] : NULL, NULL);
        if (!route_may_ask(rest, &call)) {
            /* answered */
        } else if (fn != NULL) {
            fn(&call);
        } else {
            respond_problem(req, 404, "not_found", "this node does not serve it", NULL);
        }
        trace_leave(&scope);
        rest_call_fini(&call);
    } else if (call.req == NULL) {
        return; /* refused */
    } else if (strcmp(path, "/api") == 0 || strncmp(path, "/api/", 5) == 0) {
        respond_problem(req, 404, "not_found", "the interface has no such route", NULL);
    } else if (live_is_path(path)) {
        live_serve(rest->conf.live, req);
    } else {
        serve_page(&rest->conf, req, path);
    }
}
