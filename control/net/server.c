/* The library's context on our loop: created, called back from, torn down. */
#include "net/priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    /* A whole TLS record fits a read: what stays inside the TLS layer after a read makes no
     * descriptor ready, and the library's libuv part looks for it once only. */
    SERV_BUF = 32768,
    FD_TABLE_MAX = 131072, /* the library allocates (and touches) two words a descriptor */
    DESTROY_ROUNDS = 4,
};

/* The library logs without saying for which context. */
static char lib_error[160];

static void on_lib_log(int level, const char *line)
{
    size_t len = strcspn(line, "\n");

    if (level == LLL_ERR) {
        snprintf(lib_error, sizeof(lib_error), "%.*s", (int)len, line);
    }
    /* Most of its errors are a client's: nobody must act. */
    log_debug("libwebsockets", LOG_BYTES("text", line, len));
}

struct net_conf net_conf_default(void)
{
    return (struct net_conf){
        .max_connections = 20000,
        .max_per_address = 4000,
        .header_s = 10,
        .body_s = 60,
        .keepalive_s = 30,
        .body_max = 1000000,
        .ws_message_max = 1000000,
        .ws_queue_bytes = 4u << 20,
        .ws_queue_msgs = 4096,
    };
}

void conn_kill(struct net_conn *conn)
{
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    /* From outside its own callbacks the library does not look at its timers. */
    lws_cancel_service(conn->server->ctx);
}

static void on_conn_gone(struct net_conn *conn)
{
    http_on_gone(conn);
    ws_on_gone(conn);
}

void conn_free(struct net_conn *conn)
{
    struct net_server *server = conn->server;

    server->n_conns--;
    metric_set(server->metrics.conns, server->n_conns);
    origin_leave(server, conn->origin);
    free(conn);
}

static void on_destroy(struct net_conn *conn)
{
    on_conn_gone(conn);
    conn_free(conn);
}

/* Reasons that concern one connection. */
static int on_conn_event(struct net_conn *conn, enum lws_callback_reasons reason, void *in,
                         size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return conn->ws != NULL ? ws_on_open(conn) : http_on_request(conn);
    case LWS_CALLBACK_HTTP_BODY:
        return http_on_body(conn, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return http_on_body_end(conn);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return http_on_writable(conn);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return ws_on_upgrade(conn, in);
    case LWS_CALLBACK_RAW_ADOPT:
        return conn->ws != NULL ? ws_on_raw(conn) : 0;
    case LWS_CALLBACK_RAW_RX:
        return conn->ws != NULL ? ws_on_receive(conn, in, len)
                                : stranger_on_receive(conn, in, len);
    case LWS_CALLBACK_RAW_WRITEABLE:
        return ws_on_writable(conn);
    case LWS_CALLBACK_TIMER:
        return ws_on_timer(conn);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_RAW_CLOSE:
        on_conn_gone(conn);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroy(conn);
        return 0;
    default:
        return 0;
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *session,
                    void *in, size_t len)
{
    struct net_server *server;
    struct net_conn *conn;

    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE: /* the connection is not attached yet */
        server = lws_context_user(lws_get_context(wsi));
        server->adopted = true;
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: /* once, as the vhost is made
                                                               */
        server = lws_context_user(lws_get_context(wsi));
        server->tls_ctx = session;
        return 0;
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
    case LWS_CALLBACK_TIMER:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_RAW_CLOSE:
    case LWS_CALLBACK_WSI_DESTROY:
        conn = lws_get_opaque_user_data(wsi);
        if (conn == NULL) { /* the library's own event pipe */
            return 0;
        }
        conn->wsi = wsi;
        return on_conn_event(conn, reason, in, len);
    default: /* others may come with a 'wsi' that is not one */
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "kcs", .callback = on_event, .tx_packet_size = NET_TX_BUF},
    {0},
};

/* A zeroed policy turns off the library's pings, timed by an O(n) list: the layers above
 * have their own. */
static const lws_retry_bo_t no_pings;

static int make_context(struct net_server *server, char *err)
{
    void *loops[] = {loop_native(server->loop)};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .gid = -1,
        .uid = -1,
        .foreign_loops = loops,
        .user = server,
        .timeout_secs = server->conf.header_s,
        .pt_serv_buf_size = SERV_BUF,
        .max_http_header_data2 = NET_HEADER_MAX,
        .alpn = "http/1.1",
    };
    struct rlimit limit;
    struct rlimit lower;

    /* It sizes its tables by the limit of descriptors, and takes one above ten million for
     * a mistake and 2,560 instead: so it is shown a modest one. */
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return -errno;
    }
    lower = limit;
    if (lower.rlim_cur > FD_TABLE_MAX) {
        lower.rlim_cur = FD_TABLE_MAX;
        setrlimit(RLIMIT_NOFILE, &lower);
    }
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lib_log);
    lib_error[0] = '\0';
    server->ctx = lws_create_context(&info);
    if (lower.rlim_cur != limit.rlim_cur) {
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    server->fd_max = (int)lower.rlim_cur;
    if (server->ctx == NULL) {
        snprintf(err, NET_ERR_MAX,
                 "libwebsockets cannot run on libuv (%s): install libwebsockets-evlib-uv",
                 lib_error[0] != '\0' ? lib_error : "no reason given");
        return -ENOTSUP;
    }
    return 0;
}

