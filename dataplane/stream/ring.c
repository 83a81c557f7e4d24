/* Writer's side of a stream's ring; see ring.h. */
#include "stream/ring.h"

#include <string.h>

_Static_assert(sizeof(struct ring_slot) == sizeof(struct tap_slot) &&
                   offsetof(struct ring_slot, ts) == offsetof(struct tap_slot, ts) &&
                   offsetof(struct ring_slot, offset) ==
                       offsetof(struct tap_slot, offset) &&
                   offsetof(struct ring_slot, len) == offsetof(struct tap_slot, len) &&
                   offsetof(struct ring_slot, flags) == offsetof(struct tap_slot, flags) &&
                   offsetof(struct ring_slot, layer) == offsetof(struct tap_slot, layer) &&
                   (int)RING_SLOT_MARKER == (int)TAP_MARKER,
               "a slot is the same for who looks from outside");

void stream_ring_init(struct stream_ring *ring, struct ring_slot *slots, uint32_t n_slots,
                      uint8_t *arena, uint32_t arena_size)
{
    memset(ring, 0, sizeof(*ring));
    ring->slots = slots;
    ring->arena = arena;
    ring->slot_mask = n_slots - 1;
    ring->arena_size = arena_size;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

/* By words, each whole: a reader of another lane may look while the writer stores. */
static void slot_copy(struct ring_slot *to, const struct ring_slot *from)
{
    uint64_t *out = (uint64_t *)to;
    const uint64_t *in = (const uint64_t *)from;

    for (size_t i = 0; i < sizeof(*to) / sizeof(*out); i++) {
        __atomic_store_n(&out[i], __atomic_load_n(&in[i], __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
}

bool stream_ring_copy(const struct stream_ring *ring, uint64_t pos, struct ring_slot *slot,
                      uint8_t *ext)
{
    const struct ring_slot *from = stream_ring_at(ring, pos);
    const uint8_t *bytes;

    if (from == NULL) {
        return false;
    }
    slot_copy(slot, from);
    if (!stream_ring_alive(ring, pos)) {
        return false; /* before its lengths are believed */
    }
    bytes = stream_ring_bytes(ring, slot);
    for (uint16_t i = 0; i < slot->ext_len; i++) {
        ext[i] = __atomic_load_n(&bytes[i], __ATOMIC_RELAXED);
    }
    return stream_ring_alive(ring, pos);
}

bool stream_ring_recall(const struct stream_ring *ring, uint64_t seq,
                        struct ring_slot *slot, uint8_t *bytes, size_t cap)
{
    uint32_t low =
        __atomic_load_n(&ring->slots[seq & ring->slot_mask].hint, __ATOMIC_RELAXED);
    uint64_t head = stream_ring_head(ring);
    uint64_t pos;
    const uint8_t *from;

    if (head == 0) {
        return false;
    }
    pos = head - 1 - (uint32_t)((uint32_t)(head - 1) - low); /* the last one so written */
    if (pos > head || stream_ring_at(ring, pos) == NULL) {
        return false;
    }
    slot_copy(slot, &ring->slots[pos & ring->slot_mask]);
    if (!stream_ring_alive(ring, pos) || slot->pos != pos || slot->seq != seq ||
        (size_t)slot->ext_len + slot->len > cap) {
        return false;
    }
    from = stream_ring_bytes(ring, slot);
    for (uint32_t i = 0; i < (uint32_t)slot->ext_len + slot->len; i++) {
        bytes[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    return stream_ring_alive(ring, pos);
}

/* Moves the tail past every slot that lies in [from, from + need) of the arena, and past
 * the one whose place in the slot array is taken next. Slots are in arena order, so it
 * stops at the first that is clear of the range. */
static void make_room(struct stream_ring *ring, uint64_t head, uint32_t from, uint32_t need)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t start = tail;

    while (tail < head) {
        const struct ring_slot *oldest = &ring->slots[tail & ring->slot_mask];
        uint32_t end = oldest->offset + oldest->ext_len + oldest->len + 1;
        bool overlaps = oldest->offset < from + need && end > from;

        if (head - tail <= ring->slot_mask && !overlaps) {
            break;
        }
        tail++;
    }
    if (tail != start) {
        atomic_store_explicit(&ring->tail, tail, memory_order_relaxed);
        if (ring->tap != NULL) {
            atomic_store_explicit(&ring->tap->tail, tail, memory_order_relaxed);
        }
        /* Readers must see the new tail before any byte of the new packet. */
        atomic_thread_fence(memory_order_seq_cst);
    }
}

uint64_t stream_ring_write(struct stream_ring *ring, const struct ring_slot *meta,
                           const uint8_t *ext, uint16_t ext_len, const uint8_t *payload,
                           uint16_t len)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t need =
        (uint32_t)ext_len + len + 1; /* + 1: an empty packet takes a place too */
    uint32_t at = ring->write_offset;
    struct ring_slot slot = *meta;

    if (need > ring->arena_size / 2) {
        return UINT64_MAX;
    }
    if (at + need > ring->arena_size) {
        /* The rest of the lap is skipped, and with it what still lies there: otherwise
         * older slots at the end would hide newer ones at the start from make_room(). */
        make_room(ring, head, at, ring->arena_size - at);
        at = 0;
    }
    make_room(ring, head, at, need);
    slot.pos = head;
    slot.hint = ring->slots[head & ring->slot_mask].hint; /* stays: it is the place's */
    slot.offset = at;
    slot.ext_len = ext_len;
    slot.len = len;
    slot_copy(&ring->slots[head & ring->slot_mask], &slot);
    if (ext_len > 0) {
        memcpy(ring->arena + at, ext, ext_len);
    }
    if (len > 0) {
        memcpy(ring->arena + at + ext_len, payload, len);
    }
    /* Slots start on cache lines so that readers prefetch whole ones. */
    ring->write_offset = (at + need + 63u) & ~63u;
    if (ring->write_offset > ring->arena_size) {
        ring->write_offset = ring->arena_size;
    }
    __atomic_store_n(&ring->slots[slot.seq & ring->slot_mask].hint, (uint32_t)head,
                     __ATOMIC_RELAXED);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    if (ring->tap != NULL) {
        atomic_store_explicit(&ring->tap->head, head + 1, memory_order_release);
    }
    return head;
}
