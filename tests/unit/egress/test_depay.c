/* Frames of VP8, VP9, H264, AV1 and Opus out of payloads that are written out here by the
 * formats' specifications; and what becomes of them when packets are missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "egress/depay/depay.h"

struct fixture {
    struct depay depay;
    struct depay_buffers *buffers;
    struct depay_frame frame;
};

static void setup(struct fixture *f, enum abi_codec codec)
{
    memset(f, 0, sizeof(*f));
    f->buffers = malloc(sizeof(*f->buffers));
    assert_non_null(f->buffers);
    depay_init(&f->depay, codec, f->buffers);
}

static void teardown(struct fixture *f)
{
    free(f->buffers);
}

enum { LOST = 1, MARKER = 2 };

static bool put(struct fixture *f, uint32_t ts, unsigned how, const uint8_t *p, size_t len)
{
    assert_false(depay_ends(&f->depay, ts, (how & LOST) != 0, &f->frame));
    return depay_put(&f->depay, p, len, ts, (how & MARKER) != 0, (how & LOST) != 0,
                     &f->frame);
}

#define PUT(f_, ts_, how_, ...)                                                            \
    put((f_), (ts_), (how_), (const uint8_t[]){__VA_ARGS__},                               \
        sizeof((const uint8_t[]){__VA_ARGS__}))

#define ASSERT_FRAME(f_, ...)                                                              \
    do {                                                                                   \
        const uint8_t wanted_[] = {__VA_ARGS__};                                           \
        assert_int_equal((f_)->frame.len, sizeof(wanted_));                                \
        assert_memory_equal((f_)->frame.data, wanted_, sizeof(wanted_));                   \
    } while (0)

/* RFC 6386, 9.1: a key frame of 320 x 180 */
#define VP8_KEY 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00

static void vp8_frames_lose_their_descriptors(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_VP8);
    assert_true(depay_wants_key(&f.depay));
    assert_false(depay_wants_key(&f.depay));            /* said once */
    assert_false(PUT(&f, 1, MARKER, 0x10, 0x31, 0, 0)); /* no key frame yet */
    /* X, I with 15 bits, L, T and K */
    assert_false(PUT(&f, 2, 0, 0x90, 0xf0, 0x81, 0x23, 5, 0x20, VP8_KEY));
    assert_true(PUT(&f, 2, MARKER, 0x80, 0xf0, 0x81, 0x23, 5, 0x20, 0xaa, 0xbb));
    assert_true(f.frame.key);
    assert_int_equal(f.frame.width, 320);
    assert_int_equal(f.frame.height, 180);
    assert_int_equal(f.frame.ts, 2);
    ASSERT_FRAME(&f, VP8_KEY, 0xaa, 0xbb);
    /* X and I with 7 bits; no extension */
    assert_true(PUT(&f, 3, MARKER, 0x90, 0x80, 0x23, 0x11, 1, 2));
    assert_false(f.frame.key);
    ASSERT_FRAME(&f, 0x11, 1, 2);
    assert_true(PUT(&f, 4, MARKER, 0x10, 0x11, 3));
    ASSERT_FRAME(&f, 0x11, 3);
    teardown(&f);
}

static void after_a_loss_nothing_comes_out_before_a_key_frame(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_VP8);
    assert_true(PUT(&f, 1, MARKER, 0x10, VP8_KEY));
    (void)depay_wants_key(&f.depay);
    assert_false(PUT(&f, 2, 0, 0x10, 0x11, 1));
    assert_false(PUT(&f, 2, MARKER | LOST, 0x00, 2)); /* its middle is missing */
    assert_true(depay_wants_key(&f.depay));
    assert_false(PUT(&f, 3, MARKER, 0x10, 0x11, 1));
    assert_true(PUT(&f, 4, MARKER, 0x10, VP8_KEY));
    assert_true(PUT(&f, 5, MARKER, 0x10, 0x11, 1));
    assert_false(PUT(&f, 6, MARKER | LOST, 0x10, 0x11, 1)); /* a whole frame before it */
    assert_true(depay_wants_key(&f.depay));
    assert_false(PUT(&f, 7, MARKER | LOST, 0x00, 0x11, 1)); /* its first packet */
    assert_int_equal(f.depay.frames, 3);
    assert_int_equal(f.depay.broken, 4);
    teardown(&f);
}

static void a_frame_whose_end_is_missing_ends_with_the_next(void **state)
{
    struct fixture f;
    const uint8_t next[] = {0x10, VP8_KEY};
    (void)state;

    setup(&f, ABI_CODEC_VP8);
    assert_false(PUT(&f, 1, 0, 0x10, VP8_KEY));
    assert_true(
        depay_ends(&f.depay, 2, false, &f.frame)); /* nothing is missing: no marker */
    assert_true(f.frame.key);
    assert_false(PUT(&f, 2, 0, 0x10, 0x11, 1));
    assert_false(depay_ends(&f.depay, 3, true, &f.frame));
    assert_true(depay_put(&f.depay, next, sizeof(next), 3, true, true, &f.frame));
    teardown(&f);
}

