#include "conformance.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "desk.h"
#include "sys/clock.h"
#include "sys/loop.h"

static const struct store_backend *backend;
static const uint64_t *moments;
static void (*whole)(const char *path);

static int setup(void **state)
{
    struct desk *desk = malloc(sizeof(*desk));

    assert_non_null(desk);
    desk_setup(desk);
    desk_open(desk, backend, NULL);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    desk_teardown(*state);
    free(*state);
    return 0;
}

static struct store_write put(enum store_kind kind, const char *tenant, const char *id,
                              uint64_t expect)
{
    return (struct store_write){.what = STORE_PUT,
                                .kind = kind,
                                .doc = {.tenant = tenant, .id = id, .json = "{\"a\":1}"},
                                .expect = expect};
}

static struct store_write event(const char *meeting, const char *type)
{
    return (struct store_write){
        .what = STORE_EVENT,
        .event = {.tenant = "t", .meeting = meeting, .type = type, .json = "{}"}};
}

static int write_one(struct desk *desk, struct store_write w)
{
    return desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk));
}

static int get(struct desk *desk, enum store_kind kind, const char *tenant, const char *id)
{
    return desk_wait(desk, store_get(desk->store, kind, tenant, id, desk_done, desk));
}

static int find(struct desk *desk, struct store_query q)
{
    return desk_wait(desk, store_find(desk->store, &q, desk_done, desk));
}

static void a_document_comes_back_as_it_was_written(void **state)
{
    struct desk *desk = *state;
    struct store_write w = {.what = STORE_PUT,
                            .kind = STORE_MEETING,
                            .doc = {.tenant = "t",
                                    .id = "m1",
                                    .name = "n",
                                    .group = "g",
                                    .ref = "r",
                                    .state = "live",
                                    .at = -5,
                                    .expires_s = 99,
                                    .json = "{\"x\":\"\xc3\xa4' OR 1=1 --\"}"}};
    const struct store_doc *doc = &desk->docs[0];

    assert_int_equal(write_one(desk, w), 0);
    assert_int_equal(desk->version, 1);
    assert_int_equal(get(desk, STORE_MEETING, "t", "m1"), 0);
    assert_int_equal(desk->n_docs, 1);
    assert_string_equal(doc->tenant, "t");
    assert_string_equal(doc->id, "m1");
    assert_string_equal(doc->name, "n");
    assert_string_equal(doc->group, "g");
    assert_string_equal(doc->ref, "r");
    assert_string_equal(doc->state, "live");
    assert_int_equal(doc->at, -5);
    assert_int_equal(doc->expires_s, 99);
    assert_int_equal(doc->version, 1);
    assert_string_equal(doc->json, w.doc.json);
}

static void every_kind_has_a_place(void **state)
{
    struct desk *desk = *state;

    for (int i = 0; i < STORE_N_KINDS; i++) {
        assert_int_equal(write_one(desk, put((enum store_kind)i, "t", "id", 0)), 0);
        assert_int_equal(get(desk, (enum store_kind)i, "t", "id"), 0);
    }
}

static void tenants_do_not_see_each_other(void **state)
{
    struct desk *desk = *state;
    struct store_write a = put(STORE_USER, "a", "u", 0);
    struct store_write b = put(STORE_USER, "b", "u", 0);

    a.doc.name = b.doc.name = "ada";
    assert_int_equal(write_one(desk, a), 0);
    assert_int_equal(get(desk, STORE_USER, "b", "u"), -ENOENT);
    assert_int_equal(
        find(desk, (struct store_query){.kind = STORE_USER, .tenant = "b", .limit = 9}), 0);
    assert_int_equal(desk->n_docs, 0);
    assert_int_equal(write_one(desk, b), 0); /* the same id and name */
    assert_int_equal(
        find(desk,
             (struct store_query){.kind = STORE_USER, .any_tenant = true, .limit = 9}),
        0);
    assert_int_equal(desk->n_docs, 2);
}

