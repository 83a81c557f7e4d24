/* Transport-wide feedback over the virtual network: what a sender reads out of it is what
 * arrived, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/twcc.h"
#include "sfu/base/seq.h"
#include "sfu/wire/rtcp_twcc.h"
#include "sim/shapes.h"

enum { N = 3000, BUF = 1500, LEN = 1000, INTERVAL_US = 100000 };

struct run {
    const struct shape *shape;
    uint64_t seed;
    uint64_t base; /* extended number of the first packet sent */
    struct vnet net;
    struct twcc twcc;
    uint64_t arrived_us[N]; /* 0: not (yet) */
    uint64_t told_us[N];    /* as the feedback has it; 0: not told of */
    uint8_t n_told[N];
    bool covered[N];     /* some feedback was about it */
    uint64_t ref;        /* for the extension of what is read */
    uint64_t tick_epoch; /* of the reference time, in ticks: its wraps so far */
    uint32_t last_ref_time;
    unsigned n_feedbacks;
};

#define CHECK(run, cond)                                                                   \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            fail_msg("%s, seed %u: %s", (run)->shape->name, (unsigned)(run)->seed, #cond); \
        }                                                                                  \
    } while (0)

/* The reference time, extended from its 24 bits. */
static uint64_t ref_ticks(struct run *r, uint32_t ref_time)
{
    int32_t step = (int32_t)((ref_time - r->last_ref_time) << 8) >> 8;

    r->last_ref_time = ref_time;
    r->tick_epoch += (uint64_t)(int64_t)step * TWCC_REF_TICKS;
    return r->tick_epoch;
}

static void read_feedback(struct run *r, const uint8_t *buf, size_t len, uint64_t now_us)
{
    struct rtcp_iter it = rtcp_iter_of(buf, len);
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb msg = {0};
    struct twcc_fb fb = {0};
    struct twcc_arrival a = {0};
    uint64_t begin, ticks;

    CHECK(r, len <= TWCC_MAX_PACKET && rtcp_next(&it, &pkt) == 1 && rtcp_is_twcc(&pkt));
    CHECK(r, rtcp_fb_parse(&pkt, &msg) == 0 && twcc_fb_parse(&msg, &fb) == 0);
    CHECK(r, fb.fb_count == (uint8_t)r->n_feedbacks++);
    begin = seq16_extend(r->ref, fb.base_seq) - r->base;
    CHECK(r, begin < N && fb.n_status <= N - begin);
    r->ref = r->base + begin + fb.n_status;
    for (uint64_t i = begin; i < begin + fb.n_status; i++) {
        r->covered[i] = true;
    }
    ticks = ref_ticks(r, fb.ref_time);
    while (twcc_fb_next(&fb, &a)) {
        uint64_t i = begin + (uint16_t)(a.seq - fb.base_seq);

        ticks += (uint64_t)(int64_t)a.delta_ticks;
        CHECK(r, r->arrived_us[i] != 0 && r->arrived_us[i] <= now_us);
        CHECK(r, r->arrived_us[i] - ticks * TWCC_TICK_US < TWCC_TICK_US);
        CHECK(r, r->n_told[i] > 0 || now_us - r->arrived_us[i] <= INTERVAL_US);
        r->told_us[i] = ticks * TWCC_TICK_US;
        r->n_told[i]++;
    }
}

/* Takes what is due until 'until_us', each at its time. */
static void feedbacks(struct run *r, uint64_t until_us)
{
    while (twcc_deadline(&r->twcc) <= until_us) {
        uint64_t now_us = twcc_deadline(&r->twcc);
        uint8_t buf[BUF];
        size_t len = twcc_take_feedback(&r->twcc, now_us, 1, 2, buf, sizeof(buf));

        CHECK(r, len > 0);
        read_feedback(r, buf, len, now_us);
    }
}

