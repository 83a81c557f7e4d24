/* What rooms write to the store and read back from it, over the wire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store_priv.h"
#include "store/writer.h"
#include "unit/signal/user.h"

struct kept {
    struct site s;
    struct store *store;
    char dir[64], path[96];
    /* of the last answer to a request of the test's own */
    bool answered;
    int err;
    size_t n;
    char text[4096];
    char state[32];
    uint64_t epochs[64], seqs[64];
    char types[64][48];
    char jsons[16384]; /* of these, one after the other */
};

/* SQLite on a disk that takes its time, or has no room. */
static struct store_backend backend;
static atomic_bool disk_hangs, disk_full;

static int slow_commit(void *data)
{
    while (atomic_load(&disk_hangs)) {
        (void)usleep(1000);
    }
    return atomic_load(&disk_full) ? -ENOSPC : store_sqlite.commit(data);
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    struct kept *k = loop;

    return loop_post(k->s.w.loop, fn, arg);
}

static void setup(struct kept *k)
{
    memset(k, 0, sizeof(*k));
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/kcs-keep-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    (void)snprintf(k->path, sizeof(k->path), "%s/kcs.db", k->dir);
}

static void teardown(struct kept *k)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char path[128];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", k->path, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(k->dir);
}

/* Control begins: on what an earlier one has left. */
static void start(struct kept *k, uint32_t max_mb)
{
    const struct store_conf store = {.path = k->path,
                                     .synchronous = STORE_SYNC_NORMAL,
                                     .max_mb = max_mb,
                                     .post = post,
                                     .loop = k};
    struct signal_conf conf = site_conf();
    char err[STORE_ERR_MAX] = "";
    uint64_t epoch;

    backend = store_sqlite;
    backend.commit = slow_commit;
    if (store_create_on(&k->store, &backend, &store, err) != 0) {
        fail_msg("%s", err);
    }
    store_last_numbers(k->store, &epoch, &world_first_seq);
    world_epoch = epoch < 7 ? 7 : epoch + 1;
    conf.store = k->store;
    conf.keep_days = 1;
    site_start_with(&k->s, conf);
}

/* It ends as if it was killed, but that what it has acknowledged was written anyway. */
static void stop(struct kept *k)
{
    store_close(k->store);
    site_finish(&k->s);
    store_destroy(k->store);
    world_epoch = 7;
    world_first_seq = 0;
}

static struct user *join_as(struct kept *k, const char *sub, const char *role)
{
    struct user *u = user_open(&k->s, false);

    user_connect(&k->s, u, sub, role);
    user_do(&k->s, u, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    return u;
}

static void on_answer(void *arg, const struct store_result *result)
{
    struct kept *k = arg;

    k->answered = true;
    k->err = result->err;
    k->n = result->n_docs > 0 ? result->n_docs : result->n_events;
    if (result->n_docs > 0) {
        (void)snprintf(k->text, sizeof(k->text), "%s", result->docs[0].json);
        (void)snprintf(k->state, sizeof(k->state), "%s", result->docs[0].state);
    }
    k->jsons[0] = '\0';
    for (size_t i = 0; i < result->n_events && i < 64; i++) {
        const size_t len = strlen(k->jsons);

        (void)snprintf(k->jsons + len, sizeof(k->jsons) - len, "%s",
                       result->events[i].json);
        k->epochs[i] = result->events[i].epoch;
        k->seqs[i] = result->events[i].seq;
        (void)snprintf(k->types[i], sizeof(k->types[i]), "%s", result->events[i].type);
    }
}

static size_t find(struct kept *k, enum store_kind kind, const char *state)
{
    const struct store_query query = {.kind = kind,
                                      .tenant = "default",
                                      .group = "m",
                                      .state = state,
                                      .limit = 100,
                                      .descending = true};

    k->answered = false;
    assert_int_equal(store_find(k->store, &query, on_answer, k), 0);
    AWAIT(&k->s, k->answered);
    assert_int_equal(k->err, 0);
    return k->n;
}

static size_t events(struct kept *k)
{
    k->answered = false;
    assert_int_equal(store_events(k->store, "default", "m", 0, 0, 64, on_answer, k), 0);
    AWAIT(&k->s, k->answered);
    assert_int_equal(k->err, 0);
    return k->n;
}

static bool was_told(const struct kept *k, const char *type)
{
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->types[i], type) == 0) {
            return true;
        }
    }
    return false;
}

