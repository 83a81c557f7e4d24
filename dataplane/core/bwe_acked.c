#include "core/bwe_acked.h"

#include <string.h>

enum {
    FIRST_WINDOW_US = 500000,
    WINDOW_US = 150000,
    MAX_WINDOW_US = 1000000,
    LEAST_US = 50000, /* less of a window says too little */
    NOISES = 10
};

void bwe_acked_init(struct bwe_acked *acked)
{
    memset(acked, 0, sizeof(*acked));
    acked->variance = 50;
}

/* A step of a Kalman filter of one state, in kb/s: the uncertainty of the sample grows with
 * its distance from what was believed. */
static void take_sample(struct bwe_acked *acked, float sample_bps)
{
    const float believed = acked->bps / 1000, sample = sample_bps / 1000;
    float off, noise, variance;

    if (acked->bps <= 0 || acked->jumpy) {
        acked->bps = sample_bps;
        return;
    }
    off = believed > sample ? believed - sample : sample - believed;
    off = 10 * off / (believed > 1 ? believed : 1);
    noise = off * off;
    variance = acked->variance + 5;
    acked->bps = 1000 * (noise * believed + variance * sample) / (noise + variance);
    acked->variance = noise * variance / (noise + variance);
}

static int64_t window_of(const struct bwe_acked *acked)
{
    const int64_t us = WINDOW_US + (int64_t)NOISES * acked->noise_us;

    return acked->bps <= 0 || us > FIRST_WINDOW_US ? FIRST_WINDOW_US : us;
}

void bwe_acked_on_packet(struct bwe_acked *acked, int64_t arrival_us, uint32_t len)
{
    int64_t since_us = arrival_us - acked->window_at_us;

    if (!acked->started || since_us < 0 || since_us > MAX_WINDOW_US) {
        /* the beginning, or after a silence: a rate over that would say nothing */
        acked->started = true;
        acked->window_at_us = arrival_us;
        acked->bytes = acked->span_us = 0;
        return;
    }
    acked->bytes += len;
    acked->span_us = (uint32_t)since_us;
    if (since_us >= window_of(acked)) {
        take_sample(acked, (float)acked->bytes * 8e6f / (float)since_us);
        acked->window_at_us = arrival_us;
        acked->bytes = acked->span_us = 0;
    }
}

float bwe_acked_most(const struct bwe_acked *acked)
{
    float bps;

    if (acked->bps <= 0 || acked->span_us < LEAST_US) {
        return acked->bps;
    }
    bps = (float)acked->bytes * 8e6f / (float)acked->span_us;
    return bps > acked->bps ? bps : acked->bps;
}
