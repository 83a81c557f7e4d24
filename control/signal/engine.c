/* See engine.h. A session's callbacks run inside of the calls that feed it, so nothing is
 * freed before peer_flush() at the end of each. */
#include "signal/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

#include "net/net.h"
#include "proto/engineio.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/loop.h"
#include "sys/wheel.h"
#include "trace/traceparent.h"

enum {
    SID = 20,
    MAX_QUEUE_MSGS = 4096,
    MAX_QUEUE_BYTES = 4 << 20,
    UPGRADE_MS = 10000,
};

#define NEVER UINT64_MAX

struct engine_peer {
    struct wheel_entry timer; /* the first */
    struct engine *engine;
    void *ctx; /* NULL once on_close was called */
    struct eio_session *eio;
    struct net_req *poll; /* the GET that waits */
    struct net_ws *ws;
    uint64_t armed_us;  /* when the timer fires */
    uint64_t expect_us; /* see engine_expect() */
    bool drop;
    bool held;                /* see engine_hold() */
    const char *reason;       /* of the end, once there is one */
    struct caller *caller;    /* NULL: of an address that is not counted */
    struct engine_peer *next; /* list of all */
    struct engine_peer **at;
    UT_hash_handle hh; /* by sid */
    char sid[SID + 1];
    char remote[ENGINE_REMOTE];
    struct trace trace;
};

struct engine {
    struct engine_conf conf;
    const struct engine_ops *ops;
    void *user;
    struct eio_conf eio_conf;
    struct engine_peer *by_sid;
    struct engine_peer *peers;
    uint32_t n_peers;
    struct callers *callers;
    struct wheel wheel; /* of all sessions' timers */
    struct loop_timer *wake;
    uint64_t wake_us; /* when that fires */
    uint64_t n_left_out; /* messages that slow readers by polling were not sent */
    /* the message that was sent last, as the listener wants it: a broadcast is encoded and
     * copied once for all */
    struct eio_msg *last_msg;
    struct net_buf *last_buf;
};

static const struct net_header text_headers[] = {
    {"content-type", "text/plain; charset=UTF-8"},
    {"cache-control", "no-store"},
    /* Tokens come in the packets, never as cookies, so any page may speak to us. */
    {"access-control-allow-origin", "*"},
};

static const struct net_header json_headers[] = {
    {"content-type", "application/json"},
    {"cache-control", "no-store"},
    {"access-control-allow-origin", "*"},
};

static const struct net_header preflight_headers[] = {
    {"access-control-allow-origin", "*"},
    {"access-control-allow-methods", "GET, POST"},
    {"access-control-allow-headers", "content-type"},
    {"access-control-max-age", "86400"},
};

enum { N_HEADERS = 3, N_PREFLIGHT = 4 };

/* ---- time ---- */

/* Has the loop come when the first of the wheel is due. */
static void wake_for(struct engine *engine)
{
    const uint64_t at_us = wheel_deadline(&engine->wheel);
    const uint64_t now_us = clock_mono_us();

    if (at_us < engine->wake_us) {
        engine->wake_us = at_us;
        loop_timer_start(engine->wake, at_us > now_us ? (at_us - now_us + 999) / 1000 : 0, 0);
    }
}

/* Has the timer fire when something is next to be done. It is not put off: one that comes
 * too early looks again. */
static void arm(struct engine_peer *peer)
{
    uint64_t at_us = eio_deadline(peer->eio);

    if (peer->expect_us < at_us) {
        at_us = peer->expect_us;
    }
    if (peer->drop || (peer->reason != NULL && peer->ctx != NULL)) {
        at_us = 0;
    }
    if (at_us < peer->armed_us) {
        peer->armed_us = at_us;
        wheel_set(&peer->engine->wheel, &peer->timer, at_us);
        wake_for(peer->engine);
    }
}

/* ---- sessions ---- */

static void on_eio_message(void *arg, bool binary, const uint8_t *data, size_t len)
{
    struct engine_peer *peer = arg;

    peer->engine->ops->on_message(peer->ctx, binary, data, len);
}

static void on_eio_close(void *arg, enum eio_reason reason)
{
    struct engine_peer *peer = arg;

    peer->reason = eio_reason_name(reason);
    arm(peer); /* it may come in the midst of a broadcast, where nothing is told */
}

static const struct eio_callbacks eio_callbacks = {.on_message = on_eio_message,
                                                   .on_close = on_eio_close};

static void peer_free(struct engine_peer *peer)
{
    callers_leave(peer->caller);
    wheel_remove(&peer->engine->wheel, &peer->timer);
    eio_destroy(peer->eio);
    free(peer);
}

/* Returns 0, or the HTTP status of the refusal: 503, if there is no room for it, or 429, if
 * its address has or wants too many. */
