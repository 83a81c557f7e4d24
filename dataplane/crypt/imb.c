/* ipsec-mb backend: managers, key derivation, expansion of keys. */
#include "crypt/imb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_RTP = 0, LABEL_RTCP = 3, LABEL_KEY = 0, LABEL_AUTH = 1, LABEL_SALT = 2 };

/* From how many buffers on the multi-buffer SHA-1 beats SHA-NI, which does one or two at a
 * time. AVX-512 and AVX2 both break even between 4 and 5, at 180 as at 1,200 bytes (Zen 4).
 */
enum { SHA1_WIDE_FROM = 5 };

static void imb_destroy(struct crypt_ctx *base);
static int imb_key_init(struct crypt_ctx *base, struct crypt_key *opaque,
                        const struct profile *profile, const uint8_t *master_key,
                        const uint8_t *master_salt, bool outbound);

static const struct backend imb_backend = {
    .ctx_destroy = imb_destroy,
    .key_init = imb_key_init,
    .protect = imb_protect,
    .unprotect = imb_unprotect,
    .rtcp_protect = imb_rtcp_protect,
    .rtcp_unprotect = imb_rtcp_unprotect,
};

static void init_best(IMB_MGR *mgr)
{
    IMB_ARCH arch;

    init_mb_mgr_auto(mgr, &arch);
}

static int mgr_create(IMB_MGR **out, void (*init)(IMB_MGR *))
{
    IMB_MGR *mgr = alloc_mb_mgr(0);

    if (mgr == NULL) {
        return -ENOMEM;
    }
    init(mgr);
    if (imb_get_errno(mgr) != 0) {
        free_mb_mgr(mgr);
        return -ENOTSUP;
    }
    *out = mgr;
    return 0;
}

static uint32_t sha1_lanes(const IMB_MGR *mgr)
{
    switch (mgr->used_arch) {
    case IMB_ARCH_AVX512:
        return 16;
    case IMB_ARCH_AVX2:
        return 8;
    default:
        return 4;
    }
}

bool imb_has_vaes(const IMB_MGR *mgr)
{
    const uint64_t needed = IMB_FEATURE_AVX2 | IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ |
                            IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;

    return (mgr->features & needed) == needed;
}

static void ctx_free(struct imb_ctx *ctx)
{
    if (ctx->few != NULL) {
        free_mb_mgr(ctx->few);
    }
    if (ctx->mgr != NULL) {
        free_mb_mgr(ctx->mgr);
    }
    explicit_bzero(ctx, sizeof(*ctx));
    free(ctx);
}

int imb_create_on(struct crypt_ctx **out, void (*init)(IMB_MGR *))
{
    struct imb_ctx *ctx = aligned_alloc(64, (sizeof(*ctx) + 63) / 64 * 64);
    int err;

    if (ctx == NULL) {
        return -ENOMEM;
    }
    memset(ctx, 0, sizeof(*ctx));
    ctx->base.backend = &imb_backend;
    err = mgr_create(&ctx->mgr, init != NULL ? init : init_best);
    if (err != 0) {
        goto out;
    }
    ctx->lanes = sha1_lanes(ctx->mgr);
    ctx->vaes = init == NULL && ctx->mgr->used_arch != IMB_ARCH_AVX512 &&
                imb_has_vaes(ctx->mgr);
    if (ctx->lanes > 4 && (ctx->mgr->features & IMB_FEATURE_SHANI) != 0) {
        err = mgr_create(&ctx->few, init_mb_mgr_sse); /* this one uses SHA-NI */
        if (err != 0) {
            goto out;
        }
    }
    for (unsigned i = 0; i < CRYPT_BURST_MAX; i++) {
        IMB_JOB *job = &ctx->jobs[i];

        job->cipher_mode = IMB_CIPHER_CNTR;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->hash_alg = IMB_AUTH_HMAC_SHA_1;
        job->chain_order = IMB_ORDER_CIPHER_HASH;
        job->key_len_in_bytes = IMB_KEY_128_BYTES;
        job->iv_len_in_bytes = 16;
        job->auth_tag_output_len_in_bytes = IMB_SHA1_TAG;
    }
    *out = &ctx->base;
    ctx = NULL;
out:
    if (ctx != NULL) {
        ctx_free(ctx);
    }
    return err;
}

int imb_create(struct crypt_ctx **out)
{
    return imb_create_on(out, NULL);
}

static void imb_destroy(struct crypt_ctx *base)
{
    ctx_free((struct imb_ctx *)base);
}

