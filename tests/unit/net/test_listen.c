#include "unit/net/fixture.h"

static struct fx *fixture(void **state)
{
    *state = fx_new();
    return *state;
}

static int teardown(void **state)
{
    if (*state != NULL) {
        fx_free(*state);
    }
    return 0;
}

/* What is told of who connects by a Unix socket. */
static const char *own_uid(void)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "unix:%u", getuid());
    return text;
}

static int unix_connect(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(sun.sun_path));
    memcpy(sun.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    return fd;
}

static void port_in_use_is_named(void **state)
{
    struct fx *first = fx_new();
    struct fx *fx = fixture(state);
    char port[16];

    fx_start(first);
    fx->listen[0].port = net_server_port(first->server, 0);
    assert_int_equal(fx_try(fx), -EADDRINUSE);
    assert_null(fx->server);
    snprintf(port, sizeof(port), "port %u", fx->listen[0].port);
    assert_non_null(strstr(fx->err, port));
    assert_non_null(strstr(fx->err, "set another port in http.listen[0]"));
    fx_free(first);
    assert_int_equal(fx_try(fx), 0); /* the failure left nothing behind */
    net_server_destroy(fx->server);
    fx->server = NULL;
}

static void bad_addresses_are_named(void **state)
{
    struct fx *fx = fixture(state);

    fx->listen[0].address = "localhost";
    assert_int_equal(fx_try(fx), -EINVAL);
    assert_non_null(strstr(fx->err, "http.listen[0]: \"localhost\" is neither"));
    fx->listen[0].address = "192.0.2.1";
    assert_int_equal(fx_try(fx), -EADDRNOTAVAIL);
    assert_non_null(strstr(fx->err, "192.0.2.1 is on no interface"));
    fx->conf.n_listen = 0;
    assert_int_equal(fx_try(fx), -EINVAL);
}

static void any_address_serves_both_families(void **state)
{
    struct fx *fx = fixture(state);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct answer ans;
    int fd;

    fx->listen[0].address = NULL;
    fx_start(fx);
    fd = cl_connect(fx);
    cl_say(fd, "GET /remote HTTP/1.1\r\nHost: t\r\n\r\n");
    ans = cl_answer(fd, false);
    assert_memory_equal(ans.body, "127.0.0.1:", 10);
    ans_free(&ans);
    close(fd);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin6_port = htons(net_server_port(fx->server, 0));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cl_say(fd, "GET /remote HTTP/1.1\r\nHost: t\r\n\r\n");
    ans = cl_answer(fd, false);
    assert_memory_equal(ans.body, "[::1]:", 6);
    ans_free(&ans);
    close(fd);
}

