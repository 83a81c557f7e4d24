/* The list of devices, see io.h: each call goes to the port of that kind. */
#include "io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_lcore.h>

#include "io/eal.h"
#include "io/ether.h"
#include "io/port.h"

/* A lane that sleeps looks at a device that cannot wake it this often. */
enum { POLL_EVERY_US = 100 };

struct io {
    struct rte_mempool *pool;
    struct port *ports[IO_MAX_DEVICES];
    unsigned n_ports;
    unsigned n_lanes;
    char choice[1024];
};

/* ---- helpers of the ports -------------------------------------------------- */

static int fail_v(char *err, size_t cap, int code, const char *format, va_list ap)
{
    if (err != NULL && cap > 0) {
        vsnprintf(err, cap, format, ap);
    }
    return code;
}

int io_fail(char *err, size_t cap, int code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    code = fail_v(err, cap, code, format, ap);
    va_end(ap);
    return code;
}

int port_fail(const struct port_env *env, int code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    code = fail_v(env->err, env->err_cap, code, format, ap);
    va_end(ap);
    return code;
}

void *port_alloc(const struct port_env *env, size_t size, const struct port_ops *ops,
                 const char *kind, const char *name)
{
    size_t whole = (size + 63) & ~(size_t)63;
    struct port *port = aligned_alloc(64, whole);

    if (port == NULL) {
        port_fail(env, -ENOMEM, "%s: no memory", kind);
        return NULL;
    }
    memset(port, 0, whole);
    port->ops = ops;
    port->pool = env->pool;
    port->index = (uint8_t)env->n_ports;
    port->dev.kind = kind;
    port->dev.media_port = env->conf->media_port;
    port->dev.n_queues = 1;
    port->dev.n_tx_queues = 1;
    snprintf(port->dev.name, sizeof(port->dev.name), "%.15s", name);
    return port;
}

const struct io_options *port_options(const struct port_env *env, const char *spec)
{
    static const struct io_options none;

    for (unsigned i = 0; i < env->conf->n_options; i++) {
        if (strcmp(env->conf->options[i].device, spec) == 0) {
            return &env->conf->options[i];
        }
    }
    return &none;
}

bool port_add_addr(struct port *port, uint8_t family, const uint8_t ip[16])
{
    struct io_device *dev = &port->dev;

    if (dev->n_addrs == IO_MAX_ADDRS) {
        return false;
    }
    dev->addrs[dev->n_addrs].family = family;
    memcpy(dev->addrs[dev->n_addrs].ip, ip, 16);
    dev->n_addrs++;
    return true;
}

bool port_has_ip(const struct port *port, const uint8_t ip[16])
{
    for (unsigned i = 0; i < port->dev.n_addrs; i++) {
        if (memcmp(port->dev.addrs[i].ip, ip, 16) == 0) {
            return true;
        }
    }
    return false;
}

bool port_taken(const struct port_env *env, const uint8_t ip[16])
{
    for (unsigned i = 0; i < env->n_ports; i++) {
        if (port_has_ip(env->ports[i], ip)) {
            return true;
        }
    }
    return false;
}

const char *port_ip_text(const uint8_t ip[16], char *text)
{
    struct in6_addr in6;

    memcpy(&in6, ip, 16);
    if (IN6_IS_ADDR_V4MAPPED(&in6)) {
        inet_ntop(AF_INET, ip + 12, text, INET6_ADDRSTRLEN);
    } else {
        inet_ntop(AF_INET6, ip, text, INET6_ADDRSTRLEN);
    }
    return text;
}

/* ---- opening --------------------------------------------------------------- */

