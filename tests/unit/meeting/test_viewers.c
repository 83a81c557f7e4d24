/* Viewers: one consumer a kind, moved to whoever is to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

static const char vp9[] =
    "{\"mid\":\"%u\",\"codecs\":[{\"mimeType\":\"video/VP9\",\"payloadType\":98,"
    "\"clockRate\":90000,\"parameters\":{\"profile-id\":0},\"rtcpFeedback\":[]}],"
    "\"headerExtensions\":[],\"encodings\":[{\"ssrc\":%u}],\"rtcp\":{\"cname\":\"c\"}}";

/* Two who send and one who watches. */
struct scene {
    struct world w;
    struct participant *a, *c, *viewer;
    struct transport *from_a, *from_c, *to;
};

static void open_scene(struct scene *s, bool choose)
{
    world_start(&s->w);
    s->a = enter(&s->w, "a");
    s->c = enter(&s->w, "c");
    s->viewer = enter(&s->w, "v");
    s->viewer->front = MEETING_HTTP;
    meeting_view_as(s->viewer, choose ? s->a->id : "");
    s->from_a = open_transport(&s->w, s->a, true);
    s->from_c = open_transport(&s->w, s->c, true);
    s->to = open_transport(&s->w, s->viewer, false);
}

static void close_scene(struct scene *s)
{
    meeting_leave(s->w.meeting, s->viewer, "left");
    meeting_leave(s->w.meeting, s->a, "left");
    if (s->c != NULL) {
        meeting_leave(s->w.meeting, s->c, "left");
    }
    meeting_tick(s->w.meeting, now_ms() * 1000); /* without viewers nobody goes */
    world_finish(&s->w);
}

static struct room_consumer *watch(struct scene *s, enum rtp_kind kind)
{
    const struct room_producer *rp = meeting_view_first(s->viewer, kind, NULL, NULL);
    struct room_consumer *rc;

    assert_non_null(rp);
    rc = consume(&s->w, s->to, rp->id);
    meeting_view_begin(s->w.meeting, s->viewer);
    settle(&s->w, 5);
    return rc;
}

/* Turns until 'cond' holds: a move that waits for the answer to the one before is made at a
 * later turn. */
#define TICK(s, cond) WAIT(&(s)->w, (meeting_tick((s)->w.meeting, now_ms() * 1000), (cond)))

static void when_the_one_who_is_shown_leaves_another_is(void **state)
{
    struct scene s;
    struct room_producer *first, *second;
    struct room_consumer *rc;
    struct meeting_error err;
    uint32_t ssrc;
    struct rtp_params params;
    size_t told;
    (void)state;

    open_scene(&s, false);
    first = produce(&s.w, s.from_a, world_vp8, 11);
    second = produce(&s.w, s.from_c, world_vp8, 12);
    rc = watch(&s, RTP_KIND_VIDEO);
    assert_ptr_equal(rc->source, first); /* who sends longest */
    consumer_params(rc->consumer, &params);
    ssrc = params.encodings[0].ssrc;
    told = s.w.n_told;
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, first->id, &err), 0);
    settle(&s.w, 5);
    assert_ptr_equal(rc->source, second);
    assert_ptr_equal(second->consumers, rc);
    assert_int_equal(s.w.n_told, told + 1); /* the producer closed; no consumer did */
    consumer_params(rc->consumer, &params);
    assert_int_equal(params.encodings[0].ssrc, ssrc);
    assert_int_equal(meeting_producer_close(s.w.meeting, s.c, second->id, &err), 0);
    assert_ptr_equal(s.to->consumers, rc);
    assert_true(rc->parked); /* nobody is left: it waits for one */
    close_scene(&s);
}

