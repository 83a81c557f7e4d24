/* The pacer: a burst is spread, nothing is held up longer than the window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pacer.h"

/* Sends 'n' packets that all came at time 'at'; returns when the last one left. */
static uint64_t send_burst(struct pacer *pacer, unsigned n, uint64_t rate_bps,
                           uint32_t window_us, uint64_t at_us, uint64_t *longest_us)
{
    uint64_t now_us = at_us;

    for (unsigned i = 0; i < n; i++) {
        while (!pacer_is_ready(pacer, now_us)) {
            now_us += 100;
        }
        pacer_on_video(pacer, 1200, rate_bps, now_us - at_us, window_us, now_us);
        *longest_us = now_us - at_us > *longest_us ? now_us - at_us : *longest_us;
    }
    return now_us;
}

static void key_frame_is_spread_at_the_rate(void **state)
{
    struct pacer pacer = {0};
    uint64_t longest_us = 0;
    uint64_t end_us = send_burst(&pacer, 20, 5000000, 200000, 1000000, &longest_us);
    (void)state;

    assert_in_range(end_us - 1000000, 25000, 40000); /* 38 ms at 5 Mb/s, less the burst */
}

static void nothing_waits_longer_than_the_window(void **state)
{
    (void)state;

    for (uint64_t rate = 100000; rate < 10000000; rate *= 3) {
        struct pacer pacer = {0};
        uint64_t longest_us = 0;

        (void)send_burst(&pacer, 200, rate, 100000, 1000000, &longest_us);
        assert_in_range(longest_us, 0, 100000 + PACER_MAX_STEP_US);
    }
}

static void without_window_or_rate_nothing_waits(void **state)
{
    struct pacer pacer = {0};
    uint64_t longest_us = 0;
    (void)state;

    (void)send_burst(&pacer, 200, 1000000, 0, 1000000, &longest_us);
    (void)send_burst(&pacer, 200, 0, 100000, 2000000, &longest_us);
    assert_int_equal(longest_us, 0);
}

static void even_video_is_not_held_up(void **state)
{
    struct pacer pacer = {0};
    uint64_t longest_us = 0, now_us = 1000000;
    (void)state;

    for (unsigned i = 0; i < 1000; i++) { /* 1 Mb/s below a rate of 2 */
        now_us += 9600;
        (void)send_burst(&pacer, 1, 2000000, 100000, now_us, &longest_us);
    }
    assert_int_equal(longest_us, 0);
}

static void repair_takes_the_place_of_video_but_not_for_long(void **state)
{
    struct pacer pacer = {0};
    const uint64_t now_us = 1000000;
    (void)state;

    pacer_on_repair(&pacer, 1250, 1000000, UINT64_MAX,
                    now_us); /* 10 ms, of which 2 are forgiven */
    assert_false(pacer_is_ready(&pacer, now_us + 7000));
    assert_true(pacer_is_ready(&pacer, now_us + 8000));
    for (unsigned i = 0; i < 100; i++) {
        pacer_on_repair(&pacer, 1250, 1000000, UINT64_MAX, now_us);
    }
    assert_true(pacer_is_ready(&pacer, now_us + PACER_MAX_STEP_US));
    pacer = (struct pacer){0};
    pacer_on_repair(&pacer, 1250, 0, UINT64_MAX, now_us);
    assert_true(pacer_is_ready(&pacer, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_frame_is_spread_at_the_rate),
        cmocka_unit_test(nothing_waits_longer_than_the_window),
        cmocka_unit_test(without_window_or_rate_nothing_waits),
        cmocka_unit_test(even_video_is_not_held_up),
        cmocka_unit_test(repair_takes_the_place_of_video_but_not_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
