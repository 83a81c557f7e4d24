/* Consumers, and what ends with what: requests that wait, transports, the dataplane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

static const struct told *last_told(const struct world *w)
{
    assert_true(w->n_told > 0);
    return &w->told[w->n_told - 1];
}

/* ---- consumers ---- */

static void a_consumer_starts_paused_and_ends_with_its_producer(void **state)
{
    char ids[2][MEETING_OBJECT_ID + 1];
    struct rtp_params one, two;
    struct room_consumer *rc[2];
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_vp8, 1000);
    for (int i = 0; i < 2; i++) {
        rc[i] = consume(&w, p.recv, rp->id);
        memcpy(ids[i], rc[i]->id, sizeof(ids[i]));
        assert_true(consumer_is_paused(rc[i]->consumer));
    }
    consumer_params(rc[0]->consumer, &one);
    consumer_params(rc[1]->consumer, &two);
    assert_string_not_equal(one.mid, two.mid);
    assert_int_equal(one.n_encodings, 1);
    assert_int_not_equal(one.encodings[0].ssrc, 1000);
    assert_int_not_equal(one.encodings[0].ssrc, two.encodings[0].ssrc);
    assert_string_equal(one.cname, two.cname);

    assert_int_equal(meeting_consumer_pause(p.b, ids[0], false, &err), 0);
    assert_false(consumer_is_paused(rc[0]->consumer));
    assert_true(consumer_is_paused(rc[1]->consumer));
    assert_int_equal(meeting_consumer_pause(p.a, ids[0], false, &err), -1);
    assert_string_equal(err.code, "not_found");

    w.n_told = 0;
    assert_int_equal(meeting_consumer_close(w.meeting, p.a, ids[0], &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_consumer_close(w.meeting, p.b, ids[0], &err), 0);
    assert_int_equal(w.n_told, 0); /* who asked knows */
    assert_int_equal(meeting_consumer_close(w.meeting, p.b, ids[0], &err), -1);
    assert_string_equal(err.code, "not_found");

    assert_int_equal(meeting_producer_close(w.meeting, p.a, rp->id, &err), 0);
    assert_int_equal(w.n_told, 2);
    assert_int_equal(w.told[0].kind, MEETING_CONSUMER_CLOSED);
    assert_ptr_equal(w.told[0].one, p.b);
    assert_int_equal(w.told[0].seq, 0); /* no lasting fact */
    assert_string_equal(w.told[0].consumer, ids[1]);
    assert_string_equal(w.told[0].reason, "producer_closed");
    assert_int_equal(w.told[1].kind, MEETING_PRODUCER_CLOSED);
    assert_int_equal(p.b->n_consumers, 0);
    WAIT(&w, fake_dp_n_open(w.dp, 'u') == 0 && fake_dp_n_open(w.dp, 's') == 0);
    part(&w, &p);
    world_finish(&w);
}

static void refuse_consume(struct world *w, struct participant *p, const char *transport,
                           const char *producer, const struct ortc_caps *caps,
                           const char *code)
{
    struct meeting_error err = {.code = "none"};
    struct asked asked = {.n = 0};
    uint32_t n = p->n_consumers;

    assert_int_equal(meeting_consume(w->meeting, p, transport, producer, NULL, caps,
                                     on_done, &asked, &err),
                     -1);
    assert_string_equal(err.code, code);
    assert_int_equal(asked.n, 0);
    assert_int_equal(p->n_consumers, n);
}

