/* Records of a connection whose handshake is over: application data both ways, the peer's
 * last word (close_notify or a fatal alert), and its Finished if it has not seen ours.
 * OpenSSL's state of a connection takes some 80 kB and is given back at once; these are the
 * keys and numbers that are kept of it.
 *
 * Only of cipher suites with AEAD: no others are taken (dtls_cert.c).
 *
 * Thread: a connection's worker. RFC 5246, sections 6.3 and 7.2.1; RFC 6347, section 4.1;
 * RFC 5288 (AES-GCM), RFC 7905 (ChaCha20-Poly1305). */
#ifndef KCS_DTLS_DTLS_LINK_H
#define KCS_DTLS_DTLS_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"

enum {
    DTLS_LINK_KEY_MAX = 32,
    DTLS_LINK_IV_MAX = 12,
    DTLS_LINK_OVERHEAD = 37 /* what a record is longer than its data, at most */
};

/* The content types of records that matter here. */
enum dtls_content { DTLS_CONTENT_ALERT = 21, DTLS_CONTENT_HANDSHAKE, DTLS_CONTENT_DATA };

/* Numbers of the encrypted records that were sent; all zero: none. */
struct dtls_seen {
    bool any;
    uint64_t seq;   /* the highest */
    uint64_t nonce; /* explicit part of AES-GCM's, of the last one */
};

/* Looks at a datagram that OpenSSL has sent. */
void dtls_seen_note(struct dtls_seen *seen, const uint8_t *data, size_t len);

struct dtls_link_way {
    uint8_t key[DTLS_LINK_KEY_MAX];
    uint8_t iv[DTLS_LINK_IV_MAX];
};

struct dtls_link {
    uint8_t key_len; /* 0: none */
    uint8_t iv_len;  /* 4: AES-GCM; 12: ChaCha20-Poly1305 */
    struct dtls_link_way in, out;
    struct dtls_seen sent; /* the last one */
    uint64_t high, window; /* of what came: bit i is number high - i; window 0: none */
};

enum dtls_word {
    DTLS_WORD_NONE, /* nothing more in the datagram */
    DTLS_WORD_DATA,
    DTLS_WORD_FINISHED, /* of a handshake */
    DTLS_WORD_END       /* the peer has ended */
};

/* Takes keys and numbers of a connection whose handshake is done.
 *
 * sent  what OpenSSL has used: no number is used twice
 *
 * Returns 0, -ENOTSUP for another cipher, or -EIO if OpenSSL fails; then it is all zero. */
int dtls_link_init(struct dtls_link *link, SSL *ssl, const struct dtls_seen *sent);

/* Makes a record of 'len' bytes in 'out', which has room for DTLS_LINK_OVERHEAD more.
 * Returns its length, 0 if OpenSSL fails. */
size_t dtls_link_seal(struct dtls_link *link, enum dtls_content type, const void *data,
                      size_t len, uint8_t *out);

/* Takes the next record from 'datagram' that is authentic, new and means something. 'out'
 * has room for the whole datagram and is filled for DTLS_WORD_DATA. */
enum dtls_word dtls_link_open(struct dtls_link *link, struct rbytes *datagram, uint8_t *out,
                              size_t *len);

#endif