/* VP9 specification, 6.2: profile 0, a key frame, 320 x 180 */
#define VP9_KEY 0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30

static void vp9_of_a_single_layer(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_VP9);
    /* I with 15 bits, F, B, and V: one layer with its size, one picture */
    assert_false(
        PUT(&f, 1, 0, 0x9a, 0x81, 0x23, 0x18, 1, 0x40, 0, 0xb4, 1, 0x04, 1, VP9_KEY));
    assert_true(PUT(&f, 1, MARKER, 0x94, 0x81, 0x23, 7, 8));
    assert_true(f.frame.key);
    assert_int_equal(f.frame.width, 320);
    assert_int_equal(f.frame.height, 180);
    ASSERT_FRAME(&f, VP9_KEY, 7, 8);
    /* I, P, F, B, E: two references */
    assert_true(PUT(&f, 2, MARKER, 0xdc, 0x24, 0x03, 0x04, 0x86, 1));
    assert_false(f.frame.key);
    ASSERT_FRAME(&f, 0x86, 1);
    teardown(&f);
}

static void of_vp9_with_spatial_layers_the_lowest_is_taken(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_VP9);
    /* I, L, B, E: SID 0 with TL0PICIDX; SID 1 behind it ends the picture */
    assert_true(PUT(&f, 1, 0, 0xac, 0x05, 0x00, 9, VP9_KEY));
    ASSERT_FRAME(&f, VP9_KEY);
    assert_false(PUT(&f, 1, 0, 0xa8, 0x05, 0x03, 9, 1, 1));
    assert_false(PUT(&f, 1, MARKER, 0xa4, 0x05, 0x03, 9, 1, 1));
    assert_true(PUT(&f, 2, 0, 0xec, 0x06, 0x01, 9, 0x86, 2));
    ASSERT_FRAME(&f, 0x86, 2);
    assert_int_equal(f.depay.broken, 0);
    teardown(&f);
}

static void h264_gets_start_codes_and_its_fragments_together(void **state)
{
    struct fixture f;
    uint8_t sets[64];
    (void)state;

    setup(&f, ABI_CODEC_H264);
    /* STAP-A of SPS and PPS, then an IDR slice in three fragments */
    assert_false(PUT(&f, 1, 0, 0x78, 0, 3, 0x67, 0x42, 1, 0, 2, 0x68, 0xce));
    assert_false(PUT(&f, 1, 0, 0x7c, 0x85, 1, 2));
    assert_false(PUT(&f, 1, 0, 0x7c, 0x05, 3));
    assert_true(PUT(&f, 1, MARKER, 0x7c, 0x45, 4));
    assert_true(f.frame.key);
    ASSERT_FRAME(&f, 0, 0, 0, 1, 0x67, 0x42, 1, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65, 1,
                 2, 3, 4);
    assert_int_equal(depay_extradata(&f.depay, sets, sizeof(sets)), 13);
    assert_memory_equal(sets, f.frame.data, 13);
    assert_true(PUT(&f, 2, MARKER, 0x41, 9));
    assert_false(f.frame.key);
    ASSERT_FRAME(&f, 0, 0, 0, 1, 0x41, 9);
    teardown(&f);
}

static void h264_with_a_part_missing_does_not_come_out(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_H264);
    assert_false(PUT(&f, 1, 0, 0x7c, 0x85, 1, 2));
    assert_false(PUT(&f, 1, MARKER | LOST, 0x7c, 0x45, 4)); /* a fragment */
    assert_false(PUT(&f, 2, MARKER, 0x7c, 0x45, 4));        /* its start */
    assert_false(PUT(&f, 3, 0, 0x7c, 0x85, 4));
    assert_false(PUT(&f, 3, MARKER, 0x65, 4)); /* its end */
    /* the second slice of a key frame whose first is missing */
    assert_false(PUT(&f, 4, MARKER | LOST, 0x65, 4));
    assert_false(PUT(&f, 5, MARKER, 0x78, 0, 9, 0x67, 1)); /* cut off */
    assert_int_equal(f.depay.frames, 0);
    assert_int_equal(f.depay.frames, 0);
    assert_false(PUT(&f, 6, 0, 0x78, 0, 3, 0x67, 0x42, 1, 0, 2, 0x68, 0xce));
    assert_true(PUT(&f, 6, MARKER, 0x65, 4));
    teardown(&f);
}

