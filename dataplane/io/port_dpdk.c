/* The devices "vdev:ARGS" and "pci:ADDRESS": any driver of DPDK. The kernel does not see
 * them, so who they are is configured (struct io_options), and ARP, NDP and ping are either
 * answered here or go on to the host through a tap. Where to send to is learnt from what
 * arrives, as on every device; nothing is ever asked. */
#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "io/eal.h"
#include "io/exception.h"
#include "io/port_eth.h"

enum {
    PCI_PREFERENCE = 55000, /* of ICE; io.h */
    VDEV_PREFERENCE = 45000,
    DPDK_DESC = 1024,
    DPDK_TAP_DESC = 8 /* net_tap: the pieces of one frame, see exception.c */
};

struct port_dpdk {
    struct port_eth eth;
    struct exception exception;
    const char *bus;
    char name[64]; /* DPDK's */
    uint16_t port_id;
    bool probed;
    bool configured;
};

/* ---- options --------------------------------------------------------------- */

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* "ADDRESS" or "ADDRESS/LENGTH"; the length is the address's own if there is none. */
static bool parse_net(int family, const char *text, struct exception_net *out)
{
    const char *slash = strchr(text, '/');
    long most = family == 4 ? 32 : 128;
    long bits = most;
    char ip[INET6_ADDRSTRLEN] = "";
    char *end;

    if (slash != NULL) {
        bits = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end != '\0' || bits < 1 || bits > most) {
            return false;
        }
    }
    snprintf(ip, sizeof(ip), "%.*s", slash != NULL ? (int)(slash - text) : 45, text);
    out->present = true;
    out->prefix_len = (uint8_t)bits;
    return inet_pton(family == 4 ? AF_INET : AF_INET6, ip, out->ip) == 1;
}

static int take_net(struct port_dpdk *dpdk, const struct port_env *env, const char *spec,
                    int family, const char *text, const char *gateway,
                    struct exception_net *out)
{
    uint8_t ip[16];

    if (text[0] == '\0') {
        return gateway[0] == '\0'
                   ? 0
                   : port_fail(env, -EINVAL, "%s: gateway%d is set, and ipv%d is not", spec,
                               family, family);
    }
    if (!parse_net(family, text, out)) {
        return port_fail(env, -EINVAL, "%s: '%s' is not an IPv%d address like %s", spec,
                         text, family, family == 4 ? "192.0.2.7/24" : "2001:db8::7/64");
    }
    out->has_gateway = gateway[0] != '\0';
    if (out->has_gateway &&
        inet_pton(family == 4 ? AF_INET : AF_INET6, gateway, out->gateway) != 1) {
        return port_fail(env, -EINVAL, "%s: gateway%d: '%s' is not an IPv%d address", spec,
                         family, gateway, family);
    }
    if (family == 4) {
        path_map_v4(ip, out->ip);
        memcpy(dpdk->eth.neigh.v4, out->ip, 4);
        dpdk->eth.neigh.has_v4 = true;
    } else {
        memcpy(ip, out->ip, 16);
        memcpy(dpdk->eth.neigh.v6, out->ip, 16);
        dpdk->eth.neigh.has_v6 = true;
    }
    if (port_taken(env, ip)) {
        return port_fail(env, -EADDRINUSE, "%s: another device has the address %s too",
                         spec, text);
    }
    port_add_addr(&dpdk->eth.base, (uint8_t)family, ip);
    return 0;
}

static int take_options(struct port_dpdk *dpdk, const struct port_env *env,
                        const char *spec, const struct io_options *options,
                        struct exception_net nets[2])
{
    int code = take_net(dpdk, env, spec, 4, text_of(options->ipv4),
                        text_of(options->gateway4), &nets[0]);

    code = code == 0 ? take_net(dpdk, env, spec, 6, text_of(options->ipv6),
                                text_of(options->gateway6), &nets[1])
                     : code;
    if (code == 0 && dpdk->eth.base.dev.n_addrs == 0) {
        return port_fail(env, -EINVAL,
                         "%s: nobody knows its address: add an entry to media.options with "
                         "'device: %s' and 'ipv4: ADDRESS/LENGTH' or 'ipv6: …'",
                         spec, spec);
    }
    if (code == 0 && !dpdk->eth.has_tap && (nets[0].has_gateway || nets[1].has_gateway)) {
        return port_fail(env, -EINVAL,
                         "%s: a gateway is for the host behind 'exception: tap': answers "
                         "go back the way the question came",
                         spec);
    }
    return code;
}

