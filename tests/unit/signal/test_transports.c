/* Engine.IO on the listener: polling, WebSocket, the upgrade, and what ends a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static void both_transports_carry_acks_and_events(void **state)
{
    struct site s;
    (void)state;

    site_start(&s);
    for (int polling = 0; polling < 2; polling++) {
        struct user *a = user_join(&s, polling != 0, "a");
        struct user *b = user_join(&s, polling == 0, "b");
        json_t *joined = user_event(&s, a, "participant:joined");
        json_t *left;

        assert_string_equal(text_of(joined, "user_id"), "b");
        user_do(&s, b, "room:leave", "{\"meeting_id\":\"m\"}");
        left = user_event(&s, a, "participant:left");
        assert_string_equal(text_of(left, "reason"), "left");
        assert_string_equal(text_of(left, "participant_id"),
                            text_of(joined, "participant_id"));
        json_decref(joined);
        json_decref(left);
        user_do(&s, a, "room:leave", NULL);
    }
    site_finish(&s);
}

static void polling_is_upgraded_and_loses_nothing(void **state)
{
    struct user *a, *b;
    struct site s;
    struct conn polls;
    struct http http;
    json_t *joined;
    char query[128];
    (void)state;

    site_start(&s);
    a = user_join(&s, true, "a");
    AWAIT(&s, a->asked);
    polls = a->main;
    memset(&a->main, 0, sizeof(a->main));
    conn_open(&s, &a->main, 0);
    (void)snprintf(query, sizeof(query), "EIO=4&transport=websocket&sid=%s", a->sid);
    ws_handshake(&s, a, query);
    assert_true(ws_accepted(&s, a));
    a->polling = false;
    ws_send(&s, a, 1, "2probe", 6);
    assert_null(user_take(&s, a, "3probe"));
    AWAIT(&s, http_take(&polls, &http)); /* the GET is let go */
    assert_string_equal(http.body, "6");
    http_free(&http);
    b = user_join(&s, false, "b"); /* told while neither transport can take it */
    assert_int_equal(inbox_find(a, "42/meeting,[\"participant:joined\""), -1);
    ws_send(&s, a, 1, "5", 1);
    joined = user_event(&s, a, "participant:joined");
    assert_string_equal(text_of(joined, "user_id"), "b");
    json_decref(joined);
    user_do(&s, a, "room:leave", NULL);
    (void)b;
    (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", a->sid);
    http = user_http(&s, a, "GET", query, NULL); /* polling is over */
    assert_int_equal(http.status, 400);
    http_free(&http);
    conn_close(&polls);
    site_finish(&s);
}

static void a_failed_upgrade_leaves_polling_as_it_was(void **state)
{
    struct user *a, *probe;
    struct site s;
    char query[128];
    (void)state;

    site_start(&s);
    a = user_join(&s, true, "a");
    probe = &s.users[s.n_users];
    memset(probe, 0, sizeof(*probe));
    conn_open(&s, &probe->main, 0);
    (void)snprintf(query, sizeof(query), "EIO=4&transport=websocket&sid=%s", a->sid);
    ws_handshake(&s, probe, query);
    assert_true(ws_accepted(&s, probe));
    s.n_users++;
    ws_send(&s, probe, 1, "4hello", 6); /* no probe */
    AWAIT(&s, probe->closed);
    user_do(&s, a, "room:leave", NULL);
    assert_false(a->closed);
    site_finish(&s);
}

static void requests_that_are_wrong_are_refused_in_the_protocols_words(void **state)
{
    static const struct {
        const char *method, *query, *body;
        unsigned status;
        const char *answer;
    } cases[] = {
        {"GET", "EIO=4", NULL, 400, "\"code\":0"},
        {"GET", "EIO=4&transport=pigeon", NULL, 400, "\"code\":0"},
        {"GET", "EIO=4&transport=polling&sid=nobody", NULL, 400, "\"code\":1"},
        {"POST", "EIO=4&transport=polling", "4x", 400, "\"code\":2"},
        {"PUT", "EIO=4&transport=polling", "4x", 400, "\"code\":2"},
        {"GET", "EIO=4&transport=websocket", NULL, 400, "\"code\":3"},
        {"GET", "EIO=3&transport=polling", NULL, 400, "\"code\":5"},
        {"GET", "transport=polling", NULL, 400, "\"code\":5"},
        {"OPTIONS", "EIO=4&transport=polling", NULL, 204, ""},
    };
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = &s.users[s.n_users++];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http http = user_http(&s, u, cases[i].method, cases[i].query, cases[i].body);

        if (http.status != cases[i].status || strstr(http.body, cases[i].answer) == NULL) {
            fail_msg("%s %s: %u %s", cases[i].method, cases[i].query, http.status,
                     http.body);
        }
        http_free(&http);
    }
    assert_int_equal(signal_n_clients(s.signal), 0);
    site_finish(&s);
}

