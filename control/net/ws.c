/* WebSockets: the handshake is judged, the bytes after it are ours (ws_frame.h takes them
 * apart), and one slow reader costs no more than its queue.
 *
 * The library's own WebSocket role is not used: it forgets a ping that comes before the
 * last pong is out, takes frames that are not masked, and is slow to end TCP. Ours has its
 * 'raw' role, which hands over bytes and nothing else, TLS or not. It goes there from HTTP
 * as soon as the next bytes are none, and the first byte of a frame is never that of a
 * request line (but for one of compressed fragments: docs/decisions/0013; the byte behind
 * it never is). Until the client has sent that byte
 * the connection rests between two requests, as the library sees it: writing works there,
 * but it has no news of the socket being writable again, so a timer asks. */
#include "net/priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "net/ws_deflate.h"
#include "net/ws_frame.h"

enum {
    CLOSE_WAIT_S = 5,
    LINGER_S = 1,         /* from our end of the stream to the peer's */
    WRITE_BURST = 64,     /* messages kept back while others may follow in the same turn */
    WRITE_CONNS = 256,    /* connections that they are kept back for */
    SEND_BURST = 1 << 18, /* bytes a turn */
    RETRY_US = 20000,
    SHA1_LEN = 20,
};

/* A frame, whole as it goes out: the same for each receiver, but compressed for those that
 * have agreed to it. */
struct net_buf {
    uint32_t refs;
    struct net_buf *packed; /* made for the first who can take it; or NULL */
    bool tried;             /* to make it: it may be no shorter */
    uint8_t head_len;
    uint64_t topic;
    size_t len; /* with the head */
    uint8_t bytes[];
};

struct queued {
    struct queued *next;
    struct net_buf *buf;
};

enum ws_state {
    WS_OPENING, /* the handshake is not out yet */
    WS_OPEN,
    WS_CLOSING, /* a close frame is the last that is sent */
    WS_OVER,    /* nothing more is sent or told */
};

struct net_ws {
    struct net_conn *conn;
    void *data;
    enum ws_state state;
    unsigned close_code; /* what on_ws_close tells */
    struct queued *first;
    struct queued **last;
    size_t sent; /* bytes of the first */
    size_t queued_bytes;
    uint32_t queued_msgs;
    uint32_t n_topics; /* of these, how many have one */
    bool raw;       /* the library has gone to its raw role */
    bool parked;    /* not read: the socket is full */
    bool gathers; /* what is sent in this turn of the loop, to go out together */
    TAILQ_ENTRY(net_ws) gather;
    bool peer_done; /* its close frame has come, or it can send none that we would see */
    struct ws_deflate deflate;
    struct ws_in in;
};

static struct net_buf *frame_create(enum ws_op op, const void *data, size_t len)
{
    struct net_buf *buf = malloc(sizeof(*buf) + WS_HEAD_MAX + len);

    if (buf != NULL) {
        buf->refs = 1;
        buf->topic = 0;
        buf->packed = NULL;
        buf->tried = op != WS_OP_TEXT && op != WS_OP_BINARY;
        buf->head_len = (uint8_t)ws_head_write(buf->bytes, op, len);
        buf->len = buf->head_len + len;
        if (len > 0) {
            memcpy(buf->bytes + buf->head_len, data, len);
        }
    }
    return buf;
}

struct net_buf *net_buf_create(const void *data, size_t len, bool binary, uint64_t topic)
{
    struct net_buf *buf = frame_create(binary ? WS_OP_BINARY : WS_OP_TEXT, data, len);

    if (buf != NULL) {
        buf->topic = topic;
    }
    return buf;
}

struct net_buf *net_buf_ref(struct net_buf *buf)
{
    buf->refs++;
    return buf;
}

void net_buf_unref(struct net_buf *buf)
{
    if (buf != NULL && --buf->refs == 0) {
        net_buf_unref(buf->packed);
        free(buf);
    }
}

/* The frame of the message compressed, if it is worth it. */
static struct net_buf *pack(const struct net_buf *from)
{
    size_t len = net_buf_len(from);
    struct net_buf *buf = malloc(sizeof(*buf) + WS_HEAD_MAX + len);
    uint8_t head[WS_HEAD_MAX];
    size_t n;

