/* Reception statistics over the virtual network, against a computation of their own from
 * the log of deliveries; and the round trip that a sender makes of the reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/recvstat.h"
#include "sfu/base/seq.h"
#include "sim/shapes.h"

/* Packets of 4 ms at 48 kHz. */
enum { N = 4000, MAX_LOG = 2 * N, STEP_US = 4000, RATE = 48000, LEN = 1000 };
enum { START_US = 1000000, REPORT_US = 1000000, SENDER_REPORT = N };

struct entry {
    uint64_t seq;
    uint32_t ts;
    uint64_t at_us;
};

struct run {
    const char *name;
    uint64_t seed, base;
    uint32_t ts_base;
    struct vnet net;
    struct recvstat stat;
    uint64_t ref; /* the receiver's extension */
    struct entry log[MAX_LOG];
    size_t n_log;
    uint64_t prior_expected, prior_received;
    uint64_t sr_at_us;
    unsigned n_reports;
};

#define CHECK(run, cond)                                                                   \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            fail_msg("%s, seed %u: %s", (run)->name, (unsigned)(run)->seed, #cond);        \
        }                                                                                  \
    } while (0)

/* RFC 3550, 6.4.1, in real numbers. */
static double jitter_of(const struct run *r)
{
    double jitter = 0;

    for (size_t i = 1; i < r->n_log; i++) {
        const struct entry *a = &r->log[i - 1], *b = &r->log[i];
        double d = ((double)b->at_us - (double)a->at_us) * RATE / 1e6 -
                   (double)seq32_diff(b->ts, a->ts);

        jitter += (fabs(d) - jitter) / 16;
    }
    return jitter;
}

/* NTP time, 16.16, of a moment. */
static uint64_t ntp_of(uint64_t us)
{
    return (us / 1000000) << 32 | (us % 1000000 * 65536 / 1000000) << 16;
}

/* A round trip as the sender computes it on the arrival of a report, 6.4.1. */
static void check_round_trip(struct run *r, const struct rtcp_block *block, uint64_t sr_us,
                             uint64_t now_us)
{
    const uint32_t back_us = 25000;
    uint32_t arrival = (uint32_t)(ntp_of(now_us + back_us) >> 16);
    uint32_t rtt = arrival - block->lsr - block->dlsr;
    double wanted = (double)(r->sr_at_us - sr_us + back_us) * 65536 / 1e6;

    CHECK(r, fabs((double)rtt - wanted) <= 3);
}

static void report(struct run *r, uint64_t sr_us, uint64_t now_us)
{
    struct rtcp_block block = {0};
    uint64_t low = UINT64_MAX, high = 0, expected, n_expected;
    int64_t n_lost;

    if (r->n_log == 0) {
        CHECK(r, !recvstat_take_block(&r->stat, 7, now_us, &block));
        return;
    }
    for (size_t i = 0; i < r->n_log; i++) {
        low = r->log[i].seq < low ? r->log[i].seq : low;
        high = r->log[i].seq > high ? r->log[i].seq : high;
    }
    expected = high - low + 1;
    n_expected = expected - r->prior_expected;
    n_lost = (int64_t)(n_expected - (r->n_log - r->prior_received));
    CHECK(r, recvstat_take_block(&r->stat, 7, now_us, &block));
    CHECK(r, block.ssrc == 7);
    CHECK(r, block.ext_highest_seq == (uint32_t)high);
    CHECK(r, block.lost == (int32_t)(int64_t)(expected - r->n_log));
    CHECK(r, recvstat_lost(&r->stat) == (int64_t)(expected - r->n_log));
    if (n_expected == 0 || n_lost <= 0) {
        CHECK(r, block.fraction_lost == 0);
    } else {
        double fraction = floor((double)n_lost * 256 / (double)n_expected);

        CHECK(r, block.fraction_lost == (fraction > 255 ? 255 : fraction));
    }
    CHECK(r, fabs((double)block.jitter - jitter_of(r)) <= 3);
    if (r->sr_at_us != 0) {
        check_round_trip(r, &block, sr_us, now_us);
    } else {
        CHECK(r, block.lsr == 0 && block.dlsr == 0);
    }
    r->prior_expected = expected;
    r->prior_received = r->n_log;
    r->n_reports++;
}

