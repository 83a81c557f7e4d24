/* Many timers, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "sys/wheel.h"

#define MS UINT64_C(1000)
#define TICK (WHEEL_TICK_MS * MS)
#define TURN (WHEEL_SLOTS * TICK)
#define T0 (UINT64_C(86400000) * MS + 3)

enum { MANY = 2000 };

static struct wheel wheel;

static void fires_within_a_tick_and_never_early(void **state)
{
    struct wheel_entry e = {0};
    (void)state;

    wheel_init(&wheel, T0);
    assert_true(wheel_deadline(&wheel) == UINT64_MAX);
    wheel_set(&wheel, &e, T0 + 100 * MS);
    assert_in_range(wheel_deadline(&wheel), T0 + 100 * MS, T0 + 100 * MS + TICK);
    assert_null(wheel_take(&wheel, T0 + 100 * MS - 1));
    assert_ptr_equal(wheel_take(&wheel, T0 + 100 * MS + TICK), &e);
    assert_false(wheel_is_set(&e));
    assert_null(wheel_take(&wheel, T0 + TURN));
}

static void what_is_past_is_due_at_once(void **state)
{
    struct wheel_entry e = {0}, f = {0}, g = {0};
    (void)state;

    wheel_init(&wheel, T0);
    wheel_set(&wheel, &e, 0);
    assert_int_equal(wheel_deadline(&wheel), 0);
    assert_ptr_equal(wheel_take(&wheel, T0), &e);
    assert_null(wheel_take(&wheel, T0));
    wheel_set(&wheel, &e, T0 - 1); /* a moment ago: within a tick */
    wheel_set(&wheel, &f, 0);      /* these in the order in which they were set */
    wheel_set(&wheel, &g, 0);
    wheel_remove(&wheel, &g);
    wheel_set(&wheel, &g, 0);
    assert_ptr_equal(wheel_take(&wheel, T0), &f);
    assert_ptr_equal(wheel_take(&wheel, T0), &g);
    assert_null(wheel_take(&wheel, T0));
    assert_ptr_equal(wheel_take(&wheel, T0 + TICK), &e);
}

static void far_ones_wait_for_their_turn(void **state)
{
    struct wheel_entry e = {0};
    uint64_t at = T0 + 5 * TURN + 7 * TICK, now = T0;
    (void)state;

    wheel_init(&wheel, T0);
    wheel_set(&wheel, &e, at);
    while (wheel_is_set(&e)) { /* as the loop would: no more than once a turn */
        now = wheel_deadline(&wheel);
        assert_true(now <= at + TICK);
        (void)wheel_take(&wheel, now);
    }
    assert_true(now >= at);
}

static void one_is_moved_and_removed(void **state)
{
    struct wheel_entry a = {0}, b = {0};
    (void)state;

    wheel_init(&wheel, T0);
    wheel_remove(&wheel, &a);
    wheel_set(&wheel, &a, T0 + TICK);
    wheel_set(&wheel, &b, T0 + TICK);
    wheel_set(&wheel, &a, T0 + 50 * TICK);
    wheel_remove(&wheel, &b);
    assert_int_equal(wheel.n, 1);
    assert_null(wheel_take(&wheel, T0 + 10 * TICK));
    wheel_set(&wheel, &a, T0 + 11 * TICK); /* sooner than it was */
    assert_ptr_equal(wheel_take(&wheel, T0 + 13 * TICK), &a);
    assert_int_equal(wheel.n, 0);
    assert_true(wheel_deadline(&wheel) == UINT64_MAX);
}

/* Those that are due together: the first may take the other away, or come back. */
static void one_that_fires_may_remove_another_and_set_itself(void **state)
{
    struct wheel_entry a = {0}, b = {0};
    struct wheel_entry *first;
    (void)state;

    wheel_init(&wheel, T0);
    wheel_set(&wheel, &a, T0 + TICK);
    wheel_set(&wheel, &b, T0 + TICK);
    first = wheel_take(&wheel, T0 + 3 * TICK);
    wheel_remove(&wheel, first == &a ? &b : &a);
    wheel_set(&wheel, first, T0 + 4 * TICK);
    assert_null(wheel_take(&wheel, T0 + 3 * TICK));
    assert_ptr_equal(wheel_take(&wheel, T0 + 6 * TICK), first);
}

static void a_jump_of_the_clock_makes_all_due_that_it_passed(void **state)
{
    struct wheel_entry near = {0}, far = {0}, farther = {0};
    unsigned n = 0;
    (void)state;

    wheel_init(&wheel, T0);
    wheel_set(&wheel, &near, T0 + 2 * TICK);
    wheel_set(&wheel, &far, T0 + 3 * TURN);
    wheel_set(&wheel, &farther, T0 + 2000000 * TURN);
    while (wheel_take(&wheel, T0 + 1000000 * TURN) != NULL) {
        n++;
    }
    assert_int_equal(n, 2);
    assert_true(wheel_is_set(&farther));
    assert_null(wheel_take(&wheel, T0)); /* and back: nothing happens */
    assert_ptr_equal(wheel_take(&wheel, T0 + 2000001 * TURN), &farther);
}

/* Beside the plainest: a list of deadlines. */
static void it_agrees_with_a_list(void **state)
{
    static struct wheel_entry e[MANY];
    static uint64_t at[MANY]; /* 0: not set */
    uint64_t now = T0;
    unsigned seed = 1, left = 0;
    (void)state;

    wheel_init(&wheel, T0);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = (unsigned)rand_r(&seed) % MANY, what = (unsigned)rand_r(&seed) % 8;
        struct wheel_entry *fired;

        if (what < 5) {
            at[i] = now + (uint64_t)((unsigned)rand_r(&seed) % 200000) * MS;
            wheel_set(&wheel, &e[i], at[i]);
        } else if (what == 5) {
            at[i] = 0;
            wheel_remove(&wheel, &e[i]);
        }
        now += (uint64_t)((unsigned)rand_r(&seed) % (round % 1000 == 0 ? 90000 : 40)) * MS;
        while ((fired = wheel_take(&wheel, now)) != NULL) {
            i = (unsigned)(fired - e);
            assert_true(at[i] != 0 && at[i] <= now);
            at[i] = 0;
        }
        assert_true(wheel_deadline(&wheel) > now);
        for (i = 0; i < MANY; i++) {
            assert_true(at[i] == 0 || at[i] + TICK > now);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        left += at[i] != 0;
    }
    assert_int_equal(left, wheel.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_within_a_tick_and_never_early),
        cmocka_unit_test(what_is_past_is_due_at_once),
        cmocka_unit_test(far_ones_wait_for_their_turn),
        cmocka_unit_test(one_is_moved_and_removed),
        cmocka_unit_test(one_that_fires_may_remove_another_and_set_itself),
        cmocka_unit_test(a_jump_of_the_clock_makes_all_due_that_it_passed),
        cmocka_unit_test(it_agrees_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
