/* How many bits a second arrive: the rate that the receiver's feedback acknowledges, as a
 * mean that believes a new value the less the further it is off. Part of core/bwe.
 *
 * Pure: no clock, no allocation. Times are the receiver's. */
#ifndef CORE_BWE_ACKED_H
#define CORE_BWE_ACKED_H

#include <stdbool.h>
#include <stdint.h>

struct bwe_acked {
    int64_t window_at_us;
    uint32_t bytes; /* in the window that began then */
    float bps;      /* 0: not known yet */
    float variance;
    uint32_t noise_us; /* of arrival times: the noisier, the longer the window has to be */
    bool started;
    bool jumpy;       /* what is sent changes by itself: a new value is believed at once */
    uint32_t span_us; /* of the window, until its last arrival */
};

void bwe_acked_init(struct bwe_acked *acked);

/* Notes 'len' bytes that arrived. In about the order of arrival. */
void bwe_acked_on_packet(struct bwe_acked *acked, int64_t arrival_us, uint32_t len);

/* The rate, or that of the window that has only begun if it is more: after a step up of
 * what is sent the mean still tells of before. 0 unknown. */
float bwe_acked_most(const struct bwe_acked *acked);

#endif
