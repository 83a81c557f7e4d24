/* WebSockets: the handshake is judged before the library upgrades (afterwards no status can
 * be sent), messages are put together, and one slow reader costs no more than its queue. */
#include "net/priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sys/utf8.h"

enum {
    CLOSE_WAIT_S = 5,
    RX_KEEP = 16384,  /* a larger buffer is given back after its message */
    WRITE_BURST = 64, /* messages a turn */
    REASON_MAX = 123, /* RFC 6455, section 5.5: control frames carry 125 bytes */
};

struct net_buf {
    uint32_t refs;
    bool binary;
    size_t len;
    /* The library writes the frame header into the bytes before the data. As text or binary
     * and length never change, it writes the same for each receiver. */
    unsigned char pre[LWS_PRE];
    unsigned char data[];
};

struct queued {
    struct queued *next;
    struct net_buf *buf;
};

enum ws_state {
    WS_OPENING, /* the handshake is not out yet */
    WS_OPEN,
    WS_CLOSING, /* ours: what waits goes out first */
    WS_OVER,    /* nothing more is sent or told */
};

struct net_ws {
    struct net_conn *conn;
    void *data;
    enum ws_state state;
    unsigned close_code; /* what on_ws_close tells */
    char reason[REASON_MAX + 1];
    struct queued *first;
    struct queued **last;
    size_t queued_bytes;
    uint32_t queued_msgs;
    bool receiving; /* within the library's callback: what is sent now waits its turn */
    uint8_t *rx;
    size_t rx_len;
    size_t rx_cap;
    size_t rx_checked; /* of it is UTF-8, if it is text */
};

struct net_buf *net_buf_create(const void *data, size_t len, bool binary)
{
    struct net_buf *buf = malloc(sizeof(*buf) + len);

    if (buf != NULL) {
        buf->refs = 1;
        buf->binary = binary;
        buf->len = len;
        if (len > 0) {
            memcpy(buf->data, data, len);
        }
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
        free(buf);
    }
}

size_t net_buf_len(const struct net_buf *buf)
{
    return buf->len;
}

static void queue_pop(struct net_ws *ws)
{
    struct queued *item = ws->first;

    ws->first = item->next;
    if (ws->first == NULL) {
        ws->last = &ws->first;
    }
    ws->queued_bytes -= item->buf->len;
    ws->queued_msgs--;
    net_buf_unref(item->buf);
    free(item);
}

static void queue_clear(struct net_ws *ws)
{
    while (ws->first != NULL) {
        queue_pop(ws);
    }
}

static void ws_destroy(struct net_ws *ws)
{
    queue_clear(ws);
    free(ws->rx);
    free(ws);
}

static struct net_ws *ws_create(struct net_conn *conn)
{
    struct net_ws *ws = calloc(1, sizeof(*ws));

    if (ws != NULL) {
        ws->conn = conn;
        ws->close_code = 1006;
        ws->last = &ws->first;
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

/* What RFC 6455, section 4.2.1 demands, before a handler is asked. 0 or a status. */
static unsigned check_handshake(struct net_req *req)
{
    struct lws *wsi = req->conn->wsi;
    const char *key = req_token(req, WSI_TOKEN_KEY);
    const char *version = req_token(req, WSI_TOKEN_VERSION);
    const char *upgrade = req_token(req, WSI_TOKEN_UPGRADE);

    if (req->path[0] != '/' || upgrade == NULL || strcasecmp(upgrade, "websocket") != 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HOST) == 0 ||
        !req_has_word(req_token(req, WSI_TOKEN_CONNECTION), "upgrade") || key == NULL ||
        strlen(key) != 24) {
        return 400;
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return 426;
    }
    /* We offer none, and the library would hang up without a word. */
    return lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0 ? 400 : 0;
}

int ws_on_upgrade(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    struct net_req *req;
    struct net_ws *ws;
    char *path;
    int path_len;
    int status;
    int rc = 0;

    /* An upgrade it does not know the library has answered already, and forgotten. */
    if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_UPGRADE) == 0 || conn->req != NULL ||
        lws_http_get_uri_and_method(conn->wsi, &path, &path_len) < 0) {
        return -1;
    }
    req = req_create(conn);
    ws = ws_create(conn);
    if (req == NULL || ws == NULL) {
        req_destroy(req);
        free(ws);
        return -1;
    }
    req->method = NET_GET;
    req->path = path;
    status = (int)check_handshake(req);
    if (status == 0) {
        conn->ws = ws;
        status = server->handlers.on_ws_open(server->user, ws, req);
    }
    if (status != 0) {
        conn->ws = NULL;
        ws_destroy(ws);
        rc = http_refuse_upgrade(req, (unsigned)status, status == 426 ? "13" : NULL);
    } else {
        metric_add(server->metrics.ws_open, 1);
    }
    req_destroy(req);
    return rc;
}

