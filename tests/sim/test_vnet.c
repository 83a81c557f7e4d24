/* The network of the simulations does what its configuration says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim/shapes.h"

enum { N = 20000, LEN = 1000, SPACING_US = 1000 };

struct tally {
    unsigned n_lost, n_twice, n_late, n_arrived;
    uint64_t sum; /* of all deliveries, to tell two runs apart */
    uint64_t least_us, most_us;
};

static struct tally run(const struct vnet_conf *conf, uint64_t seed)
{
    static struct vnet net;
    static uint8_t seen[N];
    struct tally t = {.least_us = UINT64_MAX};
    struct vnet_pkt pkt;
    uint64_t highest = 0;

    vnet_init(&net, conf, seed);
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i <= N; i++) {
        while (vnet_next_us(&net) <= (i < N ? i * SPACING_US : UINT64_MAX - 1) &&
               vnet_take(&net, &pkt)) {
            uint64_t took_us = pkt.at_us - pkt.id * SPACING_US;

            t.n_twice += seen[pkt.id] != 0;
            t.n_late += pkt.id < highest;
            t.n_arrived++;
            seen[pkt.id] = 1;
            highest = pkt.id > highest ? pkt.id : highest;
            t.least_us = took_us < t.least_us ? took_us : t.least_us;
            t.most_us = took_us > t.most_us ? took_us : t.most_us;
            t.sum = t.sum * 31 + pkt.at_us + pkt.id;
        }
        if (i < N) {
            t.n_lost += !vnet_send(&net, i * SPACING_US, i, LEN);
        }
    }
    assert_int_equal(t.n_arrived, N - t.n_lost + t.n_twice);
    return t;
}

/* The walk stays within its range, uses most of it, and does not jump: so it keeps the order
 * of packets a millisecond apart but for its steps. */
static void delay_wanders_slowly(void **state)
{
    const struct vnet_conf conf = {.delay_us = 20000, .wander_us = 60000};
    struct tally t = run(&conf, 3);
    (void)state;

    assert_int_equal(t.n_lost, 0);
    assert_int_equal(t.n_late, 0);
    assert_in_range(t.least_us, 20000, 24000);
    assert_in_range(t.most_us, 65000, 80000);
    assert_true(t.sum == run(&conf, 3).sum);
}

static void same_seed_same_deliveries(void **state)
{
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        assert_true(run(&shapes[i].net, 1).sum == run(&shapes[i].net, 1).sum);
    }
    assert_true(run(&shapes[1].net, 1).sum != run(&shapes[1].net, 2).sum);
}

static void wire_is_perfect(void **state)
{
    struct tally t = run(&shapes[0].net, 1);
    (void)state;

    assert_int_equal(t.n_arrived, N);
    assert_int_equal(t.n_late + t.n_twice, 0);
    assert_int_equal(t.least_us, 20000);
    assert_int_equal(t.most_us, 20000);
}

static void chances_are_met(void **state)
{
    const struct vnet_conf loss = {.loss = 100000}, twice = {.duplicate = 100000};
    const struct vnet_conf late = {.reorder = 100000, .reorder_us = 5 * SPACING_US + 1};
    /* a tenth of the time in bursts of 20 */
    const struct vnet_conf bursts = {.burst_begin = 5556, .burst_end = 50000};
    (void)state;

    assert_in_range(run(&loss, 1).n_lost, N / 12, N / 8);
    assert_in_range(run(&twice, 1).n_twice, N / 12, N / 8);
    assert_in_range(run(&late, 1).n_late, N / 12, N / 8);
    assert_in_range(run(&bursts, 1).n_lost, N / 20, N / 5);
}

static void jitter_keeps_the_order(void **state)
{
    const struct vnet_conf conf = {.delay_us = 100, .jitter_us = 8000};
    struct tally t = run(&conf, 1);
    (void)state;

    assert_int_equal(t.n_late, 0);
    assert_in_range(t.least_us, 100, 8100);
    assert_in_range(t.most_us, 7000, 8100);
}

/* 8 Mbit/s come to a bottleneck of 4: half is lost, the rest waits for the queue. */
static void bottleneck_passes_its_rate_and_queues(void **state)
{
    const struct vnet_conf conf = {.rate_bps = 4000000, .queue_bytes = 10 * LEN};
    struct tally t = run(&conf, 1);
    (void)state;

    assert_in_range(t.n_lost, N / 2 - 20, N / 2 + 20);
    assert_int_equal(t.n_late, 0);
    assert_int_equal(t.least_us, 2000);
    assert_in_range(t.most_us, 18000, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_deliveries),
        cmocka_unit_test(delay_wanders_slowly),
        cmocka_unit_test(wire_is_perfect),
        cmocka_unit_test(chances_are_met),
        cmocka_unit_test(jitter_keeps_the_order),
        cmocka_unit_test(bottleneck_passes_its_rate_and_queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
