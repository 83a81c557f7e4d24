#include "loadgen/dtls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    MTU = 1200,
    FIRST_TIMEOUT_US = 100000,
    MAX_TIMEOUT_US = 2000000,
    GREASE = 0x0a0a,  /* an extension that means nothing (RFC 8701) */
    HELLO_MORE = 1216 /* bytes of it: what Chromium's share of ML-KEM takes */
};

/* The fingerprint is what authenticates (RFC 8122), not a chain. */
static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

static int add_more(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
                    size_t *len, X509 *x, size_t chain, int *alert, void *arg)
{
    static const unsigned char more[HELLO_MORE];

    (void)ssl;
    (void)type;
    (void)context;
    (void)x;
    (void)chain;
    (void)alert;
    (void)arg;
    *out = more;
    *len = sizeof(more);
    return 1;
}

SSL_CTX *dtls_context(const char *profiles)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_client_method());

    /* A hello is as long as a browser's: one that is shorter than the answer is asked for a
     * cookie, which costs a round trip that browsers do not have. */
    if (ctx == NULL || SSL_CTX_set_tlsext_use_srtp(ctx, profiles) != 0 ||
        SSL_CTX_add_custom_ext(ctx, GREASE, SSL_EXT_CLIENT_HELLO, add_more, NULL, NULL,
                               NULL, NULL) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    return ctx;
}

static int fingerprint_of(const X509 *certificate, char out[DTLS_FINGERPRINT_LEN])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1 || len != 32) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(out + 3 * i, DTLS_FINGERPRINT_LEN - 3 * i, "%02X%s", digest[i],
                       i + 1 < len ? ":" : "");
    }
    return 0;
}

int dtls_init(struct dtls *dtls)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    *dtls = (struct dtls){.certificate = x, .key = key};
    if (key == NULL || x == NULL || X509_set_version(x, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), -86400) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(x), 30 * 86400L) == NULL ||
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                   (const unsigned char *)"loadgen", -1, -1, 0) != 1 ||
        X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 ||
        X509_set_pubkey(x, key) != 1 || X509_sign(x, key, EVP_sha256()) <= 0 ||
        fingerprint_of(x, dtls->fingerprint) != 0) {
        dtls_fini(dtls);
        return -ENOMEM;
    }
    return 0;
}

void dtls_fini(struct dtls *dtls)
{
    SSL_free(dtls->ssl);
    X509_free(dtls->certificate);
    EVP_PKEY_free(dtls->key);
    *dtls = (struct dtls){0};
}

static unsigned next_timeout_us(SSL *ssl, unsigned timeout_us)
{
    (void)ssl;
    return timeout_us == 0                   ? FIRST_TIMEOUT_US
           : timeout_us < MAX_TIMEOUT_US / 2 ? 2 * timeout_us
                                             : MAX_TIMEOUT_US;
}

int dtls_start(struct dtls *dtls, SSL_CTX *ctx, int fd, const char *expected)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new_dgram(fd, BIO_NOCLOSE);
    SSL *ssl = SSL_new(ctx);
    struct sockaddr_storage peer; /* a BIO_ADDR is a union of socket addresses */
    socklen_t len = sizeof(peer);

    if (in == NULL || out == NULL || ssl == NULL ||
        getpeername(fd, (struct sockaddr *)&peer, &len) != 0 ||
        strlen(expected) >= DTLS_FINGERPRINT_LEN ||
        SSL_use_certificate(ssl, dtls->certificate) != 1 ||
        SSL_use_PrivateKey(ssl, dtls->key) != 1) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        return strlen(expected) >= DTLS_FINGERPRINT_LEN ? -EINVAL : -ENOMEM;
    }
    (void)BIO_set_mem_eof_return(in, -1);
    (void)BIO_ctrl(out, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
    SSL_set_bio(ssl, in, out);
    (void)SSL_set_mtu(ssl, MTU);
    DTLS_set_timer_cb(ssl, next_timeout_us);
    SSL_set_connect_state(ssl);
    SSL_free(dtls->ssl);
    dtls->ssl = ssl;
    dtls->state = DTLS_HANDSHAKE;
    (void)snprintf(dtls->expected, sizeof(dtls->expected), "%s", expected);
    dtls_step(dtls, NULL, 0);
    return 0;
}

