/* A control is killed; another finds in the vault who was in which room, with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/breakout.h"
#include "meeting/chat.h"
#include "meeting/recording.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

/* Before its domain begins. What its processes do is unit/recording's: these only die. */
static void let_record(struct world *w, const char *directory)
{
    const struct recorder_conf conf = {.loop = w->loop,
                                       .media = w->media,
                                       .metrics = w->metrics,
                                       .program = "/bin/false",
                                       .directory = directory};
    char reason[RECORDER_REASON];

    assert_int_equal(recorder_create(&w->recorder, &conf, reason), 0);
}

/* A second control on the same dataplane. The first one's loop turns no more, as if it had
 * been killed: the dataplane has hung up on it. It records into 'tapes', if that is not NULL.
 */
static void succeed_to_record(struct world *next, struct world *dead, const char *tapes)
{
    const struct media_conf media_conf = {.socket = dead->socket, .patience_ms = 50};
    struct media_conf with_loop = media_conf;
    struct session_registry_conf conf = {.dtls_threads = 1, .on_media = world_on_media};
    const struct meeting_conf rooms = {.grace_ms = 1,
                                       .max_rooms = WORLD_ROOMS,
                                       .max_participants = WORLD_PEOPLE,
                                       .max_producers = WORLD_PRODUCERS,
                                       .max_consumers = WORLD_CONSUMERS + 1,
                                       .epoch = 8,
                                       .first_seq = 1000, /* other meetings have got further */
                                       .id_prefix = "n2"};
    struct meeting_conf meeting_conf = rooms;

    memset(next, 0, sizeof(*next));
    fake_dp_hang_up(dead->dp);
    next->dp = dead->dp;
    assert_int_equal(loop_create(&next->loop), 0);
    assert_int_equal(metric_registry_create(&next->metrics), 0);
    with_loop.loop = next->loop;
    assert_int_equal(media_create(&next->media, &with_loop), 0);
    conf.loop = next->loop;
    conf.media = next->media;
    conf.metrics = next->metrics;
    conf.user = next;
    assert_int_equal(session_registry_create(&next->sessions, &conf), 0);
    if (tapes != NULL) {
        let_record(next, tapes);
    }
    meeting_conf.sessions = next->sessions;
    meeting_conf.media = next->media;
    meeting_conf.recorder = next->recorder;
    assert_int_equal(meeting_create(&next->meeting, &meeting_conf, &world_ops, next), 0);
    WAIT(next, media_info(next->media) != NULL);
    meeting_restore(next->meeting);
    settle(next, 20);
}

static void succeed(struct world *next, struct world *dead)
{
    succeed_to_record(next, dead, NULL);
}

static void end(struct world *next, struct world *dead)
{
    recorder_destroy(next->recorder);
    meeting_destroy(next->meeting);
    session_registry_destroy(next->sessions);
    media_destroy(next->media);
    metric_registry_destroy(next->metrics);
    loop_destroy(next->loop);
    fake_dp_kill(dead->dp);
    recorder_destroy(dead->recorder);
    meeting_destroy(dead->meeting);
    session_registry_destroy(dead->sessions);
    media_destroy(dead->media);
    metric_registry_destroy(dead->metrics);
    loop_destroy(dead->loop);
    assert_int_equal(rmdir(dead->dir), 0);
}

/* What DTLS and ICE would have done. */
static void connect(struct world *w, const struct transport *t, uint16_t port)
{
    static const uint8_t key[16] = "0123456789abcde", salt[12] = "0123456789a";
    const struct media_keys keys = {.profile = ABI_SRTP_AEAD_AES_128_GCM,
                                    .key_len = 16,
                                    .salt_len = 12,
                                    .rx_key = key,
                                    .tx_key = key,
                                    .rx_salt = salt,
                                    .tx_salt = salt};
    const struct path path = {.remote_port = port, .local_port = 7000, .family = 4};
    uint64_t peer = session_peer(t->session);

    assert_int_equal(media_peer_set_keys(w->media, peer, &keys, NULL, NULL), 0);
    assert_int_equal(media_peer_set_paths(w->media, peer, &path, 1, 0, NULL, NULL), 0);
    settle(w, 5);
}

