/* ingest: what reaches a ring, in which form, and what is noted of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"

static const struct ring_slot *last(const struct call *call,
                                    const struct vault_stream_conf *conf)
{
    const struct stream *stream = call_stream(call, conf);
    const struct ring_slot *slot =
        stream_ring_at(&stream->ring, stream_ring_head(&stream->ring) - 1);

    assert_non_null(slot);
    return slot;
}

static void send(struct call *call, const struct far_rtp *rtp)
{
    far_send_rtp(&call->pub, rtp);
    rig_run(call->rig);
}

static void padding_is_taken_off_and_padding_only_dropped(void **state)
{
    struct call call;
    struct far_rtp rtp;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "voice", 5);
    rtp.padding = 7;
    send(&call, &rtp);
    assert_int_equal(last(&call, &call.audio)->len, 5);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_false(got.hdr.has_padding);
    assert_int_equal(got.payload_len, 5);

    rtp = call_audio(&call, "", 0);
    rtp.padding = 255;
    send(&call, &rtp);
    assert_int_equal(rig_dropped(call.rig, DROP_PADDING), 1);
    assert_int_equal(rig_done(call.rig, DONE_INGESTED), 1);
    assert_int_equal(call_stream(&call, &call.audio)->stat.n_received, 2);
    call_stop(&call);
}

/* The padding bit set, the count of padding bytes 0 or more than there is. */
static void impossible_padding_is_malformed(void **state)
{
    const uint8_t counts[] = {0, 6, 255};
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (size_t i = 0; i < sizeof(counts); i++) {
        struct far_rtp rtp = call_audio(&call, "abcd", 4);
        uint8_t buf[PKT_ROOM] = {0xa0, FAR_AUDIO_PT};
        int len = 17;

        store_be16(buf + 2, rtp.seq);
        store_be32(buf + 8, rtp.ssrc);
        buf[16] = counts[i];
        assert_int_equal(srtp_protect(call.pub.out, buf, &len), srtp_err_status_ok);
        rig_inject(call.rig, &call.pub.path, buf, (size_t)len);
    }
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_RTP_MALFORMED), sizeof(counts));
    call_stop(&call);
}

static void payload_types_that_were_not_negotiated_are_dropped(void **state)
{
    struct call call;
    struct far_rtp rtp;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "x", 1);
    rtp.pt = FAR_VIDEO_PT;
    send(&call, &rtp);
    rtp = call_video(&call, true);
    rtp.pt = FAR_RTX_PT; /* of the repair's SSRC only */
    send(&call, &rtp);
    assert_int_equal(rig_dropped(call.rig, DROP_PAYLOAD_TYPE), 2);
    call_stop(&call);
}

static void repairs_are_counted_apart(void **state)
{
    struct call call;
    const struct far_rtp rtp = {
        .ssrc = CALL_RTX_SSRC, .seq = 1, .pt = FAR_RTX_PT, .payload = "OSN", .len = 3};
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    send(&call, &rtp);
    assert_int_equal(rig_dropped(call.rig, DROP_RTX), 1);
    assert_int_equal(call_stream(&call, &call.video)->stat.n_received, 0);
    assert_false(call_stream(&call, &call.video)->bound);
    call_stop(&call);
}

static void a_paused_producer_is_not_heard_but_counted(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.audio.paused = 1;
    assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.audio), 0);
    call_say(&call);
    assert_int_equal(rig_dropped(call.rig, DROP_PAUSED), 1);
    assert_false(far_take_rtp(&call.sub, &got));
    assert_int_equal(call_stream(&call, &call.audio)->stat.n_received, 1);
    call.audio.paused = 0;
    assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.audio), 0);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    call_stop(&call);
}

/* The number of the one packet that the subscriber was sent. */
static uint16_t number(struct call *call)
{
    struct far_got got;
    uint16_t seq;

    assert_true(far_take_rtp(&call->sub, &got));
    seq = got.hdr.seq;
    assert_false(far_take_rtp(&call->sub, &got));
    return seq;
}

