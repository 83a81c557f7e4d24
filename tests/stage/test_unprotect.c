/* unprotect and bind: what is authentic, what was seen before, and whose SSRC it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/call.h"

/* The last payload that reached the ring of a stream. */
static const uint8_t *stored(const struct stream *stream, uint16_t *len)
{
    const struct ring_slot *slot =
        stream_ring_at(&stream->ring, stream_ring_head(&stream->ring) - 1);

    assert_non_null(slot);
    *len = slot->len;
    return stream_ring_bytes(&stream->ring, slot) + slot->ext_len;
}

static void plaintext_is_what_was_sent(uint32_t profile)
{
    struct call call;
    uint8_t payload[1200];

    call_start(&call, "mem", profile, 4);
    for (unsigned i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 7 + 1);
    }
    for (uint16_t len = 1; len <= sizeof(payload); len = (uint16_t)(len * 3)) {
        const struct far_rtp rtp = call_audio(&call, payload, len);
        uint16_t got_len;
        const uint8_t *got;

        far_send_rtp(&call.pub, &rtp);
        rig_run(call.rig);
        got = stored(call_stream(&call, &call.audio), &got_len);
        assert_int_equal(got_len, len);
        assert_memory_equal(got, payload, len);
    }
    call_stop(&call);
}

static void gcm_is_decrypted(void **state)
{
    (void)state;
    plaintext_is_what_was_sent(FAR_GCM);
}

static void aes_cm_is_decrypted(void **state)
{
    (void)state;
    plaintext_is_what_was_sent(FAR_CM80);
}

/* One changed bit anywhere, and what is too short for a tag. Nothing reaches a ring and
 * nothing is remembered: the true packet is taken afterwards. */
static void changed_packets_are_dropped(uint32_t profile)
{
    struct call call;
    struct far_rtp rtp;
    uint8_t buf[PKT_ROOM];
    size_t n;
    uint64_t n_bad = 0;

    call_start(&call, "mem", profile, 4);
    rtp = call_audio(&call, "some audio", 10);
    n = far_make_rtp(&call.pub, &rtp, buf);
    for (size_t at = 1; at < n; at++) { /* byte 0 says what it is */
        buf[at] ^= 1;
        rig_inject(call.rig, &call.pub.path, buf, n);
        buf[at] ^= 1;
        n_bad++;
    }
    for (size_t len = 12; len < n; len++) {
        rig_inject(call.rig, &call.pub.path, buf, len);
        n_bad++;
    }
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_AUTH), n_bad);
    assert_int_equal(call_peer(&call, &call.pub)->rest->n_ssrcs, 0);
    assert_false(call_stream(&call, &call.audio)->bound);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(rig_done(call.rig, DONE_INGESTED), 1);
    call_stop(&call);
}

static void changed_gcm_packets_are_dropped(void **state)
{
    (void)state;
    changed_packets_are_dropped(FAR_GCM);
}

static void changed_aes_cm_packets_are_dropped(void **state)
{
    (void)state;
    changed_packets_are_dropped(FAR_CM80);
    changed_packets_are_dropped(FAR_CM32);
}

/* Another peer's keys do not fit, though the path does. */
static void packets_of_one_peer_are_not_another_peers(void **state)
{
    struct call call;
    struct far_rtp rtp;
    uint8_t buf[PKT_ROOM];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "x", 1);
    n = far_make_rtp(&call.sub, &rtp, buf);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_run(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_AUTH), 1);
    call_stop(&call);
}

/* Who has keys is not heard without: RTP and RTCP as they were before encryption. */
static void plain_rtp_and_rtcp_are_refused(void **state)
{
    static const uint8_t report[] = {0x80, 201, 0, 1, 0x0a, 0x0a, 0, 1};
    const struct rtp_hdr hdr = {
        .pt = FAR_AUDIO_PT, .seq = 1001, .ts = 960, .ssrc = CALL_AUDIO_SSRC};
    struct far_got got;
    struct call call;
    uint8_t buf[64];
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t profiles[] = {FAR_GCM, FAR_GCM256, FAR_CM80, FAR_CM32};
        struct wbytes w = wbytes_of(buf, sizeof(buf));

        call_start(&call, "mem", profiles[i], 4);
        rtp_write(&w, &hdr);
        wbytes_put(&w, "a payload that is long enough", 29);
        rig_inject(call.rig, &call.pub.path, buf, wbytes_len(&w));
        rig_inject(call.rig, &call.pub.path, report, sizeof(report));
        rig_run(call.rig);
        assert_int_equal(rig_dropped(call.rig, DROP_AUTH), 2);
        assert_int_equal(rig_done(call.rig, DONE_INGESTED), 0);
        assert_false(far_take_rtp(&call.sub, &got));
        call_say(&call); /* it moved nothing: the true packet of that number is taken */
        assert_true(far_take_rtp(&call.sub, &got));
        call_stop(&call);
    }
}

