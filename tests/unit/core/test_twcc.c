/* Transport-wide feedback, the receiving side; answers are read with the wire parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/twcc.h"
#include "sfu/wire/rtcp_twcc.h"

enum { INTERVAL = 100000, MAX_PACKETS = 256, BUF = 1500 };

static const struct twcc_conf conf = {.interval_us = INTERVAL, .max_packets = MAX_PACKETS};

static struct twcc_fb fb_of(const uint8_t *buf, size_t len)
{
    struct rtcp_iter it = rtcp_iter_of(buf, len);
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb msg = {0};
    struct twcc_fb fb = {0};

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_true(rtcp_is_twcc(&pkt));
    assert_int_equal(rtcp_fb_parse(&pkt, &msg), 0);
    assert_int_equal(msg.sender_ssrc, 1);
    assert_int_equal(msg.media_ssrc, 2);
    assert_int_equal(twcc_fb_parse(&msg, &fb), 0);
    return fb;
}

/* Takes one feedback that must be there. */
static struct twcc_fb take(struct twcc *twcc, uint64_t now_us, uint8_t buf[BUF])
{
    return fb_of(buf, twcc_take_feedback(twcc, now_us, 1, 2, buf, BUF));
}

static void nothing_received_is_never_due(void **state)
{
    struct twcc twcc;
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_true(twcc_deadline(&twcc) == UINT64_MAX);
    assert_int_equal(twcc_take_feedback(&twcc, UINT64_MAX - 1, 1, 2, buf, BUF), 0);
}

static void feedback_is_due_an_interval_after_the_first_packet(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 100, 64000 * 7 + 1000), 0);
    assert_int_equal(twcc_on_packet(&twcc, 101, 64000 * 7 + 3600), 0);
    assert_int_equal(twcc_deadline(&twcc), 64000 * 7 + 1000 + INTERVAL);
    assert_int_equal(twcc_take_feedback(&twcc, twcc_deadline(&twcc) - 1, 1, 2, buf, BUF),
                     0);
    fb = take(&twcc, twcc_deadline(&twcc), buf);
    assert_int_equal(fb.base_seq, 100);
    assert_int_equal(fb.n_status, 2);
    assert_int_equal(fb.ref_time, 7);
    assert_int_equal(fb.fb_count, 0);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 100);
    assert_int_equal(a.delta_ticks, 4);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 101);
    assert_int_equal(a.delta_ticks, 10);
    assert_true(twcc_deadline(&twcc) == UINT64_MAX);
    assert_int_equal(twcc_take_feedback(&twcc, UINT64_MAX - 1, 1, 2, buf, BUF), 0);
}

static void many_packets_are_reported_at_once(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    for (uint16_t i = 0; i < MAX_PACKETS - 1; i++) {
        assert_int_equal(twcc_on_packet(&twcc, i, 10), 0);
    }
    assert_int_equal(twcc_deadline(&twcc), 10 + INTERVAL);
    assert_int_equal(twcc_on_packet(&twcc, MAX_PACKETS - 1, 20), 0);
    assert_int_equal(twcc_deadline(&twcc), 20);
    fb = take(&twcc, 20, buf);
    assert_int_equal(fb.n_status, MAX_PACKETS);
}

static void losses_between_reports_are_told(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 65534, 0), 0);
    (void)take(&twcc, INTERVAL, buf);
    assert_int_equal(twcc_on_packet(&twcc, 1, INTERVAL), 0); /* 65535 and 0 are missing */
    fb = take(&twcc, 2 * INTERVAL, buf);
    assert_int_equal(fb.base_seq, 65535);
    assert_int_equal(fb.n_status, 3);
    assert_int_equal(fb.fb_count, 1);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 1);
    assert_false(twcc_fb_next(&fb, &a));
}

static void duplicates_keep_the_first_arrival(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 5, 250), 0);
    assert_int_equal(twcc_on_packet(&twcc, 5, 50000), -EALREADY);
    fb = take(&twcc, 250 + INTERVAL, buf);
    assert_int_equal(fb.n_status, 1);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.delta_ticks, 1);
    assert_int_equal(twcc_on_packet(&twcc, 5, 300000), -EALREADY);
    assert_true(twcc_deadline(&twcc) == UINT64_MAX);
}

