/* What of the node itself goes to the store, and what /metrics tells of the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/control_conf.h"
#include "app/disk.h"
#include "app/keep.h"
#include "app/node_facts.h"
#include "app/stored.h"
#include "desk.h"
#include "metric/metric.h"
#include "schema/check.h"
#include "schema/schema.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

/* A path below it is asked for ever: on a disk of a network that is away. "": none. */
static char away[96];
static atomic_bool is_away;
static atomic_int n_asking; /* there */
static _Atomic uint64_t ahead_us;

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);
uint64_t __real_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    if (away[0] != '\0' && strcmp(path, away) == 0) {
        atomic_fetch_add(&n_asking, 1);
        while (atomic_load(&is_away)) {
            (void)usleep(1000);
        }
        atomic_fetch_sub(&n_asking, 1);
    }
    return __real_statvfs(path, out);
}

uint64_t __wrap_clock_mono_us(void)
{
    return __real_clock_mono_us() + atomic_load(&ahead_us);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void tell(struct desk *desk, enum node_fact fact)
{
    node_fact_tell(desk->store, fact, "abc", 7, 3, fact == NODE_DRAINING ? 60 : 0);
}

/* Each has a type that is in the catalogue, and is what its schema says. */
static void what_happens_to_the_node_is_a_fact(void **state)
{
    static const char *const types[] = {
        "kcs.node.started",    "kcs.node.media_attached", "kcs.node.draining",
        "kcs.node.in_service", "kcs.node.media_lost",     "kcs.node.stopping"};
    static const enum node_fact facts[] = {NODE_STARTED,    NODE_MEDIA_ATTACHED,
                                           NODE_DRAINING,   NODE_IN_SERVICE,
                                           NODE_MEDIA_LOST, NODE_STOPPING};
    static struct desk desk;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_sqlite, NULL);
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        tell(&desk, facts[i]);
    }
    assert_int_equal(desk_wait(&desk, store_outbox(desk.store, 0, 10, desk_done, &desk)), 0);
    assert_int_equal(desk.n_events, 6);
    for (size_t i = 0; i < desk.n_events; i++) {
        const struct store_event *event = &desk.events[i];
        const struct schema_fact *fact = schema_fact_find(event->type);
        struct schema_errors errors = {.n = 0};
        json_t *data = json_loads(event->json, 0, NULL);

        assert_string_equal(event->type, types[i]);
        assert_string_equal(event->meeting, "no meeting");
        assert_int_equal(event->epoch, 7);
        assert_int_equal(event->seq, i + 1);
        assert_non_null(fact);
        assert_non_null(data);
        assert_true(schema_check(data, fact->data, &errors));
        assert_int_equal(json_integer_value(json_object_get(data, "seconds")),
                         facts[i] == NODE_DRAINING ? 60 : 0);
        json_decref(data);
    }
    node_fact_tell(NULL, NODE_STARTED, "abc", 7, 0, 0); /* nothing is kept */
    desk_teardown(&desk);
}

static double value_of(struct metric_registry *metrics, const char *series)
{
    char line[128];
    double value = -1;
    size_t len;
    char *text;
    const char *at;

    (void)snprintf(line, sizeof(line), "\n%s ", series);
    assert_int_equal(metric_render(metrics, &text, &len), 0);
    at = strstr(text, line);
    if (at != NULL) {
        value = strtod(at + strlen(line), NULL);
    }
    free(text);
    return value;
}

/* What the store does not even take. */
static void a_fact_that_is_refused_at_once_is_told(void **state)
{
    static struct desk desk;
    char text[1024] = "";
    int fds[2];
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_sqlite, NULL);
    store_close(desk.store);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    log_set_fd(fds[1]);
    tell(&desk, NODE_STOPPING);
    log_set_fd(STDERR_FILENO);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "\"node_fact_lost\""));
    assert_non_null(strstr(text, "\"kcs.node.stopping\""));
    (void)close(fds[0]);
    (void)close(fds[1]);
    desk_teardown(&desk);
}

/* The value of a series that will be there soon. */
static double value_soon(struct metric_registry *metrics, const char *series)
{
    double value = -1;

    for (int i = 0; i < 5000 && value < 0; i++) {
        value = value_of(metrics, series);
        (void)usleep(1000);
    }
    return value;
}

