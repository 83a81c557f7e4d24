/* Our certificate and the peer's: makes the one, compares the other. */
#ifndef KCS_DTLS_DTLS_CERT_H
#define KCS_DTLS_DTLS_CERT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "dtls/dtls_fp.h"

struct dtls_cert {
    X509 *x509;
    EVP_PKEY *key;
    struct dtls_fp fp; /* SHA-256 */
};

/* Makes a self-signed ECDSA P-256 certificate. It names nobody: what peers trust is the
 * fingerprint that signaling carries (RFC 8827, 6.5). Returns 0 or -EIO. */
int dtls_cert_init(struct dtls_cert *cert);
/* After all contexts of it. */
void dtls_cert_fini(struct dtls_cert *cert);

/* True if for every hash in 'fps' one fingerprint of that hash is the certificate's. */
bool dtls_cert_matches(const X509 *x509, const struct dtls_fp *fps, size_t n_fps);

/* A context for one worker: DTLS 1.2, both roles, SRTP with GCM first. NULL on failure. */
SSL_CTX *dtls_cert_context(const struct dtls_cert *cert);

#endif
