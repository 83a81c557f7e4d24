/* HMAC-SHA1 over libcrypto's SHA1_* calls. They are deprecated since OpenSSL 3.0, yet the
 * only ones that neither allocate nor take the locks of a provider's fetch. */
#define OPENSSL_API_COMPAT 0x10101000L

#include "crypt/mac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

enum { SHA1_BLOCK = 64 };

static void sha1_two(const uint8_t block[SHA1_BLOCK], const uint8_t *data, size_t len,
                     uint8_t out[MAC_SHA1_LEN])
{
    SHA_CTX sha;

    SHA1_Init(&sha);
    SHA1_Update(&sha, block, SHA1_BLOCK);
    SHA1_Update(&sha, data, len);
    SHA1_Final(out, &sha);
    OPENSSL_cleanse(&sha, sizeof(sha));
}

void mac_hmac_sha1(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                   uint8_t out[MAC_SHA1_LEN])
{
    uint8_t block[SHA1_BLOCK] = {0};
    uint8_t inner[MAC_SHA1_LEN];

    if (key_len > SHA1_BLOCK) {
        SHA_CTX sha;

        SHA1_Init(&sha);
        SHA1_Update(&sha, key, key_len);
        SHA1_Final(block, &sha);
        OPENSSL_cleanse(&sha, sizeof(sha));
    } else if (key_len > 0) {
        memcpy(block, key, key_len);
    }
    for (unsigned i = 0; i < SHA1_BLOCK; i++) {
        block[i] ^= 0x36;
    }
    sha1_two(block, data, len, inner);
    for (unsigned i = 0; i < SHA1_BLOCK; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    sha1_two(block, inner, sizeof(inner), out);
    OPENSSL_cleanse(block, sizeof(block));
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
