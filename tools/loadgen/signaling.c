#include "loadgen/signaling.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "loadgen/ws.h"
#include "proto/eio_msg.h"
#include "proto/socketio.h"

#define NSP  "/meeting"
#define PATH "/socket.io/?EIO=4&transport=websocket"

enum { CONNECT_US = 10000000, READ_MIN = 16384 };

void signaling_init(struct signaling *s, const struct signaling_conf *conf)
{
    *s = (struct signaling){.conf = *conf, .io.fd = -1};
}

static int grow(struct signaling_bytes *b, size_t more)
{
    size_t cap = b->cap == 0 ? 1024 : b->cap;
    uint8_t *data;

    while (cap < b->len + more) {
        cap *= 2;
    }
    if (cap == b->cap) {
        return 0;
    }
    data = realloc(b->data, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

static void release(struct signaling_bytes *b)
{
    free(b->data);
    *b = (struct signaling_bytes){0};
}

static int append(struct signaling_bytes *b, const void *data, size_t len)
{
    int err = grow(b, len);

    if (err == 0 && len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return err;
}

static void drop_front(struct signaling_bytes *b, size_t len)
{
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

void signaling_close(struct signaling *s)
{
    int fd = s->io.fd;

    if (fd >= 0) {
        loop_remove(s->conf.loop, &s->io);
        stream_close(&s->stream);
        (void)close(fd);
    }
    (void)loop_set(s->conf.loop, &s->timer, UINT64_MAX);
    release(&s->in);
    release(&s->message);
    release(&s->out);
    s->state = SIGNALING_IDLE;
}

__attribute__((format(printf, 2, 3))) static void fail(struct signaling *s,
                                                       const char *format, ...)
{
    char reason[256];
    va_list args;

    if (s->state == SIGNALING_IDLE) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    signaling_close(s);
    s->conf.ops->on_closed(s->conf.user, reason);
}

/* ---- out ---- */

/* Returns 0 or -errno. */
static int flush(struct signaling *s)
{
    while (s->out.len > 0) {
        ssize_t n = stream_send(&s->stream, s->out.data, s->out.len);

        if (n == -EAGAIN || n == -EINTR) {
            break;
        }
        if (n <= 0) {
            return n < 0 ? (int)n : -EPIPE;
        }
        drop_front(&s->out, (size_t)n);
    }
    loop_watch(s->conf.loop, &s->io, EPOLLIN | (s->out.len > 0 ? (uint32_t)EPOLLOUT : 0));
    return 0;
}

/* Sends one WebSocket message; a socket that is broken is found by its next event. */
static int send_frame(struct signaling *s, enum ws_opcode opcode, const void *data,
                      size_t len)
{
    uint8_t mask[WS_MASK_LEN];

    if (s->state < SIGNALING_OPENING) {
        return -ENOTCONN;
    }
    if (getrandom(mask, sizeof(mask), 0) != (ssize_t)sizeof(mask) ||
        grow(&s->out, WS_HEAD_MAX + len) != 0) {
        return -ENOMEM;
    }
    s->out.len += ws_head_write(opcode, mask, len, s->out.data + s->out.len);
    if (len > 0) {
        memcpy(s->out.data + s->out.len, data, len);
        ws_mask(mask, s->out.data + s->out.len, len);
        s->out.len += len;
    }
    (void)flush(s);
    return 0;
}

/* Sends a packet; 'data' is moved, NULL is lack of memory. */
static int send_packet(struct signaling *s, struct sio_packet *packet)
{
    struct eio_msg *msg;
    int err = packet->data != NULL ? sio_packet_write(packet, &msg) : -ENOMEM;

    if (err == 0) {
        err = send_frame(s, WS_TEXT, eio_msg_packet(msg), msg->len);
        eio_msg_unref(msg);
    }
    sio_packet_fini(packet);
    return err;
}

int signaling_ask(struct signaling *s, const char *event, json_t *payload, uint64_t id)
{
    struct sio_packet packet = {.type = SIO_EVENT, .nsp = NSP, .has_id = true, .id = id};

    if (s->state != SIGNALING_OPEN) {
        json_decref(payload);
        return -ENOTCONN;
    }
    packet.data = payload != NULL ? json_pack("[s,o]", event, payload) : NULL;
    return send_packet(s, &packet);
}

/* ---- in ---- */

static void on_engine_open(struct signaling *s, const char *text, size_t len)
{
    struct sio_packet packet = {.type = SIO_CONNECT, .nsp = NSP};
    json_t *open = json_loadb(text, len, 0, NULL);
    json_int_t interval_ms = json_integer_value(json_object_get(open, "pingInterval"));
    json_int_t timeout_ms = json_integer_value(json_object_get(open, "pingTimeout"));

    json_decref(open);
    if (interval_ms <= 0 || timeout_ms <= 0) {
        fail(s, "malformed open packet");
        return;
    }
    s->patience_us = (uint64_t)(interval_ms + timeout_ms) * 1000u;
    packet.data = json_pack("{s:s}", "token", s->conf.token);
    if (send_packet(s, &packet) != 0) {
        fail(s, "out of memory");
    }
}

/* Whether a packet is an event that nobody asked to be told of. */
static bool is_unwanted(const struct signaling *s, const char *text, size_t len)
{
    static const char head[] = "2" NSP ",[\"";
    const char *name = text + sizeof(head) - 1;

    if (len <= sizeof(head) || memcmp(text, head, sizeof(head) - 1) != 0) {
        return false;
    }
    len -= sizeof(head) - 1;
    for (const char *const *w = s->conf.wanted; *w != NULL; w++) {
        size_t n = strlen(*w);

        if (len > n && memcmp(name, *w, n) == 0 && name[n] == '"') {
            return false;
        }
    }
    return true;
}

static void on_socketio(struct signaling *s, const char *text, size_t len)
{
    struct sio_packet packet = {0};
    const json_t *body;

    if (is_unwanted(s, text, len)) {
        return;
    }
    if (sio_packet_parse(text, len, &packet) != 0) {
        fail(s, "malformed Socket.IO packet");
        return;
    }
    body = packet.data;
    if (packet.type == SIO_CONNECT && s->state == SIGNALING_OPENING) {
        s->state = SIGNALING_OPEN;
        s->conf.ops->on_open(s->conf.user);
    } else if (packet.type == SIO_CONNECT_ERROR) {
        const char *why = json_string_value(json_object_get(body, "message"));
        const char *code =
            json_string_value(json_object_get(json_object_get(body, "data"), "code"));

        fail(s, "refused: %s (%s)", why != NULL ? why : "no reason",
             code != NULL ? code : "no code");
    } else if (packet.type == SIO_DISCONNECT) {
        fail(s, "the server ended the session");
    } else if (packet.type == SIO_EVENT) {
        s->conf.ops->on_event(s->conf.user, json_string_value(json_array_get(body, 0)),
                              json_array_get(body, 1));
    } else if (packet.type == SIO_ACK) {
        s->conf.ops->on_answer(s->conf.user, packet.id, json_array_get(body, 0));
    } else {
        fail(s, "unexpected Socket.IO packet of type %d", (int)packet.type);
    }
    sio_packet_fini(&packet);
}

/* One Engine.IO packet. */
static void on_message(struct signaling *s, const char *text, size_t len)
{
    (void)loop_set(s->conf.loop, &s->timer,
                   loop_now_us() + (s->patience_us != 0 ? s->patience_us : CONNECT_US));
    switch (len > 0 ? text[0] : '\0') {
    case EIO_OPEN:
        on_engine_open(s, text + 1, len - 1);
        break;
    case EIO_PING:
        (void)send_frame(s, WS_TEXT, "3", 1);
        break;
    case EIO_MESSAGE:
        on_socketio(s, text + 1, len - 1);
        break;
    case EIO_NOOP:
        break;
    default:
        fail(s, "the server closed the session");
    }
}

static void on_frame(struct signaling *s, const struct ws_frame *frame)
{
    if (frame->opcode == WS_PING) {
        (void)send_frame(s, WS_PONG, frame->data, frame->len);
    } else if (frame->opcode == WS_CLOSE) {
        fail(s, "the server closed the WebSocket");
    } else if (frame->opcode != WS_PONG) {
        if (s->message.len + frame->len > WS_MESSAGE_MAX ||
            append(&s->message, frame->data, frame->len) != 0) {
            fail(s, "a message is too large");
        } else if (frame->final) {
            struct signaling_bytes whole = s->message;

            s->message = (struct signaling_bytes){0}; /* the callback may close us */
            on_message(s, (const char *)whole.data, whole.len);
            release(&whole);
        }
    }
}

static void take_frames(struct signaling *s)
{
    struct signaling_bytes in = s->in; /* ours while callbacks run */
    size_t at = 0;

    s->in = (struct signaling_bytes){0};
    while (s->state >= SIGNALING_OPENING) {
        struct ws_frame frame;
        int64_t n = ws_frame_parse(in.data + at, in.len - at, &frame);

        if (n < 0) {
            fail(s, "malformed WebSocket frame");
        }
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
        on_frame(s, &frame);
    }
    if (s->state >= SIGNALING_OPENING && at < in.len) {
        drop_front(&in, at);
        s->in = in;
    } else {
        release(&in);
    }
}

static void on_upgrade(struct signaling *s)
{
    unsigned status;
    int n = ws_response_parse((const char *)s->in.data, s->in.len, s->key, &status);

    if (n == -EPERM) {
        fail(s, "no WebSocket: HTTP status %u", status);
    } else if (n == -EBADMSG) {
        fail(s, "what answers there is no web server of a node");
    } else if (n > 0) {
        drop_front(&s->in, (size_t)n);
        s->state = SIGNALING_OPENING;
    }
}

static void on_readable(struct signaling *s)
{
    for (;;) {
        ssize_t n;

        if (grow(&s->in, READ_MIN) != 0) {
            fail(s, "out of memory");
            return;
        }
        n = stream_recv(&s->stream, s->in.data + s->in.len, s->in.cap - s->in.len);
        if (n == -EAGAIN || n == -EINTR) {
            if (s->in.len == 0) {
                release(&s->in); /* thousands have nothing to read */
            }
            return;
        }
        if (n <= 0) {
            fail(s, "the connection ended%s%s", n < 0 ? ": " : "",
                 n < 0 ? strerror((int)-n) : "");
            return;
        }
        s->in.len += (size_t)n;
        if (s->state == SIGNALING_UPGRADING) {
            on_upgrade(s);
        }
        if (s->state >= SIGNALING_OPENING) {
            take_frames(s);
        }
        if (s->state == SIGNALING_IDLE) {
            return;
        }
    }
}

/* ---- connecting ---- */

static void on_connected(struct signaling *s)
{
    socklen_t len = sizeof(int);
    int err = 0;

    (void)getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        fail(s, "cannot connect: %s", strerror(err));
        return;
    }
    s->reachable = true;
    s->state = SIGNALING_SECURING;
    err = stream_open(&s->stream, s->io.fd, s->conf.tls, s->conf.host);
    if (err != 0) {
        fail(s, "out of memory");
    }
}

/* Asks for the WebSocket once the bytes are safe. */
static void secure(struct signaling *s)
{
    const char *reason = NULL;
    uint32_t events = 0;
    char request[512];
    int n = stream_shake_hands(&s->stream, &events, &reason);

    if (n == -EAGAIN) {
        loop_watch(s->conf.loop, &s->io, events);
        return;
    }
    if (n != 0) {
        fail(s, "no TLS: %s", reason);
        return;
    }
    s->state = SIGNALING_UPGRADING;
    n = ws_request_write(s->conf.authority, PATH, s->key, request, sizeof(request));
    if (n < 0 || append(&s->out, request, (size_t)n) != 0) {
        fail(s, "out of memory");
    }
}

static void on_events(struct loop_io *io, uint32_t events)
{
    struct signaling *s = io->user;

    if (s->state == SIGNALING_CONNECTING) {
        on_connected(s);
    }
    if (s->state == SIGNALING_SECURING) {
        secure(s);
    } else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        on_readable(s);
    }
    if (s->state > SIGNALING_SECURING) {
        int err = flush(s);

        if (err != 0) {
            fail(s, "the connection ended: %s", strerror(-err));
        }
    }
}

static void on_due(struct loop_timer *timer, uint64_t now_us)
{
    struct signaling *s = timer->user;

    (void)now_us;
    fail(s, s->patience_us == 0 ? "no answer in time" : "the server is silent");
}

int signaling_open(struct signaling *s)
{
    const struct sockaddr_storage *to = s->conf.to;
    socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0 || getrandom(s->key, sizeof(s->key), 0) != (ssize_t)sizeof(s->key)) {
        err = -errno;
        goto out;
    }
    if (connect(fd, (const struct sockaddr *)to, len) != 0 && errno != EINPROGRESS) {
        err = -errno;
        goto out;
    }
    s->io.on_events = on_events;
    s->io.user = s;
    s->timer.on_due = on_due;
    s->timer.user = s;
    s->patience_us = 0;
    err = loop_set(s->conf.loop, &s->timer, loop_now_us() + CONNECT_US);
    if (err == 0) {
        err = loop_add(s->conf.loop, &s->io, fd, EPOLLOUT);
    }
    if (err == 0) {
        s->state = SIGNALING_CONNECTING;
        fd = -1; /* moved */
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}