void imb_run_cipher(struct imb_ctx *ctx, uint32_t n)
{
    if (n > 0) {
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(ctx->mgr, ctx->jobs, n, IMB_CIPHER_CNTR,
                                        IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
    }
}

void imb_run_hash(struct imb_ctx *ctx, uint32_t n)
{
    uint32_t few = 0;

    /* A partly filled batch costs as much as a full one. */
    if (ctx->few != NULL && n % ctx->lanes < SHA1_WIDE_FROM) {
        few = n % ctx->lanes;
    }
    if (n > few) {
        IMB_SUBMIT_HASH_BURST_NOCHECK(ctx->mgr, ctx->jobs, n - few, IMB_AUTH_HMAC_SHA_1);
    }
    if (few > 0) {
        IMB_SUBMIT_HASH_BURST_NOCHECK(ctx->few, ctx->jobs + n - few, few,
                                      IMB_AUTH_HMAC_SHA_1);
    }
}

void imb_derive(IMB_MGR *mgr, const struct profile *profile, const uint8_t *master_key,
                const uint8_t *master_salt, uint8_t label, uint8_t *out, size_t len)
{
    _Alignas(16) uint8_t schedule[240];
    _Alignas(16) uint8_t unused[240];
    uint8_t x[16] = {0};
    IMB_JOB job = {.cipher_mode = IMB_CIPHER_CNTR,
                   .cipher_direction = IMB_DIR_ENCRYPT,
                   .enc_keys = schedule,
                   .dec_keys = schedule,
                   .key_len_in_bytes = profile->key_len,
                   .src = out,
                   .dst = out,
                   .msg_len_to_cipher_in_bytes = len,
                   .iv = x,
                   .iv_len_in_bytes = sizeof(x)};

    /* The function is counter mode's key stream from (salt XOR label << 48) << 16, that is,
     * the encryption of zeros. */
    memcpy(x, master_salt, profile->salt_len);
    x[7] ^= label;
    memset(out, 0, len);
    if (profile->key_len == AES256_KEY) {
        IMB_AES_KEYEXP_256(mgr, master_key, schedule, unused);
    } else {
        IMB_AES_KEYEXP_128(mgr, master_key, schedule, unused);
    }
    IMB_SUBMIT_CIPHER_BURST_NOCHECK(mgr, &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT,
                                    profile->key_len);
    explicit_bzero(schedule, sizeof(schedule));
    explicit_bzero(unused, sizeof(unused));
    explicit_bzero(x, sizeof(x));
}

/* SHA-1's state after the block key XOR pad, from which each HMAC goes on (RFC 2104, 4). */
static void hmac_state(IMB_MGR *mgr, const uint8_t auth[SHA1_KEY], uint8_t pad,
                       uint8_t out[20])
{
    uint8_t block[64];

    memset(block, pad, sizeof(block));
    for (unsigned i = 0; i < SHA1_KEY; i++) {
        block[i] ^= auth[i];
    }
    IMB_SHA1_ONE_BLOCK(mgr, block, out);
    explicit_bzero(block, sizeof(block));
}

void imb_expand(IMB_MGR *mgr, struct imb_sched *sched, const struct profile *profile,
                const struct session_keys *keys)
{
    _Alignas(16) uint8_t unused[240]; /* the decryption schedule */

    if (profile->aead) {
        if (profile->key_len == AES256_KEY) {
            IMB_AES256_GCM_PRE(mgr, keys->key, &sched->gcm);
        } else {
            IMB_AES128_GCM_PRE(mgr, keys->key, &sched->gcm);
        }
        return;
    }
    IMB_AES_KEYEXP_128(mgr, keys->key, sched->cm.aes, unused);
    hmac_state(mgr, keys->auth, 0x36, sched->cm.ipad);
    hmac_state(mgr, keys->auth, 0x5c, sched->cm.opad);
    explicit_bzero(unused, sizeof(unused));
}

static void expand_vaes(IMB_MGR *mgr, struct gcm_vaes_key *key,
                        const struct profile *profile, const uint8_t *session_key)
{
    const bool wide = profile->key_len == AES256_KEY;
    _Alignas(16) uint8_t unused[240];

    if (wide) {
        IMB_AES_KEYEXP_256(mgr, session_key, key->rounds, unused);
    } else {
        IMB_AES_KEYEXP_128(mgr, session_key, key->rounds, unused);
    }
    gcm_vaes_expand(key, wide);
    explicit_bzero(unused, sizeof(unused));
}

void imb_key_from_session(IMB_MGR *mgr, struct imb_key *key, const struct profile *profile,
                          const struct session_keys *rtp, const struct session_keys *rtcp,
                          bool vaes)
{
    key->head.profile = profile->number;
    key->head.backend = CRYPT_IPSEC_MB;
    key->salt[0] = load_be64(rtp->salt);
    key->salt[1] = load_be64(rtp->salt + 8);
    key->rtcp_salt[0] = load_be64(rtcp->salt);
    key->rtcp_salt[1] = load_be64(rtcp->salt + 8);
    key->tag_len = profile->tag_len;
    key->vaes = vaes;
    if (vaes) {
        expand_vaes(mgr, &key->rtp.vaes, profile, rtp->key);
    } else {
        imb_expand(mgr, &key->rtp, profile, rtp);
    }
    key->rtcp_keys = *rtcp;
}

static int imb_key_init(struct crypt_ctx *base, struct crypt_key *opaque,
                        const struct profile *profile, const uint8_t *master_key,
                        const uint8_t *master_salt, bool outbound)
{
    const struct imb_ctx *ctx = (struct imb_ctx *)base;
    const bool vaes = outbound && profile->aead && ctx->vaes;
    IMB_MGR *mgr = ctx->mgr;
    struct session_keys keys[2] = {0};

    for (unsigned i = 0; i < 2; i++) {
        const uint8_t label = i == 0 ? LABEL_RTP : LABEL_RTCP;

        imb_derive(mgr, profile, master_key, master_salt, (uint8_t)(label + LABEL_KEY),
                   keys[i].key, profile->key_len);
        imb_derive(mgr, profile, master_key, master_salt, (uint8_t)(label + LABEL_SALT),
                   keys[i].salt, profile->salt_len);
        if (!profile->aead) {
            imb_derive(mgr, profile, master_key, master_salt, (uint8_t)(label + LABEL_AUTH),
                       keys[i].auth, SHA1_KEY);
        }
    }
    imb_key_from_session(mgr, (struct imb_key *)opaque->bytes, profile, &keys[0], &keys[1],
                         vaes);
    explicit_bzero(keys, sizeof(keys));
    return 0;
}
