/* port_dpdk, port_eth and exception: DPDK's software devices in namespaces, and in the
 * place of a NIC. */
#include "live.h"

#include <net/if.h>
#include <time.h>

#include "io/ether.h"
#include "io/rtnl.h"
#include "sfu/base/bytes.h"

enum { TCP_PORT = 2222 };

#define TAP        "vdev:net_tap0,iface=kcst0"
#define MEMIF_ARGS "socket=@kcs-test-memif,socket-abstract=yes,id=7"

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* ---- net_tap ---------------------------------------------------------------- */

/* The kernel's end of the tap is the client's. */
static struct io *make_tap(unsigned n_lanes, unsigned n_queues)
{
    struct io_options options = {
        .device = TAP, .ipv4 = "10.98.0.2/24", .ipv6 = "fd98::2/64", .n_queues = n_queues};
    struct io_conf conf = live_conf(TAP);
    struct io *io;

    conf.options = &options;
    conf.n_options = 1;
    conf.n_lanes = n_lanes;
    io = live_create(&conf);
    live_sh("ip address add 10.98.0.1/24 dev kcst0 && "
            "ip address add fd98::1/64 dev kcst0 nodad");
    return io;
}

static void tap_echoes(void)
{
    struct io *io = make_tap(1, 0);
    const struct io_device *dev = io_device(io, 0);
    struct live_echo echo;

    CHECK(strcmp(dev->kind, "vdev") == 0 && strcmp(dev->name, "net_tap0") == 0);
    CHECK(dev->n_addrs == 2 && dev->needs_headers && dev->n_queues == 1);
    CHECK(strstr(io_choice(io), "vdev net_tap0: 10.98.0.2 fd98::2 port 7000") != NULL);
    live_echo_start(&echo, io);
    live_check_echo("10.98.0.2", LIVE_PORT, 500, 1);
    live_check_echo("fd98::2", LIVE_PORT, 500, 2);
    live_ping(AF_INET, "10.98.0.2", 56);
    live_ping(AF_INET6, "fd98::2", 1400);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 1000 && echo.dropped == 0 && echo.count.passed == 0);
    CHECK(echo.count.answered >= 4); /* ARP, NDP, two pings */
    CHECK(io_tx_count(io, 0, 0)->packets == 1000);
    CHECK(io_tx_count(io, 0, 0)->udp6_sums == 0); /* the driver does, the kernel looks */
    io_destroy(io);
    CHECK(if_nametoindex("kcst0") == 0);
}

static void tap_answers_for_its_address_and_moves_media(void **state)
{
    (void)state;
    live_run(tap_echoes, true);
}

static void tap_queues(void)
{
    struct io *io = make_tap(2, 2);
    struct live_echo echo[2];

    CHECK(io_device(io, 0)->n_queues == 2);
    live_echo_start_lane(&echo[0], io, 0);
    live_echo_start_lane(&echo[1], io, 1);
    for (unsigned i = 0; i < 16; i++) {
        live_check_echo(i % 2 == 0 ? "10.98.0.2" : "fd98::2", LIVE_PORT, 20, i);
    }
    live_echo_stop(&echo[0]);
    live_echo_stop(&echo[1]);
    CHECK(echo[0].count.packets + echo[1].count.packets == 320);
    CHECK(echo[0].count.packets > 0 && echo[1].count.packets > 0);
    io_destroy(io);
}

static void tap_of_two_queues_serves_two_lanes(void **state)
{
    (void)state;
    live_run(tap_queues, true);
}

