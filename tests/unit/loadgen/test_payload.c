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
                                      .kind = PAYLOAD_VP8,
                                      .temporal = true,
                                      .picture = 0x1234,
                                      .tl0 = 0x56,
                                      .layers = 0x60,
                                      .frame_start = true,
                                      .key = true};

static void what_was_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 12 * PAYLOAD_MAX; i++) {
        struct payload in = sample;
        struct payload out;
        uint8_t data[PAYLOAD_MAX];
        size_t len = i / 12;

        in.kind = (enum payload_kind)(i % 3);
        in.temporal = in.kind == PAYLOAD_VP8 && len % 2 == 0;
        in.frame_start = in.kind != PAYLOAD_OPUS && i / 3 % 2 == 0;
        in.key = in.kind != PAYLOAD_OPUS && i / 6 % 2 == 0;
        in.second = !in.frame_start && len % 2 == 0;
        in.frame_end = len % 3 == 0;
        if (len < payload_min(in.kind)) {
            continue;
        }
        payload_write(&in, data, len);
        assert_int_equal(payload_parse(data, len, in.kind, &out), 0);
        assert_int_equal(out.temporal, in.temporal);
        assert_int_equal(out.picture, in.kind == PAYLOAD_VP8 ? in.picture : 0);
        assert_int_equal(out.tl0, in.temporal ? in.tl0 : 0);
        assert_int_equal(out.layers, in.temporal ? in.layers : 0);
        assert_int_equal(out.tag, in.tag);
        assert_int_equal(out.number, in.number);
        assert_int_equal(out.sent_us, in.sent_us);
        assert_int_equal(out.frame_start, in.frame_start);
        assert_int_equal(out.key, in.key);
    }
}

/* PictureID and TL0PICIDX of the sample, which a node counts anew when it leaves frames out; what
 * says how they are written is not among them. */
static bool may_change(size_t bit)
{
    return bit / 8 >= 2 && bit / 8 <= 4;
}

static void every_changed_bit_is_seen_but_of_numbers_that_a_node_changes(void **state)
{
    uint8_t data[160];
    struct payload out;
    (void)state;

    payload_write(&sample, data, sizeof(data));
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(payload_parse(data, sizeof(data), PAYLOAD_VP8, &out),
                         may_change(bit) ? 0 : -EBADMSG);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(payload_parse(data, sizeof(data), PAYLOAD_VP8, &out), 0);
}

static void shorter_longer_or_of_the_other_kind_is_refused(void **state)
{
    uint8_t data[PAYLOAD_MAX + 1] = {0};
    struct payload out;
    (void)state;

    payload_write(&sample, data, 100);
    for (size_t len = 0; len <= sizeof(data); len++) {
        if (len != 100) {
            assert_int_equal(payload_parse(data, len, PAYLOAD_VP8, &out), -EBADMSG);
        }
    }
    assert_int_equal(payload_parse(data, 100, PAYLOAD_OPUS, &out), -EBADMSG);
    assert_int_equal(payload_parse(data, 100, PAYLOAD_H264, &out), -EBADMSG);
}

static void video_is_what_a_node_takes_for_vp8(void **state)
{
    struct payload in = sample;
    uint8_t data[100];
    (void)state;

    payload_write(&in, data, sizeof(data));
    /* X S; I L T; PictureID, TL0PICIDX, TID and Y (RFC 7741, 4.2); a key frame ... */
    assert_memory_equal(data, "\x90\xe0\x92\x34\x56\x60", 6);
    assert_int_equal(data[6] & 1, 0);
    assert_memory_equal(data + 9, "\x9d\x01\x2a", 3);
    in.key = false;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[6] & 1, 1); /* ... and not */
    in.frame_start = false;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[0] & 0x10, 0);
    in.temporal = false;
    payload_write(&in, data, sizeof(data));
    assert_memory_equal(data, "\x80\x80\x92\x34", 4);
}

static void video_is_what_a_node_takes_for_h264(void **state)
{
    struct payload in = {.kind = PAYLOAD_H264, .frame_start = true, .key = true};
    uint8_t data[100];
    (void)state;

    /* parameter sets before what has our numbers: three NAL units (RFC 6184, 5.7.1) */
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[0] & 0x1f, 24);
    assert_memory_equal(data + 1, "\x00\x0f\x67", 3);
    assert_memory_equal(data + 18, "\x00\x04\x68", 3);
    assert_int_equal(data[24] << 8 | data[25], sizeof(data) - 26);
    assert_int_equal(data[26] & 0x1f, 6); /* SEI; the picture follows */
    in.frame_end = true;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[26] & 0x1f, 5); /* or is it */
    in.frame_start = in.frame_end = false;
    in.second = true;
    payload_write(&in, data, sizeof(data));
    assert_memory_equal(data, "\x7c\x85", 2); /* FU-A, the first of an IDR (5.8) */
    in.second = false;
    payload_write(&in, data, sizeof(data));
    assert_memory_equal(data, "\x7c\x05", 2);
    in.frame_end = true;
    payload_write(&in, data, sizeof(data));
    assert_memory_equal(data, "\x7c\x45", 2);
    in.key = false;
    in.frame_start = true;
    payload_write(&in, data, sizeof(data));
    assert_int_equal(data[0], 0x61); /* small enough for one */
    in.frame_end = false;
    payload_write(&in, data, sizeof(data));
    assert_memory_equal(data, "\x7c\x81", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(every_changed_bit_is_seen_but_of_numbers_that_a_node_changes),
        cmocka_unit_test(shorter_longer_or_of_the_other_kind_is_refused),
        cmocka_unit_test(video_is_what_a_node_takes_for_vp8),
        cmocka_unit_test(video_is_what_a_node_takes_for_h264),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
