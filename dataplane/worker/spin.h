/* How long a lane that has nothing to do looks again and again before it sleeps. To sleep and be
 * woken takes some 10 us: what comes sooner than that is better waited for. But where most of
 * it comes later, as while many join a node that is not busy, looking is all that it would do.
 *
 * Pure: no clock, no I/O. */
#ifndef KCS_WORKER_SPIN_H
#define KCS_WORKER_SPIN_H

#include <stdint.h>

enum {
    SPIN_US = 50,
    SPIN_LEAST_US = 5,
    SPIN_SURE = 8, /* gaps in a row, after which some long ones change nothing */
    SPIN_LONG = 2  /* short gaps that make up for a long one */
};

struct spin {
    uint8_t score; /* of 0 … SPIN_SURE: more is for looking */
};

/* Work has come 'gap_us' after the last. */
static inline void spin_on_work(struct spin *spin, uint64_t gap_us)
{
    if (gap_us > SPIN_US) {
        spin->score = spin->score > SPIN_LONG ? (uint8_t)(spin->score - SPIN_LONG) : 0;
    } else if (spin->score < SPIN_SURE) {
        spin->score++;
    }
}

static inline uint64_t spin_us(const struct spin *spin)
{
    return spin->score > SPIN_SURE / 2 ? SPIN_US : SPIN_LEAST_US;
}

#endif
