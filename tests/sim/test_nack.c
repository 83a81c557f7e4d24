/* Repair over the virtual network: a sender that keeps its last packets, a receiver with
 * core/nack, and requests and repairs that are lost like everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/nack.h"
#include "core/seen.h"
#include "sim/shapes.h"

/* 2.4 Mb/s for 12 s; the receiver looks for what is due each 20 ms, as rtcp_out does. */
enum { N = 3000, STEP_US = 4000, LEN = 1200, SWEEP_US = 20000, TRIES = 10 };
enum { BASE = 65000, REPAIR = 1 << 20 }; /* numbers wrap; a repair's id */

struct run {
    const struct shape *shape;
    uint64_t seed;
    struct vnet there, back;
    struct nack nack;
    struct seen seen;
    uint8_t n_came[N];
    uint8_t n_asked[N];
    uint64_t came_us[N];
    uint64_t first_us[N]; /* when it was first asked for */
    unsigned n_missing, n_given_up, n_wide;
};

#define CHECK(run, cond)                                                                   \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            fail_msg("%s, seed %u: %s", (run)->shape->name, (unsigned)(run)->seed, #cond); \
        }                                                                                  \
    } while (0)

static void arrive(struct run *r, uint64_t id, uint64_t now_us)
{
    uint64_t i = id % REPAIR;
    int err;

    if (!seen_take(&r->seen, BASE + i)) {
        return;
    }
    CHECK(r, r->n_came[i] == 0);
    r->n_came[i] = 1;
    r->came_us[i] = now_us;
    err = id >= REPAIR ? nack_on_repair(&r->nack, BASE + i, now_us)
                       : nack_on_packet(&r->nack, BASE + i, now_us);
    r->n_wide += err == -EOVERFLOW;
}

static void sweep(struct run *r, uint64_t now_us)
{
    uint64_t due[NACK_MAX_HOLES];
    size_t n = nack_take_due(&r->nack, now_us, due, NACK_MAX_HOLES);

    for (size_t k = 0; k < n; k++) {
        uint64_t i = due[k] - BASE;

        CHECK(r, i < N && r->n_came[i] == 0); /* nothing is asked for that has come */
        CHECK(r, k == 0 || due[k] > due[k - 1]);
        CHECK(r, ++r->n_asked[i] <= TRIES);
        if (r->first_us[i] == 0) {
            r->first_us[i] = now_us;
        }
        (void)vnet_send(&r->back, now_us, i, 64);
    }
    r->n_given_up += nack_take_given_up(&r->nack);
}

static void simulate(struct run *r, const struct shape *shape, uint64_t seed)
{
    const struct nack_conf conf = {.reorder_us = 10000,
                                   .retry_us = 100000,
                                   .retry_min_us = 20000,
                                   .retry_max_us = 500000,
                                   .max_tries = TRIES};
    struct vnet_pkt pkt;
    uint64_t next = 0;

    memset(r, 0, sizeof(*r));
    r->shape = shape;
    r->seed = seed;
    vnet_init(&r->there, &shape->net, 2 * seed);
    vnet_init(&r->back, &shape->net, 2 * seed + 1);
    nack_init(&r->nack, &conf);
    for (uint64_t now_us = 1000; next < N || now_us < 1000 + (uint64_t)N * STEP_US + 8000000;
         now_us += 1000) {
        while (vnet_next_us(&r->there) <= now_us && vnet_take(&r->there, &pkt)) {
            arrive(r, pkt.id, now_us);
        }
        while (vnet_next_us(&r->back) <= now_us && vnet_take(&r->back, &pkt)) {
            if (pkt.id + 1000 > next) { /* the sender's history */
                (void)vnet_send(&r->there, now_us, REPAIR + pkt.id, LEN);
            }
        }
        if (next < N && 1000 + next * STEP_US <= now_us) {
            (void)vnet_send(&r->there, now_us, next++, LEN);
        }
        if (now_us % SWEEP_US == 0) {
            sweep(r, now_us);
        }
    }
    for (uint64_t i = 0; i < N; i++) {
        r->n_missing += r->n_came[i] == 0;
    }
    CHECK(r, nack_deadline(&r->nack) == UINT64_MAX); /* it is done with every hole */
}

/* But for both ends, which nobody can know of, every packet comes or was given up. */
static void every_hole_is_mended_or_given_up(void **state)
{
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        unsigned n_missing = 0;

        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            unsigned n_ends = 0;

            simulate(&run, &shapes[i], seed);
            for (size_t k = N; k > 0 && run.n_came[k - 1] == 0; k--) {
                n_ends++;
            }
            for (size_t k = 0; k < N && run.n_came[k] == 0; k++) {
                n_ends++;
            }
            n_missing += run.n_missing - n_ends;
            CHECK(&run, run.n_missing <= n_ends + run.n_given_up +
                                             run.n_wide * 2 * NACK_MAX_HOLES);
        }
        if (shapes[i].net.burst_begin == 0 && shapes[i].net.rate_bps == 0) {
            assert_int_equal(n_missing, 0); /* ten tries at 10 % both ways */
        }
    }
}

/* On a wire, and where packets only swap places within the patience, nothing is asked. */
static void nothing_is_asked_for_in_vain(void **state)
{
    static const struct shape swaps = {
        "swaps", {.delay_us = 10000, .reorder = 100000, .reorder_us = 8000}};
    static struct run run;
    (void)state;

    simulate(&run, &shapes[0], 1);
    assert_int_equal(run.nack.n_asked, 0);
    simulate(&run, &shapes[1], 1);
    assert_int_equal(run.nack.n_asked, 0);
    simulate(&run, &swaps, 1);
    assert_int_equal(run.nack.n_asked, 0);
    assert_true(run.nack.n_mended > N / 20);
}

/* With loss it asks about as often as it must: each request is lost, or its answer, with a
 * chance of 19 %, so 1.24 requests a hole would do. And the answer comes soon. */
static void requests_are_few_and_repair_is_quick(void **state)
{
    static struct run run;
    uint64_t n_asked = 0, n_holes = 0, wait_us = 0;
    (void)state;

    for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
        simulate(&run, &shapes[2], seed); /* 10 % loss, a round trip of 80 ms */
        for (uint64_t i = 0; i < N; i++) {
            if (run.n_asked[i] > 0 && run.n_came[i] != 0) {
                n_holes++;
                n_asked += run.n_asked[i];
                wait_us += run.came_us[i] - run.first_us[i];
            }
        }
        CHECK(&run, run.nack.rtt_us > 75000 && run.nack.rtt_us < 110000);
    }
    assert_true(n_holes > 5000);
    assert_true(n_asked < n_holes * 135 / 100);
    assert_in_range(wait_us / n_holes, 80000, 130000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hole_is_mended_or_given_up),
        cmocka_unit_test(nothing_is_asked_for_in_vain),
        cmocka_unit_test(requests_are_few_and_repair_is_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
