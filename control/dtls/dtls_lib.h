/* The part of OpenSSL that handshakes need. For each certificate of a peer OpenSSL 3.0
 * looks for a decoder of its key: it asks each decoder anew, and goes through all algorithms
 * that it has ever fetched, of whatever kind. Of fewer it has chosen sooner: by turns on a busy
 * machine a handshake took 660 us bare, 540 with fewer keys and formats, 480 with fewer of all. */
#ifndef KCS_DTLS_DTLS_LIB_H
#define KCS_DTLS_DTLS_LIB_H

#include <openssl/types.h>

/* A library with a provider that has what our suites, our shares and the certificates that
 * we take need of the default one's (dtls_cert.c), and no other ciphers, digests, keys and
 * formats of keys. NULL, which is OpenSSL's own, if it cannot be
 * made, or the administrator wants another than the default provider (FIPS). It is made
 * once, by whoever asks first, and is never freed: any thread. */
OSSL_LIB_CTX *dtls_lib(void);

#endif