static void consume_is_refused_for_what_is_wrong(void **state)
{
    struct auth_identity other = identity("c", "other", AUTH_HOST);
    struct ortc_caps caps = all_caps();
    struct ortc_caps deaf = {.codecs = 0};
    struct room_producer *rp, *hidden;
    struct participant *c;
    struct meeting_error err;
    struct transport *t;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_opus, 1000);
    c = meeting_join(w.meeting, &other, "other", "", &w, &err);
    t = open_transport(&w, c, true);
    hidden = produce(&w, t, world_opus, 1);

    refuse_consume(&w, p.b, p.recv->id, "nowhere", &caps, "not_found");
    refuse_consume(&w, p.b, "nowhere", rp->id, &caps, "not_found");
    refuse_consume(&w, p.b, p.send->id, rp->id, &caps, "not_found");     /* another's */
    refuse_consume(&w, p.b, p.recv->id, hidden->id, &caps, "not_found"); /* other room */
    refuse_consume(&w, p.a, p.send->id, rp->id, &caps, "wrong_direction");
    refuse_consume(&w, p.b, p.recv->id, rp->id, &deaf, "unsupported");
    for (int i = 0; i < WORLD_CONSUMERS; i++) {
        (void)consume(&w, p.recv, rp->id);
    }
    refuse_consume(&w, p.b, p.recv->id, rp->id, &caps, "too_many");
    meeting_leave(w.meeting, c, "left");
    part(&w, &p);
    world_finish(&w);
}

/* Layers that there are not, of consumers that there are not or that are another's: an
 * error that says which there are, and all wishes stay. */
static void impossible_layers_are_refused_and_change_nothing(void **state)
{
    static const uint8_t wrong[][2] = {{3, 0}, {14, MEETING_LAYER_ANY}, {254, 0}, {0, 14}};
    struct room_consumer *rc, *other;
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_simulcast, 1);
    rc = consume(&w, p.recv, rp->id);
    other = consume(&w, p.recv, rp->id);
    assert_ptr_equal(
        meeting_consumer_layers(w.meeting, p.b, rc->id, 1, MEETING_LAYER_ANY, &err), rc);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err.code = "none";
        assert_null(meeting_consumer_layers(w.meeting, p.b, rc->id, wrong[i][0],
                                            wrong[i][1], &err));
        assert_string_equal(err.code, "invalid");
        assert_int_equal(rc->wish_spatial, 1);
        assert_int_equal(rc->wish_temporal, MEETING_LAYER_ANY);
    }
    assert_non_null(strstr(err.message, "its layers are 0 to"));
    assert_null(meeting_consumer_layers(w.meeting, p.b, "nobody's", 0, 0, &err));
    assert_string_equal(err.code, "not_found");
    assert_null(meeting_consumer_layers(w.meeting, p.a, rc->id, 0, 0, &err));
    assert_string_equal(err.code, "not_found");
    assert_null(meeting_consumer_quality(w.meeting, p.a, rc->id, 0, &err));
    assert_int_equal(rc->wish_spatial, 1);
    assert_int_equal(other->wish_spatial, MEETING_LAYER_ANY);
    part(&w, &p);
    world_finish(&w);
}

static void a_consumer_that_the_dataplane_refuses_was_never_there(void **state)
{
    struct ortc_caps caps = all_caps();
    struct asked asked = {.n = 0};
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_opus, 1000);
    w.n_told = 0;
    fake_dp_fail(w.dp, ABI_OP_SUB_OPEN, -ENOSPC);
    assert_int_equal(meeting_consume(w.meeting, p.b, p.recv->id, rp->id, NULL, &caps,
                                     on_done, &asked, &err),
                     0);
    WAIT(&w, asked.n == 1);
    assert_string_equal(asked.code, "overloaded");
    assert_int_equal(p.b->n_consumers, 0);
    assert_null(rp->consumers);
    assert_null(p.recv->consumers);
    assert_int_equal(w.n_told, 0);
    part(&w, &p);
    world_finish(&w);
}

/* ---- what ends before it stood ---- */