/* Who is muted may send on: nothing of it is missing to the subscribers. */
static void who_was_muted_goes_on_without_a_gap(void **state)
{
    struct call call;
    struct far_rtp late;
    struct far_got got;
    uint16_t audio, video;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    audio = number(&call);
    call_show(&call, true);
    video = number(&call);
    for (unsigned round = 1; round <= 3; round++) {
        call.audio.paused = call.video.paused = 1;
        assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.audio), 0);
        assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.video), 0);
        late = call_audio(&call, "x", 1);
        for (unsigned i = 0; i < 10; i++) {
            call_say(&call);
            call_show(&call, i == 5);
        }
        assert_false(far_take_rtp(&call.sub, &got));

        call.audio.paused = call.video.paused = 0;
        assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.audio), 0);
        assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.video), 0);
        call_say(&call);
        assert_int_equal(number(&call), (uint16_t)(audio + round));
        send(&call, &late); /* its number was given to another */
        assert_false(far_take_rtp(&call.sub, &got));
        call_show(&call, false); /* what it builds on was not sent */
        assert_false(far_take_rtp(&call.sub, &got));
        call_show(&call, true);
        assert_int_equal(number(&call), (uint16_t)(video + 2 * round - 1));
        call_show(&call, false);
        assert_int_equal(number(&call), (uint16_t)(video + 2 * round));
    }
    call_stop(&call);
}

/* How many key frames the publisher was asked for. */
static unsigned asked(struct call *call)
{
    struct far_got got;
    struct rtcp_pkt part;
    unsigned n = 0;

    while (far_take_rtcp(&call->pub, &got)) {
        n += far_find(&got, RTCP_PSFB, RTCP_PSFB_PLI, &part);
    }
    return n;
}

static void set_paused(struct call *call, bool paused)
{
    call->video.paused = paused;
    assert_int_equal(rig_stream(call->rig, ABI_OP_STREAM_UPDATE, &call->video), 0);
}

/* Each half a second somebody who sends on mutes or unmutes, so that the time at which the
 * limit allows to ask is one at which nobody would see the answer. It comes after 50 ms. */
static void who_mutes_and_unmutes_all_the_time_is_seen(void **state)
{
    enum { STEP_MS = 10, ANSWER_MS = 50, ON_MS = 400, HALF_MS = 500, ROUNDS = 6 };
    struct call call;
    uint64_t key_at_ms = UINT64_MAX;
    unsigned seen = 0, n_asked = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    call.rig->lane.now_us += 2000000;
    rig_run(call.rig);
    (void)asked(&call);
    keyframe_on_request(&call_stream(&call, &call.video)->keyframe, call.rig->lane.now_us);
    for (uint64_t ms = 0; ms < ON_MS + 2 * HALF_MS * ROUNDS; ms += STEP_MS) {
        const uint64_t in_turn = (ms + 2 * HALF_MS - ON_MS) % (2 * HALF_MS);
        struct far_got got;
        unsigned more;

        if (ms > ANSWER_MS && (in_turn == 0 || in_turn == HALF_MS)) {
            set_paused(&call, in_turn == HALF_MS);
        } else if (ms == 2 * (uint64_t)ANSWER_MS) {
            set_paused(&call, true);
        }
        call_show(&call, ms == key_at_ms);
        while (far_take_rtp(&call.sub, &got)) {
            seen += ms > ON_MS;
        }
        more = asked(&call);
        n_asked += more;
        key_at_ms = more > 0 ? ms + ANSWER_MS : key_at_ms;
        call.rig->lane.now_us += STEP_MS * 1000;
    }
    assert_true(n_asked <= ROUNDS + 1); /* and not more than before */
    /* all but the first time, as the limit did not allow that */
    assert_true(seen >= (ROUNDS - 1) * (HALF_MS - 2 * ANSWER_MS) / STEP_MS);
    call_stop(&call);
}

/* Who sends nothing meanwhile goes on where it was; nobody has missed anything. */
static void who_was_silent_while_muted_is_asked_for_no_key_frame(void **state)
{
    struct call call;
    uint16_t before;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    before = number(&call);
    call.rig->lane.now_us += 2000000;
    rig_run(call.rig);
    (void)asked(&call);
    set_paused(&call, true);
    call.rig->lane.now_us += 2000000;
    rig_run(call.rig);
    set_paused(&call, false);
    call_show(&call, false);
    assert_int_equal(number(&call), (uint16_t)(before + 1));
    call.rig->lane.now_us += 2000000;
    rig_run(call.rig);
    assert_int_equal(asked(&call), 0);
    call_stop(&call);
}

