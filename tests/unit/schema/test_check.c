/* The check of what comes in: each way in which a payload can be wrong, and that nothing
 * right is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/check.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct schema_field point_fields[] = {
    {.name = "x", .type = SCHEMA_NUMBER, .flags = SCHEMA_REQUIRED, .min = -5, .max = 5},
    {.name = "y/z", .type = SCHEMA_INTEGER, .min = 0, .max = 9},
};
static const struct schema_object point = {
    .name = "point", .fields = point_fields, .n_fields = 2, .unknown = SCHEMA_REFUSE};

static const struct schema_field free_fields[] = {
    {.name = "known", .type = SCHEMA_BOOLEAN},
};
static const struct schema_object free_object = {
    .name = "free", .fields = free_fields, .n_fields = 1, .unknown = SCHEMA_OPEN};

static const struct schema_field a_point = {.type = SCHEMA_OBJECT, .object = &point};
static const struct schema_field a_text = {.type = SCHEMA_STRING, .min = 1, .max = 3};

static const struct schema_field fields[] = {
    {.name = "text", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .min = 1, .max = 4},
    {.name = "kept", .type = SCHEMA_STRING, .max = 8, .max_bytes = 8},
    {.name = "pair", .type = SCHEMA_STRING, .min = 2, .max = 2},
    {.name = "null", .type = SCHEMA_STRING, .flags = SCHEMA_NULLABLE, .max = 4},
    {.name = "id", .type = SCHEMA_ID, .min = 1, .max = 8},
    {.name = "url", .type = SCHEMA_URL, .min = 1, .max = 40},
    {.name = "time", .type = SCHEMA_TIME},
    {.name = "int", .type = SCHEMA_INTEGER, .min = -1, .max = 100},
    {.name = "num", .type = SCHEMA_NUMBER, .min = 0, .max = 1},
    {.name = "bool", .type = SCHEMA_BOOLEAN},
    {.name = "enum", .type = SCHEMA_ENUM, .names = colours},
    {.name = "object", .type = SCHEMA_OBJECT, .object = &point},
    {.name = "list", .type = SCHEMA_ARRAY, .min = 1, .max = 2, .item = &a_point},
    {.name = "texts", .type = SCHEMA_ARRAY, .max = 100, .item = &a_text},
    {.name = "free", .type = SCHEMA_OBJECT, .object = &free_object},
    {.name = "any", .type = SCHEMA_ANY},
};
static const struct schema_object all = {
    .name = "all", .fields = fields, .n_fields = sizeof(fields) / sizeof(fields[0])};

/* "path reason; path reason", "" if nothing is wrong. */
static const char *wrong_of(const struct schema_object *object, const char *text)
{
    static char out[8192];
    struct schema_errors errors;
    json_t *value =
        text != NULL ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    bool ok;

    assert_true(text == NULL || value != NULL);
    ok = schema_check(value, object, &errors);
    assert_int_equal(ok, errors.n == 0);
    out[0] = '\0';
    for (size_t i = 0; i < errors.n; i++) {
        size_t len = strlen(out);

        (void)snprintf(out + len, sizeof(out) - len, "%s%s %s", i > 0 ? "; " : "",
                       errors.at[i].path, errors.at[i].reason);
    }
    json_decref(value);
    return out;
}

static void what_is_right_passes(void **state)
{
    static const char *const right[] = {
        "{\"text\":\"a\"}",
        "{\"text\":\"äöüß\",\"unknown\":[1,2]}", /* four characters, eight bytes */
        "{\"text\":\"a\",\"kept\":\"ääää\",\"pair\":\"ab\",\"null\":null}",
        "{\"text\":\"a\",\"id\":\"a-B_1:x\",\"url\":\"https://a/b?c=d\"}",
        "{\"text\":\"a\",\"url\":\"rtmps://live.example/app/key\"}",
        "{\"text\":\"a\",\"time\":\"2026-02-28T23:59:60.123456Z\"}",
        "{\"text\":\"a\",\"time\":\"2024-02-29T00:00:00+14:00\"}",
        "{\"text\":\"a\",\"int\":-1,\"num\":1,\"bool\":false,\"enum\":\"green\"}",
        "{\"text\":\"a\",\"int\":100,\"num\":0.5,\"bool\":true}",
        "{\"text\":\"a\",\"object\":{\"x\":5,\"y/z\":0}}",
        "{\"text\":\"a\",\"list\":[{\"x\":1},{\"x\":2}],\"texts\":[]}",
        "{\"text\":\"a\",\"free\":{\"more\":{\"deep\":[null,1e9]}},\"any\":null}",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_string_equal(wrong_of(&all, right[i]), "");
    }
}

