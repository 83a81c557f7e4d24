/* permessage-deflate: offers and answers, the examples of RFC 7692 (section 7.2.3), bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/ws_deflate.h"

static void the_first_good_offer_is_taken(void **state)
{
    static const struct {
        const char *offers;
        bool on;
        int bits;
    } cases[] = {
        {NULL, false, 0},
        {"", false, 0},
        {"x-webkit-deflate-frame", false, 0},
        {"permessage-deflate", true, 0},
        {"Permessage-Deflate ; client_max_window_bits", true, 0},
        {"permessage-deflate; client_max_window_bits=10", true, 0},
        {"permessage-deflate; client_max_window_bits=\"10\"", true, 0},
        {"permessage-deflate; server_no_context_takeover;client_no_context_takeover", true,
         0},
        {"permessage-deflate; server_max_window_bits=10", true, 10},
        {"permessage-deflate; server_max_window_bits=8", true, 8},
        {"permessage-deflate; server_max_window_bits = 15", true, 15},
        {"permessage-deflate; server_max_window_bits", false, 0},
        {"permessage-deflate; server_max_window_bits=7", false, 0},
        {"permessage-deflate; server_max_window_bits=16", false, 0},
        {"permessage-deflate; server_max_window_bits=08", false, 0},
        {"permessage-deflate; server_max_window_bits=1x", false, 0},
        {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", false,
         0},
        {"permessage-deflate; client_max_window_bits=99", false, 0},
        {"permessage-deflate; server_no_context_takeover=1", false, 0},
        {"permessage-deflate; unknown", false, 0},
        {"permessage-deflate; unknown, foo; bar=1, permessage-deflate", true, 0},
        {"permessage-deflate; server_max_window_bits=7, permessage-deflate; "
         "server_max_window_bits=9",
         true, 9},
        {"permessage-deflat", false, 0},
        {",,, ;;; ,=", false, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_deflate agreed = ws_deflate_accept(cases[i].offers);

        if (agreed.on != cases[i].on || agreed.server_bits != cases[i].bits) {
            fail_msg("%s: %d %u", cases[i].offers, agreed.on, agreed.server_bits);
        }
    }
}

static void the_answer_promises_no_context_and_the_window_that_was_asked_for(void **state)
{
    char text[WS_DEFLATE_ANSWER];
    struct ws_deflate agreed = {.on = true};
    (void)state;

    ws_deflate_answer(&agreed, text);
    assert_string_equal(text, "permessage-deflate; server_no_context_takeover; "
                              "client_no_context_takeover");
    assert_true(ws_deflate_sends(&agreed));
    agreed.server_bits = 15;
    ws_deflate_answer(&agreed, text);
    assert_non_null(strstr(text, "; server_max_window_bits=15"));
    assert_true(ws_deflate_sends(&agreed));
    agreed.server_bits = 9; /* then what is sent is not compressed */
    assert_false(ws_deflate_sends(&agreed));
    agreed = (struct ws_deflate){.on = false};
    assert_false(ws_deflate_sends(&agreed));
}

/* Inflates it in parts of 'step' bytes. Returns the length, or the error. */
static int inflate_all(const void *data, size_t len, size_t step, uint8_t *out, size_t cap)
{
    struct ws_inflate *z = ws_inflate_create();
    const uint8_t *at = data;
    size_t n = 0;
    int err = 0;

    assert_non_null(z);
    while (len > 0 && err == 0 && n < cap) {
        size_t part = step < len ? step : len;
        size_t left = part;

        err = ws_inflate(z, &at, &left, out, &n, cap);
        len -= part - left;
        if (err == 0 && n < cap) {
            assert_int_equal(left, 0);
        }
    }
    if (err == 0 && n < cap && !ws_inflate_whole(z)) {
        err = -ENODATA;
    }
    ws_inflate_destroy(z);
    return err != 0 ? err : (int)n;
}

