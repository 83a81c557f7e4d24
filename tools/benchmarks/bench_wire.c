/* tools/bench wire: what it costs to forward a packet to one subscriber more through a real
 * device: veth, udp and vdev:net_memif, each in a process and a network namespace of its
 * own. Beside each, in turns, a bare loop: ipsec-mb's AES-GCM into a packet and transmit,
 * by the same DPDK port (an mbuf, 42 bytes of headers) or, for udp, by sendmmsg.
 *
 * What receives is cheap and outside of the measured thread where that can be: an XDP
 * program that drops on the far end of the veth, a socket that nobody reads for udp (both
 * in the kernel and on our CPU), a process that frees at the other end of the memif. */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "benchmarks/crypt_floor.h"
#include "benchmarks/fanout.h"
#include "benchmarks/numbers.h"
#include "io/mbuf.h"

enum {
    ROUNDS = 51,
    ROUND_FORWARDS = 60000, /* about, of one round */
    MEMIF_FORWARDS = 4000,  /* they fit its ring of 4096, see wait_until_sunk() */
    WARM_UP = 2,            /* rounds */
    OUTER_LEN = 42,
    BURST = 32,
    TX_TRIES = 4, /* as the pipeline */
    SINK_PORT = 9,
    EXIT_USAGE = 2
};

/* Frames that the sink has taken; shared with its process. */
static _Atomic uint64_t *sunk;

#define MEMIF      "vdev:net_memif0,role=server,id=1,rsize=12,socket=@kcs-bench-%d"
#define MEMIF_SINK "vdev:net_memif0,role=client,id=1,rsize=12,socket=@kcs-bench-%d"

enum wire { WIRE_VETH, WIRE_UDP, WIRE_MEMIF, N_WIRES };

static const char *const names[N_WIRES] = {"veth", "udp", "vdev:net_memif"};

struct options {
    unsigned subscribers, size;
    int only; /* of enum wire; -1: all */
    bool json;
};

/* Of one device; what a child tells. */
struct result {
    bool ok;
    double ns, rate, lost;                   /* CPU a forward; forwards a second; share */
    double floor_ns, floor_rate, floor_lost; /* of the bare loop */
    char err[256];
};

struct samples {
    double ns[ROUNDS], rate[ROUNDS];
    uint64_t sent, lost;
};

static void add_sample(struct samples *s, unsigned round, const struct fanout_sent *sent)
{
    s->ns[round] = sent->sent > 0 ? sent->cpu_ns / (double)sent->sent : 0;
    s->rate[round] = (double)sent->sent * 1e9 / sent->wall_ns;
    s->sent += sent->sent;
    s->lost += sent->lost;
}

static double lost_share(const struct samples *s)
{
    return (double)s->lost / (double)(s->sent + s->lost);
}

/* ---- the bare loop ---- */

struct bare {
    struct crypt_floor *floor;
    struct rte_mempool *pool;
    uint16_t port_id;
    int fd; /* of a socket; -1 if the port is meant */
    unsigned n_keys, key;
};

static int bare_open(struct bare *bare, enum wire wire, const struct fanout *fanout,
                     const struct options *o)
{
    /* as the drivers are called: the first queue of devices[1], and the memif */
    const char *port = wire == WIRE_VETH ? "net_af_xdp1_0" : "net_memif0";
    int e = crypt_floor_create(&bare->floor, CRYPT_FLOOR_GCM128, o->subscribers, o->size);

    bare->pool = io_pool(fanout_io(fanout));
    bare->n_keys = o->subscribers;
    if (e == 0 && wire == WIRE_UDP) {
        bare->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        e = bare->fd < 0 ? -errno : 0;
    } else if (e == 0) {
        e = rte_eth_dev_get_port_by_name(port, &bare->port_id);
    }
    return e;
}

static void bare_close(struct bare *bare)
{
    crypt_floor_destroy(bare->floor);
    if (bare->fd >= 0) {
        (void)close(bare->fd);
    }
}

static unsigned next_key(struct bare *bare)
{
    unsigned key = bare->key;

    bare->key = key + 1 == bare->n_keys ? 0 : key + 1;
    return key;
}

/* A burst. Returns how many the device takes. */
static unsigned send_frames(struct bare *bare)
{
    const uint8_t header[OUTER_LEN] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
    struct rte_mbuf *mbufs[BURST];
    uint16_t sent = 0;

    if (rte_pktmbuf_alloc_bulk(bare->pool, mbufs, BURST) != 0) {
        return 0;
    }
    for (unsigned k = 0; k < BURST; k++) {
        uint8_t *frame = rte_pktmbuf_mtod(mbufs[k], uint8_t *);

        memcpy(frame, header, sizeof(header));
        mbufs[k]->pkt_len = OUTER_LEN + crypt_floor_seal(bare->floor, next_key(bare),
                                                         frame + OUTER_LEN);
        mbufs[k]->data_len = (uint16_t)mbufs[k]->pkt_len;
    }
    for (unsigned k = 0; k < TX_TRIES && sent < BURST; k++) {
        sent = (uint16_t)(sent + rte_eth_tx_burst(bare->port_id, 0, mbufs + sent,
                                                  (uint16_t)(BURST - sent)));
    }
    rte_pktmbuf_free_bulk(mbufs + sent, BURST - sent);
    return sent;
}

