/* Each stage by itself: what goes in is moved, consumed or dropped, each packet once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_in.h"
#include "stage/classify.h"
#include "stage/consent.h"
#include "stage/ingest.h"
#include "stage/protect.h"
#include "stage/punt.h"
#include "stage/rewrite.h"
#include "stage/route.h"
#include "stage/spread.h"
#include "stage/unprotect.h"
#include "support/call.h"

/* How many packets have ended so far: done, or dropped on the way in or out. */
static uint64_t ended(const struct rig *rig)
{
    uint64_t n = rig_drops_in(rig) + rig_drops_out(rig);

    for (unsigned i = 0; i < N_DONE_KINDS; i++) {
        n += rig->lane.counts.done[i];
    }
    return n;
}

/* Good and bad packets of every kind, 32 of them. */
static void inject_mixture(struct call *call, unsigned *seed)
{
    const struct path nobody = far_path(99, 0, 4);

    while (call->rig->n_inputs < PKT_BURST) {
        const struct path *from = rand_r(seed) % 8 == 0 ? &nobody : &call->pub.path;
        uint8_t buf[PKT_ROOM] = {22};
        struct wbytes w = wbytes_of(buf + 1000, 100);
        struct far_rtp rtp;
        size_t n = 13;

        switch (rand_r(seed) % 6) {
        case 0:
            rtp = call_video(call, rand_r(seed) % 2 != 0);
            n = far_make_rtp(&call->pub, &rtp, buf);
            break;
        case 1:
        case 2:
            rtp = call_audio(call, "hello", 5);
            rtp.padding = (uint8_t)(rand_r(seed) % 4);
            rtp.len = rtp.padding != 0 && rand_r(seed) % 2 != 0 ? 0 : 5;
            n = far_make_rtp(&call->pub, &rtp, buf);
            break;
        case 3:
            rtcp_rr_write(&w, 9, NULL, 0);
            n = far_make_rtcp(&call->pub, &w, buf);
            break;
        case 4:
            n = far_make_check(&call->pub, &(struct far_check){0}, buf);
            break;
        default:
            break; /* DTLS */
        }
        if (rand_r(seed) % 4 == 0) {
            buf[(unsigned)rand_r(seed) % n] ^= 0x11;
        }
        rig_inject(call->rig, from, buf, n);
        if (rand_r(seed) % 8 == 0 && call->rig->n_inputs < PKT_BURST) {
            rig_inject(call->rig, from, buf, n); /* twice */
        }
    }
}

static void receive(struct rig *rig, struct burst *in)
{
    port_mem_inject(rig->io, 0, 0, rig->packets, rig->n_inputs);
    in->n = io_rx_burst(rig->io, 0, 0, in->pkts, PKT_BURST, &rig->pipe.rx);
    assert_int_equal(in->n, rig->n_inputs);
    rig->n_injected += rig->n_inputs;
    rig->n_inputs = 0;
}

static void ingress_by_hand(struct rig *rig)
{
    struct burst in, plain = {.n = 0}, stored = {.n = 0}, none = {.n = 0};
    struct burst answers = {.n = 0}, punted = {.n = 0};
    struct classified sorted;
    struct lane *lane = &rig->lane;
    uint64_t before = ended(rig);
    uint16_t n, moved;

    receive(rig, &in);
    n = classify_burst(lane, &in, &sorted);
    assert_int_equal(n, sorted.media.n + sorted.rtcp.n + sorted.consent.n + sorted.punt.n);
    assert_int_equal(n + ended(rig) - before, in.n);

    before = ended(rig);
    n = unprotect_burst(lane, &sorted.media, &plain);
    assert_int_equal(n, plain.n);
    assert_int_equal(n + ended(rig) - before, sorted.media.n);
    before = ended(rig);
    n = ingest_burst(lane, &plain, &stored);
    assert_int_equal(n, stored.n);
    assert_int_equal(n + ended(rig) - before, plain.n);
    before = ended(rig);
    assert_int_equal(spread_burst(lane, &stored, &none), 0);
    assert_int_equal(ended(rig) - before, stored.n);

    before = ended(rig);
    rtcp_in_burst(lane, &sorted.rtcp);
    assert_int_equal(ended(rig) - before, sorted.rtcp.n);

    before = ended(rig);
    moved = sorted.punt.n;
    n = consent_burst(lane, &sorted.consent, &answers, &sorted.punt);
    assert_int_equal(n, answers.n);
    moved = (uint16_t)(sorted.punt.n - moved);
    assert_int_equal(moved + ended(rig) - before, sorted.consent.n);
    pipeline_transmit(&rig->pipe, &answers);

    before = ended(rig);
    n = punt_burst(lane, &sorted.punt, &punted);
    assert_int_equal(n, punted.n);
    assert_int_equal(n + ended(rig) - before, sorted.punt.n);
    for (uint16_t i = 0; i < punted.n; i++) {
        lane_done(lane, punted.pkts[i], DONE_PUNTED);
    }
}

