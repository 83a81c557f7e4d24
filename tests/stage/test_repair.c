/* Repair, both ways: what publishers are asked for and send again, and what subscribers are
 * sent again. The far ends are libsrtp2's, which refuses an index that came before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_xr.h"
#include "support/call.h"
#include "worker/recover.h"
#include "worker/report.h"

enum { RTX_OUT_SSRC = CALL_OUT_VIDEO_SSRC ^ FAR_OUT_RTX_BIT };

static uint8_t scratch[1200];

/* ---- the publisher's side ---- */

/* What 'far' was asked for again of 'ssrc'. */
static size_t nacked(struct far *far, uint32_t ssrc, uint16_t *out, size_t cap)
{
    struct far_got got;
    size_t n = 0;

    while (far_take_rtcp(far, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_fb fb;

        while (rtcp_next(&it, &pkt) == 1) {
            struct rtcp_nack_iter numbers;

            if (!rtcp_is_nack(&pkt) || rtcp_fb_parse(&pkt, &fb) != 0 ||
                fb.media_ssrc != ssrc) {
                continue;
            }
            numbers = rtcp_nack_iter_of(&fb);
            while (n < cap && rtcp_nack_next(&numbers, &out[n])) {
                n++;
            }
        }
    }
    return n;
}

static void send_rtx(struct call *call, const struct far_rtp *lost, uint16_t rtx_seq)
{
    uint8_t payload[64];
    struct far_rtp rtp = *lost;

    store_be16(payload, lost->seq);
    memcpy(payload + RTX_OSN_LEN, lost->payload, lost->len);
    rtp.payload = payload;
    rtp.len = lost->len + RTX_OSN_LEN;
    rtp.ssrc = CALL_RTX_SSRC;
    rtp.pt = FAR_RTX_PT;
    rtp.seq = rtx_seq;
    far_send_rtp(&call->pub, &rtp);
}

static void lost_packet_is_asked_for_restored_and_forwarded_once(void **state)
{
    struct call call;
    struct far_rtp lost;
    struct far_got got;
    uint16_t asked[8];
    uint16_t first;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    assert_true(far_take_rtp(&call.sub, &got));
    first = got.hdr.seq;
    lost = call_video(&call, false);
    lost.marker = false;
    call_show(&call, false);
    call_show(&call, false);
    rig_pass(call.rig, 2 * RTCP_SWEEP_US);
    assert_int_equal(nacked(&call.pub, CALL_VIDEO_SSRC, asked, 8), 1);
    assert_int_equal(asked[0], lost.seq);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.seq, (uint16_t)(first + 2)); /* the gap is told */
    assert_true(far_take_rtp(&call.sub, &got));

    send_rtx(&call, &lost, 500);
    rig_run(call.rig);
    assert_true(far_take_rtp(&call.sub, &got)); /* late, under its own number */
    assert_int_equal(got.hdr.ssrc, CALL_OUT_VIDEO_SSRC);
    assert_int_equal(got.hdr.seq, (uint16_t)(first + 1));
    assert_int_equal(got.hdr.ts, lost.ts);
    assert_int_equal(got.hdr.pt, FAR_OUT_VIDEO_PT);
    assert_false(got.hdr.marker);
    assert_int_equal(got.payload_len, lost.len);
    assert_memory_equal(got.payload, lost.payload, lost.len);

    send_rtx(&call, &lost, 501);    /* again */
    far_send_rtp(&call.pub, &lost); /* and the original, at last */
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_DUPLICATE), 2);
    assert_false(far_take_rtp(&call.sub, &got));
    rig_pass(call.rig, 500000);
    assert_int_equal(nacked(&call.pub, CALL_VIDEO_SSRC, asked, 8), 0);
    assert_int_equal(call_stream(&call, &call.video)->repaired, 1);
    assert_int_equal(call.rig->lane.counts.drops_out[DROP_INDEX_USED], 0);
    call_stop(&call);
}

