/* A sender is told which of its layers somebody needs: at once when it is more, after a
 * while when it is less (dynacast). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "media/media.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

static const char svc[] =
    "{\"mid\":\"%u\",\"codecs\":[{\"mimeType\":\"video/VP9\",\"payloadType\":98,"
    "\"clockRate\":90000,\"parameters\":{},\"rtcpFeedback\":[]}],"
    "\"headerExtensions\":[],\"encodings\":[{\"ssrc\":%u,\"scalabilityMode\":"
    "\"L3T3_KEY\"}],\"rtcp\":{\"cname\":\"c\"}}";

enum { WHILE_US = 1000 * MEETING_LOWER_MS };

/* The domain's clock says how long from now; how often the sender was told meanwhile. */
static unsigned told_after(struct world *w, const struct participant *owner,
                           const struct room_producer *rp, uint64_t us)
{
    unsigned n;

    if (us > 0) {
        meeting_tick(w->meeting, clock_mono_us() + us);
    }
    n = world_n_told(w, MEETING_PRODUCER_LAYERS);
    if (n > 0) {
        const struct told *told = world_last(w, MEETING_PRODUCER_LAYERS);

        assert_ptr_equal(told->one, owner);
        assert_string_equal(told->producer, rp->id);
        assert_int_equal(told->seq, 0); /* no lasting fact */
    }
    w->n_told = 0;
    return n;
}

static void wish(struct world *w, struct participant *p, const struct room_consumer *rc,
                 uint8_t spatial)
{
    struct meeting_error err;

    assert_ptr_equal(meeting_consumer_layers(w->meeting, p, rc->id, spatial,
                                             MEETING_LAYER_ANY, &err),
                     rc);
}