static void what_ends_before_its_answer_is_told_gone_once(void **state)
{
    struct rtp_params params = world_params(world_simulcast, 1);
    struct ortc_caps caps = all_caps();
    struct asked transport = {.n = 0}, producer = {.n = 0}, consumer[2] = {{.n = 0}};
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_opus, 1000);
    fake_dp_hold(w.dp, true);
    w.n_told = 0;
    assert_int_equal(
        meeting_transport_create(w.meeting, p.a, true, on_done, &transport, &err), 0);
    assert_int_equal(meeting_produce(w.meeting, p.a, p.send->id, RTP_KIND_VIDEO, &params,
                                     SOURCE_CAMERA, false, on_done, &producer, &err),
                     0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meeting_consume(w.meeting, p.b, p.recv->id, rp->id, NULL, &caps,
                                         on_done, &consumer[i], &err),
                         0);
    }
    settle(&w, 10);
    assert_int_equal(transport.n + producer.n + consumer[0].n + consumer[1].n, 0);
    /* nobody else knows of the unfinished one */
    refuse_consume(&w, p.b, p.recv->id, p.send->producers->id, &caps, "not_found");

    meeting_leave(w.meeting, p.a, "left");
    assert_int_equal(transport.n, 1);
    assert_string_equal(transport.code, "gone");
    assert_int_equal(producer.n, 1);
    assert_string_equal(producer.code, "gone");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(consumer[i].n, 1);
        assert_string_equal(consumer[i].code, "gone");
    }
    /* told: the audio that stood has ended, and who left; of the rest nobody knew */
    assert_int_equal(w.n_told, 2);
    assert_int_equal(w.told[0].kind, MEETING_PRODUCER_CLOSED);
    assert_int_equal(w.told[1].kind, MEETING_LEFT);
    fake_dp_hold(w.dp, false);
    WAIT(&w, world_n_open(&w) == 1); /* b's transport */
    settle(&w, 20);
    assert_int_equal(transport.n + producer.n + consumer[0].n + consumer[1].n, 4);
    meeting_leave(w.meeting, p.b, "left");
    world_finish(&w);
}

static void closing_a_transport_ends_all_that_hangs_on_it(void **state)
{
    char id_v[MEETING_OBJECT_ID + 1], id_a[MEETING_OBJECT_ID + 1];
    struct meeting_error err;
    struct transport *recv_a;
    struct room_producer *v, *a, *of_b;
    struct transport *send_b;
    struct pair p;
    struct world w;
    unsigned consumers = 0, closed = 0;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    recv_a = open_transport(&w, p.a, false);
    send_b = open_transport(&w, p.b, true);
    v = produce(&w, p.send, world_vp8, 1000);
    a = produce(&w, p.send, world_opus, 1001);
    of_b = produce(&w, send_b, world_opus, 1000); /* SSRCs are each transport's own */
    memcpy(id_v, v->id, sizeof(id_v));
    memcpy(id_a, a->id, sizeof(id_a));
    (void)consume(&w, p.recv, id_v);
    (void)consume(&w, p.recv, id_a);
    (void)consume(&w, recv_a, of_b->id);
    w.n_told = 0;
    assert_int_equal(meeting_transport_close(w.meeting, p.a, p.send->id, &err), 0);
    assert_int_equal(w.n_told, 4);
    for (size_t i = 0; i < w.n_told; i++) {
        if (w.told[i].kind == MEETING_CONSUMER_CLOSED) {
            assert_ptr_equal(w.told[i].one, p.b);
            consumers++;
        } else {
            assert_int_equal(w.told[i].kind, MEETING_PRODUCER_CLOSED);
            assert_ptr_equal(w.told[i].except, p.a);
            closed++;
        }
    }
    assert_int_equal(consumers, 2);
    assert_int_equal(closed, 2);
    assert_int_equal(p.a->n_producers, 0);
    assert_int_equal(p.b->n_consumers, 0);
    WAIT(&w, fake_dp_n_open(w.dp, 'p') == 3 && fake_dp_n_open(w.dp, 's') == 1 &&
                 fake_dp_n_open(w.dp, 'u') == 1);

    w.n_told = 0; /* a receiving one: its own consumers */
    assert_int_equal(meeting_transport_close(w.meeting, p.a, recv_a->id, &err), 0);
    assert_int_equal(w.n_told, 1);
    assert_int_equal(w.told[0].kind, MEETING_CONSUMER_CLOSED);
    assert_string_equal(w.told[0].reason, "transport_closed");
    assert_int_equal(p.a->n_consumers, 0);
    assert_null(of_b->consumers);
    part(&w, &p);
    world_finish(&w);
}

