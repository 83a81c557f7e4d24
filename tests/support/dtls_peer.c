#include "support/dtls_peer.h"

#include <openssl/err.h>
#include <openssl/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "dtls_peer: %s failed\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static int peer_write(BIO *b, const char *data, int len)
{
    struct dtls_peer *peer = BIO_get_data(b);

    if (peer->n_out < DTLS_PEER_QUEUE && len > 0 && len <= DTLS_PEER_MTU) {
        peer->out[peer->n_out].len = (size_t)len;
        memcpy(peer->out[peer->n_out].data, data, (size_t)len);
        peer->n_out++;
    }
    return len;
}

static int peer_read(BIO *b, char *out, int cap)
{
    struct dtls_peer *peer = BIO_get_data(b);
    int n;

    BIO_clear_retry_flags(b);
    if (peer->in == NULL) {
        BIO_set_retry_read(b);
        return -1;
    }
    n = (int)peer->in_len < cap ? (int)peer->in_len : cap;
    memcpy(out, peer->in, (size_t)n);
    peer->in = NULL;
    return n;
}

static long peer_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int peer_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static void make_cert(struct dtls_peer *peer)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();

    must(key != NULL && x509 != NULL && X509_set_version(x509, 2) == 1 &&
             ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(x509), -86400) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(x509), 86400) != NULL &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                                        (const unsigned char *)"WebRTC", -1, -1, 0) == 1 &&
             X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1 &&
             X509_set_pubkey(x509, key) == 1 && X509_sign(x509, key, EVP_sha256()) > 0 &&
             SSL_CTX_use_certificate(peer->ctx, x509) == 1 &&
             SSL_CTX_use_PrivateKey(peer->ctx, key) == 1,
         "certificate");
    peer->x509 = x509;
    EVP_PKEY_free(key);
}

static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

static void pad_hello(struct dtls_peer *peer, size_t pad)
{
    uint8_t names[8192];
    size_t n = 0;

    while (n < pad && n + 256 <= sizeof(names)) {
        size_t len = pad - n < 256 ? pad - n - 1 : 255;

        len = len == 0 ? 1 : len;
        names[n] = (uint8_t)len;
        memset(names + n + 1, 'x', len);
        n += 1 + len;
    }
    must(SSL_set_alpn_protos(peer->ssl, names, (unsigned)n) == 0, "ALPN");
}

static unsigned peer_timer(SSL *ssl, unsigned timeout_us)
{
    (void)ssl;
    return timeout_us == 0 ? 50000 : 2 * timeout_us;
}

void dtls_peer_restart(struct dtls_peer *peer, const struct dtls_peer_conf *conf)
{
    BIO *b = BIO_new(peer->method);

    SSL_free(peer->ssl);
    peer->ssl = SSL_new(peer->ctx);
    must(peer->ssl != NULL && b != NULL, "connection");
    BIO_set_data(b, peer);
    SSL_set_bio(peer->ssl, b, b);
    SSL_set_mtu(peer->ssl, conf->mtu != 0 ? conf->mtu : 1200);
    DTLS_set_timer_cb(peer->ssl, peer_timer);
    if (conf->hello_pad > 0) {
        pad_hello(peer, conf->hello_pad);
    }
    if (conf->server) {
        SSL_set_accept_state(peer->ssl);
    } else {
        SSL_set_connect_state(peer->ssl);
    }
    peer->n_out = 0;
    peer->done = peer->failed = false;
}