static void choice_add(struct io *io, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void choice_add(struct io *io, const char *format, ...)
{
    size_t at = strlen(io->choice);
    va_list ap;

    va_start(ap, format);
    vsnprintf(io->choice + at, sizeof(io->choice) - at, format, ap);
    va_end(ap);
}

/* "veth kcs0: 10.75.67.2 fd4b:4353:6b63::2 port 7000" */
static void choice_add_port(struct io *io, const struct port *port, const char *why)
{
    char text[INET6_ADDRSTRLEN];

    choice_add(io, "%s%s%s", io->choice[0] != '\0' ? "\n" : "", why, port->dev.kind);
    if (strcmp(port->dev.kind, port->dev.name) != 0) {
        choice_add(io, " %s", port->dev.name);
    }
    choice_add(io, ":");
    for (unsigned i = 0; i < port->dev.n_addrs; i++) {
        choice_add(io, " %s", port_ip_text(port->dev.addrs[i].ip, text));
    }
    choice_add(io, " port %u", port->dev.media_port);
    if (port->dev.zero_copy || port->dev.no_zero_copy) {
        choice_add(io, port->dev.zero_copy
                           ? ", without a copy"
                           : ", copied: the interface's driver has no zero copy");
    }
}

static int open_kind(struct port **out, const struct port_env *env, const char *spec)
{
    if (strcmp(spec, "veth") == 0) {
        return port_veth_open(out, env);
    }
    if (strncmp(spec, "af_xdp:", 7) == 0) {
        return port_af_xdp_open(out, env, spec + 7);
    }
    if (strncmp(spec, "vdev:", 5) == 0 || strncmp(spec, "pci:", 4) == 0) {
        return port_dpdk_open(out, env, spec);
    }
    if (strcmp(spec, "udp") == 0) {
        return port_udp_open(out, env, NULL);
    }
    if (strncmp(spec, "udp:", 4) == 0) {
        return port_udp_open(out, env, spec + 4);
    }
    if (strcmp(spec, "mem") == 0 || strcmp(spec, "mem:eth") == 0 ||
        strcmp(spec, "mem:one") == 0 || strcmp(spec, "mem:runs") == 0) {
        return port_mem_open(out, env, spec);
    }
    return port_fail(env, -EINVAL,
                     "device '%s' is unknown: use auto, veth, af_xdp:IFACE, udp, "
                     "udp:ADDRESS, pci:ADDRESS or vdev:ARGS",
                     spec);
}

static int open_one(struct io *io, const struct port_env *env, const char *spec,
                    const char *why)
{
    struct port_env now = *env;
    int code;

    if (io->n_ports == IO_MAX_DEVICES) {
        return port_fail(env, -EINVAL, "more than %d devices", IO_MAX_DEVICES);
    }
    now.n_ports = io->n_ports;
    code = open_kind(&io->ports[io->n_ports], &now, spec);
    if (code == 0) {
        choice_add_port(io, io->ports[io->n_ports], why);
        io->n_ports++;
    }
    return code;
}

/* veth for a browser on this host, udp for all others; either alone will do. But a port in
 * use is the operator's to resolve. */
static int open_auto(struct io *io, const struct port_env *env)
{
    const char *line = io->choice[0] != '\0' ? "\n" : "";
    char no_veth[256] = "", no_udp[256] = "";
    struct port_env quiet = *env;
    int veth, udp;

    quiet.err = no_veth;
    quiet.err_cap = sizeof(no_veth);
    veth = open_one(io, &quiet, "veth", "auto: ");
    if (veth != 0) {
        choice_add(io, "%sauto: no %s", line, no_veth);
    }
    quiet.err = no_udp;
    quiet.err_cap = sizeof(no_udp);
    udp = open_one(io, &quiet, "udp", "auto: ");
    if (udp == -EADDRNOTAVAIL && veth == 0) {
        choice_add(io, "\nauto: no %s", no_udp);
        return 0;
    }
    if (udp != 0) {
        return port_fail(env, udp, "%s%s%s", no_udp, veth != 0 ? "; and " : "", no_veth);
    }
    return 0;
}

static int conf_check(const struct io_conf *conf, char *err, size_t err_cap)
{
    if (conf->n_devices == 0 || conf->n_devices > IO_MAX_DEVICES) {
        return io_fail(err, err_cap, -EINVAL, "1 to %d devices can be opened, not %u",
                       IO_MAX_DEVICES, conf->n_devices);
    }
    if (conf->media_port == 0) {
        return io_fail(err, err_cap, -EINVAL, "the media port may not be 0");
    }
    if (conf->n_lanes == 0 || conf->n_lanes > IO_MAX_LANES) {
        return io_fail(err, err_cap, -EINVAL, "1 to %d lanes can run, not %u", IO_MAX_LANES,
                       conf->n_lanes);
    }
    return 0;
}

int io_create(struct io **out, const struct io_conf *conf, char *err, size_t err_cap)
{
    struct port_env env = {.conf = conf, .err = err, .err_cap = err_cap};
    struct io *io = NULL;
    int code = conf_check(conf, err, err_cap);

    if (code != 0) {
        return code;
    }
    io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return io_fail(err, err_cap, -ENOMEM, "no memory");
    }
    code = eal_start(conf, err, err_cap);
    if (code != 0) {
        goto out;
    }
    io->n_lanes = conf->n_lanes;
    io->pool = eal_pool_create(conf, err, err_cap);
    if (io->pool == NULL) {
        code = -ENOMEM;
        goto out;
    }
    env.pool = io->pool;
    env.ports = io->ports;
    for (unsigned i = 0; i < conf->n_devices && code == 0; i++) {
        code = strcmp(conf->devices[i], "auto") == 0
                   ? open_auto(io, &env)
                   : open_one(io, &env, conf->devices[i], "");
    }
    if (code == 0) {
        *out = io;
        io = NULL;
    }
out:
    io_destroy(io);
    return code;
}

