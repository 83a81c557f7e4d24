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
    world_finish(&s->w);
}

static struct room_consumer *watch(struct scene *s, enum rtp_kind kind)
{
    const struct room_producer *rp = meeting_view_first(s->viewer, kind, NULL, NULL);
    struct room_consumer *rc;
    struct meeting_error err;

    assert_non_null(rp);
    rc = consume(&s->w, s->to, rp->id);
    assert_int_equal(meeting_consumer_pause(s->viewer, rc->id, false, &err), 0);
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
    assert_null(s.to->consumers); /* nobody is left */
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

static void what_does_not_fit_is_not_switched_to(void **state)
{
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
    seen = watch(&s, RTP_KIND_VIDEO);
    heard = watch(&s, RTP_KIND_AUDIO);
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
    /* it ends with the one it is of */
    assert_int_equal(meeting_producer_close(s.w.meeting, s.a, camera->id, &err), 0);
    assert_ptr_equal(s.to->consumers, heard);
    assert_null(heard->next);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_the_one_who_is_shown_leaves_another_is),
        cmocka_unit_test(who_speaks_is_shown_and_stays_in_silence),
        cmocka_unit_test(what_does_not_fit_is_not_switched_to),
        cmocka_unit_test(a_choice_is_heard_and_seen_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
