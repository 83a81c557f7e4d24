#include "proto/engineio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/eio_queue.h"

enum { SEPARATOR = 0x1e, CLOSE_LINGER_MS = 1000 };

#define NEVER UINT64_MAX

/* How far the WebSocket of a session is. */
enum ws_state {
    WS_NONE,
    WS_OPEN,   /* established beside polling, no probe yet */
    WS_PROBED, /* answered 2probe; polls are released until '5' comes */
    WS_ACTIVE  /* the transport of the session */
};

struct eio_session {
    struct eio_conf conf;
    struct eio_callbacks cb;
    void *ctx;
    char sid[EIO_SID_MAX + 1];

    enum ws_state ws;
    bool ws_shut;   /* the listener shall close the WebSocket */
    bool pong_due;  /* 3probe waits to be taken */
    bool poll_held; /* a GET waits for its answer */
    bool poll_noop; /* ... which is "6" if nothing else is queued */
    bool posting;   /* between the head and the body of a POST */
    bool closed;
    enum eio_reason reason; /* once closed */

    uint64_t ping_us;    /* when to ping */
    uint64_t pong_us;    /* when to give up on the pong */
    uint64_t upgrade_us; /* when to give up on the upgrade */
    uint64_t linger_us;  /* closed: until when a GET may fetch the rest; 0 no more */

    struct eio_queue queue;
};

int eio_error_status(enum eio_error error)
{
    return error == EIO_OK ? 200 : error == EIO_TOO_LARGE ? 413 : 400;
}

const char *eio_error_body(enum eio_error error)
{
    switch (error) {
    case EIO_UNKNOWN_TRANSPORT:
        return "{\"code\":0,\"message\":\"Transport unknown\"}";
    case EIO_UNKNOWN_SID:
        return "{\"code\":1,\"message\":\"Session ID unknown\"}";
    case EIO_BAD_METHOD:
        return "{\"code\":2,\"message\":\"Bad handshake method\"}";
    case EIO_BAD_VERSION:
        return "{\"code\":5,\"message\":\"Unsupported protocol version\"}";
    case EIO_OK:
    case EIO_BAD_REQUEST:
    case EIO_TOO_LARGE:
        break;
    }
    return error == EIO_OK ? "ok" : "{\"code\":3,\"message\":\"Bad request\"}";
}

const char *eio_reason_name(enum eio_reason reason)
{
    static const char *const names[] = {
        [EIO_REASON_CLIENT] = "client close",
        [EIO_REASON_TRANSPORT] = "transport close",
        [EIO_REASON_PING_TIMEOUT] = "ping timeout",
        [EIO_REASON_PARSE] = "parse error",
        [EIO_REASON_TOO_LARGE] = "message too large",
        [EIO_REASON_CONCURRENT] = "concurrent requests",
        [EIO_REASON_OVERFLOW] = "slow reader",
        [EIO_REASON_NO_MEMORY] = "no memory",
        [EIO_REASON_SERVER] = "server close",
    };

    return names[reason];
}

enum eio_error eio_vet(const struct eio_request *req, const struct eio_session *session)
{
    bool polling;

    if (req->transport == NULL) {
        return EIO_UNKNOWN_TRANSPORT;
    }
    polling = strcmp(req->transport, "polling") == 0;
    if (!polling && strcmp(req->transport, "websocket") != 0) {
        return EIO_UNKNOWN_TRANSPORT;
    }
    if (req->sid != NULL) {
        if (session == NULL || (session->closed && session->linger_us == 0)) {
            return EIO_UNKNOWN_SID;
        }
        if (polling == req->upgrade || (polling && !req->get && !req->post) ||
            (polling && session->ws == WS_ACTIVE)) {
            return EIO_BAD_REQUEST;
        }
        return EIO_OK;
    }
    if (!req->get) {
        return EIO_BAD_METHOD;
    }
    if (polling == req->upgrade) {
        return EIO_BAD_REQUEST;
    }
    if (req->eio == NULL || strcmp(req->eio, "4") != 0) {
        return EIO_BAD_VERSION;
    }
    return EIO_OK;
}

