/* The dataplane's devices behind one burst interface: EAL, packet pool, ports. Stages see
 * only struct pkt; what a device is (AF_XDP on a veth or a real interface, kernel sockets,
 * memory) is hidden here.
 *
 *   veth           a private veth pair, AF_XDP on the far end; answers ARP, NDP and ping
 *   af_xdp:IFACE   AF_XDP beside the kernel on an existing interface
 *   pci:ADDRESS    a NIC that DPDK owns; what is not media goes on to the host by a tap
 *   vdev:ARGS      a virtual device of DPDK: net_memif, net_tap, net_pcap and others
 *   udp[:ADDRESS]  kernel UDP, on every host address or on one
 *   auto           veth where it can be made, and udp
 *   mem[:eth]      memory, for tests and benchmarks (port_mem.h)
 *
 * A (device, queue) belongs to one thread at a time: its lane. Everything is allocated by
 * io_create(); bursts do not allocate but from the packet pool, and never wait. */
#ifndef KCS_IO_IO_H
#define KCS_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkt/pkt.h"

enum {
    IO_MAX_DEVICES = 8,
    IO_MAX_ADDRS = 8, /* addresses of one device */
    IO_MAX_LANES = 64,
    IO_NAME_LEN = 16, /* an interface name with its NUL */
    IO_DEFAULT_MBUFS = 16383,
    IO_DEFAULT_HEAP_MB = 256
};

/* Frames that are neither media nor answered. X(constant, name in metrics, what it means)
 */
#define IO_IGNORED_REASONS(X)                                                              \
    X(IO_IGNORED_MALFORMED, "malformed",                                                   \
      "shorter than its headers say, or a bad checksum")                                   \
    X(IO_IGNORED_NOT_IP, "not_ip", "neither IPv4 nor IPv6 nor an answered ARP request")    \
    X(IO_IGNORED_OPTIONS, "options", "IPv4 options or IPv6 extension headers")             \
    X(IO_IGNORED_FRAGMENT, "fragment", "a fragment of an IP packet")                       \
    X(IO_IGNORED_PROTOCOL, "protocol", "neither UDP nor an answered ICMP message")         \
    X(IO_IGNORED_SOURCE, "source",                                                         \
      "a source that nobody can have: multicast, loopback, 0")                             \
    X(IO_IGNORED_ADDRESS, "address", "for an address that is not the device's")            \
    X(IO_IGNORED_PORT, "port", "for another UDP port")

enum io_ignored {
#define X(constant, name, text) constant,
    IO_IGNORED_REASONS(X)
#undef X
        N_IO_IGNORED
};

/* frames == packets + answered + passed + the sum of ignored */
struct io_rx_count {
    uint64_t frames;      /* taken off the device */
    uint64_t packets;     /* handed to the caller */
    uint64_t answered;    /* ARP, NDP, ping: answered by the device itself */
    uint64_t passed;      /* not media: for the host, by the tap of the device */
    uint64_t passed_lost; /* of these: the host did not take them */
    uint64_t ignored[N_IO_IGNORED];
};

struct io_tx_count {
    uint64_t packets;   /* handed to the device or the kernel */
    uint64_t udp6_sums; /* of these: UDP checksums of IPv6 computed here, not by the device */
    uint64_t send_errors;  /* refused by the kernel (no route, a firewall): lost */
    uint64_t host_frames;  /* of the host, by the tap of the device: sent on */
    uint64_t answers_lost; /* answers and the host's frames that found the queue full */
};

enum io_hugepages {
    IO_HUGEPAGES_AUTO, /* where enough are free */
    IO_HUGEPAGES_NEVER,
    IO_HUGEPAGES_ALWAYS
};

enum io_exception {
    IO_EXCEPTION_AUTO, /* a tap for pci, none for vdev */
    IO_EXCEPTION_NONE, /* the dataplane answers ARP, NDP and ping; all else is ignored */
    IO_EXCEPTION_TAP   /* all but media goes to the host by a tap, and back */
};

/* What a device vdev or pci answers to, which nobody else knows. Strings may be NULL or
 * empty; one of the addresses must be there. */
struct io_options {
    const char *device;   /* an entry of 'devices' */
    const char *ipv4;     /* 192.0.2.7/24; the length matters with a tap only */
    const char *ipv6;     /* 2001:db8::7/64 */
    const char *gateway4; /* with a tap only: the host's default routes */
    const char *gateway6;
    enum io_exception exception;
    unsigned n_queues; /* 0: pci as many as lanes, if it has them; vdev 1 */
    bool zero_copy;    /* af_xdp only, and nothing else is: asked of the interface's driver */
};

/* Borrowed until io_create() returns. Zero or NULL asks for the default where one is named.
 */
struct io_conf {
    const char *devices[IO_MAX_DEVICES];
    unsigned n_devices;
    const struct io_options *options; /* of some of the devices */
    unsigned n_options;
    uint16_t media_port; /* UDP, on every device */
    unsigned n_lanes;    /* 1..IO_MAX_LANES */
    unsigned n_mbufs;    /* of the packet pool; an AF_XDP queue holds up to 4096 of them, a
                            lane 512 */
    unsigned heap_mb; /* EAL memory beside the pool, for the tables and rings of others */
    enum io_hugepages hugepages;
    unsigned numa; /* node + 1 that memory is taken from; 0: that of the first NIC */
    const char *veth_name;  /* kcs0; at most 12 characters */
    const char *veth_ipv4;  /* 10.75.67.0/30: the host gets .1, the dataplane .2 */
    const char *veth_ipv6;  /* fd4b:4353:6b63::/64: the host gets ::1, the dataplane ::2 */
    const char *xdp_object; /* path of kcs-xdp.o; needed by veth and af_xdp */
};

