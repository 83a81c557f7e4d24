/* The whole of kcs-control on a fake dataplane: who answers what where, and what a start
 * that cannot work says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "app/app.h"
#include "support/fake_dataplane.h"
#include "support/http_ask.h"
#include "sys/log.h"

#define SECRET "0123456789abcdef0123456789abcdef"

struct fixture {
    char dir[32], dataplane[64];
    struct control_conf conf;
    struct app *app;
    pthread_t thread;
    char err[APP_ERR_MAX];
};

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin6_port);
}

static void prepare(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/kcs-app-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(control_conf_load(NULL, &f->conf, f->err, sizeof(f->err)), 0);
    (void)snprintf(f->dataplane, sizeof(f->dataplane), "%s/dp.sock", f->dir);
    (void)snprintf(f->conf.dataplane.socket, sizeof(f->conf.dataplane.socket), "%s",
                   f->dataplane);
    (void)snprintf(f->conf.admin.socket, sizeof(f->conf.admin.socket), "%s/run/admin.sock",
                   f->dir);
    f->conf.http[0].port = free_port();
    f->conf.admin.metrics_port = free_port();
    f->conf.web.root[0] = '\0';
    f->conf.store.path[0] = '\0';
    f->conf.log.level = CONTROL_LOG_ERROR;
    (void)snprintf(f->conf.auth.hs256_secret, sizeof(f->conf.auth.hs256_secret), SECRET);
}

static void clean(struct fixture *f)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/run", f->dir);
    (void)rmdir(path);
    assert_int_equal(rmdir(f->dir), 0);
}

static void *run(void *arg)
{
    struct fixture *f = arg;

    app_run(f->app);
    return NULL;
}

static void start(struct fixture *f)
{
    if (app_create(&f->app, &f->conf, NULL, f->err) != 0) {
        fail_msg("%s", f->err);
    }
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

/* As an operator stops it. */
static void stop(struct fixture *f, int signum)
{
    assert_int_equal(kill(getpid(), signum), 0);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    app_destroy(f->app);
    clean(f);
}

static void expect_refusal(struct fixture *f, int code, const char *words)
{
    struct app *app = NULL;

    assert_int_equal(app_create(&app, &f->conf, NULL, f->err), code);
    assert_null(app);
    if (strstr(f->err, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, f->err);
    }
    assert_null(strchr(f->err, '\n'));
    assert_int_equal(f->conf.auth.hs256_secret[0], 0);
}

static void nap(void *arg)
{
    (void)arg;
    (void)usleep(1000);
}

static struct http_answer ask(uint16_t port, const char *path)
{
    return http_ask(http_connect_port(port), "GET", path, nap, NULL);
}

static void expect_status(uint16_t port, const char *path, unsigned status)
{
    struct http_answer answer = ask(port, path);

    if (answer.status != status) {
        fail_msg("%s: %u, not %u", path, answer.status, status);
    }
    http_free(&answer);
}

/* Asks until the node is ready, or not; fails the test after 10 s. */
static void wait_ready(uint16_t port, unsigned status)
{
    for (int i = 0; i < 500; i++) {
        struct http_answer answer = ask(port, "/api/health/ready");
        bool done = answer.status == status;

        http_free(&answer);
        if (done) {
            return;
        }
        (void)usleep(20000);
    }
    fail_msg("/api/health/ready never answered %u", status);
}

/* ---- it serves ---- */

