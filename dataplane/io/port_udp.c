/* The "udp" device: one kernel socket for each local address, read with recvmmsg straight
 * into packets, written with sendmmsg. Consecutive packets of one size to one destination
 * become one message that the kernel segments (UDP_SEGMENT), which halves the cost of a
 * key frame. Needs no rights. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "io/addrs.h"
#include "io/mbuf.h"
#include "io/port.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    UDP_BUFFER = 4 << 20, /* of a socket: 30 ms of 1 Gb/s */
    UDP_GSO_MAX = 65000,  /* bytes of one message, below the limit of an IP packet */
    UDP_PREFERENCE = 40000
};

struct port_udp {
    struct port base;
    int fds[IO_MAX_ADDRS]; /* by index in base.dev.addrs */
    unsigned next;         /* the socket to read first: all get their turn */
    _Atomic bool gso;      /* any lane may find that it does not work */

    /* Receive buffers in wait: n_spare packets, described by msgs. */
    struct rte_mbuf *spare[PKT_BURST];
    uint16_t n_spare;
    struct mmsghdr msgs[PKT_BURST];
    struct iovec iov[PKT_BURST];
    struct sockaddr_in6 from[PKT_BURST]; /* large enough for either family */
};

/* ---- receive --------------------------------------------------------------- */

static void spare_describe(struct port_udp *udp)
{
    for (uint16_t i = 0; i < udp->n_spare; i++) {
        udp->iov[i].iov_base = rte_pktmbuf_mtod(udp->spare[i], void *);
        udp->iov[i].iov_len = PKT_ROOM;
        udp->msgs[i].msg_hdr = (struct msghdr){.msg_name = &udp->from[i],
                                               .msg_namelen = sizeof(udp->from[i]),
                                               .msg_iov = &udp->iov[i],
                                               .msg_iovlen = 1};
    }
}

/* Replaces the first 'used' buffers, as far as the pool has some. */
static void spare_refill(struct port_udp *udp, uint16_t used)
{
    uint16_t kept = (uint16_t)(udp->n_spare - used);

    memmove(udp->spare, udp->spare + used, kept * sizeof(struct rte_mbuf *));
    udp->n_spare = kept;
    if (rte_pktmbuf_alloc_bulk(udp->base.pool, udp->spare + kept, PKT_BURST - kept) == 0) {
        udp->n_spare = PKT_BURST;
    }
    spare_describe(udp);
}

static void fill_path(struct port_udp *udp, unsigned socket,
                      const struct sockaddr_in6 *from, struct path *path)
{
    const struct io_addr *local = &udp->base.dev.addrs[socket];

    memset(path, 0, sizeof(*path));
    path->device = udp->base.index;
    path->family = local->family;
    path->local_port = udp->base.dev.media_port;
    memcpy(path->local_ip, local->ip, 16);
    if (local->family == 4) {
        struct sockaddr_in in;

        memcpy(&in, from, sizeof(in));
        path_map_v4(path->remote_ip, (const uint8_t *)&in.sin_addr);
        path->remote_port = ntohs(in.sin_port);
    } else {
        memcpy(path->remote_ip, &from->sin6_addr, 16);
        path->remote_port = ntohs(from->sin6_port);
    }
}

static uint16_t rx_socket(struct port_udp *udp, unsigned socket, struct pkt **pkts,
                          uint16_t n)
{
    uint16_t want = n < udp->n_spare ? n : udp->n_spare;
    int got = recvmmsg(udp->fds[socket], udp->msgs, want, MSG_DONTWAIT, NULL);

    for (int i = 0; i < got; i++) {
        struct pkt *pkt = mbuf_to_pkt(udp->spare[i]);

        /* A datagram cut off at PKT_ROOM is longer than PKT_MAX_DATAGRAM still. */
        pkt->data = udp->iov[i].iov_base;
        pkt->len = (uint16_t)udp->msgs[i].msg_len;
        pkt->device = udp->base.index;
        fill_path(udp, socket, &udp->from[i], &pkt->path);
        pkts[i] = pkt;
    }
    if (got > 0) {
        spare_refill(udp, (uint16_t)got);
    }
    return got > 0 ? (uint16_t)got : 0;
}

