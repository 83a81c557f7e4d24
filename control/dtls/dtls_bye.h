/* Reads the last record of a peer whose handshake is long over: an authentic close_notify,
 * or a fatal alert. OpenSSL's state of a connection that carries nothing but media is given
 * back soon; this is all that is kept of it for that, the keys of what comes in.
 *
 * Only of cipher suites with AEAD; of others the end is noticed by missing consent.
 *
 * Thread: a connection's worker. RFC 5246, sections 6.3 and 7.2.1; RFC 6347, section 4.1;
 * RFC 5288 (AES-GCM), RFC 7905 (ChaCha20-Poly1305). */
#ifndef KCS_DTLS_DTLS_BYE_H
#define KCS_DTLS_DTLS_BYE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DTLS_BYE_KEY_MAX = 32, DTLS_BYE_IV_MAX = 12 };

struct dtls_bye {
    uint8_t key_len; /* 0: none */
    uint8_t iv_len;  /* 4: AES-GCM; 12: ChaCha20-Poly1305 */
    uint8_t key[DTLS_BYE_KEY_MAX];
    uint8_t iv[DTLS_BYE_IV_MAX];
};

/* Takes the keys of a connection whose handshake is done. Returns 0, -ENOTSUP for another
 * cipher, or -EIO if OpenSSL fails; then 'bye' recognises nothing. */
int dtls_bye_init(struct dtls_bye *bye, SSL *ssl);

/* True if a record of the datagram is authentic and says that the peer has ended. */
bool dtls_bye_said(const struct dtls_bye *bye, const uint8_t *data, size_t len);

#endif
