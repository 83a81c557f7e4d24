/* Owners learn how their media arrives: when it changes, and when it stays bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

static unsigned n_told(const struct world *w, enum meeting_event_kind kind,
                       const struct participant *to)
{
    unsigned n = 0;

    for (size_t i = 0; i < w->n_told; i++) {
        n += w->told[i].kind == kind && w->told[i].one == to && w->told[i].seq == 0;
    }
    return n;
}

static void owners_are_told_of_changes_and_of_what_stays_bad(void **state)
{
    struct abi_stream_stats *stream;
    struct abi_sub_stats *sub;
    struct meeting_error err;
    struct room_producer *rp;
    struct room_consumer *rc;
    struct pair p;
    struct world w;
    uint64_t s, u, now_us = 1000000000;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_vp8, 1000);
    rc = consume(&w, p.recv, rp->id);
    assert_int_equal(meeting_consumer_pause(p.b, rc->id, false, &err), 0);
    s = producer_stream(rp->producer);
    u = consumer_sub(rc->consumer);
    stream = &fake_dp_stream_stats(w.dp)[handle_index(s)];
    sub = &fake_dp_sub_stats(w.dp)[handle_index(u)];
    *stream = (struct abi_stream_stats){.handle = s, .packets = 10};
    *sub = (struct abi_sub_stats){.handle = u, .packets = 10};
    w.n_told = 0;
    for (unsigned i = 0; i < 6; i++) {
        stream->packets += 1000;
        sub->packets += 1000;
        sub->lost += i >= 2 ? 300 : 0; /* only the receiver's link is bad */
        meeting_tick(w.meeting, now_us);
        meeting_tick(w.meeting, now_us + 10000); /* within the second: nothing */
        now_us += 1000000;
    }
    assert_int_equal(rp->score.value, SCORE_MAX);
    assert_true(rc->score.value < SCORE_BAD);
    assert_int_equal(n_told(&w, MEETING_PRODUCER_SCORE, p.a), 0);
    assert_int_equal(n_told(&w, MEETING_CONSUMER_SCORE, p.b), 1);
    assert_int_equal(n_told(&w, MEETING_QUALITY_WARNING, p.b), 1);
    assert_int_equal(w.n_told, 2);
    assert_string_equal(w.told[1].reason, "packet_loss");
    assert_string_equal(w.told[1].consumer, rc->id);

    w.n_told = 0; /* nothing comes: the publisher's fault, not the receiver's */
    meeting_tick(w.meeting, now_us);
    assert_int_equal(n_told(&w, MEETING_PRODUCER_SCORE, p.a), 1);
    assert_int_equal(w.n_told, 1);
    assert_int_equal(rp->score.value, 0);
    part(&w, &p);
    world_finish(&w);
}

static void tick(struct world *w, uint64_t *now_us)
{
    w->n_told = 0;
    meeting_tick(w->meeting, *now_us);
    *now_us += 1000000;
}

/* Its link carries no video: that is told, once, and that it goes on; meanwhile it is worth
 * nothing. That its publisher is silent is not the link's fault. */
static void video_that_is_held_back_is_told_and_scores_nothing(void **state)
{
    struct meeting_error err;
    struct meeting_layers layers;
    struct abi_sub_stats *sub;
    struct room_producer *rp;
    struct room_consumer *rc;
    struct pair p;
    struct world w;
    uint64_t u, now_us = 1000000000;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_vp8, 1000);
    rc = consume(&w, p.recv, rp->id);
    assert_int_equal(meeting_consumer_pause(p.b, rc->id, false, &err), 0);
    u = consumer_sub(rc->consumer);
    sub = &fake_dp_sub_stats(w.dp)[handle_index(u)];
    *sub = (struct abi_sub_stats){.handle = u, .packets = 10};
    tick(&w, &now_us);
    sub->packets += 100;
    tick(&w, &now_us);
    assert_int_equal(w.n_told, 0); /* that it runs is no news */

    sub->held = 1;
    tick(&w, &now_us);
    assert_int_equal(n_told(&w, MEETING_CONSUMER_LAYERS, p.b), 1);
    assert_int_equal(n_told(&w, MEETING_CONSUMER_SCORE, p.b), 1);
    assert_int_equal(w.n_told, 2);
    layers = meeting_layers_read(rc->layers);
    assert_false(layers.current.any);
    assert_false(layers.target.any);
    assert_string_equal(layers.reason, "bandwidth");
    assert_int_equal(rc->score.value, 0);
    tick(&w, &now_us);
    assert_int_equal(n_told(&w, MEETING_QUALITY_WARNING, p.b), 1);
    assert_int_equal(w.n_told, 1);
    assert_string_equal(w.told[0].reason, "no_media");

    sub->held = 0; /* a key frame is waited for */
    tick(&w, &now_us);
    assert_int_equal(w.n_told, 0);
    sub->packets += 100;
    tick(&w, &now_us);
    assert_int_equal(n_told(&w, MEETING_CONSUMER_LAYERS, p.b), 1);
    assert_int_equal(n_told(&w, MEETING_CONSUMER_SCORE, p.b), 1);
    layers = meeting_layers_read(rc->layers);
    assert_true(layers.current.any && layers.target.any);
    assert_int_equal(layers.current.spatial, 0);
    assert_string_equal(layers.reason, "bandwidth");
    assert_int_equal(rc->score.value, SCORE_MAX);

    assert_int_equal(meeting_producer_pause(w.meeting, p.a, rp->id, true, &err), 0);
    sub->held = 1;
    tick(&w, &now_us);
    assert_int_equal(rc->score.value, SCORE_MAX);
    part(&w, &p);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_that_is_held_back_is_told_and_scores_nothing),
        cmocka_unit_test(owners_are_told_of_changes_and_of_what_stays_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
