#include "loadgen/gcm.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtp.h"

enum { KEY_MAX = 32, RTCP_HEAD = 8 };

/* The labels of RFC 3711, 4.3.1. */
enum { LABEL_RTP_KEY = 0, LABEL_RTP_SALT = 2, LABEL_RTCP_KEY = 3, LABEL_RTCP_SALT = 5 };

/* AES in counter mode, beginning with the salt and the label: what a zero comes to. The 96
 * bits of salt are taken as 112 with zeroes behind (RFC 7714, 11). */
static int derive(const uint8_t *key, size_t key_len, const uint8_t salt[GCM_SALT],
                  uint8_t label, uint8_t *out, size_t len)
{
    const uint8_t zeroes[KEY_MAX] = {0};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t iv[16] = {0};
    int n = 0;
    bool done;

    memcpy(iv, salt, GCM_SALT);
    iv[7] ^= label;
    done = ctx != NULL &&
           EVP_EncryptInit_ex(ctx, key_len == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr(),
                              NULL, key, iv) == 1 &&
           EVP_EncryptUpdate(ctx, out, &n, zeroes, (int)len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return done ? 0 : -ENOMEM;
}

static EVP_CIPHER_CTX *cipher(const uint8_t *key, size_t key_len,
                              const uint8_t salt[GCM_SALT], uint8_t label)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t derived[KEY_MAX];

    if (ctx != NULL &&
        (derive(key, key_len, salt, label, derived, key_len) != 0 ||
         EVP_EncryptInit_ex(ctx, key_len == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(),
                            NULL, derived, NULL) != 1)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    OPENSSL_cleanse(derived, sizeof(derived));
    return ctx;
}

int gcm_open(struct gcm *gcm, const uint8_t *key, size_t key_len,
             const uint8_t salt[GCM_SALT])
{
    *gcm = (struct gcm){.rtp = cipher(key, key_len, salt, LABEL_RTP_KEY),
                        .rtcp = cipher(key, key_len, salt, LABEL_RTCP_KEY)};
    if (gcm->rtp == NULL || gcm->rtcp == NULL ||
        derive(key, key_len, salt, LABEL_RTP_SALT, gcm->rtp_salt, GCM_SALT) != 0 ||
        derive(key, key_len, salt, LABEL_RTCP_SALT, gcm->rtcp_salt, GCM_SALT) != 0) {
        gcm_close(gcm);
        return -ENOMEM;
    }
    return 0;
}

void gcm_close(struct gcm *gcm)
{
    EVP_CIPHER_CTX_free(gcm->rtp);
    EVP_CIPHER_CTX_free(gcm->rtcp);
    OPENSSL_cleanse(gcm, sizeof(*gcm));
}

static void xor(uint8_t *to, const uint8_t *with)
{
    for (size_t i = 0; i < GCM_SALT; i++) {
        to[i] ^= with[i];
    }
}

/* Encrypts 'len' bytes in place, the tag behind them. */
static int seal(EVP_CIPHER_CTX *ctx, const uint8_t iv[GCM_SALT], const uint8_t *aad,
                size_t aad_len, const uint8_t *more, size_t more_len, uint8_t *data,
                size_t len)
{
    int n;

    return EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) == 1 &&
                   EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
                   (more_len == 0 ||
                    EVP_EncryptUpdate(ctx, NULL, &n, more, (int)more_len) == 1) &&
                   (len == 0 || EVP_EncryptUpdate(ctx, data, &n, data, (int)len) == 1) &&
                   EVP_EncryptFinal_ex(ctx, data + len, &n) == 1 &&
                   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, data + len) == 1
               ? 0
               : -EIO;
}

/* How often the sequence number of this SSRC has begun anew; -ENOSPC. */
static int64_t rollovers(struct gcm *gcm, uint32_t ssrc, uint16_t seq)
{
    uint32_t i = 0;

    while (i < gcm->n_ssrcs && gcm->ssrcs[i].ssrc != ssrc) {
        i++;
    }
    if (i == GCM_SSRCS) {
        return -ENOSPC;
    }
    if (i == gcm->n_ssrcs) {
        gcm->n_ssrcs++;
        gcm->ssrcs[i].ssrc = ssrc;
        gcm->ssrcs[i].roc = 0;
    } else if (seq < gcm->ssrcs[i].seq) {
        gcm->ssrcs[i].roc++;
    }
    gcm->ssrcs[i].seq = seq;
    return gcm->ssrcs[i].roc;
}

int gcm_protect_rtp(struct gcm *gcm, uint8_t *data, size_t *len)
{
    uint8_t iv[GCM_SALT] = {0};
    struct rtp_hdr hdr;
    int64_t roc;
    int err;

    if (rtp_parse(data, *len, &hdr) != 0) {
        return -EBADMSG;
    }
    roc = rollovers(gcm, hdr.ssrc, hdr.seq);
    if (roc < 0) {
        return (int)roc;
    }
    store_be32(iv + 2, hdr.ssrc); /* RFC 7714, 8.1 */
    store_be32(iv + 6, (uint32_t)roc);
    store_be16(iv + 10, hdr.seq);
    xor(iv, gcm->rtp_salt);
    err = seal(gcm->rtp, iv, data, hdr.hdr_len, NULL, 0, data + hdr.hdr_len,
               *len - hdr.hdr_len);
    *len += GCM_TAG;
    return err;
}

int gcm_protect_rtcp(struct gcm *gcm, uint8_t *data, size_t *len)
{
    uint32_t index = gcm->rtcp_index++ & 0x7fffffffu;
    uint8_t iv[GCM_SALT] = {0};
    uint8_t trailer[4];
    int err;

    if (*len < RTCP_HEAD) {
        return -EBADMSG;
    }
    store_be32(trailer, index | 0x80000000u); /* encrypted */
    memcpy(iv + 2, data + 4, 4);              /* RFC 7714, 9.1 */
    store_be32(iv + 8, index);
    xor(iv, gcm->rtcp_salt);
    err = seal(gcm->rtcp, iv, data, RTCP_HEAD, trailer, sizeof(trailer), data + RTCP_HEAD,
               *len - RTCP_HEAD);
    memcpy(data + *len + GCM_TAG, trailer, sizeof(trailer));
    *len += GCM_TAG + sizeof(trailer);
    return err;
}
