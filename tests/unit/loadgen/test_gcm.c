/* What gcm.c seals, libsrtp2 opens: both key lengths, RTP across a roll-over, RTCP. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/armor.h"
#include "sfu/base/bytes.h"

enum { SSRC = 0x11223344, HEAD = 12, BODY = 40 };

/* A session that opens what 'gcm' seals. */
static srtp_t opener(srtp_profile_t profile, size_t key_len, struct gcm *gcm)
{
    uint8_t master[DTLS_KEY_MAX + GCM_SALT];
    srtp_policy_t policy = {.ssrc.type = ssrc_any_inbound, .key = master};
    srtp_t session;

    for (size_t i = 0; i < sizeof(master); i++) {
        master[i] = (uint8_t)(i * 7 + 3);
    }
    assert_int_equal(srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, profile), 0);
    assert_int_equal(srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, profile),
                     0);
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    assert_int_equal(gcm_open(gcm, master, key_len, master + key_len), 0);
    return session;
}

static void check_rtp(struct gcm *gcm, srtp_t session, uint16_t seq)
{
    _Alignas(8) uint8_t data[HEAD + BODY + ARMOR_ROOM] = {0x80, 96};
    uint8_t plain[HEAD + BODY];
    size_t len = sizeof(plain);
    int n;

    store_be16(data + 2, seq);
    store_be32(data + 8, SSRC);
    memset(data + HEAD, seq & 0xff, BODY);
    memcpy(plain, data, sizeof(plain));
    assert_int_equal(gcm_protect_rtp(gcm, data, &len), 0);
    assert_int_equal(len, sizeof(plain) + GCM_TAG);
    assert_memory_not_equal(data + HEAD, plain + HEAD, BODY);
    n = (int)len;
    assert_int_equal(srtp_unprotect(session, data, &n), srtp_err_status_ok);
    assert_int_equal(n, sizeof(plain));
    assert_memory_equal(data, plain, sizeof(plain));
}

static void check_rtcp(struct gcm *gcm, srtp_t session)
{
    _Alignas(8) uint8_t data[32 + ARMOR_ROOM] = {0x80, 201, 0, 7};
    uint8_t plain[32];
    size_t len = sizeof(plain);
    int n;

    store_be32(data + 4, SSRC);
    memcpy(plain, data, sizeof(plain));
    assert_int_equal(gcm_protect_rtcp(gcm, data, &len), 0);
    n = (int)len;
    assert_int_equal(srtp_unprotect_rtcp(session, data, &n), srtp_err_status_ok);
    assert_int_equal(n, sizeof(plain));
    assert_memory_equal(data, plain, sizeof(plain));
}

static void check(srtp_profile_t profile, size_t key_len)
{
    struct gcm gcm;
    srtp_t session = opener(profile, key_len, &gcm);

    for (uint32_t i = 0; i < 10; i++) {
        check_rtp(&gcm, session, (uint16_t)(65530 + i));
        check_rtcp(&gcm, session);
    }
    gcm_close(&gcm);
    (void)srtp_dealloc(session);
}

static void libsrtp_opens_what_is_sealed(void **state)
{
    (void)state;
    check(srtp_profile_aead_aes_128_gcm, 16);
    check(srtp_profile_aead_aes_256_gcm, 32);
}

static void what_is_no_packet_is_refused(void **state)
{
    uint8_t data[64] = {0};
    struct gcm gcm = {0};
    size_t len = 7;
    (void)state;

    assert_int_equal(gcm_protect_rtp(&gcm, data, &len), -EBADMSG);
    assert_int_equal(gcm_protect_rtcp(&gcm, data, &len), -EBADMSG);
}

static int start(void **state)
{
    (void)state;
    return armor_setup();
}

static int stop(void **state)
{
    (void)state;
    armor_teardown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libsrtp_opens_what_is_sealed),
        cmocka_unit_test(what_is_no_packet_is_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