static void h264_without_its_sets_is_no_key_frame(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_H264);
    assert_false(PUT(&f, 1, MARKER, 0x65, 4));
    assert_false(PUT(&f, 2, MARKER, 0x78, 0, 3, 0x67, 0x42, 1, 0, 2, 0x65, 4)); /* no PPS */
    assert_true(depay_wants_key(&f.depay));
    assert_false(PUT(&f, 3, 0, 0x78, 0, 3, 0x67, 0x42, 1, 0, 2, 0x68, 0xce));
    assert_true(PUT(&f, 3, MARKER, 0x65, 4));
    assert_true(PUT(&f, 4, MARKER, 0x65, 4)); /* they stand until there are others */
    assert_true(f.frame.key);
    teardown(&f);
}

/* A sequence header, a delimiter to be left out, and a frame in two packets. */
static void av1_gets_its_sizes_back(void **state)
{
    struct fixture f;
    uint8_t header[16];
    (void)state;

    setup(&f, ABI_CODEC_AV1);
    /* N, Y, W 3: delimiter (1 byte), sequence header (3), frame (goes on) */
    assert_false(PUT(&f, 1, 0, 0x78, 1, 0x10, 3, 0x08, 0xaa, 0xbb, 0x30, 1, 2));
    /* Z, W 1 */
    assert_true(PUT(&f, 1, MARKER, 0x90, 3, 4));
    assert_true(f.frame.key);
    ASSERT_FRAME(&f, 0x0a, 2, 0xaa, 0xbb, 0x32, 4, 1, 2, 3, 4);
    assert_int_equal(depay_extradata(&f.depay, header, sizeof(header)), 4);
    assert_memory_equal(header, f.frame.data, 4);
    /* W 0: each element tells its size; with an extension */
    assert_true(PUT(&f, 2, MARKER, 0x00, 3, 0x34, 0x08, 7, 2, 0x30, 8));
    assert_false(f.frame.key);
    ASSERT_FRAME(&f, 0x36, 0x08, 1, 7, 0x32, 1, 8);
    assert_false(PUT(&f, 3, MARKER, 0x90, 3, 4)); /* goes on from nothing */
    assert_true(depay_wants_key(&f.depay));
    assert_false(PUT(&f, 4, MARKER, 0x00, 9, 0x30)); /* longer than the packet */
    teardown(&f);
}

static void opus_packets_are_frames_and_tell_their_length(void **state)
{
    struct fixture f;
    const struct {
        uint8_t toc, count;
        uint32_t samples;
    } cases[] = {
        {0x00, 0, 480},  /* SILK, 10 ms */
        {0x18, 0, 2880}, /* SILK, 60 ms */
        {0x60, 0, 480},  /* hybrid */
        {0x68, 0, 960},  /* hybrid, 20 ms */
        {0xfc, 0, 960},  /* CELT, 20 ms, stereo */
        {0xe0, 0, 120},  /* CELT, 2.5 ms */
        {0xf9, 0, 1920}, /* two frames */
        {0xfb, 3, 2880}, /* three */
        {0xfb, 0, 0},    /* none: makes no sense */
        {0x1b, 3, 0},    /* 180 ms: more than may be */
    };
    (void)state;

    setup(&f, ABI_CODEC_OPUS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t packet[] = {cases[i].toc, cases[i].count, 1};

        assert_int_equal(depay_opus_samples(packet, sizeof(packet)), cases[i].samples);
        assert_int_equal(put(&f, 960 * (uint32_t)i, LOST, packet, sizeof(packet)),
                         cases[i].samples != 0);
    }
    assert_false(depay_wants_key(&f.depay));
    teardown(&f);
}

static void padding_alone_is_no_frame(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, ABI_CODEC_VP8);
    assert_true(PUT(&f, 1, MARKER, 0x10, VP8_KEY));
    assert_false(put(&f, 1, 0, NULL, 0));
    assert_true(PUT(&f, 2, MARKER, 0x10, 0x11, 1));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp8_frames_lose_their_descriptors),
        cmocka_unit_test(after_a_loss_nothing_comes_out_before_a_key_frame),
        cmocka_unit_test(a_frame_whose_end_is_missing_ends_with_the_next),
        cmocka_unit_test(vp9_of_a_single_layer),
        cmocka_unit_test(of_vp9_with_spatial_layers_the_lowest_is_taken),
        cmocka_unit_test(h264_gets_start_codes_and_its_fragments_together),
        cmocka_unit_test(h264_with_a_part_missing_does_not_come_out),
        cmocka_unit_test(h264_without_its_sets_is_no_key_frame),
        cmocka_unit_test(av1_gets_its_sizes_back),
        cmocka_unit_test(opus_packets_are_frames_and_tell_their_length),
        cmocka_unit_test(padding_alone_is_no_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
