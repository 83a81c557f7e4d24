/* AF_XDP on one interface, by DPDK's driver with our XDP program: what the kinds "veth" and
 * "af_xdp" share. Private to this folder. */
#ifndef KCS_IO_PORT_XDP_H
#define KCS_IO_PORT_XDP_H

#include <sys/types.h>

#include "io/port_eth.h"

/* The driver, opened for one queue. */
struct xdp_instance {
    uint16_t port_id; /* DPDK's */
    bool probed;
    bool configured;
    int fd; /* its AF_XDP socket; -1: not found yet */
    ino_t fd_inode;
};

struct port_xdp {
    struct port_eth eth;           /* 'answers' also says that every frame is ours */
    int ifindex;                   /* that the XDP program is on */
    int lock_fd;                   /* one dataplane an interface */
    int reserve_fds[IO_MAX_ADDRS]; /* keep the port from the host's other programs */
    unsigned n_reserved;
    bool zero_copy; /* to be asked of the interface's driver; false: it has none, or need not */
    unsigned n_instances;
    struct xdp_instance instances[IO_MAX_LANES]; /* by queue of the interface */
};

/* Zeroed but for what is not zero while nothing is open; NULL as port_alloc(). */
struct port_xdp *port_xdp_alloc(const struct port_env *env, const struct port_ops *ops,
                                const char *kind, const char *name);

/* Takes the lock on interface 'ifname' of this network namespace, which the kernel releases
 * when the process ends, however it ends. Returns 0, or -EADDRINUSE with env->err set. */
int port_xdp_lock(struct port_xdp *xdp, const struct port_env *env, const char *ifname);

/* Returns 0 if this process may open AF_XDP sockets and load XDP programs, and has one to
 * load; otherwise a negative errno, and env->err says what is missing. */
int port_xdp_check(const struct port_env *env, const char *kind);

/* Opens the driver on each queue of 'ifname', attaches the program and directs media to it:
 * every frame if eth.answers, else UDP to the addresses of the device.
 *
 * n_rx, n_tx  the interface's queues in use, 1..IO_MAX_LANES
 *
 * Returns 0 or a negative errno with env->err set; port_xdp_fini() is due either way. */
int port_xdp_start(struct port_xdp *xdp, const struct port_env *env, const char *ifname,
                   unsigned n_rx, unsigned n_tx);

/* The port's 'state'. */
enum io_state port_xdp_state(const struct port *port);

/* Detaches the program, closes the sockets and the lock; leaves the struct's memory. */
void port_xdp_fini(struct port_xdp *xdp);

#endif