/* A lane that sleeps on the device alone. */
static void tap_wakes(void)
{
    struct io *io = make_tap(1, 0);
    struct io_rx_count count = {0};
    struct pkt *pkts[PKT_BURST];
    int fd = live_socket("10.98.0.2", LIVE_PORT);
    double begin, asleep = 0;

    for (int i = 0; i < 20; i++) { /* what the kernel says by itself, and ARP */
        live_free(pkts, io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count));
        io_wait(io, 0, -1, 20000);
    }
    for (int i = 0; i < 50; i++) {
        uint16_t n = 0;

        CHECK(send(fd, "x", 1, 0) == 1);
        begin = seconds();
        while (n == 0 && seconds() < begin + 2) {
            io_wait(io, 0, -1, 1000000);
            n = io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count);
        }
        CHECK(n == 1 && seconds() < begin + 0.5);
        live_free(pkts, n);
        live_free(pkts, io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count));
    }
    for (int i = 0; i < 20; i++) {
        begin = seconds();
        io_wait(io, 0, -1, 20000);
        asleep += seconds() - begin;
        live_free(pkts, io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count));
    }
    CHECK(asleep > 0.2); /* of 0.4: it does not spin on an empty device */
    close(fd);
    io_destroy(io);
}

static void sleeper_on_a_tap_wakes_when_a_packet_comes_and_only_then(void **state)
{
    (void)state;
    live_run(tap_wakes, true);
}

/* ---- net_memif --------------------------------------------------------------- */

static struct io *make_memif(const char *device, const char *ipv4, const char *ipv6)
{
    struct io_options options = {.device = device, .ipv4 = ipv4, .ipv6 = ipv6};
    struct io_conf conf = live_conf(device);

    conf.options = &options;
    conf.n_options = 1;
    return live_create(&conf);
}

/* Sends a datagram of 'len' bytes from this node to the other's address 'to'. Returns
 * whether the device took it. */
static bool memif_send(struct io *io, const struct path *path, const uint8_t *data,
                       uint16_t len)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(io_pool(io));
    struct pkt *pkt = mbuf_to_pkt(mbuf);
    struct pkt_hdr hdr;

    CHECK(mbuf != NULL && io_hdr_build(io, path, &hdr) == 0);
    pkt->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
    pkt->to = path;
    pkt_frame(pkt, &hdr, data, len);
    if (io_tx_burst(io, 0, 0, &pkt, 1) == 1) {
        return true;
    }
    rte_pktmbuf_free(mbuf);
    return false;
}

/* Sends to a dataplane that echoes, and wants everything back. Where others want the CPUs the
 * echo may have none for seconds, and we neither: patience is counted in time that we had. */
static void memif_check(struct io *io, int family)
{
    struct path path = {.family = (uint8_t)family,
                        .local_port = LIVE_PORT,
                        .remote_port = LIVE_PORT,
                        .remote_mac = {0x02, 0, 0, 0, 0, 0x0a}};
    struct io_rx_count count = {0};
    uint8_t out[1400];

    memcpy(path.local_ip, io_device(io, 0)->addrs[family == 4 ? 0 : 1].ip, 16);
    memcpy(path.remote_ip, path.local_ip, 16);
    path.remote_ip[15] = 1;
    for (unsigned i = 0; i < 500; i++) {
        uint16_t len = (uint16_t)(1 + i * 37 % 1400), n = 0;
        struct pkt *pkts[PKT_BURST];
        double end;

        memset(out, (int)i, len);
        for (unsigned tries = 0; !memif_send(io, &path, out, len); tries++) {
            CHECK(tries < 5000); /* until they are connected */
            usleep(1000);
        }
        end = seconds_of(CLOCK_THREAD_CPUTIME_ID) + 10;
        while (n == 0) { /* never asleep: time of ours goes by as long as we have any */
            n = io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count);
            CHECK(seconds_of(CLOCK_THREAD_CPUTIME_ID) < end);
        }
        CHECK(n == 1 && pkts[0]->len == len && memcmp(pkts[0]->data, out, len) == 0);
        CHECK(memcmp(pkts[0]->path.remote_ip, path.remote_ip, 16) == 0);
        live_free(pkts, n);
    }
}

