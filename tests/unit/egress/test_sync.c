/* Streams of one publisher stay together, clocks that drift are followed, and nothing jumps
 * that need not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "egress/compose/sync.h"

enum { S = 1000000 };

/* 32.32 of microseconds. */
static uint64_t ntp_of(uint64_t us)
{
    return (us / S) << 32 | ((us % S) << 32) / S;
}

static void before_a_report_the_quickest_arrival_counts(void **state)
{
    struct sync_clock publisher = {.known = false};
    struct sync video;
    (void)state;

    sync_init(&video, 90000);
    assert_int_equal(sync_at(&video, 1000, 5 * S, &publisher), 5 * S);
    /* 100 ms later by its timestamp, and 40 ms too late */
    assert_int_equal(sync_at(&video, 10000, 5 * S + 140000, &publisher), 5 * S + 100000);
    /* and one that was quicker than the first: by no more than a step */
    assert_int_equal(sync_at(&video, 19000, 5 * S + 150000, &publisher),
                     5 * S + 200000 - SYNC_SLEW_US);
}

/* Sound is buffered for longer than pictures where it is sent: by the reports they lie
 * together all the same. */
static void reports_bring_two_streams_together(void **state)
{
    const uint64_t theirs = 100 * (uint64_t)S; /* on the publisher's clock at our 10 s */
    struct sync_clock publisher = {.known = false};
    struct sync audio, video;
    int64_t heard = 0, seen = 0;
    (void)state;

    sync_init(&audio, 48000);
    sync_init(&video, 90000);
    for (uint32_t i = 0; i < 100; i++) {
        uint64_t now = 10 * (uint64_t)S + i * 20000;

        heard = sync_at(&audio, 7 + i * 960, now + 90000, &publisher);
        seen = sync_at(&video, 9 + i * 1800, now + 10000, &publisher);
        sync_on_report(&audio, ntp_of(theirs), 7);
        sync_on_report(&video, ntp_of(theirs), 9);
    }
    assert_true(heard - seen >= -100 && heard - seen <= 100); /* 32.32 is rounded */
    assert_true(seen >= 10 * S + 99 * 20000 + 9900 && seen <= 10 * S + 99 * 20000 + 10100);
}

/* An hour in which the publisher's clock is slow by 50 ppm, so that packets come later and
 * later by it; and its sound card is slow by 30 ppm against that. */
static void an_hour_of_drift_is_followed_by_steps_that_nobody_notices(void **state)
{
    struct sync_clock publisher = {.known = false};
    struct sync audio;
    int64_t last = 0;
    (void)state;

    sync_init(&audio, 48000);
    for (uint64_t i = 0; i < 3600 * 50; i++) {
        uint64_t now = 10 * (uint64_t)S + i * 20000;
        uint64_t theirs = 500 * (uint64_t)S + i * 20000 - i; /* 20 ms less 1 us: 50 ppm */
        uint32_t ts = (uint32_t)(i * 960 - i * 960 * 80 / 1000000);
        int64_t at = sync_at(&audio, ts, now + i % 7 * 1000, &publisher);

        if (i > 0) {
            assert_true(at - last >= 20000 - SYNC_SLEW_US - 50);
            assert_true(at - last <= 20000 + SYNC_SLEW_US + 50);
        }
        last = at;
        if (i % 250 == 0) {
            sync_on_report(&audio, ntp_of(theirs), ts);
        }
        /* half a minute's drift, and what the quickest of a window is off by */
        if (i > 50) {
            assert_true(at - (int64_t)now > -4000 && at - (int64_t)now < 4000);
        }
    }
}

/* Ninety seconds of pictures that take 'late_us' longer in the middle third. Returns how many
 * of them lie more than a slew off the one before. */
static unsigned steps_of(int64_t late_us, int64_t *most_us)
{
    struct sync_clock publisher = {.known = false};
    struct sync video;
    int64_t last = 0;
    unsigned steps = 0;

    *most_us = 0;
    sync_init(&video, 90000);
    for (uint32_t i = 0; i < 90 * 30; i++) {
        const int64_t sent = 10 * S + (int64_t)i * S / 30;
        const int64_t arrival = sent + (i >= 20 * 30 && i < 65 * 30 ? late_us : 0);
        const int64_t at = sync_at(&video, i * 3000, (uint64_t)arrival, &publisher);
        const int64_t off = i > 0 ? llabs(at - last - S / 30) : 0;

        steps += off > 2001; /* 2 ms, and times are rounded */
        *most_us = off > *most_us ? off : *most_us;
        last = at;
        if (i == 64 * 30 || i == 89 * 30) { /* it is followed in the end */
            assert_in_range(at - arrival + 1000, 0, 2000);
        }
    }
    return steps;
}

static void a_little_is_slewed_and_much_is_one_step(void **state)
{
    int64_t most_us;
    (void)state;

    assert_int_equal(steps_of(499000, &most_us), 0);
    assert_in_range(most_us, 1999, 2001);
    assert_int_equal(steps_of(501000, &most_us), 2); /* there and back */
    assert_in_range(most_us, 500000, 501001);
}

static void timestamps_that_jump_are_another_source(void **state)
{
    struct sync_clock publisher = {.known = false};
    struct sync video;
    (void)state;

    sync_init(&video, 90000);
    (void)sync_at(&video, 1000, 5 * S, &publisher);
    sync_on_report(&video, ntp_of(50 * (uint64_t)S), 1000);
    assert_int_equal(sync_at(&video, 4000, 5 * S + 33333, &publisher), 5 * S + 33333);
    assert_int_equal(sync_at(&video, 900000000, 5 * S + 66666, &publisher), 5 * S + 66666);
    assert_int_equal(sync_at(&video, 900003000, 5 * S + 99999, &publisher), 5 * S + 99999);
}

static void a_pause_of_silence_is_none_of_these(void **state)
{
    struct sync_clock publisher = {.known = false};
    struct sync audio;
    (void)state;

    sync_init(&audio, 48000);
    assert_int_equal(sync_at(&audio, 0, 5 * S, &publisher), 5 * S);
    assert_int_equal(sync_at(&audio, 48000 * 30, 35 * S + 30000, &publisher), 35 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_report_the_quickest_arrival_counts),
        cmocka_unit_test(reports_bring_two_streams_together),
        cmocka_unit_test(an_hour_of_drift_is_followed_by_steps_that_nobody_notices),
        cmocka_unit_test(a_little_is_slewed_and_much_is_one_step),
        cmocka_unit_test(timestamps_that_jump_are_another_source),
        cmocka_unit_test(a_pause_of_silence_is_none_of_these),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
