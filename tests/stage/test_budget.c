/* What a subscriber's link carries: feedback reaches the estimator, the estimator's probes
 * become packets under indexes of their own, control is told; and a lying subscriber costs
 * itself only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "stage/allot.h"
#include "stage/budget.h"
#include "stage/padding.h"
#include "support/call.h"
#include "worker/report.h"

enum { THEIR_SSRC = 0x77 };

static uint8_t scratch[1200];

/* Feedback of the subscriber for 'n' numbers from 'base' on, one each 'ticks'. */
static void feed(struct call *call, uint16_t base, unsigned n, int32_t ticks, uint32_t ref)
{
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));
    struct twcc_fb_writer x;
    size_t len;

    twcc_fb_begin(&x, scratch, sizeof(scratch), THEIR_SSRC, CALL_OUT_VIDEO_SSRC, base, ref,
                  0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(twcc_fb_put(&x, true, ticks), 0);
    }
    len = twcc_fb_finish(&x);
    (void)wbytes_reserve(&w, len);
    far_send_rtcp(&call->sub, &w);
    rig_run(call->rig);
}

static void what_is_sent_is_remembered_and_acknowledged(void **state)
{
    struct call call;
    struct peer *peer;
    uint64_t next;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    peer = call_peer(&call, &call.sub);
    next = peer->twcc_next;
    assert_true(next > 0);
    for (uint64_t i = 0; i < next; i++) {
        assert_true(peer->bwe->sent[i].len > 0);
    }
    feed(&call, 0, (unsigned)next, 4, 10);
    assert_true(bwe_is_fed(peer->bwe));
    assert_int_equal(peer->bwe->n_unknown, 0);
    assert_int_equal(peer->bwe->sent[0].state, BWE_ARRIVED);
    call_stop(&call);
}

static void lies_are_counted_and_change_nothing(void **state)
{
    struct call call;
    struct peer *peer;
    struct wbytes w;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    peer = call_peer(&call, &call.sub);
    feed(&call, (uint16_t)(peer->twcc_next + 5), 50, 1, 10);
    assert_int_equal(peer->bwe->n_unknown, 50);
    assert_false(bwe_is_fed(peer->bwe));
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t bps = i == 0 ? 0 : UINT64_C(1) << 60;

        w = wbytes_of(scratch, sizeof(scratch));
        rtcp_remb_write(&w, THEIR_SSRC, bps, NULL, 0);
        far_send_rtcp(&call.sub, &w);
        rig_run(call.rig);
        assert_in_range(bwe_target(peer->bwe), 50000, 100000000);
    }
    for (unsigned i = 0; i < 100; i++) {
        feed(&call, 0, 1, 1, 10);
    }
    assert_true(peer->bwe->n_ignored > 0);
    /* media goes on */
    call_say(&call);
    call_stop(&call);
}

static struct abi_peer_stats told(const struct call *call)
{
    struct abi_peer_stats stats;
    struct rig *rig = call->rig;

    (void)report_objects(&rig->lane, (struct shared *)&rig->shared);
    abi_words_copy(&stats, &rig->shared.peer_stats[call_peer(call, &call->sub)->index],
                   sizeof(stats));
    return stats;
}

static void probes_have_numbers_and_indexes_of_their_own(void **state)
{
    struct burst out = {.n = 0};
    struct call call;
    struct lane *lane;
    struct peer *peer;
    uint64_t before, sent = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    peer->rest->probator = true;
    bwe_want(peer->bwe, 3000000);
    before = *peer->rest->probe_next;
    for (unsigned i = 0; i < 60; i++) {
        lane->now_us += 1000;
        budget_sweep(lane);
        out.n = 0;
        (void)padding_burst(lane, NULL, &out);
        for (uint16_t k = 0; k < out.n; k++) {
            const uint8_t *rtp = out.pkts[k]->data + peer->hdr.len;

            assert_int_equal(rtp[1], PADDING_PT);
            assert_int_equal(load_be32(rtp + 8), PADDING_SSRC);
            assert_int_equal(load_be16(rtp + 2), (uint16_t)(before + sent + 1));
            sent++;
        }
        pipeline_transmit(&call.rig->pipe, &out);
    }
    assert_true(sent >= BWE_PROBE_PACKETS);
    assert_int_equal(*peer->rest->probe_next, before + sent);
    assert_int_equal(told(&call).padding_packets, sent);
    assert_int_equal(lane->counts.padding_packets, sent);
    assert_int_equal(told(&call).padding_bytes, lane->counts.padding_bytes);
    assert_int_equal(lane->n_probing, 0);
    assert_int_equal(lane->padding_due_us, UINT64_MAX);
    call_stop(&call);
}

