/* What every device kind gives to io.c: open functions and a table of operations. Private
 * to this folder. */
#ifndef KCS_IO_PORT_H
#define KCS_IO_PORT_H

#include <poll.h>

#include <rte_mempool.h>

#include "io/io.h"

enum {
    PORT_MAX_FDS = IO_MAX_ADDRS,
    /* what ports answer to 'wait' instead of a number of descriptors */
    PORT_WAIT_READY = -1, /* there is something to read already */
    PORT_WAIT_POLL = -2   /* nothing tells when there is: look again soon */
};

struct port;

struct port_ops {
    uint16_t (*rx)(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                   struct io_rx_count *count);
    uint16_t (*tx)(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n);
    /* Fills what to poll for before sleeping, at most PORT_MAX_FDS. Returns how many, or
     * PORT_WAIT_READY or PORT_WAIT_POLL. */
    int (*wait)(struct port *port, unsigned queue, struct pollfd *fds);
    void (*close)(struct port *port); /* frees the port too */
    enum io_state (*state)(const struct port *port); /* NULL: it always works */
};

struct port {
    const struct port_ops *ops;
    struct io_device dev;
    struct rte_mempool *pool; /* borrowed */
    uint8_t index;            /* in io's list: struct path's device */
    struct io_tx_count tx[IO_MAX_LANES];
};

/* What an open function is told. All borrowed. */
struct port_env {
    const struct io_conf *conf;
    struct rte_mempool *pool;
    struct port *const *ports; /* those open already */
    unsigned n_ports;
    char *err;
    size_t err_cap;
};

/* Each fills 'out' or returns a negative errno, with env->err set and nothing left. */
int port_veth_open(struct port **out, const struct port_env *env);
int port_af_xdp_open(struct port **out, const struct port_env *env, const char *ifname);
int port_udp_open(struct port **out, const struct port_env *env, const char *address);
int port_dpdk_open(struct port **out, const struct port_env *env, const char *spec);
int port_mem_open(struct port **out, const struct port_env *env, const char *spec);

struct port *io_port(const struct io *io, unsigned device);

/* Zeroed, cache-aligned memory for a port of 'size' bytes that starts with struct port, its
 * common part filled. NULL without memory, with env->err set. */
void *port_alloc(const struct port_env *env, size_t size, const struct port_ops *ops,
                 const char *kind, const char *name);

/* The entry of 'options' for a device as it is called in the configuration; one of zeros if
 * there is none. */
const struct io_options *port_options(const struct port_env *env, const char *spec);

/* Writes one line to env->err. Returns 'code'. */
int port_fail(const struct port_env *env, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for callers without an environment. */
int io_fail(char *err, size_t cap, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds an address to the device's list, if there is room. */
bool port_add_addr(struct port *port, uint8_t family, const uint8_t ip[16]);

/* True if the device, or (any) one already open, has this address. */
bool port_has_ip(const struct port *port, const uint8_t ip[16]);
bool port_taken(const struct port_env *env, const uint8_t ip[16]);

/* Presentation form of an address, IPv4 unmapped. 'text' holds INET6_ADDRSTRLEN. */
const char *port_ip_text(const uint8_t ip[16], char *text);

#endif
