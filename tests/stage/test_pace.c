/* The pacer in the path: a key frame is spread for a subscriber whose link is known, by a
 * cursor that waits, while audio and repair pass; nobody loses a packet by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/pacer.h"
#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"
#include "table/repair.h"
#include "table/store.h"

enum {
    LEN = 1100, /* of a packet of the key frame */
    N_KEY = 100,
    BPS = 2000000,
    RTX_OUT_SSRC = CALL_OUT_VIDEO_SSRC ^ FAR_OUT_RTX_BIT
};

static uint8_t scratch[1200];

/* A call whose subscriber's link carries 'bps'; 0: it says nothing. */
static void begin(struct call *call, uint64_t bps, uint32_t window_ms)
{
    call_start(call, "mem", FAR_GCM, 4);
    call->rig->lane.pacer_window_us = window_ms * 1000;
    call_show(call, true);
    if (bps != 0) {
        far_send_remb(&call->sub, bps);
    }
    far_believe(call->rig);
    call->rig->n_frames = call->pub.read_at = call->sub.read_at = 0;
}

/* A frame of 'n' packets comes at once. */
static void come(struct call *call, bool key, uint32_t n)
{
    uint8_t payload[LEN] = {0};

    for (uint32_t i = 0; i < n; i++) {
        struct far_rtp rtp = call_video(call, false);

        call->video_ts -= i > 0 ? 3000 : 0;
        rtp.ts = call->video_ts;
        rtp.marker = i + 1 == n;
        memcpy(payload, key && i == 0 ? far_vp8_key : far_vp8_delta, sizeof(far_vp8_key));
        /* only the first packet of a frame begins a partition */
        payload[0] = (uint8_t)(i == 0 ? payload[0] : payload[0] & ~0x10);
        rtp.payload = payload;
        rtp.len = LEN;
        far_send_rtp(&call->pub, &rtp);
        if (i % 256 == 255 || i + 1 == n) {
            rig_ingress(call->rig);
        }
    }
}

/* What has come to 'far' under 'ssrc' since the last look; numbers go up by one. */
static uint32_t came(struct far *far, uint32_t ssrc, uint16_t *seq)
{
    struct far_got got;
    uint32_t n = 0;

    while (far_take_rtp(far, &got)) {
        if (got.hdr.ssrc == ssrc) {
            assert_true(*seq == 0 || got.hdr.seq == (uint16_t)(*seq + 1));
            *seq = got.hdr.seq;
            n++;
        }
    }
    return n;
}

static void a_key_frame_is_spread_and_audio_passes(void **state)
{
    static const uint32_t windows_ms[] = {150, 1000};
    (void)state;

    for (unsigned w = 0; w < 2; w++) {
        struct call call;
        struct lane *lane;
        uint64_t begun_us;
        uint32_t n = 0, n_at_once, most = 0;
        uint16_t seq = 0;

        begin(&call, BPS, windows_ms[w]);
        lane = &call.rig->lane;
        assert_int_equal(call_peer(&call, &call.sub)->pace_bps, BPS * 5 / 4);
        begun_us = lane->now_us;
        come(&call, true, N_KEY);
        rig_egress(call.rig);
        n_at_once = call.rig->n_frames;
        assert_in_range(n_at_once, 1, 4);
        for (unsigned ms = 0; call.rig->n_frames < N_KEY + n; ms++) {
            const uint32_t before = call.rig->n_frames;
            uint32_t sent;

            assert_true(ms < 2000);
            lane->now_us += 1000;
            if (ms % 20 == 0) { /* audio goes out in the same turn, before all the rest */
                const struct far_rtp rtp = call_audio(&call, "hello", 5);

                far_send_rtp(&call.pub, &rtp);
                rig_ingress(call.rig);
                rig_egress(call.rig);
                assert_true(call.rig->n_frames > before);
                n++;
                assert_int_equal(call_sub(&call, &call.to_audio)->packets, n);
            }
            rig_egress(call.rig);
            sent = call.rig->n_frames - before;
            most = sent > most ? sent : most;
        }
        /* 100 packets at 2.5 Mb/s take 371 ms; within a window of 150 ms they go faster */
        if (w == 0) {
            assert_in_range(lane->now_us - begun_us, 110000, 150000 + PACER_MAX_STEP_US);
        } else {
            assert_in_range(lane->now_us - begun_us, 250000, 371000);
            assert_in_range(most, 1, 4);
        }
        assert_int_equal(call_sub(&call, &call.to_video)->packets, 1 + N_KEY);
        assert_int_equal(lane->counts.paced, 1); /* waited once, and was then behind */
        assert_int_equal(rig_drops_out(call.rig), 0);
        assert_int_equal(came(&call.sub, CALL_OUT_VIDEO_SSRC, &seq), N_KEY);
        lane->now_us += PACER_MAX_STEP_US + 1000;
        rig_egress(call.rig);
        assert_int_equal(lane->paced.busy, 0);
        call_stop(&call);
    }
}

