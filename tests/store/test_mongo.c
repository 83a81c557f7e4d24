/* The conformance suite on MongoDB's protocol, as FerretDB speaks it; and what is a
 * server's: one that is away, that comes back, whose disk is full; and databases of other
 * versions.
 *
 * KCS_FERRETDB names the program of tests/store/ferretdb. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <mongoc/mongoc.h>

#include "mongo/mongo.h"
#include "sys/clock.h"
#include "unit/store/conformance.h"
#include "unit/store/desk.h"

static char dir[] = "/tmp/kcs-ferretdb-XXXXXX";
static char address[32], url[64];
static pid_t server = -1;
static int server_stdin = -1;

static uint16_t free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    (void)close(fd);
    return ntohs(addr.sin_port);
}

static bool listens(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    addr.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    ok = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    (void)close(fd);
    return ok;
}

/* In the child: its directory is a disk of its own, that nobody else sees. */
static void become_small(const char *options)
{
    if (options != NULL && (unshare(CLONE_NEWNS) != 0 ||
                            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
                            mount("none", dir, "tmpfs", 0, options) != 0)) {
        _exit(126);
    }
}

/* It ends with this program, however that ends: by its standard input.
 *
 * disk  NULL: the host's; else the options of a tmpfs */
static void start_server_on(const char *disk)
{
    const char *program = getenv("KCS_FERRETDB");
    uint64_t until_us = clock_mono_us() + 60000000;
    int ends[2];

    if (program == NULL) {
        fail_msg("KCS_FERRETDB is not set: 'tools/test store' builds and names it");
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        become_small(disk);
        (void)dup2(ends[0], STDIN_FILENO);
        (void)execl(program, program, address, dir, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[0]);
    server_stdin = ends[1];
    while (!listens()) {
        assert_true(clock_mono_us() < until_us);
        assert_int_equal(waitpid(server, NULL, WNOHANG), 0);
        (void)usleep(20000);
    }
}

static void start_server(void)
{
    start_server_on(NULL);
}

static void kill_server(void)
{
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    (void)close(server_stdin);
    server = -1;
}

static int put(struct desk *desk, const char *id)
{
    const struct store_write w[2] = {
        {.what = STORE_PUT,
         .kind = STORE_CHAT,
         .doc = {.tenant = "t", .id = id},
         .expect = 0},
        {.what = STORE_EVENT,
         .event = {.tenant = "t", .meeting = "m", .type = "kcs.chat.message", .ref = id}}};

    return desk_wait(desk, store_write(desk->store, w, 2, desk_done, desk));
}

static void a_server_that_is_away_is_told_and_comes_back(void **state)
{
    struct desk desk;
    int err;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(put(&desk, "a"), 0);
    kill_server();
    assert_int_equal(put(&desk, "b"), -EHOSTDOWN);
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "a", desk_done, &desk)),
        -EHOSTDOWN);
    start_server();
    for (int i = 0; (err = put(&desk, "c")) == -EHOSTDOWN && i < 60; i++) {
        (void)usleep(500000);
    }
    assert_int_equal(err, 0);
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "a", desk_done, &desk)), 0);
    desk_teardown(&desk);
}

/* The server's own disk gets larger. */
static void grow_disk(const char *options)
{
    char path[64];
    int status;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)server);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        _exit(fd >= 0 && setns(fd, CLONE_NEWNS) == 0 &&
                      mount("none", dir, "tmpfs", MS_REMOUNT, options) == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_full_disk_refuses_writes_and_keeps_reading(void **state)
{
    struct store_write w = {.what = STORE_PUT, .kind = STORE_CHAT, .expect = STORE_ANY};
    struct desk desk;
    char id[16];
    char *json;
    int n = 0;
    int err;
    (void)state;

    if (geteuid() != 0) {
        skip(); /* who may not mount */
    }
    kill_server();
    start_server_on("size=16m");
    json = malloc(200001);
    assert_non_null(json);
    memset(json, 'x', 200000);
    json[200000] = '\0';
    w.doc = (struct store_doc){.tenant = "t", .id = id, .json = json};
    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    do {
        (void)snprintf(id, sizeof(id), "c%d", ++n);
        err = desk_wait(&desk, store_write(desk.store, &w, 1, desk_done, &desk));
        assert_true(n < 500);
    } while (err == 0);
    assert_int_equal(err, -ENOSPC);
    assert_int_equal(store_failing(desk.store), -ENOSPC);
    assert_true(n > 5);
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "c1", desk_done, &desk)),
        0);
    /* what was refused is not there, nor is half of it */
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", id, desk_done, &desk)),
        -ENOENT);

    grow_disk("size=64m");
    assert_int_equal(desk_wait(&desk, store_write(desk.store, &w, 1, desk_done, &desk)), 0);
    assert_int_equal(store_failing(desk.store), 0);
    desk_teardown(&desk);
    free(json);
    kill_server();
    start_server();
}

