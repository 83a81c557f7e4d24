/* See port_mem.h. */
#include "io/port_mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "io/ether.h"
#include "io/mbuf.h"
#include "io/port.h"

struct mem_queue {
    const struct port_mem_packet *packets;
    _Atomic size_t n;
    _Atomic size_t next;
    port_mem_tx_fn *on_tx;
    void *arg;
    _Atomic uint64_t room;
} __attribute__((aligned(64))); /* a queue is one lane's */

struct port_mem {
    struct port base;
    struct mem_queue queues[IO_MAX_LANES];
};

static uint16_t mem_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                       struct io_rx_count *count)
{
    struct mem_queue *q = &((struct port_mem *)port)->queues[queue];
    size_t at = atomic_load_explicit(&q->next, memory_order_relaxed);
    size_t left = atomic_load_explicit(&q->n, memory_order_acquire) - at;
    struct rte_mbuf *mbufs[PKT_BURST];

    n = left < n ? (uint16_t)left : n;
    if (n == 0 || rte_pktmbuf_alloc_bulk(port->pool, mbufs, n) != 0) {
        return 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        const struct port_mem_packet *packet = &q->packets[at++];
        struct pkt *pkt = mbuf_to_pkt(mbufs[i]);

        pkt->data = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
        pkt->len = packet->len < PKT_ROOM ? packet->len : PKT_ROOM;
        memcpy(pkt->data, packet->data, pkt->len);
        pkt->path = packet->path;
        pkt->path.device = port->index;
        pkt->device = port->index;
        pkts[i] = pkt;
    }
    atomic_store_explicit(&q->next, at, memory_order_relaxed);
    count->frames += n;
    count->packets += n;
    return n;
}

static uint16_t mem_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n)
{
    struct mem_queue *q = &((struct port_mem *)port)->queues[queue];
    uint64_t room = atomic_load_explicit(&q->room, memory_order_relaxed);
    struct rte_mbuf *mbufs[PKT_BURST];

    n = room < n ? (uint16_t)room : n;
    for (uint16_t i = 0; i < n; i++) {
        if (port->dev.needs_headers && ether_udp6_sum(pkts[i]->data)) {
            port->tx[queue].udp6_sums++;
        }
        if (q->on_tx != NULL) {
            q->on_tx(q->arg, pkts[i]);
        }
        mbufs[i] = pkt_to_mbuf(pkts[i]);
    }
    if (n > 0) {
        /* one segment each, of one pool, nobody else's: as a NIC's driver may be told */
        rte_mempool_put_bulk(port->pool, (void **)mbufs, n);
    }
    if (room != UINT64_MAX) { /* unless it has just been given another */
        (void)atomic_compare_exchange_strong(&q->room, &room, room - n);
    }
    port->tx[queue].packets += n;
    return n;
}

static int mem_wait(struct port *port, unsigned queue, struct pollfd *fds)
{
    const struct mem_queue *q = &((struct port_mem *)port)->queues[queue];

    (void)fds;
    return q->next < q->n ? PORT_WAIT_READY : 0;
}

static void mem_close(struct port *port)
{
    free(port);
}

int port_mem_open(struct port **out, const struct port_env *env, const char *spec)
{
    static const struct port_ops ops = {mem_rx, mem_tx, mem_wait, mem_close, NULL};
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    static const uint8_t v4[4] = {192, 0, 2, 1};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    struct port_mem *mem = port_alloc(env, sizeof(*mem), &ops, "mem", "mem");
    const uint16_t n_queues =
        (uint16_t)(strcmp(spec, "mem:one") == 0 ? 1 : env->conf->n_lanes);
    uint8_t ip[16];

    if (mem == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < IO_MAX_LANES; i++) {
        mem->queues[i].room = UINT64_MAX;
    }
    mem->base.dev.needs_headers = strcmp(spec, "mem:eth") == 0;
    mem->base.dev.likes_runs = strcmp(spec, "mem:runs") == 0;
    mem->base.dev.n_queues = n_queues;
    mem->base.dev.n_tx_queues = n_queues;
    mem->base.dev.preference = 1000;
    memcpy(mem->base.dev.mac, mac, 6);
    path_map_v4(ip, v4);
    port_add_addr(&mem->base, 4, ip);
    port_add_addr(&mem->base, 6, v6);
    *out = &mem->base;
    return 0;
}

static struct mem_queue *mem_queue(const struct io *io, unsigned device, unsigned queue)
{
    return &((struct port_mem *)io_port(io, device))->queues[queue];
}

void port_mem_inject(struct io *io, unsigned device, unsigned queue,
                     const struct port_mem_packet *packets, size_t n)
{
    struct mem_queue *q = mem_queue(io, device, queue);

    q->packets = packets;
    q->n = n;
    q->next = 0;
}

void port_mem_allow(struct io *io, unsigned device, unsigned queue, size_t n)
{
    atomic_store_explicit(&mem_queue(io, device, queue)->n, n, memory_order_release);
}

size_t port_mem_waiting(const struct io *io, unsigned device, unsigned queue)
{
    const struct mem_queue *q = mem_queue(io, device, queue);

    return q->n - q->next;
}

void port_mem_on_tx(struct io *io, unsigned device, unsigned queue, port_mem_tx_fn *fn,
                    void *arg)
{
    struct mem_queue *q = mem_queue(io, device, queue);

    q->on_tx = fn;
    q->arg = arg;
}

void port_mem_limit(struct io *io, unsigned device, unsigned queue, uint64_t n)
{
    atomic_store(&mem_queue(io, device, queue)->room, n);
}