static void replays_are_dropped_even_in_one_burst(void **state)
{
    struct call call;
    struct far_rtp rtp;
    uint8_t buf[PKT_ROOM];
    size_t n;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    rtp = call_audio(&call, "once", 4);
    n = far_make_rtp(&call.pub, &rtp, buf);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_ingress(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_REPLAY), 1);
    rig_inject(call.rig, &call.pub.path, buf, n);
    rig_ingress(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_REPLAY), 2);
    for (unsigned i = 0; i < REPLAY_WINDOW; i++) {
        call_say(&call);
    }
    rig_inject(call.rig, &call.pub.path, buf, n); /* older than the window */
    rig_ingress(call.rig);
    assert_int_equal(rig_dropped(call.rig, DROP_REPLAY), 3);
    assert_int_equal(rig_done(call.rig, DONE_INGESTED), 1 + REPLAY_WINDOW);
    call_stop(&call);
}

/* The sequence number wraps: the index goes on. */
static void the_roll_over_counter_is_followed(void **state)
{
    struct call call;
    const struct stream *stream;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.audio_seq = 65000;
    stream = call_stream(&call, &call.audio);
    for (unsigned i = 0; i < 70000; i++) {
        const struct far_rtp rtp = call_audio(&call, "a", 1);

        far_send_rtp(&call.pub, &rtp);
        if (i % 64 == 63) {
            rig_ingress(call.rig);
            rig_egress(call.rig);
            call.rig->n_frames = call.pub.read_at = call.sub.read_at = 0;
        }
    }
    rig_ingress(call.rig);
    assert_int_equal(rig_drops_in(call.rig), 0);
    assert_int_equal(
        stream_ring_at(&stream->ring, stream_ring_head(&stream->ring) - 1)->seq,
        65000 + 70000);
    call_stop(&call);
}

/* ---- whose SSRC ---- */

struct labels {
    const char *mid, *rid, *repaired;
};

static void put_label(struct wbytes *w, uint8_t id, const char *text)
{
    if (text != NULL) {
        wbytes_u8(w, (uint8_t)((unsigned)id << 4 | (strlen(text) - 1)));
        wbytes_put(w, text, strlen(text));
    }
}

/* Sends a packet with these labels. */
static void send_labelled(struct far *far, uint32_t ssrc, uint16_t seq, uint8_t pt,
                          const struct labels *labels)
{
    uint8_t ext[64] = {0};
    struct wbytes w = wbytes_of(ext, sizeof(ext));
    struct far_rtp rtp = {.ssrc = ssrc,
                          .seq = seq,
                          .pt = pt,
                          .ext = ext,
                          .ext_profile = RTP_EXT_ONE_BYTE,
                          .payload = far_vp8_key,
                          .len = sizeof(far_vp8_key)};

    put_label(&w, FAR_EXT_MID, labels->mid);
    put_label(&w, FAR_EXT_RID, labels->rid);
    put_label(&w, FAR_EXT_REPAIRED_RID, labels->repaired);
    rtp.ext_len = (wbytes_len(&w) + 3) & ~(size_t)3;
    far_send_rtp(far, &rtp);
    rig_run(far->rig);
}

static struct vault_stream_conf labelled(struct far *far, uint32_t index, const char *mid,
                                         const char *rid)
{
    struct vault_stream_conf conf = far_video(far, index, 0);

    conf.mid_len = (uint8_t)strlen(mid);
    memcpy(conf.mid, mid, conf.mid_len);
    conf.rid_len = (uint8_t)strlen(rid);
    memcpy(conf.rid, rid, conf.rid_len);
    assert_int_equal(rig_stream(far->rig, ABI_OP_STREAM_OPEN, &conf), 0);
    return conf;
}