/* A collection of a desk's database, behind the program's back. */
struct raw {
    mongoc_client_t *client;
    mongoc_collection_t *of;
};

static struct raw raw_open(const struct desk *desk, const char *name)
{
    struct raw raw = {.client = mongoc_client_new(desk->path)};

    assert_non_null(raw.client);
    raw.of = mongoc_client_get_collection(raw.client, strrchr(desk->path, '/') + 1, name);
    return raw;
}

static void raw_close(struct raw *raw)
{
    mongoc_collection_destroy(raw->of);
    mongoc_client_destroy(raw->client);
}

/* The one that is found; it is there. */
static bson_t *raw_find(const struct raw *raw, const bson_t *query)
{
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(raw->of, query, NULL, NULL);
    const bson_t *doc;
    bson_t *copy;

    assert_true(mongoc_cursor_next(cursor, &doc));
    copy = bson_copy(doc);
    mongoc_cursor_destroy(cursor);
    return copy;
}

/* The version that stands in a desk's database; 0: none, as a start that was killed before
 * it was through leaves it. */
static void set_version(const struct desk *desk, int version)
{
    struct raw meta = raw_open(desk, "meta");
    bson_t *which = BCON_NEW("_id", BCON_UTF8("schema"));
    bson_t *mark = BCON_NEW("_id", BCON_UTF8("schema"), "version", BCON_INT32(version));

    assert_true(mongoc_collection_delete_one(meta.of, which, NULL, NULL, NULL));
    if (version != 0) {
        assert_true(mongoc_collection_insert_one(meta.of, mark, NULL, NULL, NULL));
    }
    bson_destroy(mark);
    bson_destroy(which);
    raw_close(&meta);
}

static int64_t get_version(const struct desk *desk)
{
    struct raw meta = raw_open(desk, "meta");
    bson_t *which = BCON_NEW("_id", BCON_UTF8("schema"));
    bson_t *mark = raw_find(&meta, which);
    bson_iter_t iter;
    int64_t version;

    assert_true(bson_iter_init_find(&iter, mark, "version"));
    version = bson_iter_as_int64(&iter);
    bson_destroy(mark);
    bson_destroy(which);
    raw_close(&meta);
    return version;
}

static int open_fails(const char *path, char err[STORE_ERR_MAX])
{
    const struct store_conf conf = {.path = path};
    struct store *store = NULL;
    int ret = store_create_on(&store, &store_mongo, &conf, err);

    assert_null(store);
    return ret;
}

static void what_is_wrong_is_said_in_words_without_the_password(void **state)
{
    char err[STORE_ERR_MAX];
    char path[128];
    (void)state;

    assert_int_equal(open_fails("mongodb//x", err), -EINVAL);
    assert_non_null(strstr(err, "not a MongoDB URL"));
    (void)snprintf(path, sizeof(path),
                   "mongodb://u:hunter2@127.0.0.1:%u/x?authSource=admin", free_port());
    assert_int_equal(open_fails(path, err), -EHOSTDOWN);
    assert_non_null(strstr(err, "no MongoDB takes us at 127.0.0.1"));
    assert_null(strstr(err, "hunter2"));
}

static void a_database_that_is_half_prepared_opens_with_all_it_has(void **state)
{
    struct desk desk;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(put(&desk, "a"), 0);
    desk_close(&desk);
    set_version(&desk, 0);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "a", desk_done, &desk)), 0);
    assert_int_equal(put(&desk, "a"), -EEXIST);
    assert_int_equal(put(&desk, "b"), 0);
    desk_teardown(&desk);
}

static int put_recording(struct desk *desk, const char *id, const char *name)
{
    const struct store_write w = {.what = STORE_PUT,
                                  .kind = STORE_RECORDING,
                                  .doc = {.tenant = "t", .id = id, .name = name},
                                  .expect = 0};

    return desk_wait(desk, store_write(desk->store, &w, 1, desk_done, desk));
}

/* Whether the collection of events has an index of that name. */
static bool events_have(const struct desk *desk, const char *name)
{
    struct raw events = raw_open(desk, "event");
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(events.of, NULL);
    const bson_t *index;
    bson_iter_t iter;
    bool found = false;

    while (!found && mongoc_cursor_next(cursor, &index)) {
        found = bson_iter_init_find(&iter, index, "name") &&
                strcmp(bson_iter_utf8(&iter, NULL), name) == 0;
    }
    mongoc_cursor_destroy(cursor);
    raw_close(&events);
    return found;
}