static unsigned n_plis(struct far *far)
{
    struct far_got got;
    struct rtcp_pkt pkt;
    unsigned n = 0;

    while (far_take_rtcp(far, &got)) {
        n += far_find(&got, RTCP_PSFB, RTCP_PSFB_PLI, &pkt);
    }
    return n;
}

static void what_is_asked_for_in_vain_becomes_a_key_frame(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    (void)call_video(&call, false); /* lost for good */
    call_show(&call, false);
    rig_pass(call.rig, 500000);
    (void)n_plis(&call.pub);
    rig_pass(call.rig, 3000000);
    assert_true(call_stream(&call, &call.video)->nack.n_asked == 10);
    assert_in_range(n_plis(&call.pub), 1, 3);
    call_show(&call, true);
    rig_pass(call.rig, 2000000);
    (void)n_plis(&call.pub);
    rig_pass(call.rig, 2000000);
    assert_int_equal(n_plis(&call.pub), 0);
    call_stop(&call);
}

/* What cannot be restored is dropped with a reason; padding is no hole. */
static void odd_retransmissions_are_dropped(void **state)
{
    struct call call;
    struct far_rtp rtp = {.ssrc = CALL_RTX_SSRC, .pt = FAR_RTX_PT, .payload = "abcd"};
    struct far_rtp pad;
    uint16_t asked[8];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp.len = 4;
    far_send_rtp(&call.pub, &rtp); /* nothing came yet that it could repeat */
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_RTX), 1);
    call_show(&call, true);
    rtp.seq++;
    rtp.len = 1; /* no whole number */
    far_send_rtp(&call.pub, &rtp);
    rtp.seq++;
    rtp.len = 4;
    rtp.pt = FAR_VIDEO_PT;
    far_send_rtp(&call.pub, &rtp);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_RTX), 3);
    rtp.seq++;
    rtp.pt = FAR_RTX_PT;
    rtp.len = 0;
    rtp.padding = 200; /* a probe */
    far_send_rtp(&call.pub, &rtp);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_PADDING), 1);
    pad = call_video(&call, false); /* a number that only padding has */
    pad.len = 0;
    pad.padding = 100;
    far_send_rtp(&call.pub, &pad);
    call_show(&call, false);
    rig_pass(call.rig, 300000);
    assert_int_equal(rig_dropped(call.rig, DROP_PADDING), 2);
    assert_int_equal(nacked(&call.pub, CALL_VIDEO_SSRC, asked, 8), 0);
    /* of a number that nobody can have missed yet */
    pad = call_video(&call, false);
    pad.seq = (uint16_t)(pad.seq + 100);
    send_rtx(&call, &pad, 600);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_RTX), 4);
    call_stop(&call);
}

static void repair_can_be_switched_off(void **state)
{
    struct call call;
    uint16_t asked[8];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.rig->lane.no_repair = true;
    call_show(&call, true);
    (void)call_video(&call, false);
    call_show(&call, false);
    rig_pass(call.rig, 500000);
    assert_int_equal(nacked(&call.pub, CALL_VIDEO_SSRC, asked, 8), 0);
    call_stop(&call);
}

/* ---- the subscriber's side ---- */

static void ask(struct call *call, uint32_t ssrc, const uint16_t *seqs, size_t n)
{
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));

    rtcp_nack_write(&w, 9, ssrc, seqs, n);
    far_send_rtcp(&call->sub, &w);
    rig_run(call->rig);
}

static uint16_t twcc_of(const struct far_got *got)
{
    uint8_t len = 0;
    const uint8_t *data = far_ext(got, EXT_TRANSPORT_CC, &len);
    uint16_t seq = 0;

    assert_true(rtp_ext_twcc_seq(data, len, &seq));
    return seq;
}

/* Sends n frames and returns our number of the first. */
static uint16_t show_many(struct call *call, unsigned n)
{
    struct far_got got;
    uint16_t first;

    call_show(call, true);
    assert_true(far_take_rtp(&call->sub, &got));
    first = got.hdr.seq;
    for (unsigned i = 1; i < n; i++) {
        call_show(call, false);
        assert_true(far_take_rtp(&call->sub, &got));
    }
    return first;
}

