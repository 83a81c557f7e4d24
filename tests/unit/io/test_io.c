/* io over the in-memory device: the list of devices, headers, bursts, waiting. */
#include "live.h"

#include <sys/eventfd.h>
#include <time.h>

#include "io/port_mem.h"

static struct path remote_v4(void)
{
    struct path path = {.family = 4, .local_port = LIVE_PORT, .remote_port = 40000};
    const uint8_t local[4] = {192, 0, 2, 1}, remote[4] = {198, 51, 100, 7};

    path_map_v4(path.local_ip, local);
    path_map_v4(path.remote_ip, remote);
    return path;
}

struct seen {
    unsigned n;
    uint8_t bytes[256];
    uint16_t len;
};

static void remember(void *arg, const struct pkt *pkt)
{
    struct seen *seen = arg;

    seen->n++;
    seen->len = pkt->len;
    memcpy(seen->bytes, pkt->data, pkt->len < 256 ? pkt->len : 256);
}

static void injected(void)
{
    struct io_conf conf = live_conf("mem");
    struct io *io = live_create(&conf);
    static const uint8_t payload[3] = {1, 2, 3};
    struct port_mem_packet packets[40];
    struct io_rx_count count = {0};
    struct pkt *pkts[PKT_BURST];
    struct seen seen = {0};
    struct path back;

    for (int i = 0; i < 40; i++) {
        packets[i] = (struct port_mem_packet){payload, 3, remote_v4()};
    }
    port_mem_inject(io, 0, 0, packets, 40);
    port_mem_on_tx(io, 0, 0, remember, &seen);
    CHECK(io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count) == PKT_BURST);
    CHECK(port_mem_waiting(io, 0, 0) == 8);
    CHECK(pkts[0]->len == 3 && memcmp(pkts[0]->data, payload, 3) == 0);
    CHECK(pkts[31]->path.remote_port == 40000 && pkts[31]->path.device == 0);
    live_turn(io, pkts[0], &back);
    CHECK(io_tx_burst(io, 0, 0, pkts, PKT_BURST) == PKT_BURST);
    CHECK(seen.n == PKT_BURST && seen.len == 3 && memcmp(seen.bytes, payload, 3) == 0);
    CHECK(io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count) == 8);
    port_mem_limit(io, 0, 0, 5);
    CHECK(io_tx_burst(io, 0, 0, pkts, 8) == 5);
    CHECK(io_tx_burst(io, 0, 0, pkts + 5, 3) == 0);
    live_free(pkts + 5, 3);
    CHECK(count.packets == 40 && count.frames == 40);
    CHECK(io_tx_count(io, 0, 0)->packets == 37);
    CHECK(rte_mempool_in_use_count(io_pool(io)) == 0);
    io_destroy(io);
}

static void injected_packets_come_in_and_sent_ones_are_shown(void **state)
{
    (void)state;
    live_run(injected, false);
}

static void headers(void)
{
    struct io_conf conf = live_conf("mem:eth");
    struct io *io = live_create(&conf);
    static const uint8_t payload[4] = "data";
    struct port_mem_packet packet = {payload, 4, {.family = 6, .local_port = LIVE_PORT}};
    struct path wrong = remote_v4(), back;
    struct io_rx_count count = {0};
    struct seen seen = {0};
    struct pkt_hdr hdr;
    struct pkt *pkt;

    memcpy(packet.path.local_ip, io_device(io, 0)->addrs[1].ip, 16);
    packet.path.remote_ip[0] = 0x20;
    packet.path.remote_port = 9;
    port_mem_inject(io, 0, 0, &packet, 1);
    port_mem_on_tx(io, 0, 0, remember, &seen);
    CHECK(io_rx_burst(io, 0, 0, &pkt, 1, &count) == 1);
    live_turn(io, pkt, &back);
    CHECK(io_tx_burst(io, 0, 0, &pkt, 1) == 1);
    CHECK(seen.len == 66 && memcmp(seen.bytes + 62, payload, 4) == 0);
    CHECK(seen.bytes[60] != 0 || seen.bytes[61] != 0); /* the UDP checksum */
    CHECK(io_tx_count(io, 0, 0)->udp6_sums == 1);

    CHECK(io_hdr_build(io, &wrong, &hdr) == 0 && hdr.len == 42 && hdr.family == 4);
    wrong.device = 1;
    CHECK(io_hdr_build(io, &wrong, &hdr) == -EINVAL);
    wrong.device = 0;
    wrong.local_ip[15] = 77;
    CHECK(io_hdr_build(io, &wrong, &hdr) == -EINVAL);
    wrong = remote_v4();
    wrong.family = 5;
    CHECK(io_hdr_build(io, &wrong, &hdr) == -EINVAL);
    io_destroy(io);
}

