#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/base/ring.h"

enum { SLOTS = 8 };

static _Alignas(64) uint8_t mem[sizeof(struct ring) + SLOTS * sizeof(uint64_t)];

static struct ring_view fresh(void)
{
    ring_init(mem, SLOTS, sizeof(uint64_t));
    return ring_view_of(mem, SLOTS, sizeof(uint64_t));
}

static int put(const struct ring_view *v, uint64_t x)
{
    uint64_t *slot = ring_reserve(v);

    if (slot == NULL) {
        return -1;
    }
    *slot = x;
    ring_commit(v);
    return 0;
}

static void what_goes_in_comes_out_in_order(void **state)
{
    struct ring_view v = fresh();
    (void)state;

    assert_true(ring_empty(&v));
    assert_null(ring_peek(&v));
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(put(&v, 2 * i), 0);
        assert_int_equal(put(&v, 2 * i + 1), 0);
        for (uint64_t k = 0; k < 2; k++) {
            const uint64_t *slot = ring_peek(&v);

            assert_non_null(slot);
            assert_int_equal(*slot, 2 * i + k);
            ring_release(&v);
        }
    }
    assert_true(ring_empty(&v));
}

static void a_full_ring_refuses_and_loses_nothing(void **state)
{
    struct ring_view v = fresh();
    (void)state;

    for (uint64_t i = 0; i < SLOTS; i++) {
        assert_int_equal(put(&v, i), 0);
    }
    assert_null(ring_reserve(&v));
    assert_int_equal(*(const uint64_t *)ring_peek(&v), 0);
    ring_release(&v);
    assert_int_equal(put(&v, SLOTS), 0);
    assert_null(ring_reserve(&v));
}

static void a_slot_that_was_not_committed_is_not_seen(void **state)
{
    struct ring_view v = fresh();
    uint64_t *slot = ring_reserve(&v);
    (void)state;

    *slot = 5;
    assert_true(ring_empty(&v));
    assert_ptr_equal(ring_reserve(&v), slot);
}

static void positions_may_wrap_their_32_bits(void **state)
{
    struct ring_view v = fresh();
    (void)state;

    atomic_store(&v.ring->head, UINT32_MAX - 2);
    atomic_store(&v.ring->tail, UINT32_MAX - 2);
    assert_true(ring_valid(mem, SLOTS, sizeof(uint64_t)));
    for (uint64_t i = 0; i < SLOTS; i++) {
        assert_int_equal(put(&v, i), 0);
    }
    assert_null(ring_reserve(&v));
    assert_true(ring_valid(mem, SLOTS, sizeof(uint64_t)));
    for (uint64_t i = 0; i < SLOTS; i++) {
        assert_int_equal(*(const uint64_t *)ring_peek(&v), i);
        ring_release(&v);
    }
    assert_true(ring_empty(&v));
}

static void a_ring_of_another_shape_or_fill_is_not_valid(void **state)
{
    struct ring_view v = fresh();
    (void)state;

    assert_true(ring_valid(mem, SLOTS, 8));
    assert_false(ring_valid(mem, SLOTS * 2, 8));
    assert_false(ring_valid(mem, SLOTS, 16));
    assert_false(ring_valid(mem, 0, 8));
    v.ring->n_slots = SLOTS - 1;
    assert_false(ring_valid(mem, SLOTS - 1, 8));
    v = fresh();
    atomic_store(&v.ring->head, SLOTS + 1);
    assert_false(ring_valid(mem, SLOTS, 8));
    atomic_store(&v.ring->tail, 2);
    assert_true(ring_valid(mem, SLOTS, 8));
    atomic_store(&v.ring->tail, SLOTS + 2);
    assert_false(ring_valid(mem, SLOTS, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_in_order),
        cmocka_unit_test(a_full_ring_refuses_and_loses_nothing),
        cmocka_unit_test(a_slot_that_was_not_committed_is_not_seen),
        cmocka_unit_test(positions_may_wrap_their_32_bits),
        cmocka_unit_test(a_ring_of_another_shape_or_fill_is_not_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
