/* The "mem" device: packets come from arrays that a test injects and go to its callback.
 * "mem" is like udp (no headers), "mem:eth" like AF_XDP (egress begins with Ethernet),
 * "mem:runs" like "mem" and likes runs of packets, as udp does. It has as many queues as
 * there are lanes ("mem:one": one, both ways), the addresses 192.0.2.1 and 2001:db8::1, and
 * the link address 02:00:00:00:00:01. */
#ifndef KCS_IO_PORT_MEM_H
#define KCS_IO_PORT_MEM_H

#include "io/io.h"

/* One datagram to receive: UDP payload and where it came from ('device' is filled in). */
struct port_mem_packet {
    const uint8_t *data;
    uint16_t len; /* more than PKT_ROOM is cut off there */
    struct path path;
};

/* Makes the next bursts of the queue return copies of these packets, in order, after those
 * still waiting are forgotten. An empty pool delays them.
 *
 * packets   borrowed until all are received or replaced */
void port_mem_inject(struct io *io, unsigned device, unsigned queue,
                     const struct port_mem_packet *packets, size_t n);

/* Lets the queue go on to the first 'n' of the injected packets. Any one thread, while the
 * queue's lane runs: inject all with n 0 before it starts, then allow more and more. */
void port_mem_allow(struct io *io, unsigned device, unsigned queue, size_t n);

/* How many injected packets have not been received yet. */
size_t port_mem_waiting(const struct io *io, unsigned device, unsigned queue);

/* Called for each packet sent, before it is freed; borrowed. NULL (the start): none. */
typedef void port_mem_tx_fn(void *arg, const struct pkt *pkt);
void port_mem_on_tx(struct io *io, unsigned device, unsigned queue, port_mem_tx_fn *fn,
                    void *arg);

/* The queue takes at most 'n' packets more, then it is full (UINT64_MAX, the start: never).
 * Any thread. */
void port_mem_limit(struct io *io, unsigned device, unsigned queue, uint64_t n);

#endif
