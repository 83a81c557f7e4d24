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
    memcpy(before, pub->rx, sizeof(before));
    assert_true(before[0].started != 0 && before[0].highest >= 2999);
    die_and_return(&call);
    pub = call_peer(&call, &call.pub);
    assert_memory_equal(pub->rx, before, sizeof(before));
    assert_true(pub->n_ssrcs > 0);
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
    vault_sub_wipe(&call.rig->shared.vault.subs[video->index]);
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
        cmocka_unit_test(replay_windows_are_kept),
        cmocka_unit_test(what_has_no_record_is_closed_and_the_rest_stays),
        cmocka_unit_test(consent_that_is_too_old_is_not_resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