static void who_speaks_is_shown_and_stays_in_silence(void **state)
{
    struct scene s;
    struct room_producer *camera, *mic, *other;
    struct room_consumer *seen, *heard;
    (void)state;

    open_scene(&s, false);
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    (void)produce(&s.w, s.from_a, world_opus, 12);
    other = produce(&s.w, s.from_c, world_vp8, 13);
    mic = produce(&s.w, s.from_c, world_opus, 14);
    seen = watch(&s, RTP_KIND_VIDEO);
    heard = watch(&s, RTP_KIND_AUDIO);
    assert_ptr_equal(seen->source, camera);
    s.c->room->speaker = mic;
    meeting_tick(s.w.meeting, now_ms() * 1000);
    assert_ptr_equal(seen->source, other);
    assert_ptr_equal(heard->source, mic);
    settle(&s.w, 5);
    s.c->room->speaker = NULL;
    meeting_tick(s.w.meeting, now_ms() * 1000);
    assert_ptr_equal(seen->source, other);
    close_scene(&s);
}

/* The caps of a client with these codecs of video, by its own payload types. */
static struct ortc_caps caps_of(uint8_t codecs)
{
    struct ortc_caps caps = {.codecs = (uint8_t)(1 | codecs),
                             .rtx = 2, /* VP8 */
                             .pt = {111, 96, 98, 103},
                             .rtx_pt = {0, 97}};

    return caps;
}

static void on_opened(void *arg, const struct meeting_error *err, void *object)
{
    assert_null(err);
    *(struct room_consumer **)arg = object;
}

/* As WHEP does it. */
static struct room_consumer *view(struct scene *s, enum rtp_kind kind,
                                  const struct ortc_caps *caps)
{
    struct room_consumer *rc = NULL;
    struct meeting_error err;

    assert_int_equal(meeting_view_open(s->w.meeting, s->viewer, s->to->id, kind, NULL, caps,
                                       on_opened, &rc, &err),
                     0);
    WAIT(&s->w, rc != NULL);
    assert_true(rc->parked);
    return rc;
}

static struct vault_sub_conf conf_of(const struct scene *s, const struct room_consumer *rc)
{
    struct vault_sub_conf conf;

    assert_int_equal(media_sub_conf(s->w.media, consumer_sub(rc->consumer), &conf), 0);
    return conf;
}

static void the_codec_changes_with_who_is_shown(void **state)
{
    const struct ortc_caps caps = caps_of(2 | 4 | 8); /* VP8, VP9, H264 */
    struct room_producer *camera, *other;
    struct room_consumer *seen;
    struct rtp_params params;
    struct scene s;
    (void)state;

    open_scene(&s, false);
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    other = produce(&s.w, s.from_c, vp9, 13);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    meeting_view_begin(s.w.meeting, s.viewer);
    assert_ptr_equal(seen->source, camera);
    assert_false(seen->parked);
    assert_int_equal(conf_of(&s, seen).pt, 96);
    assert_int_equal(conf_of(&s, seen).rtx_pt, 97);
    consumer_params(seen->consumer, &params); /* the client is told all of them */
    assert_int_equal(params.n_codecs, 4);
    assert_int_equal(params.codecs[0].pt, 96);
    assert_int_equal(params.codecs[1].pt, 97);
    assert_int_equal(params.codecs[2].pt, 98);
    assert_int_equal(params.codecs[3].pt, 103);
    s.c->room->speaker = other;
    TICK(&s, seen->source == other);
    assert_int_equal(conf_of(&s, seen).pt, 98);
    assert_int_equal(conf_of(&s, seen).rtx_pt, 0);
    assert_int_equal(conf_of(&s, seen).ssrc, params.encodings[0].ssrc);
    close_scene(&s);
}

/* AV1 may come later, and is not told anew then. */
static void dependencies_are_told_before_av1_comes(void **state)
{
    struct ortc_caps caps = caps_of(2 | 1u << (ORTC_N_ENTRIES - 1)); /* VP8, AV1 */
    struct room_consumer *seen;
    struct rtp_params params;
    struct scene s;
    (void)state;

    caps.video_exts = 1u << ORTC_EXT_DEPENDENCY;
    open_scene(&s, false);
    (void)produce(&s.w, s.from_a, world_vp8, 11);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    assert_int_equal(conf_of(&s, seen).ext_id[ORTC_EXT_DEPENDENCY], 0);
    consumer_params(seen->consumer, &params);
    assert_int_equal(params.n_exts, 1);
    assert_int_equal(params.exts[0].id, ORTC_EXT_DEPENDENCY);
    close_scene(&s);
}

