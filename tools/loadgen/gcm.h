/* What one client sends as SRTP and SRTCP with AES-GCM (RFC 7714), by OpenSSL's ciphers. Each
 * costs the same however many there are, which libsrtp2's sessions do not (armor.h). */
#ifndef LOADGEN_GCM_H
#define LOADGEN_GCM_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

enum { GCM_TAG = 16, GCM_SALT = 12, GCM_SSRCS = 4 };

struct gcm {
    EVP_CIPHER_CTX *rtp, *rtcp;
    uint8_t rtp_salt[GCM_SALT], rtcp_salt[GCM_SALT];
    uint32_t rtcp_index; /* the next one */
    uint32_t n_ssrcs;
    struct {
        uint32_t ssrc, roc;
        uint16_t seq; /* the last one */
    } ssrcs[GCM_SSRCS];
};

/* Derives the keys of a session (RFC 3711, 4.3) from its master key, of 16 or 32 bytes, and
 * its salt. Returns 0 or -ENOMEM. */
int gcm_open(struct gcm *gcm, const uint8_t *key, size_t key_len,
             const uint8_t salt[GCM_SALT]);
void gcm_close(struct gcm *gcm); /* of a zeroed one: a no-op */

/* Encrypt in place; there is room for 20 bytes more. Packets of an SSRC come in order.
 * Return 0, -EBADMSG if it is no packet, -ENOSPC for too many SSRCs, or -EIO. */
int gcm_protect_rtp(struct gcm *gcm, uint8_t *data, size_t *len);
int gcm_protect_rtcp(struct gcm *gcm, uint8_t *data, size_t *len);

#endif
