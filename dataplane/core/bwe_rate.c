#include "core/bwe_rate.h"

#include <string.h>

enum {
    MIN_DECREASE_US = 10000, /* two decreases are a round trip apart, within these */
    MAX_DECREASE_US = 200000,
    RESPONSE_US = 100000, /* feedback comes this much later than the round trip tells */
    PACKET_BITS = 1200 * 8
};

static const float BETA = 0.85f;
static const float GROWTH = 0.08f; /* a second, far from the link's capacity */
static const float LEAST_STEP_BPS = 4000;
static const float LINK_GAIN = 0.05f;

void bwe_rate_init(struct bwe_rate *rate, float start_bps, float min_bps, float max_bps)
{
    memset(rate, 0, sizeof(*rate));
    rate->bps = start_bps;
    rate->min_bps = min_bps;
    rate->max_bps = max_bps;
    rate->link_variance = 0.4f;
}

static void set(struct bwe_rate *rate, float bps)
{
    rate->bps = bps < rate->min_bps   ? rate->min_bps
                : bps > rate->max_bps ? rate->max_bps
                                      : bps;
}

/* Three standard deviations of the link's capacity, squared, in (kb/s)^2. */
static float link_spread(const struct bwe_rate *rate)
{
    return 9 * rate->link_variance * (rate->link_bps / 1000);
}

static bool is_far(const struct bwe_rate *rate, float bps)
{
    const float off = (bps - rate->link_bps) / 1000;

    return off * off > link_spread(rate);
}

static void learn_link(struct bwe_rate *rate, float bps)
{
    float off;

    rate->link_bps =
        rate->link_bps <= 0 ? bps : (1 - LINK_GAIN) * rate->link_bps + LINK_GAIN * bps;
    off = (rate->link_bps - bps) / 1000;
    rate->link_variance = (1 - LINK_GAIN) * rate->link_variance +
                          LINK_GAIN * off * off / (rate->link_bps / 1000 + 1);
    rate->link_variance = rate->link_variance < 0.4f   ? 0.4f
                          : rate->link_variance > 2.5f ? 2.5f
                                                       : rate->link_variance;
}

static void increase(struct bwe_rate *rate, float acked_bps, uint64_t rtt_us, bool limited,
                     uint64_t now_us)
{
    float since_s = (float)(now_us - rate->changed_us) / 1e6f;
    const float most = 1.5f * acked_bps + 10000;
    float bps;

    if (rate->link_bps > 0 && acked_bps > rate->link_bps && is_far(rate, acked_bps)) {
        rate->link_bps = 0; /* more gets through than was thought possible */
    }
    if (since_s > 1) {
        since_s = 1;
    }
    if (rate->link_bps > 0) {
        float step = PACKET_BITS * 1e6f / (float)(rtt_us + RESPONSE_US);

        bps = rate->bps + (step > LEAST_STEP_BPS ? step : LEAST_STEP_BPS) * since_s;
    } else {
        bps = rate->bps + GROWTH * since_s * rate->bps + 1000 * since_s;
    }
    if (!limited && acked_bps > 0) {
        bps = bps < most ? bps : most;
        set(rate, bps > rate->bps ? bps : rate->bps);
    }
}

static void decrease(struct bwe_rate *rate, float acked_bps, bool limited)
{
    float bps = BETA * (acked_bps > 0 ? acked_bps : rate->bps);

    if (limited) {
        bps = BETA * rate->bps > bps ? BETA * rate->bps : bps;
        acked_bps = 0;
    }
    if (bps > rate->bps && rate->link_bps > 0) {
        bps = BETA * rate->link_bps;
    }
    if (acked_bps > 0) {
        if (rate->link_bps > 0 && acked_bps < rate->link_bps && is_far(rate, acked_bps)) {
            rate->link_bps = 0;
        }
        learn_link(rate, acked_bps);
    }
    if (bps < rate->bps) {
        set(rate, bps);
    }
}

bool bwe_rate_update(struct bwe_rate *rate, enum bwe_usage usage, float acked_bps,
                     uint64_t rtt_us, bool limited, uint64_t now_us)
{
    uint64_t apart_us = rtt_us < MIN_DECREASE_US   ? MIN_DECREASE_US
                        : rtt_us > MAX_DECREASE_US ? MAX_DECREASE_US
                                                   : rtt_us;

    if (usage == BWE_OVERUSE) {
        rate->increasing = false;
        if (rate->decreased_us != 0 && now_us - rate->decreased_us < apart_us &&
            (acked_bps <= 0 || acked_bps >= rate->bps / 2)) {
            return false;
        }
        decrease(rate, acked_bps, limited);
        rate->changed_us = now_us;
        rate->decreased_us = now_us;
        return true;
    }
    if (usage == BWE_UNDERUSE) {
        rate->increasing = false; /* queues drain: let them */
        return false;
    }
    if (!rate->increasing) {
        rate->increasing = true;
        rate->changed_us = now_us;
        return false;
    }
    increase(rate, acked_bps, rtt_us, limited, now_us);
    rate->changed_us = now_us;
    return false;
}

void bwe_rate_set(struct bwe_rate *rate, float bps, uint64_t now_us)
{
    set(rate, bps);
    rate->changed_us = now_us;
    if (rate->link_bps > 0 && bps > rate->link_bps && is_far(rate, bps)) {
        rate->link_bps = 0;
    }
}

void bwe_rate_on_route(struct bwe_rate *rate)
{
    rate->link_bps = 0;
    rate->increasing = false;
}
