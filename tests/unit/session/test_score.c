/* The score of a stream: what it is worth, when it changes, when it warns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/score.h"

/* One more second with these. */
static bool second(struct score *score, uint64_t packets, uint64_t lost, uint64_t repaired,
                   uint32_t rtt_us)
{
    struct score_counters now = score->last;

    now.packets += packets;
    now.lost += lost;
    now.repaired += repaired;
    now.rtt_us = rtt_us;
    return score_update(score, &now);
}

static struct score begun(void)
{
    struct score score = {.value = 0};

    assert_false(second(&score, 5000, 900, 0, 0)); /* what was before is not judged */
    assert_int_equal(score.value, SCORE_MAX);
    return score;
}

static void loss_lowers_it_and_repair_saves_it(void **state)
{
    static const struct {
        uint64_t lost, repaired;
        uint8_t value;
    } rows[] = {{0, 0, 10},    {10, 0, 9},    {50, 0, 7},     {100, 0, 5},
                {300, 0, 1},   {50, 50, 9},   {100, 100, 8},  {100, 90, 8},
                {100, 500, 8}, {0, 1000, 10}, {1000000, 0, 0}};
    (void)state;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct score score = begun();

        (void)second(&score, 1000, rows[i].lost, rows[i].repaired, 0);
        assert_int_equal(score.value, rows[i].value);
    }
}

static void silence_is_nothing_but_a_pause_is_no_fault(void **state)
{
    struct score score = begun();
    struct score_counters now;
    (void)state;

    assert_true(second(&score, 0, 0, 0, 0));
    assert_int_equal(score.value, 0);
    assert_false(second(&score, 0, 0, 0, 0));
    assert_string_equal(score_warning(&score), "no_media");
    assert_true(second(&score, 10, 0, 0, 0));
    now = score.last;
    now.paused = true;
    assert_false(score_update(&score, &now));
    assert_int_equal(score.value, SCORE_MAX);
    now = (struct score_counters){.packets = 3}; /* counted anew: another dataplane */
    assert_false(score_update(&score, &now));
    assert_int_equal(score.value, SCORE_MAX);
}

/* What is counted as lost meanwhile was sent before. */
static void what_is_held_back_is_nothing_whatever_is_reported(void **state)
{
    struct score score = begun();
    struct score_counters now = score.last;
    (void)state;

    now.held = now.video = true;
    now.packets += 3; /* before it was */
    assert_true(score_update(&score, &now));
    assert_int_equal(score.value, 0);
    assert_true(score.detail.freeze);
    now.lost += 2;
    assert_false(score_update(&score, &now));
    assert_string_equal(score_warning(&score), "no_media");
    now.held = false;
    now.packets += 100;
    assert_true(score_update(&score, &now));
    assert_int_equal(score.value, SCORE_MAX);
    assert_null(score_warning(&score));
}

static void delay_lowers_it(void **state)
{
    struct score score = begun();
    (void)state;

    assert_false(second(&score, 1000, 0, 0, 250000));
    assert_true(second(&score, 1000, 0, 0, 400000));
    assert_int_equal(score.value, 8);
    assert_true(second(&score, 1000, 0, 0, 700000));
    assert_int_equal(score.value, 6);
}

static void it_warns_when_it_stays_bad_and_not_each_second(void **state)
{
    struct score score = begun();
    unsigned n = 0;
    (void)state;

    (void)second(&score, 1000, 300, 0, 0);
    assert_null(score_warning(&score));
    (void)second(&score, 1000, 300, 0, 0);
    assert_string_equal(score_warning(&score), "packet_loss");
    for (unsigned i = 0; i < 40; i++) {
        (void)second(&score, 1000, 300, 0, 0);
        n += score_warning(&score) != NULL;
    }
    assert_int_equal(n, 4);
    (void)second(&score, 1000, 0, 0, 0);
    assert_null(score_warning(&score));
    for (unsigned i = 0; i < 2; i++) { /* 7 for the loss, and 4 less for the delay */
        (void)second(&score, 1000, 50, 0, 700000);
    }
    assert_string_equal(score_warning(&score), "high_rtt");
}

static void it_says_what_the_second_was_like(void **state)
{
    struct score score = {.value = 0};
    struct score_counters now = {.packets = 10, .bytes = 1000, .video = true};
    (void)state;

    (void)score_update(&score, &now);
    assert_false(score.detail.freeze);
    now.packets += 90;
    now.bytes += 125000;
    now.lost += 10;
    now.repaired += 10;
    (void)score_update(&score, &now);
    assert_int_equal(score.detail.bps, 1000000);
    assert_true(score.detail.loss > 0.099f && score.detail.loss < 0.101f);
    assert_false(score.detail.freeze); /* all of it came again */
    now.packets += 90;
    now.lost += 10;
    now.repaired += 9;
    (void)score_update(&score, &now);
    assert_true(score.detail.freeze);
    now.packets += 100;
    (void)score_update(&score, &now);
    assert_false(score.detail.freeze);
    (void)score_update(&score, &now); /* nothing came */
    assert_true(score.detail.freeze);
    now.paused = true;
    (void)score_update(&score, &now);
    assert_false(score.detail.freeze);
    now.paused = now.video = false;
    (void)score_update(&score, &now);
    assert_false(score.detail.freeze); /* no picture to freeze */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_second_was_like),
        cmocka_unit_test(loss_lowers_it_and_repair_saves_it),
        cmocka_unit_test(silence_is_nothing_but_a_pause_is_no_fault),
        cmocka_unit_test(what_is_held_back_is_nothing_whatever_is_reported),
        cmocka_unit_test(delay_lowers_it),
        cmocka_unit_test(it_warns_when_it_stays_bad_and_not_each_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
