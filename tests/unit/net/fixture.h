/* A real server on its own thread, with handlers that show each thing the listener does,
 * and a blocking client of raw sockets to drive it from the test's thread. */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

#pragma GCC diagnostic ignored "-Wunused-function" /* each test uses a part */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "metric/metric.h"
#include "net/net.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { FX_HELD = 1024, FX_SOCKETS = 1024 };

struct fx {
    struct net_conf conf;
    struct net_listen listen[2];
    struct loop *loop;
    struct metric_registry *metrics;
    struct net_server *server;
    pthread_t thread;
    char err[NET_ERR_MAX];
    char dir[64]; /* of this test's own, removed at the end */
    /* the loop's thread */
    struct net_req *held[FX_HELD];
    size_t n_held;
    struct net_ws *sockets[FX_SOCKETS];
    size_t n_sockets;
    /* both threads */
    atomic_int aborts;
    atomic_int holding;
    atomic_int ws_opens;
    atomic_int ws_closes;
    atomic_uint last_code;
    atomic_size_t most_queued;
    atomic_int send_error;
};

static void fx_text(struct net_req *req, unsigned status, const char *text)
{
    const struct net_header type = {"content-type", "text/plain"};

    net_respond(req, status, &type, 1, text, strlen(text));
}

/* Who asks: "ADDRESS counted|free http|https"; for what has the port of a socket "-". */
static void fx_client(struct net_req *req)
{
    const char *remote = net_req_remote(req);
    uint8_t origin[NET_ORIGIN];
    char text[128];

    (void)snprintf(text, sizeof(text), "%s %s %s",
                   strncmp(remote, "127.0.0.1:", 10) == 0 ? "-" : remote,
                   net_req_origin(req, origin) ? "counted" : "free",
                   net_req_is_secure(req) ? "https" : "http");
    fx_text(req, 200, text);
}

static void fx_echo(struct net_req *req)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    const char *x = net_req_query(req, "x");
    const char *custom = net_req_header(req, "x-custom");
    const char *cookie = net_req_header(req, "cookie");
    size_t len;
    const char *body = net_req_body(req, &len);
    char out[512];

    snprintf(out, sizeof(out), "%s %s x=%s custom=%s cookie=%s body=%zu:%.*s",
             methods[net_req_method(req)], net_req_path(req), x != NULL ? x : "-",
             custom != NULL ? custom : "-", cookie != NULL ? cookie : "-", len,
             (int)(len > 64 ? 64 : len), body != NULL ? body : "");
    fx_text(req, 200, out);
}

static void fx_on_request(void *user, struct net_req *req)
{
    struct fx *fx = user;
    const char *path = net_req_path(req);

    if (strcmp(path, "/hold") == 0) {
        net_req_set_data(req, fx);
        fx->held[fx->n_held++] = req;
        atomic_store(&fx->holding, (int)fx->n_held);
    } else if (strcmp(path, "/release") == 0) {
        while (fx->n_held > 0) {
            fx_text(fx->held[--fx->n_held], 200, "released");
        }
        atomic_store(&fx->holding, 0);
        fx_text(req, 200, "ok");
    } else if (strcmp(path, "/big") == 0) {
        size_t n = strtoul(net_req_query(req, "n"), NULL, 10);
        char *big = malloc(n);

        for (size_t i = 0; i < n; i++) {
            big[i] = (char)('a' + i % 23);
        }
        net_respond(req, 200, NULL, 0, big, n);
        free(big);
    } else if (strcmp(path, "/bad-header") == 0) {
        const struct net_header bad = {"location", "/x\r\nset-cookie: y"};

        net_respond(req, 302, &bad, 1, NULL, 0);
    } else if (strcmp(path, "/none") == 0) {
        net_respond(req, 204, NULL, 0, NULL, 0);
    } else if (strncmp(path, "/files", 6) == 0) {
        net_respond_file(req, fx->dir, path + 6, NULL, 0);
    } else if (strncmp(path, "/large", 6) == 0) {
        net_respond_large(req, fx->dir, path + 6, NULL, 0);
    } else if (strcmp(path, "/raw-path") == 0) { /* a caller that passes on what it got */
        net_respond_file(req, fx->dir, net_req_query(req, "p"), NULL, 0);
    } else if (strcmp(path, "/remote") == 0) {
        net_req_trace(req, "/remote");
        fx_text(req, 200, net_req_remote(req));
    } else if (strcmp(path, "/client") == 0) {
        fx_client(req);
    } else {
        fx_echo(req);
    }
}