int ws_on_open(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL) {
        return -1;
    }
    if (ws->state == WS_OPENING) {
        ws->state = WS_OPEN;
    }
    if (ws->first != NULL || ws->state == WS_CLOSING) {
        lws_callback_on_writable(conn->wsi);
    }
    return 0;
}

/* Ends what the peer has done wrong; what it still sends is not looked at. */
static void fail(struct net_ws *ws, unsigned code, const char *reason)
{
    queue_clear(ws);
    net_ws_close(ws, code, reason);
}

static bool rx_append(struct net_ws *ws, const void *data, size_t len)
{
    if (len > ws->rx_cap - ws->rx_len) {
        size_t cap = ws->rx_cap * 2 + len;
        uint8_t *grown = realloc(ws->rx, cap);

        if (grown == NULL) {
            return false;
        }
        ws->rx = grown;
        ws->rx_cap = cap;
    }
    if (len > 0) {
        memcpy(ws->rx + ws->rx_len, data, len);
    }
    ws->rx_len += len;
    return true;
}

static void deliver(struct net_ws *ws, const void *data, size_t len)
{
    struct net_server *server = ws->conn->server;
    bool binary = lws_frame_is_binary(ws->conn->wsi) != 0;

    if (!binary && !utf8_valid(data, len)) {
        fail(ws, 1007, "not UTF-8");
        return;
    }
    server->handlers.on_ws_message(server->user, ws, data, len, binary);
}

/* Keeps a part of a message. What cannot become text is refused as soon as that is seen. */
static bool keep_part(struct net_ws *ws, const void *data, size_t len)
{
    if (!rx_append(ws, data, len)) {
        fail(ws, 1011, "out of memory");
        return false;
    }
    if (lws_frame_is_binary(ws->conn->wsi) == 0 &&
        !utf8_valid_so_far(ws->rx, ws->rx_len, &ws->rx_checked)) {
        fail(ws, 1007, "not UTF-8");
        return false;
    }
    return true;
}

static void receive(struct net_ws *ws, const void *data, size_t len)
{
    struct net_conn *conn = ws->conn;
    size_t max = conn->server->conf.ws_message_max;
    bool final;

    metric_add(conn->server->metrics.bytes_in, (int64_t)len);
    /* Told before it has all come, if the frame says so. */
    if (len > max - ws->rx_len ||
        lws_remaining_packet_payload(conn->wsi) > max - ws->rx_len - len) {
        fail(ws, 1009, "message too big");
        return;
    }
    final = lws_is_final_fragment(conn->wsi) != 0;
    if (final && ws->rx_len == 0) {
        deliver(ws, len > 0 ? data : "", len); /* in one piece: not copied */
        return;
    }
    if (!keep_part(ws, data, len) || !final) {
        return;
    }
    deliver(ws, ws->rx, ws->rx_len);
    ws->rx_len = 0;
    ws->rx_checked = 0;
    if (ws->rx_cap > RX_KEEP) {
        free(ws->rx);
        ws->rx = NULL;
        ws->rx_cap = 0;
    }
}

void ws_on_receive(struct net_conn *conn, const void *data, size_t len)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL || ws->state != WS_OPEN) {
        return; /* after a close nothing more is told */
    }
    ws->receiving = true;
    receive(ws, data, len);
    ws->receiving = false;
}

static int write_buf(struct net_ws *ws, struct net_buf *buf)
{
    int n = lws_write(ws->conn->wsi, buf->data, buf->len,
                      buf->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);

    if (n >= 0) {
        metric_add(ws->conn->server->metrics.bytes_out, (int64_t)buf->len);
    }
    return n < 0 ? -1 : 0;
}

/* The library's closing handshake, begun by a "kill" as it calls that: to return -1 from
 * the writable callback would close twice in a debug build of it (Debian's is one), and the
 * second time forgets the frame. */
