/* Many clients of one server in one process: plain sockets, of each kind as little as its
 * server needs to see. Each peer opens its connection (and joins its meeting); then it asks
 * again and again, or listens. */
#ifndef RATES_PEERS_H
#define RATES_PEERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum peer_kind {
    PEER_HTTP, /* asks the same GET, over and over */
    PEER_ECHO, /* sends a WebSocket message and waits until it is back */
    PEER_CHAT  /* a client in a meeting: sends a chat message, waits for its answer */
};

enum peer_phase { PHASE_OPEN, PHASE_RUN, PHASE_LISTEN, PHASE_END };

enum { PEERS_BINS = 4000, PEERS_BIN_US = 500 }; /* of a delay: up to 2 s */

/* Of all processes; shared memory. */
struct tally {
    atomic_uint phase;
    atomic_uint ready;    /* peers that are where they want to be */
    atomic_ullong done;   /* answers while it runs */
    atomic_ullong wrong;  /* refused, cut off, not understood */
    atomic_uint speaker;  /* while it listens: 1 + the peer who is to say something */
    atomic_uint said;     /* how often somebody has */
    atomic_ullong heard;  /* of those */
    atomic_ullong max_us; /* the longest delay */
    atomic_ullong delays[PEERS_BINS + 1];
    char what[256]; /* the first thing that went wrong; torn if two write it */
};

struct peers_conf {
    enum peer_kind kind;
    uint16_t port;
    uint32_t first, n;  /* numbers of this process's peers */
    uint32_t opening;   /* at most so many open at the same time */
    uint32_t window;    /* and ask at the same time */
    uint32_t per_room;  /* of a chat */
    const char *get;    /* of HTTP: the request's path */
    const char *token;  /* of HTTP */
    const char *secret; /* of a chat: what tokens are signed with */
    struct tally *tally;
};

/* Runs them until the phase is the last one. In a process of its own. */
void peers_run(const struct peers_conf *conf);

/* A connection to 127.0.0.1:port; -1 with errno. */
int peers_dial(uint16_t port);

/* Sends 'len' bytes of 'request' to 127.0.0.1:port, and reads until the other end closes:
 * into 'answer' of 'cap' bytes (it may be the same memory), ended with a 0. Returns 0 or
 * -1. */
int peers_ask_once(uint16_t port, const char *request, size_t len, char *answer,
                   size_t cap);

uint64_t peers_now_ns(void);

#endif
