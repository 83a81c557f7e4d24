/* The interface: the profile table, checks common to both backends, and the dispatch. */
#include "crypt/crypt.h"

#include "crypt/backend.h"
#include "sfu/base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct profile profiles[] = {
    {.number = CRYPT_AES128_CM_SHA1_80,
     .key_len = 16,
     .salt_len = 14,
     .tag_len = SHA1_80_TAG,
     .rtcp_tag_len = SHA1_80_TAG},
    {.number = CRYPT_AES128_CM_SHA1_32,
     .key_len = 16,
     .salt_len = 14,
     .tag_len = SHA1_32_TAG,
     .rtcp_tag_len = SHA1_80_TAG}, /* SRTCP's is never shorter (RFC 5764, 4.1.2) */
    {.number = CRYPT_AEAD_AES_128_GCM,
     .key_len = 16,
     .salt_len = 12,
     .tag_len = CRYPT_TAG_MAX,
     .rtcp_tag_len = CRYPT_TAG_MAX,
     .aead = true},
    {.number = CRYPT_AEAD_AES_256_GCM,
     .key_len = 32,
     .salt_len = 12,
     .tag_len = CRYPT_TAG_MAX,
     .rtcp_tag_len = CRYPT_TAG_MAX,
     .aead = true},
};

const struct profile *profile_find(unsigned number)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (profiles[i].number == number) {
            return &profiles[i];
        }
    }
    return NULL;
}

uint8_t crypt_tag_len(enum crypt_profile profile)
{
    const struct profile *row = profile_find(profile);

    return row != NULL ? row->tag_len : 0;
}

uint8_t crypt_rtcp_overhead(enum crypt_profile profile)
{
    const struct profile *row = profile_find(profile);

    return row != NULL ? (uint8_t)(row->rtcp_tag_len + RTCP_INDEX) : 0;
}

uint8_t crypt_master_key_len(enum crypt_profile profile)
{
    const struct profile *row = profile_find(profile);

    return row != NULL ? row->key_len : 0;
}

uint8_t crypt_master_salt_len(enum crypt_profile profile)
{
    const struct profile *row = profile_find(profile);

    return row != NULL ? row->salt_len : 0;
}

int crypt_ctx_create(struct crypt_ctx **out, enum crypt_backend backend)
{
    switch (backend) {
    case CRYPT_IPSEC_MB:
        return imb_create(out);
    case CRYPT_LIBSRTP:
        return libsrtp_create(out);
    }
    return -EINVAL;
}

void crypt_ctx_destroy(struct crypt_ctx *ctx)
{
    if (ctx != NULL) {
        ctx->backend->ctx_destroy(ctx);
    }
}

int crypt_key_init(struct crypt_ctx *ctx, struct crypt_key *key, enum crypt_profile profile,
                   const uint8_t *master_key, const uint8_t *master_salt, bool outbound)
{
    const struct profile *row = profile_find(profile);

    if (row == NULL) {
        return -EINVAL;
    }
    memset(key, 0, sizeof(*key));
    return ctx->backend->key_init(ctx, key, row, master_key, master_salt, outbound);
}

void crypt_key_wipe(struct crypt_key *key)
{
    const struct key_head *head = (const struct key_head *)key->bytes;

    if (head->profile != 0 && head->backend == CRYPT_LIBSRTP) {
        libsrtp_key_free(key);
    }
    explicit_bzero(key, sizeof(*key));
}

uint16_t crypt_protect_burst(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n)
{
    assert(n <= CRYPT_BURST_MAX);
    return ctx->backend->protect(ctx, ops, n);
}

uint16_t crypt_unprotect_burst(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n)
{
    assert(n <= CRYPT_BURST_MAX);
    return ctx->backend->unprotect(ctx, ops, n);
}

int crypt_rtcp_protect(struct crypt_ctx *ctx, struct crypt_key *key, uint32_t index,
                       const uint8_t *pkt, size_t len, uint8_t *out, size_t cap,
                       size_t *out_len)
{
    const struct profile *row = profile_find(((struct key_head *)key->bytes)->profile);
    size_t overhead;
    int err;

    if (row == NULL || (index & RTCP_E_FLAG) != 0) {
        return -EINVAL;
    }
    if (len < RTCP_HEADER) {
        return -EBADMSG;
    }
    overhead = row->rtcp_tag_len + (size_t)RTCP_INDEX;
    if (cap < overhead || len > cap - overhead) {
        return -ENOSPC;
    }
    err = ctx->backend->rtcp_protect(ctx, key, row, index, pkt, len, out);
    if (err == 0) {
        *out_len = len + overhead;
    }
    return err;
}

int crypt_rtcp_unprotect(struct crypt_ctx *ctx, struct crypt_key *key, const uint8_t *pkt,
                         size_t len, uint8_t *out, size_t cap, size_t *out_len,
                         uint32_t *index_out)
{
    const struct profile *row = profile_find(((struct key_head *)key->bytes)->profile);
    uint32_t index;
    size_t overhead;
    int err;

    if (row == NULL) {
        return -EINVAL;
    }
    overhead = row->rtcp_tag_len + (size_t)RTCP_INDEX;
    if (len < RTCP_HEADER + overhead) {
        return -EBADMSG;
    }
    /* SRTP's order is index, tag (RFC 3711, 3.4); AEAD's is tag, index (RFC 7714, 9.2). */
    index = load_be32(pkt + len - (row->aead ? RTCP_INDEX : overhead));
    if ((index & RTCP_E_FLAG) == 0) {
        return -EBADMSG;
    }
    if (len - overhead > cap) {
        return -ENOSPC;
    }
    err = ctx->backend->rtcp_unprotect(ctx, key, row, pkt, len, out);
    if (err == 0) {
        *out_len = len - overhead;
        *index_out = index & ~RTCP_E_FLAG;
    }
    return err;
}
