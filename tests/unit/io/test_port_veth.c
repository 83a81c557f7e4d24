/* port_veth with port_xdp: the private pair, on a real kernel in a namespace. */
#include "live.h"

#include <time.h>

#include "io/rtnl.h"

static bool link_exists(const char *name)
{
    struct rtnl_link link;

    return rtnl_link_get(name, &link) == 0;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void echo_content(void)
{
    const uint8_t host[16] = {[10] = 0xff, 0xff, 10, 75, 67, 1};
    const uint8_t host_mac[6] = {0x02, 'K', 'C', 'S', 0, 1};
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    const struct io_device *dev = io_device(io, 0);
    struct live_echo echo;

    CHECK(io_n_devices(io) == 1 && strcmp(dev->kind, "veth") == 0);
    CHECK(strcmp(dev->name, "kcs0") == 0 && dev->n_addrs == 2 && dev->needs_headers);
    CHECK(strstr(io_choice(io), "veth kcs0: 10.75.67.2 fd4b:4353:6b63::2") != NULL);
    live_echo_start(&echo, io);
    live_check_echo("fd4b:4353:6b63::2", LIVE_PORT, 1500, 1);
    CHECK(echo.last.family == 6);
    live_check_echo("10.75.67.2", LIVE_PORT, 1500, 2);
    CHECK(echo.last.family == 4 && echo.last.local_port == LIVE_PORT);
    CHECK(memcmp(echo.last.remote_ip, host, 16) == 0);
    CHECK(memcmp(echo.last.remote_mac, host_mac, 6) == 0);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 3000 && echo.dropped == 0);
    CHECK(echo.count.answered >= 2); /* ARP and NDP */
    CHECK(io_tx_count(io, 0, 0)->packets == 3000);
    CHECK(io_tx_count(io, 0, 0)->udp6_sums == 1500);
    io_destroy(io);
    CHECK(!link_exists("kcs0") && !link_exists("kcs0-dp"));
}

static void datagrams_come_back_unchanged_ipv4_and_ipv6(void **state)
{
    (void)state;
    live_run(echo_content, true);
}

static void pings(void)
{
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    struct live_echo echo;

    live_echo_start(&echo, io);
    live_ping(AF_INET, "10.75.67.2", 56);
    live_ping(AF_INET, "10.75.67.2", 1400);
    live_ping(AF_INET6, "fd4b:4353:6b63::2", 56);
    live_ping(AF_INET6, "fd4b:4353:6b63::2", 1400);
    live_echo_stop(&echo);
    io_destroy(io);
}

static void host_can_ping_the_dataplane(void **state)
{
    (void)state;
    live_run(pings, true);
}

static void ignored_frames(void)
{
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    struct live_echo echo;
    uint8_t big[3000] = {1};
    int fd = live_socket("10.75.67.2", LIVE_PORT);
    int other = live_socket("10.75.67.2", LIVE_PORT + 1);

    live_echo_start(&echo, io);
    live_check_echo("10.75.67.2", LIVE_PORT, 1, 1);
    CHECK(send(fd, big, sizeof(big), 0) > 0);
    CHECK(send(other, big, 100, 0) > 0);
    live_check_echo("10.75.67.2", LIVE_PORT, 10, 1);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 11);
    CHECK(echo.count.ignored[IO_IGNORED_FRAGMENT] == 3);
    CHECK(echo.count.ignored[IO_IGNORED_PORT] == 1);
    io_destroy(io);
}

static void fragments_and_other_ports_are_ignored_and_counted(void **state)
{
    (void)state;
    live_run(ignored_frames, true);
}

static void leftover(void)
{
    struct io_conf conf = live_conf("veth");
    struct live_echo echo;
    struct io *io;

    live_make_and_kill("veth");
    CHECK(link_exists("kcs0"));
    io = live_create(&conf);
    live_echo_start(&echo, io);
    live_check_echo("10.75.67.2", LIVE_PORT, 10, 1);
    live_echo_stop(&echo);
    io_destroy(io);
    CHECK(!link_exists("kcs0"));
}

static void pair_of_a_killed_predecessor_is_replaced(void **state)
{
    (void)state;
    live_run(leftover, true);
}