static void versions_guard_against_two_writers(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", 1)), -ENOENT);
    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", 0)), 0);
    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", 0)), -EEXIST);
    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", 1)), 0);
    assert_int_equal(desk->version, 2);
    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", 1)), -ESTALE);
    assert_int_equal(write_one(desk, put(STORE_MEETING, "t", "m", STORE_ANY)), 0);
    assert_int_equal(desk->version, 3);

    struct store_write gone = put(STORE_MEETING, "t", "m", 2);

    gone.what = STORE_DELETE;
    assert_int_equal(write_one(desk, gone), -ESTALE);
    gone.expect = 3;
    assert_int_equal(write_one(desk, gone), 0);
    assert_int_equal(write_one(desk, gone), -ENOENT);
}

static void names_are_unique_in_a_tenant(void **state)
{
    struct desk *desk = *state;
    struct store_write w = put(STORE_USER, "t", "u1", 0);

    w.doc.name = "ada@example.org";
    assert_int_equal(write_one(desk, w), 0);
    w.doc.id = "u2";
    assert_int_equal(write_one(desk, w), -EEXIST);
    w.expect = STORE_ANY;
    assert_int_equal(write_one(desk, w), -EEXIST);
    w.doc.name = ""; /* no name is nobody's */
    assert_int_equal(write_one(desk, w), 0);
    w.doc.id = "u3";
    assert_int_equal(write_one(desk, w), 0);
}

static void a_list_of_writes_happens_whole_or_not(void **state)
{
    struct desk *desk = *state;
    struct store_write w[3] = {put(STORE_CHAT, "t", "c1", 0),
                               event("m", "kcs.chat.message"),
                               put(STORE_USER, "t", "u", 7)};

    assert_int_equal(desk_wait(desk, store_write(desk->store, w, 3, desk_done, desk)),
                     -ENOENT);
    assert_int_equal(desk->failed, 2);
    assert_int_equal(get(desk, STORE_CHAT, "t", "c1"), -ENOENT);
    assert_int_equal(
        desk_wait(desk, store_events(desk->store, "t", "m", 0, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 0);
    w[2].expect = 0;
    assert_int_equal(desk_wait(desk, store_write(desk->store, w, 3, desk_done, desk)), 0);
    assert_int_equal(desk->seq, 1); /* the refused one took no number */
    assert_int_equal(get(desk, STORE_CHAT, "t", "c1"), 0);
}

/* Those that wait together are written together. */
static void a_list_that_fails_takes_nothing_of_the_others_with_it(void **state)
{
    struct desk *desk = *state;
    const struct store_write lists[3][2] = {
        {put(STORE_CHAT, "t", "a", 0), event("m", "kcs.a")},
        {put(STORE_CHAT, "t", "b", 0), put(STORE_CHAT, "t", "none", 7)},
        {put(STORE_CHAT, "t", "c", 0), event("m", "kcs.c")}};
    const unsigned before = desk->n_answers;
    uint64_t until_us = clock_mono_us() + 20000000;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(store_write(desk->store, lists[i], 2, desk_done, desk), 0);
    }
    while (desk->n_answers < before + 3 && clock_mono_us() < until_us) {
        loop_turn(desk->loop);
    }
    assert_int_equal(desk->n_answers, before + 3);
    assert_int_equal(get(desk, STORE_CHAT, "t", "a"), 0);
    assert_int_equal(get(desk, STORE_CHAT, "t", "b"), -ENOENT);
    assert_int_equal(get(desk, STORE_CHAT, "t", "c"), 0);
    assert_int_equal(
        desk_wait(desk, store_events(desk->store, "t", "m", 0, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 2);
    assert_int_equal(desk->events[1].seq, 2);
}

static void pages_go_on_where_the_last_ended(void **state)
{
    struct desk *desk = *state;
    char id[8];
    char seen[16] = "";
    struct store_query q = {.kind = STORE_CHAT, .tenant = "t", .group = "m", .limit = 2};
    char after[8];

    for (int i = 0; i < 5; i++) {
        struct store_write w = put(STORE_CHAT, "t", id, 0);

        (void)snprintf(id, sizeof(id), "%c", 'a' + i);
        w.doc.group = "m";
        w.doc.at = i / 2; /* a and b, c and d at the same time */
        assert_int_equal(write_one(desk, w), 0);
    }
    for (int page = 0; page < 3; page++) {
        assert_int_equal(find(desk, q), 0);
        assert_int_equal(desk->more, page < 2);
        for (size_t i = 0; i < desk->n_docs; i++) {
            strcat(seen, desk->docs[i].id);
        }
        (void)snprintf(after, sizeof(after), "%s", desk->docs[desk->n_docs - 1].id);
        q.after = true;
        q.after_at = desk->docs[desk->n_docs - 1].at;
        q.after_id = after;
    }
    assert_string_equal(seen, "abcde");

    q = (struct store_query){.kind = STORE_CHAT,
                             .tenant = "t",
                             .group = "m",
                             .descending = true,
                             .from = 1,
                             .to = 2,
                             .limit = 9};
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 2);
    assert_string_equal(desk->docs[0].id, "d");
    assert_string_equal(desk->docs[1].id, "c");
}

static void what_comes_again_is_found_until_it_ends(void **state)
{
    struct desk *desk = *state;
    struct store_write once = put(STORE_MEETING, "t", "once", 0);
    struct store_write weekly = put(STORE_MEETING, "t", "weekly", 0);
    struct store_query q = {.kind = STORE_MEETING, .tenant = "t", .from = 50, .limit = 9};

    once.doc.at = weekly.doc.at = 10;
    weekly.doc.until = 50;
    assert_int_equal(write_one(desk, once), 0);
    assert_int_equal(write_one(desk, weekly), 0);
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 1);
    assert_string_equal(desk->docs[0].id, "weekly");
    assert_int_equal(desk->docs[0].until, 50);
    q.from = 51;
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 0);
    q.from = 1;
    q.to = 10; /* neither has begun by then */
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 0);
    weekly.expect = 1;
    weekly.doc.until = 20; /* it ends sooner */
    assert_int_equal(write_one(desk, weekly), 0);
    q.from = 21;
    q.to = 0;
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 0);
}

