/* The estimator: its parts by themselves, and what a lying receiver can make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/bwe.h"
#include "sfu/wire/rtcp_twcc.h"

static const struct bwe_conf CONF = {
    .start_bps = 600000, .min_bps = 50000, .max_bps = 100000000};

/* Feedback as a receiver writes it, from 'base' on; ticks[i] < 0: lost. */
static void feed(struct bwe *bwe, uint16_t base, const int32_t *ticks, size_t n,
                 uint32_t ref, uint64_t next, uint64_t now_us)
{
    uint8_t buf[1200];
    struct twcc_fb_writer x;
    struct rtcp_iter it;
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb msg = {0};
    struct twcc_fb fb = {0};
    size_t len;

    twcc_fb_begin(&x, buf, sizeof(buf), 1, 2, base, ref, 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(twcc_fb_put(&x, ticks[i] >= 0, ticks[i]), 0);
    }
    len = twcc_fb_finish(&x);
    it = rtcp_iter_of(buf, len);
    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(rtcp_fb_parse(&pkt, &msg), 0);
    assert_int_equal(twcc_fb_parse(&msg, &fb), 0);
    (void)bwe_on_feedback(bwe, &fb, next, now_us);
}

static void overuse_is_a_slope_that_lasts(void **state)
{
    struct bwe_delay d;
    int64_t arrival_us = 1000000;
    (void)state;

    bwe_delay_init(&d);
    for (int i = 0; i < 100; i++) {
        bwe_delay_on_packet(&d, i * 20000, arrival_us += 20000);
        assert_int_equal(d.usage, BWE_NORMAL);
    }
    for (int i = 100; i < 130; i++) {
        bwe_delay_on_packet(&d, i * 20000, arrival_us += 24000);
    }
    assert_int_equal(d.usage, BWE_OVERUSE);
    for (int i = 130; i < 160; i++) {
        bwe_delay_on_packet(&d, i * 20000, arrival_us += 12000);
    }
    assert_int_equal(d.usage, BWE_UNDERUSE);
}

static void noise_raises_the_threshold_not_the_alarm(void **state)
{
    struct bwe_delay d;
    int over = 0;
    (void)state;

    bwe_delay_init(&d);
    for (int i = 0; i < 1000; i++) {
        bwe_delay_on_packet(&d, i * 20000, 1000000 + i * 20000 + (i * 7919 % 11) * 1000);
        over += i > 100 && d.usage == BWE_OVERUSE;
    }
    assert_int_equal(over, 0);
}

static void standing_queue_is_told_from_the_least_delay(void **state)
{
    struct bwe_delay d;
    (void)state;

    bwe_delay_init(&d);
    bwe_delay_on_least(&d, 5000000, 0);
    assert_int_equal(d.queue_us, 0);
    bwe_delay_on_least(&d, 5090000, 100000);
    assert_int_equal(d.queue_us, 90000);
    assert_false(bwe_delay_is_queued(&d)); /* one feedback may be late as a whole */
    bwe_delay_on_least(&d, 5090000, 250000);
    assert_true(bwe_delay_is_queued(&d));
    /* the clocks drift: after two spans the new least counts */
    for (int64_t t = 350000; t < 3 * (int64_t)BWE_BASE_SPAN_US; t += 100000) {
        bwe_delay_on_least(&d, 5090000, t);
    }
    assert_int_equal(d.queue_us, 0);
}

/* The slope over twenty groups tells of a queue long after it has begun to drain, if little
 * is sent: that is no reason to send still less. */
static void queue_that_drains_is_no_overuse(void **state)
{
    struct bwe_delay d;
    int64_t at_us = 1000000;
    (void)state;

    bwe_delay_init(&d);
    bwe_delay_on_least(&d, 1000, at_us);
    for (int64_t way_us = 300000; way_us <= 600000; way_us += 50000) {
        bwe_delay_on_least(&d, way_us, at_us += 100000);
        d.usage = BWE_OVERUSE; /* of the slope */
    }
    assert_int_equal(bwe_delay_usage(&d), BWE_OVERUSE);
    bwe_delay_on_least(&d, 590000, at_us += 100000);
    assert_int_equal(bwe_delay_usage(&d), BWE_OVERUSE);
    bwe_delay_on_least(&d, 400000, at_us += 100000);
    assert_int_equal(bwe_delay_usage(&d), BWE_UNDERUSE);
    for (int i = 0; i < 5; i++) { /* somebody else's, that stays */
        bwe_delay_on_least(&d, 400000, at_us += 100000);
    }
    assert_int_equal(bwe_delay_usage(&d), BWE_OVERUSE);
}

