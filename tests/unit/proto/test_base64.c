/* control/proto/base64: the vectors of RFC 4648 and strictness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/base64.h"

static void the_vectors_of_rfc_4648_hold_both_ways(void **state)
{
    static const struct {
        const char *plain;
        const char *std;
        const char *url;
    } vectors[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff", "+/8=", "-_8"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t len = strlen(vectors[i].plain);
        char text[16];
        uint8_t data[16];
        size_t n;

        n = base64_encode((const uint8_t *)vectors[i].plain, len, text);
        assert_int_equal(n, base64_encoded_len(len));
        assert_int_equal(n, strlen(vectors[i].std));
        assert_memory_equal(text, vectors[i].std, n);
        assert_int_equal(base64_decode(vectors[i].std, n, data, &n), 0);
        assert_int_equal(n, len);
        assert_memory_equal(data, vectors[i].plain, n);

        n = base64url_encode((const uint8_t *)vectors[i].plain, len, text);
        assert_int_equal(n, base64url_encoded_len(len));
        assert_int_equal(n, strlen(vectors[i].url));
        assert_memory_equal(text, vectors[i].url, n);
        assert_int_equal(base64url_decode(vectors[i].url, n, data, &n), 0);
        assert_int_equal(n, len);
        assert_memory_equal(data, vectors[i].plain, n);
    }
}

static void other_spellings_are_refused(void **state)
{
    static const char *const std[] = {"Zg",   "Zg=",  "Zg===", "Zh==", "Zm9=",    "Zm-v",
                                      "Zm 9", "====", "=",     "Z",    "Zg==Zg=="};
    static const char *const url[] = {"Zg==", "Z", "Zh", "Zm9", "Zm9+", "Zm9v\n"};
    uint8_t data[16];
    size_t n;
    (void)state;

    for (size_t i = 0; i < sizeof(std) / sizeof(std[0]); i++) {
        assert_int_equal(base64_decode(std[i], strlen(std[i]), data, &n), -EBADMSG);
    }
    for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++) {
        assert_int_equal(base64url_decode(url[i], strlen(url[i]), data, &n), -EBADMSG);
    }
}

static void every_length_survives_a_round_trip(void **state)
{
    uint8_t data[67];
    uint8_t back[72];
    char text[96];
    size_t n;
    (void)state;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t len = 0; len <= sizeof(data); len++) {
        size_t n_text = base64_encode(data, len, text);

        assert_true(base64_decoded_max(n_text) <= sizeof(back));
        assert_int_equal(base64_decode(text, n_text, back, &n), 0);
        assert_int_equal(n, len);
        assert_memory_equal(back, data, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_hold_both_ways),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(every_length_survives_a_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
