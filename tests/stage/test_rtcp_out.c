/* rtcp_out: what publishers and subscribers are told, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "support/call.h"

static uint8_t scratch[1200];

/* How many PLIs for 'ssrc' the far end has got. */
static unsigned n_plis(struct far *far, uint32_t ssrc)
{
    struct far_got got;
    unsigned n = 0;

    while (far_take_rtcp(far, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_fb fb;

        while (rtcp_next(&it, &pkt) == 1) {
            n +=
                rtcp_is_pli(&pkt) && rtcp_fb_parse(&pkt, &fb) == 0 && fb.media_ssrc == ssrc;
        }
    }
    return n;
}

static void ask(struct far *far, uint32_t ssrc, bool fir)
{
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));

    if (fir) {
        rtcp_fir_write(&w, 9, &(struct rtcp_fir){.ssrc = ssrc, .seq = 1}, 1);
    } else {
        rtcp_pli_write(&w, 9, ssrc);
    }
    far_send_rtcp(far, &w);
}

static void key_frame_requests_are_merged_and_limited(void **state)
{
    struct call call;
    struct stream *stream;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    rig_pass(call.rig, 2000000);
    (void)n_plis(&call.pub, CALL_VIDEO_SSRC);
    stream = call_stream(&call, &call.video);

    for (unsigned i = 0; i < 40; i++) { /* for one second */
        ask(&call.sub, CALL_OUT_VIDEO_SSRC, i % 2 == 1);
        ask(&call.sub, CALL_OUT_AUDIO_SSRC, false);
        ask(&call.sub, 0xdead, true);
        rig_pass(call.rig, 24000);
    }
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 1);
    assert_int_equal(stream->pli_asked, 1 + 40);
    rig_pass(call.rig, 100000); /* nothing came: asked again */
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 1);
    call_show(&call, true);
    rig_pass(call.rig, 5000000);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 0);
    assert_int_equal(n_plis(&call.sub, CALL_OUT_VIDEO_SSRC), 0);
    ask(&call.sub, CALL_OUT_VIDEO_SSRC, false); /* long after the last: at once */
    rig_pass(call.rig, RTCP_SWEEP_US);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 1);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_KEYFRAME, call.video.handle), 0);
    rig_pass(call.rig, 900000);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 0);
    rig_pass(call.rig, 200000);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 1);
    call_stop(&call);
}

/* Lets seconds pass in which both ends consent. */
static void pass_seconds(struct call *call, unsigned n)
{
    while (n-- > 0) {
        far_send_check(&call->pub, &call->pub.path);
        far_send_check(&call->sub, &call->sub.path);
        rig_pass(call->rig, 1000000);
    }
}

/* Its link does not carry it: no key frame would reach it. */
static void who_is_held_back_waits_for_no_key_frame(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_sub(&call, &call.to_video)->held = true;
    for (unsigned i = 0; i < 10; i++) {
        call_show(&call, true);
        pass_seconds(&call, 1);
        (void)n_plis(&call.pub, CALL_VIDEO_SSRC);
    }
    assert_int_equal(call_stream(&call, &call.video)->pli_sent, 0);
    call_stop(&call);
}

static void a_request_that_nobody_waits_for_is_given_up(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig,
             3000000); /* the subscription's own wish waits for the first packet */
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 0);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, call.to_video.handle), 0);
    call_show(&call, false);
    pass_seconds(&call, 60);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 5);
    assert_int_equal(call_stream(&call, &call.video)->pli_sent, 5);
    call_stop(&call);
}

static void who_waits_for_a_key_frame_asks_until_it_comes(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, false);
    pass_seconds(&call, 20);
    assert_in_range(n_plis(&call.pub, CALL_VIDEO_SSRC), 19, 21);
    call_show(&call, true);
    pass_seconds(&call, 10);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 0);
    call_stop(&call);
}

/* The subscription came before its peer's handshake: its key frame is asked for when it can
 * be sent, and the media begins there. */