static void what_was_said_is_there_after_a_restart(void **state)
{
    struct user *a, *b;
    char payload[256];
    json_t *sent, *got;
    const json_t *list;
    struct kept k;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    sent = user_ask(&k.s, a, "chat:send",
                    "{\"message\":\"one\",\"client_message_id\":\"c1\"}");
    user_do(&k.s, b, "chat:send", "{\"message\":\"secret\",\"to\":\"a\"}");
    (void)snprintf(payload, sizeof(payload), "{\"message_id\":\"%s\",\"emoji\":\"+\"}",
                   text_of(sent, "message_id"));
    user_do(&k.s, b, "chat:react", payload);
    (void)snprintf(payload, sizeof(payload), "{\"message_id\":\"%s\",\"message\":\"ONE\"}",
                   text_of(sent, "message_id"));
    user_do(&k.s, a, "chat:edit", payload);
    stop(&k);

    start(&k, 0);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "c", "presenter");
    got = user_ask(&k.s, a, "chat:history", "{}");
    list = json_object_get(got, "messages");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(json_array_get(list, 0), "message"), "secret");
    assert_string_equal(text_of(json_array_get(list, 1), "message"), "ONE");
    assert_string_equal(text_of(json_array_get(list, 1), "message_id"),
                        text_of(sent, "message_id"));
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "reactions")),
                     1);
    json_decref(got);
    /* the same word once more is the same message */
    got = user_ask(&k.s, a, "chat:send",
                   "{\"message\":\"one\",\"client_message_id\":\"c1\"}");
    assert_true(json_is_true(json_object_get(got, "duplicate")));
    json_decref(got);
    got = user_ask(&k.s, b, "chat:history", "{}"); /* and a secret one still */
    assert_int_equal(json_array_size(json_object_get(got, "messages")), 1);
    json_decref(got);
    user_do(&k.s, b, "chat:send", "{\"message\":\"two\"}");
    got = user_ask(&k.s, b, "chat:history", "{\"limit\":1}"); /* in order, over both */
    assert_string_equal(
        text_of(json_array_get(json_object_get(got, "messages"), 0), "message"), "two");
    (void)snprintf(payload, sizeof(payload), "{\"cursor\":\"%s\"}",
                   text_of(got, "next_cursor"));
    json_decref(got);
    got = user_ask(&k.s, b, "chat:history", payload);
    assert_int_equal(json_array_size(json_object_get(got, "messages")), 1);
    json_decref(got);
    json_decref(sent);
    stop(&k);
    teardown(&k);
}

static json_t *sync_since(struct kept *k, struct user *u, uint64_t epoch, uint64_t seq)
{
    char payload[96];

    (void)snprintf(payload, sizeof(payload), "{\"since_seq\":%llu,\"epoch\":%llu}",
                   (unsigned long long)seq, (unsigned long long)epoch);
    return user_ask(&k->s, u, "room:sync", payload);
}

static const char *nth_event(const json_t *answer, size_t i)
{
    return text_of(json_array_get(json_object_get(answer, "facts"), i), "event");
}

