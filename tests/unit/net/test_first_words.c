/* What is read before the protocol is known, and what HTTP/2 reads itself: a TLS client's
 * offer, and the target of a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/hello.h"
#include "net/target.h"

/* A ClientHello with an unknown extension, and ALPN if 'alpn' has bytes. Its length. */
static size_t hello(uint8_t *out, const char *alpn)
{
    uint8_t *p = out + 9;
    size_t n = strlen(alpn);
    size_t len;

    *p++ = 3, *p++ = 3;
    memset(p, 7, 32);
    p += 32;
    *p++ = 1, *p++ = 9; /* session */
    *p++ = 0, *p++ = 2, *p++ = 0x13, *p++ = 1;
    *p++ = 1, *p++ = 0;
    *p++ = 0, *p++ = (uint8_t)(5 + (n > 0 ? n + 6 : 0));
    *p++ = 0xfa, *p++ = 0xfa, *p++ = 0, *p++ = 1, *p++ = 16;
    if (n > 0) {
        *p++ = 0, *p++ = 16, *p++ = 0, *p++ = (uint8_t)(n + 2), *p++ = 0, *p++ = (uint8_t)n;
        memcpy(p, alpn, n);
        p += n;
    }
    len = (size_t)(p - out);
    memcpy(out, "\x16\x03\x01\0", 4);
    out[4] = (uint8_t)(len - 5);
    memcpy(out + 5, "\1\0\0", 3);
    out[8] = (uint8_t)(len - 9);
    return len;
}

static void a_hello_is_waited_for_and_says_what_it_offers(void **state)
{
    static const struct {
        const char *alpn;
        enum hello what;
    } cases[] = {{"\x02h2", HELLO_H2},
                 {"\x02h2\x08http/1.1", HELLO_H2},
                 {"\x08http/1.1\x02h2", HELLO_H2},
                 {"\x08http/1.1", HELLO_OTHER},
                 {"\x03h2c", HELLO_OTHER},
                 {"\x02h3\x01h", HELLO_OTHER},
                 {"\x03h2", HELLO_OTHER}, /* longer than the list */
                 {"", HELLO_OTHER}};
    uint8_t text[256];
    size_t need;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = hello(text, cases[i].alpn);

        for (size_t n = 0; n < len; n++) {
            assert_int_equal(hello_read(text, n, &need), HELLO_MORE);
            assert_true(need > n && need <= len);
        }
        assert_int_equal(hello_read(text, len, &need), cases[i].what);
        assert_int_equal(hello_read(text, sizeof(text), &need), cases[i].what);
    }
}

static void what_is_no_hello_is_not_waited_for(void **state)
{
    uint8_t text[256];
    size_t len = hello(text, "\x02h2");
    size_t need;

    (void)state;
    assert_int_equal(hello_read((const uint8_t *)"G", 1, &need), HELLO_OTHER);
    text[3] = 0x40; /* 16,384 and more */
    assert_int_equal(hello_read(text, 5, &need), HELLO_OTHER);
    text[3] = 0;
    text[5] = 2;
    assert_int_equal(hello_read(text, len, &need), HELLO_OTHER);
    text[5] = 1;
    text[8]++; /* it goes on in the next record */
    assert_int_equal(hello_read(text, len, &need), HELLO_OTHER);
    text[8]--;
    for (size_t i = 5; i < len; i++) { /* whatever length is wrong */
        text[i] ^= 0xff;
        (void)hello_read(text, len, &need);
        text[i] ^= 0xff;
    }
    assert_int_equal(hello_read(text, len, &need), HELLO_H2);
}

static void a_path_is_what_it_means(void **state)
{
    static const struct {
        const char *target, *path; /* NULL: refused */
    } cases[] = {{"/", "/"},           {"/a/b", "/a/b"},      {"/a%2fb", "/a/b"},
                 {"/%41?x=%42", "/A"}, {"//a///b", "/a/b"},   {"/a/./b", "/a/b"},
                 {"/a/../b", "/b"},    {"/..", "/"},          {"/../../a", "/a"},
                 {"/a/..", "/"},       {"/a/b/..", "/a/"},    {"/a/.", "/a/"},
                 {"/%2e%2e/a", "/a"},  {"/a/%2E%2e/b", "/b"}, {"/...", "/..."},
                 {"/..a/.b", "/..a/.b"}, {"/a#b", "/a"},      {"/a/..?..", "/"},
                 {"", NULL},           {"*", NULL},           {"a", NULL},
                 {"/%", NULL},         {"/%4", NULL},         {"/%4g", NULL},
                 {"/%00", NULL},       {"/a?%", NULL},        {"/a?b=%00", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *out = malloc(strlen(cases[i].target) + 2); /* its end is watched */

        assert_int_equal(target_path(cases[i].target, out), cases[i].path != NULL);
        if (cases[i].path != NULL) {
            assert_string_equal(out, cases[i].path);
        }
        free(out);
    }
}

static void a_query_is_taken_apart(void **state)
{
    static const char *const parts[] = {"x=1", "y=a&b c", "", "z", ""};
    const char *at = target_query("/a?x=1&y=a%26b+c&&z&");
    char out[16];

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(target_next(&at, out, sizeof(out)), strlen(parts[i]));
        assert_string_equal(out, parts[i]);
    }
    assert_int_equal(target_next(&at, out, sizeof(out)), -1);
    assert_null(target_query("/a"));
    assert_null(target_query("/a?"));
    at = target_query("/a?abc&d");
    assert_int_equal(target_next(&at, out, 3), -1);
    assert_null(at);
    at = target_query("/a?abc");
    assert_int_equal(target_next(&at, out, 4), 3);
}

/* Nothing is read twice, however many parts there are; and a request has only some. */
static void a_query_of_a_thousand_parts_is_walked_once(void **state)
{
    enum { N = 8190 };
    char target[N + 3] = "/?";
    char path[N + 4];
    char out[4];
    const char *at;

    (void)state;
    memset(target + 2, '&', N);
    at = target_query(target);
    for (int i = 0; i < N; i++) {
        assert_ptr_equal(at, target + 2 + i);
        assert_int_equal(target_next(&at, out, sizeof(out)), 0);
    }
    assert_int_equal(target_next(&at, out, sizeof(out)), 0);
    assert_null(at);
    assert_false(target_path(target, path));
    target[2 + TARGET_PARTS] = '\0';
    assert_false(target_path(target, path));
    target[2 + TARGET_PARTS - 1] = '\0';
    assert_true(target_path(target, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_is_waited_for_and_says_what_it_offers),
        cmocka_unit_test(what_is_no_hello_is_not_waited_for),
        cmocka_unit_test(a_path_is_what_it_means),
        cmocka_unit_test(a_query_is_taken_apart),
        cmocka_unit_test(a_query_of_a_thousand_parts_is_walked_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
