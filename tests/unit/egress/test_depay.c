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

/* Headers as the VP9 specification has them (6.2), written bit by bit. */
struct writer {
    uint8_t bytes[64];
    size_t at;
};

static void bits(struct writer *w, unsigned n, uint32_t value)
{
    for (; n > 0; n--, w->at++) {
        if ((value >> (n - 1) & 1) != 0) {
            w->bytes[w->at / 8] |= (uint8_t)(0x80u >> w->at % 8);
        }
    }
}

/* From the contexts to the end of the header, and a byte of what follows it. */
static size_t finish(struct writer *w, unsigned tile_bits, uint8_t last)
{
    bits(w, 1 + 1 + 2, 0);
    bits(w, 6 + 3 + 1, 0);     /* loop filter */
    bits(w, 8 + 3, 0x55 << 3); /* quantization */
    bits(w, 1, 0);             /* segmentation */
    bits(w, tile_bits, 0);     /* columns */
    bits(w, 1 + 16, 1);        /* rows; of the compressed header */
    w->at = (w->at + 7) / 8 * 8;
    bits(w, 8, last);
    return w->at / 8;
}

static size_t vp9_key_of(struct writer *w, uint16_t width, uint16_t height, uint8_t last)
{
    *w = (struct writer){.at = 0};
    bits(w, 2 + 2 + 1, 0x10); /* marker, profile, not shown again */
    bits(w, 3, 2);            /* key, shown */
    bits(w, 24, 0x498342);
    bits(w, 3 + 1, 0);
    bits(w, 16, width - 1u);
    bits(w, 16, height - 1u);
    bits(w, 1, 0);
    return finish(w, width >= 512, last);
}

/* Predicted, of a size of its own, 0 of that of the first reference. 'shown': else it says
 * besides that it is not of nothing. */
static size_t vp9_inter_of(struct writer *w, bool shown, uint8_t refresh, uint16_t width,
                           uint16_t height, uint8_t last)
{
    *w = (struct writer){.at = 0};
    bits(w, 2 + 2 + 1, 0x10);
    bits(w, 3, shown ? 6 : 4);
    bits(w, shown ? 0 : 1, 0);
    bits(w, 2, 0);
    bits(w, 8, refresh);
    for (unsigned i = 0; i < 3; i++) {
        bits(w, 4, i << 1);
    }
    bits(w, width != 0 ? 3 : 1, width == 0);
    if (width != 0) {
        bits(w, 16, width - 1u);
        bits(w, 16, height - 1u);
    }
    bits(w, 1 + 1 + 1, 3); /* of that size when shown; precise; whatever filter */
    return finish(w, width >= 512 || width == 0, last);
}

static bool put_layer(struct fixture *f, uint32_t ts, unsigned how, uint8_t sid,
                      const struct writer *frame, size_t len)
{
    /* I, L, B, E: the picture's number, SID (of the upper ones with D) and TL0PICIDX */
    uint8_t payload[80] = {0xac, 5, (uint8_t)(sid << 1 | (sid != 0)), 9};

    memcpy(payload + 4, frame->bytes, len);
    return put(f, ts, how, payload, 4 + len);
}

/* The frames that the index at the end tells of; returns how many. */
static size_t frames_of(const struct depay_frame *frame, const uint8_t *at[8],
                        size_t len[8])
{
    const uint8_t marker = frame->data[frame->len - 1];
    const size_t n = (marker & 7u) + 1, bytes = (marker >> 3 & 3u) + 1;
    const uint8_t *sizes = frame->data + frame->len - 1 - n * bytes;
    size_t sum = 0;

    assert_int_equal(marker & 0xe0, 0xc0);
    assert_int_equal(sizes[-1], marker);
    for (size_t i = 0; i < n; i++) {
        len[i] = 0;
        for (size_t k = 0; k < bytes; k++) {
            len[i] |= (size_t)*sizes++ << 8 * k;
        }
        at[i] = frame->data + sum;
        sum += len[i];
    }
    assert_int_equal(sum + 2 + n * bytes, frame->len);
    return n;
}

