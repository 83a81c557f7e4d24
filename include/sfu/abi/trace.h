/* What stages of a lane took: of one burst in so many (lanes.trace) the lane notes how long
 * each stage worked on it and how many packets it was given. The last samples of each stage
 * lie here; the lane writes over the oldest, asks nobody and waits for nobody. A sample is
 * one word, so whoever reads has it whole. */
#ifndef SFU_ABI_TRACE_H
#define SFU_ABI_TRACE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    ABI_MAX_TRACES = 16,    /* stages */
    ABI_TRACE_SAMPLES = 512 /* of each that are kept; a power of two */
};

struct abi_stage_trace {
    _Alignas(64) _Atomic uint64_t n; /* written so far */
    uint64_t _pad[7];
    _Atomic uint64_t samples[ABI_TRACE_SAMPLES];
};

struct abi_lane_trace {
    struct abi_stage_trace stages[ABI_MAX_TRACES]; /* by the order of trace_names */
};

_Static_assert(sizeof(struct abi_stage_trace) == 64 + 8 * ABI_TRACE_SAMPLES,
               "stage's trace");

struct abi_trace_sample {
    uint32_t cycles; /* of the counter that abi_shm.cycles_per_s is of */
    uint16_t packets;
    uint16_t second; /* CLOCK_MONOTONIC's, the low 16 bits */
};

/* Thread: the lane. */
static inline void abi_trace_put(struct abi_stage_trace *stage,
                                 struct abi_trace_sample sample)
{
    uint64_t n = atomic_load_explicit(&stage->n, memory_order_relaxed);

    atomic_store_explicit(&stage->samples[n % ABI_TRACE_SAMPLES],
                          (uint64_t)sample.cycles | (uint64_t)sample.packets << 32 |
                              (uint64_t)sample.second << 48,
                          memory_order_relaxed);
    atomic_store_explicit(&stage->n, n + 1, memory_order_release);
}

/* Fills 'out' with what is kept, in no order, but that of more than 'most_s' seconds before
 * 'now_us'. Returns how many. */
static inline uint32_t abi_trace_read(const struct abi_stage_trace *stage, uint64_t now_us,
                                      uint32_t most_s,
                                      struct abi_trace_sample out[ABI_TRACE_SAMPLES])
{
    uint64_t n = atomic_load_explicit(&stage->n, memory_order_acquire);
    uint32_t kept = 0;

    for (uint64_t i = 0; i < n && i < ABI_TRACE_SAMPLES; i++) {
        uint64_t word = atomic_load_explicit(&stage->samples[i], memory_order_relaxed);
        struct abi_trace_sample s = {.cycles = (uint32_t)word,
                                     .packets = (uint16_t)(word >> 32),
                                     .second = (uint16_t)(word >> 48)};

        if ((uint16_t)((uint16_t)(now_us / 1000000) - s.second) <= most_s) {
            out[kept++] = s;
        }
    }
    return kept;
}

#endif
