/* Transports and producers: their life, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/meeting/world.h"

/* ---- transports ---- */

static void a_transport_has_a_peer_until_it_is_closed(void **state)
{
    struct meeting_error err;
    struct transport *t;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    assert_true(p.send->send);
    assert_false(p.recv->send);
    assert_string_not_equal(p.send->id, p.recv->id);
    assert_int_equal(fake_dp_n_open(w.dp, 'p'), 2);
    assert_int_equal(meeting_transport_close(w.meeting, p.b, p.send->id, &err), -1);
    assert_string_equal(err.code, "not_found"); /* another's */
    assert_int_equal(meeting_transport_close(w.meeting, p.a, p.send->id, &err), 0);
    WAIT(&w, fake_dp_n_open(w.dp, 'p') == 1);
    assert_int_equal(meeting_transport_close(w.meeting, p.a, "gone", &err), -1);
    assert_string_equal(err.code, "not_found");
    t = open_transport(&w, p.a, true); /* another in its place */
    assert_int_equal(p.a->n_transports, 1);
    assert_ptr_equal(p.a->transports, t);
    part(&w, &p);
    world_finish(&w);
}

static void a_participant_has_four_transports_at_most(void **state)
{
    struct participant *a;
    struct asked asked = {.n = 0};
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    for (int i = 0; i < 4; i++) {
        (void)open_transport(&w, a, i % 2 == 0);
    }
    assert_int_equal(meeting_transport_create(w.meeting, a, true, on_done, &asked, &err),
                     -1);
    assert_string_equal(err.code, "too_many");
    assert_int_equal(asked.n, 0);
    assert_int_equal(a->n_transports, 4);
    meeting_leave(w.meeting, a, "left");
    world_finish(&w);
}