static void missed_packet_is_sent_again_under_its_own_ssrc(void **state)
{
    struct call call;
    struct far_got got;
    struct far_got original;
    uint16_t seqs[2];
    uint16_t rtx_seq = 0;
    (void)state;

    call_start(&call, "mem", FAR_CM80, 6);
    call_show(&call, true);
    assert_true(far_take_rtp(&call.sub, &original));
    call_show(&call, false);
    assert_true(far_take_rtp(&call.sub, &got));
    seqs[0] = original.hdr.seq;
    seqs[1] = got.hdr.seq;
    assert_null(call_sub(&call, &call.to_video)->rest->repair); /* made when it is asked */
    ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 2);
    assert_non_null(call_sub(&call, &call.to_video)->rest->repair);
    for (unsigned i = 0; i < 2; i++) { /* what was lost last comes first */
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.hdr.ssrc, RTX_OUT_SSRC);
        assert_int_equal(got.hdr.pt, FAR_OUT_RTX_PT);
        assert_int_equal(load_be16(got.payload), seqs[1 - i]);
        assert_true(i == 0 || got.hdr.seq == (uint16_t)(rtx_seq + 1));
        rtx_seq = got.hdr.seq;
        /* a transport-wide number of its own */
        assert_int_equal(twcc_of(&got), (uint16_t)(twcc_of(&original) + 2 + i));
        if (i == 1) {
            assert_int_equal(got.hdr.ts, original.hdr.ts);
            assert_int_equal(got.hdr.marker, original.hdr.marker);
            assert_int_equal(got.payload_len, original.payload_len + RTX_OSN_LEN);
            assert_memory_equal(got.payload + RTX_OSN_LEN, original.payload,
                                original.payload_len);
        }
    }
    assert_false(far_take_rtp(&call.sub, &got));
    assert_int_equal(call_sub(&call, &call.to_video)->rest->rtx_packets, 2);
    assert_int_equal(call_sub(&call, &call.to_video)->packets, 2); /* not among these */
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks_ignored, 0);
    call_stop(&call);
}

static void same_number_is_answered_once_a_round_trip(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t seq;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    seq = show_many(&call, 3);
    call_sub(&call, &call.to_video)->rest->rtt_us = 80000;
    for (unsigned i = 0; i < 10; i++) { /* for 100 ms */
        ask(&call, CALL_OUT_VIDEO_SSRC, &seq, 1);
        rig_pass(call.rig, 10000);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_true(far_take_rtp(&call.sub, &got));
    }
    assert_false(far_take_rtp(&call.sub, &got));
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks_ignored, 8);
    call_stop(&call);
}

/* Pion asks for all that was ever lost each 100 ms, whether it came again or not. A packet
 * in twenty is lost for ten seconds; each of them is answered, though repair may cost half
 * of the rate at most. */
static void who_never_stops_asking_gets_what_is_missing(void **state)
{
    enum { LOST_EACH = 20, TICKS = 100, PACKETS = 10 };
    struct call call;
    struct far_got got;
    uint16_t lost[TICKS * PACKETS / LOST_EACH];
    bool came[TICKS * PACKETS / LOST_EACH] = {false};
    uint8_t large[1000] = {0};
    size_t n_lost = 0;
    uint16_t seq;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    seq = show_many(&call, 1);
    for (unsigned tick = 0; tick < TICKS; tick++) {
        for (unsigned i = 0; i < PACKETS; i++) {
            struct far_rtp rtp = call_video(&call, false);

            memcpy(large, rtp.payload, rtp.len);
            rtp.payload = large;
            rtp.len = sizeof(large);
            far_send_rtp(&call.pub, &rtp);
            rig_run(call.rig);
            seq++;
            if (seq % LOST_EACH == 0) {
                lost[n_lost++] = seq;
            }
        }
        if (n_lost > 0) {
            ask(&call, CALL_OUT_VIDEO_SSRC, lost, n_lost);
        }
        rig_pass(call.rig, 100000);
        while (far_take_rtp(&call.sub, &got)) {
            for (size_t k = 0; got.hdr.ssrc == RTX_OUT_SSRC && k < n_lost; k++) {
                came[k] = came[k] || load_be16(got.payload) == lost[k];
            }
        }
        call.rig->n_frames = call.pub.read_at = call.sub.read_at = 0;
    }
    for (size_t k = 0; k < n_lost; k++) {
        assert_true(came[k]);
    }
    call_stop(&call);
}

