#include "unit/net/fixture.h"

#include <signal.h>
#include <sys/wait.h>

static char cert[128];
static char key[128];

static void run(const char *fmt, const char *dir)
{
    char cmd[1024];

    snprintf(cmd, sizeof(cmd), fmt, dir, dir);
    assert_int_equal(system(cmd), 0);
}

#define MAKE_LASTING(name, kind, days)                                                     \
    "openssl req -x509 -newkey " kind " -nodes -days " days " -subj /CN=" name             \
    " -keyout %s/key.pem -out %s/cert.pem 2>/dev/null"
#define MAKE_CERT(name, kind) MAKE_LASTING(name, kind, "2")
#define EC "ec -pkeyopt ec_paramgen_curve:P-256"

static struct fx *fixture(void **state)
{
    struct fx *fx = fx_new();

    run(MAKE_CERT("t", EC), fx->dir);
    snprintf(cert, sizeof(cert), "%s/cert.pem", fx->dir);
    snprintf(key, sizeof(key), "%s/key.pem", fx->dir);
    fx->listen[0].tls = true;
    fx->conf.tls_cert = cert;
    fx->conf.tls_key = key;
    /* and a plain one beside it: the library looks certificates up among both */
    fx->listen[1] = (struct net_listen){.name = "http.listen[1]", .address = "127.0.0.1"};
    fx->conf.n_listen = 2;
    *state = fx;
    return fx;
}

static int teardown(void **state)
{
    if (*state != NULL) {
        fx_free(*state);
    }
    return 0;
}

/* A TLS client (openssl s_client) behind a socket that speaks plain text. */
struct client {
    pid_t pid;
    int fd;
};

static struct client tls_connect(const struct fx *fx, const char *name)
{
    const struct timeval patience = {.tv_sec = 10};
    struct client c;
    char to[32];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(to, sizeof(to), "127.0.0.1:%u", net_server_port(fx->server, 0));
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        dup2(pair[1], STDIN_FILENO);
        dup2(pair[1], STDOUT_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execlp("openssl", "openssl", "s_client", "-quiet", "-connect", to,
               name != NULL ? "-servername" : "-noservername", name, NULL);
        _exit(127);
    }
    close(pair[1]);
    c.fd = pair[0];
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return c;
}

static void tls_close(const struct client *c)
{
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->fd);
}

/* What "openssl s_client" says of a handshake with these options. */
static void handshake_report(const struct fx *fx, const char *options, char *out,
                             size_t cap)
{
    char cmd[256];
    FILE *pipe;
    size_t n;

    snprintf(cmd, sizeof(cmd),
             "openssl s_client -connect 127.0.0.1:%u %s </dev/null 2>/dev/null",
             net_server_port(fx->server, 0), options);
    pipe = popen(cmd, "r");
    assert_non_null(pipe);
    n = fread(out, 1, cap - 1, pipe);
    out[n] = '\0';
    pclose(pipe);
}

static void requests_of_every_size_with_any_server_name(void **state)
{
    static const size_t sizes[] = {1, 5000, 16384, 16385, 40000, 100000};
    static const char *const names[] = {NULL, "t", "plain", "tls", "elsewhere.example"};
    struct fx *fx = fixture(state);
    char *text = malloc(110000);

    fx_start(fx);
    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        struct client c = tls_connect(fx, names[k]);
        struct answer ans;

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char want[96];
            int n =
                sprintf(text, "POST /t HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n",
                        sizes[i]);

            memset(text + n, 'b', sizes[i]);
            cl_send(c.fd, text, (size_t)n + sizes[i]);
            ans = cl_answer(c.fd, false);
            snprintf(want, sizeof(want), "body=%zu:b", sizes[i]);
            assert_int_equal(ans.status, 200);
            assert_non_null(strstr(ans.body, want));
            ans_free(&ans);
        }
        cl_say(c.fd, "GET /big?n=3000000 HTTP/1.1\r\nHost: t\r\n\r\n");
        ans = cl_answer(c.fd, false);
        assert_int_equal(ans.len, 3000000);
        assert_int_equal(ans.body[2999999], 'a' + 2999999 % 23);
        ans_free(&ans);
        tls_close(&c);
    }
    free(text);
}