    if (buf == NULL) {
        return NULL;
    }
    n = ws_deflate(from->bytes + from->head_len, len, buf->bytes + WS_HEAD_MAX, len);
    if (n == 0) {
        free(buf);
        return NULL;
    }
    *buf = (struct net_buf){.refs = 1, .tried = true, .topic = from->topic};
    buf->head_len = (uint8_t)ws_head_write(head, from->bytes[0] & 0x0f, n);
    memcpy(buf->bytes, head, buf->head_len);
    buf->bytes[0] |= WS_HEAD_PACKED;
    memmove(buf->bytes + buf->head_len, buf->bytes + WS_HEAD_MAX, n);
    buf->len = buf->head_len + n;
    return buf;
}

/* What of a message goes to this peer. */
static struct net_buf *form_for(const struct net_ws *ws, struct net_buf *buf)
{
    if (!ws_deflate_sends(&ws->deflate) || net_buf_len(buf) < WS_DEFLATE_MIN) {
        return buf;
    }
    if (!buf->tried) {
        buf->tried = true;
        buf->packed = pack(buf);
    }
    return buf->packed != NULL ? buf->packed : buf;
}

size_t net_buf_len(const struct net_buf *buf)
{
    return buf->len - buf->head_len;
}

/* One that is in the queue no more. */
static void item_free(struct net_ws *ws, struct queued *item)
{
    ws->queued_bytes -= item->buf->len;
    ws->queued_msgs--;
    ws->n_topics -= item->buf->topic != 0;
    net_buf_unref(item->buf);
    free(item);
}

static void queue_pop(struct net_ws *ws)
{
    struct queued *item = ws->first;

    ws->first = item->next;
    if (ws->first == NULL) {
        ws->last = &ws->first;
    }
    ws->sent = 0;
    item_free(ws, item);
}

static void queue_clear(struct net_ws *ws)
{
    while (ws->first != NULL) {
        queue_pop(ws);
    }
}

static void gather_no_more(struct net_ws *ws)
{
    struct net_server *server = ws->conn->server;

    if (ws->gathers) {
        ws->gathers = false;
        TAILQ_REMOVE(&server->gathered, ws, gather);
        server->n_gathered--;
    }
}

static void ws_destroy(struct net_ws *ws)
{
    gather_no_more(ws);
    queue_clear(ws);
    ws_in_fini(&ws->in);
    free(ws);
}

static struct net_ws *ws_create(struct net_conn *conn, struct ws_deflate deflate)
{
    struct net_ws *ws = calloc(1, sizeof(*ws));

    if (ws != NULL) {
        ws->conn = conn;
        ws->close_code = 1006;
        ws->last = &ws->first;
        ws->deflate = deflate;
        ws_in_init(&ws->in, conn->server->conf.ws_message_max, deflate.on);
    }
    return ws;
}

/* Ends the connection without a close frame; on_ws_close comes from the library's callback.
 */
static void cut(struct net_ws *ws, unsigned code)
{
    ws->state = WS_OVER;
    ws->close_code = code;
    queue_clear(ws);
    conn_kill(ws->conn);
}

/* ---- sending ---- */

/* Another turn when the socket takes more. */
static void want_write(struct net_ws *ws)
{
    if (ws->raw) {
        lws_callback_on_writable(ws->conn->wsi);
    } else {
        lws_set_timer_usecs(ws->conn->wsi, RETRY_US);
        lws_cancel_service(ws->conn->server->ctx); /* so that it looks at its timers */
    }
}

/* While it holds back bytes of ours the library does not read, but is woken by what could
 * be read: so that is not waited for. */
static void park(struct net_ws *ws)
{
    if (ws->raw && !ws->parked) {
        ws->parked = true;
        lws_rx_flow_control(ws->conn->wsi, 0);
    }
}

static bool unpark(struct net_ws *ws)
{
    bool was = ws->parked;

    if (was) {
        ws->parked = false;
        lws_rx_flow_control(ws->conn->wsi, 1);
    }
    return was;
}

