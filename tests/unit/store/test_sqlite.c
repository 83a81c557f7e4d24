/* What is SQLite's own: older files, a full disk. */
#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "desk.h"
#include "sqlite_ask.h"
#include "sys/loop.h"

static int setup(void **state)
{
    struct desk *desk = malloc(sizeof(*desk));

    assert_non_null(desk);
    desk_setup(desk);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    desk_teardown(*state);
    free(*state);
    return 0;
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *err = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK) {
        fail_msg("%s", err);
    }
    sqlite3_close(db);
}

/* Version 1 as it was: the words are kept here, not taken from the program. */
static void make_version_1(const char *path)
{
    static const char *const kinds[] = {"user",    "meeting",     "participant", "ban",
                                        "chat",    "poll",        "audit",       "family",
                                        "revoked", "idempotency", "key_"};
    char sql[1024];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TABLE %s (tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT,"
                       " grp TEXT NOT NULL, ref TEXT NOT NULL, state TEXT NOT NULL,"
                       " at INTEGER NOT NULL, expires INTEGER NOT NULL,"
                       " version INTEGER NOT NULL, doc TEXT NOT NULL, UNIQUE (tenant, id))",
                       kinds[i]);
        run_sql(path, sql);
    }
    run_sql(
        path,
        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
        "INSERT INTO schema_version VALUES (1, 0);"
        "CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT,"
        " tenant TEXT NOT NULL, meeting TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " seq INTEGER NOT NULL, type TEXT NOT NULL, at_us INTEGER NOT NULL,"
        " acked INTEGER NOT NULL DEFAULT 0, doc TEXT NOT NULL,"
        " UNIQUE (tenant, meeting, epoch, seq));"
        "CREATE TABLE head (tenant TEXT NOT NULL, meeting TEXT NOT NULL,"
        " epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " PRIMARY KEY (tenant, meeting)) WITHOUT ROWID;"
        "INSERT INTO meeting VALUES ('t','m',NULL,'ada','','live',3,0,4,'{\"a\":1}');"
        "INSERT INTO meeting VALUES ('t','weekly',NULL,'ada','','scheduled',3,0,1,"
        "'{\"meeting_type\":\"recurring\"}');"
        "INSERT INTO head VALUES ('t','m',1,8);"
        "INSERT INTO event (tenant,meeting,epoch,seq,type,at_us,doc)"
        " VALUES ('t','m',1,8,'kcs.x',0,'{}');");
}

