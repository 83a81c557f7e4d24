/* Clients that lie: whatever one peer says in RTCP or sends under whichever SSRC costs
 * itself only. Each lie is told beside a subscriber and a publisher who are honest: they
 * get and give everything meanwhile, and a counter says what was refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "stage/allot.h"
#include "support/call.h"

enum { HONEST_AUDIO = 0x0d0d0001, HONEST_VIDEO = 0x0d0d0002, THEIR_SSRC = 0x77 };

/* call.pub is honest, call.sub lies; 'honest' has all that call.sub has. */
struct world {
    struct call call;
    struct far honest;
    struct vault_sub_conf to_audio, to_video;
    uint16_t audio_seq, video_seq; /* of what came to 'honest' last; 0 nothing */
};

static uint8_t scratch[1200];

static void world_start(struct world *w)
{
    memset(w, 0, sizeof(*w));
    call_start(&w->call, "mem", FAR_GCM, 4);
    far_open(&w->honest, w->call.rig, 3, FAR_GCM, 4);
    w->to_audio = far_subscribe(&w->honest, 2, &w->call.audio, HONEST_AUDIO);
    w->to_video = far_subscribe(&w->honest, 3, &w->call.video, HONEST_VIDEO);
    call_show(&w->call, true);
}

static void world_stop(struct world *w)
{
    assert_int_equal(rig_drops_out(w->call.rig), 0);
    far_end(&w->honest);
    call_stop(&w->call);
}

/* What has come to the honest one: no gap, nothing twice. Forgets all frames. */
static unsigned listen(struct world *w)
{
    struct far_got got;
    unsigned n = 0;

    while (far_take_rtp(&w->honest, &got)) {
        uint16_t *last = got.hdr.ssrc == HONEST_AUDIO ? &w->audio_seq : &w->video_seq;

        if (got.hdr.ssrc != HONEST_AUDIO && got.hdr.ssrc != HONEST_VIDEO) {
            continue;
        }
        assert_true(*last == 0 || got.hdr.seq == (uint16_t)(*last + 1));
        *last = got.hdr.seq;
        n++;
    }
    w->call.rig->n_frames = w->honest.read_at = 0;
    w->call.pub.read_at = w->call.sub.read_at = 0;
    return n;
}

/* The honest publisher sends one packet of each; the honest subscriber has them at once. */
static void goes_on(struct world *w)
{
    (void)listen(w);
    call_say(&w->call);
    call_show(&w->call, false);
    assert_int_equal(listen(w), 2);
}

static struct bwe *bwe_of(struct world *w, const struct far *far)
{
    return call_peer(&w->call, far)->bwe;
}

/* ---- subscribers ---- */

static void nack(struct world *w, struct far *far, uint32_t ssrc, uint16_t from, unsigned n)
{
    struct wbytes out = wbytes_of(scratch, sizeof(scratch));
    uint16_t seqs[RTCP_NACK_MAX * 17];

    for (unsigned i = 0; i < n; i++) {
        seqs[i] = (uint16_t)(from + i);
    }
    rtcp_nack_write(&out, THEIR_SSRC, ssrc, seqs, n);
    assert_false(out.bad);
    far_send_rtcp(far, &out);
    (void)w;
}

/* Everything there is, again and again: the liar is answered a share of what it is sent,
 * and whoever misses one packet at the same time gets it. */
static void huge_nacks_leave_room_for_others(void **state)
{
    struct world w;
    const struct sub *liar, *honest;
    struct far_got got;
    bool mended = false;
    (void)state;

    world_start(&w);
    liar = call_sub(&w.call, &w.call.to_video);
    honest = call_sub(&w.call, &w.to_video);
    for (unsigned i = 0; i < 200; i++) {
        call_show(&w.call, false);
    }
    (void)listen(&w);
    for (unsigned i = 0; i < 100; i++) {
        nack(&w, &w.call.sub, CALL_OUT_VIDEO_SSRC, (uint16_t)(*liar->next_index - 200),
             200);
    }
    nack(&w, &w.honest, HONEST_VIDEO, (uint16_t)(*honest->next_index - 5), 1);
    rig_run(w.call.rig);
    while (far_take_rtp(&w.honest, &got)) {
        mended = mended || got.hdr.ssrc == (HONEST_VIDEO ^ FAR_OUT_RTX_BIT);
    }
    assert_true(mended);
    assert_int_equal(honest->rest->nacks_ignored, 0);
    assert_int_equal(liar->rest->nacks, 20000);
    assert_int_equal(liar->rest->nacks_ignored, 20000 - liar->rest->rtx_packets);
    assert_in_range(liar->rest->rtx_packets, 1, 100);
    goes_on(&w);
    world_stop(&w);
}

