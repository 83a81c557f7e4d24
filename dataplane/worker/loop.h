/* What one lane does for ever: receive, fan out, RTCP, control's commands and datagrams,
 * news and statistics; and when there is nothing to do, how it sleeps. */
#ifndef KCS_WORKER_LOOP_H
#define KCS_WORKER_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "worker/pipeline.h"
#include "worker/report.h"
#include "worker/shared.h"
#include "worker/spin.h"

enum loop_state { LOOP_RUN, LOOP_HOLD, LOOP_STOP };

struct loop {
    struct lane lane;
    struct pipeline pipe;
    struct shared *shared;
    struct shared_lane *mine; /* this lane's part of it */
    bool busy;                /* never sleep */
    bool captured;            /* control has to be told of copies in its ring */
    uint64_t active_us;       /* when there was work last */
    struct spin spin;
    uint64_t report_due_us;
    uint64_t objects_due_us;
    struct report_loop counts;

    uint64_t pending_cookie, pending_handle; /* of lane.pending */

    /* Set by the attaching thread. HOLD: touch nothing, set 'held', and wait for another
     * state; meanwhile that thread brings the objects in line with the vault, or closes
     * them. */
    _Atomic int state; /* enum loop_state */
    _Atomic bool held;
};

/* lane, pipe.io, shared and mine are set by the caller before. */
void loop_init(struct loop *loop);

/* One turn: every kind of work once. Returns how much there was. */
uint32_t loop_turn(struct loop *loop);

/* Turns until LOOP_STOP. The lane's thread calls it. */
void loop_run(struct loop *loop);

/* Works off what lanes have for each other, and ends the moves that they are at: what was
 * received before is lost to nobody. Answers to commands are not given. While all lanes rest;
 * any thread. */
void loop_settle(struct loop *const *loops, uint32_t n);

/* Wakes a lane that may sleep. Any thread. */
void loop_wake(const struct loop *loop);

#endif
