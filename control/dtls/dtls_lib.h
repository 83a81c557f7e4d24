/* The part of OpenSSL that handshakes need. For each certificate of a peer OpenSSL 3.0
 * looks for a decoder of its key among all keys and decoders there are, and asks each of
 * them anew; of fewer it has chosen sooner: 55 us of a handshake's 390. */
#ifndef KCS_DTLS_DTLS_LIB_H
#define KCS_DTLS_DTLS_LIB_H

#include <openssl/types.h>

/* A library with a provider that has all of the default one's but keys, and formats of
 * keys, that no certificate of a peer has. NULL, which is OpenSSL's own, if it cannot be
 * made, or the administrator wants another than the default provider (FIPS). It is made
 * once, by whoever asks first, and is never freed: any thread. */
OSSL_LIB_CTX *dtls_lib(void);

#endif
