/* Holes of a received stream: what is asked for again, when, and when no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "core/nack.h"

static const struct nack_conf CONF = {.reorder_us = 10,
                                      .retry_us = 100,
                                      .retry_min_us = 50,
                                      .retry_max_us = 1000,
                                      .max_tries = 2};

static struct nack started(uint64_t seq)
{
    struct nack nack;

    nack_init(&nack, &CONF);
    assert_int_equal(nack_on_packet(&nack, seq, 0), 0);
    return nack;
}

static void hole_waits_for_reordering_then_is_asked_for(void **state)
{
    struct nack nack = started(65535);
    uint64_t out[4];
    (void)state;

    assert_true(nack_deadline(&nack) == UINT64_MAX);
    assert_int_equal(nack_on_packet(&nack, 65537, 0), 0);
    assert_int_equal(nack_deadline(&nack), 10);
    assert_int_equal(nack_take_due(&nack, 9, out, 4), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 1);
    assert_int_equal(out[0], 65536);
}

static void reordered_packet_is_never_asked_for(void **state)
{
    struct nack nack = started(100);
    uint64_t out[4];
    (void)state;

    assert_int_equal(nack_on_packet(&nack, 102, 0), 0);
    assert_int_equal(nack_on_packet(&nack, 101, 9), 0);
    assert_true(nack_deadline(&nack) == UINT64_MAX);
    assert_int_equal(nack_take_due(&nack, 1000, out, 4), 0);
    assert_int_equal(nack.n_mended, 1);
    assert_int_equal(nack_on_packet(&nack, 101, 10), -EALREADY);
    assert_int_equal(nack_on_packet(&nack, 99, 10), -EALREADY);
}

static void hole_is_asked_for_again_and_then_given_up(void **state)
{
    struct nack nack = started(100);
    uint64_t out[4];
    (void)state;

    assert_int_equal(nack_on_packet(&nack, 102, 0), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 1);
    assert_int_equal(nack_deadline(&nack), 110);
    assert_int_equal(nack_take_due(&nack, 109, out, 4), 0);
    assert_int_equal(nack_take_due(&nack, 110, out, 4), 1);
    assert_int_equal(nack_take_given_up(&nack), 0);
    assert_int_equal(nack_take_due(&nack, 210, out, 4), 0);
    assert_int_equal(nack_take_given_up(&nack), 1);
    assert_int_equal(nack_take_given_up(&nack), 0);
    assert_true(nack_deadline(&nack) == UINT64_MAX);
    assert_int_equal(nack_on_repair(&nack, 101, 220), -EALREADY);
    assert_int_equal(nack.n_lost, 1);
}

static void round_trip_sets_the_pace(void **state)
{
    struct nack nack = started(100);
    uint64_t out[4];
    (void)state;

    assert_int_equal(nack_on_packet(&nack, 103, 0), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 2);
    assert_int_equal(nack_on_repair(&nack, 101, 10 + 400), 0); /* asked once: 400 */
    assert_int_equal(nack.rtt_us, 400);
    assert_int_equal(nack_take_due(&nack, 410, out, 4), 1);
    assert_int_equal(nack_deadline(&nack), 410 + 500);
    assert_int_equal(nack_on_repair(&nack, 102, 450), 0); /* which request was it? */
    assert_int_equal(nack.rtt_us, 400);
    /* it stays within its bounds */
    nack_init(&nack, &CONF);
    nack_set_rtt(&nack, 1);
    assert_int_equal(nack_on_packet(&nack, 1, 0), 0);
    assert_int_equal(nack_on_packet(&nack, 3, 0), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 1);
    assert_int_equal(nack_deadline(&nack), 10 + 50);
    for (int i = 0; i < 100; i++) {
        nack_set_rtt(&nack, 1000000);
    }
    assert_int_equal(nack_take_due(&nack, 60, out, 4), 1);
    assert_int_equal(nack_deadline(&nack), 60 + 1000);
}

static void too_wide_a_gap_is_not_mended(void **state)
{
    struct nack nack = started(100);
    uint64_t out[NACK_MAX_HOLES + 1];
    (void)state;

    assert_int_equal(nack_on_packet(&nack, 101 + NACK_MAX_HOLES, 0), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, NACK_MAX_HOLES + 1), NACK_MAX_HOLES);
    /* one more does not fit */
    assert_int_equal(nack_on_packet(&nack, 103 + NACK_MAX_HOLES, 10), -EOVERFLOW);
    assert_true(nack_deadline(&nack) == UINT64_MAX);
    assert_int_equal(nack.n_lost, NACK_MAX_HOLES + 1);
    assert_int_equal(nack_on_packet(&nack, 104 + NACK_MAX_HOLES, 10), 0);
    assert_int_equal(nack_on_packet(&nack, UINT64_C(1) << 48, 10), -EOVERFLOW);
    assert_int_equal(nack_on_packet(&nack, (UINT64_C(1) << 48) + 2, 10), 0);
    assert_int_equal(nack_take_due(&nack, 20, out, 4), 1);
    assert_true(out[0] == (UINT64_C(1) << 48) + 1);
}

/* What does not fit in the answer is due at the next call. */
static void short_answers_lose_nothing(void **state)
{
    struct nack nack = started(100);
    uint64_t out[8];
    (void)state;

    assert_int_equal(nack_on_packet(&nack, 107, 0), 0);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 4);
    assert_int_equal(out[3], 104);
    assert_int_equal(nack_deadline(&nack), 10);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 2);
    assert_int_equal(out[0], 105);
    assert_int_equal(nack_take_due(&nack, 10, out, 4), 0);
    nack_reset(&nack);
    assert_true(nack_deadline(&nack) == UINT64_MAX);
    assert_int_equal(nack_on_packet(&nack, 500, 0), 0);
    assert_true(nack_deadline(&nack) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hole_waits_for_reordering_then_is_asked_for),
        cmocka_unit_test(reordered_packet_is_never_asked_for),
        cmocka_unit_test(hole_is_asked_for_again_and_then_given_up),
        cmocka_unit_test(round_trip_sets_the_pace),
        cmocka_unit_test(too_wide_a_gap_is_not_mended),
        cmocka_unit_test(short_answers_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