/* The room was in no vault, so it has opened in another epoch. */
static void what_was_missed_over_a_restart_is_told_to_whom_it_was_for(void **state)
{
    struct user *a, *b, *c;
    uint64_t epoch;
    json_t *sent, *got;
    struct kept k;
    (void)state;

    setup(&k);
    start(&k, 0);
    epoch = world_epoch;
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    (void)join_as(&k, "c", "presenter");
    user_do(&k.s, a, "chat:send", "{\"message\":\"secret\",\"to\":\"b\"}");
    user_do(&k.s, b, "hand:raise", "{}");
    sent = user_ask(&k.s, a, "chat:send", "{\"message\":\"one\"}");
    stop(&k);

    start(&k, 0);
    b = join_as(&k, "b", "presenter");
    c = join_as(&k, "c", "presenter");
    got = sync_since(&k, b, epoch, 3);
    assert_int_equal(json_array_size(json_object_get(got, "facts")), 5);
    assert_string_equal(nth_event(got, 0), "chat:message");
    assert_string_equal(nth_event(got, 1), "hand:raised");
    assert_string_equal(
        text_of(
            json_object_get(json_array_get(json_object_get(got, "facts"), 2), "payload"),
            "message_id"),
        text_of(sent, "message_id"));
    assert_string_equal(nth_event(got, 4), "participant:joined");
    assert_null(
        json_object_get(json_array_get(json_object_get(got, "facts"), 0), "audience"));
    /* nobody has told who is not there any more */
    assert_true(json_is_false(json_object_get(got, "complete")));
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(got, "snapshot"), "participants")),
        2);
    assert_int_equal(json_integer_value(json_object_get(got, "epoch")), world_epoch);
    json_decref(got);
    got = sync_since(&k, c, epoch, 3); /* not what was said in secret to another */
    assert_string_equal(nth_event(got, 0), "hand:raised");
    json_decref(got);
    json_decref(sent);
    stop(&k);
    teardown(&k);
}

/* Writes an event of the meeting, as the room's next. */
static void put_old(struct kept *k, uint64_t seq, uint64_t at_us)
{
    const struct store_write w = {.what = STORE_EVENT,
                                  .event = {.tenant = "default",
                                            .meeting = "m",
                                            .type = "kcs.chat.message",
                                            .json = "{}",
                                            .epoch = 1,
                                            .seq = seq,
                                            .at_us = at_us}};

    k->answered = false;
    assert_int_equal(store_write(k->store, &w, 1, on_answer, k), 0);
    AWAIT(&k->s, k->answered);
    assert_int_equal(k->err, 0);
}

static void what_the_room_has_forgotten_comes_from_the_store(void **state)
{
    struct kept k;
    struct user *a;
    json_t *got;
    uint64_t at = 1; /* its own coming in */
    size_t n = 0;
    (void)state;

    setup(&k);
    start(&k, 0);
    put_old(&k, 1, clock_wall_us() - 3600 * UINT64_C(1000000));
    a = join_as(&k, "a", "host");
    for (int i = 0; i < FACTS_MAX / 2 + 40; i++) {
        user_do(&k.s, a, "screen:start", "{}");
        user_do(&k.s, a, "screen:stop", "{}");
        inbox_clear(a);
    }
    (void)events(&k); /* behind all that is to be written */
    for (bool more = true; more;) {
        got = sync_since(&k, a, world_epoch, at);
        assert_true(json_is_true(json_object_get(got, "complete")));
        assert_true(json_is_null(json_object_get(got, "snapshot")));
        n += json_array_size(json_object_get(got, "facts"));
        at = (uint64_t)json_integer_value(json_object_get(got, "seq"));
        more = json_is_true(json_object_get(got, "more"));
        json_decref(got);
    }
    assert_int_equal(at, 1 + FACTS_MAX + 80);
    assert_int_equal(n, FACTS_MAX + 80);
    got = sync_since(&k, a, 1, 0); /* an hour ago */
    assert_true(json_is_false(json_object_get(got, "complete")));
    assert_int_equal(json_array_size(json_object_get(got, "facts")), 0);
    json_decref(got);
    stop(&k);
    teardown(&k);
}

static void who_was_banned_stays_out_and_roles_hold(void **state)
{
    struct user *a, *b;
    struct kept k;
    json_t *got;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    (void)join_as(&k, "b", "presenter");
    (void)join_as(&k, "c", "attendee");
    user_do(&k.s, a, "participant:remove", "{\"target_user_id\":\"b\",\"ban\":true}");
    user_do(&k.s, a, "participant:role:update",
            "{\"target_user_id\":\"c\",\"new_role\":\"co_host\"}");
    stop(&k);

    start(&k, 0);
    b = user_open(&k.s, false);
    user_connect(&k.s, b, "b", "presenter");
    user_refused(&k.s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}",
                 "banned", "");
    b = user_open(&k.s, false);
    user_connect(&k.s, b, "c", "attendee");
    got = user_ask(&k.s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    assert_string_equal(text_of(got, "your_role"), "co_host");
    json_decref(got);
    assert_int_equal(find(&k, STORE_ATTENDANCE, "left"), 1);
    assert_non_null(strstr(k.text, "\"banned\""));
    a = join_as(&k, "a", "host"); /* and is welcome again */
    user_do(&k.s, a, "participant:add",
            "{\"user_id\":\"b\",\"role\":\"attendee\",\"display_name\":\"B\"}");
    stop(&k);

    start(&k, 0);
    (void)join_as(&k, "b", "attendee");
    stop(&k);
    teardown(&k);
}