static void each_listener_has_its_own(void **state)
{
    struct http_answer answer;
    struct fixture f;
    struct stat st;
    uint16_t http, metrics;
    (void)state;

    prepare(&f);
    http = f.conf.http[0].port;
    metrics = f.conf.admin.metrics_port;
    start(&f);
    expect_status(http, "/api/health/live", 200);
    expect_status(http, "/socket.io/?EIO=4&transport=polling", 200);
    expect_status(http, "/metrics", 404);
    expect_status(http, "/status", 404);
    expect_status(metrics, "/metrics", 200);
    expect_status(metrics, "/api/health/live", 200);
    expect_status(metrics, "/status", 404);
    expect_status(metrics, "/socket.io/?EIO=4&transport=polling", 404);
    answer = http_ask(http_connect_unix(f.conf.admin.socket), "GET", "/status", nap, NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"version\":\"" APP_VERSION "\""));
    http_free(&answer);
    assert_int_equal(stat(f.conf.admin.socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    stop(&f, SIGTERM);
}

static void readiness_follows_the_dataplane(void **state)
{
    struct fake_dp_conf dp_conf = {.n_lanes = 1};
    struct http_answer answer;
    struct fake_dp *dp;
    struct fixture f;
    uint16_t http;
    (void)state;

    prepare(&f);
    http = f.conf.http[0].port;
    start(&f);
    answer = ask(http, "/api/health/ready");
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "start kcs-dataplane"));
    assert_non_null(strstr(answer.body, f.dataplane));
    http_free(&answer);
    dp_conf.socket = f.dataplane;
    dp = fake_dp_start(&dp_conf);
    wait_ready(http, 200);
    answer = ask(http, "/api/health/webrtc");
    assert_non_null(strstr(answer.body, "\"public_ip\":\"192.0.2.7\""));
    assert_non_null(strstr(answer.body, "\"ip\":\"fd00::1\""));
    http_free(&answer);
    fake_dp_kill(dp);
    wait_ready(http, 503);
    stop(&f, SIGINT);
}

static void another_control_at_the_dataplane_is_named(void **state)
{
    struct fake_dp_conf dp_conf = {.flaw = FAKE_DP_BUSY};
    struct fake_dp *dp;
    struct fixture f;
    bool named = false;
    (void)state;

    prepare(&f);
    dp_conf.socket = f.dataplane;
    dp = fake_dp_start(&dp_conf);
    start(&f);
    for (int i = 0; i < 500 && !named; i++) {
        struct http_answer answer = ask(f.conf.http[0].port, "/api/health/ready");

        assert_int_equal(answer.status, 503);
        named = strstr(answer.body, "another kcs-control is attached") != NULL;
        http_free(&answer);
        (void)usleep(20000);
    }
    assert_true(named);
    fake_dp_kill(dp);
    stop(&f, SIGTERM);
}

/* ---- it cannot start ---- */

static void port_in_use_is_named_with_its_setting(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(at);
    struct fixture f;
    (void)state;

    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    prepare(&f);
    f.conf.http[0].port = ntohs(at.sin_port);
    expect_refusal(&f, -EADDRINUSE, "set another port in http[0]");
    clean(&f);

    prepare(&f);
    f.conf.admin.metrics_port = ntohs(at.sin_port);
    expect_refusal(&f, -EADDRINUSE, "admin.metrics_port");
    clean(&f);
    (void)close(fd);
}

static void second_control_on_the_admin_socket_is_refused(void **state)
{
    struct fixture first, second;
    (void)state;

    prepare(&first);
    start(&first);
    prepare(&second);
    (void)memcpy(second.conf.admin.socket, first.conf.admin.socket,
                 sizeof(second.conf.admin.socket));
    expect_refusal(&second, -EADDRINUSE, "set another path in admin.socket");
    clean(&second);
    expect_status(first.conf.http[0].port, "/api/health/live", 200); /* unharmed */
    stop(&first, SIGTERM);
}

static void certificates_must_be_one_and_readable(void **state)
{
    struct control_tls *tls;
    struct fixture f;
    (void)state;

    prepare(&f);
    f.conf.n_http = 2;
    f.conf.http[1] = f.conf.http[0];
    f.conf.http[1].port = free_port();
    for (int i = 0; i < 2; i++) {
        tls = &f.conf.http[i].tls;
        (void)snprintf(tls->cert, sizeof(tls->cert), "/nowhere/%d.pem", i);
        (void)snprintf(tls->key, sizeof(tls->key), "/nowhere/key.pem");
    }
    expect_refusal(&f, -EINVAL, "http[1].tls names another certificate");
    f.conf.http[1].tls = f.conf.http[0].tls;
    (void)snprintf(f.conf.auth.hs256_secret, sizeof(f.conf.auth.hs256_secret), SECRET);
    expect_refusal(&f, -EINVAL, "/nowhere/0.pem");
    clean(&f);
}