static void nacks_of_what_was_never_sent_are_counted(void **state)
{
    struct world w;
    const struct sub *liar;
    (void)state;

    world_start(&w);
    liar = call_sub(&w.call, &w.call.to_video);
    for (unsigned i = 0; i < 50; i++) {
        nack(&w, &w.call.sub, CALL_OUT_VIDEO_SSRC, (uint16_t)(*liar->next_index), 1000);
        nack(&w, &w.call.sub, HONEST_VIDEO, 0, 1000); /* that is not its own */
        nack(&w, &w.call.sub, CALL_VIDEO_SSRC, 0, 1000);
        rig_run(w.call.rig);
        goes_on(&w);
    }
    assert_int_equal(liar->rest->nacks, 50000);
    /* a number that was never sent at first may have been by the end: each of them once */
    assert_in_range(liar->rest->nacks_ignored, 50000 - 60, 50000);
    assert_int_equal(call_sub(&w.call, &w.to_video)->rest->nacks, 0);
    world_stop(&w);
}

static unsigned plis(struct far *far)
{
    struct far_got got;
    struct rtcp_pkt pkt;
    unsigned n = 0;

    while (far_take_rtcp(far, &got)) {
        n += far_find(&got, RTCP_PSFB, RTCP_PSFB_PLI, &pkt);
    }
    return n;
}

/* Thirty seconds of PLIs and FIRs each few milliseconds: the publisher hears eight at
 * first, and then one each three seconds; whoever else needs one is heard all the same. */
static void endless_plis_reach_the_publisher_seldom(void **state)
{
    struct world w;
    unsigned n = 0;
    (void)state;

    world_start(&w);
    rig_pass(w.call.rig, 2000000);
    (void)plis(&w.call.pub);
    (void)listen(&w);
    for (unsigned ms = 0; ms < 30000; ms += 4) {
        struct wbytes out = wbytes_of(scratch, sizeof(scratch));

        rtcp_pli_write(&out, THEIR_SSRC, CALL_OUT_VIDEO_SSRC);
        rtcp_fir_write(&out, THEIR_SSRC,
                       &(struct rtcp_fir){.ssrc = CALL_OUT_VIDEO_SSRC, .seq = (uint8_t)ms},
                       1);
        far_send_rtcp(&w.call.sub, &out);
        w.call.rig->lane.now_us += 4000;
        rig_run(w.call.rig);
        if (ms % 200 == 0) {
            unsigned asked = plis(&w.call.pub);

            n += asked;
            call_show(&w.call, asked > 0); /* it obeys */
            assert_int_equal(listen(&w), 1);
        }
        if (ms % 5000 == 0) {
            far_send_check(&w.call.pub, &w.call.pub.path);
            far_send_check(&w.honest, &w.honest.path);
            far_send_check(&w.call.sub, &w.call.sub.path);
        }
    }
    assert_in_range(n, 8, 8 + 30 / 3 + 1);
    assert_in_range(call_sub(&w.call, &w.call.to_video)->rest->keyframes_ignored, 2000,
                    15000);
    {
        struct wbytes out = wbytes_of(scratch, sizeof(scratch));

        rtcp_pli_write(&out, THEIR_SSRC, HONEST_VIDEO);
        far_send_rtcp(&w.honest, &out);
        rig_pass(w.call.rig, 1100000);
        assert_in_range(plis(&w.call.pub), 1, 2);
        assert_int_equal(call_sub(&w.call, &w.to_video)->rest->keyframes_ignored, 0);
    }
    world_stop(&w);
}