static void rooms_stand_as_they_were(void **state)
{
    struct world w, next;
    struct pair p;
    struct room_producer *mic, *camera;
    struct room_consumer *heard, *seen;
    struct auth_identity who = identity("b", "m", AUTH_PRESENTER);
    struct auth_identity other = identity("x", "m", AUTH_PRESENTER);
    struct participant *a, *b;
    struct room_consumer *rc;
    struct meeting_error err;
    struct rtp_params before, after;
    void *old = NULL;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    connect(&w, p.send, 1000);
    connect(&w, p.recv, 1001);
    mic = produce(&w, p.send, world_opus, 11);
    camera = produce(&w, p.send, world_simulcast, 12);
    heard = consume(&w, p.recv, mic->id);
    seen = consume(&w, p.recv, camera->id);
    assert_int_equal(meeting_consumer_pause(p.b, heard->id, false, &err), 0);
    assert_int_equal(meeting_producer_pause(w.meeting, p.a, mic->id, true, &err), 0);
    settle(&w, 5);

    succeed(&next, &w);
    assert_int_equal(meeting_n_rooms(next.meeting), 1);
    assert_int_equal(meeting_n_participants(next.meeting), 2);
    assert_int_equal(session_registry_count(next.sessions, SESSION_CONNECTED), 2);
    assert_int_equal(next.n_told, 0); /* nothing has happened for anybody */
    assert_null(meeting_resume(next.meeting, &who, "m", "not a token", &next, &old, &err));
    assert_string_equal(err.code, "not_found");
    assert_null(meeting_resume(next.meeting, &other, "m", p.b->resume_token, &next, &old,
                               &err)); /* another person's */
    assert_null(
        meeting_resume(next.meeting, &who, "n", p.b->resume_token, &next, &old, &err));
    b = meeting_resume(next.meeting, &who, "m", p.b->resume_token, &next, &old, &err);
    assert_non_null(b);
    assert_null(old);
    assert_string_equal(b->id, p.b->id);
    assert_string_equal(b->name, p.b->name);
    assert_int_equal(b->room->seq, p.b->room->seq);
    assert_int_equal(b->room->epoch, p.b->room->epoch);
    assert_int_equal(b->joined_us, p.b->joined_us);
    assert_string_equal(b->transports->id, p.recv->id);
    assert_int_equal(b->n_consumers, 2);
    assert_true(b->transports->next_ssrc == p.recv->next_ssrc);
    assert_int_equal(b->transports->next_mid, p.recv->next_mid);
    for (rc = b->transports->consumers; rc != NULL; rc = rc->next) {
        struct room_consumer *was = strcmp(rc->id, heard->id) == 0 ? heard : seen;

        assert_string_equal(rc->id, was->id);
        assert_string_equal(rc->source->id, was->source->id);
        assert_int_equal(consumer_is_paused(rc->consumer), was == seen);
        consumer_params(rc->consumer, &after);
        consumer_params(was->consumer, &before);
        assert_memory_equal(&after, &before, sizeof(after));
    }
    a = b->room->participants != b ? b->room->participants : b->next;
    assert_string_equal(a->id, p.a->id);
    assert_int_equal(a->n_producers, 2);

    /* life goes on: a new consumer has numbers that were never given out */
    rc = consume(&next, b->transports, mic->id);
    assert_int_equal(session_peer(rc->transport->session), session_peer(p.recv->session));

    /* who does not come back leaves, and what it sent ends for those who heard it */
    a->away_until_us = 0;
    meeting_tick(next.meeting, 1);
    assert_int_equal(meeting_n_participants(next.meeting), 1);
    assert_int_equal(b->n_consumers, 0);
    assert_int_equal(next.told[next.n_told - 1].kind, MEETING_LEFT);
    meeting_leave(next.meeting, b, "left");
    WAIT(&next, world_n_open(&next) == 0);
    end(&next, &w);
}