static void filters_narrow_a_list(void **state)
{
    struct desk *desk = *state;
    struct store_write mine = put(STORE_MEETING, "t", "mine", 0);
    struct store_write other = put(STORE_MEETING, "t", "other", 0);
    struct store_write invited = put(STORE_PARTICIPANT, "t", "other/ada", 0);
    struct store_write far = put(STORE_MEETING, "t", "far", 0);

    mine.doc.group = "ada";
    mine.doc.state = "live";
    other.doc.group = far.doc.group = "bob";
    other.doc.state = far.doc.state = "ended";
    mine.doc.expires_s = 50;
    invited.doc.group = "other";
    invited.doc.ref = "ada";
    assert_int_equal(write_one(desk, mine), 0);
    assert_int_equal(write_one(desk, other), 0);
    assert_int_equal(write_one(desk, invited), 0);
    assert_int_equal(write_one(desk, far), 0);

    struct store_query q = {
        .kind = STORE_MEETING, .tenant = "t", .member = "ada", .limit = 9};

    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 2);
    q.state = "live";
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 1);
    assert_string_equal(desk->docs[0].id, "mine");
    q.alive_s = 50;
    assert_int_equal(find(desk, q), 0);
    assert_int_equal(desk->n_docs, 0);
}

static void events_of_a_meeting_are_numbered(void **state)
{
    struct desk *desk = *state;
    struct store_write w = event("m", "kcs.x");

    assert_int_equal(write_one(desk, w), 0);
    assert_int_equal(desk->epoch, 1);
    assert_int_equal(desk->seq, 1);
    assert_int_equal(write_one(desk, event("n", "kcs.x")), 0);
    assert_int_equal(desk->seq, 1); /* each meeting counts for itself */
    assert_int_equal(write_one(desk, w), 0);
    assert_int_equal(desk->seq, 2);
    w.event.seq = 2;
    assert_int_equal(write_one(desk, w), -ESTALE);
    w.event.seq = 10; /* the owner's number: it may leave gaps */
    assert_int_equal(write_one(desk, w), 0);
    w.event.epoch = 7;
    w.event.seq = 1;
    assert_int_equal(write_one(desk, w), 0); /* another owner */
    w.event.epoch = 1;
    w.event.seq = 11;
    assert_int_equal(write_one(desk, w), -ESTALE);
    assert_int_equal(desk_wait(desk, store_head(desk->store, "t", "m", desk_done, desk)),
                     0);
    assert_int_equal(desk->epoch, 7);
    assert_int_equal(desk->seq, 1);
    assert_int_equal(
        desk_wait(desk, store_events(desk->store, "t", "m", 1, 2, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 2);
    assert_int_equal(desk->events[0].seq, 10);
    assert_int_equal(desk->events[1].epoch, 7);
    assert_int_equal(desk_wait(desk, store_head(desk->store, "t", "?", desk_done, desk)),
                     0);
    assert_int_equal(desk->seq, 0);
}

static void the_outbox_is_read_in_order_and_acknowledged(void **state)
{
    struct desk *desk = *state;
    uint64_t second, third;
    struct trace trace;

    assert_true(traceparent_parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                  &trace));
    for (int i = 0; i < 4; i++) {
        struct store_write w = event(i % 2 ? "n" : "m", "kcs.x");

        w.event.trace = i == 0 ? trace : w.event.trace;
        assert_int_equal(write_one(desk, w), 0);
    }
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 3, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 3);
    assert_true(desk->more);
    assert_memory_equal(&desk->events[0].trace, &trace, sizeof(trace));
    assert_false(trace_is_set(&desk->events[1].trace));
    assert_true(desk->events[0].position < desk->events[2].position);
    assert_string_equal(desk->events[0].meeting, "m");
    assert_int_equal(desk->events[2].seq, 2);
    second = desk->events[1].position;
    third = desk->events[2].position;
    assert_int_equal(desk_wait(desk, store_ack(desk->store, second, desk_done, desk)), 0);
    assert_int_equal(desk_wait(desk, store_ack(desk->store, 1, desk_done, desk)), 0);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 2);
    assert_int_equal(desk->events[0].position, third);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, third, 9, desk_done, desk)),
                     0);
    assert_int_equal(desk->n_events, 1);
    assert_string_equal(desk->events[0].meeting, "n");

    /* to look at: the latest, of whoever */
    assert_int_equal(desk_wait(desk, store_latest(desk->store, 0, 3, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 3);
    assert_true(desk->more);
    assert_true(desk->events[0].position > desk->events[2].position);
    assert_int_equal(desk_wait(desk, store_latest(desk->store, desk->events[1].position, 9,
                                                  desk_done, desk)),
                     0);
    assert_int_equal(desk->n_events, 1);
    assert_string_equal(desk->events[0].meeting, "n");
    assert_false(desk->more);
}

static void sweeping_takes_what_has_expired(void **state)
{
    struct desk *desk = *state;
    struct store_write old = put(STORE_AUDIT, "t", "old", 0);
    struct store_write kept = put(STORE_AUDIT, "t", "kept", 0);
    struct store_write e = event("m", "kcs.x");
    uint64_t position;

    old.doc.expires_s = 100;
    kept.doc.expires_s = 101;
    assert_int_equal(write_one(desk, old), 0);
    assert_int_equal(write_one(desk, kept), 0);
    e.event.at_us = 5;
    assert_int_equal(write_one(desk, e), 0);
    assert_int_equal(write_one(desk, e), 0);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 1, desk_done, desk)), 0);
    position = desk->events[0].position;
    assert_int_equal(desk_wait(desk, store_ack(desk->store, position, desk_done, desk)), 0);
    assert_int_equal(
        desk_wait(desk, store_sweep(desk->store, 100, 6, false, desk_done, desk)), 0);
    assert_int_equal(desk->n, 2);
    assert_int_equal(get(desk, STORE_AUDIT, "t", "old"), -ENOENT);
    assert_int_equal(get(desk, STORE_AUDIT, "t", "kept"), 0);
    assert_int_equal(
        desk_wait(desk, store_sweep(desk->store, 100, 6, true, desk_done, desk)), 0);
    assert_int_equal(desk->n, 1);
    assert_int_equal(write_one(desk, e), 0);
    assert_int_equal(desk->seq, 3); /* the count does not begin anew */
}

