/* Descriptors as they stand in RFC 7741, RFC 9628, RFC 6184 and in the AV1 RTP payload
 * specification, appendix A: what is read, what is written, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/layer.h"
#include "core/layer_write.h"

static int parse(enum codec_kind codec, const uint8_t *p, size_t len,
                 struct layer_info *out)
{
    struct layer_state state = {.apart = false};

    return layer_parse(&state, codec, p, len, NULL, 0, out);
}

static void vp8_says_picture_layer_and_entry(void **state)
{
    static const uint8_t wide[] = {0x90, 0xf0, 0x81, 0x23, 7, 0x65, 0x01};
    static const uint8_t narrow[] = {0x90, 0x80, 0x45, 0x00};
    struct layer_info info;
    (void)state;

    assert_int_equal(parse(CODEC_VP8, wide, sizeof(wide), &info), 0);
    assert_int_equal(info.bits, 15);
    assert_int_equal(info.picture, 0x123);
    assert_int_equal(info.tl0, 7);
    assert_int_equal(info.temporal, 1);
    assert_int_equal(info.keyidx, 5);
    assert_int_equal(info.chain, 0); /* Y: leans on the base only */
    assert_true((info.sync & LAYER_BIT(0, 1)) != 0);
    assert_true((info.present & LAYER_BIT(0, 0)) == 0);
    assert_int_equal(parse(CODEC_VP8, narrow, sizeof(narrow), &info), 0);
    assert_int_equal(info.bits, 7);
    assert_int_equal(info.picture, 0x45);
    assert_true((info.flags & LAYER_KEY) != 0);
}

static void vp9_says_spatial_layers_and_their_end(void **state)
{
    /* I P L B E, not flexible: picture, layer indices (T 2, U, S 1, D), TL0PICIDX */
    static const uint8_t inter[] = {0xec, 0x80, 0x09, 0x53, 3, 0xaa};
    struct layer_info info;
    (void)state;

    assert_int_equal(parse(CODEC_VP9, inter, sizeof(inter), &info), 0);
    assert_int_equal(info.spatial, 1);
    assert_int_equal(info.temporal, 2);
    assert_int_equal(info.picture, 9);
    assert_int_equal(info.tl0, 3);
    assert_int_equal(info.flags, LAYER_TL0 | LAYER_BEGIN | LAYER_END);
    assert_true((info.present & LAYER_BIT(0, 3)) == 0);
    assert_true((info.present & LAYER_BIT(2, 2)) != 0);
}

/* Flexible: P_DIFFs follow the indices, three at most, and there is no TL0PICIDX. What
 * stands behind them is found: a byte less, and nothing is left of the picture. */
static void vp9_names_up_to_three_pictures_that_it_leans_on(void **state)
{
    /* I P L F B E: picture 0x1234, T 1 S 2 D, P_DIFFs of 1, 4, 127 */
    static const uint8_t three[] = {0xfc, 0x92, 0x34, 0x25, 1 << 1 | 1, 4 << 1 | 1,
                                    127 << 1, 0xaa};
    static const uint8_t four[] = {0xfc, 0x92, 0x34, 0x25, 3, 3, 3, 2, 0xaa};
    /* a key picture leans on none: what follows is the picture */
    static const uint8_t none[] = {0xbc, 0x92, 0x34, 0x00, 0xaa};
    struct layer_info info;
    (void)state;

    assert_int_equal(parse(CODEC_VP9, three, sizeof(three), &info), 0);
    assert_int_equal(info.picture, 0x1234);
    assert_int_equal(info.bits, 15);
    assert_int_equal(info.temporal, 1);
    assert_int_equal(info.spatial, 2);
    assert_int_equal(info.flags, LAYER_BEGIN | LAYER_END);
    for (size_t len = 0; len < sizeof(three); len++) {
        assert_int_equal(parse(CODEC_VP9, three, len, &info), -EBADMSG);
    }
    assert_int_equal(parse(CODEC_VP9, four, sizeof(four), &info), -EBADMSG);
    assert_int_equal(parse(CODEC_VP9, none, sizeof(none), &info), 0);
    assert_true((info.flags & LAYER_KEY) != 0);
}

/* A key picture's scalability structure: three sizes and a pattern of four pictures, in all
 * its forms. */
