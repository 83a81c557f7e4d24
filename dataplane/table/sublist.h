/* The subscriptions of one stream on one lane: chunks of pointers, dense inside of a chunk
 * so that fan-out prefetches well ahead, and in front of them a bit of each that says whether
 * it has to be looked at: those that have not are passed over by the chunk. Chunks come from a
 * pool made at start, so adding never allocates.
 *
 * A place is *asked* for every slot, until it is known to need those of some targets only
 * (core/layer.h), or none. That is a promise of whoever set it so; who breaks it has it asked
 * again.
 *
 * Thread: the lane that owns the list. */
#ifndef KCS_TABLE_SUBLIST_H
#define KCS_TABLE_SUBLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SUBLIST_CHUNK = 60, /* with what stands in front ten lines */
    SUBLIST_TARGETS = 16,
    SUBLIST_ALL = 0xffff
};

struct sub;

struct sublist_chunk {
    _Alignas(64) struct sublist_chunk *next;
    struct sublist_chunk *prev;
    /* bit i: of subs[i]; unused places have none */
    uint64_t any; /* asked, or needs some */
    uint64_t asked;
    uint64_t needs[SUBLIST_TARGETS];
    struct sub *subs[SUBLIST_CHUNK]; /* unused places: NULL */
};

_Static_assert(sizeof(struct sublist_chunk) == 640 && SUBLIST_CHUNK < 64, "a bit each");

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

/* What stands at 'at' needs slots of these targets only; 0: none. */
void sublist_needs(struct sublist_at at, uint16_t targets);

/* It is asked for every slot again. 'at' may be no place (all zero). */
static inline void sublist_ask(struct sublist_at at)
{
    if (at.chunk != NULL) {
        at.chunk->asked |= UINT64_C(1) << at.i;
        at.chunk->any |= UINT64_C(1) << at.i;
    }
}

/* Whether that is what is known of it. */
static inline bool sublist_is(struct sublist_at at, uint16_t target)
{
    return ((at.chunk->needs[__builtin_ctz(target)] & ~at.chunk->asked) >> at.i & 1) != 0;
}

/* Who has to be looked at for a slot of these targets, in a chunk from place 'i' on: a bit
 * each. */
static inline uint64_t sublist_wanting(const struct sublist_chunk *chunk, uint32_t i,
                                       uint16_t targets)
{
    uint64_t bits = targets == SUBLIST_ALL ? chunk->any : chunk->asked;

    for (uint32_t t = targets; t != 0 && t != SUBLIST_ALL; t &= t - 1) {
        bits |= chunk->needs[__builtin_ctz(t)];
    }
    return bits >> i << i;
}

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

/* Fills 'out' with the next 'n' that have to be looked at for a slot of these targets, or as
 * many as there are. Returns how many. */
static inline uint32_t sublist_peek(struct sublist_iter it, uint16_t targets,
                                    const struct sub **out, uint32_t n)
{
    uint32_t got = 0;

    while (it.chunk != NULL && got < n) {
        uint64_t bits = sublist_wanting(it.chunk, it.i, targets) >> it.i;
        const uint32_t left = SUBLIST_CHUNK - it.i;
        const uint32_t some = left < n - got ? left : n - got;

        if ((~bits & ((UINT64_C(1) << (some & 63)) - 1)) == 0) { /* as a rule */
            for (uint32_t i = 0; i < some; i++) {
                out[got + i] = it.chunk->subs[it.i + i];
            }
            got += some;
        } else {
            for (; bits != 0 && got < n; bits &= bits - 1) {
                out[got++] = it.chunk->subs[it.i + (uint32_t)__builtin_ctzll(bits)];
            }
        }
        it.chunk = it.chunk->next;
        it.i = 0;
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
