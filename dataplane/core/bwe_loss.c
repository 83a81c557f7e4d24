#include "core/bwe_loss.h"

#include <string.h>

enum {
    MIN_PACKETS = 20, /* fewer say too little */
    PACKETS = 60,
    MAX_WAIT_US = 1000000, /* that as many as that are waited for */
    DECREASE_US = 300000   /* between two decreases, and a round trip more */
};

static const float LITTLE = 0.02f;
static const float MUCH = 0.10f;
static const float GAIN = 0.3f;
static const float GROWTH = 0.08f;    /* a second */
static const float JUDGED_AT = 0.75f; /* of the rate at which the run began */
static const float SAME = 0.7f;       /* of the loss then */

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

static void lower(struct bwe_loss *loss, float excess, float bps, uint64_t now_us)
{
    if (loss->run_bps <= 0) {
        loss->run_bps = bps;
        loss->run_share = loss->share;
    }
    loss->bps = (bps < loss->bps ? bps : loss->bps) * (1 - excess / 2);
    loss->bps = loss->bps > loss->min_bps ? loss->bps : loss->min_bps;
    loss->decreased_us = now_us;
    if (loss->bps < JUDGED_AT * loss->run_bps) {
        if (loss->share > SAME * loss->run_share) {
            loss->inherent = loss->share;
            loss->bps = loss->run_bps;
        }
        loss->run_bps = 0;
    }
}

static void judge(struct bwe_loss *loss, float bps, uint64_t rtt_us, uint64_t now_us)
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
        lower(loss, excess, bps, now_us);
    }
}

void bwe_loss_on_feedback(struct bwe_loss *loss, uint32_t n, uint32_t n_lost, float bps,
                          uint64_t rtt_us, uint64_t now_us)
{
    float share;

    if (loss->at_us == 0) {
        loss->at_us = now_us;
    }
    loss->n += n;
    loss->n_lost += n_lost;
    if (loss->n < MIN_PACKETS ||
        (loss->n < PACKETS && now_us - loss->at_us < MAX_WAIT_US)) {
        return;
    }
    share = (float)loss->n_lost / (float)loss->n;
    loss->share += GAIN * (share - loss->share);
    loss->n = 0;
    loss->n_lost = 0;
    judge(loss, bps, rtt_us, now_us);
    loss->at_us = now_us;
}

void bwe_loss_on_probe(struct bwe_loss *loss, float bps)
{
    if (loss->bps < bps && loss->share - loss->inherent < MUCH) {
        loss->bps = bps;
    }
}
