#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "dtls/dtls_record.h"
#include "sfu/base/bytes.h"

static size_t put_record(uint8_t *out, uint8_t type, uint16_t epoch, const void *body,
                         uint16_t len)
{
    struct wbytes w = wbytes_of(out, 1500);

    wbytes_u8(&w, type);
    wbytes_be16(&w, 0xfefd);
    wbytes_be16(&w, epoch);
    wbytes_zero(&w, 6);
    wbytes_be16(&w, len);
    wbytes_put(&w, body, len);
    assert_false(w.bad);
    return wbytes_len(&w);
}

/* A handshake fragment of 'n' bytes from 'at' of a message of 'len' bytes. */
static size_t put_message(uint8_t *out, uint8_t type, uint32_t len, uint32_t at, uint32_t n,
                          size_t carried)
{
    uint8_t body[1400] = {type};

    store_be24(body + 1, len);
    store_be24(body + 6, at);
    store_be24(body + 9, n);
    return put_record(out, 22, 0, body, (uint16_t)(12 + carried));
}

static void hello_from_a_client_is_sane_and_from_a_server_not(void **state)
{
    uint8_t d[1500];
    size_t n = put_message(d, 1, 100, 0, 100, 100);
    (void)state;

    assert_true(dtls_record_sane(d, n, true));
    assert_false(dtls_record_sane(d, n, false));
    d[2] = 0xff; /* DTLS 1.0 in the record, as first hellos have it */
    assert_true(dtls_record_sane(d, n, true));
    d[2] = 0xfc; /* 1.3 says 1.2 here; this is nothing */
    assert_false(dtls_record_sane(d, n, true));
}

static void fragments_must_lie_inside_their_message(void **state)
{
    uint8_t d[1500];
    (void)state;

    assert_true(dtls_record_sane(d, put_message(d, 1, 1400, 1100, 300, 300), true));
    assert_false(dtls_record_sane(d, put_message(d, 1, 1400, 1101, 300, 300), true));
    assert_false(dtls_record_sane(d, put_message(d, 1, 1400, 0, 300, 299), true));
    assert_false(dtls_record_sane(d, put_message(d, 1, 1400, 0, 0, 0), true));
    assert_false(dtls_record_sane(d, put_message(d, 1, 0xffffff, 0, 10, 10), true));
}

static void plaintext_alerts_and_data_are_not_sane_encrypted_ones_are(void **state)
{
    const uint8_t fatal[2] = {2, 40};
    uint8_t d[1500];
    (void)state;

    assert_false(dtls_record_sane(d, put_record(d, 21, 0, fatal, 2), true));
    assert_false(dtls_record_sane(d, put_record(d, 23, 0, fatal, 2), true));
    assert_true(dtls_record_sane(d, put_record(d, 21, 1, fatal, 2), true));
    assert_true(dtls_record_sane(d, put_record(d, 23, 1, fatal, 2), true));
    assert_false(dtls_record_sane(d, put_record(d, 20, 0, fatal, 2), true));
    assert_true(dtls_record_sane(d, put_record(d, 20, 0, "\x01", 1), true));
}

static void records_must_add_up_to_the_datagram(void **state)
{
    uint8_t d[1500];
    size_t n = put_message(d, 1, 100, 0, 100, 100);
    size_t both = n + put_record(d + n, 23, 1, "abc", 3);
    (void)state;

    assert_true(dtls_record_sane(d, both, true));
    for (size_t cut = 0; cut < both; cut++) {
        assert_int_equal(dtls_record_sane(d, cut, true), cut == n);
    }
}

static void a_part_of_a_hello_is_told_from_a_whole_one(void **state)
{
    uint8_t d[1500];
    size_t n = put_message(d, 1, 1400, 0, 1100, 1100);
    (void)state;

    assert_true(dtls_record_part_of_hello(d, n));
    for (size_t cut = 0; cut < 25; cut++) {
        assert_false(dtls_record_part_of_hello(d, cut));
    }
    d[4] = 1; /* encrypted */
    assert_false(dtls_record_part_of_hello(d, n));
    n = put_message(d, 1, 1400, 1100, 300, 300);
    assert_true(dtls_record_part_of_hello(d, n));
    n = put_message(d, 1, 300, 0, 300, 300);
    assert_false(dtls_record_part_of_hello(d, n));
    n = put_message(d, 11, 1400, 0, 300, 300);
    assert_false(dtls_record_part_of_hello(d, n));
}

static void no_bytes_can_make_it_read_outside(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)(rand() % 64) + 1;
        uint8_t *d = malloc(n); /* ASan guards its end */

        assert_non_null(d);
        for (size_t k = 0; k < n; k++) {
            d[k] = (uint8_t)rand();
        }
        d[0] = (uint8_t)(20 + rand() % 4);
        if (n > 13) {
            d[1] = 0xfe;
            d[2] = 0xfd;
            d[3] = d[4] = d[11] = 0;
            d[12] = (uint8_t)(rand() % 2 == 0 ? n - 13 : d[12]);
        }
        (void)dtls_record_sane(d, n, rand() % 2 == 0);
        (void)dtls_record_part_of_hello(d, n);
        free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_from_a_client_is_sane_and_from_a_server_not),
        cmocka_unit_test(fragments_must_lie_inside_their_message),
        cmocka_unit_test(plaintext_alerts_and_data_are_not_sane_encrypted_ones_are),
        cmocka_unit_test(records_must_add_up_to_the_datagram),
        cmocka_unit_test(a_part_of_a_hello_is_told_from_a_whole_one),
        cmocka_unit_test(no_bytes_can_make_it_read_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