static void headers_are_built_only_for_paths_of_the_device(void **state)
{
    (void)state;
    live_run(headers, false);
}

static void room(void)
{
    struct io_conf conf = live_conf("mem");
    struct io *io = live_create(&conf);
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(io_pool(io));

    CHECK(rte_pktmbuf_priv_size(io_pool(io)) >= sizeof(struct pkt));
    CHECK(pkt_to_mbuf(mbuf_to_pkt(mbuf)) == mbuf);
    CHECK(rte_pktmbuf_tailroom(mbuf) >= PKT_ROOM);
    /* where AF_XDP's driver puts the payload of a frame */
    CHECK(mbuf->buf_len - (RTE_PKTMBUF_HEADROOM + 256 + PKT_HDR_MAX) >= PKT_ROOM);
    rte_pktmbuf_free(mbuf);
    io_destroy(io);
}

static void packets_have_their_room(void **state)
{
    (void)state;
    live_run(room, false);
}

static void again(void)
{
    struct io_conf conf = live_conf("mem");

    for (int i = 0; i < 20; i++) {
        io_destroy(live_create(&conf));
    }
    io_destroy(NULL);
}

static void io_can_be_made_again_after_it_was_destroyed(void **state)
{
    (void)state;
    live_run(again, false);
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void waits(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct io *io;
    const uint64_t one = 1, long_us = 20000000;
    int doorbell = eventfd(0, EFD_NONBLOCK), fd;
    uint64_t start = now_us();

    conf.devices[conf.n_devices++] = "mem";
    io = live_create(&conf);
    io_wait(io, 0, doorbell, 30000);
    CHECK(now_us() - start >= 30000);
    start = now_us();
    CHECK(write(doorbell, &one, 8) == 8);
    io_wait(io, 0, doorbell, long_us);
    io_wait(io, 0, doorbell, long_us); /* still readable: the reader has to clear it */
    fd = live_socket("127.0.0.1", LIVE_PORT);
    CHECK(send(fd, "x", 1, 0) == 1);
    io_wait(io, 0, -1, long_us);
    io_destroy(io);
    CHECK(now_us() - start < long_us);
}

static void waiting_ends_by_time_doorbell_or_packet(void **state)
{
    (void)state;
    live_run(waits, false);
}

static void *lane(void *arg)
{
    struct io *io = arg;

    for (int i = 0; i < 100; i++) {
        CHECK(io_thread_enter() == 0);
        for (int k = 0; k < 200; k++) {
            struct rte_mbuf *mbufs[PKT_BURST];

            CHECK(rte_pktmbuf_alloc_bulk(io_pool(io), mbufs, PKT_BURST) == 0);
            rte_pktmbuf_free_bulk(mbufs, PKT_BURST);
        }
        io_thread_leave();
    }
    return NULL;
}

static void threads(void)
{
    struct io_conf conf = live_conf("mem");
    struct io *io = live_create(&conf);
    pthread_t lanes[8]; /* more than cores */

    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&lanes[i], NULL, lane, io) == 0);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_join(lanes[i], NULL) == 0);
    }
    CHECK(rte_mempool_in_use_count(io_pool(io)) == 0);
    io_destroy(io);
}

static void more_threads_than_cores_share_the_pool(void **state)
{
    (void)state;
    live_run(threads, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(injected_packets_come_in_and_sent_ones_are_shown),
        cmocka_unit_test(headers_are_built_only_for_paths_of_the_device),
        cmocka_unit_test(packets_have_their_room),
        cmocka_unit_test(io_can_be_made_again_after_it_was_destroyed),
        cmocka_unit_test(waiting_ends_by_time_doorbell_or_packet),
        cmocka_unit_test(more_threads_than_cores_share_the_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
