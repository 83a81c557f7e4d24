/* ipsec-mb backend: SRTCP, one packet at a time. */
#include "crypt/imb.h"
#include "crypt/mac.h"

#include <errno.h>
#include <string.h>

enum {
    AAD_LEN = RTCP_HEADER + RTCP_INDEX,
    SCHED_FRONT = 192, /* prefetched */
    SCHED_BACK = 192
};

/* SRTCP's keys wait unexpanded until a direction carries RTCP. */
static void ready(struct imb_ctx *ctx, struct imb_key *key, const struct profile *profile)
{
    if (key->head.rtcp_ready == 0) {
        imb_expand(ctx->mgr, &key->rtcp, profile, &key->rtcp_keys);
        explicit_bzero(&key->rtcp_keys, sizeof(key->rtcp_keys));
        key->head.rtcp_ready = 1;
    }
}

/* The schedule of AES, or the states of SHA-1 before it, lie in front. Of the powers of the
 * hash key, which fill the rest, a packet takes one for each of its blocks, the lowest,
 * which are the last. */
void crypt_rtcp_prefetch(const struct crypt_key *opaque)
{
    const struct imb_key *key = (const struct imb_key *)opaque->bytes;
    const uint8_t *sched = (const uint8_t *)&key->rtcp;

    __builtin_prefetch(key);
    for (unsigned at = 0; at < SCHED_FRONT; at += 64) {
        __builtin_prefetch(sched + at);
    }
    for (unsigned at = sizeof(key->rtcp) - SCHED_BACK; at < sizeof(key->rtcp); at += 64) {
        __builtin_prefetch(sched + at);
    }
}

/* AAD of an encrypted packet: header and index with the E flag, which the tag lies between
 * on the wire (RFC 7714, 9.2). */
static void aead_aad(uint8_t aad[AAD_LEN], const uint8_t *pkt, uint32_t trailer)
{
    memcpy(aad, pkt, RTCP_HEADER);
    store_be32(aad + RTCP_HEADER, trailer);
}

static void cm_crypt(struct imb_ctx *ctx, const struct imb_key *key, const uint8_t iv[16],
                     const uint8_t *src, uint8_t *dst, size_t len)
{
    if (len > 0) {
        imb_job_cipher(&ctx->jobs[0], &key->rtcp, iv, src, dst, len);
        imb_run_cipher(ctx, 1);
    }
}

/* Leaves the MAC of 'len' bytes in the context's first tag. */
static const uint8_t *cm_mac(struct imb_ctx *ctx, const struct imb_key *key,
                             const uint8_t *data, size_t len)
{
    imb_job_hash(&ctx->jobs[0], &key->rtcp, data, len, ctx->tags[0]);
    imb_run_hash(ctx, 1);
    return ctx->tags[0];
}

int imb_rtcp_protect(struct crypt_ctx *base, struct crypt_key *opaque,
                     const struct profile *profile, uint32_t index, const uint8_t *pkt,
                     size_t len, uint8_t *out)
{
    struct imb_ctx *ctx = (struct imb_ctx *)base;
    struct imb_key *key = (struct imb_key *)opaque->bytes;
    const size_t body = len - RTCP_HEADER;
    uint8_t iv[16];

    ready(ctx, key, profile);
    imb_iv(iv, profile->aead, key->rtcp_salt, load_be32(pkt + 4), index);
    memmove(out, pkt, RTCP_HEADER);
    if (profile->aead) {
        uint8_t aad[AAD_LEN];

        aead_aad(aad, pkt, index | RTCP_E_FLAG);
        imb_gcm_enc(ctx, &key->rtcp.gcm, profile->key_len == AES256_KEY, out + RTCP_HEADER,
                    pkt + RTCP_HEADER, body, iv, aad, sizeof(aad), out + len);
        store_be32(out + len + profile->rtcp_tag_len, index | RTCP_E_FLAG);
        return 0;
    }
    cm_crypt(ctx, key, iv, pkt + RTCP_HEADER, out + RTCP_HEADER, body);
    store_be32(out + len, index | RTCP_E_FLAG);
    memcpy(out + len + RTCP_INDEX, cm_mac(ctx, key, out, len + RTCP_INDEX),
           profile->rtcp_tag_len);
    return 0;
}

int imb_rtcp_unprotect(struct crypt_ctx *base, struct crypt_key *opaque,
                       const struct profile *profile, const uint8_t *pkt, size_t len,
                       uint8_t *out)
{
    struct imb_ctx *ctx = (struct imb_ctx *)base;
    struct imb_key *key = (struct imb_key *)opaque->bytes;
    const size_t plain = len - profile->rtcp_tag_len - RTCP_INDEX;
    const size_t body = plain - RTCP_HEADER;
    const uint32_t trailer = load_be32(pkt + (profile->aead ? len - RTCP_INDEX : plain));
    uint8_t iv[16];

    ready(ctx, key, profile);
    imb_iv(iv, profile->aead, key->rtcp_salt, load_be32(pkt + 4), trailer & ~RTCP_E_FLAG);
    if (profile->aead) {
        uint8_t aad[AAD_LEN];
        uint8_t tag[CRYPT_TAG_MAX];

        aead_aad(aad, pkt, trailer);
        imb_gcm_dec(ctx, &key->rtcp.gcm, profile->key_len == AES256_KEY, out + RTCP_HEADER,
                    pkt + RTCP_HEADER, body, iv, aad, sizeof(aad), tag);
        if (!mac_equal(tag, pkt + plain, profile->rtcp_tag_len)) {
            memset(out + RTCP_HEADER, 0, body);
            return -EBADMSG;
        }
    } else {
        if (!mac_equal(cm_mac(ctx, key, pkt, plain + RTCP_INDEX), pkt + plain + RTCP_INDEX,
                       profile->rtcp_tag_len)) {
            return -EBADMSG;
        }
        cm_crypt(ctx, key, iv, pkt + RTCP_HEADER, out + RTCP_HEADER, body);
    }
    memmove(out, pkt, RTCP_HEADER);
    return 0;
}
