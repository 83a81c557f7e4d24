/* rtcp_in: what peers report is authenticated, parsed and noted where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "support/call.h"

enum { THEIR_SSRC = 0x77 };

static uint8_t scratch[1200];

static struct wbytes compound(void)
{
    return wbytes_of(scratch, sizeof(scratch));
}

static void send(struct call *call, struct far *from, const struct wbytes *w)
{
    far_send_rtcp(from, w);
    rig_run(call->rig);
}

static void receiver_reports_are_noted_at_the_subscription(void **state)
{
    const struct rtcp_block blocks[2] = {
        {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = 12, .fraction_lost = 64, .jitter = 480},
        {.ssrc = 0xdead, .lost = 99},
    };
    struct call call;
    struct wbytes w;
    const struct sub *sub;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    sub = call_sub(&call, &call.to_audio);
    w = compound();
    rtcp_rr_write(&w, THEIR_SSRC, blocks, 2);
    send(&call, &call.sub, &w);
    assert_int_equal(rig_done(call.rig, DONE_RTCP), 1);
    assert_int_equal(sub->rest->lost, 12);
    assert_int_equal(sub->rest->fraction_lost, 64);
    assert_int_equal(sub->rest->jitter, 480);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->lost, 0);

    /* somebody else's SSRC is nothing to the publisher */
    w = compound();
    rtcp_rr_write(&w, THEIR_SSRC, blocks, 1);
    send(&call, &call.pub, &w);
    assert_int_equal(sub->rest->lost, 12);
    call_stop(&call);
}

static void round_trip_comes_from_our_sender_report(void **state)
{
    struct call call;
    struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = -3};
    struct rtcp_sr sr = {.ssrc = CALL_AUDIO_SSRC, .ntp = UINT64_C(0x1234567890abcdef)};
    struct wbytes w;
    struct sub *sub;
    (void)state;

    call_start(&call, "mem", FAR_CM80, 4);
    call_say(&call);
    w = compound();
    rtcp_sr_write(&w, &sr, NULL, 0);
    send(&call, &call.pub, &w);
    rig_pass(call.rig, 1100000);
    sub = call_sub(&call, &call.to_audio);
    assert_true(sub->rest->last_sr_us > 0);

    /* the subscriber held it for 0.5 s; 80 ms went by on the way there and back */
    call.rig->lane.now_us = sub->rest->last_sr_us + 580000;
    block.lsr = sub->rest->last_sr_ntp;
    block.dlsr = 0x8000;
    w = compound();
    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    send(&call, &call.sub, &w);
    assert_int_equal(sub->rest->rtt_us, 80000);
    assert_int_equal(sub->peer->rest->rtt_us, 80000);
    assert_int_equal(sub->rest->lost, 0); /* duplicates are no loss */

    block.lsr ^= 1; /* of another report */
    block.dlsr = 0;
    w = compound();
    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    send(&call, &call.sub, &w);
    assert_int_equal(sub->rest->rtt_us, 80000);
    call_stop(&call);
}

static void nacks_are_counted(void **state)
{
    const uint16_t seqs[] = {5, 6, 9, 100};
    struct call call;
    struct wbytes w = compound();
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtcp_nack_write(&w, THEIR_SSRC, CALL_OUT_VIDEO_SSRC, seqs, 4);
    send(&call, &call.sub, &w);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks, 4);
    w = compound();
    rtcp_nack_write(&w, THEIR_SSRC, 0xdead, seqs, 4);
    send(&call, &call.sub, &w);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks, 4);
    assert_int_equal(rig_done(call.rig, DONE_RTCP), 2);
    call_stop(&call);
}

