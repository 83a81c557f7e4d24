/* Trials: when media is sent to see whether it gets through, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/trial.h"

enum { TICK_US = 100000 };
#define START_US UINT64_C(1000000)

struct run {
    struct trial trial;
    struct trial_view view;
    uint64_t now_us;
};

/* One whose estimate is far below what is wanted: 100 kb/s told, a trial costs 1 Mb/s. */
static struct run start(bool remb)
{
    return (struct run){.view = {.estimate_bps = 100000,
                                 .told_bps = 100000,
                                 .more = true,
                                 .remb = remb,
                                 .silent = remb},
                        .now_us = START_US};
}

/* Ticks until something else than 'step' is answered, or for a minute. Returns how long, in
 * milliseconds; 'step' becomes the answer. */
static unsigned while_it_is(struct run *run, enum trial_step *step)
{
    const enum trial_step was = *step;
    unsigned ms = 0;

    for (; ms < 60000 && *step == was; ms += TICK_US / 1000) {
        run->now_us += TICK_US;
        *step = trial_tick(&run->trial, &run->view, run->now_us);
    }
    return ms;
}

static unsigned rest(struct run *run)
{
    enum trial_step step = TRIAL_NONE;
    unsigned ms = while_it_is(run, &step);

    assert_int_equal(step, TRIAL_BEGINS);
    run->view.spent_bps = 1000000;
    return ms;
}

static unsigned last(struct run *run, enum trial_step end)
{
    enum trial_step step = trial_tick(&run->trial, &run->view, run->now_us);
    unsigned ms = 0;

    if (step == TRIAL_LASTS) {
        ms = while_it_is(run, &step);
    }
    assert_int_equal(step, end);
    return ms;
}

static void nothing_is_tried_if_nothing_is_wanted(void **state)
{
    struct run run = start(true);
    enum trial_step step = TRIAL_NONE;
    (void)state;

    run.view.more = false;
    assert_int_equal(while_it_is(&run, &step), 60000);
    assert_int_equal(step, TRIAL_NONE);
}

static void rests_are_doubled_while_trials_fail(void **state)
{
    static const unsigned rests_ms[] = {5000, 10000, 20000, 40000, 40000};
    struct run run = start(true);
    (void)state;

    run.view.silent = false; /* it says the same again and again */
    for (unsigned i = 0; i < 5; i++) {
        unsigned ms = rest(&run);

        assert_in_range(ms, rests_ms[i], rests_ms[i] + 200);
        assert_in_range(last(&run, TRIAL_NONE), 2400, 2600);
    }
}

static void who_is_silent_agrees(void **state)
{
    struct run run = start(true);
    (void)state;

    (void)rest(&run);
    assert_in_range(last(&run, TRIAL_SHOWN), 4900, 5100);
    run.view.estimate_bps = 1000000;
    assert_in_range(rest(&run), 4900, 5100);
}

static void who_says_ever_more_agrees(void **state)
{
    struct run run = start(true);
    enum trial_step step = TRIAL_LASTS;
    unsigned ms = 0;
    (void)state;

    (void)rest(&run);
    run.view.silent = false;
    for (; step == TRIAL_LASTS && ms < 20000; ms += 100) {
        run.now_us += TICK_US;
        run.view.told_bps += run.view.told_bps / 100;
        step = trial_tick(&run.trial, &run.view, run.now_us);
    }
    assert_int_equal(step, TRIAL_SHOWN);
    assert_in_range(ms, 4900, 5200);
}

static void who_says_less_does_not(void **state)
{
    struct run run = start(true);
    (void)state;

    (void)rest(&run);
    run.view.silent = false;
    run.view.told_bps = 85000;
    assert_int_equal(last(&run, TRIAL_NONE), 0);
    assert_in_range(rest(&run), 9900, 10200);
}

/* The first second is that of a key frame. */
static void a_fall_ends_it(void **state)
{
    struct run run = start(false);
    (void)state;

    (void)rest(&run);
    run.view.fell_us = run.now_us + 500000;
    run.now_us += 600000;
    assert_int_equal(trial_tick(&run.trial, &run.view, run.now_us), TRIAL_LASTS);
    run.now_us += 900000;
    run.view.fell_us = run.now_us;
    assert_int_equal(last(&run, TRIAL_NONE), 0);
    assert_in_range(rest(&run), 9900, 10200);
}

static void an_estimate_that_follows_ends_it_well(void **state)
{
    struct run run = start(false);
    (void)state;

    (void)rest(&run);
    run.view.estimate_bps = 1000000;
    assert_int_equal(last(&run, TRIAL_NONE), 0);
    /* what goes down soon after was not won */
    run.now_us += 2000000;
    run.view.fell_us = run.now_us;
    run.view.estimate_bps = 100000;
    assert_in_range(rest(&run), 9900, 10200);
}

/* Feedback is all there is to go by: that none speaks against it does not suffice. */
static void feedback_that_does_not_follow_ends_it(void **state)
{
    struct run run = start(false);
    (void)state;

    (void)rest(&run);
    assert_in_range(last(&run, TRIAL_NONE), 4900, 5100);
    assert_in_range(rest(&run), 9900, 10200);
    run.view.calm = true;
    assert_in_range(last(&run, TRIAL_SHOWN), 4900, 5100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_tried_if_nothing_is_wanted),
        cmocka_unit_test(rests_are_doubled_while_trials_fail),
        cmocka_unit_test(who_is_silent_agrees),
        cmocka_unit_test(who_says_ever_more_agrees),
        cmocka_unit_test(who_says_less_does_not),
        cmocka_unit_test(a_fall_ends_it),
        cmocka_unit_test(an_estimate_that_follows_ends_it_well),
        cmocka_unit_test(feedback_that_does_not_follow_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