static void late_reading_is_no_queue(void **state)
{
    struct bwe_delay d;
    (void)state;

    bwe_delay_init(&d);
    for (int64_t i = 0; i < 200; i++) {
        /* every other feedback is about packets that all were read late */
        bwe_delay_on_least(&d, 5000000 + i % 2 * 90000, i * 100000);
        assert_false(bwe_delay_is_queued(&d));
        assert_true(bwe_delay_is_free(&d));
    }
}

static void acknowledged_rate_follows_what_arrives(void **state)
{
    struct bwe_acked a;
    (void)state;

    bwe_acked_init(&a);
    for (int i = 0; i < 200; i++) {
        bwe_acked_on_packet(&a, i * 10000, 1250);
    }
    assert_in_range((int)a.bps, 950000, 1050000);
    for (int i = 0; i < 400; i++) {
        bwe_acked_on_packet(&a, 2000000 + i * 10000, 625);
    }
    assert_in_range((int)a.bps, 450000, 560000);
}

/* A layer more is sent and fills the link: how little arrived before is no measure of it.
 */
static void acknowledged_rate_of_a_step_up_is_not_that_of_before(void **state)
{
    struct bwe_acked a;
    int64_t at_us = 0;
    (void)state;

    bwe_acked_init(&a);
    a.jumpy = true;
    a.noise_us = 40000; /* so that windows are long */
    for (int i = 0; i < 101; i++) {
        bwe_acked_on_packet(&a, at_us += 20000, 150);
    }
    assert_in_range((int)bwe_acked_most(&a), 55000, 65000);
    for (int i = 0; i < 9; i++) {
        bwe_acked_on_packet(&a, at_us += 20000, 1000);
    }
    assert_in_range((int)a.bps, 55000, 65000);
    assert_in_range((int)bwe_acked_most(&a), 200000, 410000);
}

static void rate_falls_below_what_arrives_and_rises_again(void **state)
{
    struct bwe_rate r;
    uint64_t now_us = 1000000;
    (void)state;

    bwe_rate_init(&r, 1000000, 50000, 10000000);
    assert_true(bwe_rate_update(&r, BWE_OVERUSE, 800000, 50000, false, now_us));
    assert_in_range((int)r.bps, 679000, 681000);
    /* not twice within a round trip */
    assert_false(bwe_rate_update(&r, BWE_OVERUSE, 700000, 50000, false, now_us + 20000));
    for (int i = 0; i < 50; i++) {
        now_us += 100000;
        assert_false(bwe_rate_update(&r, BWE_NORMAL, 680000, 50000, false, now_us));
    }
    assert_in_range((int)r.bps, 700000, 1030000); /* 1.5 times what arrives, at most */
}

static void little_sending_proves_nothing(void **state)
{
    struct bwe_rate r;
    uint64_t now_us = 1000000;
    (void)state;

    bwe_rate_init(&r, 1000000, 50000, 10000000);
    for (int i = 0; i < 50; i++) {
        now_us += 100000;
        (void)bwe_rate_update(&r, BWE_NORMAL, 100000, 50000, true, now_us);
    }
    assert_in_range((int)r.bps, 999999, 1000001);
    /* nor does it make a decrease a fall to what is sent */
    (void)bwe_rate_update(&r, BWE_OVERUSE, 100000, 50000, true, now_us + 100000);
    assert_in_range((int)r.bps, 849000, 851000);
}