static void what_a_host_decides_is_told_when_it_is_written(void **state)
{
    static const struct {
        const char *event, *payload, *told;
    } acts[] = {{"participant:role:update",
                 "{\"target_user_id\":\"c\",\"new_role\":\"presenter\"}",
                 "participant:role:changed"},
                {"room:lock", "{\"meeting_id\":\"m\"}", "room:updated"},
                {"participant:remove", "{\"target_user_id\":\"b\",\"ban\":true}",
                 "participant:left"},
                {"room:close", "{\"meeting_id\":\"m\"}", "room:closed"}};
    struct user *a, *b, *c, *other;
    struct kept k;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    c = join_as(&k, "c", "attendee");
    other = user_open(&k.s, false);
    user_connect(&k.s, other, "d", "host");
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        atomic_store(&disk_hangs, true);
        inbox_clear(a);
        inbox_clear(b);
        inbox_clear(c);
        (void)user_emit(&k.s, a, acts[i].event, acts[i].payload);
        site_settle(&k.s, 300);
        assert_int_equal(a->n_inbox, 0); /* neither who did it */
        assert_int_equal(b->n_inbox, 0); /* nor whom it was done to */
        assert_int_equal(c->n_inbox, 0); /* nor anybody else knows of it */
        user_refused(&k.s, other, "hand:raise", "{}", "not_joined",
                     ""); /* others do not wait */
        atomic_store(&disk_hangs, false);
        json_decref(user_event(&k.s, c, acts[i].told));
    }
    json_decref(user_event(&k.s, a, "room:closed"));
    stop(&k);

    start(&k, 0);
    assert_int_equal(find(&k, STORE_ATTENDANCE, "left"), 3); /* whom it ended for, too */
    b = user_open(&k.s, false);
    user_connect(&k.s, b, "b", "presenter");
    user_refused(&k.s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}",
                 "banned", "");
    stop(&k);
    teardown(&k);
}

/* A disk that hangs does not mute a room: after two seconds it is told as it is. */
static void nobody_waits_for_a_disk_that_hangs(void **state)
{
    struct kept k;
    struct user *a;
    uint64_t begun_us;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    atomic_store(&disk_hangs, true);
    begun_us = clock_mono_us();
    user_do(&k.s, a, "room:lock", "{\"meeting_id\":\"m\"}");
    assert_in_range(clock_mono_us() - begun_us, 1900000, 4500000);
    atomic_store(&disk_hangs, false);
    stop(&k);
    teardown(&k);
}

/* Who did what to whom, from where, and what came of it: in one step with its event. */
static void what_hosts_do_can_be_answered_for(void **state)
{
    struct user *a, *b;
    struct kept k;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    user_do(&k.s, a, "participant:mute", "{\"target_user_id\":\"b\"}");
    assert_int_equal(find(&k, STORE_AUDIT, "participant:mute"), 1);
    assert_non_null(strstr(k.text, "{\"target\":\"b\",\"address\":\"127.0.0.1:"));
    assert_non_null(strstr(k.text, "\",\"result\":\"ok\"}"));
    (void)events(&k);
    assert_true(was_told(&k, "kcs.audit.act"));

    user_refused(&k.s, b, "participant:remove", "{\"target_user_id\":\"a\"}", "forbidden",
                 "");
    assert_int_equal(find(&k, STORE_AUDIT, "participant:remove"), 1);
    assert_non_null(strstr(k.text, "\"result\":\"refused\""));

    /* what was nobody's act, or came to nothing, is not there */
    user_refused(&k.s, a, "participant:remove", "{\"target_user_id\":\"x\"}", "not_found",
                 "");
    user_do(&k.s, b, "hand:raise", "{}");
    assert_int_equal(find(&k, STORE_AUDIT, NULL), 2);

    /* nor does it grow with each try of who may not */
    for (int i = 0; i < 60; i++) {
        user_refused(&k.s, b, "room:lock", "{}", "forbidden", "");
    }
    assert_in_range(find(&k, STORE_AUDIT, "room:lock"), 10, 40);
    stop(&k);
    teardown(&k);
}

