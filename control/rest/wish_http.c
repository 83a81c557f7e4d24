/* Methods, headers and conditions of WHIP and WHEP; see wish.h. RFC 9725, section 4. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rest/respond.h"
#include "rest/wish_priv.h"
#include "schema/schema.h"
#include "sys/clock.h"
#include "trace/trace.h"

#define TYPE_FRAGMENT "application/trickle-ice-sdpfrag"
#define TYPE_CHOICE   "application/json"
#define PREFIX        "/api/wh"
#define EXPOSED       "ETag, Location, Link, Retry-After, Accept-Post, Accept-Patch, Allow"
#define ON_ENDPOINT   "OPTIONS, GET, HEAD, POST"
#define ON_SESSION    "OPTIONS, GET, HEAD, PATCH, DELETE"

enum { LOCATION_MAX = sizeof(PREFIX) + 8 + 3 * (size_t)MEETING_ID_MAX + WISH_ID };

/* ---- answers ---- */

/* What a PATCH of a session may carry now. */
static const char *patch_types(const struct wish_session *s)
{
    return s->counter  ? WISH_SDP
           : s->viewer ? TYPE_FRAGMENT ", " TYPE_CHOICE
                       : TYPE_FRAGMENT;
}

/* 'more': a header that belongs to the status, or NULL. retry_ms: when to come again; 0: the
 * usual. */
static void problem_with(struct net_req *req, unsigned status, const char *code,
                         const char *message, const struct net_header *more,
                         uint32_t retry_ms)
{
    struct net_header headers[4] = {{"access-control-allow-origin", "*"},
                                    {"access-control-expose-headers", EXPOSED}};
    size_t n = 2;
    char text[320];
    char retry[12];

    /* what came from outside need not be UTF-8 */
    (void)snprintf(text, sizeof(text), "%s", message);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) {
            *c = '?';
        }
    }
    (void)snprintf(retry, sizeof(retry), "%u",
                   retry_ms != 0 ? (retry_ms + 999) / 1000 : WISH_RETRY_S);
    if (status == 401) {
        headers[n++] = (struct net_header){"www-authenticate", "Bearer"};
    } else if (status == 503 || status == 409) {
        headers[n++] = (struct net_header){"retry-after", retry};
    } else if (more != NULL) {
        headers[n++] = *more;
    }
    respond_problem_with(req, status, code, text, headers, n);
}

void wish_problem(struct net_req *req, unsigned status, const char *code,
                  const char *message)
{
    /* a POST is meant: what a PATCH may carry depends on its session */
    static const struct net_header types = {"accept-post", WISH_SDP};

    problem_with(req, status, code, message, status == 415 ? &types : NULL, 0);
}

void wish_problem_of(struct net_req *req, const struct meeting_error *err)
{
    static const struct {
        const char *code;
        unsigned status;
    } known[] = {{"not_found", 404},      {"forbidden", 403},  {"invalid", 422},
                 {"unsupported", 422},    {"room_full", 503},  {"too_many_rooms", 503},
                 {"node_full", 503},
                 {"too_many", 503},       {"overloaded", 503}, {"media_unavailable", 503},
                 {"no_memory", 503},      {"gone", 503},       {"already_connected", 409},
                 {"locked", 403},         {"banned", 403},     {"waiting_room", 403},
                 {"muted_by_host", 403},  {"closed", 403},     {"rate_limited", 429},
                 {"already_exists", 409}, {"draining", 503}};
    unsigned status = 500;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(err->code, known[i].code) == 0) {
            status = known[i].status;
        }
    }
    problem_with(req, status, err->code, err->message, NULL, err->retry_after_ms);
}