/* Loss that goes when the rate does is obeyed. */
static void loss_of_a_full_link_lowers_the_rate(void **state)
{
    struct bwe_loss l;
    uint64_t now_us = 1000000;
    (void)state;

    bwe_loss_init(&l, 50000, 4000000);
    for (int i = 0; i < 100; i++) {
        float bps = l.bps < 2000000 ? l.bps : 2000000;
        uint32_t n = 100, lost = bps > 1000000 ? (uint32_t)(100 - 100 * 1e6f / bps) : 0;

        now_us += 200000;
        bwe_loss_on_feedback(&l, n, lost, bps, 50000, now_us);
    }
    assert_in_range((int)l.bps, 800000, 1300000);
    assert_true(l.inherent < 0.15f);
}

/* Loss that stays is the path's. */
static void loss_of_the_path_is_not_held_against_us(void **state)
{
    struct bwe_loss l;
    uint64_t now_us = 1000000;
    (void)state;

    bwe_loss_init(&l, 50000, 4000000);
    for (int i = 0; i < 200; i++) {
        float bps = l.bps < 2000000 ? l.bps : 2000000;

        now_us += 200000;
        bwe_loss_on_feedback(&l, 100, 15, bps, 50000, now_us);
    }
    assert_true(l.bps > 1900000);
    assert_in_range((int)(l.inherent * 100), 10, 16);
}

/* What is sent is acknowledged at the bottleneck's rate. */
static float probe_through(float link_bps, float wanted_bps)
{
    struct bwe_probe p;
    struct bwe_probe_view view = {.estimate_bps = 500000,
                                  .wanted_bps = wanted_bps,
                                  .start_bps = 500000,
                                  .healthy = true};
    int64_t arrival_us = 0;

    bwe_probe_init(&p);
    bwe_probe_tick(&p, &view, 1000000);
    if (!p.sending) {
        return -1;
    }
    for (uint64_t now_us = 1000000; p.sending; now_us += 1000) {
        uint32_t owed = bwe_probe_take(&p, view.tx_bytes, view.next_number, 50000, now_us);

        for (; owed > 0; owed -= owed < 290 ? owed : 290) {
            int64_t ready_us = (int64_t)now_us > arrival_us ? (int64_t)now_us : arrival_us;

            arrival_us = ready_us + (int64_t)(290 * 8e6f / link_bps);
            bwe_probe_on_packet(&p, view.next_number++, (int64_t)now_us, arrival_us, 290);
            view.tx_bytes += 290;
        }
    }
    assert_true(view.tx_bytes < 20000);
    return bwe_probe_result(&p, view.next_number, &view, 2000000);
}

static void probe_finds_the_link_or_its_own_rate(void **state)
{
    (void)state;

    assert_in_range((int)probe_through(800000, 5000000), 650000, 850000);
    assert_in_range((int)probe_through(50000000, 5000000), 1200000, 1800000);
    /* no faster than what is wanted, with some to spare */
    assert_in_range((int)probe_through(50000000, 600000), 700000, 1000000);
    /* nothing is wanted that is not there */
    assert_true(probe_through(50000000, 400000) < 0);
}

/* Twice the estimate may be less than the lowest layer needs: it would never come back. */
static void probe_of_a_low_estimate_asks_for_a_picture(void **state)
{
    const struct bwe_probe_view view = {
        .estimate_bps = 60000, .wanted_bps = 2000000, .start_bps = 600000, .healthy = true};
    struct bwe_probe p;
    (void)state;

    bwe_probe_init(&p);
    p.begun = true; /* those of the start are over */
    bwe_probe_tick(&p, &view, 10000000);
    assert_true(p.sending);
    assert_in_range((int)p.cluster.bps, 299000, 301000);
}

/* ---- a lying receiver ---- */

