#include "dtls/dtls_bye.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum {
    CT_ALERT = 21,
    HEADER_LEN = 13,
    ALERT_LEN = 2,
    TAG_LEN = 16,
    GCM_IV_LEN = 4, /* and as much of the nonce as this says stands in each record: */
    GCM_EXPLICIT_LEN = 8,
    CHACHA_IV_LEN = 12,
    FATAL = 2,
    CLOSE_NOTIFY = 0
};

static const EVP_CIPHER *cipher_of(const struct dtls_bye *bye)
{
    if (bye->iv_len == CHACHA_IV_LEN) {
        return EVP_chacha20_poly1305();
    }
    return bye->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
}

/* The key block of RFC 5246, section 6.3, as far as it is wanted. */
static bool expand(SSL *ssl, const EVP_MD *md, uint8_t *out, size_t len)
{
    static char label[] = "key expansion";
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
    uint8_t seed[sizeof(label) - 1 + SSL3_RANDOM_SIZE + SSL3_RANDOM_SIZE];
    size_t n = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[4];
    bool done;

    memcpy(seed, label, sizeof(label) - 1);
    (void)SSL_get_server_random(ssl, seed + sizeof(label) - 1, SSL3_RANDOM_SIZE);
    (void)SSL_get_client_random(ssl, seed + sizeof(label) - 1 + SSL3_RANDOM_SIZE,
                                SSL3_RANDOM_SIZE);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                 (char *)EVP_MD_get0_name(md), 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, n);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed));
    params[3] = OSSL_PARAM_construct_end();
    done = ctx != NULL && n > 0 && EVP_KDF_derive(ctx, out, len, params) == 1;
    explicit_bzero(master, sizeof(master));
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return done;
}

int dtls_bye_init(struct dtls_bye *bye, SSL *ssl)
{
    uint8_t block[2 * (DTLS_BYE_KEY_MAX + DTLS_BYE_IV_MAX)];
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const size_t peer = SSL_is_server(ssl) == 1 ? 0 : 1; /* the client's come first */
    size_t key_len, iv_len = GCM_IV_LEN;
    bool done;

    memset(bye, 0, sizeof(*bye));
    switch (cipher != NULL ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef) {
    case NID_aes_128_gcm:
        key_len = 16;
        break;
    case NID_aes_256_gcm:
        key_len = 32;
        break;
    case NID_chacha20_poly1305:
        key_len = 32;
        iv_len = CHACHA_IV_LEN;
        break;
    default:
        return -ENOTSUP;
    }
    done =
        expand(ssl, SSL_CIPHER_get_handshake_digest(cipher), block, 2 * (key_len + iv_len));
    if (done) {
        bye->key_len = (uint8_t)key_len;
        bye->iv_len = (uint8_t)iv_len;
        memcpy(bye->key, block + peer * key_len, key_len);
        memcpy(bye->iv, block + 2 * key_len + peer * iv_len, iv_len);
    }
    explicit_bzero(block, sizeof(block));
    ERR_clear_error();
    return done ? 0 : -EIO;
}

/* 'record' is an alert of the length that one has. */
static bool decrypt(const struct dtls_bye *bye, const uint8_t *record, uint8_t *alert)
{
    const size_t explicit_len = bye->iv_len == GCM_IV_LEN ? GCM_EXPLICIT_LEN : 0;
    const uint8_t *body = record + HEADER_LEN + explicit_len;
    uint8_t nonce[DTLS_BYE_IV_MAX], aad[HEADER_LEN], tag[TAG_LEN];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    bool good;

    memcpy(nonce, bye->iv, bye->iv_len);
    for (size_t i = 0; i < 8; i++) { /* RFC 7905: epoch and number, over the IV's end */
        if (explicit_len == 0) {
            nonce[4 + i] ^= record[3 + i];
        } else {
            nonce[4 + i] = record[HEADER_LEN + i];
        }
    }
    memcpy(aad, record + 3, 8); /* epoch and number */
    memcpy(aad + 8, record, 3); /* type and version */
    store_be16(aad + 11, ALERT_LEN);
    memcpy(tag, body + ALERT_LEN, TAG_LEN);
    good = ctx != NULL &&
           EVP_DecryptInit_ex(ctx, cipher_of(bye), NULL, bye->key, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, aad, sizeof(aad)) == 1 &&
           EVP_DecryptUpdate(ctx, alert, &n, body, ALERT_LEN) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, alert + ALERT_LEN, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool dtls_bye_said(const struct dtls_bye *bye, const uint8_t *data, size_t len)
{
    const size_t alert_len =
        ALERT_LEN + TAG_LEN + (bye->iv_len == GCM_IV_LEN ? GCM_EXPLICIT_LEN : 0);
    struct rbytes r = rbytes_of(data, len);

    while (bye->key_len > 0 && rbytes_left(&r) > HEADER_LEN) {
        const uint8_t *record = rbytes_take(&r, HEADER_LEN);
        const size_t n = load_be16(record + 11);
        uint8_t alert[ALERT_LEN + TAG_LEN];

        if (rbytes_take(&r, n) == NULL) {
            return false;
        }
        if (record[0] == CT_ALERT && load_be16(record + 3) > 0 && n == alert_len &&
            decrypt(bye, record, alert)) {
            return alert[1] == CLOSE_NOTIFY || alert[0] == FATAL;
        }
    }
    return false;
}
