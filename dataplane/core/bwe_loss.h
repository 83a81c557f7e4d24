/* The rate that loss allows. Much loss lowers it, little lets it rise. When it was lowered
 * by a quarter it is judged: if as much arrives as before the link was full; if what
 * arrives fell with what was sent, the loss is the path's own (radio, say) and is not held
 * against us from then on. Part of core/bwe.
 *
 * Pure: no clock, no allocation.  draft-ietf-rmcat-gcc-02, section 6. */
#ifndef CORE_BWE_LOSS_H
#define CORE_BWE_LOSS_H

#include <stdint.h>

struct bwe_loss {
    float bps; /* the bound; max_bps if there is none */
    float max_bps, min_bps;
    float share;                    /* of packets that are lost, smoothed; 0..1 */
    float inherent;                 /* of those, what does not depend on our rate */
    float run_bps, run_share;       /* when the rate began to fall; 0: it does not */
    uint32_t n, n_lost;             /* not looked at yet */
    uint32_t n_after, n_lost_after; /* since the rate has fallen far enough to judge */
    uint64_t at_us;                 /* when the last were */
    uint64_t decreased_us;
};

void bwe_loss_init(struct bwe_loss *loss, float min_bps, float max_bps);

/* A feedback told of 'n' packets more, of which 'n_lost' did not arrive. 'bps' is the rate
 * that is sent at. */
void bwe_loss_on_feedback(struct bwe_loss *loss, uint32_t n, uint32_t n_lost, float bps,
                          uint64_t rtt_us, uint64_t now_us);

/* A probe has shown that 'bps' get through. */
void bwe_loss_on_probe(struct bwe_loss *loss, float bps);

#endif