static void bandwidth_estimates_are_noted(void **state)
{
    const uint32_t ssrc = CALL_OUT_VIDEO_SSRC;
    struct call call;
    struct wbytes w = compound();
    struct twcc_fb_writer x;
    uint8_t buf[256];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtcp_remb_write(&w, THEIR_SSRC, 1500000, &ssrc, 1);
    send(&call, &call.sub, &w);
    assert_in_range(call_peer(&call, &call.sub)->rest->remb_bps, 1499000, 1500000);

    twcc_fb_begin(&x, buf, sizeof(buf), THEIR_SSRC, ssrc, 10, 1, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(twcc_fb_put(&x, i % 4 != 3, 4), 0);
    }
    n = twcc_fb_finish(&x);
    w = wbytes_of(buf, sizeof(buf));
    (void)wbytes_reserve(&w, n);
    send(&call, &call.sub, &w);
    assert_int_equal(call_peer(&call, &call.sub)->rest->twcc_reports, 1);
    assert_int_equal(call_peer(&call, &call.sub)->rest->twcc_lost, 5);

    /* browsers pad it to a word by any number of bytes, with the RTCP padding bit */
    memset(buf + n, 0, 4);
    buf[n + 3] = 3;
    buf[0] |= 0x20;
    store_be16(buf + 2, (uint16_t)(n / 4));
    w = wbytes_of(buf, sizeof(buf));
    (void)wbytes_reserve(&w, n + 4);
    send(&call, &call.sub, &w);
    assert_int_equal(call_peer(&call, &call.sub)->rest->twcc_reports, 2);

    buf[14] = 0xff; /* about more packets than it has chunks for */
    send(&call, &call.sub, &w);
    assert_int_equal(call_peer(&call, &call.sub)->rest->twcc_reports, 2);
    call_stop(&call);
}

static void report(struct call *call, uint32_t ssrc, uint32_t highest, int32_t lost)
{
    const struct rtcp_block block = {
        .ssrc = ssrc, .ext_highest_seq = highest, .lost = lost};
    struct wbytes w = compound();

    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    send(call, &call->sub, &w);
}

static void remb(struct call *call, uint64_t bps)
{
    struct wbytes w = compound();

    rtcp_remb_write(&w, THEIR_SSRC, bps, NULL, 0);
    send(call, &call->sub, &w);
}

static void expect_loss(const struct call *call, uint32_t n, uint32_t n_lost)
{
    const struct bwe_loss *loss = &call_peer(call, &call->sub)->bwe->loss;

    assert_int_equal(loss->n, n);
    assert_int_equal(loss->n_lost, n_lost);
}

/* Of who tells by REMB what its link carries, reports tell the loss: of each subscription,
 * between two of them, as far as they can be true. */
static void reports_tell_the_loss_of_who_sends_remb(void **state)
{
    const uint32_t video = CALL_OUT_VIDEO_SSRC, audio = CALL_OUT_AUDIO_SSRC;
    struct call call;
    struct bwe_loss *loss;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    loss = &call_peer(&call, &call.sub)->bwe->loss;
    report(&call, video, 1000, 5);
    report(&call, video, 1010, 7);
    expect_loss(&call, 0, 0); /* it has not said yet what its link carries */
    remb(&call, 5000000);
    report(&call, video, 1015, 8);
    expect_loss(&call, 5, 1);
    report(&call, audio, 500, 3);
    expect_loss(&call, 5, 1); /* its first tells of no time */
    report(&call, audio, 504, 4);
    expect_loss(&call, 9, 2);
    report(&call, video, 1017, 6);
    expect_loss(&call, 11, 2); /* duplicates are no loss */
    report(&call, video, 1017, 9);
    report(&call, video, 1019, 12);
    expect_loss(&call, 11, 2); /* more than there were packets */
    report(&call, video, 1021, 14);
    expect_loss(&call, 13, 4); /* as many */
    report(&call, video, 1021 + 65536, 14);
    expect_loss(&call, 13, 4); /* of another life */
    report(&call, video, 1022 + 65536, 14);
    expect_loss(&call, 14, 4);
    report(&call, video, 1022, 14);
    expect_loss(&call, 14, 4); /* back again */
    assert_int_equal(loss->at_us != 0, 1);
    report(&call, video, 1022 + 65535, 14);
    assert_int_equal(loss->n, 0); /* enough for a verdict */
    assert_true(loss->share < 0.001f);
    call_stop(&call);
}

