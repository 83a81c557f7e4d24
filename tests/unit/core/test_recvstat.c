/* Reception statistics: RFC 3550, A.1, A.3, A.8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/recvstat.h"

enum { HZ = 90000, MS = 1000 };

static struct recvstat stat_of(void)
{
    struct recvstat stat;

    recvstat_init(&stat, HZ);
    return stat;
}

static struct rtcp_block block_of(struct recvstat *stat, uint64_t now_us)
{
    struct rtcp_block block = {0};

    assert_true(recvstat_take_block(stat, 42, now_us, &block));
    assert_int_equal(block.ssrc, 42);
    return block;
}

static void no_packet_no_block(void **state)
{
    struct recvstat stat = stat_of();
    struct rtcp_block block;
    (void)state;

    recvstat_on_sr(&stat, 1, 1);
    assert_false(recvstat_take_block(&stat, 1, 10, &block));
}

static void unbroken_stream_has_no_loss_and_counts_cycles(void **state)
{
    struct recvstat stat = stat_of();
    struct rtcp_block block;
    (void)state;

    for (uint64_t seq = 65000; seq <= 66000; seq++) {
        recvstat_on_packet(&stat, seq, 0, 0);
    }
    block = block_of(&stat, 0);
    assert_int_equal(block.ext_highest_seq, 66000);
    assert_int_equal(block.lost, 0);
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(block.lsr, 0);
    assert_int_equal(block.dlsr, 0);
}

static void fraction_is_of_the_interval_and_loss_of_all(void **state)
{
    struct recvstat stat = stat_of();
    struct rtcp_block block;
    (void)state;

    for (uint64_t seq = 1; seq <= 100; seq++) {
        if (seq % 4 != 0 || seq == 100) {
            recvstat_on_packet(&stat, seq, 0, 0);
        }
    }
    block = block_of(&stat, 0);
    assert_int_equal(block.lost, 24);
    assert_int_equal(block.fraction_lost, 24 * 256 / 100);
    for (uint64_t seq = 101; seq <= 110; seq++) {
        recvstat_on_packet(&stat, seq, 0, 0);
    }
    block = block_of(&stat, 0);
    assert_int_equal(block.lost, 24);
    assert_int_equal(block.fraction_lost, 0);
    block = block_of(&stat, 0); /* an interval without packets */
    assert_int_equal(block.fraction_lost, 0);
}

static void nearly_all_lost_does_not_wrap_the_fraction(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    recvstat_on_packet(&stat, 1, 0, 0);
    (void)block_of(&stat, 0);
    recvstat_on_packet(&stat, 2900, 0, 0);
    assert_int_equal(block_of(&stat, 0).fraction_lost, 2898 * 256 / 2899);
}

static void duplicates_make_the_loss_negative(void **state)
{
    struct recvstat stat = stat_of();
    struct rtcp_block block;
    (void)state;

    for (int i = 0; i < 4; i++) {
        recvstat_on_packet(&stat, 9, 0, 0);
    }
    block = block_of(&stat, 0);
    assert_int_equal(block.lost, -3);
    assert_int_equal(block.fraction_lost, 0);
}

static void reordering_mends_the_loss(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    recvstat_on_packet(&stat, 10, 0, 0);
    recvstat_on_packet(&stat, 12, 0, 0);
    assert_int_equal(recvstat_lost(&stat), 1);
    recvstat_on_packet(&stat, 11, 0, 0);
    assert_int_equal(recvstat_lost(&stat), 0);
    recvstat_on_packet(&stat, 8, 0, 0); /* before the first: 8..12, 9 missing */
    assert_int_equal(recvstat_lost(&stat), 1);
    assert_int_equal(block_of(&stat, 0).ext_highest_seq, 12);
}

static void lone_jump_is_ignored_and_a_followed_one_restarts(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    recvstat_on_packet(&stat, 10000, 0, 0);
    recvstat_on_packet(&stat, 20000, 0, 0);
    assert_int_equal(block_of(&stat, 0).ext_highest_seq, 10000);
    recvstat_on_packet(&stat, 10001, 0, 0);
    assert_int_equal(recvstat_lost(&stat), 0);
    recvstat_on_packet(&stat, 500, 0, 0);
    recvstat_on_packet(&stat, 501, 0, 0);
    assert_int_equal(block_of(&stat, 0).ext_highest_seq, 501);
    assert_int_equal(recvstat_lost(&stat), 0);
}

static void loss_saturates_at_24_bits(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    for (uint64_t seq = 1; seq < 0x1000000u; seq += 2900) {
        recvstat_on_packet(&stat, seq, 0, 0);
    }
    assert_true(recvstat_lost(&stat) > 0x7fffff);
    assert_int_equal(block_of(&stat, 0).lost, 0x7fffff);
}

static void even_arrival_has_no_jitter(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    for (uint64_t i = 0; i < 100; i++) { /* 25 frames a second, timestamps wrap */
        recvstat_on_packet(&stat, i, (uint32_t)(0xffffff00u + i * 3600),
                           UINT64_C(5000000000000) + i * 40 * MS);
    }
    assert_int_equal(recvstat_jitter(&stat), 0);
}

static void jitter_follows_the_formula(void **state)
{
    struct recvstat stat = stat_of();
    double want = 0;
    (void)state;

    recvstat_on_packet(&stat, 0, 0, 0);
    for (uint64_t i = 1; i < 400; i++) { /* every second packet 10 ms late: |D| is 900 */
        recvstat_on_packet(&stat, i, (uint32_t)(i * 3600), i * 40 * MS + i % 2 * 10 * MS);
        want += (900 - want) / 16;
        assert_in_range(recvstat_jitter(&stat), (unsigned)(want > 1 ? want - 1 : 0),
                        (unsigned)want + 1);
    }
}

static void timestamp_jump_is_no_jitter(void **state)
{
    struct recvstat stat = stat_of();
    (void)state;

    recvstat_on_packet(&stat, 1, 0, 0);
    recvstat_on_packet(&stat, 2, 0x40000000, 40 * MS);
    recvstat_on_packet(&stat, 3, 0x40000000 + 3600, 80 * MS);
    assert_int_equal(recvstat_jitter(&stat), 0);
}

static void sender_report_is_echoed_with_its_age(void **state)
{
    struct recvstat stat = stat_of();
    struct rtcp_block block;
    (void)state;

    recvstat_on_packet(&stat, 1, 0, 0);
    recvstat_on_sr(&stat, 0x1111222233334444, 1000 * MS);
    block = block_of(&stat, 2500 * MS);
    assert_int_equal(block.lsr, 0x22223333);
    assert_int_equal(block.dlsr, 65536 + 32768);
    block = block_of(&stat, UINT64_C(1000000) * 100000); /* a day: saturated */
    assert_int_equal(block.dlsr, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_packet_no_block),
        cmocka_unit_test(unbroken_stream_has_no_loss_and_counts_cycles),
        cmocka_unit_test(fraction_is_of_the_interval_and_loss_of_all),
        cmocka_unit_test(nearly_all_lost_does_not_wrap_the_fraction),
        cmocka_unit_test(duplicates_make_the_loss_negative),
        cmocka_unit_test(reordering_mends_the_loss),
        cmocka_unit_test(lone_jump_is_ignored_and_a_followed_one_restarts),
        cmocka_unit_test(loss_saturates_at_24_bits),
        cmocka_unit_test(even_arrival_has_no_jitter),
        cmocka_unit_test(jitter_follows_the_formula),
        cmocka_unit_test(timestamp_jump_is_no_jitter),
        cmocka_unit_test(sender_report_is_echoed_with_its_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
