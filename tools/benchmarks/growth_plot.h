/* Draws what a forward costs as the number of subscribers grows, as a PNG. */
#ifndef BENCHMARKS_GROWTH_PLOT_H
#define BENCHMARKS_GROWTH_PLOT_H

#include "benchmarks/fanout_measure.h"

struct growth_point {
    unsigned n_subs;
    struct fanout_result result;
};

/* Ours and the floor over the number of subscribers (a logarithmic scale), with their
 * ratio.
 *
 * points  ascending, two or more, the first from 10 subscribers on
 *
 * Returns 0, or -EIO if 'path' cannot be written. */
int growth_plot(const struct growth_point *points, size_t n, unsigned size,
                const char *path);

#endif