/* Its link loses what is too much for it, and it says by REMB that there is more than there
 * is: it is sent about what gets through. */
static void who_sends_remb_is_sent_what_gets_through(void **state)
{
    static const uint64_t carries_bps[] = {3000000, 6000000};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        struct call call;
        struct peer *peer;
        uint32_t highest = 1000;
        double lost = 0;

        call_start(&call, "mem", FAR_GCM, 4);
        peer = call_peer(&call, &call.sub);
        remb(&call, 5000000);
        for (unsigned s = 0; s < 30; s++) {
            const uint64_t bps = bwe_target(peer->bwe);

            call.rig->lane.now_us += 1000000;
            remb(&call, 5000000);
            peer->tx_bytes += bps / 8;
            (void)bwe_tick(peer->bwe, peer->tx_bytes, 0, call.rig->lane.now_us);
            highest += 500;
            lost +=
                bps > carries_bps[i] ? 500 * (1 - (double)carries_bps[i] / (double)bps) : 0;
            report(&call, CALL_OUT_VIDEO_SSRC, highest, (int32_t)lost);
        }
        assert_in_range(bwe_target(peer->bwe), i == 0 ? 2500000 : 5000000,
                        i == 0 ? 3600000 : 5000000);
        call_stop(&call);
    }
}

static void bye_is_told_once(void **state)
{
    const uint32_t ssrcs[] = {0xdead, CALL_VIDEO_SSRC};
    struct call call;
    struct wbytes w = compound();
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    call.rig->lane.n_news = 0;
    rtcp_bye_write(&w, ssrcs, 2);
    send(&call, &call.sub, &w); /* not its stream */
    assert_int_equal(call.rig->lane.n_news, 0);
    send(&call, &call.pub, &w);
    send(&call, &call.pub, &w);
    assert_int_equal(call.rig->lane.n_news, 1);
    assert_int_equal(call.rig->lane.news[0].kind, LANE_NEWS_BYE);
    assert_int_equal(call.rig->lane.news[0].handle, call.video.handle);
    call_stop(&call);
}

/* Of the whole compound each packet counts, and what is not asked for is left alone. */
static void compounds_are_read_to_the_end(void **state)
{
    const struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = 1};
    const uint16_t seq = 1;
    const uint32_t app[2] = {0, 0};
    struct call call;
    struct wbytes w = compound();
    (void)state;

    call_start(&call, "mem", FAR_CM80, 6);
    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    rtcp_sdes_write(&w, THEIR_SSRC, "me", 2);
    rtcp_write_header(&w, 0, RTCP_APP, sizeof(app));
    wbytes_put(&w, app, sizeof(app));
    rtcp_write_header(&w, 0, RTCP_XR, 4);
    wbytes_be32(&w, THEIR_SSRC);
    rtcp_nack_write(&w, THEIR_SSRC, CALL_OUT_AUDIO_SSRC, &seq, 1);
    send(&call, &call.sub, &w);
    assert_int_equal(call_sub(&call, &call.to_audio)->rest->lost, 1);
    assert_int_equal(call_sub(&call, &call.to_audio)->rest->nacks, 1);
    call_stop(&call);
}

/* Of a malformed one nothing is used, also not what comes before the mistake. */
static void malformed_compounds_change_nothing(void **state)
{
    const struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = 1};
    struct call call;
    struct wbytes w = compound();
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    rtcp_write_header(&w, 0, RTCP_XR, 400); /* longer than the packet */
    send(&call, &call.sub, &w);
    assert_int_equal(rig_dropped(call.rig, DROP_RTCP_MALFORMED), 1);
    assert_int_equal(call_sub(&call, &call.to_audio)->rest->lost, 0);
    call_stop(&call);
}

