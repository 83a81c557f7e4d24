/* Shares what a subscriber's link carries (core/bwe) among its subscriptions (core/alloc):
 * limits their layers, holds video that does not fit, and tells the estimator what could be
 * made use of.
 *
 * Thread: the lane of the subscriber. */
#ifndef KCS_STAGE_ALLOT_H
#define KCS_STAGE_ALLOT_H

#include "lane/lane.h"

enum {
    ALLOT_GRACE_US = 2000000 /* after the first feedback: the first probes are made */
};

/* Whether the estimate of its link is worth more than hope. */
bool allot_is_known(const struct lane *lane, struct peer *peer);

/* Without feedback from the peer nothing is limited. */
void allot_peer(struct lane *lane, struct peer *peer);

#endif
