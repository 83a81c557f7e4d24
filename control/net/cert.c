/* The certificate of the TLS listeners, taken anew while they serve. The library has put
 * the first one into its own SSL_CTX; from the first renewal on each handshake is given the
 * newest by a callback, since a certificate of another kind (ECDSA after RSA) would only
 * stand beside the old one there. */
#include "net/priv.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* OpenSSL's last error in words; empties its queue. */
static int refuse(const char *what, const char *path, char *err)
{
    char reason[128] = "";

    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    (void)snprintf(err, NET_ERR_MAX, "%s %s: %s", what, path, reason);
    return -EINVAL;
}

static int read_both(SSL_CTX *ctx, const char *cert, const char *key, char *err)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        return refuse("certificate", cert, err);
    }
    /* One of another kind than the certificate's is told by the check alone. */
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return refuse("private key", key, err);
    }
    return 0;
}

/* For each handshake. Returns 1, or 0 to fail it. */
static int give_newest(SSL *ssl, void *arg)
{
    const struct net_server *server = arg;
    X509 *cert = SSL_CTX_get0_certificate(server->newest_cert);
    EVP_PKEY *key = SSL_CTX_get0_privatekey(server->newest_cert);
    STACK_OF(X509) *chain = NULL;

    (void)SSL_CTX_get0_chain_certs(server->newest_cert, &chain);
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, cert, key, chain, 1);
}

/* ---- how long it is good ---- */

static const char metric_expiry[] = "tls_certificate_expiry_timestamp_seconds";

/* Seconds since 1970; -1 if that cannot be told. */
static double expiry_of(const X509 *cert)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    bool told = cert != NULL && epoch != NULL &&
                ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) == 1;

    ASN1_TIME_free(epoch);
    return told ? days * 86400.0 + seconds : -1;
}

static void collect_expiry(struct metric_sink *sink, void *arg)
{
    const struct net_server *server = arg;
    const SSL_CTX *ctx =
        server->newest_cert != NULL ? server->newest_cert : server->tls_ctx;
    double at = ctx != NULL ? expiry_of(SSL_CTX_get0_certificate(ctx)) : -1;

    if (at >= 0) {
        metric_emit(sink, NULL, 0, at);
    }
}

int cert_register(struct net_server *server)
{
    return metric_register_collector(
        server->registry, METRIC_GAUGE, metric_expiry,
        "When the certificate of the TLS listeners ends, since 1970.", collect_expiry,
        server);
}

void cert_unregister(struct net_server *server)
{
    metric_unregister(server->registry, metric_expiry);
}

void cert_free(struct net_server *server)
{
    SSL_CTX_free(server->newest_cert);
}

int net_server_renew_cert(struct net_server *server, const char *cert, const char *key,
                          char err[NET_ERR_MAX])
{
    SSL_CTX *ctx;
    int ret;

    if (server->tls_ctx == NULL) {
        (void)snprintf(err, NET_ERR_MAX, "no listener has TLS");
        return -ENOENT;
    }
    ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        (void)snprintf(err, NET_ERR_MAX, "out of memory");
        return -ENOMEM;
    }
    ret = read_both(ctx, cert, key, err);
    if (ret != 0) {
        SSL_CTX_free(ctx);
        return ret;
    }
    SSL_CTX_free(server->newest_cert);
    server->newest_cert = ctx;
    SSL_CTX_set_cert_cb(server->tls_ctx, give_newest, server);
    return 0;
}
