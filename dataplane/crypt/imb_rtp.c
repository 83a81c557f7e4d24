/* ipsec-mb backend: bursts of SRTP packets. GCM goes packet by packet, each filling the
 * vector units by itself (on some CPUs by gcm_vaes.h, which fills them better); counter mode
 * and HMAC-SHA1 are collected and run as one batch of each. */
#include "crypt/imb.h"
#include "crypt/mac.h"

#include <errno.h>
#include <string.h>

/* Many subscribers' keys do not stay in the nearer cache levels. Expanded keys are asked
 * for this many packets ahead: at 10,000 keys in random order 105 ns a packet, against 145
 * with 3 or more (17 lines a key: more than the core can have under way). Into the second
 * level, whose misses are not counted against the first's: at 10,000 subscribers 13 ns a
 * packet less. */
enum { KEYS_AHEAD = 2 };

/* What counter mode and HMAC-SHA1 read of a key, with AES-128. */
enum { AES_128_SCHEDULE = 176, AES_256_SCHEDULE = 240 };
enum { CM_HOT_BYTES = (int)offsetof(struct imb_key, rtp.cm.aes) + AES_128_SCHEDULE };

/* Where GCM's powers end. */
enum {
    GCM_HOT_BYTES =
        (int)offsetof(struct imb_key, rtp.gcm) + (int)sizeof(struct gcm_key_data)
};

static const struct imb_key *key_of(const struct crypt_op *op)
{
    return (const struct imb_key *)op->key->bytes;
}

static void prefetch_heads(const struct crypt_op *ops, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        __builtin_prefetch(ops[i].key);
    }
}

/* Always inline: calls of a function that only prefetches gcc takes for calls of one that
 * does nothing, and leaves them out. */
__attribute__((always_inline)) static inline void
prefetch_lines(const struct imb_key *key, unsigned from, unsigned end)
{
    for (unsigned i = from; i < end; i += 64) {
        __builtin_prefetch((const uint8_t *)key + i, 0, CRYPT_KEY_NEAR);
    }
}

/* Of GCM the schedule, and as many powers of the hash key as there are blocks: the lowest
 * are the last (where the CPU has AVX-512; elsewhere there are but eight, and this is more
 * than enough of a guess). */
__attribute__((always_inline)) static inline void prefetch_gcm(const struct imb_key *key,
                                                               unsigned len)
{
    enum { POWERS_AT = offsetof(struct imb_key, rtp.gcm.ghash_keys) / 64 * 64 };
    enum { SCHEDULE_END = offsetof(struct imb_key, rtp) + AES_256_SCHEDULE };
    enum { FEW_POWERS = 192, FEW_POWERS_AT = (GCM_HOT_BYTES - FEW_POWERS) / 64 * 64 };
    const unsigned powers = 16 * (len / 16 + 3);

    if (powers + POWERS_AT >= GCM_HOT_BYTES) {
        prefetch_lines(key, 64, CRYPT_KEY_HOT_BYTES);
        return;
    }
    prefetch_lines(key, 64, SCHEDULE_END);
    prefetch_lines(key, FEW_POWERS_AT, CRYPT_KEY_HOT_BYTES);
    if (powers > FEW_POWERS) {
        prefetch_lines(key, (GCM_HOT_BYTES - powers) / 64 * 64, FEW_POWERS_AT);
    }
}

/* Of gcm_vaes.h's as many powers as there are blocks, and what lies behind. */
__attribute__((always_inline)) static inline void prefetch_vaes(const struct imb_key *key,
                                                                unsigned len)
{
    enum { AT = offsetof(struct imb_key, rtp.vaes) };
    enum { END = AT + (int)sizeof(struct gcm_vaes_key) };
    const unsigned blocks = len / 16 + 4;
    const unsigned left_out = blocks < GCM_VAES_POWERS ? GCM_VAES_POWERS - blocks : 0;

    prefetch_lines(key, (AT + GCM_VAES_BLOCK * left_out) / 64 * 64, END);
}

/* Reads the key's first line, which prefetch_heads() has brought. */
__attribute__((always_inline)) static inline void prefetch_sched(const struct crypt_op *op)
{
    const struct imb_key *key = key_of(op);

    if (key->vaes) {
        prefetch_vaes(key, op->len);
    } else if (key->head.profile >= CRYPT_AEAD_AES_128_GCM) {
        prefetch_gcm(key, op->len);
    } else {
        prefetch_lines(key, 64, CM_HOT_BYTES);
    }
}

