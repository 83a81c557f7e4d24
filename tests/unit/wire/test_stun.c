/* STUN messages: RFC 8489, vectors of RFC 5769. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/stun.h"
#include "support/exact.h"
#include "support/hmac_sha1.h"

static char password[] = "VOkJxbRl1RmTxUk/WvJxBt"; /* of RFC 5769 */
static const uint8_t txid[STUN_TXID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void rfc5769_request_is_read_and_authentic(void **state)
{
    uint8_t data[256];
    size_t len = vector_load("stun/rfc5769-2.1-request.hex", data, sizeof(data));
    struct stun_msg m = {0};
    (void)state;

    assert_int_equal(len, 108);
    assert_int_equal(stun_parse(data, len, &m), 0);
    assert_int_equal(m.type, STUN_BINDING_REQUEST);
    assert_memory_equal(m.txid, data + 8, 12);
    assert_int_equal(m.username_len, 9);
    assert_memory_equal(m.username, "evtj:h6vY", 9);
    assert_int_equal(m.priority, 0x6e0001ff);
    assert_true(m.ice_controlled);
    assert_false(m.ice_controlling);
    assert_true(m.tie_breaker == 0x932ff9b151263b36);
    assert_false(m.use_candidate);
    assert_true(m.has_fingerprint);
    assert_int_equal(m.unknown_attr, 0);
    assert_int_equal(stun_mac_input_len(&m), 76);
    assert_true(stun_mac_ok(&m, test_hmac_sha1, password));
    assert_false(stun_mac_ok(&m, test_hmac_sha1, "VOkJxbRl1RmTxUk/WvJxBu"));
}

static void rfc5769_responses_give_the_mapped_address(void **state)
{
    static const uint8_t v4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78,
                                   0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
    uint8_t data[256];
    size_t len = vector_load("stun/rfc5769-2.2-response-ipv4.hex", data, sizeof(data));
    struct stun_msg m = {0};
    (void)state;

    assert_int_equal(stun_parse(data, len, &m), 0);
    assert_int_equal(m.type, STUN_BINDING_SUCCESS);
    assert_int_equal(m.mapped_family, 4);
    assert_int_equal(m.mapped_port, 32853);
    assert_memory_equal(m.mapped_ip, v4, 16);
    assert_true(stun_mac_ok(&m, test_hmac_sha1, password));

    len = vector_load("stun/rfc5769-2.3-response-ipv6.hex", data, sizeof(data));
    assert_int_equal(stun_parse(data, len, &m), 0);
    assert_int_equal(m.mapped_family, 6);
    assert_int_equal(m.mapped_port, 32853);
    assert_memory_equal(m.mapped_ip, v6, 16);
    assert_true(stun_mac_ok(&m, test_hmac_sha1, password));
}

static void any_flipped_bit_is_noticed(void **state)
{
    uint8_t data[256];
    size_t len = vector_load("stun/rfc5769-2.1-request.hex", data, sizeof(data));
    struct stun_msg m = {0};
    (void)state;

    for (size_t bit = 0; bit < len * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* a flip may turn FINGERPRINT into another attribute or hide it inside of one; then
         * the integrity speaks, which does not cover what follows it */
        if (stun_parse(data, len, &m) == 0) {
            assert_false(m.has_fingerprint);
            assert_true(bit / 8 >= len - 8 || !stun_mac_ok(&m, test_hmac_sha1, password));
        }
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(stun_parse(data, len, &m), 0);
}

static void each_prefix_is_refused(void **state)
{
    uint8_t data[256];
    size_t len = vector_load("stun/rfc5769-2.1-request.hex", data, sizeof(data));
    struct stun_msg m = {0};
    (void)state;

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = exact_copy(data, cut);

        assert_int_equal(stun_parse(copy, cut, &m), -EBADMSG);
        if (cut >= STUN_HEADER_LEN) {
            store_be16(copy + 2, (uint16_t)(cut - STUN_HEADER_LEN));
            if (stun_parse(copy, cut, &m) == 0) {
                assert_int_equal(cut % 4, 0); /* cut between two attributes */
                assert_false(m.has_fingerprint);
            }
        }
        free(copy);
    }
}

static void written_request_reads_back(void **state)
{
    uint8_t buf[256];
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
    stun_write_attr(&x, STUN_USERNAME, "abcd:efgh1", 10);
    stun_write_u32(&x, STUN_PRIORITY, 0x7effffff);
    stun_write_u64(&x, STUN_ICE_CONTROLLING, 0x1122334455667788);
    stun_write_attr(&x, STUN_USE_CANDIDATE, NULL, 0);
    stun_write_u32(&x, STUN_NOMINATION, 3);
    stun_write_integrity(&x, test_hmac_sha1, password);
    len = stun_write_finish(&x);
    assert_true(len > 0);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), 0);
    assert_memory_equal(m.txid, txid, 12);
    assert_int_equal(m.username_len, 10);
    assert_memory_equal(m.username, "abcd:efgh1", 10);
    assert_int_equal(m.priority, 0x7effffff);
    assert_true(m.ice_controlling);
    assert_true(m.tie_breaker == 0x1122334455667788);
    assert_true(m.use_candidate);
    assert_true(m.has_nomination);
    assert_int_equal(m.nomination, 3);
    assert_true(m.has_fingerprint);
    assert_true(stun_mac_ok(&m, test_hmac_sha1, password));
}