static void a_websocket_that_is_wrong_is_refused(void **state)
{
    static const char *const queries[] = {"EIO=4&transport=websocket&sid=nobody",
                                          "EIO=4&transport=polling", "EIO=3"};
    struct site s;
    (void)state;

    site_start(&s);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct user u = {.polling = false};

        conn_open(&s, &u.main, 0);
        ws_handshake(&s, &u, queries[i]);
        assert_false(ws_accepted(&s, &u));
        assert_int_equal(u.code, 400);
        conn_close(&u.main);
    }
    assert_int_equal(signal_n_clients(s.signal), 0);
    site_finish(&s);
}

static void a_full_node_takes_no_more_sessions(void **state)
{
    struct user extra = {.polling = false};
    struct http http;
    struct site s;
    (void)state;

    site_start(&s);
    for (int i = 0; i < MAX_USERS - 1; i++) {
        (void)user_open(&s, i % 2 == 0);
    }
    assert_int_equal(signal_n_clients(s.signal), MAX_USERS - 1);
    conn_open(&s, &extra.main, 0);
    ws_handshake(&s, &extra, "EIO=4&transport=websocket");
    assert_false(ws_accepted(&s, &extra));
    assert_int_equal(extra.code, 503);
    http = user_http(&s, &extra, "GET", "EIO=4&transport=polling", NULL);
    assert_int_equal(http.status, 503);
    http_free(&http);
    conn_close(&extra.main);
    conn_close(&extra.post);
    user_vanish(&s.users[1]);
    AWAIT(&s, signal_n_clients(s.signal) == MAX_USERS - 2);
    site_finish(&s);
}

/* ---- ends ---- */

static void expect_left(struct site *s, struct user *u, const char *reason)
{
    json_t *left = user_event(s, u, "participant:left");

    assert_string_equal(text_of(left, "reason"), reason);
    json_decref(left);
}

static void who_vanishes_leaves_the_room(void **state)
{
    struct user *a, *b;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    for (int polling = 0; polling < 2; polling++) {
        b = user_join(&s, polling != 0, "b");
        AWAIT(&s, !b->polling || b->asked);
        site_settle(&s, 20);
        user_vanish(b);
        expect_left(&s, a, "transport close");
    }
    b = user_join(&s, true, "b");
    user_send(&s, b, "1");
    expect_left(&s, a, "client close");
    b = user_join(&s, false, "b");
    user_send(&s, b, "1");
    expect_left(&s, a, "client close");
    AWAIT(&s, signal_n_clients(s.signal) == 1);
    site_finish(&s);
}

static void who_does_not_answer_pings_is_dropped(void **state)
{
    struct signal_conf conf = site_conf();
    struct user *a, *b[2];
    struct site s;
    (void)state;

    conf.ping_interval_ms = 300;
    conf.ping_timeout_ms = 600;
    site_start_with(&s, conf);
    a = user_join(&s, false, "a");
    for (int polling = 0; polling < 2; polling++) {
        b[polling] = user_join(&s, polling != 0, "b");
        b[polling]->no_pong = true;
    }
    for (int i = 0; i < 2; i++) {
        expect_left(&s, a, "ping timeout");
    }
    AWAIT(&s, b[0]->closed && b[1]->closed && a->n_pings >= 3);
    assert_false(a->closed);
    user_do(&s, a, "room:leave", NULL);
    site_finish(&s);
}

