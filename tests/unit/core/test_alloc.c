/* Allocation: who gets what, and what holds for any streams and budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"

static const struct alloc_conf CONF = {.patience_us = 2000000, .reserve = 128};

static struct alloc_stream audio(void)
{
    return (struct alloc_stream){
        .kind = ALLOC_AUDIO, .n_levels = 1, .bps = {40000}, .level = ALLOC_PAUSED};
}

static struct alloc_stream video(uint8_t kind, uint8_t priority, uint32_t area)
{
    return (struct alloc_stream){.kind = kind,
                                 .n_levels = 3,
                                 .max_level = 2,
                                 .bps = {150000, 500000, 1500000},
                                 .priority = priority,
                                 .area = area,
                                 .level = ALLOC_PAUSED};
}

/* As many as there can be, in no order: who is before another has not less. */
static void many_are_served_in_order(void **state)
{
    static struct alloc_stream s[ALLOC_STREAMS];
    struct alloc alloc;
    unsigned n = 0;
    (void)state;

    alloc_init(&alloc, &CONF);
    srand(1);
    for (size_t i = 0; i < ALLOC_STREAMS; i++) {
        s[i] = (struct alloc_stream){.kind = rand() % 8 == 0 ? ALLOC_SCREEN : ALLOC_CAMERA,
                                     .n_levels = 1,
                                     .bps = {100000},
                                     .priority = (uint8_t)(1 + rand() % 3),
                                     .area = (uint32_t)(rand() % 4),
                                     .level = ALLOC_PAUSED};
    }
    (void)alloc_run(&alloc, s, ALLOC_STREAMS, 60000000, 1000000);
    for (size_t i = 0; i < ALLOC_STREAMS; i++) {
        n += s[i].level == 0;
        for (size_t k = 0; s[i].level == 0 && k < ALLOC_STREAMS; k++) {
            const bool before =
                s[k].kind != s[i].kind           ? s[k].kind < s[i].kind
                : s[k].priority != s[i].priority ? s[k].priority > s[i].priority
                                                 : s[k].area > s[i].area;

            assert_true(!before || s[k].level == 0);
        }
    }
    assert_int_equal(n, 525); /* less the reserve of an eighth */
}

static void audio_is_never_paused(void **state)
{
    struct alloc_stream s[2] = {video(ALLOC_CAMERA, 1, 0), audio()};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 2, 0, 1000000);
    assert_int_equal(s[1].level, 0);
    assert_int_equal(s[0].level, ALLOC_PAUSED);
    /* and video gets only what audio leaves */
    (void)alloc_run(&alloc, s, 2, 180000, 1000000);
    assert_int_equal(s[0].level, ALLOC_PAUSED);
    (void)alloc_run(&alloc, s, 2, 250000, 1000000);
    assert_int_equal(s[0].level, 0);
}

static void screen_is_first_then_priority_then_size(void **state)
{
    struct alloc_stream s[4] = {video(ALLOC_CAMERA, 1, 100), video(ALLOC_CAMERA, 1, 900),
                                video(ALLOC_CAMERA, 9, 100), video(ALLOC_SCREEN, 0, 0)};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 4, 1900000, 1000000);
    assert_int_equal(s[3].level, 2);
    assert_int_equal(s[2].level, 0); /* 1.5 M + 150 k; 250 k less the reserve are left */
    assert_int_equal(s[1].level, ALLOC_PAUSED);
    assert_int_equal(s[0].level, ALLOC_PAUSED);
    (void)alloc_run(&alloc, s, 4, 2700000, 1000000);
    assert_int_equal(s[2].level, 1);
    assert_int_equal(s[1].level, 0);
    assert_int_equal(s[0].level, 0);
}

static void everybody_gets_a_little_before_one_gets_more(void **state)
{
    struct alloc_stream s[3] = {video(ALLOC_CAMERA, 1, 300), video(ALLOC_CAMERA, 1, 200),
                                video(ALLOC_CAMERA, 1, 100)};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 3, 950000, 1000000);
    assert_int_equal(s[0].level, 1);
    assert_int_equal(s[1].level, 0);
    assert_int_equal(s[2].level, 0);
}

static void wishes_are_not_exceeded(void **state)
{
    struct alloc_stream s[1] = {video(ALLOC_CAMERA, 1, 0)};
    struct alloc alloc;
    (void)state;

    s[0].max_level = 1;
    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 1, 100000000, 1000000);
    assert_int_equal(s[0].level, 1);
    assert_int_equal(alloc_wanted(s, 1), 500000);
    s[0].n_levels = 0; /* nothing is known of it yet: it may begin */
    (void)alloc_run(&alloc, s, 1, 0, 1000000);
    assert_int_equal(s[0].level, 0);
}