static void polls_go_on_after_a_restart_one_ballot_each(void **state)
{
    struct user *a;
    char payload[128];
    struct kept k;
    json_t *made, *got;
    const json_t *poll;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    made =
        user_ask(&k.s, a, "poll:create", "{\"question\":\"q\",\"options\":[\"x\",\"y\"]}");
    (void)snprintf(payload, sizeof(payload), "{\"poll_id\":\"%s\",\"choice\":[0]}",
                   text_of(made, "poll_id"));
    user_do(&k.s, a, "poll:vote", payload);
    site_settle(&k.s, 800); /* votes are told, and written, twice a second */
    stop(&k);

    start(&k, 0);
    a = user_open(&k.s, false);
    user_connect(&k.s, a, "a", "host");
    got = user_ask(&k.s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    poll = json_array_get(json_object_get(got, "polls"), 0);
    assert_string_equal(text_of(poll, "poll_id"), text_of(made, "poll_id"));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(poll, "votes"), 0)),
                     1);
    json_decref(got);
    inbox_clear(a);
    (void)snprintf(payload, sizeof(payload), "{\"poll_id\":\"%s\",\"choice\":[1]}",
                   text_of(made, "poll_id"));
    user_do(&k.s, a, "poll:vote", payload);
    got = user_event(&k.s, a, "poll:updated");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(got, "votes"), 0)),
                     0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(got, "votes"), 1)),
                     1);
    json_decref(got);
    json_decref(made);
    stop(&k);
    teardown(&k);
}

static void facts_and_events_have_the_same_numbers_over_restarts(void **state)
{
    struct kept k;
    struct user *a;
    json_t *sent;
    uint64_t seq;
    size_t n;
    (void)state;

    setup(&k);
    for (int run = 0; run < 2; run++) {
        start(&k, 0);
        a = join_as(&k, "a", "host");
        sent = user_ask(&k.s, a, "chat:send", "{\"message\":\"x\"}");
        seq = (uint64_t)json_integer_value(json_object_get(sent, "seq"));
        n = events(&k);
        assert_true(was_told(&k, "kcs.participant.joined"));
        assert_string_equal(k.types[n - 1], "kcs.chat.message");
        assert_int_equal(k.seqs[n - 1], seq);
        assert_int_equal(k.epochs[n - 1],
                         json_integer_value(json_object_get(sent, "epoch")));
        json_decref(sent);
        for (size_t i = 1; i < n; i++) { /* both ascend */
            assert_true(k.epochs[i] >= k.epochs[i - 1] && k.seqs[i] > k.seqs[i - 1]);
        }
        stop(&k);
    }
    assert_true(k.epochs[n - 1] > k.epochs[0]);
    teardown(&k);
}

/* As REST makes it. */
static void put_meeting(struct kept *k, const char *json, uint64_t expect)
{
    const struct store_write write = {.what = STORE_PUT,
                                      .kind = STORE_MEETING,
                                      .doc = {.tenant = "default",
                                              .id = "m",
                                              .group = "a",
                                              .state = "scheduled",
                                              .json = json},
                                      .expect = expect};

    k->answered = false;
    assert_int_equal(store_write(k->store, &write, 1, on_answer, k), 0);
    AWAIT(&k->s, k->answered);
    assert_int_equal(k->err, 0);
}

static json_t *stored_meeting(struct kept *k)
{
    k->answered = false;
    assert_int_equal(store_get(k->store, STORE_MEETING, "default", "m", on_answer, k), 0);
    AWAIT(&k->s, k->answered);
    assert_int_equal(k->err, 0);
    return json_loads(k->text, 0, NULL);
}

#define MEETING(more)                                                                      \
    "{\"id\":\"m\",\"creator_id\":\"a\",\"meeting_name\":\"Board\",\"meeting_status\":"    \
    "\"scheduled\",\"max_participants\":5000,\"waiting_room_enabled\":false,\"locked\":"   \
    "false,\"features\":{\"chat_enabled\":true}" more "}"

