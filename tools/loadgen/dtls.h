/* The client side of DTLS-SRTP by OpenSSL: a certificate of its own, the handshake, the
 * keys. Datagrams go straight to a connected UDP socket.
 *
 * RFC 5764 (use_srtp), RFC 8122 (fingerprints). */
#ifndef LOADGEN_DTLS_H
#define LOADGEN_DTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DTLS_FINGERPRINT_LEN = 96, /* "AB:CD:…" of SHA-256, with its NUL */
    DTLS_KEY_MAX = 32,
    DTLS_SALT_MAX = 14
};

/* What OpenSSL calls the profiles, best first: the default. */
#define DTLS_PROFILES "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"

/* One for all clients. 'profiles' as OpenSSL lists them. Returns NULL if it knows one of
 * them not, or without memory. */
SSL_CTX *dtls_context(const char *profiles);

enum dtls_state { DTLS_IDLE, DTLS_HANDSHAKE, DTLS_DONE, DTLS_FAILED };

struct dtls {
    X509 *certificate;
    EVP_PKEY *key;
    SSL *ssl; /* during the handshake */
    enum dtls_state state;
    char fingerprint[DTLS_FINGERPRINT_LEN]; /* of our certificate */
    char expected[DTLS_FINGERPRINT_LEN];    /* of the server's */
    const char *reason;                     /* of failure; constant */
};

/* Keys of an SRTP session, as they come out of the handshake. */
struct dtls_keys {
    unsigned profile; /* IANA's number */
    size_t key_len;
    size_t salt_len;
    uint8_t tx_key[DTLS_KEY_MAX], rx_key[DTLS_KEY_MAX];
    uint8_t tx_salt[DTLS_SALT_MAX], rx_salt[DTLS_SALT_MAX];
};

/* Makes the certificate. Returns 0 or -ENOMEM. */
int dtls_init(struct dtls *dtls);
void dtls_fini(struct dtls *dtls); /* of a zeroed one: a no-op */

/* Begins the handshake on socket 'fd' (borrowed) with a server whose certificate has the
 * SHA-256 fingerprint 'expected'. Returns 0, -EINVAL, -ENOMEM. */
int dtls_start(struct dtls *dtls, SSL_CTX *ctx, int fd, const char *expected);

/* A datagram came (NULL: only time has passed). The state tells what became of it. */
void dtls_step(struct dtls *dtls, const uint8_t *data, size_t len);

/* When dtls_step() must be called without a datagram, seen from 'now_us'. */
uint64_t dtls_deadline(const struct dtls *dtls, uint64_t now_us);

/* Fills 'out' in state DTLS_DONE and gives up the connection: nothing follows on it.
 * Returns 0, or -EPROTO if no SRTP profile was agreed on. */
int dtls_take_keys(struct dtls *dtls, struct dtls_keys *out);

#endif