static void a_probe_that_a_full_device_refuses_was_not_sent(void **state)
{
    struct burst out = {.n = 0};
    struct call call;
    struct lane *lane;
    struct peer *peer;
    uint64_t made = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    peer->rest->probator = true;
    bwe_want(peer->bwe, 3000000);
    port_mem_limit(call.rig->io, 0, 0, 0);
    for (unsigned i = 0; i < 60; i++) {
        lane->now_us += 1000;
        budget_sweep(lane);
        out.n = 0;
        (void)padding_burst(lane, NULL, &out);
        made += out.n;
        pipeline_transmit(&call.rig->pipe, &out);
    }
    rig_pass(call.rig, 400000); /* what is kept for a while is dropped too */
    assert_true(made >= BWE_PROBE_PACKETS);
    assert_true(lane->counts.drops_out[DROP_TX_FULL] >= made);
    assert_int_equal(lane->counts.padding_packets, 0);
    assert_int_equal(lane->counts.padding_bytes, 0);
    assert_int_equal(told(&call).padding_packets, 0);
    assert_int_equal(told(&call).padding_bytes, 0);
    call_stop(&call);
}

/* Video that is held may be all that has numbers: its retransmissions carry the probe that
 * shows that the link would carry it. */
static void what_is_held_carries_probes(void **state)
{
    struct burst out = {.n = 0};
    struct call call;
    struct lane *lane;
    struct peer *peer;
    struct sub *sub;
    uint64_t sent = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    sub = call_sub(&call, &call.to_video);
    sub->held = true;
    sub->started = false;
    sub->held = true;
    sub->started = false;
    peer->rest->allot_us = UINT64_MAX / 2; /* or it would not be held */
    bwe_want(peer->bwe, 3000000);
    for (unsigned i = 0; i < 60; i++) {
        lane->now_us += 1000;
        budget_sweep(lane);
        out.n = 0;
        (void)padding_burst(lane, NULL, &out);
        for (uint16_t k = 0; k < out.n; k++) {
            const uint8_t *rtp = out.pkts[k]->data + peer->hdr.len;

            assert_int_equal(load_be32(rtp + 8), CALL_OUT_VIDEO_SSRC ^ FAR_OUT_RTX_BIT);
            sent++;
            peer->tx_bytes += out.pkts[k]->len;
            lane_free(lane, out.pkts[k]);
        }
    }
    assert_true(sent >= BWE_PROBE_PACKETS);
    call_stop(&call);
}

static void remb(struct call *call, uint64_t bps)
{
    struct wbytes w = wbytes_of(scratch, sizeof(scratch));

    rtcp_remb_write(&w, THEIR_SSRC, bps, NULL, 0);
    far_send_rtcp(&call->sub, &w);
    rig_run(call->rig);
}

static void pass(struct call *call, unsigned n_sweeps)
{
    for (unsigned i = 0; i < n_sweeps; i++) {
        rig_pass(call->rig, BUDGET_SWEEP_US);
        budget_sweep(&call->rig->lane);
    }
}

/* Whose turn in the sweep has not come, and is not to come for a while. */
static bool rests(const struct call *call, const struct peer *peer)
{
    const struct lane *lane = &call->rig->lane;
    const struct open_peer *open = &lane->tables->open[peer->rest->open_slot];

    return open->budget_us > lane->now_us + BUDGET_SWEEP_US &&
           open->tx_bytes == peer->tx_bytes;
}

/* Who is sent nothing is not looked at again and again, until something is sent, heard, or
 * changed; and its estimator is then as if it had been. */
