/* The ipsec-mb backend against the vectors of RFC 3711 (B.2, B.3) and RFC 7714
 * (16.1, 16.2, 17.1, 17.2), and RFC 6188 (7.2), on every instruction set that this CPU can
 * run: the widest and the portable ones must give the same bytes. */
#include "crypt/imb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct crypt_ctx *ctx;

static IMB_MGR *mgr(void)
{
    return ((struct imb_ctx *)ctx)->mgr;
}

static void derives_the_session_keys_of_rfc3711_b3(void **state)
{
    static const uint8_t master_key[16] = {0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0,
                                           0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39};
    static const uint8_t master_salt[14] = {0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe,
                                            0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6};
    static const uint8_t cipher_key[16] = {0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee,
                                           0x10, 0x73, 0x4a, 0xfe, 0x3f, 0xf7, 0xa0, 0x87};
    static const uint8_t salt[14] = {0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c,
                                     0x85, 0xd4, 0x9d, 0xb3, 0x4a, 0x9a, 0xe1};
    static const uint8_t auth_key[94] = {
        0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b, 0x6f, 0xd4, 0xab, 0x49, 0xaf, 0x25,
        0x6a, 0x15, 0x6d, 0x38, 0xba, 0xa4, 0x8f, 0x0a, 0x0a, 0xcf, 0x3c, 0x34, 0xe2, 0x35,
        0x9e, 0x6c, 0xdb, 0xce, 0xe0, 0x49, 0x64, 0x6c, 0x43, 0xd9, 0x32, 0x7a, 0xd1, 0x75,
        0x57, 0x8e, 0xf7, 0x22, 0x70, 0x98, 0x63, 0x71, 0xc1, 0x0c, 0x9a, 0x36, 0x9a, 0xc2,
        0xf9, 0x4a, 0x8c, 0x5f, 0xbc, 0xdd, 0xdc, 0x25, 0x6d, 0x6e, 0x91, 0x9a, 0x48, 0xb6,
        0x10, 0xef, 0x17, 0xc2, 0x04, 0x1e, 0x47, 0x40, 0x35, 0x76, 0x6b, 0x68, 0x64, 0x2c,
        0x59, 0xbb, 0xfc, 0x2f, 0x34, 0xdb, 0x60, 0xdb, 0xdf, 0xb2};
    const struct profile *cm = profile_find(CRYPT_AES128_CM_SHA1_80);
    uint8_t out[94];
    (void)state;

    imb_derive(mgr(), cm, master_key, master_salt, 0, out, 16);
    assert_memory_equal(out, cipher_key, 16);
    imb_derive(mgr(), cm, master_key, master_salt, 2, out, 14);
    assert_memory_equal(out, salt, 14);
    imb_derive(mgr(), cm, master_key, master_salt, 1, out, 94);
    assert_memory_equal(out, auth_key, 94);
}

/* A key of 256 bits is the master of AES-256 in the derivation too. */
static void derives_the_session_keys_of_rfc6188_7_2(void **state)
{
    static const uint8_t master_key[32] = {0xf0, 0xf0, 0x49, 0x14, 0xb5, 0x13, 0xf2, 0x76,
                                           0x3a, 0x1b, 0x1f, 0xa1, 0x30, 0xf1, 0x0e, 0x29,
                                           0x98, 0xf6, 0xf6, 0xe4, 0x3e, 0x43, 0x09, 0xd1,
                                           0xe6, 0x22, 0xa0, 0xe3, 0x32, 0xb9, 0xf1, 0xb6};
    static const uint8_t master_salt[14] = {0x3b, 0x04, 0x80, 0x3d, 0xe5, 0x1e, 0xe7,
                                            0xc9, 0x64, 0x23, 0xab, 0x5b, 0x78, 0xd2};
    static const uint8_t cipher_key[32] = {0x5b, 0xa1, 0x06, 0x4e, 0x30, 0xec, 0x51, 0x61,
                                           0x3c, 0xad, 0x92, 0x6c, 0x5a, 0x28, 0xef, 0x73,
                                           0x1e, 0xc7, 0xfb, 0x39, 0x7f, 0x70, 0xa9, 0x60,
                                           0x65, 0x3c, 0xaf, 0x06, 0x55, 0x4c, 0xd8, 0xc4};
    static const uint8_t salt[14] = {0xfa, 0x31, 0x79, 0x16, 0x85, 0xca, 0x44,
                                     0x4a, 0x9e, 0x07, 0xc6, 0xc6, 0x4e, 0x93};
    static const uint8_t auth_key[20] = {0xfd, 0x9c, 0x32, 0xd3, 0x9e, 0xd5, 0xfb,
                                         0xb5, 0xa9, 0xdc, 0x96, 0xb3, 0x08, 0x18,
                                         0x45, 0x4d, 0x13, 0x13, 0xdc, 0x05};
    const struct profile cm256 = {.key_len = 32, .salt_len = 14};
    uint8_t out[32];
    (void)state;

    imb_derive(mgr(), &cm256, master_key, master_salt, 0, out, 32);
    assert_memory_equal(out, cipher_key, 32);
    imb_derive(mgr(), &cm256, master_key, master_salt, 2, out, 14);
    assert_memory_equal(out, salt, 14);
    imb_derive(mgr(), &cm256, master_key, master_salt, 1, out, 20);
    assert_memory_equal(out, auth_key, 20);
}