static void connecting_is_for_the_owner_once_and_needs_a_fingerprint(void **state)
{
    struct session_dtls dtls = {.role = SESSION_PEER_CLIENT};
    struct meeting_error err;
    char value[32 * 3] = "";
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    assert_int_equal(meeting_transport_connect(p.a, p.send->id, &dtls, &err), -1);
    assert_string_equal(err.code, "invalid");
    for (int i = 0; i < 32; i++) {
        strcat(value, i > 0 ? ":AB" : "AB");
    }
    assert_int_equal(session_dtls_add(&dtls, "sha-256", value), 0);
    assert_int_equal(meeting_transport_connect(p.b, p.send->id, &dtls, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_transport_connect(p.a, p.send->id, &dtls, &err), 0);
    assert_int_equal(meeting_transport_connect(p.a, p.send->id, &dtls, &err), -1);
    assert_string_equal(err.code, "already_connected");
    part(&w, &p);
    world_finish(&w);
}

static void a_transport_that_the_dataplane_refuses_is_gone(void **state)
{
    struct asked asked = {.n = 0};
    struct participant *a;
    struct meeting_error err;
    struct world w;
    (void)state;

    world_start(&w);
    a = enter(&w, "a");
    fake_dp_fail(w.dp, ABI_OP_PEER_OPEN, -ENOSPC);
    assert_int_equal(meeting_transport_create(w.meeting, a, true, on_done, &asked, &err),
                     0);
    WAIT(&w, asked.n == 1);
    assert_string_equal(asked.code, "overloaded");
    assert_int_equal(asked.retry_after_ms, MEETING_RETRY_MS);
    assert_null(a->transports);
    assert_int_equal(a->n_transports, 0);
    fake_dp_fail(w.dp, ABI_OP_PEER_OPEN, 0);
    (void)open_transport(&w, a, true);
    meeting_leave(w.meeting, a, "left");
    assert_int_equal(asked.n, 1);
    world_finish(&w);
}

/* ---- producers ---- */

static void a_producer_is_told_once_it_stands_and_when_it_ends(void **state)
{
    char id[MEETING_OBJECT_ID + 1];
    struct room_producer *rp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    w.n_told = 0;
    rp = produce(&w, p.send, world_opus, 1000);
    memcpy(id, rp->id, sizeof(id));
    assert_int_equal(fake_dp_n_open(w.dp, 's'), 1);
    assert_int_equal(w.n_told, 1);
    assert_int_equal(w.told[0].kind, MEETING_NEW_PRODUCER);
    assert_ptr_equal(w.told[0].except, p.a);
    assert_string_equal(w.told[0].producer, id);

    assert_int_equal(meeting_producer_pause(w.meeting, p.a, id, false, &err), 0);
    assert_int_equal(w.n_told, 1); /* it was not paused: nothing happened */
    assert_int_equal(meeting_producer_pause(w.meeting, p.a, id, true, &err), 0);
    assert_int_equal(meeting_producer_pause(w.meeting, p.a, id, true, &err), 0);
    assert_true(producer_is_paused(rp->producer));
    assert_int_equal(meeting_producer_pause(w.meeting, p.a, id, false, &err), 0);
    assert_int_equal(w.n_told, 3);
    assert_int_equal(w.told[1].kind, MEETING_PRODUCER_PAUSED);
    assert_int_equal(w.told[2].kind, MEETING_PRODUCER_RESUMED);

    assert_int_equal(meeting_producer_close(w.meeting, p.b, id, &err), -1);
    assert_string_equal(err.code, "not_found"); /* another's */
    assert_int_equal(meeting_producer_pause(w.meeting, p.b, id, true, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_producer_close(w.meeting, p.a, id, &err), 0);
    assert_int_equal(w.n_told, 4);
    assert_int_equal(w.told[3].kind, MEETING_PRODUCER_CLOSED);
    assert_string_equal(w.told[3].producer, id);
    for (size_t i = 1; i < w.n_told; i++) {
        assert_int_equal(w.told[i].seq, w.told[i - 1].seq + 1);
    }
    WAIT(&w, fake_dp_n_open(w.dp, 's') == 0);
    assert_int_equal(meeting_producer_close(w.meeting, p.a, id, &err), -1);
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_producer_pause(w.meeting, p.a, id, true, &err), -1);
    assert_string_equal(err.code, "not_found");
    part(&w, &p);
    world_finish(&w);
}

/* Asks to produce and expects a refusal that changes nothing. */
static void refuse(struct world *w, struct participant *p, const char *transport,
                   enum rtp_kind kind, struct rtp_params params, enum meeting_source source,
                   const char *code, const char *words)
{
    struct meeting_error err = {.code = "none"};
    struct asked asked = {.n = 0};
    uint32_t n = p->n_producers;
    size_t n_told = w->n_told;

    assert_int_equal(meeting_produce(w->meeting, p, transport, kind, &params, source, false,
                                     on_done, &asked, &err),
                     -1);
    assert_string_equal(err.code, code);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, words);
    }
    assert_int_equal(asked.n, 0);
    assert_int_equal(p->n_producers, n);
    assert_int_equal(w->n_told, n_told);
}

static void produce_is_refused_for_what_is_wrong(void **state)
{
    struct rtp_params opus, vp8, theora, ext;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    opus = world_params(world_opus, 1);
    vp8 = theora = ext = world_params(world_vp8, 2);
    strcpy(theora.codecs[0].mime, "video/theora");
    ext.n_exts = 1;
    ext.exts[0].id = 3;
    strcpy(ext.exts[0].uri, "urn:x:secret-extension");

    refuse(&w, p.a, "nowhere", RTP_KIND_AUDIO, opus, SOURCE_MIC, "not_found", "transport");
    refuse(&w, p.a, p.recv->id, RTP_KIND_AUDIO, opus, SOURCE_MIC, "not_found", "transport");
    refuse(&w, p.b, p.recv->id, RTP_KIND_AUDIO, opus, SOURCE_MIC, "wrong_direction", "");
    refuse(&w, p.a, p.send->id, RTP_KIND_AUDIO, opus, SOURCE_CAMERA, "invalid", "/source");
    refuse(&w, p.a, p.send->id, RTP_KIND_VIDEO, vp8, SOURCE_MIC, "invalid", "/source");
    refuse(&w, p.a, p.send->id, RTP_KIND_AUDIO, vp8, SOURCE_MIC, "invalid",
           "/rtp_parameters/codecs/0");
    refuse(&w, p.a, p.send->id, RTP_KIND_VIDEO, theora, SOURCE_CAMERA, "unsupported",
           "theora");
    refuse(&w, p.a, p.send->id, RTP_KIND_VIDEO, ext, SOURCE_SCREEN, "unsupported",
           "secret-extension");
    (void)produce(&w, p.send, world_opus, 10);
    (void)produce(&w, p.send, world_vp8, 11);
    refuse(&w, p.a, p.send->id, RTP_KIND_VIDEO, vp8, SOURCE_CAMERA, "too_many", "2");
    part(&w, &p);
    world_finish(&w);
}