/* One who does not answer is asked for as long as it is kept back. */
static void a_key_frame_is_asked_for_until_it_comes(void **state)
{
    struct call call;
    unsigned n = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    set_paused(&call, true);
    call_show(&call, false);
    set_paused(&call, false);
    (void)asked(&call);
    for (unsigned i = 0; i < 100; i++) {
        call_show(&call, false);
        call.rig->lane.now_us += 100000;
        n += asked(&call);
    }
    assert_in_range(n, 9, 11);
    call_stop(&call);
}

/* The publisher's ids become ours; ours of no negotiated meaning, MID and transport-wide
 * numbers stay behind. */
static void extensions_are_translated(void **state)
{
    const uint8_t ext[] = {FAR_EXT_MID << 4 | 0,
                           '0',
                           FAR_EXT_TWCC << 4 | 1,
                           1,
                           2,
                           FAR_EXT_LEVEL << 4 | 0,
                           0xb7,
                           FAR_EXT_DEPENDENCY << 4 | 2,
                           7,
                           8,
                           9,
                           6 << 4 | 0,
                           5,
                           0,
                           0,
                           0};
    struct call call;
    struct far_rtp rtp;
    struct far_got got;
    uint8_t len;
    const uint8_t *data;
    (void)state;

    assert_int_equal(sizeof(ext) % 4, 0);
    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "x", 1);
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_ONE_BYTE;
    send(&call, &rtp);
    assert_int_equal(last(&call, &call.audio)->ext_mask,
                     1 << EXT_AUDIO_LEVEL | 1 << EXT_DEPENDENCY);
    assert_int_equal(last(&call, &call.audio)->audio_level, 0x37);
    assert_int_equal(last(&call, &call.audio)->ext_len, 6);

    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ext_profile, RTP_EXT_ONE_BYTE);
    data = far_ext(&got, EXT_AUDIO_LEVEL, &len);
    assert_non_null(data);
    assert_int_equal(len, 1);
    assert_int_equal(data[0], 0xb7);
    data = far_ext(&got, EXT_DEPENDENCY, &len);
    assert_non_null(data);
    assert_int_equal(len, 3);
    assert_memory_equal(data, "\x07\x08\x09", 3);
    data = far_ext(&got, EXT_MID, &len);
    assert_non_null(data);
    assert_memory_equal(data, call.to_audio.mid, call.to_audio.mid_len);
    call_stop(&call);
}

/* 20 bytes do not fit a one-byte element: the packet goes out in the two-byte form, the
 * router's own elements too. */
static void a_long_element_goes_out_in_two_byte_form(void **state)
{
    uint8_t ext[28] = {FAR_EXT_DEPENDENCY, 20, [22] = FAR_EXT_LEVEL, 1, 0x12};
    struct call call;
    struct far_rtp rtp;
    struct far_got got;
    uint8_t len;
    const uint8_t *data;
    (void)state;

    memset(ext + 2, 0x5a, 20);
    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "x", 1);
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_TWO_BYTE;
    send(&call, &rtp);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ext_profile, RTP_EXT_TWO_BYTE);
    data = far_ext(&got, EXT_DEPENDENCY, &len);
    assert_non_null(data);
    assert_int_equal(len, 20);
    assert_memory_equal(data, ext + 2, 20);
    data = far_ext(&got, EXT_AUDIO_LEVEL, &len);
    assert_true(data != NULL && len == 1 && data[0] == 0x12);
    data = far_ext(&got, EXT_MID, &len);
    assert_true(data != NULL && len == call.to_audio.mid_len);
    assert_memory_equal(data, call.to_audio.mid, len);
    data = far_ext(&got, EXT_ABS_SEND_TIME, &len);
    assert_true(data != NULL && len == 3);
    data = far_ext(&got, EXT_TRANSPORT_CC, &len);
    assert_true(data != NULL && len == 2);
    assert_memory_equal(got.payload, "x", 1);
    call_stop(&call);
}

/* Two-byte elements that fit the one-byte form are shortened to it. */
static void short_two_byte_elements_become_one_byte_ones(void **state)
{
    const uint8_t ext[] = {FAR_EXT_LEVEL, 1, 0x33, 200, 3, 1, 2, 3};
    struct call call;
    struct far_rtp rtp;
    struct far_got got;
    uint8_t len;
    const uint8_t *data;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "x", 1);
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_TWO_BYTE | 5; /* appbits mean nothing */
    send(&call, &rtp);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ext_profile, RTP_EXT_ONE_BYTE);
    data = far_ext(&got, EXT_AUDIO_LEVEL, &len);
    assert_true(data != NULL && len == 1 && data[0] == 0x33);
    call_stop(&call);
}

