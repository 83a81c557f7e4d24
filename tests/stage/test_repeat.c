/* Audio that a subscriber misses, which has no retransmissions: it is sent again under its
 * own index, bit by bit as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"
#include "worker/recover.h"

enum {
    REPEATED_SSRC = 0x0b0b0077,
    REPEATED_INDEX = 5,
    OTHER_SSRC = 0x0a0a0009,
    OTHER_PT = 99
};

static void ask(struct call *call, uint32_t ssrc, const uint16_t *seqs, size_t n)
{
    uint8_t room[1200];
    struct wbytes w = wbytes_of(room, sizeof(room));

    rtcp_nack_write(&w, 9, ssrc, seqs, n);
    far_send_rtcp(&call->sub, &w);
    rig_run(call->rig);
}

/* A second subscription to the audio, as browsers have it: without transport-wide numbers,
 * with or without what the publisher's extensions tell, and as one that may go to another
 * stream (a viewer's) or not. */
static struct vault_sub_conf hear_repeated(struct call *call, bool forwarded, bool layered)
{
    struct vault_sub_conf conf =
        far_sub(&call->sub, REPEATED_INDEX, &call->audio, REPEATED_SSRC);

    conf.ext_id[ABI_EXT_TRANSPORT_CC] = 0;
    conf.layered = layered;
    if (!forwarded) {
        conf.ext_id[ABI_EXT_AUDIO_LEVEL] = conf.ext_id[ABI_EXT_DEPENDENCY] = 0;
    }
    assert_int_equal(rig_sub(call->rig, ABI_OP_SUB_OPEN, &conf), 0);
    return conf;
}

/* The SRTP packet in a frame, if it is of that subscription; else NULL. */
static const uint8_t *repeated_in(const struct rig_frame *frame, size_t *len)
{
    uint8_t ssrc[4];
    const uint8_t *at;

    store_be32(ssrc, REPEATED_SSRC);
    at = memmem(frame->data, frame->len, ssrc, sizeof(ssrc));
    if (at == NULL || at - frame->data < 8 ||
        ((at[-7] & 0x7f) != FAR_OUT_AUDIO_PT && (at[-7] & 0x7f) != OTHER_PT)) {
        return NULL;
    }
    *len = (size_t)(frame->data + frame->len - (at - 8));
    return at - 8;
}

/* Of the frames from 'from' on the first of that subscription; fails without one. */
static uint32_t find_repeated(const struct rig *rig, uint32_t from)
{
    size_t len;

    while (from < rig->n_frames && repeated_in(&rig->frames[from], &len) == NULL) {
        from++;
    }
    assert_true(from < rig->n_frames);
    return from;
}

static void audio_is_sent_again_as_it_was(void **state)
{
    static const uint32_t profiles[] = {FAR_GCM, FAR_CM80};
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        struct call call;
        struct far_got got;
        struct vault_sub_conf conf;
        const struct rig_frame *was;
        const struct rig_frame *again;
        uint32_t lost;
        uint16_t seq;
        size_t len;

        call_start(&call, "mem", profiles[i % 2], 4);
        conf = hear_repeated(&call, true, i / 2 != 0);
        call_say(&call);
        while (far_take_rtp(&call.sub, &got)) {
        }
        lost = call.rig->n_frames;
        rig_pass(call.rig, 20000);
        call_say(&call);
        lost = find_repeated(call.rig, lost);
        was = &call.rig->frames[lost];
        seq = load_be16(repeated_in(was, &len) + 2);
        call.sub.read_at = call.rig->n_frames; /* lost on its way */
        rig_pass(call.rig, 20000);
        call_say(&call);
        while (far_take_rtp(&call.sub, &got)) {
        }
        rig_pass(call.rig, 30000);
        ask(&call, REPEATED_SSRC, &seq, 1);
        again = &call.rig->frames[find_repeated(call.rig, call.sub.read_at)];
        assert_int_equal(again->len, was->len);
        assert_memory_equal(again->data, was->data, was->len);
        assert_true(far_take_rtp(&call.sub, &got)); /* and can be read */
        assert_int_equal(got.hdr.ssrc, REPEATED_SSRC);
        assert_memory_equal(got.payload, "hello", 5);
        assert_int_equal(call_sub(&call, &conf)->rest->nacks_ignored, 0);
        assert_int_equal(call_sub(&call, &conf)->rest->rtx_packets, 1);
        call_stop(&call);
    }
}

/* Whatever the publisher loses, doubles and sends late, whenever the subscription pauses,
 * to whatever stream and form it goes and whatever it asks for: under one index it is sent
 * one packet, bit by bit. */
