/* HMAC-SHA1 for the tests of wire formats, which link no cryptographic library. Slow and
 * plain. FIPS 180-4, RFC 2104. */
#ifndef TESTS_SUPPORT_HMAC_SHA1_H
#define TESTS_SUPPORT_HMAC_SHA1_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum { TEST_SHA1_MAX = 2048 }; /* longest message */

static inline uint32_t test_rol32(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

static inline void test_sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80];
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

    for (unsigned i = 0; i < 80; i++) {
        w[i] = i < 16 ? load_be32(p + (size_t)i * 4)
                      : test_rol32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (unsigned i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999u
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
                              : (b ^ c ^ d) + 0xca62c1d6u;
        uint32_t t = test_rol32(a, 5) + f + e + w[i];

        e = d;
        d = c;
        c = test_rol32(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* SHA-1 of 'data', len <= TEST_SHA1_MAX + 64. */
static inline void test_sha1(const uint8_t *data, size_t len, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t buf[TEST_SHA1_MAX + 64 + 72] = {0};
    size_t padded = (len + 8) / 64 * 64 + 64;

    memcpy(buf, data, len);
    buf[len] = 0x80;
    store_be64(buf + padded - 8, (uint64_t)len * 8);
    for (size_t i = 0; i < padded; i += 64) {
        test_sha1_block(h, buf + i);
    }
    for (size_t i = 0; i < 5; i++) {
        store_be32(out + 4 * i, h[i]);
    }
}

/* Has the shape of stun.h's callback. 'key' is a string of at most 64 characters. */
static inline void test_hmac_sha1(void *key, const uint8_t *data, size_t len,
                                  uint8_t out[20])
{
    uint8_t inner[64 + TEST_SHA1_MAX] = {0};
    uint8_t outer[64 + 20] = {0};
    size_t key_len = strlen((const char *)key);

    memset(inner, 0x36, 64);
    memset(outer, 0x5c, 64);
    for (size_t i = 0; i < key_len; i++) {
        inner[i] ^= ((const uint8_t *)key)[i];
        outer[i] ^= ((const uint8_t *)key)[i];
    }
    memcpy(inner + 64, data, len);
    test_sha1(inner, 64 + len, outer + 64);
    test_sha1(outer, sizeof(outer), out);
}

#endif
