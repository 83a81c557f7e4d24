/* What arrived of a numbered stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loadgen/track.h"

static void order_from_anywhere_is_complete(void **state)
{
    struct track t = {.started = false};
    (void)state;

    for (uint64_t n = 70000; n < 90000; n++) {
        assert_int_equal(track_on_number(&t, n), TRACK_NEXT);
    }
    assert_int_equal(t.n_received, 20000);
    assert_int_equal(track_lost(&t, 89999), 0);
    assert_int_equal(track_lost(&t, 90001), 2);
    assert_int_equal(t.n_duplicates + t.n_misordered, 0);
}

static void hole_is_missing_until_it_is_filled(void **state)
{
    struct track t = {.started = false};
    (void)state;

    (void)track_on_number(&t, 1);
    assert_int_equal(track_on_number(&t, 5), TRACK_NEXT);
    assert_int_equal(track_lost(&t, 5), 3);
    assert_int_equal(track_on_number(&t, 3), TRACK_MISORDERED);
    assert_int_equal(track_lost(&t, 5), 2);
    assert_int_equal(t.n_misordered, 1);
    assert_int_equal(t.n_received, 3);
}

static void other_numbers_add_to_what_was_counted(void **state)
{
    struct track t = {.started = false};
    (void)state;

    (void)track_on_number(&t, 7);
    (void)track_on_number(&t, 9);
    track_restart(&t);
    assert_int_equal(track_on_number(&t, 3), TRACK_NEXT);
    assert_int_equal(track_on_number(&t, 4), TRACK_NEXT);
    assert_int_equal(t.n_received, 4);
    assert_int_equal(track_lost(&t, 5), 2); /* one of before, one behind */
    assert_int_equal(t.n_duplicates + t.n_misordered, 0);
}

static void same_number_twice_is_a_duplicate(void **state)
{
    struct track t = {.started = false};
    (void)state;

    (void)track_on_number(&t, 1);
    (void)track_on_number(&t, 2);
    (void)track_on_number(&t, 4);
    assert_int_equal(track_on_number(&t, 4), TRACK_DUPLICATE);
    assert_int_equal(track_on_number(&t, 1), TRACK_DUPLICATE);
    assert_int_equal(track_on_number(&t, 3), TRACK_MISORDERED);
    assert_int_equal(track_on_number(&t, 3), TRACK_DUPLICATE);
    assert_int_equal(t.n_duplicates, 3);
    assert_int_equal(t.n_received, 4);
    assert_int_equal(track_lost(&t, 4), 0);
}

static void earlier_than_the_first_moves_the_beginning(void **state)
{
    struct track t = {.started = false};
    (void)state;

    (void)track_on_number(&t, 10);
    assert_int_equal(track_on_number(&t, 7), TRACK_MISORDERED);
    assert_int_equal(t.first, 7);
    assert_int_equal(track_lost(&t, 10), 2);
}

static void wide_gap_forgets_what_the_window_held(void **state)
{
    struct track t = {.started = false};
    const uint64_t far = 3 * TRACK_WINDOW;
    (void)state;

    (void)track_on_number(&t, 0);
    (void)track_on_number(&t, 1);
    (void)track_on_number(&t, far);
    assert_int_equal(track_lost(&t, far), far - 2);
    /* same places in the window as numbers seen before the gap, and never seen themselves
     */
    assert_int_equal(track_on_number(&t, far - TRACK_WINDOW + 1), TRACK_MISORDERED);
    assert_int_equal(track_on_number(&t, far - 1), TRACK_MISORDERED);
    assert_int_equal(track_on_number(&t, 0), TRACK_STALE);
    assert_int_equal(track_lost(&t, far), far - 4);
}

/* Places in the window are used again and again: what stood there is another number's. */
static void late_number_is_no_duplicate_of_one_a_window_ago(void **state)
{
    struct track t = {.started = false};
    const uint64_t gap = TRACK_WINDOW + 10;
    (void)state;

    for (uint64_t n = 0; n < gap; n++) {
        (void)track_on_number(&t, n);
    }
    (void)track_on_number(&t, gap + 2);
    assert_int_equal(track_lost(&t, gap + 2), 2);
    assert_int_equal(track_on_number(&t, gap), TRACK_MISORDERED);
    assert_int_equal(track_on_number(&t, gap + 1), TRACK_MISORDERED);
    assert_int_equal(track_lost(&t, gap + 2), 0);
    assert_int_equal(track_on_number(&t, 0), TRACK_STALE);
    assert_int_equal(t.n_misordered, 3);
    assert_int_equal(t.n_duplicates, 0);
}

static void row_is_since_the_last_gap(void **state)
{
    struct track t = {.started = false};
    (void)state;

    assert_int_equal(track_row(&t), 0);
    for (uint64_t n = 5; n < 15; n++) {
        (void)track_on_number(&t, n);
    }
    assert_int_equal(track_row(&t), 9);
    (void)track_on_number(&t, 17);
    (void)track_on_number(&t, 18);
    assert_int_equal(track_row(&t), 2);
    (void)track_on_number(&t, 16); /* late: it was one, all the same */
    assert_int_equal(track_row(&t), 2);
    track_restart(&t);
    assert_int_equal(track_row(&t), 0);
    (void)track_on_number(&t, 3);
    (void)track_on_number(&t, 4);
    assert_int_equal(track_row(&t), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_from_anywhere_is_complete),
        cmocka_unit_test(hole_is_missing_until_it_is_filled),
        cmocka_unit_test(same_number_twice_is_a_duplicate),
        cmocka_unit_test(other_numbers_add_to_what_was_counted),
        cmocka_unit_test(earlier_than_the_first_moves_the_beginning),
        cmocka_unit_test(wide_gap_forgets_what_the_window_held),
        cmocka_unit_test(late_number_is_no_duplicate_of_one_a_window_ago),
        cmocka_unit_test(row_is_since_the_last_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