static int write_bytes(struct net_ws *ws, uint8_t *bytes, size_t len)
{
    return lws_write(ws->conn->wsi, bytes, len, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

/* Small frames go out together, after the 'n' bytes that are in 'out'. Returns how many of
 * the frames, or -1. */
static ssize_t write_many(struct net_ws *ws, uint8_t out[NET_TX_BUF], size_t n)
{
    const size_t before = n;

    while (ws->first != NULL && ws->first->buf->len - ws->sent <= NET_TX_BUF - n) {
        const struct net_buf *buf = ws->first->buf;

        memcpy(out + n, buf->bytes + ws->sent, buf->len - ws->sent);
        n += buf->len - ws->sent;
        queue_pop(ws);
    }
    return write_bytes(ws, out, n) != 0 ? -1 : (ssize_t)(n - before);
}

static ssize_t write_some(struct net_ws *ws)
{
    struct net_buf *buf = ws->first->buf;
    size_t n = buf->len - ws->sent;

    if (n < NET_TX_BUF && ws->first->next != NULL) {
        uint8_t out[NET_TX_BUF];

        return write_many(ws, out, 0);
    }
    n = n < NET_TX_BUF ? n : NET_TX_BUF;
    if (write_bytes(ws, buf->bytes + ws->sent, n) != 0) {
        return -1;
    }
    ws->sent += n;
    if (ws->sent == buf->len) {
        queue_pop(ws);
    }
    return (ssize_t)n;
}

/* Has flush() come at the end of the loop's turn. To write costs far more than what is
 * written, and in a turn that brings many answers each may get several. */
static void gather(struct net_ws *ws)
{
    struct net_server *server = ws->conn->server;

    if (ws->gathers) {
        return;
    }
    ws->gathers = true;
    TAILQ_INSERT_TAIL(&server->gathered, ws, gather);
    if (++server->n_gathered == WRITE_CONNS) {
        ws_flush_all(server); /* the first have waited long enough */
    }
}

/* Both close frames are exchanged, or the peer's is not waited for: our end of the stream,
 * and a moment for the peer to read it. To close with input unread would reset what is on
 * its way (RFC 6455, section 7.1.1). */
static void end_stream(struct net_ws *ws)
{
    ws->state = WS_OVER;
    shutdown(lws_get_socket_fd(ws->conn->wsi), SHUT_WR);
    lws_set_timeout(ws->conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LINGER_S);
}

/* Writes what the socket takes. 0, or -1 if the connection is broken. */
static int flush(struct net_ws *ws)
{
    struct lws *wsi = ws->conn->wsi;
    size_t budget = SEND_BURST;

    gather_no_more(ws);
    if (ws->state != WS_OPEN && ws->state != WS_CLOSING) {
        return 0;
    }
    while (ws->first != NULL && budget > 0 && !lws_partial_buffered(wsi)) {
        ssize_t n = write_some(ws);

        if (n < 0) {
            return -1;
        }
        metric_add(ws->conn->server->metrics.bytes_out, n);
        budget -= (size_t)n < budget ? (size_t)n : budget;
    }
    if (lws_partial_buffered(wsi)) {
        park(ws);
        want_write(ws);
    } else if (ws->first != NULL) {
        want_write(ws);
    } else if (ws->state == WS_CLOSING && ws->peer_done) {
        end_stream(ws);
    }
    return 0;
}

int ws_on_writable(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL) {
        return -1;
    }
    /* What a peer says is read now and then however much it is sent: its answers to pings,
     * and its leave, are among that. */
    if (!lws_partial_buffered(conn->wsi) && unpark(ws) && ws->first != NULL) {
        lws_callback_on_writable(conn->wsi);
        return 0;
    }
    return flush(ws);
}

int ws_on_timer(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL || ws->raw) {
        return 0; /* it was due before the client's first byte */
    }
    if (lws_partial_buffered(conn->wsi) && write_bytes(ws, NULL, 0) != 0) {
        return -1;
    }
    return flush(ws);
}

static int queue_push(struct net_ws *ws, struct net_buf *buf)
{
    struct queued *item = malloc(sizeof(*item));

    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct queued){.buf = net_buf_ref(buf)};
    *ws->last = item;
    ws->last = &item->next;
    ws->queued_bytes += buf->len;
    ws->queued_msgs++;
    ws->n_topics += buf->topic != 0;
    return 0;
}