static void refusals(void)
{
    const uint8_t mac[6] = {0x02, 1, 2, 3, 4, 5}, peer_mac[6] = {0x02, 1, 2, 3, 4, 6};
    struct io_conf conf = live_conf("veth");
    struct io *io;

    CHECK(rtnl_veth_create("kcs0", mac, "other", peer_mac) == 0);
    CHECK(live_refused(&conf, "kcs0") == -EEXIST);
    CHECK(link_exists("kcs0"));
    conf.veth_name = "kcs1";
    live_sh("ip address add 10.75.67.77/24 dev kcs0 && ip link set kcs0 up && "
            "ip link set other up");
    CHECK(live_refused(&conf, "10.75.67.0/30") == -EINVAL);
    CHECK(!link_exists("kcs1"));
    conf.veth_ipv4 = "10.75.68.0/30";
    io = live_create(&conf);
    CHECK(link_exists("kcs1"));
    io_destroy(io);
    CHECK(!link_exists("kcs1"));

    conf.veth_ipv4 = "10.75.68.0";
    CHECK(live_refused(&conf, "IPv4 network") == -EINVAL);
    conf.veth_ipv4 = "10.75.68.0/31";
    CHECK(live_refused(&conf, "IPv4 network") == -EINVAL);
    conf.veth_ipv4 = NULL;
    conf.veth_ipv6 = "nonsense/64";
    CHECK(live_refused(&conf, "IPv6 network") == -EINVAL);
    conf.veth_ipv6 = NULL;
    conf.veth_name = "a-name-too-long";
    CHECK(live_refused(&conf, "a-name-too-long") == -EINVAL);
    conf.veth_name = NULL;
    conf.xdp_object = "/nonexistent/kcs-xdp.o";
    CHECK(live_refused(&conf, "/nonexistent/kcs-xdp.o") == -ENOENT);
}

static void foreign_interfaces_and_networks_are_refused(void **state)
{
    (void)state;
    live_run(refusals, true);
}

