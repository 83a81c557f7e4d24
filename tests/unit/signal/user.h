/* The whole of signaling on a real listener and loop, and users of it made of sockets:
 * Socket.IO by hand, so that they can also do what no good client does. Everything runs in
 * the test's thread. Include cmocka.h before. */
#ifndef UNIT_SIGNAL_USER_H
#define UNIT_SIGNAL_USER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/net.h"
#include "proto/jwt.h"
#include "signal/signal.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

enum { MAX_USERS = 8, MAX_INBOX = 512 };

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

static inline void conn_open(const struct site *s, struct conn *c, int rcvbuf)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(c, 0, sizeof(*c));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    if (rcvbuf > 0) {
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
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

/* ---- users: packets in ---- */

static inline void user_got(struct site *s, struct user *u, const char *text, size_t len);

static inline void user_poll(struct site *s, struct user *u)
{
    char query[128];

    if (u->polling && !u->asked && !u->no_poll && !u->closed) {
        (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", u->sid);
        http_say(s, &u->main, "GET", query, NULL);
        u->asked = true;
    }
}

static inline void user_turn_polling(struct site *s, struct user *u)
{
    struct http http;

    if (!u->asked) {
        user_poll(s, u);
        return;
    }
    if (!http_take(&u->main, &http)) {
        u->closed = u->closed || u->main.ended;
        return;
    }
    u->asked = false;
    if (http.status != 200) {
        u->closed = true;
        u->code = http.status;
    }
    for (char *p = http.body; !u->closed && p != NULL;) {
        char *sep = strchr(p, 0x1e);

        user_got(s, u, p, sep != NULL ? (size_t)(sep - p) : strlen(p));
        p = sep != NULL ? sep + 1 : NULL;
    }
    http_free(&http);
}

/* Takes one frame; servers do not mask. */
static inline bool ws_take(struct user *u, unsigned *op, char **data, size_t *len)
{
    struct conn *c = &u->main;
    const uint8_t *p = (const uint8_t *)c->in;
    size_t head = 2;

    if (c->len < head) {
        return false;
    }
    *op = p[0] & 15u;
    *len = p[1];
    head += *len == 126 ? 2 : *len == 127 ? 8 : 0;
    if (c->len < head) {
        return false;
    }
    if (head > 2) {
        *len = 0;
        for (size_t i = 2; i < head; i++) {
            *len = *len << 8 | p[i];
        }
    }
    if (c->len < head + *len) {
        return false;
    }
    *data = calloc(1, *len + 1);
    memcpy(*data, c->in + head, *len);
    conn_eat(c, head + *len);
    return true;
}

static inline void user_turn_ws(struct site *s, struct user *u)
{
    unsigned op;
    char *data;
    size_t len;

    if (u->deaf) {
        return;
    }
    conn_read(&u->main);
    while (ws_take(u, &op, &data, &len)) {
        if (op == 8) {
            u->closed = true;
            u->code = len >= 2 ? (unsigned)(uint8_t)data[0] << 8 | (uint8_t)data[1] : 1005;
        } else if (op == 1) {
            user_got(s, u, data, len);
        }
        free(data);
    }
    u->closed = u->closed || u->main.ended;
}

static inline void site_turn(struct site *s)
{
    loop_turn(s->w.loop);
    for (size_t i = 0; i < s->n_users; i++) {
        struct user *u = &s->users[i];

        if (u->main.fd > 0 && !u->closed) {
            (u->polling ? user_turn_polling : user_turn_ws)(s, u);
        }
    }
}

#define AWAIT(s, cond)                                                                     \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 8000;                                                 \
        while (!(cond)) {                                                                  \
            if (now_ms() >= until_) {                                                      \
                fail_msg("waited in vain: %s", #cond);                                     \
            }                                                                              \
            site_turn(s);                                                                  \
            (void)usleep(100);                                                             \
        }                                                                                  \
    } while (0)

static inline void site_settle(struct site *s, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        site_turn(s);
        (void)usleep(300);
    }
}

/* Sends a request on the user's second connection and waits for its answer. */
static inline struct http user_http(struct site *s, struct user *u, const char *method,
                                    const char *query, const char *body)
{
    struct http http;

    if (u->post.fd == 0) {
        conn_open(s, &u->post, 0);
    }
    http_say(s, &u->post, method, query, body);
    AWAIT(s, http_take(&u->post, &http));
    return http;
}

/* ---- users: packets out ---- */

static inline void ws_send(struct site *s, struct user *u, unsigned op, const void *data,
                           size_t len)
{
    uint8_t head[14] = {(uint8_t)(0x80u | op), 0x80};
    size_t n = 2;

    if (len < 126) {
        head[1] |= (uint8_t)len;
    } else if (len < 65536) {
        head[1] |= 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    } else {
        head[1] |= 127;
        for (int i = 0; i < 4; i++) {
            head[6 + i] = (uint8_t)(len >> (24 - 8 * i));
        }
        n = 10;
    }
    conn_write(s, &u->main, head, n + 4); /* a mask of zeros */
    conn_write(s, &u->main, data, len);
}

/* Sends one Engine.IO packet. */
static inline void user_send(struct site *s, struct user *u, const char *packet)
{
    if (u->polling) {
        char query[128];
        struct http http;

        (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", u->sid);
        http = user_http(s, u, "POST", query, packet);
        u->closed = u->closed || http.status != 200;
        http_free(&http);
    } else {
        ws_send(s, u, 1, packet, strlen(packet));
    }
}

static inline void user_got(struct site *s, struct user *u, const char *text, size_t len)
{
    char *copy;

    if (len == 1 && text[0] == '2') {
        u->n_pings++;
        if (!u->no_pong) {
            user_send(s, u, "3");
        }
        return;
    }
    if (len == 1 && text[0] == '1') {
        u->closed = true;
        return;
    }
    assert_true(u->n_inbox < MAX_INBOX);
    copy = calloc(1, len + 1);
    memcpy(copy, text, len);
    u->inbox[u->n_inbox++] = copy;
}

static inline void inbox_remove(struct user *u, size_t i)
{
    free(u->inbox[i]);
    memmove(u->inbox + i, u->inbox + i + 1, (u->n_inbox - i - 1) * sizeof(u->inbox[0]));
    u->n_inbox--;
}

static inline void inbox_clear(struct user *u)
{
    while (u->n_inbox > 0) {
        inbox_remove(u, u->n_inbox - 1);
    }
}

/* The first packet in the inbox that begins with 'prefix', or -1. */
static inline int inbox_find(const struct user *u, const char *prefix)
{
    for (size_t i = 0; i < u->n_inbox; i++) {
        if (strncmp(u->inbox[i], prefix, strlen(prefix)) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Waits for a packet that begins with 'prefix', takes it, and gives the JSON behind it. */
static inline json_t *user_take(struct site *s, struct user *u, const char *prefix)
{
    const char *text;
    json_t *json;
    int i = -1;

    for (uint64_t until = now_ms() + 8000; i < 0 && now_ms() < until;) {
        site_turn(s);
        (void)usleep(100);
        i = inbox_find(u, prefix);
    }
    if (i < 0) {
        fail_msg("waited in vain for %s (%zu other packets, first: %s)%s", prefix,
                 u->n_inbox, u->n_inbox > 0 ? u->inbox[0] : "none",
                 u->closed ? ", closed" : "");
    }
    text = u->inbox[i] + strlen(prefix);
    json = json_loads(text, JSON_DECODE_ANY, NULL);
    inbox_remove(u, (size_t)i);
    return json;
}

/* Waits for an event; its payload. */
static inline json_t *user_event(struct site *s, struct user *u, const char *name)
{
    char prefix[96];
    json_t *payload;
    char *end;
    int i = -1;

    (void)snprintf(prefix, sizeof(prefix), "42/meeting,[\"%s\",", name);
    for (uint64_t until = now_ms() + 8000; i < 0 && now_ms() < until;) {
        site_turn(s);
        (void)usleep(100);
        i = inbox_find(u, prefix);
    }
    if (i < 0) {
        fail_msg("the event %s did not come", name);
    }
    end = u->inbox[i] + strlen(u->inbox[i]) - 1;
    assert_int_equal(*end, ']');
    *end = '\0';
    payload = json_loads(u->inbox[i] + strlen(prefix), JSON_DECODE_ANY, NULL);
    assert_non_null(payload);
    inbox_remove(u, (size_t)i);
    return payload;
}

/* Emits with an ack id; the id. 'payload' is text, NULL for none. */
static inline uint64_t user_emit(struct site *s, struct user *u, const char *event,
                                 const char *payload)
{
    uint64_t id = u->next_ack++;
    size_t cap = 128 + strlen(event) + (payload != NULL ? strlen(payload) : 0);
    char *text = malloc(cap);

    (void)snprintf(text, cap, "42/meeting,%llu[\"%s\"%s%s]", (unsigned long long)id, event,
                   payload != NULL ? "," : "", payload != NULL ? payload : "");
    user_send(s, u, text);
    free(text);
    return id;
}

static inline json_t *user_ack(struct site *s, struct user *u, uint64_t id)
{
    char prefix[64];
    json_t *list, *body;

    (void)snprintf(prefix, sizeof(prefix), "43/meeting,%llu[", (unsigned long long)id);
    prefix[strlen(prefix) - 1] = '\0';
    list = user_take(s, u, prefix);
    assert_int_equal(json_array_size(list), 1);
    body = json_incref(json_array_get(list, 0));
    json_decref(list);
    return body;
}

/* Emits and waits for an ack that says ok; its body. */
static inline json_t *user_ask(struct site *s, struct user *u, const char *event,
                               const char *payload)
{
    json_t *body = user_ack(s, u, user_emit(s, u, event, payload));

    if (!json_is_true(json_object_get(body, "ok"))) {
        char *text = json_dumps(body, 0);
        fail_msg("%s: %s", event, text);
    }
    return body;
}

static inline void user_do(struct site *s, struct user *u, const char *event,
                           const char *payload)
{
    json_decref(user_ask(s, u, event, payload));
}

/* Emits and expects a refusal with 'code', whose message has 'words' in it. */
static inline void user_refused(struct site *s, struct user *u, const char *event,
                                const char *payload, const char *code, const char *words)
{
    json_t *body = user_ack(s, u, user_emit(s, u, event, payload));
    const json_t *error = json_object_get(body, "error");
    const char *got = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    if (!json_is_false(json_object_get(body, "ok")) || got == NULL || message == NULL ||
        strcmp(got, code) != 0 || strstr(message, words) == NULL) {
        char *text = json_dumps(body, 0);
        fail_msg("%s %s: %s", event, payload, text);
    }
    json_decref(body);
}

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL) {
        fail_msg("no text '%s'", key);
    }
    return text;
}

/* ---- users: life ---- */

/* {"token":…} for the meeting "m". */
static inline void user_auth(char *out, size_t cap, const char *sub, const char *role)
{
    struct jwt_claims claims = {.tenant = "default",
                                .meeting_id = "m",
                                .exp = (int64_t)(clock_wall_us() / 1000000) + 600};
    char token[1024];

    (void)snprintf(claims.sub, sizeof(claims.sub), "%s", sub);
    (void)snprintf(claims.role, sizeof(claims.role), "%s", role);
    assert_int_equal(
        jwt_mint(&claims, user_secret, sizeof(user_secret) - 1, token, sizeof(token)),
        JWT_OK);
    (void)snprintf(out, cap, "{\"token\":\"%s\"}", token);
}

static inline void user_read_open(struct site *s, struct user *u)
{
    json_t *open = user_take(s, u, "0");

    (void)snprintf(u->sid, sizeof(u->sid), "%s", text_of(open, "sid"));
    json_decref(open);
}

static inline void ws_handshake(struct site *s, struct user *u, const char *query)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "GET /socket.io/?%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                   query);
    conn_write(s, &u->main, text, strlen(text));
}

/* Waits for the answer to the handshake; true if it is 101. */
static inline bool ws_accepted(struct site *s, struct user *u)
{
    char *end = NULL;
    unsigned status;

    for (uint64_t until = now_ms() + 8000; end == NULL && now_ms() < until;) {
        loop_turn(s->w.loop);
        conn_read(&u->main);
        u->main.in[u->main.len] = '\0';
        end = strstr(u->main.in, "\r\n\r\n");
    }
    assert_non_null(end);
    assert_int_equal(sscanf(u->main.in, "HTTP/1.1 %u", &status), 1);
    u->code = status;
    conn_eat(&u->main, (size_t)(end - u->main.in) + 4);
    return status == 101;
}

/* Opens an Engine.IO session. */
static inline struct user *user_open_buf(struct site *s, bool polling, int rcvbuf)
{
    struct user *u = &s->users[s->n_users];

    assert_true(s->n_users < MAX_USERS);
    memset(u, 0, sizeof(*u));
    u->polling = polling;
    conn_open(s, &u->main, rcvbuf);
    if (polling) {
        http_say(s, &u->main, "GET", "EIO=4&transport=polling", NULL);
        u->asked = true;
        s->n_users++;
    } else {
        ws_handshake(s, u, "EIO=4&transport=websocket");
        assert_true(ws_accepted(s, u));
        s->n_users++;
    }
    user_read_open(s, u);
    return u;
}

static inline struct user *user_open(struct site *s, bool polling)
{
    return user_open_buf(s, polling, 0);
}

/* CONNECTs to the namespace with a good token. */
static inline void user_connect(struct site *s, struct user *u, const char *sub,
                                const char *role)
{
    char auth[1100], packet[1200];
    json_t *body;

    user_auth(auth, sizeof(auth), sub, role);
    (void)snprintf(packet, sizeof(packet), "40/meeting,%s", auth);
    user_send(s, u, packet);
    body = user_take(s, u, "40/meeting,");
    assert_string_not_equal(text_of(body, "sid"), u->sid);
    json_decref(body);
}

/* Opens, connects and joins the room "m"; what room:join answered is dropped. */
static inline struct user *user_join(struct site *s, bool polling, const char *sub)
{
    struct user *u = user_open(s, polling);

    user_connect(s, u, sub, "presenter");
    user_do(s, u, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    json_decref(user_event(s, u, "room:joined"));
    return u;
}

/* Drops the connections, without a word. */
static inline void user_vanish(struct user *u)
{
    conn_close(&u->main);
    conn_close(&u->post);
    inbox_clear(u);
    u->closed = true;
}

static inline void site_finish(struct site *s)
{
    /* A poller is only missed while its GET waits, so it says farewell. */
    for (size_t i = 0; i < s->n_users; i++) {
        struct user *u = &s->users[i];

        if (u->polling && !u->closed && u->sid[0] != '\0') {
            user_send(s, u, "1");
        }
    }
    for (size_t i = 0; i < s->n_users; i++) {
        user_vanish(&s->users[i]);
    }
    AWAIT(s, meeting_n_participants(s->w.meeting) == 0);
    signal_destroy(s->signal);
    net_server_destroy(s->server);
    auth_destroy(s->auth);
    world_finish(&s->w);
}

#endif
