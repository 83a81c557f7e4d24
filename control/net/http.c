/* One request at a time on a connection: headers, body, the handler's answer, and again.
 *
 * The library has no reading state for "a transaction is going on": if the client sends
 * more (pipelining) or leaves, the descriptor stays readable, nobody reads it, and the loop
 * spins. So while a request is held reading is switched off, and a sweep over the held
 * requests' descriptors notices who left (POLLRDHUP). Switched off, the library does not
 * serve writability either, so it is on while an answer goes out; should input be pending
 * while the client does not read, the sweep parks and wakes that one. */
#include "net/priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sys/entropy.h"

enum {
    SWEEP_MS = 250,
    SLICE = 16384,            /* one write; what does not go out of it the library copies */
    PIECE = 16 * SLICE,       /* of a file, read at once */
    SEND_BURST = 16 * SLICE,  /* then others have their turn */
    SEND_STALL_US = 60000000, /* without any progress of an answer */
    LINGER_US = 1000000,
};

static const char *reason_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Status";
}

static void busy_add(struct net_req *req)
{
    struct net_server *server = req->conn->server;

    if (req->in_busy) {
        return;
    }
    if (server->busy == NULL) {
        loop_timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
    } else {
        server->busy->busy_at = &req->busy_next;
    }
    req->in_busy = true;
    req->busy_next = server->busy;
    req->busy_at = &server->busy;
    server->busy = req;
}

static void busy_remove(struct net_req *req)
{
    if (!req->in_busy) {
        return;
    }
    *req->busy_at = req->busy_next;
    if (req->busy_next != NULL) {
        req->busy_next->busy_at = req->busy_at;
    }
    req->in_busy = false;
}

static void park(struct net_req *req)
{
    if (!req->parked) {
        req->parked = true;
        lws_rx_flow_control(req->conn->wsi, 0);
    }
}

static void unpark(struct net_req *req)
{
    if (req->parked) {
        req->parked = false;
        lws_rx_flow_control(req->conn->wsi, 1);
    }
}

static void req_end(struct net_req *req)
{
    busy_remove(req);
    req->conn->req = NULL;
    req_destroy(req);
}

/* RFC 9110, section 5: a name is a token; a value has no control characters. */
static bool header_ok(const struct net_header *header)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (header->name[0] == '\0' || header->name[strspn(header->name, token)] != '\0') {
        return false;
    }
    for (const char *p = header->value; *p != '\0'; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

void http_date(char out[32])
{
    static time_t last;
    static char text[32];
    time_t now = clock_wall_s();
    struct tm tm;

    if (now != last) {
        gmtime_r(&now, &tm);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        last = now;
    }
    memcpy(out, text, sizeof(text));
}

int http_route_register(struct net_server *server, struct net_route *route)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(classes) / sizeof(classes[0]); i++) {
        const struct metric_label labels[] = {
            {"route", route->name != NULL ? route->name : "other"}, {"status", classes[i]}};

        if (route->requests[i] != NULL) {
            continue;
        }
        err = metric_register(server->registry, METRIC_COUNTER, "http_requests_total",
                              "Answered requests by route and class of status.", labels, 2,
                              &route->requests[i]);
    }
    return err;
}

/* That of its name, made when it is first asked for: names are constants, so there are only
 * so many. Without memory it is that of the others. */
static struct net_route *route_of(const struct net_req *req)
{
    struct net_server *server = req->conn->server;
    struct net_route *other = &server->metrics.other;
    struct net_route *fresh;

    if (req->route == NULL) {
        return other;
    }
    for (struct net_route *route = other->next; route != NULL; route = route->next) {
        if (route->name == req->route) {
            return route;
        }
    }
    fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return other;
    }
    fresh->name = req->route;
    fresh->next = other->next;
    other->next = fresh;
    return fresh;
}

void http_count(const struct net_req *req, unsigned status)
{
    struct net_server *server = req->conn->server;
    struct net_route *route;

    if (status < 100 || status >= 600) {
        return;
    }
    route = route_of(req);
    if (route->requests[4] == NULL) { /* new, or memory ran out on the way to the last */
        (void)http_route_register(server, route);
    }
    if (route->requests[status / 100 - 1] == NULL) {
        route = &server->metrics.other;
    }
    metric_inc(route->requests[status / 100 - 1]);
}