static void settings_of_a_stored_meeting_reach_its_room_and_back(void **state)
{
    struct user *a, *b;
    struct kept k;
    json_t *got;
    (void)state;

    setup(&k);
    start(&k, 0);
    put_meeting(&k, MEETING(",\"waiting_room_enabled\":true"), 0);
    b = user_open(&k.s, false);
    user_connect(&k.s, b, "b", "attendee");
    got = user_ask(&k.s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    assert_true(json_is_true(json_object_get(got, "waiting")));
    json_decref(got);
    a = join_as(&k, "a", "host");
    user_do(&k.s, a, "room:lock", "{}"); /* a host's change is stored */
    site_settle(&k.s, 100);
    got = stored_meeting(&k);
    assert_true(json_is_true(json_object_get(got, "locked")));
    assert_true(json_is_true(json_object_get(got, "waiting_room_enabled")));
    assert_string_equal(text_of(got, "meeting_name"), "Board");
    assert_int_equal(json_integer_value(json_object_get(got, "max_participants")), 5000);
    json_decref(got);
    inbox_clear(a);
    /* REST's reaches the room: who waits is let in, as nobody has to wait any more */
    put_meeting(&k, MEETING(",\"allow_guests\":false"), 2);
    signal_meeting_changed(k.s.signal, "default", "m", MEETING(",\"allow_guests\":false"),
                           3);
    got = user_event(&k.s, a, "room:updated");
    assert_true(json_is_false(json_object_get(json_object_get(got, "settings"), "locked")));
    json_decref(got);
    json_decref(user_event(&k.s, b, "lobby:admitted"));
    /* at the same time: both hold */
    put_meeting(&k, MEETING(",\"meeting_description\":\"d\""), 3);
    user_do(&k.s, a, "room:update", "{\"settings\":{\"allow_guest_chat\":true}}");
    site_settle(&k.s, 200);
    got = stored_meeting(&k);
    assert_string_equal(text_of(got, "meeting_description"), "d");
    assert_true(json_is_true(json_object_get(got, "allow_guest_chat")));
    json_decref(got);
    stop(&k);

    start(&k, 0);
    put_meeting(&k, MEETING(",\"meeting_status\":\"ended\""), STORE_ANY);
    b = user_open(&k.s, false);
    user_connect(&k.s, b, "a", "host");
    user_refused(&k.s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}",
                 "not_found", "ended");
    stop(&k);
    teardown(&k);
}

static void how_a_stored_meeting_is_recorded_reaches_its_room(void **state)
{
    const struct auto_record *wanted;
    struct kept k;
    (void)state;

    setup(&k);
    start(&k, 0);
    put_meeting(&k,
                MEETING(",\"recording_config\":{\"auto_record\":true,\"record_video\":"
                        "false,\"retention_days\":9}"),
                0);
    (void)join_as(&k, "a", "host");
    wanted = &meeting_find_room(k.s.w.meeting, "default", "m")->auto_record;
    assert_true(wanted->wanted && wanted->audio && !wanted->video);
    assert_int_equal(wanted->keep_days, 9);
    signal_meeting_changed(k.s.signal, "default", "m",
                           MEETING(",\"recording_config\":{\"auto_record\":false}"), 2);
    assert_false(wanted->wanted);
    stop(&k);
    teardown(&k);
}

/* Writes until the store is full. Returns how many messages were acknowledged. */
static unsigned fill(struct kept *k, struct user *u)
{
    char *payload = calloc(1, 4200);
    unsigned n = 0;
    bool full = false;

    memset(payload, 'x', 4100);
    memcpy(payload, "{\"message\":\"", 12);
    memcpy(payload + 4000, "\"}\0", 3);
    while (!full && n < 1000) {
        json_t *ack = user_ack(&k->s, u, user_emit(&k->s, u, "chat:send", payload));
        const json_t *error = json_object_get(ack, "error");

        if (json_is_true(json_object_get(ack, "ok"))) {
            n++;
        } else if (strcmp(text_of(error, "code"), "rate_limited") == 0) {
            site_settle(&k->s, 200);
        } else {
            assert_string_equal(text_of(error, "code"), "store_full");
            full = true;
        }
        json_decref(ack);
    }
    free(payload);
    assert_true(full);
    return n;
}

