/* neigh: requests and answers captured from Linux 6.18 on both ends of a veth pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/neigh.h"

enum { FRAME_MAX = 256 };

static const struct neigh self = {
    .mac = {0x02, 'K', 'C', 'S', 0, 2},
    .has_v4 = true,
    .has_v6 = true,
    .v4 = {10, 75, 67, 2},
    .v6 = {0xfd, 0x4b, 0x43, 0x53, 0x6b, 0x63, [15] = 2},
};

static const char arp_request[] = "ffffffffffff024b435300010806000108000604"
                                  "0001024b435300010a4b43010000000000000a4b4302";
static const char arp_reply[] = "024b43530001024b435300020806000108000604"
                                "0002024b435300020a4b4302024b435300010a4b4301";
/* the reply keeps the identification and DF of the request */
static const char echo4[] = "024b43530002024b435300010800450000288d1f4000400113"
                            "1d0a4b43010a4b43020800637976610001000102030405060708090a0b";
static const char echo4_reply[] =
    "024b43530001024b435300020800450000288d1f4000400113"
    "1d0a4b43020a4b430100006b7976610001000102030405060708090a0b";
static const char echo6[] =
    "024b43530002024b4353000186dd600fb1e300143a40fd4b43536b6300000000000000000001fd4b4353"
    "6b6300000000000000000002800092d776ac0001000102030405060708090a0b";
static const char echo6_reply[] =
    "024b43530001024b4353000286dd600fb1e300143a40fd4b43536b6300000000000000000002fd4b4353"
    "6b6300000000000000000001810091d776ac0001000102030405060708090a0b";
static const char ndp_request[] =
    "3333ff000002024b4353000186dd6000000000203afffd4b43536b6300000000000000000001ff020000"
    "0000000000000001ff0000028700dbf500000000fd4b43536b63000000000000000000020101024b4353"
    "0001";
static const char ndp_reply[] =
    "024b43530001024b4353000286dd6000000000203afffd4b43536b6300000000000000000002fd4b4353"
    "6b63000000000000000000018800cbf660000000fd4b43536b63000000000000000000020201024b4353"
    "0002";
/* duplicate address detection, with a nonce option */
static const char dad_request[] =
    "3333ff000002024b4353000186dd6000000000203aff00000000000000000000000000000000ff020000"
    "0000000000000001ff0000028700d3ce00000000fd4b43536b63000000000000000000020e018be76b4f"
    "f592";
static const char dad_reply[] =
    "333300000001024b4353000286dd6000000000203afffd4b43536b6300000000000000000002ff020000"
    "0000000000000000000000018800b8f620000000fd4b43536b63000000000000000000020201024b"
    "43530002";

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

static void assert_answer(const char *request, const char *reply)
{
    uint8_t frame[FRAME_MAX], expected[FRAME_MAX];
    size_t len = from_hex(request, frame), expected_len = from_hex(reply, expected);

    assert_int_equal(neigh_answer(&self, frame, len, sizeof(frame)), expected_len);
    assert_memory_equal(frame, expected, expected_len);
}

/* The request with byte 'at' XORed, cut to 'len', is none of ours and stays as it is. */
static void assert_silent(const char *request, size_t at, uint8_t flip, size_t len)
{
    uint8_t frame[FRAME_MAX], before[FRAME_MAX];

    from_hex(request, frame);
    frame[at] ^= flip;
    memcpy(before, frame, sizeof(before));
    assert_int_equal(neigh_answer(&self, frame, len, sizeof(frame)), 0);
    assert_memory_equal(frame, before, len);
}

static void arp_for_our_address_is_answered(void **state)
{
    (void)state;
    assert_answer(arp_request, arp_reply);
}

static void arp_for_another_address_is_not(void **state)
{
    (void)state;
    assert_silent(arp_request, 41, 1, 42); /* target */
    assert_silent(arp_request, 21, 3, 42); /* a reply */
    assert_silent(arp_request, 22, 1, 42); /* a multicast sender */
}

