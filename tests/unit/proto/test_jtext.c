/* JSON as jansson writes it, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/jtext.h"

enum { ROUNDS = 2000, WIDTH = 6, DEPTH = 5 };

static uint32_t seed = 12345;

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void assert_same(const json_t *json)
{
    char *theirs = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    struct jtext ours = {0};

    assert_non_null(theirs);
    assert_int_equal(jtext_add_json(&ours, json), 0);
    assert_int_equal(ours.len, strlen(theirs));
    assert_memory_equal(ours.data, theirs, ours.len);
    free(ours.data);
    free(theirs);
}

/* Of bytes below 128, NUL and the others that are escaped among them, and some that are
 * more. */
static json_t *some_string(void)
{
    static const char more[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    char bytes[32 + sizeof(more)];
    size_t n = pick(32);

    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(pick(2) == 0 ? pick(128) : pick(36));
    }
    if (pick(3) == 0) {
        memcpy(bytes + n, more, sizeof(more) - 1);
        n += sizeof(more) - 1;
    }
    return json_stringn(bytes, n);
}

static json_t *some_value(unsigned depth)
{
    static const double reals[] = {0.0, -0.0, 1.5, 1e300, -1e-300, 0.1, 123456789.0};
    static const json_int_t integers[] = {0, -1, 10, INT64_MAX, INT64_MIN, 4294967296};
    json_t *value;

    switch (pick(depth > 0 ? 8 : 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(pick(2));
    case 2:
        return json_integer(integers[pick(6)]);
    case 3:
        return json_real(reals[pick(7)]);
    case 4:
    case 5:
        return some_string();
    case 6:
        value = json_array();
        for (uint32_t n = pick(WIDTH); n > 0; n--) {
            assert_int_equal(json_array_append_new(value, some_value(depth - 1)), 0);
        }
        return value;
    default:
        value = json_object();
        for (uint32_t n = pick(WIDTH); n > 0; n--) {
            json_t *key = some_string();

            assert_int_equal(
                json_object_set_new(value, json_string_value(key), some_value(depth - 1)),
                0);
            json_decref(key);
        }
        return value;
    }
}

static void any_value_is_written_as_jansson_writes_it(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        json_t *json = some_value(DEPTH);

        assert_non_null(json);
        assert_same(json);
        json_decref(json);
    }
}

static void each_byte_is_escaped_as_jansson_does(void **state)
{
    char bytes[128];
    json_t *json;
    (void)state;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i;
    }
    json = json_stringn(bytes, sizeof(bytes));
    assert_same(json);
    json_decref(json);
}

/* Eight bytes are looked at together. */
static void a_byte_is_escaped_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t len = 1; len < 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned c = 0; c < 128; c++) {
                char bytes[20];
                json_t *json;

                memset(bytes, 'x', sizeof(bytes));
                bytes[at] = (char)c;
                json = json_stringn(bytes, len);
                assert_same(json);
                json_decref(json);
            }
        }
    }
}

static void a_circle_is_no_text(void **state)
{
    struct jtext text = {0};
    json_t *outer = json_array();
    json_t *inner = json_array();
    (void)state;

    assert_int_equal(json_array_append(outer, inner), 0);
    assert_int_equal(json_array_append(inner, outer), 0);
    assert_int_equal(jtext_add_json(&text, outer), -1);
    free(text.data);
    assert_int_equal(json_array_clear(inner), 0);
    json_decref(inner);
    json_decref(outer);
}

static void a_text_is_of_an_object_or_a_list(void **state)
{
    json_t *json = json_integer(1);
    (void)state;

    assert_null(jtext_make(json, JSON_COMPACT));
    json_decref(json);
    json = json_pack("{s:[i,s]}", "a", 1, "b");
    char *text = jtext_make(json, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":[1,\"b\"]}");
    free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_value_is_written_as_jansson_writes_it),
        cmocka_unit_test(each_byte_is_escaped_as_jansson_does),
        cmocka_unit_test(a_byte_is_escaped_wherever_it_stands),
        cmocka_unit_test(a_circle_is_no_text),
        cmocka_unit_test(a_text_is_of_an_object_or_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
