/* A single-producer single-consumer ring of fixed-size slots, laid over memory that two
 * processes may share. Head and tail only grow (they wrap as 32-bit numbers), so a reader
 * or writer that is killed and replaced finds a consistent ring: a slot counts only after
 * the store to 'head'.
 *
 * The memory is {struct ring, slots}: ring_bytes() says how much. The side that attaches
 * must call ring_valid() first, because the header was written by somebody else, and pass
 * its own copy of 'n_slots' and 'slot_size' (struct ring_view) so that a corrupted header
 * can never lead outside of the mapping.
 *
 * Thread: one writer and one reader, each from one thread. No allocation, no waiting. */
#ifndef SFU_BASE_RING_H
#define SFU_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RING_LINE = 64 };

struct ring {
    _Alignas(64) _Atomic uint32_t head; /* next slot to write; only the writer stores */
    uint32_t n_slots;                   /* a power of two */
    uint32_t slot_size;                 /* bytes, a multiple of 8 */
    uint32_t _pad0;
    _Alignas(64) _Atomic uint32_t tail; /* next slot to read; only the reader stores */
    uint32_t _pad1[15];
};

_Static_assert(sizeof(struct ring) == 128, "the ring header is two cache lines");

/* One side's private, validated view of a ring. */
struct ring_view {
    struct ring *ring;
    uint8_t *slots;
    uint32_t mask;
    uint32_t slot_size;
};

static inline size_t ring_bytes(uint32_t n_slots, uint32_t slot_size)
{
    return sizeof(struct ring) + (size_t)n_slots * slot_size;
}

/* Makes an empty ring in 'mem' (ring_bytes() long, 64-byte aligned, borrowed). */
static inline void ring_init(void *mem, uint32_t n_slots, uint32_t slot_size)
{
    struct ring *ring = (struct ring *)mem;

    memset(ring, 0, sizeof(*ring));
    ring->n_slots = n_slots;
    ring->slot_size = slot_size;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

/* True if the ring in 'mem' has exactly this shape and a sane fill. */
static inline bool ring_valid(const void *mem, uint32_t n_slots, uint32_t slot_size)
{
    const struct ring *ring = (const struct ring *)mem;
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    return n_slots != 0 && (n_slots & (n_slots - 1)) == 0 && ring->n_slots == n_slots &&
           ring->slot_size == slot_size && head - tail <= n_slots;
}

static inline struct ring_view ring_view_of(void *mem, uint32_t n_slots, uint32_t slot_size)
{
    return (struct ring_view){.ring = (struct ring *)mem,
                              .slots = (uint8_t *)mem + sizeof(struct ring),
                              .mask = n_slots - 1,
                              .slot_size = slot_size};
}

/* The next free slot to fill in place, or NULL if the ring is full. Nothing is visible to
 * the reader until ring_commit(). */
static inline void *ring_reserve(const struct ring_view *v)
{
    uint32_t head = atomic_load_explicit(&v->ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&v->ring->tail, memory_order_acquire);

    if (head - tail > v->mask) {
        return NULL;
    }
    return v->slots + (size_t)(head & v->mask) * v->slot_size;
}

static inline void ring_commit(const struct ring_view *v)
{
    uint32_t head = atomic_load_explicit(&v->ring->head, memory_order_relaxed);

    atomic_store_explicit(&v->ring->head, head + 1, memory_order_release);
}

/* The oldest unread slot, or NULL if empty. It stays ours until ring_release(). The other
 * side may be hostile or broken: copy out, then validate the copy. */
static inline const void *ring_peek(const struct ring_view *v)
{
    uint32_t tail = atomic_load_explicit(&v->ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&v->ring->head, memory_order_acquire);

    if (head == tail) {
        return NULL;
    }
    return v->slots + (size_t)(tail & v->mask) * v->slot_size;
}

static inline void ring_release(const struct ring_view *v)
{
    uint32_t tail = atomic_load_explicit(&v->ring->tail, memory_order_relaxed);

    atomic_store_explicit(&v->ring->tail, tail + 1, memory_order_release);
}

static inline bool ring_empty(const struct ring_view *v)
{
    return atomic_load_explicit(&v->ring->head, memory_order_acquire) ==
           atomic_load_explicit(&v->ring->tail, memory_order_acquire);
}

#endif