/* A receiver that reads the first half of a probe at once, and the rest as it comes. */
static void bunch_at_the_start_of_a_probe_says_nothing(void **state)
{
    const struct bwe_probe_view view = {.estimate_bps = 600000,
                                        .wanted_bps = 8000000,
                                        .start_bps = 600000,
                                        .healthy = true,
                                        .next_number = 100};
    struct bwe_probe probe;
    uint64_t next = 100, bytes = 0;
    float bps;
    (void)state;

    bwe_probe_init(&probe);
    bwe_probe_tick(&probe, &view, 1000000);
    assert_true(probe.sending);
    for (uint64_t now_us = 1000000; probe.sending; now_us += 1000) {
        for (uint32_t owed = bwe_probe_take(&probe, bytes, next, 50000, now_us); owed > 0;
             owed -= owed < 250 ? owed : 250) {
            /* the link carries 1 Mb/s: 2 ms a packet; nothing is read for 16 ms */
            int64_t arrival_us = 1002000 + (int64_t)(next - 100) * 2000;

            arrival_us = arrival_us < 1018000 ? 1018000 : arrival_us;
            bwe_probe_on_packet(&probe, next++, (int64_t)now_us, arrival_us, 250);
            bytes += 250;
        }
    }
    bps = bwe_probe_result(&probe, next, &view, 1200000);
    assert_in_range((int)bps, 850000, 1050000);
}

/* One cluster, of which each packet is noted at the end of the 40 ms in which it comes.
 * Returns how long it was; 'next_us' is when the next is made. */
static uint64_t probe_of_a_staller(struct bwe_probe *probe, uint64_t now_us,
                                   uint64_t *next_us)
{
    struct bwe_probe_view view = {.estimate_bps = 600000,
                                  .wanted_bps = 8000000,
                                  .start_bps = 600000,
                                  .healthy = true,
                                  .next_number = now_us};
    uint64_t start_us;

    while (!probe->sending) {
        bwe_probe_tick(probe, &view, now_us += 1000);
    }
    start_us = now_us;
    *next_us = start_us;
    for (; probe->sending; now_us += 1000) {
        uint32_t owed =
            bwe_probe_take(probe, view.tx_bytes, view.next_number, 1000, now_us);

        for (; owed > 0; owed -= owed < 250 ? owed : 250) {
            const int64_t noted_us =
                (int64_t)(start_us + 40000 + (now_us - start_us) / 40000 * 40000);

            bwe_probe_on_packet(probe, view.next_number++, (int64_t)now_us, noted_us, 250);
            view.tx_bytes += 250;
        }
    }
    (void)bwe_probe_result(probe, view.next_number, &view, now_us);
    return now_us - start_us;
}

static void probe_that_says_nothing_is_made_again_soon_and_longer(void **state)
{
    struct bwe_probe probe;
    uint64_t at_us, again_us, len_us;
    (void)state;

    bwe_probe_init(&probe);
    len_us = probe_of_a_staller(&probe, 1000000, &at_us);
    assert_in_range(len_us, BWE_PROBE_US, BWE_PROBE_US + 5000);
    len_us = probe_of_a_staller(&probe, at_us + len_us, &again_us);
    assert_in_range(again_us - at_us, 400000, 700000);
    assert_in_range(len_us, 2 * BWE_PROBE_US, 2 * BWE_PROBE_US + 5000);
    for (unsigned i = 0; i < 4; i++) { /* but there is an end to that */
        len_us = probe_of_a_staller(&probe, again_us + len_us, &again_us);
    }
    assert_true(len_us <= BWE_PROBE_MAX_US + 5000);
}

static void feedback_for_what_was_never_sent_is_counted(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[64] = {0};
    uint64_t was;
    (void)state;

    bwe_init(bwe, &CONF);
    was = bwe_target(bwe);
    feed(bwe, 5000, ticks, 64, 1, 100, 1000000);
    feed(bwe, 100, ticks, 64, 1, 100, 1000000);
    feed(bwe, 40, ticks, 60, 1, 100, 1000000);
    assert_int_equal(bwe->n_unknown, 188);
    assert_int_equal(bwe_target(bwe), was);
    assert_false(bwe_is_fed(bwe));
    free(bwe);
}

static void any_remb_stays_within_bounds(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    (void)state;

    bwe_init(bwe, &CONF);
    (void)bwe_on_remb(bwe, 0, 1000000);
    assert_int_equal(bwe_target(bwe), CONF.min_bps);
    (void)bwe_on_remb(bwe, UINT64_C(1) << 60, 1000000);
    assert_int_equal(bwe_target(bwe), CONF.max_bps);
    (void)bwe_on_remb(bwe, UINT64_MAX, 1000000);
    assert_int_equal(bwe_target(bwe), CONF.max_bps);
    (void)bwe_on_remb(bwe, 1234567, 1000000);
    assert_in_range(bwe_target(bwe), 1234000, 1235000);
    free(bwe);
}

