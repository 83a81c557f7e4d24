/* What a process outside reads of a ring is what was written, or is said to be lost or
 * gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/ring.h"

enum { SLOTS = 16, ARENA = 4096, TAPS = 4, INDEX = 2 };
enum { HANDLE = 77, OTHER = 78 };

struct fixture {
    uint8_t *mem;
    size_t len;
    struct tap *tap;
    struct stream_ring ring;
};

static void setup(struct fixture *f)
{
    uint64_t at = tap_blocks_at(TAPS);

    f->len = at + SLOTS * sizeof(struct ring_slot) + ARENA;
    f->mem = aligned_alloc(64, f->len);
    assert_non_null(f->mem);
    memset(f->mem, 0, f->len);
    *(struct tap_header *)(void *)f->mem =
        (struct tap_header){.magic = TAP_MAGIC,
                            .version = TAP_VERSION,
                            .tap_size = sizeof(struct tap),
                            .slot_size = sizeof(struct tap_slot),
                            .n_taps = TAPS,
                            .blocks_at = at,
                            .bytes = f->len};
    f->tap = tap_first(f->mem) + INDEX;
    stream_ring_init(&f->ring, (struct ring_slot *)(void *)(f->mem + at), SLOTS,
                     f->mem + at + SLOTS * sizeof(struct ring_slot), ARENA);
    f->ring.tap = f->tap;
    tap_open(f->tap, HANDLE, at, SLOTS, at + SLOTS * sizeof(struct ring_slot), ARENA);
}

static void put(struct fixture *f, uint64_t seq, uint16_t len)
{
    const struct ring_slot meta = {
        .seq = seq, .ts = (uint32_t)seq * 3, .flags = RING_SLOT_MARKER};
    const uint8_t ext[5] = {1, 2, 3, 4, 5};
    uint8_t payload[ARENA];

    memset(payload, (int)(seq & 0xff), sizeof(payload));
    (void)stream_ring_write(&f->ring, &meta, ext, sizeof(ext), payload, len);
}

static enum tap_got get(struct fixture *f, uint64_t pos, struct tap_slot *slot,
                        uint8_t payload[ARENA], uint64_t *next)
{
    return tap_read(f->mem, f->len, f->tap, HANDLE, pos, slot, payload, ARENA, next);
}

static void what_is_written_is_read_outside(void **state)
{
    struct fixture f;
    struct tap_slot slot;
    uint8_t payload[ARENA];
    uint64_t next;
    uint32_t n_taps;
    (void)state;

    setup(&f);
    assert_true(tap_valid(f.mem, f.len, &n_taps));
    assert_int_equal(n_taps, TAPS);
    assert_false(tap_valid(f.mem, f.len - 1, &n_taps));
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_EMPTY);
    put(&f, 7, 100);
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_GOT);
    assert_int_equal(next, 1);
    assert_int_equal(slot.seq, 7);
    assert_int_equal(slot.ts, 21);
    assert_int_equal(slot.len, 100);
    assert_int_equal(slot.flags & TAP_MARKER, TAP_MARKER);
    assert_int_equal(payload[0], 7);
    assert_int_equal(payload[99], 7);
    assert_int_equal(get(&f, 1, &slot, payload, &next), TAP_EMPTY);
    assert_int_equal(get(&f, 1000, &slot, payload, &next), TAP_LOST);
    assert_int_equal(next, 1);
    free(f.mem);
}

static void who_is_too_slow_goes_on_at_the_oldest_that_is_whole(void **state)
{
    struct fixture f;
    struct tap_slot slot;
    uint8_t payload[ARENA];
    uint64_t next;
    (void)state;

    setup(&f);
    for (uint64_t seq = 0; seq < 40; seq++) { /* of 16 slots */
        put(&f, seq, 10);
    }
    assert_int_equal(get(&f, 3, &slot, payload, &next), TAP_LOST);
    assert_int_equal(next, 24);
    assert_int_equal(get(&f, next, &slot, payload, &next), TAP_GOT);
    assert_int_equal(slot.seq, 24);
    for (uint64_t seq = 40; seq < 45; seq++) { /* of 4,096 bytes */
        put(&f, seq, 1000);
    }
    assert_int_equal(get(&f, 39, &slot, payload, &next), TAP_LOST);
    assert_int_equal(get(&f, next, &slot, payload, &next), TAP_GOT);
    assert_true(slot.seq >= 40 && payload[999] == (uint8_t)slot.seq);
    free(f.mem);
}

static void a_ring_that_has_ended_or_is_anothers_is_gone(void **state)
{
    struct fixture f;
    struct tap_slot slot;
    uint8_t payload[ARENA];
    uint64_t next;
    (void)state;

    setup(&f);
    put(&f, 1, 10);
    tap_close(f.tap);
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_GONE);
    tap_open(f.tap, OTHER, tap_blocks_at(TAPS), SLOTS, tap_blocks_at(TAPS), 64);
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_GONE);
    free(f.mem);
}

/* Whoever wrote the memory may be broken: nothing outside of it is touched (ASan). */
static void offsets_beyond_the_memory_are_not_followed(void **state)
{
    struct fixture f;
    struct tap_slot slot;
    uint8_t payload[ARENA];
    uint64_t next = 0;
    (void)state;

    setup(&f);
    put(&f, 1, 10);
    atomic_store(&f.tap->bytes_at, f.len - 8);
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_GONE);
    atomic_store(&f.tap->bytes_at, f.len - ARENA);
    atomic_store(&f.tap->n_slots, 1u << 31);
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_GONE);
    atomic_store(&f.tap->n_slots, SLOTS);
    f.ring.slots[0].offset = ARENA - 4;
    assert_int_equal(get(&f, 0, &slot, payload, &next), TAP_LOST);
    assert_int_equal(next, 1);
    free(f.mem);
}

static void sender_reports_are_read_whole(void **state)
{
    struct fixture f;
    uint64_t ntp;
    uint32_t ts;
    (void)state;

    setup(&f);
    assert_false(tap_clock_read(f.tap, &ntp, &ts));
    tap_clock(f.tap, UINT64_C(0x1122334455667788), 90000);
    assert_true(tap_clock_read(f.tap, &ntp, &ts));
    assert_true(ntp == UINT64_C(0x1122334455667788) && ts == 90000);
    atomic_fetch_add(&f.tap->clock_seq, 1); /* being written */
    assert_false(tap_clock_read(f.tap, &ntp, &ts));
    free(f.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_outside),
        cmocka_unit_test(who_is_too_slow_goes_on_at_the_oldest_that_is_whole),
        cmocka_unit_test(a_ring_that_has_ended_or_is_anothers_is_gone),
        cmocka_unit_test(offsets_beyond_the_memory_are_not_followed),
        cmocka_unit_test(sender_reports_are_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
