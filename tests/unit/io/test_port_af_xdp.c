/* port_af_xdp: beside the kernel on one end of a veth pair, its client in another
 * namespace. */
#include "live.h"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "io/rtnl.h"

enum { TCP_PORT = 2222, OTHER_PORT = 7001 };

static unsigned attached_program(const char *name)
{
    struct rtnl_link link;

    CHECK(rtnl_link_get(name, &link) == 0);
    return link.xdp_prog_id;
}

/* x0 here with 10.99.0.1 and fd99::1; x1 with .2 and ::2 in the namespace of 'pid'. */
static void make_link(pid_t pid)
{
    char command[512];

    snprintf(command, sizeof(command),
             "ip link add x0 numrxqueues 1 type veth peer name x1 numrxqueues 1 && "
             "ip link set x1 netns %d && ip address add 10.99.0.1/24 dev x0 && "
             "ip address add fd99::1/64 dev x0 nodad && ip link set x0 up && "
             "nsenter -t %d -n sh -c 'ip address add 10.99.0.2/24 dev x1 && "
             "ip address add fd99::2/64 dev x1 nodad && ip link set x1 up'",
             (int)pid, (int)pid);
    live_sh(command);
}

static void client_talks(void)
{
    live_tcp_talk("10.99.0.1", TCP_PORT);
    live_check_echo("10.99.0.1", LIVE_PORT, 1000, 1);
    live_check_echo("fd99::1", LIVE_PORT, 1000, 2);
    live_check_echo("10.99.0.1", OTHER_PORT, 100, 3);
    live_tcp_talk("10.99.0.1", TCP_PORT);
}

/* The host's own services: TCP echo, and UDP echo on another port. */
static void *host_services(void *arg)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(TCP_PORT)};
    int one = 1, tcp = socket(AF_INET, SOCK_STREAM, 0),
        udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in from;
    char buf[4096];
    ssize_t n;

    setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK(bind(tcp, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(tcp, 4) == 0);
    name.sin_port = htons(OTHER_PORT);
    CHECK(bind(udp, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(write(*(int *)arg, "x", 1) == 1);
    for (int session = 0; session < 2; session++) {
        int fd = accept(tcp, NULL, NULL);

        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
            CHECK(send(fd, buf, (size_t)n, 0) == n);
        }
        close(fd);
        for (int i = 0; session == 0 && i < 100; i++) {
            socklen_t len = sizeof(from);

            n = recvfrom(udp, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
            CHECK(sendto(udp, buf, (size_t)n, 0, (struct sockaddr *)&from, len) == n);
        }
    }
    close(tcp);
    close(udp);
    return NULL;
}

static void beside_kernel(void)
{
    struct io_conf conf = live_conf("af_xdp:x0");
    struct live_client client;
    struct live_echo echo;
    pthread_t services;
    struct io *io;
    int ready[2];
    char byte;

    live_client_start(&client, client_talks, make_link);
    CHECK(pipe(ready) == 0);
    CHECK(pthread_create(&services, NULL, host_services, &ready[1]) == 0);
    CHECK(read(ready[0], &byte, 1) == 1);
    io = live_create(&conf);
    CHECK(strcmp(io_device(io, 0)->kind, "af_xdp") == 0);
    CHECK(io_device(io, 0)->n_addrs == 2 && io_device(io, 0)->needs_headers);
    CHECK(attached_program("x0") != 0);
    live_echo_start(&echo, io);
    live_client_talk(&client);
    pthread_join(services, NULL);
    live_echo_stop(&echo);
    /* media came to us, all of it; nothing else did */
    CHECK(echo.count.packets == 2000 && echo.count.frames == 2000);
    io_destroy(io);
    CHECK(attached_program("x0") == 0);
    live_client_end(&client);
}

static void media_is_ours_and_all_else_the_kernels(void **state)
{
    (void)state;
    live_run(beside_kernel, true);
}

static void client_echoes(void)
{
    live_check_echo("10.99.0.1", LIVE_PORT, 100, 1);
}

static void leftover(void)
{
    struct io_conf conf = live_conf("af_xdp:x0");
    struct live_echo echo;
    struct live_client client;
    struct io *io;

    live_client_start(&client, client_echoes, make_link);
    live_make_and_kill("af_xdp:x0");
    CHECK(attached_program("x0") != 0);
    io = live_create(&conf);
    live_echo_start(&echo, io);
    live_client_talk(&client);
    live_echo_stop(&echo);
    io_destroy(io);
    CHECK(attached_program("x0") == 0);
    live_client_end(&client);
}

static void program_of_a_killed_predecessor_is_replaced(void **state)
{
    (void)state;
    live_run(leftover, true);
}

static void refusals(void)
{
    const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    struct io_conf conf = live_conf("af_xdp:x0");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(LIVE_PORT)};
    int prog, fd;

    CHECK(live_refused(&conf, "no such interface") == -ENODEV);
    live_sh("ip link add x0 numrxqueues 1 type veth peer name x1 numrxqueues 1");
    CHECK(live_refused(&conf, "ip link set x0 up") == -ENETDOWN);
    live_sh("ip link set x0 up && ip link set x1 up");
    CHECK(live_refused(&conf, "ip address add") == -EADDRNOTAVAIL);
    live_sh("ip address add 10.99.0.1/24 dev x0");

    prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "someone_elses", "GPL", pass, 2, NULL);
    CHECK(prog >= 0);
    CHECK(bpf_xdp_attach((int)if_nametoindex("x0"), prog, 0, NULL) == 0);
    CHECK(live_refused(&conf, "someone_elses") == -EBUSY);
    CHECK(attached_program("x0") != 0);
    live_sh("ip link set dev x0 xdp off");

    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(live_refused(&conf, "ss -ulnp") == -EADDRINUSE);
    CHECK(attached_program("x0") == 0);
    close(fd);
}

