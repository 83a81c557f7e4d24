/* One client's Socket.IO connection: TCP, TLS if it is asked for, WebSocket, Engine.IO v4, and
 * the namespace /meeting of Socket.IO v5.
 *
 * Callbacks come from the loop, and from no call of this interface. on_closed comes once
 * whatever went wrong; after it, and after signaling_close(), no other comes, and
 * signaling_open() may be called again. */
#ifndef LOADGEN_SIGNALING_H
#define LOADGEN_SIGNALING_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/loop.h"
#include "loadgen/stream.h"

struct signaling_ops {
    void (*on_open)(void *user); /* the namespace is open: ask */
    /* The payload is borrowed, NULL if the event has none. */
    void (*on_event)(void *user, const char *name, const json_t *payload);
    /* The answer to signaling_ask() with that id; borrowed. */
    void (*on_answer)(void *user, uint64_t id, const json_t *answer);
    void (*on_closed)(void *user, const char *reason); /* borrowed */
};

struct signaling_conf {
    const struct signaling_ops *ops;
    void *user;
    struct loop *loop;
    const struct sockaddr_storage *to;
    const char *authority; /* of the Host header */
    SSL_CTX *tls;          /* NULL: plain http */
    const char *host;      /* whose certificate it must be */
    const char *const *wanted; /* names of the events to tell, NULL ends them; others are not
                                * even read: in a large room they are many */
    const char *token;         /* all borrowed for the object's life */
};

struct signaling_bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

enum signaling_state {
    SIGNALING_IDLE,
    SIGNALING_CONNECTING, /* TCP */
    SIGNALING_SECURING,   /* TLS */
    SIGNALING_UPGRADING,
    SIGNALING_OPENING, /* Engine.IO and namespace */
    SIGNALING_OPEN
};

struct signaling {
    struct signaling_conf conf;
    struct loop_io io;
    struct stream stream;    /* on its descriptor */
    struct loop_timer timer; /* to come up, then for the server's pings */
    uint64_t patience_us;    /* longest silence, as the server told */
    enum signaling_state state;
    bool reachable; /* TCP connected at least once */
    uint8_t key[16];
    struct signaling_bytes in;
    struct signaling_bytes message; /* of several frames, so far */
    struct signaling_bytes out;
};

/* conf is copied. */
void signaling_init(struct signaling *s, const struct signaling_conf *conf);

/* Begins to connect. Returns 0 or -errno; then it is as before. */
int signaling_open(struct signaling *s);

/* Emits an event that asks for an answer. 'payload' is moved, NULL is lack of memory; 'id'
 * below 2^53, not one of a question that is open. Returns 0, -ENOTCONN, -ENOMEM. */
int signaling_ask(struct signaling *s, const char *event, json_t *payload, uint64_t id);

/* Ends it; what was asked is written as far as the socket takes it. */
void signaling_close(struct signaling *s);

#endif