static void video_is_asked_for_when_its_subscriber_has_keys(void **state)
{
    struct call call;
    struct far late;
    struct vault_peer_conf keys;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    pass_seconds(&call, 3);
    (void)n_plis(&call.pub, CALL_VIDEO_SSRC);
    far_open(&late, call.rig, 3, FAR_GCM, 4);
    keys = late.conf;
    assert_int_equal(rig_command(call.rig, ABI_OP_PEER_CLOSE, late.conf.handle), 0);
    late.conf.profile = FAR_NO_KEYS;
    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_OPEN, &late.conf), 0);
    (void)far_subscribe(&late, 5, &call.video, 0x5555);
    call_show(&call, true); /* before it can be sent to */
    pass_seconds(&call, 5);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 0);

    assert_int_equal(rig_peer(call.rig, ABI_OP_PEER_UPDATE, &keys), 0);
    rig_pass(call.rig, RTCP_SWEEP_US);
    assert_int_equal(n_plis(&call.pub, CALL_VIDEO_SSRC), 1);
    call_show(&call, false);
    assert_false(far_take_rtp(&late, &got));
    call_show(&call, true);
    assert_true(far_take_rtp(&late, &got));
    assert_memory_equal(got.payload, far_vp8_key, sizeof(far_vp8_key));
    far_end(&late);
    call_stop(&call);
}

/* Finds the report block for 'ssrc' in the reports sent to 'far'; counts reports. */
static bool find_block(struct far *far, uint32_t ssrc, struct rtcp_block *out,
                       unsigned *n_reports)
{
    struct far_got got;
    bool found = false;

    *n_reports = 0;
    while (far_take_rtcp(far, &got)) {
        struct rtcp_pkt pkt;
        struct rtcp_rr rr;

        if (!far_find(&got, RTCP_RR, -1, &pkt)) {
            continue;
        }
        assert_int_equal(rtcp_rr_parse(&pkt, &rr), 0);
        assert_int_equal(rr.ssrc, RTCP_OUR_SSRC);
        (*n_reports)++;
        for (uint8_t i = 0; i < rr.n_blocks; i++) {
            struct rtcp_block block = rtcp_block_at(rr.blocks, i);

            if (block.ssrc == ssrc) {
                *out = block;
                found = true;
            }
        }
    }
    return found;
}

static void publishers_learn_how_they_arrive(void **state)
{
    const struct rtcp_sr sr = {.ssrc = CALL_AUDIO_SSRC,
                               .ntp = UINT64_C(0xaabbccddeeff0011)};
    struct call call;
    struct rtcp_block block;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    unsigned n;
    uint64_t sr_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 1500000);
    assert_false(find_block(&call.pub, CALL_AUDIO_SSRC, &block, &n));
    assert_int_equal(n, 0); /* nothing to say yet */
    rtcp_sr_write(&w, &sr, NULL, 0);
    far_send_rtcp(&call.pub, &w); /* before its stream: no anchor */
    call_say(&call);
    far_send_rtcp(&call.pub, &w);
    rig_run(call.rig);
    sr_us = call.rig->lane.now_us;
    for (unsigned i = 0; i < 50; i++) {
        if (i % 5 == 4) {
            call.audio_seq++; /* lost */
            call.audio_ts += 960;
        }
        rig_pass(call.rig, 20000);
        call_say(&call);
    }
    rig_pass(call.rig, 1000000);
    assert_true(find_block(&call.pub, CALL_AUDIO_SSRC, &block, &n));
    assert_in_range(n, 1, 3);
    assert_int_equal(block.ext_highest_seq, call.audio_seq);
    assert_int_equal(block.lost, 10);
    assert_int_equal(block.lsr, 0xccddeeff);
    assert_in_range((uint64_t)block.dlsr * 1000000 >> 16, 1, call.rig->lane.now_us - sr_us);
    rig_pass(call.rig, 1000000);
    assert_true(find_block(&call.pub, CALL_AUDIO_SSRC, &block, &n));
    assert_int_equal(n, 1);
    assert_int_equal(block.fraction_lost, 0); /* nothing since the report before */
    call_stop(&call);
}

