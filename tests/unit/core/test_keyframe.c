/* Merging and limiting of key frame requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/keyframe.h"

enum { SEC = 1000000 };

static const struct keyframe_conf conf = {.interval_us = SEC, .max_tries = 3};

static struct keyframe_wish wish_of(uint64_t who, uint64_t last)
{
    return (struct keyframe_wish){
        .stream = 77, .who = who, .last = last, .period_us = 3 * SEC};
}

/* How many key frames 'who' costs that asks each 'every_us' for a time, of a sender that
 * makes one 'after_us' it is asked. */
static unsigned costs(struct keyframe_askers *askers, uint64_t who, uint64_t from_us,
                      uint64_t us, uint32_t every_us, uint32_t after_us)
{
    uint64_t due_us = UINT64_MAX, made = from_us;
    unsigned n = 0;

    for (uint64_t at = from_us; at < from_us + us; at += every_us) {
        const struct keyframe_wish wish = wish_of(who, made);

        if (at >= due_us) {
            made++;
            due_us = UINT64_MAX;
        } else if (keyframe_askers_take(askers, &wish, at) && due_us == UINT64_MAX) {
            due_us = at + after_us;
            n++;
        }
    }
    return n;
}

static void one_subscriber_has_a_share(void **state)
{
    struct keyframe_askers askers = {.stream = 0};
    (void)state;

    /* eight, however often it asks meanwhile, then one each 3 s */
    assert_int_equal(costs(&askers, 5, SEC, 2 * SEC, 10000, 100000), 8);
    assert_in_range(costs(&askers, 5, 3 * SEC, 300 * (uint64_t)SEC, 10000, 100000), 100,
                    101);
    /* after half a minute it is whole again */
    assert_int_equal(costs(&askers, 5, 400 * (uint64_t)SEC, 2 * SEC, 10000, 100000), 8);
}

static void what_has_not_come_yet_is_asked_for_again_for_nothing(void **state)
{
    struct keyframe_askers askers = {.stream = 0};
    struct keyframe_wish wish = wish_of(5, 0);
    unsigned n = 0;
    (void)state;

    for (uint64_t at = SEC; at < 9 * SEC; at += 200000) {
        n += keyframe_askers_take(&askers, &wish, at);
    }
    assert_int_equal(n, 40); /* a second of waiting costs as much as one key frame */
    n = 0;
    for (uint64_t at = 9 * (uint64_t)SEC; at < 309 * (uint64_t)SEC; at += 200000) {
        n += keyframe_askers_take(&askers, &wish, at);
    }
    assert_in_range(n, 102 * 5, 103 * 5);
}

/* More who ask than there are places: who has asked too often is not forgotten, and all
 * others are heard. */
static void who_asks_too_often_keeps_its_place(void **state)
{
    struct keyframe_askers askers = {.stream = 0};
    unsigned greedy = 0;
    (void)state;

    for (uint64_t i = 1; i <= 1000; i++) {
        const struct keyframe_wish one = wish_of(1000 + i, i), again = wish_of(5, i);

        assert_true(keyframe_askers_take(&askers, &one, SEC + i * 100000));
        greedy += keyframe_askers_take(&askers, &again, SEC + i * 100000);
    }
    assert_in_range(greedy, 8 + 33, 8 + 34);
}

/* Another stream in the same place begins with all shares whole. */
static void shares_of_another_stream_are_forgotten(void **state)
{
    struct keyframe_askers askers = {.stream = 0};
    struct keyframe_wish wish = wish_of(5, 0);
    (void)state;

    for (uint64_t i = 0; i < 20; i++) {
        wish.last = i;
        assert_int_equal(keyframe_askers_take(&askers, &wish, SEC + i), i < 8);
    }
    wish.stream++;
    wish.last++;
    assert_true(keyframe_askers_take(&askers, &wish, SEC + 20));
}

static void nothing_wanted_nothing_asked(void **state)
{
    struct keyframe kf;
    (void)state;

    keyframe_init(&kf, &conf);
    assert_true(keyframe_deadline(&kf) == UINT64_MAX);
    assert_false(keyframe_take_request(&kf, UINT64_MAX));
}

static void first_request_is_sent_at_once(void **state)
{
    struct keyframe kf;
    (void)state;

    keyframe_init(&kf, &conf);
    keyframe_on_request(&kf, 5);
    assert_int_equal(keyframe_deadline(&kf), 5);
    assert_true(keyframe_take_request(&kf, 5));
    assert_false(keyframe_take_request(&kf, 5));
}

static void flood_of_requests_makes_one_a_second(void **state)
{
    struct keyframe kf;
    unsigned n_sent = 0;
    (void)state;

    keyframe_init(&kf, &conf);
    for (uint64_t now = 0; now < 10 * SEC; now += SEC / 100) {
        keyframe_on_request(&kf, now);
        n_sent += keyframe_take_request(&kf, now) ? 1 : 0;
    }
    assert_int_equal(n_sent, 10);
}

static void request_while_limited_is_remembered(void **state)
{
    struct keyframe kf;
    (void)state;

    keyframe_init(&kf, &conf);
    keyframe_on_request(&kf, 0);
    assert_true(keyframe_take_request(&kf, 0));
    keyframe_on_keyframe(&kf);
    keyframe_on_request(&kf, SEC / 4);
    assert_int_equal(keyframe_deadline(&kf), SEC);
    assert_false(keyframe_take_request(&kf, SEC - 1));
    assert_true(keyframe_take_request(&kf, SEC));
}

static void key_frame_cancels_what_waits(void **state)
{
    struct keyframe kf;
    (void)state;

    keyframe_init(&kf, &conf);
    keyframe_on_request(&kf, 0);
    assert_true(keyframe_take_request(&kf, 0));
    keyframe_on_request(&kf, SEC / 2);
    keyframe_on_keyframe(&kf);
    assert_true(keyframe_deadline(&kf) == UINT64_MAX);
    assert_false(keyframe_take_request(&kf, 2 * SEC));
}

static void unanswered_request_is_repeated_up_to_the_cap(void **state)
{
    struct keyframe kf;
    unsigned n_sent = 0;
    (void)state;

    keyframe_init(&kf, &conf);
    keyframe_on_request(&kf, 0);
    for (uint64_t now = 0; now < 10 * SEC; now += SEC / 10) {
        n_sent += keyframe_take_request(&kf, now) ? 1 : 0;
    }
    assert_int_equal(n_sent, 3);
    assert_true(keyframe_deadline(&kf) == UINT64_MAX);
    keyframe_on_request(&kf, 10 * SEC); /* somebody still waits: begins anew */
    assert_true(keyframe_take_request(&kf, 10 * SEC));
    assert_int_equal(keyframe_deadline(&kf), 11 * SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_subscriber_has_a_share),
        cmocka_unit_test(what_has_not_come_yet_is_asked_for_again_for_nothing),
        cmocka_unit_test(who_asks_too_often_keeps_its_place),
        cmocka_unit_test(shares_of_another_stream_are_forgotten),
        cmocka_unit_test(nothing_wanted_nothing_asked),
        cmocka_unit_test(first_request_is_sent_at_once),
        cmocka_unit_test(flood_of_requests_makes_one_a_second),
        cmocka_unit_test(request_while_limited_is_remembered),
        cmocka_unit_test(key_frame_cancels_what_waits),
        cmocka_unit_test(unanswered_request_is_repeated_up_to_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