static void a_program_without_a_database_says_how_to_get_one(void **state)
{
    struct fixture f;
    (void)state;

    prepare(&f);
    (void)snprintf(f.conf.store.url, sizeof(f.conf.store.url), "mongodb://127.0.0.1/kcs");
    expect_refusal(&f, -ENOTSUP, "store.url: this kcs-control was built without libmongoc");
    clean(&f);
}

static void directory_of_the_admin_socket_must_be_there_but_one(void **state)
{
    struct fixture f;
    (void)state;

    prepare(&f);
    (void)snprintf(f.conf.admin.socket, sizeof(f.conf.admin.socket), "%s/no/run/admin.sock",
                   f.dir);
    expect_refusal(&f, -ENOENT, "its directory must exist");
    clean(&f);
}

static void secret_is_wiped_after_a_good_start_too(void **state)
{
    struct fixture f;
    (void)state;

    prepare(&f);
    start(&f);
    for (size_t i = 0; i < sizeof(f.conf.auth.hs256_secret); i++) {
        assert_int_equal(f.conf.auth.hs256_secret[i], 0);
    }
    stop(&f, SIGTERM);
}

/* ---- it is changed and ended while it serves ---- */

static void write_conf(const struct fixture *f, const char *text)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/c.yaml", f->dir);
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "dataplane: {socket: %s}\nhttp:\n- {address: '::', port: %u}\n"
                  "admin: {socket: %s, metrics_port: %u}\nweb: {root: ''}\n"
                  "store: {path: ''}\nauth: {hs256_secret: %s, issuers: [{jwks_file: %s/jwks}]}\n%s",
                  f->dataplane, f->conf.http[0].port, f->conf.admin.socket,
                  f->conf.admin.metrics_port, SECRET, f->dir, text);
    assert_int_equal(fclose(file), 0);
}

/* RFC 7515, appendix A.3.1. */
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e1\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void write_jwks(const struct fixture *f, const char *text)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/jwks", f->dir);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The lines that the node logs from now on. */
static int log_pipe[2];

static void expect_logged(const char *event, char line[LOG_LINE_MAX])
{
    size_t n = 0;

    for (;;) {
        assert_true(n < LOG_LINE_MAX - 1 && read(log_pipe[0], line + n, 1) == 1);
        n++;
        if (line[n - 1] == '\n') {
            line[n - 1] = '\0';
            if (strstr(line, event) != NULL) {
                return;
            }
            n = 0;
        }
    }
}

/* libmongoc has a file there as soon as it is loaded, which a killed process would leave. */
static void nothing_of_it_is_in_shared_memory(void **state)
{
    char path[64];
    (void)state;

    (void)snprintf(path, sizeof(path), "/dev/shm/mongoc-%d", (int)getpid());
    assert_int_equal(access(path, F_OK), -1);
}

