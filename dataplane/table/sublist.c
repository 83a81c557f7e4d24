/* See sublist.h. */
#include "table/sublist.h"

#include <errno.h>

void sublist_pool_init(struct sublist_pool *pool, struct sublist_chunk *chunks, size_t n)
{
    *pool = (struct sublist_pool){.fresh = chunks, .n_fresh = n};
}

static struct sublist_chunk *take(struct sublist_pool *pool)
{
    struct sublist_chunk *chunk = pool->free;

    if (chunk != NULL) {
        pool->free = chunk->next;
    } else if (pool->n_fresh > 0) {
        chunk = pool->fresh++;
        pool->n_fresh--;
    }
    return chunk;
}

void sublist_needs(struct sublist_at at, uint16_t targets)
{
    const uint64_t bit = UINT64_C(1) << at.i;

    at.chunk->asked &= ~bit;
    at.chunk->any = (at.chunk->any & ~bit) | (uint64_t)(targets != 0) << at.i;
    for (unsigned t = 0; t < SUBLIST_TARGETS; t++) {
        at.chunk->needs[t] =
            (at.chunk->needs[t] & ~bit) | (uint64_t)(targets >> t & 1) << at.i;
    }
}

int sublist_add(struct sublist *list, struct sublist_pool *pool, struct sub *sub,
                struct sublist_at *at)
{
    if (list->last == NULL || list->n_last == SUBLIST_CHUNK) {
        struct sublist_chunk *chunk = take(pool);

        if (chunk == NULL) {
            return -ENOSPC;
        }
        chunk->next = NULL;
        chunk->prev = list->last;
        if (list->last != NULL) {
            list->last->next = chunk;
        } else {
            list->first = chunk;
        }
        list->last = chunk;
        list->n_last = 0;
    }
    list->last->subs[list->n_last] = sub;
    *at = (struct sublist_at){.chunk = list->last, .i = list->n_last};
    sublist_ask(*at);
    list->n_last++;
    list->n++;
    return 0;
}

struct sub *sublist_remove(struct sublist *list, struct sublist_pool *pool,
                           struct sublist_at at)
{
    struct sublist_chunk *last = list->last;
    struct sub *moved = last->subs[list->n_last - 1];
    struct sub *gone = at.chunk->subs[at.i];

    at.chunk->subs[at.i] = moved;
    sublist_ask(at);
    last->subs[--list->n_last] = NULL;
    sublist_needs((struct sublist_at){.chunk = last, .i = list->n_last}, 0);
    list->n--;
    if (list->n_last == 0) {
        list->last = last->prev;
        if (list->last != NULL) {
            list->last->next = NULL;
            list->n_last = SUBLIST_CHUNK;
        } else {
            list->first = NULL;
        }
        last->next = pool->free;
        pool->free = last;
    }
    return moved == gone ? NULL : moved;
}