/* The path of a session, or of its endpoint; percent-encoded. */
static void write_location(char out[LOCATION_MAX], bool viewer, const char *meeting_id,
                           const char *session_id)
{
    size_t at = (size_t)sprintf(out, "%s%s/", PREFIX, viewer ? "ep" : "ip");

    for (const char *c = meeting_id; *c != '\0'; c++) {
        bool plain = isalnum((unsigned char)*c) || strchr("-._~", *c) != NULL;

        at += (size_t)sprintf(out + at, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    if (session_id[0] != '\0') {
        (void)sprintf(out + at, "/%s", session_id);
    }
}

void wish_respond_session(struct wish_session *s, unsigned status, const char *sdp)
{
    struct net_req *req = s->req;
    char links[TURN_LINKS_MAX];
    char location[LOCATION_MAX];
    const struct net_header headers[] = {
        {"content-type", WISH_SDP},
        {"location", location},
        {"etag", s->etag},
        {"access-control-allow-origin", "*"},
        {"access-control-expose-headers", EXPOSED},
        {"cache-control", "no-store"},
        {"accept-patch", patch_types(s)},
        {"link", links}, /* the last: only if there are some */
    };
    size_t n = sizeof(headers) / sizeof(headers[0]);

    write_location(location, s->viewer, s->p->room->id, s->id);
    /* Without memory it is told of none: this node is reached without them. */
    (void)turn_links(&s->wish->conf->ice_servers, s->p->who.user_id, clock_wall_s(), links);
    s->req = NULL;
    net_respond(req, status, headers, links[0] != '\0' ? n : n - 1, sdp, strlen(sdp));
}

/* An answer without a body; etag and type may be NULL. */
static void respond_plain(struct net_req *req, unsigned status, const char *etag,
                          const char *body)
{
    struct net_header headers[5] = {{"access-control-allow-origin", "*"},
                                    {"access-control-expose-headers", EXPOSED},
                                    {"cache-control", "no-store"}};
    size_t n = 3;

    if (etag != NULL) {
        headers[n++] = (struct net_header){"etag", etag};
    }
    if (body != NULL) {
        headers[n++] = (struct net_header){"content-type", TYPE_FRAGMENT};
    }
    net_respond(req, status, headers, n, body, body != NULL ? strlen(body) : 0);
}

/* Nobody needs a token to ask: a session that is not known is answered as any other. */
static void respond_options(struct wish *wish, const struct wish_target *target,
                            struct net_req *req)
{
    const bool endpoint = target->session_id[0] == '\0';
    const struct wish_session *s = endpoint ? NULL : wish_session_find(wish, target);
    const struct net_header headers[] = {
        {"access-control-allow-origin", "*"},
        {"access-control-allow-methods", endpoint ? ON_ENDPOINT : ON_SESSION},
        {"access-control-allow-headers", "Authorization, Content-Type, If-Match"},
        {"access-control-expose-headers", EXPOSED},
        {"access-control-max-age", "86400"},
        {"allow", endpoint ? ON_ENDPOINT : ON_SESSION},
        {"accept-post", WISH_SDP}, /* to any OPTIONS (RFC 9725, section 4.2) */
        {"accept-patch", s != NULL        ? patch_types(s)
                         : target->viewer ? TYPE_FRAGMENT ", " TYPE_CHOICE
                                          : TYPE_FRAGMENT},
    };
    size_t n = sizeof(headers) / sizeof(headers[0]);

    net_respond(req, 200, headers, endpoint ? n - 1 : n, NULL, 0);
}

/* ---- requests ---- */

bool wish_has_type(struct net_req *req, const char *type)
{
    const char *have = net_req_header(req, "content-type");
    size_t len = have != NULL ? strcspn(have, "; \t") : 0;

    return len == strlen(type) && strncasecmp(have, type, len) == 0;
}

bool wish_authorize(struct wish *wish, struct net_req *req, struct auth_identity *who)
{
    const char *header = net_req_header(req, "authorization");
    const char *code = "token_missing";
    const char *token = NULL;

    if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0) {
        token = header + 7 + strspn(header + 7, " ");
    }
    if (token == NULL || auth_verify(wish->conf->auth, token, strlen(token), clock_wall_s(),
                                     who, &code) != 0) {
        wish_problem(req, 401, code,
                     token == NULL ? "a token is needed: Authorization: Bearer TOKEN"
                                   : "the token was refused");
        return false;
    }
    return true;
}

/* True if a fragment brings credentials of another ICE generation. */
static bool is_new(const struct wish_session *s, const struct sdp_transport *t)
{
    return t->ufrag[0] != '\0' && wish_ufrag(t->ufrag) != s->remote_ufrag;
}

static void restart_ice(struct wish_session *s, const struct sdp *fragment,
                        struct net_req *req)
{
    struct sdp_transport t;
    struct meeting_error err;
    char *body;

    sdp_transport_of(fragment, &t);
    if (t.pwd[0] == '\0' || !is_new(s, &t)) {
        wish_problem(req, 422, "invalid",
                     "an ICE restart needs a new ice-ufrag and a new ice-pwd");
        return;
    }
    if (meeting_transport_restart_ice(s->p, s->transport_id, &err) == NULL) {
        wish_problem_of(req, &err);
        return;
    }
    s->remote_ufrag = wish_ufrag(t.ufrag);
    wish_new_etag(s);
    wish_save(s);
    body = wish_ice_fragment(s);
    if (body == NULL) {
        wish_problem(req, 503, "no_memory", "the node is out of memory");
        return;
    }
    respond_plain(req, 200, s->etag, body);
    free(body);
}

static void patch_fragment(struct wish_session *s, struct net_req *req)
{
    const char *match = net_req_header(req, "if-match");
    struct sdp_error err = {.line = 0};
    struct sdp *fragment = NULL;
    const void *body;
    struct sdp_transport t;
    bool any;
    size_t len;

    if (match == NULL) {
        wish_problem(req, 428, "precondition_required",
                     "send If-Match with the entity-tag of the ICE session, or \"*\" to "
                     "restart ICE");
        return;
    }
    any = strcmp(match, "*") == 0 || strcmp(match, "\"*\"") == 0;
    if (!any && !net_etag_listed(match, s->etag, false)) {
        wish_problem(req, 412, "precondition_failed",
                     "If-Match is not the entity-tag of the ICE session");
        return;
    }
    body = net_req_body(req, &len);
    if (sdp_parse_fragment(body != NULL ? body : "", body != NULL ? len : 0, &fragment,
                           &err) != 0) {
        char text[256];

        (void)snprintf(text, sizeof(text), "the fragment, line %u: %s", err.line,
                       err.reason);
        wish_problem(req, 400, "malformed", text);
        return;
    }
    sdp_transport_of(fragment, &t);
    /* new credentials are a restart, with the entity-tag too (RFC 9725, section 4.3.3) */
    if (any || is_new(s, &t)) {
        restart_ice(s, fragment, req);
    } else {
        /* candidates are not needed: we are ICE-lite and learn them from checks */
        respond_plain(req, 204, NULL, NULL);
    }
    sdp_destroy(fragment);
}

/* The answer to our offer, which came with a 406. */
static void patch_answer(struct wish_session *s, struct net_req *req)
{
    const char *match = net_req_header(req, "if-match");
    struct sdp_error err = {.line = 0};
    struct meeting_error refused;
    struct sdp *answer = NULL;
    const void *body;
    size_t len;
    int e;

    if (match != NULL && !net_etag_listed(match, s->etag, false)) {
        wish_problem(req, 412, "precondition_failed",
                     "If-Match is not the entity-tag of the session");
        return;
    }
    body = net_req_body(req, &len);
    e = sdp_parse(body != NULL ? body : "", body != NULL ? len : 0, &answer, &err);
    if (e == -EINVAL) {
        wish_problem(req, 422, "invalid", err.reason);
    } else if (e != 0) {
        wish_problem(req, 400, "malformed", err.reason);
    } else if (wish_take_answer(s, answer, &refused) != 0) {
        wish_problem_of(req, &refused);
    } else {
        respond_plain(req, 204, NULL, NULL);
    }
    sdp_destroy(answer);
}

/* {"participant": ID}: whom to watch from now on; null: whoever speaks. */
static void patch_choice(struct wish_session *s, struct net_req *req)
{
    struct meeting_error refused;
    json_error_t wrong;
    size_t len = 0;
    const void *body = net_req_body(req, &len);
    json_t *json =
        json_loadb(body != NULL ? body : "", len, JSON_REJECT_DUPLICATES, &wrong);
    const json_t *who = json_object_get(json, "participant");

    if (json == NULL) {
        wish_problem(req, 400, "malformed", wrong.text);
    } else if (!json_is_string(who) && !json_is_null(who)) {
        wish_problem(req, 422, "invalid",
                     "/participant: the id of a participant or user, or null");
    } else if (meeting_view_change(s->wish->conf->meeting, s->p,
                                   json_is_null(who) ? "" : json_string_value(who),
                                   &refused) == 0) {
        respond_plain(req, 204, NULL, NULL);
    } else if (strcmp(refused.code, "not_found") == 0) {
        wish_problem(req, 409, "nothing_to_watch", refused.message);
    } else {
        wish_problem_of(req, &refused);
    }
    json_decref(json);
}

static void patch(struct wish_session *s, struct net_req *req)
{
    if (s->counter && wish_has_type(req, WISH_SDP)) {
        patch_answer(s, req);
    } else if (!s->counter && wish_has_type(req, TYPE_FRAGMENT)) {
        patch_fragment(s, req);
    } else if (!s->counter && s->viewer && wish_has_type(req, TYPE_CHOICE)) {
        patch_choice(s, req);
    } else {
        const struct net_header types = {"accept-patch", patch_types(s)};

        problem_with(req, 415, "unsupported_media_type",
                     s->counter  ? "the session waits for an answer: " WISH_SDP
                     : s->viewer ? "a PATCH carries " TYPE_FRAGMENT " or " TYPE_CHOICE
                                 : "a PATCH carries " TYPE_FRAGMENT,
                     &types, 0);
    }
}

static void on_session(struct wish *wish, const struct wish_target *target,
                       struct net_req *req)
{
    struct wish_session *s = wish_session_find(wish, target);
    struct auth_identity who;

    if (s == NULL && !meeting_is_restored(wish->conf->meeting)) {
        wish_problem(req, 503, "media_unavailable",
                     "the node does not know yet which sessions there are");
        return;
    }
    if (s == NULL) {
        wish_problem(req, 404, "not_found", "there is no such session");
        return;
    }
    if (net_req_method(req) == NET_GET || net_req_method(req) == NET_HEAD) {
        respond_plain(req, 204, NULL, NULL); /* it has no representation */
        return;
    }
    if (!wish_authorize(wish, req, &who)) {
        return;
    }
    if (strcmp(who.user_id, s->p->who.user_id) != 0 ||
        strcmp(who.tenant, s->p->who.tenant) != 0) {
        wish_problem(req, 403, "forbidden", "the session is another user's");
    } else if (net_req_method(req) == NET_DELETE) {
        wish_session_end(s);
        respond_plain(req, 200, NULL, NULL);
    } else {
        patch(s, req);
    }
}

bool wish_is_path(const char *path)
{
    return strncmp(path, PREFIX "ep/", strlen(PREFIX "ep/")) == 0 ||
           strncmp(path, PREFIX "ip/", strlen(PREFIX "ip/")) == 0;
}

/* Reads the path below /api/whip/ or /api/whep/. False: there can be no such thing. *slash:
 * it ends with one too many. */
static bool read_target(const char *path, struct wish_target *out, bool *slash)
{
    const char *rest;
    size_t len;

    memset(out, 0, sizeof(*out));
    *slash = false;
    out->viewer = strncmp(path, PREFIX "ep/", strlen(PREFIX "ep/")) == 0;
    path += strlen(PREFIX "ep/");
    len = strcspn(path, "/");
    rest = path + len;
    if (len == 0 || len > MEETING_ID_MAX || schema_has_control(path, len)) {
        return false;
    }
    memcpy(out->meeting_id, path, len);
    if (*rest == '/') {
        rest++;
        len = strcspn(rest, "/");
        if (len > WISH_ID) {
            return false;
        }
        memcpy(out->session_id, rest, len);
        *slash = len == 0 || strcmp(rest + len, "/") == 0;
        rest += len + (size_t)(*slash && len > 0);
    }
    return *rest == '\0';
}

/* 307 keeps method and body; 301 and 302 are not for POST (RFC 9725, section 4.5). */
static void redirect(const struct wish_target *target, struct net_req *req)
{
    const char *query = net_req_query_text(req);
    char location[LOCATION_MAX + NET_HEADER_MAX];
    const struct net_header headers[] = {{"location", location},
                                         {"access-control-allow-origin", "*"},
                                         {"access-control-expose-headers", EXPOSED}};

    write_location(location, target->viewer, target->meeting_id, target->session_id);
    if (query == NULL || strlen(query) + 2 > sizeof(location) - strlen(location)) {
        wish_problem(req, 404, "not_found", "a slash too many at the end of the path");
        return;
    }
    if (query[0] != '\0') {
        (void)sprintf(location + strlen(location), "?%s", query);
    }
    net_respond(req, 307, headers, sizeof(headers) / sizeof(headers[0]), NULL, 0);
}

static void answer(struct wish *wish, struct net_req *req)
{
    enum net_method method = net_req_method(req);
    struct wish_target target;
    bool endpoint;
    bool slash;
    struct trace_scope scope;

    if (!read_target(net_req_path(req), &target, &slash)) {
        wish_problem(req, 404, "not_found", "there can be no such meeting or session");
        return;
    }
    endpoint = target.session_id[0] == '\0';
    net_req_trace(req, target.viewer ? endpoint ? PREFIX "ep/{id}" : PREFIX "ep/{id}/{session}"
                       : endpoint    ? PREFIX "ip/{id}"
                                     : PREFIX "ip/{id}/{session}");
    trace_enter(&scope, net_req_traced(req), net_req_id(req), target.meeting_id, NULL);
    if (method == NET_OPTIONS) {
        respond_options(wish, &target, req);
    } else if (slash) {
        redirect(&target, req);
    } else if (method == NET_PUT || method == (endpoint ? NET_PATCH : NET_POST) ||
               (endpoint && method == NET_DELETE)) {
        const struct net_header allow = {"allow", endpoint ? ON_ENDPOINT : ON_SESSION};

        problem_with(req, 405, "method_not_allowed", "this resource does not take that",
                     &allow, 0);
    } else if (!endpoint) {
        on_session(wish, &target, req);
    } else if (method == NET_POST) {
        wish_post(wish, &target, req);
    } else if (target.viewer && method == NET_HEAD) {
        const struct net_header type[] = {{"access-control-allow-origin", "*"},
                                          {"content-type", WISH_SDP}};

        net_respond(req, 200, type, sizeof(type) / sizeof(type[0]), NULL, 0); /* WHEP */
    } else {
        respond_plain(req, 204, NULL, NULL); /* RFC 9725, section 4.1 */
    }
    trace_leave(&scope);
}

bool wish_on_request(struct wish *wish, struct net_req *req)
{
    bool is_ours = wish_is_path(net_req_path(req));

    if (is_ours) {
        answer(wish, req);
    }
    return is_ours;
}