/* Whose loss nothing repairs has reason to ask: each second. */
static void who_is_not_repaired_is_heard_each_second(void **state)
{
    (void)state;
    for (unsigned lossy = 0; lossy < 2; lossy++) {
        const struct rtcp_block block = {.ssrc = CALL_OUT_VIDEO_SSRC,
                                         .fraction_lost = (uint8_t)lossy};
        struct world w;
        unsigned n = 0;

        world_start(&w);
        call_sub(&w.call, &w.call.to_video)->rest->rtx_ssrc = 0;
        for (unsigned s = 0; s < 60; s++) {
            struct wbytes out = wbytes_of(scratch, sizeof(scratch));

            rtcp_rr_write(&out, THEIR_SSRC, &block, 1);
            rtcp_pli_write(&out, THEIR_SSRC, CALL_OUT_VIDEO_SSRC);
            far_send_rtcp(&w.call.sub, &out);
            rig_pass(w.call.rig, 1000000);
            n += plis(&w.call.pub);
            call_show(&w.call, true);
            (void)listen(&w);
            far_send_check(&w.call.pub, &w.call.pub.path);
            far_send_check(&w.honest, &w.honest.path);
            far_send_check(&w.call.sub, &w.call.sub.path);
        }
        assert_in_range(n, lossy ? 58 : 8 + 18, lossy ? 62 : 8 + 21);
        world_stop(&w);
    }
}

/* A tenth of a second in which the publisher obeys. Returns how often it was asked. */
static unsigned obey(struct world *w)
{
    unsigned n;

    rig_pass(w->call.rig, 100000);
    n = plis(&w->call.pub);
    call_show(&w->call, n > 0);
    (void)listen(w);
    return n;
}

static void pause(struct world *w)
{
    struct vault_sub_conf *conf = &w->call.to_video;

    conf->paused = 1;
    assert_int_equal(rig_sub(w->call.rig, ABI_OP_SUB_UPDATE, conf), 0);
    conf->paused = 0;
    assert_int_equal(rig_sub(w->call.rig, ABI_OP_SUB_UPDATE, conf), 0);
}

static void leave(struct world *w)
{
    struct vault_sub_conf *conf = &w->call.to_video;

    assert_int_equal(rig_command(w->call.rig, ABI_OP_SUB_CLOSE, conf->handle), 0);
    conf->handle = handle_make(handle_index(conf->handle), handle_gen(conf->handle) + 1);
    assert_int_equal(rig_sub(w->call.rig, ABI_OP_SUB_OPEN, conf), 0);
}

static void wish(struct world *w)
{
    assert_int_equal(rig_command(w->call.rig, ABI_OP_SUB_KEYFRAME, w->call.to_video.handle),
                     0);
}

/* Thirty seconds in which it does that once a second. What makes it begin again needs a key
 * frame, which comes all the same, if later. */
static void seldom(void (*lie)(struct world *w), bool begins)
{
    struct world w;
    uint64_t before;
    unsigned n = 0;

    world_start(&w);
    rig_pass(w.call.rig, 2000000);
    (void)plis(&w.call.pub);
    for (unsigned s = 0; s < 30; s++) {
        lie(&w);
        before = call_sub(&w.call, &w.call.to_video)->packets;
        for (unsigned i = 0; i < 10; i++) {
            n += obey(&w);
        }
        /* at first it is not slowed */
        assert_true(s > 6 || call_sub(&w.call, &w.call.to_video)->packets > before);
        far_send_check(&w.call.pub, &w.call.pub.path);
        far_send_check(&w.honest, &w.honest.path);
        far_send_check(&w.call.sub, &w.call.sub.path);
    }
    assert_in_range(n, 8, 8 + 30 / 3 + 1);
    lie(&w);
    before = call_sub(&w.call, &w.call.to_video)->packets;
    for (unsigned i = 0; i < 45; i++) {
        (void)obey(&w);
    }
    assert_true(call_sub(&w.call, &w.call.to_video)->packets > before);
    assert_int_equal(call_sub(&w.call, &w.call.to_video)->rest->keyframes_ignored > 0,
                     !begins);
    goes_on(&w);
    world_stop(&w);
}

static void endless_pauses_reach_the_publisher_seldom(void **state)
{
    (void)state;
    seldom(pause, true);
}

static void who_leaves_and_comes_back_reaches_the_publisher_seldom(void **state)
{
    (void)state;
    seldom(leave, true);
}

static void endless_wishes_of_control_reach_the_publisher_seldom(void **state)
{
    (void)state;
    seldom(wish, false);
}

static void feedback(struct world *w, uint16_t base, unsigned n, int32_t ticks)
{
    struct wbytes out = wbytes_of(scratch, sizeof(scratch));
    struct twcc_fb_writer x;
    size_t len;

    twcc_fb_begin(&x, scratch, sizeof(scratch), THEIR_SSRC, CALL_OUT_VIDEO_SSRC, base, 10,
                  0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(twcc_fb_put(&x, true, ticks), 0);
    }
    len = twcc_fb_finish(&x);
    (void)wbytes_reserve(&out, len);
    far_send_rtcp(&w->call.sub, &out);
}

