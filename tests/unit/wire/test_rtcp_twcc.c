/* Transport-wide feedback messages on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_twcc.h"
#include "support/exact.h"

enum { LOST = INT32_MIN }; /* in lists of deltas */

static int parse(const uint8_t *data, size_t len, struct twcc_fb *out)
{
    struct rtcp_iter it = rtcp_iter_of(data, len);
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb fb = {0};

    if (rtcp_next(&it, &pkt) != 1 || !rtcp_is_twcc(&pkt)) {
        return -EBADMSG;
    }
    if (rtcp_fb_parse(&pkt, &fb) != 0) {
        return -EBADMSG;
    }
    return twcc_fb_parse(&fb, out);
}

/* Writes the statuses, parses them and compares; returns the length of the message. */
static size_t round_trip(const int32_t *deltas, size_t n, uint16_t base)
{
    uint8_t buf[TWCC_MAX_DELTA_LEN];
    struct twcc_fb_writer x;
    struct twcc_fb fb = {0};
    struct twcc_arrival got = {0};
    size_t len;

    twcc_fb_begin(&x, buf, sizeof(buf), 1, 2, base, 0xabcdef, 200);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(twcc_fb_put(&x, deltas[i] != LOST, deltas[i]), 0);
    }
    len = twcc_fb_finish(&x);
    assert_true(len > 0 && len % 4 == 0);
    assert_int_equal(parse(buf, len, &fb), 0);
    assert_int_equal(fb.base_seq, base);
    assert_int_equal(fb.n_status, n);
    assert_int_equal(fb.ref_time, 0xabcdef);
    assert_int_equal(fb.fb_count, 200);
    for (size_t i = 0; i < n; i++) {
        if (deltas[i] != LOST) {
            assert_true(twcc_fb_next(&fb, &got));
            assert_int_equal(got.seq, (uint16_t)(base + i));
            assert_int_equal(got.delta_ticks, deltas[i]);
        }
    }
    assert_false(twcc_fb_next(&fb, &got));
    return len;
}

static void run_of_small_deltas_is_one_chunk(void **state)
{
    int32_t deltas[100];
    (void)state;

    for (int32_t i = 0; i < 100; i++) {
        deltas[i] = i;
    }
    assert_int_equal(round_trip(deltas, 100, 65500), 20 + 2 + 100 + 2);
}

static void extreme_deltas_survive(void **state)
{
    const int32_t deltas[] = {0, 255, 256, -1, 32767, -32768, LOST, 1};
    (void)state;

    (void)round_trip(deltas, 8, 0);
}

static void loss_uses_vectors(void **state)
{
    const int32_t deltas[] = {1, LOST, 1, 1, LOST, LOST, 1, 1, 1, LOST, 1, 1, 1, 1};
    (void)state;

    assert_int_equal(round_trip(deltas, 14, 7), 20 + 2 + 9 + 1);
}

static void long_loss_is_a_run(void **state)
{
    int32_t deltas[9002];
    (void)state;

    for (size_t i = 0; i < 9002; i++) {
        deltas[i] = LOST;
    }
    deltas[0] = 3;
    deltas[9001] = -3;
    assert_true(round_trip(deltas, 9002, 60000) <= 36);
}

static void random_statuses_survive(void **state)
{
    uint32_t rng = 1;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        int32_t deltas[300];
        size_t n;
        unsigned mix;

        rng = rng * 1664525u + 1013904223u;
        n = 1 + (rng >> 8) % 300;
        mix = 1 + (rng >> 20) % 20; /* how seldom the kind changes */
        for (size_t i = 0; i < n; i++) {
            rng = rng * 1664525u + 1013904223u;
            if (i > 0 && (rng >> 10) % mix != 0) {
                deltas[i] = deltas[i - 1];
            } else {
                unsigned kind = (rng >> 16) % 3;

                deltas[i] = kind == 0   ? LOST
                            : kind == 1 ? (int32_t)(rng >> 24)
                                        : (int32_t)(int16_t)(rng >> 12);
            }
        }
        (void)round_trip(deltas, n, (uint16_t)(rng >> 16));
    }
}

static void what_was_accepted_fits_and_nothing_leaves_the_buffer(void **state)
{
    uint32_t rng = 7;
    (void)state;

    for (size_t cap = 0; cap <= 200; cap++) {
        uint8_t zeros[200] = {0};
        uint8_t *buf = exact_copy(zeros, cap);
        struct twcc_fb_writer x;
        struct twcc_fb fb = {0};
        struct twcc_arrival got = {0};
        unsigned n = 0;
        unsigned n_received = 0;
        size_t len;

        twcc_fb_begin(&x, buf, cap, 1, 2, 0, 0, 0);
        for (;;) {
            bool received;

            rng = rng * 1664525u + 1013904223u;
            received = (rng >> 16) % 3 != 0;
            if (twcc_fb_put(&x, received, (int32_t)(rng >> 22)) != 0) {
                break;
            }
            n++;
            n_received += received ? 1 : 0;
        }
        len = twcc_fb_finish(&x);
        assert_true(len <= cap);
        assert_true((len > 0) == (n > 0));
        assert_true(cap < 28 || len > 0);
        if (len > 0) {
            assert_int_equal(parse(buf, len, &fb), 0);
            assert_int_equal(fb.n_status, n);
            while (twcc_fb_next(&fb, &got)) {
                n_received--;
            }
            assert_int_equal(n_received, 0);
        }
        free(buf);
    }
}