static void changed_and_repeated_rtcp_is_dropped(uint32_t profile)
{
    const struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = 1};
    struct call call;
    struct wbytes w = compound();
    uint8_t buf[PKT_ROOM];
    uint64_t n_bad = 0;
    size_t n;

    call_start(&call, "mem", profile, 4);
    rtcp_rr_write(&w, THEIR_SSRC, &block, 1);
    n = far_make_rtcp(&call.sub, &w, buf);
    for (size_t at = 2; at < n; at++) {
        buf[at] ^= 0x10;
        rig_inject(call.rig, &call.sub.path, buf, n);
        buf[at] ^= 0x10;
        n_bad++;
    }
    for (size_t len = 8; len < n; len++) {
        rig_inject(call.rig, &call.sub.path, buf, len);
        n_bad++;
    }
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_AUTH), n_bad);
    assert_int_equal(call_peer(&call, &call.sub)->rest->n_rtcp_ssrcs, 0);
    rig_inject(call.rig, &call.sub.path, buf, n);
    rig_inject(call.rig, &call.sub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(rig_done(call.rig, DONE_RTCP), 1);
    assert_int_equal(rig_dropped(call.rig, DROP_REPLAY), 1);
    call_stop(&call);
}

static void changed_and_repeated_gcm_rtcp_is_dropped(void **state)
{
    (void)state;
    changed_and_repeated_rtcp_is_dropped(FAR_GCM);
}

static void changed_and_repeated_aes_cm_rtcp_is_dropped(void **state)
{
    (void)state;
    changed_and_repeated_rtcp_is_dropped(FAR_CM80);
}

/* Senders come and go without end; only streams that are sent now keep their place. */
static void places_of_senders_are_used_again(void **state)
{
    const struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lost = 1};
    struct rig *rig = rig_start("mem");
    struct far far;
    struct wbytes w;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    for (uint32_t i = 0; i < 4 * PEER_SSRCS; i++) {
        w = compound();
        rtcp_rr_write(&w, 100 + i, &block, 1);
        far_send_rtcp(&far, &w);
    }
    rig_run(rig);
    assert_int_equal(rig_done(rig, DONE_RTCP), 4 * PEER_SSRCS);
    for (uint32_t i = 0; i < PEER_SSRCS; i++) {
        const struct far_rtp rtp = {.ssrc = 5000 + i, .seq = 1, .pt = FAR_AUDIO_PT};

        (void)far_publish_audio(&far, i, rtp.ssrc);
        far_send_rtp(&far, &rtp);
        w = compound();
        rtcp_rr_write(&w, rtp.ssrc, NULL, 0);
        far_send_rtcp(&far, &w);
    }
    rig_run(rig);
    assert_int_equal(rig_drops_in(rig), 0);
    w = compound();
    rtcp_rr_write(&w, 1, NULL, 0);
    far_send_rtcp(&far, &w);
    rig_run(rig);
    assert_int_equal(rig_dropped(rig, DROP_SSRC_LIMIT), 1);
    far_end(&far);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receiver_reports_are_noted_at_the_subscription),
        cmocka_unit_test(round_trip_comes_from_our_sender_report),
        cmocka_unit_test(nacks_are_counted),
        cmocka_unit_test(bandwidth_estimates_are_noted),
        cmocka_unit_test(reports_tell_the_loss_of_who_sends_remb),
        cmocka_unit_test(who_sends_remb_is_sent_what_gets_through),
        cmocka_unit_test(bye_is_told_once),
        cmocka_unit_test(compounds_are_read_to_the_end),
        cmocka_unit_test(malformed_compounds_change_nothing),
        cmocka_unit_test(changed_and_repeated_gcm_rtcp_is_dropped),
        cmocka_unit_test(changed_and_repeated_aes_cm_rtcp_is_dropped),
        cmocka_unit_test(places_of_senders_are_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
