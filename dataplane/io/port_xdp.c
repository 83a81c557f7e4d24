/* See port_xdp.h. DPDK's driver does the rings; this file attaches, directs and undoes. */
#include "io/port_xdp.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "io/eal.h"
#include "io/ether.h"
#include "io/mbuf.h"
#include "sfu/base/bytes.h"

enum {
    XDP_RING = 2048,  /* the driver's fill and completion rings have a fixed size like it */
    XDP_MAX_FDS = 256 /* of this process at start */
};

/* Mirrored by struct socket_key in xdp/kcs_xdp.bpf.c. */
struct xdp_socket_key {
    uint8_t ip[16];
    uint8_t port_be[2];
    uint8_t pad[2];
};

/* ---- bursts ---------------------------------------------------------------- */

static void mbuf_set_data(struct rte_mbuf *mbuf, const uint8_t *data, uint16_t len)
{
    mbuf->data_off = (uint16_t)(data - (const uint8_t *)mbuf->buf_addr);
    mbuf->data_len = len;
    mbuf->pkt_len = len;
}

/* Answers the frame if it is for us to do, and takes it. */
static bool answer(struct port_xdp *xdp, unsigned queue, struct rte_mbuf *mbuf)
{
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    size_t cap = (size_t)mbuf->buf_len - mbuf->data_off;
    size_t len = neigh_answer(&xdp->neigh, frame, mbuf->data_len, cap);

    if (len == 0) {
        return false;
    }
    mbuf_set_data(mbuf, frame, (uint16_t)len);
    if (rte_eth_tx_burst(xdp->port_id, (uint16_t)queue, &mbuf, 1) != 1) {
        xdp->base.tx[queue].answers_lost++;
        rte_pktmbuf_free(mbuf);
    }
    return true;
}

/* Makes the packet of a media frame. Returns 0 or -1 - (enum io_ignored). */
static int take(struct port_xdp *xdp, struct rte_mbuf *mbuf, struct pkt *pkt)
{
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    struct ether_udp udp;
    int why = ether_parse(frame, mbuf->data_len, &pkt->path, &udp);

    if (why != 0) {
        return why;
    }
    if (!port_has_ip(&xdp->base, pkt->path.local_ip)) {
        return -1 - (int)IO_IGNORED_ADDRESS;
    }
    if (pkt->path.local_port != xdp->base.dev.media_port) {
        return -1 - (int)IO_IGNORED_PORT;
    }
    pkt->path.device = xdp->base.index;
    pkt->device = xdp->base.index;
    pkt->data = frame + udp.offset;
    pkt->len = udp.len;
    return 0;
}

uint16_t port_xdp_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                     struct io_rx_count *count)
{
    struct port_xdp *xdp = (struct port_xdp *)port;
    struct rte_mbuf *mbufs[PKT_BURST];
    uint16_t got = rte_eth_rx_burst(xdp->port_id, (uint16_t)queue, mbufs, n);
    uint16_t taken = 0;

    for (uint16_t i = 0; i < got; i++) {
        struct pkt *pkt = mbuf_to_pkt(mbufs[i]);
        int why;

        if (i + 1 < got) {
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + 1], void *));
        }
        why = take(xdp, mbufs[i], pkt);
        if (why == 0) {
            pkts[taken++] = pkt;
        } else if (xdp->all && answer(xdp, queue, mbufs[i])) {
            count->answered++;
        } else {
            count->ignored[-1 - why]++;
            rte_pktmbuf_free(mbufs[i]);
        }
    }
    count->frames += got;
    count->packets += taken;
    return taken;
}

uint16_t port_xdp_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n)
{
    struct port_xdp *xdp = (struct port_xdp *)port;
    struct rte_mbuf *mbufs[PKT_BURST];
    uint64_t sums = 0;
    uint16_t sent;

    for (uint16_t i = 0; i < n; i++) {
        mbufs[i] = pkt_to_mbuf(pkts[i]);
        mbuf_set_data(mbufs[i], pkts[i]->data, pkts[i]->len);
        sums += ether_udp6_sum(pkts[i]->data) ? 1 : 0;
    }
    sent = rte_eth_tx_burst(xdp->port_id, (uint16_t)queue, mbufs, n);
    port->tx[queue].packets += sent;
    port->tx[queue].udp6_sums += sums;
    return sent;
}