static uint16_t udp_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                       struct io_rx_count *count)
{
    struct port_udp *udp = (struct port_udp *)port;
    unsigned n_sockets = port->dev.n_addrs;
    uint16_t got = 0;

    (void)queue;
    assert(n_sockets > 0); /* a device without an address is not opened */
    if (udp->n_spare < PKT_BURST) {
        spare_refill(udp, 0); /* the pool was empty the last time */
    }
    for (unsigned i = 0; i < n_sockets && got < n && udp->n_spare > 0; i++) {
        unsigned socket = (udp->next + i) % n_sockets;

        got = (uint16_t)(got + rx_socket(udp, socket, pkts + got, (uint16_t)(n - got)));
    }
    udp->next = (udp->next + 1) % n_sockets;
    count->frames += got;
    count->packets += got;
    return got;
}

/* ---- send ------------------------------------------------------------------ */

/* One sendmmsg in the making. */
struct udp_batch {
    struct mmsghdr msgs[PKT_BURST];
    struct iovec iov[PKT_BURST];
    struct sockaddr_in6 to[PKT_BURST];
    uint16_t run[PKT_BURST]; /* packets in a message */
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control[PKT_BURST];
    unsigned n_msgs;
    uint16_t n_pkts;
};

static int socket_of(const struct port_udp *udp, const struct path *to)
{
    for (unsigned i = 0; i < udp->base.dev.n_addrs; i++) {
        if (memcmp(udp->base.dev.addrs[i].ip, to->local_ip, 16) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static socklen_t fill_sockaddr(const struct path *to, struct sockaddr_in6 *out)
{
    if (to->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(to->remote_port)};

        memcpy(&in.sin_addr, to->remote_ip + 12, 4);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    *out =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(to->remote_port)};
    memcpy(&out->sin6_addr, to->remote_ip, 16);
    return sizeof(*out);
}

/* How many packets from the start of 'pkts' can be one message: one destination, one size;
 * the last may be shorter. */
static uint16_t gso_run(struct pkt **pkts, uint16_t n)
{
    const struct path *to = pkts[0]->to;
    size_t total = pkts[0]->len;
    uint16_t run = 1;

    while (run < n && pkts[run - 1]->len == pkts[0]->len &&
           pkts[run]->len <= pkts[0]->len && total + pkts[run]->len <= UDP_GSO_MAX &&
           (pkts[run]->to == to || path_same_tuple(pkts[run]->to, to))) {
        total += pkts[run]->len;
        run++;
    }
    return run;
}

static void batch_add(struct udp_batch *batch, struct pkt **pkts, uint16_t run)
{
    unsigned m = batch->n_msgs++;
    struct msghdr *msg = &batch->msgs[m].msg_hdr;

    *msg = (struct msghdr){.msg_name = &batch->to[m],
                           .msg_iov = &batch->iov[batch->n_pkts],
                           .msg_iovlen = run};
    msg->msg_namelen = fill_sockaddr(pkts[0]->to, &batch->to[m]);
    for (uint16_t i = 0; i < run; i++) {
        batch->iov[batch->n_pkts++] =
            (struct iovec){.iov_base = pkts[i]->data, .iov_len = pkts[i]->len};
    }
    if (run > 1) {
        struct cmsghdr *cmsg = &batch->control[m].align;

        msg->msg_control = cmsg;
        msg->msg_controllen = sizeof(batch->control[m].bytes);
        cmsg->cmsg_level = SOL_UDP;
        cmsg->cmsg_type = UDP_SEGMENT;
        cmsg->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        memcpy(CMSG_DATA(cmsg), &pkts[0]->len, sizeof(uint16_t));
    }
    batch->run[m] = run;
}

/* Sends the start of 'pkts' that goes through one socket. 'plain' forbids segmentation of
 * the first packets. Returns the number of packets gone, 0 if the socket is full, or a
 * negative errno if the first message is refused; *first is how many packets that has. */
static int tx_socket(struct port_udp *udp, int socket, struct pkt **pkts, uint16_t n,
                     uint16_t plain, uint16_t *first)
{
    struct udp_batch batch;
    bool gso = atomic_load_explicit(&udp->gso, memory_order_relaxed);
    int sent, gone = 0;

    batch.n_msgs = 0;
    batch.n_pkts = 0;
    for (uint16_t i = 0; i < n;) {
        uint16_t run = gso && i >= plain ? gso_run(pkts + i, (uint16_t)(n - i)) : 1;

        if (i > 0 && socket_of(udp, pkts[i]->to) != socket) {
            break;
        }
        batch_add(&batch, pkts + i, run);
        i = (uint16_t)(i + run);
    }
    *first = batch.run[0];
    do {
        sent = sendmmsg(udp->fds[socket], batch.msgs, batch.n_msgs, MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
    }
    for (int m = 0; m < sent; m++) {
        gone += batch.run[m];
    }
    return gone;
}

static void free_packets(struct pkt **pkts, uint16_t n)
{
    struct rte_mbuf *mbufs[PKT_BURST];

    for (uint16_t i = 0; i < n; i++) {
        mbufs[i] = pkt_to_mbuf(pkts[i]);
    }
    rte_pktmbuf_free_bulk(mbufs, n);
}

static uint16_t udp_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n)
{
    struct port_udp *udp = (struct port_udp *)port;
    struct io_tx_count *count = &port->tx[queue];
    uint16_t at = 0, plain = 0;

    while (at < n) {
        int socket = socket_of(udp, pkts[at]->to);
        uint16_t first = 1;
        int gone = socket < 0 ? -EADDRNOTAVAIL
                              : tx_socket(udp, socket, pkts + at, (uint16_t)(n - at),
                                          plain > at ? (uint16_t)(plain - at) : 0, &first);

        if (gone == 0) {
            break;
        }
        if (gone < 0 && first > 1) {
            /* Too long for segmentation on this path, or it is not to be had at all. */
            if (gone == -EIO || gone == -EOPNOTSUPP) {
                atomic_store_explicit(&udp->gso, false, memory_order_relaxed);
            }
            plain = (uint16_t)(at + first);
            continue;
        }
        if (gone < 0) {
            count->send_errors++;
            gone = 1;
        } else {
            count->packets += (unsigned)gone;
        }
        free_packets(pkts + at, (uint16_t)gone);
        at = (uint16_t)(at + gone);
    }
    return at;
}

/* ---- open and close -------------------------------------------------------- */

static int udp_wait(struct port *port, unsigned queue, struct pollfd *fds)
{
    struct port_udp *udp = (struct port_udp *)port;

    (void)queue;
    for (unsigned i = 0; i < port->dev.n_addrs; i++) {
        fds[i] = (struct pollfd){.fd = udp->fds[i], .events = POLLIN};
    }
    return port->dev.n_addrs;
}

static void udp_close(struct port *port)
{
    struct port_udp *udp = (struct port_udp *)port;

    for (unsigned i = 0; i < port->dev.n_addrs; i++) {
        close(udp->fds[i]);
    }
    for (uint16_t i = 0; i < udp->n_spare; i++) {
        rte_pktmbuf_free(udp->spare[i]);
    }
    free(udp);
}

static void set_buffers(int fd)
{
    int size = UDP_BUFFER;

    /* the FORCE variants pass the system's limit, for those who may */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}

/* Returns a bound socket or a negative errno. */
static int socket_open(const struct io_addr *addr, uint16_t port_number)
{
    struct path self = {.family = addr->family, .remote_port = port_number};
    struct sockaddr_in6 name;
    socklen_t len;
    int one = 1;
    int fd = socket(addr->family == 4 ? AF_INET : AF_INET6,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    memcpy(self.remote_ip, addr->ip, 16);
    len = fill_sockaddr(&self, &name);
    if (addr->family == 6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    set_buffers(fd);
    if (bind(fd, (struct sockaddr *)&name, len) != 0) {
        int code = -errno;

        close(fd);
        return code;
    }
    return fd;
}

static int add_socket(const struct port_env *env, struct port_udp *udp,
                      const struct io_addr *addr)
{
    unsigned port_number = env->conf->media_port;
    char text[INET6_ADDRSTRLEN];
    int fd = socket_open(addr, env->conf->media_port);

    if (fd >= 0) {
        udp->fds[udp->base.dev.n_addrs] = fd;
        port_add_addr(&udp->base, addr->family, addr->ip);
        return 0;
    }
    port_ip_text(addr->ip, text);
    switch (fd) {
    case -EADDRINUSE:
        return port_fail(env, fd,
                         "udp: %s port %u is in use: 'ss -ulnp sport = :%u' shows by whom",
                         text, port_number, port_number);
    case -EADDRNOTAVAIL:
        return port_fail(env, fd,
                         "udp: %s is not an address of this host: 'ip address' lists them",
                         text);
    case -EACCES:
        return port_fail(env, fd,
                         "udp: port %u is privileged: choose one from 1024 on, or give "
                         "CAP_NET_BIND_SERVICE",
                         port_number);
    default:
        return port_fail(env, fd, "udp: %s port %u: %s", text, port_number, strerror(-fd));
    }
}

static int parse_address(const struct port_env *env, const char *text, struct io_addr *out)
{
    static const uint8_t zero[16];
    uint8_t v4[4];

    if (inet_pton(AF_INET, text, v4) == 1) {
        out->family = 4;
        path_map_v4(out->ip, v4);
    } else if (inet_pton(AF_INET6, text, out->ip) == 1) {
        out->family = 6;
    } else {
        return port_fail(env, -EINVAL, "udp:%s: not an IPv4 or IPv6 address", text);
    }
    if (memcmp(out->ip + 12, zero, 4) == 0 &&
        (out->family == 4 || memcmp(out->ip, zero, 16) == 0)) {
        return port_fail(env, -EINVAL,
                         "udp:%s: name one address, or say 'udp' for all of this host",
                         text);
    }
    return 0;
}

static bool made_by_us(const struct port_env *env, const char *ifname)
{
    for (unsigned i = 0; i < env->n_ports; i++) {
        if (strcmp(env->ports[i]->dev.kind, "veth") == 0 &&
            strcmp(env->ports[i]->dev.name, ifname) == 0) {
            return true;
        }
    }
    return false;
}

/* All addresses of the host that no other device serves. An address still in duplicate
 * detection, or gone meanwhile, is left out. */
static int add_all(const struct port_env *env, struct port_udp *udp)
{
    struct host_addr all[64];
    int n = addrs_list(NULL, all, 64);

    for (int i = 0; i < n && udp->base.dev.n_addrs < IO_MAX_ADDRS; i++) {
        int code;

        if (made_by_us(env, all[i].ifname) || port_taken(env, all[i].addr.ip) ||
            port_has_ip(&udp->base, all[i].addr.ip)) {
            continue;
        }
        code = add_socket(env, udp, &all[i].addr);
        if (code != 0 && code != -EADDRNOTAVAIL) {
            return code;
        }
    }
    if (udp->base.dev.n_addrs == 0) {
        return port_fail(env, -EADDRNOTAVAIL,
                         "udp: this host has no address but loopback: use udp:127.0.0.1 "
                         "or 'ip address add'");
    }
    return 0;
}

int port_udp_open(struct port **out, const struct port_env *env, const char *address)
{
    static const struct port_ops ops = {udp_rx, udp_tx, udp_wait, udp_close, NULL};
    struct port_udp *udp = port_alloc(env, sizeof(*udp), &ops, "udp", "udp");
    struct io_addr addr;
    int code;

    if (udp == NULL) {
        return -ENOMEM;
    }
    udp->base.dev.preference = UDP_PREFERENCE;
    udp->base.dev.n_tx_queues = (uint16_t)env->conf->n_lanes; /* the kernel's sockets */
    udp->base.dev.likes_runs = true;
    udp->gso = true;
    if (address == NULL) {
        code = add_all(env, udp);
    } else {
        code = parse_address(env, address, &addr);
        code = code == 0 ? add_socket(env, udp, &addr) : code;
    }
    if (code != 0) {
        udp_close(&udp->base);
        return code;
    }
    *out = &udp->base;
    return 0;
}
