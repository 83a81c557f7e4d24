/* The ipsec-mb backend's own layout, shared by imb.c (contexts, keys), imb_rtp.c (bursts)
 * and imb_rtcp.c; not for other folders. Tests use it to pass session keys and to choose a
 * manager. */
#ifndef CRYPT_IMB_H
#define CRYPT_IMB_H

#include "crypt/backend.h"
#include "crypt/gcm_vaes.h"
#include "sfu/base/bytes.h"

#include <intel-ipsec-mb.h>

/* HMAC-SHA1 as ipsec-mb writes it: the 96 bits of IPsec, of which SRTP sends 80 or 32. */
enum { IMB_SHA1_TAG = 12 };

/* Session keys of SRTP or of SRTCP (RFC 3711, 4.3); what a profile has no use for is zero.
 */
struct session_keys {
    uint8_t key[32];
    uint8_t auth[SHA1_KEY];
    uint8_t salt[16]; /* zero from salt_len on */
};

/* An expanded set of session keys. */
struct imb_sched {
    union {
        struct gcm_key_data gcm; /* AES schedule and up to 48 powers of the hash key */
        struct gcm_vaes_key vaes; /* instead, where that is faster */
        struct {
            uint8_t ipad[20]; /* SHA-1 states after the first block */
            uint8_t opad[20];
            uint8_t _pad[8];
            uint8_t aes[240]; /* encryption schedule; ipsec-mb wants 16-byte alignment */
        } cm;
    };
};

struct imb_key {
    struct key_head head;
    uint64_t salt[2]; /* masks of the IV, host order */
    uint64_t rtcp_salt[2];
    uint32_t tag_len; /* SRTP's */
    bool vaes;        /* of 'rtp': it only encrypts */
    _Alignas(64) struct imb_sched rtp;
    /* ---- not read by SRTP ---- */
    _Alignas(64) struct imb_sched rtcp;
    struct session_keys rtcp_keys; /* wiped once 'rtcp' is expanded */
};
_Static_assert(sizeof(struct imb_key) <= CRYPT_KEY_BYTES, "fits the caller's memory");
_Static_assert(offsetof(struct imb_key, rtcp) == CRYPT_KEY_HOT_BYTES, "prefetched exactly");
_Static_assert(_Alignof(struct imb_key) <= _Alignof(struct crypt_key), "aligned enough");

struct imb_ctx {
    struct crypt_ctx base;
    IMB_MGR *mgr;   /* the widest the CPU has */
    IMB_MGR *few;   /* SHA-1 of few buffers: SHA-NI; NULL if 'mgr' is as good */
    uint32_t lanes; /* buffers that mgr's SHA-1 hashes at once */
    bool vaes;      /* GCM is encrypted by gcm_vaes.h, not by mgr */
    struct gcm_context_data gcm;
    IMB_JOB jobs[CRYPT_BURST_MAX]; /* fields that never change are set at create */
    struct crypt_op *ops[CRYPT_BURST_MAX];
    uint8_t ivs[CRYPT_BURST_MAX][16];
    uint8_t tags[CRYPT_BURST_MAX][16];
    uint8_t sent[CRYPT_BURST_MAX][16]; /* tags as received */
};

/* A context on managers of the caller's choice; crypt_ctx_create() takes the best.
 *
 * init  init_mb_mgr_sse or a sister: all is ipsec-mb's then; NULL: as the CPU has */
int imb_create_on(struct crypt_ctx **out, void (*init)(IMB_MGR *));

/* Whether the CPU runs gcm_vaes.h. */
bool imb_has_vaes(const IMB_MGR *mgr);

/* 'len' bytes of the key derivation function, label 0 to 5 (RFC 3711, 4.3.1 to 4.3.3; salts
 * of 12 bytes: RFC 7714, 11; keys of 32: RFC 6188, 3). */
void imb_derive(IMB_MGR *mgr, const struct profile *profile, const uint8_t *master_key,
                const uint8_t *master_salt, uint8_t label, uint8_t *out, size_t len);

/* Fills 'key' (zeroed) from session keys, for vectors that have no master key. 'vaes': SRTP's
 * part for gcm_vaes.h; then the profile is one of GCM, and the key for protect alone. */
void imb_key_from_session(IMB_MGR *mgr, struct imb_key *key, const struct profile *profile,
                          const struct session_keys *rtp, const struct session_keys *rtcp,
                          bool vaes);

void imb_expand(IMB_MGR *mgr, struct imb_sched *sched, const struct profile *profile,
                const struct session_keys *keys);

