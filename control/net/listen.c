/* Listening sockets are opened and accepted from here, not by the library: its own binding
 * cannot say which port was taken, nor set the mode of a Unix socket, nor rest when
 * descriptors run out. An accepted socket is then adopted into its vhost, or is HTTP/2's.
 */
#include "net/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/inherit.h"

enum {
    BACKLOG = 1024,
    ACCEPT_BURST = 8, /* a turn: what is asked on connections that there are has its own */
    REST_MS = 100
};

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Accepted sockets inherit these. */
static void tcp_options(int fd)
{
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* a restart must not wait for TIME_WAIT */
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1); /* a peer that lost power while held */
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

static void say_bind_error(const struct net_listen *conf, int error, char *err)
{
    const char *address = conf->address != NULL ? conf->address : "any address";

    switch (error) {
    case EADDRINUSE:
        snprintf(err, NET_ERR_MAX,
                 "port %u (%s) is in use by another program: stop it (ss -ltnp 'sport = "
                 ":%u' names it) or set another port in %s",
                 conf->port, address, conf->port, conf->name);
        break;
    case EACCES:
        snprintf(
            err, NET_ERR_MAX,
            "no right to open port %u: give the program CAP_NET_BIND_SERVICE, or set a "
            "port above 1023 in %s",
            conf->port, conf->name);
        break;
    case EADDRNOTAVAIL:
        snprintf(
            err, NET_ERR_MAX,
            "address %s is on no interface of this host (ip -br addr lists them): change "
            "%s",
            address, conf->name);
        break;
    default:
        snprintf(err, NET_ERR_MAX, "cannot listen on port %u (%s) of %s: %s", conf->port,
                 address, conf->name, strerror(error));
    }
}

/* The socket for 'conf', bound and listening, or -errno with 'err' filled. */
static int open_tcp(const struct net_listen *conf, char *err)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(conf->port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(conf->port)};
    bool use_v6 = true;
    int fd;
    int e;

    if (conf->address != NULL && inet_pton(AF_INET, conf->address, &v4.sin_addr) == 1) {
        use_v6 = false;
    } else if (conf->address != NULL &&
               inet_pton(AF_INET6, conf->address, &v6.sin6_addr) != 1) {
        snprintf(err, NET_ERR_MAX, "%s: \"%s\" is neither an IPv4 nor an IPv6 address",
                 conf->name, conf->address);
        return -EINVAL;
    }
    fd = conf->port != 0
             ? inherit_socket(use_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4)
             : -1;
    if (fd >= 0) {
        tcp_options(fd);
        return fd;
    }
    fd = socket(use_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && conf->address == NULL) {
        use_v6 = false; /* "any" on a host without IPv6 */
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) {
        e = errno;
        say_bind_error(conf, e, err);
        return -e;
    }
    tcp_options(fd);
    if (use_v6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (bind(fd, use_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
             use_v6 ? sizeof(v6) : sizeof(v4)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        e = errno;
        close(fd);
        say_bind_error(conf, e, err);
        return -e;
    }
    return fd;
}

/* A socket file that nobody answers on is what a killed process left: removed. 0, or
 * -EADDRINUSE if somebody does answer (or it is no socket). */
static int remove_stale(const struct sockaddr_un *sun)
{
    struct stat st;
    int fd;
    int rc;

    if (lstat(sun->sun_path, &st) != 0) {
        return 0;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -EADDRINUSE;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ? 0 : errno;
    close(fd);
    if (rc != ECONNREFUSED) {
        return -EADDRINUSE; /* it answers, is busy, or is not ours to ask */
    }
    return unlink(sun->sun_path) == 0 ? 0 : -errno;
}

/* 'inherited' is filled: whether the socket, and its file, are our supervisor's. */
static int open_unix(const struct net_listen *conf, bool *inherited, char *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t len = strlen(conf->path);
    int fd = -1;
    int rc;

    if (len == 0 || len >= sizeof(sun.sun_path)) {
        snprintf(err, NET_ERR_MAX, "%s: the path of a Unix socket has 1 to %zu bytes",
                 conf->name, sizeof(sun.sun_path) - 1);
        return -EINVAL;
    }
    memcpy(sun.sun_path, conf->path, len);
    fd = inherit_socket((struct sockaddr *)&sun);
    if (fd >= 0) {
        *inherited = true;
        return fd;
    }
    rc = remove_stale(&sun);
    if (rc == -EADDRINUSE) {
        snprintf(
            err, NET_ERR_MAX,
            "%s is in use by another process (ss -xlp names it): stop that one, or set "
            "another path in %s",
            conf->path, conf->name);
        return rc;
    }
    if (rc == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        /* Before bind, so that the file never has a wider mode; after, against the umask.
         */
        if (fd < 0 || fchmod(fd, conf->mode) != 0 ||
            bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
            chmod(conf->path, conf->mode) != 0 || listen(fd, BACKLOG) != 0) {
            rc = -errno;
        }
    }
    if (rc != 0) {
        snprintf(
            err, NET_ERR_MAX,
            "cannot open the socket %s: %s; its directory must exist and be writable, or "
            "set another path in %s",
            conf->path, strerror(-rc), conf->name);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    return fd;
}

int listener_open(struct listener *listener, const struct net_listen *conf, char *err)
{
    struct sockaddr_in6 bound = {0};
    socklen_t len = sizeof(bound);
    bool inherited = false;
    int fd = conf->path != NULL ? open_unix(conf, &inherited, err) : open_tcp(conf, err);

    if (fd < 0) {
        return fd;
    }
    listener->fd = fd;
    listener->tls = conf->tls;
    if (inherited) {
        return 0; /* its file stays */
    }
    if (conf->path != NULL) {
        listener->path = strdup(conf->path);
        if (listener->path == NULL) {
            unlink(conf->path);
            snprintf(err, NET_ERR_MAX, "out of memory");
            return -ENOMEM;
        }
    } else if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
        listener->port = ntohs(bound.sin6_port); /* the same place as sin_port */
    }
    return 0;
}

void net_client_of(const struct sockaddr_storage *ss, struct net_client *out)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
    bool mapped = ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    bool v4 = ss->ss_family == AF_INET || mapped;
    uint16_t port = ntohs(ss->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
    char ip[INET6_ADDRSTRLEN] = "";
    int len;

    inet_ntop(v4 ? AF_INET : AF_INET6,
              mapped ? (const void *)&in6->sin6_addr.s6_addr[12]
              : v4   ? (const void *)&in->sin_addr
                     : (const void *)&in6->sin6_addr,
              ip, sizeof(ip));
    len = snprintf(out->remote, sizeof(out->remote), v4 ? "%s" : "[%s]", ip);
    if (port != 0) { /* not known of who comes by a proxy */
        (void)snprintf(out->remote + len, sizeof(out->remote) - (size_t)len, ":%u", port);
    }
    out->has_address = origin_address(ss, out->address);
}

static void client_of_socket(int fd, struct net_client *out)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof(who);

    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
    (void)snprintf(out->remote, sizeof(out->remote), "unix:%u", who.uid);
}

void listener_adopt(struct net_conn *conn, int fd)
{
    struct net_server *server = conn->server;
    lws_adopt_desc_t desc = {
        .vh = conn->listener->tls ? server->vhost_tls : server->vhost,
        .type = LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
        .fd = {.sockfd = fd},
        .opaque = conn,
    };

    server->adopted = false;
    if (lws_adopt_descriptor_vhost_via_info(&desc) == NULL && !server->adopted) {
        /* It never became a connection, so no WSI_DESTROY will come to free it. */
        conn_free(conn);
    }
}

/* What 'fd' is to us, from here to its end. 'origin' is moved. */
static void begin(const struct listener *listener, int fd,
                  const struct sockaddr_storage *ss, struct net_origin *origin)
{
    struct net_server *server = listener->server;
    struct net_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        close(fd);
        origin_leave(server, origin);
        return;
    }
    conn->server = server;
    conn->origin = origin;
    conn->listener = listener;
    if (ss->ss_family == AF_INET || ss->ss_family == AF_INET6) {
        net_client_of(ss, &conn->client);
        conn->proxied = forwarded_trusts(server, ss);
    } else {
        client_of_socket(fd, &conn->client);
    }
    server->n_conns++;
    metric_set(server->metrics.conns, server->n_conns);
    if (listener->tls) {
        greet(conn, fd);
    } else {
        listener_adopt(conn, fd);
    }
}