static void fx_on_abort(void *user, struct net_req *req)
{
    struct fx *fx = user;

    for (size_t i = 0; i < fx->n_held; i++) {
        if (fx->held[i] == req) {
            assert_ptr_equal(net_req_data(req), fx);
            fx->held[i] = fx->held[--fx->n_held];
            atomic_store(&fx->holding, (int)fx->n_held);
            break;
        }
    }
    atomic_fetch_add(&fx->aborts, 1);
}

static int fx_on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    struct fx *fx = user;
    const char *refuse = net_req_query(req, "refuse");

    if (refuse != NULL) {
        return atoi(refuse);
    }
    if (net_req_query(req, "greet") != NULL) {
        struct net_buf *buf = net_buf_create("hello", 5, false, 0);

        net_ws_send(ws, buf);
        net_buf_unref(buf);
    }
    if (net_req_query(req, "bye") != NULL) {
        net_ws_close(ws, 4002, "at once");
    }
    fx->sockets[fx->n_sockets++] = ws;
    atomic_fetch_add(&fx->ws_opens, 1);
    return 0;
}

static void fx_broadcast(struct fx *fx, const void *data, size_t len, bool binary)
{
    struct net_buf *buf = net_buf_create(data, len, binary, 0);
    size_t n = fx->n_sockets;

    for (size_t i = 0; i < n; i++) {
        int err = net_ws_send(fx->sockets[i], buf);

        if (err != 0 && atomic_load(&fx->send_error) == 0) {
            atomic_store(&fx->send_error, err);
        }
        if (net_ws_queued(fx->sockets[i]) > atomic_load(&fx->most_queued)) {
            atomic_store(&fx->most_queued, net_ws_queued(fx->sockets[i]));
        }
    }
    net_buf_unref(buf);
}

static void fx_on_ws_message(void *user, struct net_ws *ws, const void *data, size_t len,
                             bool binary)
{
    struct fx *fx = user;
    struct net_buf *buf;

    if (len > 4 && memcmp(data, "all:", 4) == 0) {
        fx_broadcast(fx, data, len, binary);
        return;
    }
    if (len > 4 && memcmp(data, "ten:", 4) == 0) { /* ten times to all, numbered */
        char text[6] = "0:";

        for (int n = 0; n < 10; n++) {
            text[0] = (char)('0' + n);
            memcpy(text + 2, (const char *)data + 4, 1);
            fx_broadcast(fx, text, 3, false);
        }
        return;
    }
    if (len > 6 && memcmp(data, "flood:", 6) == 0) { /* that many times 64 kB to all */
        char *chunk = calloc(1, 65536);
        char times[8] = ""; /* messages have no NUL */

        memcpy(times, (const char *)data + 6, len - 6);
        for (int n = atoi(times); n > 0; n--) {
            fx_broadcast(fx, chunk, 65536, true);
        }
        free(chunk);
        return;
    }
    if (len == 5 && memcmp(data, "close", 5) == 0) {
        net_ws_close(ws, 4001, "bye");
        return;
    }
    buf = net_buf_create(data, len, binary, 0);
    net_ws_send(ws, buf);
    net_buf_unref(buf);
}

static void fx_on_ws_close(void *user, struct net_ws *ws, unsigned code)
{
    struct fx *fx = user;

    for (size_t i = 0; i < fx->n_sockets; i++) {
        if (fx->sockets[i] == ws) {
            fx->sockets[i] = fx->sockets[--fx->n_sockets];
            break;
        }
    }
    atomic_store(&fx->last_code, code);
    atomic_fetch_add(&fx->ws_closes, 1);
}

static const struct net_handlers fx_handlers = {
    fx_on_request, fx_on_abort, fx_on_ws_open, fx_on_ws_message, fx_on_ws_close,
};

static void *fx_main(void *arg)
{
    struct fx *fx = arg;

    loop_run(fx->loop);
    return NULL;
}

/* The usual server's configuration, on 127.0.0.1; change fx->conf before fx_start(). */
static struct fx *fx_new(void)
{
    struct fx *fx = calloc(1, sizeof(*fx));

