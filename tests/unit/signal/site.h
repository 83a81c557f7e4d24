/* The whole of signaling on a real listener and loop, and connections to it. Everything
 * runs in the test's thread. Include cmocka.h before. */
#ifndef UNIT_SIGNAL_SITE_H
#define UNIT_SIGNAL_SITE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/net.h"
#include "proto/jwt.h"
#include "signal/signal.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

enum { MAX_USERS = 8, MAX_INBOX = 16384 };

static const uint8_t user_secret[] = "0123456789abcdef0123456789abcdef";

/* A TCP connection to the listener; reads what has come, never waits. */
struct conn {
    int fd;
    bool ended;
    char *in;
    size_t len, cap;
};

struct http {
    unsigned status;
    char *body; /* freed by http_free() */
    size_t len;
    char head[1024];
};

struct user {
    bool polling;
    bool closed;   /* its WebSocket, or its session as far as polling tells */
    bool no_pong;  /* does not answer pings */
    bool no_poll;  /* keeps no GET waiting */
    bool deaf;     /* does not read its WebSocket */
    unsigned code; /* of the WebSocket's close */
    char sid[64];
    struct conn main; /* WebSocket, or polling's GETs */
    struct conn post;
    bool asked;             /* a GET waits */
    char *inbox[MAX_INBOX]; /* Engine.IO packets, pings left out */
    size_t n_inbox;
    unsigned n_pings;
    uint64_t next_ack;
};

struct site {
    struct world w;
    struct auth *auth;
    struct signal *signal;
    struct net_server *server;
    uint16_t port;
    struct user users[MAX_USERS];
    size_t n_users;
};

/* ---- the server's side ---- */

static inline void site_on_request(void *user, struct net_req *req)
{
    struct site *s = user;

    if (!signal_on_request(s->signal, req)) {
        net_respond(req, 404, NULL, 0, NULL, 0);
    }
}

static inline void site_on_abort(void *user, struct net_req *req)
{
    struct site *s = user;

    signal_on_abort(s->signal, req);
}

static inline int site_on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    struct site *s = user;

    return signal_on_ws_open(s->signal, ws, req);
}

static inline void site_on_ws_message(void *user, struct net_ws *ws, const void *data,
                                      size_t len, bool binary)
{
    struct site *s = user;

    signal_on_ws_message(s->signal, ws, data, len, binary);
}

static inline void site_on_ws_close(void *user, struct net_ws *ws, unsigned code)
{
    struct site *s = user;

    signal_on_ws_close(s->signal, ws, code);
}

static const struct net_handlers site_handlers = {.on_request = site_on_request,
                                                  .on_abort = site_on_abort,
                                                  .on_ws_open = site_on_ws_open,
                                                  .on_ws_message = site_on_ws_message,
                                                  .on_ws_close = site_on_ws_close};

static inline struct signal_conf site_conf(void)
{
    return (struct signal_conf){.ping_interval_ms = 25000,
                                .ping_timeout_ms = 20000,
                                .max_payload = 100000,
                                .max_clients = MAX_USERS - 1};
}

static inline void site_start_with(struct site *s, struct signal_conf conf)
{
    const struct net_listen listen = {.name = "test", .address = "127.0.0.1"};
    struct net_conf net = net_conf_default();
    char err[NET_ERR_MAX] = "";

    memset(s, 0, sizeof(*s));
    world_start_media(&s->w);
    assert_int_equal(auth_create(&s->auth, user_secret, sizeof(user_secret) - 1), 0);
    conf.loop = s->w.loop;
    conf.auth = s->auth;
    conf.metrics = s->w.metrics;
    assert_int_equal(signal_create(&s->signal, &conf), 0);
    world_start_meeting(&s->w, signal_meeting_ops(), s->signal);
    signal_set_meeting(s->signal, s->w.meeting);
    net.listen = &listen;
    net.n_listen = 1;
    net.ws_message_max = conf.max_payload;
    net.body_max = conf.max_payload;
    net.ws_queue_msgs = 256;
    if (net_server_create(&s->server, s->w.loop, s->w.metrics, &net, &site_handlers, s,
                          err) != 0) {
        fail_msg("%s", err);
    }
    s->port = net_server_port(s->server, 0);
}

static inline void site_start(struct site *s)
{
    site_start_with(s, site_conf());
}

/* ---- connections ---- */

/* from  the address of this host that it comes from, in host order */
static inline void conn_open_from(const struct site *s, struct conn *c, int rcvbuf,
                                  uint32_t from)
{
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(c, 0, sizeof(*c));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    if (rcvbuf > 0) {
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    assert_int_equal(bind(c->fd, (const struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

static inline void conn_open(const struct site *s, struct conn *c, int rcvbuf)
{
    conn_open_from(s, c, rcvbuf, INADDR_LOOPBACK);
}

static inline void conn_close(struct conn *c)
{
    if (c->fd > 0) {
        (void)close(c->fd);
    }
    free(c->in);
    memset(c, 0, sizeof(*c));
}

static inline void conn_read(struct conn *c)
{
    for (;;) {
        ssize_t n;

        if (c->cap - c->len < 65536) {
            c->cap = c->cap * 2 + 131072;
            c->in = realloc(c->in, c->cap);
            assert_non_null(c->in);
        }
        n = recv(c->fd, c->in + c->len, c->cap - c->len - 1, MSG_DONTWAIT);
        if (n <= 0) {
            c->ended = c->ended || n == 0 || errno == ECONNRESET;
            return;
        }
        c->len += (size_t)n;
    }
}

static inline void conn_eat(struct conn *c, size_t n)
{
    memmove(c->in, c->in + n, c->len - n);
    c->len -= n;
}

/* Writes all, letting the server read meanwhile. */
static inline void conn_write(struct site *s, struct conn *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            loop_turn(s->w.loop);
        } else {
            return; /* cut off: the reader sees */
        }
    }
}

/* True if a whole HTTP answer has come: it is taken. */
static inline bool http_take(struct conn *c, struct http *out)
{
    const char *end, *length;
    size_t head, len;

    conn_read(c);
    c->in[c->len] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    head = (size_t)(end - c->in) + 4;
    assert_true(head < sizeof(out->head));
    memcpy(out->head, c->in, head);
    out->head[head] = '\0';
    length = strstr(out->head, "content-length: ");
    len = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    if (c->len < head + len) {
        return false;
    }
    assert_int_equal(sscanf(out->head, "HTTP/1.1 %u", &out->status), 1);
    out->body = calloc(1, len + 1);
    out->len = len;
    memcpy(out->body, c->in + head, len);
    conn_eat(c, head + len);
    return true;
}

static inline void http_free(struct http *http)
{
    free(http->body);
    http->body = NULL;
}

static inline void http_say(struct site *s, struct conn *c, const char *method,
                            const char *query, const char *body)
{
    size_t cap = 512 + strlen(query) + (body != NULL ? strlen(body) : 0);
    char *text = malloc(cap);
    int n;

    if (body == NULL) {
        n = snprintf(text, cap, "%s /socket.io/?%s HTTP/1.1\r\nHost: x\r\n\r\n", method,
                     query);
    } else {
        n = snprintf(text, cap,
                     "%s /socket.io/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n"
                     "Content-Type: text/plain;charset=UTF-8\r\n\r\n%s",
                     method, query, strlen(body), body);
    }
    conn_write(s, c, text, (size_t)n);
    free(text);
}

#endif
