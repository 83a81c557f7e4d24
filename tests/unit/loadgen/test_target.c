/* Where load may go, and how it is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/target.h"

static bool is_local(const char *text)
{
    struct sockaddr_storage address;

    assert_int_equal(target_parse(text, 1, &address), 0);
    return target_is_local(&address);
}

static void only_this_machine_is_local(void **state)
{
    (void)state;
    assert_true(is_local("127.0.0.1"));
    assert_true(is_local("127.200.3.4"));
    assert_true(is_local("::1"));
    assert_true(is_local("::ffff:127.0.0.1"));
    /* documentation addresses (RFC 5737, RFC 3849): nobody's */
    assert_false(is_local("192.0.2.1"));
    assert_false(is_local("203.0.113.7"));
    assert_false(is_local("2001:db8::1"));
    assert_false(is_local("::ffff:192.0.2.1"));
}

static void urls_are_taken_apart(void **state)
{
    struct target_url url;
    (void)state;

    assert_int_equal(target_url_parse("http://127.0.0.1:8080", &url), 0);
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 8080);
    assert_string_equal(url.authority, "127.0.0.1:8080");
    assert_int_equal(target_url_parse("HTTP://localhost/", &url), 0);
    assert_string_equal(url.host, "localhost");
    assert_int_equal(url.port, 80);
    assert_int_equal(target_url_parse("http://[::1]:81/", &url), 0);
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 81);
    assert_string_equal(url.authority, "[::1]:81");
    assert_false(url.secure);
    assert_int_equal(target_url_parse("https://node.example/", &url), 0);
    assert_string_equal(url.host, "node.example");
    assert_int_equal(url.port, 443);
    assert_true(url.secure);
    assert_int_equal(target_url_parse("HTTPS://[::1]:8443", &url), 0);
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 8443);
    assert_true(url.secure);
}

static void urls_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "127.0.0.1:80",
        "http://",
        "http:///",
        "ftp://h/",
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://h:80/way",
        "http://[::1:80",
        "http://[]:80",
        "http://h:8 ",
        "http://[::1]x",
        "http://h:-1",
    };
    char long_one[600] = "http://";
    struct target_url url;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(target_url_parse(bad[i], &url), -EINVAL);
    }
    memset(long_one + 7, 'h', sizeof(long_one) - 8);
    assert_int_equal(target_url_parse(long_one, &url), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_machine_is_local),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(urls_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
