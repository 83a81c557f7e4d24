/* The HTTP(S) and WebSocket listener: requests and messages come up through callbacks,
 * answers go down. It knows nothing of what is in them. The libwebsockets folder: that
 * library is seen in no other (priv.h here, never its types in this header).
 *
 * Everything runs on the loop's thread, callbacks too. Handlers may call any function here
 * except net_server_destroy(). HTTP/1.1 with keep-alive and pipelining (RFC 9112); TLS 1.2
 * and 1.3, and there HTTP/2 too (RFC 9113) for clients that offer it; WebSocket version 13
 * (RFC 6455) over HTTP/1.1, if configured with permessage-deflate (RFC 7692).
 *
 * What is refused here, before any handler: bodies without Content-Length (411; not of
 * HTTP/2), bodies over the cap (413), malformed lengths (400), upgrades other than
 * WebSocket (400). Answers to these are application/problem+json and end the connection, if
 * it is one of HTTP/1.1. */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct metric_registry;
struct trace;

struct net_server;
struct net_req; /* one HTTP request, from on_request to its answer or its on_abort */
struct net_ws;  /* one WebSocket, from on_ws_open to on_ws_close */
struct net_buf; /* one outgoing message, shared by all it goes to */

enum {
    NET_ERR_MAX = 512,    /* room for any error text */
    NET_ORIGIN = 8,       /* bytes; see net_req_origin() */
    NET_REMOTE_MAX = 64,  /* "[2001:db8::1]:65535" and its NUL, and more */
    NET_PROXIES = 16,
    NET_HEADER_MAX = 8192 /* request line and headers; longer ones end the connection */
};

enum net_method {
    NET_GET,
    NET_HEAD,
    NET_POST,
    NET_PUT,
    NET_PATCH,
    NET_DELETE,
    NET_OPTIONS,
};

struct net_listen {
    const char *name; /* its place in the configuration, for messages: "http.listen[0]" */
    const char *address; /* "127.0.0.1", "::1"; NULL: every address, IPv6 and IPv4 */
    uint16_t port;       /* 0: any free one, see net_server_port() */
    bool tls;            /* with net_conf.tls_cert */
    const char *path;    /* a Unix socket instead of address and port, or NULL */
    mode_t mode;         /* of 'path', such as 0660 */
};

struct net_conf {
    const struct net_listen *listen;
    size_t n_listen;
    /* Networks (sys/prefix.h) of proxies that are trusted to say who asks, by
     * X-Forwarded-For and X-Forwarded-Proto; their connections are not counted by address. */
    const char *const *proxies;
    size_t n_proxies;     /* at most NET_PROXIES */
    const char *tls_cert; /* PEM files: chain and key; needed if a listener has 'tls' */
    const char *tls_key;
    uint32_t max_connections; /* more are accepted and closed at once */
    uint32_t
        max_per_address;   /* of them (IPv6: per /64); 0: no limit; not of 127.0.0.1, ::1 */
    uint32_t header_s;     /* for request line and headers */
    uint32_t body_s;       /* for a whole body */
    uint32_t keepalive_s;  /* an idle connection between two requests */
    size_t body_max;       /* bytes */
    size_t ws_message_max; /* bytes; a longer message closes with 1009 */
    /* Waiting for one slow reader. Once a quarter of it does, what has a topic gives way to
     * newer messages of it, and all of it before there is more; then it is cut off. */
    size_t ws_queue_bytes;
    uint32_t ws_queue_msgs;
    bool ws_deflate; /* agree to permessage-deflate */
};

/* 20,000 connections, 4,000 of an address, 10 s, 60 s, 30 s, bodies and messages 1 MB,
 * queues 4 MB and 4,096 messages; no listeners. */
struct net_conf net_conf_default(void);

struct net_handlers {
    /* Headers and the whole body have arrived. The handler owns the request until it
     * answers it, now or later. */
    void (*on_request)(void *user, struct net_req *req);