static int peer_create(struct engine_peer **out, struct engine *engine,
                       struct net_req *req, bool websocket)
{
    struct engine_peer *peer;
    struct caller *caller = NULL;
    uint8_t origin[NET_ORIGIN];
    int err;

    if (engine->n_peers >= engine->conf.max_peers) {
        return 503;
    }
    err = net_req_origin(req, origin)
              ? callers_enter(engine->callers, origin, clock_mono_us(), &caller)
              : 0;
    if (err != 0) {
        return err == -ENOMEM ? 503 : 429;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        callers_leave(caller);
        return 503;
    }
    peer->engine = engine;
    peer->caller = caller;
    peer->armed_us = NEVER;
    peer->expect_us = NEVER;
    entropy_id(peer->sid, SID);
    (void)snprintf(peer->remote, sizeof(peer->remote), "%s", net_req_remote(req));
    (void)traceparent_parse(net_req_header(req, "traceparent"), &peer->trace);
    if (eio_create(&peer->eio, &engine->eio_conf, &eio_callbacks, peer, peer->sid,
                   websocket, clock_mono_us()) != 0) {
        peer_free(peer);
        return 503;
    }
    HASH_ADD_STR(engine->by_sid, sid, peer);
    if (peer->hh.tbl == NULL) {
        peer_free(peer);
        return 503;
    }
    peer->ctx = engine->ops->on_open(engine->user, peer);
    if (peer->ctx == NULL) {
        HASH_DEL(engine->by_sid, peer);
        peer_free(peer);
        return 503;
    }
    peer->next = engine->peers;
    peer->at = &engine->peers;
    if (peer->next != NULL) {
        peer->next->at = &peer->next;
    }
    engine->peers = peer;
    engine->n_peers++;
    *out = peer;
    return 0;
}

static void tell_close(struct engine_peer *peer)
{
    void *ctx = peer->ctx;

    if (ctx != NULL) {
        peer->ctx = NULL;
        peer->engine->ops->on_close(ctx, peer->reason);
    }
}

static void peer_destroy(struct engine_peer *peer)
{
    struct engine *engine = peer->engine;

    if (peer->reason == NULL) {
        peer->reason = "transport close";
    }
    tell_close(peer);
    HASH_DEL(engine->by_sid, peer);
    *peer->at = peer->next;
    if (peer->next != NULL) {
        peer->next->at = peer->at;
    }
    engine->n_peers--;
    if (peer->poll != NULL) {
        net_req_set_data(peer->poll, NULL);
        net_respond(peer->poll, 503, text_headers, N_HEADERS, "", 0);
    }
    if (peer->ws != NULL) {
        net_ws_set_data(peer->ws, NULL);
        net_ws_close(peer->ws, 1001, NULL);
    }
    peer_free(peer);
}

static struct engine_peer *find_peer(struct engine *engine, const char *sid)
{
    struct engine_peer *peer = NULL;

    if (sid != NULL) {
        HASH_FIND_STR(engine->by_sid, sid, peer);
    }
    return peer;
}

/* ---- output ---- */

/* The listener's form of a message: made once for all that it goes to in a row. */
static struct net_buf *buf_of(struct engine *engine, struct eio_msg *msg)
{
    if (engine->last_msg != msg) {
        net_buf_unref(engine->last_buf);
        eio_msg_unref(engine->last_msg);
        engine->last_msg = eio_msg_ref(msg);
        engine->last_buf = net_buf_create(eio_msg_packet(msg), msg->len, msg->binary, msg->topic);
    }
    return engine->last_buf;
}

static void flush_poll(struct engine_peer *peer)
{
    size_t len = peer->poll != NULL ? eio_poll_len(peer->eio) : 0;
    struct net_req *req = peer->poll;
    char *body;

    if (len == 0) {
        return;
    }
    body = malloc(len);
    peer->poll = NULL;
    net_req_set_data(req, NULL);
    if (body == NULL) {
        eio_on_poll_aborted(peer->eio);
        net_respond(req, 503, text_headers, N_HEADERS, "", 0);
        return;
    }
    len = eio_take_poll(peer->eio, body);
    net_respond(req, 200, text_headers, N_HEADERS, body, len);
    free(body);
}

static void flush_ws(struct engine_peer *peer)
{
    struct eio_msg *msg;

    while ((msg = eio_take_frame(peer->eio)) != NULL) {
        struct net_buf *buf = buf_of(peer->engine, msg);

        if (peer->ws != NULL && (buf == NULL || net_ws_send(peer->ws, buf) == -ENOMEM)) {
            engine_drop(peer); /* a message is lost; other failures come as a close */
        }
        eio_msg_unref(msg);
    }
    if (peer->ws != NULL && eio_ws_must_close(peer->eio)) {
        net_ws_close(peer->ws, 1000, NULL);
    }
}

