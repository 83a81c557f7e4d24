#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/log.h"
#include "sys/utf8.h"

#define WALL UINT64_C(1767323045678901) /* 2026-01-02T03:04:05.678901Z */

static const char *format(const struct log_field *fields, size_t n)
{
    static char out[LOG_LINE_MAX + 1];
    size_t len = log_format(out, LOG_LINE_MAX, WALL, LOG_LEVEL_INFO, "e", fields, n, 0);

    assert_true(len <= LOG_LINE_MAX);
    assert_int_equal(out[len - 1], '\n');
    out[len - 1] = '\0';
    assert_true(utf8_valid((const uint8_t *)out, len - 1));
    return out +
           strlen("{\"ts\":\"2026-01-02T03:04:05.678901Z\",\"level\":\"info\",\"event\":");
}

static void line_is_json_with_time_level_and_typed_fields(void **state)
{
    const struct log_field fields[] = {
        LOG_U64("u", UINT64_MAX), LOG_I64("i", INT64_MIN),  LOG_F64("f", 1.5),
        LOG_F64("n", NAN),        LOG_BOOL("b", true),      LOG_STR("s", "x"),
        LOG_STR("z", NULL),       LOG_BYTES("y", "abc", 2),
    };
    char out[512];
    size_t len =
        log_format(out, sizeof(out), WALL, LOG_LEVEL_WARN, "peer_selected", fields, 8, 3);

    (void)state;
    out[len] = '\0';
    assert_string_equal(out, "{\"ts\":\"2026-01-02T03:04:05.678901Z\",\"level\":\"warn\","
                             "\"event\":\"peer_selected\",\"u\":18446744073709551615,"
                             "\"i\":-9223372036854775808,\"f\":1.5,\"n\":null,\"b\":true,"
                             "\"s\":\"x\",\"z\":null,\"y\":\"ab\",\"suppressed\":3}\n");
}

static void any_bytes_are_escaped(void **state)
{
    const struct log_field quotes = LOG_STR("k", "a\"b\\c\n\t\x01\x7f/\xc3\xa9");
    const struct log_field broken =
        LOG_BYTES("k", "\xff\xc3(\xed\xa0\x80\xf0\x9f\x98\x80\0z", 12);
    char all[256];

    (void)state;
    assert_string_equal(format(&quotes, 1), "\"e\",\"k\":\"a\\\"b\\\\c\\u000a\\u0009\\u0001"
                                            "\\u007f/\xc3\xa9\"}");
    assert_string_equal(format(&broken, 1),
                        "\"e\",\"k\":\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80"
                        "\\u0000z\"}");
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    const struct log_field bytes = LOG_BYTES("k", all, 256);

    assert_null(strchr(format(&bytes, 1), '\n'));
}

static void too_long_field_is_left_out_whole(void **state)
{
    static char big[LOG_LINE_MAX];
    const struct log_field fields[] = {LOG_STR("a", "1"), LOG_BYTES("b", big, sizeof(big)),
                                       LOG_STR("c", "3")};

    (void)state;
    memset(big, 'x', sizeof(big));
    assert_string_equal(format(fields, 3),
                        "\"e\",\"a\":\"1\",\"c\":\"3\",\"truncated\":true}");
}

static size_t lines_logged(int rounds, unsigned pause_ms, char *last, size_t cap)
{
    int pipe_fd[2];
    FILE *in;
    size_t n = 0;

    assert_int_equal(pipe(pipe_fd), 0);
    fcntl(pipe_fd[1], F_SETPIPE_SZ, 1 << 20);
    log_set_fd(pipe_fd[1]);
    for (int r = 0; r < rounds; r++) {
        if (r == rounds - 1) {
            usleep(pause_ms * 1000);
        }
        log_info("again", LOG_I64("round", r));
    }
    log_set_fd(STDERR_FILENO);
    close(pipe_fd[1]);
    in = fdopen(pipe_fd[0], "r");
    while (fgets(last, (int)cap, in) != NULL) {
        n++;
    }
    fclose(in);
    return n;
}

static void repeats_of_a_call_site_are_counted_not_written(void **state)
{
    char last[512];

    (void)state;
    assert_int_equal(lines_logged(101, 1100, last, sizeof(last)), LOG_BURST + 1);
    assert_non_null(strstr(last, "\"round\":100,\"suppressed\":80}"));
}

static void level_decides_what_is_written(void **state)
{
    enum log_level level = LOG_LEVEL_INFO;

    (void)state;
    assert_true(log_enabled(LOG_LEVEL_INFO));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    assert_int_equal(log_level_parse("error", &level), 0);
    log_set_level(level);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_WARN));
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    log_set_level(LOG_LEVEL_INFO);
}

static void time_has_a_form_at_both_ends(void **state)
{
    char text[CLOCK_RFC3339_LEN];

    (void)state;
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_format(UINT64_MAX, text);
    assert_memory_equal(text, "9999-12-31T23:59:59.", 20);
    assert_true(clock_mono_us() <= clock_mono_us());
    assert_true(clock_wall_us() > WALL - UINT64_C(40000000000000));
}

static void utf8_is_told_from_what_looks_like_it(void **state)
{
    static const struct {
        const char *bytes;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain ascii, longer than a word", true},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"\xef\xbf\xbf\xf4\x8f\xbf\xbf", true},
        {"\xc0\xaf", false},         /* overlong */
        {"\xe0\x80\xaf", false},     /* overlong */
        {"\xf0\x80\x80\xaf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xff", false},
        {"\x80", false},
        {"cut\xe2\x82", false},
        {"12345678\xe2(", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            utf8_valid((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes)),
            cases[i].valid);
    }
}

static void utf8_that_comes_in_pieces_is_judged_as_early_as_can_be(void **state)
{
    static const char good[] =
        "a\xe2\x82\xac\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xc2\x80";
    static const char *const bad[] = {
        "\xff",     "\xc0",     "\xe0\x9f",         "\xed\xa0",
        "\xf0\x8f", "\xf4\x90", "\xf4\x8f\xbf\x7f", "\x80"};
    size_t done = 0;
    (void)state;

    for (size_t len = 0; len < sizeof(good); len++) { /* byte by byte */
        assert_true(utf8_valid_so_far((const uint8_t *)good, len, &done));
        assert_true(done <= len && len - done < 4);
    }
    assert_int_equal(done, sizeof(good) - 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t len = strlen(bad[i]);

        for (size_t n = 1; n <= len; n++) { /* its last byte is what spoils it */
            done = 0;
            assert_int_equal(utf8_valid_so_far((const uint8_t *)bad[i], n, &done), n < len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_json_with_time_level_and_typed_fields),
        cmocka_unit_test(any_bytes_are_escaped),
        cmocka_unit_test(too_long_field_is_left_out_whole),
        cmocka_unit_test(utf8_that_comes_in_pieces_is_judged_as_early_as_can_be),
        cmocka_unit_test(repeats_of_a_call_site_are_counted_not_written),
        cmocka_unit_test(level_decides_what_is_written),
        cmocka_unit_test(time_has_a_form_at_both_ends),
        cmocka_unit_test(utf8_is_told_from_what_looks_like_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
