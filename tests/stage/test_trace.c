/* Of one burst in so many each stage's time is kept, with the packets that it was given; of
 * the others, and where nothing is traced, nothing is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp.h"
#include "support/call.h"

enum { EVER = UINT16_MAX };

static struct abi_trace_sample samples[ABI_TRACE_SAMPLES];

static const struct abi_lane_trace *written(const struct call *call)
{
    return call->rig->shared.lanes[0].trace;
}

/* How many samples there are of a stage; they are in 'samples'. */
static uint32_t n_of(const struct call *call, enum trace_stage stage)
{
    return abi_trace_read(&written(call)->stages[stage], call->rig->lane.now_us, EVER,
                          samples);
}

static void trace(struct call *call, uint64_t every)
{
    struct trace *t = &call->rig->pipe.trace;

    *t = (struct trace){.out = call->rig->shared.lanes[0].trace, .every = every};
}

/* Two packets in a burst, of a stream with one subscriber. */
static void say_two(struct call *call)
{
    for (unsigned i = 0; i < 2; i++) {
        struct far_rtp rtp = call_audio(call, "hello", 5);

        far_send_rtp(&call->pub, &rtp);
    }
    rig_ingress(call->rig);
    rig_egress(call->rig);
}

static void expect_packets(const struct call *call, enum trace_stage stage,
                           uint16_t packets)
{
    assert_int_equal(n_of(call, stage), 1);
    assert_int_equal(samples[0].packets, packets);
    assert_true(samples[0].cycles > 0);
    assert_int_equal(samples[0].second, (uint16_t)(call->rig->lane.now_us / 1000000));
}

static void each_stage_on_the_way_of_a_packet_is_measured(void **state)
{
    static const enum trace_stage way[] = {TRACE_RX,      TRACE_CLASSIFY, TRACE_UNPROTECT,
                                           TRACE_INGEST,  TRACE_SPREAD,   TRACE_ROUTE,
                                           TRACE_REWRITE, TRACE_PROTECT,  TRACE_TX};
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    trace(&call, 1);
    say_two(&call);
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
        expect_packets(&call, way[i], 2);
    }
    assert_int_equal(n_of(&call, TRACE_RTCP_IN) + n_of(&call, TRACE_CONSENT) +
                         n_of(&call, TRACE_PUNT) + n_of(&call, TRACE_RESEND),
                     0);
    call_stop(&call);
}

/* An empty receiver report of the publisher. */
static void send_report(struct call *call)
{
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));

    rtcp_rr_write(&w, CALL_AUDIO_SSRC, NULL, 0);
    far_send_rtcp(&call->pub, &w);
}

static void so_is_what_leaves_the_way(void **state)
{
    const uint8_t dtls[13] = {22, [12] = 9};
    struct far_rtp rtp;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    trace(&call, 1);
    far_send_check(&call.pub, &call.pub.path);
    send_report(&call);
    rig_inject(call.rig, &call.pub.path, dtls, sizeof(dtls));
    rtp = call_audio(&call, "hello", 5);
    far_send_rtp(&call.pub, &rtp);
    rig_ingress(call.rig);
    expect_packets(&call, TRACE_RX, 4);
    expect_packets(&call, TRACE_CLASSIFY, 4);
    expect_packets(&call, TRACE_UNPROTECT, 1);
    expect_packets(&call, TRACE_RTCP_IN, 1);
    expect_packets(&call, TRACE_CONSENT, 1);
    expect_packets(&call, TRACE_PUNT, 1);
    rig_egress(call.rig);
    call_stop(&call);
}

static void one_burst_in_so_many_is_measured(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    trace(&call, 4);
    for (unsigned i = 1; i <= 12; i++) {
        say_two(&call);
        assert_int_equal(n_of(&call, TRACE_RX), (i + 3) / 4);
        assert_int_equal(n_of(&call, TRACE_SPREAD), (i + 3) / 4);
    }
    assert_int_equal(n_of(&call, TRACE_TX), 3);
    rig_ingress(call.rig); /* nothing there: it counts as no burst */
    assert_int_equal(n_of(&call, TRACE_RX), 3);
    say_two(&call);
    assert_int_equal(n_of(&call, TRACE_RX), 4);
    call_stop(&call);
}

static void the_last_are_kept_and_the_old_can_be_left_out(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    trace(&call, 1);
    for (unsigned i = 0; i < ABI_TRACE_SAMPLES + 3; i++) {
        say_two(&call);
        call.rig->n_frames = 0; /* nobody looks at them */
    }
    assert_int_equal(n_of(&call, TRACE_TX), ABI_TRACE_SAMPLES);
    call.rig->lane.now_us += 10000000;
    say_two(&call);
    assert_int_equal(abi_trace_read(&written(&call)->stages[TRACE_TX],
                                    call.rig->lane.now_us + 1000000, 5, samples),
                     1);
    assert_int_equal(samples[0].packets, 2);
    call_stop(&call);
}

static void untraced_nothing_is_written(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    say_two(&call);
    for (unsigned i = 0; i < N_TRACE_STAGES; i++) {
        assert_int_equal(n_of(&call, (enum trace_stage)i), 0);
    }
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_on_the_way_of_a_packet_is_measured),
        cmocka_unit_test(so_is_what_leaves_the_way),
        cmocka_unit_test(one_burst_in_so_many_is_measured),
        cmocka_unit_test(the_last_are_kept_and_the_old_can_be_left_out),
        cmocka_unit_test(untraced_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
