/* The rate that delay allows: additive increase near the capacity where queues grew last
 * time, multiplicative far from it, multiplicative decrease below what arrives. Part of
 * core/bwe.
 *
 * Pure: no clock, no allocation.  draft-ietf-rmcat-gcc-02, section 5.5. */
#ifndef CORE_BWE_RATE_H
#define CORE_BWE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bwe_delay.h"

struct bwe_rate {
    float bps;
    float min_bps, max_bps;
    float link_bps;      /* what arrived when queues grew, as a mean; 0 unknown */
    float link_variance; /* relative to link_bps, in kb/s */
    uint64_t changed_us;
    uint64_t decreased_us; /* 0 never */
    bool increasing;
};

void bwe_rate_init(struct bwe_rate *rate, float start_bps, float min_bps, float max_bps);

/* A feedback has come.
 *
 * acked_bps  what arrives, 0 unknown
 * limited    the application sends less than it may: what arrives is no proof of more, nor
 *            of less
 *
 * Returns true if the rate was decreased. */
bool bwe_rate_update(struct bwe_rate *rate, enum bwe_usage usage, float acked_bps,
                     uint64_t rtt_us, bool limited, uint64_t now_us);

/* A probe has shown that 'bps' get through. */
void bwe_rate_set(struct bwe_rate *rate, float bps, uint64_t now_us);

/* What was learnt of the link's capacity is no longer true; the rate stays. */
void bwe_rate_on_route(struct bwe_rate *rate);

#endif