static void fail(struct dtls *dtls, const char *reason)
{
    dtls->state = DTLS_FAILED;
    dtls->reason = reason;
}

static void on_handshake_done(struct dtls *dtls)
{
    char shown[DTLS_FINGERPRINT_LEN];
    X509 *certificate = SSL_get1_peer_certificate(dtls->ssl);

    if (certificate == NULL || fingerprint_of(certificate, shown) != 0 ||
        strcasecmp(shown, dtls->expected) != 0) {
        fail(dtls, "the server's certificate is not the one that signaling announced");
    } else {
        dtls->state = DTLS_DONE;
    }
    X509_free(certificate);
}

void dtls_step(struct dtls *dtls, const uint8_t *data, size_t len)
{
    int ret;

    if (dtls->state != DTLS_HANDSHAKE) {
        return;
    }
    ERR_clear_error();
    if (data != NULL) {
        (void)BIO_write(SSL_get_rbio(dtls->ssl), data, (int)len);
    } else if (DTLSv1_handle_timeout(dtls->ssl) < 0) {
        fail(dtls, "the DTLS handshake found no answer");
        return;
    }
    ret = SSL_do_handshake(dtls->ssl);
    if (ret == 1) {
        on_handshake_done(dtls);
    } else if (SSL_get_error(dtls->ssl, ret) != SSL_ERROR_WANT_READ &&
               SSL_get_error(dtls->ssl, ret) != SSL_ERROR_WANT_WRITE) {
        const char *why = ERR_reason_error_string(ERR_peek_error());

        fail(dtls, why != NULL ? why : "the DTLS handshake failed");
    }
    ERR_clear_error();
}

uint64_t dtls_deadline(const struct dtls *dtls, uint64_t now_us)
{
    struct timeval left;

    if (dtls->state != DTLS_HANDSHAKE || DTLSv1_get_timeout(dtls->ssl, &left) != 1) {
        return UINT64_MAX;
    }
    return now_us + (uint64_t)left.tv_sec * 1000000u + (uint64_t)left.tv_usec;
}

static void sizes_of(unsigned profile, size_t *key_len, size_t *salt_len)
{
    *key_len = profile == SRTP_AEAD_AES_256_GCM ? 32 : 16;
    *salt_len =
        profile == SRTP_AEAD_AES_128_GCM || profile == SRTP_AEAD_AES_256_GCM ? 12 : 14;
}

int dtls_take_keys(struct dtls *dtls, struct dtls_keys *out)
{
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(dtls->ssl);
    uint8_t m[2 * (DTLS_KEY_MAX + DTLS_SALT_MAX)];
    size_t k;
    size_t s;

    if (profile == NULL) {
        return -EPROTO;
    }
    *out = (struct dtls_keys){.profile = (unsigned)profile->id};
    sizes_of(out->profile, &out->key_len, &out->salt_len);
    k = out->key_len;
    s = out->salt_len;
    if (SSL_export_keying_material(dtls->ssl, m, 2 * (k + s), "EXTRACTOR-dtls_srtp", 19,
                                   NULL, 0, 0) != 1) {
        return -EPROTO;
    }
    memcpy(out->tx_key, m, k); /* the client's comes first (RFC 5764, 4.2) */
    memcpy(out->rx_key, m + k, k);
    memcpy(out->tx_salt, m + 2 * k, s);
    memcpy(out->rx_salt, m + 2 * k + s, s);
    explicit_bzero(m, sizeof(m));
    SSL_free(dtls->ssl);
    dtls->ssl = NULL;
    return 0;
}
