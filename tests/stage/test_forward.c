/* route, rewrite, protect: what a subscriber receives of what a publisher sent. The far end
 * decrypts with libsrtp2, which also refuses an index that came before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/seq.h"
#include "support/call.h"

static void expect_ext(const struct far_got *got, uint8_t id, const void *data, uint8_t len)
{
    uint8_t got_len;
    const uint8_t *at = far_ext(got, id, &got_len);

    assert_non_null(at);
    assert_int_equal(got_len, len);
    assert_memory_equal(at, data, len);
}

static uint16_t twcc_of(const struct far_got *got)
{
    uint8_t len;
    const uint8_t *at = far_ext(got, EXT_TRANSPORT_CC, &len);

    assert_non_null(at);
    assert_int_equal(len, 2);
    return load_be16(at);
}

static void the_subscriber_gets_what_was_sent(uint32_t profile, uint8_t family)
{
    struct call call;
    uint8_t payload[1100];
    uint16_t first[2] = {0, 0};
    uint16_t twcc = 0;

    call_start(&call, "mem", profile, family);
    for (unsigned i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 31);
    }
    for (uint16_t i = 0; i < 200; i++) {
        bool video = i % 2 == 1;
        struct far_rtp rtp =
            video ? call_video(&call, i == 1) : call_audio(&call, payload, 1u + 5u * i);
        const struct vault_sub_conf *sub = video ? &call.to_video : &call.to_audio;
        struct far_got got;
        uint8_t send_time[3];

        rtp.marker = i % 3 == 0;
        call.rig->lane.now_us += 20000;
        far_send_rtp(&call.pub, &rtp);
        rig_run(call.rig);
        assert_true(far_take_rtp(&call.sub, &got));
        assert_int_equal(got.hdr.ssrc, sub->ssrc);
        assert_int_equal(got.hdr.pt, sub->pt);
        assert_int_equal(got.hdr.ts, rtp.ts);
        assert_int_equal(got.hdr.marker, rtp.marker);
        assert_int_equal(got.payload_len, rtp.len);
        assert_memory_equal(got.payload, rtp.payload, rtp.len);
        expect_ext(&got, EXT_MID, sub->mid, sub->mid_len);
        rtp_ext_store_abs_send_time(send_time, call.rig->lane.now_us);
        expect_ext(&got, EXT_ABS_SEND_TIME, send_time, 3);
        if (i < 2) {
            first[i] = got.hdr.seq;
            assert_true(got.hdr.seq != 0 && got.hdr.seq < 32768);
        }
        assert_int_equal(got.hdr.seq, (uint16_t)(first[i % 2] + i / 2));
        if (i > 0) { /* one count for the whole transport */
            assert_int_equal(twcc_of(&got), (uint16_t)(twcc + 1));
        }
        twcc = twcc_of(&got);
        assert_false(far_take_rtp(&call.sub, &got));
    }
    assert_int_equal(call.rig->lane.counts.forwards, 200);
    assert_int_equal(call_sub(&call, &call.to_audio)->packets, 100);
    assert_int_equal(call_sub(&call, &call.to_video)->packets, 100);
    assert_int_equal(rig_drops_out(call.rig), 0);
    call_stop(&call);
}

static void gcm_subscriber_gets_what_was_sent(void **state)
{
    (void)state;
    the_subscriber_gets_what_was_sent(FAR_GCM, 4);
}

static void aes_cm_subscriber_gets_what_was_sent(void **state)
{
    (void)state;
    the_subscriber_gets_what_was_sent(FAR_CM80, 6);
}

static void gcm_256_subscriber_gets_what_was_sent(void **state)
{
    (void)state;
    the_subscriber_gets_what_was_sent(FAR_GCM256, 4);
}

static void aes_cm_with_short_tags_is_forwarded(void **state)
{
    (void)state;
    the_subscriber_gets_what_was_sent(FAR_CM32, 4);
}

static void profiles_mix_in_one_room(void **state)
{
    const uint32_t profiles[] = {FAR_GCM, FAR_CM80, FAR_CM32, FAR_GCM256};
    struct call call;
    struct far fars[4];
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (uint32_t k = 0; k < 4; k++) {
        far_open(&fars[k], call.rig, 3 + k, profiles[k], k % 2 == 0 ? 4 : 6);
        (void)far_subscribe(&fars[k], 2 + k, &call.audio, 0xc0c0);
    }
    for (unsigned i = 0; i < 50; i++) {
        call_say(&call);
        for (unsigned k = 0; k < 4; k++) {
            assert_true(far_take_rtp(&fars[k], &got));
            assert_int_equal(got.payload_len, 5);
            assert_memory_equal(got.payload, "hello", 5);
        }
    }
    for (unsigned k = 0; k < 4; k++) {
        far_end(&fars[k]);
    }
    call_stop(&call);
}