static void memif_pair(void)
{
    struct io *io;
    struct live_echo echo;
    int status, listening[2];
    char byte;
    pid_t peer;

    CHECK(pipe(listening) == 0);
    peer = fork();
    CHECK(peer >= 0);
    if (peer == 0) {
        CHECK(read(listening[0], &byte, 1) == 1);
        io = make_memif("vdev:net_memif0,role=client," MEMIF_ARGS, "10.97.0.2", "fd97::2");
        memif_check(io, 4);
        memif_check(io, 6);
        io_destroy(io);
        _exit(0);
    }
    io = make_memif("vdev:net_memif0,role=server," MEMIF_ARGS, "10.97.0.1", "fd97::1");
    CHECK(write(listening[1], "x", 1) == 1);
    live_echo_start(&echo, io);
    CHECK(waitpid(peer, &status, 0) == peer && status == 0);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 1000 && echo.dropped == 0);
    io_destroy(io);
}

static void two_processes_talk_over_memif(void **state)
{
    (void)state;
    live_run(memif_pair, true);
}

/* ---- net_pcap ---------------------------------------------------------------- */

static void pcap_write(FILE *file, const uint8_t *frame, uint32_t len)
{
    const uint32_t head[4] = {1, 0, len, len};

    CHECK(fwrite(head, sizeof(head), 1, file) == 1);
    CHECK(fwrite(frame, len, 1, file) == 1);
}

/* A file with 'n' datagrams of each family to us, an ARP request and a frame of nobody. */
static void pcap_make(const char *name, unsigned n)
{
    const uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
    static const uint8_t arp[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,  9,  8, 6,
                                    0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0,  0,  0, 9,
                                    10,  96,  0,   1,   0,   0,   0, 0, 0, 0, 10, 96, 0, 2};
    static const uint8_t lldp[60] = {1, 0x80, 0xc2, 0, 0, 14, 2, 0, 0, 0, 0, 9, 0x88, 0xcc};
    FILE *file = fopen(name, "wb");

    CHECK(file != NULL && fwrite(head, sizeof(head), 1, file) == 1);
    pcap_write(file, arp, sizeof(arp));
    pcap_write(file, lldp, sizeof(lldp));
    for (unsigned i = 0; i < 2 * n; i++) {
        /* from the other side: a template "back" with its ends turned */
        struct path path = {.family = i % 2 == 0 ? 4 : 6,
                            .local_port = 5000,
                            .remote_port = LIVE_PORT,
                            .remote_mac = {2, 0, 0, 0, 0, 1}};
        uint8_t payload[100], frame[200];
        struct pkt_hdr hdr;

        if (path.family == 4) {
            path_map_v4(path.local_ip, (const uint8_t[]){10, 96, 0, 1});
            path_map_v4(path.remote_ip, (const uint8_t[]){10, 96, 0, 2});
        } else {
            CHECK(inet_pton(AF_INET6, "fd96::1", path.local_ip) == 1);
            CHECK(inet_pton(AF_INET6, "fd96::2", path.remote_ip) == 1);
        }
        memset(payload, (int)i, sizeof(payload));
        ether_template((const uint8_t[]){2, 0, 0, 0, 0, 9}, &path, &hdr);
        pkt_hdr_write(&hdr, frame, sizeof(payload));
        memcpy(frame + hdr.len, payload, sizeof(payload));
        ether_udp6_sum(frame);
        pcap_write(file, frame, hdr.len + (uint32_t)sizeof(payload));
    }
    CHECK(fclose(file) == 0);
}

static void pcap_check(const char *name, unsigned n)
{
    FILE *file = fopen(name, "rb");
    uint8_t frame[200];
    uint32_t head[6];
    unsigned n_media = 0, n_arp = 0;

    CHECK(file != NULL && fread(head, sizeof(head), 1, file) == 1);
    while (fread(head, 16, 1, file) == 1) {
        struct ether_udp udp;
        struct path path;

        CHECK(head[2] <= sizeof(frame) && fread(frame, head[2], 1, file) == 1);
        CHECK(memcmp(frame, (const uint8_t[]){2, 0, 0, 0, 0, 9}, 6) == 0);
        if (load_be16(frame + 12) == ETHER_TYPE_ARP) {
            n_arp++;
            continue;
        }
        CHECK(ether_parse(frame, head[2], &path, &udp) == 0 && udp.len == 100);
        CHECK(path.local_port == 5000 && path.remote_port == LIVE_PORT);
        CHECK(frame[udp.offset] == n_media && frame[udp.offset + 99] == n_media);
        n_media++;
    }
    CHECK(n_media == 2 * n && n_arp == 1);
    fclose(file);
}