/* The same in one system call, to as many addresses as subscribers have. */
static unsigned send_datagrams(struct bare *bare)
{
    static uint8_t bytes[BURST][FANOUT_SIZE_MAX + 16];
    struct sockaddr_in to[BURST];
    struct mmsghdr msgs[BURST];
    struct iovec iov[BURST];
    int sent;

    for (unsigned k = 0; k < BURST; k++) {
        const unsigned key = next_key(bare);

        to[k] = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons(SINK_PORT),
                                     .sin_addr = {htonl(INADDR_LOOPBACK + key)}};
        iov[k] = (struct iovec){bytes[k], crypt_floor_seal(bare->floor, key, bytes[k])};
        msgs[k].msg_hdr = (struct msghdr){.msg_name = &to[k],
                                          .msg_namelen = sizeof(to[k]),
                                          .msg_iov = &iov[k],
                                          .msg_iovlen = 1};
    }
    sent = sendmmsg(bare->fd, msgs, BURST, MSG_DONTWAIT);
    return sent > 0 ? (unsigned)sent : 0;
}

static void bare_round(struct bare *bare, unsigned n_packets, struct fanout_sent *out)
{
    double wall = (double)number_clock_ns(CLOCK_MONOTONIC);
    double cpu = (double)number_clock_ns(CLOCK_THREAD_CPUTIME_ID);

    *out = (struct fanout_sent){.sent = 0};
    for (unsigned i = 0; i < n_packets; i += BURST) {
        unsigned sent = bare->fd >= 0 ? send_datagrams(bare) : send_frames(bare);

        out->sent += sent;
        out->lost += BURST - sent;
    }
    out->cpu_ns = (double)number_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    out->wall_ns = (double)number_clock_ns(CLOCK_MONOTONIC) - wall;
}

/* ---- what receives ---- */

/* The other end of the memif: frees all it gets, until it is killed. */
static void sink_run(pid_t of, int go)
{
    static char device[128];
    struct io_options options = {.device = device, .ipv4 = "10.97.0.2"};
    struct io_conf conf = {.devices = {device},
                           .n_devices = 1,
                           .options = &options,
                           .n_options = 1,
                           .media_port = 7000,
                           .n_lanes = 1};
    struct io_rx_count count = {0};
    struct pkt *pkts[PKT_BURST];
    char err[256], byte;
    struct io *io;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(device, sizeof(device), MEMIF_SINK, (int)of);
    if (read(go, &byte, 1) != 1 || io_create(&io, &conf, err, sizeof(err)) != 0) {
        _exit(1);
    }
    for (;;) { /* none is for its address: io frees them */
        uint16_t n = io_rx_burst(io, 0, 0, pkts, PKT_BURST, &count);

        for (uint16_t i = 0; i < n; i++) {
            rte_pktmbuf_free(pkt_to_mbuf(pkts[i]));
        }
        atomic_store(sunk, count.frames);
    }
}

/* Sleeps until the sink has taken all that was sent: a round finds its ring empty and does
 * not measure how fast the sink is, or whether it has a CPU of its own. */
static int wait_until_sunk(uint64_t sent)
{
    for (int i = 0; i < 20000 && atomic_load(sunk) < sent; i++) {
        (void)usleep(100);
    }
    return atomic_load(sunk) >= sent ? 0 : -ETIMEDOUT;
}

static int drop_on(const char *ifname)
{
    const struct bpf_insn drop[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "kcs_bench", "GPL", drop, 2, NULL);

    return prog < 0 ? prog : bpf_xdp_attach((int)if_nametoindex(ifname), prog, 0, NULL);
}

static int bind_sink(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(SINK_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), small = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    return bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static const char *xdp_object(void)
{
    static char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);

    path[len > 0 ? len : 0] = '\0';
    for (int up = 0; up < 3 && strrchr(path, '/') != NULL; up++) {
        *strrchr(path, '/') = '\0';
    }
    return strcat(path, "/kcs-xdp.o");
}

/* ---- one device ---- */