static void vp9_structure_is_passed_over_to_its_last_byte(void **state)
{
    /* I L F B V: picture 0x0123, S 0, then the structure */
    static const uint8_t sizes_and_pattern[] = {
        0xba, 0x81, 0x23, 0x00,                         /* */
        0x58,                                           /* N_S 2, Y, G */
        1, 64, 0, 180, 2, 128, 1, 104, 5, 0, 2, 208,    /* 320x180 640x360 1280x720 */
        4,                                              /* N_G */
        0x04, 4, 0x54, 1, 0x38, 1, 2, 0x48, 1, 2, 0xaa, /* T U R, P_DIFFs */
    };
    static const uint8_t sizes[] = {0xba, 0x81, 0x23, 0x00, 0x10, 1, 64, 0, 180, 0xaa};
    static const uint8_t pattern[] = {0xba, 0x81, 0x23, 0x00, 0x08, 1, 0x14, 1, 0xaa};
    static const uint8_t nothing[] = {0xba, 0x81, 0x23, 0x00, 0x00, 0xaa};
    static const struct {
        const uint8_t *bytes;
        size_t len;
    } all[] = {{sizes_and_pattern, sizeof(sizes_and_pattern)},
               {sizes, sizeof(sizes)},
               {pattern, sizeof(pattern)},
               {nothing, sizeof(nothing)}};
    struct layer_info info;
    (void)state;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(parse(CODEC_VP9, all[i].bytes, all[i].len, &info), 0);
        assert_int_equal(info.picture, 0x123);
        assert_int_equal(info.flags, LAYER_BEGIN | LAYER_KEY);
        assert_int_equal(info.sync, LAYER_ALL);
        for (size_t len = 0; len < all[i].len; len++) {
            assert_int_equal(parse(CODEC_VP9, all[i].bytes, len, &info), -EBADMSG);
        }
    }
}

static void what_is_cut_off_is_refused(void **state)
{
    static const uint8_t vp8[] = {0x90, 0xf0, 0x81, 0x23, 7, 0x65, 0x01};
    static const uint8_t vp9[] = {0xae, 0x81, 0x23, 0x10, 1, 0x78, 1, 2, 3, 4};
    static const uint8_t stap[] = {24, 0, 9, 0x67, 1};
    static const uint8_t fu[] = {28, 0x85};
    struct layer_info info;
    (void)state;

    for (size_t len = 0; len < sizeof(vp8); len++) {
        assert_int_equal(parse(CODEC_VP8, vp8, len, &info), -EBADMSG);
    }
    for (size_t len = 0; len < sizeof(vp9); len++) {
        assert_int_equal(parse(CODEC_VP9, vp9, len, &info), -EBADMSG);
    }
    assert_int_equal(parse(CODEC_H264, stap, sizeof(stap), &info), -EBADMSG);
    assert_int_equal(parse(CODEC_H264, fu, sizeof(fu), &info), -EBADMSG);
    assert_int_equal(parse(CODEC_AV1, fu, 1, &info), -EBADMSG);
}

static void numbers_are_written_where_they_were_read(void **state)
{
    const struct layer_numbers numbers = {.picture = 0x7ffe, .tl0 = 99, .keyidx = 31};
    uint8_t vp8[] = {0x90, 0xf0, 0x81, 0x23, 7, 0x65, 0x01};
    uint8_t vp9[] = {0xec, 0x80, 0x09, 0x53, 3, 0xaa};
    static const uint8_t vp8_out[] = {0x90, 0xf0, 0xff, 0xfe, 99, 0x7f, 0x01};
    static const uint8_t vp9_out[] = {0xec, 0xff, 0xfe, 0x53, 99, 0xaa};
    (void)state;

    assert_int_equal(layer_write(CODEC_VP8, vp8, sizeof(vp8), &numbers), 0);
    assert_memory_equal(vp8, vp8_out, sizeof(vp8));
    assert_int_equal(layer_write(CODEC_VP9, vp9, sizeof(vp9), &numbers), 0);
    assert_memory_equal(vp9, vp9_out, sizeof(vp9));
    assert_int_equal(layer_write(CODEC_VP8, vp8, 4, &numbers), -EBADMSG);
}