static void who_is_sent_nothing_costs_nothing(void **state)
{
    struct call call;
    const struct open_peer *open;
    struct peer *peer;
    uint64_t ticked_us;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    peer = call_peer(&call, &call.sub);
    bwe_want(peer->bwe, 100000); /* less than there is: nothing is to be probed */
    pass(&call, 110);
    assert_true(rests(&call, peer));
    open = &call.rig->lane.tables->open[peer->rest->open_slot];
    ticked_us = open->ticked_us;
    pass(&call, 25);
    assert_int_equal(open->ticked_us, ticked_us);

    call_say(&call);
    pass(&call, 1);
    assert_false(rests(&call, peer));
    assert_true(peer->bwe->limited);
    assert_true(call.rig->lane.now_us - peer->bwe->limited_us <= 2 * BUDGET_SWEEP_US);
    pass(&call, 110);
    assert_true(rests(&call, peer));

    remb(&call, 300000);
    pass(&call, 1);
    assert_false(rests(&call, peer));
    assert_int_equal(bwe_target(peer->bwe), 300000);
    call_stop(&call);
}

static void control_is_told_once_and_of_changes(void **state)
{
    struct call call;
    struct lane *lane;
    struct peer *peer;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    lane->n_news = 0;
    lane->now_us += 5000000;
    budget_sweep(lane);
    assert_int_equal(lane->n_news, 0); /* nothing is known */
    feed(&call, 0, (unsigned)peer->twcc_next, 4, 10);
    lane->n_news = 0;
    peer->rest->told_us = 0;
    peer->rest->told_bps = 0;
    lane->now_us += BUDGET_SWEEP_US;
    budget_sweep(lane);
    assert_int_equal(lane->n_news, 1);
    assert_int_equal(lane->news[0].kind, LANE_NEWS_BANDWIDTH);
    assert_int_equal(lane->news[0].arg, bwe_target(peer->bwe) / 1000);
    for (unsigned i = 0; i < 50; i++) {
        lane->now_us += BUDGET_SWEEP_US;
        budget_sweep(lane);
    }
    assert_int_equal(lane->n_news, 1);
    call_stop(&call);
}

static void video_is_held_before_audio_suffers_and_comes_back(void **state)
{
    struct call call;
    struct lane *lane;
    struct peer *peer;
    struct sub *video, *audio;
    uint64_t asked, sent, heard;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    video = call_sub(&call, &call.to_video);
    audio = call_sub(&call, &call.to_audio);
    atomic_store(&video->stream->layer_bps[0][0], 1000000);
    allot_peer(lane, peer);
    assert_false(video->held); /* nothing was heard of the link */
    remb(&call, 60000);
    peer->rest->fed_us = lane->now_us;
    allot_peer(lane, peer);
    assert_false(video->held); /* the first probes are waited for */
    lane->now_us += ALLOT_GRACE_US + 1;
    remb(&call, 60000);
    allot_peer(lane, peer);
    assert_true(video->held);
    assert_false(audio->held);
    assert_true((uint64_t)peer->bwe->wanted_bps > 1000000);
    sent = video->packets;
    heard = audio->packets;
    call_show(&call, true);
    call_say(&call);
    assert_int_equal(video->packets, sent);
    assert_int_equal(audio->packets, heard + 1);
    asked = video->stream->pli_asked;
    remb(&call, 5000000);
    allot_peer(lane, peer);
    assert_true(video->held); /* not at once */
    lane->now_us += 3000000;
    remb(&call, 5000000);
    allot_peer(lane, peer);
    assert_false(video->held);
    assert_false(video->started && video->layers == NULL); /* from a key frame on */
    assert_true(video->stream->pli_asked > asked || video->layers != NULL);
    call_show(&call, true);
    assert_int_equal(video->packets, sent + 1);
    call_stop(&call);
}

/* As the timer does, for so long. */
static void allot_for(struct call *call, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 10; i++) {
        call->rig->lane.now_us += BUDGET_ALLOT_US;
        allot_peer(&call->rig->lane, call_peer(call, &call->sub));
    }
}

/* A receiver that tells only by REMB, and tells nothing while it is sent nothing: what its
 * link did not carry is tried again, stays if nothing speaks against it, and goes if its
 * REMB falls, for twice as long. */
