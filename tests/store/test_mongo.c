/* The conformance suite on MongoDB's protocol, as FerretDB speaks it; and what is a
 * server's: one that is away, that comes back, that is of a newer version.
 *
 * KCS_FERRETDB names the program of tests/store/ferretdb. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

/* It ends with this program, however that ends: by its standard input. */
static void start_server(void)
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

int main(void)
{
    static const uint64_t moments[] = {1, 37, 300, 0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_away_is_told_and_comes_back),
        cmocka_unit_test(what_is_wrong_is_said_in_words_without_the_password),
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
