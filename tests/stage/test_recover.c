/* recover: a lane that knows nothing takes up what a killed dataplane has left in the
 * vault. The far end decrypts with libsrtp2, which refuses an index that came before and
 * loses a stream whose roll-over counter is not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/call.h"
#include "worker/command.h"
#include "worker/recover.h"

static void recover(struct rig *rig)
{
    struct lane *lane = &rig->lane;

    recover_lanes(&lane, 1, rig->io, &rig->shared.vault, rig->shared.vault_fd,
                  lane->now_us);
}

/* The process dies, another one is given the vault. */
static void die_and_return(struct call *call)
{
    struct rig *rig = call->rig;

    command_close_all(&rig->lane);
    assert_int_equal(rig->tables.n_open, 0);
    recover(rig);
}

static uint16_t say(struct call *call)
{
    struct far_got got;

    call->rig->lane.now_us += 20000;
    call_say(call);
    rig_run(call->rig);
    assert_true(far_take_rtp(&call->sub, &got));
    assert_int_equal(got.hdr.ssrc, call->to_audio.ssrc);
    return got.hdr.seq;
}

static void audio_goes_on_with_the_next_index(void **state)
{
    struct call call;
    uint16_t last;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    last = say(&call);
    for (unsigned life = 0; life < 20; life++) {
        for (unsigned i = 0; i < 7; i++) {
            uint16_t seq = say(&call);

            assert_int_equal(seq, (uint16_t)(last + 1));
            last = seq;
        }
        die_and_return(&call);
    }
    call_stop(&call);
}

static void video_goes_on_with_a_key_frame(void **state)
{
    struct call call;
    struct far_got got;
    uint16_t last;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    call_show(&call, true);
    rig_run(call.rig);
    assert_true(far_take_rtp(&call.sub, &got));
    last = got.hdr.seq;
    die_and_return(&call);
    call_show(&call, false);
    rig_run(call.rig);
    assert_false(far_take_rtp(&call.sub, &got));
    assert_true(call_stream(&call, &call.video)->pli_asked > 0);
    call_show(&call, true);
    rig_run(call.rig);
    assert_true(far_take_rtp(&call.sub, &got));
    assert_int_equal(got.hdr.seq, (uint16_t)(last + 1));
    call_stop(&call);
}

/* ---- what has layers ---- */

enum { LAYERED_SSRC = 0x0c0c0001, LAYERED_INDEX = 2, FRAME_US = 33000 };

struct shown {
    uint16_t seq, picture;
    uint8_t tl0;
    uint32_t ts;
};

/* A frame of VP8 with picture id and TL0PICIDX. Returns whether it came to the subscription
 * with layers; then 'out' is what its receiver saw. */
static bool show_layered(struct call *call, uint16_t picture, bool key, struct shown *out)
{
    const uint8_t payload[12] = {0x90,
                                 0xe0,
                                 (uint8_t)(0x80 | picture >> 8),
                                 (uint8_t)picture,
                                 (uint8_t)picture,
                                 0,
                                 key ? 0x10 : 0x11,
                                 0x9d,
                                 1};
    struct far_rtp rtp = call_video(call, key);
    struct far_got got;
    bool came = false;

    rtp.payload = payload;
    rtp.len = sizeof(payload);
    far_send_rtp(&call->pub, &rtp);
    rig_run(call->rig);
    rig_pass(call->rig, FRAME_US);
    while (far_take_rtp(&call->sub, &got)) {
        if (got.hdr.ssrc == LAYERED_SSRC) {
            assert_false(came);
            came = true;
            *out = (struct shown){.seq = got.hdr.seq,
                                  .ts = got.hdr.ts,
                                  .picture = load_be16(got.payload + 2) & 0x7fff,
                                  .tl0 = got.payload[4]};
        }
    }
    return came;
}