void io_destroy(struct io *io)
{
    if (io == NULL) {
        return;
    }
    while (io->n_ports > 0) {
        struct port *port = io->ports[--io->n_ports];

        port->ops->close(port);
    }
    rte_mempool_free(io->pool);
    free(io);
}

/* ---- use ------------------------------------------------------------------- */

unsigned io_n_devices(const struct io *io)
{
    return io->n_ports;
}

const struct io_device *io_device(const struct io *io, unsigned device)
{
    return &io->ports[device]->dev;
}

enum io_state io_device_state(const struct io *io, unsigned device)
{
    const struct port *port = io->ports[device];

    return port->ops->state != NULL ? port->ops->state(port) : IO_WORKS;
}

const char *io_choice(const struct io *io)
{
    return io->choice;
}

struct rte_mempool *io_pool(const struct io *io)
{
    return io->pool;
}

struct port *io_port(const struct io *io, unsigned device)
{
    return io->ports[device];
}

uint16_t io_rx_burst(struct io *io, unsigned device, unsigned queue, struct pkt **pkts,
                     uint16_t n, struct io_rx_count *count)
{
    struct port *port = io->ports[device];

    return port->ops->rx(port, queue, pkts, n < PKT_BURST ? n : PKT_BURST, count);
}

uint16_t io_tx_burst(struct io *io, unsigned device, unsigned queue, struct pkt **pkts,
                     uint16_t n)
{
    struct port *port = io->ports[device];

    return port->ops->tx(port, queue, pkts, n < PKT_BURST ? n : PKT_BURST);
}

const struct io_tx_count *io_tx_count(const struct io *io, unsigned device, unsigned queue)
{
    return &io->ports[device]->tx[queue];
}

unsigned io_numa(const struct io *io)
{
    (void)io; /* DPDK's memory is the process's */
    return eal_numa();
}

unsigned io_n_lanes(const struct io *io)
{
    return io->n_lanes;
}

unsigned io_first_queue(const struct io *io, unsigned device, unsigned lane)
{
    return (lane + io->n_lanes - device % io->n_lanes) % io->n_lanes;
}

unsigned io_tx_lane(const struct io *io, unsigned device, unsigned lane)
{
    unsigned n_queues = io->ports[device]->dev.n_tx_queues;
    unsigned queue = io_first_queue(io, device, lane);

    return queue < n_queues ? lane : (device + lane % n_queues) % io->n_lanes;
}

int io_hdr_build(const struct io *io, const struct path *to, struct pkt_hdr *out)
{
    const struct port *port;

    if (to->device >= io->n_ports || (to->family != 4 && to->family != 6)) {
        return -EINVAL;
    }
    port = io->ports[to->device];
    if (!port_has_ip(port, to->local_ip)) {
        return -EINVAL;
    }
    if (port->dev.needs_headers) {
        ether_template(port->dev.mac, to, out);
    } else {
        memset(out, 0, sizeof(*out));
        out->family = to->family;
    }
    return 0;
}

int io_thread_enter(void)
{
    if (rte_lcore_id() != LCORE_ID_ANY) {
        return 0; /* the thread that started the EAL */
    }
    return rte_thread_register() == 0 ? 0 : -ENOMEM;
}

void io_thread_leave(void)
{
    if (rte_lcore_id() != LCORE_ID_ANY && rte_lcore_id() != rte_get_main_lcore()) {
        rte_thread_unregister();
    }
}

void io_wait(struct io *io, unsigned lane, int doorbell_fd, uint64_t timeout_us)
{
    enum { N_FDS = IO_MAX_DEVICES * PORT_MAX_FDS + 1 };
    struct pollfd fds[N_FDS];
    struct timespec timeout;
    nfds_t n = 0;

    for (unsigned i = 0; i < io->n_ports; i++) {
        struct port *port = io->ports[i];
        unsigned queue = io_first_queue(io, i, lane);

        for (; queue < port->dev.n_queues && n + PORT_MAX_FDS < N_FDS;
             queue += io->n_lanes) {
            int more = port->ops->wait(port, queue, fds + n);

            if (more == PORT_WAIT_READY) {
                return;
            }
            if (more == PORT_WAIT_POLL) {
                timeout_us = timeout_us < POLL_EVERY_US ? timeout_us : POLL_EVERY_US;
                continue;
            }
            n += (nfds_t)more;
        }
    }
    if (doorbell_fd >= 0) {
        fds[n++] = (struct pollfd){.fd = doorbell_fd, .events = POLLIN};
    }
    timeout = (struct timespec){.tv_sec = (time_t)(timeout_us / 1000000),
                                .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    (void)ppoll(fds, n, &timeout, NULL);
}