/* Makes req->out, or leaves it NULL if memory is out: then the connection ends. */
static void build(struct net_req *req, unsigned status, const struct net_header *headers,
                  size_t n_headers, const void *body, size_t len)
{
    bool no_body = status < 200 || status == 204 || status == 304;
    /* without 'body' it comes later: see next_piece() */
    size_t body_len = no_body || req->method == NET_HEAD || body == NULL ? 0 : len;
    size_t cap = 256;
    char date[32];
    char *p;

    for (size_t i = 0; i < n_headers; i++) {
        cap += strlen(headers[i].name) + strlen(headers[i].value) + 4;
    }
    req->out = malloc(LWS_PRE + cap + body_len);
    if (req->out == NULL) {
        return;
    }
    http_date(date);
    p = req->out + LWS_PRE;
    p += sprintf(p, "HTTP/1.1 %u %s\r\ndate: %s\r\nconnection: %s\r\n", status % 1000,
                 reason_phrase(status), date, req->close ? "close" : "keep-alive");
    if (!no_body) {
        p += sprintf(p, "content-length: %zu\r\n", len);
    }
    for (size_t i = 0; i < n_headers; i++) {
        p += sprintf(p, "%s: %s\r\n", headers[i].name, headers[i].value);
    }
    p = stpcpy(p, "\r\n");
    if (body_len > 0) {
        memcpy(p, body, body_len);
    }
    req->out_len = (size_t)(p - (req->out + LWS_PRE)) + body_len;
    req->out_off = 0;
    http_count(req, status);
    metric_add(req->conn->server->metrics.bytes_out, (int64_t)req->out_len);
}

/* Writes what the socket takes. 0 or -1. */
static int write_some(struct net_req *req)
{
    struct lws *wsi = req->conn->wsi;
    size_t budget = SEND_BURST;

    if (req->out == NULL) {
        return -1;
    }
    while (req->out_off < req->out_len && budget > 0 && !lws_partial_buffered(wsi)) {
        size_t n = req->out_len - req->out_off;

        n = n > SLICE ? SLICE : n;
        if (lws_write(wsi, (unsigned char *)req->out + LWS_PRE + req->out_off, n,
                      LWS_WRITE_HTTP) < 0) {
            return -1;
        }
        req->out_off += n;
        budget -= n;
    }
    return 0;
}

/* More of the file in the place of what has gone out. 0 or -1. */
static int next_piece(struct net_req *req)
{
    size_t n = req->file_left < PIECE ? (size_t)req->file_left : PIECE;
    char *out = realloc(req->out, LWS_PRE + PIECE);
    ssize_t got;

    if (out == NULL) {
        return -1;
    }
    req->out = out;
    do {
        got = pread(req->file, out + LWS_PRE, n, (off_t)req->file_at);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return -1; /* it is shorter than was told, or the disk failed */
    }
    req->out_len = (size_t)got;
    req->out_off = 0;
    req->file_at += (size_t)got;
    req->file_left -= (size_t)got;
    if (req->file_left == 0) {
        (void)close(req->file);
    }
    metric_add(req->conn->server->metrics.bytes_out, got);
    return 0;
}

/* The answer goes out in the writable callback only. */
static void send_soon(struct net_req *req)
{
    req->deadline_us = clock_mono_us() + SEND_STALL_US;
    lws_set_timeout(req->conn->wsi, NO_PENDING_TIMEOUT, 0); /* ours is the deadline */
    busy_add(req);
    lws_callback_on_writable(req->conn->wsi);
}

/* True if input waits in the library's list: only then does it keep the header table when a
 * transaction is over, and only with a table does this call touch its buffer. */
static bool has_pipelined(struct lws *wsi)
{
    char touched[2] = "x";

    lws_hdr_custom_copy(wsi, touched, sizeof(touched), ":", 1);
    return touched[0] == '\0';
}

int http_on_writable(struct net_conn *conn)
{
    struct net_req *req = conn->req;

    if (req == NULL || req->state != REQ_SENDING) {
        return 0;
    }
    if (write_some(req) != 0) {
        return -1;
    }
    if (req->out_off < req->out_len || lws_partial_buffered(conn->wsi)) {
        send_soon(req);
        return 0;
    }
    if (req->file_left > 0) {
        if (next_piece(req) != 0) {
            return -1;
        }
        send_soon(req);
        return 0;
    }
    if (req->close) {
        return -1;
    }
    req_end(req);
    if (lws_http_transaction_completed(conn->wsi) != 0) {
        return -1;
    }
    conn->pipelined = has_pipelined(conn->wsi);
    return 0;
}

static void close_file(struct net_req *req)
{
    if (req->file_left > 0) {
        req->file_left = 0;
        (void)close(req->file);
    }
}

