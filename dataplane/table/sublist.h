/* The subscriptions of one stream on one lane: chunks of pointers, dense inside of a chunk
 * so that fan-out prefetches well ahead. Chunks come from a pool made at start, so adding
 * never allocates.
 *
 * Thread: the lane that owns the list. */
#ifndef KCS_TABLE_SUBLIST_H
#define KCS_TABLE_SUBLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUBLIST_CHUNK = 62 };

struct sub;

struct sublist_chunk {
    _Alignas(64) struct sublist_chunk *next;
    struct sublist_chunk *prev;
    struct sub *subs[SUBLIST_CHUNK]; /* unused places: NULL */
};

struct sublist_pool {
    struct sublist_chunk *free;  /* given back */
    struct sublist_chunk *fresh; /* never used, nor touched */
    size_t n_fresh;
};

struct sublist {
    struct sublist_chunk *first;
    struct sublist_chunk *last;
    uint32_t n_last; /* used places of 'last'; all other chunks are full */
    uint32_t n;
};

/* Where a subscription stands. */
struct sublist_at {
    struct sublist_chunk *chunk;
    uint32_t i;
};

/* An iteration that may be interrupted; removal of an entry invalidates it (start again).
 */
struct sublist_iter {
    struct sublist_chunk *chunk;
    uint32_t i;
};

/* chunks  all zero; borrowed for the pool's life */
void sublist_pool_init(struct sublist_pool *pool, struct sublist_chunk *chunks, size_t n);

/* Returns 0 and says where 'sub' stands, or -ENOSPC. */
int sublist_add(struct sublist *list, struct sublist_pool *pool, struct sub *sub,
                struct sublist_at *at);

/* Removes what stands at 'at'. Returns the subscription that was moved there instead (its
 * owner updates what it noted), or NULL. */
struct sub *sublist_remove(struct sublist *list, struct sublist_pool *pool,
                           struct sublist_at at);

static inline struct sublist_iter sublist_start(const struct sublist *list)
{
    return (struct sublist_iter){.chunk = list->first, .i = 0};
}

static inline bool sublist_is_start(const struct sublist *list,
                                    const struct sublist_iter *it)
{
    return it->chunk == list->first && it->i == 0;
}

/* The next entry, or NULL at the end. */
static inline struct sub *sublist_next(struct sublist_iter *it)
{
    while (it->chunk != NULL) {
        if (it->i < SUBLIST_CHUNK) {
            struct sub *sub = it->chunk->subs[it->i];

            it->i += sub != NULL;
            return sub;
        }
        it->chunk = it->chunk->next;
        it->i = 0;
    }
    return NULL;
}

/* Fills 'out' with the next 'n' entries, or as many as there are. Returns how many. */
static inline uint32_t sublist_peek(struct sublist_iter it, const struct sub **out,
                                    uint32_t n)
{
    uint32_t got = 0;

    while (it.chunk != NULL && got < n) {
        const uint32_t left = SUBLIST_CHUNK - it.i;
        const uint32_t some = left < n - got ? left : n - got;

        for (uint32_t i = 0; i < some; i++) {
            out[got + i] = it.chunk->subs[it.i + i];
        }
        got += some;
        it.chunk = it.chunk->next;
        it.i = 0;
    }
    while (got > 0 && out[got - 1] == NULL) { /* unused places, of the last chunk */
        got--;
    }
    return got;
}

/* The entry 'ahead' (<= SUBLIST_CHUNK) places further, to prefetch, or NULL. 'it' is not at
 * its end. */
static inline const struct sub *sublist_ahead(const struct sublist_iter *it, uint32_t ahead)
{
    const struct sublist_chunk *chunk = it->chunk;
    uint32_t i = it->i + ahead;

    if (i >= SUBLIST_CHUNK) {
        chunk = chunk->next;
        i -= SUBLIST_CHUNK;
    }
    if (i >= SUBLIST_CHUNK && chunk != NULL) { /* it is at the end of a chunk */
        chunk = chunk->next;
        i -= SUBLIST_CHUNK;
    }
    return chunk != NULL ? chunk->subs[i] : NULL;
}

#endif
