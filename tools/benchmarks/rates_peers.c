#include "benchmarks/rates_peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/jwt.h"

/* Stands before the time in each message that is timed. */
#define MARK "sent="

enum { EVENTS = 256, READ = 65536, TEXT = 2048, FILLER = 200 };

enum peer_state { CLOSED, UPGRADING, OPENING, JOINING, READY, ASKING };

struct peer {
    int fd;
    enum peer_state state;
    char *in; /* what is not yet a whole message */
    size_t len, cap;
};

struct peers {
    struct peers_conf conf;
    struct peer *all;
    int epoll;
    uint32_t next; /* to open, then to ask */
    uint32_t opening, asking;
    uint32_t spoken; /* the last speaker that was seen */
    uint64_t ids;
};

uint64_t peers_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wrong(struct peers *ps, const char *what, const char *data, size_t len)
{
    struct tally *t = ps->conf.tally;

    if (atomic_fetch_add(&t->wrong, 1) == 0) {
        (void)snprintf(t->what, sizeof(t->what), "%s: %.*s", what,
                       (int)(len < 180 ? len : 180), data);
    }
}

static void drop(struct peers *ps, struct peer *p, const char *what)
{
    wrong(ps, what, p->in != NULL ? p->in : "", p->len);
    if (p->state == READY || p->state == ASKING) {
        ps->asking -= p->state == ASKING;
        (void)atomic_fetch_sub(&ps->conf.tally->ready, 1);
    } else {
        ps->opening--;
    }
    (void)close(p->fd);
    p->state = CLOSED;
}

/* ---- out ---- */

static void put(struct peers *ps, struct peer *p, const void *data, size_t len)
{
    if (send(p->fd, data, len, MSG_NOSIGNAL) != (ssize_t)len) {
        wrong(ps, "a short write", "", 0);
    }
}

/* A text message; masked with zeros, which leaves it as it is. */
static void put_ws(struct peers *ps, struct peer *p, const char *text)
{
    unsigned char frame[8 + TEXT] = {0x81, 0x80 | 126};
    size_t len = strlen(text);
    size_t head = 8;

    if (len < 126) {
        frame[1] = (unsigned char)(0x80 | len);
        head = 6;
    } else {
        frame[2] = (unsigned char)(len >> 8);
        frame[3] = (unsigned char)len;
    }
    memcpy(frame + head, text, len);
    put(ps, p, frame, head + len);
}

static uint32_t number_of(const struct peers *ps, const struct peer *p)
{
    return ps->conf.first + (uint32_t)(p - ps->all);
}

static void put_namespace(struct peers *ps, struct peer *p)
{
    struct jwt_claims claims = {.iat = (int64_t)time(NULL), .role = "attendee"};
    uint32_t no = number_of(ps, p);
    char token[TEXT - 64], text[TEXT];

    claims.exp = claims.iat + 3600;
    (void)snprintf(claims.sub, sizeof(claims.sub), "u%" PRIu32, no);
    (void)snprintf(claims.jti, sizeof(claims.jti), "j%" PRIu32, no);
    (void)snprintf(claims.name, sizeof(claims.name), "N%" PRIu32, no);
    (void)snprintf(claims.meeting_id, sizeof(claims.meeting_id),
                   "rates-%" PRIu32 "-%" PRIu32, ps->conf.per_room, no / ps->conf.per_room);
    (void)jwt_mint(&claims, (const uint8_t *)ps->conf.secret, strlen(ps->conf.secret),
                   token, sizeof(token));
    (void)snprintf(text, sizeof(text), "40/meeting,{\"token\":\"%s\"}", token);
    put_ws(ps, p, text);
}

static void put_join(struct peers *ps, struct peer *p)
{
    uint32_t no = number_of(ps, p);
    char text[TEXT];

    (void)snprintf(text, sizeof(text),
                   "42/meeting,0[\"room:join\",{\"meeting_id\":\"rates-%" PRIu32 "-%" PRIu32
                   "\",\"display_name\":\"N%" PRIu32 "\"}]",
                   ps->conf.per_room, no / ps->conf.per_room, no);
    put_ws(ps, p, text);
}

/* Says something that all are to hear, and when it was said. */
static void put_words(struct peers *ps, struct peer *p)
{
    char text[TEXT];
    char filler[FILLER + 1];

    memset(filler, 'x', FILLER);
    filler[FILLER] = '\0';
    if (ps->conf.kind == PEER_ECHO) {
        (void)snprintf(text, sizeof(text), "%s" MARK "%020" PRIu64 " %s",
                       atomic_load(&ps->conf.tally->phase) == PHASE_LISTEN ? "*" : "",
                       peers_now_ns(), filler);
    } else {
        ps->ids++;
        (void)snprintf(text, sizeof(text),
                       "42/meeting,%" PRIu64 "[\"chat:send\",{\"message\":\"" MARK
                       "%020" PRIu64 " %s\",\"client_message_id\":\"%d-%" PRIu64 "\"}]",
                       ps->ids, peers_now_ns(), filler, (int)getpid(), ps->ids);
    }
    put_ws(ps, p, text);
}

