/* Trying whether a link carries more where no probe can tell: for receivers that say how
 * much arrives only by REMB, and for those whose probes cannot be padded. The media itself
 * is the probe: after a rest one stream gets one level more than the estimate allows. It is
 * kept if the estimate follows, as it does when what comes gets through, or if for a while
 * nothing speaks against it; else it goes, and the rest before the next is twice as long.
 *
 * Fed by stage/allot, between core/bwe and core/alloc.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_TRIAL_H
#define CORE_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TRIAL_REST_US = 5000000, /* before a trial, since anything went down; doubled … */
    TRIAL_DOUBLED = 3,       /* … at most so often */
    TRIAL_DEAF_US = 1000000, /* it begins with a key frame, which may queue for a moment */
    TRIAL_GREW_US = 2500000, /* what has not grown for so long does not */
    TRIAL_SHOW_US = 5000000  /* who is silent, or says ever more, for so long agrees */
};

struct trial {
    bool on;
    uint8_t n_failed; /* in sequence */
    uint64_t since_us, ended_us;
    uint64_t won_us;    /* when the last one ended well; 0 that is settled */
    uint64_t grew_us;   /* when what is told last grew in this one, … */
    uint64_t grown_bps; /* … to this */
};

struct trial_view {
    uint64_t estimate_bps;
    uint64_t told_bps;  /* by the receiver, or its feedback: goes up slowly, but does */
    uint64_t spent_bps; /* by all levels that are given now */
    bool more;          /* some stream could use a level more */
    bool calm;          /* the estimator sees nothing against what is sent: bwe_is_calm() */
    bool remb;          /* the receiver's own estimate is all there is */
    bool silent;        /* and it has said nothing since the trial began */
    uint64_t fell_us;   /* when queues, loss, or a level that went down last spoke for
                           less; 0 never */
};

enum trial_step {
    TRIAL_NONE,
    TRIAL_BEGINS, /* one level more than the estimate allows is to be given */
    TRIAL_LASTS,  /* what is given is to be kept, whatever the estimate */
    TRIAL_SHOWN   /* it ended well: 'spent_bps' gets through, whatever the estimate */
};

/* Call once a round of allocation, before it. A zeroed trial rests first. */
enum trial_step trial_tick(struct trial *trial, const struct trial_view *view,
                           uint64_t now_us);

/* What was to begin could not: nothing is to be learnt from it. */
static inline void trial_cancel(struct trial *trial)
{
    trial->on = false;
}

#endif
