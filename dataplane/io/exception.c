/* See exception.h. */
#include "io/exception.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "io/addrs.h"
#include "io/eal.h"
#include "io/port_eth.h"
#include "io/rtnl.h"

/* The driver's way to say how many pieces a frame may lie in; all of ours fit one. */
enum { TAP_DESC = 8 };

static int driver_open(struct exception *exception, const struct port *port)
{
    const uint8_t *mac = port->dev.mac;
    char args[96];
    int code;

    snprintf(exception->ifname, sizeof(exception->ifname), "kcsx%u", port->index);
    snprintf(exception->name, sizeof(exception->name), "net_tap_kcsx%u", port->index);
    snprintf(args, sizeof(args), "iface=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x",
             exception->ifname, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    eal_log_clear();
    code = rte_eal_hotplug_add("vdev", exception->name, args);
    if (code != 0) {
        return code;
    }
    exception->probed = true;
    code = rte_eth_dev_get_port_by_name(exception->name, &exception->port_id);
    if (code != 0) {
        return code;
    }
    exception->configured = true;
    exception->n_queues =
        port->dev.n_queues < PORT_TAP_QUEUES ? port->dev.n_queues : PORT_TAP_QUEUES;
    return port_eth_start(exception->port_id, port->pool, exception->n_queues, TAP_DESC,
                          NULL);
}

static int add_net(int index, int family, const struct exception_net *net)
{
    int code = rtnl_addr_add(index, family, net->ip, net->prefix_len);

    if (code == 0 && net->has_gateway) {
        code = rtnl_route_default(index, family, net->gateway);
    }
    return code;
}

static int configure(struct exception *exception, const struct port_env *env,
                     const struct port *port, const struct exception_net *v4,
                     const struct exception_net *v6)
{
    struct rtnl_link link = {0};
    int code = rtnl_link_get(exception->ifname, &link);

    code = code == 0 ? rtnl_link_up(link.index) : code;
    code = code == 0 && v4->present ? add_net(link.index, 4, v4) : code;
    code = code == 0 && v6->present ? add_net(link.index, 6, v6) : code;
    if (code != 0) {
        return port_fail(
            env, code, "%s %s: cannot give the tap %s its addresses and routes: %s",
            port->dev.kind, port->dev.name, exception->ifname, strerror(-code));
    }
    for (unsigned i = 0; i < port->dev.n_addrs; i++) {
        int fd = addrs_reserve(env, &port->dev.addrs[i]);

        if (fd < 0) {
            return fd;
        }
        exception->reserve_fds[exception->n_reserved++] = fd;
    }
    return 0;
}

int exception_open(struct exception *exception, const struct port_env *env,
                   const struct port *port, const struct exception_net *v4,
                   const struct exception_net *v6)
{
    int code = driver_open(exception, port);

    if (code != 0) {
        return port_fail(env, code < 0 ? code : -EIO,
                         "%s %s: cannot make the tap %s (%s): it needs /dev/net/tun and "
                         "CAP_NET_ADMIN, or set 'exception: none'",
                         port->dev.kind, port->dev.name, exception->ifname,
                         eal_log_first()[0] != '\0' ? eal_log_first()
                                                    : strerror(code < 0 ? -code : EIO));
    }
    return configure(exception, env, port, v4, v6);
}

void exception_close(struct exception *exception)
{
    for (unsigned i = 0; i < exception->n_reserved; i++) {
        close(exception->reserve_fds[i]);
    }
    if (exception->configured) {
        rte_eth_dev_stop(exception->port_id);
        rte_eth_dev_close(exception->port_id);
    }
    if (exception->probed) {
        rte_eal_hotplug_remove("vdev", exception->name);
    }
}
