/* Frames are where their timestamps say, streams where sender reports say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "egress/track/timeline.h"

#define NTP(s) ((uint64_t)(s) << 32)

static void timestamps_count_from_the_first_and_past_their_end(void **state)
{
    struct timeline_clock clock = {.known = false};
    struct timeline t;
    (void)state;

    timeline_init(&t, 90000);
    assert_int_equal(timeline_at(&t, UINT32_MAX - 2999, 1000000, &clock), 0);
    assert_int_equal(timeline_at(&t, 0, 1033000, &clock), 3000);
    assert_int_equal(timeline_at(&t, 3000, 1090000, &clock), 6000);
}

static void a_jump_that_the_arrivals_do_not_share_is_closed_up(void **state)
{
    struct timeline_clock clock = {.known = false};
    struct timeline t;
    (void)state;

    timeline_init(&t, 90000);
    (void)timeline_at(&t, 1000, 1000000, &clock);
    assert_int_equal(timeline_at(&t, 900000000, 1040000, &clock), 3600);
    assert_int_equal(timeline_at(&t, 900003000, 1080000, &clock), 6600);
    /* a pause is one that they share */
    assert_int_equal(timeline_at(&t, 900003000 + 900000, 11080000, &clock), 906600);
}

static void without_reports_a_stream_begins_when_its_first_frame_came(void **state)
{
    struct timeline_clock clock = {.known = false};
    struct timeline t;
    (void)state;

    timeline_init(&t, 90000);
    (void)timeline_at(&t, 0, 5000000, &clock);
    assert_int_equal(timeline_start(&t, &clock, 3000000), 2000000);
}

/* Sound was 40 ms longer on its way than the picture of the same moment. */
static void reports_bring_streams_of_a_publisher_together(void **state)
{
    struct timeline_clock clock = {.known = false};
    struct timeline video, audio;
    (void)state;

    timeline_init(&video, 90000);
    timeline_init(&audio, 48000);
    (void)timeline_at(&video, 9000, 5000000, &clock);
    (void)timeline_at(&audio, 100, 5040000, &clock);
    timeline_on_report(&video, NTP(3900000000), 9000);
    timeline_on_report(&audio, NTP(3900000000), 100);
    (void)timeline_at(&video, 9000 + 3000, 5033333, &clock);
    (void)timeline_at(&audio, 100 + 960, 5060000, &clock);
    assert_in_range(timeline_start(&video, &clock, 4000000), 999990, 1000010);
    assert_in_range(timeline_start(&audio, &clock, 4000000), 999990, 1000010);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_count_from_the_first_and_past_their_end),
        cmocka_unit_test(a_jump_that_the_arrivals_do_not_share_is_closed_up),
        cmocka_unit_test(without_reports_a_stream_begins_when_its_first_frame_came),
        cmocka_unit_test(reports_bring_streams_of_a_publisher_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
