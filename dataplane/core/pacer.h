/* Spreads what comes at once, a key frame, over time, so that it does not fill the queue of
 * a slow link and delay the audio behind it. It holds no packet: a video subscription whose
 * peer is not ready leaves its cursor where it is; audio is sent in any case.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_PACER_H
#define CORE_PACER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PACER_BURST_US = 2000, /* that much may be sent at once after a silence */
    PACER_MAX_STEP_US = 20000
};

struct pacer {
    uint64_t ready_us; /* video may be sent from then on */
};

/* Whether a packet of video may be sent now. */
static inline bool pacer_is_ready(const struct pacer *pacer, uint64_t now_us)
{
    return now_us >= pacer->ready_us;
}

/* A packet was sent again, which never waits: fresh video does so much longer, but for it
 * alone no longer than one step, and never beyond 'late_us', when what waits has waited for
 * the whole window (UINT64_MAX: nothing waits). Else who asks for much again and again
 * would be sent nothing new. */
static inline void pacer_on_repair(struct pacer *pacer, uint32_t len, uint64_t rate_bps,
                                   uint64_t late_us, uint64_t now_us)
{
    uint64_t from_us = now_us > PACER_BURST_US ? now_us - PACER_BURST_US : 0;
    uint64_t most_us = now_us + PACER_MAX_STEP_US;
    uint64_t ready_us;

    if (rate_bps == 0) {
        return;
    }
    ready_us = pacer->ready_us > from_us ? pacer->ready_us : from_us;
    ready_us += (uint64_t)len * 8000000 / rate_bps;
    most_us = most_us < late_us ? most_us : late_us;
    ready_us = ready_us < most_us ? ready_us : most_us;
    pacer->ready_us = ready_us > pacer->ready_us ? ready_us : pacer->ready_us;
}

/* A packet of video was sent.
 *
 * rate_bps   at which a burst is to leave: some times the estimate, so that only what is
 *            out of the ordinary is spread; 0 no limit
 * age_us     how long ago the packet came to us: what waits already goes faster
 * window_us  no packet is held back for longer than this; 0 none is */
static inline void pacer_on_video(struct pacer *pacer, uint32_t len, uint64_t rate_bps,
                                  uint64_t age_us, uint32_t window_us, uint64_t now_us)
{
    uint64_t from_us = now_us > PACER_BURST_US ? now_us - PACER_BURST_US : 0;
    uint64_t step_us;

    if (rate_bps == 0 || age_us >= window_us) {
        return;
    }
    step_us = (uint64_t)len * 8000000 / rate_bps;
    step_us = step_us * (window_us - age_us) / window_us;
    step_us = step_us < PACER_MAX_STEP_US ? step_us : PACER_MAX_STEP_US;
    if (pacer->ready_us < from_us) {
        pacer->ready_us = from_us;
    }
    pacer->ready_us += step_us;
}

#endif
