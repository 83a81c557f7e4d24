/* A BIO that gives OpenSSL a datagram to read, or two, and hands every datagram that it
 * writes to a function: boundaries are kept, nothing is buffered. */
#ifndef KCS_DTLS_DTLS_BIO_H
#define KCS_DTLS_DTLS_BIO_H

#include <openssl/bio.h>

enum { DTLS_MTU = 1200 }; /* UDP payload; fits every path that WebRTC expects */

struct dtls_bio {
    const void *data; /* the datagram to read, borrowed; NULL when it was taken */
    size_t len;
    const void *then; /* the next one, or NULL */
    size_t then_len;
    void (*send)(void *arg, const void *data, size_t len);
    void *arg;
};

/* One for the whole process; dtls_bio_method_free() ends it. NULL without memory. */
BIO_METHOD *dtls_bio_method_new(void);
void dtls_bio_method_free(BIO_METHOD *method);

/* 'bio' is borrowed and must outlive what is returned; NULL without memory. */
BIO *dtls_bio_new(BIO_METHOD *method, struct dtls_bio *bio);

#endif
