#include "dtls/dtls_link.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

enum {
    HEADER_LEN = 13,
    ALERT_LEN = 2,
    TAG_LEN = 16,
    GCM_IV_LEN = 4, /* and as much of the nonce as this says stands in each record: */
    GCM_EXPLICIT_LEN = 8,
    CHACHA_IV_LEN = 12,
    EPOCH = 1, /* there is no renegotiation */
    WINDOW = 64,
    FATAL = 2,
    CLOSE_NOTIFY = 0,
    FINISHED = 20
};

#define SEQ_MASK ((UINT64_C(1) << 48) - 1)

static const EVP_CIPHER *cipher_of(const struct dtls_link *link)
{
    if (link->iv_len == CHACHA_IV_LEN) {
        return EVP_chacha20_poly1305();
    }
    return link->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
}

static size_t explicit_len(const struct dtls_link *link)
{
    return link->iv_len == GCM_IV_LEN ? GCM_EXPLICIT_LEN : 0;
}

void dtls_seen_note(struct dtls_seen *seen, const uint8_t *data, size_t len)
{
    struct rbytes r = rbytes_of(data, len);

    while (rbytes_left(&r) > HEADER_LEN) {
        const uint8_t *record = rbytes_take(&r, HEADER_LEN);
        const size_t n = load_be16(record + 11);
        const uint8_t *body = rbytes_take(&r, n);

        if (body == NULL) {
            return;
        }
        if (load_be16(record + 3) == EPOCH && n >= GCM_EXPLICIT_LEN) {
            const uint64_t seq = load_be64(record + 3) & SEQ_MASK;

            seen->seq = seen->any && seen->seq > seq ? seen->seq : seq;
            seen->nonce = load_be64(body);
            seen->any = true;
        }
    }
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

int dtls_link_init(struct dtls_link *link, SSL *ssl, const struct dtls_seen *sent)
{
    uint8_t block[2 * (DTLS_LINK_KEY_MAX + DTLS_LINK_IV_MAX)];
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const size_t peer = SSL_is_server(ssl) == 1 ? 0 : 1; /* the client's come first */
    size_t key_len, iv_len = GCM_IV_LEN;
    bool done;

    memset(link, 0, sizeof(*link));
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
        const uint8_t *ivs = block + 2 * key_len;

        link->key_len = (uint8_t)key_len;
        link->iv_len = (uint8_t)iv_len;
        memcpy(link->in.key, block + peer * key_len, key_len);
        memcpy(link->out.key, block + (1 - peer) * key_len, key_len);
        memcpy(link->in.iv, ivs + peer * iv_len, iv_len);
        memcpy(link->out.iv, ivs + (1 - peer) * iv_len, iv_len);
        link->sent = *sent;
    }
    explicit_bzero(block, sizeof(block));
    ERR_clear_error();
    return done ? 0 : -EIO;
}

/* 'record' is a header with its number. */
static void make_nonce(const struct dtls_link *link, const struct dtls_link_way *way,
                       const uint8_t *record, uint8_t nonce[DTLS_LINK_IV_MAX])
{
    memcpy(nonce, way->iv, link->iv_len);
    for (size_t i = 0; i < 8; i++) { /* RFC 7905: epoch and number, over the IV's end */
        if (link->iv_len == CHACHA_IV_LEN) {
            nonce[4 + i] ^= record[3 + i];
        } else {
            nonce[4 + i] = record[HEADER_LEN + i];
        }
    }
}

static void make_aad(const uint8_t *record, size_t len, uint8_t aad[HEADER_LEN])
{
    memcpy(aad, record + 3, 8); /* epoch and number */
    memcpy(aad + 8, record, 3); /* type and version */
    store_be16(aad + 11, (uint16_t)len);
}