static void what_hosts_have_done_holds(void **state)
{
    static const char *const users[] = {"a"};
    const struct breakout_draft draft = {
        .name = "One", .id = "", .users = users, .n_users = 1};
    struct auth_identity banned = identity("x", "m", AUTH_PRESENTER);
    struct participant *host, *a;
    struct transport *t;
    struct meeting_error err;
    const struct room *room;
    struct world w, next;
    uint32_t place;
    (void)state;

    world_start(&w);
    host = enter_as(&w, "h", AUTH_HOST);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    t = open_transport(&w, host, true);
    connect(&w, t, 1000);
    connect(&w, open_transport(&w, a, false), 1001);
    (void)enter(&w, "x");
    assert_int_equal(meeting_remove(w.meeting, host, "x", "", true, &err), 0);
    set_flags(&w, host, MEETING_BIT(LOCKED) | MEETING_BIT(WAITING_ROOM), MEETING_BIT(CHAT));
    assert_int_equal(meeting_set_layout(w.meeting, host, MEETING_LAYOUT_SPEAKER, &err), 0);
    assert_int_equal(meeting_mute(w.meeting, host, "a", MEETING_AUDIO, "", &err), 0);
    assert_int_equal(meeting_set_role(w.meeting, host, "h", AUTH_HOST, &err), 0);
    assert_int_equal(meeting_hand_raise(w.meeting, a, &place, &err), 0);
    assert_int_equal(meeting_breakout_create(w.meeting, host, &draft, 1, &err), 0);
    assert_int_equal(meeting_breakout_open(w.meeting, host, 3600, &err), 0);

    succeed(&next, &w);
    room = meeting_find_room(next.meeting, "default", "m");
    assert_int_equal(room->flags, host->room->flags);
    assert_int_equal(room->layout, MEETING_LAYOUT_SPEAKER);
    assert_int_equal(room->seq, host->room->seq);
    assert_true(room->breakouts->open);
    assert_int_equal(room->breakouts->n, 1);
    assert_false(facts_reach_back(&room->facts, room->seq - 1)); /* their words are gone */
    assert_null(meeting_enter(next.meeting, &banned, "m", "", &next, &err));
    assert_string_equal(err.code, "banned");
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        bool is_a = strcmp(p->who.user_id, "a") == 0;

        assert_int_equal(p->who.role, is_a ? AUTH_ATTENDEE : AUTH_HOST);
        assert_int_equal(p->muted, is_a ? MEETING_AUDIO : 0);
        assert_int_equal(meeting_hand_position(p), is_a ? 1 : 0);
        assert_int_equal(p->group, is_a ? 1 : 0);
    }
    end(&next, &w);
}

/* Of a meeting that is to be recorded: what ran ended with the process before, and one
 * begins. But none does where a host had ended it. */
static void what_is_recorded_by_itself_is_so_once_or_not_at_all(void **state)
{
    static const struct recording_wish wish = {.audio = true, .layout = -1};
    struct world w, next;
    struct meeting_error err;
    struct participant *host;
    struct transport *t;
    struct room *room;
    char tapes[80], command[96];
    (void)state;

    for (unsigned ended = 0; ended < 2; ended++) {
        world_start_media(&w);
        (void)snprintf(tapes, sizeof(tapes), "%s/tapes", w.dir);
        (void)snprintf(command, sizeof(command), "rm -r %s", tapes);
        let_record(&w, tapes);
        world_start_meeting(&w, &world_ops, &w);
        host = enter_as(&w, "h", AUTH_HOST);
        t = open_transport(&w, host, true);
        connect(&w, t, 1000);
        (void)produce(&w, t, world_opus, 11);
        meeting_record_auto(host->room, &wish);
        meeting_tick(w.meeting, clock_mono_us());
        assert_non_null(host->room->recording);
        if (ended) {
            assert_non_null(meeting_record_stop(w.meeting, host, "", &err));
        }
        settle(&w, 5);

        succeed_to_record(&next, &w, tapes);
        room = meeting_find_room(next.meeting, "default", "m");
        meeting_record_auto(room, &wish);
        for (unsigned i = 0; i < 3; i++) {
            meeting_tick(next.meeting, clock_mono_us());
        }
        assert_int_equal(world_n_told(&next, MEETING_RECORDING_STARTED), !ended);
        assert_int_equal(room->recording != NULL, !ended);
        assert_int_equal(system(command), 0);
        end(&next, &w);
    }
}