static int measure(const struct options *o, enum wire wire, struct fanout *fanout,
                   struct result *out)
{
    const unsigned round = wire == WIRE_MEMIF ? MEMIF_FORWARDS : ROUND_FORWARDS;
    const unsigned want = round / o->subscribers;
    const unsigned n = want < 1 ? 1 : want > FANOUT_PACKETS_MAX ? FANOUT_PACKETS_MAX : want;
    struct bare bare = {.fd = -1};
    struct samples ours = {.sent = 0}, theirs = {.sent = 0};
    struct fanout_sent sent;
    uint64_t in_all = 0;
    int e = bare_open(&bare, wire, fanout, o);

    for (unsigned r = 0; r < 2 * (WARM_UP + ROUNDS) && e == 0; r++) {
        const bool floor = r % 2 == 1;

        if (floor) {
            bare_round(&bare, round, &sent);
        } else {
            fanout_wire_round(fanout, n, &sent);
        }
        if (r / 2 >= WARM_UP) {
            add_sample(floor ? &theirs : &ours, r / 2 - WARM_UP, &sent);
        }
        in_all += sent.sent;
        e = wire == WIRE_MEMIF ? wait_until_sunk(in_all) : 0;
    }
    bare_close(&bare);
    if (e == 0 && (ours.sent == 0 || theirs.sent == 0)) {
        e = -EIO;
    }
    if (e != 0) {
        (void)snprintf(out->err, sizeof(out->err), "nothing was sent: %s",
                       strerror(abs(e)));
        return e;
    }
    *out = (struct result){.ok = true,
                           .ns = number_median(ours.ns, ROUNDS),
                           .rate = number_median(ours.rate, ROUNDS),
                           .lost = lost_share(&ours),
                           .floor_ns = number_median(theirs.ns, ROUNDS),
                           .floor_rate = number_median(theirs.rate, ROUNDS),
                           .floor_lost = lost_share(&theirs)};
    return 0;
}

/* Until the other end of the memif takes packets. */
static int wait_for_sink(void)
{
    struct rte_eth_link link = {.link_status = 0};
    uint16_t port_id;

    for (int i = 0; i < 500 && link.link_status == 0; i++) {
        (void)usleep(10000);
        if (rte_eth_dev_get_port_by_name("net_memif0", &port_id) == 0) {
            (void)rte_eth_link_get_nowait(port_id, &link);
        }
    }
    return link.link_status != 0 ? 0 : -ETIMEDOUT;
}

/* In a process of its own. */
static void run_device(const struct options *o, enum wire wire, struct result *out)
{
    static char device[128];
    struct io_options options = {.device = device, .ipv4 = "10.97.0.1"};
    struct fanout_wire conf = {
        .io = {.devices = {NULL, device}, .options = &options, .xdp_object = xdp_object()},
        .net = wire == WIRE_UDP ? 127 : 10,
        .mac = {2, 'K', 'C', 'S', 0, 1}, /* the host's end of the veth */
        .port = wire == WIRE_UDP ? SINK_PORT : 0};
    struct fanout *fanout = NULL;
    pid_t sink = 0;
    int go[2], e;

    (void)snprintf(device, sizeof(device),
                   wire == WIRE_VETH  ? "veth"
                   : wire == WIRE_UDP ? "udp:127.0.0.1"
                                      : MEMIF,
                   (int)getpid());
    conf.io.n_options = wire == WIRE_MEMIF ? 1 : 0;
    if (unshare(CLONE_NEWNET) != 0 || system("ip link set lo up") != 0 || pipe(go) != 0) {
        (void)snprintf(out->err, sizeof(out->err),
                       "no network namespace of its own: run as root");
        return;
    }
    if (wire == WIRE_MEMIF) {
        sink = fork();
        if (sink == 0) {
            sink_run(getppid(), go[0]);
        }
    }
    e = fanout_create_wire(&fanout, &conf, o->subscribers, o->size, out->err,
                           sizeof(out->err));
    if (e == 0) {
        e = wire == WIRE_VETH           ? drop_on("kcs0")
            : wire == WIRE_UDP          ? bind_sink()
            : write(go[1], "x", 1) == 1 ? wait_for_sink()
                                        : -EIO;
        if (e != 0) {
            (void)snprintf(out->err, sizeof(out->err), "the receiving end: %s",
                           strerror(abs(e)));
        }
    }
    if (e == 0) {
        (void)measure(o, wire, fanout, out);
    }
    if (sink > 0) {
        (void)kill(sink, SIGKILL);
        (void)waitpid(sink, NULL, 0);
    }
    fanout_destroy(fanout);
}

