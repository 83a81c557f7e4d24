/* Audio in the dataplane: how loud a stream is, and what of it is forwarded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"

enum { LOUD = 20, QUIET = 127, PACKET_US = 20000 };

/* The next packet, with its level, in the one-byte or the two-byte form. */
static struct far_rtp packet(struct call *call, uint8_t level, bool two_byte)
{
    static uint8_t ext[4];
    struct far_rtp rtp = call_audio(call, "sound", 5);

    memset(ext, 0, sizeof(ext));
    ext[0] = two_byte ? FAR_EXT_LEVEL : FAR_EXT_LEVEL << 4;
    ext[1] = two_byte ? 1 : level;
    ext[2] = two_byte ? level : 0;
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE;
    return rtp;
}

static void speak(struct call *call, uint8_t level, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct far_rtp rtp = packet(call, level, i % 2 == 1);

        far_send_rtp(&call->pub, &rtp);
        rig_run(call->rig);
        call->rig->lane.now_us += PACKET_US;
    }
}

/* How many arrive, with numbers that follow each other without a gap. */
static unsigned hear(struct call *call, uint16_t *seq)
{
    struct far_got got;
    unsigned n = 0;

    while (far_take_rtp(&call->sub, &got)) {
        assert_true(*seq == 0 || got.hdr.seq == (uint16_t)(*seq + 1));
        *seq = got.hdr.seq;
        n++;
    }
    return n;
}

static void set_gate(struct call *call, uint8_t gate)
{
    call->audio.gate = gate;
    assert_int_equal(rig_stream(call->rig, ABI_OP_STREAM_UPDATE, &call->audio), 0);
}

static uint64_t word(const struct call *call)
{
    return *call_stream(call, &call->audio)->live_audio;
}

static void loudness_is_published_in_both_forms(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    assert_int_equal(word(&call), 0);
    speak(&call, LOUD, 50);
    assert_in_range(abi_audio_loudness(word(&call)), 100, 107);
    assert_in_range(call.rig->lane.now_us / 1000 - abi_audio_ms(word(&call)), 0, 140);
    speak(&call, QUIET, 200);
    assert_in_range(abi_audio_loudness(word(&call)), 0, 3);
    call_stop(&call);
}

static void silence_is_forwarded_unless_told_otherwise(void **state)
{
    uint16_t seq = 0;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    speak(&call, QUIET, 200);
    assert_int_equal(hear(&call, &seq), 200);
    call_stop(&call);
}

/* After two seconds of silence nothing is sent; the first packet of the next word is, and
 * to the subscriber no number is missing. */
static void silence_costs_nothing_and_leaves_no_gap(void **state)
{
    uint16_t seq = 0;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    set_gate(&call, ABI_GATE_VOICE);
    speak(&call, LOUD, 10);
    assert_int_equal(hear(&call, &seq), 10);
    speak(&call, QUIET, 500);
    assert_in_range(hear(&call, &seq), 98, 101); /* its first two seconds */
    speak(&call, QUIET, 500);
    assert_int_equal(hear(&call, &seq), 0);
    assert_in_range(rig_dropped(call.rig, DROP_SILENT), 899, 902);
    speak(&call, LOUD, 10);
    assert_int_equal(hear(&call, &seq), 10);
    speak(&call, QUIET, 300);
    (void)hear(&call, &seq);
    speak(&call, LOUD, 3);
    assert_int_equal(hear(&call, &seq), 3);
    call_stop(&call);
}

static void audio_that_tells_no_level_goes_through(void **state)
{
    uint16_t seq = 0;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    set_gate(&call, ABI_GATE_VOICE);
    for (unsigned i = 0; i < 200; i++) {
        call_say(&call);
        call.rig->lane.now_us += PACKET_US;
    }
    assert_int_equal(hear(&call, &seq), 200);
    assert_int_equal(word(&call), 0);
    call_stop(&call);
}

static void a_shut_gate_still_measures(void **state)
{
    uint16_t seq = 0;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    speak(&call, LOUD, 10);
    assert_int_equal(hear(&call, &seq), 10);
    set_gate(&call, ABI_GATE_SHUT);
    speak(&call, LOUD, 100);
    assert_int_equal(hear(&call, &seq), 0);
    assert_int_equal(rig_dropped(call.rig, DROP_NOT_LOUDEST), 100);
    assert_in_range(abi_audio_loudness(word(&call)), 100, 107);
    set_gate(&call, ABI_GATE_VOICE);
    speak(&call, LOUD, 10);
    assert_int_equal(hear(&call, &seq), 10);
    call_stop(&call);
}