void dtls_peer_init(struct dtls_peer *peer, const struct dtls_peer_conf *conf)
{
    memset(peer, 0, sizeof(*peer));
    peer->ctx = SSL_CTX_new(DTLS_method());
    must(peer->ctx != NULL, "context");
    make_cert(peer);
    must(conf->profiles == NULL ||
             SSL_CTX_set_tlsext_use_srtp(peer->ctx, conf->profiles) == 0,
         "profiles");
    must(conf->ciphers == NULL || SSL_CTX_set_cipher_list(peer->ctx, conf->ciphers) == 1,
         "ciphers");
    SSL_CTX_set_options(peer->ctx, SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_verify(peer->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(peer->ctx, accept_any, NULL);
    SSL_CTX_set_read_ahead(peer->ctx, 1);
    peer->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "peer");
    must(peer->method != NULL, "method");
    BIO_meth_set_write(peer->method, peer_write);
    BIO_meth_set_read(peer->method, peer_read);
    BIO_meth_set_ctrl(peer->method, peer_ctrl);
    BIO_meth_set_create(peer->method, peer_create);
    dtls_peer_restart(peer, conf);
}

void dtls_peer_fini(struct dtls_peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    X509_free(peer->x509);
    BIO_meth_free(peer->method);
    memset(peer, 0, sizeof(*peer));
}

void dtls_peer_step(struct dtls_peer *peer, const void *data, size_t len)
{
    int r;

    ERR_clear_error();
    if (data == NULL && DTLSv1_handle_timeout(peer->ssl) < 0) {
        peer->failed = true;
    }
    peer->in = data;
    peer->in_len = len;
    if (peer->done) {
        r = SSL_read(peer->ssl, peer->data, sizeof(peer->data));
        if (r > 0) {
            peer->n_data++;
            peer->data_len = (size_t)r;
        } else if (SSL_get_error(peer->ssl, r) == SSL_ERROR_ZERO_RETURN) {
            peer->parted = true;
        }
    } else if (!peer->failed) {
        r = SSL_do_handshake(peer->ssl);
        peer->done = r == 1;
        peer->failed = r != 1 && SSL_get_error(peer->ssl, r) != SSL_ERROR_WANT_READ;
    }
    peer->in = NULL;
    ERR_clear_error();
}

void dtls_peer_send(struct dtls_peer *peer, const void *data, size_t len)
{
    must(SSL_write(peer->ssl, data, (int)len) == (int)len, "SSL_write");
}

void dtls_peer_part(struct dtls_peer *peer)
{
    must(SSL_shutdown(peer->ssl) >= 0 || (SSL_get_shutdown(peer->ssl) & SSL_SENT_SHUTDOWN) != 0,
         "SSL_shutdown");
}

static void spell(const X509 *x509, const EVP_MD *md, char out[200])
{
    uint8_t value[64];
    unsigned len = 0;

    must(md != NULL && X509_digest(x509, md, value, &len) == 1, "digest");
    out[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        (void)sprintf(out + strlen(out), i == 0 ? "%02X" : ":%02X", value[i]);
    }
}

void dtls_peer_fingerprint(const struct dtls_peer *peer, const char *hash, char out[200])
{
    char name[16];
    size_t n = 0;

    for (const char *p = hash; *p != '\0' && n + 1 < sizeof(name); p++) {
        if (*p != '-') {
            name[n++] = *p; /* OpenSSL says sha256 */
        }
    }
    name[n] = '\0';
    spell(peer->x509, EVP_get_digestbyname(name), out);
}

void dtls_peer_seen_fingerprint(const struct dtls_peer *peer, char out[200])
{
    X509 *x509 = SSL_get1_peer_certificate(peer->ssl);

    must(x509 != NULL, "peer certificate");
    spell(x509, EVP_sha256(), out);
    X509_free(x509);
}

unsigned dtls_peer_keys(const struct dtls_peer *peer, struct dtls_peer_keys *keys)
{
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(peer->ssl);
    bool server = SSL_is_server(peer->ssl) == 1;
    uint8_t m[2 * (sizeof(keys->tx_key) + sizeof(keys->tx_salt))];
    const uint8_t *salts;
    size_t key, salt;

    if (profile == NULL) {
        return 0;
    }
    key = profile->id == SRTP_AEAD_AES_256_GCM ? 32 : 16;
    salt = profile->id == SRTP_AEAD_AES_256_GCM || profile->id == SRTP_AEAD_AES_128_GCM
               ? 12
               : 14;
    must(SSL_export_keying_material(peer->ssl, m, 2 * (key + salt), "EXTRACTOR-dtls_srtp",
                                    19, NULL, 0, 0) == 1,
         "export");
    salts = m + 2 * key;
    keys->key_len = key;
    keys->salt_len = salt;
    memcpy(keys->tx_key, server ? m + key : m, key);
    memcpy(keys->rx_key, server ? m : m + key, key);
    memcpy(keys->tx_salt, server ? salts + salt : salts, salt);
    memcpy(keys->rx_salt, server ? salts : salts + salt, salt);
    return (unsigned)profile->id;
}
