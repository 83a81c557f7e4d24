/* Header extension elements: RFC 8285. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/rtp_ext.h"
#include "support/exact.h"

static struct rtp_hdr block_of(uint16_t profile, const uint8_t *ext, size_t len)
{
    return (struct rtp_hdr){
        .has_ext = true, .ext_profile = profile, .ext = ext, .ext_len = (uint16_t)len};
}

static unsigned count_of(const struct rtp_hdr *h)
{
    struct rtp_ext_iter it = rtp_ext_iter_of(h);
    const uint8_t *data;
    uint8_t id;
    uint8_t len = 0;
    unsigned sum = 0;
    unsigned n = 0;

    while (rtp_ext_next(&it, &id, &data, &len)) {
        for (unsigned i = 0; i < len; i++) {
            sum += data[i]; /* touch all: ASan sees an overread */
        }
        n++;
    }
    assert_true(sum < 1000000);
    return n;
}

static void one_byte_elements_and_padding(void **state)
{
    static const uint8_t ext[] = {0x10, 0xaa, 0, 0, 0x21, 1, 2, 0};
    struct rtp_hdr h = block_of(0xbede, ext, sizeof(ext));
    const uint8_t *p;
    uint8_t len = 0;
    (void)state;

    assert_int_equal(count_of(&h), 2);
    p = rtp_ext_find(&h, 2, &len);
    assert_ptr_equal(p, ext + 5);
    assert_int_equal(len, 2);
    assert_null(rtp_ext_find(&h, 3, &len));
}

static void two_byte_elements_may_be_empty_and_have_any_id(void **state)
{
    static const uint8_t ext[] = {15, 0, 0, 200, 3, 7, 8, 9};
    struct rtp_hdr h = block_of(0x100f, ext, sizeof(ext));
    const uint8_t *p;
    uint8_t len = 9;
    (void)state;

    assert_int_equal(count_of(&h), 2);
    assert_non_null(rtp_ext_find(&h, 15, &len));
    assert_int_equal(len, 0);
    p = rtp_ext_find(&h, 200, &len);
    assert_ptr_equal(p, ext + 5);
    assert_int_equal(len, 3);
}

static void id_15_and_long_id_0_stop_the_one_byte_form(void **state)
{
    static const uint8_t fifteen[] = {0x10, 1, 0xf0, 2, 0x20, 3, 0, 0};
    static const uint8_t zero[] = {0x10, 1, 0x02, 2, 0x20, 3, 0, 0};
    struct rtp_hdr a = block_of(0xbede, fifteen, sizeof(fifteen));
    struct rtp_hdr b = block_of(0xbede, zero, sizeof(zero));
    (void)state;

    assert_int_equal(count_of(&a), 1);
    assert_int_equal(count_of(&b), 1);
}

static void element_past_the_block_ends_it(void **state)
{
    static const uint8_t one[] = {0x10, 1, 0x2f, 0};
    static const uint8_t two[] = {1, 0, 2, 2, 9};
    (void)state;

    for (size_t len = 0; len <= sizeof(one); len++) {
        uint8_t *ext = exact_copy(one, len);
        struct rtp_hdr h = block_of(0xbede, ext, len);

        assert_int_equal(count_of(&h), len >= 2 ? 1 : 0);
        free(ext);
    }
    for (size_t len = 0; len <= sizeof(two); len++) {
        uint8_t *ext = exact_copy(two, len);
        struct rtp_hdr h = block_of(0x1000, ext, len);

        assert_int_equal(count_of(&h), len >= 2 ? 1 : 0);
        free(ext);
    }
}

static void unknown_profile_has_no_elements(void **state)
{
    static const uint8_t ext[] = {0x10, 1, 0, 0};
    struct rtp_hdr h = block_of(0xabcd, ext, sizeof(ext));
    struct rtp_hdr none = {0};
    (void)state;

    assert_int_equal(count_of(&h), 0);
    assert_int_equal(count_of(&none), 0);
}

