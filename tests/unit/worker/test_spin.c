/* When a lane looks for work and when it sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/spin.h"

static void feed(struct spin *spin, unsigned n, uint64_t gap_us)
{
    for (unsigned i = 0; i < n; i++) {
        spin_on_work(spin, gap_us);
    }
}

static void what_comes_soon_is_waited_for(void **state)
{
    struct spin spin = {.score = 0};
    (void)state;

    assert_int_equal(spin_us(&spin), SPIN_LEAST_US);
    feed(&spin, SPIN_SURE, SPIN_US);
    assert_int_equal(spin_us(&spin), SPIN_US);
    feed(&spin, 1, 100000); /* a pause says nothing of what comes after */
    assert_int_equal(spin_us(&spin), SPIN_US);
}

static void what_comes_late_is_slept_for(void **state)
{
    struct spin spin = {.score = 0};
    (void)state;

    feed(&spin, 1000, 1);
    feed(&spin, 3, SPIN_US + 1);
    assert_int_equal(spin_us(&spin), SPIN_LEAST_US);
    for (unsigned i = 0; i < 100; i++) { /* half of it comes soon: that does not pay */
        feed(&spin, 1, 1);
        feed(&spin, 1, 500);
    }
    assert_int_equal(spin_us(&spin), SPIN_LEAST_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_soon_is_waited_for),
        cmocka_unit_test(what_comes_late_is_slept_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