int port_xdp_wait(struct port *port, unsigned queue, struct pollfd *fds)
{
    struct port_xdp *xdp = (struct port_xdp *)port;

    (void)queue;
    fds[0] = (struct pollfd){.fd = xdp->fd, .events = POLLIN};
    return 1;
}

/* ---- checks before --------------------------------------------------------- */

int port_xdp_check(const struct port_env *env, const char *kind)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    int map;
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        int code = -errno;

        return code == -EPERM
                   ? port_fail(env, code,
                               "%s: no right to open AF_XDP sockets: run as root, or with "
                               "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK",
                               kind)
                   : port_fail(
                         env, code,
                         "%s: this kernel has no AF_XDP (CONFIG_XDP_SOCKETS): use udp",
                         kind);
    }
    close(fd);
    setrlimit(RLIMIT_MEMLOCK,
              &unlimited); /* packet memory is pinned; refused without root */
    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kcs_probe", 4, 4, 1, NULL);
    if (map < 0) {
        return port_fail(env, map,
                         "%s: no right to load BPF (%s): run as root, or with CAP_BPF and "
                         "CAP_NET_ADMIN",
                         kind, strerror(-map));
    }
    close(map);
    if (env->conf->xdp_object == NULL || access(env->conf->xdp_object, R_OK) != 0) {
        return port_fail(
            env, -ENOENT,
            "%s: the XDP program '%s' cannot be read: build the target kcs-xdp", kind,
            env->conf->xdp_object != NULL ? env->conf->xdp_object : "");
    }
    if (strpbrk(env->conf->xdp_object, ",[]=\"") != NULL) {
        return port_fail(
            env, -EINVAL,
            "%s: DPDK cannot take the path '%s': it may not contain , [ ] = \"", kind,
            env->conf->xdp_object);
    }
    return 0;
}

int port_xdp_lock(struct port_xdp *xdp, const struct port_env *env, const char *ifname)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len =
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "kcs-dataplane/%s", ifname);

    xdp->lock_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (xdp->lock_fd < 0 ||
        bind(xdp->lock_fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) != 0) {
        return port_fail(env, -EADDRINUSE,
                         "%s: another dataplane uses %s: stop it, or choose another "
                         "interface name",
                         xdp->base.dev.kind, ifname);
    }
    return 0;
}

/* ---- the driver ------------------------------------------------------------ */

/* The driver hands out neither its socket nor its maps: we find them among our own fds. */
static unsigned list_fds(int *out, unsigned cap)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *it = readdir(dir); it != NULL && n < cap; it = readdir(dir)) {
        int fd = atoi(it->d_name);

        if (it->d_name[0] != '.' && fd != dirfd(dir)) {
            out[n++] = fd;
        }
    }
    closedir(dir);
    return n;
}

static bool is_xsk(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_XDP;
}

static bool is_map(int fd, const char *name)
{
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info);
    char target[32] = "", path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof(target) - 1) < 0 ||
        strcmp(target, "anon_inode:bpf-map") != 0) {
        return false;
    }
    return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && strcmp(info.name, name) == 0;
}

static bool fd_in(int fd, const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (fds[i] == fd) {
            return true;
        }
    }
    return false;
}

static int driver_open(struct port_xdp *xdp, const struct port_env *env, const char *ifname)
{
    struct rte_eth_conf conf = {0};
    char name[32], args[512];
    int code;

    snprintf(name, sizeof(name), "net_af_xdp%u", xdp->base.index);
    /* Busy polling off: the driver would make a system call for every empty poll. Then
     * zero-copy has to be off, too: whenever such a queue ran out of buffers, the driver's
     * receive would sleep for up to a second. */
    snprintf(args, sizeof(args), "iface=%s,xdp_prog=%s,busy_budget=0,force_copy=1", ifname,
             env->conf->xdp_object);
    eal_log_clear();
    code = rte_eal_hotplug_add("vdev", name, args);
    if (code != 0) {
        return code;
    }
    xdp->probed = true;
    code = rte_eth_dev_get_port_by_name(name, &xdp->port_id);
    if (code != 0) {
        return code;
    }
    xdp->configured = true;
    code = rte_eth_dev_configure(xdp->port_id, 1, 1, &conf);
    if (code == 0) {
        code = rte_eth_rx_queue_setup(xdp->port_id, 0, XDP_RING, 0, NULL, xdp->base.pool);
    }
    if (code == 0) {
        code = rte_eth_tx_queue_setup(xdp->port_id, 0, XDP_RING, 0, NULL);
    }
    if (code == 0) {
        code = rte_eth_dev_start(xdp->port_id);
    }
    return code;
}

