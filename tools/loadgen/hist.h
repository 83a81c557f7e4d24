/* A histogram of delays: 32 steps to each power of two, so a quantile is right to 3 %, at
 * any scale and in fixed memory.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef LOADGEN_HIST_H
#define LOADGEN_HIST_H

#include <stdint.h>

enum {
    HIST_STEPS = 32,
    HIST_DOUBLINGS = 36,
    HIST_CELLS = HIST_STEPS * (HIST_DOUBLINGS + 1)
};

struct hist {
    uint64_t n;
    uint64_t max;
    uint64_t cells[HIST_CELLS];
};

/* Counts 'value'; what is too large for the cells counts in the last. */
void hist_add(struct hist *hist, uint64_t value);

/* Counts in 'to' what is counted in 'from', too. */
void hist_merge(struct hist *to, const struct hist *from);

/* The value that 'permille' of those counted do not exceed, rounded up by at most 3 % and
 * never above the greatest; 0 if none were counted. */
uint64_t hist_quantile(const struct hist *hist, unsigned permille);

#endif
