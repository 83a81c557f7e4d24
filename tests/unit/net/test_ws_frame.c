#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/ws_deflate.h"
#include "net/ws_frame.h"

enum { MAX = 70000, FIN = 0x80 };

/* A client's frame of any kind: 'first' is its first byte. Returns its length. */
static size_t frame(uint8_t *out, unsigned first, const void *data, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t n = ws_head_write(out, WS_OP_TEXT, len);

    out[0] = (uint8_t)first;
    out[1] |= 0x80;
    memcpy(out + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++) {
        out[n + i] = ((const uint8_t *)data)[i] ^ mask[i % 4];
    }
    return n + len;
}

struct feed {
    struct ws_in in;
    struct ws_in_event event;
    uint8_t *data;
    size_t len;
    uint8_t bytes[3 * MAX];
    size_t n;
};

static int setup(void **state)
{
    struct feed *feed = calloc(1, sizeof(*feed));

    ws_in_init(&feed->in, MAX, false);
    *state = feed;
    return 0;
}

static int teardown(void **state)
{
    struct feed *feed = *state;

    ws_in_fini(&feed->in);
    free(feed);
    return 0;
}

static void add(struct feed *feed, unsigned first, const void *data, size_t len)
{
    feed->n += frame(feed->bytes + feed->n, first, data, len);
}

/* The next of what was added. */
static enum ws_in_what next(struct feed *feed)
{
    if (feed->data == NULL) {
        feed->data = feed->bytes;
        feed->len = feed->n;
    }
    return ws_in_next(&feed->in, &feed->data, &feed->len, &feed->event);
}

static void expect_message(struct feed *feed, const void *data, size_t len, bool binary)
{
    assert_int_equal(next(feed), WS_IN_MESSAGE);
    assert_int_equal(feed->event.len, len);
    assert_memory_equal(feed->event.data, data, len);
    assert_int_equal(feed->event.binary, binary);
}

static void broken_with(struct feed *feed, unsigned code)
{
    assert_int_equal(next(feed), WS_IN_BROKEN);
    assert_int_equal(feed->event.code, code);
    assert_non_null(feed->event.reason);
    assert_int_equal(next(feed), WS_IN_NOTHING); /* the rest is passed over */
    assert_int_equal(feed->len, 0);
}

static void several_in_one_piece(void **state)
{
    struct feed *feed = *state;

    add(feed, FIN | WS_OP_TEXT, "one", 3);
    add(feed, FIN | WS_OP_PING, "p", 1);
    add(feed, FIN | WS_OP_PONG, "not asked for", 13);
    add(feed, FIN | WS_OP_BINARY, "\xff\x00", 2);
    add(feed, FIN | WS_OP_TEXT, "", 0);
    expect_message(feed, "one", 3, false);
    assert_int_equal(next(feed), WS_IN_PING);
    assert_int_equal(feed->event.len, 1);
    assert_int_equal(feed->event.data[0], 'p');
    expect_message(feed, "\xff\x00", 2, true);
    expect_message(feed, "", 0, false);
    assert_int_equal(next(feed), WS_IN_NOTHING);
}

static void whole_messages_are_not_copied(void **state)
{
    struct feed *feed = *state;

    add(feed, FIN | WS_OP_TEXT, "here", 4);
    expect_message(feed, "here", 4, false);
    assert_ptr_equal(feed->event.data, feed->bytes + 6);
    assert_null(feed->in.msg);
}

static void fragments_and_pings_between(void **state)
{
    struct feed *feed = *state;

    add(feed, WS_OP_TEXT, "t\xc3", 2);
    add(feed, FIN | WS_OP_PING, "", 0);
    add(feed, WS_OP_MORE, "", 0);
    add(feed, FIN | WS_OP_MORE, "\xa9", 1);
    add(feed, FIN | WS_OP_TEXT, "next", 4);
    assert_int_equal(next(feed), WS_IN_PING);
    assert_int_equal(feed->event.len, 0);
    expect_message(feed, "t\xc3\xa9", 3, false);
    expect_message(feed, "next", 4, false);
}