static void begin_close(struct net_ws *ws)
{
    ws->state = WS_OVER;
    lws_close_reason(ws->conn->wsi, (enum lws_close_status)ws->close_code,
                     (unsigned char *)ws->reason, strlen(ws->reason));
    lws_set_timeout(ws->conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

int ws_on_writable(struct net_conn *conn)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL || (ws->state != WS_OPEN && ws->state != WS_CLOSING)) {
        return 0;
    }
    for (int i = 0; i < WRITE_BURST && ws->first != NULL; i++) {
        if (lws_partial_buffered(conn->wsi)) {
            break;
        }
        if (write_buf(ws, ws->first->buf) != 0) {
            return -1;
        }
        queue_pop(ws);
    }
    if (ws->first != NULL || lws_partial_buffered(conn->wsi)) {
        lws_callback_on_writable(conn->wsi);
        return 0;
    }
    if (ws->state == WS_CLOSING) {
        begin_close(ws);
    }
    return 0;
}

static int queue_push(struct net_ws *ws, struct net_buf *buf)
{
    const struct net_conf *conf = &ws->conn->server->conf;
    struct queued *item;

    if (ws->queued_msgs >= conf->ws_queue_msgs ||
        buf->len > conf->ws_queue_bytes - ws->queued_bytes) {
        metric_inc(ws->conn->server->metrics.ws_cut);
        log_info("websocket_slow_reader", LOG_U64("queued_bytes", ws->queued_bytes),
                 LOG_U64("queued_msgs", ws->queued_msgs));
        cut(ws, 1008);
        return -ENOSPC;
    }
    item = malloc(sizeof(*item));
    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct queued){.buf = net_buf_ref(buf)};
    *ws->last = item;
    ws->last = &item->next;
    ws->queued_bytes += buf->len;
    ws->queued_msgs++;
    return 0;
}

int net_ws_send(struct net_ws *ws, struct net_buf *buf)
{
    struct lws *wsi = ws->conn->wsi;
    int err;

    if (ws->state != WS_OPENING && ws->state != WS_OPEN) {
        return -EPIPE;
    }
    /* A pong that the library has due goes first when the socket is writable, so an answer
     * waits for that as well: pings are answered in the order in which they came. */
    if (ws->state == WS_OPEN && ws->first == NULL && !ws->receiving &&
        !lws_partial_buffered(wsi)) {
        if (write_buf(ws, buf) != 0) {
            cut(ws, 1006);
            return -EPIPE;
        }
        return 0;
    }
    err = queue_push(ws, buf);
    if (err == 0 && ws->state == WS_OPEN) {
        lws_callback_on_writable(wsi);
    }
    return err;
}

void net_ws_close(struct net_ws *ws, unsigned code, const char *reason)
{
    bool opening = ws->state == WS_OPENING;

    if (!opening && ws->state != WS_OPEN) {
        return;
    }
    ws->state = WS_CLOSING;
    ws->close_code = code;
    if (reason != NULL) {
        strncpy(ws->reason, reason, REASON_MAX);
    }
    if (!opening) {
        lws_set_timeout(ws->conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, CLOSE_WAIT_S);
        lws_callback_on_writable(ws->conn->wsi);
        lws_cancel_service(ws->conn->server->ctx); /* so that it looks at its timers */
    }
}

int ws_on_peer_close(struct net_conn *conn, const uint8_t *payload, size_t len)
{
    struct net_ws *ws = conn->ws;

    if (ws == NULL || ws->state == WS_OVER) {
        return 0;
    }
    /* What came before the frame was answered a moment ago: that goes out before it. */
    while (ws->first != NULL && ws->state == WS_OPEN && !lws_partial_buffered(conn->wsi) &&
           write_buf(ws, ws->first->buf) == 0) {
        queue_pop(ws);
    }
    ws->state = WS_OVER; /* the library answers the frame */
    ws->close_code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 1005;
    queue_clear(ws);
    /* It would repeat what is malformed (RFC 6455, sections 5.5.1 and 7.1.6). */
    if (len == 1 || (len > 2 && !utf8_valid(payload + 2, len - 2))) {
        ws->close_code = len == 1 ? 1002 : 1007;
        lws_close_reason(conn->wsi, (enum lws_close_status)ws->close_code, NULL, 0);
        return -1;
    }
    return 0;
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
    return ws->conn->remote;
}

void net_ws_set_data(struct net_ws *ws, void *data)
{
    ws->data = data;
}

void *net_ws_data(const struct net_ws *ws)
{
    return ws->data;
}