static void only_tls_1_2_and_1_3_are_spoken_with_what_the_client_can(void **state)
{
    struct fx *fx = fixture(state);
    char report[16384];

    fx_start(fx);
    handshake_report(fx, "-tls1_2 -alpn h2,http/1.1", report, sizeof(report));
    assert_non_null(strstr(report, "Protocol  : TLSv1.2"));
    assert_non_null(strstr(report, "ALPN protocol: h2"));
    handshake_report(fx, "-tls1_3 -alpn h2,http/1.1", report, sizeof(report));
    assert_non_null(strstr(report, "New, TLSv1.3"));
    assert_non_null(strstr(report, "ALPN protocol: h2"));
    handshake_report(fx, "-alpn http/1.1", report, sizeof(report));
    assert_non_null(strstr(report, "ALPN protocol: http/1.1"));
    handshake_report(fx, "-alpn spdy/1", report, sizeof(report));
    assert_non_null(strstr(report, "No ALPN negotiated"));
    handshake_report(fx, "-tls1_1 -cipher ALL:@SECLEVEL=0", report, sizeof(report));
    assert_non_null(strstr(report, "New, (NONE)"));
}

static void held_request_is_answered_or_aborted(void **state)
{
    struct fx *fx = fixture(state);
    struct client a;
    struct client b;

    fx_start(fx);
    a = tls_connect(fx, NULL);
    cl_say(a.fd, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n");
    fx_wait(&fx->holding, 1);
    b = tls_connect(fx, NULL);
    cl_say(b.fd, "GET /release HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(a.fd, 200, "released");
    cl_say(a.fd, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n");
    fx_wait(&fx->holding, 1);
    tls_close(&a);
    fx_wait(&fx->aborts, 1);
    tls_close(&b);
}

static void plain_text_on_the_tls_port_is_dropped(void **state)
{
    struct fx *fx = fixture(state);
    int fd;

    fx_start(fx);
    fd = cl_connect(fx);
    cl_say(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect_closed(fd);
    close(fd);
}

/* Whoever says nothing, or half a hello, or goes silent after its handshake. */
static void silent_clients_are_cut_off(void **state)
{
    struct fx *fx = fixture(state);
    struct client after;
    int nothing;
    int half;

    fx->conf.keepalive_s = 1;
    fx_start(fx);
    nothing = cl_connect(fx);
    half = cl_connect(fx);
    cl_send(half, "\x16\x03\x01\x02\x00\x01", 6);
    after = tls_connect(fx, NULL);
    cl_expect_closed(nothing);
    cl_expect_closed(half);
    cl_expect_closed(after.fd);
    close(nothing);
    close(half);
    tls_close(&after);
}

/* Whoever cannot finish a hello: it will say no more, or an urgent byte hides the rest. The
 * loop has nothing to do with it meanwhile. */
static void a_hello_that_stays_half_costs_nothing(void **state)
{
    struct fx *fx = fixture(state);
    struct timespec before, after;
    clockid_t clock;
    int urgent;
    int half;

    fx->conf.header_s = 30; /* longer than the clients' patience */
    fx_start(fx);
    assert_int_equal(pthread_getcpuclockid(fx->thread, &clock), 0);
    half = cl_connect(fx);
    cl_send(half, "\x16\x03\x01", 3);
    shutdown(half, SHUT_WR);
    cl_expect_closed(half);
    close(half);

    urgent = cl_connect(fx);
    cl_send(urgent, "\x16\x03\x01\x00\x40\x01", 6);
    assert_int_equal(send(urgent, "!", 1, MSG_OOB), 1);
    cl_send(urgent, (char[80]){0}, 80);
    fx_sleep_ms(100);
    clock_gettime(clock, &before);
    fx_sleep_ms(1500);
    clock_gettime(clock, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 +
                    (after.tv_nsec - before.tv_nsec) / 1000000 <
                100);
    close(urgent);
}

static void destroy_in_the_middle_of_handshakes_and_answers(void **state)
{
    struct fx *fx = fixture(state);
    struct client c;
    int fd;

    fx_start(fx);
    fd = cl_connect(fx);
    cl_say(fd, "\x16\x03\x01");
    c = tls_connect(fx, NULL);
    cl_say(c.fd, "GET /big?n=90000000 HTTP/1.1\r\nHost: t\r\n\r\n");
    fx_sleep_ms(300);
    fx_free(fx);
    *state = NULL;
    tls_close(&c);
    close(fd);
}

struct renewal {
    struct fx *fx;
    char err[NET_ERR_MAX];
    int ret;
    atomic_int done;
};

static void renew_on_loop(void *arg)
{
    struct renewal *r = arg;

    r->ret = net_server_renew_cert(r->fx->server, cert, key, r->err);
    atomic_store(&r->done, 1);
}

static struct renewal renew(struct fx *fx)
{
    struct renewal r = {.fx = fx};

    assert_int_equal(loop_post(fx->loop, renew_on_loop, &r), 0);
    fx_wait(&r.done, 1);
    return r;
}

static bool serves(const struct fx *fx, const char *options, const char *name)
{
    char report[16384];

    handshake_report(fx, options, report, sizeof(report));
    return strstr(report, name) != NULL;
}

/* When the certificate ends that /metrics tells of, in days from now. */
static double days_left(const struct fx *fx)
{
    static const char name[] = "\nkcs_tls_certificate_expiry_timestamp_seconds ";
    double at = 0;
    size_t len;
    char *text;
    char *line;

    assert_int_equal(metric_render(fx->metrics, &text, &len), 0);
    line = strstr(text, name);
    assert_non_null(line);
    at = strtod(line + sizeof(name) - 1, NULL);
    free(text);
    return (at - (double)time(NULL)) / 86400;
}

static void a_certificate_is_renewed_while_it_serves(void **state)
{
    static const char *const kinds[] = {
        MAKE_CERT("second", EC), MAKE_CERT("third", "rsa:2048"), MAKE_CERT("fourth", EC)};
    static const char *const names[] = {"CN = second", "CN = third", "CN = fourth"};
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    struct fx *fx = fixture(state);
    struct client before;
    struct renewal r;

    fx_start(fx);
    before = tls_connect(fx, NULL);
    cl_say(before.fd, "GET /release HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(before.fd, 200, "ok");
    assert_true(serves(fx, "", "CN = t\n"));
    assert_true(days_left(fx) > 1.9 && days_left(fx) <= 2);
    for (size_t i = 0; i < 3; i++) {
        run(kinds[i], fx->dir);
        r = renew(fx);
        assert_int_equal(r.ret, 0);
        for (size_t k = 0; k < 2; k++) {
            assert_true(serves(fx, versions[k], names[i]));
        }
    }
    run(MAKE_LASTING("fourth", EC, "30"), fx->dir);
    assert_int_equal(renew(fx).ret, 0);
    assert_true(days_left(fx) > 29.9 && days_left(fx) <= 30);
    /* half written, of two kinds, missing: each refused with its name */
    run("echo rubbish > %s/cert.pem; : %s", fx->dir);
    r = renew(fx);
    assert_int_equal(r.ret, -EINVAL);
    assert_non_null(strstr(r.err, cert));
    run(MAKE_CERT("fifth", EC), fx->dir);
    run("openssl genrsa -out %s/key.pem 2048 2>/dev/null; : %s", fx->dir);
    r = renew(fx);
    assert_int_equal(r.ret, -EINVAL);
    assert_non_null(strstr(r.err, key));
    assert_int_equal(unlink(key), 0);
    r = renew(fx);
    assert_int_equal(r.ret, -EINVAL);
    assert_true(serves(fx, "", "CN = fourth"));

    cl_say(before.fd, "GET /release HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(before.fd, 200, "ok"); /* who was there stays */
    tls_close(&before);
}

static void unusable_certificates_are_named(void **state)
{
    struct fx *fx = fixture(state);
    char other[128];

    fx->conf.tls_cert = "/nonexistent/cert.pem";
    assert_int_equal(fx_try(fx), -EINVAL);
    assert_non_null(strstr(fx->err, "/nonexistent/cert.pem cannot be read"));
    fx->conf.tls_cert = cert;
    fx->conf.tls_key = NULL;
    assert_int_equal(fx_try(fx), -EINVAL);
    assert_non_null(strstr(fx->err, "needs the private key file"));
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/other.pem",
        fx->dir);
    snprintf(other, sizeof(other), "%s/other.pem", fx->dir);
    fx->conf.tls_key = other;
    assert_int_equal(fx_try(fx), -EINVAL);
    assert_non_null(strstr(fx->err, "must be PEM and belong together"));
    fx->conf.tls_key = cert;
    assert_int_equal(fx_try(fx), -EINVAL);
    fx->conf.tls_key = key;
    fx_start(fx);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(requests_of_every_size_with_any_server_name),
        T(only_tls_1_2_and_1_3_are_spoken_with_what_the_client_can),
        T(held_request_is_answered_or_aborted),
        T(plain_text_on_the_tls_port_is_dropped),
        T(silent_clients_are_cut_off),
        T(a_hello_that_stays_half_costs_nothing),
        T(destroy_in_the_middle_of_handshakes_and_answers),
        T(a_certificate_is_renewed_while_it_serves),
        T(unusable_certificates_are_named),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
