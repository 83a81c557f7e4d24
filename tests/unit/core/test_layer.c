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
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(numbers_are_written_where_they_were_read),
        cmocka_unit_test(a_structure_is_kept_for_those_that_follow),
        cmocka_unit_test(a_written_descriptor_fits_or_is_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