static void what_is_too_large_ends_one_session_and_no_other(void **state)
{
    enum { LEN = 150000 }; /* more than max_payload */
    struct user *a, *b;
    struct http http;
    struct site s;
    char query[128];
    char *big = malloc(LEN + 1);
    (void)state;

    memset(big, 'x', LEN);
    memcpy(big, "42", 2);
    big[LEN] = '\0';
    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    user_send(&s, b, big);
    AWAIT(&s, b->closed);
    expect_left(&s, a, "transport close");
    b = user_join(&s, true, "b");
    (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", b->sid);
    http = user_http(&s, b, "POST", query, big);
    assert_int_equal(http.status, 413);
    http_free(&http);
    conn_close(&b->post); /* ended by the server */
    user_do(&s, a, "room:leave", NULL);
    free(big);
    site_finish(&s);
}

static void a_malformed_packet_ends_one_session_and_no_other(void **state)
{
    static const char *const bad[] = {
        "9",                                  /* no packet of Engine.IO */
        "4",                                  /* an empty one of Socket.IO */
        "4abc",                               /* no type */
        "48/meeting,[\"x\"]",                 /* no such type */
        "42/meeting,[\"x\"",                  /* no JSON */
        "42/meeting,{}",                      /* an event is an array */
        "42/meeting,[]",                      /* with a name */
        "42/meeting,[\"disconnect\"]",        /* reserved */
        "42/meeting,9007199254740993[\"x\"]", /* an id beyond 2^53 */
        "451-/meeting,[\"x\",{\"_placeholder\":true,\"num\":1}]", /* of one attachment */
        "499-/meeting,[\"x\"]",                                   /* too many attachments */
        "40/meeting,{\"token\":\"x\"}",   /* CONNECT, being connected */
        "44/meeting,{\"message\":\"x\"}", /* only servers refuse */
        "42[\"x\"]",                      /* for a namespace that is not open */
    };
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int polling = 0; polling < 2; polling++) {
            struct user *b = user_join(&s, polling != 0, "b");

            user_send(&s, b, bad[i]);
            AWAIT(&s, b->closed);
            json_decref(user_event(&s, a, "participant:left"));
            user_vanish(b);
            s.n_users--; /* its place is free again */
        }
    }
    user_do(&s, a, "room:leave", NULL);
    site_finish(&s);
}

static void two_polls_at_once_end_the_session(void **state)
{
    struct user *a;
    struct http http;
    struct site s;
    char query[128];
    (void)state;

    site_start(&s);
    a = user_join(&s, true, "a");
    AWAIT(&s, a->asked);
    site_settle(&s, 20);
    (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", a->sid);
    http = user_http(&s, a, "GET", query, NULL);
    assert_int_equal(http.status, 400);
    http_free(&http);
    AWAIT(&s, a->closed && signal_n_clients(s.signal) == 0);
    site_finish(&s);
}

/* ---- slow readers ---- */

static void keep_room(void *arg, struct room *room)
{
    *(struct room **)arg = room;
}

/* The room, and the one producer of the participant that came last. */
static struct room_producer *find_speaker(struct site *s, struct room **room)
{
    *room = NULL;
    meeting_each_room(s->w.meeting, keep_room, room);
    assert_non_null(*room);
    return (*room)->participants->transports->producers;
}

static struct user *join_speaker(struct site *s)
{
    struct user *u = user_join(s, false, "speaker");
    json_t *created = user_ask(s, u, "transport:create", "{\"direction\":\"send\"}");
    json_t *params = world_json(world_opus, 0, 7);
    json_t *payload =
        json_pack("{s:s,s:s,s:s,s:o}", "transport_id", text_of(created, "transport_id"),
                  "kind", "audio", "source", "mic", "rtp_parameters", params);
    char *text = json_dumps(payload, JSON_COMPACT);

    user_do(s, u, "produce", text);
    free(text);
    json_decref(payload);
    json_decref(created);
    return u;
}

/* Pauses and resumes until the slow one has left, at the tick after its queue was full, or
 * fails after 'max' facts. The bystander,
 * whose place in the room's list is behind the slow one's, must see every one of them. */
static void flood(struct site *s, struct user *bystander, size_t max, const char *reason)
{
    struct meeting_error err;
    struct room_producer *rp;
    struct room *room;
    uint64_t seq;
    json_t *event;

    rp = find_speaker(s, &room);
    site_settle(s, 50);
    inbox_clear(bystander);
    seq = room->seq;
    for (size_t told = 0; inbox_find(bystander, "42/meeting,[\"participant:left\"") < 0;) {
        assert_true(told < max);
        inbox_clear(bystander);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(meeting_producer_pause(s->w.meeting, rp->transport->owner,
                                                    rp->id, i % 2 == 0, &err),
                             0);
        }
        told += 100;
        AWAIT(s, bystander->n_inbox >= 100);
        for (int i = 0; i < 100; i++) {
            const char *at = strstr(bystander->inbox[i], "\"seq\":");

            assert_non_null(at);
            assert_int_equal(strtoull(at + 6, NULL, 10), ++seq);
        }
    }
    event = user_event(s, bystander, "participant:left");
    assert_string_equal(text_of(event, "reason"), reason);
    assert_string_equal(text_of(event, "user_id"), "slow");
    assert_int_equal(json_integer_value(json_object_get(event, "seq")), seq + 1);
    json_decref(event);
    assert_int_equal(room->n_participants, 2);
}