static void numbers_that_were_never_sent_are_ignored_and_counted(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t seq;
    uint16_t seqs[6];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    seq = 77;
    ask(&call, CALL_OUT_VIDEO_SSRC, &seq, 1); /* nothing was sent at all */
    seq = show_many(&call, 3);
    seqs[0] = (uint16_t)(seq - 2);
    seqs[1] = (uint16_t)(seq - 1);
    seqs[2] = (uint16_t)(seq + 3);
    seqs[3] = (uint16_t)(seq + 4);
    seqs[4] = (uint16_t)(seq + 20000);
    seqs[5] = (uint16_t)(seq + 32769);
    ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 6);
    ask(&call, RTX_OUT_SSRC, &seq, 1); /* repairs are not repaired */
    ask(&call, 0xdead, &seq, 1);
    assert_false(far_take_rtp(&call.sub, &got));
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks, 7);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks_ignored, 7);
    call_stop(&call);
}

/* A liar asks for everything all the time: it gets its share, the publisher is not asked,
 * and the other stream goes on. */
static void endless_nacks_cost_a_share_of_the_rate(void **state)
{
    struct call call;
    struct far_got got;
    struct sub *sub;
    uint16_t seqs[RTCP_NACK_MAX];
    uint64_t n_rtx = 0;
    uint16_t first;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    first = show_many(&call, 100);
    sub = call_sub(&call, &call.to_video);
    for (unsigned i = 0; i < 1000; i++) {
        for (uint16_t k = 0; k < RTCP_NACK_MAX; k++) {
            seqs[k] = (uint16_t)(first + (k + 61 * i) % 100);
        }
        call.rig->lane.now_us += 1000;
        ask(&call, CALL_OUT_VIDEO_SSRC, seqs, RTCP_NACK_MAX);
        if (i % 10 == 0) {
            call_say(&call);
        }
    }
    while (far_take_rtp(&call.sub, &got)) {
        n_rtx += got.hdr.ssrc == RTX_OUT_SSRC;
    }
    assert_int_equal(n_rtx, sub->rest->rtx_packets);
    assert_true(n_rtx <= 96 * 1024 / 1200 + sub->bytes / 2 / 1200 + 1);
    assert_true(n_rtx >= 50);
    assert_int_equal(sub->rest->nacks, 64000);
    assert_int_equal(sub->rest->nacks_ignored, 64000 - n_rtx);
    assert_int_equal(call_sub(&call, &call.to_audio)->packets, 100);
    call_stop(&call);
}

/* More at once than the lane's list holds. */
static void huge_lists_are_capped(void **state)
{
    struct call call;
    struct far_got got;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    uint16_t first;
    unsigned n = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    first = show_many(&call, 300);
    rtcp_fb_write_header(&w, RTCP_RTPFB_NACK, RTCP_RTPFB, 9, CALL_OUT_VIDEO_SSRC, 800);
    for (unsigned i = 0; i < 200; i++) { /* 3,400 numbers, of which 64 entries count */
        wbytes_be16(&w, (uint16_t)(first + 17 * i));
        wbytes_be16(&w, 0xffff);
    }
    far_send_rtcp(&call.sub, &w);
    rig_run(call.rig);
    while (far_take_rtp(&call.sub, &got)) {
        n++;
    }
    assert_in_range(n, 60, 96 * 1024 / 1200 + 1);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->nacks, RTCP_NACK_MAX * 17);
    call_stop(&call);
}

/* What control is told of the subscription. */
static struct abi_sub_stats told(const struct call *call)
{
    struct abi_sub_stats stats;
    struct rig *rig = call->rig;

