/* Extended reports: RRTR and DLRR, bytes as RFC 3611 draws them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_xr.h"

static struct rtcp_pkt first(const uint8_t *data, size_t len)
{
    struct rtcp_iter it = rtcp_iter_of(data, len);
    struct rtcp_pkt pkt;

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.pt, RTCP_XR);
    return pkt;
}

/* RFC 3611, 4.4. */
static const uint8_t rrtr[] = {0x80, 207,  0,    4,    0, 0, 0, 1, 4, 0,
                               0,    2,    0xaa, 0xbb, 1, 2, 3, 4, 5, 6};
/* RFC 3611, 4.5. */
static const uint8_t dlrr[] = {0x80, 207, 0, 5, 0,    0,    0,    1,    5, 0, 0, 3,
                               0,    0,   0, 9, 0xbb, 0x01, 0x02, 0x03, 0, 1, 0x80, 0};

static void reference_time_is_read_and_written(void **state)
{
    struct rtcp_pkt pkt = first(rrtr, sizeof(rrtr));
    struct rtcp_xr_iter it;
    struct rtcp_xr_block block = {.len = 0};
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    uint64_t ntp = 0;
    (void)state;

    assert_int_equal(rtcp_xr_parse(&pkt, &it), 0);
    assert_int_equal(it.ssrc, 1);
    assert_int_equal(rtcp_xr_next(&it, &block), 1);
    assert_true(rtcp_xr_rrtr(&block, &ntp));
    assert_true(ntp == UINT64_C(0xaabb010203040506));
    assert_int_equal(rtcp_xr_dlrr_count(&block), 0);
    assert_int_equal(rtcp_xr_next(&it, &block), 0);
    rtcp_xr_write_rrtr(&w, 1, ntp);
    assert_int_equal(wbytes_len(&w), sizeof(rrtr));
    assert_memory_equal(buf, rrtr, sizeof(rrtr));
}

static void delay_is_read_and_written(void **state)
{
    struct rtcp_pkt pkt = first(dlrr, sizeof(dlrr));
    struct rtcp_xr_iter it;
    struct rtcp_xr_block block = {.len = 0};
    struct rtcp_xr_dlrr sub;
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    uint64_t ntp;
    (void)state;

    assert_int_equal(rtcp_xr_parse(&pkt, &it), 0);
    assert_int_equal(rtcp_xr_next(&it, &block), 1);
    assert_false(rtcp_xr_rrtr(&block, &ntp));
    assert_int_equal(rtcp_xr_dlrr_count(&block), 1);
    sub = rtcp_xr_dlrr_at(&block, 0);
    assert_int_equal(sub.ssrc, 9);
    assert_int_equal(sub.lrr, 0xbb010203);
    assert_int_equal(sub.dlrr, 0x18000); /* 1.5 s */
    rtcp_xr_write_dlrr(&w, 1, &sub, 1);
    assert_int_equal(wbytes_len(&w), sizeof(dlrr));
    assert_memory_equal(buf, dlrr, sizeof(dlrr));
}

static void other_blocks_are_passed_over(void **state)
{
    const uint8_t data[] = {0x80, 207, 0, 7, 0, 0, 0, 1, /* header, SSRC */
                            1,    0,   0, 1, 1, 2, 3, 4, /* a block of type 1 */
                            99,   0,   0, 0,             /* an empty one */
                            4,    0,   0, 2, 0, 0, 0, 1, 0, 0, 0, 2};
    struct rtcp_pkt pkt = first(data, sizeof(data));
    struct rtcp_xr_iter it;
    struct rtcp_xr_block block = {.len = 0};
    uint64_t ntp = 0;
    unsigned n = 0;
    (void)state;

    assert_int_equal(rtcp_xr_parse(&pkt, &it), 0);
    while (rtcp_xr_next(&it, &block) == 1) {
        n += !rtcp_xr_rrtr(&block, &ntp);
    }
    assert_int_equal(n, 2);
    assert_true(ntp == UINT64_C(0x100000002));
}

static void what_is_cut_short_is_malformed(void **state)
{
    uint8_t data[sizeof(dlrr)];
    (void)state;

    for (uint16_t words = 0; words < 5; words++) {
        struct rtcp_xr_iter it;
        struct rtcp_xr_block block = {.len = 0};
        struct rtcp_pkt pkt;
        int got;

        memcpy(data, dlrr, sizeof(dlrr));
        store_be16(data + 2, words);
        pkt = first(data, 4 + 4 * (size_t)words);
        if (rtcp_xr_parse(&pkt, &it) != 0) {
            assert_int_equal(words, 0);
            continue;
        }
        got = rtcp_xr_next(&it, &block);
        assert_int_equal(got, words == 1 ? 0 : -EBADMSG);
        assert_int_equal(rtcp_xr_next(&it, &block), words == 1 ? 0 : -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_time_is_read_and_written),
        cmocka_unit_test(delay_is_read_and_written),
        cmocka_unit_test(other_blocks_are_passed_over),
        cmocka_unit_test(what_is_cut_short_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
