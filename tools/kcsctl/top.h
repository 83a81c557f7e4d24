/* What `kcsctl top` makes of two looks at a node; the rest of it is in top.c alone. */
#ifndef KCSCTL_TOP_H
#define KCSCTL_TOP_H

#include <jansson.h>

/* One look: what the node answered to /status, /lanes, /rooms and /peers (NULL: not asked),
 * and when. */
struct top_look {
    double at_s; /* monotonic */
    json_t *status, *lanes, *rooms, *peers;
};

void top_forget(struct top_look *look);

/* The node between two looks (borrowed): rates where there are counters. A new reference. */
json_t *top_frame(const struct top_look *before, const struct top_look *now);

#endif