static void echo_requests_are_answered(void **state)
{
    (void)state;
    assert_answer(echo4, echo4_reply);
    assert_answer(echo6, echo6_reply);
}

static void echo_with_a_wrong_checksum_is_not(void **state)
{
    (void)state;
    assert_silent(echo4, 50, 1, 54);
    assert_silent(echo4, 25, 1, 54); /* the IP header's */
    assert_silent(echo6, 70, 1, 74);
}

static void fragment_of_an_echo_is_not_answered(void **state)
{
    (void)state;
    assert_silent(echo4, 20, 0x20, 54);
}

static void solicitation_is_answered_with_our_link_address(void **state)
{
    (void)state;
    assert_answer(ndp_request, ndp_reply);
}

static void duplicate_detection_is_answered_to_all_nodes(void **state)
{
    (void)state;
    assert_answer(dad_request, dad_reply);
}

static void solicitation_that_a_router_passed_on_is_ignored(void **state)
{
    (void)state;
    assert_silent(ndp_request, 21, 0x01, 86); /* hop limit 254 */
}

static void solicitation_with_an_option_of_length_zero_is_ignored(void **state)
{
    uint8_t frame[FRAME_MAX];
    size_t len = from_hex(ndp_request, frame);
    (void)state;

    frame[79] = 0;  /* one 8-byte unit becomes none ... */
    frame[57] += 1; /* ... and the checksum still fits */
    assert_int_equal(neigh_answer(&self, frame, len, sizeof(frame)), 0);
}

static void truncated_requests_are_ignored_at_every_length(void **state)
{
    static const char *const requests[] = {arp_request, echo4, echo6, ndp_request,
                                           dad_request};
    (void)state;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        size_t len = strlen(requests[i]) / 2;

        for (size_t cut = 0; cut < len; cut++) {
            /* exactly as much memory as bytes, so a sanitizer sees a read past the end */
            uint8_t *frame = malloc(cut + 1);
            uint8_t whole[FRAME_MAX];

            from_hex(requests[i], whole);
            memcpy(frame, whole, cut);
            assert_int_equal(neigh_answer(&self, frame, cut, cut), 0);
            free(frame);
        }
    }
}

static void answer_that_does_not_fit_is_not_made(void **state)
{
    uint8_t frame[FRAME_MAX];
    (void)state;

    from_hex(ndp_request, frame);
    assert_int_equal(neigh_answer(&self, frame, 86, 85), 0);
}

static void family_that_we_do_not_have_is_not_answered(void **state)
{
    struct neigh none = self;
    uint8_t frame[FRAME_MAX];
    (void)state;

    none.has_v4 = false;
    none.has_v6 = false;
    assert_int_equal(neigh_answer(&none, frame, from_hex(arp_request, frame), FRAME_MAX),
                     0);
    assert_int_equal(neigh_answer(&none, frame, from_hex(echo4, frame), FRAME_MAX), 0);
    assert_int_equal(neigh_answer(&none, frame, from_hex(ndp_request, frame), FRAME_MAX),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arp_for_our_address_is_answered),
        cmocka_unit_test(arp_for_another_address_is_not),
        cmocka_unit_test(echo_requests_are_answered),
        cmocka_unit_test(echo_with_a_wrong_checksum_is_not),
        cmocka_unit_test(fragment_of_an_echo_is_not_answered),
        cmocka_unit_test(solicitation_is_answered_with_our_link_address),
        cmocka_unit_test(duplicate_detection_is_answered_to_all_nodes),
        cmocka_unit_test(solicitation_that_a_router_passed_on_is_ignored),
        cmocka_unit_test(solicitation_with_an_option_of_length_zero_is_ignored),
        cmocka_unit_test(truncated_requests_are_ignored_at_every_length),
        cmocka_unit_test(answer_that_does_not_fit_is_not_made),
        cmocka_unit_test(family_that_we_do_not_have_is_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