    strcpy(fx->dir, "/tmp/kcs-net-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    fx->conf = net_conf_default();
    fx->listen[0] = (struct net_listen){.name = "http.listen[0]", .address = "127.0.0.1"};
    fx->conf.listen = fx->listen;
    fx->conf.n_listen = 1;
    fx->conf.header_s = 1;
    fx->conf.body_s = 1;
    fx->conf.body_max = 100000;
    fx->conf.ws_message_max = 100000;
    fx->conf.ws_queue_bytes = 1000000;
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_create(&fx->loop), 0);
    assert_int_equal(metric_registry_create(&fx->metrics), 0);
    return fx;
}

static int fx_try(struct fx *fx)
{
    return net_server_create(&fx->server, fx->loop, fx->metrics, &fx->conf, &fx_handlers,
                             fx, fx->err);
}

static void fx_start(struct fx *fx)
{
    if (fx_try(fx) != 0) {
        fail_msg("%s", fx->err);
    }
    assert_int_equal(pthread_create(&fx->thread, NULL, fx_main, fx), 0);
}

static void fx_stop_loop(void *arg)
{
    loop_stop(arg);
}

static void fx_free(struct fx *fx)
{
    char cmd[128];

    if (fx->server != NULL) {
        loop_post(fx->loop, fx_stop_loop, fx->loop);
        pthread_join(fx->thread, NULL);
        net_server_destroy(fx->server);
    }
    loop_destroy(fx->loop);
    metric_registry_destroy(fx->metrics);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", fx->dir);
    assert_int_equal(system(cmd), 0);
    free(fx);
}

static void fx_sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* Waits up to 10 s for '*value' to become 'want'. */
static void fx_wait(atomic_int *value, int want)
{
    for (int i = 0; i < 1000 && atomic_load(value) != want; i++) {
        fx_sleep_ms(10);
    }
    assert_int_equal(atomic_load(value), want);
}

/* ---- the client ------------------------------------------------------------------------
 */

static int cl_connect(const struct fx *fx)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(net_server_port(fx->server, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void cl_send(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

static void cl_say(int fd, const char *text)
{
    cl_send(fd, text, strlen(text));
}

/* recv(), again where it was interrupted: with a limit to its patience it is by SIGCONT, too
 * (signal(7)). */
static ssize_t cl_recv(int fd, void *out, size_t cap)
{
    ssize_t n;

    do {
        n = recv(fd, out, cap, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void cl_read(int fd, void *out, size_t len)
{
    char *p = out;

    while (len > 0) {
        ssize_t n = cl_recv(fd, p, len);

        if (n <= 0) {
            fail_msg("connection ended, %zu bytes missing (%s)", len,
                     n < 0 ? strerror(errno) : "closed");
        }
        p += n;
        len -= (size_t)n;
    }
}

struct answer {
    unsigned status;
    char head[4096];
    char *body; /* freed by ans_free */
    size_t len;
};

/* Reads one answer; 'no_body' for HEAD. */
static struct answer cl_answer(int fd, bool no_body)
{
    struct answer ans = {0};
    size_t n = 0;
    const char *length;

    while (n < 4 || memcmp(ans.head + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n + 1 < sizeof(ans.head));
        cl_read(fd, ans.head + n, 1);
        n++;
    }
    assert_int_equal(sscanf(ans.head, "HTTP/1.1 %u", &ans.status), 1);
    length = strstr(ans.head, "content-length: ");
    ans.len = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    ans.body = calloc(1, ans.len + 1);
    if (!no_body) {
        cl_read(fd, ans.body, ans.len);
    }
    return ans;
}

static void ans_free(struct answer *ans)
{
    free(ans->body);
    ans->body = NULL;
}

/* Reads an answer and checks status and body ("" body: not looked at). */
static void cl_expect(int fd, unsigned status, const char *body)
{
    struct answer ans = cl_answer(fd, false);

    assert_int_equal(ans.status, status);
    if (body[0] != '\0') {
        assert_string_equal(ans.body, body);
    }
    ans_free(&ans);
}

/* The peer has closed (or reset), perhaps after some bytes. */
static void cl_expect_closed(int fd)
{
    char sink[4096];
    ssize_t n;

    do {
        n = cl_recv(fd, sink, sizeof(sink));
    } while (n > 0);
    if (n != 0 && errno != ECONNRESET) {
        fail_msg("still connected (%s)", strerror(errno));
    }
}

#endif