static void a_full_disk_is_told_and_the_meeting_goes_on(void **state)
{
    struct user *a, *b;
    struct kept k;
    json_t *told;
    unsigned n;
    (void)state;

    setup(&k);
    start(&k, 1);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    n = fill(&k, a);
    assert_true(n > 10);
    /* what was told but could not be kept is taken back */
    told = user_event(&k.s, b, "chat:deleted");
    json_decref(told);
    told = user_event(&k.s, b, "room:error");
    assert_string_equal(text_of(told, "code"), "store_full");
    json_decref(told);
    user_refused(&k.s, b, "chat:send", "{\"message\":\"x\"}", "store_full", "full");
    user_do(&k.s, a, "room:lock", "{}"); /* all else works */
    told = user_event(&k.s, b, "room:updated");
    json_decref(told);
    user_do(&k.s, b, "hand:raise", "{}");
    assert_int_equal(find(&k, STORE_CHAT, NULL), n < 100 ? n : 100); /* and no other */
    stop(&k);
    teardown(&k);
}

/* Readers of events see that there was a message, and that it was taken back. */
static void what_was_refused_leaves_no_gap_in_the_numbers(void **state)
{
    struct user *a, *b;
    struct kept k;
    json_t *told;
    size_t n;
    (void)state;

    setup(&k);
    start(&k, 0);
    a = join_as(&k, "a", "host");
    b = join_as(&k, "b", "presenter");
    site_settle(&k.s, 200); /* that they have come is written */
    atomic_store(&disk_full, true);
    told = user_ack(&k.s, a, user_emit(&k.s, a, "chat:send", "{\"message\":\"unheard\"}"));
    assert_string_equal(text_of(json_object_get(told, "error"), "code"), "store_full");
    json_decref(told);
    json_decref(user_event(&k.s, b, "chat:message"));
    json_decref(user_event(&k.s, b, "chat:deleted"));
    user_refused(&k.s, b, "chat:send", "{\"message\":\"x\"}", "store_full", "full");
    user_do(&k.s, b, "hand:raise", "{}");
    atomic_store(&disk_full, false);
    site_settle(&k.s, 2 * STORE_WRITER_RETRY_MS);
    user_do(&k.s, a, "chat:send", "{\"message\":\"heard\"}");
    n = events(&k);
    assert_true(n >= 6);
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(k.epochs[i], k.epochs[i - 1]);
        assert_int_equal(k.seqs[i], k.seqs[i - 1] + 1);
    }
    assert_string_equal(k.types[n - 4], "kcs.chat.message");
    assert_string_equal(k.types[n - 3], "kcs.chat.deleted");
    assert_string_equal(k.types[n - 1], "kcs.chat.message");
    assert_null(strstr(k.jsons, "unheard"));
    assert_int_equal(find(&k, STORE_CHAT, NULL), 1);
    stop(&k);
    teardown(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_is_there_after_a_restart),
        cmocka_unit_test(what_was_missed_over_a_restart_is_told_to_whom_it_was_for),
        cmocka_unit_test(what_the_room_has_forgotten_comes_from_the_store),
        cmocka_unit_test(who_was_banned_stays_out_and_roles_hold),
        cmocka_unit_test(what_a_host_decides_is_told_when_it_is_written),
        cmocka_unit_test(nobody_waits_for_a_disk_that_hangs),
        cmocka_unit_test(what_hosts_do_can_be_answered_for),
        cmocka_unit_test(polls_go_on_after_a_restart_one_ballot_each),
        cmocka_unit_test(facts_and_events_have_the_same_numbers_over_restarts),
        cmocka_unit_test(settings_of_a_stored_meeting_reach_its_room_and_back),
        cmocka_unit_test(how_a_stored_meeting_is_recorded_reaches_its_room),
        cmocka_unit_test(a_full_disk_is_told_and_the_meeting_goes_on),
        cmocka_unit_test(what_was_refused_leaves_no_gap_in_the_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