static void respond(struct net_req *req, unsigned status, const struct net_header *headers,
                    size_t n_headers, const void *body, size_t len)
{
    for (size_t i = 0; i < n_headers; i++) {
        if (!header_ok(&headers[i])) {
            log_error("bad_response_header", LOG_STR("name", headers[i].name));
            status = 500;
            n_headers = 0;
            len = 0;
            close_file(req);
        }
    }
    req_end_span(req, status);
    if (req->stream != NULL) {
        h2_respond(req->stream, status, headers, n_headers, body, len);
        return;
    }
    build(req, status, headers, n_headers, body, len);
    req->state = REQ_SENDING;
    if (req->in_handler) {
        return; /* dispatch() goes on from here */
    }
    unpark(req);
    send_soon(req);
}

void net_respond(struct net_req *req, unsigned status, const struct net_header *headers,
                 size_t n_headers, const void *body, size_t len)
{
    respond(req, status, headers, n_headers, body, body != NULL ? len : 0);
}

void http_respond_from(struct net_req *req, unsigned status,
                       const struct net_header *headers, size_t n_headers, int file,
                       uint64_t at, uint64_t left)
{
    if (left == 0 || req->method == NET_HEAD) {
        (void)close(file);
    } else {
        req->file = file;
        req->file_at = at;
        req->file_left = left;
    }
    respond(req, status, headers, n_headers, NULL, (size_t)left);
}

static int dispatch(struct net_req *req)
{
    struct net_server *server = req->conn->server;

    busy_remove(req);
    lws_set_timeout(req->conn->wsi, NO_PENDING_TIMEOUT, 0);
    req->state = REQ_OPEN;
    req->deadline_us = UINT64_MAX;
    req->in_handler = true;
    server->handlers.on_request(server->user, req);
    req->in_handler = false;
    if (req->state == REQ_SENDING) {
        send_soon(req);
        return 0;
    }
    park(req);
    busy_add(req);
    return 0;
}

void http_problem(struct net_req *req, unsigned status, const char *code,
                  char out[HTTP_PROBLEM_MAX])
{
    (void)snprintf(out, HTTP_PROBLEM_MAX,
                   "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                   "\"success\":false,\"code\":\"%s\",\"message\":\"%s\",\"errors\":[],"
                   "\"request_id\":\"%s\"}",
                   reason_phrase(status), status, code, reason_phrase(status),
                   net_req_id(req));
}

static void build_problem(struct net_req *req, unsigned status, const char *code)
{
    /* Why something was refused may be read by pages of any origin (it says nothing about
     * anybody), and what a 426 must tell (RFC 9110, section 15.5.22; RFC 6455, section
     * 4.2.2). */
    static const struct net_header headers[] = {
        {"content-type", "application/problem+json"},
        {"access-control-allow-origin", "*"},
        {"upgrade", "websocket"},
        {"connection", "upgrade"},
        {"sec-websocket-version", "13"}};
    char body[HTTP_PROBLEM_MAX];

    http_problem(req, status, code, body);
    req->close = true;
    build(req, status, headers, status == 426 ? 5 : 2, body, strlen(body));
}

/* Answers and closes. Closing at once with unread input would reset the connection and the
 * client might never see the answer: so it lingers, unread, for a moment. */
static int refuse(struct net_req *req, unsigned status, const char *code)
{
    struct net_conn *conn = req->conn;

    build_problem(req, status, code);
    if (req->out == NULL ||
        lws_write(conn->wsi, (unsigned char *)req->out + LWS_PRE, req->out_len,
                  LWS_WRITE_HTTP) < 0 ||
        conn->pipelined) {
        return -1;
    }
    if (!conn->listener->tls && !lws_partial_buffered(conn->wsi)) {
        shutdown(lws_get_socket_fd(conn->wsi), SHUT_WR);
    }
    req->state = REQ_LINGER;
    req->deadline_us = clock_mono_us() + LINGER_US;
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    park(req);
    busy_add(req);
    return 0;
}

int http_refuse_upgrade(struct net_req *req, unsigned status)
{
    build_problem(req, status, "websocket_refused");
    if (req->out != NULL) {
        lws_write(req->conn->wsi, (unsigned char *)req->out + LWS_PRE, req->out_len,
                  LWS_WRITE_HTTP);
    }
    return -1;
}