/* ---- the driver ------------------------------------------------------------ */

static int pci_check(const struct port_env *env, const char *address)
{
    static const char *const good[] = {"vfio-pci", "uio_pci_generic", "igb_uio",
                                       "mlx5_core", "mlx4_core"};
    char path[96], target[PATH_MAX] = "";
    const char *driver = "no driver";
    ssize_t len;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s", address);
    if (access(path, F_OK) != 0) {
        return port_fail(env, -ENODEV,
                         "pci:%s: there is no such device: 'dpdk-devbind.py --status-dev "
                         "net' lists them, like 0000:03:00.0",
                         address);
    }
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/driver", address);
    len = readlink(path, target, sizeof(target) - 1);
    if (len > 0) {
        driver = basename(target);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (strcmp(driver, good[i]) == 0) {
            return eal_has_hugepages()
                       ? 0
                       : port_fail(env, -ENOMEM,
                                   "pci:%s: it needs hugepages: 'sysctl -w "
                                   "vm.nr_hugepages=512', and memory.hugepages not off",
                                   address);
        }
    }
    return port_fail(env, -ENODEV,
                     "pci:%s: it is bound to %s, which DPDK cannot use: 'modprobe vfio-pci "
                     "&& dpdk-devbind.py -b vfio-pci %s' (the kernel loses it)",
                     address, driver, address);
}

static bool is_tap(const struct port_dpdk *dpdk)
{
    return strncmp(dpdk->name, "net_tap", 7) == 0;
}

static bool may_make_interfaces(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    return syscall(SYS_capget, &head, data) == 0 &&
           (data[0].effective & (1u << CAP_NET_ADMIN)) != 0;
}

static int driver_probe(struct port_dpdk *dpdk, const struct port_env *env,
                        const char *spec)
{
    const char *args = strchr(spec, ':') + 1;
    size_t name_len = dpdk->bus[0] == 'v' ? strcspn(args, ",") : strlen(args);
    int code;

    if (name_len == 0 || name_len >= sizeof(dpdk->name)) {
        return port_fail(env, -EINVAL, "%s: the name of a driver is missing, like %s", spec,
                         dpdk->bus[0] == 'v' ? "vdev:net_memif0" : "pci:0000:03:00.0");
    }
    memcpy(dpdk->name, args, name_len);
    dpdk->name[name_len] = '\0';
    snprintf(dpdk->eth.base.dev.name, IO_NAME_LEN, "%.15s", dpdk->name);
    args += name_len + (args[name_len] == ',' ? 1 : 0);
    code = dpdk->bus[0] == 'p' ? pci_check(env, dpdk->name) : 0;
    if (code != 0) {
        return code;
    }
    if (rte_eth_dev_get_port_by_name(dpdk->name, &dpdk->port_id) == 0) {
        if (dpdk->bus[0] == 'v') {
            return port_fail(env, -EEXIST, "%s: there is a device %s already", spec,
                             dpdk->name);
        }
        dpdk->probed = true; /* when DPDK started */
        return 0;
    }
    eal_log_clear();
    code = rte_eal_hotplug_add(dpdk->bus, dpdk->name, args);
    dpdk->probed = code == 0;
    code = code == 0 ? rte_eth_dev_get_port_by_name(dpdk->name, &dpdk->port_id) : code;
    if (code == 0) {
        return 0;
    }
    if (is_tap(dpdk) && !may_make_interfaces()) {
        return port_fail(env, -EPERM,
                         "%s: no right to make a tap: run as root, or with CAP_NET_ADMIN",
                         spec);
    }
    return port_fail(env, code, "%s: DPDK does not open it: %s", spec,
                     eal_log_first()[0] != '\0' ? eal_log_first() : strerror(-code));
}

/* Queues are only shared out where the device says how many it has; a memif or a file has
 * as many as its other end. */