/* Version 1 knew no recordings: nothing kept two of a name apart. Version 2 had no index
 * for the sweep of events. */
static void an_older_database_opens_with_all_it_has(void **state)
{
    struct desk desk;
    struct raw older;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(put(&desk, "a"), 0);
    desk_close(&desk);
    older = raw_open(&desk, "recording");
    assert_true(mongoc_collection_drop(older.of, NULL));
    raw_close(&older);
    older = raw_open(&desk, "event");
    assert_true(mongoc_collection_drop_index(older.of, "at_us_1", NULL));
    raw_close(&older);
    set_version(&desk, 1);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(get_version(&desk), 3);
    assert_true(events_have(&desk, "at_us_1"));
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "a", desk_done, &desk)), 0);
    assert_int_equal(put_recording(&desk, "1", "x"), 0);
    assert_int_equal(put_recording(&desk, "2", "x"), -EEXIST);
    desk_close(&desk);
    desk_open(&desk, &store_mongo, NULL); /* and once more, with nothing to do */
    assert_int_equal(put(&desk, "a"), -EEXIST);
    desk_teardown(&desk);
}

/* Carries what is said both ways, but a server that makes an index takes its time. */
static void carry(int client)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd ends[2] = {{.fd = client, .events = POLLIN},
                             {.fd = to, .events = POLLIN}};
    char text[65536];

    addr.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    if (connect(to, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        return;
    }
    while (poll(ends, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            ssize_t n = ends[i].revents != 0 ? read(ends[i].fd, text, sizeof(text)) : -1;

            if (n == 0 || (n > 0 && write(ends[1 - i].fd, text, (size_t)n) != n)) {
                return;
            }
            if (i == 0 && n > 0 && memmem(text, (size_t)n, "createIndexes", 13) != NULL) {
                (void)sleep(4); /* the answer waits */
            }
        }
    }
}

/* A way to the server that is slow so. Returns a process group of its own, to be killed. */
static pid_t start_slow_way(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 16), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)signal(SIGCHLD, SIG_IGN);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int client = accept(fd, NULL, NULL);

            if (fork() == 0) {
                carry(client);
                _exit(0);
            }
            (void)close(client);
        }
    }
    (void)setpgid(pid, pid);
    (void)close(fd);
    return pid;
}

/* For longer than anybody waits for an answer to something else. */
static void an_index_of_a_full_collection_is_waited_for(void **state)
{
    uint16_t port = free_port();
    pid_t way = start_slow_way(port);
    char name[48];
    struct desk desk;
    struct raw older;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(put(&desk, "a"), 0);
    desk_close(&desk);
    older = raw_open(&desk, "event");
    assert_true(mongoc_collection_drop_index(older.of, "at_us_1", NULL));
    raw_close(&older);
    set_version(&desk, 2);
    (void)snprintf(name, sizeof(name), "%s", strrchr(desk.path, '/') + 1);
    (void)snprintf(desk.path, sizeof(desk.path), "mongodb://127.0.0.1:%u/%s", port, name);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(get_version(&desk), 3);
    assert_true(events_have(&desk, "at_us_1"));
    assert_int_equal(put(&desk, "a"), -EEXIST);
    desk_teardown(&desk);
    (void)kill(-way, SIGKILL);
    (void)waitpid(way, NULL, 0);
}

/* As a list leaves it whose answer was lost, and that the server did when it had been given
 * up: the last event of meeting "m" stands in the head, and is not where it is read. */
static void land_late(const struct desk *desk)
{
    struct raw events = raw_open(desk, "event");
    struct raw heads = raw_open(desk, "head");
    bson_t *which = BCON_NEW("_id", BCON_UTF8("t\nm\n1\n2"));
    bson_t *head = BCON_NEW("_id", BCON_UTF8("t\nm"));
    bson_t *event = raw_find(&events, which);
    bson_t *waiting = bson_new();
    bson_t *update;
    bson_t *to;

    bson_copy_to_excluding_noinit(event, waiting, "acked", NULL);
    (void)BSON_APPEND_BOOL(waiting, "acked", false);
    to = BCON_NEW("busy", BCON_BOOL(true), "pending", "[", "{", "event",
                  BCON_DOCUMENT(waiting), "}", "]");
    update = BCON_NEW("$set", BCON_DOCUMENT(to));
    assert_true(mongoc_collection_delete_one(events.of, which, NULL, NULL, NULL));
    assert_true(mongoc_collection_update_one(heads.of, head, update, NULL, NULL, NULL));
    bson_destroy(update);
    bson_destroy(to);
    bson_destroy(waiting);
    bson_destroy(event);
    bson_destroy(head);
    bson_destroy(which);
    raw_close(&heads);
    raw_close(&events);
}