__attribute__((always_inline)) static inline void prefetch_ahead(const struct crypt_op *ops,
                                                                 uint16_t i, uint16_t n)
{
    if (i == 0) {
        for (uint16_t k = 1; k < KEYS_AHEAD && k < n; k++) {
            prefetch_sched(&ops[k]);
        }
    }
    if (i + KEYS_AHEAD < n) {
        prefetch_sched(&ops[i + KEYS_AHEAD]);
    }
}

static inline void prefetch_soon(const struct crypt_op *op)
{
    if (op->soon[0] == NULL) {
        return;
    }
    for (unsigned i = 0; i < CRYPT_SOON; i++) {
        __builtin_prefetch(op->soon[i], 1);
    }
    for (unsigned i = 0; i < CRYPT_SOON_PAIRS; i++) {
        __builtin_prefetch((const uint8_t *)op->soon[i] + 64, 1);
    }
}

static inline void gcm_protect(struct imb_ctx *ctx, struct crypt_op *op,
                               const struct imb_key *key, const uint8_t *iv, bool wide)
{
    if (key->vaes) {
        const uint64_t iv_words[2] = {
            imb_iv_first(key->salt, op->ssrc, op->index), imb_iv_second(key->salt, op->index)};

        gcm_vaes_seal(&key->rtp.vaes, wide, iv_words, op->dst, op->src, op->len, op->hdr_len);
    } else {
        imb_gcm_enc(ctx, &key->rtp.gcm, wide, op->dst, op->src, op->len, iv,
                    op->dst - op->hdr_len, op->hdr_len, op->dst + op->len);
    }
    op->status = 0;
}

static inline void gcm_unprotect(struct imb_ctx *ctx, struct crypt_op *op,
                                 const struct imb_key *key, bool wide)
{
    const size_t len = (size_t)op->len - CRYPT_TAG_MAX;
    uint8_t tag[CRYPT_TAG_MAX];
    uint8_t iv[16];

    if (op->len < CRYPT_TAG_MAX) {
        op->status = -EBADMSG;
        return;
    }
    imb_iv(iv, true, key->salt, op->ssrc, op->index);
    imb_gcm_dec(ctx, &key->rtp.gcm, wide, op->dst, op->src, len, iv, op->src - op->hdr_len,
                op->hdr_len, tag);
    if (mac_equal(tag, op->src + len, sizeof(tag))) {
        op->status = 0;
    } else {
        memset(op->dst, 0, len);
        op->status = -EBADMSG;
    }
}

/* Adds one packet to the cipher's batch; an empty payload needs none. */
static uint32_t cm_push(struct imb_ctx *ctx, uint32_t n, const struct crypt_op *op,
                        size_t len)
{
    const struct imb_key *key = key_of(op);

    if (len == 0) {
        return n;
    }
    imb_iv(ctx->ivs[n], false, key->salt, op->ssrc, op->index);
    imb_job_cipher(&ctx->jobs[n], &key->rtp, ctx->ivs[n], op->src, op->dst, len);
    return n + 1;
}

/* The MAC covers header, ciphertext and ROC (RFC 3711, 4.2): the ROC is put where the tag
 * goes, which has room for it in the shortest one too. */
_Static_assert((int)SHA1_32_TAG >= 4, "holds a ROC");

static void cm_protect(struct imb_ctx *ctx, uint32_t n)
{
    uint32_t n_cipher = 0;

    for (uint32_t i = 0; i < n; i++) {
        n_cipher = cm_push(ctx, n_cipher, ctx->ops[i], ctx->ops[i]->len);
    }
    imb_run_cipher(ctx, n_cipher);
    for (uint32_t i = 0; i < n; i++) {
        const struct crypt_op *op = ctx->ops[i];

        store_be32(op->dst + op->len, (uint32_t)(op->index >> 16));
        imb_job_hash(&ctx->jobs[i], &key_of(op)->rtp, op->dst - op->hdr_len,
                     (size_t)op->hdr_len + op->len + 4, ctx->tags[i]);
    }
    imb_run_hash(ctx, n);
    for (uint32_t i = 0; i < n; i++) {
        struct crypt_op *op = ctx->ops[i];

        memcpy(op->dst + op->len, ctx->tags[i], key_of(op)->tag_len);
        op->status = 0;
    }
}

/* The tag's place in the received packet holds the ROC for a while, as a hash job takes one
 * piece of memory and copying the packet would cost more. Returns how many are authentic.
 */
