/* Keyed hashes that a lane computes beside SRTP: HMAC-SHA1 for STUN's MESSAGE-INTEGRITY,
 * and the comparison of secrets. Neither allocates, locks or keeps state; any thread. */
#ifndef CRYPT_MAC_H
#define CRYPT_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAC_SHA1_LEN = 20 };

/* HMAC-SHA1 of 'data' under 'key', any lengths. RFC 2104. */
void mac_hmac_sha1(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                   uint8_t out[MAC_SHA1_LEN]);

/* Whether 'len' bytes are equal, in a time that depends on 'len' only. */
bool mac_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
