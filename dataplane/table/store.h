/* The memory of stream rings: two sizes of blocks within one budget, taken when a stream
 * opens and given back when it closes. Blocks are touched only when used.
 *
 * Thread: one lane. */
#ifndef KCS_TABLE_STORE_H
#define KCS_TABLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/ring.h"

/* One second of 64 kb/s audio at 20 ms, or of 6 Mb/s video. */
enum {
    STORE_AUDIO_SLOTS = 64,
    STORE_AUDIO_ARENA = 64 * 1024,
    STORE_VIDEO_SLOTS = 1024,
    STORE_VIDEO_ARENA = 1024 * 1024
};

struct ring_block {
    struct ring_block *next;
};

struct ring_store {
    uint8_t *next; /* memory never used yet */
    uint8_t *end;
    struct ring_block *free_audio; /* given back */
    struct ring_block *free_video;
    size_t used;
};

void ring_store_init(struct ring_store *store, void *mem, size_t bytes); /* mem: borrowed */

/* Gives 'ring' its memory. Returns 0, or -ENOSPC when the budget is spent. */
int ring_store_take(struct ring_store *store, bool video, struct stream_ring *ring);
void ring_store_give(struct ring_store *store, bool video, struct stream_ring *ring);

#endif