/* The newest facts stand in the record of one transport: if that goes, in another's. */
static void what_was_told_last_outlives_the_transport_that_kept_it(void **state)
{
    struct auth_identity banned = identity("x", "m", AUTH_PRESENTER);
    struct participant *host, *a;
    struct transport *t;
    struct meeting_error err;
    struct world w, next;
    (void)state;

    world_start(&w);
    a = enter_as(&w, "a", AUTH_ATTENDEE);
    t = open_transport(&w, a, true);
    connect(&w, t, 1000);
    host = enter_as(&w, "h", AUTH_HOST);
    connect(&w, open_transport(&w, host, true), 1001);
    (void)enter(&w, "x");
    assert_int_equal(meeting_remove(w.meeting, host, "x", "", true, &err), 0);
    assert_int_equal(meeting_transport_close(w.meeting, a, t->id, &err), 0);

    succeed(&next, &w);
    assert_int_equal(meeting_find_room(next.meeting, "default", "m")->seq, host->room->seq);
    assert_null(meeting_enter(next.meeting, &banned, "m", "", &next, &err));
    assert_string_equal(err.code, "banned");
    end(&next, &w);
}

static void what_belongs_to_nobody_is_closed(void **state)
{
    struct world w, next;
    struct pair p;
    struct room_producer *mic;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    connect(&w, p.send, 1000); /* the other's handshake dies with its control */
    mic = produce(&w, p.send, world_opus, 11);
    (void)consume(&w, p.recv, mic->id);
    assert_int_equal(media_set_blob(w.media, MEDIA_STREAM, producer_stream(mic->producer),
                                    "nonsense", 8),
                     0);
    succeed(&next, &w);
    WAIT(&next, world_n_open(&next) == 1);                     /* the connected transport */
    assert_int_equal(meeting_n_participants(next.meeting), 2); /* both may come back */
    end(&next, &w);
}

static void a_client_that_breaks_off_is_waited_for(void **state)
{
    struct auth_identity who = identity("a", "m", AUTH_PRESENTER);
    struct meeting_error err;
    struct participant *a;
    struct world w;
    int before, after;
    void *old = NULL;
    (void)state;

    world_start(&w);
    WAIT(&w, media_info(w.media) != NULL);
    a = enter(&w, "a");
    a->client = &before;
    w.n_told = 0;
    assert_ptr_equal(
        meeting_resume(w.meeting, &who, "m", a->resume_token, &after, &old, &err), a);
    assert_ptr_equal(old, &before); /* the old connection was not known to be dead */
    meeting_detach(w.meeting, a, "transport close");
    meeting_tick(w.meeting, 0);
    assert_ptr_equal(
        meeting_resume(w.meeting, &who, "m", a->resume_token, &after, &old, &err), a);
    assert_null(old);
    assert_int_equal(w.n_told, 0);
    meeting_detach(w.meeting, a, "transport close");
    meeting_tick(w.meeting, UINT64_MAX);
    assert_int_equal(meeting_n_participants(w.meeting), 0);
    assert_int_equal(w.n_told, 1);
    assert_string_equal(w.told[0].reason, "transport close");
    world_finish(&w);
}