static void each_length_cut_anywhere(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, MAX};
    uint8_t *data = malloc(MAX);
    uint8_t *bytes = malloc(MAX + 14);

    (void)state;
    for (size_t i = 0; i < MAX; i++) {
        data[i] = (uint8_t)(i * 31);
    }
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t n = frame(bytes, FIN | WS_OP_BINARY, data, sizes[s]);

        for (size_t cut = 1; cut < n && cut < 40; cut++) {
            struct ws_in in;
            struct ws_in_event event = {0};
            uint8_t *head = bytes;
            uint8_t *tail = bytes + cut;
            size_t head_len = cut;
            size_t tail_len = n - cut;

            n = frame(bytes, FIN | WS_OP_BINARY, data, sizes[s]); /* it was unmasked */
            ws_in_init(&in, MAX, false);
            assert_int_equal(ws_in_next(&in, &head, &head_len, &event), WS_IN_NOTHING);
            assert_int_equal(ws_in_next(&in, &tail, &tail_len, &event), WS_IN_MESSAGE);
            assert_int_equal(event.len, sizes[s]);
            assert_memory_equal(event.data, data, sizes[s]);
            ws_in_fini(&in);
        }
    }
    free(bytes);
    free(data);
}

static void breaches_are_told_with_their_code(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t len;
        unsigned code;
    } cases[] = {
        {{0x81, 0x01, 'a'}, 3, 1002}, /* not masked */
        {{0xc1}, 1, 1002},            /* RSV1, told with the first byte */
        {{0xa1}, 1, 1002},            /* RSV2 */
        {{0x91}, 1, 1002},            /* RSV3 */
        {{0x41}, 1, 1002},            /* RSV1 of a fragment */
        {{0x83}, 1, 1002},            /* opcodes not given out */
        {{0x87}, 1, 1002},
        {{0x8b}, 1, 1002},
        {{0x8f}, 1, 1002},
        {{0x80}, 1, 1002}, /* continues nothing */
        {{0x00}, 1, 1002},
        {{0x08}, 1, 1002}, /* control frames in fragments */
        {{0x09}, 1, 1002},
        {{0x0a}, 1, 1002},
        {{0x89, 0xfe}, 2, 1002}, /* control frames too long */
        {{0x88, 0xff}, 2, 1002},
        {{0x81, 0xfe, 0, 125, 0, 0, 0, 0}, 8, 1002}, /* 16 bits for what fits 7 */
        {{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, 14, 1002},
        {{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 14, 1002}, /* the top bit */
        {{0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 14, 1009},
        {{0x88, 0x81, 0, 0, 0, 0, 3}, 7, 1002},       /* half a code */
        {{0x88, 0x82, 0, 0, 0, 0, 3, 237}, 8, 1002},  /* 1005 */
        {{0x88, 0x82, 0, 0, 0, 0, 3, 247}, 8, 1002},  /* 1015 */
        {{0x88, 0x82, 0, 0, 0, 0, 19, 136}, 8, 1002}, /* 5000 */
        {{0x88, 0x83, 0, 0, 0, 0, 3, 232, 0xff}, 9, 1007},
        {{0x81, 0x82, 0, 0, 0, 0, 0xc0}, 7, 1007}, /* before the frame ends */
        {{0x81, 0x81, 0, 0, 0, 0, 0xe2}, 7, 1007}, /* cut short */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feed *feed = NULL;

        setup((void **)&feed);
        memcpy(feed->bytes, cases[i].bytes, cases[i].len);
        feed->n = cases[i].len;
        broken_with(feed, cases[i].code);
        teardown((void **)&feed);
    }
}

static void messages_do_not_nest(void **state)
{
    struct feed *feed = *state;

    add(feed, WS_OP_TEXT, "a", 1);
    add(feed, FIN | WS_OP_TEXT, "b", 1);
    broken_with(feed, 1002);
}

static void text_fails_with_the_byte_that_spoils_it(void **state)
{
    struct feed *feed = *state;

    add(feed, WS_OP_TEXT, "\xce\xba\xe1\xbd", 4); /* the second may still become one */
    assert_int_equal(next(feed), WS_IN_NOTHING);
    feed->data = NULL;
    feed->n = 0;
    add(feed, WS_OP_MORE, "x", 1);
    broken_with(feed, 1007);
}

static void fragments_too_long_together(void **state)
{
    struct feed *feed = *state;
    uint8_t *half = calloc(1, MAX / 2 + 1);

    add(feed, WS_OP_BINARY, half, MAX / 2 + 1);
    assert_int_equal(next(feed), WS_IN_NOTHING);
    feed->data = NULL;
    /* told by the head alone */
    feed->n = frame(feed->bytes, FIN | WS_OP_MORE, half, MAX / 2 + 1) - MAX / 2 - 1;
    broken_with(feed, 1009);
    free(half);
}

static void closes_with_and_without_a_code(void **state)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1011,
                                    1014, 3000, 3999, 4000, 4999};

    (void)state;
    for (size_t i = 0; i <= sizeof(good) / sizeof(good[0]); i++) {
        bool bare = i == sizeof(good) / sizeof(good[0]);
        const uint8_t code[] = {bare ? 0 : (uint8_t)(good[i] >> 8),
                                bare ? 0 : (uint8_t)good[i], 'o', 'k'};
        struct feed *feed = NULL;

        setup((void **)&feed);
        add(feed, FIN | WS_OP_CLOSE, code, bare ? 0 : sizeof(code));
        assert_int_equal(next(feed), WS_IN_CLOSE);
        assert_int_equal(feed->event.code, bare ? WS_CODE_NONE : good[i]);
        teardown((void **)&feed);
    }
}