static void roles_limit_what_is_produced(void **state)
{
    struct auth_identity who = identity("c", "m", AUTH_ATTENDEE);
    struct rtp_params opus = world_params(world_opus, 1);
    struct rtp_params vp8 = world_params(world_vp8, 2);
    struct participant *p;
    struct meeting_error err;
    struct transport *t;
    struct world w;
    (void)state;

    world_start(&w);
    p = meeting_join(w.meeting, &who, "m", "", &w, &err);
    t = open_transport(&w, p, true);
    refuse(&w, p, t->id, RTP_KIND_AUDIO, opus, SOURCE_MIC, "forbidden", "attendee");
    p->room->policy.allow_attendee_media = true;
    refuse(&w, p, t->id, RTP_KIND_VIDEO, vp8, SOURCE_SCREEN, "forbidden", "attendee");
    refuse(&w, p, t->id, RTP_KIND_AUDIO, opus, SOURCE_SCREEN_AUDIO, "forbidden",
           "attendee");
    (void)produce(&w, t, world_opus, 3);
    meeting_leave(w.meeting, p, "left");
    world_finish(&w);
}

static void a_producer_that_the_dataplane_refuses_was_never_there(void **state)
{
    struct rtp_params params = world_params(world_simulcast, 1);
    struct asked asked = {.n = 0};
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    w.n_told = 0;
    for (int i = 0; i < 2; i++) {
        fake_dp_fail(w.dp, ABI_OP_STREAM_OPEN, i == 0 ? -ENOSPC : -EEXIST);
        asked = (struct asked){.n = 0};
        assert_int_equal(meeting_produce(w.meeting, p.a, p.send->id, RTP_KIND_VIDEO,
                                         &params, SOURCE_CAMERA, false, on_done, &asked,
                                         &err),
                         0);
        assert_int_equal(asked.n, 0); /* never from within */
        WAIT(&w, asked.n == 1);
        assert_string_equal(asked.code, i == 0 ? "overloaded" : "invalid");
        settle(&w, 20);
        assert_int_equal(asked.n, 1);
        assert_int_equal(p.a->n_producers, 0);
        assert_null(p.send->producers);
    }
    assert_int_equal(w.n_told, 0);
    fake_dp_fail(w.dp, ABI_OP_STREAM_OPEN, 0);
    (void)produce(&w, p.send, world_simulcast, 1);
    assert_int_equal(fake_dp_n_open(w.dp, 's'), 3);
    part(&w, &p);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transport_has_a_peer_until_it_is_closed),
        cmocka_unit_test(a_participant_has_four_transports_at_most),
        cmocka_unit_test(connecting_is_for_the_owner_once_and_needs_a_fingerprint),
        cmocka_unit_test(a_transport_that_the_dataplane_refuses_is_gone),
        cmocka_unit_test(a_producer_is_told_once_it_stands_and_when_it_ends),
        cmocka_unit_test(produce_is_refused_for_what_is_wrong),
        cmocka_unit_test(roles_limit_what_is_produced),
        cmocka_unit_test(a_producer_that_the_dataplane_refuses_was_never_there),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