/* No number shows that another process chooses what is sent. */
static void layers_go_on_where_they_were(void **state)
{
    struct vault_sub_conf conf;
    struct call call;
    struct shown last = {.seq = 0}, now;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    conf = far_sub(&call.sub, LAYERED_INDEX, &call.video, LAYERED_SSRC);
    conf.layered = 1;
    conf.spatial = conf.temporal = SUB_LAYER_ANY;
    assert_int_equal(rig_sub(call.rig, ABI_OP_SUB_OPEN, &conf), 0);
    for (unsigned life = 0; life < 3; life++) {
        const uint16_t first = (uint16_t)(100 + 1000 * life); /* its encoder began anew */

        assert_int_equal(show_layered(&call, first - 1, false, &now), false);
        assert_true(call_stream(&call, &call.video)->pli_asked > 0);
        assert_true(show_layered(&call, first, true, &now));
        for (uint16_t i = 1; i < 5; i++) {
            if (life > 0 || i > 1) {
                assert_int_equal(now.seq, (uint16_t)(last.seq + 1));
                assert_int_equal(now.picture, (last.picture + 1) & 0x7fff);
                assert_int_equal(now.tl0, (uint8_t)(last.tl0 + 1));
                assert_true((int32_t)(now.ts - last.ts) > 0);
            }
            last = now;
            assert_true(show_layered(&call, (uint16_t)(first + i), false, &now));
        }
        last = now;
        die_and_return(&call);
    }
    call_stop(&call);
}

static void replay_windows_are_kept(void **state)
{
    struct call call;
    struct peer *pub;
    struct replay before[PEER_SSRCS];
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    for (unsigned i = 0; i < 3000; i++) {
        struct far_got got;

        call_say(&call); /* all at one moment, so that no report comes between */
        rig_run(call.rig);
        assert_true(far_take_rtp(&call.sub, &got));
    }
    pub = call_peer(&call, &call.pub);
    memcpy(before, pub->rest->rx, sizeof(before));
    assert_true(before[0].started != 0 && before[0].highest >= 2999);
    die_and_return(&call);
    pub = call_peer(&call, &call.pub);
    assert_memory_equal(pub->rest->rx, before, sizeof(before));
    assert_true(pub->rest->n_ssrcs > 0);
    for (unsigned i = 0; i < 50; i++) {
        (void)say(&call);
    }
    call_stop(&call);
}

static void what_has_no_record_is_closed_and_the_rest_stays(void **state)
{
    struct call call;
    struct sub *video;
    struct far_got got;
    uint16_t last;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    last = say(&call);
    video = call_sub(&call, &call.to_video);
    vault_sub_wipe(&call.rig->shared.vault.subs[video->index],
                   &call.rig->shared.vault.sub_lives[video->index]);
    recover(call.rig);
    assert_null(tables_sub(&call.rig->tables, call.to_video.handle));
    assert_non_null(call_stream(&call, &call.video));
    assert_int_equal(say(&call), (uint16_t)(last + 1)); /* it has not noticed */
    call_show(&call, true);
    rig_run(call.rig);
    assert_false(far_take_rtp(&call.sub, &got));
    call_stop(&call);
}

static void consent_that_is_too_old_is_not_resumed(void **state)
{
    struct call call;
    struct far_got got;
    (void)state;

    call_start(&call, "mem", FAR_GCM, 4);
    (void)say(&call);
    call.rig->lane.now_us += 31000000;
    far_send_check(&call.pub, &call.pub.path);
    rig_run(call.rig);
    die_and_return(&call);
    call_say(&call);
    rig_ingress(call.rig);
    rig_egress(call.rig);
    assert_false(far_take_rtp(&call.sub, &got));
    call_stop(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audio_goes_on_with_the_next_index),
        cmocka_unit_test(video_goes_on_with_a_key_frame),
        cmocka_unit_test(layers_go_on_where_they_were),
        cmocka_unit_test(replay_windows_are_kept),
        cmocka_unit_test(what_has_no_record_is_closed_and_the_rest_stays),
        cmocka_unit_test(consent_that_is_too_old_is_not_resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