static uint16_t cm_unprotect(struct imb_ctx *ctx, uint32_t n)
{
    uint32_t n_cipher = 0;
    uint16_t n_ok = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct crypt_op *op = ctx->ops[i];
        const size_t tag_len = key_of(op)->tag_len;
        uint8_t *tag = (uint8_t *)op->src + op->len - tag_len;

        memcpy(ctx->sent[i], tag, tag_len);
        store_be32(tag, (uint32_t)(op->index >> 16));
        imb_job_hash(&ctx->jobs[i], &key_of(op)->rtp, op->src - op->hdr_len,
                     (size_t)op->hdr_len + op->len - tag_len + 4, ctx->tags[i]);
    }
    imb_run_hash(ctx, n);
    for (uint32_t i = 0; i < n; i++) {
        struct crypt_op *op = ctx->ops[i];
        const size_t tag_len = key_of(op)->tag_len;
        const size_t len = (size_t)op->len - tag_len;

        memcpy((uint8_t *)op->src + len, ctx->sent[i], tag_len);
        if (!mac_equal(ctx->tags[i], ctx->sent[i], tag_len)) {
            op->status = -EBADMSG;
            continue;
        }
        n_cipher = cm_push(ctx, n_cipher, op, len);
        op->status = 0;
        n_ok++;
    }
    imb_run_cipher(ctx, n_cipher);
    return n_ok;
}

/* GCM reads the IV as a whole. One that was only just written in halves it gets when all
 * that came before has been done, the last packet's encryption too: so it is made one
 * packet ahead. */
static inline void gcm_iv_ahead(struct imb_ctx *ctx, const struct crypt_op *ops, uint16_t i,
                                uint16_t n)
{
    if (i < n && !key_of(&ops[i])->vaes &&
        key_of(&ops[i])->head.profile >= CRYPT_AEAD_AES_128_GCM) {
        imb_iv(ctx->ivs[i], true, key_of(&ops[i])->salt, ops[i].ssrc, ops[i].index);
    }
}

uint16_t imb_protect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n)
{
    struct imb_ctx *ctx = (struct imb_ctx *)base;
    uint32_t n_cm = 0;
    uint16_t n_ok = 0;

    prefetch_heads(ops, n);
    gcm_iv_ahead(ctx, ops, 0, n);
    for (uint16_t i = 0; i < n; i++) {
        const struct imb_key *key = key_of(&ops[i]);

        prefetch_ahead(ops, i, n);
        prefetch_soon(&ops[i]);
        gcm_iv_ahead(ctx, ops, (uint16_t)(i + 1), n);
        switch (key->head.profile) {
        case CRYPT_AEAD_AES_128_GCM:
            gcm_protect(ctx, &ops[i], key, ctx->ivs[i], false);
            n_ok++;
            break;
        case CRYPT_AEAD_AES_256_GCM:
            gcm_protect(ctx, &ops[i], key, ctx->ivs[i], true);
            n_ok++;
            break;
        case CRYPT_AES128_CM_SHA1_80:
        case CRYPT_AES128_CM_SHA1_32:
            ctx->ops[n_cm++] = &ops[i];
            break;
        default:
            ops[i].status = -EINVAL;
            break;
        }
    }
    if (n_cm > 0) {
        cm_protect(ctx, n_cm);
    }
    return (uint16_t)(n_ok + n_cm);
}

uint16_t imb_unprotect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n)
{
    struct imb_ctx *ctx = (struct imb_ctx *)base;
    uint32_t n_cm = 0;
    uint16_t n_ok = 0;

    prefetch_heads(ops, n);
    for (uint16_t i = 0; i < n; i++) {
        const struct imb_key *key = key_of(&ops[i]);

        prefetch_ahead(ops, i, n);
        switch (key->head.profile) {
        case CRYPT_AEAD_AES_128_GCM:
            gcm_unprotect(ctx, &ops[i], key, false);
            n_ok = (uint16_t)(n_ok + (ops[i].status == 0));
            break;
        case CRYPT_AEAD_AES_256_GCM:
            gcm_unprotect(ctx, &ops[i], key, true);
            n_ok = (uint16_t)(n_ok + (ops[i].status == 0));
            break;
        case CRYPT_AES128_CM_SHA1_80:
        case CRYPT_AES128_CM_SHA1_32:
            if (ops[i].len < key->tag_len) {
                ops[i].status = -EBADMSG;
            } else {
                ctx->ops[n_cm++] = &ops[i];
            }
            break;
        default:
            ops[i].status = -EINVAL;
            break;
        }
    }
    if (n_cm > 0) {
        n_ok = (uint16_t)(n_ok + cm_unprotect(ctx, n_cm));
    }
    return n_ok;
}