static void an_older_file_opens_with_all_it_has(void **state)
{
    struct desk *desk = *state;
    const struct store_query later = {
        .kind = STORE_MEETING, .tenant = "t", .from = 1000, .limit = 9};
    const struct store_write fact = {
        .what = STORE_EVENT, .event = {.tenant = "t", .meeting = "m", .type = "kcs.y"}};

    make_version_1(desk->path);
    desk_open(desk, &store_sqlite, NULL);
    assert_int_equal(
        desk_wait(desk, store_get(desk->store, STORE_MEETING, "t", "m", desk_done, desk)),
        0);
    assert_int_equal(desk->docs[0].version, 4);
    assert_int_equal(desk_wait(desk, store_find(desk->store, &later, desk_done, desk)), 0);
    assert_int_equal(desk->n_docs, 1);
    assert_string_equal(desk->docs[0].id, "weekly");
    assert_int_equal(
        desk_wait(desk, store_write(desk->store, &fact, 1, desk_done, desk)), 0);
    assert_int_equal(desk->seq, 9);
    assert_int_equal(
        desk_wait(desk, store_events(desk->store, "t", "m", 0, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 2);
    assert_string_equal(desk->events[0].ref, "");
    desk_close(desk);
    assert_true(ask_sql(desk->path, "SELECT MAX(version) FROM schema_version") >= 2);
    desk_open(desk, &store_sqlite, NULL); /* and once more, with nothing to do */
}

/* Before version 6 each event had its own mark. */
static void what_an_older_file_has_acknowledged_stays_so(void **state)
{
    struct desk *desk = *state;

    make_version_1(desk->path);
    run_sql(desk->path,
            "INSERT INTO event (tenant,meeting,epoch,seq,type,at_us,acked,doc)"
            " VALUES ('t','m',1,9,'kcs.x',0,0,'{}'), ('t','m',1,10,'kcs.x',0,0,'{}');"
            "UPDATE event SET acked = 1 WHERE seq < 10");
    desk_open(desk, &store_sqlite, NULL);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 1);
    assert_int_equal(desk->events[0].seq, 10);
}

/* As a clock leaves them that was ahead for a while. */
static void old_events_behind_young_ones_are_swept_too(void **state)
{
    struct desk *desk = *state;
    uint64_t n = 0;

    desk_open(desk, &store_sqlite, NULL);
    desk_close(desk);
    run_sql(
        desk->path,
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20003)"
        "INSERT INTO event (tenant, meeting, epoch, seq, type, at_us, doc)"
        " SELECT 't', 'm', 1, i, 'kcs.x', CASE WHEN i <= 20000 THEN 9 ELSE 1 END, '{}'"
        " FROM c");
    desk_open(desk, &store_sqlite, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            desk_wait(desk, store_sweep(desk->store, 0, 6, true, desk_done, desk)), 0);
        n += desk->n;
    }
    assert_int_equal(n, 3);
    assert_int_equal( /* and these when it is their time */
        desk_wait(desk, store_sweep(desk->store, 0, 10, true, desk_done, desk)), 0);
    assert_int_equal(desk->n, 10000);
}

static int open_fails(struct desk *desk, char err[STORE_ERR_MAX])
{
    const struct store_conf conf = {.path = desk->path};
    struct store *store = NULL;
    int ret = store_create(&store, &conf, err);

    assert_null(store);
    return ret;
}

static void a_newer_file_is_left_alone(void **state)
{
    struct desk *desk = *state;
    char err[STORE_ERR_MAX];

    make_version_1(desk->path);
    run_sql(desk->path, "INSERT INTO schema_version VALUES (9999, 0)");
    assert_int_equal(open_fails(desk, err), -ENOTSUP);
    assert_non_null(strstr(err, "9999"));
}

static void what_is_no_store_is_not_touched(void **state)
{
    struct desk *desk = *state;
    char err[STORE_ERR_MAX];
    FILE *file = fopen(desk->path, "w");

    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("this is no database\n", file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_not_equal(open_fails(desk, err), 0);
    assert_non_null(strstr(err, "not a database"));
    assert_true(snprintf(desk->path, sizeof(desk->path), "%s/no/such/kcs.db", desk->dir) >
                0);
    assert_int_equal(open_fails(desk, err), -ENOENT);
}

static void the_file_is_nobody_elses(void **state)
{
    struct desk *desk = *state;
    struct stat st;

    (void)umask(0);
    desk_open(desk, &store_sqlite, NULL);
    assert_int_equal(stat(desk->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void a_full_disk_refuses_writes_and_keeps_reading(void **state)
{
    struct desk *desk = *state;
    const struct store_conf conf = {.max_mb = 2};
    char *json = malloc(STORE_DOC_MAX);
    char id[16];
    struct store_write w = {.what = STORE_PUT, .kind = STORE_CHAT, .doc = {.id = id}};
    int n = 0;
    int err;

    assert_non_null(json);
    memset(json, 'x', 50000);
    json[50000] = '\0';
    w.doc.json = json;
    desk_open(desk, &store_sqlite, &conf);
    do {
        (void)snprintf(id, sizeof(id), "c%d", ++n);
        err = desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk));
        assert_true(n < 100);
    } while (err == 0);
    assert_int_equal(err, -ENOSPC);
    assert_int_equal(store_failing(desk->store), -ENOSPC);
    assert_true(n > 5);

    /* One that is too large, between two reads that wait with it. */
    unsigned before = desk->n_answers;

    assert_int_equal(store_get(desk->store, STORE_CHAT, "", "c1", desk_done, desk), 0);
    assert_int_equal(store_write(desk->store, &w, 1, desk_done, desk), 0);
    assert_int_equal(store_get(desk->store, STORE_CHAT, "", "c1", desk_done, desk), 0);
    while (desk->n_answers < before + 3) {
        loop_turn(desk->loop);
    }
    assert_int_equal(desk->err, 0);
    assert_int_equal(desk->n_docs, 1);
    assert_int_equal(
        desk_wait(desk, store_get(desk->store, STORE_CHAT, "", id, desk_done, desk)),
        -ENOENT);

    /* Room is made, and it goes on. */
    w.what = STORE_DELETE;
    w.expect = STORE_ANY;
    for (int i = 1; i < 4; i++) {
        (void)snprintf(id, sizeof(id), "c%d", i);
        assert_int_equal(desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk)),
                         0);
    }
    w.what = STORE_PUT;
    assert_int_equal(desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk)), 0);
    assert_int_equal(store_failing(desk->store), 0);
    desk_close(desk);
    assert_whole(desk->path);
    assert_in_range(size_of(desk->path), 1900 << 10, 2 << 20);
    free(json);
}

