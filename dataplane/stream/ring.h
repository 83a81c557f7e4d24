/* The ring of one stream: the last packets of a publisher, decrypted, as compact slots. It
 * is the source of fan-out, and holds what later repair and recording need. One writer (the
 * publisher's lane); readers on any lane hold positions (cursors) and never block the
 * writer.
 *
 * Bytes live in an arena that wraps. Before the writer overwrites anything it moves 'tail'
 * past the slots that lie there, so a reader that used a slot asks stream_ring_alive()
 * afterwards and discards its result if the writer has overtaken it.
 *
 * A slot's bytes are {extension elements already in the router's ids, payload}. All of it
 * is read-only after stream_ring_write().
 *
 * Readers of other processes see it by its tap (base/tap.h), if it has one.
 *
 * Pure apart from atomics: memory is given, no allocation, no clock. */
#ifndef KCS_STREAM_RING_H
#define KCS_STREAM_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/layer.h"
#include "sfu/base/tap.h"

enum {
    RING_SLOT_MARKER = 1,   /* RTP marker bit */
    RING_SLOT_KEYFRAME = 2, /* first packet of a key frame (RTP payload says so) */
    RING_SLOT_TWO_BYTE = 4, /* 'ext' holds two-byte elements (RFC 8285, 4.3) */
    RING_EXT_MAX = 192      /* bytes of forwarded extension elements, at most */
};

struct ring_slot {
    uint64_t pos;        /* position in the stream's order of arrival */
    uint64_t seq;        /* extended sequence number of the publisher */
    uint64_t arrival_us; /* lane time at reception */
    uint32_t ts;         /* RTP timestamp of the publisher */
    uint32_t offset;     /* of the bytes in the arena */
    uint16_t ext_len;    /* bytes of extension elements */
    uint16_t len;        /* bytes of payload, after them */
    uint16_t ext_mask;   /* bit n: an element of router id n is there */
    uint8_t flags;
    uint8_t audio_level; /* RFC 6464, 127 silent; 127 when unknown */
    struct layer_info layer;
    uint32_t hint; /* of the place, not of its packet: where a number that ends like the
                      place's was written (stream_ring_recall) */
    uint8_t _pad[4];
};

_Static_assert(sizeof(struct ring_slot) == 64, "one cache line a slot");

struct stream_ring {
    struct ring_slot *slots; /* n_slots of them, n_slots a power of two */
    uint8_t *arena;
    uint32_t slot_mask;
    uint32_t arena_size;
    uint32_t write_offset; /* the writer's */
    uint32_t _pad;
    struct tap *tap;       /* told of head and tail; NULL: nobody outside looks */
    _Atomic uint64_t head; /* next position to write */
    _Atomic uint64_t tail; /* oldest position that is still whole */
};

/* slots, arena  borrowed for the ring's life; n_slots a power of two; arena_size at least
 *               twice the longest packet */
void stream_ring_init(struct stream_ring *ring, struct ring_slot *slots, uint32_t n_slots,
                      uint8_t *arena, uint32_t arena_size);

/* Appends one packet; 'meta' gives seq, arrival_us, ts, ext_mask, flags, audio_level and
 * layer, the rest is filled in. Returns its position, or UINT64_MAX if it can never fit (longer than
 * half of the arena). Thread: the writer. */
uint64_t stream_ring_write(struct stream_ring *ring, const struct ring_slot *meta,
                           const uint8_t *ext, uint16_t ext_len, const uint8_t *payload,
                           uint16_t len);

static inline uint64_t stream_ring_head(const struct stream_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

static inline uint64_t stream_ring_tail(const struct stream_ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire);
}

/* The slot at 'pos', or NULL if it is not written yet or already overwritten. */
static inline const struct ring_slot *stream_ring_at(const struct stream_ring *ring,
                                                     uint64_t pos)
{
    if (pos >= stream_ring_head(ring) || pos < stream_ring_tail(ring)) {
        return NULL;
    }
    return &ring->slots[pos & ring->slot_mask];
}

/* The slot's extension elements; its payload follows them. */
static inline const uint8_t *stream_ring_bytes(const struct stream_ring *ring,
                                               const struct ring_slot *slot)
{
    return ring->arena + slot->offset;
}

/* Copies the slot at 'pos' and its extension elements ('ext', RING_EXT_MAX bytes), for a
 * reader on another lane than the writer's: what it looks at must not change meanwhile.
 * Returns false if it is not there, or was overtaken. */
bool stream_ring_copy(const struct stream_ring *ring, uint64_t pos, struct ring_slot *slot,
                      uint8_t *ext);

/* Copies the packet with the publisher's number 'seq': the slot, and its extension elements
 * and payload ('bytes', 'cap' of them). For repair, so any lane may call it. Returns false
 * if it is not there, does not fit, or was overtaken; also if a number higher by as much as
 * the ring has slots has come, so that losses shorten what is found. */
bool stream_ring_recall(const struct stream_ring *ring, uint64_t seq,
                        struct ring_slot *slot, uint8_t *bytes, size_t cap);

/* True if what was read from 'pos' before this call was whole: call it after the use. */
static inline bool stream_ring_alive(const struct stream_ring *ring, uint64_t pos)
{
    atomic_thread_fence(memory_order_acquire);
    return pos >= atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

#endif
