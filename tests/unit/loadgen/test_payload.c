/* Numbered payloads: any change is seen, and they look like the media they stand for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/payload.h"

static const struct payload sample = {.tag = 7,
                                      .number = UINT64_C(0x123456789ab),
                                      .sent_us = UINT64_C(0xfedcba987),
                                      .video = true,
                                      .frame_start = true,
                                      .key = true};

static void what_was_written_is_read(void **state)
{
    (void)state;
    for (size_t len = PAYLOAD_MIN; len <= PAYLOAD_MAX; len++) {
        struct payload in = sample;
        struct payload out;
        uint8_t data[PAYLOAD_MAX];

        in.video = len % 2 == 0;
        in.frame_start = in.video && len % 4 == 0;
        in.key = in.video && len % 3 == 0;
        payload_write(&in, data, len);
        assert_int_equal(payload_parse(data, len, in.video, &out), 0);
        assert_int_equal(out.tag, in.tag);
        assert_int_equal(out.number, in.number);
        assert_int_equal(out.sent_us, in.sent_us);
        assert_int_equal(out.frame_start, in.frame_start);
        assert_int_equal(out.key, in.key);
    }
}

static void every_changed_bit_is_seen(void **state)
{
    uint8_t data[160];
    struct payload out;
    (void)state;

    payload_write(&sample, data, sizeof(data));
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(payload_parse(data, sizeof(data), true, &out), -EBADMSG);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(payload_parse(data, sizeof(data), true, &out), 0);
}

static void shorter_longer_or_of_the_other_kind_is_refused(void **state)
{
    uint8_t data[PAYLOAD_MAX + 1] = {0};
    struct payload out;
    (void)state;

    payload_write(&sample, data, 100);
    for (size_t len = 0; len <= sizeof(data); len++) {
        if (len != 100) {
            assert_int_equal(payload_parse(data, len, true, &out), -EBADMSG);
        }
    }
    assert_int_equal(payload_parse(data, 100, false, &out), -EBADMSG);
}

static void video_is_what_a_node_takes_for_vp8(void **state)
{
    struct payload in = sample;
    uint8_t data[100];
    (void)state;

    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[0] & 0x17, 0x10); /* S, partition 0 (RFC 7741, 4.2) */
    assert_int_equal(data[1] & 1, 0);       /* a key frame ... */
    assert_memory_equal(data + 4, "\x9d\x01\x2a", 3);
    in.key = false;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[1] & 1, 1); /* ... and not */
    in.frame_start = false;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[0] & 0x10, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(every_changed_bit_is_seen),
        cmocka_unit_test(shorter_longer_or_of_the_other_kind_is_refused),
        cmocka_unit_test(video_is_what_a_node_takes_for_vp8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
