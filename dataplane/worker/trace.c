/* See trace.h. */
#include "worker/trace.h"

enum { MEASURE_NS = 5000000 };

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t trace_cycles_per_s(void)
{
    const struct timespec moment = {.tv_nsec = MEASURE_NS};
    const uint64_t from_ns = monotonic_ns();
    const uint64_t from = trace_cycles();

    (void)nanosleep(&moment, NULL); /* this long at least */
    return (trace_cycles() - from) * UINT64_C(1000000) /
           ((monotonic_ns() - from_ns) / 1000);
}

void trace_note(struct trace *t, enum trace_stage stage, uint16_t n, uint64_t now_us)
{
    const uint64_t cycles = trace_cycles() - t->from;

    if (n > 0) {
        abi_trace_put(&t->out->stages[stage],
                      (struct abi_trace_sample){
                          .cycles = cycles < UINT32_MAX ? (uint32_t)cycles : UINT32_MAX,
                          .packets = n,
                          .second = (uint16_t)(now_us / 1000000)});
    }
    t->from = trace_cycles(); /* what we took is no stage's */
}