    (void)report_objects(&rig->lane, (struct shared *)&rig->shared);
    abi_words_copy(&stats, &rig->shared.sub_stats[call_sub(call, &call->to_video)->index],
                   sizeof(stats));
    return stats;
}

/* A device that is full keeps what it is given for a while, then it is dropped, and what
 * comes after that at once: neither was sent. */
static void what_a_full_device_refuses_was_not_sent_again(void **state)
{
    struct call call;
    struct far_got got;
    struct abi_sub_stats before, after;
    uint16_t first, seqs[2];
    uint64_t dropped, reports;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    first = show_many(&call, 6);
    before = told(&call);
    reports = call.rig->lane.counts.rtcp_out;
    port_mem_limit(call.rig->io, 0, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        seqs[0] = (uint16_t)(first + 2 * i);
        seqs[1] = (uint16_t)(first + 2 * i + 1);
        ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 2);
        rig_pass(call.rig, 100000);
    }
    assert_false(far_take_rtp(&call.sub, &got));
    dropped = call.rig->lane.counts.drops_out[DROP_TX_FULL] +
              call.rig->lane.counts.drops_out[DROP_TX_FULL_CONTROL];
    assert_true(dropped >= 4); /* and RTCP that was due */
    after = told(&call);
    assert_int_equal(after.rtx_packets, 0);
    assert_int_equal(after.rtx_bytes, 0);
    assert_int_equal(after.packets, before.packets);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.skipped, before.skipped); /* it was sent the packet itself */
    assert_int_equal(call.rig->lane.counts.resent, 0);
    assert_int_equal(call.rig->lane.counts.rtcp_out, reports);

    port_mem_limit(call.rig->io, 0, 0, UINT64_MAX);
    rig_pass(call.rig, 100000);
    seqs[0] = (uint16_t)(first + 4);
    ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 1);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ssrc, RTX_OUT_SSRC);
    after = told(&call);
    assert_int_equal(after.rtx_packets, 1);
    assert_int_equal(after.rtx_bytes, got.payload_len);
    assert_int_equal(call.rig->lane.counts.resent, 1);
    assert_int_equal(call.rig->lane.counts.forwards, after.packets);
    call_stop(&call);
}

/* After a resume the numbers go on, and what they were before is still known. */
static void numbers_before_a_pause_are_found(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t before;
    uint16_t after;
    uint16_t seqs[2];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    before = show_many(&call, 3);
    call.to_video.paused = 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
    call_show(&call, false);
    call_show(&call, true);
    ask(&call, CALL_OUT_VIDEO_SSRC, &before, 1);
    assert_false(far_take_rtp(&call.sub, &got)); /* paused is paused */
    call.to_video.paused = 0;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
    after = show_many(&call, 2);
    assert_int_equal(after, (uint16_t)(before + 3));
    rig_pass(call.rig, 600000);
    seqs[0] = (uint16_t)(before + 1);
    seqs[1] = (uint16_t)(after + 1);
    ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(load_be16(got.payload), seqs[1 - i]);
    }
    call_stop(&call);
}

/* ---- round trips of those who send no media (RFC 3611) ---- */

/* The reference time in what 'far' has got. */
static bool take_xr(struct far *far, uint8_t type, struct rtcp_xr_block *block,
                    struct far_got *got)
{
    struct rtcp_xr_iter it;
    struct rtcp_pkt pkt;