static void goes_down_at_once_and_up_with_patience(void **state)
{
    struct alloc_stream s[1] = {video(ALLOC_CAMERA, 1, 0)};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    assert_true(alloc_run(&alloc, s, 1, 2000000, 1000000));
    assert_int_equal(s[0].level, 2);
    assert_true(alloc_run(&alloc, s, 1, 1400000, 1100000));
    assert_int_equal(s[0].level, 1);
    assert_false(alloc_run(&alloc, s, 1, 2000000, 1200000));
    assert_false(alloc_run(&alloc, s, 1, 2000000, 3000000));
    assert_true(alloc_run(&alloc, s, 1, 2000000, 3100000));
    assert_int_equal(s[0].level, 2);
    /* it stays with what a raise would not be given for */
    assert_false(alloc_run(&alloc, s, 1, 1500000, 3200000));
    (void)alloc_run(&alloc, s, 1, 1499999, 3300000);
    (void)alloc_run(&alloc, s, 1, 1500000, 9000000);
    assert_int_equal(s[0].level, 1);
}

/* What goes up and comes down again soon waits longer each time, but not if there is
 * clearly more; what is paused waits no longer than at first. */
static void what_does_not_stay_is_tried_less_often(void **state)
{
    static const uint64_t waits_us[] = {2000000, 4000000, 8000000, 8000000};
    struct alloc_stream s[1] = {video(ALLOC_CAMERA, 1, 0)};
    struct alloc alloc;
    uint64_t now_us = 1000000;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 1, 2000000, now_us);
    for (unsigned i = 0; i < 4; i++) {
        now_us += 1000000;
        (void)alloc_run(&alloc, s, 1, 800000, now_us);
        assert_int_equal(s[0].level, 1);
        (void)alloc_run(&alloc, s, 1, 2000000, now_us + waits_us[i] - 1);
        assert_int_equal(s[0].level, 1);
        now_us += waits_us[i];
        (void)alloc_run(&alloc, s, 1, 2000000, now_us);
        assert_int_equal(s[0].level, 2);
    }
    now_us += 1000000;
    (void)alloc_run(&alloc, s, 1, 800000, now_us);
    (void)alloc_run(&alloc, s, 1, 2600000, now_us + 2000000); /* more than it failed with */
    assert_int_equal(s[0].level, 2);
    now_us += 3000000;
    (void)alloc_run(&alloc, s, 1, 100000, now_us);
    assert_int_equal(s[0].level, ALLOC_PAUSED);
    now_us += 2000000;
    (void)alloc_run(&alloc, s, 1, 2000000, now_us);
    assert_int_equal(s[0].level, 0);
    now_us += 20000000;
    (void)alloc_run(&alloc, s, 1, 2000000, now_us);
    assert_int_equal(s[0].level, 2);
    now_us += 20000000; /* it stayed: what was is forgotten */
    (void)alloc_run(&alloc, s, 1, 800000, now_us);
    (void)alloc_run(&alloc, s, 1, 2000000, now_us + 2000000);
    assert_int_equal(s[0].level, 2);
}

static void costs_rise_soon_and_fall_slowly(void **state)
{
    uint32_t bps = alloc_cost(0, 400000);
    (void)state;

    assert_int_equal(bps, 400000);
    for (unsigned i = 0; i < 3; i++) { /* nothing for a second and a half */
        bps = alloc_cost(bps, 0);
    }
    assert_in_range(bps, 300000, 400000);
    for (unsigned i = 0; i < 8; i++) {
        bps = alloc_cost(bps, 800000);
    }
    assert_in_range(bps, 720000, 800000);
    for (unsigned i = 0; i < 40; i++) {
        bps = alloc_cost(bps, 200000);
    }
    assert_in_range(bps, 200000, 260000);
}

/* ---- properties ---- */

static uint32_t dice(uint32_t below)
{
    return (uint32_t)rand() % below;
}

static size_t some_streams(struct alloc_stream *s)
{
    size_t n = 1 + dice(12);

    for (size_t i = 0; i < n; i++) {
        uint32_t bps = 0;

        s[i] = (struct alloc_stream){.kind = (uint8_t)dice(3),
                                     .n_levels = (uint8_t)dice(ALLOC_LEVELS + 1),
                                     .max_level = (uint8_t)dice(14),
                                     .priority = (uint8_t)dice(4),
                                     .area = dice(3) * 1000,
                                     .level = (int8_t)((int)dice(4) - 1)};
        for (size_t k = 0; k < ALLOC_LEVELS; k++) {
            s[i].bps[k] = bps += dice(300000);
        }
        if (s[i].level >= s[i].n_levels) {
            s[i].level = ALLOC_PAUSED;
        }
    }
    return n;
}