static void packet_older_than_the_first_or_the_report_is_told(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 2, 1000), 0);
    assert_int_equal(twcc_on_packet(&twcc, 65535, 2000), 0); /* overtaken by the first */
    fb = take(&twcc, 1000 + INTERVAL, buf);
    assert_int_equal(fb.base_seq, 65535);
    assert_int_equal(fb.n_status, 4);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 65535);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 2);
    assert_int_equal(a.delta_ticks, -4);

    assert_int_equal(twcc_on_packet(&twcc, 0, 200000), 0); /* was reported as lost */
    fb = take(&twcc, 200000 + INTERVAL, buf);
    assert_int_equal(fb.base_seq, 0);
    assert_int_equal(fb.n_status, 3);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 0);
}

static void long_report_is_split_and_complete(void **state)
{
    const struct twcc_conf slow = {.interval_us = INTERVAL, .max_packets = TWCC_WINDOW};
    struct twcc twcc;
    uint8_t buf[BUF];
    uint16_t next = 60000;
    uint64_t at_ticks = 0;
    unsigned n_packets = 0;
    unsigned n_seen = 0;
    (void)state;

    twcc_init(&twcc, &slow);
    for (uint32_t i = 0; i < 1500; i++) { /* every 100 ms: large deltas */
        assert_int_equal(twcc_on_packet(&twcc, (uint16_t)(60000 + i), i * 100000u), 0);
    }
    for (;;) {
        size_t len = twcc_take_feedback(&twcc, 150000000, 1, 2, buf, BUF);
        struct twcc_fb fb;
        struct twcc_arrival a = {0};
        uint64_t t;

        if (len == 0) {
            break;
        }
        assert_true(len <= TWCC_MAX_PACKET);
        fb = fb_of(buf, len);
        assert_int_equal(fb.base_seq, next);
        assert_int_equal(fb.fb_count, n_packets);
        next = (uint16_t)(next + fb.n_status);
        t = (uint64_t)fb.ref_time * TWCC_REF_TICKS;
        while (twcc_fb_next(&fb, &a)) {
            t += (uint64_t)(int64_t)a.delta_ticks;
            assert_int_equal(t, at_ticks);
            at_ticks += 400;
            n_seen++;
        }
        n_packets++;
    }
    assert_int_equal(n_seen, 1500);
    assert_true(n_packets >= 3);
    assert_true(twcc_deadline(&twcc) == UINT64_MAX);
}

static void time_gap_beyond_a_delta_starts_another_packet(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 1, 0), 0);
    assert_int_equal(twcc_on_packet(&twcc, 2, 10000000), 0); /* 40,000 ticks later */
    fb = take(&twcc, 10000000, buf);
    assert_int_equal(fb.n_status, 1);
    fb = take(&twcc, 10000000, buf);
    assert_int_equal(fb.base_seq, 2);
    assert_int_equal(fb.n_status, 1);
    assert_int_equal(fb.ref_time, 10000000 / 64000);
}

static void reference_time_wraps_at_24_bits(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    const uint64_t wrap_us = (UINT64_C(1) << 24) * 64000;
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 1, wrap_us - 500), 0);
    assert_int_equal(twcc_on_packet(&twcc, 2, wrap_us + 500), 0);
    fb = take(&twcc, wrap_us + INTERVAL, buf);
    assert_int_equal(fb.ref_time, 0xffffff);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.delta_ticks, 254);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.delta_ticks, 4);
}

static void gap_of_more_than_the_window_starts_anew(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 1, 0), 0);
    assert_int_equal(twcc_on_packet(&twcc, 20000, 1000), 0);
    fb = take(&twcc, INTERVAL, buf);
    assert_int_equal(fb.base_seq, 20000);
    assert_int_equal(fb.n_status, 1);
    assert_int_equal(twcc_on_packet(&twcc, 20000 - TWCC_WINDOW + 1, 2000), 0);
    assert_int_equal(twcc_on_packet(&twcc, 20000 - TWCC_WINDOW - 1, 2000), -ERANGE);
}

static void gap_inside_of_the_window_forgets_the_oldest(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    struct twcc_arrival a = {0};
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 0, 0), 0);
    assert_int_equal(twcc_on_packet(&twcc, 1000, 0), 0);
    assert_int_equal(twcc_on_packet(&twcc, TWCC_WINDOW, 0), 0); /* the slot of 0 */
    fb = take(&twcc, INTERVAL, buf);
    assert_int_equal(fb.base_seq, 1);
    assert_int_equal(fb.n_status, TWCC_WINDOW);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 1000);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, TWCC_WINDOW);
    assert_false(twcc_fb_next(&fb, &a));
}

