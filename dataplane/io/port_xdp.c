/* See port_xdp.h. DPDK's driver does the rings; this file attaches, directs and undoes. */
#include "io/port_xdp.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
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
#include "io/rtnl.h"
#include "sfu/base/bytes.h"

enum {
    XDP_RING = 2048, /* the driver's fill and completion rings have a fixed size like it */
    XDP_LANE = 512,  /* a lane's cache of the pool (384 at most), and what it has in hand */
    XDP_MAX_FDS = 1024, /* of this process at start */
    XDP_RELEASE_US = 10000,
    XDP_RELEASE_TRIES = 100
};

/* Mirrored by struct socket_key in xdp/kcs_xdp.bpf.c. */
struct xdp_socket_key {
    uint8_t ip[16];
    uint8_t port_be[2];
    uint8_t pad[2];
};

struct port_xdp *port_xdp_alloc(const struct port_env *env, const struct port_ops *ops,
                                const char *kind, const char *name)
{
    struct port_xdp *xdp = port_alloc(env, sizeof(*xdp), ops, kind, name);

    if (xdp != NULL) {
        port_eth_queues(&xdp->eth, env, 1, 1);
        xdp->lock_fd = -1;
        for (unsigned i = 0; i < IO_MAX_LANES; i++) {
            xdp->instances[i].fd = -1;
        }
    }
    return xdp;
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
                         xdp->eth.base.dev.kind, ifname);
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

