/* What a process outside sees of one stream's ring: where its slots and bytes lie in a
 * memory that is mapped read-only, how far it is written, and its clock. The writer (one
 * lane) never learns of readers, and no reader can hold it up: who is too slow finds that
 * what it wanted has been overwritten.
 *
 * The memory is {tap_header, n_taps of struct tap, blocks}; all offsets are from its start.
 *
 * A slot's bytes are {extension elements, payload}. Bytes are copied out and believed only
 * if the tap is still that stream's and its 'tail' has not passed the slot afterwards.
 *
 * Pure apart from atomics. Neighbour: the dataplane's stream/ring.h, which writes it. */
#ifndef SFU_BASE_TAP_H
#define SFU_BASE_TAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TAP_MAGIC 0x31504154u /* "TAP1" */

enum {
    TAP_VERSION = 1,
    TAP_BLOCKS_AT = 4096, /* blocks begin on a multiple of it */
    TAP_MARKER = 1        /* in tap_slot.flags: the RTP marker bit */
};

struct tap_header {
    uint32_t magic, version;
    uint32_t tap_size, slot_size;
    uint32_t n_taps;
    uint32_t _pad;
    uint64_t blocks_at;
    uint64_t bytes; /* of the whole memory */
};

struct tap_slot {
    uint64_t pos;        /* position in the stream's order of arrival */
    uint64_t seq;        /* extended sequence number */
    uint64_t arrival_us; /* CLOCK_MONOTONIC */
    uint32_t ts;         /* RTP timestamp */
    uint32_t offset;     /* of the bytes, from the tap's 'bytes_at' */
    uint16_t ext_len;
    uint16_t len; /* of the payload, behind the extension elements */
    uint16_t ext_mask;
    uint8_t flags;
    uint8_t audio_level;
    uint8_t layer[16]; /* the dataplane's own */
    uint8_t _own[8];
};

_Static_assert(sizeof(struct tap_slot) == 64, "a line a slot");

struct tap {
    _Alignas(64) _Atomic uint64_t handle; /* whose it is; 0: nobody's */
    _Atomic uint64_t slots_at, bytes_at;  /* offsets */
    _Atomic uint32_t n_slots;             /* a power of two */
    _Atomic uint32_t bytes_len;
    _Atomic uint32_t clock_seq; /* odd while the sender report is written; 0: none yet */
    _Atomic uint32_t clock_ts;
    _Atomic uint64_t clock_ntp; /* 32.32 */
    uint64_t _pad[1];
    _Alignas(64) _Atomic uint64_t head; /* next position to be written */
    _Atomic uint64_t tail;              /* oldest position that is whole */
    uint64_t _pad1[6];
};

_Static_assert(sizeof(struct tap) == 128, "two lines a tap");

/* Where the blocks begin. */
static inline uint64_t tap_blocks_at(uint32_t n_taps)
{
    uint64_t at = 64 + (uint64_t)n_taps * sizeof(struct tap);

    return (at + TAP_BLOCKS_AT - 1) & ~(uint64_t)(TAP_BLOCKS_AT - 1);
}

static inline struct tap *tap_first(void *mem)
{
    return (struct tap *)(void *)((uint8_t *)mem + 64);
}

/* ---- the writer's ---- */

/* The ring of 'handle' is to be seen: its memory is there, and empty. */
static inline void tap_open(struct tap *tap, uint64_t handle, uint64_t slots_at,
                            uint32_t n_slots, uint64_t bytes_at, uint32_t bytes_len)
{
    atomic_store_explicit(&tap->head, 0, memory_order_relaxed);
    atomic_store_explicit(&tap->tail, 0, memory_order_relaxed);
    atomic_store_explicit(&tap->slots_at, slots_at, memory_order_relaxed);
    atomic_store_explicit(&tap->bytes_at, bytes_at, memory_order_relaxed);
    atomic_store_explicit(&tap->n_slots, n_slots, memory_order_relaxed);
    atomic_store_explicit(&tap->bytes_len, bytes_len, memory_order_relaxed);
    atomic_store_explicit(&tap->clock_seq, 0, memory_order_relaxed);
    atomic_store_explicit(&tap->handle, handle, memory_order_release);
}