static void what_nobody_sends_yet_is_shown_when_somebody_does(void **state)
{
    const struct ortc_caps caps = caps_of(2 | 4);
    struct room_consumer *seen, *heard;
    struct room_producer *mic, *camera;
    struct meeting_error err;
    struct scene s;
    uint32_t ssrc;
    (void)state;

    open_scene(&s, false);
    mic = produce(&s.w, s.from_a, world_opus, 12);
    heard = view(&s, RTP_KIND_AUDIO, &caps);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    meeting_view_begin(s.w.meeting, s.viewer);
    assert_ptr_equal(heard->source, mic);
    assert_false(heard->parked);
    assert_true(seen->parked);
    assert_true(consumer_is_paused(seen->consumer));
    ssrc = conf_of(&s, seen).ssrc;
    /* it comes, goes and comes again, of another codec */
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    TICK(&s, seen->source == camera);
    assert_false(consumer_is_paused(seen->consumer));
    assert_int_equal(conf_of(&s, seen).pt, 96);
    settle(&s.w, 5);
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, camera->id, &err), 0);
    assert_ptr_equal(s.to->consumers, seen);
    assert_true(seen->parked);
    camera = produce(&s.w, s.from_a, vp9, 21);
    TICK(&s, seen->source == camera);
    assert_int_equal(conf_of(&s, seen).pt, 98);
    assert_int_equal(conf_of(&s, seen).ssrc, ssrc);
    /* so does all of it, at once */
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, camera->id, &err), 0);
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, mic->id, &err), 0);
    assert_true(seen->parked && heard->parked);
    mic = produce(&s.w, s.from_c, world_opus, 31);
    TICK(&s, heard->source == mic);
    close_scene(&s);
}

static void who_leaves_and_returns_is_shown_again(void **state)
{
    const struct ortc_caps caps = caps_of(2);
    struct room_producer *camera;
    struct room_consumer *seen;
    struct scene s;
    (void)state;

    open_scene(&s, true);
    (void)produce(&s.w, s.from_a, world_vp8, 11);
    (void)produce(&s.w, s.from_c, world_vp8, 13);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    meeting_view_begin(s.w.meeting, s.viewer);
    meeting_leave(s.w.meeting, s.a, "left");
    assert_true(seen->parked);
    meeting_tick(s.w.meeting, now_ms() * 1000);
    assert_true(seen->parked); /* another was not chosen */
    s.a = enter(&s.w, "a");
    s.from_a = open_transport(&s.w, s.a, true);
    camera = produce(&s.w, s.from_a, world_vp8, 21);
    TICK(&s, seen->source == camera);
    assert_false(seen->parked);
    assert_string_equal(s.viewer->watched, s.a->id);
    close_scene(&s);
}

static void a_client_that_takes_less_is_sent_less(void **state)
{
    struct ortc_caps caps = caps_of(2 | 4), chosen = caps_of(4 | 8);
    struct room_producer *camera, *other;
    struct room_consumer *seen;
    struct rtp_params params;
    struct scene s;
    (void)state;

    caps.video_exts = 1u << ORTC_EXT_MID | 1u << ORTC_EXT_ABS_SEND_TIME;
    caps.video_ext_id[ORTC_EXT_MID] = 3;
    caps.video_ext_id[ORTC_EXT_ABS_SEND_TIME] = 5;
    chosen.video_exts = 1u << ORTC_EXT_ABS_SEND_TIME;
    chosen.video_ext_id[ORTC_EXT_ABS_SEND_TIME] = 5;
    open_scene(&s, false);
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    assert_ptr_equal(seen->source, camera);
    assert_int_equal(conf_of(&s, seen).ext_id[ORTC_EXT_MID], 3);
    assert_false(meeting_view_narrow(s.viewer, seen->id, &(struct ortc_caps){.codecs = 1}));
    assert_true(meeting_view_narrow(s.viewer, seen->id, &chosen));
    meeting_view_begin(s.w.meeting, s.viewer);
    assert_true(seen->parked); /* VP8 it does not take */
    other = produce(&s.w, s.from_c, vp9, 13);
    TICK(&s, seen->source == other);
    assert_int_equal(conf_of(&s, seen).ext_id[ORTC_EXT_MID], 0);
    assert_int_equal(conf_of(&s, seen).ext_id[ORTC_EXT_ABS_SEND_TIME], 5);
    consumer_params(seen->consumer, &params);
    assert_int_equal(params.n_codecs, 1); /* H264 was not offered */
    assert_int_equal(params.n_exts, 1);
    close_scene(&s);
}

