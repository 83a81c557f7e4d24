/* See port_eth.h. */
#include "io/port_eth.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>

#include "io/ether.h"
#include "io/mbuf.h"

/* ---- bursts ---------------------------------------------------------------- */

static void mbuf_set_data(struct rte_mbuf *mbuf, const uint8_t *data, uint16_t len)
{
    mbuf->data_off = (uint16_t)(data - (const uint8_t *)mbuf->buf_addr);
    mbuf->data_len = len;
    mbuf->pkt_len = len;
    mbuf->ol_flags = 0; /* a buffer of the pool may have those of its last frame */
}

static uint16_t send_frames(struct port_eth *eth, unsigned queue, struct rte_mbuf **mbufs,
                            uint16_t n)
{
    const unsigned own = queue % eth->base.dev.n_queues;
    const struct eth_hw *hw = &eth->hw[own];
    uint16_t sent;

    if (!eth->tx_shared) {
        return rte_eth_tx_burst(hw->port_id, hw->queue, mbufs, n);
    }
    rte_spinlock_lock(&eth->queues[own].tx_lock);
    sent = rte_eth_tx_burst(hw->port_id, hw->queue, mbufs, n);
    rte_spinlock_unlock(&eth->queues[own].tx_lock);
    return sent;
}

/* Has the UDP checksum of an IPv6 frame computed, or leaves it to the device. Returns true
 * if it was computed here. */
static bool sum_udp6(const struct port_eth *eth, struct rte_mbuf *mbuf, uint8_t *frame)
{
    if (!eth->sums_udp6) {
        return ether_udp6_sum(frame);
    }
    if (ether_udp6_pseudo(frame)) {
        mbuf->ol_flags = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
        mbuf->l2_len = ETHER_LEN;
        mbuf->l3_len = IPV6_LEN;
    }
    return false;
}

/* Answers the frame if it is for us to do, and takes it. */
static bool answer(struct port_eth *eth, unsigned queue, struct rte_mbuf *mbuf)
{
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    size_t cap = (size_t)mbuf->buf_len - mbuf->data_off;
    size_t len =
        mbuf->nb_segs == 1 ? neigh_answer(&eth->neigh, frame, mbuf->data_len, cap) : 0;

    if (len == 0) {
        return false;
    }
    mbuf_set_data(mbuf, frame, (uint16_t)len);
    if (send_frames(eth, queue, &mbuf, 1) != 1) {
        eth->base.tx[queue].answers_lost++;
        rte_pktmbuf_free(mbuf);
    }
    return true;
}

/* Makes the packet of a media frame. Returns 0 or -1 - (enum io_ignored). */
static int take(struct port_eth *eth, struct rte_mbuf *mbuf, struct pkt *pkt)
{
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    struct ether_udp udp;
    int why = ether_parse(frame, mbuf->data_len, &pkt->path, &udp);

    if (why != 0) {
        return why;
    }
    if (!port_has_ip(&eth->base, pkt->path.local_ip)) {
        return -1 - (int)IO_IGNORED_ADDRESS;
    }
    if (pkt->path.local_port != eth->base.dev.media_port) {
        return -1 - (int)IO_IGNORED_PORT;
    }
    pkt->path.device = eth->base.index;
    pkt->device = eth->base.index;
    pkt->data = frame + udp.offset;
    pkt->len = udp.len;
    return 0;
}

static uint16_t receive(struct port_eth *eth, unsigned queue, struct rte_mbuf **mbufs,
                        uint16_t n)
{
    const unsigned n_queues = eth->base.dev.n_queues;
    const unsigned n_own = (eth->n_hw - queue + n_queues - 1) / n_queues;
    unsigned at = eth->queues[queue].next;
    uint16_t got = 0;

    for (unsigned i = 0; i < n_own && got < n; i++) {
        const struct eth_hw *hw = &eth->hw[queue + at * n_queues];

        got = (uint16_t)(got + rte_eth_rx_burst(hw->port_id, hw->queue, mbufs + got,
                                                (uint16_t)(n - got)));
        at = at + 1 < n_own ? at + 1 : 0;
    }
    eth->queues[queue].next = (uint16_t)at;
    return got;
}

/* Hands frames to the host; those that it does not take are lost, as on any busy link. */
static void to_host(struct port_eth *eth, unsigned queue, struct rte_mbuf **mbufs,
                    uint16_t n, struct io_rx_count *count)
{
    const bool shared = eth->n_tap < eth->base.dev.n_queues;
    const uint16_t tap = (uint16_t)(queue % eth->n_tap);
    uint16_t sent;

    if (shared) {
        rte_spinlock_lock(&eth->queues[tap].tap_lock);
    }
    sent = rte_eth_tx_burst(eth->tap_id, tap, mbufs, n);
    if (shared) {
        rte_spinlock_unlock(&eth->queues[tap].tap_lock);
    }
    count->passed += n;
    count->passed_lost += (uint64_t)(n - sent);
    rte_pktmbuf_free_bulk(mbufs + sent, (unsigned)(n - sent));
}

