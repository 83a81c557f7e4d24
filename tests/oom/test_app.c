/* kcs-control whole, as its main() makes it, with its real listener, from its start to its
 * stop, while the n-th allocation fails: of our own code, of libwebsockets, of OpenSSL. A
 * client asks over HTTP and joins and leaves a meeting over a WebSocket. The start may
 * fail, with words that say so, and the client may be refused or cut off; nothing crashes
 * or leaks.
 *
 * There is no dataplane: test_call.c has the media. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "app/app.h"
#include "oom/alloc.h"
#include "proto/jwt.h"
#include "rest/documents.h"
#include "sys/log.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define UPGRADE                                                                            \
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\nConnection: "        \
    "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { LIVES = 60, PATIENCE_S = 2 };

static struct {
    char dir[32];
    char token[JWT_MAX_LEN];
    char err[APP_ERR_MAX];
    struct control_conf conf;
    bool live, joined, left;
} w;

/* ---- the client, on a thread of its own; whatever fails, it goes on to the end ---- */

static int dial(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(w.conf.http[0].port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)connect(fd, (const struct sockaddr *)&to, sizeof(to));
    return fd;
}

static void put(int fd, const void *data, size_t len)
{
    (void)send(fd, data, len, MSG_NOSIGNAL);
}

/* Reads until 'words' have come. Returns false if the connection ends before. */
static bool hear(int fd, const char *words)
{
    char got[16384];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(got) - 1 &&
           (n = recv(fd, got + len, sizeof(got) - 1 - len, 0)) > 0) {
        len += (size_t)n;
        got[len] = '\0';
        for (size_t i = 0; i < len; i++) { /* frames have zeroes in them */
            if (strncmp(got + i, words, strlen(words)) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* One masked text frame, with a mask of zeroes. */
static void frame(int fd, const char *text)
{
    uint8_t bytes[8 + 4096] = {0x81};
    size_t len = strlen(text);
    size_t at = 2;

    assert_true(len <= 4096);
    if (len < 126) {
        bytes[1] = (uint8_t)(0x80 | len);
    } else {
        bytes[1] = 0x80 | 126;
        bytes[2] = (uint8_t)(len >> 8);
        bytes[3] = (uint8_t)len;
        at = 4;
    }
    memcpy(bytes + at + 4, text, len);
    put(fd, bytes, at + 4 + len);
}

static void ask(const char *path, const char *words, bool *heard)
{
    char request[256];
    int fd = dial();

    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path);
    put(fd, request, strlen(request));
    *heard = hear(fd, words);
    (void)close(fd);
}

static void meet(void)
{
    char connect[JWT_MAX_LEN + 64];
    int fd = dial();

    put(fd, UPGRADE, strlen(UPGRADE));
    if (hear(fd, "\"pingInterval\"")) {
        (void)snprintf(connect, sizeof(connect), "40/meeting,{\"token\":\"%s\"}", w.token);
        frame(fd, connect);
        if (hear(fd, "40/meeting,{\"sid\"")) {
            frame(fd, "42/meeting,1[\"room:join\",{\"meeting_id\":\"m\",\"display_name\":"
                      "\"N\"}]");
            w.joined = hear(fd, "43/meeting,1[{\"ok\":true");
            frame(fd, "42/meeting,2[\"room:leave\",{\"meeting_id\":\"m\"}]");
            w.left = w.joined && hear(fd, "43/meeting,2[{\"ok\":true");
        }
    }
    (void)close(fd);
}

static void *visit(void *arg)
{
    bool heard;

    oom_pause();
    ask("/api/health/live", "\"live\"", &w.live);
    ask("/nothing", "HTTP/1.1 404", &heard);
    ask("/socket.io/?EIO=4&transport=polling", "pingInterval", &heard);
    meet();
    (void)kill(getpid(), SIGTERM);
    return arg;
}

/* ---- control ---- */

int __real_documents_create(struct documents **out, const char *version);
int __wrap_documents_create(struct documents **out, const char *version);

/* Fifty times as many allocations as all else of a life, by few functions that know nothing
 * of the rest of control. They fail each in a test of its own, which needs no life for
 * each; within a life they are one. */
int __wrap_documents_create(struct documents **out, const char *version)
{
    void *any = malloc(1);
    int err = -ENOMEM;

    if (any != NULL) {
        oom_pause();
        err = __real_documents_create(out, version);
        oom_go_on();
    }
    free(any);
    return err;
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void prepare(void)
{
    struct jwt_claims claims = {.tenant = "t", .meeting_id = "m", .exp = time(NULL) + 3600};

    (void)snprintf(claims.sub, sizeof(claims.sub), "s");
    (void)snprintf(claims.role, sizeof(claims.role), "host");
    memset(&w, 0, sizeof(w));
    strcpy(w.dir, "/tmp/kcs-oom-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    assert_int_equal(control_conf_load(NULL, &w.conf, w.err, sizeof(w.err)), 0);
    (void)snprintf(w.conf.dataplane.socket, sizeof(w.conf.dataplane.socket), "%s/dp.sock",
                   w.dir);
    (void)snprintf(w.conf.admin.socket, sizeof(w.conf.admin.socket), "%s/admin.sock",
                   w.dir);
    (void)snprintf(w.conf.http[0].address, sizeof(w.conf.http[0].address), "127.0.0.1");
    w.conf.http[0].port = free_port();
    w.conf.admin.metrics_port = free_port();
    w.conf.limits.connections = 100;
    w.conf.web.root[0] = '\0';
    w.conf.store.path[0] = '\0';
    w.conf.log.level = CONTROL_LOG_ERROR;
    (void)snprintf(w.conf.auth.hs256_secret, sizeof(w.conf.auth.hs256_secret), SECRET);
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)SECRET, sizeof(SECRET) - 1, w.token,
                              sizeof(w.token)),
                     JWT_OK);
    w.err[0] = '\0';
}

static void life(void)
{
    struct app *app = NULL;
    pthread_t thread;

    oom_pause();
    prepare();
    oom_go_on();
    oom_start_or_stop(true);
    if (app_create(&app, &w.conf, NULL, w.err) == 0) {
        oom_start_or_stop(false);
        assert_int_equal(pthread_create(&thread, NULL, visit, NULL), 0);
        app_run(app);
        oom_start_or_stop(true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        app_destroy(app);
    } else {
        assert_null(app);
        assert_true(w.err[0] != '\0');
    }
    assert_int_equal(rmdir(w.dir), 0);
}

/* ---- tests ---- */

static void without_failures_a_client_joins_and_leaves(void **state)
{
    (void)state;
    life();
    assert_true(w.live);
    assert_true(w.joined);
    assert_true(w.left);
}

static void fails_anywhere(enum oom_of of, unsigned least)
{
    life(); /* what is allocated once in a process is not a life's */
    assert_true(oom_every(of, life, LIVES) >= least);
    without_failures_a_client_joins_and_leaves(NULL);
}

static void whichever_of_our_allocations_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    fails_anywhere(OOM_OURS, LIVES / 2);
}

static void make_the_documents(void)
{
    struct documents *documents = NULL;

    if (__real_documents_create(&documents, "1.0") == 0) {
        assert_int_equal(oom_failed(), 0); /* else they lack something (KCS_OOM_AT) */
        documents_destroy(documents);
    } else {
        assert_null(documents);
    }
}

static void whichever_of_the_interfaces_documents_fails_nothing_crashes_or_leaks(
    void **state)
{
    (void)state;
    assert_true(oom_every(OOM_OURS, make_the_documents, LIVES) >= LIVES / 2);
}

static void whichever_of_libwebsockets_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    fails_anywhere(OOM_WEBSOCKETS, 12);
}

static void whichever_of_openssls_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    fails_anywhere(OOM_OPENSSL, LIVES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_failures_a_client_joins_and_leaves),
        cmocka_unit_test(whichever_of_our_allocations_fails_nothing_crashes_or_leaks),
        cmocka_unit_test(
            whichever_of_the_interfaces_documents_fails_nothing_crashes_or_leaks),
        cmocka_unit_test(whichever_of_libwebsockets_fails_nothing_crashes_or_leaks),
        cmocka_unit_test(whichever_of_openssls_fails_nothing_crashes_or_leaks),
    };

    oom_hook();
    log_set_fd(-1);
    cmocka_set_test_filter(getenv("KCS_TEST")); /* a pattern; without it, all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