static int choose_queues(struct port_dpdk *dpdk, const struct port_env *env,
                         const char *spec, unsigned asked)
{
    bool pci = dpdk->bus[0] == 'p';
    unsigned n = asked != 0 ? asked : pci ? env->conf->n_lanes : 1;
    struct rte_eth_dev_info info;
    unsigned most;
    int code = rte_eth_dev_info_get(dpdk->port_id, &info);

    if (code != 0) {
        return port_fail(env, code, "%s: %s", spec, strerror(-code));
    }
    most =
        info.max_rx_queues < info.max_tx_queues ? info.max_rx_queues : info.max_tx_queues;
    most = most < IO_MAX_LANES ? most : IO_MAX_LANES;
    if (is_tap(dpdk) && most > PORT_TAP_QUEUES) {
        most = PORT_TAP_QUEUES;
    }
    if (asked > most) {
        return port_fail(env, -EINVAL, "%s: it has %u queues, not %u", spec, most, asked);
    }
    n = n < most ? n : most;
    port_eth_queues(&dpdk->eth, env, n, n);
    for (unsigned i = 0; i < n; i++) {
        dpdk->eth.hw[i] = (struct eth_hw){dpdk->port_id, (uint16_t)i};
    }
    return 0;
}

static int driver_start(struct port_dpdk *dpdk, const struct port_env *env,
                        const char *spec, unsigned n_queues)
{
    int code = choose_queues(dpdk, env, spec, n_queues);

    if (code != 0) {
        return code;
    }
    eal_log_clear();
    dpdk->configured = true;
    code = port_eth_start(dpdk->port_id, dpdk->eth.base.pool, dpdk->eth.n_hw,
                          is_tap(dpdk) ? DPDK_TAP_DESC : DPDK_DESC,
                          dpdk->eth.neigh.has_v6 ? &dpdk->eth.sums_udp6 : NULL);
    if (code != 0) {
        return port_fail(
            env, code < 0 ? code : -EIO, "%s: DPDK does not start it: %s", spec,
            eal_log_first()[0] != '\0' ? eal_log_first() : strerror(abs(code)));
    }
    rte_eth_macaddr_get(dpdk->port_id, (struct rte_ether_addr *)dpdk->eth.base.dev.mac);
    memcpy(dpdk->eth.neigh.mac, dpdk->eth.base.dev.mac, 6);
    return 0;
}

/* ---- open and close -------------------------------------------------------- */

static void dpdk_close(struct port *port)
{
    struct port_dpdk *dpdk = (struct port_dpdk *)port;

    exception_close(&dpdk->exception);
    port_eth_fini(&dpdk->eth);
    if (dpdk->configured) {
        rte_eth_dev_stop(dpdk->port_id);
        rte_eth_dev_close(dpdk->port_id);
    }
    if (dpdk->probed) {
        rte_eal_hotplug_remove(dpdk->bus, dpdk->name);
    }
    free(dpdk);
}

static int dpdk_open(struct port_dpdk *dpdk, const struct port_env *env, const char *spec)
{
    const struct io_options *options = port_options(env, spec);
    struct exception_net nets[2] = {{.present = false}, {.present = false}};
    struct port_eth *eth = &dpdk->eth;
    int code;

    eth->has_tap = options->exception == IO_EXCEPTION_TAP ||
                   (options->exception == IO_EXCEPTION_AUTO && dpdk->bus[0] == 'p');
    eth->answers = !eth->has_tap;
    port_eth_queues(eth, env, 1, 1);
    code = take_options(dpdk, env, spec, options, nets);
    code = code == 0 ? driver_probe(dpdk, env, spec) : code;
    code = code == 0 ? driver_start(dpdk, env, spec, options->n_queues) : code;
    if (code == 0 && eth->has_tap) {
        code = exception_open(&dpdk->exception, env, &eth->base, &nets[0], &nets[1]);
        eth->tap_id = dpdk->exception.port_id;
        eth->n_tap = dpdk->exception.n_queues;
    }
    if (code == 0) {
        port_eth_interrupts(eth);
        eth->base.dev.needs_headers = true;
    }
    return code;
}

int port_dpdk_open(struct port **out, const struct port_env *env, const char *spec)
{
    static const struct port_ops ops = {port_eth_rx, port_eth_tx, port_eth_wait,
                                        dpdk_close, NULL};
    bool pci = spec[0] == 'p';
    struct port_dpdk *dpdk =
        port_alloc(env, sizeof(*dpdk), &ops, pci ? "pci" : "vdev", strchr(spec, ':') + 1);
    int code;

    if (dpdk == NULL) {
        return -ENOMEM;
    }
    dpdk->bus = pci ? "pci" : "vdev";
    dpdk->eth.base.dev.preference = pci ? PCI_PREFERENCE : VDEV_PREFERENCE;
    code = dpdk_open(dpdk, env, spec);
    if (code != 0) {
        dpdk_close(&dpdk->eth.base);
        return code;
    }
    *out = &dpdk->eth.base;
    return 0;
}