static void second(void)
{
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    pid_t child = fork();
    int status;

    if (child == 0) {
        /* "One io at a time": DPDK itself is up already in this copy, so only the device's
         * refusal is at stake. */
        execl("/proc/self/exe", "test_port_veth", "second", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(link_exists("kcs0"));
    io_destroy(io);
}

static void second_dataplane_is_refused(void **state)
{
    (void)state;
    live_run(second, true);
}

/* Sends 100,000 datagrams to a socket of the host; the buffers must all come back. */
static void blast(void)
{
    enum { TOTAL = 100000, LEN = 1000 };
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    struct rte_mempool *pool = io_pool(io);
    struct live_echo echo;
    struct path back;
    struct pkt_hdr hdr;
    unsigned sent = 0, got = 0, before, stuck = 0;
    int size = 64 << 20;
    uint8_t in[2000];
    double start, took;
    int fd = live_socket("10.75.67.2", LIVE_PORT);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    live_echo_start(&echo, io);
    CHECK(send(fd, "x", 1, 0) == 1 && recv(fd, in, sizeof(in), 0) == 1);
    live_echo_stop(&echo);
    back = echo.last;
    CHECK(io_hdr_build(io, &back, &hdr) == 0 && hdr.len == 42);
    before = rte_mempool_in_use_count(pool);
    start = seconds();
    while (sent < TOTAL && stuck < 1000000) {
        struct rte_mbuf *mbufs[PKT_BURST];
        struct pkt *pkts[PKT_BURST];
        uint16_t k;

        CHECK(rte_pktmbuf_alloc_bulk(pool, mbufs, PKT_BURST) == 0);
        for (unsigned i = 0; i < PKT_BURST; i++) {
            uint32_t number = sent + i;

            pkts[i] = mbuf_to_pkt(mbufs[i]);
            pkts[i]->to = &back;
            pkts[i]->data = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
            pkts[i]->len = (uint16_t)(hdr.len + LEN);
            pkt_hdr_write(&hdr, pkts[i]->data, LEN);
            memset(pkts[i]->data + hdr.len, (int)(number & 0xff), LEN);
            memcpy(pkts[i]->data + hdr.len, &number, 4);
        }
        k = io_tx_burst(io, 0, 0, pkts, PKT_BURST);
        live_free(pkts + k, (uint16_t)(PKT_BURST - k));
        stuck = k == 0 ? stuck + 1 : 0;
        sent += k;
        while (recv(fd, in, sizeof(in), MSG_DONTWAIT) == LEN) {
            uint32_t number;

            memcpy(&number, in, 4);
            CHECK(in[4] == (number & 0xff) && in[LEN - 1] == (number & 0xff));
            got++;
        }
    }
    took = seconds() - start;
    usleep(50000);
    while (recv(fd, in, sizeof(in), MSG_DONTWAIT) == LEN) {
        got++;
    }
    print_message("veth: %u sent in %.2f s (%.0f/s), %u received by a socket\n", sent, took,
                  (double)sent / took, got);
    CHECK(sent >= TOTAL && got >= TOTAL * 9 / 10);
    /* what is not back is in the completion ring, which the next burst empties */
    CHECK(rte_mempool_in_use_count(pool) <= before + 2048 + 512);
    io_destroy(io);
}

static void buffers_of_a_hundred_thousand_packets_come_back(void **state)
{
    (void)state;
    live_run(blast, true);
}

/* As many echoes as fit a second, by one kernel client in bursts: a figure, not a verdict.
 */
static void rate(void)
{
    struct io_conf conf = live_conf("veth");
    struct io *io = live_create(&conf);
    struct live_echo echo;
    uint8_t buf[1200] = {0};
    unsigned sent = 0, got = 0;
    int size = 16 << 20;
    int fd = live_socket("10.75.67.2", LIVE_PORT);
    double start;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    live_echo_start(&echo, io);
    for (start = seconds(); seconds() - start < 1.0;) {
        for (unsigned i = 0; i < 64; i++) {
            sent += send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0 ? 1 : 0;
        }
        while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
            got++;
        }
    }
    live_echo_stop(&echo);
    print_message("veth: %u of %u datagrams of 1200 bytes echoed in 1 s\n", got, sent);
    CHECK(got > 1000);
    io_destroy(io);
}

static void echo_rate_is_measured(void **state)
{
    (void)state;
    live_run(rate, true);
}

static void automatic(void)
{
    struct io_conf conf = live_conf("auto");
    struct live_echo echo;
    struct io *io;

    live_sh("ip link add lan type veth peer name lan2 && ip link set lan up && "
            "ip link set lan2 up && ip address add 198.51.100.3/24 dev lan && "
            "ip address add 2001:db8:5::1/64 dev lan nodad");
    io = live_create(&conf);
    CHECK(io_n_devices(io) == 2);
    CHECK(strcmp(io_device(io, 0)->kind, "veth") == 0);
    CHECK(strcmp(io_device(io, 1)->kind, "udp") == 0 && io_device(io, 1)->n_addrs == 2);
    live_echo_start(&echo, io);
    live_check_echo("10.75.67.2", LIVE_PORT, 100, 1);
    live_check_echo("198.51.100.3", LIVE_PORT, 100, 1);
    live_check_echo("2001:db8:5::1", LIVE_PORT, 100, 1);
    live_echo_stop(&echo);
    io_destroy(io);

    live_sh("ip route add 10.0.0.0/8 dev lan");
    io = live_create(&conf);
    CHECK(io_n_devices(io) == 1 && strcmp(io_device(io, 0)->kind, "udp") == 0);
    CHECK(strstr(io_choice(io), "auto: no veth: the host has a route") != NULL);
    io_destroy(io);
}

static void auto_opens_veth_and_udp_or_says_why_not(void **state)
{
    (void)state;
    live_run(automatic, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_come_back_unchanged_ipv4_and_ipv6),
        cmocka_unit_test(host_can_ping_the_dataplane),
        cmocka_unit_test(fragments_and_other_ports_are_ignored_and_counted),
        cmocka_unit_test(pair_of_a_killed_predecessor_is_replaced),
        cmocka_unit_test(foreign_interfaces_and_networks_are_refused),
        cmocka_unit_test(second_dataplane_is_refused),
        cmocka_unit_test(buffers_of_a_hundred_thousand_packets_come_back),
        cmocka_unit_test(echo_rate_is_measured),
        cmocka_unit_test(auto_opens_veth_and_udp_or_says_why_not),
    };

    if (argc > 1 && strcmp(argv[1], "second") == 0) {
        struct io_conf conf = live_conf("veth");

        return live_refused(&conf, "another dataplane") == -EADDRINUSE ? 0 : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
