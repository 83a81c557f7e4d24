/* The exception path of a device that the kernel does not see: a tap with the device's link
 * address and the host's IP addresses, so that ARP, ping, ssh and all else of the host go
 * on as if the kernel still owned the device. Private to this folder.
 *
 * Frames are carried by port_eth; this makes the tap and takes it away. It vanishes with
 * the process, however that ends. */
#ifndef KCS_IO_EXCEPTION_H
#define KCS_IO_EXCEPTION_H

#include "io/port.h"

/* An address with the length of its network, and the gateway of the default route. */
struct exception_net {
    bool present;
    bool has_gateway;
    uint8_t prefix_len;
    uint8_t ip[16]; /* IPv4 and IPv6: 4 or 16 bytes */
    uint8_t gateway[16];
};

struct exception {
    char name[32]; /* DPDK's */
    char ifname[IO_NAME_LEN];
    bool probed;
    bool configured;
    uint16_t port_id;
    uint16_t n_queues;
    int reserve_fds[2];
    unsigned n_reserved;
};

/* Makes the tap of a device whose 'mac', 'n_queues' and addresses are set. It has a queue
 * for each of the device's, so that the kernel answers a flow on the queue by which it
 * heard it and its order is kept; but no more than taps may have.
 *
 * v4, v6  what the host gets; at least one is present
 *
 * Returns 0 or a negative errno with env->err set; exception_close() is due either way. */
int exception_open(struct exception *exception, const struct port_env *env,
                   const struct port *port, const struct exception_net *v4,
                   const struct exception_net *v6);
void exception_close(struct exception *exception);

#endif