static void absurd_arrivals_stay_within_bounds(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[32];
    uint64_t next = 0, now_us = 1000000;
    (void)state;

    srand(1);
    bwe_init(bwe, &CONF);
    bwe_want(bwe, 5000000);
    for (int round = 0; round < 3000; round++) {
        uint16_t base = (uint16_t)next;

        for (int i = 0; i < 32; i++) {
            bwe_note_sent(bwe, next++, (uint16_t)(1 + rand() % 1400), now_us);
            ticks[i] = rand() % 3 == 0 ? -1 : rand() % 32767;
            now_us += (uint64_t)(rand() % 3000);
        }
        feed(bwe, base, ticks, 32, (uint32_t)rand() & 0xffffffu, next, now_us);
        (void)bwe_tick(bwe, next * 700, next, now_us);
        (void)bwe_take_padding(bwe, next * 700, next, now_us);
        assert_in_range(bwe_target(bwe), CONF.min_bps, CONF.max_bps);
    }
    free(bwe);
}

static void flood_of_reports_is_cut(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[1] = {0};
    (void)state;

    bwe_init(bwe, &CONF);
    for (int i = 0; i < 1000; i++) {
        feed(bwe, 0, ticks, 1, 1, 1, 1000000);
    }
    assert_int_equal(bwe->n_ignored, 1000 - BWE_MAX_REPORTS);
    free(bwe);
}

static void late_is_not_lost(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    const int32_t first[3] = {4, -1, 4}, second[2] = {8, 0};
    (void)state;

    bwe_init(bwe, &CONF);
    for (uint64_t i = 0; i < 3; i++) {
        bwe_note_sent(bwe, i, 1000, 1000000 + i * 1000);
    }
    feed(bwe, 0, first, 3, 10, 3, 1100000);
    assert_int_equal(bwe->n_lost, 1);
    assert_int_equal(bwe->sent[1].state, BWE_LOST);
    feed(bwe, 1, second, 2, 10, 3, 1200000);
    assert_int_equal(bwe->sent[1].state, BWE_ARRIVED);
    free(bwe);
}

static void silence_lowers_the_rate(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[10] = {0};
    uint64_t now_us = 1000000, was;
    (void)state;

    bwe_init(bwe, &CONF);
    for (uint64_t i = 0; i < 10; i++) {
        bwe_note_sent(bwe, i, 1000, now_us);
    }
    feed(bwe, 0, ticks, 10, 10, 10, now_us + 50000);
    was = bwe_target(bwe);
    for (uint64_t i = 0; i < 500; i++) {
        now_us += BWE_TICK_US;
        (void)bwe_tick(bwe, i * 1250, 10 + i, now_us);
    }
    assert_true(bwe_target(bwe) < was / 2);
    free(bwe);
}

/* Sends 'n' packets, one each 20 ms, that nothing tells of. */
static uint64_t say_unheard(struct bwe *bwe, uint64_t first, uint64_t n, uint64_t *now_us)
{
    for (uint64_t i = first; i < first + n; i++) {
        *now_us += BWE_TICK_US;
        bwe_note_sent(bwe, i, 1000, *now_us);
        (void)bwe_tick(bwe, i * 1000, i + 1, *now_us);
    }
    return first + n;
}

/* One of many comes through by chance: the rate falls on until most do, and does not rise
 * before. Of a few nothing is concluded: they may just have been lost. */