/* What was kept back or lost while the gate was closed must not come through later under a
 * number that was used; what is merely out of order while it is open goes through. */
static void late_packets_use_no_number_twice(void **state)
{
    struct far_rtp before;
    struct far_rtp within;
    struct far_rtp later;
    uint16_t seq = 0;
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    set_gate(&call, ABI_GATE_VOICE);
    speak(&call, LOUD, 5);
    before = packet(&call, LOUD, false); /* delayed by the network until much later */
    speak(&call, LOUD, 5);
    while (far_take_rtp(&call.sub, &got)) {
        seq = got.hdr.seq;
    }
    speak(&call, QUIET, 120);
    within = packet(&call, LOUD, false);
    speak(&call, QUIET, 5);
    while (far_take_rtp(&call.sub, &got)) {
        seq = got.hdr.seq;
    }
    speak(&call, LOUD, 5);
    assert_int_equal(hear(&call, &seq), 5);
    far_send_rtp(&call.pub, &within);
    far_send_rtp(&call.pub, &before);
    rig_run(call.rig);
    assert_int_equal(hear(&call, &seq), 0);

    later = packet(&call, LOUD, false);
    speak(&call, LOUD, 1);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.seq, (uint16_t)(seq + 2));
    far_send_rtp(&call.pub, &later);
    rig_run(call.rig);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.seq, (uint16_t)(seq + 1));
    call_stop(&call);
}

/* Opus as it comes with in-band FEC, whose bytes are nobody's here, and with DTX: in
 * silence a packet of a byte each 400 ms, of which only the time tells. It goes through bit
 * by bit with its times; nothing is taken for lost, and nothing is asked for again. */
static void fec_and_dtx_pass(void **state)
{
    enum { PACKETS = 600, DTX_TICKS = 400 * 48, DTX_US = 400000 };
    struct call call;
    struct far_got got;
    struct rtcp_pkt pkt;
    uint32_t random = 7, ts = 0;
    uint16_t seq = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_stream(&call, &call.audio)->nacks = true; /* its sender would answer */
    for (unsigned i = 0; i < PACKETS; i++) {
        const bool silent = i % 100 >= 50; /* ten seconds, twenty of silence */
        const size_t len = silent ? 1 : 40 + i % 90;
        const uint32_t before_ts = call.audio_ts;
        uint8_t sound[130];
        struct far_rtp rtp;

        for (size_t k = 0; k < len; k++) {
            random = random * 1664525 + 1013904223;
            sound[k] = (uint8_t)(random >> 24);
        }
        call.rig->lane.now_us += silent ? DTX_US : PACKET_US;
        call.audio_ts += silent ? DTX_TICKS - 960 : 0;
        rtp = call_audio(&call, sound, len);
        rtp.marker = i % 100 == 0; /* a spurt begins (RFC 3551, 4.1) */
        far_send_rtp(&call.pub, &rtp);
        rig_run(call.rig);
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.payload_len, len);
        assert_memory_equal(got.payload, sound, len);
        assert_int_equal(got.hdr.marker, rtp.marker);
        assert_true(i == 0 || got.hdr.seq == (uint16_t)(seq + 1));
        assert_true(i == 0 || got.hdr.ts - ts == call.audio_ts - before_ts);
        seq = got.hdr.seq;
        ts = got.hdr.ts;
        if (i % 10 == 9) {
            far_send_check(&call.pub, &call.pub.path);
            far_send_check(&call.sub, &call.sub.path);
            rig_pass(call.rig, 0);
        }
        while (far_take_rtcp(&call.pub, &got)) {
            assert_false(far_find(&got, RTCP_RTPFB, RTCP_RTPFB_NACK, &pkt));
        }
    }
    assert_int_equal(recvstat_lost(&call_stream(&call, &call.audio)->stat), 0);
    assert_int_equal(recvstat_jitter(&call_stream(&call, &call.audio)->stat), 0);
    call_stop(&call);
}

static void an_unknown_gate_is_refused(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.audio.gate = N_ABI_GATES;
    assert_int_equal(rig_stream(call.rig, ABI_OP_STREAM_UPDATE, &call.audio), -EINVAL);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loudness_is_published_in_both_forms),
        cmocka_unit_test(silence_is_forwarded_unless_told_otherwise),
        cmocka_unit_test(silence_costs_nothing_and_leaves_no_gap),
        cmocka_unit_test(audio_that_tells_no_level_goes_through),
        cmocka_unit_test(a_shut_gate_still_measures),
        cmocka_unit_test(late_packets_use_no_number_twice),
        cmocka_unit_test(fec_and_dtx_pass),
        cmocka_unit_test(an_unknown_gate_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