static void pcap_replay(void)
{
    char dir[] = "/tmp/kcs-test-XXXXXX", in[64], out[64], device[256], command[96];
    struct io_options options = {
        .device = device, .ipv4 = "10.96.0.2/24", .ipv6 = "fd96::2/64"};
    struct io_conf conf = live_conf(device);
    struct live_echo echo;
    struct io *io;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(in, sizeof(in), "%s/in.pcap", dir);
    snprintf(out, sizeof(out), "%s/out.pcap", dir);
    snprintf(device, sizeof(device), "vdev:net_pcap0,rx_pcap=%s,tx_pcap=%s", in, out);
    pcap_make(in, 50);
    conf.options = &options;
    conf.n_options = 1;
    io = live_create(&conf);
    live_echo_start(&echo, io);
    usleep(300000);
    live_echo_stop(&echo);
    io_destroy(io);
    CHECK(echo.count.frames == 102 && echo.count.packets == 100);
    CHECK(echo.count.answered == 1 && echo.count.ignored[IO_IGNORED_NOT_IP] == 1);
    pcap_check(out, 50);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    live_sh(command);
}

static void frames_of_a_file_are_answered_into_a_file(void **state)
{
    (void)state;
    live_run(pcap_replay, true);
}

/* ---- the exception path ------------------------------------------------------ */

/* The NIC is a tap whose other end, its "wire", lies in the namespace of the client. */
static void plug_in(pid_t pid)
{
    char command[512];

    snprintf(command, sizeof(command),
             "ip link set kcst0 netns %d && nsenter -t %d -n sh -c '"
             "ip link set kcst0 address 02:00:00:00:00:99 && "
             "ip address add 10.98.0.1/24 dev kcst0 && "
             "ip address add fd98::1/64 dev kcst0 nodad && ip link set kcst0 up'",
             (int)pid, (int)pid);
    live_sh(command);
}

static void not_linked_yet(pid_t pid)
{
    (void)pid;
}

static void client_of_host_and_media(void)
{
    live_ping(AF_INET, "10.98.0.2", 56);
    live_ping(AF_INET6, "fd98::2", 1400);
    live_tcp_talk("10.98.0.2", TCP_PORT);
    live_check_echo("10.98.0.2", LIVE_PORT, 500, 1);
    live_tcp_talk("fd98::2", TCP_PORT);
    live_check_echo("fd98::2", LIVE_PORT, 500, 2);
    live_check_echo("10.98.0.2", LIVE_PORT + 1, 20, 3); /* a UDP service of the host */
}

/* The host behind the NIC: two TCP sessions, and UDP on another port. */
static void *host_services(void *ready)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(TCP_PORT)};
    int tcp = socket(AF_INET6, SOCK_STREAM, 0), udp = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 from;
    static char buf[65536];
    ssize_t n;

    CHECK(bind(tcp, (struct sockaddr *)&any, sizeof(any)) == 0 && listen(tcp, 4) == 0);
    any.sin6_port = htons(LIVE_PORT + 1);
    CHECK(bind(udp, (struct sockaddr *)&any, sizeof(any)) == 0);
    CHECK(write(*(int *)ready, "x", 1) == 1);
    for (int session = 0; session < 2; session++) {
        int fd = accept(tcp, NULL, NULL);

        while ((n = live_recv(fd, buf, sizeof(buf), 0)) > 0) {
            CHECK(send(fd, buf, (size_t)n, 0) == n);
        }
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        socklen_t len = sizeof(from);

        n = recvfrom(udp, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
        CHECK(sendto(udp, buf, (size_t)n, 0, (struct sockaddr *)&from, len) == n);
    }
    close(tcp);
    close(udp);
    return NULL;
}