static void each_way_to_be_wrong_has_its_path_and_reason(void **state)
{
    static const struct {
        const char *value, *wrong;
    } cases[] = {
        {NULL, "/text missing"},
        {"null", "/text missing"},
        {"[]", " the payload must be an object"},
        {"\"x\"", " the payload must be an object"},
        {"{\"text\":null}", "/text missing: must not be null"},
        {"{\"text\":7}", "/text must be a string"},
        {"{\"text\":{}}", "/text must be a string"},
        {"{\"text\":\"\"}", "/text must not be empty"},
        {"{\"text\":\"abcde\"}", "/text is too long: at most 4 characters"},
        {"{\"text\":\"a\\u0000\"}", "/text must not contain a null character"},
        {"{\"text\":\"a\",\"kept\":\"ääääa\"}", "/kept is too long: at most 8 bytes"},
        {"{\"text\":\"a\",\"pair\":\"a\"}", "/pair is too short: at least 2 characters"},
        {"{\"text\":\"a\",\"kept\":null}", "/kept must not be null"},
        {"{\"text\":\"a\",\"id\":\"a b\"}",
         "/id must not contain spaces or control characters"},
        {"{\"text\":\"a\",\"id\":\"a\\n\"}",
         "/id must not contain spaces or control characters"},
        {"{\"text\":\"a\",\"url\":\"javascript:alert(1)\"}",
         "/url must be an absolute URL of http, https, rtmp or rtmps"},
        {"{\"text\":\"a\",\"url\":\"http://\"}",
         "/url must be an absolute URL of http, https, rtmp or rtmps"},
        {"{\"text\":\"a\",\"url\":\"http://a b\"}",
         "/url must be an absolute URL of http, https, rtmp or rtmps"},
        {"{\"text\":\"a\",\"int\":101}", "/int must be an integer from -1 to 100"},
        {"{\"text\":\"a\",\"int\":-2}", "/int must be an integer from -1 to 100"},
        {"{\"text\":\"a\",\"int\":1.0}", "/int must be an integer from -1 to 100"},
        {"{\"text\":\"a\",\"int\":9223372036854775807}",
         "/int must be an integer from -1 to 100"},
        {"{\"text\":\"a\",\"int\":\"1\"}", "/int must be an integer from -1 to 100"},
        {"{\"text\":\"a\",\"num\":1.001}", "/num must be a number from 0 to 1"},
        {"{\"text\":\"a\",\"num\":1e300}", "/num must be a number from 0 to 1"},
        {"{\"text\":\"a\",\"num\":\"NaN\"}", "/num must be a number from 0 to 1"},
        {"{\"text\":\"a\",\"bool\":1}", "/bool must be true or false"},
        {"{\"text\":\"a\",\"bool\":\"true\"}", "/bool must be true or false"},
        {"{\"text\":\"a\",\"enum\":\"blue\"}", "/enum must be one of red green"},
        {"{\"text\":\"a\",\"enum\":1}", "/enum must be a string"},
        {"{\"text\":\"a\",\"object\":[]}", "/object must be an object"},
        {"{\"text\":\"a\",\"object\":{\"y/z\":10}}",
         "/object/x missing; /object/y~1z must be an integer from 0 to 9"},
        {"{\"text\":\"a\",\"object\":{\"x\":1,\"~w\":1}}",
         "/object/~0w there is no such field"},
        {"{\"text\":\"a\",\"list\":{}}", "/list must be a list"},
        {"{\"text\":\"a\",\"list\":[]}", "/list must have 1 to 2 items"},
        {"{\"text\":\"a\",\"list\":[1,2,3]}", "/list must have 1 to 2 items"},
        {"{\"text\":\"a\",\"list\":[{\"x\":1},{\"x\":9}]}",
         "/list/1/x must be a number from -5 to 5"},
        {"{\"text\":\"a\",\"texts\":[\"ok\",null]}", "/texts/1 must be a string"},
        {"{\"text\":\"a\",\"free\":{\"known\":7}}", "/free/known must be true or false"},
        {"{\"text\":\"a\",\"free\":{\"a\":[[[[[[[[[1]]]]]]]]]}}",
         "/free/a/0/0/0/0/0/0/0/0 is too deep"},
        {"{\"text\":\"a\",\"any\":{\"b\":\"\\u0000\"}}",
         "/any/b must not contain a null character"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(wrong_of(&all, cases[i].value), cases[i].wrong);
    }
}

static void all_errors_are_told_at_once(void **state)
{
    (void)state;

    assert_string_equal(wrong_of(&all, "{\"int\":true,\"enum\":\"x\",\"num\":[]}"),
                        "/text missing; /int must be an integer from -1 to 100; "
                        "/num must be a number from 0 to 1; "
                        "/enum must be one of red green");
}

static void errors_are_bounded(void **state)
{
    struct schema_errors errors;
    json_t *list = json_array();
    json_t *value = json_pack("{s:s,s:O}", "text", "a", "texts", list);
    (void)state;

    for (int i = 0; i < 100; i++) {
        json_array_append_new(list, json_integer(i));
    }
    assert_false(schema_check(value, &all, &errors));
    assert_int_equal(errors.n, SCHEMA_MAX_ERRORS);
    assert_true(errors.more);
    assert_string_equal(errors.at[31].path, "/texts/31");
    json_decref(list);
    json_decref(value);
}

static void what_is_open_is_bounded_in_size(void **state)
{
    struct schema_errors errors;
    json_t *list = json_array();
    json_t *value = json_pack("{s:s,s:{s:O}}", "text", "a", "free", "big", list);
    char *text = malloc(SCHEMA_MAX_TEXT + 2);
    (void)state;

    for (int i = 0; i < SCHEMA_MAX_NODES - 1; i++) {
        json_array_append_new(list, json_null());
    }
    assert_true(schema_check(value, &all, &errors));
    json_array_append_new(list, json_null());
    assert_false(schema_check(value, &all, &errors));
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.at[0].reason, "has too many members");
    json_array_clear(list);
    memset(text, 'x', SCHEMA_MAX_TEXT + 1);
    text[SCHEMA_MAX_TEXT + 1] = '\0';
    json_array_append_new(list, json_string(text));
    assert_false(schema_check(value, &all, &errors));
    assert_string_equal(errors.at[0].reason, "is too long");
    free(text);
    json_decref(list);
    json_decref(value);
}