static void egress_by_hand(struct rig *rig)
{
    struct lane *lane = &rig->lane;

    while (lane_has_grown(lane)) {
        struct burst routed = {.n = 0}, rewritten = {.n = 0}, sealed = {.n = 0};
        uint64_t sent = lane->counts.tx_packets;
        uint64_t before = ended(rig);
        uint16_t n = route_burst(lane, NULL, &routed);

        assert_int_equal(n, routed.n);
        assert_int_equal(ended(rig), before);
        n = rewrite_burst(lane, &routed, &rewritten);
        assert_int_equal(n, rewritten.n);
        assert_int_equal(n + ended(rig) - before, routed.n);
        before = ended(rig);
        n = protect_burst(lane, &rewritten, &sealed);
        assert_int_equal(n, sealed.n);
        assert_int_equal(n + ended(rig) - before, rewritten.n);
        before = ended(rig);
        pipeline_transmit(&rig->pipe, &sealed);
        assert_int_equal(lane->counts.tx_packets - sent + ended(rig) - before, sealed.n);
    }
}

static void every_stage_gives_out_what_it_takes_in(void **state)
{
    struct call call;
    unsigned seed = 21;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 1000; i++) {
        inject_mixture(&call, &seed);
        ingress_by_hand(call.rig);
        port_mem_limit(call.rig->io, 0, 0, i % 5 == 0 ? 3 : UINT64_MAX);
        egress_by_hand(call.rig);
        if (i % 10 == 0) { /* what the device has not taken waits for it, not for ever */
            for (unsigned k = 0; k < 300; k++) {
                call.rig->lane.now_us += 1000;
                (void)pipeline_egress(&call.rig->pipe, 1);
            }
            assert_false(pipeline_held_up(&call.rig->pipe));
        }
        port_mem_limit(call.rig->io, 0, 0, UINT64_MAX);
        call.rig->n_frames = 0;
    }
    rig_egress(call.rig);
    rig_check(call.rig);
    for (unsigned i = 0; i < N_DONE_KINDS; i++) {
        assert_true(call.rig->lane.counts.done[i] > 100);
    }
    assert_true(rig_dropped(call.rig, DROP_REPLAY) > 100);
    assert_true(rig_dropped(call.rig, DROP_PADDING) > 100);
    assert_true(call.rig->lane.counts.drops_out[DROP_TX_FULL] > 100);
    call_stop(&call);
}

static void an_empty_burst_is_nothing(void **state)
{
    struct call call;
    struct classified sorted;
    struct burst in = {.n = 0};
    struct burst out = {.n = 0};
    struct burst others = {.n = 0};
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    assert_int_equal(classify_burst(&call.rig->lane, &in, &sorted), 0);
    assert_int_equal(unprotect_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(ingest_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(spread_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(route_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(rewrite_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(protect_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(consent_burst(&call.rig->lane, &in, &out, &others), 0);
    assert_int_equal(punt_burst(&call.rig->lane, &in, &out), 0);
    assert_int_equal(ended(call.rig), 0);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_gives_out_what_it_takes_in),
        cmocka_unit_test(an_empty_burst_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