static void ask(struct peers *ps, struct peer *p)
{
    char text[TEXT];

    p->state = ASKING;
    ps->asking++;
    if (ps->conf.kind == PEER_HTTP) {
        int n = snprintf(text, sizeof(text),
                         "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                         ps->conf.get, ps->conf.token);

        put(ps, p, text, (size_t)n);
    } else {
        put_words(ps, p);
    }
}

/* The next ones that are free, as many as may. */
static void ask_more(struct peers *ps)
{
    for (uint32_t i = 0; i < ps->conf.n && ps->asking < ps->conf.window; i++) {
        struct peer *p = &ps->all[ps->next % ps->conf.n];

        ps->next++;
        if (p->state == READY) {
            ask(ps, p);
        }
    }
}

/* ---- in ---- */

static bool has(const char *data, size_t len, const char *word)
{
    return memmem(data, len, word, strlen(word)) != NULL;
}

static bool begins(const char *data, size_t len, const char *word)
{
    return len >= strlen(word) && memcmp(data, word, strlen(word)) == 0;
}

static void on_ready(struct peers *ps, struct peer *p)
{
    p->state = READY;
    ps->opening--;
    (void)atomic_fetch_add(&ps->conf.tally->ready, 1);
}

static void on_answer(struct peers *ps, struct peer *p)
{
    if (p->state == ASKING) {
        p->state = READY;
        ps->asking--;
        (void)atomic_fetch_add(&ps->conf.tally->done, 1);
    }
}

static void on_heard(struct peers *ps, const char *data, size_t len)
{
    const char *mark = memmem(data, len, MARK, strlen(MARK));
    struct tally *t = ps->conf.tally;
    unsigned long long us, max;

    if (mark == NULL || atomic_load(&t->phase) != PHASE_LISTEN) {
        return;
    }
    us = (peers_now_ns() - strtoull(mark + strlen(MARK), NULL, 10)) / 1000;
    max = atomic_load(&t->max_us);
    while (us > max && !atomic_compare_exchange_weak(&t->max_us, &max, us)) {
    }
    (void)atomic_fetch_add(
        &t->delays[us / PEERS_BIN_US < PEERS_BINS ? us / PEERS_BIN_US : PEERS_BINS], 1);
    (void)atomic_fetch_add(&t->heard, 1);
}

static void on_socketio(struct peers *ps, struct peer *p, const char *data, size_t len)
{
    if (begins(data, len, "42/meeting,[\"chat:message\"")) {
        on_heard(ps, data, len);
    } else if (begins(data, len, "40/meeting")) {
        p->state = JOINING;
        put_join(ps, p);
    } else if (begins(data, len, "43/meeting,")) {
        if (!has(data, len, "\"ok\":true")) {
            wrong(ps, "refused", data, len);
        }
        if (p->state == JOINING) {
            on_ready(ps, p);
        } else {
            on_answer(ps, p);
        }
    } else if (begins(data, len, "44")) {
        wrong(ps, "refused", data, len);
    }
}

static void on_message(struct peers *ps, struct peer *p, const char *data, size_t len)
{
    if (ps->conf.kind == PEER_ECHO) {
        on_heard(ps, data, len);
        on_answer(ps, p);
    } else if (begins(data, len, "0")) {
        p->state = OPENING;
        put_namespace(ps, p);
    } else if (begins(data, len, "2")) {
        put_ws(ps, p, "3");
    } else {
        on_socketio(ps, p, data, len);
    }
}

/* Takes the first WebSocket frame. Returns its bytes, 0 if it is not all there. */
static size_t take_frame(struct peers *ps, struct peer *p, const char *data, size_t len)
{
    const unsigned char *u = (const unsigned char *)data;
    size_t head = 2;
    size_t n;

    if (len < 2) {
        return 0;
    }
    n = u[1] & 0x7f;
    if (n == 126) {
        head = 4;
        n = len >= head ? (size_t)u[2] << 8 | u[3] : 0;
    } else if (n == 127) {
        head = 10;
        n = len >= head ? (size_t)u[6] << 24 | (size_t)u[7] << 16 | (size_t)u[8] << 8 | u[9]
                        : 0;
    }
    if (len < head || len < head + n) {
        return 0;
    }
    if ((u[0] & 0x0f) == 1) {
        on_message(ps, p, data + head, n);
    }
    return head + n;
}

/* Takes the head of an HTTP answer and its body. */
static size_t take_http(struct peers *ps, struct peer *p, const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    const char *length = end != NULL ? strcasestr(data, "content-length:") : NULL;
    size_t head = end != NULL ? (size_t)(end - data) + 4 : 0;
    size_t n = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;

    if (end == NULL || len < head + n) {
        return 0;
    }
    if (p->state == UPGRADING) {
        if (!begins(data, len, "HTTP/1.1 101")) {
            wrong(ps, "no WebSocket", data, len);
        }
        p->state = OPENING;
        if (ps->conf.kind == PEER_ECHO) {
            on_ready(ps, p);
        }
        return head + n;
    }
    if (!begins(data, len, "HTTP/1.1 200")) {
        wrong(ps, "refused", data, len);
    }
    on_answer(ps, p);
    return head + n;
}

static void on_readable(struct peers *ps, struct peer *p)
{
    size_t at = 0;
    size_t n;
    ssize_t got;

    if (p->cap - p->len < READ) {
        p->cap = p->len + READ;
        p->in = realloc(p->in, p->cap + 1);
        if (p->in == NULL) {
            abort();
        }
    }
    got = recv(p->fd, p->in + p->len, p->cap - p->len, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            drop(ps, p, "cut off");
        }
        return;
    }
    p->len += (size_t)got;
    p->in[p->len] = '\0';
    do {
        n = ps->conf.kind == PEER_HTTP || p->state == UPGRADING
                ? take_http(ps, p, p->in + at, p->len - at)
                : take_frame(ps, p, p->in + at, p->len - at);
        at += n;
    } while (n > 0 && at < p->len);
    memmove(p->in, p->in + at, p->len - at);
    p->len -= at;
    if (p->len == 0) { /* thousands of them wait: none keeps its memory */
        free(p->in);
        p->in = NULL;
        p->cap = 0;
    }
}

