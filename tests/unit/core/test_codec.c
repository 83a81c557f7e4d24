/* Key frame detection in RTP payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/codec.h"
#include "support/exact.h"

struct row {
    const char *what;
    size_t len;
    uint8_t payload[12];
    bool is_key;
};

/* Every row, and every prefix of it (in exact memory; the verdict of a prefix may be either
 * as long as it is reached without reading on). */
static void rows_are(enum codec_kind codec, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t len = 0; len <= rows[i].len; len++) {
            uint8_t *copy = exact_copy(rows[i].payload, len);
            bool got = codec_is_keyframe(codec, copy, len);

            if (len == rows[i].len && got != rows[i].is_key) {
                fail_msg("%s", rows[i].what);
            }
            free(copy);
        }
    }
}

static void vp8_key_frame_is_told_by_its_first_partition(void **state)
{
    static const struct row rows[] = {
        {"plain key", 2, {0x10, 0x50}, true},
        {"plain delta", 2, {0x10, 0x51}, false},
        {"not the start of a partition", 2, {0x00, 0x50}, false},
        {"start of partition 1", 2, {0x11, 0x50}, false},
        {"non-reference bit is no matter", 2, {0x30, 0x50}, true},
        {"7-bit picture id", 4, {0x90, 0x80, 0x01, 0x50}, true},
        {"15-bit picture id", 5, {0x90, 0x80, 0x81, 0x01, 0x50}, true},
        {"15-bit picture id, delta", 5, {0x90, 0x80, 0x81, 0x00, 0x51}, false},
        {"all extensions", 7, {0x90, 0xf0, 0x81, 0x01, 0x03, 0x21, 0x50}, true},
        {"all extensions, delta", 7, {0x90, 0xf0, 0x81, 0x00, 0x02, 0x20, 0x51}, false},
        {"key index only", 4, {0x90, 0x10, 0x01, 0x50}, true},
        {"descriptor alone", 1, {0x10}, false},
        {"cut in the extensions", 3, {0x90, 0x80, 0x81}, false},
        {"cut before the frame", 4, {0x90, 0x80, 0x81, 0x01}, false},
    };
    (void)state;

    rows_are(CODEC_VP8, rows, sizeof(rows) / sizeof(rows[0]));
}

static void vp9_key_frame_is_told_by_its_descriptor(void **state)
{
    static const struct row rows[] = {
        {"begin, not predicted", 2, {0x08, 0x80}, true},
        {"begin, predicted", 2, {0x48, 0x80}, false},
        {"not the beginning", 2, {0x00, 0x80}, false},
        {"end of the same frame", 2, {0x04, 0x80}, false},
        {"picture id and scalability structure", 5, {0x8a, 0x81, 0x23, 0x18, 0x00}, true},
        {"lowest layer", 5, {0xa8, 0x81, 0x23, 0x00, 0x00}, true},
        {"higher spatial layer", 5, {0xa8, 0x81, 0x23, 0x03, 0x00}, false},
        {"layer behind a 7-bit id", 4, {0xa8, 0x01, 0x04, 0x00}, false},
        {"cut in the picture id", 2, {0x88, 0x81}, false},
        {"cut before the layer", 3, {0xa8, 0x81, 0x23}, false},
    };
    (void)state;

    rows_are(CODEC_VP9, rows, sizeof(rows) / sizeof(rows[0]));
}

static void h264_key_frame_is_told_by_sps_or_idr(void **state)
{
    static const struct row rows[] = {
        {"IDR", 2, {0x65, 0x88}, true},
        {"SPS", 2, {0x67, 0x42}, true},
        {"PPS", 2, {0x68, 0xce}, false},
        {"slice", 2, {0x41, 0x9a}, false},
        {"STAP-A of SPS and PPS", 8, {0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68}, true},
        {"STAP-A, IDR second", 8, {0x78, 0, 1, 0x09, 0, 2, 0x65, 0x88}, true},
        {"STAP-A of slices", 8, {0x78, 0, 1, 0x41, 0, 2, 0x41, 0x9a}, false},
        {"STAP-A past its end", 4, {0x78, 0, 9, 0x67}, false},
        {"STAP-A of nothing", 5, {0x78, 0, 0, 0, 0}, false},
        {"STAP-A, half a length", 5, {0x78, 0, 1, 0x41, 0}, false},
        {"FU-A start of IDR", 3, {0x7c, 0x85, 0x88}, true},
        {"FU-A middle of IDR", 3, {0x7c, 0x05, 0x88}, false},
        {"FU-A end of IDR", 3, {0x7c, 0x45, 0x88}, false},
        {"FU-A start of a slice", 3, {0x7c, 0x81, 0x88}, false},
        {"FU-A without header", 1, {0x7c}, false},
    };
    (void)state;

    rows_are(CODEC_H264, rows, sizeof(rows) / sizeof(rows[0]));
}

static void av1_key_frame_is_told_by_the_aggregation_header(void **state)
{
    static const struct row rows[] = {
        {"new sequence", 2, {0x18, 0x0a}, true},
        {"new sequence, continues in the next", 2, {0x68, 0x0a}, true},
        {"no new sequence", 2, {0x10, 0x32}, false},
        {"continued OBU", 2, {0x90, 0x32}, false},
        {"continued and new: forbidden", 2, {0x98, 0x32}, false},
        {"header alone", 1, {0x18}, false},
    };
    (void)state;

    rows_are(CODEC_AV1, rows, sizeof(rows) / sizeof(rows[0]));
}

static void audio_and_unknown_have_no_key_frames(void **state)
{
    const uint8_t payload[] = {0x18, 0x50};
    (void)state;

    assert_false(codec_is_keyframe(CODEC_OPUS, payload, sizeof(payload)));
    assert_false(codec_is_keyframe(CODEC_NONE, payload, sizeof(payload)));
    assert_false(codec_is_keyframe(CODEC_VP8, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp8_key_frame_is_told_by_its_first_partition),
        cmocka_unit_test(vp9_key_frame_is_told_by_its_descriptor),
        cmocka_unit_test(h264_key_frame_is_told_by_sps_or_idr),
        cmocka_unit_test(av1_key_frame_is_told_by_the_aggregation_header),
        cmocka_unit_test(audio_and_unknown_have_no_key_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