static void a_poller_that_does_not_come_overflows_and_the_others_are_told(void **state)
{
    struct user *a, *slow;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    slow = user_join(&s, true, "slow");
    slow->no_poll = true;
    (void)join_speaker(&s);
    flood(&s, a, 1000000, "slow reader");
    slow->no_poll = false;
    AWAIT(&s, slow->closed);
    assert_int_equal(slow->code, 400);
    assert_int_equal(signal_n_clients(s.signal), 2);
    site_finish(&s);
}

static void a_websocket_that_is_not_read_is_cut_off_and_the_others_are_told(void **state)
{
    struct user *a, *slow;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    slow = user_open_buf(&s, false, 4096);
    user_connect(&s, slow, "slow", "presenter");
    user_do(&s, slow, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"S\"}");
    slow->deaf = true;
    (void)join_speaker(&s);
    flood(&s, a, 1000000, "transport close");
    assert_int_equal(signal_n_clients(s.signal), 2);
    site_finish(&s);
}

/* A series of the node's, as a scrape has it. */
static uint64_t scraped(struct site *s, const char *name)
{
    char *text, *at;
    uint64_t n;
    size_t len;

    assert_int_equal(metric_render(s->w.metrics, &text, &len), 0);
    at = strstr(text, name);
    while (at != NULL && at[-1] != '\n') { /* not in its help */
        at = strstr(at + 1, name);
    }
    assert_non_null(at);
    n = strtoull(at + strlen(name), NULL, 10);
    free(text);
    return n;
}

static void tell_speaker(struct site *s, struct room *room, struct room_producer *rp)
{
    const struct meeting_event event = {.kind = MEETING_SPEAKER,
                                        .who = rp != NULL ? rp->transport->owner : NULL,
                                        .producer = rp};

    signal_meeting_ops()->to_room(s->signal, room, NULL, &event);
}

/* Who does not read is told of speakers until some of that is left out, and of a fact now and
 * then; 'fast' has all of it. Then it reads: every fact is there, and who speaks now. */
static void fall_behind_and_catch_up(struct site *s, struct user *fast, struct user *slow,
                                     const char *series)
{
    enum { AT_ONCE = 100 };
    struct meeting_error err;
    struct room_producer *rp;
    unsigned n_told = 0, n_had = 0, n_facts = 0;
    bool now = false;
    struct room *room;
    uint64_t seq;

    rp = find_speaker(s, &room);
    site_settle(s, 50);
    inbox_clear(fast);
    seq = room->seq;
    while (scraped(s, series) < 1000) {
        assert_true(n_told < 1000000);
        for (int i = 0; i < AT_ONCE; i++) {
            tell_speaker(s, room, rp);
        }
        if (n_told % 1000 == 0) {
            assert_int_equal(meeting_producer_pause(s->w.meeting, rp->transport->owner,
                                                    rp->id, n_facts++ % 2 == 0, &err),
                             0);
            AWAIT(s, fast->n_inbox == AT_ONCE + 1);
        }
        AWAIT(s, fast->n_inbox >= AT_ONCE);
        inbox_clear(fast);
        n_told += AT_ONCE;
    }
    tell_speaker(s, room, NULL);
    assert_int_equal(signal_n_clients(s->signal), 3);
    slow->deaf = slow->no_poll = false;
    while (!now) {
        AWAIT(s, slow->n_inbox > 0);
        for (size_t i = 0; i < slow->n_inbox; i++) {
            const char *at = strstr(slow->inbox[i], "\"seq\":");

            if (at != NULL) {
                assert_int_equal(strtoull(at + 6, NULL, 10), ++seq);
            }
            now = strstr(slow->inbox[i], "\"producer_id\":null") != NULL;
            n_had++;
        }
        inbox_clear(slow);
    }
    assert_int_equal(seq, room->seq);
    assert_true(n_had < n_told);
    assert_int_equal(n_had + scraped(s, series), n_told + n_facts + 1);
}

static void who_reads_a_websocket_slowly_has_all_facts_and_what_is_so_now(void **state)
{
    struct user *a, *slow;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    slow = user_open_buf(&s, false, 4096);
    user_connect(&s, slow, "slow", "presenter");
    user_do(&s, slow, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"S\"}");
    (void)join_speaker(&s);
    site_settle(&s, 50);
    inbox_clear(slow);
    slow->deaf = true;
    fall_behind_and_catch_up(&s, a, slow, "kcs_websocket_left_out_total ");
    site_finish(&s);
}

