/* What each stage takes: of one burst in so many it is measured, and written where control
 * finds it (sfu/abi/trace.h). A burst that comes in, one that goes out and one that is sent
 * again are followed from one stage to the next:
 *
 *     trace_begin(&t, &left); a_burst(); trace_mark(&t, TRACE_A, n, now_us); b_burst(); ...
 *     trace_end(&t, &left);
 *
 * All others pay a comparison a stage. Thread: the lane. */
#ifndef KCS_WORKER_TRACE_H
#define KCS_WORKER_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "sfu/abi/abi.h"

/* X(constant, name that operators see); in the order of the way of a packet. 'consent'
 * sends its answers, too. */
#define TRACE_STAGES(X)                                                                    \
    X(TRACE_RX, "rx")                                                                      \
    X(TRACE_CLASSIFY, "classify")                                                          \
    X(TRACE_UNPROTECT, "unprotect")                                                        \
    X(TRACE_INGEST, "ingest")                                                              \
    X(TRACE_SPREAD, "spread")                                                              \
    X(TRACE_RTCP_IN, "rtcp_in")                                                            \
    X(TRACE_CONSENT, "consent")                                                            \
    X(TRACE_PUNT, "punt")                                                                  \
    X(TRACE_RESEND, "resend")                                                              \
    X(TRACE_ROUTE, "route")                                                                \
    X(TRACE_REWRITE, "rewrite")                                                            \
    X(TRACE_PROTECT, "protect")                                                            \
    X(TRACE_TX, "tx")

enum trace_stage {
#define X(constant, name) constant,
    TRACE_STAGES(X)
#undef X
        N_TRACE_STAGES
};

_Static_assert((int)N_TRACE_STAGES <= (int)ABI_MAX_TRACES, "every stage has a place");

struct trace {
    struct abi_lane_trace *out;             /* NULL: nothing is traced */
    uint64_t every;                         /* one burst in so many; from 1 */
    uint64_t left_in, left_out, left_again; /* bursts until the next that is traced */
    uint64_t from;                          /* the end of the last stage */
    bool on;                                /* of the burst at hand */
};

/* The counter that all is measured in: the time stamp counter; elsewhere than on x86-64
 * nanoseconds. Some 20 ns itself. */
static inline uint64_t trace_cycles(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* How fast it counts. Waits some milliseconds: at start. */
uint64_t trace_cycles_per_s(void);

/* A burst is about to begin: it is traced if nothing is left of 'left'. */
static inline void trace_begin(struct trace *t, const uint64_t *left)
{
    t->on = *left == 0 && t->out != NULL;
    if (t->on) {
        t->from = trace_cycles();
    }
}

/* Notes what a stage took of 'n' packets; none: nothing. */
void trace_note(struct trace *t, enum trace_stage stage, uint16_t n, uint64_t now_us);

/* The stage that was begun last has ended. */
static inline void trace_mark(struct trace *t, enum trace_stage stage, uint16_t n,
                              uint64_t now_us)
{
    if (t->on) {
        trace_note(t, stage, n, now_us);
    }
}

/* The burst has ended. */
static inline void trace_end(struct trace *t, uint64_t *left)
{
    *left = t->on ? t->every - 1 : *left - (*left > 0);
    t->on = false;
}

#endif
