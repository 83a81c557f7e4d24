#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sys/prefix.h"

static bool has(const char *network, const char *ip)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};
    struct prefix prefix;

    assert_int_equal(prefix_parse(network, &prefix), 0);
    if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)&ss)->sin_addr) != 1) {
        ss.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)&ss)->sin6_addr),
                         1);
    }
    return prefix_has(&prefix, &ss);
}

static void a_network_has_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.255.255"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_true(has("10.1.2.0/23", "10.1.3.255"));
    assert_false(has("10.1.2.0/23", "10.1.4.0"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.6"));
    assert_true(has("0.0.0.0/0", "203.0.113.1"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.9.9.9")); /* of a listener on "::" */
    assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(has("2001:db8::/32", "2001:db9::1"));
    assert_true(has("::1", "::1"));
    assert_false(has("::1", "::2"));
    assert_true(has("::/0", "2001:db8::1"));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {"",           "10.0.0.0/33",   "10.0.0.1/8", "x",
                                      "10.0.0.0/",  "10.0.0.0/+8",   "10.0.0/8",   "::/129",
                                      "::1/64",     "10.0.0.0/8 ",   "10.0.0.0/-1", "/8",
                                      "10.0.0.0/8/8", "proxy.example"};
    struct prefix prefix;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(prefix_parse(bad[i], &prefix), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_its_addresses_and_no_others),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
