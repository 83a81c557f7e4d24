/* The bytes of one TCP connection, in TLS or as they are. Non-blocking: the caller waits, and owns
 * the socket. */
#ifndef LOADGEN_STREAM_H
#define LOADGEN_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What TLS takes a server's certificate for. 'ca_file' (PEM) is whom to believe, NULL whom the
 * system does; with 'insecure' any is good. Returns NULL if the file cannot be read, or for lack of
 * memory. The caller frees it after the last stream. */
SSL_CTX *stream_context(const char *ca_file, bool insecure);

struct stream {
    int fd;
    SSL *ssl; /* NULL: bytes as they are */
};

/* fd    connected, non-blocking
 * tls   NULL: no TLS
 * host  whose certificate it must be: a name, or an IP address
 *
 * Returns 0 or -ENOMEM; then there is nothing to close. */
int stream_open(struct stream *stream, int fd, SSL_CTX *tls, const char *host);
void stream_close(struct stream *stream); /* of a zeroed or closed one: a no-op */

/* Goes on with the handshake. Returns 0 when it is done (at once without TLS), -EAGAIN with what to
 * wait for in 'events' (as in epoll), or -EPROTO with why in 'reason' (constant). */
int stream_shake_hands(struct stream *stream, uint32_t *events, const char **reason);

/* As recv() and send(), but for errors: they return -errno. */
ssize_t stream_recv(struct stream *stream, void *out, size_t cap);
ssize_t stream_send(struct stream *stream, const void *data, size_t len);

#endif
