/* A port on DPDK's Ethernet drivers: bursts, queues, sleep. What the kinds "veth",
 * "af_xdp", "vdev" and "pci" share. Private to this folder.
 *
 * A device has n_queues queues towards the lanes and n_hw >= n_queues of its own. Queue q
 * receives from its own queues q, q + n_queues, q + 2 n_queues and so on, so that one lane
 * hears a device of many queues; it sends on its own queue q. A lane whose number is
 * n_queues or more does not receive; it sends on queue (lane % n_queues), which is then
 * shared under a lock. */
#ifndef KCS_IO_PORT_ETH_H
#define KCS_IO_PORT_ETH_H

#include <rte_eal.h>
#include <rte_spinlock.h>

#include "io/neigh.h"
#include "io/port.h"

/* Queues of a tap at most. Its driver says 16, but when it starts it writes the descriptors
 * of all, both ways, into a message that has room for RTE_MP_MAX_FD_NUM (DPDK 22.11: 8), on
 * its stack. */
enum { PORT_TAP_QUEUES = RTE_MP_MAX_FD_NUM / 2 };

/* One queue of the device: the AF_XDP driver is opened once for each. */
struct eth_hw {
    uint16_t port_id; /* DPDK's */
    uint16_t queue;
};

/* What belongs to the thread of one queue. */
struct eth_queue {
    rte_spinlock_t tx_lock;  /* taken only if tx_shared */
    rte_spinlock_t tap_lock; /* of the tap's queue; taken only if it has fewer than we */
    uint16_t next;           /* which of its own queues has the first turn */
    bool armed;              /* interrupts are on */
    int wait_fd;             /* an epoll descriptor; -1: nothing tells that a packet came */
} __attribute__((aligned(64)));

struct port_eth {
    struct port base;
    bool answers;       /* ARP, NDP and ping are ours to answer, as 'neigh' */
    bool has_tap;       /* what is not media goes to 'tap' and back */
    bool interrupts;    /* wait_fd holds interrupts of DPDK, to be switched on and off */
    bool tx_shared;     /* there are more lanes than queues */
    bool sums_udp6;     /* the device computes the UDP checksums of IPv6 */
    uint16_t n_hw;      /* 1..IO_MAX_LANES */
    struct neigh neigh; /* who we are */
    uint16_t
        tap_id; /* DPDK's. Its queue q is read by ours, and written by q, q + n_tap … */
    uint16_t n_tap;
    struct eth_hw hw[IO_MAX_LANES];
    struct eth_queue queues[IO_MAX_LANES];
};

/* Shares n_hw queues, of which n_tx can send, out to as many queues as there are lanes at
 * most; sets n_queues. eth->hw may be filled later. */
void port_eth_queues(struct port_eth *eth, const struct port_env *env, unsigned n_hw,
                     unsigned n_tx);

/* Adds descriptor 'fd' to what wakes the sleeper of its own queue 'hw'. Returns 0 or a
 * negative errno. */
int port_eth_wake_by(struct port_eth *eth, unsigned hw, int fd);

/* Asks the drivers for interrupts to wake by. Devices without are polled. */
void port_eth_interrupts(struct port_eth *eth);

/* Closes what the three above opened. */
void port_eth_fini(struct port_eth *eth);

/* Configures a driver's port with 'n' queues each way and starts it: one MTU, no offloads
 * but for the one below, all multicast (neighbours solicit by it), interrupts where it has
 * some.
 *
 * n_desc     of each queue, as far as the driver allows
 * sums_udp6  may be NULL: not to be asked for. Filled: whether the device computes the UDP
 *            checksums of IPv6
 *
 * Returns 0 or the driver's negative errno. */
int port_eth_start(uint16_t port_id, struct rte_mempool *pool, uint16_t n, uint16_t n_desc,
                   bool *sums_udp6);

/* The common operations but for close. */
uint16_t port_eth_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                     struct io_rx_count *count);
uint16_t port_eth_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n);
int port_eth_wait(struct port *port, unsigned queue, struct pollfd *fds);

#endif