static void arrive(struct run *r, const struct vnet_pkt *pkt, uint64_t sr_us)
{
    uint64_t seq = seq16_extend(r->ref, (uint16_t)(r->base + pkt->id));
    uint32_t ts = r->ts_base + (uint32_t)pkt->id * (RATE / 1000 * STEP_US / 1000);

    if (pkt->id == SENDER_REPORT) {
        recvstat_on_sr(&r->stat, ntp_of(sr_us), pkt->at_us);
        r->sr_at_us = pkt->at_us;
        return;
    }
    CHECK(r, seq == r->base + pkt->id);
    r->ref = seq > r->ref ? seq : r->ref;
    recvstat_on_packet(&r->stat, seq, ts, pkt->at_us);
    assert_true(r->n_log < MAX_LOG);
    r->log[r->n_log++] = (struct entry){.seq = seq, .ts = ts, .at_us = pkt->at_us};
}

static void send_through(struct run *r, const struct shape *shape, uint64_t seed,
                         uint64_t base)
{
    const uint64_t sr_us = START_US + 2 * REPORT_US + 12345;
    uint64_t report_us = START_US;
    struct vnet_pkt pkt;

    memset(r, 0, sizeof(*r));
    r->name = shape->name;
    r->seed = seed;
    r->base = base;
    r->ref = base;
    r->ts_base = UINT32_MAX - (uint32_t)seed * 30000; /* wraps on the way */
    vnet_init(&r->net, &shape->net, seed);
    recvstat_init(&r->stat, RATE);
    for (uint64_t i = 0; i <= N; i++) {
        uint64_t now_us = i < N ? START_US + i * STEP_US : UINT64_MAX - 1;

        while (vnet_next_us(&r->net) <= now_us) {
            for (; report_us < vnet_next_us(&r->net); report_us += REPORT_US) {
                report(r, sr_us, report_us);
            }
            (void)vnet_take(&r->net, &pkt);
            arrive(r, &pkt, sr_us);
        }
        if (i < N) {
            (void)vnet_send(&r->net, now_us, i, LEN);
            if (now_us < sr_us && now_us + STEP_US >= sr_us) {
                (void)vnet_send(&r->net, sr_us, SENDER_REPORT, 64);
            }
        }
    }
    report(r, sr_us, report_us);
    CHECK(r, r->n_reports >= 15);
}

static void reports_equal_the_log_of_deliveries(void **state)
{
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            send_through(&run, &shapes[i], seed, UINT64_C(65536) + seed * 1000);
        }
    }
}

static void numbers_wrap_unnoticed(void **state)
{
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            send_through(&run, &shapes[i], seed, UINT64_C(131072) - N / 2 - seed);
        }
    }
}

/* Jitter and loss as the network was told to make them, so that an error common to core and
 * log would show. */
static void figures_are_those_of_the_network(void **state)
{
    static struct run run;
    (void)state;

    send_through(&run, &shapes[0], 1, 65536);
    assert_int_equal(recvstat_lost(&run.stat), 0);
    assert_true(recvstat_jitter(&run.stat) <= 1);
    send_through(&run, &shapes[2], 1, 65536);
    assert_in_range(recvstat_lost(&run.stat), N / 13, N / 8);
    /* two in a row differ by a third of 2 ms on average; 96 units */
    assert_in_range(recvstat_jitter(&run.stat), 15, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_equal_the_log_of_deliveries),
        cmocka_unit_test(numbers_wrap_unnoticed),
        cmocka_unit_test(figures_are_those_of_the_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