static void only_negotiated_extensions_go_out(void **state)
{
    const uint8_t ext[] = {FAR_EXT_LEVEL << 4 | 0, 0x37, FAR_EXT_DEPENDENCY << 4 | 0, 7};
    struct call call;
    struct far bare, level;
    struct vault_sub_conf conf;
    struct far_rtp rtp;
    struct far_got got;
    uint8_t len;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    far_open(&bare, call.rig, 3, FAR_GCM, 4);
    far_open(&level, call.rig, 4, FAR_GCM, 4);
    conf = far_sub(&bare, 2, &call.audio, 5);
    memset(conf.ext_id, 0, sizeof(conf.ext_id));
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);
    conf = far_sub(&level, 3, &call.audio, 5);
    memset(conf.ext_id, 0, sizeof(conf.ext_id));
    conf.ext_id[ABI_EXT_AUDIO_LEVEL] = EXT_AUDIO_LEVEL;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);

    rtp = call_audio(&call, "x", 1);
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_ONE_BYTE;
    far_send_rtp(&call.pub, &rtp);
    rig_run(call.rig);
    assert_true(far_take_rtp(&bare, &got));
    assert_false(got.hdr.has_ext);
    assert_int_equal(got.hdr.hdr_len, 12);
    assert_true(far_take_rtp(&level, &got));
    expect_ext(&got, EXT_AUDIO_LEVEL, "\x37", 1);
    assert_null(far_ext(&got, EXT_DEPENDENCY, &len));
    assert_int_equal(got.hdr.ext_len, 4);
    assert_true(far_take_rtp(&call.sub, &got));
    expect_ext(&got, EXT_DEPENDENCY, "\x07", 1);
    far_end(&bare);
    far_end(&level);
    call_stop(&call);
}

/* A subscriber that lives by its own description has numbered the extensions itself. */
static void a_subscriber_gets_extensions_under_its_own_ids(void **state)
{
    const uint8_t ext[] = {FAR_EXT_LEVEL << 4 | 0, 0x37, 0, 0};
    struct call call;
    struct far own;
    struct vault_sub_conf conf;
    struct far_rtp rtp;
    struct far_got got;
    uint8_t len;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    far_open(&own, call.rig, 3, FAR_GCM, 4);
    conf = far_sub(&own, 2, &call.audio, 5);
    memset(conf.ext_id, 0, sizeof(conf.ext_id));
    conf.ext_id[ABI_EXT_MID] = 9;
    conf.ext_id[ABI_EXT_ABS_SEND_TIME] = 1;
    conf.ext_id[ABI_EXT_AUDIO_LEVEL] = 14;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);

    rtp = call_audio(&call, "x", 1);
    rtp.ext = ext;
    rtp.ext_len = sizeof(ext);
    rtp.ext_profile = RTP_EXT_ONE_BYTE;
    far_send_rtp(&call.pub, &rtp);
    rig_run(call.rig);
    assert_true(far_take_rtp(&own, &got));
    expect_ext(&got, 14, "\x37", 1);
    expect_ext(&got, 9, conf.mid, conf.mid_len);
    assert_non_null(far_ext(&got, 1, &len));
    assert_int_equal(len, 3);
    assert_null(far_ext(&got, EXT_AUDIO_LEVEL, &len));
    assert_true(far_take_rtp(&call.sub, &got));
    expect_ext(&got, EXT_AUDIO_LEVEL, "\x37", 1);
    far_end(&own);
    call_stop(&call);
}

static void an_id_that_no_element_can_have_is_refused(void **state)
{
    struct call call;
    struct vault_sub_conf conf;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    conf = far_sub(&call.sub, 2, &call.audio, 5);
    conf.ext_id[ABI_EXT_MID] = 15;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), -EINVAL);
    call_stop(&call);
}

static void video_starts_at_a_key_frame(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 5; i++) {
        call_show(&call, false);
    }
    assert_false(far_take_rtp(&call.sub, &got));
    call_show(&call, true);
    call_show(&call, false);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_memory_equal(got.payload, far_vp8_key, sizeof(far_vp8_key));
    assert_true(far_take_rtp(&call.sub, &got));
    assert_memory_equal(got.payload, far_vp8_delta, sizeof(far_vp8_delta));
    call_stop(&call);
}

/* The first packet after the first subscription, and nothing of before it. */
static void a_subscription_begins_with_the_next_packet(void **state)
{
    struct call call;
    struct far late;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    assert_true(far_take_rtp(&call.sub, &got)); /* the first packet of the stream */
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, call.to_audio.handle), 0);
    for (unsigned i = 0; i < 300; i++) {
        call_say(&call); /* nobody listens, the ring wraps */
    }
    far_open(&late, call.rig, 3, FAR_GCM, 4);
    (void)far_subscribe(&late, 2, &call.audio, 7);
    assert_false(far_take_rtp(&late, &got));
    call_say(&call);
    assert_true(far_take_rtp(&late, &got));
    assert_int_equal(got.hdr.ts, call.audio_ts);
    assert_false(far_take_rtp(&late, &got));
    assert_int_equal(rig_drops_out(call.rig), 0); /* nobody lost anything */
    far_end(&late);
    call_stop(&call);
}