struct io_addr {
    uint8_t family; /* 4 or 6 */
    uint8_t ip[16]; /* IPv4 is mapped */
};

struct io_device {
    const char *kind;       /* "veth", "af_xdp", "vdev", "pci", "udp" or "mem" */
    char name[IO_NAME_LEN]; /* interface; of udp and mem the kind or address class */
    uint8_t mac[6];
    uint16_t media_port;
    uint16_t preference;  /* ICE local preference: higher is better */
    uint16_t n_queues;    /* queues 0..n_queues-1 may be read */
    uint16_t n_tx_queues; /* that may be written, each by one thread: of udp and mem one a
                             lane, of others as many as may be read */
    bool needs_headers;   /* egress starts with the Ethernet header (io_hdr_build) */
    bool likes_runs;      /* packets in a row to one destination cost it less */
    bool zero_copy;       /* af_xdp: the driver and we share packet memory */
    bool no_zero_copy;    /* it was asked for, and this driver has none: packets are copied */
    uint8_t n_addrs;
    struct io_addr addrs[IO_MAX_ADDRS];
};

enum io_state {
    IO_WORKS,
    IO_DOWN, /* its interface is down: it works again when that is up */
    IO_GONE  /* deleted, or our XDP program was taken off: only a restart brings it back */
};

struct io;
struct rte_mempool;

/* Starts DPDK, makes the packet pool and opens the devices.
 *
 * out      filled
 * err      filled, on failure, with one line: what is missing and the command that mends it
 *
 * Returns 0; -EINVAL for a bad configuration (also a veth network that is in use); -EPERM
 * for missing rights; -EADDRINUSE for a port or interface in use; -ENODEV, -ENOMEM or
 * another errno. After failure nothing is left. DPDK starts once a process: a second
 * io_create() after io_destroy() reuses it, with the memory that the first one asked for,
 * and it ends with the process (it keeps no files). One io at a time. */
int io_create(struct io **out, const struct io_conf *conf, char *err, size_t err_cap);

/* Detaches XDP, deletes the veth pair, closes sockets, frees the pool: every packet must
 * have come back before. NULL is fine. */
void io_destroy(struct io *io);

unsigned io_n_devices(const struct io *io);

/* Borrowed, constant until io_destroy(). */
const struct io_device *io_device(const struct io *io, unsigned device);

/* Whether it can carry anything now. Makes system calls: not for lanes. */
enum io_state io_device_state(const struct io *io, unsigned device);

/* What was opened and, for auto, why: one line a device, for the log. Borrowed. */
const char *io_choice(const struct io *io);

/* The pool of all packets. Its elements have struct pkt as private area (mbuf.h). */
struct rte_mempool *io_pool(const struct io *io);

/* Takes at most 'n' (<= PKT_BURST) packets off a queue; sets data, len, device and path,
 * and leaves the rest of struct pkt as it was. They are the caller's. Checksums of UDP are
 * not looked at: a local peer's frames come without, and SRTP authenticates.
 *
 * count   added to */
uint16_t io_rx_burst(struct io *io, unsigned device, unsigned queue, struct pkt **pkts,
                     uint16_t n, struct io_rx_count *count);

/* Any queue below n_lanes may send, from one thread at a time; beyond n_queues they share
 * the device's queues.
 *
 * Sends pkts[i]->data, len: from the Ethernet header on where needs_headers is set, else
 * the UDP payload to pkts[i]->to. Moves the first k packets, k is returned; the rest stay
 * the caller's (who drops them as tx_full). */
uint16_t io_tx_burst(struct io *io, unsigned device, unsigned queue, struct pkt **pkts,
                     uint16_t n);

/* Queues and lanes. Lane l serves the queues io_first_queue(), + n_lanes, + 2 n_lanes ...
 * of a device, as far as there are: devices of one queue are spread over the lanes. A lane
 * writes to io_first_queue() if that is below n_tx_queues; else it hands its frames to lane
 * io_tx_lane(), which may. Pure. */
unsigned io_first_queue(const struct io *io, unsigned device, unsigned lane);
unsigned io_tx_lane(const struct io *io, unsigned device, unsigned lane);
unsigned io_n_lanes(const struct io *io);

/* The NUMA node + 1 that the packet pool was taken from, 0 if it is not known. Pages that the
 * calling thread, and those that it makes, touch first come from there too. */
unsigned io_numa(const struct io *io);

/* Counters of what the queue sent; written by its thread. Borrowed. */
const struct io_tx_count *io_tx_count(const struct io *io, unsigned device, unsigned queue);

/* Fills the outer headers of packets that go back along 'to'; len 0 for devices that need
 * none. Returns 0, or -EINVAL if 'to' names no device or no address of its device. */
int io_hdr_build(const struct io *io, const struct path *to, struct pkt_hdr *out);

/* A thread that allocates or frees packets announces itself first, so that it gets a cache
 * of the pool. Returns 0 or -ENOMEM (more threads than DPDK has room for). */
int io_thread_enter(void);
void io_thread_leave(void);

/* Sleeps until a device of the lane has packets, 'doorbell_fd' (-1: none) is readable, or
 * 'timeout_us' has passed. */
void io_wait(struct io *io, unsigned lane, int doorbell_fd, uint64_t timeout_us);

#endif
