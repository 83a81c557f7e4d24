/* libsrtp2 as others use it, sessions that count ROC and index for themselves, against the
 * ipsec-mb backend; and what is peculiar to the libsrtp2 backend. */
#include "crypt/crypt.h"
#include "sfu/base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <srtp2/srtp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAYLOAD_MAX = 300, PKT_MAX = 20 + PAYLOAD_MAX + SRTP_MAX_TRAILER_LEN };

static const enum crypt_profile profiles[] = {
    CRYPT_AES128_CM_SHA1_80, CRYPT_AES128_CM_SHA1_32, CRYPT_AEAD_AES_128_GCM,
    CRYPT_AEAD_AES_256_GCM};
enum { N_PROFILES = sizeof(profiles) / sizeof(profiles[0]) };

static uint8_t master[46]; /* libsrtp2's layout: key, then salt */

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(rand() >> 7);
    }
}

static srtp_t plain_session(unsigned p, srtp_ssrc_type_t type)
{
    srtp_policy_t policy = {.ssrc.type = type, .key = master, .window_size = 128};
    srtp_t session;

    srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profiles[p]);
    srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profiles[p]);
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

/* A header with one word of extension every second packet. Returns its length. */
static uint16_t make_header(uint8_t *hdr, uint32_t ssrc, uint64_t index)
{
    fill(hdr, 20);
    hdr[0] = index % 2 != 0 ? 0x90 : 0x80;
    store_be16(hdr + 2, (uint16_t)index);
    store_be32(hdr + 8, ssrc);
    store_be16(hdr + 14, 1);
    return index % 2 != 0 ? 20 : 12;
}

/* One packet to the peer and one from it; both sides make the same bytes. */
static void exchange(struct crypt_ctx *imb, struct crypt_key keys[2], srtp_t tx, srtp_t rx,
                     uint64_t index)
{
    _Alignas(8) uint8_t theirs[PKT_MAX], ours[PKT_MAX];
    uint8_t src[PAYLOAD_MAX], back[PKT_MAX];
    const uint16_t hdr_len = make_header(theirs, 0x12345678, index);
    const uint16_t len = (uint16_t)(rand() % (PAYLOAD_MAX + 1));
    struct crypt_op op = {.key = &keys[0],
                          .src = src,
                          .dst = ours + hdr_len,
                          .index = index,
                          .ssrc = 0x12345678,
                          .hdr_len = hdr_len,
                          .len = len};
    int n = hdr_len + len;

    fill(src, sizeof(src));
    memcpy(theirs + hdr_len, src, len);
    memcpy(ours, theirs, hdr_len);
    assert_int_equal(srtp_protect(tx, theirs, &n), srtp_err_status_ok);
    assert_int_equal(crypt_protect_burst(imb, &op, 1), 1);
    assert_memory_equal(ours, theirs, (size_t)n);

    op.key = &keys[1];
    op.src = theirs + hdr_len;
    op.dst = back;
    op.len = (uint16_t)(n - hdr_len);
    assert_int_equal(crypt_unprotect_burst(imb, &op, 1), 1);
    assert_memory_equal(back, src, len);
    assert_int_equal(srtp_unprotect(rx, ours, &n), srtp_err_status_ok);
    assert_int_equal(n, hdr_len + len);
    assert_memory_equal(ours + hdr_len, src, len);
}

static void a_plain_peer_understands_us_across_a_wrap(void **state)
{
    static struct crypt_key keys[2];
    struct crypt_ctx *ls, *imb;
    (void)state;

    assert_int_equal(crypt_ctx_create(&ls, CRYPT_LIBSRTP), 0); /* starts the library */
    assert_int_equal(crypt_ctx_create(&imb, CRYPT_IPSEC_MB), 0);
    for (unsigned p = 0; p < N_PROFILES; p++) {
        srtp_t tx = plain_session(p, ssrc_any_outbound);
        srtp_t rx = plain_session(p, ssrc_any_inbound);

        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(crypt_key_init(imb, &keys[k], profiles[p], master,
                                            master + crypt_master_key_len(profiles[p]),
                                            k == 0),
                             0);
        }
        for (uint64_t index = 64000; index < 68000; index++) {
            exchange(imb, keys, tx, rx, index);
        }
        for (unsigned k = 0; k < 2; k++) {
            crypt_key_wipe(&keys[k]);
        }
        srtp_dealloc(tx);
        srtp_dealloc(rx);
    }
    crypt_ctx_destroy(imb);
    crypt_ctx_destroy(ls);
}