/* It answers nobody, and holds up nobody but the thread that asks it. */
static void a_disk_that_does_not_answer_holds_up_nobody(void **state)
{
    static struct control_conf conf;
    static struct desk desk;
    struct metric_registry *metrics;
    struct keep keep = {.conf = &conf};
    uint64_t from_us;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_sqlite, NULL);
    keep.store = desk.store;
    (void)snprintf(conf.store.path, sizeof(conf.store.path), "%s", desk.path);
    (void)snprintf(conf.recording.directory, sizeof(conf.recording.directory), "%s",
                   desk.dir);
    assert_int_equal(metric_registry_create(&metrics), 0);
    assert_int_equal(stored_register(metrics, &keep), 0);
    (void)snprintf(away, sizeof(away), "%s", desk.dir);
    atomic_store(&is_away, true);
    from_us = clock_mono_us();
    assert_int_equal(stored_watch(&keep), 0);
    assert_true(value_soon(metrics, "kcs_disk_free_bytes{holds=\"store\"}") > 0);
    assert_true(value_of(metrics, "kcs_disk_free_bytes{holds=\"recordings\"}") < 0);
    while (atomic_load(&n_asking) == 0) {
        (void)usleep(1000);
    }
    stored_unwatch(&keep); /* a second, and then it is left behind */
    assert_true(clock_mono_us() - from_us < 10000000);
    assert_int_equal(atomic_load(&n_asking), 1);
    atomic_store(&is_away, false);
    while (atomic_load(&n_asking) != 0) {
        (void)usleep(1000);
    }
    away[0] = '\0';
    metric_registry_destroy(metrics);
    desk_teardown(&desk);
}

/* What was heard is told for a minute, and then it is old. */
static void a_disk_that_answers_no_more_is_not_told(void **state)
{
    char dir[] = "/tmp/kcs-disk-XXXXXX";
    struct disk_facts facts;
    struct disk *disk;
    (void)state;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(disk_create(&disk, dir), 0);
    while (!disk_look(disk, &facts)) {
        (void)usleep(1000);
    }
    assert_true(facts.size_bytes >= facts.free_bytes);
    atomic_store(&ahead_us, 50000000);
    assert_true(disk_look(disk, &facts));
    atomic_store(&ahead_us, 70000000);
    assert_false(disk_look(disk, &facts));
    atomic_store(&ahead_us, 0);
    disk_destroy(disk);
    (void)rmdir(dir);
}

