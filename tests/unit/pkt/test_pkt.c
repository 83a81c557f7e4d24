/* pkt: the outer headers that each egress packet copies, and the lists of counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pkt/drop.h"
#include "pkt/pkt.h"
#include "sfu/base/bytes.h"

static uint32_t sum16(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i += 2) {
        sum += load_be16(p + i);
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void ipv4_headers_have_the_right_checksum_for_any_length(void **state)
{
    struct pkt_hdr hdr = {.len = 42, .family = 4};
    unsigned seed = 5;
    uint8_t out[PKT_HDR_MAX];
    (void)state;

    for (unsigned i = 0; i < 20000; i++) {
        uint16_t len = (uint16_t)(rand_r(&seed) % (PKT_ROOM - 42));

        for (unsigned k = 14; k < 42; k++) {
            hdr.bytes[k] = (uint8_t)(i % 50 == 0 ? 0xff : rand_r(&seed));
        }
        memset(hdr.bytes + 16, 0, 2); /* length */
        memset(hdr.bytes + 24, 0, 2); /* checksum */
        hdr.ip_sum = sum16(hdr.bytes + 14, 20);
        pkt_hdr_write(&hdr, out, len);
        assert_int_equal(load_be16(out + 16), len + 28);
        assert_int_equal(load_be16(out + 38), len + 8);
        assert_int_equal(sum16(out + 14, 20), 0xffff);
    }
}

static void ipv6_headers_have_both_lengths(void **state)
{
    struct pkt_hdr hdr = {.len = 62, .family = 6};
    uint8_t out[62];
    (void)state;

    memset(hdr.bytes, 0xa5, sizeof(hdr.bytes));
    pkt_hdr_write(&hdr, out, 1200);
    assert_int_equal(load_be16(out + 18), 1208);
    assert_int_equal(load_be16(out + 58), 1208);
    assert_memory_equal(out, hdr.bytes, 18);
    assert_memory_equal(out + 20, hdr.bytes + 20, 38);
}

static void a_frame_is_headers_and_payload(void **state)
{
    const struct pkt_hdr none = {.len = 0, .family = 4};
    const struct pkt_hdr v6 = {.len = 62, .family = 6};
    uint8_t room[PKT_ROOM];
    struct pkt pkt = {.data = room};
    (void)state;

    pkt_frame(&pkt, &none, (const uint8_t *)"abc", 3);
    assert_int_equal(pkt.len, 3);
    assert_memory_equal(room, "abc", 3);
    pkt_frame(&pkt, &v6, (const uint8_t *)"abc", 3);
    assert_int_equal(pkt.len, 65);
    assert_memory_equal(room + 62, "abc", 3);
}

static void names_of_reasons_are_fit_for_metrics(void **state)
{
    static const char *const names[] = {
#define X(constant, name, text) name,
        DROP_REASONS(X) DONE_KINDS(X)
#undef X
    };
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(strspn(names[i], "abcdefghijklmnopqrstuvwxyz_"), strlen(names[i]));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(names[i], names[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_headers_have_the_right_checksum_for_any_length),
        cmocka_unit_test(ipv6_headers_have_both_lengths),
        cmocka_unit_test(a_frame_is_headers_and_payload),
        cmocka_unit_test(names_of_reasons_are_fit_for_metrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
