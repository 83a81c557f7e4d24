/* Shares what a subscriber's link carries among the streams it receives: audio always,
 * then screen shares, then cameras by priority and by visible size. Video is paused before
 * audio suffers, and resumes with some reserve and some patience, so that a noisy estimate
 * does not make layers flap.
 *
 * Fed by core/bwe (the budget) and by what is measured of the layers; its answers are the
 * target layers of the subscriptions.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_ALLOC_H
#define CORE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ALLOC_LEVELS = 12,   /* layers of one stream, spatial and temporal, by cost */
    ALLOC_STREAMS = 1025, /* of a subscriber: as many as may have consumers, and audio */
    ALLOC_PAUSED = -1,
    ALLOC_COST_US = 500000
};

enum alloc_kind { ALLOC_AUDIO, ALLOC_SCREEN, ALLOC_CAMERA };

/* One stream. The caller keeps it in any order; 'level' is in and out. */
struct alloc_stream {
    uint32_t bps[ALLOC_LEVELS]; /* what a level costs in all, not less than the one below */
    uint8_t n_levels;           /* 0: nothing is known or sent: gets ALLOC_PAUSED + 1 = 0 */
    uint8_t max_level;          /* not above: a wish, or the size that is visible */
    uint8_t kind;               /* enum alloc_kind */
    uint8_t priority;           /* 0..255, more is first */
    uint32_t area;              /* visible pixels, 0 unknown; more is first */
    int8_t level;               /* ALLOC_PAUSED or 0..max_level */
};

struct alloc_conf {
    /* after something had to go down, nothing goes up: 2000000; doubled and doubled again
     * while what goes up does not stay, unless there is clearly more than it was given for
     */
    uint32_t patience_us;
    uint16_t reserve; /* of 1024: share of the budget that is not given to what goes up */
};

struct alloc {
    struct alloc_conf conf;
    uint64_t fell_us;    /* 0: nothing had to go down */
    uint64_t raised_us;  /* the last that went up and has not come down; 0 none */
    uint64_t raised_bps; /* the budget that it was given for */
    uint8_t n_failed; /* so many that went up came down again soon, one after the other */
    bool keep;        /* the link shows no congestion: what a stream has it keeps */
};

void alloc_init(struct alloc *alloc, const struct alloc_conf *conf); /* conf: borrowed */

/* Sets the level of each of 'n' streams (at most ALLOC_STREAMS; those beyond are paused) so
 * that what they cost, with audio, is within 'budget_bps'. Audio is never paused, whatever
 * the budget. While alloc->keep is set, which the caller does, the budget limits only what
 * goes up: an estimate that nothing has confirmed is no reason to withhold what arrives.
 *
 * Returns true if a level has changed.  Cost: O(n log n) for n streams. */
bool alloc_run(struct alloc *alloc, struct alloc_stream *streams, size_t n,
               uint64_t budget_bps, uint64_t now_us);

/* What a layer costs, after a span of ALLOC_COST_US in which it came at 'bps'; 'was_bps' is
 * the answer of before, 0 the first time. That it takes more is believed soon; that it
 * takes less only slowly: an encoder whose processor is busy makes less for a moment. */
uint32_t alloc_cost(uint32_t was_bps, uint32_t bps);

/* What all streams together could use: each at its highest level. */
uint64_t alloc_wanted(const struct alloc_stream *streams, size_t n);

/* What they cost at the levels that they have. */
uint64_t alloc_spent(const struct alloc_stream *streams, size_t n);

/* Instead of alloc_run(), whatever the budget: gives the stream that is the next to get a
 * level that one level more, and leaves all others as they are. Returns false, and all as it
 * was, if all have what they ask for, or if it is too soon after one had to go down. */
bool alloc_raise(struct alloc *alloc, struct alloc_stream *streams, size_t n,
                 uint64_t now_us);

#endif