/* Sends the audio packet that is 'ahead' of the next one, without moving on. */
static void send_ahead(struct call *call, int ahead)
{
    struct far_rtp rtp = call_audio(call, "hello", 5);

    rtp.seq = (uint16_t)(rtp.seq + ahead);
    rtp.ts = (uint32_t)(rtp.ts + (uint32_t)(ahead * 960));
    call->audio_seq--;
    call->audio_ts -= 960;
    far_send_rtp(&call->pub, &rtp);
    rig_run(call->rig);
}

static void reordered_packets_keep_their_numbers(void **state)
{
    const int order[] = {0, 2, 1, 5, 3, 9};
    struct call call;
    struct far_got got;
    uint16_t base = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        send_ahead(&call, order[i]);
        assert_true(far_take_rtp(&call.sub, &got));
        if (i == 0) {
            base = got.hdr.seq;
        }
        assert_int_equal(got.hdr.seq, base + order[i]);
        assert_int_equal(got.hdr.ts, call.audio_ts + 960u * (1u + (unsigned)order[i]));
    }
    call_stop(&call);
}

static void what_is_older_than_the_start_is_not_sent(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t last;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    send_ahead(&call, 5);
    assert_true(far_take_rtp(&call.sub, &got));
    last = got.hdr.seq;
    send_ahead(&call, 4);
    send_ahead(&call, 0);
    assert_false(far_take_rtp(&call.sub, &got));

    call.to_audio.paused = 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_audio), 0);
    send_ahead(&call, 7);
    call.to_audio.paused = 0;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_audio), 0);
    send_ahead(&call, 8);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.seq, last + 1);
    send_ahead(&call, 6); /* from before the pause ended */
    assert_false(far_take_rtp(&call.sub, &got));
    call_stop(&call);
}

static void resume_continues_the_sequence(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t last = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 10; i++) {
            call_show(&call, false);
        }
        while (far_take_rtp(&call.sub, &got)) {
            assert_true(last == 0 || got.hdr.seq == (uint16_t)(last + 1));
            last = got.hdr.seq;
        }
        call.to_video.paused = 1;
        assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
        call_show(&call, true);
        call_show(&call, false);
        assert_false(far_take_rtp(&call.sub, &got));
        call.to_video.paused = 0;
        assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
        call_show(&call, false);
        assert_false(far_take_rtp(&call.sub, &got)); /* waits for a key frame again */
        call_show(&call, true);
    }
    call_stop(&call);
}

/* Disorder, loss, duplicates, pauses and a wrap of the sequence number at random: under one
 * key and SSRC no index stands for two packets. */
static void no_index_is_used_twice(void **state)
{
    enum { N = 90000 };
    struct call call;
    uint8_t *used = calloc(1, 4 * N);
    uint64_t last = 0;
    unsigned seed = 7;
    unsigned n_got = 0;
    struct far_got got;
    (void)state;

    assert_non_null(used);
    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < N; i++) {
        unsigned dice = (unsigned)rand_r(&seed) % 1000;

        if (dice < (call.to_audio.paused ? 60 : 10)) {
            call.to_audio.paused ^= 1;
            assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_audio), 0);
        } else if (dice < 100) {
            send_ahead(&call, (int)(dice % 40) - 20);
        } else if (dice < 120) {
            call.audio_seq++;
        }
        call_say(&call);
        while (far_take_rtp(&call.sub, &got)) {
            uint64_t index = seq16_extend(last, got.hdr.seq);

            assert_true(index < 4 * N);
            assert_int_equal(used[index], 0);
            used[index] = 1;
            last = index > last ? index : last;
            n_got++;
        }
        call.rig->n_frames = call.pub.read_at = call.sub.read_at = 0;
    }
    assert_true(n_got > N / 3);
    assert_true(last > 65536);
    assert_true(*call_sub(&call, &call.to_audio)->next_index > last);
    free(used);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_subscriber_gets_what_was_sent),
        cmocka_unit_test(a_subscriber_gets_extensions_under_its_own_ids),
        cmocka_unit_test(an_id_that_no_element_can_have_is_refused),
        cmocka_unit_test(aes_cm_subscriber_gets_what_was_sent),
        cmocka_unit_test(gcm_256_subscriber_gets_what_was_sent),
        cmocka_unit_test(aes_cm_with_short_tags_is_forwarded),
        cmocka_unit_test(profiles_mix_in_one_room),
        cmocka_unit_test(only_negotiated_extensions_go_out),
        cmocka_unit_test(video_starts_at_a_key_frame),
        cmocka_unit_test(a_subscription_begins_with_the_next_packet),
        cmocka_unit_test(reordered_packets_keep_their_numbers),
        cmocka_unit_test(what_is_older_than_the_start_is_not_sent),
        cmocka_unit_test(resume_continues_the_sequence),
        cmocka_unit_test(no_index_is_used_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