static void set_queues(const char *name, unsigned n)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_SCHANNELS, .rx_count = n};
    struct ifreq ifr = {.ifr_data = (void *)&channels};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    channels.tx_count = n;
    strcpy(ifr.ifr_name, name);
    CHECK(ioctl(fd, SIOCETHTOOL, &ifr) == 0);
    close(fd);
}

/* x0 as make_link(), with four queues each way on both ends. */
static void make_wide_link(pid_t pid)
{
    char command[768];

    snprintf(command, sizeof(command),
             "ip link add x0 numrxqueues 4 numtxqueues 4 type veth peer name x1 "
             "numrxqueues 4 numtxqueues 4");
    live_sh(command);
    set_queues("x0", 4);
    set_queues("x1", 4);
    snprintf(command, sizeof(command),
             "ip link set x1 netns %d && ip address add 10.99.0.1/24 dev x0 && "
             "ip address add fd99::1/64 dev x0 nodad && ip link set x0 up && "
             "nsenter -t %d -n sh -c 'ip address add 10.99.0.2/24 dev x1 && "
             "ip address add fd99::2/64 dev x1 nodad && ip link set x1 up'",
             (int)pid, (int)pid);
    live_sh(command);
}

/* Flows enough that every queue has some. */
static void client_of_many_flows(void)
{
    for (unsigned i = 0; i < 32; i++) {
        live_check_echo(i % 2 == 0 ? "10.99.0.1" : "fd99::1", LIVE_PORT, 20, i);
    }
}

/* Every packet of a client with many flows comes back, whichever lanes there are. Returns
 * how many of them heard one. */
static unsigned serve_wide(unsigned n_lanes, unsigned n_queues)
{
    struct io_conf conf = live_conf("af_xdp:x0");
    struct live_echo echo[8];
    struct live_client client;
    unsigned busy = 0;
    uint64_t total = 0;
    struct io *io;

    conf.n_lanes = n_lanes;
    conf.n_mbufs = 32767;
    conf.heap_mb = 64;
    live_client_start(&client, client_of_many_flows, make_wide_link);
    io = live_create(&conf);
    CHECK(io_device(io, 0)->n_queues == n_queues);
    for (unsigned i = 0; i < n_lanes; i++) { /* who has a queue sends by it */
        CHECK(io_tx_lane(io, 0, i) == i % n_queues);
    }
    for (unsigned i = 0; i < n_lanes; i++) {
        live_echo_start_lane(&echo[i], io, i);
    }
    live_client_talk(&client);
    for (unsigned i = 0; i < n_lanes; i++) {
        live_echo_stop(&echo[i]);
        CHECK(echo[i].dropped == 0 && echo[i].count.frames == echo[i].count.packets);
        busy += echo[i].count.packets > 0 ? 1 : 0;
        total += echo[i].count.packets;
    }
    CHECK(total == 32 * 20);
    io_destroy(io);
    CHECK(attached_program("x0") == 0);
    live_client_end(&client);
    return busy;
}