/* SSRC and index are zero there, so the IV is the salt alone. */
static void encrypts_with_the_key_stream_of_rfc3711_b2(void **state)
{
    static const struct session_keys keys = {
        .key = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88,
                0x09, 0xcf, 0x4f, 0x3c},
        .salt = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb,
                 0xfc, 0xfd}};
    static const uint8_t stream[48] = {
        0xe0, 0x3e, 0xad, 0x09, 0x35, 0xc9, 0x5e, 0x80, 0xe1, 0x66, 0xb1, 0x6d,
        0xd9, 0x2b, 0x4e, 0xb4, 0xd2, 0x35, 0x13, 0x16, 0x2b, 0x02, 0xd0, 0xf7,
        0x2a, 0x43, 0xa2, 0xfe, 0x4a, 0x5f, 0x97, 0xab, 0x41, 0xe9, 0x5b, 0x3b,
        0xb0, 0xa2, 0xe8, 0xdd, 0x47, 0x79, 0x01, 0xe4, 0xfc, 0xa8, 0x94, 0xc0};
    static const uint8_t zeros[48];
    static struct crypt_key key;
    uint8_t pkt[12 + 48 + 10] = {0x80};
    struct crypt_op op = {
        .key = &key, .src = zeros, .dst = pkt + 12, .hdr_len = 12, .len = sizeof(zeros)};
    (void)state;

    memset(&key, 0, sizeof(key));
    imb_key_from_session(mgr(), (struct imb_key *)key.bytes,
                         profile_find(CRYPT_AES128_CM_SHA1_80), &keys, &keys, false);
    assert_int_equal(crypt_protect_burst(ctx, &op, 1), 1);
    assert_memory_equal(pkt + 12, stream, sizeof(stream));
    crypt_key_wipe(&key);
}

/* The vectors for both lengths of key: the shorter is the beginning of the longer. */
static const struct session_keys rfc7714_keys = {
    .key = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
            0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
            0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f},
    .salt = {0x51, 0x75, 0x69, 0x64, 0x20, 0x70, 0x72, 0x6f, 0x20, 0x71, 0x75, 0x6f}};

static void rfc7714_key(struct crypt_key *key, enum crypt_profile profile, bool vaes)
{
    memset(key, 0, sizeof(*key));
    imb_key_from_session(mgr(), (struct imb_key *)key->bytes, profile_find(profile),
                         &rfc7714_keys, &rfc7714_keys, vaes);
}

