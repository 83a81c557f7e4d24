/* What the switcher does that its property test (sim/test_layers) does not reach: clocks of
 * two streams compared, and what went out last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/switcher.h"

enum { HZ = 90000 };

/* A picture of both streams goes out at one time, whatever numbers they began with and
 * whichever report is newer. */
static void pictures_of_one_time_go_out_at_one_time(void **state)
{
    static const struct {
        int64_t apart_us; /* of the reports: the second one's time minus the first one's */
    } rows[] = {{0}, {1}, {1500000}, {-1500000}, {500000}, {-1}, {90000000}, {-4999999}};
    const uint64_t second = UINT64_C(1) << 32;
    const struct switcher_clock from = {.ntp = 3900000000u * second + second / 3,
                                        .ts = 0xfffffff0u};
    const uint32_t offset = 12345; /* source minus outgoing */
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const int64_t us = rows[i].apart_us;
        const struct switcher_clock to = {
            .ntp = from.ntp + (uint64_t)(us / 1000000) * second +
                   (uint64_t)(us % 1000000 * (int64_t)second / 1000000),
            .ts = 777};
        /* a picture 2 s after the first report, by either clock */
        const uint32_t a = from.ts + 2 * HZ - offset;
        const uint32_t there = to.ts + (uint32_t)((2000000 - us) * HZ / 1000000);
        const uint32_t b = there - switcher_map(&from, &to, HZ, offset);

        assert_in_range(b - a + 1, 0, 2); /* rounding */
    }
}

static struct switcher_in frame(uint64_t seq, uint32_t ts, uint16_t picture, uint8_t temporal,
                                bool key)
{
    struct switcher_in in = {.seq = seq,
                             .ts = ts,
                             .marker = true,
                             .layer = {.picture = picture,
                                       .present = LAYER_ALL,
                                       .chain = LAYER_NO_CHAIN,
                                       .temporal = temporal,
                                       .tl0 = (uint8_t)picture,
                                       .bits = 15,
                                       .flags = LAYER_BEGIN | LAYER_TL0 | LAYER_COUNTED}};

    for (unsigned s = 0; s < LAYER_MAX && temporal > 0; s++) {
        in.layer.present &= (uint16_t)~LAYER_BIT(s, 0);
    }
    if (key) {
        in.layer.sync = LAYER_ALL;
        in.layer.flags |= LAYER_KEY;
    }
    return in;
}

/* A base picture comes late, behind one that is left out: it is the last that was sent, and
 * another source goes on from it. */
static void what_came_late_is_gone_on_from(void **state)
{
    const struct switcher_last last = {.ts = 0};
    struct switcher_in in = frame(100, 1000, 50, 0, true);
    struct switcher sw;
    struct switcher_out out;
    (void)state;

    switcher_init(&sw, 1, &last);
    switcher_want(&sw, 0, 0);
    switcher_begin(&sw, &in, 1000);
    assert_true(switcher_packet(&sw, &in, &out));
    in = frame(102, 7000, 52, 1, false);
    assert_false(switcher_packet(&sw, &in, &out));
    in = frame(101, 4000, 51, 0, false);
    assert_true(switcher_packet(&sw, &in, &out));
    assert_int_equal(out.picture, 2);
    assert_int_equal(sw.out_ts, 4000);
    in = frame(9000, 123456, 7000, 0, true);
    switcher_begin(&sw, &in, sw.out_ts + 3000);
    assert_true(switcher_packet(&sw, &in, &out));
    assert_int_equal(out.index, 3);
    assert_int_equal(out.ts, 7000);
    assert_int_equal(out.picture, 3);
    assert_int_equal(out.tl0, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_of_one_time_go_out_at_one_time),
        cmocka_unit_test(what_came_late_is_gone_on_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
