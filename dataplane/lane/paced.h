/* Whose video waits for the pacer on this lane, and when each may go on: a wheel of peers
 * by the millisecond, each peer with the list of its subscriptions whose cursors stand
 * still. No packet is held: a cursor that waits is a place in its stream's ring.
 *
 * Used by stage/route, which puts in and takes out; whoever ends a subscription or gives
 * its peer away calls paced_forget(). Costs O(1) a call. */
#ifndef KCS_LANE_PACED_H
#define KCS_LANE_PACED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACED_SLOTS = 64,
    PACED_TICK_SHIFT = 10, /* a slot is 1024 us: what the pacer forgives is more */
    PACED_ROOMS = 256,     /* as TURNS_ROOMS */
    PACED_DUE = 255        /* in place of a slot: its time has come */
};

struct peer;
struct sub;

struct paced_due {
    struct peer *first, *last;
};

struct paced {
    uint64_t at;   /* the tick that is served next; those before are empty */
    uint64_t busy; /* bit i: slots[i] is not empty */
    struct peer *slots[PACED_SLOTS];
    struct paced_due due[PACED_ROOMS]; /* out of the wheel, until their room's turn */
};

/* 'sub' waits from now on, behind others of its peer, which goes into the wheel if it is
 * not there. It must not wait already. */
void paced_wait(struct paced *paced, struct sub *sub, uint64_t now_us);

/* Takes the next peer that may go on at 'now_us' out of the wheel; NULL if there is none.
 * Its subscriptions still wait: call paced_put() if some are left. */
struct peer *paced_take(struct paced *paced, uint64_t now_us);
void paced_put(struct paced *paced, struct peer *peer, uint64_t now_us);

/* Puts 'peer', just taken, behind those of its room whose time has come, too. Returns the
 * room: that of what it waits for. */
uint8_t paced_put_due(struct paced *paced, struct peer *peer);

static inline bool paced_is_due(const struct paced *paced, uint8_t room)
{
    return paced->due[room].first != NULL;
}

/* Takes the first of those; there is one. Then as after paced_take(). */
struct peer *paced_take_due(struct paced *paced, uint8_t room);

/* The subscription of 'peer' whose turn it is; it goes to the end. At least one waits. */
struct sub *paced_next(struct peer *peer);

/* 'sub' waits no more, if it did; _forget: and its peer leaves the wheel, or its room's
 * list, if no other of it waits. */
void paced_done(struct sub *sub);
void paced_forget(struct paced *paced, struct sub *sub);

/* When paced_take() next yields somebody; UINT64_MAX if nobody waits. */
uint64_t paced_deadline(const struct paced *paced);

#endif