    /* The client went away from a request not yet answered: it is gone after this call. A
     * closed connection is noticed within a second. */
    void (*on_abort)(void *user, struct net_req *req);

    /* A client asks for a WebSocket; 'req' tells path, query and headers and is valid
     * during the call. Returns 0, and may already send (it goes out after the handshake),
     * or the HTTP status of the refusal: then 'ws' is gone. */
    int (*on_ws_open)(void *user, struct net_ws *ws, struct net_req *req);

    /* One whole message; text is valid UTF-8. 'data' is borrowed, not NUL-terminated. */
    void (*on_ws_message)(void *user, struct net_ws *ws, const void *data, size_t len,
                          bool binary);

    /* 'ws' is gone after this call. 'code': the peer's or ours (RFC 6455, section 7.4);
     * 1005 if it gave none, 1006 if the connection broke. */
    void (*on_ws_close)(void *user, struct net_ws *ws, unsigned code);
};

/* Opens every listener of 'conf' (borrowed during the call; handlers copied). Adds its
 * metrics to 'metrics'. Fills 'out', or 'err' (NET_ERR_MAX bytes) with one line that says
 * what is wrong and what mends it: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EINVAL (an
 * address, the certificate), -ENOMEM, -ENOTSUP (the library's libuv part is missing). */
int net_server_create(struct net_server **out, struct loop *loop,
                      struct metric_registry *metrics, const struct net_conf *conf,
                      const struct net_handlers *handlers, void *user,
                      char err[NET_ERR_MAX]);

/* Takes certificate and key (PEM files) of the TLS listeners anew: for the handshakes from
 * now on; connections that are open stay. If they cannot be used, 'err' says why and the
 * old ones stay. Returns 0, -EINVAL, -ENOENT if no listener has TLS, or -ENOMEM. */
int net_server_renew_cert(struct net_server *server, const char *cert, const char *key,
                          char err[NET_ERR_MAX]);

/* In place of those of net_conf, for connections that come from now on. */
void net_server_set_limits(struct net_server *server, uint32_t max_connections,
                           uint32_t max_per_address);

/* Closes all: each open request gets on_abort, each WebSocket on_ws_close(1006). Runs the
 * loop for a few rounds, so not from a callback. NULL is a no-op. */
void net_server_destroy(struct net_server *server);

/* The port listener 'index' is bound to; 0 for a Unix socket. */
uint16_t net_server_port(const struct net_server *server, size_t index);

/* ---- requests; every string is borrowed until the answer or the abort ---- */

size_t net_req_listener(const struct net_req *req); /* index in net_conf.listen */
enum net_method net_req_method(const struct net_req *req);
const char *net_req_method_name(const struct net_req *req); /* "GET" */
/* "192.0.2.1:5000", "unix:UID"; who comes by a trusted proxy without a port. */
const char *net_req_remote(struct net_req *req);

/* What counts as one address: one of IPv4, or a network of 64 bits of IPv6. False for who
 * is not counted: 127.0.0.1, ::1 (a proxy in front of us) and Unix sockets. */
bool net_req_origin(struct net_req *req, uint8_t out[NET_ORIGIN]);

/* Whether the client's own connection is TLS, ours or that of a trusted proxy. */
bool net_req_is_secure(struct net_req *req);

/* URL-decoded, without dot segments, starts with '/', no query. */
const char *net_req_path(const struct net_req *req);

/* URL-decoded value of the first parameter 'name', "" if it has none, NULL if absent (or no
 * memory). */
const char *net_req_query(struct net_req *req, const char *name);

/* The whole query as it can stand behind a '?' again, percent-encoded; "" if there is none,
 * NULL without memory. */
const char *net_req_query_text(struct net_req *req);

/* Whether a name stands in the query more than once. */
bool net_req_query_twice(struct net_req *req, const char *name);

