/* Demultiplexing by first bytes: RFC 7983, RFC 5761. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/demux.h"

static enum demux_kind kind_of(uint8_t first, uint8_t second, size_t len)
{
    uint8_t data[64] = {first, second};

    return demux_of(data, len);
}

static void first_byte_decides_in_every_range(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        enum demux_kind want = b <= 3                 ? DEMUX_STUN
                               : b >= 20 && b <= 63   ? DEMUX_DTLS
                               : b >= 128 && b <= 191 ? DEMUX_RTP
                                                      : DEMUX_UNKNOWN;

        assert_int_equal(kind_of((uint8_t)b, 96, 64), want);
    }
}

static void rtcp_is_told_by_its_packet_type(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        assert_int_equal(kind_of(0x80, (uint8_t)b, 64),
                         b >= 192 && b <= 223 ? DEMUX_RTCP : DEMUX_RTP);
    }
}

static void too_short_for_its_kind_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(demux_of(NULL, 0), DEMUX_UNKNOWN);
    assert_int_equal(kind_of(0, 1, 19), DEMUX_UNKNOWN);
    assert_int_equal(kind_of(0, 1, 20), DEMUX_STUN);
    assert_int_equal(kind_of(22, 254, 12), DEMUX_UNKNOWN);
    assert_int_equal(kind_of(22, 254, 13), DEMUX_DTLS);
    assert_int_equal(kind_of(0x80, 96, 11), DEMUX_UNKNOWN);
    assert_int_equal(kind_of(0x80, 96, 12), DEMUX_RTP);
    assert_int_equal(kind_of(0x80, 200, 7), DEMUX_UNKNOWN);
    assert_int_equal(kind_of(0x80, 200, 8), DEMUX_RTCP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_byte_decides_in_every_range),
        cmocka_unit_test(rtcp_is_told_by_its_packet_type),
        cmocka_unit_test(too_short_for_its_kind_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
