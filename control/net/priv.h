/* What the files of control/net share: the server, a connection and what it carries. The
 * only header that knows libwebsockets.
 *
 * server.c  the context, its callback, start and stop      listen.c  sockets and accept
 * http.c    requests and answers          file.c  files    ws.c      WebSockets
 * http_head.c  the head of a request, checked
 * greet.c   TLS: which of the two it is   h2.c, h2_stream.c  HTTP/2, without the library
 * origin.c  connections of an address     forwarded.c  who asks through a proxy
 * ws_frame.c  frames of WebSockets, without the library
 *
 * A connection (struct net_conn) is the library's opaque pointer from accept to
 * LWS_CALLBACK_WSI_DESTROY. Functions that return int to the library's callback return 0 to
 * go on and -1 to have it close the connection. */
#ifndef NET_PRIV_H
#define NET_PRIV_H

#include <libwebsockets.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "metric/metric.h"
#include "net/net.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"
#include "sys/prefix.h"
#include "trace/trace.h"

enum {
    NET_TX_BUF = 16384,     /* the most that is written at once: a TLS record */
    NET_WS_ACCEPT_MAX = 32, /* base64 of SHA-1, and its NUL */
};

struct listener {
    struct net_server *server;
    size_t index;
    struct loop_watch *watch;
    char *path; /* of the Unix socket, unlinked at the end */
    int fd;
    uint16_t port;
    bool tls;
};

struct net_origin;

/* Answered requests of one route, by class of status: 1xx to 5xx. */
struct net_route {
    struct net_route *next;
    const char *name; /* constant, and compared as such; NULL: of all that has none */
    struct metric *requests[5];
};

struct net_metrics {
    struct net_route other; /* and those that there were requests of */
    struct metric *aborted;
    struct metric *conns;
    struct metric *refused; /* connections over the limit */
    struct metric *ws_open;
    struct metric *ws_cut; /* slow readers */
    struct metric *ws_left_out; /* messages that they were not sent */
    struct metric *bytes_in;
    struct metric *bytes_out;
};

struct net_server {
    struct loop *loop;
    struct metric_registry *registry;
    struct lws_context *ctx;
    struct lws_vhost *vhost;        /* plain */
    struct lws_vhost *vhost_tls;    /* or NULL */
    struct ssl_ctx_st *tls_ctx;     /* the library's; NULL without vhost_tls */
    struct ssl_ctx_st *newest_cert; /* ours, which holds the certificate; NULL: the first */
    struct net_handlers handlers;
    void *user;
    struct net_conf conf; /* its pointers are NULL after create */
    struct net_metrics metrics;
    struct listener *listeners;
    size_t n_listeners;
    uint32_t n_conns;
    int fd_max;   /* the library's table ends here */
    bool adopted; /* set by WSI_CREATE within an adoption */
    bool has_metrics;
    struct loop_timer *sweep;       /* of the requests below */
    struct loop_timer *accept_rest; /* listeners rest while descriptors are out */
    struct net_origin *origins;     /* by address */
    struct prefix proxies[NET_PROXIES]; /* that are trusted to say who asks */
    size_t n_proxies;
    struct greeting *greetings;
    struct h2_conn *h2;
    struct loop_timer *h2_sweep; /* of both */
    struct net_req *busy;
    struct pollfd *polls;
    size_t polls_cap;
    TAILQ_HEAD(net_gathered, net_ws) gathered; /* that were sent something in this turn */
    uint32_t n_gathered;
    struct loop_after *turned;
};

/* Who asks. */
struct net_client {
    bool has_address; /* else it is not counted */
    uint8_t address[NET_ORIGIN];
    char remote[NET_REMOTE_MAX];
};