static void only_an_answer_ends_silence(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[10] = {0};
    int32_t one[60];
    uint64_t now_us = 1000000, next = 10, was;
    (void)state;

    bwe_init(bwe, &CONF);
    for (uint64_t i = 0; i < 10; i++) {
        bwe_note_sent(bwe, i, 1000, now_us);
    }
    feed(bwe, 0, ticks, 10, 10, 10, now_us + 50000);
    now_us += 50000;
    was = bwe_target(bwe);
    next = say_unheard(bwe, next, 5, &now_us);
    for (unsigned i = 0; i < 100; i++) {
        now_us += BWE_TICK_US;
        (void)bwe_tick(bwe, next * 1000, next, now_us);
    }
    assert_true(bwe_target(bwe) >= was);
    next = say_unheard(bwe, next, 50, &now_us);
    assert_true(bwe_target(bwe) <= was / 2);
    was = bwe_target(bwe);
    for (size_t i = 0; i < 60; i++) {
        one[i] = i == 0 ? 0 : -1;
    }
    feed(bwe, (uint16_t)(next - 40), one, 40, 30, next, now_us);
    assert_true(bwe->silent);
    assert_true(bwe_target(bwe) <= was);
    next = say_unheard(bwe, next, 30, &now_us);
    assert_true(bwe_target(bwe) <= was / 2);
    feed(bwe, (uint16_t)(next - 10), ticks, 10, 50, next, now_us);
    assert_false(bwe->silent);
    free(bwe);
}

/* Video is held, so that only audio is sent, which has no numbers and is never told of: the
 * rate stays, and a probe asks whether the link carries the video. */
static void silence_about_what_has_no_number_says_nothing(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[10] = {0};
    uint64_t now_us = 1000000, was, probes;
    (void)state;

    bwe_init(bwe, &CONF);
    for (uint64_t i = 0; i < 10; i++) {
        bwe_note_sent(bwe, i, 1000, now_us);
    }
    feed(bwe, 0, ticks, 10, 10, 10, now_us + 50000);
    bwe->probe.begun = true; /* those of the start are over */
    bwe->probe.next_us = now_us + 2000000;
    bwe_want(bwe, 2 * bwe_target(bwe));
    was = bwe_target(bwe);
    probes = bwe->n_probes;
    for (uint64_t i = 0; i < 500; i++) {
        now_us += BWE_TICK_US;
        (void)bwe_tick(bwe, i * 250, 10, now_us);
        (void)bwe_take_padding(bwe, i * 250, 10, now_us);
    }
    assert_true(bwe_target(bwe) >= was);
    assert_true(bwe->n_probes > probes);
    free(bwe);
}

/* Sends five packets, 10 ms apart, each under way for 4 ms longer than the one before; they
 * are told of at once. */
static void send_into_a_queue(struct bwe *bwe, uint64_t *next, uint64_t *now_us,
                              uint64_t *way_us)
{
    int32_t ticks[5];
    const uint64_t base = *next;
    uint64_t last = 0;
    uint32_t ref = 0;

    for (unsigned i = 0; i < 5; i++) {
        const uint64_t at = (*now_us + (*way_us += 4000)) / TWCC_TICK_US;

        bwe_note_sent(bwe, (*next)++, 1000, *now_us);
        ref = i == 0 ? (uint32_t)(at / TWCC_REF_TICKS) : ref;
        ticks[i] = (int32_t)(at - (i == 0 ? (uint64_t)ref * TWCC_REF_TICKS : last));
        last = at;
        *now_us += 10000;
    }
    feed(bwe, (uint16_t)base, ticks, 5, ref, *next, *now_us);
}

/* The same in the midst of congestion: nothing tells that the queue has drained, for
 * nothing is sent that could. It has all the same: the video must not be held for good. */
static void queue_that_nothing_is_sent_into_is_no_reason_not_to_probe(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    uint64_t now_us = 1000000, next = 0, way_us = 1000, probes;
    (void)state;

    bwe_init(bwe, &CONF);
    bwe->probe.begun = true; /* those of the start are over */
    for (unsigned i = 0; i < 40; i++) {
        send_into_a_queue(bwe, &next, &now_us, &way_us);
        (void)bwe_tick(bwe, next * 1000, next, now_us);
    }
    assert_int_equal(bwe_delay_usage(&bwe->delay), BWE_OVERUSE);
    bwe_want(bwe, 20 * bwe_target(bwe));
    probes = bwe->n_probes;
    for (unsigned i = 0; i < 250 && bwe->n_probes == probes; i++) {
        now_us += BWE_TICK_US;
        (void)bwe_tick(bwe, next * 1000, next, now_us);
    }
    assert_true(bwe->n_probes > probes);
    assert_int_equal(bwe_queue_us(bwe), 0);
    free(bwe);
}

