/* Publishes a lane's counters and its objects' statistics into the contract, for control.
 */
#ifndef KCS_WORKER_REPORT_H
#define KCS_WORKER_REPORT_H

#include "worker/pipeline.h"
#include "worker/shared.h"

enum {
    REPORT_US = 100000,
    REPORT_OBJECTS_US = 500000,
    REPORT_ROUNDS = 5, /* of these: all are told, whether or not something has changed */
    REPORT_PEERS = 256, /* looked at in one call */
    REPORT_RECENT_US = 1000000
};

/* What the lane's loop counts beside the pipeline. */
struct report_loop {
    uint64_t loops, busy_loops, busy_cycles, sleeps;
    uint64_t began, cycles; /* of the counter: when it was asked first, and since then */
    /* of the last whole second, and what stood there when the one at hand began */
    struct report_span {
        uint64_t cycles, busy_cycles, packets;
    } recent, since;
    uint64_t since_us;
};

/* Puts the names of counters and the devices into the contract's header. At start. */
void report_names(struct abi_shm *shm);

/* Brings up to date what is told of the last whole second. 'now': of trace_cycles(). */
void report_recent(const struct pipeline *p, struct report_loop *loop, uint64_t now);

/* Publishes the lane's counters; one consistent reading. Thread: the lane. */
void report_lane(const struct pipeline *p, const struct report_loop *loop,
                 struct shared_lane *out);

/* A step of publishing peers, streams and subscriptions. Returns whether it was the last; the
 * next begins anew. Bounded work a call. */
bool report_objects(struct lane *lane, struct shared *s);

#endif