static void srtp_vector(enum crypt_profile profile, const uint8_t wire[12 + 38 + 16])
{
    static const char plain[] = "Gallia est omnis divisa in partes tres";
    static struct crypt_key key;
    uint8_t pkt[12 + 38 + 16];
    uint8_t back[38];
    struct crypt_op op = {.key = &key,
                          .src = (const uint8_t *)plain,
                          .dst = pkt + 12,
                          .index = 0xf17b,
                          .ssrc = 0x5501a0b2,
                          .hdr_len = 12,
                          .len = 38};

    for (unsigned vaes = 0; vaes <= (imb_has_vaes(mgr()) ? 1 : 0); vaes++) {
        rfc7714_key(&key, profile, vaes != 0);
        memset(pkt, 0, sizeof(pkt));
        memcpy(pkt, wire, 12);
        assert_int_equal(crypt_protect_burst(ctx, &op, 1), 1);
        assert_memory_equal(pkt, wire, 12 + 38 + 16);
    }
    rfc7714_key(&key, profile, false);
    op.src = pkt + 12;
    op.dst = back;
    op.len = 38 + 16;
    assert_int_equal(crypt_unprotect_burst(ctx, &op, 1), 1);
    assert_memory_equal(back, plain, 38);
    crypt_key_wipe(&key);
}

static void srtp_of_rfc7714_16_1(void **state)
{
    static const uint8_t wire[12 + 38 + 16] = {
        0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0xf2, 0x4d,
        0xe3, 0xa3, 0xfb, 0x34, 0xde, 0x6c, 0xac, 0xba, 0x86, 0x1c, 0x9d, 0x7e, 0x4b, 0xca,
        0xbe, 0x63, 0x3b, 0xd5, 0x0d, 0x29, 0x4e, 0x6f, 0x42, 0xa5, 0xf4, 0x7a, 0x51, 0xc7,
        0xd1, 0x9b, 0x36, 0xde, 0x3a, 0xdf, 0x88, 0x33, 0x89, 0x9d, 0x7f, 0x27, 0xbe, 0xb1,
        0x6a, 0x91, 0x52, 0xcf, 0x76, 0x5e, 0xe4, 0x39, 0x0c, 0xce};
    (void)state;

    srtp_vector(CRYPT_AEAD_AES_128_GCM, wire);
}

static void srtp_of_rfc7714_16_2(void **state)
{
    static const uint8_t wire[12 + 38 + 16] = {
        0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2, 0x32, 0xb1,
        0xde, 0x78, 0xa8, 0x22, 0xfe, 0x12, 0xef, 0x9f, 0x78, 0xfa, 0x33, 0x2e, 0x33, 0xaa,
        0xb1, 0x80, 0x12, 0x38, 0x9a, 0x58, 0xe2, 0xf3, 0xb5, 0x0b, 0x2a, 0x02, 0x76, 0xff,
        0xae, 0x0f, 0x1b, 0xa6, 0x37, 0x99, 0xb8, 0x7b, 0x7a, 0xa3, 0xdb, 0x36, 0xdf, 0xff,
        0xd6, 0xb0, 0xf9, 0xbb, 0x78, 0x78, 0xd7, 0xa7, 0x6c, 0x13};
    (void)state;

    srtp_vector(CRYPT_AEAD_AES_256_GCM, wire);
}

static void srtcp_vector(enum crypt_profile profile, const uint8_t wire[52 + 20])
{
    static const uint8_t plain[52] = {
        0x81, 0xc8, 0x00, 0x0d, 0x4d, 0x61, 0x72, 0x73, 0x4e, 0x54, 0x50, 0x31, 0x4e,
        0x54, 0x50, 0x32, 0x52, 0x54, 0x50, 0x20, 0x00, 0x00, 0x04, 0x2a, 0x00, 0x00,
        0xe9, 0x30, 0x4c, 0x75, 0x6e, 0x61, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe,
        0xef, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef};
    static struct crypt_key key;
    uint8_t out[52 + 20];
    uint8_t back[sizeof(plain)];
    uint32_t index;
    size_t len;

    rfc7714_key(&key, profile, false);
    assert_int_equal(
        crypt_rtcp_protect(ctx, &key, 0x5d4, plain, sizeof(plain), out, sizeof(out), &len),
        0);
    assert_int_equal(len, sizeof(out));
    assert_memory_equal(out, wire, sizeof(out));
    assert_int_equal(
        crypt_rtcp_unprotect(ctx, &key, out, len, back, sizeof(back), &len, &index), 0);
    assert_int_equal(len, sizeof(plain));
    assert_int_equal(index, 0x5d4);
    assert_memory_equal(back, plain, sizeof(plain));
    crypt_key_wipe(&key);
}

