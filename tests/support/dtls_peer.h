/* The other end of a DTLS-SRTP handshake, straight on OpenSSL: shares no code with what it
 * tests. Datagrams go in and out by hand, so a test may lose, reorder and forge them. */
#ifndef SUPPORT_DTLS_PEER_H
#define SUPPORT_DTLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DTLS_PEER_QUEUE = 64, DTLS_PEER_MTU = 1500 };

struct dtls_peer_conf {
    bool server;          /* else it is the client */
    const char *profiles; /* of SRTP, in OpenSSL's names; NULL: no use_srtp at all */
    const char *ciphers;  /* NULL: OpenSSL's default */
    unsigned mtu;         /* 0: 1200 */
    size_t hello_pad;     /* bytes of ALPN names that make the ClientHello longer */
};

struct dtls_peer_datagram {
    size_t len;
    uint8_t data[DTLS_PEER_MTU];
};

struct dtls_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    X509 *x509;
    BIO_METHOD *method;
    const uint8_t *in;
    size_t in_len;
    struct dtls_peer_datagram out[DTLS_PEER_QUEUE];
    size_t n_out;
    bool done, failed;
    bool parted;     /* the other end has sent close_notify */
    unsigned n_data; /* application data that has come: how often, and the last */
    size_t data_len;
    uint8_t data[2048];
};

void dtls_peer_init(struct dtls_peer *peer, const struct dtls_peer_conf *conf);
void dtls_peer_fini(struct dtls_peer *peer);

/* Begins a new connection with the same certificate; 'conf' has the same profiles and
 * ciphers as at the start. */
void dtls_peer_restart(struct dtls_peer *peer, const struct dtls_peer_conf *conf);

/* Goes on as far as it can: timers, and 'data' if it is not NULL. New datagrams are
 * appended to 'out'; the caller sets n_out to 0 when it has taken them. */
void dtls_peer_step(struct dtls_peer *peer, const void *data, size_t len);

/* Sends application data, once it is done. */
void dtls_peer_send(struct dtls_peer *peer, const void *data, size_t len);

/* Says close_notify. */
void dtls_peer_part(struct dtls_peer *peer);

/* The value of our certificate's fingerprint for "sha-256" and so on. */
void dtls_peer_fingerprint(const struct dtls_peer *peer, const char *hash, char out[200]);

/* SHA-256 of the certificate that the other end showed. */
void dtls_peer_seen_fingerprint(const struct dtls_peer *peer, char out[200]);

/* Master keys as this end uses them. */
struct dtls_peer_keys {
    size_t key_len, salt_len;
    uint8_t tx_key[32], rx_key[32], tx_salt[14], rx_salt[14];
};

/* Fills 'keys'. Returns the profile's IANA number, 0 if there is none. */
unsigned dtls_peer_keys(const struct dtls_peer *peer, struct dtls_peer_keys *keys);

#endif