static void audit_entries_do_not_change(void **state)
{
    struct desk *desk = *state;
    struct store_write w = put(STORE_AUDIT, "t", "a", 0);

    assert_int_equal(write_one(desk, w), 0);
    w.expect = STORE_ANY;
    assert_int_equal(write_one(desk, w), -EPERM);
    w.expect = 1;
    assert_int_equal(write_one(desk, w), -EPERM);
    w.what = STORE_DELETE;
    assert_int_equal(write_one(desk, w), -EPERM);
}

static void a_person_is_erased_and_others_are_not(void **state)
{
    struct desk *desk = *state;
    struct store_write chat = put(STORE_CHAT, "t", "c1", 0);
    struct store_write theirs = put(STORE_CHAT, "t", "c2", 0);
    struct store_write audit = put(STORE_AUDIT, "t", "a", 0);
    struct store_write e = event("m", "kcs.chat.message");

    chat.doc.ref = audit.doc.ref = e.event.ref = "ada";
    theirs.doc.ref = "bob";
    e.event.json = "{\"text\":\"secret\"}";
    assert_int_equal(write_one(desk, put(STORE_USER, "t", "ada", 0)), 0);
    assert_int_equal(write_one(desk, put(STORE_USER, "u", "ada", 0)), 0);
    assert_int_equal(write_one(desk, chat), 0);
    assert_int_equal(write_one(desk, theirs), 0);
    assert_int_equal(write_one(desk, audit), 0);
    assert_int_equal(write_one(desk, e), 0);
    assert_int_equal(store_erase(desk->store, "t", "", desk_done, desk), -EINVAL);
    assert_int_equal(desk_wait(desk, store_erase(desk->store, "t", "ada", desk_done, desk)),
                     0);
    assert_int_equal(desk->n, 3);
    assert_int_equal(get(desk, STORE_USER, "t", "ada"), -ENOENT);
    assert_int_equal(get(desk, STORE_USER, "u", "ada"), 0);
    assert_int_equal(get(desk, STORE_CHAT, "t", "c1"), -ENOENT);
    assert_int_equal(get(desk, STORE_CHAT, "t", "c2"), 0);
    assert_int_equal(get(desk, STORE_AUDIT, "t", "a"), 0);
    assert_int_equal(
        desk_wait(desk, store_events(desk->store, "t", "m", 0, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 1);
    assert_null(strstr(desk->events[0].json, "secret"));
}

static void what_is_too_long_is_refused(void **state)
{
    struct desk *desk = *state;
    char id[STORE_ID_MAX + 2];
    char *json = malloc(STORE_DOC_MAX + 2);
    struct store_write w = put(STORE_USER, "t", id, 0);
    struct store_write many[STORE_WRITES_MAX + 1];

    assert_non_null(json);
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    assert_int_equal(store_write(desk->store, &w, 1, NULL, NULL), -EINVAL);
    w.doc.id = "";
    assert_int_equal(store_write(desk->store, &w, 1, NULL, NULL), -EINVAL);
    memset(json, 'x', STORE_DOC_MAX + 1);
    json[STORE_DOC_MAX + 1] = '\0';
    w.doc.id = "u";
    w.doc.json = json;
    assert_int_equal(store_write(desk->store, &w, 1, NULL, NULL), -EINVAL);
    json[STORE_DOC_MAX] = '\0';
    assert_int_equal(write_one(desk, w), 0);
    for (int i = 0; i <= STORE_WRITES_MAX; i++) {
        many[i] = put(STORE_USER, "t", "v", STORE_ANY);
    }
    assert_int_equal(store_write(desk->store, many, STORE_WRITES_MAX + 1, NULL, NULL),
                     -EINVAL);
    assert_int_equal(store_write(desk->store, many, 0, NULL, NULL), -EINVAL);
    free(json);
}

static void a_full_queue_says_so(void **state)
{
    struct desk *desk = *state;
    struct store_write w = put(STORE_USER, "t", "u", STORE_ANY);
    unsigned n = 0;
    int ret;

    while ((ret = store_write(desk->store, &w, 1, desk_done, desk)) == 0) {
        n++;
        assert_true(n <= STORE_QUEUE); /* nothing is answered while the loop stands still */
    }
    assert_int_equal(ret, -EAGAIN);
    assert_int_equal(n, STORE_QUEUE);
    while (desk->n_answers < n) {
        loop_turn(desk->loop);
    }
    assert_int_equal(store_waiting(desk->store), 0);
    assert_int_equal(write_one(desk, w), 0);
    assert_int_equal(desk->version, STORE_QUEUE + 1);
}

static void closing_does_what_waits_and_answers(void **state)
{
    struct desk *desk = *state;
    struct store_write w = put(STORE_USER, "t", "u", STORE_ANY);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(store_write(desk->store, &w, 1, desk_done, desk), 0);
    }
    desk_close(desk);
    assert_int_equal(desk->n_answers, 100);
    assert_int_equal(desk->version, 100);
    desk_open(desk, backend, NULL);
    assert_int_equal(get(desk, STORE_USER, "t", "u"), 0);
    assert_int_equal(desk->docs[0].version, 100);
}

static void a_backup_is_a_store_of_that_moment(void **state)
{
    struct desk *desk = *state;
    char path[sizeof(desk->path)];

    (void)snprintf(path, sizeof(path), "%s/copy.db", desk->dir);
    assert_int_equal(write_one(desk, put(STORE_USER, "t", "before", 0)), 0);
    if (desk_url != NULL) { /* a server has tools of its own for that */
        assert_int_equal(desk_wait(desk, store_backup(desk->store, path, desk_done, desk)),
                         -ENOTSUP);
        return;
    }
    assert_int_equal(desk_wait(desk, store_backup(desk->store, path, desk_done, desk)), 0);
    assert_int_equal(write_one(desk, put(STORE_USER, "t", "later", 0)), 0);
    /* what is there is not written over */
    assert_int_equal(desk_wait(desk, store_backup(desk->store, path, desk_done, desk)),
                     -EEXIST);
    desk_close(desk);
    assert_int_equal(rename(path, desk->path), 0);
    assert_true(strcpy(path, desk->path) != NULL);
    strcat(path, "-wal");
    (void)unlink(path);
    desk_open(desk, backend, NULL);
    assert_int_equal(get(desk, STORE_USER, "t", "before"), 0);
    assert_int_equal(get(desk, STORE_USER, "t", "later"), -ENOENT);
}

/* ---- killed ---- */

struct count {
    int pipe;
    uint32_t n;
};

static void note(void *arg, const struct store_result *result)
{
    struct count *count = arg;

    if (result->err == 0) {
        uint64_t seq = result->seq;

        (void)!write(count->pipe, &seq, sizeof(seq)); /* acknowledged */
    }
    count->n++;
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

/* Writes a chat message with its event, many at once, and says which are done. */
static void child(const char *path, int out)
{
    struct count count = {.pipe = out};
    struct loop *loop;
    struct store *store;
    char err[STORE_ERR_MAX];
    struct store_conf conf = {.path = path, .post = post};

    if (loop_create(&loop) != 0) {
        _exit(2);
    }
    conf.loop = loop;
    if (store_create_on(&store, backend, &conf, err) != 0) {
        _exit(3);
    }
    for (uint32_t n = 0; n < 10000;) {
        char id[32];
        struct store_write w[2] = {
            {.what = STORE_PUT,
             .kind = STORE_CHAT,
             .doc = {.tenant = "t", .id = id, .group = "m", .at = n + 1, .json = "{}"}},
            {.what = STORE_EVENT,
             .event = {
                 .tenant = "t", .meeting = "m", .type = "kcs.chat.message", .ref = id}}};

        (void)snprintf(id, sizeof(id), "%u", n + 1);
        if (n - count.n < 64 && store_write(store, w, 2, note, &count) == 0) {
            n++;
        } else {
            loop_turn(loop);
        }
    }
    store_destroy(store);
    _exit(0);
}

/* Kills the writer once it has acknowledged 'after' writes. Returns how many were. */
static uint64_t kill_after(const char *path, uint64_t after)
{
    int ends[2];
    uint64_t seq;
    uint64_t last = 0;
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        child(path, ends[1]);
    }
    (void)close(ends[1]);
    while (read(ends[0], &seq, sizeof(seq)) == sizeof(seq)) {
        assert_true(seq > last);
        last = seq;
        if (last == after) {
            assert_int_equal(kill(pid, SIGKILL), 0);
        }
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return last;
}

/* Every page of a list of messages and of events. */
static uint64_t count_messages(struct desk *desk)
{
    struct store_query q = {
        .kind = STORE_CHAT, .tenant = "t", .group = "m", .limit = STORE_FIND_MAX};
    char after[STORE_ID_MAX + 1];
    uint64_t n = 0;

    do {
        assert_int_equal(find(desk, q), 0);
        for (size_t i = 0; i < desk->n_docs; i++) {
            assert_int_equal(desk->docs[i].at, ++n); /* no gap */
            (void)snprintf(after, sizeof(after), "%s", desk->docs[i].id);
            assert_int_equal(strtoull(after, NULL, 10), n);
        }
        q.after = true;
        q.after_at = (int64_t)n;
        q.after_id = after;
    } while (desk->more);
    return n;
}

static uint64_t count_events(struct desk *desk)
{
    uint64_t n = 0;

    do {
        assert_int_equal(desk_wait(desk, store_events(desk->store, "t", "m", 1, n,
                                                      STORE_FIND_MAX, desk_done, desk)),
                         0);
        for (size_t i = 0; i < desk->n_events; i++) {
            assert_int_equal(desk->events[i].seq, ++n);
            assert_int_equal(strtoull(desk->events[i].ref, NULL, 10), n);
        }
    } while (desk->more);
    return n;
}

/* Each message has its event, each event its message, the numbers have no gap. */
static void a_killed_writer_loses_nothing_that_it_acknowledged(void **state)
{
    struct desk *desk = *state;

    desk_close(desk);
    for (size_t i = 0; moments[i] != 0; i++) {
        uint64_t acked;
        uint64_t n;

        desk_elsewhere(desk);
        acked = kill_after(desk->path, moments[i]);
        assert_true(acked >= moments[i]);
        if (whole != NULL) {
            whole(desk->path);
        }
        desk_open(desk, backend, NULL);
        n = count_messages(desk);
        assert_true(n >= acked);
        assert_true(n < 10000);
        assert_int_equal(count_events(desk), n);
        assert_int_equal(write_one(desk, event("m", "kcs.x")), 0);
        assert_int_equal(desk->seq, n + 1); /* it goes on where it was */
        desk_close(desk);
    }
}

int conformance_run(const struct store_backend *which, const uint64_t *kills,
                    void (*check)(const char *path))
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_document_comes_back_as_it_was_written),
        CASE(every_kind_has_a_place),
        CASE(tenants_do_not_see_each_other),
        CASE(versions_guard_against_two_writers),
        CASE(names_are_unique_in_a_tenant),
        CASE(a_list_of_writes_happens_whole_or_not),
        CASE(a_list_that_fails_takes_nothing_of_the_others_with_it),
        CASE(pages_go_on_where_the_last_ended),
        CASE(what_comes_again_is_found_until_it_ends),
        CASE(filters_narrow_a_list),
        CASE(events_of_a_meeting_are_numbered),
        CASE(the_outbox_is_read_in_order_and_acknowledged),
        CASE(sweeping_takes_what_has_expired),
        CASE(audit_entries_do_not_change),
        CASE(a_person_is_erased_and_others_are_not),
        CASE(what_is_too_long_is_refused),
        CASE(a_full_queue_says_so),
        CASE(closing_does_what_waits_and_answers),
        CASE(a_backup_is_a_store_of_that_moment),
        CASE(a_killed_writer_loses_nothing_that_it_acknowledged),
    };

    backend = which;
    moments = kills;
    whole = check;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