static int make_vhost(struct net_server *server, const struct net_conf *conf, bool tls,
                      struct lws_vhost **out)
{
    struct lws_context_creation_info info = {
        /* Both mean that the library does not listen itself; but it looks vhosts up by port
         * (for SNI and Host), and the first is never TLS. So two numbers, one vhost each.
         */
        .port = tls ? CONTEXT_PORT_NO_LISTEN_SERVER : CONTEXT_PORT_NO_LISTEN,
        .vhost_name = tls ? "tls" : "plain",
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG, /* see ws.c */
        .keepalive_timeout = (int)server->conf.keepalive_s,
        .timeout_secs_ah_idle = server->conf.header_s,
        .retry_and_idle_policy = &no_pings,
    };

    if (tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = conf->tls_cert;
        info.ssl_private_key_filepath = conf->tls_key;
        info.ssl_options_set = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
        info.alpn = "http/1.1";
    }
    lib_error[0] = '\0';
    *out = lws_create_vhost(server->ctx, &info);
    return *out != NULL ? 0 : -EINVAL;
}

/* The library takes a missing file for "no TLS wanted". */
static int check_readable(const char *what, const char *path, char *err)
{
    if (path == NULL || path[0] == '\0') {
        snprintf(err, NET_ERR_MAX, "a TLS listener needs %s: set it", what);
        return -EINVAL;
    }
    if (access(path, R_OK) != 0) {
        snprintf(err, NET_ERR_MAX, "%s %s cannot be read: %s", what, path, strerror(errno));
        return -EINVAL;
    }
    return 0;
}

static int make_vhosts(struct net_server *server, const struct net_conf *conf, char *err)
{
    bool tls = false;
    int rc = make_vhost(server, conf, false, &server->vhost);

    if (rc != 0) {
        snprintf(err, NET_ERR_MAX, "libwebsockets refuses a virtual host: %s", lib_error);
        return rc;
    }
    for (size_t i = 0; i < conf->n_listen; i++) {
        tls = tls || conf->listen[i].tls;
    }
    if (!tls) {
        return 0;
    }
    rc = check_readable("the certificate file", conf->tls_cert, err);
    if (rc == 0) {
        rc = check_readable("the private key file", conf->tls_key, err);
    }
    if (rc != 0) {
        return rc;
    }
    rc = make_vhost(server, conf, true, &server->vhost_tls);
    if (rc != 0) {
        snprintf(err, NET_ERR_MAX,
                 "certificate %s and key %s cannot be used: both must be PEM and belong "
                 "together (%s)",
                 conf->tls_cert, conf->tls_key, lib_error);
    } else {
        h2_offer(server);
    }
    return rc;
}

static const struct {
    enum metric_kind kind;
    const char *name;
    const char *help;
    size_t at;
} plain_metrics[] = {
    {METRIC_COUNTER, "http_aborted_total", "Requests whose client left before the answer.",
     offsetof(struct net_metrics, aborted)},
    {METRIC_GAUGE, "net_connections", "Open connections, WebSockets included.",
     offsetof(struct net_metrics, conns)},
    {METRIC_COUNTER, "net_connections_refused_total", "Connections over the limit.",
     offsetof(struct net_metrics, refused)},
    {METRIC_GAUGE, "websocket_open", "Open WebSockets.",
     offsetof(struct net_metrics, ws_open)},
    {METRIC_COUNTER, "websocket_slow_readers_total",
     "WebSockets cut off with a full queue.", offsetof(struct net_metrics, ws_cut)},
    {METRIC_COUNTER, "websocket_left_out_total",
     "Messages that slow readers were not sent, for newer ones had made them stale.",
     offsetof(struct net_metrics, ws_left_out)},
    {METRIC_COUNTER, "net_received_bytes_total", "Bytes of bodies and messages received.",
     offsetof(struct net_metrics, bytes_in)},
    {METRIC_COUNTER, "net_sent_bytes_total",
     "Bytes of answers and messages accepted to send.",
     offsetof(struct net_metrics, bytes_out)},
};

