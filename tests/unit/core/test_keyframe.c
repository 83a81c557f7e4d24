/* Merging and limiting of key frame requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/keyframe.h"

enum { SEC = 1000000 };

static const struct keyframe_conf conf = {.interval_us = SEC, .max_tries = 3};

/* How many of a request each 'every_us' are granted within 'us'. */
static unsigned granted(struct keyframe_share *share, uint64_t from_us, uint64_t us,
                        uint32_t every_us)
{
    unsigned n = 0;

    for (uint64_t at = 0; at < us; at += every_us) {
        const uint64_t before_us = share->granted_us;

        (void)keyframe_share_take(share, 3 * SEC, from_us + at);
        n += share->granted_us != before_us;
    }
    return n;
}

static void one_subscriber_has_a_share(void **state)
{
    struct keyframe_share share = {.granted_us = 0};
    (void)state;

    /* eight seconds of waiting, however often it asks meanwhile, then one each 3 s */
    assert_int_equal(granted(&share, SEC, 8 * SEC, 200000), 8);
    assert_int_equal(granted(&share, 9 * SEC, 300 * (uint64_t)SEC, 10000), 102);
    /* after half a minute it is whole again */
    assert_int_equal(granted(&share, 400 * (uint64_t)SEC, 8 * SEC, 200000), 8);
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
        cmocka_unit_test(nothing_wanted_nothing_asked),
        cmocka_unit_test(first_request_is_sent_at_once),
        cmocka_unit_test(flood_of_requests_makes_one_a_second),
        cmocka_unit_test(request_while_limited_is_remembered),
        cmocka_unit_test(key_frame_cancels_what_waits),
        cmocka_unit_test(unanswered_request_is_repeated_up_to_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