static void who_polls_slowly_has_all_facts_and_what_is_so_now(void **state)
{
    struct user *a, *slow;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    slow = user_join(&s, true, "slow");
    (void)join_speaker(&s);
    site_settle(&s, 50);
    inbox_clear(slow);
    slow->no_poll = true;
    fall_behind_and_catch_up(&s, a, slow, "kcs_polling_left_out_total ");
    site_finish(&s);
}

static void ending_the_service_ends_every_session(void **state)
{
    struct site s;
    (void)state;

    site_start(&s);
    (void)user_join(&s, false, "a");
    (void)user_join(&s, true, "b");
    (void)join_speaker(&s);
    site_settle(&s, 20);
    signal_destroy(s.signal); /* with all of them there */
    assert_int_equal(meeting_n_participants(s.w.meeting), 0);
    net_server_destroy(s.server);
    auth_destroy(s.auth);
    for (size_t i = 0; i < s.n_users; i++) {
        user_vanish(&s.users[i]);
    }
    world_finish(&s.w);
}

static void scores_are_told_with_what_they_are_made_of(void **state)
{
    struct abi_stream_stats *stats;
    struct room_producer *rp;
    uint64_t stream, now_us = UINT64_C(1) << 50; /* the site's own clock is far below */
    struct room *room;
    struct user *a;
    struct site s;
    json_t *told;
    (void)state;

    site_start(&s);
    a = join_speaker(&s);
    rp = find_speaker(&s, &room);
    stream = producer_stream(rp->producer);
    stats = &fake_dp_stream_stats(s.w.dp)[handle_index(stream)];
    *stats = (struct abi_stream_stats){.handle = stream, .packets = 100, .keyframes = 3};
    meeting_tick(s.w.meeting, now_us);
    for (unsigned i = 0; i < 3; i++) {
        stats->packets += 90;
        stats->bytes += 125000;
        stats->lost += 30;
        stats->jitter_us = 4500;
        meeting_tick(s.w.meeting, now_us += 1000000);
    }
    told = user_event(&s, a, "producer:score");
    assert_string_equal(text_of(told, "producer_id"), rp->id);
    assert_in_range(json_integer_value(json_object_get(told, "score")), 0, 4);
    assert_int_equal(json_integer_value(json_object_get(told, "bitrate_bps")), 1000000);
    assert_int_equal(json_integer_value(json_object_get(told, "key_frames")), 3);
    assert_true(json_real_value(json_object_get(told, "loss")) > 0.24);
    assert_true(json_real_value(json_object_get(told, "jitter_ms")) > 4.4);
    assert_true(json_is_false(json_object_get(told, "freeze_suspected"))); /* of audio */
    json_decref(told);
    told = user_event(&s, a, "quality:warning");
    assert_string_equal(text_of(told, "issue"), "packet_loss");
    assert_string_equal(text_of(told, "producer_id"), rp->id);
    json_decref(told);
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_told_with_what_they_are_made_of),
        cmocka_unit_test(both_transports_carry_acks_and_events),
        cmocka_unit_test(polling_is_upgraded_and_loses_nothing),
        cmocka_unit_test(a_failed_upgrade_leaves_polling_as_it_was),
        cmocka_unit_test(requests_that_are_wrong_are_refused_in_the_protocols_words),
        cmocka_unit_test(a_websocket_that_is_wrong_is_refused),
        cmocka_unit_test(a_full_node_takes_no_more_sessions),
        cmocka_unit_test(who_vanishes_leaves_the_room),
        cmocka_unit_test(who_does_not_answer_pings_is_dropped),
        cmocka_unit_test(what_is_too_large_ends_one_session_and_no_other),
        cmocka_unit_test(a_malformed_packet_ends_one_session_and_no_other),
        cmocka_unit_test(two_polls_at_once_end_the_session),
        cmocka_unit_test(a_poller_that_does_not_come_overflows_and_the_others_are_told),
        cmocka_unit_test(a_websocket_that_is_not_read_is_cut_off_and_the_others_are_told),
        cmocka_unit_test(who_reads_a_websocket_slowly_has_all_facts_and_what_is_so_now),
        cmocka_unit_test(who_polls_slowly_has_all_facts_and_what_is_so_now),
        cmocka_unit_test(ending_the_service_ends_every_session),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