struct net_conn {
    struct net_server *server;
    struct lws *wsi; /* NULL: it speaks HTTP/2 */
    const struct listener *listener;
    struct net_origin *origin; /* or NULL */
    struct net_client client;
    struct net_req *req;
    struct net_ws *ws;
    bool proxied;   /* by who is trusted to say for whom */
    bool stranger;  /* it was answered by stranger.c */
    bool pipelined; /* the next request was read together with the last */
    char ws_accept[NET_WS_ACCEPT_MAX];
};

enum { REQUEST_ID = 16, REQUEST_ID_MAX = 64 }; /* characters */

enum req_state {
    REQ_BODY,    /* collecting */
    REQ_OPEN,    /* the handler's */
    REQ_SENDING, /* the answer is being written */
    REQ_LINGER,  /* refused: the peer gets a moment to read why */
};

struct net_req {
    struct net_conn *conn;
    struct h2_stream *stream; /* NULL: of HTTP/1.1, the only one of 'conn' */
    void *data;
    struct net_client client; /* of a proxy's; its remote is empty: nobody has asked for it */
    enum req_state state;
    enum net_method method;
    bool in_handler;
    bool in_busy;
    bool parked; /* reading is off, for pending input would spin the loop */
    bool close;  /* after the answer */
    const char *path;
    uint8_t *body;
    size_t body_len;
    size_t body_cap;
    size_t body_expected;
    char *out; /* LWS_PRE bytes, then head and body of the answer */
    size_t out_len;
    size_t out_off;
    int file;         /* what follows of the body comes from it, if file_left is not 0 */
    uint64_t file_at; /* where to go on in it */
    uint64_t file_left;
    uint64_t deadline_us; /* UINT64_MAX: none */
    struct net_req *busy_next;
    struct net_req **busy_at;
    struct req_str *strings; /* what the accessors have handed out */
    char id[REQUEST_ID_MAX + 1]; /* empty: nobody has asked for it */
    const char *route; /* of the span; constant, NULL: it has none */
    struct trace_span span;
};

struct req_str {
    struct req_str *next;
    char text[];
};

/* server.c: has the library drop the connection soon, without ceremony. */
void conn_kill(struct net_conn *conn);
/* It is counted no more. */
void conn_free(struct net_conn *conn);

/* listen.c: opens listener 'index' of 'conf', and starts accepting. */
int listener_open(struct listener *listener, const struct net_listen *conf, char *err);
int listener_start(struct listener *listener);
void listener_close(struct listener *listener);
void listeners_rest_over(void *server);

/* http.c: answers with 'left' bytes of 'file' (moved) from 'at' on, read piece by piece as
 * the client takes them: one that becomes shorter meanwhile ends the connection. */
void http_respond_from(struct net_req *req, unsigned status,
                       const struct net_header *headers, size_t n_headers, int file,
                       uint64_t at, uint64_t left);

/* origin.c: what counts as one address of 'ss'. False if it is not to be counted. */
bool origin_address(const struct sockaddr_storage *ss, uint8_t address[NET_ORIGIN]);

/* One more connection from 'ss'. Fills 'out', NULL for who is not counted. 0;
 * -ENOSPC if that address has as many as it may; -ENOMEM. */
int origin_enter(struct net_server *server, const struct sockaddr_storage *ss,
                 struct net_origin **out);
void origin_leave(struct net_server *server, struct net_origin *origin);

/* listen.c: what is told of who connects from 'ss', of IPv4 or IPv6. */
void net_client_of(const struct sockaddr_storage *ss, struct net_client *out);

/* forwarded.c: whether it is one of the trusted proxies; who asks. */
bool forwarded_trusts(const struct net_server *server, const struct sockaddr_storage *ss);
const struct net_client *forwarded_client(struct net_req *req);

/* cert.c: gives back what net_server_renew_cert() has read last. */
void cert_free(struct net_server *server);
/* When it ends, in /metrics. 0, or metric_register()'s error. */
int cert_register(struct net_server *server);
void cert_unregister(struct net_server *server);

