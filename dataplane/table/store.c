/* See store.h. A block is {slots, arena}; the free list lies in the blocks themselves. */
#include "table/store.h"

#include <errno.h>

static size_t block_bytes(bool video)
{
    return video ? STORE_VIDEO_SLOTS * sizeof(struct ring_slot) + STORE_VIDEO_ARENA
                 : STORE_AUDIO_SLOTS * sizeof(struct ring_slot) + STORE_AUDIO_ARENA;
}

void ring_store_init(struct ring_store *store, void *mem, size_t bytes)
{
    *store = (struct ring_store){.next = mem, .end = (uint8_t *)mem + bytes};
}

int ring_store_take(struct ring_store *store, bool video, struct stream_ring *ring)
{
    struct ring_block **list = video ? &store->free_video : &store->free_audio;
    uint32_t n_slots = video ? STORE_VIDEO_SLOTS : STORE_AUDIO_SLOTS;
    size_t bytes = block_bytes(video);
    uint8_t *mem;

    if (*list != NULL) {
        mem = (uint8_t *)*list;
        *list = (*list)->next;
    } else if ((size_t)(store->end - store->next) >= bytes) {
        mem = store->next;
        store->next += bytes;
    } else {
        return -ENOSPC;
    }
    store->used += bytes;
    stream_ring_init(ring, (struct ring_slot *)mem, n_slots,
                     mem + n_slots * sizeof(struct ring_slot),
                     video ? STORE_VIDEO_ARENA : STORE_AUDIO_ARENA);
    return 0;
}

void ring_store_give(struct ring_store *store, bool video, struct stream_ring *ring)
{
    struct ring_block *block = (struct ring_block *)ring->slots;
    struct ring_block **list = video ? &store->free_video : &store->free_audio;

    block->next = *list;
    *list = block;
    store->used -= block_bytes(video);
    ring->slots = NULL;
}