static void hangup_changes_what_can_change_and_refuses_a_bad_file(void **state)
{
    static const char origin[] = "OPTIONS /api/auth/login HTTP/1.1\r\nHost: x\r\n"
                                 "Origin: https://other.example\r\n"
                                 "Access-Control-Request-Method: POST\r\n\r\n";
    /* {"alg":"ES256","kid":"new"}: an issuer may have changed its keys */
    static const char unknown[] =
        "GET /api/meeting HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5ldyJ9.e30.AAAA\r\n\r\n";
    char line[LOG_LINE_MAX], path[64], answer[1024] = "";
    struct fixture f;
    uint16_t http;
    int fd;
    (void)state;

    prepare(&f);
    http = f.conf.http[0].port;
    (void)snprintf(path, sizeof(path), "%s/c.yaml", f.dir);
    write_jwks(&f, jwks);
    write_conf(&f, "log: {level: error}\n");
    assert_int_equal(control_conf_load(path, &f.conf, f.err, sizeof(f.err)), 0);
    assert_int_equal(pipe(log_pipe), 0);
    log_set_fd(log_pipe[1]);
    assert_int_equal(app_create(&f.app, &f.conf, NULL, f.err), 0);
    app_reload_from(f.app, path);
    assert_int_equal(pthread_create(&f.thread, NULL, run, &f), 0);
    expect_status(http, "/api/health/live", 200);

    write_jwks(&f, "[]");
    fd = http_connect_port(http);
    assert_int_equal(write(fd, unknown, sizeof(unknown) - 1), sizeof(unknown) - 1);
    expect_logged("\"issuer_keys_refused\"", line);
    assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, " 401 "));
    (void)close(fd);
    memset(answer, 0, sizeof(answer));
    write_jwks(&f, jwks);

    write_conf(&f, "log: {level: info}\nlimits: {rooms: 7, requests_per_address: 1}\n"
                   "cors: [{origin: 'https://other.example'}]\ndtls: {threads: 2}\n");
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    expect_logged("\"reloaded\"", line);
    assert_non_null(strstr(line, "\"changed\":\"cors limits log\""));
    assert_non_null(strstr(line, "\"needs_restart\":\"dtls\""));
    fd = http_connect_port(http);
    assert_int_equal(write(fd, origin, sizeof(origin) - 1), sizeof(origin) - 1);
    assert_true(read(fd, answer, sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, "access-control-allow-origin: https://other.example"));
    (void)close(fd);
    for (int i = 0; i < 4; i++) { /* of 1 a second, 4 at once */
        expect_status(http, "/api/nothing", i < 3 ? 404 : 429);
    }

    expect_logged("\"issuer_keys_read\"", line);
    write_jwks(&f, "{\"keys\":[");
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    expect_logged("\"issuer_keys_refused\"", line);
    assert_non_null(strstr(line, "auth.issuers[0].jwks_file"));
    assert_non_null(strstr(line, "no JSON object"));

    write_conf(&f, "limits: {roms: 8}\n");
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    expect_logged("\"reload_refused\"", line);
    assert_non_null(strstr(line, "c.yaml:8:"));
    assert_non_null(strstr(line, "roms"));
    assert_int_equal(f.conf.limits.rooms, 7);
    assert_int_equal(f.conf.auth.hs256_secret[0], 0);

    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/jwks", f.dir);
    assert_int_equal(unlink(path), 0);
    stop(&f, SIGTERM);
    log_set_fd(STDERR_FILENO);
    (void)close(log_pipe[0]);
    (void)close(log_pipe[1]);
}

static void post(const struct fixture *f, const char *path, unsigned status)
{
    struct http_answer answer =
        http_ask(http_connect_unix(f->conf.admin.socket), "POST", path, nap, NULL);

    assert_int_equal(answer.status, status);
    http_free(&answer);
}

static void a_drain_ends_the_node_when_nobody_is_left(void **state)
{
    struct fake_dp_conf dp_conf = {.n_lanes = 1};
    struct fake_dp *dp;
    struct fixture f;
    (void)state;

    prepare(&f);
    dp_conf.socket = f.dataplane;
    dp = fake_dp_start(&dp_conf);
    start(&f);
    wait_ready(f.conf.http[0].port, 200);
    post(&f, "/drain?seconds=600", 200);
    assert_int_equal(pthread_join(f.thread, NULL), 0); /* by itself */
    app_destroy(f.app);
    fake_dp_kill(dp);
    clean(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_listener_has_its_own),
        cmocka_unit_test(readiness_follows_the_dataplane),
        cmocka_unit_test(another_control_at_the_dataplane_is_named),
        cmocka_unit_test(port_in_use_is_named_with_its_setting),
        cmocka_unit_test(second_control_on_the_admin_socket_is_refused),
        cmocka_unit_test(certificates_must_be_one_and_readable),
        cmocka_unit_test(a_program_without_a_database_says_how_to_get_one),
        cmocka_unit_test(directory_of_the_admin_socket_must_be_there_but_one),
        cmocka_unit_test(secret_is_wiped_after_a_good_start_too),
        cmocka_unit_test(nothing_of_it_is_in_shared_memory),
        cmocka_unit_test(hangup_changes_what_can_change_and_refuses_a_bad_file),
        cmocka_unit_test(a_drain_ends_the_node_when_nobody_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