/* It is nobody's any more: before its memory is another's. */
static inline void tap_close(struct tap *tap)
{
    atomic_store_explicit(&tap->handle, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

/* Notes a sender report (RFC 3550, 6.4.1). */
static inline void tap_clock(struct tap *tap, uint64_t ntp, uint32_t ts)
{
    uint32_t seq = atomic_load_explicit(&tap->clock_seq, memory_order_relaxed);

    atomic_store_explicit(&tap->clock_seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&tap->clock_ntp, ntp, memory_order_relaxed);
    atomic_store_explicit(&tap->clock_ts, ts, memory_order_relaxed);
    /* 0 means that there was none: skipped when the count comes round */
    atomic_store_explicit(&tap->clock_seq, seq + 2 != 0 ? seq + 2 : 2,
                          memory_order_release);
}

/* ---- the readers' ---- */

/* Whether 'mem' (len bytes, mapped) is what its header says: then 'n_taps' is filled. */
static inline bool tap_valid(const void *mem, size_t len, uint32_t *n_taps)
{
    struct tap_header h;

    if (len < sizeof(h)) {
        return false;
    }
    memcpy(&h, mem, sizeof(h));
    *n_taps = h.n_taps;
    return h.magic == TAP_MAGIC && h.version == TAP_VERSION &&
           h.tap_size == sizeof(struct tap) && h.slot_size == sizeof(struct tap_slot) &&
           h.bytes == len && h.blocks_at == tap_blocks_at(h.n_taps) && h.blocks_at <= len;
}

static inline bool tap_is(const struct tap *tap, uint64_t handle)
{
    return atomic_load_explicit(&tap->handle, memory_order_acquire) == handle;
}

/* Returns false if there was no report yet, or one is just being written. */
static inline bool tap_clock_read(const struct tap *tap, uint64_t *ntp, uint32_t *ts)
{
    uint32_t seq = atomic_load_explicit(&tap->clock_seq, memory_order_acquire);

    *ntp = atomic_load_explicit(&tap->clock_ntp, memory_order_relaxed);
    *ts = atomic_load_explicit(&tap->clock_ts, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return seq != 0 && (seq & 1) == 0 &&
           atomic_load_explicit(&tap->clock_seq, memory_order_relaxed) == seq;
}

/* Copies by words or bytes, each whole: the writer may store meanwhile. */
static inline void tap_copy_words_(void *to, const void *from, size_t n)
{
    uint64_t *out = (uint64_t *)to;
    const uint64_t *in = (const uint64_t *)from;

    for (size_t i = 0; i < n / sizeof(*in); i++) {
        out[i] = __atomic_load_n(&in[i], __ATOMIC_RELAXED);
    }
}

enum tap_got {
    TAP_GOT,   /* 'slot' and 'payload' are filled */
    TAP_EMPTY, /* it is not written yet */
    TAP_LOST,  /* overwritten before it was read: 'next' says where to go on */
    TAP_GONE   /* the stream has ended */
};

/* Reads the packet at position 'pos' of the stream 'handle'.
 *
 * mem, len  the mapped memory, of which tap_valid() was true; whatever it says is checked
 * payload   'cap' bytes, filled with slot->len of them; a longer one is TAP_LOST
 * next      filled with the position to go on at; that of the end if 'pos' lay beyond it */
static inline enum tap_got tap_read(const void *mem, size_t len, const struct tap *tap,
                                    uint64_t handle, uint64_t pos, struct tap_slot *slot,
                                    uint8_t *payload, size_t cap, uint64_t *next)
{
    const uint8_t *base = (const uint8_t *)mem;
    uint64_t slots_at, bytes_at, tail;
    uint32_t n_slots, bytes_len;
    uint64_t head;

    if (!tap_is(tap, handle)) {
        return TAP_GONE;
    }
    slots_at = atomic_load_explicit(&tap->slots_at, memory_order_relaxed);
    bytes_at = atomic_load_explicit(&tap->bytes_at, memory_order_relaxed);
    n_slots = atomic_load_explicit(&tap->n_slots, memory_order_relaxed);
    bytes_len = atomic_load_explicit(&tap->bytes_len, memory_order_relaxed);
    if (n_slots == 0 || (n_slots & (n_slots - 1)) != 0 || slots_at % 64 != 0 ||
        slots_at > len || (uint64_t)n_slots * sizeof(*slot) > len - slots_at ||
        bytes_at > len || bytes_len > len - bytes_at) {
        return TAP_GONE; /* another life's, half written */
    }
    *next = pos;
    head = atomic_load_explicit(&tap->head, memory_order_acquire);
    if (pos >= head) {
        if (!tap_is(tap, handle)) {
            return TAP_GONE;
        }
        *next = head; /* from beyond it one would wait for long */
        return pos == head ? TAP_EMPTY : TAP_LOST;
    }
    tap_copy_words_(slot, base + slots_at + (pos & (n_slots - 1)) * sizeof(*slot),
                    sizeof(*slot));
    if (slot->len <= cap && slot->offset <= bytes_len &&
        (uint32_t)slot->ext_len + slot->len <= bytes_len - slot->offset) {
        const uint8_t *from = base + bytes_at + slot->offset + slot->ext_len;

        for (uint16_t i = 0; i < slot->len; i++) {
            payload[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        }
    } else {
        slot->pos = pos + 1; /* torn, or too long for us */
    }
    atomic_thread_fence(memory_order_acquire);
    tail = atomic_load_explicit(&tap->tail, memory_order_relaxed);
    if (!tap_is(tap, handle)) {
        return TAP_GONE;
    }
    if (pos < tail || slot->pos != pos) {
        *next = pos < tail ? tail : pos + 1;
        return TAP_LOST;
    }
    *next = pos + 1;
    return TAP_GOT;
}

#endif