static void host_goes_on(void)
{
    struct io_options options = {.device = TAP,
                                 .ipv4 = "10.98.0.2/24",
                                 .ipv6 = "fd98::2/64",
                                 .gateway4 = "10.98.0.1",
                                 .gateway6 = "fd98::1",
                                 .exception = IO_EXCEPTION_TAP};
    struct io_conf conf = live_conf(TAP);
    struct live_client client;
    struct live_echo echo;
    struct rtnl_link link;
    pthread_t services;
    struct io *io;
    int ready[2];
    char byte;

    live_client_start(&client, client_of_host_and_media, not_linked_yet);
    CHECK(pipe(ready) == 0);
    CHECK(pthread_create(&services, NULL, host_services, &ready[1]) == 0);
    CHECK(read(ready[0], &byte, 1) == 1);
    conf.options = &options;
    conf.n_options = 1;
    io = live_create(&conf);
    CHECK(rtnl_link_get("kcsx0", &link) == 0 && link.up);
    CHECK(memcmp(link.mac, io_device(io, 0)->mac, 6) == 0);
    CHECK(rtnl_route_prefix_len(4, (const uint8_t[]){8, 8, 8, 8}) == 0);
    live_sh("ip route show default | grep -q 'via 10.98.0.1 dev kcsx0'");
    live_sh("ip -6 route show default | grep -q 'via fd98::1 dev kcsx0'");
    plug_in(client.pid);
    live_echo_start(&echo, io);
    live_client_talk(&client);
    pthread_join(services, NULL);
    live_echo_stop(&echo);
    CHECK(echo.count.packets == 1000 && echo.dropped == 0);
    CHECK(echo.count.answered == 0); /* by us; the host did */
    CHECK(echo.count.passed > 200 && echo.count.passed_lost == 0);
    CHECK(io_tx_count(io, 0, 0)->host_frames > 200);
    CHECK(io_tx_count(io, 0, 0)->packets == 1000);
    io_destroy(io);
    CHECK(if_nametoindex("kcsx0") == 0);
    live_client_end(&client);
}

static void host_keeps_arp_ping_and_tcp_behind_a_nic_of_ours(void **state)
{
    (void)state;
    live_run(host_goes_on, true);
}

/* A device of more queues than a tap has: each passes on what it hears, those that have no
 * queue of their own by another's. This device hears frames of zeros without end. */
static void wide(void)
{
    enum { N = 20, TAP_QUEUES = 4 };
    const char *device = "vdev:net_null0";
    struct io_options options = {.device = device,
                                 .ipv4 = "10.98.0.2/24",
                                 .exception = IO_EXCEPTION_TAP,
                                 .n_queues = N};
    struct io_conf conf = live_conf(device);
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    uint64_t from_host = 0;
    struct io *io;

    conf.options = &options;
    conf.n_options = 1;
    conf.n_lanes = N;
    io = live_create(&conf);
    CHECK(io_device(io, 0)->n_queues == N);
    CHECK(io_thread_enter() == 0);
    for (unsigned i = 0; i < 20; i++) {
        nobody.sin_addr.s_addr =
            htonl(0x0a620064 + i); /* the host asks for 10.98.0.100 … */
        (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&nobody, sizeof(nobody));
        for (unsigned queue = 0; queue < N; queue++) {
            struct io_rx_count count = {.frames = 0};
            struct pkt *pkts[PKT_BURST];

            CHECK(io_rx_burst(io, 0, queue, pkts, PKT_BURST, &count) == 0);
            CHECK(count.frames == PKT_BURST && count.passed == PKT_BURST);
            CHECK(count.passed_lost == 0);
        }
    }
    for (unsigned queue = 0; queue < N; queue++) {
        CHECK(queue < TAP_QUEUES || io_tx_count(io, 0, queue)->host_frames == 0);
        from_host += io_tx_count(io, 0, queue)->host_frames;
    }
    CHECK(from_host >= 20);
    close(fd);
    io_thread_leave();
    io_destroy(io);
}