static void one_packet_an_index(bool forwarded, bool layered)
{
    /* too long for the one-byte form */
    static const uint8_t ext[28] = {FAR_EXT_DEPENDENCY, 20, [22] = FAR_EXT_LEVEL, 1, 0x12};
    enum { STEPS = 4000, MAX = 200 };
    static uint8_t sent[1 << 16][MAX];
    static size_t lens[1 << 16];
    struct call call;
    struct vault_sub_conf conf;
    struct far_rtp late = {0};
    struct vault_stream_conf other;
    uint64_t random = 815;
    uint16_t last = 0;
    unsigned n_again = 0;
    uint8_t text[8];

    memset(lens, 0, sizeof(lens));
    call_start(&call, "mem", FAR_GCM, 4);
    other = far_publish_audio(&call.pub, 3, OTHER_SSRC);
    conf = hear_repeated(&call, forwarded, layered);
    for (unsigned i = 0; i < STEPS; i++) {
        struct far_rtp rtp;
        uint32_t what;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        what = (uint32_t)(random >> 33) % 100;
        store_be64(text, random);
        rtp = call_audio(&call, text, sizeof(text));
        if (what % 3 == 0) {
            rtp.ext = ext;
            rtp.ext_len = sizeof(ext);
            rtp.ext_profile = RTP_EXT_TWO_BYTE;
        }
        if (what % 2 == 0) { /* the other stream says the same, otherwise */
            struct far_rtp too = rtp;

            too.ssrc = OTHER_SSRC;
            too.seq = (uint16_t)(rtp.seq + 7777);
            too.ts = rtp.ts + 99;
            far_send_rtp(&call.pub, &too);
        }
        if (what < 10) {
            late = rtp;
            late.payload = "late one";
        } else {
            far_send_rtp(&call.pub, &rtp);
        }
        if (what >= 90 && late.len != 0) { /* also twice */
            far_send_rtp(&call.pub, &late);
        }
        if (what == 50 || what == 51) {
            conf.paused = what == 50;
            assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &conf), 0);
        }
        if (layered && what >= 52 && what <= 55) {
            if (what <= 53) {
                conf.stream = what == 52 ? other.handle : call.audio.handle;
            } else {
                conf.pt = what == 54 ? OTHER_PT : FAR_OUT_AUDIO_PT;
            }
            assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &conf), 0);
        }
        if (what % 2 == 0) {
            uint16_t seqs[2] = {(uint16_t)(last - what / 2), (uint16_t)(last - what / 8)};

            ask(&call, REPEATED_SSRC, seqs, 2);
        }
        rig_pass(call.rig, 20000);
        for (uint32_t j = 0; j < call.rig->n_frames; j++) {
            size_t len;
            const uint8_t *p = repeated_in(&call.rig->frames[j], &len);
            uint16_t seq;

            if (p == NULL) {
                continue;
            }
            seq = load_be16(p + 2);
            assert_true(len <= MAX);
            if (lens[seq] != 0) {
                assert_int_equal(lens[seq], len);
                assert_memory_equal(sent[seq], p, len);
                n_again++;
            }
            memcpy(sent[seq], p, len);
            lens[seq] = len;
            last = seq;
        }
        call.rig->n_frames = 0; /* all were looked at */
        call.pub.read_at = call.sub.read_at = 0;
        if (i % 1000 == 999) {
            struct lane *lane = &call.rig->lane;

            command_close_all(lane);
            recover_lanes(&lane, 1, call.rig->io, &call.rig->shared.vault,
                          call.rig->shared.vault_fd, lane->now_us);
        }
        if (i % 20 == 0) {
            far_send_check(&call.pub, &call.pub.path);
            far_send_check(&call.sub, &call.sub.path);
        }
    }
    assert_true(n_again > 100);
    call_stop(&call);
}

static void audio_has_one_packet_an_index(void **state)
{
    (void)state;
    one_packet_an_index(true, false);
    one_packet_an_index(false, false);
    one_packet_an_index(true, true);
    one_packet_an_index(false, true);
}

/* A packet with a transport-wide number cannot be sent again as it was: the number would
 * stand for two. */
static void numbered_stream_without_rtx_answers_nothing(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t seq;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got));
    seq = got.hdr.seq;
    ask(&call, CALL_OUT_AUDIO_SSRC, &seq, 1);
    assert_false(far_take_rtp(&call.sub, &got));
    assert_int_equal(call_sub(&call, &call.to_audio)->rest->nacks_ignored, 1);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audio_is_sent_again_as_it_was),
        cmocka_unit_test(audio_has_one_packet_an_index),
        cmocka_unit_test(numbered_stream_without_rtx_answers_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