static uint64_t packets_of(struct rig *rig, const struct vault_stream_conf *conf)
{
    return tables_stream(&rig->tables, conf->handle)->packets;
}

static void unknown_ssrcs_are_found_by_their_labels(void **state)
{
    struct rig *rig = rig_start("mem");
    struct vault_stream_conf by_mid, low, high;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    by_mid = labelled(&far, 0, "0", "");
    low = labelled(&far, 1, "1", "q");
    high = labelled(&far, 2, "1", "f");

    send_labelled(&far, 500, 1, FAR_VIDEO_PT, &(struct labels){.mid = "0"});
    assert_int_equal(packets_of(rig, &by_mid), 1);
    assert_int_equal(rig->lane.n_news, 1);
    assert_int_equal(rig->lane.news[0].kind, LANE_NEWS_STREAM_BOUND);
    assert_int_equal(rig->lane.news[0].handle, by_mid.handle);
    assert_int_equal(rig->lane.news[0].arg, 500);
    send_labelled(&far, 500, 2, FAR_VIDEO_PT, &(struct labels){0}); /* known now */
    assert_int_equal(packets_of(rig, &by_mid), 2);

    send_labelled(&far, 600, 1, FAR_VIDEO_PT, &(struct labels){.mid = "1", .rid = "f"});
    send_labelled(&far, 601, 1, FAR_VIDEO_PT, &(struct labels){.mid = "1", .rid = "q"});
    assert_int_equal(packets_of(rig, &high), 1);
    assert_int_equal(packets_of(rig, &low), 1);

    send_labelled(&far, 700, 1, FAR_RTX_PT, &(struct labels){.mid = "1", .repaired = "f"});
    assert_int_equal(rig_dropped(rig, DROP_RTX), 1);
    assert_int_equal(tables_stream(&rig->tables, high.handle)->rtx_ssrc, 700);
    /* Pion labels its repair as what it repairs */
    send_labelled(&far, 702, 1, FAR_RTX_PT, &(struct labels){.mid = "1", .rid = "q"});
    assert_int_equal(rig_dropped(rig, DROP_RTX), 2);
    assert_int_equal(tables_stream(&rig->tables, low.handle)->rtx_ssrc, 702);
    assert_int_equal(packets_of(rig, &low), 1);
    send_labelled(&far, 701, 1, FAR_RTX_PT, &(struct labels){.mid = "0"});
    assert_int_equal(rig_dropped(rig, DROP_RTX), 3);
    assert_int_equal(tables_stream(&rig->tables, by_mid.handle)->rtx_ssrc, 701);
    far_end(&far);
    rig_stop(rig);
}

static void what_fits_no_stream_is_unbound_until_it_does(void **state)
{
    struct rig *rig = rig_start("mem");
    struct vault_stream_conf late;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    (void)labelled(&far, 0, "0", "");
    (void)labelled(&far, 1, "1", "q");
    late = far_video(&far, 2, 900); /* announced: its MID does not matter */
    late.mid_len = 1;
    late.mid[0] = '2';
    assert_int_equal(rig_stream(rig, ABI_OP_STREAM_OPEN, &late), 0);
    send_labelled(&far, 500, 1, FAR_VIDEO_PT, &(struct labels){0});
    send_labelled(&far, 501, 1, FAR_VIDEO_PT, &(struct labels){.mid = "7"});
    send_labelled(&far, 502, 1, FAR_VIDEO_PT, &(struct labels){.mid = "01"});
    send_labelled(&far, 503, 1, FAR_VIDEO_PT, &(struct labels){.mid = "1"});
    send_labelled(&far, 504, 1, FAR_VIDEO_PT, &(struct labels){.mid = "1", .rid = "x"});
    send_labelled(&far, 505, 1, FAR_AUDIO_PT, &(struct labels){.mid = "0"});
    send_labelled(&far, 506, 1, FAR_VIDEO_PT, &(struct labels){.mid = "2"});
    assert_int_equal(rig_dropped(rig, DROP_UNBOUND_SSRC), 7);
    assert_int_equal(rig->lane.n_news, 0);
    late = labelled(&far, 3, "7", "");
    send_labelled(&far, 501, 2, FAR_VIDEO_PT, &(struct labels){.mid = "7"});
    assert_int_equal(packets_of(rig, &late), 1);
    far_end(&far);
    rig_stop(rig);
}

