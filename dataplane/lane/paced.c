/* See paced.h. */
#include "lane/paced.h"

#include <stddef.h>

#include "table/peer.h"
#include "table/stream.h"
#include "table/sub.h"

static uint64_t slot_of(uint64_t tick)
{
    return tick % PACED_SLOTS;
}

/* The tick in which 'peer' may go on, at its end; within what the wheel holds. Who may only
 * later is looked at in between. */
static uint64_t tick_of(const struct paced *paced, const struct peer *peer)
{
    uint64_t tick =
        (peer->pacer.ready_us + (1 << PACED_TICK_SHIFT) - 1) >> PACED_TICK_SHIFT;

    if (tick < paced->at) {
        return paced->at;
    }
    return tick - paced->at < PACED_SLOTS ? tick : paced->at + PACED_SLOTS - 1;
}

void paced_put(struct paced *paced, struct peer *peer, uint64_t now_us)
{
    struct peer **head;
    uint64_t slot;

    if (paced->busy == 0) {
        paced->at = now_us >> PACED_TICK_SHIFT;
    }
    slot = slot_of(tick_of(paced, peer));
    head = &paced->slots[slot];
    peer->next_paced = *head;
    if (*head != NULL) {
        (*head)->paced_link = &peer->next_paced;
    }
    peer->paced_link = head;
    peer->paced_slot = (uint8_t)slot;
    *head = peer;
    paced->busy |= UINT64_C(1) << slot;
}

static void unlink_peer(struct paced *paced, struct peer *peer)
{
    struct paced_due *due = &paced->due[peer->paced_room];

    *peer->paced_link = peer->next_paced;
    if (peer->next_paced != NULL) {
        peer->next_paced->paced_link = peer->paced_link;
    } else if (peer->paced_slot == PACED_DUE) {
        due->last = due->first == NULL
                        ? NULL
                        : (struct peer *)(void *)((char *)peer->paced_link -
                                                  offsetof(struct peer, next_paced));
    }
    peer->paced_link = NULL;
    if (peer->paced_slot != PACED_DUE && paced->slots[peer->paced_slot] == NULL) {
        paced->busy &= ~(UINT64_C(1) << peer->paced_slot);
    }
}

uint8_t paced_put_due(struct paced *paced, struct peer *peer)
{
    struct paced_due *due;

    peer->paced_room = peer->behind->stream->room;
    peer->paced_slot = PACED_DUE;
    due = &paced->due[peer->paced_room];
    peer->paced_link = due->last == NULL ? &due->first : &due->last->next_paced;
    *peer->paced_link = peer;
    peer->next_paced = NULL;
    due->last = peer;
    return peer->paced_room;
}

struct peer *paced_take_due(struct paced *paced, uint8_t room)
{
    struct peer *peer = paced->due[room].first;

    unlink_peer(paced, peer);
    return peer;
}

/* Ticks from 'at' to the first slot in use; there is one. */
static unsigned gap(const struct paced *paced)
{
    const unsigned by = (unsigned)slot_of(paced->at);
    const uint64_t turned =
        by == 0 ? paced->busy : paced->busy >> by | paced->busy << (PACED_SLOTS - by);

    return (unsigned)__builtin_ctzll(turned);
}

struct peer *paced_take(struct paced *paced, uint64_t now_us)
{
    struct peer *peer;

    if (paced_deadline(paced) > now_us) {
        return NULL;
    }
    paced->at += gap(paced);
    peer = paced->slots[slot_of(paced->at)];
    unlink_peer(paced, peer);
    return peer;
}

uint64_t paced_deadline(const struct paced *paced)
{
    return paced->busy != 0 ? (paced->at + gap(paced)) << PACED_TICK_SHIFT : UINT64_MAX;
}

static void append(struct peer *peer, struct sub *sub)
{
    sub->next_behind = NULL;
    if (peer->behind == NULL) {
        peer->behind = sub;
    } else {
        peer->behind_last->next_behind = sub;
    }
    peer->behind_last = sub;
}

void paced_wait(struct paced *paced, struct sub *sub, uint64_t now_us)
{
    sub->behind = true;
    sub->behind_us = now_us;
    append(sub->peer, sub);
    if (sub->peer->paced_link == NULL) {
        paced_put(paced, sub->peer, now_us);
    }
}

struct sub *paced_next(struct peer *peer)
{
    struct sub *sub = peer->behind;

    if (sub->next_behind != NULL) {
        peer->behind = sub->next_behind;
        append(peer, sub);
    }
    return sub;
}

void paced_done(struct sub *sub)
{
    struct peer *peer = sub->peer;
    struct sub *before = NULL;

    if (!sub->behind) {
        return;
    }
    for (struct sub *s = peer->behind; s != sub; s = s->next_behind) {
        before = s;
    }
    if (before == NULL) {
        peer->behind = sub->next_behind;
    } else {
        before->next_behind = sub->next_behind;
    }
    if (peer->behind_last == sub) {
        peer->behind_last = before;
    }
    sub->next_behind = NULL;
    sub->behind = false;
}

void paced_forget(struct paced *paced, struct sub *sub)
{
    struct peer *peer = sub->peer;

    paced_done(sub);
    if (peer->behind == NULL && peer->paced_link != NULL) {
        unlink_peer(paced, peer);
    }
}