void engine_push(struct engine_peer *peer)
{
    if (!peer->held) {
        flush_poll(peer);
        flush_ws(peer);
    }
}

void engine_hold(struct engine_peer *peer, bool on)
{
    peer->held = on;
    engine_push(peer);
}

/* Sends what waits and ends the session if it is done, so 'peer' may be gone. */
static void peer_flush(struct engine_peer *peer)
{
    if (peer->reason != NULL) {
        tell_close(peer);
    }
    engine_push(peer);
    if (eio_done(peer->eio)) {
        peer_destroy(peer);
    } else {
        arm(peer);
    }
}

static void on_timer(struct engine_peer *peer, uint64_t now_us)
{
    peer->armed_us = NEVER;
    if (peer->drop) {
        peer_destroy(peer);
        return;
    }
    if (peer->expect_us <= now_us) {
        peer->expect_us = NEVER;
        eio_close(peer->eio, now_us);
    }
    if (eio_deadline(peer->eio) <= now_us) {
        eio_on_tick(peer->eio, now_us);
    }
    peer_flush(peer);
}

static void on_wake(void *arg)
{
    struct engine *engine = arg;
    const uint64_t now_us = clock_mono_us();
    struct wheel_entry *entry;

    /* Those that come anew meanwhile have their turn behind what else the loop has to do. */
    engine->wake_us = 0;
    for (uint32_t n = engine->wheel.n; n > 0; n--) {
        entry = wheel_take(&engine->wheel, now_us);
        if (entry == NULL) {
            break;
        }
        on_timer((struct engine_peer *)entry, now_us);
    }
    engine->wake_us = NEVER;
    wake_for(engine);
}

/* ---- requests ---- */

static void refuse(struct net_req *req, enum eio_error error)
{
    const char *body = eio_error_body(error);

    net_respond(req, (unsigned)eio_error_status(error), json_headers, N_HEADERS, body,
                strlen(body));
}

static bool is_ours(const struct engine *engine, const struct net_req *req)
{
    return strncmp(net_req_path(req), engine->conf.path, strlen(engine->conf.path)) == 0;
}

static struct eio_request request_of(struct net_req *req, bool upgrade)
{
    return (struct eio_request){.get = net_req_method(req) == NET_GET,
                                .post = net_req_method(req) == NET_POST,
                                .upgrade = upgrade,
                                .eio = net_req_query(req, "EIO"),
                                .transport = net_req_query(req, "transport"),
                                .sid = net_req_query(req, "sid")};
}

static void on_get(struct engine *engine, struct engine_peer *peer, struct net_req *req)
{
    enum eio_error error = EIO_OK;

    if (peer == NULL) {
        const int status = peer_create(&peer, engine, req, false);

        if (status != 0) {
            net_respond(req, (unsigned)status, text_headers, N_HEADERS, "full", 4);
            return;
        }
    } else {
        error = eio_on_poll(peer->eio, clock_mono_us());
    }
    if (error != EIO_OK) {
        refuse(req, error);
    } else {
        peer->poll = req;
        net_req_set_data(req, peer);
    }
    peer_flush(peer);
}

static void on_post(struct engine_peer *peer, struct net_req *req)
{
    size_t len = 0;
    const char *body = net_req_body(req, &len);
    enum eio_error error = eio_on_post_begin(peer->eio, len, clock_mono_us());

    if (error == EIO_OK) {
        error = eio_on_post(peer->eio, body != NULL ? body : "", len, clock_mono_us());
    }
    if (error != EIO_OK) {
        refuse(req, error);
    } else {
        net_respond(req, 200, text_headers, N_HEADERS, "ok", 2);
    }
    peer_flush(peer);
}

bool engine_on_request(struct engine *engine, struct net_req *req)
{
    struct eio_request asked;
    struct engine_peer *peer;
    enum eio_error error;

    if (!is_ours(engine, req)) {
        return false;
    }
    net_req_set_data(req, NULL);
    if (net_req_method(req) == NET_OPTIONS) {
        net_respond(req, 204, preflight_headers, N_PREFLIGHT, NULL, 0);
        return true;
    }
    asked = request_of(req, false);
    peer = find_peer(engine, asked.sid);
    error = eio_vet(&asked, peer != NULL ? peer->eio : NULL);
    if (error != EIO_OK) {
        refuse(req, error);
    } else if (asked.get || peer == NULL) { /* a POST has a session, eio_vet() says */
        on_get(engine, peer, req);
    } else {
        on_post(peer, req);
    }
    return true;
}