/* ---- all of them ---- */

int peers_dial(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        int err = errno;

        (void)close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int peers_ask_once(uint16_t port, const char *request, size_t len, char *answer, size_t cap)
{
    int fd = peers_dial(port);
    bool sent = fd >= 0 && send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len;
    size_t at = 0;
    ssize_t n = 1;

    while (sent && n > 0 && at + 1 < cap) {
        n = recv(fd, answer + at, cap - at - 1, 0);
        at += n > 0 ? (size_t)n : 0;
    }
    answer[at] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    return sent && at > 0 ? 0 : -1;
}

static void open_one(struct peers *ps, struct peer *p)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
    int on = 1;
    char text[512];
    int n;

    p->fd = peers_dial(ps->conf.port);
    ps->opening++;
    if (p->fd < 0) {
        drop(ps, p, strerror(errno));
        return;
    }
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)epoll_ctl(ps->epoll, EPOLL_CTL_ADD, p->fd, &event);
    if (ps->conf.kind == PEER_HTTP) {
        on_ready(ps, p);
        return;
    }
    p->state = UPGRADING;
    n = snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 ps->conf.kind == PEER_ECHO ? "/"
                                            : "/socket.io/?EIO=4&transport=websocket");
    put(ps, p, text, (size_t)n);
}

static void turn(struct peers *ps)
{
    struct tally *t = ps->conf.tally;
    uint32_t speaker = atomic_load(&t->speaker);

    switch (atomic_load(&t->phase)) {
    case PHASE_OPEN:
        while (ps->next < ps->conf.n && ps->opening < ps->conf.opening) {
            open_one(ps, &ps->all[ps->next++]);
        }
        break;
    case PHASE_RUN:
        ask_more(ps);
        break;
    case PHASE_LISTEN:
        if (speaker != ps->spoken) {
            ps->spoken = speaker;
            speaker--;
            if (speaker >= ps->conf.first && speaker < ps->conf.first + ps->conf.n &&
                ps->all[speaker - ps->conf.first].state == READY) {
                put_words(ps, &ps->all[speaker - ps->conf.first]);
                (void)atomic_fetch_add(&t->said, 1);
            }
        }
        break;
    default:
        break;
    }
}

void peers_run(const struct peers_conf *conf)
{
    struct peers ps = {.conf = *conf, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event events[EVENTS];

    ps.all = calloc(conf->n, sizeof(*ps.all));
    while (ps.all != NULL && atomic_load(&conf->tally->phase) != PHASE_END) {
        int n;

        turn(&ps);
        n = epoll_wait(ps.epoll, events, EVENTS, 1);
        for (int i = 0; i < n; i++) {
            on_readable(&ps, events[i].data.ptr);
            if (atomic_load(&conf->tally->phase) == PHASE_RUN) {
                ask_more(&ps);
            }
        }
    }
    for (uint32_t i = 0; ps.all != NULL && i < conf->n; i++) {
        free(ps.all[i].in);
    }
    free(ps.all);
}
