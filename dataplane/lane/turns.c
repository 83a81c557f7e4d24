/* See turns.h. */
#include "lane/turns.h"

#include <stddef.h>

#include "table/stream.h"

void turns_queue(struct turns *turns, uint8_t room)
{
    struct turns_room *r = &turns->rooms[room];

    if (r->queued) {
        return;
    }
    r->queued = true;
    r->next = NULL;
    r->spent = 0;
    if (turns->first == NULL) {
        turns->first = r;
    } else {
        turns->last->next = r;
    }
    turns->last = r;
}

/* Takes the room whose turn it is out. */
static struct turns_room *shift(struct turns *turns)
{
    struct turns_room *r = turns->first;

    turns->first = r->next;
    r->queued = false;
    return r;
}

void turns_dequeue(struct turns *turns, uint8_t room)
{
    struct turns_room *r = &turns->rooms[room];
    struct turns_room *before = NULL;

    if (!r->queued) {
        return;
    }
    for (struct turns_room *at = turns->first; at != r; at = at->next) {
        before = at;
    }
    if (before == NULL) {
        turns->first = r->next;
    } else {
        before->next = r->next;
    }
    if (turns->last == r) {
        turns->last = before;
    }
    r->queued = false;
}

void turns_spend(struct turns *turns, uint32_t cost, bool left)
{
    struct turns_room *r = turns->first;

    r->spent += cost;
    if (!left) {
        (void)shift(turns);
        return;
    }
    if (r->spent < TURNS_QUANTUM) {
        return;
    }
    if (r->next == NULL) {
        r->spent = 0;
        return;
    }
    /* what it had too much it lacks in its next turn */
    cost = r->spent - TURNS_QUANTUM;
    turns_queue(turns, (uint8_t)(shift(turns) - turns->rooms));
    r->spent = cost < TURNS_QUANTUM ? cost : TURNS_QUANTUM;
}

void turns_add(struct turns *turns, uint8_t room, struct stream_readers *readers)
{
    struct turns_room *r = &turns->rooms[room];

    readers->grown = NULL;
    if (r->first == NULL) {
        r->first = readers;
    } else {
        r->last->grown = readers;
    }
    r->last = readers;
    turns_queue(turns, room);
}

void turns_remove(struct turns *turns, uint8_t room, struct stream_readers *readers)
{
    struct turns_room *r = &turns->rooms[room];
    struct stream_readers *before = NULL;

    for (struct stream_readers *at = r->first; at != readers; at = at->grown) {
        before = at;
    }
    if (before == NULL) {
        r->first = readers->grown;
    } else {
        before->grown = readers->grown;
    }
    if (r->last == readers) {
        r->last = before;
    }
}
