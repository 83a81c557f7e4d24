/* crypt/mac.h: the HMAC-SHA1 vectors of RFC 2202, section 3, and the comparison. */
#include "crypt/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void rfc2202_vectors(void **state)
{
    static const struct {
        uint8_t key_byte;
        size_t key_len;
        uint8_t data_byte;
        size_t data_len;
        const char *key_text, *data_text;
        uint8_t want[MAC_SHA1_LEN];
    } cases[] = {
        {.key_byte = 0x0b,
         .key_len = 20,
         .data_text = "Hi There",
         .want = {0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
                  0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00}},
        {.key_text = "Jefe",
         .data_text = "what do ya want for nothing?",
         .want = {0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74,
                  0x16, 0xd5, 0xf1, 0x84, 0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79}},
        {.key_byte = 0xaa,
         .key_len = 20,
         .data_byte = 0xdd,
         .data_len = 50,
         .want = {0x12, 0x5d, 0x73, 0x42, 0xb9, 0xac, 0x11, 0xcd, 0x91, 0xa3,
                  0x9a, 0xf4, 0x8a, 0xa1, 0x7b, 0x4f, 0x63, 0xf1, 0x75, 0xd3}},
        {.key_byte = 0xaa,
         .key_len = 80,
         .data_text = "Test Using Larger Than Block-Size Key - Hash Key First",
         .want = {0xaa, 0x4a, 0xe5, 0xe1, 0x52, 0x72, 0xd0, 0x0e, 0x95, 0x70,
                  0x56, 0x37, 0xce, 0x8a, 0x3b, 0x55, 0xed, 0x40, 0x21, 0x12}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t key[80], data[80], out[MAC_SHA1_LEN];
        size_t key_len = cases[i].key_len, data_len = cases[i].data_len;

        memset(key, cases[i].key_byte, sizeof(key));
        memset(data, cases[i].data_byte, sizeof(data));
        if (cases[i].key_text != NULL) {
            key_len = strlen(cases[i].key_text);
            memcpy(key, cases[i].key_text, key_len);
        }
        if (cases[i].data_text != NULL) {
            data_len = strlen(cases[i].data_text);
            memcpy(data, cases[i].data_text, data_len);
        }
        mac_hmac_sha1(key, key_len, data, data_len, out);
        assert_memory_equal(out, cases[i].want, sizeof(out));
    }
}

static void empty_key_and_data_have_a_mac(void **state)
{
    static const uint8_t want[MAC_SHA1_LEN] = {0xfb, 0xdb, 0x1d, 0x1b, 0x18, 0xaa, 0x6c,
                                               0x08, 0x32, 0x4b, 0x7d, 0x64, 0xb7, 0x1f,
                                               0xb7, 0x63, 0x70, 0x69, 0x0e, 0x1d};
    uint8_t out[MAC_SHA1_LEN];
    (void)state;

    mac_hmac_sha1(NULL, 0, NULL, 0, out);
    assert_memory_equal(out, want, sizeof(out));
}

static void any_differing_bit_is_unequal(void **state)
{
    uint8_t a[16] = {1, 2, 3}, b[16] = {1, 2, 3};
    (void)state;

    assert_true(mac_equal(a, b, sizeof(a)));
    for (unsigned bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(mac_equal(a, b, sizeof(a)));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc2202_vectors),
        cmocka_unit_test(empty_key_and_data_have_a_mac),
        cmocka_unit_test(any_differing_bit_is_unequal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
