/* One publisher and many subscribers on the lanes of a real dataplane, each on its thread with
 * the product's own loop, on an in-memory port: what `tools/bench lanes` and `latency`
 * measure. Nobody else takes part: packets are made and encrypted before, what leaves is
 * counted by the lane that sends it. */
#ifndef BENCHMARKS_FLOW_H
#define BENCHMARKS_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_LANES = 4, FLOW_SUBS = 10000, FLOW_PACKETS = 4096 };

struct flow;

/* Starts DPDK (once a process), opens everything, starts the lanes. The publisher is the
 * first lane's, subscriber i lane (i % n_lanes)'s.
 *
 * busy  lanes never sleep
 * err   filled, on failure, with one line
 *
 * Returns 0 or a negative errno; after failure nothing is left. */
int flow_create(struct flow **out, unsigned n_lanes, unsigned n_subs, unsigned size,
                bool busy, char *err, size_t err_cap);
void flow_destroy(struct flow *flow); /* NULL is a no-op */

struct flow_result {
    double wall_ns;
    double feed_ns;             /* with 'every_ns': until the last was let in */
    double lane_ns[FLOW_LANES]; /* CPU of each lane's thread */
    /* With 'every_ns', the longer of: how long the clock's thread, and a busy first lane,
     * did not have their CPU */
    double away_ns;
    uint64_t forwards;
};

/* Sends 'n_packets' (1..FLOW_PACKETS), as fast as all lanes take them or, if 'every_ns' is
 * not 0, one every so often, however late the lanes are; who sleeps is rung, as devices do.
 *
 * delays_ns  NULL, or filled: how long each forward was in the dataplane, from when its
 * packet was there to be received until it was sent; n_packets * n_subs of them. One lane
 *
 * Returns 0, or -EIO with 'err' filled unless every subscriber got every packet. */
int flow_round(struct flow *flow, unsigned n_packets, double every_ns, double *delays_ns,
               struct flow_result *out, char *err, size_t err_cap);

/* Sends one packet when all is quiet. Of one lane.
 *
 * last_ns  filled: from when it was there to be received until the last copy was sent. No
 *          other copy's time is looked at: to read a clock costs a fifth of a forward
 *
 * Returns as flow_round(). */
int flow_last_copy(struct flow *flow, double *last_ns, char *err, size_t err_cap);

#endif
