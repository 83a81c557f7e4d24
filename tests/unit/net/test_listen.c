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

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(port_in_use_is_named),
        T(bad_addresses_are_named),
        T(any_address_serves_both_families),
        T(unix_socket_has_its_mode_and_serves_beside_tcp),
        T(live_unix_socket_is_refused_stale_one_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