/* Two events of "m", one of "n", all read and acknowledged; then the second is late.
 * Returns up to where the outbox was read. */
static uint64_t write_and_land_late(struct desk *desk)
{
    const struct store_write other = {
        .what = STORE_EVENT, .event = {.tenant = "t", .meeting = "n", .type = "kcs.x"}};
    uint64_t read;

    desk_setup(desk);
    desk_open(desk, &store_mongo, NULL);
    assert_int_equal(put(desk, "a"), 0);
    assert_int_equal(put(desk, "b"), 0);
    assert_int_equal(desk_wait(desk, store_write(desk->store, &other, 1, desk_done, desk)),
                     0);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 3);
    read = desk->events[2].position;
    assert_int_equal(desk_wait(desk, store_ack(desk->store, read, desk_done, desk)), 0);
    land_late(desk);
    return read;
}

static void one_is_told(struct desk *desk, uint64_t read)
{
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, read, 9, desk_done, desk)),
                     0);
    assert_int_equal(desk->n_events, 1);
    assert_string_equal(desk->events[0].ref, "b");
    assert_true(desk->events[0].position > read);
    read = desk->events[0].position;
    assert_int_equal(desk_wait(desk, store_ack(desk->store, read, desk_done, desk)), 0);
    assert_int_equal(desk_wait(desk, store_outbox(desk->store, 0, 9, desk_done, desk)), 0);
    assert_int_equal(desk->n_events, 0);
}

static void a_list_that_lands_late_is_told(void **state)
{
    struct desk desk;
    uint64_t read = write_and_land_late(&desk);
    (void)state;

    assert_int_equal(
        desk_wait(&desk, store_sweep(desk.store, 0, 0, false, desk_done, &desk)), 0);
    one_is_told(&desk, read);
    desk_teardown(&desk);
}

static void a_list_that_lands_late_is_told_after_a_start(void **state)
{
    struct desk desk;
    uint64_t read = write_and_land_late(&desk);
    (void)state;

    desk_close(&desk);
    desk_open(&desk, &store_mongo, NULL);
    one_is_told(&desk, read);
    desk_teardown(&desk);
}

static void a_list_that_lands_late_is_not_written_over(void **state)
{
    struct desk desk;
    (void)state;

    (void)write_and_land_late(&desk);
    assert_int_equal(put(&desk, "c"), 0);
    assert_int_equal(
        desk_wait(&desk, store_events(desk.store, "t", "m", 0, 0, 9, desk_done, &desk)), 0);
    assert_int_equal(desk.n_events, 3);
    assert_string_equal(desk.events[1].ref, "b");
    assert_string_equal(desk.events[2].ref, "c");
    assert_int_equal(desk_wait(&desk, store_outbox(desk.store, 0, 9, desk_done, &desk)), 0);
    assert_int_equal(desk.n_events, 2);
    assert_string_equal(desk.events[0].ref, "b");
    desk_teardown(&desk);
}

static void a_newer_database_is_left_alone(void **state)
{
    char err[STORE_ERR_MAX];
    struct desk desk;
    (void)state;

    desk_setup(&desk);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(put(&desk, "a"), 0);
    desk_close(&desk);
    set_version(&desk, 9);
    assert_int_equal(open_fails(desk.path, err), -ENOTSUP);
    assert_non_null(strstr(err, "version 9"));
    assert_non_null(strstr(err, "newer"));
    set_version(&desk, 3);
    desk_open(&desk, &store_mongo, NULL);
    assert_int_equal(
        desk_wait(&desk, store_get(desk.store, STORE_CHAT, "t", "a", desk_done, &desk)), 0);
    desk_teardown(&desk);
}

int main(void)
{
    static const uint64_t moments[] = {1, 37, 300, 0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_away_is_told_and_comes_back),
        cmocka_unit_test(what_is_wrong_is_said_in_words_without_the_password),
        cmocka_unit_test(a_database_that_is_half_prepared_opens_with_all_it_has),
        cmocka_unit_test(an_older_database_opens_with_all_it_has),
        cmocka_unit_test(an_index_of_a_full_collection_is_waited_for),
        cmocka_unit_test(a_newer_database_is_left_alone),
        cmocka_unit_test(a_list_that_lands_late_is_told),
        cmocka_unit_test(a_list_that_lands_late_is_told_after_a_start),
        cmocka_unit_test(a_list_that_lands_late_is_not_written_over),
        cmocka_unit_test(a_full_disk_refuses_writes_and_keeps_reading),
    };
    char command[64];
    int failed;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
    (void)snprintf(url, sizeof(url), "mongodb://%s/", address);
    start_server();
    desk_url = url;
    failed = conformance_run(&store_mongo, moments, NULL);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    kill_server();
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command) == 0 ? failed : 1;
}
