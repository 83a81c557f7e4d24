#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "dtls/dtls_fp.h"

static const char sha1[] = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:02:03:04";

static void text_and_value_agree_in_either_case(void **state)
{
    char text[DTLS_FP_TEXT];
    struct dtls_fp fp;
    (void)state;

    assert_int_equal(dtls_fp_parse("SHA-1", sha1, &fp), 0);
    assert_int_equal(fp.hash, DTLS_SHA1);
    assert_int_equal(fp.len, 20);
    assert_int_equal(fp.value[10], 0xaa);
    dtls_fp_text(&fp, text);
    assert_string_equal(text, sha1);
    assert_int_equal(dtls_fp_parse("sha-1",
                                   "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:01:02:"
                                   "03:04",
                                   &fp),
                     0);
    dtls_fp_text(&fp, text);
    assert_string_equal(text, sha1);
}

static void every_hash_round_trips(void **state)
{
    (void)state;
    for (enum dtls_hash hash = 0; hash < N_DTLS_HASHES; hash++) {
        struct dtls_fp fp = {.hash = (uint8_t)hash, .len = (uint8_t)dtls_hash_len(hash)};
        char text[DTLS_FP_TEXT];
        struct dtls_fp back;

        for (size_t i = 0; i < fp.len; i++) {
            fp.value[i] = (uint8_t)(i * 7);
        }
        dtls_fp_text(&fp, text);
        assert_int_equal(strlen(text), 3 * fp.len - 1);
        assert_int_equal(dtls_fp_parse(dtls_hash_name(hash), text, &back), 0);
        assert_memory_equal(&fp, &back, sizeof(fp));
    }
}

static void what_is_no_fingerprint_is_refused(void **state)
{
    struct dtls_fp fp;
    char bad[sizeof(sha1)];
    (void)state;

    assert_int_equal(dtls_fp_parse("md5", sha1, &fp), -ENOTSUP);
    assert_int_equal(dtls_fp_parse("", sha1, &fp), -ENOTSUP);
    assert_int_equal(dtls_fp_parse("sha-256", sha1, &fp), -EBADMSG);
    assert_int_equal(dtls_fp_parse("sha-1", "", &fp), -EBADMSG);
    memcpy(bad, sha1, sizeof(bad));
    bad[2] = '-';
    assert_int_equal(dtls_fp_parse("sha-1", bad, &fp), -EBADMSG);
    memcpy(bad, sha1, sizeof(bad));
    bad[sizeof(bad) - 2] = 'g';
    assert_int_equal(dtls_fp_parse("sha-1", bad, &fp), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_value_agree_in_either_case),
        cmocka_unit_test(every_hash_round_trips),
        cmocka_unit_test(what_is_no_fingerprint_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
