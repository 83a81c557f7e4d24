/* RTP headers: RFC 3550, section 5.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/rtp.h"
#include "support/exact.h"

/* Marker, type 111, 2 CSRCs, a one-byte extension block of one word, 3 bytes of payload. */
static const uint8_t full[] = {
    0x92, 0xef, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1,    2,    3, 4, 0,   0,   0,  5,
    0,    0,    0,    6,    0xbe, 0xde, 0,    1,    0x10, 0xaa, 0, 0, 'x', 'y', 'z'};

static void every_field_is_read(void **state)
{
    struct rtp_hdr h = {0};
    (void)state;

    assert_int_equal(rtp_parse(full, sizeof(full), &h), 0);
    assert_true(h.marker);
    assert_true(h.has_ext);
    assert_false(h.has_padding);
    assert_int_equal(h.pt, 111);
    assert_int_equal(h.n_csrc, 2);
    assert_int_equal(h.seq, 0x1234);
    assert_int_equal(h.ts, 0xdeadbeef);
    assert_int_equal(h.ssrc, 0x01020304);
    assert_int_equal(h.hdr_len, 28);
    assert_int_equal(h.ext_profile, 0xbede);
    assert_int_equal(h.ext_len, 4);
    assert_ptr_equal(h.ext, full + 24);
}

static void each_prefix_shorter_than_the_header_is_refused(void **state)
{
    struct rtp_hdr h = {0};
    (void)state;

    for (size_t len = 0; len <= sizeof(full); len++) {
        uint8_t *data = exact_copy(full, len);

        assert_int_equal(rtp_parse(data, len, &h), len < 28 ? -EBADMSG : 0);
        free(data);
    }
}

static void other_versions_are_refused(void **state)
{
    uint8_t data[12] = {0};
    struct rtp_hdr h = {0};
    (void)state;

    for (unsigned v = 0; v < 4; v++) {
        data[0] = (uint8_t)(v << 6);
        assert_int_equal(rtp_parse(data, sizeof(data), &h), v == 2 ? 0 : -EBADMSG);
    }
}

static void header_of_a_refused_packet_is_left_alone(void **state)
{
    struct rtp_hdr h = {.seq = 77};
    (void)state;

    assert_int_equal(rtp_parse(full, 20, &h), -EBADMSG);
    assert_int_equal(h.seq, 77);
}

static void written_header_reads_back(void **state)
{
    const struct rtp_hdr in = {
        .marker = true, .pt = 127, .seq = 65535, .ts = 0xffffffff, .ssrc = 0x80000001};
    uint8_t buf[RTP_FIXED_LEN];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtp_hdr out = {0};
    (void)state;

    rtp_write(&w, &in);
    assert_false(w.bad);
    assert_int_equal(rtp_parse(buf, sizeof(buf), &out), 0);
    assert_true(out.marker);
    assert_false(out.has_ext);
    assert_int_equal(out.pt, in.pt);
    assert_int_equal(out.seq, in.seq);
    assert_int_equal(out.ts, in.ts);
    assert_int_equal(out.ssrc, in.ssrc);
    assert_int_equal(out.hdr_len, 12);
    assert_null(out.ext);
}

static void write_that_does_not_fit_is_latched(void **state)
{
    const struct rtp_hdr in = {.pt = 1};
    uint8_t buf[RTP_FIXED_LEN - 1];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    (void)state;

    rtp_write(&w, &in);
    assert_true(w.bad);
}

static void padding_count_must_lie_in_the_payload(void **state)
{
    const uint8_t good[] = {'a', 0, 0, 3};
    const uint8_t zero[] = {'a', 0};
    const uint8_t more[] = {'a', 3};
    const uint8_t all[] = {0, 2};
    (void)state;

    assert_int_equal(rtp_padding_len(good, sizeof(good)), 3);
    assert_int_equal(rtp_padding_len(all, sizeof(all)), 2);
    assert_int_equal(rtp_padding_len(zero, sizeof(zero)), -EBADMSG);
    assert_int_equal(rtp_padding_len(more, sizeof(more)), -EBADMSG);
    assert_int_equal(rtp_padding_len(good, 0), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(each_prefix_shorter_than_the_header_is_refused),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(header_of_a_refused_packet_is_left_alone),
        cmocka_unit_test(written_header_reads_back),
        cmocka_unit_test(write_that_does_not_fit_is_latched),
        cmocka_unit_test(padding_count_must_lie_in_the_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