static bool is_zero_copy(int fd)
{
    struct xdp_options options = {0};
    socklen_t len = sizeof(options);

    return getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0 &&
           (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
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

static void instance_name(const struct port_xdp *xdp, unsigned queue, char name[32])
{
    snprintf(name, 32, "net_af_xdp%u_%u", xdp->eth.base.index, queue);
}

static int driver_open(struct port_xdp *xdp, const struct port_env *env, const char *ifname,
                       unsigned queue)
{
    struct xdp_instance *instance = &xdp->instances[queue];
    struct rte_eth_conf conf = {0};
    char name[32], args[512];
    int code;

    instance_name(xdp, queue, name);
    /* With copies busy polling is off: the driver would make a system call for every empty
     * poll. Without copies it has to be on: whenever a queue ran out of buffers, the
     * driver's receive would else sleep for up to a second. */
    snprintf(args, sizeof(args), "iface=%s,start_queue=%u,xdp_prog=%s,%s", ifname, queue,
             env->conf->xdp_object,
             xdp->zero_copy ? "busy_budget=64" : "busy_budget=0,force_copy=1");
    eal_log_clear();
    code = rte_eal_hotplug_add("vdev", name, args);
    if (code != 0) {
        return code;
    }
    instance->probed = true;
    code = rte_eth_dev_get_port_by_name(name, &instance->port_id);
    if (code != 0) {
        return code;
    }
    instance->configured = true;
    xdp->eth.hw[queue].port_id = instance->port_id;
    code = rte_eth_dev_configure(instance->port_id, 1, 1, &conf);
    if (code == 0) {
        code = rte_eth_rx_queue_setup(instance->port_id, 0, XDP_RING, 0, NULL,
                                      xdp->eth.base.pool);
    }
    if (code == 0) {
        code = rte_eth_tx_queue_setup(instance->port_id, 0, XDP_RING, 0, NULL);
    }
    if (code == 0) {
        code = rte_eth_dev_start(instance->port_id);
    }
    return code;
}

/* The maps of the program that is attached last. */
struct xdp_maps {
    int all;
    int sockets;
    int xsks;
};

/* Opens the driver on one queue and finds its socket, and the maps of its program. */
static int instance_open(struct port_xdp *xdp, const struct port_env *env,
                         const char *ifname, unsigned queue, struct xdp_maps *maps)
{
    struct xdp_instance *instance = &xdp->instances[queue];
    int before[XDP_MAX_FDS], after[XDP_MAX_FDS];
    unsigned n_before = list_fds(before, XDP_MAX_FDS), n_after;
    struct stat st;
    int code;

    code = driver_open(xdp, env, ifname, queue);
    if (code != 0) {
        return port_fail(env, code < 0 ? code : -EIO,
                         "%s: AF_XDP does not open on queue %u of %s (%s): use udp, or see "
                         "'ip -d link show %s'",
                         xdp->eth.base.dev.kind, queue, ifname,
                         eal_log_first()[0] != '\0' ? eal_log_first() : strerror(abs(code)),
                         ifname);
    }
    *maps = (struct xdp_maps){-1, -1, -1};
    n_after = list_fds(after, XDP_MAX_FDS);
    for (unsigned i = 0; i < n_after; i++) {
        if (fd_in(after[i], before, n_before)) {
            continue;
        }
        if (is_xsk(after[i])) {
            instance->fd = after[i];
        } else if (is_map(after[i], "media_all")) {
            maps->all = after[i];
        } else if (is_map(after[i], "media_sockets")) {
            maps->sockets = after[i];
        } else if (is_map(after[i], "xsks_map")) {
            maps->xsks = after[i];
        }
    }
    if (instance->fd < 0 || fstat(instance->fd, &st) != 0) {
        return port_fail(env, -ENOENT, "%s: the AF_XDP socket on %s is not to be found",
                         xdp->eth.base.dev.kind, ifname);
    }
    instance->fd_inode = st.st_ino;
    code = port_eth_wake_by(&xdp->eth, queue, instance->fd);
    return code == 0 ? 0
                     : port_fail(env, code, "%s: cannot wait for packets: %s",
                                 xdp->eth.base.dev.kind, strerror(-code));
}

static void instance_close(struct port_xdp *xdp, unsigned queue)
{
    struct xdp_instance *instance = &xdp->instances[queue];
    struct stat st;

    if (instance->configured) {
        rte_eth_dev_stop(instance->port_id);
        rte_eth_dev_close(instance->port_id); /* detaches the program */
    }
    if (instance->probed) {
        char name[32];

        instance_name(xdp, queue, name);
        rte_eal_hotplug_remove("vdev", name);
    }
    /* The driver of 22.11 forgets to close a socket whose memory is not shared. */
    if (instance->fd >= 0 && is_xsk(instance->fd) && fstat(instance->fd, &st) == 0 &&
        st.st_ino == instance->fd_inode) {
        close(instance->fd);
    }
}

/* Tells the program what is ours. */
static int direct(struct port_xdp *xdp, const struct xdp_maps *maps)
{
    struct xdp_socket_key key = {0};
    uint32_t zero = 0, one = 1;
    uint8_t yes = 1;
    int code = 0;

    if (maps->all < 0 || maps->sockets < 0 || maps->xsks < 0) {
        return -ENOENT;
    }
    /* the driver has put in the last socket only */
    for (uint32_t queue = 0; queue + 1 < xdp->n_instances && code == 0; queue++) {
        code = bpf_map_update_elem(maps->xsks, &queue, &xdp->instances[queue].fd, BPF_ANY);
    }
    if (xdp->eth.answers) {
        return code == 0 ? bpf_map_update_elem(maps->all, &zero, &one, BPF_ANY) : code;
    }
    store_be16(key.port_be, xdp->eth.base.dev.media_port);
    for (unsigned i = 0; i < xdp->eth.base.dev.n_addrs && code == 0; i++) {
        memcpy(key.ip, xdp->eth.base.dev.addrs[i].ip, 16);
        code = bpf_map_update_elem(maps->sockets, &key, &yes, BPF_ANY);
    }
    return code;
}

/* As instance_open(). If zero copy is asked for and this is the first queue, what the kernel
 * granted decides for all: a driver without it is opened again as one that copies. */
static int queue_open(struct port_xdp *xdp, const struct port_env *env, const char *ifname,
                      unsigned queue, struct xdp_maps *maps)
{
    int code = instance_open(xdp, env, ifname, queue, maps), tries = 0;

    if (code != 0 || !xdp->zero_copy || is_zero_copy(xdp->instances[queue].fd)) {
        return code;
    }
    if (queue > 0) {
        return port_fail(env, -EIO,
                         "%s: %s has zero copy on queue 0, but not on queue %u: leave "
                         "'zero_copy' out of media.options",
                         xdp->eth.base.dev.kind, ifname, queue);
    }
    xdp->zero_copy = false;
    xdp->eth.base.dev.no_zero_copy = true;
    do { /* the kernel lets go of the queue some time after its socket is closed */
        instance_close(xdp, queue);
        xdp->instances[queue] = (struct xdp_instance){.fd = -1};
        if (tries > 0) {
            usleep(XDP_RELEASE_US);
        }
        code = instance_open(xdp, env, ifname, queue, maps);
    } while (code != 0 && ++tries < XDP_RELEASE_TRIES);
    return code;
}

/* What those open already may still come to hold: frames that the kernel has to send. */
static unsigned owed(const struct port_env *env)
{
    unsigned n = 0;

    for (unsigned i = 0; i < env->n_ports; i++) {
        const struct port *port = env->ports[i];

        if (strcmp(port->dev.kind, "veth") == 0 || strcmp(port->dev.kind, "af_xdp") == 0) {
            n += ((const struct port_eth *)port)->n_hw * (unsigned)XDP_RING;
        }
    }
    return n;
}

/* A queue takes all of its ring at start and keeps it; with nothing left for frames to send
 * and for the lanes, the kernel would soon get no buffers back and the node would be deaf. */
static int check_room(const struct port_xdp *xdp, const struct port_env *env,
                      const char *ifname, unsigned n_rx)
{
    const unsigned left = rte_mempool_avail_count(env->pool);
    const unsigned need = n_rx * 2 * XDP_RING + env->conf->n_lanes * XDP_LANE + owed(env);

    if (n_rx <= IO_MAX_LANES && need <= left) {
        return 0;
    }
    return port_fail(env, -ENOMEM,
                     "%s: %s has %u receive queues, and takes %d packets each to receive "
                     "and as many to send, %d for each lane: %u in all, %u are left: raise "
                     "memory.packets, or 'ethtool -L %s' gives it fewer queues",
                     xdp->eth.base.dev.kind, ifname, n_rx, XDP_RING, XDP_LANE, need, left,
                     ifname);
}

/* The driver takes a veth for a device of one queue, so it is opened once a queue; each
 * time it loads the program anew and wants to attach it to a bare interface. All programs
 * but the last are therefore taken off again, and the last one is told of every socket. */
int port_xdp_start(struct port_xdp *xdp, const struct port_env *env, const char *ifname,
                   unsigned n_rx, unsigned n_tx)
{
    struct xdp_maps maps = {-1, -1, -1};
    int code = check_room(xdp, env, ifname, n_rx);
    if (code != 0) {
        return code;
    }
    xdp->ifindex = (int)if_nametoindex(ifname);
    port_eth_queues(&xdp->eth, env, n_rx, n_tx);
    for (unsigned queue = 0; queue < n_rx && code == 0; queue++) {
        if (queue > 0) {
            code = bpf_xdp_detach(xdp->ifindex, 0, NULL);
        }
        xdp->n_instances = queue + 1;
        code = code == 0 ? queue_open(xdp, env, ifname, queue, &maps)
                         : port_fail(env, code, "%s: %s: %s", xdp->eth.base.dev.kind,
                                     ifname, strerror(abs(code)));
    }
    if (code != 0) {
        return code;
    }
    code = direct(xdp, &maps);
    if (code != 0) {
        return port_fail(env, code, "%s: '%s' is not our XDP program (%s)",
                         xdp->eth.base.dev.kind, env->conf->xdp_object,
                         strerror(abs(code)));
    }
    rte_eth_macaddr_get(xdp->instances[0].port_id,
                        (struct rte_ether_addr *)xdp->eth.base.dev.mac);
    xdp->eth.base.dev.needs_headers = true;
    xdp->eth.base.dev.zero_copy = xdp->zero_copy;
    return 0;
}

enum io_state port_xdp_state(const struct port *port)
{
    const struct port_xdp *xdp = (const struct port_xdp *)port;
    char name[IF_NAMESIZE];
    struct rtnl_link link;

    if (if_indextoname((unsigned)xdp->ifindex, name) == NULL) {
        return errno == ENXIO ? IO_GONE : IO_WORKS; /* else it could not be asked */
    }
    if (rtnl_link_get(name, &link) != 0 || link.index != xdp->ifindex) {
        return IO_WORKS; /* the next look will tell */
    }
    return link.xdp_prog_id == 0 ? IO_GONE : link.up ? IO_WORKS : IO_DOWN;
}

void port_xdp_fini(struct port_xdp *xdp)
{
    port_eth_fini(&xdp->eth);
    for (unsigned queue = 0; queue < xdp->n_instances; queue++) {
        instance_close(xdp, queue);
    }
    for (unsigned i = 0; i < xdp->n_reserved; i++) {
        close(xdp->reserve_fds[i]);
    }
    if (xdp->lock_fd >= 0) {
        close(xdp->lock_fd);
    }
}
