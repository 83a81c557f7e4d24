/* The "veth" device: a private pair, the host on one end, AF_XDP on the other, where the
 * dataplane owns one IPv4 and one IPv6 address. A browser on this host reaches it; nothing
 * else of the host is touched.
 *
 * Both link addresses are fixed: a restarted dataplane is the same neighbour as before, so
 * paths kept in the vault stay good. They are also the mark by which a pair is known to be
 * ours, set in the same request that makes it, so a kill cannot leave an unmarked one. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "io/port_xdp.h"
#include "io/rtnl.h"

enum { VETH_NAME_MAX = 12, VETH_PREFERENCE = 60000 };

static const uint8_t host_mac[6] = {0x02, 'K', 'C', 'S', 0, 1};
static const uint8_t far_mac[6] = {0x02, 'K', 'C', 'S', 0, 2};

/* One configured network: the host has the first address of it, the dataplane the second.
 */
struct veth_net {
    uint8_t host[16]; /* 4 or 16 bytes */
    uint8_t ours[16];
    uint8_t prefix_len;
};

static int parse_net(const struct port_env *env, int family, const char *text,
                     struct veth_net *out)
{
    size_t len = family == 4 ? 4 : 16;
    int af = family == 4 ? AF_INET : AF_INET6;
    const char *slash = strchr(text, '/');
    char ip[INET6_ADDRSTRLEN] = "";
    char *end = NULL;
    long bits = slash != NULL ? strtol(slash + 1, &end, 10) : -1;

    if (slash != NULL && (size_t)(slash - text) < sizeof(ip)) {
        memcpy(ip, text, (size_t)(slash - text));
    }
    if (inet_pton(af, ip, out->host) != 1 || end == slash + 1 || *end != '\0' || bits < 8 ||
        bits > (long)len * 8 - 2 || (out->host[len - 1] & 3) != 0) {
        return port_fail(env, -EINVAL,
                         "veth: '%s' is not an IPv%d network of at least four addresses, "
                         "like %s",
                         text, family,
                         family == 4 ? "10.75.67.0/30" : "fd4b:4353:6b63::/64");
    }
    memcpy(out->ours, out->host, 16);
    out->host[len - 1] = (uint8_t)(out->host[len - 1] + 1);
    out->ours[len - 1] = (uint8_t)(out->ours[len - 1] + 2);
    out->prefix_len = (uint8_t)bits;
    return 0;
}

/* A network that the host reaches by more than its default route is somebody's. */
static int check_free(const struct port_env *env, int family, const char *text,
                      const struct veth_net *net)
{
    if (rtnl_route_prefix_len(family, net->ours) > 0) {
        return port_fail(env, -EINVAL,
                         "veth: the host has a route to %s already ('ip route get' shows "
                         "it): set another veth.ipv%d",
                         text, family);
    }
    return 0;
}

/* Deletes another pair that a killed predecessor left; refuses any other interface. */
static int clear_leftover(const struct port_env *env, const char *name)
{
    struct rtnl_link link;

    if (rtnl_link_get(name, &link) != 0) {
        return 0;
    }
    if (strcmp(link.kind, "veth") != 0 || memcmp(link.mac, host_mac, 6) != 0) {
        return port_fail(env, -EEXIST,
                         "veth: there is an interface %s that is not ours: set another "
                         "veth.name",
                         name);
    }
    return rtnl_link_delete(link.index);
}

/* True if the pair of a killed predecessor is there and has the addresses that we want: it
 * is used again, for to delete it would take the host's sockets their path for seconds. */
static bool is_left_for_us(const char *name, const char *far, const struct veth_net *v4)
{
    struct rtnl_link host_link, far_link;

    return rtnl_link_get(name, &host_link) == 0 && strcmp(host_link.kind, "veth") == 0 &&
           memcmp(host_link.mac, host_mac, 6) == 0 && rtnl_link_get(far, &far_link) == 0 &&
           memcmp(far_link.mac, far_mac, 6) == 0 &&
           rtnl_addr_add(host_link.index, 4, v4->host, v4->prefix_len) == -EEXIST &&
           bpf_xdp_detach(far_link.index, 0, NULL) == 0; /* its program, too, is left */
}

static void unmake(const char *name)
{
    struct rtnl_link link;

    if (rtnl_link_get(name, &link) == 0 && memcmp(link.mac, host_mac, 6) == 0) {
        (void)rtnl_link_delete(link.index); /* takes the far end with it */
    }
}

static int make_pair(const struct port_env *env, const char *name, const char *far)
{
    struct rtnl_link host_link = {0}, far_link = {0};
    int code = rtnl_veth_create(name, host_mac, far, far_mac);

    code = code == 0 ? rtnl_link_get(name, &host_link) : code;
    code = code == 0 ? rtnl_link_get(far, &far_link) : code;
    code = code == 0 ? rtnl_link_up(host_link.index) : code;
    code = code == 0 ? rtnl_link_up(far_link.index) : code;
    if (code == -EPERM) {
        return port_fail(env, code,
                         "veth: no right to make %s: run as root, or with CAP_NET_ADMIN",
                         name);
    }
    if (code == -EOPNOTSUPP) {
        return port_fail(env, code, "veth: this kernel has no veth: 'modprobe veth'");
    }
    if (code != 0) {
        return port_fail(env, code, "veth: cannot make the pair %s, %s: %s", name, far,
                         strerror(-code));
    }
    return 0;
}