/* Whether the queue, or 1/'part' of it, does not take this one more. */
static bool queue_full(const struct net_ws *ws, const struct net_buf *buf, uint32_t part)
{
    const struct net_conf *conf = &ws->conn->server->conf;
    const size_t bytes = conf->ws_queue_bytes / part;

    return ws->first != NULL && (ws->queued_msgs >= conf->ws_queue_msgs / part ||
                                 buf->len > bytes || ws->queued_bytes > bytes - buf->len);
}

/* Leaves out what waits of 'topic', or of any (0); not what has gone out in part. */
static void queue_leave_out(struct net_ws *ws, uint64_t topic)
{
    struct queued **at = ws->sent > 0 ? &ws->first->next : &ws->first;
    uint32_t left = ws->n_topics;

    while (*at != NULL && left > 0) {
        struct queued *item = *at;
        uint64_t its = item->buf->topic;

        left -= its != 0;
        if (its == 0 || (topic != 0 && its != topic)) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        if (*at == NULL) {
            ws->last = at;
        }
        item_free(ws, item);
        metric_inc(ws->conn->server->metrics.ws_left_out);
    }
}

/* False: the connection is broken. */
static bool flush_or_cut(struct net_ws *ws)
{
    if (flush(ws) != 0) {
        cut(ws, 1006);
        return false;
    }
    return true;
}

void ws_flush_all(struct net_server *server)
{
    struct net_ws *ws;

    while ((ws = TAILQ_FIRST(&server->gathered)) != NULL) {
        (void)flush_or_cut(ws);
    }
}

int net_ws_send(struct net_ws *ws, struct net_buf *buf)
{
    bool waits;
    int err;

    if (ws->state != WS_OPENING && ws->state != WS_OPEN) {
        return -EPIPE;
    }
    buf = form_for(ws, buf);
    if (ws->gathers && (ws->queued_msgs >= WRITE_BURST ||
                        ws->queued_bytes + buf->len > NET_TX_BUF) && !flush_or_cut(ws)) {
        return -EPIPE;
    }
    if (buf->topic != 0 && queue_full(ws, buf, 4)) {
        queue_leave_out(ws, buf->topic);
    }
    if (queue_full(ws, buf, 1)) {
        queue_leave_out(ws, 0);
    }
    if (queue_full(ws, buf, 1)) {
        metric_inc(ws->conn->server->metrics.ws_cut);
        log_info("websocket_slow_reader", LOG_U64("queued_bytes", ws->queued_bytes),
                 LOG_U64("queued_msgs", ws->queued_msgs));
        cut(ws, 1008);
        return -ENOSPC;
    }
    waits = ws->first != NULL || ws->state == WS_OPENING;
    err = queue_push(ws, buf);
    if (err == 0 && !waits) {
        gather(ws);
    }
    return err;
}

/* Has a close frame be the last that goes out; without a code if that is 1005. What waits
 * goes before it. */
static void send_close(struct net_ws *ws, unsigned code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t len = 0;
    struct net_buf *buf;
    int err;

    if (code != WS_CODE_NONE) {
        size_t reason_len = reason != NULL ? strnlen(reason, WS_REASON_MAX) : 0;

        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)code;
        if (reason_len > 0) {
            memcpy(payload + 2, reason, reason_len);
        }
        len = 2 + reason_len;
    }
    buf = frame_create(WS_OP_CLOSE, payload, len);
    err = buf != NULL ? queue_push(ws, buf) : -ENOMEM;
    net_buf_unref(buf);
    if (err != 0) {
        cut(ws, code);
    }
}

static void close_timeout(struct net_ws *ws)
{
    lws_set_timeout(ws->conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, CLOSE_WAIT_S);
    lws_cancel_service(ws->conn->server->ctx); /* so that it looks at its timers */
}

static void begin_close(struct net_ws *ws, unsigned code, const char *reason)
{
    bool opening = ws->state == WS_OPENING;

    ws->state = WS_CLOSING;
    ws->close_code = code;
    send_close(ws, code, reason);
    if (ws->state == WS_CLOSING && !opening) {
        close_timeout(ws);
    }
}