/* listen.c: has a connection that was accepted be the library's, which owns 'fd' from
 * here, whatever happens. 'conn' is moved. */
void listener_adopt(struct net_conn *conn, int fd);

/* greet.c: the same for a TLS connection, once its client has said which protocol it can. */
void greet(struct net_conn *conn, int fd);
void greet_sweep(struct net_server *server, uint64_t now_us);
void greet_close_all(struct net_server *server);

/* h2.c: 'conn' and 'fd' are moved. 0; or -1: they are still the caller's. */
int h2_adopt(struct net_conn *conn, int fd);
void h2_sweep(void *server);
void h2_close_all(struct net_server *server);
/* Has TLS agree on HTTP/2 where a connection is h2_adopt()'s. */
void h2_offer(struct net_server *server);

/* h2_stream.c: as net_respond(), with headers that are well-formed; a header of the request
 * (lower case), or NULL; its target, not decoded. */
void h2_respond(struct h2_stream *s, unsigned status, const struct net_header *headers,
                size_t n_headers, const void *body, size_t len);
const char *h2_header(struct h2_stream *s, const char *name);
const char *h2_target(const struct h2_stream *s);

/* http.c and req.c */
enum { HTTP_PROBLEM_MAX = 448 };
void http_problem(struct net_req *req, unsigned status, const char *code,
                  char out[HTTP_PROBLEM_MAX]);
void http_date(char out[32]); /* RFC 9110, section 5.6.7 */
/* Counts an answer to 'req'. */
void http_count(const struct net_req *req, unsigned status);
/* Registers those counters of 'route', whose name is set, that are not there yet, in order.
 * 0 or metric_register()'s error: the first ones may be there then. */
int http_route_register(struct net_server *server, struct net_route *route);
/* More of the body. 0, -EMSGSIZE if that is more than body_expected, or -ENOMEM. */
int req_add_body(struct net_req *req, const void *data, size_t len);
/* 'len' bytes of room, and a NUL, that live as long as the request. */
char *req_alloc(struct net_req *req, size_t len);
/* http_head.c: method, path and whether it is the last of its connection, or -EBADMSG. */
int http_read_line(struct net_req *req);
/* Whether a header that the library knows came, and be it without a value. */
bool http_has_token(const struct net_req *req, enum lws_token_indexes token);

int http_on_request(struct net_conn *conn);
int http_on_body(struct net_conn *conn, const void *data, size_t len);
int http_on_body_end(struct net_conn *conn);
int http_on_writable(struct net_conn *conn);
void http_on_gone(struct net_conn *conn);
void http_sweep(void *server);
struct net_req *req_create(struct net_conn *conn);
void req_destroy(struct net_req *req);
/* It was answered; status 0: its client has gone. */
void req_end_span(struct net_req *req, unsigned status);
int http_refuse_upgrade(struct net_req *req, unsigned status);
/* A header's value among those the library has parsed, copied to the request's strings. */
const char *req_token(struct net_req *req, enum lws_token_indexes token);
/* True if 'word' is among the comma-separated words of 'list', which may be NULL (RFC 9110,
 * section 5.6.1). */
bool req_has_word(const char *list, const char *word);

/* stranger.c: of a raw connection that is no WebSocket */
bool stranger_is_registered(const char *method);
int stranger_on_receive(struct net_conn *conn, const void *data, size_t len);

/* ws.c; 'upgrade' is the header's value, marked if it is ours */
int ws_on_upgrade(struct net_conn *conn, char *upgrade);
int ws_on_open(struct net_conn *conn);
int ws_on_raw(struct net_conn *conn);
int ws_on_receive(struct net_conn *conn, uint8_t *data, size_t len);
int ws_on_writable(struct net_conn *conn);
int ws_on_timer(struct net_conn *conn);
void ws_on_gone(struct net_conn *conn);
/* Writes what was sent in this turn of the loop. */
void ws_flush_all(struct net_server *server);

#endif