static void viewers_and_what_a_front_kept_stand_as_they_were(void **state)
{
    struct world w, next;
    struct room_producer *camera;
    struct room_consumer *seen;
    struct meeting_error err;
    const struct room *room;
    const struct participant *b;
    struct pair p;
    (void)state;

    world_start(&w);
    p = (struct pair){.a = enter(&w, "a"), .b = enter(&w, "b")};
    p.b->front = MEETING_HTTP;
    meeting_view_as(p.b, p.a->id);
    p.send = open_transport(&w, p.a, true);
    p.recv = open_transport(&w, p.b, false);
    connect(&w, p.send, 1000);
    connect(&w, p.recv, 1001);
    camera = produce(&w, p.send, world_vp8, 12);
    seen = consume(&w, p.recv, camera->id);
    assert_int_equal(meeting_consumer_pause(p.b, seen->id, false, &err), 0);
    meeting_keep(p.b, "words", 5);
    settle(&w, 5);

    succeed(&next, &w);
    assert_true(meeting_is_restored(next.meeting));
    room = meeting_find_room(next.meeting, "default", "m");
    assert_non_null(room);
    assert_int_equal(room->n_viewers, 1);
    b = room->participants;
    while (strcmp(b->id, p.b->id) != 0) {
        b = b->next;
    }
    assert_int_equal(b->front, MEETING_HTTP);
    assert_true(b->viewer);
    assert_string_equal(b->watched, p.a->id);
    assert_int_equal(b->n_front_data, 5);
    assert_memory_equal(b->front_data, "words", 5);
    assert_false(b->transports->consumers->parked);
    assert_true(consumer_fits(b->transports->consumers->consumer,
                              b->transports->consumers->source->producer));
    end(&next, &w);
}

/* The transport by which somebody of the room sends. */
static struct transport *room_sender(const struct room *room)
{
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->transports != NULL && p->transports->send) {
            return p->transports;
        }
    }
    fail_msg("nobody sends");
    return NULL;
}

static void on_opened(void *arg, const struct meeting_error *err, void *object)
{
    assert_null(err);
    *(struct room_consumer **)arg = object;
}

static void what_a_viewer_waits_for_is_waited_for_still(void **state)
{
    const struct ortc_caps caps = {.codecs = 3, .pt = {111, 96}};
    struct room_consumer *seen = NULL;
    struct world w, next;
    struct meeting_error err;
    const struct room_consumer *rc;
    struct room_producer *camera;
    const struct room *room;
    struct participant *b;
    struct pair p;
    uint32_t ssrc;
    struct rtp_params params;
    (void)state;

    world_start(&w);
    p = (struct pair){.a = enter(&w, "a"), .b = enter(&w, "b")};
    p.b->front = MEETING_HTTP;
    meeting_view_as(p.b, p.a->id);
    p.send = open_transport(&w, p.a, true);
    p.recv = open_transport(&w, p.b, false);
    connect(&w, p.send, 1000);
    connect(&w, p.recv, 1001);
    assert_int_equal(meeting_view_open(w.meeting, p.b, p.recv->id, RTP_KIND_VIDEO, "1",
                                       &caps, on_opened, &seen, &err),
                     0);
    WAIT(&w, seen != NULL);
    consumer_params(seen->consumer, &params);
    ssrc = params.encodings[0].ssrc;
    meeting_view_begin(w.meeting, p.b);
    meeting_keep(p.b, "words", 5);
    settle(&w, 5);

    succeed(&next, &w);
    room = meeting_find_room(next.meeting, "default", "m");
    assert_non_null(room);
    b = room->participants;
    while (strcmp(b->id, p.b->id) != 0) {
        b = b->next;
    }
    rc = b->transports->consumers;
    assert_non_null(rc);
    assert_true(rc->parked);
    settle(&next, 5);
    camera = produce(&next, room_sender(room), world_vp8, 12);
    WAIT(&next, (meeting_tick(next.meeting, now_ms() * 1000),
                 rc->source == camera && !rc->parked));
    consumer_params(rc->consumer, &params);
    assert_int_equal(params.encodings[0].ssrc, ssrc);
    assert_int_equal(params.codecs[0].pt, 96);
    end(&next, &w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(viewers_and_what_a_front_kept_stand_as_they_were),
        cmocka_unit_test(what_a_viewer_waits_for_is_waited_for_still),
        cmocka_unit_test(rooms_stand_as_they_were),
        cmocka_unit_test(what_hosts_have_done_holds),
        cmocka_unit_test(what_is_recorded_by_itself_is_so_once_or_not_at_all),
        cmocka_unit_test(what_was_told_last_outlives_the_transport_that_kept_it),
        cmocka_unit_test(what_belongs_to_nobody_is_closed),
        cmocka_unit_test(a_client_that_breaks_off_is_waited_for),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