static void srtcp_of_rfc7714_17_1(void **state)
{
    static const uint8_t wire[52 + 20] = {
        0x81, 0xc8, 0x00, 0x0d, 0x4d, 0x61, 0x72, 0x73, 0x63, 0xe9, 0x48, 0x85,
        0xdc, 0xda, 0xb6, 0x7c, 0xa7, 0x27, 0xd7, 0x66, 0x2f, 0x6b, 0x7e, 0x99,
        0x7f, 0xf5, 0xc0, 0xf7, 0x6c, 0x06, 0xf3, 0x2d, 0xc6, 0x76, 0xa5, 0xf1,
        0x73, 0x0d, 0x6f, 0xda, 0x4c, 0xe0, 0x9b, 0x46, 0x86, 0x30, 0x3d, 0xed,
        0x0b, 0xb9, 0x27, 0x5b, 0xc8, 0x4a, 0xa4, 0x58, 0x96, 0xcf, 0x4d, 0x2f,
        0xc5, 0xab, 0xf8, 0x72, 0x45, 0xd9, 0xea, 0xde, 0x80, 0x00, 0x05, 0xd4};
    (void)state;

    srtcp_vector(CRYPT_AEAD_AES_128_GCM, wire);
}

static void srtcp_of_rfc7714_17_2(void **state)
{
    static const uint8_t wire[52 + 20] = {
        0x81, 0xc8, 0x00, 0x0d, 0x4d, 0x61, 0x72, 0x73, 0xd5, 0x0a, 0xe4, 0xd1,
        0xf5, 0xce, 0x5d, 0x30, 0x4b, 0xa2, 0x97, 0xe4, 0x7d, 0x47, 0x0c, 0x28,
        0x2c, 0x3e, 0xce, 0x5d, 0xbf, 0xfe, 0x0a, 0x50, 0xa2, 0xea, 0xa5, 0xc1,
        0x11, 0x05, 0x55, 0xbe, 0x84, 0x15, 0xf6, 0x58, 0xc6, 0x1d, 0xe0, 0x47,
        0x6f, 0x1b, 0x6f, 0xad, 0x1d, 0x1e, 0xb3, 0x0c, 0x44, 0x46, 0x83, 0x9f,
        0x57, 0xff, 0x6f, 0x6c, 0xb2, 0x6a, 0xc3, 0xbe, 0x80, 0x00, 0x05, 0xd4};
    (void)state;

    srtcp_vector(CRYPT_AEAD_AES_256_GCM, wire);
}

/* Bursts of every size meet every split between the wide SHA-1 and SHA-NI. */
static void any_instruction_set_gives_the_bytes_of_sse(void **state)
{
    enum { LEN = 700, PKT = 12 + LEN + 16 };
    static const uint8_t master[46] = {7, 7, 7};
    static uint8_t src[LEN], ours[CRYPT_BURST_MAX][PKT], theirs[CRYPT_BURST_MAX][PKT];
    static struct crypt_key our_key, their_key;
    struct crypt_ctx *sse;
    (void)state;

    assert_int_equal(imb_create_on(&sse, init_mb_mgr_sse), 0);
    for (unsigned p = 0; p < 4; p++) {
        static const enum crypt_profile profiles[4] = {
            CRYPT_AES128_CM_SHA1_80, CRYPT_AES128_CM_SHA1_32, CRYPT_AEAD_AES_128_GCM,
            CRYPT_AEAD_AES_256_GCM};

        assert_int_equal(
            crypt_key_init(ctx, &our_key, profiles[p], master, master + 32, true), 0);
        assert_int_equal(
            crypt_key_init(sse, &their_key, profiles[p], master, master + 32, true), 0);
        for (uint16_t n = 1; n <= CRYPT_BURST_MAX; n++) {
            struct crypt_op a[CRYPT_BURST_MAX], b[CRYPT_BURST_MAX];

            memset(ours, 0x80, sizeof(ours));
            memset(theirs, 0x80, sizeof(theirs));
            for (uint16_t i = 0; i < n; i++) {
                a[i] = (struct crypt_op){.key = &our_key,
                                         .src = src,
                                         .dst = ours[i] + 12,
                                         .index = (uint64_t)i << 16 | n,
                                         .ssrc = 9,
                                         .hdr_len = 12,
                                         .len = (uint16_t)(LEN - 13 * i)};
                b[i] = a[i];
                b[i].key = &their_key;
                b[i].dst = theirs[i] + 12;
            }
            assert_int_equal(crypt_protect_burst(ctx, a, n), n);
            assert_int_equal(crypt_protect_burst(sse, b, n), n);
            assert_memory_equal(ours, theirs, sizeof(ours));
        }
        crypt_key_wipe(&our_key);
        crypt_key_wipe(&their_key);
    }
    crypt_ctx_destroy(sse);
}

