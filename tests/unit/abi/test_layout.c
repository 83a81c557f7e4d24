#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/abi/abi.h"

/* Adds a part and checks that it neither overlaps the part before nor is misaligned. */
static void part(size_t *end, size_t at, size_t bytes)
{
    assert_int_equal(at % ABI_LINE, 0);
    assert_true(at >= *end);
    *end = at + bytes;
}

static void parts_lie_in_order_without_overlap(void **state)
{
    static const uint32_t counts[][4] = {
        {1, 1, 1, 1}, {1, 4096, 8192, 65536}, {3, 7, 5, 3}, {ABI_MAX_LANES, 10, 10, 10}};
    (void)state;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const uint32_t *n = counts[i];
        struct abi_layout l = abi_layout(n[0], n[1], n[2], n[3]);
        size_t end = sizeof(struct abi_shm);

        for (uint32_t k = 0; k < n[0]; k++) {
            size_t punt = ring_bytes(ABI_PUNT_SLOTS, sizeof(struct abi_datagram));

            part(&end, l.lane[k], sizeof(struct abi_lane));
            part(&end, l.cmd[k], ring_bytes(ABI_CMD_SLOTS, sizeof(struct abi_cmd)));
            part(&end, l.evt[k], ring_bytes(ABI_EVT_SLOTS, sizeof(struct abi_evt)));
            part(&end, l.punt_in[k], punt);
            part(&end, l.punt_out[k], punt);
            part(&end, l.captured[k],
                 ring_bytes(ABI_CAPTURE_SLOTS, sizeof(struct abi_captured)));
            part(&end, l.lane_stats[k], sizeof(struct abi_lane_stats));
            part(&end, l.lane_trace[k], sizeof(struct abi_lane_trace));
        }
        part(&end, l.peer_stats, n[1] * sizeof(struct abi_peer_stats));
        part(&end, l.stream_stats, n[2] * sizeof(struct abi_stream_stats));
        part(&end, l.sub_stats, n[3] * sizeof(struct abi_sub_stats));
        assert_true(l.bytes >= end && l.bytes - end < ABI_LINE);
    }
}

static void lanes_beyond_the_limit_take_no_room(void **state)
{
    struct abi_layout most = abi_layout(ABI_MAX_LANES, 1, 1, 1);
    struct abi_layout more = abi_layout(ABI_MAX_LANES + 100, 1, 1, 1);
    (void)state;

    assert_int_equal(most.bytes, more.bytes);
}

static void the_vault_holds_its_records_side_by_side(void **state)
{
    struct vault_layout l = vault_layout(3, 5, 7);
    (void)state;

    assert_true(l.peers >= sizeof(struct vault_header));
    assert_int_equal(l.streams, l.peers + 3 * sizeof(struct vault_peer));
    assert_int_equal(l.subs, l.streams + 5 * sizeof(struct vault_stream));
    assert_int_equal(l.sub_lives, l.subs + 7 * sizeof(struct vault_sub));
    assert_int_equal(l.bytes, l.sub_lives + 7 * sizeof(struct vault_sub_live));
    assert_int_equal(sizeof(struct vault_peer) % 64, 0);
    assert_int_equal(sizeof(struct vault_stream) % 64, 0);
    assert_int_equal(sizeof(struct vault_sub) % 64, 0);
}

static void every_size_is_exchanged(void **state)
{
    struct abi_sizes s = abi_sizes_here();
    const uint32_t *words = (const uint32_t *)&s;
    (void)state;

    for (size_t i = 0; i < sizeof(s) / sizeof(*words); i++) {
        assert_int_not_equal(words[i], 0);
    }
    assert_int_equal(s.datagram, 1592);
    assert_int_equal(s.captured, 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_lie_in_order_without_overlap),
        cmocka_unit_test(lanes_beyond_the_limit_take_no_room),
        cmocka_unit_test(the_vault_holds_its_records_side_by_side),
        cmocka_unit_test(every_size_is_exchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
