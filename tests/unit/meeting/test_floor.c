/* floor: who speaks, without flapping, and who is heard when too many do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/floor.h"

enum { N = 6, STEP_US = 250000 };

struct talk {
    struct floor_voice voices[N];
    struct floor_voice *at[N];
    int speaker;
    uint32_t loudest;
    uint64_t now_us;
    unsigned changes;
};

static struct talk *begin(uint32_t loudest)
{
    static struct talk talk;

    talk = (struct talk){.speaker = -1, .loudest = loudest, .now_us = 1000000};
    for (int i = 0; i < N; i++) {
        talk.voices[i].heard = true;
        talk.at[i] = &talk.voices[i];
    }
    return &talk;
}

/* So many steps at these levels. */
static void go(struct talk *t, unsigned steps, const uint8_t loud[N])
{
    while (steps-- > 0) {
        int before = t->speaker;

        for (int i = 0; i < N; i++) {
            t->voices[i].loudness = loud[i];
        }
        t->now_us += STEP_US;
        t->speaker = floor_update(t->at, N, t->speaker, t->loudest, t->now_us);
        t->changes += t->speaker != before;
    }
}

static unsigned n_heard(const struct talk *t)
{
    unsigned n = 0;

    for (int i = 0; i < N; i++) {
        n += t->voices[i].heard && t->voices[i].speaks;
    }
    return n;
}

static void who_speaks_gets_the_floor_and_keeps_it(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    go(t, 8, (uint8_t[N]){0, 20, 34});
    assert_int_equal(t->speaker, -1); /* nobody is loud enough */
    go(t, 2, (uint8_t[N]){0, 90});
    assert_int_equal(t->speaker, 1);
    go(t, 40, (uint8_t[N]){0, 0}); /* nobody speaks: the last stays */
    assert_int_equal(t->speaker, 1);
    assert_int_equal(t->changes, 1);
}

static void a_short_noise_does_not_get_the_floor(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    for (int i = 0; i < 10; i++) {
        go(t, 1, (uint8_t[N]){60});
        go(t, 3, (uint8_t[N]){30});
    }
    assert_int_equal(t->speaker, -1);
}

static void an_equal_waits_until_the_other_has_ended(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    go(t, 4, (uint8_t[N]){80});
    for (int i = 0; i < 50; i++) { /* both, now one louder, now the other */
        go(t, 1, (uint8_t[N]){80, 89});
        go(t, 1, (uint8_t[N]){89, 80});
        go(t, 1, (uint8_t[N]){70, 95}); /* clearly louder, but briefly */
    }
    assert_int_equal(t->speaker, 0);
    assert_int_equal(t->changes, 1);
    go(t, 1, (uint8_t[N]){34, 80});
    assert_int_equal(t->speaker, 1);
    assert_int_equal(t->changes, 2);
}

static void who_is_clearly_louder_for_a_second_takes_it(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    go(t, 4, (uint8_t[N]){60});
    go(t, 5, (uint8_t[N]){60, 80}); /* one until it counts as speech, four of a second */
    assert_int_equal(t->speaker, 0);
    go(t, 1, (uint8_t[N]){60, 80});
    assert_int_equal(t->speaker, 1);
    go(t, 20, (uint8_t[N]){60, 65}); /* and does not lose it by getting quieter */
    assert_int_equal(t->speaker, 1);
}

static void pauses_do_not_lose_the_floor(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    for (int i = 0; i < 20; i++) {
        go(t, 3, (uint8_t[N]){90, 10});
        go(t, 2, (uint8_t[N]){40, 10}); /* between words */
    }
    assert_int_equal(t->changes, 1);
}

static void all_are_heard_if_not_limited(void **state)
{
    struct talk *t = begin(0);
    (void)state;

    go(t, 4, (uint8_t[N]){90, 80, 70, 60, 55, 51});
    assert_int_equal(n_heard(t), N);
}

static void no_more_than_the_loudest_are_heard(void **state)
{
    struct talk *t = begin(3);
    (void)state;

    go(t, 4, (uint8_t[N]){90, 80, 70, 60, 55, 51});
    assert_int_equal(n_heard(t), 3);
    assert_true(t->voices[0].heard && t->voices[1].heard && t->voices[2].heard);
    go(t, 4, (uint8_t[N]){90, 80, 70, 79, 55, 51}); /* within the margin: nothing changes */
    assert_false(t->voices[3].heard);
    go(t, 1, (uint8_t[N]){90, 80, 70, 81, 55, 51});
    assert_true(t->voices[3].heard);
    assert_false(t->voices[2].heard);
    assert_int_equal(n_heard(t), 3);
}

static void silent_ones_may_begin_at_any_time(void **state)
{
    struct talk *t = begin(1);
    (void)state;

    go(t, 4, (uint8_t[N]){90, 80});
    assert_false(t->voices[1].heard);
    assert_true(t->voices[2].heard);
    go(t, 1, (uint8_t[N]){90, 20}); /* stopped: its next word is not cut off */
    assert_true(t->voices[1].heard);
}

static void the_speaker_is_always_heard(void **state)
{
    struct talk *t = begin(1);
    (void)state;

    go(t, 4, (uint8_t[N]){60});
    go(t, 2, (uint8_t[N]){60, 90});
    assert_int_equal(t->speaker, 0);
    assert_true(t->voices[0].heard);
    assert_false(t->voices[1].heard);
    go(t, 4, (uint8_t[N]){60, 90});
    assert_int_equal(t->speaker, 1);
    assert_true(t->voices[1].heard);
    assert_false(t->voices[0].heard);
}

/* An hour of a meeting, seeded: somebody speaks for 1 to 10 s with pauses, now and then two
 * at once, all cough. The floor changes about as often as the talker does. */
static void a_meeting_does_not_flap(void **state)
{
    struct talk *t = begin(2);
    uint32_t random = 20261127;
    unsigned turns = 0;
    (void)state;

    for (unsigned step = 0; step < 4 * 3600;) {
        unsigned talker = (random = random * 1664525 + 1013904223) >> 16;
        unsigned other = (random = random * 1664525 + 1013904223) >> 16;
        unsigned length = 4 + (random >> 8) % 36;

        turns++;
        for (unsigned k = 0; k < length; k++, step++) {
            uint8_t loud[N] = {0};

            random = random * 1664525 + 1013904223;
            loud[other % N] = (uint8_t)((random >> 24) % 48); /* noises */
            loud[talker % N] = (uint8_t)(40 + (random >> 16) % 50);
            if (random % 16 == 0) {
                loud[(talker + 1) % N] = 85; /* a cough */
            }
            go(t, 1, loud);
            assert_true(n_heard(t) <= 2);
        }
    }
    assert_in_range(t->changes, turns / 2, turns + turns / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_speaks_gets_the_floor_and_keeps_it),
        cmocka_unit_test(a_short_noise_does_not_get_the_floor),
        cmocka_unit_test(an_equal_waits_until_the_other_has_ended),
        cmocka_unit_test(who_is_clearly_louder_for_a_second_takes_it),
        cmocka_unit_test(pauses_do_not_lose_the_floor),
        cmocka_unit_test(all_are_heard_if_not_limited),
        cmocka_unit_test(no_more_than_the_loudest_are_heard),
        cmocka_unit_test(silent_ones_may_begin_at_any_time),
        cmocka_unit_test(the_speaker_is_always_heard),
        cmocka_unit_test(a_meeting_does_not_flap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
