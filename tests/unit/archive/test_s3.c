/* What needs no object store that answers; the rest is tests/e2e/archive.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "archive/s3.h"

static struct s3_conf conf_of(const char *endpoint)
{
    return (struct s3_conf){.endpoint = endpoint,
                            .bucket = "tapes",
                            .prefix = "p",
                            .region = "us-east-1",
                            .access_key = "AKID",
                            .secret_key = "nobody knows it"};
}

/* A socket on which somebody listens, and where. */
static int listener(const char *format, char *endpoint, size_t cap)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    (void)snprintf(endpoint, cap, format, ntohs(addr.sin_port));
    return fd;
}

static bool was_called(int fd)
{
    int call = accept4(fd, NULL, NULL, SOCK_NONBLOCK);

    if (call >= 0) {
        (void)close(call);
    }
    return call >= 0;
}

static void this_machine_is_asked_only_if_that_is_allowed(void **state)
{
    static const char *const formats[] = {
        "http://127.0.0.1:%u", "http://localhost:%u", "http://127.1.2.3:%u",
        "http://[::ffff:127.0.0.1]:%u", "http://0.0.0.0:%u"};
    atomic_bool stop = false;
    (void)state;

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        char endpoint[64], why[S3_WHY] = "";
        int fd = listener(formats[i], endpoint, sizeof(endpoint));
        struct s3_conf conf = conf_of(endpoint);
        struct s3 *s3;

        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        assert_int_equal(s3_create(&s3, &conf, &stop), 0);
        assert_int_equal(s3_delete(s3, "x", why), -EIO);
        assert_non_null(strstr(why, "allow_loopback"));
        assert_null(strstr(why, conf.secret_key));
        assert_false(was_called(fd));
        s3_destroy(s3);
        (void)close(fd);
    }
}

static void who_stops_waits_for_nobody(void **state)
{
    char endpoint[64], why[S3_WHY] = "";
    int fd = listener("http://127.0.0.1:%u", endpoint, sizeof(endpoint));
    struct s3_conf conf = conf_of(endpoint);
    atomic_bool stop = true;
    struct s3 *s3;
    (void)state;

    conf.allow_loopback = true;
    assert_int_equal(s3_create(&s3, &conf, &stop), 0);
    assert_int_equal(s3_delete(s3, "x", why), -ECANCELED); /* nobody would answer */
    s3_destroy(s3);
    (void)close(fd);
}

static void link_says_where_but_no_secret(void **state)
{
    const struct s3_conf conf = conf_of("https://s3.example.org");
    char url[S3_URL];
    (void)state;

    assert_int_equal(s3_url(&conf, "one/meeting.mp4", 1369353600, 60, url), 0);
    assert_ptr_equal(strstr(url, "https://s3.example.org/tapes/p/one/meeting.mp4?X-Amz-"),
                     url);
    assert_non_null(strstr(url, "&X-Amz-Expires=60&"));
    assert_null(strstr(url, "nobody"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_is_asked_only_if_that_is_allowed),
        cmocka_unit_test(who_stops_waits_for_nobody),
        cmocka_unit_test(link_says_where_but_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
