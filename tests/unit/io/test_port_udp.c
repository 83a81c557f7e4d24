/* port_udp over loopback: no rights needed. */
#include "live.h"

static void echo_content(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct live_echo echo;
    struct io *io;

    conf.devices[conf.n_devices++] = "udp:::1";
    io = live_create(&conf);
    CHECK(io_n_devices(io) == 2 && !io_device(io, 0)->needs_headers);
    live_echo_start(&echo, io);
    live_check_echo("127.0.0.1", LIVE_PORT, 1500, 1);
    CHECK(echo.last.family == 4 && echo.last.device == 0);
    live_check_echo("::1", LIVE_PORT, 1500, 2);
    CHECK(echo.last.family == 6 && echo.last.device == 1);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 3000 && echo.dropped == 0);
    /* each device keeps a burst of buffers to receive into, and nothing else is out */
    CHECK(rte_mempool_in_use_count(io_pool(io)) == 2 * PKT_BURST);
    io_destroy(io);
}

static void datagrams_come_back_unchanged_on_two_devices(void **state)
{
    (void)state;
    live_run(echo_content, false);
}

/* Makes a packet of 'len' bytes, all 'byte', to 'to'. */
static struct pkt *packet(struct io *io, const struct path *to, uint16_t len, int byte)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(io_pool(io));
    struct pkt *pkt;

    CHECK(mbuf != NULL);
    pkt = mbuf_to_pkt(mbuf);
    pkt->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
    pkt->len = len;
    pkt->to = to;
    memset(pkt->data, byte, len);
    return pkt;
}

/* The path by which the device answers the socket 'fd'. */
static struct path path_to(struct io *io, int fd)
{
    struct io_rx_count count = {0};
    struct pkt *pkt;
    struct path path;

    CHECK(send(fd, "x", 1, 0) == 1);
    while (io_rx_burst(io, 0, 0, &pkt, 1, &count) == 0) {
        io_wait(io, 0, -1, 1000000);
    }
    path = pkt->path;
    live_free(&pkt, 1);
    return path;
}

static void wants(int fd, size_t len, int byte)
{
    uint8_t in[2000];

    CHECK(recv(fd, in, sizeof(in), 0) == (ssize_t)len);
    CHECK(in[0] == byte && in[len - 1] == byte);
}

static void segmentation(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct io *io = live_create(&conf);
    int a = live_socket("127.0.0.1", LIVE_PORT), b = live_socket("127.0.0.1", LIVE_PORT);
    struct path to_a = path_to(io, a), to_b = path_to(io, b);
    struct pkt *pkts[PKT_BURST];
    uint16_t n = 0;

    /* one destination: sizes equal, then shorter (ends a run), then longer again */
    for (int i = 0; i < 10; i++) {
        pkts[n++] = packet(io, &to_a, 1200, i);
    }
    pkts[n++] = packet(io, &to_a, 300, 10);
    pkts[n++] = packet(io, &to_a, 1200, 11);
    /* destinations alternating */
    for (int i = 0; i < 4; i++) {
        pkts[n++] = packet(io, i % 2 == 0 ? &to_a : &to_b, 700, 20 + i);
    }
    /* as many as a burst has */
    while (n < PKT_BURST) {
        pkts[n] = packet(io, &to_b, 1400, n);
        n++;
    }
    CHECK(io_tx_burst(io, 0, 0, pkts, n) == n);
    for (int i = 0; i < 10; i++) {
        wants(a, 1200, i);
    }
    wants(a, 300, 10);
    wants(a, 1200, 11);
    wants(a, 700, 20);
    wants(a, 700, 22);
    wants(b, 700, 21);
    wants(b, 700, 23);
    for (int i = 16; i < PKT_BURST; i++) {
        wants(b, 1400, i);
    }
    CHECK(io_tx_count(io, 0, 0)->packets == PKT_BURST);
    CHECK(io_tx_count(io, 0, 0)->send_errors == 0);
    CHECK(rte_mempool_in_use_count(io_pool(io)) == PKT_BURST);
    io_destroy(io);
}

