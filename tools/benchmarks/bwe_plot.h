/* Draws the trace of one simulated subscriber as a PNG. */
#ifndef BENCHMARKS_BWE_PLOT_H
#define BENCHMARKS_BWE_PLOT_H

#include "support/bwe_world.h"

/* Two panels over time: rates (estimate, sent, capacity, TCP), and the queue's delay.
 * Returns 0, or -EIO if 'path' cannot be written. */
int bwe_plot(const struct world_scenario *scenario, const struct world_trace *trace,
             const char *path);

#endif