/* The publisher's clock carried on, and counts of what was sent under the new SSRC. */
static void subscribers_get_sender_reports_with_the_publishers_clock(void **state)
{
    const struct rtcp_sr anchor = {
        .ssrc = CALL_AUDIO_SSRC, .ntp = UINT64_C(0x100000000), .rtp_ts = 1000000};
    struct call call;
    struct far_got got;
    struct rtcp_pkt pkt;
    struct rtcp_sr sr;
    struct rtcp_sdes sdes;
    struct rtcp_sdes_iter it;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    uint64_t anchor_us;
    uint64_t since_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rig_pass(call.rig, 1200000);
    call_say(&call);
    rig_pass(call.rig, 1200000);
    while (far_take_rtcp(&call.sub, &got)) {
        assert_false(far_find(&got, RTCP_SR, -1, &pkt)); /* no anchor yet */
    }
    rtcp_sr_write(&w, &anchor, NULL, 0);
    far_send_rtcp(&call.pub, &w);
    rig_run(call.rig);
    anchor_us = call.rig->lane.now_us;
    do {
        rig_pass(call.rig, 10000);
    } while (!far_take_rtcp(&call.sub, &got));
    since_us = call.rig->lane.now_us - anchor_us;

    assert_true(far_find(&got, RTCP_SR, -1, &pkt));
    assert_int_equal(rtcp_sr_parse(&pkt, &sr), 0);
    assert_int_equal(sr.ssrc, CALL_OUT_AUDIO_SSRC);
    assert_int_equal(sr.n_packets, 1);
    assert_int_equal(sr.n_bytes, 5);
    assert_int_equal(sr.ntp, anchor.ntp + ((since_us / 1000000) << 32 |
                                           ((since_us % 1000000) << 32) / 1000000));
    assert_int_equal(sr.rtp_ts, 1000000 + since_us * 48 / 1000);
    assert_true(far_find(&got, RTCP_SDES, -1, &pkt));
    it = rtcp_sdes_iter_of(&pkt);
    assert_int_equal(rtcp_sdes_next(&it, &sdes), 1);
    assert_int_equal(sdes.ssrc, CALL_OUT_AUDIO_SSRC);
    assert_int_equal(sdes.cname_len, call.to_audio.cname_len);
    assert_memory_equal(sdes.cname, call.to_audio.cname, sdes.cname_len);
    rig_pass(call.rig, 3000000);
    assert_false(far_take_rtcp(&call.sub, &got)); /* nothing was sent since */
    call_say(&call);
    rig_pass(call.rig, 1100000);
    assert_true(far_take_rtcp(&call.sub, &got));
    call_stop(&call);
}