static void ask_device(const struct options *o, enum wire wire, struct result *out)
{
    int fds[2];
    pid_t child;

    *out = (struct result){.err = "its process ended early"};
    if (pipe(fds) != 0 || (child = fork()) < 0) {
        return;
    }
    if (child == 0) {
        ssize_t n;

        run_device(o, wire, out);
        n = write(fds[1], out, sizeof(*out));
        _exit(n == (ssize_t)sizeof(*out) ? 0 : 1);
    }
    (void)close(fds[1]);
    if (read(fds[0], out, sizeof(*out)) != (ssize_t)sizeof(*out)) {
        out->ok = false;
    }
    (void)close(fds[0]);
    (void)waitpid(child, NULL, 0);
}

/* ---- what is told ---- */

static bool is_asked_for(const struct options *o, unsigned wire)
{
    return o->only < 0 || (unsigned)o->only == wire;
}

static void print_json(const struct options *o, const struct result *r)
{
    bool first = true;

    (void)printf("{\"subscribers\": %u, \"size\": %u, \"devices\": [", o->subscribers,
                 o->size);
    for (unsigned i = 0; i < N_WIRES; i++) {
        if (!is_asked_for(o, i)) {
            continue;
        }
        (void)printf("%s{\"device\": \"%s\"", first ? "" : ", ", names[i]);
        first = false;
        if (r[i].ok) {
            (void)printf(", \"forwards_per_s\": %.0f, \"ns_per_forward\": %.1f, "
                         "\"lost\": %.6f, \"floor\": {\"packets_per_s\": %.0f, "
                         "\"ns_per_packet\": %.1f, \"lost\": %.6f}, \"ratio\": %.3f}",
                         r[i].rate, r[i].ns, r[i].lost, r[i].floor_rate, r[i].floor_ns,
                         r[i].floor_lost, r[i].floor_ns / r[i].ns);
        } else {
            (void)printf(", \"error\": \"%s\"}", r[i].err);
        }
    }
    (void)printf("]}\n");
}

static void print_table(const struct options *o, const struct result *r)
{
    (void)printf("%u subscribers, %u bytes, AEAD-AES-128-GCM, one lane\n\n"
                 "                  forwards/s   CPU ns each      lost   "
                 "a bare loop/s   CPU ns each      lost     ratio\n",
                 o->subscribers, o->size);
    for (unsigned i = 0; i < N_WIRES; i++) {
        if (!is_asked_for(o, i)) {
            continue;
        }
        if (r[i].ok) {
            (void)printf("%-16s  %10.0f    %10.1f  %6.3f %%  %14.0f    %10.1f  %6.3f %%  "
                         "%8.3f\n",
                         names[i], r[i].rate, r[i].ns, 100 * r[i].lost, r[i].floor_rate,
                         r[i].floor_ns, 100 * r[i].floor_lost, r[i].floor_ns / r[i].ns);
        } else {
            (void)printf("%-16s  %s\n", names[i], r[i].err);
        }
    }
}

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: tools/bench wire [--subscribers N] [--size B] [--device D] "
                  "[--json]\n\n"
                  "  --subscribers N   1 to %d (1000)\n"
                  "  --size B          bytes of the RTP packet before the tag, %d to %d "
                  "(1200)\n"
                  "  --device D        veth, udp or vdev:net_memif alone\n"
                  "  --json            one line of JSON\n\n"
                  "Needs root: each device is in a network namespace of its own.\n",
                  MEMIF_FORWARDS, FANOUT_SIZE_MIN, FANOUT_SIZE_MAX);
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *out = (unsigned)n;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= min && n <= max;
}

static bool parse_device(const char *text, int *out)
{
    for (int i = 0; i < N_WIRES; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Returns -1 to go on, or the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"subscribers", required_argument, NULL, 'n'},
                                          {"size", required_argument, NULL, 's'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            ok = parse_number(optarg, 1, MEMIF_FORWARDS, &o->subscribers);
            break;
        case 's':
            ok = parse_number(optarg, FANOUT_SIZE_MIN, FANOUT_SIZE_MAX, &o->size);
            break;
        case 'd':
            ok = parse_device(optarg, &o->only);
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            ok = false;
        }
    }
    if (!ok || optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct options o = {.subscribers = 1000, .size = 1200, .only = -1};
    struct result results[N_WIRES];
    int code = parse(&o, argc, argv);
    bool ok = true;

    if (code >= 0) {
        return code;
    }
    sunk = mmap(NULL, sizeof(*sunk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                0);
    if (sunk == MAP_FAILED) {
        (void)fprintf(stderr, "wire: no memory\n");
        return 1;
    }
    for (unsigned i = 0; i < N_WIRES; i++) {
        if (is_asked_for(&o, i)) {
            ask_device(&o, (enum wire)i, &results[i]);
            ok = ok && results[i].ok;
        }
    }
    if (o.json) {
        print_json(&o, results);
    } else {
        print_table(&o, results);
    }
    return ok ? 0 : 1;
}
