/* Which addresses are of the public Internet, and what is a URL of RTMP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "sfu/base/reach.h"
#include "sfu/base/rtmp_url.h"

static bool is_public(const char *text)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, text, address) == 1) {
        return reach_public4(address);
    }
    assert_int_equal(inet_pton(AF_INET6, text, address), 1);
    return reach_public6(address);
}

static void public_addresses_are_reached(void **state)
{
    static const char *const good[] = {
        "1.1.1.1",        "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",    "172.15.0.1",      "172.32.0.1",      "192.167.1.1",
        "192.169.1.1",    "223.255.255.1",   "2606:4700::1111", "2a00:1450:4001::1",
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(is_public(good[i]));
    }
}

static void others_are_not(void **state)
{
    static const char *const bad[] = {"0.0.0.0",
                                      "10.1.2.3",
                                      "100.64.0.1",
                                      "127.0.0.1",
                                      "169.254.169.254",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.168.0.1",
                                      "198.18.0.1",
                                      "192.0.2.1",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "fe80::1",
                                      "fc00::1",
                                      "ff02::1",
                                      "2001:db8::1",
                                      "2002:7f00:1::",
                                      "::ffff:127.0.0.1",
                                      "::127.0.0.1",
                                      "64:ff9b::10.0.0.1"};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(is_public(bad[i]));
    }
}

static void a_url_is_taken_apart(void **state)
{
    struct rtmp_url url;
    (void)state;

    assert_true(rtmp_url_parse("rtmp://a.example/live2/k-1", &url));
    assert_string_equal(url.host, "a.example");
    assert_string_equal(url.port, "1935");
    assert_string_equal(url.app, "live2");
    assert_string_equal(url.key, "k-1");
    assert_false(url.tls);
    assert_string_equal(url.port, "1935");
    assert_true(rtmp_url_parse("rtmps://a.example/app/k", &url));
    assert_true(url.tls);
    assert_string_equal(url.host, "a.example");
    assert_string_equal(url.port, "443");
    assert_true(rtmp_url_parse("rtmps://a.example:4443/app/k", &url));
    assert_string_equal(url.port, "4443");
    assert_true(rtmp_url_parse("rtmp://[2a00::1]:19350/app/instance/k?auth=a/b", &url));
    assert_string_equal(url.host, "2a00::1");
    assert_string_equal(url.port, "19350");
    assert_string_equal(url.app, "app/instance");
    assert_string_equal(url.key, "k?auth=a/b");
}

static void what_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "rtmp://",
                                      "http://a/live/key",
                                      "rtmp://a",
                                      "rtmp://a/live",
                                      "rtmp://a/live/",
                                      "rtmp:///live/key",
                                      "rtmp://a//key",
                                      "rtmp://user@a/live/key",
                                      "rtmp://a:0/live/key",
                                      "rtmp://a:65536/live/key",
                                      "rtmp://a:1x/live/key",
                                      "rtmp://a:/live/key",
                                      "rtmp://[::1/live/key",
                                      "rtmp://[]/live/key",
                                      "rtmp://[::1]x/live/key",
                                      "rtmp://a/live/ke y",
                                      "rtmp://a/live/key\n",
                                      "rtmp://a/live/\"key"};
    struct rtmp_url url;
    char longer[RTMP_URL_MAX + 32];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(rtmp_url_parse(bad[i], &url));
    }
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    memcpy(longer, "rtmp://a/live/", 14);
    assert_false(rtmp_url_parse(longer, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses_are_reached),
        cmocka_unit_test(others_are_not),
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(what_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