static void without_an_estimate_or_a_window_nothing_waits(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        struct call call;

        /* no feedback; a link that carries it all; the pacer is off */
        begin(&call, i == 0 ? 0 : i == 1 ? UINT64_C(1) << 40 : BPS, i == 2 ? 0 : 150);
        come(&call, true, i == 1 ? 15 : N_KEY);
        rig_egress(call.rig);
        assert_int_equal(call.rig->n_frames, i == 1 ? 15 : N_KEY);
        assert_int_equal(call.rig->lane.counts.paced, 0);
        call_stop(&call);
    }
}

/* An estimate that is only hope (the first 2 s of feedback) holds nobody up. */
static void a_hope_paces_nobody(void **state)
{
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call.rig->lane.pacer_window_us = 150000;
    call_show(&call, true);
    far_send_remb(&call.sub, 300000);
    for (unsigned i = 0; i < 20; i++) {
        call.rig->lane.now_us += 20000;
        (void)pipeline_budget(&call.rig->pipe);
    }
    call.rig->n_frames = call.pub.read_at = call.sub.read_at = 0;
    come(&call, true, N_KEY);
    rig_egress(call.rig);
    assert_int_equal(call.rig->n_frames, N_KEY);
    call_stop(&call);
}

static void another_subscriber_does_not_wait(void **state)
{
    struct call call;
    struct far other;
    struct vault_sub_conf to_other;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    far_open(&other, call.rig, 3, FAR_GCM, 4);
    to_other = far_subscribe(&other, 2, &call.video, 0x0c0c0001);
    call.rig->lane.pacer_window_us = 150000;
    call_show(&call, true);
    far_send_remb(&call.sub, BPS);
    far_believe(call.rig);
    come(&call, true, N_KEY);
    rig_egress(call.rig);
    assert_int_equal(call_sub(&call, &to_other)->packets, 1 + N_KEY);
    assert_in_range(call_sub(&call, &call.to_video)->packets, 2, 10);
    far_end(&other);
    call_stop(&call); /* and whose cursor waits may go */
}

static void what_is_missed_goes_before_what_is_new(void **state)
{
    struct call call;
    struct lane *lane;
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    struct far_got got;
    uint16_t seqs[6] = {0};
    uint64_t packets;
    (void)state;

    begin(&call, BPS, 1000);
    lane = &call.rig->lane;
    come(&call, true, N_KEY);
    for (unsigned ms = 0; ms < 50; ms++) {
        rig_egress(call.rig);
        lane->now_us += 1000;
    }
    assert_true(far_take_rtp(&call.sub, &got));
    for (unsigned i = 0; i < 6; i++) {
        seqs[i] = (uint16_t)(got.hdr.seq + i);
    }
    packets = call_sub(&call, &call.to_video)->packets;
    assert_in_range(packets, 10, 30);
    rtcp_nack_write(&w, 9, CALL_OUT_VIDEO_SSRC, seqs, 6);
    far_send_rtcp(&call.sub, &w);
    rig_ingress(call.rig);
    call.rig->n_frames = call.sub.read_at = 0;
    rig_egress(call.rig);
    assert_int_equal(call_sub(&call, &call.to_video)->rest->rtx_packets, 6);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.ssrc, RTX_OUT_SSRC);
    /* they took the place of as many new ones: 22 ms at 2.5 Mb/s */
    for (unsigned ms = 0; ms < 15; ms++) {
        lane->now_us += 1000;
        rig_egress(call.rig);
    }
    assert_in_range(call_sub(&call, &call.to_video)->packets, packets, packets + 1);
    for (unsigned ms = 0; ms < 600; ms++) {
        lane->now_us += 1000;
        rig_egress(call.rig);
    }
    assert_int_equal(call_sub(&call, &call.to_video)->packets, 1 + N_KEY);
    call_stop(&call);
}

/* A subscriber that asks for something again all the time is sent what is new all the same:
 * it waits no longer than the window. */