/* More bytes of extensions than a slot keeps, repeated elements, broken blocks: the media
 * goes on. */
static void odd_extension_blocks_do_no_harm(void **state)
{
    struct call call;
    struct far_got got;
    uint8_t ext[1024];
    uint8_t len;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 4; i++) {
        struct far_rtp rtp = call_audio(&call, "odd", 3);

        memset(ext, 0, sizeof(ext));
        rtp.ext = ext;
        rtp.ext_profile = RTP_EXT_TWO_BYTE;
        if (i == 0) { /* 255 bytes of one element, then a small one */
            ext[0] = FAR_EXT_DEPENDENCY;
            ext[1] = 255;
            ext[257] = FAR_EXT_LEVEL;
            ext[258] = 1;
            rtp.ext_len = 260;
        } else if (i == 1) { /* one element a hundred times */
            for (unsigned k = 0; k < 100; k++) {
                ext[3 * k] = FAR_EXT_LEVEL;
                ext[3 * k + 1] = 1;
            }
            rtp.ext_len = 300;
        } else if (i == 2) { /* runs past the block */
            ext[0] = FAR_EXT_LEVEL;
            ext[1] = 9;
            rtp.ext_len = 4;
        } else { /* no RFC 8285 */
            rtp.ext_profile = 0x1234;
            rtp.ext_len = 8;
        }
        send(&call, &rtp);
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.payload_len, 3);
        assert_int_equal(far_ext(&got, EXT_AUDIO_LEVEL, &len) != NULL, i < 2);
    }
    call_stop(&call);
}

static void only_the_first_packet_of_a_key_frame_is_marked(void **state)
{
    const uint8_t sps[] = {0x67, 1, 2, 3}, idr[] = {0x65, 1, 2, 3}, slice[] = {0x41, 1, 2};
    struct call call;
    struct vault_stream_conf h264;
    struct far_rtp rtp = {.ssrc = 0x264, .pt = FAR_VIDEO_PT, .ts = 90000};
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, false);
    assert_int_equal(last(&call, &call.video)->flags & RING_SLOT_KEYFRAME, 0);
    call_show(&call, true);
    assert_int_equal(last(&call, &call.video)->flags & RING_SLOT_KEYFRAME,
                     RING_SLOT_KEYFRAME);
    assert_int_equal(last(&call, &call.video)->flags & RING_SLOT_MARKER, RING_SLOT_MARKER);
    call_say(&call);
    assert_int_equal(last(&call, &call.audio)->flags, 0);

    h264 = far_video(&call.pub, 5, 0x264);
    h264.codec = ABI_CODEC_H264;
    assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_OPEN, &h264), 0);
    for (unsigned i = 0; i < 3; i++) {
        rtp.seq++;
        rtp.payload = i == 0 ? sps : i == 1 ? idr : slice;
        rtp.len = i == 2 ? 3 : 4;
        rtp.ts += i == 2 ? 3000 : 0;
        send(&call, &rtp);
        assert_int_equal(last(&call, &h264)->flags & RING_SLOT_KEYFRAME,
                         i == 0 ? RING_SLOT_KEYFRAME : 0);
    }
    assert_int_equal(call_stream(&call, &h264)->keyframes, 1);
    call_stop(&call);
}

/* A call in which somebody sends AV1, too. */
static struct stream *start_av1(struct call *call, struct vault_stream_conf *conf)
{
    call_start(call, "mem", FAR_GCM, 4);
    *conf = far_video(&call->pub, 5, 0x0c0c0001);
    conf->codec = ABI_CODEC_AV1;
    assert_int_equal(rig_stream(call->rig, ABI_OP_STREAM_OPEN, conf), 0);
    return call_stream(call, conf);
}

/* A packet of 'conf', an AV1 stream, with this dependency descriptor. */
static void show_av1(struct call *call, const struct vault_stream_conf *conf, uint16_t seq,
                     const uint8_t *dd, uint8_t len)
{
    uint8_t ext[12] = {(uint8_t)(FAR_EXT_DEPENDENCY << 4 | (len - 1))};
    const struct far_rtp rtp = {.payload = "\x10\x30\x00",
                                .len = 3,
                                .ext = ext,
                                .ext_len = (size_t)(len + 4) / 4 * 4,
                                .ext_profile = 0xbede,
                                .ssrc = conf->ssrc,
                                .seq = seq,
                                .pt = conf->pt};

    memcpy(ext + 1, dd, len);
    send(call, &rtp);
}

