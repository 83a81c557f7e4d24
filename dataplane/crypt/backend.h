/* What crypt.c and its two backends share; not for other folders. A backend is a context
 * that begins with a struct crypt_ctx, a layout of struct crypt_key that begins with a
 * struct key_head, and a table of functions. */
#ifndef CRYPT_BACKEND_H
#define CRYPT_BACKEND_H

#include "crypt/crypt.h"

enum {
    RTCP_HEADER = 8, /* first header and SSRC: authenticated, not encrypted */
    RTCP_INDEX = 4,  /* E flag and 31-bit index */
    SHA1_80_TAG = 10,
    SHA1_32_TAG = 4,
    AES256_KEY = 32,
    SHA1_KEY = 20 /* session authentication key (RFC 3711, 5.2) */
};
#define RTCP_E_FLAG 0x80000000u

/* A row of the profile table. */
struct profile {
    uint8_t number; /* IANA's; 0: no such profile */
    uint8_t key_len;
    uint8_t salt_len;
    uint8_t tag_len;      /* SRTP */
    uint8_t rtcp_tag_len; /* SRTCP */
    bool aead;
};

/* NULL for a number that is not supported. */
const struct profile *profile_find(unsigned number);

/* Leads each backend's key. */
struct key_head {
    uint8_t profile; /* 0: not initialised */
    uint8_t backend;
    uint8_t rtcp_ready; /* SRTCP's part is expanded */
    uint8_t _pad[5];
};

struct backend {
    void (*ctx_destroy)(struct crypt_ctx *ctx);
    int (*key_init)(struct crypt_ctx *ctx, struct crypt_key *key,
                    const struct profile *profile, const uint8_t *master_key,
                    const uint8_t *master_salt, bool outbound);
    uint16_t (*protect)(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n);
    uint16_t (*unprotect)(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n);

    /* Lengths were checked: a whole header and trailer, room in 'out', the E flag set. */
    int (*rtcp_protect)(struct crypt_ctx *ctx, struct crypt_key *key,
                        const struct profile *profile, uint32_t index, const uint8_t *pkt,
                        size_t len, uint8_t *out);
    int (*rtcp_unprotect)(struct crypt_ctx *ctx, struct crypt_key *key,
                          const struct profile *profile, const uint8_t *pkt, size_t len,
                          uint8_t *out);
};

struct crypt_ctx {
    const struct backend *backend;
};

int imb_create(struct crypt_ctx **out);
int libsrtp_create(struct crypt_ctx **out);
void libsrtp_key_free(struct crypt_key *key); /* what a key has on the heap */

#endif