static void endless_repair_holds_nothing_up(void **state)
{
    struct call call;
    struct lane *lane;
    struct wbytes w;
    struct far_got got;
    struct sub *sub;
    uint64_t packets;
    uint16_t first;
    unsigned ms = 0;
    (void)state;

    begin(&call, BPS, 150);
    lane = &call.rig->lane;
    sub = call_sub(&call, &call.to_video);
    come(&call, true, N_KEY);
    for (; ms < 50; ms++) {
        rig_egress(call.rig);
        lane->now_us += 1000;
    }
    assert_true(far_take_rtp(&call.sub, &got));
    first = got.hdr.seq;
    packets = sub->packets;
    assert_in_range(packets, 10, N_KEY - 10);
    for (; sub->packets < 1 + N_KEY; ms++) {
        const uint16_t seq = (uint16_t)(first + ms % 10);

        assert_true(ms <= 150 + PACER_MAX_STEP_US / 1000);
        w = wbytes_of(scratch, sizeof(scratch));
        rtcp_nack_write(&w, 9, CALL_OUT_VIDEO_SSRC, &seq, 1);
        far_send_rtcp(&call.sub, &w);
        /* who asks for more than its share, or the same again, is refused elsewhere */
        sub->rest->rtx_budget = 100000;
        repair_make(call.rig->lane.tables, sub)->answered =
            (struct answered){.times = {0}};
        rig_ingress(call.rig);
        rig_egress(call.rig);
        call.rig->n_frames = call.sub.read_at = 0;
        lane->now_us += 1000;
    }
    assert_in_range(sub->rest->rtx_packets, 60, 130);
    call_stop(&call);
}

/* The ring does not reach back for ever: then what comes next is a key frame, which is
 * asked for, under the next number. */
static void who_is_overtaken_begins_again(void **state)
{
    struct call call;
    struct sub *sub;
    uint64_t asked, sent;
    uint16_t last;
    (void)state;

    begin(&call, BPS, 150);
    sub = call_sub(&call, &call.to_video);
    come(&call, true, 20);
    rig_egress(call.rig);
    asked = call_stream(&call, &call.video)->pli_asked;
    sent = sub->packets;
    last = (uint16_t)(*sub->next_index - 1);
    come(&call, false, STORE_VIDEO_SLOTS + 10);
    call.rig->lane.now_us += 200000;
    rig_egress(call.rig);
    assert_int_equal(sub->packets, sent);
    assert_true(call.rig->lane.counts.drops_out[DROP_OVERRUN] > 0);
    assert_int_equal(call_stream(&call, &call.video)->pli_asked, asked + 1);
    assert_int_equal(call.rig->lane.paced.busy, 0);
    come(&call, false, 3); /* refers to what it has not got */
    rig_egress(call.rig);
    assert_int_equal(sub->packets, sent);
    call.rig->n_frames = call.sub.read_at = 0;
    come(&call, true, 1);
    rig_egress(call.rig);
    assert_int_equal(sub->packets, sent + 1);
    assert_int_equal(came(&call.sub, CALL_OUT_VIDEO_SSRC, &last), 1);
    call_stop(&call);
}

static void who_waits_may_pause_and_resume(void **state)
{
    struct call call;
    struct sub *sub;
    uint16_t seq = 0;
    (void)state;

    begin(&call, BPS, 150);
    sub = call_sub(&call, &call.to_video);
    come(&call, true, N_KEY);
    rig_egress(call.rig);
    assert_true(sub->behind);
    call.to_video.paused = 1;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
    call.rig->lane.now_us += 30000;
    rig_egress(call.rig);
    assert_false(sub->behind);
    assert_in_range(sub->packets, 1, 5);
    call.to_video.paused = 0;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &call.to_video), 0);
    come(&call, true, N_KEY);
    for (unsigned ms = 0; ms < 200; ms++) {
        rig_egress(call.rig);
        call.rig->lane.now_us += 1000;
    }
    assert_in_range(came(&call.sub, CALL_OUT_VIDEO_SSRC, &seq), N_KEY + 1, N_KEY + 4);
    call_stop(&call);
}

/* ---- many, at random ---- */

enum { N_FAR = 40, N_VIDEO = 2, N_ROUNDS = 400 };

struct room {
    struct rig *rig;
    struct far pub, fars[N_FAR];
    struct vault_stream_conf video[N_VIDEO];
    uint64_t subs[N_FAR][N_VIDEO];
    uint16_t next[N_FAR][N_VIDEO]; /* the number of the payload that comes next; 0 any */
    uint16_t seq[N_VIDEO];
};

static void listen_all(struct room *room)
{
    struct far_got got;

    for (uint32_t i = 0; i < N_FAR; i++) {
        while (far_take_rtp(&room->fars[i], &got)) {
            const uint32_t v = got.hdr.ssrc % N_VIDEO;
            const uint16_t number = load_be16(got.payload + sizeof(far_vp8_key));

            assert_true(room->next[i][v] == 0 || number == room->next[i][v]);
            room->next[i][v] = (uint16_t)(number + 1);
        }
        room->fars[i].read_at = 0;
    }
    room->rig->n_frames = 0;
}