void engine_on_abort(struct net_req *req)
{
    struct engine_peer *peer = net_req_data(req);

    if (peer != NULL && peer->poll == req) {
        peer->poll = NULL;
        eio_on_poll_aborted(peer->eio);
        peer_flush(peer);
    }
}

/* ---- WebSockets ---- */

int engine_on_ws_open(struct engine *engine, struct net_ws *ws, struct net_req *req)
{
    struct eio_request asked = request_of(req, true);
    struct engine_peer *peer = find_peer(engine, asked.sid);
    enum eio_error error;

    net_ws_set_data(ws, NULL);
    if (!is_ours(engine, req)) {
        return 404;
    }
    error = eio_vet(&asked, peer != NULL ? peer->eio : NULL);
    if (error != EIO_OK) {
        return eio_error_status(error);
    }
    if (peer == NULL) {
        const int status = peer_create(&peer, engine, req, true);

        if (status != 0) {
            return status;
        }
    } else if (eio_on_ws_open(peer->eio, clock_mono_us()) != 0) {
        /* The session has one already. Closed rather than refused: so do other servers, and
         * to a client a refused handshake would look like a broken network. */
        net_ws_close(ws, 1000, NULL);
        return 0;
    }
    peer->ws = ws;
    net_ws_set_data(ws, peer);
    peer_flush(peer);
    return 0;
}

void engine_on_ws_message(struct net_ws *ws, const void *data, size_t len, bool binary)
{
    struct engine_peer *peer = net_ws_data(ws);

    if (peer != NULL) {
        eio_on_ws_frame(peer->eio, binary, data, len, clock_mono_us());
        peer_flush(peer);
    }
}

void engine_on_ws_close(struct net_ws *ws)
{
    struct engine_peer *peer = net_ws_data(ws);

    if (peer != NULL) {
        peer->ws = NULL;
        eio_on_ws_closed(peer->eio);
        peer_flush(peer);
    }
}

/* ---- to a session ---- */

void engine_send(struct engine_peer *peer, struct eio_msg *msg)
{
    (void)eio_send(peer->eio, msg); /* a full queue closes the session by itself */
}

void engine_close(struct engine_peer *peer)
{
    eio_close(peer->eio, clock_mono_us());
}

void engine_drop(struct engine_peer *peer)
{
    peer->drop = true;
    arm(peer);
}

void engine_expect(struct engine_peer *peer, uint32_t ms)
{
    peer->expect_us = ms != 0 ? clock_mono_us() + (uint64_t)ms * 1000 : NEVER;
    arm(peer);
}

/* ---- all of them ---- */

int engine_create(struct engine **out, const struct engine_conf *conf,
                  const struct engine_ops *ops, void *user)
{
    struct engine *engine = calloc(1, sizeof(*engine));

    if (engine == NULL) {
        return -ENOMEM;
    }
    engine->conf = *conf;
    engine->ops = ops;
    engine->user = user;
    engine->eio_conf = (struct eio_conf){.ping_interval_ms = conf->ping_interval_ms,
                                         .ping_timeout_ms = conf->ping_timeout_ms,
                                         .upgrade_timeout_ms = UPGRADE_MS,
                                         .max_payload = conf->max_payload,
                                         .max_queue_msgs = MAX_QUEUE_MSGS,
                                         .max_queue_bytes = MAX_QUEUE_BYTES,
                                         .n_left_out = &engine->n_left_out};
    wheel_init(&engine->wheel, clock_mono_us());
    engine->wake_us = NEVER;
    if (callers_create(&engine->callers, &conf->callers) != 0) {
        free(engine);
        return -ENOMEM;
    }
    if (loop_timer_create(conf->loop, &engine->wake, on_wake, engine) != 0) {
        callers_destroy(engine->callers);
        free(engine);
        return -ENOMEM;
    }
    *out = engine;
    return 0;
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    for (struct engine_peer *peer = engine->peers, *next; peer != NULL; peer = next) {
        next = peer->next; /* only this one ends in its turn */
        peer_destroy(peer);
    }
    loop_timer_destroy(engine->wake);
    callers_destroy(engine->callers);
    net_buf_unref(engine->last_buf);
    eio_msg_unref(engine->last_msg);
    free(engine);
}

const struct trace *engine_trace(const struct engine_peer *peer)
{
    return &peer->trace;
}

const char *engine_remote(const struct engine_peer *peer)
{
    return peer->remote;
}

uint32_t engine_n_peers(const struct engine *engine)
{
    return engine->n_peers;
}

uint64_t engine_n_left_out(const struct engine *engine)
{
    return engine->n_left_out;
}

void engine_set_limits(struct engine *engine, uint32_t max_peers,
                       const struct callers_conf *callers)
{
    engine->conf.max_peers = max_peers;
    callers_set(engine->callers, callers);
}
