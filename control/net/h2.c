/* HTTP/2 (RFC 9113) beside the library, whose own offers clients WebSockets within it and
 * cannot be kept from that (docs/decisions/0032). greet.c brings connections whose client
 * offers it; here are their TLS, their bytes and their time; what is in them is
 * h2_stream.c's.
 *
 * What a client can make us keep or do is bounded: H2_STREAMS requests, H2_HELD bytes,
 * H2_FILES descriptors, H2_STALL_US for what it does not take; headers of NET_HEADER_MAX;
 * frames that want an answer and CONTINUATION frames by nghttp2; streams that end badly,
 * whoever resets them, by RESETS_MAX (CVE-2023-44487, CVE-2025-8671). */
#include "net/h2.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    READ_BURST = 8, /* records; then others have their turn */
    WINDOW_STREAM = 256 << 10,
    WINDOW_CONN = 1 << 20,
    SEND_BURST = 256 << 10,
    RESETS_MAX = 500,
    RESETS_FORGIVEN = 20, /* a second */
    GOODBYE_US = 1000000,
};

/* ---- bytes ---- */

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags,
                       void *arg)
{
    struct h2_conn *h2 = arg;
    int n;

    (void)session;
    (void)flags;
    if (h2->budget == 0) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    ERR_clear_error();
    n = SSL_write(h2->ssl, data, (int)(len > NET_TX_BUF ? NET_TX_BUF : len));
    if (n <= 0) {
        int why = SSL_get_error(h2->ssl, n);

        return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ
                   ? NGHTTP2_ERR_WOULDBLOCK
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h2->waiting_us = 0;
    h2->budget -= (size_t)n < h2->budget ? (size_t)n : h2->budget;
    metric_add(h2->conn->server->metrics.bytes_out, n);
    return n;
}

/* Something waits to go out. */
static void wait_on(struct h2_conn *h2)
{
    if (h2->waiting_us == 0) {
        h2->waiting_us = clock_mono_us();
    }
}

static void flush(struct h2_conn *h2)
{
    h2->budget = SEND_BURST;
    if (nghttp2_session_send(h2->session) != 0 ||
        (!nghttp2_session_want_read(h2->session) &&
         !nghttp2_session_want_write(h2->session))) {
        h2->dead = true;
    } else if (nghttp2_session_want_write(h2->session)) {
        wait_on(h2);
    } else {
        h2->waiting_us = 0;
    }
}

/* The handshake, then frames, as far as there are bytes. */
static void receive(struct h2_conn *h2)
{
    uint8_t data[NET_TX_BUF];

    if (!h2->handshaken) {
        int n;

        ERR_clear_error();
        n = SSL_do_handshake(h2->ssl);
        if (n != 1) {
            int why = SSL_get_error(h2->ssl, n);

            h2->dead = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
            return;
        }
        h2->handshaken = true;
    }
    for (int i = 0; (i < READ_BURST || SSL_pending(h2->ssl) > 0) && !h2->dead; i++) {
        int n;

        ERR_clear_error();
        n = SSL_read(h2->ssl, data, sizeof(data));
        if (n <= 0) {
            int why = SSL_get_error(h2->ssl, n);

            h2->dead = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
            return;
        }
        if (nghttp2_session_mem_recv(h2->session, data, (size_t)n) < 0) {
            h2->dead = true;
        }
    }
}

/* ---- what nghttp2 tells ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    return frame->hd.type == NGHTTP2_HEADERS &&
                   frame->headers.cat == NGHTTP2_HCAT_REQUEST
               ? h2_on_begin(arg, frame->hd.stream_id)
               : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *arg)
{
    struct h2_stream *s =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags;
    (void)arg;
    return s != NULL && frame->hd.type == NGHTTP2_HEADERS &&
                   frame->headers.cat == NGHTTP2_HCAT_REQUEST
               ? h2_on_header(s, name, name_len, value, value_len)
               : 0; /* trailers tell nothing here */
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_conn *h2 = arg;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct h2_stream *s;

    if (frame->hd.type == NGHTTP2_SETTINGS) {
        h2->greeted = true;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s != NULL && frame->hd.type == NGHTTP2_HEADERS &&
        frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2_on_headers(s, end);
    } else if (s != NULL && end) {
        h2_on_end(s);
    }
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id,
                    const uint8_t *data, size_t len, void *arg)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    (void)arg;
    if (s != NULL) {
        h2_on_data(s, data, len);
    }
    return 0;
}

/* An answer that came before the end of its request: the rest is not wanted (RFC 9113,
 * section 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    int32_t id = frame->hd.stream_id;

    (void)arg;
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        nghttp2_session_get_stream_remote_close(session, id) == 0) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct h2_conn *h2 = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

    h2->resets += error != NGHTTP2_NO_ERROR;
    if (h2->resets > RESETS_MAX && !h2->closing) {
        h2->closing = true;
        h2->idle_us = clock_mono_us();
        (void)nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    if (s != NULL) {
        h2_on_close(s);
    }
    return 0;
}

static nghttp2_session *make_session(struct h2_conn *h2)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, NET_HEADER_MAX}};
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_server_new(&session, callbacks, h2) == 0 &&
        (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                 sizeof(settings) / sizeof(settings[0])) != 0 ||
         nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                               WINDOW_CONN) != 0)) {
        nghttp2_session_del(session);
        session = NULL;
    }
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

/* ---- from its beginning to its end ---- */