static void segmented_bursts_arrive_as_single_datagrams_in_order(void **state)
{
    (void)state;
    live_run(segmentation, false);
}

static void refused_by_kernel(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct io *io = live_create(&conf);
    int fd = live_socket("127.0.0.1", LIVE_PORT);
    struct path good = path_to(io, fd), broadcast = good, stranger = good;
    struct pkt *pkts[6];

    memset(broadcast.remote_ip + 12, 0xff, 4);
    stranger.local_ip[15] = 99;
    pkts[0] =
        packet(io, &broadcast, 500, 0); /* a run of two: refused as such, then singly */
    pkts[1] = packet(io, &broadcast, 500, 1);
    pkts[2] = packet(io, &good, 500, 2);
    pkts[3] = packet(io, &stranger, 500, 3);
    pkts[4] = packet(io, &good, 500, 4);
    pkts[5] = packet(io, &good, 500, 5);
    CHECK(io_tx_burst(io, 0, 0, pkts, 6) == 6);
    wants(fd, 500, 2);
    wants(fd, 500, 4);
    wants(fd, 500, 5);
    CHECK(io_tx_count(io, 0, 0)->packets == 3);
    CHECK(io_tx_count(io, 0, 0)->send_errors == 3);
    CHECK(rte_mempool_in_use_count(io_pool(io)) == PKT_BURST);
    io_destroy(io);
}

static void refused_packets_are_counted_and_do_not_stop_others(void **state)
{
    (void)state;
    live_run(refused_by_kernel, false);
}

static void too_long(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct io *io = live_create(&conf);
    int fd = live_socket("127.0.0.1", LIVE_PORT);
    struct io_rx_count count = {0};
    static uint8_t big[9000];
    struct pkt *pkt;

    CHECK(send(fd, big, sizeof(big), 0) == sizeof(big));
    io_wait(io, 0, -1, 1000000);
    CHECK(io_rx_burst(io, 0, 0, &pkt, 1, &count) == 1);
    CHECK(pkt->len > PKT_MAX_DATAGRAM && pkt->len <= PKT_ROOM);
    live_free(&pkt, 1);
    CHECK(send(fd, big, 0, 0) == 0);
    io_wait(io, 0, -1, 1000000);
    CHECK(io_rx_burst(io, 0, 0, &pkt, 1, &count) == 1 && pkt->len == 0);
    live_free(&pkt, 1);
    io_destroy(io);
}

static void too_long_and_empty_datagrams_are_handed_over_as_such(void **state)
{
    (void)state;
    live_run(too_long, false);
}

static void empty_pool(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct io *io = live_create(&conf);
    int fd = live_socket("127.0.0.1", LIVE_PORT);
    static struct rte_mbuf *all[8192];
    struct io_rx_count count = {0};
    struct pkt *pkts[PKT_BURST];
    unsigned n = 0;
    uint16_t got = 0;

    /* the device takes its receive buffers at the first burst */
    CHECK(io_rx_burst(io, 0, 0, pkts, 1, &count) == 0);
    while (n < 8192 && (all[n] = rte_pktmbuf_alloc(io_pool(io))) != NULL) {
        n++;
    }
    for (int i = 0; i < 40; i++) {
        CHECK(send(fd, "x", 1, 0) == 1);
    }
    got = io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count);
    CHECK(got == PKT_BURST);
    CHECK(io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count) == 0);
    live_free(pkts, got);
    CHECK(io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count) == 8);
    live_free(pkts, 8);
    rte_pktmbuf_free_bulk(all, n);
    io_destroy(io);
}

static void empty_pool_delays_packets_and_loses_none(void **state)
{
    (void)state;
    live_run(empty_pool, false);
}