static void what_remb_has_held_is_tried_again(void **state)
{
    struct call call;
    struct peer *peer;
    struct sub *video;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    peer = call_peer(&call, &call.sub);
    video = call_sub(&call, &call.to_video);
    atomic_store(&video->stream->layer_bps[0][0], 1000000);
    remb(&call, 60000);
    peer->rest->fed_us = 1;
    allot_for(&call, 1);
    assert_true(video->held);
    allot_for(&call, 3);
    assert_true(video->held); /* it rests */
    allot_for(&call, 2);
    assert_false(video->held);
    remb(&call, 60000);
    allot_for(&call, 1);
    remb(&call, 50000);
    allot_for(&call, 1);
    assert_true(video->held);
    allot_for(&call, 9);
    assert_true(video->held);
    allot_for(&call, 2);
    assert_false(video->held);
    allot_for(&call, 300); /* nothing is heard: nothing is taken away */
    assert_false(video->held);
    remb(&call, 40000); /* which is the least that is believed */
    allot_for(&call, 1);
    assert_false(video->held);
    call_stop(&call);
}

/* A receiver that says from the beginning that its link carries nothing at all. */
static void a_remb_of_nothing_is_one(void **state)
{
    struct call call;
    struct lane *lane;
    struct peer *peer;
    struct sub *video;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    video = call_sub(&call, &call.to_video);
    peer->rest->has_twcc = false;
    atomic_store(&video->stream->layer_bps[0][0], 1000000);
    remb(&call, 0);
    peer->rest->fed_us = 1;
    for (unsigned i = 0; i < 20; i++) {
        lane->now_us += BUDGET_ALLOT_US;
        budget_sweep(lane);
    }
    assert_true(video->held);
    call_stop(&call);
}

/* Numbers that are answered, but no retransmissions that padding could go by. */
static void what_no_padding_can_probe_is_tried_again(void **state)
{
    struct call call;
    struct peer *peer;
    struct sub *video;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    peer = call_peer(&call, &call.sub);
    video = call_sub(&call, &call.to_video);
    atomic_store(&video->stream->layer_bps[0][0], 1000000);
    feed(&call, 0, (unsigned)peer->twcc_next, 4, 10);
    peer->bwe->rate.bps = 100000;
    peer->bwe->rate.decreased_us = call.rig->lane.now_us;
    (void)bwe_tick(peer->bwe, 0, peer->twcc_next, call.rig->lane.now_us);
    peer->rest->fed_us = 1;
    allot_for(&call, 1);
    assert_true(video->held);
    allot_for(&call, 60);
    assert_true(video->held);                   /* its retransmissions can carry probes */
    assert_int_equal(peer->rest->given_bps, 0); /* it is paced by what they show */
    video->rest->rtx_pt = 0;
    allot_for(&call, 1);
    assert_false(video->held);
    assert_true(peer->rest->given_bps > bwe_target(peer->bwe));
    allot_for(&call, 6);
    assert_true(video->held); /* nothing has shown that it arrives */
    call_stop(&call);
}

enum { MANY = 100, MANY_SSRC = 0x0d0d0000 };

/* Another subscription of the same video, with a place of its own. */
static struct vault_sub_conf another(struct call *call, uint32_t i, uint8_t priority,
                                     bool screen, uint32_t area)
{
    struct vault_sub_conf conf = far_sub(&call->sub, 10 + i, &call->video, MANY_SSRC + i);

    conf.priority = priority;
    conf.screen = screen;
    conf.area = area;
    assert_int_equal(rig_sub(call->rig, ABI_OP_SUB_OPEN, &conf), 0);
    return conf;
}

/* So much is told again and again, for so long. */
static void told_for(struct call *call, uint64_t bps, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        remb(call, bps);
        allot_for(call, 1);
    }
}

/* Its probes can be padded: nothing is tried but what REMB, the bound then, allows. */
static void is_probed(struct call *call)
{
    struct peer *peer = call_peer(call, &call->sub);

    peer->rest->probator = true;
    peer->bwe->feedback_us = 1;
    peer->bwe->rate.bps = 1e7f;
}

/* Whoever came first is among those that are looked at, however many there are. */
static void all_of_many_are_allotted(void **state)
{
    struct vault_sub_conf confs[MANY];
    struct call call;
    unsigned n_held = 0;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    is_probed(&call);
    atomic_store(&call_stream(&call, &call.video)->layer_bps[0][0], 10000);
    for (uint32_t i = 0; i < MANY; i++) {
        confs[i] = another(&call, i, 1, false, 0);
    }
    told_for(&call, 50000, 5);
    assert_true(call_sub(&call, &call.to_video)->held);
    for (uint32_t i = 0; i < MANY; i++) {
        n_held += call_sub(&call, &confs[i])->held;
    }
    assert_true(n_held >= MANY - 1);
    told_for(&call, 4000000, 5);
    assert_false(call_sub(&call, &call.to_video)->held);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_false(call_sub(&call, &confs[i])->held);
    }
    call_stop(&call);
}

