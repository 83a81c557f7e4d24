#include "dtls/dtls_bio.h"

#include <string.h>

static int bio_write(BIO *b, const char *data, size_t len, size_t *written)
{
    struct dtls_bio *bio = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    bio->send(bio->arg, data, len);
    *written = len;
    return 1;
}

static int bio_read(BIO *b, char *out, size_t cap, size_t *n)
{
    struct dtls_bio *bio = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (bio->data == NULL) {
        BIO_set_retry_read(b);
        *n = 0;
        return 0;
    }
    *n = bio->len < cap ? bio->len : cap; /* the rest of a datagram is lost, as in recv() */
    memcpy(out, bio->data, *n);
    bio->data = bio->then;
    bio->len = bio->then_len;
    bio->then = NULL;
    return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return DTLS_MTU;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return 28; /* IPv4 and UDP */
    default:
        return 0;
    }
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

BIO_METHOD *dtls_bio_method_new(void)
{
    int index = BIO_get_new_index();
    BIO_METHOD *method;

    if (index < 0) {
        return NULL;
    }
    method = BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "kcs datagram");
    if (method == NULL || BIO_meth_set_write_ex(method, bio_write) != 1 ||
        BIO_meth_set_read_ex(method, bio_read) != 1 ||
        BIO_meth_set_ctrl(method, bio_ctrl) != 1 ||
        BIO_meth_set_create(method, bio_create) != 1) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

void dtls_bio_method_free(BIO_METHOD *method)
{
    BIO_meth_free(method);
}

BIO *dtls_bio_new(BIO_METHOD *method, struct dtls_bio *bio)
{
    BIO *b = BIO_new(method);

    if (b != NULL) {
        BIO_set_data(b, bio);
    }
    return b;
}