static void written_block_reads_back_in_both_forms(void **state)
{
    (void)state;
    for (int two_byte = 0; two_byte < 2; two_byte++) {
        uint8_t buf[64];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        const struct rtp_hdr in = {.pt = 96, .has_ext = true};
        struct rtp_ext_writer x;
        struct rtp_hdr h = {0};
        const uint8_t *p;
        uint8_t len = 0;

        rtp_write(&w, &in);
        x = rtp_ext_begin(&w, two_byte != 0);
        rtp_ext_put(&x, 1, "0", 1);
        rtp_ext_put(&x, 14, "0123456789abcdef", 16);
        p = rtp_ext_reserve(&x, 5, 2);
        assert_non_null(p);
        store_be16(buf + (p - buf), 0xabcd);
        rtp_ext_finish(&x);
        assert_false(w.bad);
        assert_int_equal(wbytes_len(&w) % 4, 0);

        assert_int_equal(rtp_parse(buf, wbytes_len(&w), &h), 0);
        assert_int_equal(h.hdr_len, wbytes_len(&w));
        assert_int_equal(count_of(&h), 3);
        p = rtp_ext_find(&h, 14, &len);
        assert_int_equal(len, 16);
        assert_memory_equal(p, "0123456789abcdef", 16);
        p = rtp_ext_find(&h, 5, &len);
        assert_int_equal(load_be16(p), 0xabcd);
    }
}

static void writer_refuses_what_the_form_cannot_say(void **state)
{
    static const struct {
        bool two_byte;
        uint8_t id;
        uint8_t len;
        bool fine;
    } rows[] = {
        {false, 0, 1, false},  {false, 15, 1, false}, {false, 1, 0, false},
        {false, 1, 17, false}, {false, 14, 16, true}, {true, 0, 1, false},
        {true, 255, 0, true},  {true, 1, 255, true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t buf[300];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        struct rtp_ext_writer x = rtp_ext_begin(&w, rows[i].two_byte);

        assert_true((rtp_ext_reserve(&x, rows[i].id, rows[i].len) != NULL) == rows[i].fine);
        assert_true(w.bad == !rows[i].fine);
    }
}

static void writer_never_leaves_its_buffer(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 12; cap++) {
        uint8_t *buf = exact_copy("            ", cap);
        struct wbytes w = wbytes_of(buf, cap);
        struct rtp_ext_writer x = rtp_ext_begin(&w, false);

        rtp_ext_put(&x, 1, "abcd", 4);
        rtp_ext_finish(&x);
        assert_true(w.bad);
        free(buf);
    }
}

static void audio_level_has_level_and_voice(void **state)
{
    const uint8_t data[] = {0xb2, 0};
    uint8_t level = 0;
    bool voice = false;
    (void)state;

    assert_true(rtp_ext_audio_level(data, 1, &level, &voice));
    assert_int_equal(level, 50);
    assert_true(voice);
    assert_int_equal(rtp_ext_audio_level_byte(50, true), 0xb2);
    assert_int_equal(rtp_ext_audio_level_byte(127, false), 0x7f);
    assert_false(rtp_ext_audio_level(data, 2, &level, &voice));
}

static void abs_send_time_is_6_18_fixed_point(void **state)
{
    uint8_t p[3];
    (void)state;

    assert_int_equal(rtp_ext_abs_send_time(0), 0);
    assert_int_equal(rtp_ext_abs_send_time(1000000), 1 << 18);
    assert_int_equal(rtp_ext_abs_send_time(500000), 1 << 17);
    assert_int_equal(rtp_ext_abs_send_time(63999999), 0xffffff);
    assert_int_equal(rtp_ext_abs_send_time(64000000), 0);
    assert_int_equal(rtp_ext_abs_send_time(UINT64_MAX),
                     ((UINT64_MAX % 64000000) << 18) / 1000000);
    rtp_ext_store_abs_send_time(p, 1500000);
    assert_int_equal(load_be24(p), 3 << 17);
}

static void twcc_seq_is_the_first_two_bytes(void **state)
{
    const uint8_t data[] = {0xfe, 0xdc, 0, 1};
    uint16_t seq = 0;
    (void)state;

    assert_true(rtp_ext_twcc_seq(data, 2, &seq));
    assert_int_equal(seq, 0xfedc);
    assert_true(rtp_ext_twcc_seq(data, 4, &seq));
    assert_false(rtp_ext_twcc_seq(data, 1, &seq));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_elements_and_padding),
        cmocka_unit_test(two_byte_elements_may_be_empty_and_have_any_id),
        cmocka_unit_test(id_15_and_long_id_0_stop_the_one_byte_form),
        cmocka_unit_test(element_past_the_block_ends_it),
        cmocka_unit_test(unknown_profile_has_no_elements),
        cmocka_unit_test(written_block_reads_back_in_both_forms),
        cmocka_unit_test(writer_refuses_what_the_form_cannot_say),
        cmocka_unit_test(writer_never_leaves_its_buffer),
        cmocka_unit_test(audio_level_has_level_and_voice),
        cmocka_unit_test(abs_send_time_is_6_18_fixed_point),
        cmocka_unit_test(twcc_seq_is_the_first_two_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
