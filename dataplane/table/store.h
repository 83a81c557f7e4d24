/* The memory of stream rings: two sizes of blocks within one budget, taken when a stream
 * opens and given back when it closes. Blocks are touched only when used.
 *
 * Thread: any lane; one store serves all of them, since a stream may begin on one lane and
 * end on another. Lists without locks: a number of use beside each head keeps a slow lane
 * from putting back what others have taken meanwhile. */
#ifndef KCS_TABLE_STORE_H
#define KCS_TABLE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/ring.h"

/* One second of 64 kb/s audio at 20 ms, or of 6 Mb/s video. */
enum {
    STORE_AUDIO_SLOTS = 64,
    STORE_AUDIO_ARENA = 64 * 1024,
    STORE_VIDEO_SLOTS = 1024,
    STORE_VIDEO_ARENA = 1024 * 1024,
    STORE_UNIT = STORE_AUDIO_SLOTS * 64 + STORE_AUDIO_ARENA /* memory is cut by these */
};

struct ring_store {
    uint8_t *mem;
    uint64_t mem_at;  /* where that lies for who looks from outside (base/tap.h) */
    struct tap *taps; /* by stream; NULL: nobody looks */
    uint32_t n_units;
    _Atomic uint32_t n_fresh;    /* units that were ever taken */
    _Atomic uint32_t *next;      /* by unit: in its list of free blocks, unit + 1, 0 end */
    _Atomic uint64_t free_audio; /* given back: number of use << 32 | first unit + 1 */
    _Atomic uint64_t free_video;
    _Atomic size_t used;
};

/* mem   borrowed
 * next  bytes / STORE_UNIT of them, zeroed, borrowed */
void ring_store_init(struct ring_store *store, void *mem, size_t bytes,
                     _Atomic uint32_t *next);

/* Gives 'ring' its memory. Returns 0, or -ENOSPC when the budget is spent. */
int ring_store_take(struct ring_store *store, bool video, struct stream_ring *ring);

/* Shows the ring, just taken, as that of stream 'handle' in slot 'index'; hides it again.
 */
void ring_store_show(struct ring_store *store, uint32_t index, uint64_t handle,
                     struct stream_ring *ring);
void ring_store_hide(struct stream_ring *ring);

/* Hides it and takes the memory back. */
void ring_store_give(struct ring_store *store, bool video, struct stream_ring *ring);

#endif
