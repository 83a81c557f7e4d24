/* The "af_xdp:IFACE" device: AF_XDP beside the kernel on an interface that exists. Its
 * addresses are the interface's, the kernel answers ARP and all else; only UDP to the media
 * port goes past it. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
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

/* Frames that a second queue receives would pass by the socket. */
static int check_queues(const struct port_env *env, const char *ifname)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq ifr = {.ifr_data = (void *)&channels};
    unsigned n = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", ifname);
    if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &ifr) == 0) {
        n = channels.combined_count + channels.rx_count;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (n > 1) {
        return port_fail(env, -EINVAL,
                         "af_xdp:%s: it has %u receive queues, one is served: 'ethtool -L "
                         "%s combined 1' (or 'rx 1')",
                         ifname, n, ifname);
    }
    return 0;
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

/* Holds the media port of an address with a kernel socket: the program takes what is for
 * it, so no other program of the host may listen there, and none may start to. */
static int reserve(struct port_xdp *xdp, const struct port_env *env,
                   const struct io_addr *addr)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(env->conf->media_port)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char text[INET6_ADDRSTRLEN];
    int code = 0, one = 1;

    if (fd < 0) {
        return 0; /* no IPv6 here: nothing is held, nothing is lost */
    }
    memcpy(&in6.sin6_addr, addr->ip, 16);
    if (bind(fd, (struct sockaddr *)&in6, sizeof(in6)) != 0) {
        code = -errno;
        close(fd);
        return port_fail(env, code,
                         "af_xdp: %s port %u: %s: 'ss -ulnp sport = :%u' shows by whom it "
                         "is used",
                         port_ip_text(addr->ip, text), env->conf->media_port,
                         strerror(-code), env->conf->media_port);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
    xdp->reserve_fds[xdp->n_reserved++] = fd;
    return 0;
}

static int add_addresses(struct port_xdp *xdp, const struct port_env *env,
                         const char *ifname)
{
    struct host_addr addrs[IO_MAX_ADDRS];
    int n = addrs_list(ifname, addrs, IO_MAX_ADDRS);

    for (int i = 0; i < n; i++) {
        int code = reserve(xdp, env, &addrs[i].addr);

        if (code != 0) {
            return code;
        }
        port_add_addr(&xdp->base, addrs[i].addr.family, addrs[i].addr.ip);
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
    code = port_xdp_lock(xdp, env, ifname);
    code = code == 0 ? check_queues(env, ifname) : code;
    code = code == 0 ? clear_program(env, ifname, link.index, link.xdp_prog_id) : code;
    code = code == 0 ? add_addresses(xdp, env, ifname) : code;
    return code == 0 ? port_xdp_start(xdp, env, ifname) : code;
}

int port_af_xdp_open(struct port **out, const struct port_env *env, const char *ifname)
{
    static const struct port_ops ops = {port_xdp_rx, port_xdp_tx, port_xdp_wait,
                                        af_xdp_close};
    struct port_xdp *xdp = port_alloc(env, sizeof(*xdp), &ops, "af_xdp", ifname);
    int code;

    if (xdp == NULL) {
        return -ENOMEM;
    }
    xdp->fd = -1;
    xdp->lock_fd = -1;
    xdp->base.dev.preference = AF_XDP_PREFERENCE;
    code = af_xdp_open(xdp, env, ifname);
    if (code != 0) {
        af_xdp_close(&xdp->base);
        return code;
    }
    *out = &xdp->base;
    return 0;
}
