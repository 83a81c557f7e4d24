/* The networks that every core is sent through. */
#ifndef SIM_SHAPES_H
#define SIM_SHAPES_H

#include "support/vnet.h"

enum { SIM_SEEDS = 24 };

struct shape {
    const char *name;
    struct vnet_conf net;
};

static const struct shape shapes[] = {
    {"wire", {.delay_us = 20000}},
    {"jitter", {.delay_us = 20000, .jitter_us = 15000}},
    {"loss", {.delay_us = 40000, .jitter_us = 2000, .loss = 100000}},
    {"bursts",
     {.delay_us = 40000, .jitter_us = 500, .burst_begin = 5000, .burst_end = 50000}},
    {"reordering",
     {.delay_us = 10000, .jitter_us = 1000, .reorder = 50000, .reorder_us = 30000}},
    {"duplicates",
     {.delay_us = 10000, .duplicate = 50000, .reorder = 20000, .reorder_us = 9000}},
    {"bottleneck", {.delay_us = 30000, .rate_bps = 3000000, .queue_bytes = 30000}},
    {"everything",
     {.delay_us = 80000,
      .jitter_us = 20000,
      .loss = 20000,
      .burst_begin = 2000,
      .burst_end = 100000,
      .reorder = 20000,
      .reorder_us = 25000,
      .duplicate = 10000,
      .rate_bps = 8000000,
      .queue_bytes = 60000}},
};

enum { SIM_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

#endif
