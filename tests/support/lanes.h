/* A dataplane of several lanes on threads of their own, on memory devices, and this thread
 * as control: it writes the vault, sends commands to the ring of the right lane and reads
 * the answers. One publisher's stream of numbered packets can flow meanwhile; each
 * subscriber decrypts what it gets with libsrtp2 and says what was missing, doubled or out
 * of order.
 *
 * One at a time. Include cmocka.h before. */
#ifndef TESTS_SUPPORT_LANES_H
#define TESTS_SUPPORT_LANES_H

#include "support/far.h"
#include "worker/loop.h"

#include <pthread.h>

enum { LANES_MAX = 4, LANES_PEERS = 256, LANES_STREAMS = 64, LANES_SUBS = 512 };

/* A subscriber of the numbered stream. Written by the lane that sends to it. */
struct listener {
    struct far far;
    struct vault_sub_conf sub;
    _Atomic uint32_t next;  /* number that comes next; 0 none came */
    _Atomic uint32_t wrong; /* not that number, or not decrypted */
    _Atomic uint32_t heard; /* decrypted */
    uint32_t joined;        /* number that came next when it was opened */
    bool open;
};

struct lanes {
    struct rig rig; /* first; its vault, and the hook that its commands take */
    uint32_t n;
    struct tables *tables;
    struct loop *loops[LANES_MAX];
    pthread_t threads[LANES_MAX];
    struct hub hub;
    void *memory, *hub_memory;
    uint32_t next_cookie;
    uint32_t lane_of[LANES_PEERS]; /* by slot */

    uint32_t pace_bps; /* 0: the stream is audio; else video, and paced for listeners */
    struct far pub;    /* peer 0, with one stream in slot 0 */
    struct vault_stream_conf audio;
    struct listener listeners[LANES_PEERS]; /* peer i + 1, subscription i */
    uint32_t n_listeners;

    /* the stream's packets, made before; queue 0 */
    uint8_t (*bytes)[64];
    struct port_mem_packet *packets;
    uint32_t n_packets, n_allowed;
    bool has_newcomers; /* whose consent would end */
};

struct lanes *lanes_start(uint32_t n);

/* As lanes_start(), with another device: "mem:one" has only one queue, lane 0's. */
struct lanes *lanes_start_on(uint32_t n, const char *device);

/* The same with video, all key frames, that is paced to 'bps' for each listener. */
struct lanes *lanes_start_paced(uint32_t n, uint32_t bps);

/* Stops the threads, closes everything and asserts that all came back. */
void lanes_stop(struct lanes *l);

/* Makes 'n' packets of the stream, numbered from 1 on, from the peer's path. */
void lanes_prepare(struct lanes *l, uint32_t n);

/* Opens listener i, whose peer is placed on 'lane'; or closes all that is its. */
void lanes_listen(struct lanes *l, uint32_t i, uint32_t lane);
void lanes_leave(struct lanes *l, uint32_t i);

/* Sends a command and waits for its answer; media flows on. */
int lanes_command(struct lanes *l, uint32_t lane, uint32_t op, uint64_t handle,
                  uint32_t arg);
int lanes_move(struct lanes *l, uint32_t peer, uint32_t to);

/* The same without waiting: lanes_recover() comes next. */
void lanes_move_soon(struct lanes *l, uint32_t peer, uint32_t to);

/* Lets more of the stream in, as far as the slowest listener is not left behind. */
void lanes_feed(struct lanes *l);

/* Lets all of the stream in up to number 'n', whoever is left behind. */
void lanes_push(struct lanes *l, uint32_t n);

/* The lanes' threads stand still, and what is theirs is the caller's. */
void lanes_hold(struct lanes *l);
void lanes_go_on(struct lanes *l);

/* The lanes hold and are brought in line with the vault, as for a new control. died: the
 * dataplane is another one, and knows nothing; all that was let in is heard before. */
void lanes_recover(struct lanes *l, bool died);

/* Until everybody who listens has heard the last packet; false after 60 s without news. */
bool lanes_finish(struct lanes *l);

#endif