static void what_does_not_fit_is_not_switched_to(void **state)
{
    const struct ortc_caps caps = caps_of(2);
    struct scene s;
    struct room_producer *camera, *mic;
    struct room_consumer *seen, *heard;
    struct meeting_error err = {.code = ""};
    (void)state;

    open_scene(&s, false);
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    (void)produce(&s.w, s.from_a, world_opus, 12);
    (void)produce(&s.w, s.from_c, vp9, 13);
    mic = produce(&s.w, s.from_c, world_opus, 14);
    seen = view(&s, RTP_KIND_VIDEO, &caps);
    heard = view(&s, RTP_KIND_AUDIO, &caps);
    meeting_view_begin(s.w.meeting, s.viewer);
    s.c->room->speaker = mic;
    meeting_tick(s.w.meeting, now_ms() * 1000);
    assert_ptr_equal(seen->source, camera); /* the picture stays, */
    assert_ptr_equal(heard->source, mic);   /* the sound does not */
    assert_int_equal(meeting_view_change(s.w.meeting, s.viewer, s.c->id, &err), -1);
    assert_string_equal(err.code, "unsupported");
    assert_string_equal(s.viewer->watched, "");
    assert_int_equal(meeting_view_change(s.w.meeting, s.viewer, "nobody", &err), -1);
    assert_string_equal(err.code, "not_found");
    close_scene(&s);
}

static void a_choice_is_heard_and_seen_alone(void **state)
{
    struct scene s;
    struct room_producer *camera, *mic, *other;
    struct room_consumer *seen, *heard;
    struct meeting_error err;
    (void)state;

    open_scene(&s, true);
    camera = produce(&s.w, s.from_a, world_vp8, 11);
    mic = produce(&s.w, s.from_a, world_opus, 12);
    other = produce(&s.w, s.from_c, world_vp8, 13);
    seen = watch(&s, RTP_KIND_VIDEO);
    heard = watch(&s, RTP_KIND_AUDIO);
    assert_int_equal(meeting_view_change(s.w.meeting, s.viewer, "c", &err), 0);
    assert_ptr_equal(seen->source, other);
    assert_true(heard->parked); /* c says nothing: a is not heard in its place */
    assert_true(consumer_is_paused(heard->consumer));
    assert_int_equal(meeting_view_change(s.w.meeting, s.viewer, s.a->id, &err), 0);
    TICK(&s, seen->source == camera);
    assert_ptr_equal(heard->source, mic);
    assert_false(consumer_is_paused(heard->consumer));
    settle(&s.w, 20);
    /* what ends leaves the place dark: nobody else was chosen */
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, camera->id, &err), 0);
    assert_true(seen->parked);
    assert_false(heard->parked);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_the_one_who_is_shown_leaves_another_is),
        cmocka_unit_test(who_speaks_is_shown_and_stays_in_silence),
        cmocka_unit_test(the_codec_changes_with_who_is_shown),
        cmocka_unit_test(dependencies_are_told_before_av1_comes),
        cmocka_unit_test(what_nobody_sends_yet_is_shown_when_somebody_does),
        cmocka_unit_test(who_leaves_and_returns_is_shown_again),
        cmocka_unit_test(a_client_that_takes_less_is_sent_less),
        cmocka_unit_test(what_does_not_fit_is_not_switched_to),
        cmocka_unit_test(a_choice_is_heard_and_seen_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