/* Two SSRCs in one ring would give a subscriber two packets of one index. */
static void a_second_ssrc_with_a_streams_labels_is_unbound(void **state)
{
    struct rig *rig = rig_start("mem");
    struct vault_stream_conf conf;
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    conf = labelled(&far, 0, "0", "");
    send_labelled(&far, 500, 1, FAR_VIDEO_PT, &(struct labels){.mid = "0"});
    send_labelled(&far, 501, 1, FAR_VIDEO_PT, &(struct labels){.mid = "0"});
    assert_int_equal(packets_of(rig, &conf), 1);
    assert_int_equal(rig_dropped(rig, DROP_UNBOUND_SSRC), 1);
    assert_int_equal(tables_stream(&rig->tables, conf.handle)->ssrc, 500);
    far_end(&far);
    rig_stop(rig);
}

/* A camera that is switched on and off for hours has new SSRCs each time. */
static void places_of_ended_streams_are_used_again(void **state)
{
    struct rig *rig = rig_start("mem");
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    for (uint32_t i = 0; i < 3 * PEER_SSRCS; i++) {
        struct vault_stream_conf conf = far_publish_video(&far, 0, 1000 + i);

        send_labelled(&far, 1000 + i, 1, FAR_VIDEO_PT, &(struct labels){0});
        assert_int_equal(packets_of(rig, &conf), 1);
        assert_int_equal(rig_command(rig, ABI_OP_STREAM_CLOSE, conf.handle), 0);
    }
    assert_int_equal(rig_drops_in(rig), 0);
    far_end(&far);
    rig_stop(rig);
}

static void more_ssrcs_than_places_are_refused(void **state)
{
    struct rig *rig = rig_start("mem");
    struct far far;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    for (uint32_t i = 0; i <= PEER_SSRCS; i++) {
        (void)far_publish_audio(&far, i, 1000 + i);
        send_labelled(&far, 1000 + i, 1, FAR_AUDIO_PT, &(struct labels){0});
    }
    assert_int_equal(rig_done(rig, DONE_INGESTED), PEER_SSRCS);
    assert_int_equal(rig_dropped(rig, DROP_SSRC_LIMIT), 1);
    far_end(&far);
    rig_stop(rig);
}

/* The SSRC of an ended stream announced again: its replay window still holds. */
static void a_stream_that_comes_back_keeps_its_window(void **state)
{
    struct rig *rig = rig_start("mem");
    struct vault_stream_conf conf;
    struct far far;
    const struct far_rtp rtp = {.ssrc = 77, .seq = 5, .pt = FAR_AUDIO_PT, .payload = "a"};
    uint8_t buf[PKT_ROOM];
    size_t n;
    (void)state;

    far_open(&far, rig, 1, FAR_GCM, 4);
    n = far_make_rtp(&far, &rtp, buf);
    for (unsigned i = 0; i < 2; i++) {
        conf = far_publish_audio(&far, 0, 77);
        rig_inject(rig, &far.path, buf, n);
        rig_run(rig);
        assert_int_equal(rig_command(rig, ABI_OP_STREAM_CLOSE, conf.handle), 0);
    }
    assert_int_equal(rig_dropped(rig, DROP_REPLAY), 1);
    far_end(&far);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_is_decrypted),
        cmocka_unit_test(aes_cm_is_decrypted),
        cmocka_unit_test(changed_gcm_packets_are_dropped),
        cmocka_unit_test(changed_aes_cm_packets_are_dropped),
        cmocka_unit_test(packets_of_one_peer_are_not_another_peers),
        cmocka_unit_test(plain_rtp_and_rtcp_are_refused),
        cmocka_unit_test(replays_are_dropped_even_in_one_burst),
        cmocka_unit_test(the_roll_over_counter_is_followed),
        cmocka_unit_test(unknown_ssrcs_are_found_by_their_labels),
        cmocka_unit_test(what_fits_no_stream_is_unbound_until_it_does),
        cmocka_unit_test(a_second_ssrc_with_a_streams_labels_is_unbound),
        cmocka_unit_test(places_of_ended_streams_are_used_again),
        cmocka_unit_test(more_ssrcs_than_places_are_refused),
        cmocka_unit_test(a_stream_that_comes_back_keeps_its_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