/* Whether 'list', the value of an If-None-Match ('weakly') or of an If-Match, has 'etag' or is
 * "*"; NULL has none (RFC 9110, sections 8.8.3.2 and 13.1). Pure. */
bool net_etag_listed(const char *list, const char *etag, bool weakly);

/* Value of the header 'name' (lower case), several joined by commas; NULL if absent. */
const char *net_req_header(struct net_req *req, const char *name);

const void *net_req_body(const struct net_req *req, size_t *len); /* NULL if empty */

/* The client's own id of it (X-Request-Id), if it is one: at most 64 of letters, digits, '.',
 * '_' and '-'; else a fresh one, the same each time. */
const char *net_req_id(struct net_req *req);

/* Begins its span (trace/trace.h), a part of what its traceparent names; it ends with the
 * answer or the abort. 'route' (constant) is its name. Once. */
void net_req_trace(struct net_req *req, const char *route);
/* Where it is in its trace; none before net_req_trace(). Borrowed. */
const struct trace *net_req_traced(const struct net_req *req);

void net_req_set_data(struct net_req *req, void *data);
void *net_req_data(const struct net_req *req);

/* ---- answers ---- */

struct net_header {
    const char *name; /* lower case */
    const char *value;
};

/* Answers; the request is gone after this call. Content-Length, Date and Connection are
 * added here, so are not among 'headers'; a Content-Type is the caller's. To HEAD the body
 * is not sent but its length told. A header that is not well-formed (a line break in it)
 * makes it a 500 and an error in the log. */
void net_respond(struct net_req *req, unsigned status, const struct net_header *headers,
                 size_t n_headers, const void *body, size_t len);

/* Answers with the file 'path' (as net_req_path() gives it) below the directory 'root', or
 * index.html if it names a directory: 200, 304 by ETag, 404, 405 for other methods than GET
 * and HEAD. Never leaves 'root': dot names and symbolic links below it are not followed.
 * Content-Type by extension, nosniff; Cache-Control is "no-cache" unless among 'headers'.
 * Files up to 16 MB, read whole. */
void net_respond_file(struct net_req *req, const char *root, const char *path,
                      const struct net_header *headers, size_t n_headers);

/* The same with a file of any size, or the part of it that Range asks for (RFC 9110,
 * section 14; of several parts it is the whole): 200, 206, 416. It is read from the disk
 * piece by piece, on the loop. */
void net_respond_large(struct net_req *req, const char *root, const char *path,
                       const struct net_header *headers, size_t n_headers);

/* ---- WebSocket ---- */

/* An immutable message with one reference; 'data' is copied. NULL if there is no memory.
 *
 * topic  of what a newer message about the same makes stale, so that who reads slowly need
 *        not have it; 0: it has to arrive */
struct net_buf *net_buf_create(const void *data, size_t len, bool binary, uint64_t topic);
struct net_buf *net_buf_ref(struct net_buf *buf); /* returns it */
void net_buf_unref(struct net_buf *buf);          /* NULL is a no-op */
size_t net_buf_len(const struct net_buf *buf);

/* Sends 'buf' (takes its own reference): at once if nothing waits, else in turn. 0; -EPIPE
 * if the socket is closing; -ENOSPC if its queue is full, which cuts it off (on_ws_close
 * with 1008 follows, never from within this call); -ENOMEM. */
int net_ws_send(struct net_ws *ws, struct net_buf *buf);

/* Sends what waits, then a close frame; on_ws_close follows, not from within this call. A
 * peer that does not read is cut off after 5 s. 'reason' is at most 123 bytes, may be
 * NULL. */
void net_ws_close(struct net_ws *ws, unsigned code, const char *reason);

size_t net_ws_queued(const struct net_ws *ws); /* bytes waiting */
size_t net_ws_listener(const struct net_ws *ws);
const char *net_ws_remote(const struct net_ws *ws);
void net_ws_set_data(struct net_ws *ws, void *data);
void *net_ws_data(const struct net_ws *ws);

#endif