/* Tells the program what is ours. */
static int direct(struct port_xdp *xdp, int all_fd, int sockets_fd)
{
    struct xdp_socket_key key = {0};
    uint32_t zero = 0, one = 1;
    uint8_t yes = 1;

    if (all_fd < 0 || sockets_fd < 0) {
        return -ENOENT;
    }
    if (xdp->all) {
        return bpf_map_update_elem(all_fd, &zero, &one, BPF_ANY);
    }
    store_be16(key.port_be, xdp->base.dev.media_port);
    for (unsigned i = 0; i < xdp->base.dev.n_addrs; i++) {
        int code;

        memcpy(key.ip, xdp->base.dev.addrs[i].ip, 16);
        code = bpf_map_update_elem(sockets_fd, &key, &yes, BPF_ANY);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int port_xdp_start(struct port_xdp *xdp, const struct port_env *env, const char *ifname)
{
    int before[XDP_MAX_FDS], after[XDP_MAX_FDS];
    unsigned n_before = list_fds(before, XDP_MAX_FDS), n_after;
    int all_fd = -1, sockets_fd = -1, code;
    struct stat st;

    xdp->ifindex = (int)if_nametoindex(ifname);
    code = driver_open(xdp, env, ifname);
    if (code != 0) {
        return port_fail(env, code < 0 ? code : -EIO,
                         "%s: AF_XDP does not open on %s (%s): use udp, or see 'ip -d link "
                         "show %s'",
                         xdp->base.dev.kind, ifname,
                         eal_log_first()[0] != '\0' ? eal_log_first() : strerror(abs(code)),
                         ifname);
    }
    n_after = list_fds(after, XDP_MAX_FDS);
    for (unsigned i = 0; i < n_after; i++) {
        if (fd_in(after[i], before, n_before)) {
            continue;
        }
        if (is_xsk(after[i])) {
            xdp->fd = after[i];
        } else if (is_map(after[i], "media_all")) {
            all_fd = after[i];
        } else if (is_map(after[i], "media_sockets")) {
            sockets_fd = after[i];
        }
    }
    if (xdp->fd < 0 || fstat(xdp->fd, &st) != 0) {
        return port_fail(env, -ENOENT, "%s: the AF_XDP socket on %s is not to be found",
                         xdp->base.dev.kind, ifname);
    }
    xdp->fd_inode = st.st_ino;
    code = direct(xdp, all_fd, sockets_fd);
    if (code != 0) {
        return port_fail(env, code, "%s: '%s' is not our XDP program (%s)",
                         xdp->base.dev.kind, env->conf->xdp_object, strerror(abs(code)));
    }
    rte_eth_macaddr_get(xdp->port_id, (struct rte_ether_addr *)xdp->base.dev.mac);
    xdp->base.dev.needs_headers = true;
    return 0;
}

void port_xdp_fini(struct port_xdp *xdp)
{
    struct stat st;

    if (xdp->configured) {
        rte_eth_dev_stop(xdp->port_id);
        rte_eth_dev_close(xdp->port_id); /* detaches the program */
    }
    if (xdp->probed) {
        char name[32];

        snprintf(name, sizeof(name), "net_af_xdp%u", xdp->base.index);
        rte_eal_hotplug_remove("vdev", name);
    }
    /* The driver of 22.11 forgets to close a socket whose memory is not shared. */
    if (xdp->fd >= 0 && is_xsk(xdp->fd) && fstat(xdp->fd, &st) == 0 &&
        st.st_ino == xdp->fd_inode) {
        close(xdp->fd);
    }
    for (unsigned i = 0; i < xdp->n_reserved; i++) {
        close(xdp->reserve_fds[i]);
    }
    if (xdp->lock_fd >= 0) {
        close(xdp->lock_fd);
    }
}
