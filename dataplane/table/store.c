/* See store.h. */
#include "table/store.h"

#include <errno.h>
#include <string.h>

enum {
    VIDEO_BYTES = STORE_VIDEO_SLOTS * 64 + STORE_VIDEO_ARENA,
    VIDEO_UNITS = VIDEO_BYTES / STORE_UNIT
};

_Static_assert(sizeof(struct ring_slot) == 64, "blocks are slots and arena");
_Static_assert(VIDEO_BYTES == VIDEO_UNITS * STORE_UNIT, "a video block is whole units");

static size_t block_bytes(bool video)
{
    return video ? VIDEO_BYTES : STORE_UNIT;
}

void ring_store_init(struct ring_store *store, void *mem, size_t bytes,
                     _Atomic uint32_t *next)
{
    memset(store, 0, sizeof(*store));
    store->mem = mem;
    store->n_units = (uint32_t)(bytes / STORE_UNIT);
    store->next = next;
}

/* Takes a block that was given back. Returns its unit + 1, or 0. */
static uint32_t pop(struct ring_store *store, _Atomic uint64_t *list)
{
    uint64_t head = atomic_load_explicit(list, memory_order_acquire);

    while ((uint32_t)head != 0) {
        uint32_t next =
            atomic_load_explicit(&store->next[(uint32_t)head - 1], memory_order_relaxed);
        uint64_t want = ((head >> 32) + 1) << 32 | next;

        if (atomic_compare_exchange_weak_explicit(list, &head, want, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            break;
        }
    }
    return (uint32_t)head;
}

/* Takes memory that was never used. Returns its unit + 1, or 0. */
static uint32_t fresh(struct ring_store *store, uint32_t n_units)
{
    uint32_t at = atomic_load_explicit(&store->n_fresh, memory_order_relaxed);

    while (n_units <= store->n_units - at) {
        if (atomic_compare_exchange_weak_explicit(&store->n_fresh, &at, at + n_units,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return at + 1;
        }
    }
    return 0;
}

int ring_store_take(struct ring_store *store, bool video, struct stream_ring *ring)
{
    uint32_t n_slots = video ? STORE_VIDEO_SLOTS : STORE_AUDIO_SLOTS;
    uint32_t unit = pop(store, video ? &store->free_video : &store->free_audio);
    uint8_t *mem;

    if (unit == 0) {
        unit = fresh(store, video ? VIDEO_UNITS : 1);
    }
    if (unit == 0) {
        return -ENOSPC;
    }
    mem = store->mem + (size_t)(unit - 1) * STORE_UNIT;
    atomic_fetch_add_explicit(&store->used, block_bytes(video), memory_order_relaxed);
    stream_ring_init(ring, (struct ring_slot *)(void *)mem, n_slots,
                     mem + n_slots * sizeof(struct ring_slot),
                     video ? STORE_VIDEO_ARENA : STORE_AUDIO_ARENA);
    return 0;
}

void ring_store_show(struct ring_store *store, uint32_t index, uint64_t handle,
                     struct stream_ring *ring)
{
    const uint8_t *slots = (const uint8_t *)ring->slots;

    if (store->taps != NULL) {
        ring->tap = &store->taps[index];
        tap_open(ring->tap, handle, store->mem_at + (uint64_t)(slots - store->mem),
                 ring->slot_mask + 1, store->mem_at + (uint64_t)(ring->arena - store->mem),
                 ring->arena_size);
    }
}

void ring_store_hide(struct stream_ring *ring)
{
    if (ring->tap != NULL) {
        tap_close(ring->tap);
        ring->tap = NULL;
    }
}

void ring_store_give(struct ring_store *store, bool video, struct stream_ring *ring)
{
    _Atomic uint64_t *list = video ? &store->free_video : &store->free_audio;
    uint32_t unit = (uint32_t)((size_t)((uint8_t *)ring->slots - store->mem) / STORE_UNIT);
    uint64_t head = atomic_load_explicit(list, memory_order_relaxed);
    uint64_t want;

    ring_store_hide(ring); /* before it can be another's */
    do {
        atomic_store_explicit(&store->next[unit], (uint32_t)head, memory_order_relaxed);
        want = ((head >> 32) + 1) << 32 | (unit + 1);
    } while (!atomic_compare_exchange_weak_explicit(list, &head, want, memory_order_acq_rel,
                                                    memory_order_relaxed));
    atomic_fetch_sub_explicit(&store->used, block_bytes(video), memory_order_relaxed);
    ring->slots = NULL;
}