/* Of video that is sent whole or not at all, too, a screen is first, then what has
 * priority, then what is shown larger; and a wish that changes takes effect. */
static void what_has_one_layer_has_its_place(void **state)
{
    struct vault_sub_conf plain, large, first, screen;
    struct call call;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_say(&call);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, call.to_video.handle), 0);
    is_probed(&call);
    atomic_store(&call_stream(&call, &call.video)->layer_bps[0][0], 300000);
    screen = another(&call, 0, 1, true, 0);
    first = another(&call, 1, 200, false, 0);
    large = another(&call, 2, 1, false, 640 * 360);
    plain = another(&call, 3, 1, false, 0);
    told_for(&call, 400000, 4);
    assert_false(call_sub(&call, &screen)->held);
    assert_true(call_sub(&call, &first)->held);
    assert_true(call_sub(&call, &large)->held);
    assert_true(call_sub(&call, &plain)->held);
    told_for(&call, 800000, 4);
    assert_false(call_sub(&call, &screen)->held);
    assert_false(call_sub(&call, &first)->held);
    assert_true(call_sub(&call, &large)->held);
    told_for(&call, 1200000, 4);
    assert_false(call_sub(&call, &first)->held);
    assert_false(call_sub(&call, &large)->held);
    assert_true(call_sub(&call, &plain)->held);
    plain.priority = 255;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_UPDATE, &plain), 0);
    told_for(&call, 1200000, 4);
    assert_false(call_sub(&call, &screen)->held);
    assert_false(call_sub(&call, &plain)->held);
    assert_false(call_sub(&call, &first)->held);
    assert_true(call_sub(&call, &large)->held);
    call_stop(&call);
}

/* No feedback tells of audio without numbers, as browsers have it: the estimator is told
 * how much of it there is, and that it is less when who hears it leaves. */
static void audio_without_numbers_is_known_of(void **state)
{
    enum { BARE_SSRC = 0x0e0e0002, LEN = 160, EACH_US = 20000, IN_A_SPAN = 5 };
    static const uint8_t sound[LEN];
    struct vault_sub_conf conf;
    struct call call;
    struct lane *lane;
    struct peer *peer;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    lane = &call.rig->lane;
    peer = call_peer(&call, &call.sub);
    conf = far_sub(&call.sub, 5, &call.audio, BARE_SSRC);
    conf.ext_id[ABI_EXT_TRANSPORT_CC] = 0;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);
    for (unsigned span = 0; span < 4; span++) {
        allot_peer(lane, peer);
        for (unsigned i = 0; i < IN_A_SPAN; i++) {
            const struct far_rtp rtp = call_audio(&call, sound, LEN);

            lane->now_us += EACH_US;
            far_send_rtp(&call.pub, &rtp);
            rig_run(call.rig);
        }
    }
    allot_peer(lane, peer);
    assert_in_range(peer->bwe->besides_bps, LEN * 8 * 50, (LEN + 60) * 8 * 50);
    assert_int_equal(rig_command(call.rig, ABI_OP_SUB_CLOSE, conf.handle), 0);
    for (unsigned span = 0; span < 2; span++) {
        lane->now_us += BUDGET_ALLOT_US;
        allot_peer(lane, peer);
    }
    assert_int_equal(peer->bwe->besides_bps, 0);
    call_stop(&call);
}

/* As the timer does, for so long, while all three sizes come. */
static void live_for(struct call *call, struct stream *stream, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 10; i++) {
        call->rig->lane.now_us += BUDGET_ALLOT_US;
        for (unsigned s = 0; s < 3; s++) {
            atomic_store(&stream->spatial_us[s], call->rig->lane.now_us);
        }
        allot_peer(&call->rig->lane, call_peer(call, &call->sub));
    }
}

/* A stream of three sizes at three frame rates, of which each layer costs 100 kb/s, to a
 * link of 'bps': what is it allowed? */