static void arrive(struct run *r, const struct vnet_pkt *pkt)
{
    uint16_t seq = (uint16_t)(r->base + pkt->id);
    int e;

    if (pkt->at_us > 0) {
        feedbacks(r, pkt->at_us - 1);
    }
    e = twcc_on_packet(&r->twcc, seq, pkt->at_us);
    CHECK(r, e == (r->arrived_us[pkt->id] != 0 ? -EALREADY : 0));
    if (e == 0) {
        r->arrived_us[pkt->id] = pkt->at_us;
    }
}

static void judge(struct run *r)
{
    bool overtaken = r->shape->net.reorder > 0;
    uint64_t first = N, last = 0;

    for (uint64_t i = 0; i < N; i++) {
        if (r->arrived_us[i] != 0) {
            first = i < first ? i : first;
            last = i;
        }
    }
    CHECK(r, last > first);
    for (uint64_t i = 0; i < N; i++) {
        bool arrived = r->arrived_us[i] != 0;

        /* one that was overtaken may have what follows it told again */
        CHECK(r, arrived ? r->n_told[i] > 0 && (overtaken || r->n_told[i] == 1)
                         : r->n_told[i] == 0);
        CHECK(r, r->covered[i] == (i >= first && i <= last));
    }
}

static void send_through(struct run *r, const struct shape *shape, uint64_t seed,
                         uint16_t base, uint64_t start_us)
{
    const struct twcc_conf conf = {.interval_us = INTERVAL_US, .max_packets = 256};
    uint64_t random = seed * 7919 + 1, now_us = start_us;
    struct vnet_pkt pkt;

    memset(r, 0, sizeof(*r));
    r->shape = shape;
    r->seed = seed;
    r->base = UINT64_C(65536) + base;
    r->ref = r->base;
    r->tick_epoch = start_us / TWCC_TICK_US / TWCC_REF_TICKS * TWCC_REF_TICKS;
    r->last_ref_time = (uint32_t)(r->tick_epoch / TWCC_REF_TICKS) & 0xffffffu;
    vnet_init(&r->net, &shape->net, seed);
    twcc_init(&r->twcc, &conf);
    for (uint64_t i = 0; i < N; i++) {
        while (vnet_next_us(&r->net) <= now_us && vnet_take(&r->net, &pkt)) {
            arrive(r, &pkt);
        }
        (void)vnet_send(&r->net, now_us, i, LEN);
        /* frames of some packets; now and then nothing to send for a while */
        now_us += vnet_dice(&random, 8) > 0     ? vnet_dice(&random, 400)
                  : vnet_dice(&random, 200) > 0 ? vnet_dice(&random, 20000)
                                                : 12000000u;
    }
    while (vnet_take(&r->net, &pkt)) {
        arrive(r, &pkt);
    }
    feedbacks(r, UINT64_MAX - 1);
    judge(r);
}

static void feedback_tells_exactly_what_arrived(void **state)
{
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            send_through(&run, &shapes[i], seed, (uint16_t)(seed * 1000), 1000000);
        }
    }
}

/* The 16 bits of the numbers wrap in the middle, at each place of a report. */
static void numbers_wrap_unnoticed(void **state)
{
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            send_through(&run, &shapes[i], seed, (uint16_t)(65535 - N / 2 - seed), 1000000);
        }
    }
}

/* The 24 bits of the reference time wrap after 12 days. */
static void reference_time_wraps_unnoticed(void **state)
{
    const uint64_t wrap_us = (UINT64_C(1) << 24) * TWCC_REF_TICKS * TWCC_TICK_US;
    static struct run run;
    (void)state;

    for (size_t i = 0; i < SIM_SHAPES; i++) {
        for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
            send_through(&run, &shapes[i], seed, 0, wrap_us - 500000 - seed * 10000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feedback_tells_exactly_what_arrived),
        cmocka_unit_test(numbers_wrap_unnoticed),
        cmocka_unit_test(reference_time_wraps_unnoticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
