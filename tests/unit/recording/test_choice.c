/* Which encoding is recorded, while they come and cease. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recording/choice.h"

enum { STEP_US = 500000 }; /* as often as a dataplane counts */

static const uint64_t S = 1000000;

struct world {
    struct choice choice;
    uint64_t now_us, since_us, packets[CHOICE_ENCODINGS];
    bool seen;
    unsigned changes;
};

static void setup(struct world *w, uint8_t n)
{
    memset(w, 0, sizeof(*w));
    w->now_us = w->since_us = 1000 * S;
    choice_init(&w->choice, n);
    assert_int_equal(w->choice.at, n - 1);
}

/* So long those of 'sent' come (bits, from the lowest); what is chosen and comes is seen. */
static void run(struct world *w, unsigned sent, double seconds)
{
    for (uint64_t end = w->now_us + (uint64_t)(seconds * (double)S); w->now_us < end;) {
        uint8_t at = w->choice.at;

        w->now_us += STEP_US;
        for (uint8_t i = 0; i < w->choice.n; i++) {
            w->packets[i] += (sent >> i & 1) * 40;
            choice_note(&w->choice, i, w->packets[i], w->now_us);
        }
        w->seen = w->seen || (sent >> at & 1) != 0;
        if (choice_make(&w->choice, w->seen, w->since_us, w->now_us) != at) {
            w->since_us = w->now_us;
            w->seen = false;
            w->changes++;
        }
    }
}

static void all_that_come_the_best_is_kept(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 3);
    run(&w, 7, 600);
    assert_int_equal(w.choice.at, 2);
    assert_int_equal(w.changes, 0);
}

/* As when a call begins: the browser does not know yet what its link carries. */
static void the_best_that_comes_is_taken_soon_and_a_better_one_when_it_lasts(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 3);
    run(&w, 1, 2);
    assert_int_equal(w.choice.at, 0);
    run(&w, 3, 4);
    assert_int_equal(w.choice.at, 0);
    run(&w, 3, 2);
    assert_int_equal(w.choice.at, 1);
    run(&w, 7, 6);
    assert_int_equal(w.choice.at, 2);
    assert_int_equal(w.changes, 3);
}

static void one_that_ceases_is_left_and_taken_again(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 2);
    run(&w, 3, 10);
    run(&w, 1, 2.5);
    assert_int_equal(w.choice.at, 1); /* a pause */
    run(&w, 1, 1);
    assert_int_equal(w.choice.at, 0);
    run(&w, 3, 9);
    assert_int_equal(w.choice.at, 0);
    run(&w, 3, 2); /* twice the time of before */
    assert_int_equal(w.choice.at, 1);
}

static void one_that_comes_and_goes_changes_the_picture_ever_more_seldom(void **state)
{
    unsigned before;
    struct world w;
    (void)state;

    setup(&w, 2);
    for (unsigned i = 0; i < 40; i++) {
        run(&w, 3, 15);
        run(&w, 1, 15);
    }
    before = w.changes;
    assert_in_range(before, 2, 6);
    run(&w, 3, CHOICE_STEADY_MAX_MS / 1000 + 5);
    assert_int_equal(w.choice.at, 1); /* but it is not given up for ever */
}

static void while_nothing_comes_nothing_is_changed(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 3);
    run(&w, 7, 10);
    run(&w, 0, 100);
    assert_int_equal(w.choice.at, 2);
    w.since_us = w.now_us; /* it goes on, the lowest first */
    run(&w, 1, 1);
    run(&w, 7, 10);
    assert_int_equal(w.choice.at, 2);
    assert_int_equal(w.changes, 0);
}

/* It comes, but no key frame, or what nobody can decode. */
static void one_of_which_nothing_is_seen_is_left(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 2);
    for (unsigned i = 0; i < 10; i++) {
        w.now_us += STEP_US;
        w.packets[0] += 10;
        w.packets[1] += 10;
        choice_note(&w.choice, 0, w.packets[0], w.now_us);
        choice_note(&w.choice, 1, w.packets[1], w.now_us);
        assert_int_equal(choice_make(&w.choice, false, w.since_us, w.now_us),
                         w.now_us - w.since_us > 3 * S ? 0 : 1);
        if (w.choice.at == 0) {
            return;
        }
    }
    fail();
}

/* Without counters: one below the other. */
static void without_knowing_each_has_its_turn(void **state)
{
    struct world w;
    (void)state;

    setup(&w, 3);
    assert_int_equal(choice_make(&w.choice, false, w.since_us, w.now_us + 3 * S), 2);
    assert_int_equal(choice_make(&w.choice, false, w.since_us, w.now_us + 4 * S), 1);
    assert_int_equal(choice_make(&w.choice, false, w.now_us + 4 * S, w.now_us + 8 * S), 0);
    assert_int_equal(choice_make(&w.choice, false, w.now_us + 8 * S, w.now_us + 99 * S), 0);
    choice_note(&w.choice, 7, 1, w.now_us); /* that there is none of */
    setup(&w, 1);
    assert_int_equal(choice_make(&w.choice, false, w.since_us, w.now_us + 99 * S), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_come_the_best_is_kept),
        cmocka_unit_test(the_best_that_comes_is_taken_soon_and_a_better_one_when_it_lasts),
        cmocka_unit_test(one_that_ceases_is_left_and_taken_again),
        cmocka_unit_test(one_that_comes_and_goes_changes_the_picture_ever_more_seldom),
        cmocka_unit_test(while_nothing_comes_nothing_is_changed),
        cmocka_unit_test(one_of_which_nothing_is_seen_is_left),
        cmocka_unit_test(without_knowing_each_has_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