/* ---- life ---- */

/* The session ends now and what is queued is lost. A waiting GET is answered: with noop to
 * a client that closed by itself, else with close. */
static void fail(struct eio_session *s, enum eio_reason reason)
{
    if (s->closed) {
        return;
    }
    s->closed = true;
    s->reason = reason;
    s->pong_due = false;
    s->ws_shut = true;
    eio_queue_clear(&s->queue);
    if (s->poll_held) {
        /* Without memory for the close packet noop is the next best end of the GET. */
        s->poll_noop = reason == EIO_REASON_CLIENT || s->ws == WS_ACTIVE ||
                       eio_queue_push(&s->queue, eio_msg_text(EIO_CLOSE, NULL, 0)) != 0;
    }
    s->cb.on_close(s->ctx, reason);
}

static bool sid_valid(const char *sid)
{
    size_t len = strspn(sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                             "0123456789-_");

    return len >= 1 && len <= EIO_SID_MAX && sid[len] == '\0';
}

static uint64_t after_ms(uint64_t now_us, uint32_t ms)
{
    return now_us + (uint64_t)ms * 1000;
}

int eio_create(struct eio_session **out, const struct eio_conf *conf,
               const struct eio_callbacks *cb, void *ctx, const char *sid, bool websocket,
               uint64_t now_us)
{
    struct eio_session *s;
    char open[256];
    int len;

    if (!sid_valid(sid)) {
        return -EINVAL;
    }
    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    s->conf = *conf;
    s->cb = *cb;
    s->ctx = ctx;
    memcpy(s->sid, sid, strlen(sid) + 1);
    s->ws = websocket ? WS_ACTIVE : WS_NONE;
    s->poll_held = !websocket;
    s->ping_us = after_ms(now_us, conf->ping_interval_ms);
    s->pong_us = NEVER;
    s->upgrade_us = NEVER;

    len = snprintf(open, sizeof(open),
                   "{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%u,"
                   "\"pingTimeout\":%u,\"maxPayload\":%u}",
                   sid, websocket ? "" : "\"websocket\"", conf->ping_interval_ms,
                   conf->ping_timeout_ms, conf->max_payload);
    if (eio_queue_push(&s->queue, eio_msg_text(EIO_OPEN, open, (size_t)len)) != 0) {
        eio_destroy(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

void eio_destroy(struct eio_session *s)
{
    if (s != NULL) {
        eio_queue_clear(&s->queue);
        free(s);
    }
}

const char *eio_sid(const struct eio_session *s)
{
    return s->sid;
}

bool eio_is_closed(const struct eio_session *s)
{
    return s->closed;
}

bool eio_done(const struct eio_session *s)
{
    return s->closed && !s->poll_held && s->ws == WS_NONE && s->linger_us == 0;
}

/* Whether it does not fit in 1/'part' of the queue. */
static bool is_full(const struct eio_session *s, const struct eio_msg *msg, uint32_t part)
{
    return s->queue.n >= s->conf.max_queue_msgs / part ||
           s->queue.bytes + msg->len > s->conf.max_queue_bytes / part;
}

/* Leaves out what waits of 'topic', or of any (0). */
static void leave_out(struct eio_session *s, uint64_t topic)
{
    for (uint32_t i = 0; i < s->queue.n;) {
        uint64_t its = eio_queue_at(&s->queue, i)->topic;

        if (its == 0 || (topic != 0 && its != topic)) {
            i++;
            continue;
        }
        eio_queue_drop(&s->queue, i);
        if (s->conf.n_left_out != NULL) {
            (*s->conf.n_left_out)++;
        }
    }
}

int eio_send(struct eio_session *s, struct eio_msg *msg)
{
    int err;

    if (s->closed) {
        return -EPIPE;
    }
    if (msg->topic != 0 && is_full(s, msg, 4)) {
        leave_out(s, msg->topic);
    }
    if (is_full(s, msg, 1)) {
        leave_out(s, 0);
    }
    if (is_full(s, msg, 1)) {
        fail(s, EIO_REASON_OVERFLOW);
        return -ENOSPC;
    }
    err = eio_queue_push(&s->queue, eio_msg_ref(msg));
    if (err != 0) {
        fail(s, EIO_REASON_NO_MEMORY);
    }
    return err;
}

void eio_close(struct eio_session *s, uint64_t now_us)
{
    if (s->closed) {
        return;
    }
    if (s->ws != WS_ACTIVE &&
        eio_queue_push(&s->queue, eio_msg_text(EIO_CLOSE, NULL, 0)) != 0) {
        fail(s, EIO_REASON_NO_MEMORY);
        return;
    }
    s->closed = true;
    s->reason = EIO_REASON_SERVER;
    s->pong_due = false;
    s->ws_shut = true;
    s->poll_noop = s->ws == WS_ACTIVE;
    if (s->ws != WS_ACTIVE && !s->poll_held) {
        s->linger_us = after_ms(now_us, s->conf.ping_timeout_ms);
    }
    s->cb.on_close(s->ctx, EIO_REASON_SERVER);
}

/* The client stays with polling. */
static void upgrade_abandon(struct eio_session *s)
{
    s->ws = WS_OPEN;
    s->ws_shut = true;
    s->pong_due = false;
    s->upgrade_us = NEVER;
}

/* ---- time ---- */

void eio_on_tick(struct eio_session *s, uint64_t now_us)
{
    if (s->closed) {
        if (now_us >= s->linger_us && s->linger_us != 0) {
            s->linger_us = 0;
            eio_queue_clear(&s->queue);
        }
        return;
    }
    if (now_us >= s->pong_us) {
        fail(s, EIO_REASON_PING_TIMEOUT);
        return;
    }
    if (now_us >= s->ping_us) {
        /* Late ticks do not shorten the client's time to answer. */
        s->ping_us = NEVER;
        s->pong_us = after_ms(now_us, s->conf.ping_timeout_ms);
        if (eio_queue_push(&s->queue, eio_msg_text(EIO_PING, NULL, 0)) != 0) {
            fail(s, EIO_REASON_NO_MEMORY);
            return;
        }
    }
    if (now_us >= s->upgrade_us) {
        upgrade_abandon(s);
    }
}

uint64_t eio_deadline(const struct eio_session *s)
{
    uint64_t at = s->ping_us < s->pong_us ? s->ping_us : s->pong_us;

    if (s->closed) {
        return s->linger_us != 0 ? s->linger_us : NEVER;
    }
    return at < s->upgrade_us ? at : s->upgrade_us;
}

/* ---- packets of the client ---- */

static void on_packet(struct eio_session *s, const char *packet, size_t len,
                      uint64_t now_us)
{
    switch (len > 0 ? packet[0] : 0) {
    case EIO_MESSAGE:
        s->cb.on_message(s->ctx, false, (const uint8_t *)packet + 1, len - 1);
        break;
    case EIO_PONG:
        if (s->pong_us != NEVER) {
            s->pong_us = NEVER;
            s->ping_us = after_ms(now_us, s->conf.ping_interval_ms);
        }
        break;
    case EIO_CLOSE:
        fail(s, EIO_REASON_CLIENT);
        if (s->ws != WS_ACTIVE && !s->poll_held) {
            /* Its GET went out beside this POST and comes on another connection. */
            s->linger_us = after_ms(now_us, CLOSE_LINGER_MS);
        }
        break;
    case EIO_NOOP:
        break;
    default: /* also what only a server sends, and an upgrade without a probe */
        fail(s, EIO_REASON_PARSE);
        break;
    }
}

static void on_base64(struct eio_session *s, const char *text, size_t len)
{
    uint8_t *data = malloc(base64_decoded_max(len));
    size_t n;

    if (data == NULL) {
        fail(s, EIO_REASON_NO_MEMORY);
    } else if (base64_decode(text, len, data, &n) != 0) {
        fail(s, EIO_REASON_PARSE);
    } else {
        s->cb.on_message(s->ctx, true, data, n);
    }
    free(data);
}

/* ---- polling ---- */

enum eio_error eio_on_poll(struct eio_session *s, uint64_t now_us)
{
    eio_on_tick(s, now_us);
    if (s->closed && s->linger_us == 0) {
        return EIO_UNKNOWN_SID;
    }
    if (s->ws == WS_ACTIVE) {
        return EIO_BAD_REQUEST;
    }
    if (s->poll_held) {
        fail(s, EIO_REASON_CONCURRENT);
        return EIO_BAD_REQUEST;
    }
    s->linger_us = 0;
    s->poll_held = true;
    s->poll_noop = s->closed && s->queue.n == 0;
    return EIO_OK;
}

void eio_on_poll_aborted(struct eio_session *s)
{
    s->poll_held = false;
    s->poll_noop = false;
    if (s->closed) {
        eio_queue_clear(&s->queue);
    } else if (s->ws != WS_ACTIVE) {
        fail(s, EIO_REASON_TRANSPORT);
    }
}

enum eio_error eio_on_post_begin(struct eio_session *s, size_t content_len, uint64_t now_us)
{
    eio_on_tick(s, now_us);
    if (s->closed) {
        return EIO_UNKNOWN_SID;
    }
    if (s->ws == WS_ACTIVE) {
        return EIO_BAD_REQUEST;
    }
    if (s->posting) {
        fail(s, EIO_REASON_CONCURRENT);
        return EIO_BAD_REQUEST;
    }
    if (content_len > s->conf.max_payload) {
        return EIO_TOO_LARGE;
    }
    s->posting = true;
    return EIO_OK;
}

enum eio_error eio_on_post(struct eio_session *s, const char *body, size_t len,
                           uint64_t now_us)
{
    const char *end = body + len;

    s->posting = false;
    eio_on_tick(s, now_us);
    if (s->closed) {
        return EIO_UNKNOWN_SID;
    }
    if (len > s->conf.max_payload) {
        return EIO_TOO_LARGE;
    }
    /* A body that began before the upgrade is still good: it was sent in order. */
    for (;;) {
        const char *sep = len > 0 ? memchr(body, SEPARATOR, (size_t)(end - body)) : NULL;
        size_t n = (size_t)((sep != NULL ? sep : end) - body);

        if (n > 0 && body[0] == 'b') {
            on_base64(s, body + 1, n - 1);
        } else {
            on_packet(s, body, n, now_us);
        }
        if (s->closed) { /* what the two sides may want is no error of the request */
            return s->reason == EIO_REASON_CLIENT || s->reason == EIO_REASON_SERVER
                       ? EIO_OK
                       : EIO_BAD_REQUEST;
        }
        if (sep == NULL) {
            return EIO_OK;
        }
        body = sep + 1;
    }
}

void eio_on_post_aborted(struct eio_session *s)
{
    s->posting = false;
    if (s->ws != WS_ACTIVE) {
        fail(s, EIO_REASON_TRANSPORT);
    }
}

/* How many queued packets, and bytes, the answer to a GET takes. It is kept near the size
 * that we accept ourselves, so that one body is bounded; one packet always goes. */
static size_t poll_body(const struct eio_session *s, uint32_t *n_msgs)
{
    size_t len = 0;
    uint32_t n = 0;

    while (n < s->queue.n) {
        size_t more = eio_msg_poll_len(eio_queue_at(&s->queue, n)) + (n > 0 ? 1 : 0);

        if (n > 0 && len + more > s->conf.max_payload) {
            break;
        }
        len += more;
        n++;
    }
    *n_msgs = n;
    return len;
}

size_t eio_poll_len(const struct eio_session *s)
{
    uint32_t n;

    if (!s->poll_held) {
        return 0;
    }
    if (s->queue.n > 0 && s->ws != WS_ACTIVE) {
        return poll_body(s, &n);
    }
    return s->poll_noop || s->ws >= WS_PROBED ? 1 : 0;
}

size_t eio_take_poll(struct eio_session *s, char *out)
{
    size_t len = eio_poll_len(s);
    char *p = out;
    uint32_t n = 0;

    if (len == 0) {
        return 0;
    }
    if (s->queue.n > 0 && s->ws != WS_ACTIVE) {
        poll_body(s, &n);
    } else {
        *p++ = EIO_NOOP;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct eio_msg *msg = eio_queue_pop(&s->queue);

        if (i > 0) {
            *p++ = SEPARATOR;
        }
        p += eio_msg_poll_write(msg, p);
        eio_msg_unref(msg);
    }
    s->poll_held = false;
    s->poll_noop = false;
    return (size_t)(p - out);
}

/* ---- WebSocket ---- */

int eio_on_ws_open(struct eio_session *s, uint64_t now_us)
{
    if (s->closed || s->ws != WS_NONE) {
        return -EPERM;
    }
    s->ws = WS_OPEN;
    s->ws_shut = false;
    s->upgrade_us = after_ms(now_us, s->conf.upgrade_timeout_ms);
    return 0;
}

static bool text_is(const uint8_t *data, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(data, text, len) == 0;
}

/* On a WebSocket that is not yet the transport: anything but the steps of the upgrade ends
 * that WebSocket, not the session. */
static void on_upgrade_frame(struct eio_session *s, bool binary, const uint8_t *data,
                             size_t len)
{
    if (!binary && s->ws == WS_OPEN && text_is(data, len, "2probe")) {
        s->ws = WS_PROBED;
        s->pong_due = true;
    } else if (!binary && s->ws == WS_PROBED && text_is(data, len, "5")) {
        s->ws = WS_ACTIVE;
        s->upgrade_us = NEVER;
    } else {
        upgrade_abandon(s);
    }
}

void eio_on_ws_frame(struct eio_session *s, bool binary, const uint8_t *data, size_t len,
                     uint64_t now_us)
{
    if (s->closed || s->ws == WS_NONE || s->ws_shut) {
        return;
    }
    if (s->ws != WS_ACTIVE) {
        on_upgrade_frame(s, binary, data, len);
    } else if (len > s->conf.max_payload) {
        fail(s, EIO_REASON_TOO_LARGE);
    } else if (binary) {
        s->cb.on_message(s->ctx, true, data, len);
    } else {
        on_packet(s, (const char *)data, len, now_us);
    }
}

void eio_on_ws_closed(struct eio_session *s)
{
    bool active = s->ws == WS_ACTIVE;

    s->ws = WS_NONE;
    s->ws_shut = false;
    s->pong_due = false;
    s->upgrade_us = NEVER;
    if (active && s->closed) {
        eio_queue_clear(&s->queue); /* there is nobody left to take it */
    } else if (active) {
        fail(s, EIO_REASON_TRANSPORT);
    }
}

struct eio_msg *eio_take_frame(struct eio_session *s)
{
    if (s->pong_due) {
        struct eio_msg *msg = eio_msg_text(EIO_PONG, "probe", 5);

        s->pong_due = false;
        if (msg == NULL) {
            upgrade_abandon(s);
        }
        return msg;
    }
    return s->ws == WS_ACTIVE && s->queue.n > 0 ? eio_queue_pop(&s->queue) : NULL;
}

bool eio_ws_must_close(const struct eio_session *s)
{
    return s->ws != WS_NONE && s->ws_shut && !s->pong_due &&
           (s->ws != WS_ACTIVE || s->queue.n == 0);
}
