/* The floor of bench_joins.mjs: DTLS-SRTP handshakes by OpenSSL alone, in memory, with the
 * certificates and groups of the node: ECDSA on P-256 on both sides, both checked, X25519. Its
 * client's hello is as long as that of the clients that join (loadgen/dtls.c).
 *
 * usage: bench-handshake SECONDS; prints the microseconds of CPU of the server's side of one
 * handshake, and of the client's. */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_FLIGHTS = 16, MTU = 1200, GREASE = 0x0a0a, HELLO_MORE = 1216 };

#define PROFILES "SRTP_AEAD_AES_128_GCM"

static double cpu_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

static int add_more(SSL *ssl, unsigned type, unsigned in, const unsigned char **out,
                    size_t *len, X509 *x, size_t chain, int *alert, void *arg)
{
    static const unsigned char more[HELLO_MORE];

    (void)ssl;
    (void)type;
    (void)in;
    (void)x;
    (void)chain;
    (void)alert;
    (void)arg;
    *out = more;
    *len = sizeof(more);
    return 1;
}

static X509 *certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();

    if (x == NULL || X509_set_version(x, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), -86400) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(x), 86400) == NULL ||
        X509_set_pubkey(x, key) != 1 || X509_sign(x, key, EVP_sha256()) <= 0) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key != NULL ? certificate(key) : NULL;
    bool done = ctx != NULL && x != NULL && SSL_CTX_use_certificate(ctx, x) == 1 &&
                SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
                SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1 &&
                SSL_CTX_set_tlsext_use_srtp(ctx, PROFILES) == 0 &&
                SSL_CTX_add_custom_ext(ctx, GREASE, SSL_EXT_CLIENT_HELLO, add_more, NULL,
                                       NULL, NULL, NULL) == 1;

    X509_free(x);
    EVP_PKEY_free(key);
    if (!done) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

static SSL *side(SSL_CTX *ctx, BIO *in, BIO *out)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl != NULL) {
        (void)BIO_up_ref(in);
        (void)BIO_up_ref(out);
        SSL_set_bio(ssl, in, out);
        (void)SSL_set_mtu(ssl, MTU);
    }
    return ssl;
}

/* Adds what each side has taken. Returns whether both were through. */
static bool shake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, double *server_us,
                  double *client_us)
{
    BIO *to_server = BIO_new(BIO_s_mem());
    BIO *to_client = BIO_new(BIO_s_mem());
    double at_us = cpu_us();
    SSL *client = NULL;
    SSL *server = NULL;
    bool done = false;

    if (to_server != NULL && to_client != NULL) {
        (void)BIO_set_mem_eof_return(to_server, -1);
        (void)BIO_set_mem_eof_return(to_client, -1);
        client = side(client_ctx, to_client, to_server);
        *client_us += cpu_us() - at_us;
        at_us = cpu_us();
        server = side(server_ctx, to_server, to_client);
        *server_us += cpu_us() - at_us;
    }
    for (int i = 0; server != NULL && client != NULL && i < MAX_FLIGHTS && !done; i++) {
        bool through;

        at_us = cpu_us();
        through = SSL_connect(client) == 1;
        *client_us += cpu_us() - at_us;
        at_us = cpu_us();
        done = SSL_accept(server) == 1 && through;
        *server_us += cpu_us() - at_us;
    }
    SSL_free(client);
    at_us = cpu_us();
    SSL_free(server);
    *server_us += cpu_us() - at_us;
    BIO_free(to_server);
    BIO_free(to_client);
    return done;
}

int main(int argc, char **argv)
{
    double seconds = argc == 2 ? strtod(argv[1], NULL) : 0;
    double began_us = cpu_us();
    double server_us = 0;
    double client_us = 0;
    SSL_CTX *server = context(DTLS_server_method());
    SSL_CTX *client = context(DTLS_client_method());
    unsigned n = 0;

    if (!(seconds > 0)) {
        (void)fprintf(stderr, "usage: bench-handshake SECONDS\n");
        return 2;
    }
    while (server != NULL && client != NULL && cpu_us() - began_us < seconds * 1e6) {
        if (!shake(server, client, &server_us, &client_us)) {
            (void)fprintf(stderr, "bench-handshake: a handshake failed\n");
            return 1;
        }
        n++;
    }
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    if (n == 0) {
        (void)fprintf(stderr, "bench-handshake: OpenSSL cannot\n");
        return 1;
    }
    (void)printf("%.1f %.1f\n", server_us / n, client_us / n);
    return 0;
}