void net_ws_close(struct net_ws *ws, unsigned code, const char *reason)
{
    bool opening = ws->state == WS_OPENING;

    if (!opening && ws->state != WS_OPEN) {
        return;
    }
    begin_close(ws, code, reason);
    if (!opening && flush(ws) != 0) {
        cut(ws, code);
    }
}

/* ---- receiving ---- */

static void on_message(struct net_ws *ws, const struct ws_in_event *event)
{
    struct net_server *server = ws->conn->server;

    metric_add(server->metrics.bytes_in, (int64_t)event->len);
    if (ws->state == WS_OPEN) {
        server->handlers.on_ws_message(server->user, ws, event->data, event->len,
                                       event->binary);
    }
}

static void on_ping(struct net_ws *ws, const struct ws_in_event *event)
{
    struct net_buf *buf;

    if (ws->state != WS_OPEN) {
        return;
    }
    buf = frame_create(WS_OP_PONG, event->data, event->len);
    if (buf != NULL) { /* a pong less, if there is no memory */
        (void)net_ws_send(ws, buf);
        net_buf_unref(buf);
    }
}

/* The peer is done: answered if it was the first (RFC 6455, section 5.5.1). */
static void on_end(struct net_ws *ws, const struct ws_in_event *event, const char *reason)
{
    ws->peer_done = true;
    if (ws->state == WS_OPEN) {
        begin_close(ws, event->code, reason);
    }
}

static void receive(struct net_ws *ws, uint8_t *data, size_t len)
{
    struct ws_in_event event;

    while ((ws->state == WS_OPEN || ws->state == WS_CLOSING) && !ws->peer_done) {
        switch (ws_in_next(&ws->in, &data, &len, &event)) {
        case WS_IN_NOTHING:
            return;
        case WS_IN_MESSAGE:
            on_message(ws, &event);
            break;
        case WS_IN_PING:
            on_ping(ws, &event);
            break;
        case WS_IN_CLOSE:
            on_end(ws, &event, NULL);
            break;
        case WS_IN_BROKEN:
            on_end(ws, &event, event.reason);
            break;
        }
    }
}

int ws_on_raw(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;

    ws->raw = true;
    if (ws->state == WS_OVER) {
        conn_kill(conn); /* the library has forgotten its timer */
    } else if (ws->state == WS_CLOSING) {
        close_timeout(ws);
    }
    return 0;
}

int ws_on_receive(struct net_conn *conn, uint8_t *data, size_t len)
{
    struct net_ws *ws = conn->ws;

    receive(ws, data, len);
    return ws->state == WS_CLOSING ? flush(ws) : 0;
}

/* ---- opening ---- */

/* What RFC 6455, section 4.2.1 demands, before a handler is asked. 0 or a status. */
static unsigned check_handshake(struct net_req *req)
{
    struct lws *wsi = req->conn->wsi;
    const char *http = req_token(req, WSI_TOKEN_HTTP);
    const char *key = req_token(req, WSI_TOKEN_KEY);
    const char *version = req_token(req, WSI_TOKEN_VERSION);
    const char *upgrade = req_token(req, WSI_TOKEN_UPGRADE);
    const char *length = req_token(req, WSI_TOKEN_HTTP_CONTENT_LENGTH);

    if (req->path[0] != '/' || upgrade == NULL || strcasecmp(upgrade, "websocket") != 0 ||
        http == NULL || strcmp(http, "HTTP/1.1") != 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HOST) == 0 ||
        !req_has_word(req_token(req, WSI_TOKEN_CONNECTION), "upgrade") ||
        (length != NULL && strspn(length, "0") != strlen(length)) ||
        net_req_header(req, "transfer-encoding") != NULL) {
        return 400;
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return 426;
    }
    return key == NULL || !ws_key_ok(key) ? 400 : 0;
}