/* More reports than a burst holds: each once a round, the receiver report too. */
static void many_subscriptions_are_all_reported_once_a_second_in_few_packets(void **state)
{
    enum { N = 100 };
    const struct rtcp_sr anchor = {.ssrc = CALL_AUDIO_SSRC, .ntp = 1};
    struct call call;
    struct far_got got;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    unsigned n_sr = 0, n_packets = 0;
    bool told[N + 1] = {false};
    unsigned n_rr = 0;
    const struct far_rtp own = {.ssrc = 0x99, .seq = 1, .pt = FAR_AUDIO_PT};
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    (void)far_publish_audio(&call.sub, 5, 0x99);
    for (uint32_t i = 0; i < N; i++) {
        (void)far_subscribe(&call.sub, 10 + i, &call.audio, 0x9000 + i);
    }
    call_say(&call);
    far_send_rtp(&call.sub, &own);
    rtcp_sr_write(&w, &anchor, NULL, 0);
    far_send_rtcp(&call.pub, &w);
    rig_pass(call.rig, 1000000);
    while (far_take_rtcp(&call.sub, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_sr sr;

        n_packets++;
        while (rtcp_next(&it, &pkt) == 1) {
            n_rr += pkt.pt == RTCP_RR;
            if (pkt.pt == RTCP_SR && rtcp_sr_parse(&pkt, &sr) == 0) {
                const uint32_t i = sr.ssrc == CALL_OUT_AUDIO_SSRC ? N : sr.ssrc - 0x9000;

                assert_true(i <= N && !told[i]);
                told[i] = true;
                n_sr++;
            }
        }
    }
    assert_int_equal(n_sr, N + 1);
    assert_in_range(n_packets, 2, 10);
    assert_int_equal(n_rr, 1);
    call_stop(&call);
}

/* One report has 31 blocks at most: the others are in a second one of the same compound. */
static void all_streams_of_a_publisher_are_reported_at_once(void **state)
{
    struct call call;
    struct far many;
    struct far_got got;
    uint32_t reported = 0;
    unsigned n_compounds = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    far_open(&many, call.rig, 3, FAR_GCM, 4);
    for (uint32_t i = 0; i < PEER_SSRCS; i++) {
        const struct far_rtp rtp = {.ssrc = 0x9000 + i, .seq = 1, .pt = FAR_AUDIO_PT};

        (void)far_publish_audio(&many, 2 + i, rtp.ssrc);
        far_send_rtp(&many, &rtp);
    }
    rig_pass(call.rig, 1000000);
    while (far_take_rtcp(&many, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_rr rr;

        n_compounds += far_find(&got, RTCP_RR, -1, &pkt);
        while (rtcp_next(&it, &pkt) == 1) {
            if (pkt.pt != RTCP_RR || rtcp_rr_parse(&pkt, &rr) != 0) {
                continue;
            }
            for (uint8_t i = 0; i < rr.n_blocks; i++) {
                reported |= UINT32_C(1) << (rtcp_block_at(rr.blocks, i).ssrc - 0x9000);
            }
        }
    }
    assert_int_equal(n_compounds, 1);
    assert_int_equal(reported, UINT32_MAX);
    far_end(&many);
    call_stop(&call);
}

/* Sends an audio packet with this transport-wide number. */
static void send_numbered(struct call *call, uint16_t number)
{
    const uint8_t ext[4] = {FAR_EXT_TWCC << 4 | 1, (uint8_t)(number >> 8), (uint8_t)number};
    struct far_rtp rtp = call_audio(call, "hello", 5);

    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_ONE_BYTE;
    far_send_rtp(&call->pub, &rtp);
    rig_run(call->rig);
}

/* Marks in 'seen' what the feedback to the publisher says has come, and when (in 250 us).
 */
static void read_feedback(struct call *call, uint64_t *seen, uint64_t *at_ticks)
{
    struct far_got got;

    while (far_take_rtcp(&call->pub, &got)) {
        struct rtcp_pkt pkt;
        struct rtcp_fb fb;
        struct twcc_fb report;
        struct twcc_arrival arrival;
        uint64_t ticks;

        if (!far_find(&got, RTCP_RTPFB, RTCP_RTPFB_TWCC, &pkt)) {
            continue;
        }
        assert_int_equal(rtcp_fb_parse(&pkt, &fb), 0);
        assert_true(fb.media_ssrc == CALL_AUDIO_SSRC || fb.media_ssrc == CALL_VIDEO_SSRC);
        assert_int_equal(twcc_fb_parse(&fb, &report), 0);
        ticks = (uint64_t)report.ref_time * TWCC_REF_TICKS;
        while (twcc_fb_next(&report, &arrival)) {
            ticks += (uint64_t)(int64_t)arrival.delta_ticks;
            *seen |= UINT64_C(1) << (uint16_t)(arrival.seq - 65520);
            at_ticks[(uint16_t)(arrival.seq - 65520)] = ticks;
        }
    }
}

static void transport_feedback_tells_what_arrived(void **state)
{
    struct call call;
    uint64_t expected = 0;
    uint64_t seen = 0;
    uint64_t sent_ticks[64] = {0}, at_ticks[64] = {0};
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 60; i++) { /* across the wrap of the numbers */
        rig_pass(call.rig, 7000);
        if (i % 7 == 3) {
            continue; /* lost */
        }
        send_numbered(&call, (uint16_t)(65520 + i));
        expected |= UINT64_C(1) << i;
        sent_ticks[i] = call.rig->lane.now_us / TWCC_TICK_US;
    }
    rig_pass(call.rig, 300000);
    read_feedback(&call, &seen, at_ticks);
    assert_int_equal(seen, expected);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(at_ticks[i] & 0xffffff, sent_ticks[i] & 0xffffff);
    }
    /* the first after 50 ms, then each 250 ms at most: little comes */
    assert_true(call.rig->lane.counts.rtcp_out >= 3);
    rig_pass(call.rig, 1000000);
    seen = 0;
    read_feedback(&call, &seen, at_ticks);
    assert_int_equal(seen, 0); /* nothing new, nothing said */
    call_stop(&call);
}

enum { EXT_TIME = 13, TIMED_SSRC = 0x0d0d0007 };

/* Sends a second of 100 packets of 1000 bytes with their send times; each later one is
 * 'slower_us' longer under way. Returns the least that a REMB allowed; UINT32_MAX if there
 * was none; 'n' counts them. */
static uint32_t allowed(struct call *call, struct far *far, uint16_t *seq, bool numbered,
                        uint64_t slower_us, unsigned *n)
{
    static const uint8_t payload[1000];
    uint32_t least = UINT32_MAX;
    struct far_got got;
    struct rtcp_pkt pkt;
    struct rtcp_fb fb;
    struct rtcp_remb remb = {.n_ssrcs = 0};

    for (uint32_t i = 0; i < 100; i++) {
        const uint64_t sent_us = call->rig->lane.now_us - i * slower_us;
        uint8_t ext[8] = {EXT_TIME << 4 | 2, 0, 0, 0, FAR_EXT_TWCC << 4 | 1, 0, 0, 0};
        struct far_rtp rtp = {.ssrc = TIMED_SSRC,
                              .pt = FAR_AUDIO_PT,
                              .seq = ++*seq,
                              .payload = payload,
                              .len = sizeof(payload),
                              .ext = ext,
                              .ext_len = numbered ? 8 : 4,
                              .ext_profile = RTP_EXT_ONE_BYTE};

        rtp_ext_store_abs_send_time(ext + 1, sent_us);
        store_be16(ext + 5, *seq);
        far_send_rtp(far, &rtp);
        rig_pass(call->rig, 10000);
    }
    while (far_take_rtcp(far, &got)) {
        if (!far_find(&got, RTCP_PSFB, RTCP_PSFB_AFB, &pkt)) {
            continue;
        }
        assert_int_equal(rtcp_fb_parse(&pkt, &fb), 0);
        assert_int_equal(rtcp_remb_parse(&fb, &remb), 0);
        assert_int_equal(remb.n_ssrcs, 1);
        assert_int_equal(load_be32(remb.ssrcs), TIMED_SSRC);
        least = remb.rate_bps < least ? (uint32_t)remb.rate_bps : least;
        (*n)++;
    }
    return least;
}