static void written_answer_equals_the_rfc_vector(void **state)
{
    uint8_t want[256];
    uint8_t buf[256];
    size_t want_len = vector_load("stun/rfc5769-2.3-response-ipv6.hex", want, sizeof(want));
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    assert_int_equal(stun_parse(want, want_len, &m), 0);
    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_SUCCESS, m.txid);
    stun_write_attr(&x, STUN_SOFTWARE, "test vector", 11);
    buf[35] = ' '; /* the vector pads with a space */
    stun_write_mapped(&x, m.mapped_ip, 6, 32853);
    stun_write_integrity(&x, test_hmac_sha1, password);
    len = stun_write_finish(&x);
    assert_int_equal(len, want_len);
    assert_memory_equal(buf, want, want_len);
}

static void ipv4_answer_and_errors_read_back(void **state)
{
    static const uint16_t codes[] = {400, 401, 420, 487, 500};
    uint8_t ip[16];
    uint8_t buf[128];
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    path_map_v4(ip, (const uint8_t[]){10, 0, 0, 200});
    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_SUCCESS, txid);
    stun_write_mapped(&x, ip, 4, 65535);
    len = stun_write_finish(&x);
    assert_int_equal(len, 20 + 12 + 8);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), 0);
    assert_int_equal(m.mapped_port, 65535);
    assert_memory_equal(m.mapped_ip, ip, 16);
    assert_null(m.mac);
    assert_false(stun_mac_ok(&m, test_hmac_sha1, password));

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_ERROR, txid);
        stun_write_error(&x, codes[i]);
        len = stun_write_finish(&x);
        assert_true(len > 0);
        assert_int_equal(stun_parse(buf, (size_t)len, &m), 0);
        assert_int_equal(m.type, STUN_BINDING_ERROR);
        assert_int_equal(m.error_code, codes[i]);
    }
}

static void writer_never_leaves_its_buffer(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= 72; cap++) {
        uint8_t zeros[72] = {0};
        uint8_t *buf = exact_copy(zeros, cap);
        struct stun_writer x;
        uint8_t ip[16] = {0};

        stun_write_begin(&x, buf, cap, STUN_BINDING_SUCCESS, txid);
        stun_write_mapped(&x, ip, 6, 1);
        stun_write_integrity(&x, test_hmac_sha1, password);
        assert_int_equal(stun_write_finish(&x), cap < 76 ? -ENOSPC : 76);
        free(buf);
    }
}

static void attributes_behind_the_integrity_do_not_count(void **state)
{
    uint8_t buf[256];
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
    stun_write_attr(&x, STUN_USERNAME, "a:b", 3);
    stun_write_integrity(&x, test_hmac_sha1, password);
    stun_write_attr(&x, STUN_USE_CANDIDATE, NULL, 0);
    stun_write_u32(&x, STUN_NOMINATION, 9);
    len = stun_write_finish(&x);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), 0);
    assert_true(stun_mac_ok(&m, test_hmac_sha1, password));
    assert_false(m.use_candidate);
    assert_false(m.has_nomination);
}

static void first_of_repeated_attributes_counts(void **state)
{
    uint8_t buf[256];
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
    stun_write_attr(&x, STUN_USERNAME, "first", 5);
    stun_write_attr(&x, STUN_USERNAME, "second", 6);
    stun_write_u64(&x, STUN_ICE_CONTROLLED, 1);
    stun_write_u64(&x, STUN_ICE_CONTROLLING, 2);
    stun_write_attr(&x, 0x7fff, "", 0);
    stun_write_attr(&x, 0xffff, "", 0);
    len = stun_write_finish(&x);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), 0);
    assert_int_equal(m.username_len, 5);
    assert_true(m.ice_controlled);
    assert_false(m.ice_controlling);
    assert_true(m.tie_breaker == 1);
    assert_int_equal(m.unknown_attr, 0x7fff);
}

static void malformed_messages_are_refused(void **state)
{
    static const struct {
        uint16_t type;
        uint16_t len;
    } rows[] = {
        {STUN_PRIORITY, 3},           {STUN_PRIORITY, 0},           {STUN_USE_CANDIDATE, 4},
        {STUN_ICE_CONTROLLED, 4},     {STUN_NOMINATION, 2},         {STUN_ERROR_CODE, 3},
        {STUN_XOR_MAPPED_ADDRESS, 8}, {STUN_ERROR_CODE, 4},         {STUN_FINGERPRINT, 4},
        {STUN_MESSAGE_INTEGRITY, 32}, {STUN_XOR_MAPPED_ADDRESS, 0},
    };
    const uint8_t zeros[600] = {0};
    uint8_t buf[STUN_MAX_LEN];
    struct stun_writer x;
    struct stun_msg m = {0};
    int len;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
        stun_write_attr(&x, rows[i].type, zeros, rows[i].len);
        len = stun_write_finish(&x);
        assert_int_equal(stun_parse(buf, (size_t)len, &m), -EBADMSG);
    }
    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
    stun_write_attr(&x, STUN_USERNAME, zeros, STUN_MAX_USERNAME + 1);
    len = stun_write_finish(&x);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), -EBADMSG);

    stun_write_begin(&x, buf, sizeof(buf), STUN_BINDING_REQUEST, txid);
    for (int i = 0; i < STUN_MAX_ATTRS; i++) {
        stun_write_attr(&x, 0xfffe, NULL, 0);
    }
    len = stun_write_finish(&x);
    assert_int_equal(stun_parse(buf, (size_t)len, &m), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5769_request_is_read_and_authentic),
        cmocka_unit_test(rfc5769_responses_give_the_mapped_address),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(each_prefix_is_refused),
        cmocka_unit_test(written_request_reads_back),
        cmocka_unit_test(written_answer_equals_the_rfc_vector),
        cmocka_unit_test(ipv4_answer_and_errors_read_back),
        cmocka_unit_test(writer_never_leaves_its_buffer),
        cmocka_unit_test(attributes_behind_the_integrity_do_not_count),
        cmocka_unit_test(first_of_repeated_attributes_counts),
        cmocka_unit_test(malformed_messages_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
