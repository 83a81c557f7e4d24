/* The estimate for publishers that only tell when they sent: it comes up with what arrives,
 * falls when a queue grows, and stays within its bounds whatever they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/remb.h"
#include "sfu/wire/rtp_ext.h"

enum { LEN = 1000, DELAY_US = 30000 };

/* A publisher that does as it is told, behind a link with a queue. */
struct world {
    struct remb remb;
    uint64_t now_us, next_us, free_us;
    uint32_t rate_bps; /* it sends */
    uint32_t wants_bps;
    uint64_t queue_us; /* the longest of late */
    unsigned n_told;
};

static void begin(struct world *w, uint32_t wants_bps)
{
    *w = (struct world){.now_us = 50000000, .wants_bps = wants_bps, .rate_bps = 300000};
    w->next_us = w->now_us;
    remb_init(&w->remb);
}

/* Packets go out evenly; each arrives when the link is done with it. */
static void run(struct world *w, unsigned seconds, uint32_t link_bps)
{
    const uint64_t until_us = w->next_us + seconds * UINT64_C(1000000);

    w->queue_us = 0;
    while (w->next_us < until_us) {
        const uint64_t sent_us = w->next_us;
        uint32_t bps;

        if (w->free_us < sent_us) {
            w->free_us = sent_us;
        }
        w->free_us += UINT64_C(8000000) * LEN / link_bps;
        w->queue_us =
            w->free_us - sent_us > w->queue_us ? w->free_us - sent_us : w->queue_us;
        w->now_us = w->free_us + DELAY_US;
        remb_on_packet(&w->remb, rtp_ext_abs_send_time(sent_us), LEN, 2 * DELAY_US,
                       w->now_us);
        bps = remb_take(&w->remb, w->now_us);
        if (bps != 0) {
            w->n_told++;
            w->rate_bps = bps < w->wants_bps ? bps : w->wants_bps;
        }
        w->next_us += UINT64_C(8000000) * LEN / w->rate_bps;
    }
}

static void it_comes_up_with_what_arrives(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 2000000);
    run(&w, 10, 100000000);
    assert_int_equal(w.rate_bps, 2000000);
    assert_in_range(w.n_told, 8, 12);
}

static void it_falls_when_the_link_does_and_comes_back(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 2000000);
    run(&w, 10, 5000000);
    run(&w, 5, 600000);
    run(&w, 20, 600000);
    assert_in_range(w.rate_bps, 300000, 690000);
    assert_in_range(w.queue_us, 0, 300000);
    run(&w, 60, 5000000);
    assert_in_range(w.rate_bps, 1000000, 2000000);
}

static void who_is_silent_is_told_nothing(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 1000000);
    assert_int_equal(remb_deadline(&w.remb), UINT64_MAX);
    assert_int_equal(remb_take(&w.remb, w.now_us), 0);
    run(&w, 3, 5000000);
    assert_int_equal(remb_take(&w.remb, w.now_us + 5000000), 0);
    assert_int_equal(remb_deadline(&w.remb), UINT64_MAX);
    w.next_us += 5000000;
    run(&w, 2, 5000000); /* and again when it comes back */
    assert_in_range(remb_deadline(&w.remb), w.now_us, w.now_us + REMB_INTERVAL_US);
}

static void nonsense_stays_within_the_bounds(void **state)
{
    unsigned seed = 11;
    (void)state;

    for (unsigned round = 0; round < 20; round++) {
        struct world w;

        begin(&w, 0);
        for (unsigned i = 0; i < 5000; i++) {
            uint32_t bps;

            w.now_us += (uint64_t)(rand_r(&seed) % (round % 2 == 0 ? 1000 : 3000000));
            remb_on_packet(&w.remb, (uint32_t)rand_r(&seed) & 0xffffff,
                           (uint32_t)rand_r(&seed) % 1500,
                           (uint64_t)rand_r(&seed) * (round % 3), w.now_us);
            bps = remb_take(&w.remb, w.now_us);
            if (bps != 0) {
                assert_in_range(bps, REMB_MIN_BPS, REMB_MAX_BPS);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_up_with_what_arrives),
        cmocka_unit_test(it_falls_when_the_link_does_and_comes_back),
        cmocka_unit_test(who_is_silent_is_told_nothing),
        cmocka_unit_test(nonsense_stays_within_the_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
