/* The floor of `tools/bench wire --peer`: what one thread sends that encrypts nothing and reads
 * nothing, to receivers that are there already, by AF_XDP (copies, as on any veth) or by
 * sendmmsg with the packets of a frame as one message (UDP_SEGMENT).
 *
 * Reads lines "SECONDS" from its standard input: sends as fast as it can for so long, frames of
 * FRAME packets to one receiver after another, each numbered like RTP. For each it writes the
 * numbers that every receiver was sent, [from, to). */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <xdp/xsk.h>

#include "io/csum.h"
#include "sfu/base/bytes.h"

enum {
    FRAME = 9,   /* packets of a picture, as the publisher of peers/ sends them */
    BURST = 32,  /* descriptors, or messages, of a call; the kernel's copies take no more */
    RING = 2048,
    SLOTS = 64, /* few, so that they stay in the cache: a tenth more than with 2048 */
    SLOT_LEN = 2048,
    OUTER_LEN = 42,
    TAG_LEN = 16,
    MAX_RECEIVERS = 1000,
    EXIT_USAGE = 2
};

struct floor {
    struct xsk_umem *umem;
    struct xsk_socket *xsk;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons comp;
    uint8_t *slots;
    uint32_t slot, outstanding, unkicked;
    int fd; /* of the UDP socket, or -1 */
    uint32_t len; /* of the UDP payload */
    uint64_t next; /* number of the next packet to each */
    unsigned n;
    struct sockaddr_in to[MAX_RECEIVERS];
    uint8_t headers[MAX_RECEIVERS][OUTER_LEN];
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int parse_mac(const char *text, uint8_t mac[6])
{
    return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
                  &mac[4], &mac[5]) == 6
               ? 0
               : -EINVAL;
}

/* Ethernet, IPv4 and UDP without a checksum, as the node sends it. */
static void write_header(uint8_t *h, const uint8_t dst[6], const uint8_t src[6],
                         struct in_addr from, const struct sockaddr_in *to, uint32_t len)
{
    memset(h, 0, OUTER_LEN);
    memcpy(h, dst, 6);
    memcpy(h + 6, src, 6);
    store_be16(h + 12, ETH_P_IP);
    h[14] = 0x45;
    store_be16(h + 16, (uint16_t)(28 + len));
    store_be16(h + 20, 0x4000);
    h[22] = 64;
    h[23] = IPPROTO_UDP;
    memcpy(h + 26, &from, 4);
    memcpy(h + 30, &to->sin_addr, 4);
    store_be16(h + 24, csum_fold(csum_add(0, h + 14, 20)));
    store_be16(h + 34, 7000);
    memcpy(h + 36, &to->sin_port, 2);
    store_be16(h + 38, (uint16_t)(8 + len));
}

static void write_rtp(uint8_t *rtp, uint64_t number)
{
    rtp[0] = 0x80;
    rtp[1] = 96;
    store_be16(rtp + 2, (uint16_t)number);
}

/* ---- AF_XDP ---- */