static void feedback_for_what_was_never_sent_moves_nothing(void **state)
{
    struct world w;
    uint64_t before[2];
    (void)state;

    world_start(&w);
    goes_on(&w);
    before[0] = bwe_target(bwe_of(&w, &w.call.sub));
    before[1] = bwe_target(bwe_of(&w, &w.honest));
    for (unsigned i = 0; i < 20; i++) {
        feedback(&w, (uint16_t)(call_peer(&w.call, &w.call.sub)->twcc_next + 100), 100, 1);
        rig_run(w.call.rig);
    }
    assert_int_equal(bwe_of(&w, &w.call.sub)->n_unknown, 2000);
    assert_false(bwe_is_fed(bwe_of(&w, &w.call.sub)));
    assert_int_equal(bwe_target(bwe_of(&w, &w.call.sub)), before[0]);
    assert_int_equal(bwe_target(bwe_of(&w, &w.honest)), before[1]);
    assert_int_equal(bwe_of(&w, &w.honest)->n_unknown, 0);
    goes_on(&w);
    world_stop(&w);
}

/* More than anybody sends: what is over the limit is not looked at. */
static void a_storm_of_feedback_is_not_read(void **state)
{
    struct world w;
    (void)state;

    world_start(&w);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 100; k++) {
            feedback(&w, 0, 300, 1);
        }
        goes_on(&w);
    }
    assert_int_equal(bwe_of(&w, &w.call.sub)->n_ignored, 2000 - BWE_MAX_REPORTS);
    assert_int_equal(bwe_of(&w, &w.honest)->n_ignored, 0);
    assert_false(bwe_is_fed(bwe_of(&w, &w.honest)));
    world_stop(&w);
}

/* Nothing at all, and more than there is: its own target goes to a bound, its audio goes
 * on, and nothing of the others changes. */
static void absurd_rembs_move_their_sender_only(void **state)
{
    static const uint64_t bps[] = {0, UINT64_C(1) << 60, UINT64_MAX, 1};
    struct world w;
    struct rig *rig;
    (void)state;

    world_start(&w);
    rig = w.call.rig;
    for (unsigned i = 0; i < 4 * 50; i++) {
        if (i % 50 == 0) {
            struct wbytes out = wbytes_of(scratch, sizeof(scratch));

            rtcp_remb_write(&out, THEIR_SSRC, bps[i / 50], NULL, 0);
            far_send_rtcp(&w.call.sub, &out);
        }
        rig->lane.now_us += 100000;
        (void)pipeline_budget(&rig->pipe);
        if (i % 10 == 0) {
            const uint64_t audio = call_sub(&w.call, &w.call.to_audio)->packets;

            far_send_check(&w.call.pub, &w.call.pub.path);
            far_send_check(&w.honest, &w.honest.path);
            far_send_check(&w.call.sub, &w.call.sub.path);
            goes_on(&w);
            assert_int_equal(call_sub(&w.call, &w.call.to_audio)->packets, audio + 1);
        }
        assert_in_range(bwe_target(bwe_of(&w, &w.call.sub)), 50000, 100000000);
        assert_false(call_sub(&w.call, &w.to_video)->held);
        assert_int_equal(bwe_of(&w, &w.honest)->remb_us, 0);
    }
    assert_int_equal(bwe_target(bwe_of(&w, &w.call.sub)), 50000); /* of 1 bit/s */
    assert_int_equal(call_peer(&w.call, &w.call.sub)->rest->remb_bps, 1);
    world_stop(&w);
}

/* ---- publishers ---- */

/* The same SSRCs as the honest publisher's, and as those that we send under: streams are
 * told apart by their transport, so all of them arrive. */
