/* Publishes a lane's counters and its objects' statistics into the contract, for control.
 */
#ifndef KCS_WORKER_REPORT_H
#define KCS_WORKER_REPORT_H

#include "worker/pipeline.h"
#include "worker/shared.h"

enum { REPORT_US = 100000, REPORT_OBJECTS_US = 500000 };

/* What the lane's loop counts beside the pipeline. */
struct report_loop {
    uint64_t loops, busy_loops, busy_cycles, sleeps;
};

/* Puts the names of counters and the devices into the contract's header. At start. */
void report_names(struct abi_shm *shm);

/* Publishes the lane's counters; one consistent reading. Thread: the lane. */
void report_lane(const struct pipeline *p, const struct report_loop *loop,
                 struct shared_lane *out);

/* Publishes peers, streams and subscriptions. Cost: O(open objects). */
void report_objects(const struct lane *lane, struct shared *s);

#endif