/* A sender that stops a layer says so in its next frame: it is not waited for until its
 * packets are missed. */
static void layers_that_the_sender_stops_do_not_come(void **state)
{
    /* two spatial layers, each a target */
    static const uint8_t key[] = {0xc0, 0x00, 0x01, 0x80, 0x01, 0xba, 0x20};
    static const uint8_t upper[] = {0xc1, 0x00, 0x02};
    static const uint8_t without[] = {0xc0, 0x00, 0x03, 0x42};
    static const uint8_t with[] = {0xc0, 0x00, 0x04, 0x46};
    struct vault_stream_conf conf;
    struct stream *stream;
    struct call call;
    (void)state;

    stream = start_av1(&call, &conf);
    show_av1(&call, &conf, 1, key, sizeof(key));
    show_av1(&call, &conf, 2, upper, sizeof(upper));
    assert_int_equal(atomic_load(&stream->spatial_us[1]), call.rig->lane.now_us);
    show_av1(&call, &conf, 3, without, sizeof(without));
    assert_int_equal(atomic_load(&stream->spatial_us[1]), 0);
    assert_int_equal(atomic_load(&stream->spatial_us[0]), call.rig->lane.now_us);
    show_av1(&call, &conf, 4, with, sizeof(with));
    show_av1(&call, &conf, 5, upper, sizeof(upper));
    assert_int_equal(atomic_load(&stream->spatial_us[1]), call.rig->lane.now_us);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_CLOSE, conf.handle), 0);
    call_stop(&call);
}

/* The same of the layers of time: nobody is told of one that does not come. */
static void frame_rates_that_the_sender_stops_do_not_come(void **state)
{
    /* two temporal layers, each a target */
    static const uint8_t key[] = {0xc0, 0x00, 0x01, 0x80, 0x01, 0x7a, 0x20};
    static const uint8_t upper[] = {0xc1, 0x00, 0x02};
    static const uint8_t without[] = {0xc0, 0x00, 0x03, 0x42};
    static const uint8_t with[] = {0xc0, 0x00, 0x04, 0x46};
    struct vault_stream_conf conf;
    struct stream *stream;
    struct call call;
    (void)state;

    stream = start_av1(&call, &conf);
    show_av1(&call, &conf, 1, key, sizeof(key));
    show_av1(&call, &conf, 2, upper, sizeof(upper));
    assert_int_equal(atomic_load(&stream->top_temporal), 1);
    show_av1(&call, &conf, 3, without, sizeof(without));
    assert_int_equal(atomic_load(&stream->top_temporal), 0);
    show_av1(&call, &conf, 4, with, sizeof(with));
    assert_int_equal(atomic_load(&stream->top_temporal), 0); /* it has not come yet */
    show_av1(&call, &conf, 5, upper, sizeof(upper));
    assert_int_equal(atomic_load(&stream->top_temporal), 1);
    assert_int_equal(rig_command(call.rig, ABI_OP_STREAM_CLOSE, conf.handle), 0);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_is_taken_off_and_padding_only_dropped),
        cmocka_unit_test(impossible_padding_is_malformed),
        cmocka_unit_test(payload_types_that_were_not_negotiated_are_dropped),
        cmocka_unit_test(repairs_are_counted_apart),
        cmocka_unit_test(a_paused_producer_is_not_heard_but_counted),
        cmocka_unit_test(who_was_muted_goes_on_without_a_gap),
        cmocka_unit_test(who_mutes_and_unmutes_all_the_time_is_seen),
        cmocka_unit_test(who_was_silent_while_muted_is_asked_for_no_key_frame),
        cmocka_unit_test(a_key_frame_is_asked_for_until_it_comes),
        cmocka_unit_test(layers_that_the_sender_stops_do_not_come),
        cmocka_unit_test(frame_rates_that_the_sender_stops_do_not_come),
        cmocka_unit_test(extensions_are_translated),
        cmocka_unit_test(a_long_element_goes_out_in_two_byte_form),
        cmocka_unit_test(short_two_byte_elements_become_one_byte_ones),
        cmocka_unit_test(odd_extension_blocks_do_no_harm),
        cmocka_unit_test(only_the_first_packet_of_a_key_frame_is_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
