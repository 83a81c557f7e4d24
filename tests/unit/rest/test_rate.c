#include "rest/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void a_burst_passes_and_then_the_rate(void **state)
{
    struct rate *rate;
    (void)state;

    assert_int_equal(rate_create(&rate, 2000, 4), 0); /* two a second, four at once */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rate_take(rate, "a", 1000), 0);
    }
    assert_int_equal(rate_take(rate, "a", 1000), 1);
    assert_int_equal(rate_take(rate, "b", 1000), 0); /* another is not to blame */
    assert_int_equal(rate_take(rate, "a", 1000 + 499999), 1);
    assert_int_equal(rate_take(rate, "a", 1000 + 500000), 0);
    assert_int_equal(rate_take(rate, "a", 1000 + 500000), 1);
    /* Long after: as many as at first, no more. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rate_take(rate, "a", UINT64_MAX / 4), 0);
    }
    assert_int_equal(rate_take(rate, "a", UINT64_MAX / 4), 1);
    rate_destroy(rate);
}

static void a_slow_rate_says_how_long(void **state)
{
    struct rate *rate;
    (void)state;

    assert_int_equal(rate_create(&rate, 500, 1), 0); /* one in two seconds */
    assert_int_equal(rate_take(rate, "a", 0), 0);
    assert_int_equal(rate_take(rate, "a", 0), 3);
    assert_int_equal(rate_take(rate, "a", 1000000), 2);
    assert_int_equal(rate_take(rate, "a", 2000000), 0);
    assert_int_equal(rate_take(NULL, "a", 0), 0);
    rate_destroy(rate);
}

static void many_keys_push_out_the_idle_ones(void **state)
{
    struct rate *rate;
    char key[16];
    (void)state;

    assert_int_equal(rate_create(&rate, 1, 1), 0);
    assert_int_equal(rate_take(rate, "busy", 0), 0);
    for (int i = 0; i < 2 * RATE_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(rate_take(rate, key, 0), 0);
        if (i % 1000 == 0) {
            assert_int_not_equal(rate_take(rate, "busy", 0), 0); /* it is not forgotten */
        }
    }
    assert_int_equal(rate_take(rate, "0", 0), 0); /* this one was */
    rate_destroy(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate),
        cmocka_unit_test(a_slow_rate_says_how_long),
        cmocka_unit_test(many_keys_push_out_the_idle_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