    while (far_take_rtcp(far, got)) {
        if (far_find(got, RTCP_XR, -1, &pkt) && rtcp_xr_parse(&pkt, &it) == 0) {
            while (rtcp_xr_next(&it, block) == 1) {
                if (block->type == type) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void publisher_answers_our_reference_time(void **state)
{
    struct call call;
    struct far_got got;
    struct rtcp_xr_block block = {0};
    struct rtcp_xr_dlrr dlrr = {.ssrc = RTCP_OUR_SSRC, .dlrr = 1 << 15}; /* 0.5 s */
    struct wbytes w;
    struct peer *pub;
    uint64_t ntp = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    pub = call_peer(&call, &call.pub);
    while (pub->rest->rrtr_sent_us == 0) {
        rig_pass(call.rig, 10000);
    }
    assert_true(take_xr(&call.pub, RTCP_XR_RRTR, &block, &got));
    assert_true(rtcp_xr_rrtr(&block, &ntp));
    rig_pass(call.rig, 570000);
    for (unsigned i = 0; i < 3; i++) { /* to another's, to another time, and to ours */
        dlrr.ssrc = i == 0 ? 77 : RTCP_OUR_SSRC;
        dlrr.lrr = (uint32_t)(ntp >> 16) + (i == 1);
        w = wbytes_of(scratch, sizeof(scratch));
        rtcp_xr_write_dlrr(&w, CALL_VIDEO_SSRC, &dlrr, 1);
        far_send_rtcp(&call.pub, &w);
        rig_run(call.rig);
        assert_true((pub->rest->rtt_us != 0) == (i == 2));
    }
    assert_in_range(pub->rest->rtt_us, 60000, 90000);
    assert_int_equal(call_stream(&call, &call.video)->nack.rtt_us, pub->rest->rtt_us);
    call_stop(&call);
}

static void receiver_is_answered_once(void **state)
{
    struct call call;
    struct far_got got;
    struct rtcp_xr_block block;
    struct rtcp_xr_dlrr dlrr;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    uint64_t sent_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 100000);
    rtcp_xr_write_rrtr(&w, 4242, UINT64_C(0x1122334455667788));
    far_send_rtcp(&call.sub, &w);
    rig_run(call.rig);
    sent_us = call.rig->lane.now_us;
    while (!take_xr(&call.sub, RTCP_XR_DLRR, &block, &got)) {
        assert_true(call.rig->lane.now_us < sent_us + 2000000);
        rig_pass(call.rig, 10000);
    }
    assert_int_equal(rtcp_xr_dlrr_count(&block), 1);
    dlrr = rtcp_xr_dlrr_at(&block, 0);
    assert_int_equal(dlrr.ssrc, 4242);
    assert_int_equal(dlrr.lrr, 0x33445566);
    assert_in_range((uint64_t)dlrr.dlrr * 1000000 >> 16,
                    call.rig->lane.now_us - sent_us - 21000,
                    call.rig->lane.now_us - sent_us);
    rig_pass(call.rig, 3000000);
    assert_false(take_xr(&call.sub, RTCP_XR_DLRR, &block, &got));
    call_stop(&call);
}

/* Of one receiver the last counts; of more than there are places for the oldest goes. */
static void the_last_reference_times_are_answered(void **state)
{
    static const struct {
        uint32_t ssrcs[6];
        unsigned n, answered;
    } runs[] = {{{1, 1, 2}, 3, 6}, {{1, 2, 1, 3, 4, 5}, 6, 0x3c}};
    (void)state;

    for (unsigned k = 0; k < 2; k++) {
        struct call call;
        struct far_got got;
        struct rtcp_xr_block block = {0};
        unsigned seen = 0;

        call_start(&call, "mem", FAR_GCM, 4);
        rig_pass(call.rig, 100000);
        for (unsigned i = 0; i < runs[k].n; i++) {
            struct wbytes w = wbytes_of(scratch, sizeof(scratch));

            rtcp_xr_write_rrtr(&w, runs[k].ssrcs[i], (uint64_t)(100 + i) << 16);
            far_send_rtcp(&call.sub, &w);
            rig_run(call.rig);
            call.rig->lane.now_us += 1000;
        }
        while (!take_xr(&call.sub, RTCP_XR_DLRR, &block, &got)) {
            rig_pass(call.rig, 10000);
        }
        for (size_t i = 0; i < rtcp_xr_dlrr_count(&block); i++) {
            const struct rtcp_xr_dlrr dlrr = rtcp_xr_dlrr_at(&block, i);

            assert_in_range(dlrr.lrr, 100, 100 + runs[k].n - 1);
            assert_int_equal(dlrr.ssrc, runs[k].ssrcs[dlrr.lrr - 100]);
            seen |= 1u << (dlrr.lrr - 100);
        }
        assert_int_equal(seen, runs[k].answered);
        call_stop(&call);
    }
}

/* Each receiver of a peer has a reference time of its own; and the answer comes beside the
 * report of each sender, for libwebrtc looks for it there. */
static void each_receiver_is_answered_by_each_sender(void **state)
{
    struct call call;
    struct far_got got;
    struct rtcp_pkt pkt;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    unsigned n_video = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 100000);
    rtcp_sr_write(&w, &(struct rtcp_sr){.ssrc = CALL_VIDEO_SSRC, .ntp = 1}, NULL, 0);
    far_send_rtcp(&call.pub, &w);
    call_show(&call, true);
    for (uint32_t ssrc = 1; ssrc <= 2; ssrc++) {
        w = wbytes_of(scratch, sizeof(scratch));
        rtcp_xr_write_rrtr(&w, ssrc, UINT64_C(0x1122334455667788));
        far_send_rtcp(&call.sub, &w);
    }
    rig_pass(call.rig, 2000000);
    while (far_take_rtcp(&call.sub, &got)) {
        struct rtcp_xr_iter it;
        struct rtcp_xr_block block;

        if (far_find(&got, RTCP_XR, 0, &pkt) && rtcp_xr_parse(&pkt, &it) == 0 &&
            rtcp_xr_next(&it, &block) == 1 && it.ssrc == CALL_OUT_VIDEO_SSRC) {
            assert_int_equal(rtcp_xr_dlrr_count(&block), 2);
            assert_int_equal(rtcp_xr_dlrr_at(&block, 0).ssrc, 1);
            assert_int_equal(rtcp_xr_dlrr_at(&block, 1).ssrc, 2);
            n_video++;
        }
    }
    assert_int_equal(n_video, 1);
    call_stop(&call);
}

/* ---- no index twice ---- */

/* A publisher whose packets are lost, repeated and reordered, a subscriber that asks for
 * anything, a process that dies: libsrtp2 at the far end takes each index once, so a frame
 * that does not decrypt fails far_take(). */
static void no_index_is_used_twice(void **state)
{
    enum { STEPS = 4000 };
    static struct far_rtp lost[64];
    struct call call;
    struct far_got got;
    uint64_t random = 4711;
    uint16_t rtx_seq = 9000;
    unsigned n_lost = 0;
    unsigned n_media = 0;
    unsigned n_rtx = 0;
    uint16_t last = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < STEPS; i++) {
        struct far_rtp rtp = call_video(&call, i % 50 == 0);
        uint32_t what;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        what = (uint32_t)(random >> 33) % 100;
        if (what < 15) {
            lost[n_lost++ % 64] = rtp;
        } else {
            far_send_rtp(&call.pub, &rtp);
        }
        if (what > 80 && n_lost > 0) { /* also ones that came already */
            send_rtx(&call, &lost[(random >> 20) % (n_lost < 64 ? n_lost : 64)], rtx_seq++);
        }
        if (what == 50 && n_lost > 0) { /* it was only late */
            far_send_rtp(&call.pub, &lost[(n_lost - 1) % 64]);
        }
        if (what % 3 == 0) {
            uint16_t seqs[2] = {(uint16_t)(last - what), last};

            ask(&call, CALL_OUT_VIDEO_SSRC, seqs, 2);
        }
        rig_pass(call.rig, 5000);
        while (far_take_rtp(&call.sub, &got)) {
            n_media += got.hdr.ssrc == CALL_OUT_VIDEO_SSRC;
            n_rtx += got.hdr.ssrc == RTX_OUT_SSRC;
            last = got.hdr.ssrc == CALL_OUT_VIDEO_SSRC ? got.hdr.seq : last;
        }
        while (far_take(&call.pub, &got)) {
        }
        if (i % 500 == 499) {
            struct lane *lane = &call.rig->lane;

            command_close_all(lane);
            recover_lanes(&lane, 1, call.rig->io, &call.rig->shared.vault,
                          call.rig->shared.vault_fd, lane->now_us);
        }
        if (i % 100 == 0) {
            far_send_check(&call.pub, &call.pub.path);
            far_send_check(&call.sub, &call.sub.path);
            call.rig->n_frames = 0; /* all were looked at */
            call.pub.read_at = call.sub.read_at = 0;
        }
    }
    assert_true(n_media > STEPS * 3 / 4);
    assert_true(n_rtx > 100);
    call_stop(&call);
}

/* Audio has no stream for retransmissions: what is asked for comes as it was. */
static void audio_is_asked_for_if_its_sender_offers_it(void **state)
{
    enum { SSRC = 0x0a0a0077, OUT = 0x0b0b0077, INDEX = 5 };
    struct vault_stream_conf conf;
    struct far_rtp lost = {0};
    struct far_got got;
    struct call call;
    uint16_t asked[8];
    uint16_t first;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    conf = far_audio(&call.pub, INDEX, SSRC);
    conf.nack = 1;
    assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_OPEN, &conf), 0);
    (void)far_subscribe(&call.sub, INDEX, &conf, OUT);
    for (unsigned i = 0; i < 4; i++) {
        struct far_rtp rtp = call_audio(&call, "hello", 5);

        if (i == 2) {
            lost = rtp; /* of both */
            lost.ssrc = SSRC;
            continue;
        }
        far_send_rtp(&call.pub, &rtp);
        rtp.ssrc = SSRC;
        far_send_rtp(&call.pub, &rtp);
        rig_run(call.rig);
    }
    assert_true(far_take_rtp(&call.sub, &got));
    while (got.hdr.ssrc != OUT) {
        assert_true(far_take_rtp(&call.sub, &got));
    }
    first = got.hdr.seq;
    rig_pass(call.rig, 2 * RTCP_SWEEP_US);
    assert_int_equal(nacked(&call.pub, SSRC, asked, 8), 1);
    assert_int_equal(asked[0], lost.seq);
    while (far_take_rtp(&call.sub, &got)) {
    }
    far_send_rtp(&call.pub, &lost);
    rig_run(call.rig);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ssrc, OUT);
    assert_int_equal(got.hdr.seq, (uint16_t)(first + 2));
    rig_pass(call.rig, 2000000); /* once mended it is not asked for again */
    assert_int_equal(nacked(&call.pub, SSRC, asked, 8), 0);
    assert_int_equal(call_stream(&call, &conf)->nack.n_asked, 1);
    /* who does not offer it is not asked, and no key frame is wanted of either */
    assert_int_equal(call_stream(&call, &call.audio)->nack.n_asked, 0);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audio_is_asked_for_if_its_sender_offers_it),
        cmocka_unit_test(lost_packet_is_asked_for_restored_and_forwarded_once),
        cmocka_unit_test(what_is_asked_for_in_vain_becomes_a_key_frame),
        cmocka_unit_test(odd_retransmissions_are_dropped),
        cmocka_unit_test(repair_can_be_switched_off),
        cmocka_unit_test(missed_packet_is_sent_again_under_its_own_ssrc),
        cmocka_unit_test(same_number_is_answered_once_a_round_trip),
        cmocka_unit_test(who_never_stops_asking_gets_what_is_missing),
        cmocka_unit_test(numbers_that_were_never_sent_are_ignored_and_counted),
        cmocka_unit_test(endless_nacks_cost_a_share_of_the_rate),
        cmocka_unit_test(huge_lists_are_capped),
        cmocka_unit_test(what_a_full_device_refuses_was_not_sent_again),
        cmocka_unit_test(numbers_before_a_pause_are_found),
        cmocka_unit_test(publisher_answers_our_reference_time),
        cmocka_unit_test(receiver_is_answered_once),
        cmocka_unit_test(the_last_reference_times_are_answered),
        cmocka_unit_test(each_receiver_is_answered_by_each_sender),
        cmocka_unit_test(no_index_is_used_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
