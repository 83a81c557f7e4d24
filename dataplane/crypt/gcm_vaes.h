/* AES-GCM by VAES and VPCLMULQDQ on vectors of 256 bits, to encrypt. ipsec-mb 1.3 has it
 * for CPUs with AVX-512 alone; on those without, as AMD's Zen 3, it takes one block at a
 * time, which is half as fast (docs/decisions/0047). Everything else stays with ipsec-mb:
 * decryption, SRTCP, counter mode. imb_has_vaes() tells whether this CPU runs what is here.
 *
 * Any thread; nothing here allocates or keeps anything. NIST SP 800-38D with an IV of 12
 * bytes and a tag of 16; no step depends on the value of key, data or tag. Of the key nothing
 * is left behind on the stack or in registers; of a packet what its tag is encrypted with may
 * be, and a payload of less than a block. */
#ifndef CRYPT_GCM_VAES_H
#define CRYPT_GCM_VAES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GCM_VAES_ROUND_KEYS = 15, /* of AES-256; AES-128 has 11 */
    GCM_VAES_POWERS = 18,
    GCM_VAES_BLOCK = 16
};

/* An expanded key. What a short packet needs lies together: of the powers the last. */
struct gcm_vaes_key {
    /* of the hash key, highest first */
    _Alignas(16) uint8_t powers[GCM_VAES_POWERS][GCM_VAES_BLOCK];
    uint8_t rounds[GCM_VAES_ROUND_KEYS][GCM_VAES_BLOCK]; /* the AES schedule */
};

/* Fills 'powers' from 'rounds'. 'wide': the key has 256 bits, else 128. */
void gcm_vaes_expand(struct gcm_vaes_key *key, bool wide);

/* Encrypts and authenticates one packet.
 *
 * iv       12 bytes, as two big-endian numbers: the first 8 bytes, and the last 4 << 32
 * dst      filled: 'len' bytes and the tag of 16; written in any order until it returns
 * src      'len' bytes (< 2^32), borrowed; must not overlap dst
 * hdr_len  bytes directly before dst, which are authenticated */
void gcm_vaes_seal(const struct gcm_vaes_key *key, bool wide, const uint64_t iv[2],
                   uint8_t *dst, const uint8_t *src, size_t len, size_t hdr_len);

#endif