static void ssrcs_of_others_are_no_collision(void **state)
{
    static const uint32_t ssrcs[] = {CALL_VIDEO_SSRC, HONEST_VIDEO, RTCP_OUR_SSRC};
    struct world w;
    struct far liar;
    struct vault_sub_conf subs[3];
    struct far_got got;
    unsigned n[3] = {0};
    uint64_t before;
    (void)state;

    world_start(&w);
    far_open(&liar, w.call.rig, 4, FAR_GCM, 4);
    for (uint32_t i = 0; i < 3; i++) {
        struct vault_stream_conf conf = far_audio(&liar, 4 + i, ssrcs[i]);

        assert_int_equal(rig_stream(w.call.rig, ABI_OP_STREAM_OPEN, &conf), 0);
        subs[i] = far_subscribe(&w.call.sub, 4 + i, &conf, 0x0e0e0001 + i);
    }
    before = call_stream(&w.call, &w.call.video)->packets;
    for (uint16_t seq = 1; seq <= 20; seq++) {
        for (uint32_t i = 0; i < 3; i++) {
            const struct far_rtp rtp = {.ssrc = ssrcs[i],
                                        .pt = FAR_AUDIO_PT,
                                        .seq = seq,
                                        .payload = "lie",
                                        .len = 3};

            far_send_rtp(&liar, &rtp);
        }
        rig_run(w.call.rig);
        while (far_take_rtp(&w.call.sub, &got)) {
            if (got.hdr.ssrc >= 0x0e0e0001 && got.hdr.ssrc <= 0x0e0e0003) {
                assert_memory_equal(got.payload, "lie", 3);
                n[got.hdr.ssrc - 0x0e0e0001]++;
            }
        }
        goes_on(&w);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(n[i], 20);
        assert_int_equal(call_sub(&w.call, &subs[i])->packets, 20);
    }
    assert_int_equal(call_stream(&w.call, &w.call.video)->packets, before + 20);
    /* and what it says in RTCP of an SSRC of another is of none of its streams */
    {
        struct wbytes out = wbytes_of(scratch, sizeof(scratch));
        const uint32_t video = CALL_AUDIO_SSRC;

        rtcp_bye_write(&out, &video, 1);
        far_send_rtcp(&liar, &out);
        rig_run(w.call.rig);
        assert_false(call_stream(&w.call, &w.call.audio)->bye);
    }
    far_end(&liar);
    world_stop(&w);
}

/* A thousand SSRCs of no stream, before and while it sends one that is produced. */
static void a_thousand_ssrcs_take_their_own_places(void **state)
{
    struct world w;
    struct far liar;
    struct vault_stream_conf conf;
    struct vault_sub_conf sub;
    uint64_t used;
    (void)state;

    world_start(&w);
    far_open(&liar, w.call.rig, 4, FAR_GCM, 4);
    conf = far_publish_audio(&liar, 4, 0x0f0f0001);
    sub = far_subscribe(&w.call.sub, 4, &conf, 0x0e0e0001);
    used = w.call.rig->tables.store.used;
    for (uint32_t i = 0; i < 1000; i++) {
        const struct far_rtp lie = {
            .ssrc = 0x20000000 + i, .pt = FAR_AUDIO_PT, .seq = 1, .payload = "x", .len = 1};
        const struct far_rtp rtp = {.ssrc = 0x0f0f0001,
                                    .pt = FAR_AUDIO_PT,
                                    .seq = (uint16_t)(1 + i / 50),
                                    .payload = "y",
                                    .len = 1};

        far_send_rtp(&liar, &lie);
        if (i % 50 == 49) {
            far_send_rtp(&liar, &rtp);
            goes_on(&w);
        }
    }
    assert_int_equal(rig_dropped(w.call.rig, DROP_UNBOUND_SSRC) +
                         rig_dropped(w.call.rig, DROP_SSRC_LIMIT),
                     1000);
    assert_int_equal(call_sub(&w.call, &sub)->packets, 20);
    assert_int_equal(w.call.rig->tables.store.used, used);
    assert_true(call_peer(&w.call, &liar)->rest->n_ssrcs <= PEER_SSRCS);
    far_end(&liar);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_nacks_leave_room_for_others),
        cmocka_unit_test(nacks_of_what_was_never_sent_are_counted),
        cmocka_unit_test(endless_plis_reach_the_publisher_seldom),
        cmocka_unit_test(who_is_not_repaired_is_heard_each_second),
        cmocka_unit_test(endless_pauses_reach_the_publisher_seldom),
        cmocka_unit_test(who_leaves_and_comes_back_reaches_the_publisher_seldom),
        cmocka_unit_test(endless_wishes_of_control_reach_the_publisher_seldom),
        cmocka_unit_test(feedback_for_what_was_never_sent_moves_nothing),
        cmocka_unit_test(a_storm_of_feedback_is_not_read),
        cmocka_unit_test(absurd_rembs_move_their_sender_only),
        cmocka_unit_test(ssrcs_of_others_are_no_collision),
        cmocka_unit_test(a_thousand_ssrcs_take_their_own_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
