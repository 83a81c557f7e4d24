/* echo-server: a small application on the product's own listener (control/net), protocols
 * (control/proto) and what ties them (control/signal: engine, sio_conn), for the public
 * suites of those protocols to be pointed at. Loopback only.
 *
 *   /engine.io/   each message comes back
 *   /socket.io/   namespaces / and /custom emit 'auth' with the handshake's auth; 'message'
 *                 is answered with 'message-back' and the same arguments,
 *                 'message-with-ack' is acknowledged with its arguments
 *   /echo         a plain WebSocket; each message comes back
 *
 * Ends with SIGINT or SIGTERM. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric/metric.h"
#include "net/net.h"
#include "signal/sio_conn.h"
#include "sys/loop.h"

enum { MAX_PEERS = 1000, GREETING_MS = 20 };

struct echo {
    struct loop *loop;
    struct metric_registry *metrics;
    struct net_server *server;
    struct engine *engine;
    struct engine *sio;
    struct sio_conf sio_conf;
    struct loop_signal *on_int, *on_term;
};

/* ---- /engine.io/ ---- */

/* The context of a session is the session. */
static void *on_open(void *user, struct engine_peer *peer)
{
    (void)user;
    return peer;
}

static void on_message(void *ctx, bool binary, const uint8_t *data, size_t len)
{
    struct eio_msg *msg =
        binary ? eio_msg_binary(data, len) : eio_msg_text(EIO_MESSAGE, data, len);

    if (msg != NULL) {
        engine_send(ctx, msg);
        eio_msg_unref(msg);
    }
}

static void on_close(void *ctx, const char *reason)
{
    (void)ctx;
    (void)reason;
}

static const struct engine_ops engine_ops = {
    .on_open = on_open, .on_message = on_message, .on_close = on_close};

/* ---- /socket.io/ ---- */

/* 'auth' goes out a moment after the answer to CONNECT: the public suite waits for them one
 * by one, and would miss the second of two messages that it reads at once. */
struct greeting {
    struct sio_socket *socket;
    struct loop_timer *timer;
    json_t *auth;
};

static void greeting_destroy(struct greeting *greeting)
{
    loop_timer_destroy(greeting->timer);
    json_decref(greeting->auth);
    free(greeting);
}

static void greet(void *arg)
{
    struct greeting *greeting = arg;

    sio_conn_packet(greeting->socket, SIO_EVENT, NULL,
                    json_pack("[s,O]", "auth", greeting->auth), NULL, 0);
    engine_push(sio_conn_peer(greeting->socket->conn));
}

static bool on_connect(void *user, struct sio_socket *socket, const json_t *auth,
                       struct sio_refusal *why)
{
    struct echo *echo = user;
    struct greeting *greeting;

    why->message = "Invalid namespace";
    if (strcmp(socket->nsp, "/") != 0 && strcmp(socket->nsp, "/custom") != 0) {
        return false;
    }
    why->message = "no memory";
    greeting = calloc(1, sizeof(*greeting));
    if (greeting == NULL) {
        return false;
    }
    greeting->socket = socket;
    greeting->auth = auth != NULL ? json_deep_copy(auth) : json_object();
    socket->data = greeting;
    if (loop_timer_create(echo->loop, &greeting->timer, greet, greeting) != 0) {
        greeting_destroy(greeting);
        return false;
    }
    loop_timer_start(greeting->timer, GREETING_MS, 0);
    return true;
}

static void on_event(void *user, struct sio_socket *socket, struct sio_packet *packet)
{
    const char *name = json_string_value(json_array_get(packet->data, 0));
    bool binary = packet->type == SIO_BINARY_EVENT;
    json_t *data = json_incref(packet->data);

    (void)user;
    if (name != NULL && strcmp(name, "message") == 0) {
        (void)json_array_set_new(data, 0, json_string("message-back"));
        sio_conn_packet(socket, binary ? SIO_BINARY_EVENT : SIO_EVENT, NULL, data,
                        packet->attachments, packet->n_attachments);
    } else if (name != NULL && strcmp(name, "message-with-ack") == 0 && packet->has_id) {
        (void)json_array_remove(data, 0);
        sio_conn_packet(socket, binary ? SIO_BINARY_ACK : SIO_ACK, &packet->id, data,
                        packet->attachments, packet->n_attachments);
    } else {
        json_decref(data);
    }
}

static void on_left(void *user, struct sio_socket *socket, bool left, const char *reason)
{
    (void)user;
    (void)left;
    (void)reason;
    greeting_destroy(socket->data);
}

static const struct sio_conn_ops sio_ops = {
    .on_connect = on_connect, .on_event = on_event, .on_close = on_left};

static const struct engine_ops sio_engine_ops = {.on_open = sio_conn_on_open,
                                                 .on_message = sio_conn_on_message,
                                                 .on_close = sio_conn_on_close};

/* ---- the listener ---- */

static void on_request(void *user, struct net_req *req)
{
    struct echo *echo = user;

    if (!engine_on_request(echo->engine, req) && !engine_on_request(echo->sio, req)) {
        static const struct net_header cors = {"access-control-allow-origin", "*"};

        net_respond(req, 404, &cors, 1, NULL, 0);
    }
}

