/* AF_XDP on one interface, by DPDK's driver with our XDP program: what the kinds "veth" and
 * "af_xdp" share. Private to this folder. */
#ifndef KCS_IO_PORT_XDP_H
#define KCS_IO_PORT_XDP_H

#include <sys/types.h>

#include "io/neigh.h"
#include "io/port.h"

struct port_xdp {
    struct port base;
    struct neigh neigh; /* who we are where all frames are ours; unused on af_xdp */
    bool all;           /* take and answer every frame */
    int ifindex;        /* that the XDP program is on */
    int lock_fd;        /* one dataplane an interface */
    int reserve_fds[IO_MAX_ADDRS]; /* keep the port from the host's other programs */
    unsigned n_reserved;
    uint16_t port_id; /* DPDK's */
    bool probed;
    bool configured;
    int fd; /* the driver's AF_XDP socket, to sleep on */
    ino_t fd_inode;
};

/* The common operations but for close. */
uint16_t port_xdp_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                     struct io_rx_count *count);
uint16_t port_xdp_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n);
int port_xdp_wait(struct port *port, unsigned queue, struct pollfd *fds);

/* Takes the lock on interface 'ifname' of this network namespace, which the kernel releases
 * when the process ends, however it ends. Returns 0, or -EADDRINUSE with env->err set. */
int port_xdp_lock(struct port_xdp *xdp, const struct port_env *env, const char *ifname);

/* Returns 0 if this process may open AF_XDP sockets and load XDP programs, and has one to
 * load; otherwise a negative errno, and env->err says what is missing. */
int port_xdp_check(const struct port_env *env, const char *kind);

/* Opens the driver on 'ifname', attaches the program and directs media to it: every frame
 * if xdp->all, else UDP to the addresses of base.dev. Returns 0 or a negative errno with
 * env->err set; port_xdp_fini() is due either way. */
int port_xdp_start(struct port_xdp *xdp, const struct port_env *env, const char *ifname);

/* Detaches the program, closes the socket and the lock; leaves the struct's memory. */
void port_xdp_fini(struct port_xdp *xdp);

#endif