/* Sends what the host has to say. */
static void from_host(struct port_eth *eth, unsigned queue)
{
    struct rte_mbuf *mbufs[PKT_BURST];
    uint16_t n = rte_eth_rx_burst(eth->tap_id, (uint16_t)queue, mbufs, PKT_BURST);
    uint16_t sent = n > 0 ? send_frames(eth, queue, mbufs, n) : 0;

    if (n > 0) {
        eth->base.tx[queue].host_frames += sent;
        eth->base.tx[queue].answers_lost += (uint64_t)(n - sent);
        rte_pktmbuf_free_bulk(mbufs + sent, (unsigned)(n - sent));
    }
}

static void disarm(struct port_eth *eth, unsigned queue)
{
    struct rte_epoll_event events[8];

    eth->queues[queue].armed = false;
    for (unsigned i = queue; i < eth->n_hw; i += eth->base.dev.n_queues) {
        (void)rte_eth_dev_rx_intr_disable(eth->hw[i].port_id, eth->hw[i].queue);
    }
    /* DPDK empties the descriptors of the interrupts that came */
    while (rte_epoll_wait(eth->queues[queue].wait_fd, events, 8, 0) == 8) {
    }
}

uint16_t port_eth_rx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n,
                     struct io_rx_count *count)
{
    struct port_eth *eth = (struct port_eth *)port;
    struct rte_mbuf *mbufs[PKT_BURST], *others[PKT_BURST];
    uint16_t got, taken = 0, n_others = 0;

    if (eth->queues[queue].armed) {
        disarm(eth, queue);
    }
    got = receive(eth, queue, mbufs, n);
    for (uint16_t i = 0; i < got; i++) {
        struct pkt *pkt = mbuf_to_pkt(mbufs[i]);
        int why;

        if (i + 1 < got) {
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + 1], void *));
        }
        why = take(eth, mbufs[i], pkt);
        if (why == 0) {
            pkts[taken++] = pkt;
        } else if (eth->has_tap) {
            others[n_others++] = mbufs[i];
        } else if (eth->answers && answer(eth, queue, mbufs[i])) {
            count->answered++;
        } else {
            count->ignored[-1 - why]++;
            rte_pktmbuf_free(mbufs[i]);
        }
    }
    if (eth->has_tap) {
        if (n_others > 0) {
            to_host(eth, queue, others, n_others, count);
        }
        if (queue < eth->n_tap) {
            from_host(eth, queue);
        }
    }
    count->frames += got;
    count->packets += taken;
    return taken;
}

uint16_t port_eth_tx(struct port *port, unsigned queue, struct pkt **pkts, uint16_t n)
{
    struct port_eth *eth = (struct port_eth *)port;
    struct rte_mbuf *mbufs[PKT_BURST];
    uint64_t sums = 0;
    uint16_t sent;

    for (uint16_t i = 0; i < n; i++) {
        mbufs[i] = pkt_to_mbuf(pkts[i]);
        mbuf_set_data(mbufs[i], pkts[i]->data, pkts[i]->len);
        sums += sum_udp6(eth, mbufs[i], pkts[i]->data) ? 1 : 0;
    }
    sent = send_frames(eth, queue, mbufs, n);
    port->tx[queue].packets += sent;
    port->tx[queue].udp6_sums += sums;
    return sent;
}

/* ---- sleep ----------------------------------------------------------------- */

/* Interrupts only tell of what comes after they are switched on, so the queues are looked
 * at once more then. */
static bool arm(struct port_eth *eth, unsigned queue)
{
    bool waiting = false;

    for (unsigned i = queue; i < eth->n_hw; i += eth->base.dev.n_queues) {
        const struct eth_hw *hw = &eth->hw[i];

        (void)rte_eth_dev_rx_intr_enable(hw->port_id, hw->queue);
        waiting = waiting || rte_eth_rx_queue_count(hw->port_id, hw->queue) > 0;
    }
    eth->queues[queue].armed = true;
    return waiting;
}

int port_eth_wait(struct port *port, unsigned queue, struct pollfd *fds)
{
    struct port_eth *eth = (struct port_eth *)port;
    const struct eth_queue *own = &eth->queues[queue];

    if (own->wait_fd < 0) {
        return PORT_WAIT_POLL;
    }
    if (eth->interrupts && arm(eth, queue)) {
        return PORT_WAIT_READY;
    }
    fds[0] = (struct pollfd){.fd = own->wait_fd, .events = POLLIN};
    return 1;
}

/* ---- start ----------------------------------------------------------------- */

