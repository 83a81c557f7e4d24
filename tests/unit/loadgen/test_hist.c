/* Quantiles of delays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loadgen/hist.h"

static void quantiles_are_right_to_three_percent(void **state)
{
    static struct hist h;
    (void)state;

    h = (struct hist){0};
    for (uint64_t v = 1; v <= 1000000; v++) {
        hist_add(&h, v);
    }
    for (unsigned permille = 1; permille <= 1000; permille++) {
        uint64_t exact = permille * UINT64_C(1000);
        uint64_t got = hist_quantile(&h, permille);

        assert_true(got >= exact && got <= exact + exact * 32 / 1000);
    }
    assert_int_equal(h.max, 1000000);
}

static void small_values_are_exact_and_none_is_nothing(void **state)
{
    static struct hist h;
    (void)state;

    h = (struct hist){0};
    assert_int_equal(hist_quantile(&h, 500), 0);
    hist_add(&h, 0);
    assert_int_equal(hist_quantile(&h, 990), 0);
    hist_add(&h, 17);
    assert_int_equal(hist_quantile(&h, 500), 0);
    assert_int_equal(hist_quantile(&h, 510), 17);
}

static void what_is_beyond_the_scale_counts_as_the_greatest(void **state)
{
    static struct hist h;
    (void)state;

    h = (struct hist){0};
    hist_add(&h, UINT64_MAX);
    hist_add(&h, UINT64_MAX - 1);
    assert_int_equal(hist_quantile(&h, 1), UINT64_MAX);
    assert_int_equal(h.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_right_to_three_percent),
        cmocka_unit_test(small_values_are_exact_and_none_is_nothing),
        cmocka_unit_test(what_is_beyond_the_scale_counts_as_the_greatest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
