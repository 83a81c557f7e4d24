/* Token buckets: how often one may do what costs others something. Pure: told the time. */
#ifndef MEETING_RATE_H
#define MEETING_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* A bucket is all zeros at first, and then full. */
struct rate {
    uint64_t spent_us; /* of its time: one use costs 1 s / per_s */
    uint64_t last_us;
};

struct rate_conf {
    uint32_t per_s; /* in the long run */
    uint32_t burst; /* at once */
};

/* Takes one use. Returns 0, or after how many ms there will be one again (at least 1). */
static inline uint32_t rate_take(struct rate *rate, const struct rate_conf *conf,
                                 uint64_t now_us)
{
    uint64_t cost = UINT64_C(1000000) / conf->per_s;
    uint64_t most = cost * conf->burst;
    uint64_t passed = now_us > rate->last_us ? now_us - rate->last_us : 0;
    uint64_t spent = rate->spent_us > passed ? rate->spent_us - passed : 0;

    rate->last_us = now_us;
    rate->spent_us = spent;
    if (spent + cost > most) {
        return (uint32_t)((spent + cost - most + 999) / 1000);
    }
    rate->spent_us = spent + cost;
    return 0;
}

#endif
