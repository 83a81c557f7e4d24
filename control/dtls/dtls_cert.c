#include "dtls/dtls_cert.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

#include "dtls/dtls_lib.h"

enum {
    CERT_DAYS = 365, /* longer than any process; browsers do not check it */
    CERT_BACKDATE_S = 86400,
    MAX_FRAGMENT = 1200
};

static int cert_digest(const X509 *x509, enum dtls_hash hash, struct dtls_fp *fp)
{
    static const EVP_MD *(*const mds[N_DTLS_HASHES])(void) = {EVP_sha1, EVP_sha256,
                                                              EVP_sha384, EVP_sha512};
    unsigned len = 0;

    if (X509_digest(x509, mds[hash](), fp->value, &len) != 1 ||
        len != dtls_hash_len(hash)) {
        return -EIO;
    }
    fp->hash = (uint8_t)hash;
    fp->len = (uint8_t)len;
    return 0;
}

static int cert_fill(X509 *x509, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(x509);
    uint8_t random[8];
    BIGNUM *serial = NULL;
    int ok;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return -EIO;
    }
    random[0] &= 0x7f; /* positive */
    serial = BN_bin2bn(random, sizeof(random), NULL);
    ok = serial != NULL &&
         BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x509)) != NULL &&
         X509_set_version(x509, 2) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(x509), -CERT_BACKDATE_S) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(x509), CERT_DAYS * 86400L) != NULL &&
         X509_set_pubkey(x509, key) == 1 &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"kcs",
                                    -1, -1, 0) == 1 &&
         X509_set_issuer_name(x509, name) == 1 && X509_sign(x509, key, EVP_sha256()) > 0;
    BN_free(serial);
    return ok ? 0 : -EIO;
}

int dtls_cert_init(struct dtls_cert *cert)
{
    memset(cert, 0, sizeof(*cert));
    cert->key = EVP_PKEY_Q_keygen(dtls_lib(), NULL, "EC", "P-256");
    cert->x509 = X509_new_ex(dtls_lib(), NULL);
    if (cert->key == NULL || cert->x509 == NULL || cert_fill(cert->x509, cert->key) != 0 ||
        cert_digest(cert->x509, DTLS_SHA256, &cert->fp) != 0) {
        dtls_cert_fini(cert);
        return -EIO;
    }
    return 0;
}

void dtls_cert_fini(struct dtls_cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    memset(cert, 0, sizeof(*cert));
}

bool dtls_cert_matches(const X509 *x509, const struct dtls_fp *fps, size_t n_fps)
{
    bool given = false;

    for (enum dtls_hash hash = 0; hash < N_DTLS_HASHES; hash++) {
        struct dtls_fp ours = {.len = 0};
        bool wanted = false;
        bool found = false;

        for (size_t i = 0; i < n_fps; i++) {
            if (fps[i].hash != hash) {
                continue;
            }
            if (!wanted && cert_digest(x509, hash, &ours) != 0) {
                return false;
            }
            wanted = true;
            found = found || (fps[i].len == ours.len &&
                              CRYPTO_memcmp(fps[i].value, ours.value, ours.len) == 0);
        }
        if (wanted && !found) {
            return false;
        }
        given = given || wanted;
    }
    return given;
}

SSL_CTX *dtls_cert_context(const struct dtls_cert *cert)
{
    /* Our certificate is ECDSA; the RSA suites are for servers that we meet as client. All
     * have AEAD (RFC 8827, section 6.5, wants the first of all peers): dtls_link.h. */
    static const char ciphers[] =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:"
        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-CHACHA20-POLY1305";
    static const char profiles[] = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:"
                                   "SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32";
    /* What certificates of clients and servers sign with; the rest of OpenSSL's list would
     * make our hello, and our first flight, longer than what a check may be answered with. */
    static const char signatures[] =
        "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:ed25519";
    SSL_CTX *ctx = SSL_CTX_new_ex(dtls_lib(), NULL, DTLS_method());

    if (ctx == NULL) {
        return NULL;
    }
    if (SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate(ctx, cert->x509) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, cert->key) != 1 ||
        SSL_CTX_set_cipher_list(ctx, ciphers) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 ||
        SSL_CTX_set1_sigalgs_list(ctx, signatures) != 1 ||
        SSL_CTX_set_max_send_fragment(ctx, MAX_FRAGMENT) != 1 ||
        /* this one returns 0 when it succeeds */
        SSL_CTX_set_tlsext_use_srtp(ctx, profiles) != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU |
                                       SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}