/* The client's address changes: what was sent to the old one is lost, which says nothing of
 * the way to the new one, and a probe asks at once what that carries. */
static void what_went_another_way_is_no_loss(void **state)
{
    struct bwe *bwe = calloc(1, sizeof(*bwe));
    int32_t ticks[200];
    uint64_t now_us = 1000000, was, probes;
    (void)state;

    bwe_init(bwe, &CONF);
    bwe->probe.begun = true;
    for (uint64_t i = 0; i < 400; i++) {
        bwe_note_sent(bwe, i, 1000, now_us + i * 10000);
    }
    for (unsigned i = 0; i < 200; i++) {
        ticks[i] = 40;
    }
    feed(bwe, 0, ticks, 200, 10, 200, now_us += 2000000);
    bwe_want(bwe, 3 * bwe_target(bwe));
    was = bwe_target(bwe);
    (void)bwe_tick(bwe, 200000, 200, now_us);
    bwe->probe.next_us = now_us + 4000000;
    bwe_on_route(bwe, 400, now_us += 2000000);
    for (unsigned i = 0; i < 200; i++) {
        ticks[i] = i < 180 ? -1 : 40; /* some come over the old way after all */
    }
    feed(bwe, 200, ticks, 200, 20, 401, now_us += 100000);
    assert_int_equal(bwe->n_lost, 0);
    assert_int_equal(bwe->n_unknown, 0);
    probes = bwe->n_probes;
    (void)bwe_tick(bwe, 400000, 401, now_us += BWE_TICK_US);
    assert_int_equal(bwe_target(bwe), was);
    assert_int_equal(bwe->n_probes, probes + 1);
    /* and what goes the new way and is lost counts */
    for (uint64_t i = 400; i < 600; i++) {
        bwe_note_sent(bwe, i, 1000, now_us + i * 10000);
    }
    feed(bwe, 400, ticks, 200, 40, 600, now_us += 2000000);
    assert_int_equal(bwe->n_lost, 180);
    assert_true(bwe_target(bwe) < was);
    free(bwe);
}

/* What others see of it. */
static void assert_same(const struct bwe *a, const struct bwe *b, uint64_t now_us)
{
    assert_int_equal(bwe_target(a), bwe_target(b));
    assert_int_equal(bwe_told(a), bwe_told(b));
    assert_int_equal(bwe_queue_us(a), bwe_queue_us(b));
    assert_int_equal(bwe_is_calm(a, now_us), bwe_is_calm(b, now_us));
    assert_int_equal(bwe_is_probing(a), bwe_is_probing(b));
    assert_int_equal(a->n_probes, b->n_probes);
}

/* A life by chance: packets that are answered or not, REMBs, wishes. */
struct life {
    struct bwe *bwe;
    uint64_t next, told, now_us;
    uint32_t dice;
};

static uint32_t roll(struct life *life, uint32_t n)
{
    life->dice = life->dice * 1664525 + 1013904223;
    return (life->dice >> 8) % n;
}

static void answer(struct life *life)
{
    int32_t ticks[64];
    size_t n = life->next - life->told < 64 ? (size_t)(life->next - life->told) : 64;

    for (size_t i = 0; i < n; i++) {
        ticks[i] = roll(life, 20) == 0 ? -1 : 20;
    }
    if (n > 0) {
        feed(life->bwe, (uint16_t)life->told, ticks, n,
             (uint32_t)(life->now_us / TWCC_TICK_US / TWCC_REF_TICKS), life->next,
             life->now_us);
    }
    life->told = life->next;
}

static void live(struct life *life)
{
    const bool answers = roll(life, 4) > 0;

    if (roll(life, 3) == 0) {
        bwe_want(life->bwe, roll(life, 4) * 400000);
    }
    if (roll(life, 5) == 0) {
        (void)bwe_on_remb(life->bwe, 100000 + roll(life, 2000000), life->now_us);
    }
    for (unsigned i = 0; i < 30 + roll(life, 100); i++) {
        life->now_us += BWE_TICK_US;
        for (unsigned k = roll(life, 4); k > 0; k--) {
            bwe_note_sent(life->bwe, life->next++, 1000, life->now_us);
        }
        if (answers && i % 5 == 0) {
            answer(life);
        }
        (void)bwe_tick(life->bwe, life->next * 1000, life->next, life->now_us);
        (void)bwe_take_padding(life->bwe, life->next * 1000, life->next, life->now_us);
    }
    if (answers) {
        answer(life);
    }
}

