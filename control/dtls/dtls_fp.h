/* Certificate fingerprints as SDP and ICE signaling write them: the hash's name and pairs
 * of hex digits with colons between.
 *
 * Pure. RFC 8122, section 5. */
#ifndef KCS_DTLS_DTLS_FP_H
#define KCS_DTLS_DTLS_FP_H

#include <stddef.h>
#include <stdint.h>

enum { DTLS_MAX_FPS = 8, DTLS_FP_BYTES = 64, DTLS_FP_TEXT = 3 * DTLS_FP_BYTES };

enum dtls_hash { DTLS_SHA1, DTLS_SHA256, DTLS_SHA384, DTLS_SHA512, N_DTLS_HASHES };

struct dtls_fp {
    uint8_t hash; /* enum dtls_hash */
    uint8_t len;  /* as the hash says */
    uint8_t value[DTLS_FP_BYTES];
};

/* "sha-256" and so on; 'hash' must be a valid one. */
const char *dtls_hash_name(enum dtls_hash hash);

/* How many bytes the hash has. */
size_t dtls_hash_len(enum dtls_hash hash);

/* Reads ("sha-256", "AB:CD:..."), in either case. Returns 0, -ENOTSUP for an unknown hash,
 * or -EBADMSG if the value is not that hash's length in hex. 'out' is filled only on 0. */
int dtls_fp_parse(const char *name, const char *value, struct dtls_fp *out);

/* Writes the value in upper case, NUL-terminated. */
void dtls_fp_text(const struct dtls_fp *fp, char out[DTLS_FP_TEXT]);

#endif