static int make_metrics(struct net_server *server)
{
    int err = http_route_register(server, &server->metrics.other);

    if (err == 0) {
        err = cert_register(server);
    }
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < sizeof(plain_metrics) / sizeof(plain_metrics[0]); i++) {
        void *at = (char *)&server->metrics + plain_metrics[i].at;

        err = metric_register(server->registry, plain_metrics[i].kind,
                              plain_metrics[i].name, plain_metrics[i].help, NULL, 0,
                              (struct metric **)at);

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static void drop_metrics(struct net_server *server)
{
    struct net_route *route;

    metric_unregister(server->registry, "http_requests_total");
    cert_unregister(server);
    while ((route = server->metrics.other.next) != NULL) {
        server->metrics.other.next = route->next;
        free(route);
    }
    for (size_t i = 0; i < sizeof(plain_metrics) / sizeof(plain_metrics[0]); i++) {
        metric_unregister(server->registry, plain_metrics[i].name);
    }
}

static void on_turned(void *arg)
{
    ws_flush_all(arg);
}

static int make_timers(struct net_server *server)
{
    int err = loop_timer_create(server->loop, &server->sweep, http_sweep, server);

    if (err == 0) {
        err = loop_timer_create(server->loop, &server->accept_rest, listeners_rest_over,
                                server);
    }
    if (err == 0) {
        err = loop_timer_create(server->loop, &server->h2_sweep, h2_sweep, server);
    }
    if (err == 0) {
        err = loop_after_create(server->loop, &server->turned, on_turned, server);
    }
    return err;
}

static int make_listeners(struct net_server *server, const struct net_conf *conf, char *err)
{
    server->listeners = calloc(conf->n_listen, sizeof(*server->listeners));
    if (server->listeners == NULL) {
        snprintf(err, NET_ERR_MAX, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < conf->n_listen; i++) {
        struct listener *listener = &server->listeners[i];
        int rc;

        listener->server = server;
        listener->index = i;
        listener->fd = -1;
        server->n_listeners++;
        rc = listener_open(listener, &conf->listen[i], err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int start_listeners(struct net_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        int err = listener_start(&server->listeners[i]);

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int make_proxies(struct net_server *server, const struct net_conf *conf,
                        char err[NET_ERR_MAX])
{
    if (conf->n_proxies > NET_PROXIES) {
        return -EINVAL;
    }
    for (size_t i = 0; i < conf->n_proxies; i++) {
        if (prefix_parse(conf->proxies[i], &server->proxies[i]) != 0) {
            snprintf(err, NET_ERR_MAX, "%s is no network of trusted proxies",
                     conf->proxies[i]);
            return -EINVAL;
        }
    }
    server->n_proxies = conf->n_proxies;
    return 0;
}

int net_server_create(struct net_server **out, struct loop *loop,
                      struct metric_registry *metrics, const struct net_conf *conf,
                      const struct net_handlers *handlers, void *user,
                      char err[NET_ERR_MAX])
{
    struct net_server *server;
    int rc;

    err[0] = '\0';
    if (conf->n_listen == 0) {
        snprintf(err, NET_ERR_MAX, "no address to listen on: set one");
        return -EINVAL;
    }
    server = calloc(1, sizeof(*server));
    if (server == NULL) {
        snprintf(err, NET_ERR_MAX, "out of memory");
        return -ENOMEM;
    }
    TAILQ_INIT(&server->gathered);
    server->loop = loop;
    server->registry = metrics;
    server->handlers = *handlers;
    server->user = user;
    server->conf = *conf;
    server->conf.listen = NULL;
    server->conf.proxies = NULL;
    server->conf.tls_cert = NULL;
    server->conf.tls_key = NULL;
    rc = make_proxies(server, conf, err);
    if (rc == 0) {
        rc = make_metrics(server);
    }
    if (rc == 0) {
        server->has_metrics = true;
        rc = make_timers(server);
    }
    if (rc == 0) {
        rc = make_listeners(server, conf, err);
    }
    if (rc == 0) {
        rc = make_context(server, err);
    }
    if (rc == 0) {
        rc = make_vhosts(server, conf, err);
    }
    if (rc == 0) {
        rc = start_listeners(server);
    }
    if (rc != 0) {
        if (err[0] == '\0') {
            snprintf(err, NET_ERR_MAX, "cannot start listening: %s", strerror(-rc));
        }
        net_server_destroy(server);
        return rc;
    }
    *out = server;
    return 0;
}

void net_server_destroy(struct net_server *server)
{
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < server->n_listeners; i++) {
        listener_close(&server->listeners[i]);
    }
    ws_flush_all(server);
    greet_close_all(server);
    h2_close_all(server);
    loop_timer_destroy(server->sweep);
    loop_timer_destroy(server->accept_rest);
    loop_timer_destroy(server->h2_sweep);
    loop_after_destroy(server->turned);
    if (server->ctx != NULL) {
        /* On a loop that is not its own the library closes in two steps: the first closes
         * each connection, whose libuv handles end in the next round and then its own timer
         * and idle handle in the round after; only then may the second free them. */
        lws_context_destroy(server->ctx);
        for (int i = 0; i < DESTROY_ROUNDS; i++) {
            loop_turn(server->loop);
        }
        lws_context_destroy(server->ctx);
    }
    cert_free(server);
    loop_turn(server->loop);
    if (server->has_metrics) {
        drop_metrics(server);
    }
    free(server->polls);
    free(server->listeners);
    free(server);
}

void net_server_set_limits(struct net_server *server, uint32_t max_connections,
                           uint32_t max_per_address)
{
    server->conf.max_connections = max_connections;
    server->conf.max_per_address = max_per_address;
}

uint16_t net_server_port(const struct net_server *server, size_t index)
{
    return index < server->n_listeners ? server->listeners[index].port : 0;
}