static void a_device_of_more_queues_than_its_tap_shares_them(void **state)
{
    (void)state;
    live_run(wide, true);
}

/* ---- refusals ---------------------------------------------------------------- */

static int refused(struct io_options options, const char *word)
{
    struct io_conf conf = live_conf(options.device);

    conf.options = &options;
    conf.n_options = 1;
    return live_refused(&conf, word);
}

static void refusals(void)
{
    struct io_conf conf = live_conf(TAP);
    struct io_options taken[2] = {
        {.device = TAP, .ipv4 = "10.98.0.2/24"},
        {.device = "vdev:net_tap1,iface=kcst1", .ipv4 = "10.98.0.2/24"}};

    CHECK(live_refused(&conf, "media.options") == -EINVAL);
    CHECK(refused((struct io_options){.device = TAP, .ipv4 = "10.98.0/24"}, "192.0.2.7") ==
          -EINVAL);
    CHECK(refused((struct io_options){.device = TAP, .ipv4 = "10.98.0.2/33"},
                  "192.0.2.7") == -EINVAL);
    CHECK(refused((struct io_options){.device = TAP, .ipv6 = "fd98::2/x"}, "2001:db8") ==
          -EINVAL);
    CHECK(refused((struct io_options){.device = TAP,
                                      .ipv4 = "10.98.0.2/24",
                                      .gateway4 = "10.98.0.1"},
                  "exception: tap") == -EINVAL);
    CHECK(refused((struct io_options){.device = TAP,
                                      .ipv4 = "10.98.0.2/24",
                                      .gateway6 = "fd98::1"},
                  "ipv6 is not") == -EINVAL);
    CHECK(
        refused((struct io_options){.device = TAP, .ipv4 = "10.98.0.2/24", .n_queues = 60},
                "queues, not 60") == -EINVAL);
    /* more than its driver can start */
    CHECK(refused((struct io_options){.device = TAP, .ipv4 = "10.98.0.2/24", .n_queues = 5},
                  "it has 4 queues, not 5") == -EINVAL);
    CHECK(refused((struct io_options){.device = "vdev:net_nothing0", .ipv4 = "10.98.0.2"},
                  "net_nothing0") < 0);
    CHECK(refused((struct io_options){.device = "pci:0000:ff:1f.7", .ipv4 = "10.98.0.2"},
                  "dpdk-devbind") == -ENODEV);
    CHECK(if_nametoindex("kcst0") == 0);

    conf.devices[1] = taken[1].device;
    conf.n_devices = 2;
    conf.options = taken;
    conf.n_options = 2;
    CHECK(live_refused(&conf, "another device") == -EADDRINUSE);
    CHECK(if_nametoindex("kcst0") == 0);
}

static void what_cannot_be_opened_is_refused_with_the_cure(void **state)
{
    (void)state;
    live_run(refusals, true);
}

static void no_rights(void)
{
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    CHECK(refused((struct io_options){.device = TAP, .ipv4 = "10.98.0.2/24"},
                  "CAP_NET_ADMIN") == -EPERM);
}

static void without_rights_a_tap_is_refused_with_the_cure(void **state)
{
    (void)state;
    live_run(no_rights, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_answers_for_its_address_and_moves_media),
        cmocka_unit_test(tap_of_two_queues_serves_two_lanes),
        cmocka_unit_test(sleeper_on_a_tap_wakes_when_a_packet_comes_and_only_then),
        cmocka_unit_test(two_processes_talk_over_memif),
        cmocka_unit_test(frames_of_a_file_are_answered_into_a_file),
        cmocka_unit_test(host_keeps_arp_ping_and_tcp_behind_a_nic_of_ours),
        cmocka_unit_test(a_device_of_more_queues_than_its_tap_shares_them),
        cmocka_unit_test(what_cannot_be_opened_is_refused_with_the_cure),
        cmocka_unit_test(without_rights_a_tap_is_refused_with_the_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
