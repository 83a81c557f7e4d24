/* The fan-out of fanout.h beside the floor of crypt_floor.h, by turns: `tools/bench fanout`
 * and `tools/bench growth`. */
#ifndef BENCHMARKS_FANOUT_MEASURE_H
#define BENCHMARKS_FANOUT_MEASURE_H

#include "benchmarks/crypt_floor.h"
#include "benchmarks/fanout.h"

/* Medians, in nanoseconds a packet and subscription. */
struct fanout_result {
    double ns, floor_ns, one_key_ns;
    double crypt_ns; /* encryption alone, as the dataplane does it */
    bool floor_valid; /* else 'floor_ns' is no mark for 'ns' */
    double stages[N_FANOUT_STAGES];
};

/* Whether a floor says what the cipher costs, not what memory does. */
static inline bool fanout_floor_valid(double floor_ns, double one_key_ns)
{
    return floor_ns <= CRYPT_FLOOR_VALID_RATIO * one_key_ns;
}

/* Looks at what subscribers get (fanout_verify()), then measures.
 *
 * floor  of 'n_subs' keys
 * out    filled; its stages only if 'stages'
 *
 * Returns 0 or a negative errno, with one line in 'err'. */
int fanout_measure(struct fanout *fanout, struct crypt_floor *floor, unsigned n_subs,
                   bool stages, struct fanout_result *out, char *err, size_t err_cap);

#endif
