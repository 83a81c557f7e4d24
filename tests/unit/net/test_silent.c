/* Who is connected and says no more is let go, whatever it was about to say: a connection
 * that nobody ends would be held for ever. The clients here hear nothing of it either: they
 * keep their ends open and never answer. */
#include "unit/net/fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define UPGRADE                                                                            \
    "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"         \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* A masked frame with mask 0: what it carries is as it is. */
#define FRAME(first, length) first length "\0\0\0\0"

enum { PATIENCE_MS = 20000 };

static int64_t connections(const struct fx *fx)
{
    char *text;
    size_t len;
    const char *at;
    int64_t n;

    assert_int_equal(metric_render(fx->metrics, &text, &len), 0);
    at = strstr(text, "\nkcs_net_connections ");
    assert_non_null(at);
    n = strtoll(at + strlen("\nkcs_net_connections "), NULL, 10);
    free(text);
    return n;
}

/* Waits until so many are connected. Before they have been taken from the kernel there is
 * nobody either: who waits for nobody has to know that they came. */
static void so_many_are_there(const struct fx *fx, int64_t want)
{
    int64_t n;

    for (int waited = 0; (n = connections(fx)) != want && waited < PATIENCE_MS;
         waited += 50) {
        fx_sleep_ms(50);
    }
    assert_int_equal(n, want);
}

static void nobody_is_left(const struct fx *fx)
{
    so_many_are_there(fx, 0);
}

static struct fx *serve(void **state)
{
    struct fx *fx = fx_new();

    *state = fx;
    fx->conf.keepalive_s = 1;
    fx_start(fx);
    return fx;
}

/* Of those whose words come in time, on a machine that is busy, too. */
static struct fx *serve_patiently(void **state)
{
    struct fx *fx = fx_new();

    *state = fx;
    fx->conf.header_s = 30;
    fx_start(fx);
    return fx;
}

static int teardown(void **state)
{
    fx_free(*state);
    return 0;
}

static void a_client_falls_silent(void **state)
{
    static const struct {
        const char *what;
        const char *said;
    } cases[] = {
        {"nothing", ""},
        {"half a request line", "GET / HT"},
        {"half a header", "GET / HTTP/1.1\r\nHost"},
        {"half a body", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf"},
        {"between two requests", GET("/one")},
        {"between two pipelined requests", GET("/one") GET("/two") "GET /th"},
        {"after a request without a body", "DELETE / HTTP/1.1\r\nHost: t\r\n\r\n"},
        {"after a refused body", "POST / HTTP/1.1\r\nContent-Length: 100001\r\n\r\n"},
        {"after a refused length", "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"},
        {"after a file that is not there", GET("/files/none")},
        {"after HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"},
        {"after a refused upgrade",
         "GET /ws?refuse=401 HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n"
         "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
        {"after an upgrade to something else",
         "GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
    };
    enum { N = sizeof(cases) / sizeof(cases[0]) };
    struct fx *fx = serve(state);
    int fds[N];

    for (size_t i = 0; i < N; i++) {
        fds[i] = cl_connect(fx);
        cl_say(fds[i], cases[i].said);
    }
    for (size_t i = 0; i < N; i++) {
        cl_expect_closed(fds[i]);
        close(fds[i]);
    }
    nobody_is_left(fx);
}

/* Nobody else comes, whose words would wake the library. */
static void a_client_falls_silent_and_is_the_only_one(void **state)
{
    static const char *const said[] = {
        "", "GET / HT", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf",
        GET("/one")};
    struct fx *fx = serve(state);

    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        int fd = cl_connect(fx);

        fx_sleep_ms(50);
        cl_say(fd, said[i]);
        cl_expect_closed(fd);
        close(fd);
        nobody_is_left(fx);
    }
}

/* An answer that is larger than the socket holds is waited for as long as there is
 * progress; one that the client has gone from without a word ends when TCP says so. Here it
 * is the client that closes: nothing of the answer is kept. */
static void a_client_leaves_a_large_answer(void **state)
{
    struct fx *fx = serve_patiently(state);
    int fds[8];

    for (int i = 0; i < 8; i++) {
        fds[i] = cl_connect(fx);
        cl_say(fds[i], i % 2 == 0 ? GET("/big?n=20000000")
                                  : GET("/big?n=20000000") GET("/big?n=20000000"));
    }
    so_many_are_there(fx, 8); /* for a minute: an answer is waited for as long */
    fx_sleep_ms(500);
    for (int i = 0; i < 8; i++) {
        if (i % 4 < 2) {
            shutdown(fds[i], SHUT_RDWR);
        }
        close(fds[i]);
    }
    nobody_is_left(fx);
}

static int open_socket(const struct fx *fx)
{
    struct answer ans;
    int fd = cl_connect(fx);

    cl_say(fd, UPGRADE);
    ans = cl_answer(fd, false);
    assert_int_equal(ans.status, 101);
    ans_free(&ans);
    return fd;
}

/* Who has closed, or was told to, need not wait for the other's part of it. */
static void a_websocket_falls_silent_while_it_closes(void **state)
{
    static const struct {
        const char *what;
        const char *said;
        size_t len;
    } cases[] = {
        {"its close frame", FRAME("\x88", "\x82") "\x03\xe8", 8},
        {"an empty close frame", FRAME("\x88", "\x80"), 6},
        {"a close frame of one byte", FRAME("\x88", "\x81") "x", 7},
        {"we close", FRAME("\x81", "\x85") "close", 11},
        {"we close, while it says more",
         FRAME("\x81", "\x85") "close" FRAME("\x81", "\xfe\x03\xe8"), 19},
        {"a frame that is none", FRAME("\x8f", "\x80"), 6},
        {"text that is none", FRAME("\x81", "\x81") "\xff", 7},
        {"a message that is too long",
         FRAME("\x81", "\xff\x00\x00\x00\x00\x00\x98\x96\x80") "x", 15},
    };
    enum { N = sizeof(cases) / sizeof(cases[0]) };
    struct fx *fx = serve_patiently(state);
    int fds[N];

    for (size_t i = 0; i < N; i++) {
        fds[i] = open_socket(fx);
    }
    for (size_t i = 0; i < N; i++) {
        cl_send(fds[i], cases[i].said, cases[i].len);
    }
    fx_wait(&fx->ws_closes, N);
    nobody_is_left(fx);
    for (size_t i = 0; i < N; i++) {
        close(fds[i]);
    }
}

static void a_websocket_reads_nothing(void **state)
{
    struct fx *fx = serve_patiently(state);
    int fd = open_socket(fx);

    cl_send(fd, FRAME("\x81", "\x88") "flood:99", 14);
    fx_wait(&fx->ws_closes, 1);
    nobody_is_left(fx);
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_falls_silent),
        T(a_client_falls_silent_and_is_the_only_one),
        T(a_client_leaves_a_large_answer),
        T(a_websocket_falls_silent_while_it_closes),
        T(a_websocket_reads_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