static void refusals(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(LIVE_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(live_refused(&conf, "in use") == -EADDRINUSE);
    close(fd);
    conf.devices[0] = "udp:192.0.2.77";
    CHECK(live_refused(&conf, "192.0.2.77") == -EADDRNOTAVAIL);
    conf.devices[0] = "udp:example.org";
    CHECK(live_refused(&conf, "not an IPv4 or IPv6 address") == -EINVAL);
    conf.devices[0] = "udp:0.0.0.0";
    CHECK(live_refused(&conf, "name one address") == -EINVAL);
    conf.devices[0] = "udp:::";
    CHECK(live_refused(&conf, "name one address") == -EINVAL);
    conf.devices[0] = "wifi";
    CHECK(live_refused(&conf, "'wifi' is unknown") == -EINVAL);
    conf.devices[0] = "udp:127.0.0.1";
    conf.n_devices = 0;
    CHECK(live_refused(&conf, "devices") == -EINVAL);
    conf.n_devices = 1;
    conf.media_port = 0;
    CHECK(live_refused(&conf, "port") == -EINVAL);
    conf.media_port = LIVE_PORT;
    conf.n_lanes = IO_MAX_LANES + 1;
    CHECK(live_refused(&conf, "lanes") == -EINVAL);
    conf.n_lanes = 1;
    conf.hugepages = IO_HUGEPAGES_NEVER;
    io_destroy(live_create(&conf));
    /* the device of a failed list is closed again */
    conf.n_devices = 2;
    conf.devices[1] = "udp:192.0.2.77";
    CHECK(live_refused(&conf, "192.0.2.77") == -EADDRNOTAVAIL);
    conf.n_devices = 1;
    io_destroy(live_create(&conf));
}

static void bad_configuration_is_refused_with_the_cure(void **state)
{
    (void)state;
    live_run(refusals, false);
}

static void no_rights(void)
{
    struct io_conf conf = live_conf("udp:127.0.0.1");
    struct live_echo echo;
    struct io *io;

    /* root gives up its rights; others have none */
    CHECK(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
    io = live_create(&conf);
    live_echo_start(&echo, io);
    live_check_echo("127.0.0.1", LIVE_PORT, 10, 1);
    live_echo_stop(&echo);
    io_destroy(io);
    conf.devices[0] = "veth";
    CHECK(live_refused(&conf, "run as root") == -EPERM);
    conf.devices[0] = "af_xdp:lo";
    CHECK(live_refused(&conf, "run as root") == -EPERM);
}

static void works_without_root(void **state)
{
    (void)state;
    live_run(no_rights, false);
}

static void all_addresses(void)
{
    struct io_conf conf = live_conf("udp");
    struct live_echo echo;
    struct io *io;

    CHECK(live_refused(&conf, "no address but loopback") == -EADDRNOTAVAIL);
    live_sh("ip link add lan type veth peer name lan2 && ip link set lan up && "
            "ip link set lan2 up && ip address add 198.51.100.3/24 dev lan && "
            "ip address add 2001:db8:5::1/64 dev lan nodad");
    io = live_create(&conf);
    CHECK(io_device(io, 0)->n_addrs == 2);
    live_echo_start(&echo, io);
    live_check_echo("198.51.100.3", LIVE_PORT, 100, 1);
    live_check_echo("2001:db8:5::1", LIVE_PORT, 100, 1);
    live_echo_stop(&echo);
    io_destroy(io);
}

static void udp_alone_means_all_addresses_but_loopback(void **state)
{
    (void)state;
    live_run(all_addresses, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_come_back_unchanged_on_two_devices),
        cmocka_unit_test(segmented_bursts_arrive_as_single_datagrams_in_order),
        cmocka_unit_test(refused_packets_are_counted_and_do_not_stop_others),
        cmocka_unit_test(too_long_and_empty_datagrams_are_handed_over_as_such),
        cmocka_unit_test(empty_pool_delays_packets_and_loses_none),
        cmocka_unit_test(bad_configuration_is_refused_with_the_cure),
        cmocka_unit_test(works_without_root),
        cmocka_unit_test(udp_alone_means_all_addresses_but_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
