#include "loadgen/stream.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>
#include <sys/socket.h>

SSL_CTX *stream_context(const char *ca_file, bool insecure)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    int good = ctx == NULL        ? 0
               : insecure         ? 1
               : ca_file != NULL  ? SSL_CTX_load_verify_file(ctx, ca_file)
                                  : SSL_CTX_set_default_verify_paths(ctx);

    if (good != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* of thousands only a few have something to read or write; what is to be written may have
     * been moved when it is tried again */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

/* Whose certificate is expected. An address has no name to be asked for (RFC 6066, 3). */
static bool expect(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ||
           (SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1);
}

int stream_open(struct stream *stream, int fd, SSL_CTX *tls, const char *host)
{
    SSL *ssl = NULL;

    if (tls != NULL) {
        ssl = SSL_new(tls);
        if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || !expect(ssl, host)) {
            SSL_free(ssl);
            return -ENOMEM;
        }
        SSL_set_connect_state(ssl);
    }
    *stream = (struct stream){.fd = fd, .ssl = ssl};
    return 0;
}

void stream_close(struct stream *stream)
{
    if (stream->ssl != NULL && SSL_is_init_finished(stream->ssl)) {
        (void)SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
    SSL_free(stream->ssl);
    *stream = (struct stream){.fd = -1};
}

int stream_shake_hands(struct stream *stream, uint32_t *events, const char **reason)
{
    const char *why;
    long verdict;
    int ret;

    if (stream->ssl == NULL) {
        return 0;
    }
    ERR_clear_error();
    ret = SSL_do_handshake(stream->ssl);
    if (ret == 1) {
        return 0;
    }
    switch (SSL_get_error(stream->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        *events = EPOLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *events = EPOLLOUT;
        return -EAGAIN;
    default:
        break;
    }
    verdict = SSL_get_verify_result(stream->ssl);
    why = ERR_reason_error_string(ERR_peek_error());
    *reason = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
              : why != NULL        ? why
                                   : "the server ended the handshake";
    ERR_clear_error();
    return -EPROTO;
}

/* What OpenSSL's 'ret', not above 0, is in errors of sockets. */
static ssize_t error_of(SSL *ssl, int ret)
{
    int err = errno;

    switch (SSL_get_error(ssl, ret)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return err != 0 ? -err : -EPROTO;
    default:
        ERR_clear_error();
        return -EPROTO;
    }
}

static int at_most(size_t len)
{
    return len > INT_MAX ? INT_MAX : (int)len;
}

ssize_t stream_recv(struct stream *stream, void *out, size_t cap)
{
    ssize_t n;

    if (stream->ssl == NULL) {
        n = recv(stream->fd, out, cap, 0);
        return n < 0 ? -errno : n;
    }
    ERR_clear_error();
    errno = 0;
    n = SSL_read(stream->ssl, out, at_most(cap));
    return n > 0 ? n : error_of(stream->ssl, (int)n);
}

ssize_t stream_send(struct stream *stream, const void *data, size_t len)
{
    ssize_t n;

    if (stream->ssl == NULL) {
        n = send(stream->fd, data, len, MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    ERR_clear_error();
    errno = 0;
    n = SSL_write(stream->ssl, data, at_most(len));
    return n > 0 ? n : error_of(stream->ssl, (int)n);
}