static bool made_with_vaes(enum crypt_profile profile, bool outbound)
{
    static const uint8_t master[46] = {7, 7, 7};
    static struct crypt_key key;
    bool vaes;

    assert_int_equal(crypt_key_init(ctx, &key, profile, master, master + 32, outbound), 0);
    vaes = ((const struct imb_key *)key.bytes)->vaes;
    crypt_key_wipe(&key);
    return vaes;
}

/* Not on managers of the caller's choice, and nothing that ipsec-mb does with AVX-512. */
static void gcm_to_be_sent_is_ours_where_the_cpu_has_what_it_takes(void **state)
{
    const bool best = *state != NULL;
    const bool ours = best && imb_has_vaes(mgr()) && mgr()->used_arch != IMB_ARCH_AVX512;

    assert_int_equal(made_with_vaes(CRYPT_AEAD_AES_128_GCM, true), ours);
    assert_int_equal(made_with_vaes(CRYPT_AEAD_AES_256_GCM, true), ours);
    assert_false(made_with_vaes(CRYPT_AEAD_AES_128_GCM, false));
    assert_false(made_with_vaes(CRYPT_AEAD_AES_256_GCM, false));
    assert_false(made_with_vaes(CRYPT_AES128_CM_SHA1_80, true));
    assert_false(made_with_vaes(CRYPT_AES128_CM_SHA1_32, true));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(derives_the_session_keys_of_rfc3711_b3),
    cmocka_unit_test(derives_the_session_keys_of_rfc6188_7_2),
    cmocka_unit_test(encrypts_with_the_key_stream_of_rfc3711_b2),
    cmocka_unit_test(srtp_of_rfc7714_16_1),
    cmocka_unit_test(srtp_of_rfc7714_16_2),
    cmocka_unit_test(srtcp_of_rfc7714_17_1),
    cmocka_unit_test(srtcp_of_rfc7714_17_2),
    cmocka_unit_test(any_instruction_set_gives_the_bytes_of_sse),
    cmocka_unit_test(gcm_to_be_sent_is_ours_where_the_cpu_has_what_it_takes),
};

static int close_ctx(void **state)
{
    (void)state;
    crypt_ctx_destroy(ctx);
    ctx = NULL;
    return 0;
}

static int open_best(void **state)
{
    static bool best = true;

    *state = &best;
    return imb_create_on(&ctx, NULL);
}

static int open_sse(void **state)
{
    (void)state;
    return imb_create_on(&ctx, init_mb_mgr_sse);
}

static int open_avx(void **state)
{
    (void)state;
    return imb_create_on(&ctx, init_mb_mgr_avx);
}

static int open_avx2(void **state)
{
    (void)state;
    return imb_create_on(&ctx, init_mb_mgr_avx2);
}

int main(void)
{
    int failed = cmocka_run_group_tests_name("best", tests, open_best, close_ctx);

    failed += cmocka_run_group_tests_name("sse", tests, open_sse, close_ctx);
    if (__builtin_cpu_supports("avx")) {
        failed += cmocka_run_group_tests_name("avx", tests, open_avx, close_ctx);
    }
    if (__builtin_cpu_supports("avx2")) {
        failed += cmocka_run_group_tests_name("avx2", tests, open_avx2, close_ctx);
    }
    return failed;
}