static int open_xdp(struct floor *f, const char *ifname)
{
    const struct xsk_umem_config umem = {.fill_size = RING,
                                         .comp_size = RING,
                                         .frame_size = SLOT_LEN};
    const struct xsk_socket_config conf = {.tx_size = RING,
                                           .libxdp_flags =
                                               XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
                                           .bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
    int e;

    f->slots = mmap(NULL, (size_t)SLOTS * SLOT_LEN, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (f->slots == MAP_FAILED) {
        return -ENOMEM;
    }
    e = xsk_umem__create(&f->umem, f->slots, (uint64_t)SLOTS * SLOT_LEN, &f->fill, &f->comp,
                         &umem);
    return e == 0 ? xsk_socket__create(&f->xsk, ifname, 0, f->umem, NULL, &f->tx, &conf) : e;
}

static void reap(struct floor *f)
{
    uint32_t at, n = xsk_ring_cons__peek(&f->comp, SLOTS, &at);

    xsk_ring_cons__release(&f->comp, n);
    f->outstanding -= n;
}

static void kick(struct floor *f)
{
    (void)sendto(xsk_socket__fd(f->xsk), NULL, 0, MSG_DONTWAIT, NULL, 0);
    f->unkicked = 0;
    reap(f);
}

static void send_xdp(struct floor *f, unsigned receiver, uint64_t number)
{
    struct xdp_desc *desc;
    uint8_t *slot;
    uint32_t at;

    while (f->outstanding == SLOTS || xsk_ring_prod__reserve(&f->tx, 1, &at) != 1) {
        kick(f);
    }
    slot = f->slots + (size_t)f->slot * SLOT_LEN;
    memcpy(slot, f->headers[receiver], OUTER_LEN);
    write_rtp(slot + OUTER_LEN, number);
    desc = xsk_ring_prod__tx_desc(&f->tx, at);
    *desc = (struct xdp_desc){.addr = (uint64_t)f->slot * SLOT_LEN,
                              .len = OUTER_LEN + f->len};
    xsk_ring_prod__submit(&f->tx, 1);
    f->slot = (f->slot + 1) % SLOTS;
    f->outstanding++;
    if (++f->unkicked == BURST) {
        kick(f);
    }
}

/* ---- sendmmsg ---- */

static int open_udp(struct floor *f, struct in_addr from)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = from};
    int segment = (int)f->len, large = 4 << 20;

    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(f->fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
    if (f->fd < 0 || bind(f->fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        setsockopt(f->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0) {
        return -errno;
    }
    f->slots = calloc(FRAME, SLOT_LEN);
    return f->slots != NULL ? 0 : -ENOMEM;
}

/* All get the same bytes: a frame's numbers are written once. */
static int send_frame_udp(struct floor *f)
{
    struct mmsghdr msgs[BURST];
    struct iovec iov = {f->slots, (size_t)FRAME * f->len};
    unsigned done = 0;

    for (unsigned k = 0; k < FRAME; k++) {
        write_rtp(f->slots + (size_t)k * f->len, f->next + k);
    }
    while (done < f->n) {
        unsigned n = f->n - done < BURST ? f->n - done : BURST;
        int sent;

        for (unsigned i = 0; i < n; i++) {
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &f->to[done + i],
                                              .msg_namelen = sizeof(f->to[0]),
                                              .msg_iov = &iov,
                                              .msg_iovlen = 1};
        }
        sent = sendmmsg(f->fd, msgs, n, 0);
        if (sent <= 0) {
            return -errno;
        }
        done += (unsigned)sent;
    }
    return 0;
}

/* ---- */

static int send_for(struct floor *f, double seconds)
{
    const uint64_t from = f->next, began = now_ns();
    const uint64_t until = began + (uint64_t)(seconds * 1e9);
    uint64_t ended;
    int e = 0;

    while (e == 0 && now_ns() < until) {
        if (f->fd >= 0) {
            e = send_frame_udp(f);
        } else {
            for (unsigned i = 0; i < f->n; i++) {
                for (unsigned k = 0; k < FRAME; k++) {
                    send_xdp(f, i, f->next + k);
                }
            }
        }
        f->next += FRAME;
    }
    while (f->fd < 0 && f->outstanding > 0) {
        kick(f);
    }
    ended = now_ns();
    (void)printf("{\"from\": %llu, \"to\": %llu, \"seconds\": %.6f}\n",
                 (unsigned long long)from, (unsigned long long)f->next,
                 (double)(ended - began) / 1e9);
    (void)fflush(stdout);
    return e;
}

static int setup(struct floor *f, char **argv, int argc)
{
    struct in_addr from;
    uint8_t src[6], dst[6];

    f->len = (uint32_t)atoi(argv[6]) + TAG_LEN;
    if (inet_pton(AF_INET, argv[3], &from) != 1 || parse_mac(argv[4], src) != 0 ||
        parse_mac(argv[5], dst) != 0 || f->len > SLOT_LEN - OUTER_LEN ||
        argc - 7 > MAX_RECEIVERS) {
        return -EINVAL;
    }
    for (int i = 7; i < argc; i++) {
        char *colon = strrchr(argv[i], ':');
        struct sockaddr_in *to = &f->to[f->n];

        if (colon == NULL) {
            return -EINVAL;
        }
        *colon = '\0';
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, argv[i], &to->sin_addr) != 1) {
            return -EINVAL;
        }
        write_header(f->headers[f->n++], dst, src, from, to, f->len);
    }
    return strcmp(argv[1], "sendmmsg") == 0 ? open_udp(f, from) : open_xdp(f, argv[2]);
}

int main(int argc, char **argv)
{
    static struct floor floor = {.fd = -1};
    char line[64];
    int e;

    if (argc < 8 ||
        (strcmp(argv[1], "af_xdp") != 0 && strcmp(argv[1], "sendmmsg") != 0)) {
        (void)fprintf(stderr, "usage: bench-floor af_xdp|sendmmsg INTERFACE ADDRESS MAC "
                              "MAC-OF-THE-OTHER-END SIZE RECEIVER:PORT...\n");
        return EXIT_USAGE;
    }
    e = setup(&floor, argv, argc);
    while (e == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        e = send_for(&floor, atof(line));
    }
    if (e != 0) {
        (void)fprintf(stderr, "the floor by %s: %s\n", argv[1], strerror(abs(e)));
    }
    return e == 0 ? 0 : 1;
}