static void a_header_that_disagrees_is_refused(void **state)
{
    static struct crypt_key out_key;
    uint8_t pkt[12 + 32] = {0x80, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7}, src[4] = {0};
    const struct crypt_op good = {.key = &out_key,
                                  .src = src,
                                  .dst = pkt + 12,
                                  .index = 5,
                                  .ssrc = 7,
                                  .hdr_len = 12,
                                  .len = sizeof(src)};
    struct crypt_op ops[4] = {good, good, good, good};
    struct crypt_ctx *ls;
    (void)state;

    assert_int_equal(crypt_ctx_create(&ls, CRYPT_LIBSRTP), 0);
    assert_int_equal(
        crypt_key_init(ls, &out_key, CRYPT_AES128_CM_SHA1_80, master, master + 16, true),
        0);
    ops[1].ssrc = 8;
    ops[2].index = 6;
    ops[3].hdr_len = 8;
    ops[3].dst = pkt + 8;
    assert_int_equal(crypt_protect_burst(ls, ops, 4), 1);
    assert_int_equal(ops[0].status, 0);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(ops[i].status, -EINVAL);
    }
    crypt_key_wipe(&out_key);
    crypt_ctx_destroy(ls);
}

/* A session that puts an MKI into its packets, which is negotiated with nobody. */
static srtp_t mki_session(unsigned p)
{
    static uint8_t mki[4] = {1, 2, 3, 4};
    srtp_master_key_t key = {.key = master, .mki_id = mki, .mki_size = sizeof(mki)};
    srtp_master_key_t *keys[1] = {&key};
    srtp_policy_t policy = {.ssrc.type = ssrc_any_outbound,
                            .keys = keys,
                            .num_master_keys = 1,
                            .window_size = 128};
    srtp_t session;

    srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profiles[p]);
    srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profiles[p]);
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

/* Both packets have one; 'n' and 'n_rtcp' bytes. */
static void refuse_both(enum crypt_backend backend, unsigned p, const uint8_t *pkt, int n,
                        const uint8_t *rtcp, int n_rtcp)
{
    static struct crypt_key key;
    uint8_t out[PKT_MAX];
    struct crypt_op op = {.key = &key,
                          .src = pkt + 12,
                          .dst = out,
                          .index = 9,
                          .hdr_len = 12,
                          .len = (uint16_t)(n - 12)};
    struct crypt_ctx *ctx;
    uint32_t index;
    size_t got;

    assert_int_equal(crypt_ctx_create(&ctx, backend), 0);
    assert_int_equal(crypt_key_init(ctx, &key, profiles[p], master,
                                    master + crypt_master_key_len(profiles[p]), false),
                     0);
    assert_int_equal(crypt_unprotect_burst(ctx, &op, 1), 0);
    assert_int_equal(op.status, -EBADMSG);
    assert_int_equal(crypt_rtcp_unprotect(ctx, &key, rtcp, (size_t)n_rtcp, out, sizeof(out),
                                          &got, &index),
                     -EBADMSG);
    op.len = (uint16_t)(op.len - 4); /* GCM's is the very end, CM's before the tag */
    assert_int_equal(crypt_unprotect_burst(ctx, &op, 1),
                     profiles[p] >= CRYPT_AEAD_AES_128_GCM);
    crypt_key_wipe(&key);
    crypt_ctx_destroy(ctx);
}

static void packets_with_an_mki_are_refused_by_all(void **state)
{
    (void)state;

    for (unsigned p = 0; p < N_PROFILES; p++) {
        _Alignas(8) uint8_t pkt[PKT_MAX] = {0x80, 0, 0, 9}, rtcp[PKT_MAX] = {0x80, 200};
        int n = 12 + 100, n_rtcp = 100;
        srtp_t tx = mki_session(p);
        srtp_t rx = plain_session(p, ssrc_any_inbound);

        assert_int_equal(srtp_protect_mki(tx, pkt, &n, 1, 0), srtp_err_status_ok);
        assert_int_equal(n, 12 + 100 + 4 + crypt_tag_len(profiles[p]));
        assert_int_equal(srtp_protect_rtcp_mki(tx, rtcp, &n_rtcp, 1, 0),
                         srtp_err_status_ok);
        assert_int_equal(n_rtcp, 100 + 4 + crypt_rtcp_overhead(profiles[p]));
        refuse_both(CRYPT_IPSEC_MB, p, pkt, n, rtcp, n_rtcp);
        refuse_both(CRYPT_LIBSRTP, p, pkt, n, rtcp, n_rtcp);
        assert_int_not_equal(srtp_unprotect(rx, pkt, &n), srtp_err_status_ok);
        assert_int_not_equal(srtp_unprotect_rtcp(rx, rtcp, &n_rtcp), srtp_err_status_ok);
        srtp_dealloc(tx);
        srtp_dealloc(rx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_peer_understands_us_across_a_wrap),
        cmocka_unit_test(a_header_that_disagrees_is_refused),
        cmocka_unit_test(packets_with_an_mki_are_refused_by_all),
    };

    srand(3711);
    fill(master, sizeof(master));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