static void a_room_at_random_loses_and_doubles_nothing(void **state)
{
    struct room *room = calloc(1, sizeof(*room));
    unsigned seed = 3;
    uint32_t ssrc = 1000;
    (void)state;

    assert_non_null(room);
    room->rig = rig_start("mem");
    room->rig->lane.pacer_window_us = 60000;
    far_open(&room->pub, room->rig, 0, FAR_GCM, 4);
    for (uint32_t v = 0; v < N_VIDEO; v++) {
        room->video[v] = far_publish_video(&room->pub, v, 1 + v);
    }
    for (uint32_t i = 0; i < N_FAR; i++) {
        far_open(&room->fars[i], room->rig, 1 + i, FAR_GCM, 4);
        for (uint32_t v = 0; v < N_VIDEO; v++) {
            room->subs[i][v] =
                far_subscribe(&room->fars[i], i * N_VIDEO + v, &room->video[v], ssrc++)
                    .handle;
        }
    }
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        uint32_t v = (uint32_t)rand_r(&seed) % N_VIDEO;
        uint32_t i = (uint32_t)rand_r(&seed) % N_FAR;
        uint32_t n = 1 + (uint32_t)rand_r(&seed) % 12;

        while (n-- > 0) {
            uint8_t payload[800] = {0};
            struct far_rtp rtp = {.ssrc = 1 + v,
                                  .pt = FAR_VIDEO_PT,
                                  .payload = payload,
                                  .len = 20 + (uint32_t)rand_r(&seed) % 700};

            /* all are key frames: whoever comes begins at once */
            memcpy(payload, far_vp8_key, sizeof(far_vp8_key));
            rtp.seq = ++room->seq[v];
            rtp.ts = rtp.seq * 3000u;
            rtp.marker = true;
            store_be16(payload + sizeof(far_vp8_key), rtp.seq);
            far_send_rtp(&room->pub, &rtp);
        }
        rig_ingress(room->rig);
        /* the link is as the test says */
        tables_peer(&room->rig->tables, room->fars[i].conf.handle)->pace_bps =
            rand_r(&seed) % 4 == 0 ? 0 : 100000u + (uint32_t)rand_r(&seed) % 4000000;
        if (rand_r(&seed) % 8 == 0) { /* leaves, and comes again */
            i = (uint32_t)rand_r(&seed) % N_FAR;
            assert_int_equal(rig_command(room->rig, ABI_OP_SUB_CLOSE, room->subs[i][v]), 0);
            listen_all(room);
            ssrc += (ssrc % N_VIDEO == v) ? 0 : 1;
            room->subs[i][v] =
                far_subscribe(&room->fars[i], i * N_VIDEO + v, &room->video[v], ssrc++)
                    .handle;
            room->next[i][v] = 0;
        }
        for (unsigned k = 0; k < 1 + round % 5; k++) {
            if (rand_r(&seed) % 2 == 0) {
                (void)pipeline_egress(&room->rig->pipe, 1); /* and stops in the midst */
            } else {
                rig_egress(room->rig);
            }
            room->rig->lane.now_us += 2000;
        }
        listen_all(room);
    }
    assert_true(room->rig->lane.counts.paced > 100);
    for (unsigned ms = 0; ms < 100; ms++) {
        rig_egress(room->rig);
        room->rig->lane.now_us += 1000;
    }
    listen_all(room);
    for (uint32_t i = 0; i < N_FAR; i++) {
        for (uint32_t v = 0; v < N_VIDEO; v++) {
            assert_true(room->next[i][v] == 0 ||
                        room->next[i][v] == (uint16_t)(room->seq[v] + 1));
        }
        far_end(&room->fars[i]);
    }
    assert_int_equal(rig_drops_out(room->rig), 0);
    assert_int_equal(room->rig->lane.paced.busy, 0);
    far_end(&room->pub);
    rig_stop(room->rig);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_frame_is_spread_and_audio_passes),
        cmocka_unit_test(without_an_estimate_or_a_window_nothing_waits),
        cmocka_unit_test(a_hope_paces_nobody),
        cmocka_unit_test(another_subscriber_does_not_wait),
        cmocka_unit_test(what_is_missed_goes_before_what_is_new),
        cmocka_unit_test(endless_repair_holds_nothing_up),
        cmocka_unit_test(who_is_overtaken_begins_again),
        cmocka_unit_test(who_waits_may_pause_and_resume),
        cmocka_unit_test(a_room_at_random_loses_and_doubles_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
