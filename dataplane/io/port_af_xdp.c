/* The "af_xdp:IFACE" device: AF_XDP beside the kernel on an interface that exists. Its
 * addresses are the interface's, the kernel answers ARP and all else; only UDP to the media
 * port goes past it. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "io/addrs.h"
#include "io/port_xdp.h"
#include "io/rtnl.h"

enum { AF_XDP_PREFERENCE = 50000 };

static const char xdp_prog_name[] = "kcs_xdp"; /* its function's name, for the kernel */

/* Each receive queue gets a socket of its own: what arrives on one without would go to the
 * kernel. */
static void count_queues(const char *ifname, unsigned *n_rx, unsigned *n_tx)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq ifr = {.ifr_data = (void *)&channels};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", ifname);
    if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &ifr) == 0) {
        *n_rx = channels.combined_count + channels.rx_count;
        *n_tx = channels.combined_count + channels.tx_count;
    }
    *n_rx = *n_rx > 0 ? *n_rx : 1;
    *n_tx = *n_tx > 0 ? *n_tx : 1;
    if (fd >= 0) {
        close(fd);
    }
}

/* A program left by a killed predecessor is taken off (the lock says that it is dead), a
 * foreign one stays and is an error. */
static int clear_program(const struct port_env *env, const char *ifname, int ifindex,
                         uint32_t prog_id)
{
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info), left = 0;
    int fd;

    if (prog_id == 0) {
        return 0;
    }
    fd = bpf_prog_get_fd_by_id(prog_id);
    if (fd >= 0) {
        (void)bpf_obj_get_info_by_fd(fd, &info, &len);
        close(fd);
    }
    if (strcmp(info.name, xdp_prog_name) == 0 && bpf_xdp_detach(ifindex, 0, NULL) == 0 &&
        bpf_xdp_query_id(ifindex, 0, &left) == 0 && left == 0) {
        return 0;
    }
    return port_fail(env, -EBUSY,
                     "af_xdp:%s: it has an XDP program already (%s, id %u): 'ip link set "
                     "dev %s xdp off' takes it off",
                     ifname, info.name[0] != '\0' ? info.name : "not readable", prog_id,
                     ifname);
}

static void af_xdp_close(struct port *port)
{
    port_xdp_fini((struct port_xdp *)port);
    free(port);
}

static int add_addresses(struct port_xdp *xdp, const struct port_env *env,
                         const char *ifname)
{
    struct host_addr addrs[IO_MAX_ADDRS];
    int n = addrs_list(ifname, addrs, IO_MAX_ADDRS);

    for (int i = 0; i < n; i++) {
        int fd = addrs_reserve(env, &addrs[i].addr);

        if (fd < 0) {
            return fd;
        }
        xdp->reserve_fds[xdp->n_reserved++] = fd;
        port_add_addr(&xdp->eth.base, addrs[i].addr.family, addrs[i].addr.ip);
    }
    if (n <= 0) {
        return port_fail(env, -EADDRNOTAVAIL,
                         "af_xdp:%s: it has no address but link-local ones: 'ip address "
                         "add ADDRESS/LEN dev %s'",
                         ifname, ifname);
    }
    return 0;
}

static int af_xdp_open(struct port_xdp *xdp, const struct port_env *env, const char *ifname)
{
    unsigned n_rx = 1, n_tx = 1;
    char spec[sizeof("af_xdp:") + IO_NAME_LEN];
    struct rtnl_link link;
    int code = port_xdp_check(env, "af_xdp");

    if (code != 0) {
        return code;
    }
    if (strlen(ifname) >= IO_NAME_LEN || rtnl_link_get(ifname, &link) != 0) {
        return port_fail(env, -ENODEV,
                         "af_xdp:%s: there is no such interface: 'ip link' "
                         "lists them",
                         ifname);
    }
    if (!link.up) {
        return port_fail(env, -ENETDOWN, "af_xdp:%s: it is down: 'ip link set %s up'",
                         ifname, ifname);
    }
    snprintf(spec, sizeof(spec), "af_xdp:%s", ifname);
    xdp->zero_copy = port_options(env, spec)->zero_copy;
    code = port_xdp_lock(xdp, env, ifname);
    code = code == 0 ? clear_program(env, ifname, link.index, link.xdp_prog_id) : code;
    code = code == 0 ? add_addresses(xdp, env, ifname) : code;
    count_queues(ifname, &n_rx, &n_tx);
    return code == 0 ? port_xdp_start(xdp, env, ifname, n_rx, n_tx) : code;
}

int port_af_xdp_open(struct port **out, const struct port_env *env, const char *ifname)
{
    static const struct port_ops ops = {port_eth_rx, port_eth_tx, port_eth_wait,
                                        af_xdp_close, port_xdp_state};
    struct port_xdp *xdp = port_xdp_alloc(env, &ops, "af_xdp", ifname);
    int code;

    if (xdp == NULL) {
        return -ENOMEM;
    }
    xdp->eth.base.dev.preference = AF_XDP_PREFERENCE;
    code = af_xdp_open(xdp, env, ifname);
    if (code != 0) {
        af_xdp_close(&xdp->eth.base);
        return code;
    }
    *out = &xdp->eth.base;
    return 0;
}