static void on_abort(void *user, struct net_req *req)
{
    (void)user;
    engine_on_abort(req);
}

static int on_ws_open(void *user, struct net_ws *ws, struct net_req *req)
{
    struct echo *echo = user;
    int status;

    if (strcmp(net_req_path(req), "/echo") == 0) {
        return 0;
    }
    status = engine_on_ws_open(echo->engine, ws, req);
    return status == 404 ? engine_on_ws_open(echo->sio, ws, req) : status;
}

static void on_ws_message(void *user, struct net_ws *ws, const void *data, size_t len,
                          bool binary)
{
    struct net_buf *buf;

    (void)user;
    if (net_ws_data(ws) != NULL) {
        engine_on_ws_message(ws, data, len, binary);
        return;
    }
    buf = net_buf_create(data, len, binary, 0);
    if (buf != NULL) {
        (void)net_ws_send(ws, buf);
        net_buf_unref(buf);
    }
}

static void on_ws_close(void *user, struct net_ws *ws, unsigned code)
{
    (void)user;
    (void)code;
    engine_on_ws_close(ws);
}

static const struct net_handlers handlers = {.on_request = on_request,
                                             .on_abort = on_abort,
                                             .on_ws_open = on_ws_open,
                                             .on_ws_message = on_ws_message,
                                             .on_ws_close = on_ws_close};

/* ---- the program ---- */

struct options {
    uint32_t port, ping_interval_ms, ping_timeout_ms, max_payload;
};

static int usage(void)
{
    fprintf(stderr, "usage: echo-server --port P [--ping-interval-ms I] "
                    "[--ping-timeout-ms T] [--max-payload N]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"ping-interval-ms", required_argument, NULL, 'i'},
        {"ping-timeout-ms", required_argument, NULL, 't'},
        {"max-payload", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0}};
    int c;

    *out = (struct options){
        .ping_interval_ms = 25000, .ping_timeout_ms = 20000, .max_payload = 1000000};
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        char *end = NULL;
        unsigned long value = c != '?' ? strtoul(optarg, &end, 10) : 0;

        if (end == NULL || *end != '\0' || end == optarg || value < 1 ||
            value > (c == 'p' ? 65535u : 100000000u)) {
            return false;
        }
        *(c == 'p'   ? &out->port
          : c == 'i' ? &out->ping_interval_ms
          : c == 't' ? &out->ping_timeout_ms
                     : &out->max_payload) = (uint32_t)value;
    }
    return out->port != 0 && optind == argc;
}

static void on_stop(void *arg)
{
    loop_stop(arg);
}

static int start(struct echo *echo, const struct options *options)
{
    struct net_listen listen = {
        .name = "--port", .address = "127.0.0.1", .port = (uint16_t)options->port};
    struct engine_conf engine = {.loop = echo->loop,
                                 .path = "/engine.io/",
                                 .ping_interval_ms = options->ping_interval_ms,
                                 .ping_timeout_ms = options->ping_timeout_ms,
                                 .max_payload = options->max_payload,
                                 .max_peers = MAX_PEERS};
    struct net_conf net = net_conf_default();
    char err[NET_ERR_MAX];

    net.listen = &listen;
    net.n_listen = 1;
    net.body_max = options->max_payload;
    net.ws_message_max = options->max_payload;
    net.ws_deflate = true;
    net.ws_queue_bytes = 64u << 20; /* what is echoed to who reads after all is sent */
    echo->sio_conf = (struct sio_conf){
        .ops = &sio_ops, .user = echo, .max_payload = options->max_payload};
    if (engine_create(&echo->engine, &engine, &engine_ops, echo) != 0) {
        return -1;
    }
    engine.path = "/socket.io/";
    if (engine_create(&echo->sio, &engine, &sio_engine_ops, &echo->sio_conf) != 0 ||
        loop_signal_create(echo->loop, &echo->on_int, SIGINT, on_stop, echo->loop) != 0 ||
        loop_signal_create(echo->loop, &echo->on_term, SIGTERM, on_stop, echo->loop) != 0) {
        return -1;
    }
    if (net_server_create(&echo->server, echo->loop, echo->metrics, &net, &handlers, echo,
                          err) != 0) {
        fprintf(stderr, "echo-server: %s\n", err);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct echo echo = {.loop = NULL};
    struct options options;
    int status = 1;

    if (!read_options(argc, argv, &options)) {
        return usage();
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (loop_create(&echo.loop) == 0 && metric_registry_create(&echo.metrics) == 0 &&
        start(&echo, &options) == 0) {
        printf("listening on 127.0.0.1:%u\n", options.port);
        (void)fflush(stdout);
        loop_run(echo.loop);
        status = 0;
    }
    engine_destroy(echo.engine);
    engine_destroy(echo.sio);
    net_server_destroy(echo.server);
    loop_signal_destroy(echo.on_int);
    loop_signal_destroy(echo.on_term);
    metric_registry_destroy(echo.metrics);
    loop_destroy(echo.loop);
    return status;
}