uint16_t imb_protect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n);
uint16_t imb_unprotect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n);
int imb_rtcp_protect(struct crypt_ctx *base, struct crypt_key *opaque,
                     const struct profile *profile, uint32_t index, const uint8_t *pkt,
                     size_t len, uint8_t *out);
int imb_rtcp_unprotect(struct crypt_ctx *base, struct crypt_key *opaque,
                       const struct profile *profile, const uint8_t *pkt, size_t len,
                       uint8_t *out);

/* GCM's IV of SRTP as two numbers: its first 8 bytes, and its last 4 << 32. */
static inline uint64_t imb_iv_first(const uint64_t salt[2], uint32_t ssrc, uint64_t index)
{
    return ((uint64_t)ssrc << 16 | index >> 32) ^ salt[0];
}

static inline uint64_t imb_iv_second(const uint64_t salt[2], uint64_t index)
{
    return index << 32 ^ salt[1];
}

/* The IV: 12 bytes for GCM (RFC 7714, 8.1 and 9.1), 16 for counter mode (RFC 3711, 4.1.1).
 * SRTCP's index is the lower half of an SRTP index in both. */
static inline void imb_iv(uint8_t iv[16], bool aead, const uint64_t salt[2], uint32_t ssrc,
                          uint64_t index)
{
    if (aead) {
        store_be64(iv, imb_iv_first(salt, ssrc, index));
        store_be64(iv + 8, imb_iv_second(salt, index));
    } else {
        store_be64(iv, ssrc ^ salt[0]);
        store_be64(iv + 8, index << 16 ^ salt[1]);
    }
}

/* GCM under the session key of 128 or 256 bits; parameters as ipsec-mb's. */
static inline void imb_gcm_enc(struct imb_ctx *ctx, const struct gcm_key_data *gcm,
                               bool wide, uint8_t *dst, const uint8_t *src, size_t len,
                               const uint8_t *iv, const uint8_t *aad, size_t aad_len,
                               uint8_t *tag)
{
    if (wide) {
        IMB_AES256_GCM_ENC(ctx->mgr, gcm, &ctx->gcm, dst, src, len, iv, aad, aad_len, tag,
                           CRYPT_TAG_MAX);
    } else {
        IMB_AES128_GCM_ENC(ctx->mgr, gcm, &ctx->gcm, dst, src, len, iv, aad, aad_len, tag,
                           CRYPT_TAG_MAX);
    }
}

static inline void imb_gcm_dec(struct imb_ctx *ctx, const struct gcm_key_data *gcm,
                               bool wide, uint8_t *dst, const uint8_t *src, size_t len,
                               const uint8_t *iv, const uint8_t *aad, size_t aad_len,
                               uint8_t *tag)
{
    if (wide) {
        IMB_AES256_GCM_DEC(ctx->mgr, gcm, &ctx->gcm, dst, src, len, iv, aad, aad_len, tag,
                           CRYPT_TAG_MAX);
    } else {
        IMB_AES128_GCM_DEC(ctx->mgr, gcm, &ctx->gcm, dst, src, len, iv, aad, aad_len, tag,
                           CRYPT_TAG_MAX);
    }
}

/* Fills the cipher's half of a job; 'len' > 0. */
static inline void imb_job_cipher(IMB_JOB *job, const struct imb_sched *sched,
                                  const uint8_t *iv, const uint8_t *src, uint8_t *dst,
                                  size_t len)
{
    job->enc_keys = sched->cm.aes;
    job->dec_keys = sched->cm.aes;
    job->src = src;
    job->dst = dst;
    job->msg_len_to_cipher_in_bytes = len;
    job->iv = iv;
}

/* Fills the hash's half of a job. It shares 'src' with the cipher's, so it comes after. */
static inline void imb_job_hash(IMB_JOB *job, const struct imb_sched *sched,
                                const uint8_t *src, size_t len, uint8_t *tag)
{
    job->src = src;
    job->msg_len_to_hash_in_bytes = len;
    job->auth_tag_output = tag;
    job->u.HMAC._hashed_auth_key_xor_ipad = sched->cm.ipad;
    job->u.HMAC._hashed_auth_key_xor_opad = sched->cm.opad;
}

/* Run the first n jobs of the context, all of them before it returns. */
void imb_run_cipher(struct imb_ctx *ctx, uint32_t n);
void imb_run_hash(struct imb_ctx *ctx, uint32_t n);

#endif
