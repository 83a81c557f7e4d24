#include "core/bwe_loss.h"

#include <stdbool.h>
#include <string.h>

enum {
    MIN_PACKETS = 20, /* fewer say too little */
    PACKETS = 60,
    JUDGED_PACKETS = 120,
    MAX_WAIT_US = 1000000, /* that as many as that are waited for */
    STALE_US = 3000000,
    DECREASE_US = 300000   /* between two decreases, and a round trip more */
};

static const float LITTLE = 0.02f;
static const float MUCH = 0.10f;
static const float GAIN = 0.3f;
static const float GROWTH = 0.08f;    /* a second */
static const float JUDGED_AT = 0.78f; /* of the rate at which the run began */

void bwe_loss_init(struct bwe_loss *loss, float min_bps, float max_bps)
{
    memset(loss, 0, sizeof(*loss));
    loss->bps = max_bps;
    loss->max_bps = max_bps;
    loss->min_bps = min_bps;
}

static void raise(struct bwe_loss *loss, float share_of_growth, float since_s)
{
    loss->bps += loss->bps * GROWTH * share_of_growth * since_s;
    loss->bps = loss->bps < loss->max_bps ? loss->bps : loss->max_bps;
}

static void lower(struct bwe_loss *loss, float excess, float share, float bps,
                  uint64_t now_us)
{
    if (loss->run_bps <= 0) {
        loss->run_bps = bps;
        /* the smoothed one lags behind */
        loss->run_share = share > loss->share ? share : loss->share;
        loss->n_after = 0;
        loss->n_lost_after = 0;
    }
    loss->bps = (bps < loss->bps ? bps : loss->bps) * (1 - excess / 2);
    loss->bps = loss->bps > loss->min_bps ? loss->bps : loss->min_bps;
    loss->decreased_us = now_us;
}

/* The rate is as low as it has to be for a verdict: waits for what arrives at it. Returns
 * true while it does. */
static bool try_run(struct bwe_loss *loss, uint32_t n, uint32_t n_lost, float bps)
{
    const float ratio = bps / loss->run_bps;
    float share, arrives;

    if (loss->run_bps <= 0 || ratio > JUDGED_AT) {
        return false;
    }
    loss->n_after += n;
    loss->n_lost_after += n_lost;
    if (loss->n_after < JUDGED_PACKETS) {
        return true;
    }
    share = (float)loss->n_lost_after / (float)loss->n_after;
    arrives = ratio * (1 - share) / (1 - loss->run_share);
    loss->run_bps = 0;
    loss->share = share;
    if (arrives < (1 + ratio) / 2) {
        loss->inherent = share;
        loss->bps = loss->max_bps;
    }
    return false;
}

static void judge(struct bwe_loss *loss, float share, float bps, uint64_t rtt_us,
                  uint64_t now_us)
{
    float since_s = (float)(now_us - loss->at_us) / 1e6f;
    float excess;

    if (loss->share < loss->inherent) {
        loss->inherent += GAIN * (loss->share - loss->inherent);
    }
    excess = (loss->share - loss->inherent) / (1 - loss->inherent);
    since_s = since_s < 1 ? since_s : 1;
    if (excess <= LITTLE) {
        loss->run_bps = 0;
        raise(loss, 1, since_s);
    } else if (excess <= MUCH) {
        /* repaired by retransmission; held to would be stuck on a path that loses a bit */
        raise(loss, 0.5f, since_s);
    } else if (now_us - loss->decreased_us >= DECREASE_US + rtt_us) {
        lower(loss, excess, share, bps, now_us);
    }
}

void bwe_loss_on_feedback(struct bwe_loss *loss, uint32_t n, uint32_t n_lost, float bps,
                          uint64_t rtt_us, uint64_t now_us)
{
    float share;

    if (loss->at_us == 0 || now_us - loss->at_us > STALE_US) {
        /* nothing was sent for that long: what was lost before says nothing of now */
        loss->at_us = now_us;
        loss->n = loss->n_lost = 0;
        loss->share = loss->inherent;
        loss->run_bps = 0;
    }
    loss->n += n;
    loss->n_lost += n_lost;
    if (loss->n < MIN_PACKETS ||
        (loss->n < PACKETS && now_us - loss->at_us < MAX_WAIT_US)) {
        return;
    }
    share = (float)loss->n_lost / (float)loss->n;
    loss->share += GAIN * (share - loss->share);
    if (!try_run(loss, loss->n, loss->n_lost, bps)) {
        judge(loss, share, bps, rtt_us, now_us);
    }
    loss->n = 0;
    loss->n_lost = 0;
    loss->at_us = now_us;
}

void bwe_loss_on_probe(struct bwe_loss *loss, float bps)
{
    if (loss->bps < bps && loss->share - loss->inherent < MUCH) {
        loss->bps = bps;
    }
}