/* L1T2: templates 0 (T0: needed by both, both may begin) and 1 (T1: by the second). */
static const uint8_t dd_key[] = {
    0xc0, 0x00, 0x01, /* first and last packet, template 0, frame 1 */
    0x80, 0x01,       /* a structure; first id 0, two decode targets */
    0x7a, 0x10,       /* T0, next T1, end; SS -D; no fdiffs, chains, resolutions */
};

static void a_structure_is_kept_for_those_that_follow(void **state)
{
    static const uint8_t later[] = {0xc1, 0x00, 0x02};
    static const uint8_t unknown[] = {0xc9, 0x00, 0x02};
    struct layer_dd dd = {.known = false};
    struct layer_dd_info info;
    (void)state;

    assert_int_equal(layer_dd_parse(&dd, later, sizeof(later), &info), -ENOENT);
    assert_int_equal(layer_dd_parse(&dd, dd_key, sizeof(dd_key), &info), 0);
    assert_true(info.structure);
    assert_int_equal(dd.n_templates, 2);
    assert_int_equal(dd.n_targets, 2);
    assert_int_equal(layer_dd_parse(&dd, later, sizeof(later), &info), 0);
    assert_int_equal(info.temporal, 1);
    assert_true((info.present & LAYER_BIT(0, 0)) == 0);
    assert_true((info.present & LAYER_BIT(0, 1)) != 0);
    assert_int_equal(layer_dd_parse(&dd, unknown, sizeof(unknown), &info), -EBADMSG);
    for (size_t len = 0; len < sizeof(dd_key) - 1; len++) {
        struct layer_dd fresh = {.known = false};

        assert_int_not_equal(layer_dd_parse(&fresh, dd_key, len, &info), 0);
        assert_false(fresh.known);
    }
}

/* A frame may differ from its template: its own indications count, for all its packets and
 * for no other frame. */
static void a_frame_has_indications_of_its_own(void **state)
{
    /* template 1, frame 2, indications: S for the first target, none for the second */
    static const uint8_t own[] = {0x81, 0x00, 0x02, 0x24, 0x00};
    static const uint8_t rest[] = {0x41, 0x00, 0x02};
    static const uint8_t other[] = {0x41, 0x00, 0x09}, next[] = {0xc1, 0x00, 0x03};
    struct layer_dd dd = {.known = false};
    struct layer_dd_info info;
    (void)state;

    assert_int_equal(layer_dd_parse(&dd, dd_key, sizeof(dd_key), &info), 0);
    assert_int_equal(layer_dd_parse(&dd, own, 4, &info), -EBADMSG); /* cut off in them */
    assert_int_equal(layer_dd_parse(&dd, own, sizeof(own), &info), 0);
    assert_true(info.begin && !info.end);
    assert_true((info.present & LAYER_BIT(0, 0)) != 0);
    assert_true((info.sync & LAYER_BIT(0, 0)) != 0);
    assert_true((info.present & LAYER_BIT(0, 1)) == 0);
    assert_true((info.sync & LAYER_BIT(0, 1)) == 0);
    assert_int_equal(layer_dd_parse(&dd, rest, sizeof(rest), &info), 0);
    assert_true(info.end && !info.begin);
    assert_true((info.present & LAYER_BIT(0, 0)) != 0);
    assert_true((info.present & LAYER_BIT(0, 1)) == 0);
    assert_int_equal(layer_dd_parse(&dd, other, sizeof(other), &info), 0);
    assert_true((info.present & LAYER_BIT(0, 1)) != 0); /* its first packet was lost */
    assert_int_equal(layer_dd_parse(&dd, next, sizeof(next), &info), 0);
    assert_true((info.present & LAYER_BIT(0, 0)) == 0);
    assert_true((info.present & LAYER_BIT(0, 1)) != 0);
}

/* H264 has no layers in its payload; a descriptor says them, the payload the key frames. */
static void h264_has_the_layers_that_a_descriptor_says(void **state)
{
    static const uint8_t idr[] = {0x65, 0x88}, slice[] = {0x41, 0x9a};
    static const uint8_t upper[] = {0xc1, 0x00, 0x02};
    struct layer_state layers = {.apart = false};
    struct layer_info info;
    (void)state;

    assert_int_equal(layer_parse(&layers, CODEC_H264, idr, sizeof(idr), dd_key,
                                 sizeof(dd_key), &info),
                     0);
    assert_int_equal(info.sync, LAYER_ALL);
    assert_int_equal(info.bits, 0); /* its numbers are nobody's */
    assert_int_equal(layer_parse(&layers, CODEC_H264, slice, sizeof(slice), upper,
                                 sizeof(upper), &info),
                     0);
    assert_int_equal(info.temporal, 1);
    assert_true((info.present & LAYER_BIT(0, 0)) == 0);
    assert_true((info.present & LAYER_BIT(0, 1)) != 0);
    assert_int_equal(layer_parse(&layers, CODEC_H264, slice, sizeof(slice), NULL, 0, &info),
                     0);
    assert_int_equal(info.present, LAYER_ALL); /* without one it is for everybody */
}