static void rest(struct net_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        loop_watch_set(server->listeners[i].watch, 0);
    }
    loop_timer_start(server->accept_rest, REST_MS, 0);
}

void listeners_rest_over(void *arg)
{
    struct net_server *server = arg;

    for (size_t i = 0; i < server->n_listeners; i++) {
        loop_watch_set(server->listeners[i].watch, LOOP_READ);
    }
}

/* A connection that is one too many, of all or of its address. */
static void turn_away(struct net_server *server, int fd, uint64_t limit)
{
    close(fd);
    metric_inc(server->metrics.refused);
    log_warn("connection_refused", LOG_U64("open", server->n_conns),
             LOG_U64("limit", limit));
}

static void on_acceptable(void *arg, unsigned events)
{
    struct listener *listener = arg;
    struct net_server *server = listener->server;

    (void)events;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(ss);
        struct net_origin *origin;
        int fd = accept4(listener->fd, (struct sockaddr *)&ss, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            log_error("accept_failed", LOG_STR("reason", strerror(errno)),
                      LOG_STR("cure", "raise LimitNOFILE"));
            rest(server); /* the pending connection stays readable: do not spin on it */
            return;
        }
        if (fd < 0) {
            return; /* EAGAIN, or that one is gone already */
        }
        if (server->n_conns >= server->conf.max_connections || fd >= server->fd_max) {
            turn_away(server, fd, server->conf.max_connections);
            continue;
        }
        if (origin_enter(server, &ss, &origin) != 0) {
            turn_away(server, fd, server->conf.max_per_address);
            continue;
        }
        begin(listener, fd, &ss, origin);
    }
}

int listener_start(struct listener *listener)
{
    return loop_watch_create(listener->server->loop, &listener->watch, listener->fd,
                             LOOP_READ, on_acceptable, listener);
}

void listener_close(struct listener *listener)
{
    loop_watch_destroy(listener->watch);
    listener->watch = NULL;
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    if (listener->path != NULL) {
        unlink(listener->path);
        free(listener->path);
        listener->path = NULL;
    }
}