static void unix_socket_has_its_mode_and_serves_beside_tcp(void **state)
{
    struct fx *fx = fixture(state);
    char path[128];
    struct stat st;
    mode_t mask = umask(0077);
    int fd;

    snprintf(path, sizeof(path), "%s/admin.sock", fx->dir);
    fx->listen[1] = (struct net_listen){.name = "admin.socket", .path = path, .mode = 0660};
    fx->conf.n_listen = 2;
    fx_start(fx);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(net_server_port(fx->server, 1), 0);
    fd = unix_connect(path);
    for (int i = 0; i < 3; i++) {
        cl_say(fd, "GET /remote HTTP/1.1\r\nHost: t\r\n\r\n");
        cl_expect(fd, 200, own_uid());
    }
    cl_say(fd, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n");
    fx_wait(&fx->holding, 1);
    close(fd);
    fx_wait(&fx->aborts, 1);
    fd = cl_connect(fx);
    cl_say(fd, "GET /x HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(fd, 200, "");
    close(fd);
    loop_post(fx->loop, fx_stop_loop, fx->loop);
    pthread_join(fx->thread, NULL);
    net_server_destroy(fx->server);
    fx->server = NULL;
    assert_int_equal(stat(path, &st), -1); /* removed */
}

static void live_unix_socket_is_refused_stale_one_replaced(void **state)
{
    struct fx *fx = fixture(state);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *file;
    int fd;

    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/admin.sock", fx->dir);
    fx->listen[0] =
        (struct net_listen){.name = "admin.socket", .path = sun.sun_path, .mode = 0600};
    assert_int_equal(bind(other, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(fx_try(fx), -EADDRINUSE);
    assert_non_null(strstr(fx->err, "in use by another process"));
    close(other); /* as a killed process leaves it: the file stays */
    fx_start(fx);
    fd = unix_connect(sun.sun_path);
    cl_say(fd, "GET /remote HTTP/1.1\r\nHost: t\r\n\r\n");
    cl_expect(fd, 200, own_uid());
    close(fd);
    fx_free(fx);

    fx = fixture(state); /* what is no socket is never removed */
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/file", fx->dir);
    file = fopen(sun.sun_path, "w");
    fclose(file);
    fx->listen[0] =
        (struct net_listen){.name = "admin.socket", .path = sun.sun_path, .mode = 0600};
    assert_int_equal(fx_try(fx), -EADDRINUSE);
    assert_int_equal(access(sun.sun_path, F_OK), 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/none/admin.sock", fx->dir);
    assert_int_equal(fx_try(fx), -ENOENT);
    assert_non_null(strstr(fx->err, "its directory must exist"));
}

/* What is told of who asks with these headers, and whether it is by https. */
static void expect_client(const struct fx *fx, const char *headers, const char *want)
{
    int fd = cl_connect(fx);
    char request[512];

    (void)snprintf(request, sizeof(request), "GET /client HTTP/1.1\r\nHost: t\r\n%s\r\n",
                   headers);
    cl_say(fd, request);
    cl_expect(fd, 200, want);
    close(fd);
}

static void a_trusted_proxy_says_who_asks(void **state)
{
    static const char *const proxies[] = {"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"};
    static const struct {
        const char *headers, *want;
    } cases[] = {
        {"X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7 counted http"},
        {"X-Forwarded-For: \t203.0.113.7\r\n", "203.0.113.7 counted http"},
        {"X-Forwarded-For: 203.0.113.7:4711\r\nX-Forwarded-Proto: https\r\n",
         "203.0.113.7 counted https"},
        {"X-Forwarded-For: 2001:db8::7\r\n", "[2001:db8::7] counted http"},
        {"X-Forwarded-For: [2001:db8::7]:80\r\n", "[2001:db8::7] counted http"},
        /* in front of what proxies have added stands what the client likes */
        {"X-Forwarded-For: 192.0.2.1, 127.0.0.1, 203.0.113.7\r\n",
         "203.0.113.7 counted http"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
         "203.0.113.7 counted http"},
        {"X-Forwarded-For: 192.0.2.1,203.0.113.7 , 10.1.2.3,2001:db8:1::9\r\n",
         "203.0.113.7 counted http"},
        {"X-Forwarded-For: 10.7.7.7, 10.1.2.3\r\n", "10.7.7.7 counted http"},
        {"X-Forwarded-For: 203.0.113.7, nonsense, 10.1.2.3\r\n", "10.1.2.3 counted http"},
        {"X-Forwarded-Proto: https, http\r\n", "- free http"},
        {"X-Forwarded-For: ,\r\nX-Forwarded-Proto: HTTPS\r\n", "- free https"},
        {"X-Forwarded-For: unknown\r\n", "- free http"},
        {"", "- free http"},
    };
    struct fx *fx = fixture(state);

    fx->conf.proxies = proxies;
    fx->conf.n_proxies = 3;
    fx_start(fx);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_client(fx, cases[i].headers, cases[i].want);
    }
}

/* One connection of a proxy carries requests of many. */
static void each_request_of_a_proxy_has_its_client(void **state)
{
    static const char *const proxies[] = {"127.0.0.0/8"};
    struct fx *fx = fixture(state);
    int fd;

    fx->conf.proxies = proxies;
    fx->conf.n_proxies = 1;
    fx_start(fx);
    fd = cl_connect(fx);
    cl_say(fd, "GET /client HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    cl_expect(fd, 200, "203.0.113.7 counted http");
    cl_say(fd, "GET /client HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 203.0.113.8\r\n\r\n");
    cl_expect(fd, 200, "203.0.113.8 counted http");
    close(fd);
}

static void nobody_else_says_who_asks(void **state)
{
    static const char *const proxies[] = {"10.0.0.0/8"};
    static const char *const none[] = {"10.0.0.0/33"};
    struct fx *fx = fixture(state);

    fx->conf.proxies = none;
    fx->conf.n_proxies = 1;
    assert_int_equal(fx_try(fx), -EINVAL);
    assert_non_null(strstr(fx->err, "10.0.0.0/33"));
    fx->conf.proxies = proxies;
    fx_start(fx);
    expect_client(fx, "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n",
                  "- free http");
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(port_in_use_is_named),
        T(bad_addresses_are_named),
        T(a_trusted_proxy_says_who_asks),
        T(each_request_of_a_proxy_has_its_client),
        T(nobody_else_says_who_asks),
        T(any_address_serves_both_families),
        T(unix_socket_has_its_mode_and_serves_beside_tcp),
        T(live_unix_socket_is_refused_stale_one_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