/* The lowest bit of the mask is the first target; what the sender has said lasts until it
 * says otherwise, and is not taken back by what is written for a subscriber. */
static void what_the_sender_sends_no_more_is_told(void **state)
{
    static const uint8_t less[] = {0xc0, 0x00, 0x02, 0x42}; /* 01: the first */
    static const uint8_t later[] = {0xc0, 0x00, 0x03};
    static const uint8_t key_less[] = {
        0xc0, 0x00, 0x04, 0xc0, 0x01, /* a structure, and targets */
        0x7a, 0x10, 0x40,             /* as dd_key; targets 01 */
    };
    struct layer_dd dd = {.known = false};
    struct layer_dd_info info;
    uint8_t out[LAYER_DD_MAX];
    size_t n;
    (void)state;

    assert_int_equal(layer_dd_parse(&dd, dd_key, sizeof(dd_key), &info), 0);
    assert_true(info.targets);
    assert_int_equal(layer_dd_top_temporal(&dd), 1);
    assert_int_equal(layer_dd_parse(&dd, less, sizeof(less), &info), 0);
    assert_true(info.targets);
    assert_int_equal(layer_dd_top_temporal(&dd), 0);
    assert_int_equal(layer_dd_parse(&dd, later, sizeof(later), &info), 0);
    assert_false(info.targets);
    assert_int_equal(layer_dd_top_temporal(&dd), 0);
    assert_int_equal(layer_dd_parse(&dd, dd_key, sizeof(dd_key), &info), 0);
    assert_int_equal(layer_dd_top_temporal(&dd), 1); /* a structure without: all are */

    n = layer_dd_write(dd_key, sizeof(dd_key), 7, LAYER_BIT(0, 0), out, sizeof(out));
    assert_int_equal(layer_dd_parse(&dd, out, n, &info), 0);
    assert_int_equal(dd.active, 1);
    n = layer_dd_write(key_less, sizeof(key_less), 7, LAYER_ALL, out, sizeof(out));
    assert_int_equal(layer_dd_parse(&dd, out, n, &info), 0);
    assert_int_equal(dd.active, 1);
}

static void a_written_descriptor_fits_or_is_not_begun(void **state)
{
    struct layer_dd dd = {.known = false};
    struct layer_dd_info info;
    uint8_t out[LAYER_DD_MAX];
    size_t n =
        layer_dd_write(dd_key, sizeof(dd_key), 777, LAYER_BIT(0, 0), out, sizeof(out));
    (void)state;

    assert_true(n >= sizeof(dd_key) - 1 && n <= sizeof(dd_key) + 1);
    assert_int_equal(layer_dd_parse(&dd, out, n, &info), 0);
    assert_int_equal(info.frame, 777);
    assert_int_equal(out[3] & 0xc0, 0xc0); /* a structure, and which targets are active */
    for (size_t cap = 0; cap < n; cap++) {
        assert_int_equal(
            layer_dd_write(dd_key, sizeof(dd_key), 777, LAYER_BIT(0, 0), out, cap), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp8_says_picture_layer_and_entry),
        cmocka_unit_test(vp9_says_spatial_layers_and_their_end),
        cmocka_unit_test(vp9_names_up_to_three_pictures_that_it_leans_on),
        cmocka_unit_test(vp9_structure_is_passed_over_to_its_last_byte),
        cmocka_unit_test(a_frame_has_indications_of_its_own),
        cmocka_unit_test(h264_has_the_layers_that_a_descriptor_says),
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(numbers_are_written_where_they_were_read),
        cmocka_unit_test(a_structure_is_kept_for_those_that_follow),
        cmocka_unit_test(what_the_sender_sends_no_more_is_told),
        cmocka_unit_test(a_written_descriptor_fits_or_is_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