static void needs_are_told(const char *format)
{
    struct room_consumer *one, *two;
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, format, 1);
    assert_int_equal(rp->needed, 2); /* all, until it is known */
    assert_int_equal(told_after(&w, p.a, rp, 0), 0);
    assert_int_equal(told_after(&w, p.a, rp, WHILE_US / 2), 0);
    assert_int_equal(told_after(&w, p.a, rp, WHILE_US), 1); /* nobody is there */
    assert_int_equal(rp->needed, 0); /* who comes sees something at once */
    assert_int_equal(told_after(&w, p.a, rp, 3 * WHILE_US), 0);

    one = consume(&w, p.recv, rp->id);
    two = consume(&w, p.recv, rp->id);
    assert_int_equal(told_after(&w, p.a, rp, WHILE_US), 0); /* they are paused */
    wish(&w, p.b, one, 1);
    assert_int_equal(told_after(&w, p.a, rp, 0), 0);
    assert_int_equal(meeting_consumer_pause(p.b, one->id, false, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 0), 1); /* more: at once */
    assert_int_equal(rp->needed, 1);
    assert_int_equal(meeting_consumer_pause(p.b, two->id, false, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 0), 1);
    assert_int_equal(rp->needed, 2);

    wish(&w, p.b, two, 0); /* less: not at once, and not if it is wished for again */
    assert_int_equal(told_after(&w, p.a, rp, WHILE_US / 2), 0);
    wish(&w, p.b, two, 2);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 0);
    assert_int_equal(rp->needed, 2);
    for (unsigned i = 0; i < 10; i++) { /* nor for somebody who cannot decide */
        wish(&w, p.b, two, i % 2 == 0 ? 0 : MEETING_LAYER_ANY);
        assert_int_equal(told_after(&w, p.a, rp, WHILE_US / 2), 0);
    }
    wish(&w, p.b, one, 0);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 0); /* the other needs it */
    assert_int_equal(meeting_consumer_pause(p.b, two->id, true, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 1);
    assert_int_equal(rp->needed, 0);
    assert_int_equal(meeting_consumer_pause(p.b, two->id, false, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 0), 1);
    assert_int_equal(meeting_consumer_close(w.meeting, p.b, two->id, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 1);
    assert_int_equal(rp->needed, 0);

    wish(&w, p.b, one, 2);
    wish(&w, p.b, one, 0); /* it ends while it is to be told */
    assert_int_equal(meeting_producer_close(w.meeting, p.a, rp->id, &err), 0);
    w.n_told = 0;
    meeting_tick(w.meeting, clock_mono_us() + 2 * WHILE_US);
    assert_int_equal(world_n_told(&w, MEETING_PRODUCER_LAYERS), 0);
    part(&w, &p);
    world_finish(&w);
}

static void of_simulcast_what_nobody_needs_is_told(void **state)
{
    (void)state;
    needs_are_told(world_simulcast);
}

static void of_svc_what_nobody_needs_is_told(void **state)
{
    (void)state;
    needs_are_told(svc);
}

static struct vault_sub_conf wished(const struct world *w, const struct room_consumer *rc)
{
    struct vault_sub_conf conf;

    assert_int_equal(media_sub_conf(w->media, consumer_sub(rc->consumer), &conf), 0);
    return conf;
}

/* The larger is first when there is not enough for all, of those with one layer too. */
static void how_large_it_is_shown_is_told(void **state)
{
    struct room_consumer *one, *two;
    struct room_producer *a, *b;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    a = produce(&w, p.send, world_vp8, 1);
    b = produce(&w, p.send, world_simulcast, 2);
    one = consume(&w, p.recv, a->id);
    two = consume(&w, p.recv, b->id);
    assert_int_equal(wished(&w, one).area, 0);
    {
        const struct meeting_view views[] = {
            {.producer_id = b->id, .width = 320, .height = 180},
            {.producer_id = a->id, .width = 65535, .height = 65535}};

        assert_int_equal(meeting_view(w.meeting, p.b, views, 2, 0, &err), 0);
        assert_int_equal(wished(&w, one).area, 65535u * 65535u);
        assert_int_equal(wished(&w, two).area, 320 * 180);
        assert_int_equal(wished(&w, two).spatial, 0);
        assert_int_equal(meeting_consumer_priority(w.meeting, p.b, one->id, 7, &err), 0);
        assert_int_equal(wished(&w, one).priority, 7);
        assert_int_equal(wished(&w, one).area, 65535u * 65535u);
        assert_int_equal(meeting_view(w.meeting, p.b, views, 2, 1, &err), 0);
        assert_int_equal(wished(&w, one).area, 0); /* it stands behind the first */
        assert_int_equal(wished(&w, two).area, 320 * 180);
    }
    part(&w, &p);
    world_finish(&w);
}

static void wishes_are(const struct world *w, const struct room_consumer *rc,
                       uint8_t spatial, uint8_t temporal, uint32_t area)
{
    const struct vault_sub_conf conf = wished(w, rc);

    assert_int_equal(conf.spatial, spatial);
    assert_int_equal(conf.temporal, temporal);
    assert_int_equal(conf.area, area);
}

/* Clients tell their view first, and make consumers for it then. */
static void a_view_holds_for_consumers_made_later(void **state)
{
    const uint8_t any = MEETING_LAYER_ANY;
    struct room_consumer *shown, *hidden, *again;
    struct room_producer *a, *b;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    a = produce(&w, p.send, world_simulcast, 1);
    b = produce(&w, p.send, world_simulcast, 2);
    assert_int_equal(told_after(&w, p.a, a, 0), 0);
    meeting_tick(w.meeting, clock_mono_us() + WHILE_US); /* nobody needs them */
    w.n_told = 0;
    {
        char id[MEETING_OBJECT_ID + 1];
        char too_long[MEETING_OBJECT_ID + 2];
        struct meeting_view views[] = {
            {.producer_id = too_long, .width = 1280, .height = 720},
            {.producer_id = id, .width = 640, .height = 360}};

        (void)snprintf(id, sizeof(id), "%s", a->id);
        (void)snprintf(too_long, sizeof(too_long), "%sx", b->id); /* is not b's */
        assert_int_equal(meeting_view(w.meeting, p.b, views, 2, 0, &err), 0);
        memset(id, 'x', sizeof(id) - 1); /* they were borrowed */
    }
    shown = consume(&w, p.recv, a->id);
    hidden = consume(&w, p.recv, b->id);
    wishes_are(&w, shown, 1, any, 640 * 360);
    wishes_are(&w, hidden, 0, 0, 0);
    assert_int_equal(meeting_consumer_pause(p.b, shown->id, false, &err), 0);
    assert_int_equal(meeting_consumer_pause(p.b, hidden->id, false, &err), 0);
    assert_int_equal(a->needed, 1); /* not all of them */
    assert_int_equal(b->needed, 0);
    assert_int_equal(a->wanted[1], 1);
    assert_int_equal(b->wanted[0], 1);

    { /* the next replaces it */
        const struct meeting_view views[] = {
            {.producer_id = b->id, .width = 1280, .height = 720}};

        assert_int_equal(meeting_view(w.meeting, p.b, views, 1, 0, &err), 0);
    }
    wishes_are(&w, shown, 0, 0, 0);
    wishes_are(&w, hidden, 2, any, 1280 * 720);
    assert_int_equal(meeting_consumer_close(w.meeting, p.b, shown->id, &err), 0);
    assert_int_equal(meeting_consumer_close(w.meeting, p.b, hidden->id, &err), 0);
    again = consume(&w, p.recv, b->id);
    wishes_are(&w, again, 2, any, 1280 * 720);
    assert_int_equal(meeting_view(w.meeting, p.b, NULL, 0, 0, &err), 0); /* of nobody */
    wishes_are(&w, consume(&w, p.recv, b->id), 0, 0, 0);
    wishes_are(&w, again, 0, 0, 0);
    part(&w, &p);
    world_finish(&w);
}

/* Of what its receiver may ask for, which the dataplane counts. */
static void a_key_frame_is_asked_for_as_by_its_receiver(void **state)
{
    struct room_consumer *rc;
    struct room_producer *rp;
    struct meeting_error err;
    struct fake_dp_cmd cmd;
    struct pair p;
    struct world w;
    size_t n;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_vp8, 1);
    rc = consume(&w, p.recv, rp->id);
    n = fake_dp_n_cmds(w.dp);
    assert_int_equal(meeting_consumer_keyframe(w.meeting, p.b, rc->id, &err), 0);
    WAIT(&w, fake_dp_n_cmds(w.dp) > n);
    cmd = fake_dp_cmd(w.dp, n);
    assert_int_equal(cmd.op, ABI_OP_SUB_KEYFRAME);
    assert_int_equal(cmd.handle, consumer_sub(rc->consumer));
    assert_int_equal(meeting_consumer_keyframe(w.meeting, p.b, "none", &err), -1);
    part(&w, &p);
    world_finish(&w);
}

static void of_a_single_layer_nothing_is_told(void **state)
{
    struct room_consumer *rc;
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_vp8, 1);
    rc = consume(&w, p.recv, rp->id);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 0);
    assert_int_equal(meeting_consumer_pause(p.b, rc->id, false, &err), 0);
    assert_int_equal(meeting_consumer_pause(p.b, rc->id, true, &err), 0);
    assert_int_equal(told_after(&w, p.a, rp, 2 * WHILE_US), 0);
    part(&w, &p);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_simulcast_what_nobody_needs_is_told),
        cmocka_unit_test(of_svc_what_nobody_needs_is_told),
        cmocka_unit_test(how_large_it_is_shown_is_told),
        cmocka_unit_test(a_view_holds_for_consumers_made_later),
        cmocka_unit_test(a_key_frame_is_asked_for_as_by_its_receiver),
        cmocka_unit_test(of_a_single_layer_nothing_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