/* RFC 6455, section 1.3. False if there is no memory. */
static bool make_accept(struct net_req *req, char out[NET_WS_ACCEPT_MAX])
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = req_token(req, WSI_TOKEN_KEY);
    unsigned char sha1[SHA1_LEN];
    char text[64];
    int n = key != NULL ? snprintf(text, sizeof(text), "%s%s", key, suffix) : 0;

    return n > 0 && lws_SHA1((unsigned char *)text, (size_t)n, sha1) != NULL &&
           lws_b64_encode_string((char *)sha1, SHA1_LEN, out, NET_WS_ACCEPT_MAX) > 0;
}

int ws_on_upgrade(struct net_conn *conn, char *upgrade)
{
    struct net_server *server = conn->server;
    struct net_req *req;
    struct ws_deflate deflate = {.on = false};
    struct net_ws *ws;
    char *path;
    int path_len;
    unsigned status;
    int rc = 0;

    /* An upgrade it does not know the library has answered already, and has forgotten the
     * request: then 'upgrade' points to what is no longer there. */
    if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_UPGRADE) == 0 ||
        strcasecmp(upgrade, "websocket") != 0 || conn->req != NULL || conn->ws != NULL ||
        lws_http_get_uri_and_method(conn->wsi, &path, &path_len) < 0) {
        return -1;
    }
    req = req_create(conn);
    if (req != NULL && server->conf.ws_deflate) {
        deflate = ws_deflate_accept(net_req_header(req, "sec-websocket-extensions"));
    }
    ws = ws_create(conn, deflate);
    if (req == NULL || ws == NULL) {
        req_destroy(req);
        free(ws);
        return -1;
    }
    req->method = NET_GET;
    req->path = path;
    status = check_handshake(req);
    if (status == 0 && !make_accept(req, conn->ws_accept)) {
        status = 500;
    }
    if (status == 0) {
        conn->ws = ws;
        status = (unsigned)server->handlers.on_ws_open(server->user, ws, req);
    }
    if (status != 0) {
        conn->ws = NULL;
        ws_destroy(ws);
        rc = http_refuse_upgrade(req, status);
    } else {
        metric_add(server->metrics.ws_open, 1);
        upgrade[0] = '-'; /* not the library's to upgrade: a request like others to it */
    }
    req_destroy(req);
    return rc;
}

int ws_on_open(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;
    struct lws *wsi = conn->wsi;
    char extensions[WS_DEFLATE_ANSWER] = "";
    uint8_t out[NET_TX_BUF];
    ssize_t sent;
    int n;

    if (ws->state == WS_OVER || conn->ws_accept[0] == '\0') {
        return -1; /* cut off already, or a second request after the handshake */
    }
    if (ws->deflate.on) {
        ws_deflate_answer(&ws->deflate, extensions);
    }
    n = snprintf((char *)out, sizeof(out),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                 conn->ws_accept, ws->deflate.on ? "Sec-WebSocket-Extensions: " : "",
                 extensions, ws->deflate.on ? "\r\n" : "");
    conn->ws_accept[0] = '\0';
    sent = write_many(ws, out, (size_t)n);
    if (sent < 0 || lws_partial_buffered(wsi) || lws_http_transaction_completed(wsi) != 0) {
        return -1; /* who has left so much unread that this does not fit is not served */
    }
    metric_add(ws->conn->server->metrics.bytes_out, sent);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    if (ws->state == WS_OPENING) {
        ws->state = WS_OPEN;
    } else {
        close_timeout(ws);
    }
    return flush(ws);
}

void ws_on_gone(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    struct net_ws *ws = conn->ws;

    if (ws == NULL) {
        return;
    }
    ws->state = WS_OVER;
    metric_add(server->metrics.ws_open, -1);
    server->handlers.on_ws_close(server->user, ws, ws->close_code);
    conn->ws = NULL;
    ws_destroy(ws);
}

size_t net_ws_queued(const struct net_ws *ws)
{
    return ws->queued_bytes;
}

size_t net_ws_listener(const struct net_ws *ws)
{
    return ws->conn->listener->index;
}

const char *net_ws_remote(const struct net_ws *ws)
{
    return ws->conn->client.remote;
}

void net_ws_set_data(struct net_ws *ws, void *data)
{
    ws->data = data;
}

void *net_ws_data(const struct net_ws *ws)
{
    return ws->data;
}
