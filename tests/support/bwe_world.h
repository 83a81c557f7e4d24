/* One subscriber behind a bottleneck, in virtual time: the product's estimator, allocation
 * and pacer on this side, its transport-cc receiver on the other, a virtual network with a
 * queue between them. What it measures is asserted by tests/sim and drawn by tools/bench.
 *
 * Pure: the same scenario and seed give the same trace. */
#ifndef SUPPORT_BWE_WORLD_H
#define SUPPORT_BWE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/vnet.h"

enum { WORLD_STEPS = 4, WORLD_SAMPLE_US = 100000, WORLD_SAMPLES = 2000, WORLD_LAYERS = 3 };

struct world_step {
    uint32_t at_ms;
    uint32_t rate_bps;
};

/* Somebody whose processor is shared: runs for up to 'run_us', then stands still. */
struct world_stalls {
    uint32_t run_us; /* 0: never stands still */
    uint32_t least_us, most_us;
};

struct world_scenario {
    const char *name;
    const char *text;
    struct vnet_conf net; /* towards the subscriber; the rate is in 'steps' */
    struct world_step steps[WORLD_STEPS];
    uint32_t seconds;
    bool layered; /* simulcast of three layers; else media that takes what it is given */
    bool tcp;     /* a TCP flow through the same queue, from 10 s to 40 s */
    uint32_t fixed_bps; /* not 0: one layer of this rate, sent whole or withheld */
    uint32_t bare_bps;  /* not 0: of audio, which then has no transport-wide numbers */
    uint32_t key_ms;    /* a key frame each so often, besides those of switches; 0 none */
    uint32_t busy_ms;   /* the publisher makes a third for so long … */
    uint32_t busy_in_ms; /* … in each of this; 0 never */
    uint32_t key_wait_ms; /* the key frame of another layer comes so late */
    bool unpaced;       /* video leaves as it comes */
    bool unpadded;      /* the receiver takes no padding: media is the only probe */
    bool remb; /* nor does it know transport-cc: it estimates by abs-send-time */
    struct world_stalls rx; /* the receiver: what came meanwhile is noted afterwards */
    struct world_stalls tx; /* the sender, between noting a packet and sending it */
};

extern const struct world_scenario world_scenarios[];
extern const size_t world_n_scenarios;

struct world_sample {
    float capacity_bps, estimate_bps, sent_bps, arrived_bps, tcp_bps, media_bps;
    float queue_ms; /* the most in this span */
    int8_t level;   /* of a layered subscriber */
};

/* Of the span that follows a step of the capacity. */
struct world_phase {
    uint32_t begin_ms, end_ms;
    uint32_t capacity_bps;
    int32_t converged_ms; /* since the step: within bounds from then on; -1 never */
    float utilisation;    /* arrived (with TCP's, if any) / capacity, after convergence */
    float estimate;       /* estimate / capacity, likewise */
    float queue_p50_ms, queue_p95_ms; /* after convergence */
    float loss;                       /* of our packets */
};

struct world_trace {
    size_t n;
    struct world_sample samples[WORLD_SAMPLES];
    size_t n_phases;
    struct world_phase phases[WORLD_STEPS];
    struct world_phase all; /* from the first convergence to the end */
    float audio_p95_ms;     /* how long audio was held up, queue included */
    uint32_t n_probes;
    uint32_t switches; /* of layers */
    uint32_t n_trials; /* that ended in vain or well */
    uint32_t n_frames, n_withheld;
};

/* Runs 'scenario'. 'trace' is filled. */
void world_run(const struct world_scenario *scenario, uint64_t seed,
               struct world_trace *trace);

/* What the layers of a layered scenario cost. */
extern const uint32_t world_layer_bps[WORLD_LAYERS];

#endif