/* A decimal number and nothing else, at most 2^53. */
static bool parse_length(const char *text, size_t *out)
{
    uint64_t n = 0;

    if (text[0] == '\0' || strlen(text) > 15 || text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *out = (size_t)n;
    return true;
}

int http_on_request(struct net_conn *conn)
{
    struct net_req *req;
    const char *length;
    bool posts;

    if (conn->req != NULL) { /* the library would not, but then all would be lost */
        return -1;
    }
    req = conn->req = req_create(conn);
    if (req == NULL) {
        return -1;
    }
    if (http_read_line(req) != 0) {
        return refuse(req, 400, "bad_request");
    }
    if (http_has_token(req, WSI_TOKEN_HTTP_TRANSFER_ENCODING)) {
        return refuse(req, 411, "length_required");
    }
    posts = req->method == NET_POST || req->method == NET_PUT || req->method == NET_PATCH;
    length = req_token(req, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (length == NULL && http_has_token(req, WSI_TOKEN_HTTP_CONTENT_LENGTH)) {
        return refuse(req, 400, "bad_content_length");
    }
    if (conn->pipelined && ((length == NULL && posts) ||
                            (length != NULL && strspn(length, "0") != strlen(length)))) {
        return -1; /* see above */
    }
    if (length == NULL) {
        if (posts) {
            /* No body (RFC 9112, section 6.3), but the library now waits for one. */
            req->close = true;
        }
        return dispatch(req);
    }
    if (!parse_length(length, &req->body_expected)) {
        return refuse(req, 400, "bad_content_length");
    }
    if (req->body_expected > conn->server->conf.body_max) {
        return refuse(req, 413, "body_too_large");
    }
    if (req->body_expected == 0 && req->method != NET_POST) {
        return dispatch(req); /* no body callbacks will come */
    }
    if (req->body_expected > 0 &&
        req_has_word(net_req_header(req, "expect"), "100-continue")) {
        unsigned char go[LWS_PRE + 32];
        int n = sprintf((char *)go + LWS_PRE, "HTTP/1.1 100 Continue\r\n\r\n");

        if (lws_write(conn->wsi, go + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) < 0) {
            return -1;
        }
    }
    req->state = REQ_BODY;
    req->deadline_us = clock_mono_us() + conn->server->conf.body_s * UINT64_C(1000000);
    busy_add(req);
    return 0;
}

int http_on_body(struct net_conn *conn, const void *data, size_t len)
{
    struct net_req *req = conn->req;

    if (req == NULL || req->state != REQ_BODY || len == 0) {
        return 0; /* refused already: not kept */
    }
    return req_add_body(req, data, len) == 0 ? 0 : -1;
}

int http_on_body_end(struct net_conn *conn)
{
    /* It comes again if more input is found while the answer is due. */
    if (conn->req == NULL || conn->req->state != REQ_BODY) {
        return 0;
    }
    return dispatch(conn->req);
}

void http_on_gone(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    struct net_req *req = conn->req;

    if (req == NULL) {
        return;
    }
    if (req->state == REQ_OPEN) {
        metric_inc(server->metrics.aborted);
        server->handlers.on_abort(server->user, req);
        req_end_span(req, 0);
    }
    req_end(req);
}

static short sweep_events(const struct net_req *req)
{
    switch (req->state) {
    case REQ_OPEN:
        return POLLRDHUP;
    case REQ_SENDING:
        return POLLIN | POLLOUT | POLLRDHUP;
    default:
        return 0;
    }
}

static void sweep_one(struct net_req *req, short seen, uint64_t now_us)
{
    bool broken = (seen & (POLLERR | POLLHUP | POLLNVAL)) != 0;

    if (now_us >= req->deadline_us ||
        (req->state == REQ_OPEN && (broken || (seen & POLLRDHUP) != 0)) ||
        (req->state == REQ_SENDING && broken)) {
        conn_kill(req->conn);
    } else if (req->state == REQ_SENDING && (seen & POLLOUT) != 0) {
        unpark(req);
        lws_callback_on_writable(req->conn->wsi);
    } else if (req->state == REQ_SENDING && (seen & (POLLIN | POLLRDHUP)) != 0) {
        park(req);
    }
}

void http_sweep(void *arg)
{
    struct net_server *server = arg;
    uint64_t now_us = clock_mono_us();
    size_t n = 0;

    for (const struct net_req *req = server->busy; req != NULL; req = req->busy_next) {
        n++;
    }
    if (n == 0) {
        loop_timer_stop(server->sweep);
        return;
    }
    if (n > server->polls_cap) {
        struct pollfd *grown = realloc(server->polls, 2 * n * sizeof(*grown));

        if (grown == NULL) {
            return; /* next time */
        }
        server->polls = grown;
        server->polls_cap = 2 * n;
    }
    n = 0;
    for (const struct net_req *req = server->busy; req != NULL; req = req->busy_next) {
        server->polls[n++] = (struct pollfd){.fd = lws_get_socket_fd(req->conn->wsi),
                                             .events = sweep_events(req)};
    }
    if (poll(server->polls, n, 0) < 0) {
        return;
    }
    n = 0;
    /* Nothing below ends a request at once, so the list is the same. */
    for (struct net_req *req = server->busy; req != NULL; req = req->busy_next) {
        sweep_one(req, server->polls[n++].revents, now_us);
    }
}
