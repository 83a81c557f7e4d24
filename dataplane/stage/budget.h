/* What each subscriber's link carries: runs the estimators (core/bwe) by timer, puts those
 * that probe into the lane's list (stage/padding sends for them), and tells control when
 * what is available has changed.
 *
 * Thread: the lane. */
#ifndef KCS_STAGE_BUDGET_H
#define KCS_STAGE_BUDGET_H

#include "lane/lane.h"

enum {
    BUDGET_SWEEP_US = BWE_TICK_US,
    BUDGET_ALLOT_US = 100000,
    BUDGET_REST_US = 1000000, /* where nothing changes by itself (stage/allot) */
    BUDGET_RATE_US = ALLOC_COST_US, /* what layers cost is worked out this often */
    BUDGET_PACE_NUM = 5,            /* video leaves at the target times 5 / 4 */
    BUDGET_PACE_DEN = 4,
    BUDGET_TELL_US = 1000000, /* control hears of one peer at most this often, … */
    BUDGET_TELL_SHARE = 10    /* … if it changed by a tenth */
};

/* A step of the sweep over the open peers. Bounded work a call: who is sent nothing, of whom
 * nothing is heard and whose time has not come, costs a look at one line. */
void budget_sweep(struct lane *lane);

/* When budget_sweep() or padding_burst() next has something to do. */
uint64_t budget_deadline(const struct lane *lane);

#endif