static void sender_that_restarts_lower_is_followed(void **state)
{
    struct twcc twcc;
    struct twcc_fb fb;
    uint8_t buf[BUF];
    (void)state;

    twcc_init(&twcc, &conf);
    assert_int_equal(twcc_on_packet(&twcc, 30000, 0), 0);
    (void)take(&twcc, INTERVAL, buf);
    assert_int_equal(twcc_on_packet(&twcc, 10, 1), -ERANGE);
    assert_int_equal(twcc_on_packet(&twcc, 12, 1), -ERANGE);
    assert_int_equal(twcc_on_packet(&twcc, 13, INTERVAL), 0);
    fb = take(&twcc, 2 * INTERVAL, buf);
    assert_int_equal(fb.base_seq, 13);
    assert_int_equal(fb.n_status, 1);
}

static void random_traffic_is_reported_truly(void **state)
{
    static uint32_t sent_at[1 << 16];
    static uint8_t told[1 << 16];
    struct twcc twcc;
    uint8_t buf[BUF];
    uint32_t rng = 3;
    uint64_t now_us = 0;
    (void)state;

    twcc_init(&twcc, &conf);
    for (uint32_t i = 0; i < 60000; i++) {
        size_t len;
        uint16_t seq = (uint16_t)(40000 + i);

        rng = rng * 1664525u + 1013904223u;
        now_us += (rng >> 16) % 2000;
        if ((rng >> 8) % 5 != 0) {
            seq = (uint16_t)(seq - (rng >> 24) % 4); /* some late, some twice */
            if (twcc_on_packet(&twcc, seq, now_us) == 0) {
                sent_at[seq] = (uint32_t)(now_us / TWCC_TICK_US);
                told[seq] = 1;
            }
        }
        while ((len = twcc_take_feedback(&twcc, now_us, 1, 2, buf, BUF)) != 0) {
            struct twcc_fb fb = fb_of(buf, len);
            struct twcc_arrival a = {0};
            uint32_t t = fb.ref_time * TWCC_REF_TICKS;

            while (twcc_fb_next(&fb, &a)) {
                t += (uint32_t)a.delta_ticks;
                assert_int_equal(t, sent_at[a.seq]);
                assert_true(told[a.seq] != 0);
                told[a.seq] = 2;
            }
        }
    }
    for (uint32_t i = 0; i < 59000; i++) {
        assert_true(told[(uint16_t)(40000 + i)] != 1);
    }
}

/* The interval at which feedback comes while packets of 'len' come each 'each_us'. */
static uint64_t interval_at(uint32_t len, uint32_t each_us)
{
    const struct twcc_conf adaptive = {
        .interval_us = 50000, .most_us = 250000, .max_packets = 256};
    struct twcc twcc;
    uint8_t buf[BUF];
    uint64_t last_us = 0, interval_us = 0;
    uint16_t seq = 0;

    twcc_init(&twcc, &adaptive);
    for (uint64_t now_us = 1000000; now_us < 4000000; now_us += 1000) {
        if (now_us % each_us < 1000) {
            assert_int_equal(twcc_on_packet(&twcc, seq++, now_us), 0);
            twcc_note_bytes(&twcc, len);
        }
        while (twcc_take_feedback(&twcc, now_us, 1, 2, buf, BUF) != 0) {
            interval_us = now_us - last_us;
            last_us = now_us;
        }
    }
    return interval_us;
}

static void interval_follows_what_comes(void **state)
{
    (void)state;
    /* 2 Mb/s; 87 kb/s: a twentieth is 68 bytes in 125 ms; 32 kb/s */
    assert_in_range(interval_at(1250, 5000), 50000, 60000);
    assert_in_range(interval_at(217, 20000), 120000, 150000);
    assert_in_range(interval_at(80, 20000), 250000, 275000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_received_is_never_due),
        cmocka_unit_test(feedback_is_due_an_interval_after_the_first_packet),
        cmocka_unit_test(interval_follows_what_comes),
        cmocka_unit_test(many_packets_are_reported_at_once),
        cmocka_unit_test(losses_between_reports_are_told),
        cmocka_unit_test(duplicates_keep_the_first_arrival),
        cmocka_unit_test(packet_older_than_the_first_or_the_report_is_told),
        cmocka_unit_test(long_report_is_split_and_complete),
        cmocka_unit_test(time_gap_beyond_a_delta_starts_another_packet),
        cmocka_unit_test(reference_time_wraps_at_24_bits),
        cmocka_unit_test(gap_of_more_than_the_window_starts_anew),
        cmocka_unit_test(gap_inside_of_the_window_forgets_the_oldest),
        cmocka_unit_test(sender_that_restarts_lower_is_followed),
        cmocka_unit_test(random_traffic_is_reported_truly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