static void delta_out_of_range_asks_for_a_new_message(void **state)
{
    uint8_t buf[64];
    struct twcc_fb_writer x;
    (void)state;

    twcc_fb_begin(&x, buf, sizeof(buf), 1, 2, 0, 0, 0);
    assert_int_equal(twcc_fb_finish(&x), 0);
    assert_int_equal(twcc_fb_put(&x, true, 32768), -ERANGE);
    assert_int_equal(twcc_fb_put(&x, true, -32769), -ERANGE);
    assert_int_equal(twcc_fb_finish(&x), 0);
}

/* base 5, 4 statuses, ref time 2, count 3; two-bit vector: small, lost, large, small. */
static const uint8_t known[] = {0x8f, 205,  0,    6,    0,    0,    0, 1, 0, 0,
                                0,    2,    0,    5,    0,    4,    0, 0, 2, 3,
                                0xd2, 0x40, 0x10, 0xff, 0x9c, 0x20, 0, 0};

static void known_message_is_read(void **state)
{
    struct twcc_fb fb = {0};
    struct twcc_arrival a = {0};
    (void)state;

    assert_int_equal(parse(known, sizeof(known), &fb), 0);
    assert_int_equal(fb.ref_time, 2);
    assert_int_equal(fb.fb_count, 3);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 5);
    assert_int_equal(a.delta_ticks, 16);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 7);
    assert_int_equal(a.delta_ticks, -100);
    assert_true(twcc_fb_next(&fb, &a));
    assert_int_equal(a.seq, 8);
    assert_int_equal(a.delta_ticks, 32);
    assert_false(twcc_fb_next(&fb, &a));
}

static void truncated_message_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len <= sizeof(known) - 12; len++) {
        uint8_t *fci = exact_copy(known + 12, len);
        const struct rtcp_fb msg = {.fci = fci, .fci_len = len};
        struct twcc_fb fb = {0};

        assert_int_equal(twcc_fb_parse(&msg, &fb), len < 14 ? -EBADMSG : 0);
        free(fci);
    }
}

static void senseless_messages_are_refused(void **state)
{
    /* FCI from the status count on */
    static const uint8_t rows[][12] = {
        {0, 0, 0, 0, 0, 0, 0x20, 1, 9, 9},          /* no status */
        {0, 1, 0, 0, 0, 0, 0x60, 1, 9, 9},          /* reserved symbol in a run */
        {0, 1, 0, 0, 0, 0, 0xf0, 0, 9, 9},          /* reserved symbol in a vector */
        {0, 1, 0, 0, 0, 0, 0x20, 0, 0x20, 0, 0, 0}, /* a run of none */
        {0, 9, 0, 0, 0, 0, 0x20, 9, 1, 2, 3, 4},    /* deltas missing */
        {0xff, 0xff, 0, 0, 0, 0, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff}, /* chunks missing */
    };
    struct twcc_fb fb = {0};
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t fci[14] = {0};
        const struct rtcp_fb msg = {.fci = fci, .fci_len = sizeof(fci)};

        memcpy(fci + 2, rows[i], 12);
        assert_int_equal(twcc_fb_parse(&msg, &fb), -EBADMSG);
    }
}

static void any_bytes_are_survived(void **state)
{
    uint32_t rng = 99;
    unsigned n_valid = 0;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[48];
        size_t len;
        uint8_t *fci;
        struct rtcp_fb msg = {0};
        struct twcc_fb fb = {0};
        struct twcc_arrival a = {0};

        for (size_t i = 0; i < sizeof(bytes); i++) {
            rng = rng * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(rng >> 24);
        }
        bytes[2] = 0; /* few statuses: some are valid */
        len = rng % (sizeof(bytes) + 1);
        fci = exact_copy(bytes, len);
        msg = (struct rtcp_fb){.fci = fci, .fci_len = len};
        if (twcc_fb_parse(&msg, &fb) == 0) {
            unsigned n = 0;

            n_valid++;
            while (twcc_fb_next(&fb, &a)) {
                n++;
            }
            assert_true(n <= fb.n_status);
            assert_false(fb.deltas.bad);
            assert_int_equal(rbytes_left(&fb.deltas), 0);
        }
        free(fci);
    }
    assert_true(n_valid > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_of_small_deltas_is_one_chunk),
        cmocka_unit_test(extreme_deltas_survive),
        cmocka_unit_test(loss_uses_vectors),
        cmocka_unit_test(long_loss_is_a_run),
        cmocka_unit_test(random_statuses_survive),
        cmocka_unit_test(what_was_accepted_fits_and_nothing_leaves_the_buffer),
        cmocka_unit_test(delta_out_of_range_asks_for_a_new_message),
        cmocka_unit_test(known_message_is_read),
        cmocka_unit_test(truncated_message_is_refused),
        cmocka_unit_test(senseless_messages_are_refused),
        cmocka_unit_test(any_bytes_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