/* A publisher that tells only when it sent is told what arrives well; one that numbers its
 * packets estimates by itself; one that does not know REMB gets none. */
static void publishers_without_numbers_get_remb(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        struct call call;
        struct far far;
        struct vault_stream_conf conf;
        uint16_t seq = 0;
        unsigned n = 0;
        uint32_t bps = 0;

        call_start(&call, "mem", FAR_GCM, 4);
        far_open(&far, call.rig, 3, FAR_GCM, 4);
        conf = far_audio(&far, 4, TIMED_SSRC);
        conf.ext_id[EXT_ABS_SEND_TIME] = EXT_TIME;
        conf.ext_id[EXT_TRANSPORT_CC] = i == 1 ? FAR_EXT_TWCC : 0;
        conf.remb = i != 2;
        assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_OPEN, &conf), 0);
        for (unsigned s = 0; s < 5; s++) {
            bps = allowed(&call, &far, &seq, i == 1, 0, &n);
        }
        if (i == 0) {
            assert_in_range(n, 3, 6);
            assert_in_range(bps, 1000000, 2000000); /* 0.8 Mb/s come; no queue was seen */
            assert_int_equal(call_peer(&call, &far)->rest->rembs, n);
            bps = allowed(&call, &far, &seq, false, 3000, &n); /* one grows by 300 ms */
            assert_in_range(bps, 400000, 800000);
        } else {
            assert_int_equal(n, 0);
            assert_int_equal(bps, UINT32_MAX);
        }
        far_end(&far);
        call_stop(&call);
    }
}

static void peers_without_keys_or_path_are_told_nothing(void **state)
{
    struct rig *rig = rig_start("mem");
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_NO_KEYS, 4);
    (void)far_publish_video(&far, 0, 5);
    rig_pass(rig, 40000000);
    assert_int_equal(rig->n_frames, 0);
    assert_int_equal(rig->lane.n_news, 0);
    far_end(&far);
    rig_stop(rig);
}

static void an_empty_pool_costs_reports_only(void **state)
{
    static struct pkt *held[RIG_BUFFERS];
    struct call call;
    struct rtcp_block block;
    uint32_t n_held;
    unsigned n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    n_held = rig_exhaust(call.rig, 0, held);
    rig_pass(call.rig, 2000000);
    assert_true(call.rig->lane.counts.drops_out[DROP_NO_BUFFER] >= 1);
    rig_release(call.rig, held, n_held);
    rig_pass(call.rig, 2000000);
    assert_true(find_block(&call.pub, CALL_AUDIO_SSRC, &block, &n));
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_frame_requests_are_merged_and_limited),
        cmocka_unit_test(who_is_held_back_waits_for_no_key_frame),
        cmocka_unit_test(a_request_that_nobody_waits_for_is_given_up),
        cmocka_unit_test(who_waits_for_a_key_frame_asks_until_it_comes),
        cmocka_unit_test(video_is_asked_for_when_its_subscriber_has_keys),
        cmocka_unit_test(publishers_learn_how_they_arrive),
        cmocka_unit_test(subscribers_get_sender_reports_with_the_publishers_clock),
        cmocka_unit_test(many_subscriptions_are_all_reported_once_a_second_in_few_packets),
        cmocka_unit_test(all_streams_of_a_publisher_are_reported_at_once),
        cmocka_unit_test(transport_feedback_tells_what_arrived),
        cmocka_unit_test(publishers_without_numbers_get_remb),
        cmocka_unit_test(peers_without_keys_or_path_are_told_nothing),
        cmocka_unit_test(an_empty_pool_costs_reports_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