static void one_lane_wide(void)
{
    CHECK(serve_wide(1, 1) == 1);
}

static void two_lanes_wide(void)
{
    CHECK(serve_wide(2, 2) == 2);
}

static void four_lanes_wide(void)
{
    CHECK(serve_wide(4, 4) >= 3);
}

static void six_lanes_wide(void)
{
    CHECK(serve_wide(6, 4) <= 4);
}

static void every_queue_is_served_by_however_many_lanes(void **state)
{
    (void)state;
    live_run(one_lane_wide, true);
    live_run(two_lanes_wide, true);
    live_run(four_lanes_wide, true);
    live_run(six_lanes_wide, true);
}

/* Four queues and a lane: what they take to receive is not all that they need. */
static void short_of_packets(void)
{
    struct io_conf conf = live_conf("af_xdp:x0");

    live_sh("ip link add x0 numrxqueues 4 numtxqueues 4 type veth peer name x1 "
            "numrxqueues 4 numtxqueues 4");
    set_queues("x0", 4);
    set_queues("x1", 4);
    live_sh("ip address add 10.99.0.1/24 dev x0 && ip link set x0 up && ip link set x1 up");
    conf.heap_mb = 64;
    conf.n_mbufs = 4 * 4096 + 512;
    io_destroy(live_create(&conf));
    conf.n_mbufs--;
    CHECK(live_refused(&conf, "raise memory.packets") == -ENOMEM);
    conf.n_mbufs = 4 * 2048; /* all of them waiting for the kernel to fill them */
    CHECK(live_refused(&conf, "4 receive queues") == -ENOMEM);
    CHECK(attached_program("x0") == 0);
}

static void device_that_would_leave_no_packets_is_refused(void **state)
{
    (void)state;
    live_run(short_of_packets, true);
}

/* No veth has zero copy: it is asked for, and its absence is told. */
static void asks_for_zero_copy(void)
{
    const struct io_options options = {.device = "af_xdp:x0", .zero_copy = true};
    struct io_conf conf = live_conf("af_xdp:x0");
    struct live_client client;
    struct live_echo echo[2];
    struct io *io;

    conf.options = &options;
    conf.n_options = 1;
    conf.n_lanes = 2;
    conf.n_mbufs = 32767;
    conf.heap_mb = 64;
    live_client_start(&client, client_of_many_flows, make_wide_link);
    io = live_create(&conf);
    CHECK(strstr(io_choice(io), "copied: the interface's driver has no zero copy") != NULL);
    CHECK(io_device(io, 0)->no_zero_copy && !io_device(io, 0)->zero_copy);
    CHECK(io_device(io, 0)->n_queues == 2);
    live_echo_start_lane(&echo[0], io, 0);
    live_echo_start_lane(&echo[1], io, 1);
    live_client_talk(&client);
    live_echo_stop(&echo[0]);
    live_echo_stop(&echo[1]);
    CHECK(echo[0].count.packets + echo[1].count.packets == 32 * 20);
    io_destroy(io);
    CHECK(attached_program("x0") == 0);
    live_client_end(&client);
}

static void zero_copy_that_is_not_to_be_had_is_told(void **state)
{
    (void)state;
    live_run(asks_for_zero_copy, true);
}

/* Lane 2 of 3 on a device of one queue: it hears nothing, but what it has to say goes out.
 */
static void third_lane_sends(void)
{
    struct io_conf conf = live_conf("veth");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9999)};
    struct path path = {.family = 4, .local_port = LIVE_PORT, .remote_port = 9999};
    struct rte_mbuf *mbuf;
    struct pkt_hdr hdr;
    struct pkt *pkt;
    char back[16];
    struct io *io;

    conf.n_lanes = 3;
    io = live_create(&conf);
    CHECK(io_device(io, 0)->n_queues == 1);
    CHECK(inet_pton(AF_INET, "10.75.67.1", &in.sin_addr) == 1);
    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    path_map_v4(path.remote_ip, (const uint8_t[]){10, 75, 67, 1});
    memcpy(path.local_ip, io_device(io, 0)->addrs[0].ip, 16);
    memcpy(path.remote_mac, (const uint8_t[]){0x02, 'K', 'C', 'S', 0, 1}, 6);
    CHECK(io_hdr_build(io, &path, &hdr) == 0);
    for (unsigned lane = 0; lane < 3; lane++) {
        mbuf = rte_pktmbuf_alloc(io_pool(io));
        pkt = mbuf_to_pkt(mbuf);
        pkt->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
        pkt->to = &path;
        pkt_frame(pkt, &hdr, (const uint8_t *)"hello", 5);
        CHECK(io_tx_burst(io, 0, lane, &pkt, 1) == 1);
        CHECK(recv(fd, back, sizeof(back), 0) == 5);
        CHECK(io_tx_count(io, 0, lane)->packets == 1);
    }
    close(fd);
    io_destroy(io);
}

