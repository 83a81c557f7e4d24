/* The stream ring: what is read back is what was written or is reported as overtaken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/ring.h"

enum { SLOTS = 16, ARENA = 4096 };

struct fixture {
    struct stream_ring ring;
    struct ring_slot slots[SLOTS];
    uint8_t *arena;
};

static void setup_ring(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->arena = malloc(ARENA);
    assert_non_null(f->arena);
    stream_ring_init(&f->ring, f->slots, SLOTS, f->arena, ARENA);
}

static uint64_t put(struct fixture *f, uint64_t seq, uint16_t len)
{
    struct ring_slot meta = {.seq = seq, .ts = (uint32_t)seq * 3};
    uint8_t payload[2048];
    uint8_t ext[5] = {1, 2, 3, 4, 5};

    memset(payload, (int)(seq & 0xff), sizeof(payload));
    return stream_ring_write(&f->ring, &meta, ext, sizeof(ext), payload, len);
}

static void what_is_written_is_read_back(void **state)
{
    struct fixture f;
    const struct ring_slot *slot;
    (void)state;

    setup_ring(&f);
    assert_null(stream_ring_at(&f.ring, 0));
    assert_int_equal(put(&f, 7, 100), 0);
    slot = stream_ring_at(&f.ring, 0);
    assert_non_null(slot);
    assert_int_equal(slot->seq, 7);
    assert_int_equal(slot->len, 100);
    assert_int_equal(slot->ext_len, 5);
    assert_int_equal(stream_ring_bytes(&f.ring, slot)[4], 5);
    assert_int_equal(stream_ring_bytes(&f.ring, slot)[5], 7);
    assert_true(stream_ring_alive(&f.ring, 0));
    assert_null(stream_ring_at(&f.ring, 1));
    free(f.arena);
}

static void slot_count_bounds_history(void **state)
{
    struct fixture f;
    (void)state;

    setup_ring(&f);
    for (uint64_t i = 0; i < SLOTS + 3; i++) {
        assert_int_equal(put(&f, i, 1), i);
    }
    assert_null(stream_ring_at(&f.ring, 2));
    assert_false(stream_ring_alive(&f.ring, 2));
    assert_non_null(stream_ring_at(&f.ring, 3));
    free(f.arena);
}

static void packet_that_can_never_fit_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    setup_ring(&f);
    assert_true(put(&f, 1, ARENA / 2) == UINT64_MAX);
    assert_int_equal(stream_ring_head(&f.ring), 0);
    free(f.arena);
}

/* Random lengths over many laps: every slot the ring still offers must be intact. */
static void every_living_slot_is_intact_over_many_laps(void **state)
{
    struct fixture f;
    unsigned seed = 1;
    (void)state;

    setup_ring(&f);
    for (uint64_t i = 0; i < 20000; i++) {
        uint16_t len = (uint16_t)(rand_r(&seed) % 1500);

        assert_int_equal(put(&f, i, len), i);
        for (uint64_t pos = stream_ring_tail(&f.ring); pos < stream_ring_head(&f.ring);
             pos++) {
            const struct ring_slot *slot = stream_ring_at(&f.ring, pos);
            const uint8_t *bytes = stream_ring_bytes(&f.ring, slot);

            assert_int_equal(slot->pos, pos);
            assert_int_equal(slot->seq, pos);
            assert_int_equal(bytes[0], 1);
            for (uint16_t k = 0; k < slot->len; k++) {
                if (bytes[slot->ext_len + k] != (uint8_t)pos) {
                    fail_msg("slot %lu overwritten at %u", (unsigned long)pos, k);
                }
            }
        }
    }
    assert_true(stream_ring_head(&f.ring) - stream_ring_tail(&f.ring) >= 2);
    free(f.arena);
}

static void empty_packets_do_not_hide_what_is_overwritten(void **state)
{
    struct fixture f;
    struct ring_slot meta = {.seq = 1};
    uint8_t payload[1200] = {0};
    (void)state;

    setup_ring(&f);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t pos = stream_ring_write(&f.ring, &meta, NULL, 0, payload,
                                         i % 2 == 0 ? 0 : sizeof(payload));

        assert_int_equal(pos, i);
        for (uint64_t a = stream_ring_tail(&f.ring); a < pos; a++) {
            const struct ring_slot *x = stream_ring_at(&f.ring, a);
            const struct ring_slot *y = stream_ring_at(&f.ring, pos);

            assert_true(x->offset + x->len <= y->offset || y->offset + y->len <= x->offset);
        }
    }
    free(f.arena);
}

/* By the publisher's number, whatever order they came in; what was overwritten is not there,
 * and nothing else is taken for it. */
static void numbers_are_found_while_they_are_there(void **state)
{
    struct fixture f;
    uint8_t bytes[2000];
    uint8_t payload[100];
    struct ring_slot slot;
    unsigned n_found = 0;
    (void)state;

    setup_ring(&f);
    assert_false(stream_ring_recall(&f.ring, 0, &slot, bytes, sizeof(bytes)));
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t seq = 65000 + (i ^ (i % 7 == 0 ? 3 : 0)) + (i / 100) * 3; /* swaps, jumps */
        struct ring_slot meta = {.seq = seq};

        memset(payload, (int)(seq & 0xff), sizeof(payload));
        (void)stream_ring_write(&f.ring, &meta, payload, 4, payload, sizeof(payload));
        for (uint64_t ask = seq - 40; ask < seq + 40; ask++) {
            uint64_t at = UINT64_MAX;

            for (uint64_t pos = stream_ring_tail(&f.ring); pos <= i; pos++) {
                if (stream_ring_at(&f.ring, pos)->seq == ask) {
                    at = pos; /* the last so numbered */
                }
            }
            if (!stream_ring_recall(&f.ring, ask, &slot, bytes, sizeof(bytes))) {
                /* or a later one has its place, which losses bring nearer */
                assert_true(at == UINT64_MAX || seq + 6 - ask > f.ring.slot_mask);
                continue;
            }
            assert_int_equal(slot.pos, at);
            assert_int_equal(slot.seq, ask);
            assert_int_equal(slot.ext_len + slot.len, 104);
            assert_int_equal(bytes[0], (uint8_t)ask);
            assert_int_equal(bytes[103], (uint8_t)ask);
            assert_false(stream_ring_recall(&f.ring, ask, &slot, bytes, 103));
            n_found++;
        }
    }
    assert_true(n_found > 1000);
    free(f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(slot_count_bounds_history),
        cmocka_unit_test(packet_that_can_never_fit_is_refused),
        cmocka_unit_test(empty_packets_do_not_hide_what_is_overwritten),
        cmocka_unit_test(numbers_are_found_while_they_are_there),
        cmocka_unit_test(every_living_slot_is_intact_over_many_laps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