static struct sub_layers *allotted(struct call *call, bool screen, uint64_t bps)
{
    struct vault_sub_conf conf;
    struct stream *stream;
    struct sub *sub;

    call_start(call, "mem", FAR_GCM, 4);
    assert_int_equal(rig_command(call->rig, ABI_OP_SUB_CLOSE, call->to_video.handle), 0);
    conf = far_sub(&call->sub, 5, &call->video, 0x0e0e0001);
    conf.layered = 1;
    conf.screen = screen;
    conf.spatial = conf.temporal = VAULT_LAYER_ANY;
    assert_int_equal(rig_sub(call->rig, ABI_OP_SUB_OPEN, &conf), 0);
    sub = call_sub(call, &conf);
    call_show(call, true);
    call->rig->lane.now_us += 10000000;
    stream = sub->stream;
    for (unsigned s = 0; s < 3; s++) {
        atomic_store(&stream->spatial_us[s], call->rig->lane.now_us);
        for (unsigned t = 0; t < 3; t++) {
            atomic_store(&stream->layer_bps[s][t], 100000);
        }
    }
    atomic_store(&stream->top_temporal, 2);
    remb(call, bps);
    call_peer(call, &call->sub)->rest->fed_us = 1;
    live_for(call, stream, 4); /* so soon nothing more is tried (core/trial) */
    return sub->layers;
}

/* A screen loses frames before it loses detail; a camera the other way round. */
static void a_screen_keeps_its_detail(void **state)
{
    static const struct {
        uint32_t bps;
        uint8_t spatial, temporal;
    } screens[] = {{800000, 2, 1}, {450000, 2, 0}, {300000, 1, 0}, {200000, 0, 0}};
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        struct call call;
        const struct sub_layers *l = allotted(&call, true, screens[i].bps);

        assert_int_equal(l->limit_spatial, screens[i].spatial);
        assert_int_equal(l->limit_temporal, screens[i].temporal);
        call_stop(&call);
    }
    {
        struct call call;
        const struct sub_layers *l = allotted(&call, false, 450000);

        assert_true(l->limit_spatial < 2);
        assert_true(l->limit_temporal > 0);
        call_stop(&call);
    }
}

/* What did not stay waits longer than a trial rests: one that could not begin was none, and
 * what waits is not put off by it. */
static void a_trial_that_is_too_soon_was_none(void **state)
{
    struct call call;
    struct peer *peer;
    const struct sub_layers *l = allotted(&call, false, 200000);
    const uint8_t spatial = l->limit_spatial, temporal = l->limit_temporal;
    (void)state;

    peer = call_peer(&call, &call.sub);
    peer->rest->alloc.n_failed = 3; /* for 8 s then */
    peer->rest->alloc.raised_bps = 10000000;
    peer->rest->alloc.fell_us = call.rig->lane.now_us;
    live_for(&call, l->streams[0], 7);
    assert_int_equal(l->limit_spatial, spatial);
    assert_int_equal(l->limit_temporal, temporal);
    live_for(&call, l->streams[0], 2);
    assert_true(l->limit_spatial > spatial || l->limit_temporal > temporal);
    assert_true(peer->rest->trial.on);
    assert_int_equal(peer->rest->trial.n_failed, 0);
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_remembered_and_acknowledged),
        cmocka_unit_test(lies_are_counted_and_change_nothing),
        cmocka_unit_test(probes_have_numbers_and_indexes_of_their_own),
        cmocka_unit_test(a_probe_that_a_full_device_refuses_was_not_sent),
        cmocka_unit_test(what_is_held_carries_probes),
        cmocka_unit_test(who_is_sent_nothing_costs_nothing),
        cmocka_unit_test(control_is_told_once_and_of_changes),
        cmocka_unit_test(video_is_held_before_audio_suffers_and_comes_back),
        cmocka_unit_test(what_remb_has_held_is_tried_again),
        cmocka_unit_test(a_remb_of_nothing_is_one),
        cmocka_unit_test(what_no_padding_can_probe_is_tried_again),
        cmocka_unit_test(all_of_many_are_allotted),
        cmocka_unit_test(what_has_one_layer_has_its_place),
        cmocka_unit_test(audio_without_numbers_is_known_of),
        cmocka_unit_test(a_screen_keeps_its_detail),
        cmocka_unit_test(a_trial_that_is_too_soon_was_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