static int add_net(struct port_xdp *xdp, const struct port_env *env, int family,
                   const struct veth_net *net)
{
    struct rtnl_link link;
    uint8_t ip[16];
    int code = rtnl_link_get(xdp->eth.base.dev.name, &link);

    code = code == 0 ? rtnl_addr_add(link.index, family, net->host, net->prefix_len) : code;
    code = code == -EEXIST ? 0 : code; /* a pair that is used again */
    if (code != 0 && family == 6) {
        return 0; /* IPv6 is switched off on this host: IPv4 alone will do */
    }
    if (code != 0) {
        return port_fail(env, code, "veth: cannot give %s its address: %s",
                         xdp->eth.base.dev.name, strerror(-code));
    }
    if (family == 4) {
        path_map_v4(ip, net->ours);
        memcpy(xdp->eth.neigh.v4, net->ours, 4);
        xdp->eth.neigh.has_v4 = true;
    } else {
        memcpy(ip, net->ours, 16);
        memcpy(xdp->eth.neigh.v6, net->ours, 16);
        xdp->eth.neigh.has_v6 = true;
    }
    port_add_addr(&xdp->eth.base, (uint8_t)family, ip);
    return 0;
}

static int open_pair(struct port_xdp *xdp, const struct port_env *env, bool *made)
{
    const struct io_conf *conf = env->conf;
    const char *name = xdp->eth.base.dev.name;
    const char *v4_text = conf->veth_ipv4 != NULL ? conf->veth_ipv4 : "10.75.67.0/30";
    const char *v6_text = conf->veth_ipv6 != NULL ? conf->veth_ipv6 : "fd4b:4353:6b63::/64";
    struct veth_net v4 = {{0}, {0}, 0}, v6 = {{0}, {0}, 0};
    char far[IO_NAME_LEN];
    int code = parse_net(env, 4, v4_text, &v4);

    snprintf(far, sizeof(far), "%.12s-dp", name);
    code = code == 0 ? parse_net(env, 6, v6_text, &v6) : code;
    code = code == 0 ? port_xdp_check(env, "veth") : code;
    code = code == 0 ? port_xdp_lock(xdp, env, name) : code;
    if (code == 0 && is_left_for_us(name, far, &v4)) {
        *made = true;
    } else {
        code = code == 0 ? clear_leftover(env, name) : code;
        code = code == 0 ? check_free(env, 4, v4_text, &v4) : code;
        code = code == 0 ? check_free(env, 6, v6_text, &v6) : code;
        if (code == 0) {
            code = make_pair(env, name, far);
            *made = code != -EEXIST; /* the far name may be somebody's, too */
        }
    }
    code = code == 0 ? add_net(xdp, env, 4, &v4) : code;
    code = code == 0 ? add_net(xdp, env, 6, &v6) : code;
    return code == 0 ? port_xdp_start(xdp, env, far, 1, 1) : code;
}

static void veth_close(struct port *port)
{
    struct port_xdp *xdp = (struct port_xdp *)port;
    int lock_fd = xdp->lock_fd;

    xdp->lock_fd = -1; /* held until the pair is gone */
    port_xdp_fini(xdp);
    unmake(port->dev.name);
    if (lock_fd >= 0) {
        close(lock_fd);
    }
    free(port);
}

int port_veth_open(struct port **out, const struct port_env *env)
{
    static const struct port_ops ops = {port_eth_rx, port_eth_tx, port_eth_wait,
                                        veth_close, port_xdp_state};
    const char *name = env->conf->veth_name != NULL ? env->conf->veth_name : "kcs0";
    struct port_xdp *xdp;
    bool made = false;
    int code;

    if (name[0] == '\0' || strlen(name) > VETH_NAME_MAX) {
        return port_fail(env, -EINVAL, "veth: the name '%s' must have 1 to %d characters",
                         name, VETH_NAME_MAX);
    }
    xdp = port_xdp_alloc(env, &ops, "veth", name);
    if (xdp == NULL) {
        return -ENOMEM;
    }
    xdp->eth.answers = true;
    xdp->eth.base.dev.preference = VETH_PREFERENCE;
    code = open_pair(xdp, env, &made);
    if (code == 0) {
        memcpy(xdp->eth.neigh.mac, xdp->eth.base.dev.mac, 6);
        *out = &xdp->eth.base;
        return 0;
    }
    if (made) {
        veth_close(&xdp->eth.base);
    } else {
        port_xdp_fini(xdp);
        free(xdp);
    }
    return code;
}