static void the_examples_of_the_rfc_are_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"},
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello"}, /* stored */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello"},              /* BFINAL */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}, /* and nothing behind it */
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello"}, /* blocks */
        {"\x00", 1, ""},
        /* a block behind the last refers to what was before it: "Hello" twice */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00", 12, "HelloHello"},
    };
    uint8_t out[64];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step <= 16; step += 5) {
            int n = inflate_all(cases[i].bytes, cases[i].len, step, out, sizeof(out));

            if (n != (int)strlen(cases[i].text)) {
                fail_msg("case %zu by %zu: %d", i, step, n);
            }
            assert_memory_equal(out, cases[i].text, (size_t)n);
        }
    }
}

static void what_is_broken_or_cut_off_is_no_message(void **state)
{
    uint8_t out[64];
    (void)state;

    assert_int_equal(inflate_all("\xff\xff\xff", 3, 3, out, sizeof(out)), -EBADMSG);
    assert_int_equal(inflate_all("\xf2\x48\xcd", 3, 3, out, sizeof(out)), -ENODATA);
    assert_int_equal(inflate_all("\x00\x05\x00\xfa\xff\x48", 6, 6, out, sizeof(out)),
                     -ENODATA);
    /* a reference to before the beginning: the context of the last message is gone */
    assert_int_equal(inflate_all("\xf2\x00\x11\x00\x00", 5, 5, out, sizeof(out)), -EBADMSG);
}

static void what_is_compressed_inflates_to_the_same_or_is_left_alone(void **state)
{
    enum { LEN = 300000 };
    uint8_t *in = malloc(LEN);
    uint8_t *packed = malloc(LEN);
    uint8_t *out = malloc(LEN + 1);
    uint32_t random = 1;
    (void)state;

    for (size_t i = 0; i < LEN; i++) {
        in[i] = (uint8_t)('a' + i % 7 + i / 1000 % 3);
    }
    for (size_t len = 1024; len <= LEN; len *= 6) {
        size_t n = ws_deflate(in, len, packed, len);

        assert_true(n > 0 && n < len / 3);
        assert_int_equal(inflate_all(packed, n, 4096, out, len + 1), len);
        assert_memory_equal(out, in, len);
        assert_int_equal(ws_deflate(in, len, packed, n), 0); /* no room for its end */
    }
    for (size_t i = 0; i < LEN; i++) {
        random = random * 1664525 + 1013904223;
        in[i] = (uint8_t)(random >> 24);
    }
    assert_int_equal(ws_deflate(in, LEN, packed, LEN), 0); /* no shorter */
    free(in);
    free(packed);
    free(out);
}

/* It never writes beyond what it is given, and a message of nothing but last blocks, each
 * of which has the window set up anew, ends soon. */
static void bombs_stay_within_their_bounds(void **state)
{
    enum { LARGE = 4 << 20, CAP = 5000 };
    uint8_t *zeros = calloc(1, LARGE);
    uint8_t *packed = malloc(LARGE);
    uint8_t *out = malloc(CAP); /* its end is watched */
    size_t n = ws_deflate(zeros, LARGE, packed, LARGE);
    (void)state;

    assert_true(n > 0 && n < LARGE / 200);
    assert_int_equal(inflate_all(packed, n, n, out, CAP), CAP);
    for (size_t i = 0; i < 2000; i += 2) {
        memcpy(packed + i, "\x03\x00", 2); /* the last block, empty */
    }
    assert_int_equal(inflate_all(packed, 2000, 2000, out, CAP), -EBADMSG);
    free(zeros);
    free(packed);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_good_offer_is_taken),
        cmocka_unit_test(the_answer_promises_no_context_and_the_window_that_was_asked_for),
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(what_is_broken_or_cut_off_is_no_message),
        cmocka_unit_test(what_is_compressed_inflates_to_the_same_or_is_left_alone),
        cmocka_unit_test(bombs_stay_within_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