/* A name of the input goes into a path, and paths have an end. */
static void long_names_are_cut_at_a_character(void **state)
{
    struct schema_errors errors;
    char name[400];
    json_t *value;
    (void)state;

    for (size_t shift = 0; shift < 4; shift++) {
        memset(name, 'x', shift);
        name[shift] = '\0';
        while (strlen(name) < 390) {
            strcat(name, "€");
        }
        value = json_pack("{s:i,s:i}", "x", 1, name, 1);
        assert_false(schema_check(value, &point, &errors));
        assert_true(strlen(errors.at[0].path) < SCHEMA_PATH_LEN);
        assert_string_equal(errors.at[0].path + strlen(errors.at[0].path) - 3, "…");
        json_decref(schema_errors_json(&errors));
        json_decref(value);
        value = json_string(errors.at[0].path); /* NULL if it were not UTF-8 */
        assert_non_null(value);
        json_decref(value);
    }
}

static void one_of_two_and_not_both(void **state)
{
    static const struct schema_field two[] = {
        {.name = "a", .type = SCHEMA_BOOLEAN, .flags = SCHEMA_NULLABLE},
        {.name = "b", .type = SCHEMA_BOOLEAN, .flags = SCHEMA_NULLABLE},
    };
    const struct schema_object either = {
        .fields = two, .n_fields = 2, .any_of = {"a", "b"}};
    const struct schema_object most = {
        .fields = two, .n_fields = 2, .not_both = {"a", "b"}};
    (void)state;

    assert_string_equal(wrong_of(&either, "{}"), " needs a or b");
    assert_string_equal(wrong_of(&either, "{\"a\":null}"), " needs a or b");
    assert_string_equal(wrong_of(&either, "{\"b\":true}"), "");
    assert_string_equal(wrong_of(&most, "{\"a\":true,\"b\":true}"), " has both a and b");
    assert_string_equal(wrong_of(&most, "{\"a\":true,\"b\":null}"), "");
}