static uint64_t spent(const struct alloc_stream *s, size_t n, bool on_audio)
{
    uint64_t bps = 0;

    for (size_t i = 0; i < n; i++) {
        if ((s[i].kind == ALLOC_AUDIO) == on_audio && s[i].level >= 0 &&
            s[i].n_levels > 0) {
            bps += s[i].bps[s[i].level];
        }
    }
    return bps;
}

static void budget_is_never_exceeded_but_by_audio(void **state)
{
    struct alloc_stream s[16];
    struct alloc alloc;
    (void)state;

    srand(7);
    for (int i = 0; i < 20000; i++) {
        size_t n = some_streams(s);
        uint64_t budget = dice(5000000);
        uint64_t voice, pictures;

        alloc_init(&alloc, &CONF);
        (void)alloc_run(&alloc, s, n, budget, 1000000);
        voice = spent(s, n, true);
        pictures = spent(s, n, false);
        assert_true(pictures == 0 || voice + pictures <= budget);
        for (size_t k = 0; k < n; k++) {
            assert_true(s[k].level == ALLOC_PAUSED ||
                        (s[k].level == 0 && s[k].n_levels == 0) ||
                        (s[k].level < s[k].n_levels && s[k].level <= s[k].max_level));
            assert_true(s[k].kind != ALLOC_AUDIO || s[k].level == 0);
        }
    }
}

/* With more to spend the first to be served never gets less, and equals never cross. */
static void more_is_never_worse_for_the_first(void **state)
{
    struct alloc_stream s[16], more[16];
    struct alloc alloc;
    (void)state;

    srand(8);
    for (int i = 0; i < 20000; i++) {
        size_t n = some_streams(s);
        uint64_t budget = dice(5000000);

        for (size_t k = 0; k < n; k++) {
            s[k].level = ALLOC_PAUSED;
        }
        s[0].kind = ALLOC_SCREEN;
        s[0].priority = 255;
        memcpy(more, s, sizeof(s));
        alloc_init(&alloc, &CONF);
        (void)alloc_run(&alloc, s, n, budget, 1000000);
        alloc_init(&alloc, &CONF);
        (void)alloc_run(&alloc, more, n, budget + dice(1000000), 1000000);
        assert_true(more[0].level >= s[0].level);
    }
}

/* An estimate that wobbles by 5 % makes no layer flap. */
static void noise_does_not_make_layers_flap(void **state)
{
    struct alloc_stream s[16];
    struct alloc alloc;
    (void)state;

    srand(9);
    for (int i = 0; i < 300; i++) {
        size_t n = some_streams(s);
        uint64_t budget = 100000 + dice(4000000);
        unsigned ups = 0;

        for (size_t k = 0; k < n; k++) {
            s[k].level = ALLOC_PAUSED;
        }
        alloc_init(&alloc, &CONF);
        for (uint64_t t = 0; t < 600; t++) { /* a minute */
            uint64_t now = budget * (950 + dice(101)) / 1000;
            uint64_t before = spent(s, n, false);

            (void)alloc_run(&alloc, s, n, now, 1000000 + t * 100000);
            ups += spent(s, n, false) > before;
        }
        assert_in_range(ups, 0, 8);
    }
}

static void same_input_same_answer(void **state)
{
    struct alloc_stream s[16];
    struct alloc alloc;
    (void)state;

    srand(10);
    for (int i = 0; i < 5000; i++) {
        size_t n = some_streams(s);
        uint64_t budget = dice(5000000);

        alloc_init(&alloc, &CONF);
        (void)alloc_run(&alloc, s, n, budget, 1000000);
        (void)alloc_run(&alloc, s, n, budget, 9000000);
        (void)alloc_run(&alloc, s, n, budget, 19000000);
        assert_false(alloc_run(&alloc, s, n, budget, 29000000));
    }
}

/* Whether 'a' has to get its next level before 'b', whatever they cost. */
static bool is_due_before(const struct alloc_stream *a, const struct alloc_stream *b)
{
    if (a->kind != b->kind) {
        return a->kind == ALLOC_SCREEN;
    }
    if (a->kind == ALLOC_CAMERA && a->level != b->level) {
        return a->level < b->level;
    }
    return a->priority != b->priority ? a->priority > b->priority : a->area > b->area;
}

static int highest(const struct alloc_stream *s)
{
    const int top = s->n_levels < ALLOC_LEVELS ? s->n_levels : ALLOC_LEVELS;

    return s->max_level < top ? s->max_level : top - 1;
}