size_t dtls_link_seal(struct dtls_link *link, enum dtls_content type, const void *data,
                      size_t len, uint8_t *out)
{
    const size_t head = HEADER_LEN + explicit_len(link);
    const uint64_t seq = link->sent.any ? link->sent.seq + 1 : 0;
    uint8_t nonce[DTLS_LINK_IV_MAX], aad[HEADER_LEN];
    EVP_CIPHER_CTX *ctx;
    int n;
    bool good;

    if (seq > SEQ_MASK) {
        return 0;
    }
    link->sent = (struct dtls_seen){.any = true, .seq = seq, .nonce = link->sent.nonce + 1};
    out[0] = (uint8_t)type;
    store_be16(out + 1, DTLS1_2_VERSION);
    store_be64(out + 3, (uint64_t)EPOCH << 48 | seq);
    store_be16(out + 11, (uint16_t)(head - HEADER_LEN + len + TAG_LEN));
    if (head > HEADER_LEN) {
        store_be64(out + HEADER_LEN, link->sent.nonce);
    }
    make_nonce(link, &link->out, out, nonce);
    make_aad(out, len, aad);
    ctx = EVP_CIPHER_CTX_new();
    good = ctx != NULL &&
           EVP_EncryptInit_ex(ctx, cipher_of(link), NULL, link->out.key, nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, aad, sizeof(aad)) == 1 &&
           EVP_EncryptUpdate(ctx, out + head, &n, data, (int)len) == 1 &&
           EVP_EncryptFinal_ex(ctx, out + head + len, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out + head + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return good ? head + len + TAG_LEN : 0;
}

/* Fills 'out' with the 'len' bytes of a record. */
static bool decrypt(const struct dtls_link *link, const uint8_t *record, size_t len,
                    uint8_t *out)
{
    const uint8_t *body = record + HEADER_LEN + explicit_len(link);
    uint8_t nonce[DTLS_LINK_IV_MAX], aad[HEADER_LEN], tag[TAG_LEN];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    bool good;

    make_nonce(link, &link->in, record, nonce);
    make_aad(record, len, aad);
    memcpy(tag, body + len, TAG_LEN);
    good = ctx != NULL &&
           EVP_DecryptInit_ex(ctx, cipher_of(link), NULL, link->in.key, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, aad, sizeof(aad)) == 1 &&
           EVP_DecryptUpdate(ctx, out, &n, body, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + len, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

static bool is_new(const struct dtls_link *link, uint64_t seq)
{
    if (link->window == 0 || seq > link->high) {
        return true;
    }
    return link->high - seq < WINDOW && (link->window >> (link->high - seq) & 1) == 0;
}

static void note_taken(struct dtls_link *link, uint64_t seq)
{
    if (link->window == 0 || seq > link->high) {
        const uint64_t ahead = seq - link->high;

        link->window = link->window == 0 || ahead >= WINDOW ? 1 : link->window << ahead | 1;
        link->high = seq;
    } else {
        link->window |= UINT64_C(1) << (link->high - seq);
    }
}

enum dtls_word dtls_link_open(struct dtls_link *link, struct rbytes *datagram, uint8_t *out,
                              size_t *len)
{
    const size_t more = explicit_len(link) + TAG_LEN;

    while (link->key_len > 0 && rbytes_left(datagram) > HEADER_LEN) {
        const uint8_t *record = rbytes_take(datagram, HEADER_LEN);
        const size_t n = load_be16(record + 11);
        const uint64_t seq = load_be64(record + 3) & SEQ_MASK;

        if (rbytes_take(datagram, n) == NULL) {
            return DTLS_WORD_NONE;
        }
        if (load_be16(record + 3) != EPOCH || n <= more || !is_new(link, seq) ||
            record[0] < DTLS_CONTENT_ALERT || record[0] > DTLS_CONTENT_DATA ||
            !decrypt(link, record, n - more, out)) {
            continue;
        }
        note_taken(link, seq);
        if (record[0] == DTLS_CONTENT_DATA) {
            *len = n - more;
            return DTLS_WORD_DATA;
        }
        if (record[0] == DTLS_CONTENT_HANDSHAKE) {
            if (out[0] == FINISHED) {
                return DTLS_WORD_FINISHED;
            }
        } else if (n - more == ALERT_LEN && (out[1] == CLOSE_NOTIFY || out[0] == FATAL)) {
            return DTLS_WORD_END;
        }
    }
    return DTLS_WORD_NONE;
}