static void lane_without_a_queue_of_its_own_can_send(void **state)
{
    (void)state;
    live_run(third_lane_sends, true);
}

static void several(void)
{
    struct io_conf conf = live_conf("af_xdp:x0");
    struct live_client client;
    struct live_echo echo;
    struct io *io;

    conf.devices[1] = "veth";
    conf.devices[2] = "udp:127.0.0.1";
    conf.n_devices = 3;
    conf.n_mbufs = 16383;
    live_client_start(&client, client_echoes, make_link);
    io = live_create(&conf);
    CHECK(io_n_devices(io) == 3);
    live_echo_start(&echo, io);
    live_client_talk(&client);
    live_check_echo("10.75.67.2", LIVE_PORT, 500, 1);
    live_check_echo("127.0.0.1", LIVE_PORT, 500, 2);
    live_check_echo("fd4b:4353:6b63::2", LIVE_PORT, 500, 3);
    live_echo_stop(&echo);
    for (unsigned d = 0; d < 3; d++) {
        CHECK(io_tx_count(io, d, 0)->packets == (d == 0 ? 100 : d == 1 ? 1000 : 500));
    }
    io_destroy(io);
    live_client_end(&client);
}

static void several_devices_serve_at_once(void **state)
{
    (void)state;
    live_run(several, true);
}

static void interface_lost(void)
{
    struct io_conf conf = live_conf("af_xdp:x0");
    struct io_rx_count count = {0};
    struct timespec start, end; /* no spinning on the dead socket */
    struct live_echo echo;
    struct live_client client;
    struct io *io;

    live_client_start(&client, client_echoes, make_link);
    io = live_create(&conf);
    CHECK(io_device_state(io, 0) == IO_WORKS);
    live_sh("ip link set x0 down");
    CHECK(io_device_state(io, 0) == IO_DOWN);
    live_sh("ip link set x0 up");
    CHECK(io_device_state(io, 0) == IO_WORKS);
    live_echo_start(&echo, io);
    live_client_talk(&client); /* it does */
    live_sh("ip link del x0");
    CHECK(io_device_state(io, 0) == IO_GONE);
    live_sh("ip link add x0 type veth peer name x1");
    CHECK(io_device_state(io, 0) == IO_GONE); /* another of that name */
    live_sh("ip link del x0");
    live_echo_stop(&echo);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 10; i++) {
        struct pkt *pkts[PKT_BURST];
        uint16_t n = io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count);

        live_free(pkts, n);
        io_wait(io, 0, -1, 10000);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(end.tv_sec > start.tv_sec || end.tv_nsec - start.tv_nsec >= 100000000);
    io_destroy(io);
    live_client_end(&client);
}

static void interface_may_vanish_while_in_use(void **state)
{
    (void)state;
    live_run(interface_lost, true);
}

static void what_cannot_be_served_is_refused_with_the_cure(void **state)
{
    (void)state;
    live_run(refusals, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_is_ours_and_all_else_the_kernels),
        cmocka_unit_test(program_of_a_killed_predecessor_is_replaced),
        cmocka_unit_test(several_devices_serve_at_once),
        cmocka_unit_test(interface_may_vanish_while_in_use),
        cmocka_unit_test(every_queue_is_served_by_however_many_lanes),
        cmocka_unit_test(device_that_would_leave_no_packets_is_refused),
        cmocka_unit_test(zero_copy_that_is_not_to_be_had_is_told),
        cmocka_unit_test(lane_without_a_queue_of_its_own_can_send),
        cmocka_unit_test(what_cannot_be_served_is_refused_with_the_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
