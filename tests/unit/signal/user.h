/* Users of signaling made of sockets: Socket.IO by hand, so that they can also do what no
 * good client does. Include cmocka.h before. */
#ifndef UNIT_SIGNAL_USER_H
#define UNIT_SIGNAL_USER_H

#include "unit/signal/described.h"
#include "unit/signal/site.h"

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

/* Waits for an event of a namespace ("/meeting,", "" for the main one); its payload. */
static inline json_t *user_event_in(struct site *s, struct user *u, const char *nsp,
                                    const char *name)
{
    char prefix[96];
    json_t *payload;
    char *end;
    int i = -1;

    (void)snprintf(prefix, sizeof(prefix), "42%s[\"%s\",", nsp, name);
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

static inline json_t *user_event(struct site *s, struct user *u, const char *name)
{
    json_t *payload = user_event_in(s, u, "/meeting,", name);

    event_is_described(name, payload);
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
    ack_is_described(event, body);
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