void port_eth_queues(struct port_eth *eth, const struct port_env *env, unsigned n_hw,
                     unsigned n_tx)
{
    unsigned n = env->conf->n_lanes;

    n = n_hw < n ? n_hw : n;
    n = n_tx < n ? n_tx : n;
    eth->n_hw = (uint16_t)n_hw;
    eth->base.dev.n_queues = (uint16_t)n;
    eth->base.dev.n_tx_queues = (uint16_t)n;
    eth->tx_shared = env->conf->n_lanes > n;
    for (unsigned i = 0; i < IO_MAX_LANES; i++) {
        rte_spinlock_init(&eth->queues[i].tx_lock);
        rte_spinlock_init(&eth->queues[i].tap_lock);
        eth->queues[i].wait_fd = -1;
    }
}

static int wait_fd(struct port_eth *eth, unsigned hw)
{
    struct eth_queue *own = &eth->queues[hw % eth->base.dev.n_queues];

    if (own->wait_fd < 0) {
        own->wait_fd = epoll_create1(EPOLL_CLOEXEC);
    }
    return own->wait_fd >= 0 ? own->wait_fd : -errno;
}

int port_eth_wake_by(struct port_eth *eth, unsigned hw, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = wait_fd(eth, hw);

    if (epoll_fd < 0) {
        return epoll_fd;
    }
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void forget_wait_fds(struct port_eth *eth)
{
    for (unsigned i = 0; i < IO_MAX_LANES; i++) {
        if (eth->queues[i].wait_fd >= 0) {
            close(eth->queues[i].wait_fd);
            eth->queues[i].wait_fd = -1;
        }
    }
}

static int interrupt_add(struct port_eth *eth, unsigned own, const struct eth_hw *hw)
{
    int fd = wait_fd(eth, own);

    return fd < 0 ? fd
                  : rte_eth_dev_rx_intr_ctl_q(hw->port_id, hw->queue, fd,
                                              RTE_INTR_EVENT_ADD, NULL);
}

void port_eth_interrupts(struct port_eth *eth)
{
    int code = 0;

    for (unsigned i = 0; i < eth->n_hw && code == 0; i++) {
        code = interrupt_add(eth, i, &eth->hw[i]);
    }
    for (unsigned i = 0; i < eth->n_tap && code == 0; i++) {
        const struct eth_hw tap = {eth->tap_id, (uint16_t)i};

        code = interrupt_add(eth, i, &tap);
    }
    eth->interrupts = code == 0;
    if (code != 0) {
        forget_wait_fds(eth); /* half of the queues would sleep through their packets */
    }
}

void port_eth_fini(struct port_eth *eth)
{
    forget_wait_fds(eth);
}

static int start_with(uint16_t port_id, struct rte_mempool *pool, uint16_t n,
                      uint16_t n_desc, bool interrupts, bool *sums_udp6)
{
    struct rte_eth_conf conf = {.intr_conf.rxq = interrupts ? 1 : 0};
    uint16_t n_rx = n_desc, n_tx = n_desc;
    struct rte_eth_dev_info info;
    int code = rte_eth_dev_info_get(port_id, &info);

    if (code != 0) {
        return code;
    }
    if (n > 1) {
        conf.rx_adv_conf.rss_conf.rss_hf =
            (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
        conf.rxmode.mq_mode =
            conf.rx_adv_conf.rss_conf.rss_hf != 0 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
    }
    /* only where it is of use: with it some drivers send by a slower path */
    if (sums_udp6 != NULL) {
        conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
        *sums_udp6 = conf.txmode.offloads != 0;
    }
    code = rte_eth_dev_configure(port_id, n, n, &conf);
    code = code == 0 ? rte_eth_dev_adjust_nb_rx_tx_desc(port_id, &n_rx, &n_tx) : code;
    for (uint16_t i = 0; i < n && code == 0; i++) {
        code = rte_eth_rx_queue_setup(port_id, i, n_rx,
                                      (unsigned)rte_eth_dev_socket_id(port_id), NULL, pool);
        code = code == 0
                   ? rte_eth_tx_queue_setup(port_id, i, n_tx,
                                            (unsigned)rte_eth_dev_socket_id(port_id), NULL)
                   : code;
    }
    return code == 0 ? rte_eth_dev_start(port_id) : code;
}

int port_eth_start(uint16_t port_id, struct rte_mempool *pool, uint16_t n, uint16_t n_desc,
                   bool *sums_udp6)
{
    int code = start_with(port_id, pool, n, n_desc, true, sums_udp6);

    if (code != 0) {
        code = start_with(port_id, pool, n, n_desc, false, sums_udp6);
    }
    if (code == 0) {
        (void)rte_eth_allmulticast_enable(port_id);
    }
    return code;
}