/* Files of before have pages of 4 KiB: the bound is of bytes all the same. */
static void a_file_with_other_pages_has_the_same_bound(void **state)
{
    struct desk *desk = *state;

    run_sql(desk->path, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; VACUUM");
    a_full_disk_refuses_writes_and_keeps_reading(state);
    assert_int_equal(ask_sql(desk->path, "PRAGMA page_size"), 4096);
}

static void wait_all(struct desk *desk, unsigned n)
{
    while (desk->n_answers < n) {
        loop_turn(desk->loop);
        (void)usleep(50);
    }
}

/* Another process, as a copy or an upgrade by hand would be. */
static void who_holds_the_file_is_waited_for(void **state)
{
    const struct store_write w = {.what = STORE_PUT,
                                  .kind = STORE_USER,
                                  .expect = STORE_ANY,
                                  .doc = {.tenant = "t", .id = "u"}};
    bool is_long = getenv("KCS_LONG") != NULL && getenv("KCS_LONG")[0] != '\0';
    struct desk *desk = *state;
    sqlite3 *other;

    desk_open(desk, &store_sqlite, NULL);
    assert_int_equal(sqlite3_open(desk->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    desk->n_answers = 0;
    assert_int_equal(store_write(desk->store, &w, 1, desk_done, desk), 0);
    (void)usleep(200000);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    wait_all(desk, 1);
    assert_int_equal(desk->err, 0);
    assert_int_equal(store_failing(desk->store), 0);

    /* not for ever, and not for each that waits anew; who reads does not wait */
    for (int i = 0; is_long && i < 3; i++) {
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                         SQLITE_OK);
        desk->n_answers = 0;
        for (int j = 0; j < 20; j++) {
            assert_int_equal(store_write(desk->store, &w, 1, desk_done, desk), 0);
        }
        wait_all(desk, 20);
        assert_int_equal(desk->err, -EAGAIN);
        assert_int_equal(store_failing(desk->store), -EAGAIN);
        assert_int_equal(
            desk_wait(desk, store_get(desk->store, STORE_USER, "t", "u", desk_done, desk)),
            0);
        assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(
            desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk)), 0);
        assert_int_equal(store_failing(desk->store), 0);
    }
    (void)sqlite3_close(other);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_older_file_opens_with_all_it_has),
        CASE(what_an_older_file_has_acknowledged_stays_so),
        CASE(old_events_behind_young_ones_are_swept_too),
        CASE(a_newer_file_is_left_alone),
        CASE(what_is_no_store_is_not_touched),
        CASE(the_file_is_nobody_elses),
        CASE(a_full_disk_refuses_writes_and_keeps_reading),
        CASE(a_file_with_other_pages_has_the_same_bound),
        CASE(who_holds_the_file_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
