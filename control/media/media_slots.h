/* Who has which slot of a fixed table: gives out handles (index and generation) and takes a
 * slot back only when told that nobody holds it any more. Generations never start over, not
 * even when the table is made anew for another dataplane.
 *
 * Pure but for its memory. */
#ifndef KCS_MEDIA_MEDIA_SLOTS_H
#define KCS_MEDIA_MEDIA_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sfu/base/handle.h"

enum media_slot_state { SLOT_FREE, SLOT_OPEN, SLOT_CLOSING };

#define MEDIA_NO_LANE UINT32_MAX

enum {
    MEDIA_SUB_STREAMS = 3,
    MEDIA_SUB_MOVES = 2 /* from streams to streams, that are not answered yet */
};

struct media_slot {
    uint32_t gen;   /* of its present or next life */
    uint32_t next;  /* in the list of free ones, oldest first */
    uint32_t state; /* enum media_slot_state */

    /* Its place among the lanes; the owner of the slots writes these. */
    uint32_t lane;    /* peers: where commands for it and what is its go */
    uint32_t arrival; /* peers: the lane that receives its packets; MEDIA_NO_LANE unknown */
    uint32_t peer;    /* streams, subscriptions: slot of their peer */
    uint32_t stream[MEDIA_SUB_STREAMS]; /* subscriptions: slots of their streams */
    uint32_t left[MEDIA_SUB_MOVES * MEDIA_SUB_STREAMS]; /* and of those they leave */
    uint32_t n_due;     /* streams: what waits before they are closed (below) */
    bool publishes;     /* peers: it has had a stream */
    bool stays;         /* peers: it does not follow its packets */
    bool waiting;       /* peers: on the move; streams: the opening is not answered yet */
    uint8_t closing;    /* subscriptions: nor the closing; those of its streams (bits) that
                           are on other lanes count it as due … */
    uint8_t left_count; /* … or the change of streams; of 'left' those do */
    uint8_t switching;  /* so many of these are not answered yet; they are in order */
};

struct media_slots {
    struct media_slot *slot;
    uint32_t n;
    uint32_t first, last; /* free ones; UINT32_MAX none */
    uint32_t max_gen;     /* the highest that was ever given out */
    uint32_t floor;       /* max_gen at the reset: lives from before end here */
};

/* Makes 'n' free slots, whatever was there before. Returns 0 or -ENOMEM (then none). */
int media_slots_reset(struct media_slots *slots, uint32_t n);
void media_slots_fini(struct media_slots *slots);

/* Takes the slot that is free for longest. Returns its handle, HANDLE_NONE if none is. */
uint64_t media_slots_take(struct media_slots *slots);

/* Marks the slot of 'handle', left by an earlier control, as open or as closing; right
 * after a reset, in ascending order of index, and never twice. False if there is no such
 * slot. */
bool media_slots_adopt(struct media_slots *slots, uint64_t handle, bool open);

/* Puts free slots that were not adopted into the list; ends a reset. */
void media_slots_ready(struct media_slots *slots);

/* The slot that 'handle' names in 'state', or NULL. */
struct media_slot *media_slots_find(const struct media_slots *slots, uint64_t handle,
                                    enum media_slot_state state);

/* Ends the life of 'handle'. */
void media_slots_release(struct media_slots *slots, uint64_t handle);

#endif