static void of_vp9_with_spatial_layers_the_highest_is_shown(void **state)
{
    struct fixture f;
    struct writer key, low, middle, high, hidden;
    const uint8_t *at[8];
    size_t len[8], low_len, key_len, middle_len, high_len, hidden_len;
    (void)state;

    setup(&f, ABI_CODEC_VP9);
    key_len = vp9_key_of(&key, 160, 90, 0xa1);
    middle_len = vp9_inter_of(&middle, true, 2, 320, 180, 0xa2);
    high_len = vp9_inter_of(&high, true, 4, 640, 360, 0xa3);
    assert_false(put_layer(&f, 1, 0, 0, &key, key_len));
    assert_false(put_layer(&f, 1, 0, 1, &middle, middle_len));
    assert_true(put_layer(&f, 1, MARKER, 2, &high, high_len));
    assert_true(f.frame.key);
    assert_int_equal(f.frame.width, 640);
    assert_int_equal(f.frame.height, 360);
    assert_int_equal(frames_of(&f.frame, at, len), 3);
    key.bytes[0] &= 0xfd; /* not shown */
    assert_int_equal(len[0], key_len);
    assert_memory_equal(at[0], key.bytes, key_len);
    hidden_len = vp9_inter_of(&hidden, false, 2, 320, 180, 0xa2);
    assert_int_equal(len[1], hidden_len);
    assert_memory_equal(at[1], hidden.bytes, hidden_len);
    assert_int_equal(len[2], high_len);
    assert_memory_equal(at[2], high.bytes, high_len);

    /* two layers, the upper one of its reference's size; no marker, the next ends it */
    low_len = vp9_inter_of(&low, true, 1, 160, 90, 0xb1);
    assert_false(put_layer(&f, 2, 0, 0, &low, low_len));
    assert_false(put_layer(&f, 2, 0, 2, &high, high_len));
    assert_true(depay_ends(&f.depay, 3, false, &f.frame));
    assert_int_equal(frames_of(&f.frame, at, len), 2);
    /* a single one is as it was */
    assert_true(put_layer(&f, 3, MARKER, 0, &low, low_len));
    assert_int_equal(f.frame.len, low_len);
    assert_memory_equal(f.frame.data, low.bytes, low_len);
    assert_int_equal(f.depay.broken, 0);
    teardown(&f);
}

/* A bit more, and it ends at a whole number of bytes: it is a byte longer. */
static void a_hidden_frame_may_be_longer(void **state)
{
    struct fixture f;
    struct writer key, inter, hidden;
    const uint8_t *at[8];
    size_t len[8], key_len, n, hidden_len, longer = 0;
    (void)state;

    for (uint16_t width = 64; width <= 1280; width += 448) {
        setup(&f, ABI_CODEC_VP9);
        key_len = vp9_key_of(&key, width, 90, 0xa1);
        n = vp9_inter_of(&inter, true, 1, width, 90, 0xa2);
        hidden_len = vp9_inter_of(&hidden, false, 1, width, 90, 0xa2);
        assert_true(put_layer(&f, 1, MARKER, 0, &key, key_len));
        assert_false(put_layer(&f, 2, 0, 0, &inter, n));
        assert_true(put_layer(&f, 2, MARKER, 1, &inter, n));
        assert_int_equal(frames_of(&f.frame, at, len), 2);
        assert_int_equal(len[0], hidden_len);
        assert_memory_equal(at[0], hidden.bytes, hidden_len);
        longer += hidden_len > n;
        teardown(&f);
    }
    assert_int_equal(longer, 2);
}

static void vp9_layers_that_make_no_sense_do_not_come_out(void **state)
{
    struct fixture f;
    struct writer key, high;
    size_t key_len, high_len;
    (void)state;

    setup(&f, ABI_CODEC_VP9);
    key_len = vp9_key_of(&key, 160, 90, 1);
    high_len = vp9_inter_of(&high, true, 4, 640, 360, 2);
    assert_false(put_layer(&f, 1, 0, 0, &key, key_len));
    assert_false(put_layer(&f, 1, MARKER | LOST, 2, &high, high_len)); /* the middle */
    assert_false(put_layer(&f, 2, 0, 0, &key, key_len));
    assert_false(put_layer(&f, 2, MARKER, 1, &high, 4)); /* cut off in its header */
    assert_false(put_layer(&f, 3, 0, 1, &key, key_len));
    assert_false(put_layer(&f, 3, MARKER, 0, &high, high_len)); /* downwards */
    assert_int_equal(f.depay.frames, 0);
    assert_int_equal(f.depay.broken, 3);
    assert_false(put_layer(&f, 4, 0, 0, &key, key_len));
    assert_true(put_layer(&f, 4, MARKER, 1, &high, high_len));
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
        cmocka_unit_test(of_vp9_with_spatial_layers_the_highest_is_shown),
        cmocka_unit_test(a_hidden_frame_may_be_longer),
        cmocka_unit_test(vp9_layers_that_make_no_sense_do_not_come_out),
        cmocka_unit_test(h264_gets_start_codes_and_its_fragments_together),
        cmocka_unit_test(h264_with_a_part_missing_does_not_come_out),
        cmocka_unit_test(h264_without_its_sets_is_no_key_frame),
        cmocka_unit_test(av1_gets_its_sizes_back),
        cmocka_unit_test(opus_packets_are_frames_and_tell_their_length),
        cmocka_unit_test(padding_alone_is_no_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
