#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "media/media_slots.h"

static void fresh(struct media_slots *slots, uint32_t n)
{
    *slots = (struct media_slots){.n = 0};
    assert_int_equal(media_slots_reset(slots, n), 0);
    media_slots_ready(slots);
}

static void each_slot_is_given_once_and_then_none(void **state)
{
    struct media_slots s;
    uint64_t a, b;
    (void)state;

    fresh(&s, 2);
    a = media_slots_take(&s);
    b = media_slots_take(&s);
    assert_int_not_equal(handle_index(a), handle_index(b));
    assert_int_not_equal(handle_gen(a), 0);
    assert_int_equal(media_slots_take(&s), HANDLE_NONE);
    assert_non_null(media_slots_find(&s, a, SLOT_OPEN));
    assert_null(media_slots_find(&s, a, SLOT_CLOSING));
    media_slots_fini(&s);
}

static void a_slot_that_came_back_has_another_handle(void **state)
{
    struct media_slots s;
    uint64_t a, b;
    (void)state;

    fresh(&s, 1);
    a = media_slots_take(&s);
    media_slots_release(&s, a);
    assert_null(media_slots_find(&s, a, SLOT_OPEN));
    b = media_slots_take(&s);
    assert_int_equal(handle_index(a), handle_index(b));
    assert_int_not_equal(a, b);
    assert_null(media_slots_find(&s, a, SLOT_OPEN));
    media_slots_fini(&s);
}

static void the_slot_that_is_free_for_longest_comes_first(void **state)
{
    struct media_slots s;
    uint64_t h[3];
    (void)state;

    fresh(&s, 3);
    for (int i = 0; i < 3; i++) {
        h[i] = media_slots_take(&s);
    }
    media_slots_release(&s, h[2]);
    media_slots_release(&s, h[0]);
    assert_int_equal(handle_index(media_slots_take(&s)), handle_index(h[2]));
    assert_int_equal(handle_index(media_slots_take(&s)), handle_index(h[0]));
    media_slots_fini(&s);
}

static void handles_of_an_earlier_table_stay_stale(void **state)
{
    struct media_slots s;
    uint64_t old, adopted;
    (void)state;

    fresh(&s, 2);
    old = media_slots_take(&s);
    media_slots_release(&s, old);
    media_slots_release(&s, media_slots_take(&s));
    old = media_slots_take(&s);
    assert_int_equal(media_slots_reset(&s, 2), 0);
    adopted = handle_make(handle_index(old), 1); /* of a life before that of 'old' */
    assert_true(media_slots_adopt(&s, adopted, false));
    media_slots_ready(&s);
    media_slots_release(&s, adopted);
    for (int i = 0; i < 2; i++) {
        assert_true(handle_gen(media_slots_take(&s)) > handle_gen(old));
    }
    assert_null(media_slots_find(&s, old, SLOT_OPEN));
    media_slots_fini(&s);
}

static void an_adopted_slot_is_not_given_out(void **state)
{
    struct media_slots s = {.n = 0};
    uint64_t left = handle_make(1, 77);
    (void)state;

    assert_int_equal(media_slots_reset(&s, 2), 0);
    assert_false(media_slots_adopt(&s, handle_make(2, 1), false));
    assert_false(media_slots_adopt(&s, handle_make(0, 0), false));
    assert_true(media_slots_adopt(&s, left, false));
    media_slots_ready(&s);
    assert_non_null(media_slots_find(&s, left, SLOT_CLOSING));
    assert_int_equal(handle_index(media_slots_take(&s)), 0);
    assert_int_equal(media_slots_take(&s), HANDLE_NONE);
    media_slots_release(&s, left);
    assert_int_equal(media_slots_take(&s), handle_make(1, 78));
    media_slots_fini(&s);
}

static void handles_from_outside_are_harmless(void **state)
{
    struct media_slots s;
    (void)state;

    fresh(&s, 2);
    assert_null(media_slots_find(&s, HANDLE_NONE, SLOT_OPEN));
    assert_null(media_slots_find(&s, UINT64_MAX, SLOT_OPEN));
    assert_null(media_slots_find(&s, handle_make(2, 1), SLOT_OPEN));
    media_slots_fini(&s);
    assert_null(media_slots_find(&s, handle_make(0, 1), SLOT_OPEN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_is_given_once_and_then_none),
        cmocka_unit_test(a_slot_that_came_back_has_another_handle),
        cmocka_unit_test(the_slot_that_is_free_for_longest_comes_first),
        cmocka_unit_test(handles_of_an_earlier_table_stay_stale),
        cmocka_unit_test(an_adopted_slot_is_not_given_out),
        cmocka_unit_test(handles_from_outside_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
