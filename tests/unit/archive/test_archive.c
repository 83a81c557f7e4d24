/* Recordings that have ended, on a store in a file: the chat becomes one of their files.
 * What needs an object store is tests/e2e/archive.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "desk.h"
#include "metric/metric.h"
#include "sys/clock.h"
#include "sys/loop.h"

enum { BEGAN_S = 1700000000, MS = 1000, S = 1000000 };

struct world {
    struct desk desk;
    struct metric_registry *metrics;
    struct archive *archive;
    char directory[96];
    int64_t seq;
};

static bool never(void *user, const char *tenant, const char *id)
{
    (void)user;
    (void)tenant;
    (void)id;
    return false;
}

static void number(void *user, const char *tenant, const char *meeting, uint64_t *epoch,
                   uint64_t *seq)
{
    (void)user;
    (void)tenant;
    (void)meeting;
    *epoch = *seq = 0;
}

static void begin(struct world *w)
{
    const struct archive_conf conf = {.loop = w->desk.loop,
                                      .store = w->desk.store,
                                      .metrics = w->metrics,
                                      .directory = w->directory,
                                      .s3 = {.endpoint = ""},
                                      .is_running = never,
                                      .number = number};

    assert_int_equal(archive_create(&w->archive, &conf), 0);
}

static void setup(struct world *w)
{
    memset(w, 0, sizeof(*w));
    desk_setup(&w->desk);
    desk_open(&w->desk, &store_sqlite, NULL);
    (void)snprintf(w->directory, sizeof(w->directory), "%s/recordings", w->desk.dir);
    assert_int_equal(mkdir(w->directory, 0700), 0);
    assert_int_equal(metric_registry_create(&w->metrics), 0);
}

static void end(struct world *w)
{
    store_close(w->desk.store);
    archive_destroy(w->archive);
    w->archive = NULL;
}

static void teardown(struct world *w)
{
    char command[160];

    end(w);
    metric_registry_destroy(w->metrics);
    (void)snprintf(command, sizeof(command), "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
    desk_teardown(&w->desk);
}

static void put(struct world *w, enum store_kind kind, struct store_doc doc)
{
    const struct store_write write = {
        .what = STORE_PUT, .kind = kind, .expect = STORE_ANY, .doc = doc};

    assert_int_equal(
        desk_wait(&w->desk, store_write(w->desk.store, &write, 1, desk_done, &w->desk)), 0);
}

/* A message of the meeting 'm', 'at_ms' after the recording's beginning. 'more': members.
 */
static void say(struct world *w, int64_t at_ms, const char *text, const char *more)
{
    char json[1024], id[24], at[CLOCK_RFC3339_LEN];

    clock_format((uint64_t)((int64_t)BEGAN_S * S + at_ms * MS), at);
    (void)snprintf(id, sizeof(id), "m%lld", (long long)++w->seq);
    (void)snprintf(json, sizeof(json),
                   "{\"message_id\":\"%s\",\"user_id\":\"u\",\"display_name\":\"Ann\","
                   "\"message\":\"%s\",\"reply_to\":null,\"timestamp\":\"%s\","
                   "\"edited_at\":null%s}",
                   id, text, at, more);
    put(w, STORE_CHAT,
        (struct store_doc){
            .tenant = "t", .id = id, .group = "m", .ref = "u", .at = w->seq, .json = json});
}

/* 'files' and 'when' as the store has them; the directory has a file that is old. */
static void record(struct world *w, const char *state, const char *files, const char *when)
{
    struct timespec old[2] = {{.tv_sec = BEGAN_S + 10}, {.tv_sec = BEGAN_S + 10}};
    char path[160], json[512];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/one", w->directory);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/one/a.webm", w->directory);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, old), 0);
    (void)close(fd);
    (void)snprintf(path, sizeof(path), "%s/one", w->directory);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    (void)snprintf(json, sizeof(json), "{\"duration_ms\":10000%s%s,\"chat\":%s}",
                   files[0] != '\0' ? ",\"files\":" : "", files, when);
    put(w, STORE_RECORDING,
        (struct store_doc){.tenant = "t",
                           .id = "one",
                           .group = "m",
                           .state = state,
                           .at = BEGAN_S,
                           .json = json});
}

/* The recording's document once nothing is left to be done of the chat. */
static json_t *settled(struct world *w)
{
    const uint64_t until_us = clock_mono_us() + UINT64_C(20) * S;

    for (;;) {
        json_t *json;

        assert_true(clock_mono_us() < until_us);
        loop_turn(w->desk.loop);
        (void)usleep(1000);
        assert_int_equal(desk_wait(&w->desk, store_get(w->desk.store, STORE_RECORDING, "t",
                                                       "one", desk_done, &w->desk)),
                         0);
        json = json_loads(w->desk.docs[0].json, 0, NULL);
        if (json_object_get(json, "chat") == NULL) {
            return json;
        }
        json_decref(json);
    }
}

static json_t *read_log(const struct world *w)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/one/chat.json", w->directory);
    return json_load_file(path, 0, NULL);
}

static void assert_said(const json_t *log, size_t i, const char *text, int64_t at_ms)
{
    const json_t *message = json_array_get(json_object_get(log, "messages"), i);

    assert_string_equal(json_string_value(json_object_get(message, "message")), text);
    assert_int_equal(json_integer_value(json_object_get(message, "at_ms")), at_ms);
    assert_string_equal(json_string_value(json_object_get(message, "user_id")), "u");
    assert_string_equal(json_string_value(json_object_get(message, "display_name")), "Ann");
}

#define FILES "[{\"file\":\"a.webm\",\"size_bytes\":0}]"