/* Ticks that are left out until the deadline would have changed nothing. */
static void who_is_sent_nothing_needs_no_ticks(void **state)
{
    struct life life = {.bwe = calloc(1, sizeof(struct bwe)), .now_us = 1000000, .dice = 7};
    struct bwe *ticked = calloc(1, sizeof(*ticked));
    unsigned n_rests = 0, n_for_ever = 0;
    (void)state;

    bwe_init(life.bwe, &CONF);
    for (unsigned turn = 0; turn < 400; turn++) {
        live(&life);
        for (unsigned i = 0; i < 400; i++) {
            const uint64_t tx_bytes = life.next * 1000;
            uint64_t due_us, until_us;

            life.now_us += BWE_TICK_US;
            (void)bwe_tick(life.bwe, tx_bytes, life.next, life.now_us);
            (void)bwe_take_padding(life.bwe, tx_bytes, life.next, life.now_us);
            due_us = bwe_deadline(life.bwe, tx_bytes, life.next, life.now_us);
            if (due_us <= life.now_us) {
                continue;
            }
            n_rests++;
            n_for_ever += due_us == UINT64_MAX;
            until_us = due_us < life.now_us + 15000000 ? due_us : life.now_us + 15000000;
            *ticked = *life.bwe;
            while (life.now_us + BWE_TICK_US < until_us) {
                life.now_us += BWE_TICK_US;
                (void)bwe_tick(ticked, tx_bytes, life.next, life.now_us);
                assert_same(ticked, life.bwe, life.now_us);
            }
            if (due_us == UINT64_MAX) {
                break;
            }
        }
        /* the one at the end makes both the same */
        (void)bwe_tick(life.bwe, life.next * 1000, life.next, life.now_us);
    }
    assert_true(n_rests > 400 && n_for_ever > 50);
    free(ticked);
    free(life.bwe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_sent_nothing_needs_no_ticks),
        cmocka_unit_test(overuse_is_a_slope_that_lasts),
        cmocka_unit_test(noise_raises_the_threshold_not_the_alarm),
        cmocka_unit_test(standing_queue_is_told_from_the_least_delay),
        cmocka_unit_test(queue_that_drains_is_no_overuse),
        cmocka_unit_test(late_reading_is_no_queue),
        cmocka_unit_test(bunch_at_the_start_of_a_probe_says_nothing),
        cmocka_unit_test(probe_that_says_nothing_is_made_again_soon_and_longer),
        cmocka_unit_test(probe_of_a_low_estimate_asks_for_a_picture),
        cmocka_unit_test(acknowledged_rate_follows_what_arrives),
        cmocka_unit_test(acknowledged_rate_of_a_step_up_is_not_that_of_before),
        cmocka_unit_test(queue_that_nothing_is_sent_into_is_no_reason_not_to_probe),
        cmocka_unit_test(rate_falls_below_what_arrives_and_rises_again),
        cmocka_unit_test(little_sending_proves_nothing),
        cmocka_unit_test(loss_of_a_full_link_lowers_the_rate),
        cmocka_unit_test(loss_of_the_path_is_not_held_against_us),
        cmocka_unit_test(probe_finds_the_link_or_its_own_rate),
        cmocka_unit_test(feedback_for_what_was_never_sent_is_counted),
        cmocka_unit_test(any_remb_stays_within_bounds),
        cmocka_unit_test(absurd_arrivals_stay_within_bounds),
        cmocka_unit_test(flood_of_reports_is_cut),
        cmocka_unit_test(late_is_not_lost),
        cmocka_unit_test(silence_lowers_the_rate),
        cmocka_unit_test(only_an_answer_ends_silence),
        cmocka_unit_test(silence_about_what_has_no_number_says_nothing),
        cmocka_unit_test(what_went_another_way_is_no_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