static void times_are_those_of_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:01.5z", 1500},
        {"2000-03-01T00:00:00+01:00", 951865200000},
        {"2026-11-27T12:00:00-05:30", 1795800600000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"2023-02-29T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-01-00T00:00:00Z", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01T00:60:00Z", -1},
        {"2026-01-01T00:00:61Z", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T00:00:00.Z", -1},
        {"2026-01-01T00:00:00+24:00", -1},
        {"2026-01-01T00:00:00+0100", -1},
        {"2026-01-01T00:00:00Zx", -1},
        {"2026-01-01 00:00:00Z", -1},
        {"2026-1-1T00:00:00Z", -1},
        {"", -1},
    };
    int64_t ms;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int err = schema_time_parse(cases[i].text, &ms);

        assert_int_equal(err, cases[i].ms < 0 ? -EBADMSG : 0);
        if (err == 0) {
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

/* ---- parsing ---- */

static void bodies_that_no_check_can_save_are_refused_when_parsed(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "is not JSON"},
        {"{", "is not JSON"},
        {"{\"a\":1,\"a\":2}", "a key stands twice"},
        {"{\"b\":{\"a\":1,\"a\":2}}", "a key stands twice"},
        {"{\"a\":\"\xff\"}", "is not UTF-8"},
        {"{\"a\":\"\xed\xa0\x80\"}", "is not UTF-8"},
        {"{\"a\":99999999999999999999}", "a number is too large"},
        {"{\"a\":1e999}", "a number is too large"},
        {"{\"a\":NaN}", "is not JSON"},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "is too deep"},
        {"{\"\\u0000\":1}", "is not JSON"},
        {"{} {}", "is not JSON"},
    };
    struct schema_errors errors;
    json_t *value;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        value = schema_parse(cases[i].text, strlen(cases[i].text), &errors);
        assert_null(value);
        assert_int_equal(errors.n, 1);
        assert_string_equal(errors.at[0].path, "");
        assert_memory_equal(errors.at[0].reason, cases[i].reason, strlen(cases[i].reason));
    }
    value = schema_parse("{\"a\":\"[[[[\\\"{{{{{{{{{{{{{{{{{{\"}", 32, &errors);
    assert_non_null(value);
    json_decref(value);
}

static const char *get_text(void *arg, const char *name)
{
    const char *const *pairs = arg;

    for (size_t i = 0; pairs[i] != NULL; i += 2) {
        if (strcmp(pairs[i], name) == 0) {
            return pairs[i + 1];
        }
    }
    return NULL;
}

static void queries_become_typed(void **state)
{
    static const char *const good[] = {"text",  "7",    "int", "-1", "bool",
                                       "false", "enum", "red", NULL};
    static const char *const bad[] = {"text", "\xff", "int", "1x", "bool",
                                      "1",    "enum", "",    NULL};
    static const char *const huge[] = {"text", "a", "int", "99999999999999999999999", NULL};
    struct schema_errors errors;
    json_t *value;
    (void)state;

    value = schema_query(&all, get_text, (void *)good, &errors);
    assert_int_equal(errors.n, 0);
    assert_string_equal(json_string_value(json_object_get(value, "text")), "7");
    assert_int_equal(json_integer_value(json_object_get(value, "int")), -1);
    assert_true(json_is_false(json_object_get(value, "bool")));
    json_decref(value);
    value = schema_query(&all, get_text, (void *)bad, &errors);
    assert_int_equal(errors.n, 5);
    assert_string_equal(errors.at[4].reason, "is not UTF-8");
    json_decref(value);
    value = schema_query(&all, get_text, (void *)huge, &errors);
    assert_int_equal(errors.n, 1);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_passes),
        cmocka_unit_test(each_way_to_be_wrong_has_its_path_and_reason),
        cmocka_unit_test(all_errors_are_told_at_once),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(what_is_open_is_bounded_in_size),
        cmocka_unit_test(long_names_are_cut_at_a_character),
        cmocka_unit_test(one_of_two_and_not_both),
        cmocka_unit_test(times_are_those_of_rfc_3339),
        cmocka_unit_test(bodies_that_no_check_can_save_are_refused_when_parsed),
        cmocka_unit_test(queries_become_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