static void heads_are_the_shortest(void **state)
{
    uint8_t head[WS_HEAD_MAX];

    (void)state;
    assert_int_equal(ws_head_write(head, WS_OP_TEXT, 125), 2);
    assert_memory_equal(head, "\x81\x7d", 2);
    assert_int_equal(ws_head_write(head, WS_OP_BINARY, 126), 4);
    assert_memory_equal(head, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(ws_head_write(head, WS_OP_PONG, 0), 2);
    assert_memory_equal(head, "\x8a\x00", 2);
    assert_int_equal(ws_head_write(head, WS_OP_TEXT, 65536), 10);
    assert_memory_equal(head, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
}

static void keys_are_sixteen_bytes_in_base64(void **state)
{
    (void)state;
    assert_true(ws_key_ok("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_false(ws_key_ok("dGhlIHNhbXBsZSBub25jZQ="));
    assert_false(ws_key_ok("dGhlIHNhbXBsZSBub25jZQ==="));
    assert_false(ws_key_ok("dGhlIHNhbXBsZSBub25j!!=="));
    assert_false(ws_key_ok(""));
}

enum { PACKED = WS_HEAD_PACKED };

static void deflate_on(struct feed *feed)
{
    ws_in_init(&feed->in, MAX, true);
}

static void compressed_messages_whole_and_in_fragments(void **state)
{
    struct feed *feed = *state;

    deflate_on(feed);
    add(feed, FIN | PACKED | WS_OP_TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    add(feed, FIN | WS_OP_TEXT, "plain", 5);
    add(feed, PACKED | WS_OP_BINARY, "\xf2\x48", 2);
    add(feed, FIN | WS_OP_PING, "p", 1);
    add(feed, WS_OP_MORE, "", 0);
    add(feed, FIN | WS_OP_MORE, "\xcd\xc9\xc9\x07\x00", 5);
    add(feed, FIN | PACKED | WS_OP_TEXT, "\x00", 1);
    expect_message(feed, "Hello", 5, false);
    assert_null(feed->in.z); /* nothing is kept between messages */
    expect_message(feed, "plain", 5, false);
    assert_int_equal(next(feed), WS_IN_PING);
    expect_message(feed, "Hello", 5, true);
    expect_message(feed, "", 0, false);
    assert_int_equal(next(feed), WS_IN_NOTHING);
}

static void compression_stands_where_it_may_only(void **state)
{
    static const struct {
        bool agreed, within; /* a message has begun */
        unsigned first;
    } cases[] = {
        {false, false, FIN | PACKED | WS_OP_TEXT}, {true, false, FIN | PACKED | WS_OP_PING},
        {true, false, FIN | PACKED | WS_OP_CLOSE}, {true, true, FIN | PACKED | WS_OP_MORE},
        {true, false, FIN | 0x20 | WS_OP_TEXT},    {true, false, FIN | 0x60 | WS_OP_TEXT},
        {true, false, FIN | 0x10 | WS_OP_BINARY},
    };
    struct feed *feed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ws_in_fini(&feed->in);
        ws_in_init(&feed->in, MAX, cases[i].agreed);
        feed->data = NULL;
        feed->n = 0;
        if (cases[i].within) {
            add(feed, PACKED | WS_OP_TEXT, "\xf2\x48", 2);
        }
        add(feed, cases[i].first, "\x00", 1);
        broken_with(feed, 1002);
    }
}

static void bad_compression_and_bad_text_in_it_are_1007(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\xff\xff\xff", 3},                     /* no such block */
        {"\xf2\x48\xcd", 3},                     /* cut off */
        {"", 0},                                 /* not even an empty block */
        {"\xf2\x00\x11\x00\x00", 5},             /* of the last message's context */
        {"\x00\x02\x00\xfd\xff\xc3\x28\x00", 8}, /* not UTF-8 */
        {"\x00\x01\x00\xfe\xff\xc3\x00", 7},     /* half a character */
    };
    struct feed *feed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ws_in_fini(&feed->in);
        deflate_on(feed);
        feed->data = NULL;
        feed->n = 0;
        add(feed, FIN | PACKED | WS_OP_TEXT, cases[i].bytes, cases[i].len);
        broken_with(feed, 1007);
    }
}

/* What a message grows to is what counts, and no more than that is ever held. */
static void a_bomb_is_1009_at_the_limit(void **state)
{
    struct feed *feed = *state;
    uint8_t *zeros = calloc(1, MAX + 1);
    uint8_t *packed = malloc(MAX);

    for (size_t over = 0; over < 2; over++) {
        size_t n = ws_deflate(zeros, MAX + over, packed, MAX);

        assert_true(n > 0 && n < MAX / 100);
        ws_in_fini(&feed->in);
        deflate_on(feed);
        feed->data = NULL;
        feed->n = 0;
        add(feed, FIN | PACKED | WS_OP_BINARY, packed, n);
        if (over == 0) {
            expect_message(feed, zeros, MAX, true);
            assert_true(feed->in.msg_cap <= MAX + 1);
        } else {
            broken_with(feed, 1009);
        }
    }
    free(zeros);
    free(packed);
}

/* Blocks that hold nothing cost time: their number is bounded too. */
static void a_message_that_never_grows_ends(void **state)
{
    static const uint8_t empty[] = {0x00, 0x00, 0x00, 0xff, 0xff};
    struct feed *feed = *state;
    size_t n = 0;

    deflate_on(feed);
    for (;; n++) {
        feed->data = NULL;
        feed->n = 0;
        add(feed, n == 0 ? PACKED | WS_OP_BINARY : WS_OP_MORE, empty, sizeof(empty));
        if (next(feed) == WS_IN_BROKEN) {
            break;
        }
        assert_true(n * sizeof(empty) < 2 * (size_t)MAX);
    }
    assert_int_equal(feed->event.code, 1009);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(several_in_one_piece),
        T(whole_messages_are_not_copied),
        T(fragments_and_pings_between),
        cmocka_unit_test(each_length_cut_anywhere),
        cmocka_unit_test(breaches_are_told_with_their_code),
        T(messages_do_not_nest),
        T(text_fails_with_the_byte_that_spoils_it),
        T(fragments_too_long_together),
        cmocka_unit_test(closes_with_and_without_a_code),
        cmocka_unit_test(heads_are_the_shortest),
        cmocka_unit_test(keys_are_sixteen_bytes_in_base64),
        T(compressed_messages_whole_and_in_fragments),
        T(compression_stands_where_it_may_only),
        T(bad_compression_and_bad_text_in_it_are_1007),
        T(a_bomb_is_1009_at_the_limit),
        T(a_message_that_never_grows_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