static void what_was_said_to_all_meanwhile_is_a_file(void **state)
{
    json_t *log, *doc;
    const json_t *file;
    char path[160];
    struct world w;
    struct stat st;
    (void)state;

    setup(&w);
    say(&w, -1, "before", "");
    say(&w, 0, "first", "");
    say(&w, 1500, "private", ",\"to\":\"somebody\"");
    say(&w, 1600, "in a breakout room", ",\"group\":2");
    say(&w, 1700, "taken back", ",\"deleted\":true");
    say(&w, 2000, "\\\"quoted\\\" \\u00e9\\n", ",\"to\":null");
    say(&w, 4000, "while it is paused", "");
    say(&w, 9999, "last", "");
    say(&w, 10000, "after", "");
    record(&w, "stopped", FILES,
           "{\"from_us\":1700000000000000,\"to_us\":1700000010000000,"
           "\"left_out\":[[1700000003000000,1700000005000000]]}");
    begin(&w);
    doc = settled(&w);
    log = read_log(&w);
    assert_non_null(log);
    assert_int_equal(json_array_size(json_object_get(log, "messages")), 3);
    assert_said(log, 0, "first", 0);
    assert_said(log, 1, "\"quoted\" \xc3\xa9\n", 2000);
    assert_said(log, 2, "last", 7999); /* the pause is not in it */
    assert_true(json_is_true(json_object_get(log, "complete")));
    assert_string_equal(json_string_value(json_object_get(log, "meeting_id")), "m");
    file = json_array_get(json_object_get(doc, "files"), 1);
    assert_int_equal(json_array_size(json_object_get(doc, "files")), 2);
    assert_string_equal(json_string_value(json_object_get(file, "file")), "chat.json");
    (void)snprintf(path, sizeof(path), "%s/one/chat.json", w.directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(json_integer_value(json_object_get(file, "size_bytes")), st.st_size);
    json_decref(log);
    json_decref(doc);
    teardown(&w);
}

/* More than a page of the store. */
static void nothing_is_lost_of_much(void **state)
{
    enum { MANY = 450 };
    json_t *log, *doc;
    struct world w;
    char text[16];
    (void)state;

    setup(&w);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        say(&w, i, text, "");
    }
    record(&w, "stopped", FILES,
           "{\"from_us\":1700000000000000,\"to_us\":1700000010000000}");
    begin(&w);
    doc = settled(&w);
    log = read_log(&w);
    assert_int_equal(json_array_size(json_object_get(log, "messages")), MANY);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        assert_said(log, (size_t)i, text, i);
    }
    json_decref(log);
    json_decref(doc);
    teardown(&w);
}

/* Control was killed: it is not told when that was, and it may have been while the chat was
 * written. */
static void one_that_was_interrupted_has_it_till_its_last_file_and_once(void **state)
{
    json_t *log, *doc;
    char path[160];
    struct world w;
    FILE *file;
    (void)state;

    setup(&w);
    say(&w, 100, "first", "");
    say(&w, 9000, "last", "");
    say(&w, 12000, "after", "");
    record(&w, "running", "", "{\"from_us\":1700000000000000}");
    (void)snprintf(path, sizeof(path), "%s/one/chat.json", w.directory);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    record(&w, "running", "", "{\"from_us\":1700000000000000}");
    {
        const struct timespec old[2] = {{.tv_sec = BEGAN_S + 10}, {.tv_sec = BEGAN_S + 10}};

        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    begin(&w);
    doc = settled(&w);
    assert_string_equal(w.desk.docs[0].state, "interrupted");
    assert_int_equal(json_array_size(json_object_get(doc, "files")), 2);
    log = read_log(&w);
    assert_int_equal(json_array_size(json_object_get(log, "messages")), 2);
    assert_said(log, 1, "last", 9000);
    json_decref(log);
    json_decref(doc);
    teardown(&w);
}

static void one_whose_directory_is_gone_is_not_tried_for_ever(void **state)
{
    char command[160];
    json_t *doc;
    struct world w;
    (void)state;

    setup(&w);
    record(&w, "stopped", FILES,
           "{\"from_us\":1700000000000000,\"to_us\":1700000010000000}");
    (void)snprintf(command, sizeof(command), "rm -r %s/one", w.directory);
    assert_int_equal(system(command), 0);
    begin(&w);
    doc = settled(&w);
    assert_int_equal(json_array_size(json_object_get(doc, "files")), 1);
    json_decref(doc);
    teardown(&w);
}

/* Nobody ever writes to a FIFO: to open it takes as long as a disk that hangs. */
static void a_disk_that_hangs_does_not_hold_the_end_up(void **state)
{
    uint64_t began_us;
    char path[160];
    struct world w;
    int fd;
    (void)state;

    setup(&w);
    record(&w, "stopped", FILES,
           "{\"from_us\":1700000000000000,\"to_us\":1700000010000000}");
    (void)snprintf(path, sizeof(path), "%s/one/.chat.json", w.directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    begin(&w);
    for (began_us = clock_mono_us(); clock_mono_us() - began_us < S;) {
        loop_turn(w.desk.loop);
        (void)usleep(1000);
    }
    began_us = clock_mono_us();
    end(&w);
    assert_in_range(clock_mono_us() - began_us, S / 2, 5 * S); /* it did hang */
    fd = open(path, O_RDONLY | O_NONBLOCK); /* then its thread goes, and frees */
    (void)usleep(S / 5);
    (void)close(fd);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_to_all_meanwhile_is_a_file),
        cmocka_unit_test(nothing_is_lost_of_much),
        cmocka_unit_test(one_that_was_interrupted_has_it_till_its_last_file_and_once),
        cmocka_unit_test(one_whose_directory_is_gone_is_not_tried_for_ever),
        cmocka_unit_test(a_disk_that_hangs_does_not_hold_the_end_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