static void write_file(const char *dir, const char *name, size_t len)
{
    static const char zeros[4096];
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(zeros, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* All that recordings have taken, wherever below. */
static void a_directory_is_as_large_as_what_is_in_it(void **state)
{
    char dir[] = "/tmp/kcs-disk-XXXXXX", below[64], link[64], command[64];
    struct disk_facts facts;
    struct disk *disk;
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(below, sizeof(below), "%s/one", dir);
    assert_int_equal(mkdir(below, 0700), 0);
    write_file(dir, "a", 1000);
    write_file(below, "b", 4000);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    assert_int_equal(symlink(below, link), 0);
    assert_int_equal(disk_create(&disk, dir), 0);
    while (!disk_look(disk, &facts)) {
        (void)usleep(1000);
    }
    assert_int_equal(facts.file_bytes, 5000);
    disk_destroy(disk);
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void metrics_tell_of_the_store_and_its_disk(void **state)
{
    static struct control_conf conf;
    static struct desk desk;
    struct metric_registry *metrics;
    struct keep keep = {.conf = NULL};
    double free_bytes;
    (void)state;

    desk_setup(&desk);
    assert_int_equal(metric_registry_create(&metrics), 0);
    assert_int_equal(stored_register(metrics, &keep), 0);
    assert_true(value_of(metrics, "kcs_store_waiting") < 0); /* nothing is kept */
    assert_true(value_of(metrics, "kcs_disk_free_bytes{holds=\"store\"}") < 0);

    desk_open(&desk, &store_sqlite, NULL);
    (void)snprintf(conf.store.path, sizeof(conf.store.path), "%s", desk.path);
    (void)snprintf(conf.recording.directory, sizeof(conf.recording.directory), "%s",
                   desk.dir);
    keep.store = desk.store;
    keep.conf = &conf;
    assert_true(value_of(metrics, "kcs_store_waiting") == 0);
    assert_true(value_of(metrics, "kcs_store_failing") == 0);
    assert_true(value_of(metrics, "kcs_store_events_total") == 0);
    tell(&desk, NODE_STARTED);
    tell(&desk, NODE_STOPPING);
    assert_true(value_of(metrics, "kcs_store_waiting") > 0); /* the loop stands still */
    assert_int_equal(loop_post(desk.loop, stop, desk.loop), 0);
    loop_run(desk.loop);
    assert_int_equal(desk_wait(&desk, store_outbox(desk.store, 0, 1, desk_done, &desk)), 0);
    assert_true(value_of(metrics, "kcs_store_waiting") == 0);
    assert_true(value_of(metrics, "kcs_store_events_total") == 2);
    assert_true(value_of(metrics, "kcs_store_size_bytes") < 0); /* not asked yet */
    assert_int_equal(stored_watch(&keep), 0);
    assert_true(value_soon(metrics, "kcs_store_size_bytes") > 4096);
    free_bytes = value_of(metrics, "kcs_disk_free_bytes{holds=\"store\"}");
    assert_true(free_bytes > 0);
    assert_true(free_bytes <= value_of(metrics, "kcs_disk_size_bytes{holds=\"store\"}"));
    assert_true(value_soon(metrics, "kcs_disk_free_bytes{holds=\"recordings\"}") > 0);
    stored_unwatch(&keep);

    /* of a database nothing is known but how it answers */
    (void)snprintf(conf.store.url, sizeof(conf.store.url), "mongodb://x/y");
    assert_int_equal(stored_watch(&keep), 0);
    assert_true(value_soon(metrics, "kcs_disk_free_bytes{holds=\"recordings\"}") > 0);
    assert_true(value_of(metrics, "kcs_store_size_bytes") < 0);
    assert_true(value_of(metrics, "kcs_disk_free_bytes{holds=\"store\"}") < 0);
    assert_true(value_of(metrics, "kcs_store_failing") == 0);
    stored_unwatch(&keep);
    metric_registry_destroy(metrics);
    desk_teardown(&desk);
}

static void metrics_tell_how_near_its_bound_a_store_is(void **state)
{
    static const struct store_write erase = {.what = STORE_DELETE,
                                             .kind = STORE_CHAT,
                                             .expect = STORE_ANY,
                                             .doc = {.tenant = "default", .id = "c"}};
    static const struct store_conf bounded = {.max_mb = 2};
    static char text[200000];
    struct store_write write = {.what = STORE_PUT,
                                .kind = STORE_CHAT,
                                .expect = STORE_ANY,
                                .doc = {.tenant = "default", .id = "c", .json = text}};
    static struct desk desk;
    struct metric_registry *metrics;
    struct keep keep = {.conf = NULL};
    double empty;
    (void)state;

    desk_setup(&desk);
    assert_int_equal(metric_registry_create(&metrics), 0);
    assert_int_equal(stored_register(metrics, &keep), 0);
    desk_open(&desk, &store_sqlite, NULL);
    keep.store = desk.store;
    assert_true(value_of(metrics, "kcs_store_used_bytes") > 0);
    assert_true(value_of(metrics, "kcs_store_max_bytes") == 0); /* it has none */
    desk_close(&desk);

    desk_open(&desk, &store_sqlite, &bounded);
    keep.store = desk.store;
    assert_true(value_of(metrics, "kcs_store_max_bytes") == 2 << 20);
    empty = value_of(metrics, "kcs_store_used_bytes");
    assert_true(empty > 0 && empty < 1 << 20);
    memset(text, 'x', sizeof(text) - 1);
    text[0] = text[sizeof(text) - 2] = '"';
    (void)usleep(1100000); /* it looks once a second */
    assert_int_equal(
        desk_wait(&desk, store_write(desk.store, &write, 1, desk_done, &desk)), 0);
    assert_true(value_of(metrics, "kcs_store_used_bytes") >= empty + 150000);
    (void)usleep(1100000);
    assert_int_equal(
        desk_wait(&desk, store_write(desk.store, &erase, 1, desk_done, &desk)), 0);
    assert_true(value_of(metrics, "kcs_store_used_bytes") < empty + 100000);
    desk_close(&desk);
    metric_registry_destroy(metrics);
    desk_teardown(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_happens_to_the_node_is_a_fact),
        cmocka_unit_test(a_fact_that_is_refused_at_once_is_told),
        cmocka_unit_test(a_disk_that_does_not_answer_holds_up_nobody),
        cmocka_unit_test(a_disk_that_answers_no_more_is_not_told),
        cmocka_unit_test(a_directory_is_as_large_as_what_is_in_it),
        cmocka_unit_test(metrics_tell_of_the_store_and_its_disk),
        cmocka_unit_test(metrics_tell_how_near_its_bound_a_store_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