/* What is tried is one level of one stream, that which is due. */
static void one_stream_is_raised_by_one_level(void **state)
{
    struct alloc_stream s[16], was[16];
    struct alloc alloc;
    unsigned raised = 0;
    (void)state;

    srand(11);
    for (int i = 0; i < 20000; i++) {
        const size_t n = some_streams(s);
        size_t which = n;

        alloc_init(&alloc, &CONF);
        (void)alloc_run(&alloc, s, n, dice(5000000), 1000000);
        memcpy(was, s, sizeof(s));
        if (!alloc_raise(&alloc, s, n, 9000000)) {
            assert_int_equal(alloc_spent(s, n), alloc_wanted(s, n));
            assert_memory_equal(s, was, n * sizeof(*s));
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            if (s[k].level != was[k].level) {
                assert_int_equal(s[k].level, was[k].level + 1);
                assert_int_equal(which, n);
                which = k;
            }
        }
        assert_true(which < n && s[which].level <= highest(&s[which]));
        for (size_t k = 0; k < n; k++) {
            assert_false(was[k].kind != ALLOC_AUDIO && was[k].level < highest(&was[k]) &&
                         is_due_before(&was[k], &was[which]));
        }
        raised++;
    }
    assert_in_range(raised, 10000, 20000);
}

/* It waits as long as any other that goes up after one had to go down. */
static void nothing_is_raised_too_soon(void **state)
{
    struct alloc_stream s[1] = {video(ALLOC_CAMERA, 1, 0)};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 1, 2000000, 1000000);
    (void)alloc_run(&alloc, s, 1, 1000000, 7000000);
    assert_int_equal(s[0].level, 1);
    assert_false(alloc_raise(&alloc, s, 1, 8999999));
    assert_int_equal(s[0].level, 1);
    assert_true(alloc_raise(&alloc, s, 1, 9000000));
    assert_int_equal(s[0].level, 2);
    assert_false(alloc_raise(&alloc, s, 1, 9000000)); /* there is no more */
    /* that it did not stay counts as with any other: twice in sequence, it waits longer */
    (void)alloc_run(&alloc, s, 1, 1000000, 9100000);
    assert_true(alloc_raise(&alloc, s, 1, 11100000));
    (void)alloc_run(&alloc, s, 1, 1000000, 11200000);
    assert_false(alloc_raise(&alloc, s, 1, 13200000));
    assert_true(alloc_raise(&alloc, s, 1, 15200000));
}

static void what_runs_is_kept_while_the_link_is_calm(void **state)
{
    struct alloc_stream s[2] = {video(ALLOC_CAMERA, 1, 0), audio()};
    struct alloc alloc;
    (void)state;

    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, 2, 700000, 1000000);
    assert_int_equal(s[0].level, 1);
    alloc.keep = true;
    (void)alloc_run(&alloc, s, 2, 400000, 1100000);
    assert_int_equal(s[0].level, 1);
    /* but nothing goes up on that */
    (void)alloc_run(&alloc, s, 2, 1500000, 9000000);
    assert_int_equal(s[0].level, 1);
    /* and a wish lowers it */
    s[0].max_level = 0;
    (void)alloc_run(&alloc, s, 2, 1500000, 9000000);
    assert_int_equal(s[0].level, 0);
    s[0].max_level = 2;
    alloc.keep = false;
    (void)alloc_run(&alloc, s, 2, 100000, 9100000);
    assert_int_equal(s[0].level, ALLOC_PAUSED);
}

static void streams_too_many_are_paused(void **state)
{
    static struct alloc_stream s[ALLOC_STREAMS + 2];
    struct alloc alloc;
    (void)state;

    for (size_t i = 0; i < ALLOC_STREAMS + 2; i++) {
        s[i] = video(ALLOC_CAMERA, 1, 0);
    }
    alloc_init(&alloc, &CONF);
    (void)alloc_run(&alloc, s, ALLOC_STREAMS + 2, UINT64_C(1) << 40, 1000000);
    assert_int_equal(s[0].level, 2);
    assert_int_equal(s[ALLOC_STREAMS].level, ALLOC_PAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_are_served_in_order),
        cmocka_unit_test(audio_is_never_paused),
        cmocka_unit_test(screen_is_first_then_priority_then_size),
        cmocka_unit_test(everybody_gets_a_little_before_one_gets_more),
        cmocka_unit_test(wishes_are_not_exceeded),
        cmocka_unit_test(goes_down_at_once_and_up_with_patience),
        cmocka_unit_test(what_does_not_stay_is_tried_less_often),
        cmocka_unit_test(costs_rise_soon_and_fall_slowly),
        cmocka_unit_test(budget_is_never_exceeded_but_by_audio),
        cmocka_unit_test(more_is_never_worse_for_the_first),
        cmocka_unit_test(noise_does_not_make_layers_flap),
        cmocka_unit_test(same_input_same_answer),
        cmocka_unit_test(one_stream_is_raised_by_one_level),
        cmocka_unit_test(nothing_is_raised_too_soon),
        cmocka_unit_test(what_runs_is_kept_while_the_link_is_calm),
        cmocka_unit_test(streams_too_many_are_paused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