static void destroy(struct h2_conn *h2)
{
    struct net_server *server = h2->conn->server;

    h2->dead = true; /* nothing is submitted any more */
    while (h2->streams != NULL) {
        h2_on_close(h2->streams);
    }
    nghttp2_session_del(h2->session);
    if (h2->prev != NULL) {
        h2->prev->next = h2->next;
    } else {
        server->h2 = h2->next;
    }
    if (h2->next != NULL) {
        h2->next->prev = h2->prev;
    }
    loop_watch_destroy(h2->watch);
    if (h2->handshaken) {
        ERR_clear_error();
        (void)SSL_shutdown(h2->ssl);
    }
    SSL_free(h2->ssl);
    close(h2->fd);
    conn_free(h2->conn);
    free(h2);
}

void h2_flush_soon(struct h2_conn *h2)
{
    wait_on(h2);
    if (!h2->within) {
        loop_watch_set(h2->watch, LOOP_READ | LOOP_WRITE);
    }
}

/* Whatever is due now; it may be gone after. */
static void turn(struct h2_conn *h2, bool readable)
{
    h2->within = true;
    if (readable || !h2->handshaken) {
        receive(h2);
    }
    if (!h2->dead && h2->handshaken) {
        flush(h2);
    }
    h2->within = false;
    if (h2->dead) {
        destroy(h2);
        return;
    }
    loop_watch_set(h2->watch, h2->handshaken ? nghttp2_session_want_write(h2->session)
                                                   ? LOOP_READ | LOOP_WRITE
                                                   : LOOP_READ
                              : SSL_want_write(h2->ssl) ? LOOP_WRITE
                                                        : LOOP_READ);
}

static void on_ready(void *arg, unsigned events)
{
    turn(arg, (events & LOOP_READ) != 0);
}

static void goodbye(struct h2_conn *h2, uint64_t now_us)
{
    h2->closing = true;
    h2->idle_us = now_us;
    (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
    h2_flush_soon(h2);
}

static void sweep_one(struct h2_conn *h2, uint64_t now_us)
{
    const struct net_conf *conf = &h2->conn->server->conf;

    h2->resets -= h2->resets < RESETS_FORGIVEN ? h2->resets : RESETS_FORGIVEN;
    for (struct h2_stream *s = h2->streams, *next; s != NULL; s = next) {
        next = s->next;
        h2_stream_sweep(s, now_us); /* ends none at once */
    }
    if (h2->closing) {
        h2->dead = h2->dead || now_us > h2->idle_us + GOODBYE_US;
    } else if (!h2->greeted) {
        h2->dead = now_us > h2->born_us + conf->header_s * UINT64_C(1000000);
    } else if (h2->waiting_us != 0 && now_us > h2->waiting_us + H2_STALL_US) {
        h2->dead = true;
    } else if (h2->streams == NULL &&
               now_us > h2->idle_us + conf->keepalive_s * UINT64_C(1000000)) {
        goodbye(h2, now_us);
    }
    if (h2->dead) {
        destroy(h2);
    }
}

void h2_sweep(void *arg)
{
    struct net_server *server = arg;
    uint64_t now_us = clock_mono_us();

    greet_sweep(server, now_us);
    for (struct h2_conn *h2 = server->h2, *next; h2 != NULL; h2 = next) {
        next = h2->next; /* who is told that a request is gone ends no connection */
        sweep_one(h2, now_us);
    }
    if (server->h2 == NULL && server->greetings == NULL) {
        loop_timer_stop(server->h2_sweep);
    }
}

int h2_adopt(struct net_conn *conn, int fd)
{
    struct net_server *server = conn->server;
    struct h2_conn *h2 = calloc(1, sizeof(*h2));

    if (h2 == NULL) {
        return -1;
    }
    h2->conn = conn;
    h2->fd = fd;
    h2->born_us = h2->idle_us = clock_mono_us();
    h2->ssl = SSL_new(server->tls_ctx);
    h2->session = h2->ssl != NULL ? make_session(h2) : NULL;
    if (h2->session == NULL || SSL_set_fd(h2->ssl, fd) != 1 ||
        SSL_set_app_data(h2->ssl, h2) != 1 ||
        loop_watch_create(server->loop, &h2->watch, fd, LOOP_READ, on_ready, h2) != 0) {
        nghttp2_session_del(h2->session);
        SSL_free(h2->ssl);
        free(h2);
        return -1;
    }
    SSL_set_accept_state(h2->ssl);
    if (server->h2 != NULL) {
        server->h2->prev = h2;
    }
    h2->next = server->h2;
    server->h2 = h2;
    turn(h2, true);
    return 0;
}

void h2_close_all(struct net_server *server)
{
    for (struct h2_conn *h2 = server->h2, *next; h2 != NULL; h2 = next) {
        next = h2->next;
        destroy(h2);
    }
}

/* What both speak is agreed on by ALPN: HTTP/2 on connections of this file, which greet.c
 * makes only if it is offered, HTTP/1.1 on those of the library. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char h1[] = "\x08http/1.1";
    static const unsigned char h2[] = "\x02h2";
    bool ours = SSL_get_app_data(ssl) != NULL; /* which the library does not use */

    (void)arg;
    return SSL_select_next_proto((unsigned char **)out, out_len, ours ? h2 : h1,
                                 ours ? sizeof(h2) - 1 : sizeof(h1) - 1, in,
                                 in_len) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

void h2_offer(struct net_server *server)
{
    SSL_CTX_set_alpn_select_cb(server->tls_ctx, select_protocol, NULL);
}