/* ---- the transport fails, the dataplane goes ---- */

static void a_transport_whose_peer_falls_silent_ends(void **state)
{
    struct abi_evt evt = {.kind = ABI_EVT_CONSENT_LOST};
    struct room_producer *rp;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_opus, 1000);
    (void)consume(&w, p.recv, rp->id);
    w.n_told = 0;
    evt.handle = session_peer(p.send->session);
    fake_dp_event(w.dp, &evt);
    WAIT(&w, p.a->n_transports == 0);
    assert_int_equal(w.n_told, 3);
    assert_int_equal(w.told[0].kind, MEETING_TRANSPORT_CLOSED);
    assert_string_equal(w.told[0].reason, "consent_lost");
    assert_int_equal(w.told[1].kind, MEETING_CONSUMER_CLOSED);
    assert_int_equal(last_told(&w)->kind, MEETING_PRODUCER_CLOSED);
    fake_dp_event(w.dp, &evt); /* and once more: nobody is meant */
    settle(&w, 20);
    assert_int_equal(w.n_told, 3);
    assert_int_equal(p.b->n_transports, 1);
    part(&w, &p);
    world_finish(&w);
}

static void when_the_dataplane_goes_those_with_media_are_told_to_come_again(void **state)
{
    struct rtp_params params = world_params(world_opus, 5);
    struct asked producer = {.n = 0}, transport = {.n = 0};
    struct participant *idle;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    idle = enter(&w, "idle");
    (void)produce(&w, p.send, world_opus, 1000);
    fake_dp_hold(w.dp, true);
    assert_int_equal(meeting_produce(w.meeting, p.a, p.send->id, RTP_KIND_AUDIO, &params,
                                     SOURCE_MIC, false, on_done, &producer, &err),
                     0);
    assert_int_equal(
        meeting_transport_create(w.meeting, p.b, true, on_done, &transport, &err), 0);
    fake_dp_kill(w.dp);
    w.dp = NULL;
    WAIT(&w, w.n_detached == 1 && producer.n == 1 && transport.n == 1);
    assert_string_equal(producer.code, "media_unavailable");
    assert_string_equal(transport.code, "media_unavailable");
    assert_int_equal(w.n_lost, 2);
    for (size_t i = 0; i < w.n_lost; i++) {
        assert_ptr_not_equal(w.lost[i], idle);
    }
    assert_int_equal(
        meeting_transport_create(w.meeting, idle, true, on_done, &transport, &err), -1);
    assert_string_equal(err.code, "media_unavailable");
    assert_int_equal(producer.n, 1);
    assert_int_equal(transport.n, 1);
    meeting_leave(w.meeting, idle, "left");
    part(&w, &p);
    world_finish(&w);
}

static void after_the_dataplane_came_back_all_can_be_made_again(void **state)
{
    struct room_producer *rp;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    (void)produce(&w, p.send, world_opus, 1000);
    fake_dp_hang_up(w.dp);
    WAIT(&w, w.n_detached == 1);
    part(&w, &p);
    WAIT(&w, media_info(w.media) != NULL);
    p = make_pair(&w);
    rp = produce(&w, p.send, world_opus, 1000);
    (void)consume(&w, p.recv, rp->id);
    part(&w, &p);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_starts_paused_and_ends_with_its_producer),
        cmocka_unit_test(consume_is_refused_for_what_is_wrong),
        cmocka_unit_test(impossible_layers_are_refused_and_change_nothing),
        cmocka_unit_test(a_consumer_that_the_dataplane_refuses_was_never_there),
        cmocka_unit_test(what_ends_before_its_answer_is_told_gone_once),
        cmocka_unit_test(closing_a_transport_ends_all_that_hangs_on_it),
        cmocka_unit_test(a_transport_whose_peer_falls_silent_ends),
        cmocka_unit_test(when_the_dataplane_goes_those_with_media_are_told_to_come_again),
        cmocka_unit_test(after_the_dataplane_came_back_all_can_be_made_again),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
