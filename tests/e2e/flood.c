/* Floods a node of this machine with datagrams whose source address is made up: those of a
 * file, as they are or spoilt. For tests only; bounded in count and rate; needs root (a raw
 * socket).
 *
 *   flood FILE TO:PORT --count N --rate N [--spoof ADDRESS/N] [--mutate SEED]
 *
 * TO is an IPv4 address, or an IPv6 one in brackets: then --spoof is due, and all is spoofed.
 *
 * FILE has a datagram a line: "SOURCE:PORT HEX". Packet i is datagram i modulo their number.
 * With --spoof it comes from ADDRESS + i % N, port 1024 + i / N; with --mutate too only
 * every other one, and each is cut, changed, lengthened, replaced by garbage, or as it was. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TEMPLATES = 4096, MAX_LEN = 1450, BURST = 16, MAX_COUNT = 2000000 };

struct template {
    struct in_addr from;
    uint16_t port;
    uint16_t len;
    uint8_t data[MAX_LEN];
};

struct flood {
    struct template *templates;
    unsigned n_templates;
    struct sockaddr_in to;
    struct sockaddr_in6 to6; /* if its family is set */
    struct in6_addr spoof_base6;
    unsigned count, rate;
    uint32_t spoof_base;
    unsigned n_spoofed;
    bool mutate;
    uint64_t random; /* xorshift: a seed tells the whole of a flood */
};

static uint32_t chance(struct flood *f, uint32_t below)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (uint32_t)(f->random >> 32) % below;
}

static bool parse_address(const char *text, struct in_addr *ip, uint16_t *port)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return inet_pton(AF_INET, host, ip) == 1;
}

static bool parse_template(const char *address, const char *hex, struct template *out)
{
    size_t digits = strspn(hex, "0123456789abcdef");

    if (!parse_address(address, &out->from, &out->port) || digits / 2 > MAX_LEN) {
        return false;
    }
    out->len = (uint16_t)(digits / 2);
    for (size_t i = 0; i < out->len; i++) {
        const char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out->data[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return true;
}

static bool read_templates(struct flood *f, const char *path)
{
    FILE *file = fopen(path, "re");
    char address[64], hex[2 * MAX_LEN + 1];

    f->templates = calloc(MAX_TEMPLATES, sizeof(*f->templates));
    if (file == NULL || f->templates == NULL) {
        return false;
    }
    while (f->n_templates < MAX_TEMPLATES &&
           fscanf(file, "%63s %2900s", address, hex) == 2) {
        if (!parse_template(address, hex, &f->templates[f->n_templates])) {
            fprintf(stderr, "flood: not a datagram: %s\n", address);
            (void)fclose(file);
            return false;
        }
        f->n_templates++;
    }
    (void)fclose(file);
    return f->n_templates > 0;
}

/* Spoils data in place; returns its new length. */
static uint16_t spoil(struct flood *f, uint8_t *data, uint16_t len)
{
    switch (chance(f, 8)) {
    case 0:
    case 1: /* garbage */
        len = (uint16_t)chance(f, MAX_LEN + 1);
        for (uint16_t i = 0; i < len; i++) {
            data[i] = (uint8_t)chance(f, 256);
        }
        if (len > 0 && chance(f, 2) == 0) { /* of a kind that is looked at */
            static const uint8_t firsts[] = {0, 1, 20, 22, 23, 0x80, 0x90, 0xb0};

            data[0] = firsts[chance(f, sizeof(firsts))];
        }
        return len;
    case 2:
    case 3:
        return (uint16_t)chance(f, len + 1u);
    case 4: {
        uint16_t longer = (uint16_t)(len + chance(f, MAX_LEN + 1u - len));

        while (len < longer) {
            data[len++] = (uint8_t)chance(f, 256);
        }
        return len;
    }
    case 5:
        return len; /* sent before */
    default:
        for (uint32_t n = 1 + chance(f, 8); n > 0 && len > 0; n--) {
            data[chance(f, len)] ^= (uint8_t)(1 + chance(f, 255));
        }
        return len;
    }
}

/* Makes packet i, IP header and all; returns its length. */
static size_t make(struct flood *f, unsigned i, uint8_t *out)
{
    const struct template *t = &f->templates[i % f->n_templates];
    bool spoofed = f->n_spoofed > 0 && (!f->mutate || i % 2 == 0);
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    struct udphdr udp = {.source = htons(t->port), .dest = f->to.sin_port};
    uint16_t len = t->len;

    memcpy(out + sizeof(ip) + sizeof(udp), t->data, len);
    if (f->mutate) {
        len = spoil(f, out + sizeof(ip) + sizeof(udp), len);
    }
    ip.saddr = t->from.s_addr;
    if (spoofed) {
        ip.saddr = htonl(f->spoof_base + i % f->n_spoofed);
        udp.source = htons((uint16_t)(1024 + i / f->n_spoofed));
    }
    ip.daddr = f->to.sin_addr.s_addr;
    ip.tot_len = htons((uint16_t)(sizeof(ip) + sizeof(udp) + len));
    udp.len = htons((uint16_t)(sizeof(udp) + len));
    memcpy(out, &ip, sizeof(ip)); /* the kernel fills in the checksum */
    memcpy(out + sizeof(ip), &udp, sizeof(udp));
    return sizeof(ip) + sizeof(udp) + len;
}

/* RFC 8200, 8.1: of UDP with its pseudo header. */
static uint16_t checksum6(const struct ip6_hdr *ip, const uint8_t *udp, uint16_t len)
{
    const uint8_t *addresses = (const uint8_t *)&ip->ip6_src; /* both, 32 bytes */
    uint32_t sum = (uint32_t)len + IPPROTO_UDP;

    for (unsigned i = 0; i < 32; i += 2) {
        sum += (uint32_t)addresses[i] << 8 | addresses[i + 1];
    }
    for (unsigned i = 0; i < len; i += 2) {
        sum += (uint32_t)udp[i] << 8 | (i + 1u < len ? udp[i + 1] : 0);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    return htons(sum != 0 ? (uint16_t)sum : 0xffff);
}

/* The same over IPv6. */
static size_t make6(struct flood *f, unsigned i, uint8_t *out)
{
    const struct template *t = &f->templates[i % f->n_templates];
    struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28), .ip6_nxt = IPPROTO_UDP, .ip6_hlim = 64};
    struct udphdr udp = {.source = htons((uint16_t)(1024 + i / f->n_spoofed)),
                         .dest = f->to6.sin6_port};
    uint8_t *at = out + sizeof(ip);
    uint16_t len = t->len;
    uint32_t low;

    memcpy(at + sizeof(udp), t->data, len);
    if (f->mutate) {
        len = spoil(f, at + sizeof(udp), len);
    }
    len = (uint16_t)(len + sizeof(udp));
    ip.ip6_src = f->spoof_base6;
    memcpy(&low, ip.ip6_src.s6_addr + 12, sizeof(low));
    low = htonl(ntohl(low) + i % f->n_spoofed);
    memcpy(ip.ip6_src.s6_addr + 12, &low, sizeof(low));
    ip.ip6_dst = f->to6.sin6_addr;
    ip.ip6_plen = htons(len);
    udp.len = htons(len);
    memcpy(at, &udp, sizeof(udp));
    udp.check = checksum6(&ip, at, len);
    memcpy(at, &udp, sizeof(udp));
    memcpy(out, &ip, sizeof(ip));
    return sizeof(ip) + len;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int send_all(struct flood *f, int fd)
{
    uint8_t packet[sizeof(struct ip6_hdr) + sizeof(struct udphdr) + MAX_LEN];
    const struct timespec moment = {.tv_nsec = 500000};
    const bool six = f->to6.sin6_family != 0;
    /* a raw socket's port is none */
    const struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
                                     .sin6_addr = f->to6.sin6_addr};
    const struct sockaddr *to =
        six ? (const struct sockaddr *)&to6 : (const struct sockaddr *)&f->to;
    uint64_t began_ns = now_ns();
    unsigned refused = 0;

    for (unsigned i = 0; i < f->count; i++) {
        size_t len = six ? make6(f, i, packet) : make(f, i, packet);

        while (i % BURST == 0 &&
               now_ns() < began_ns + (uint64_t)i * 1000000000u / f->rate) {
            (void)nanosleep(&moment, NULL);
        }
        while (sendto(fd, packet, len, 0, to, six ? sizeof(to6) : sizeof(f->to)) < 0) {
            if (errno != ENOBUFS && errno != EAGAIN) {
                refused++;
                break;
            }
            (void)nanosleep(&moment, NULL);
        }
    }
    printf("{\"sent\": %u, \"refused\": %u}\n", f->count - refused, refused);
    return refused == 0 ? 0 : 1;
}

static bool take(struct flood *f, const char *name, const char *value)
{
    char address[INET6_ADDRSTRLEN + 1] = "";
    struct in_addr base;

    if (strcmp(name, "--count") == 0) {
        f->count = (unsigned)strtoul(value, NULL, 10);
        return f->count <= MAX_COUNT;
    }
    if (strcmp(name, "--rate") == 0) {
        f->rate = (unsigned)strtoul(value, NULL, 10);
        return f->rate > 0;
    }
    if (strcmp(name, "--mutate") == 0) {
        f->mutate = true;
        f->random = strtoull(value, NULL, 10) * 2654435761u + 1;
        return true;
    }
    if (strcmp(name, "--spoof") != 0 ||
        sscanf(value, "%45[0-9a-f:.]/%u", address, &f->n_spoofed) != 2) {
        return false;
    }
    if (f->to6.sin6_family != 0) {
        return inet_pton(AF_INET6, address, &f->spoof_base6) == 1 && f->n_spoofed > 0;
    }
    if (inet_pton(AF_INET, address, &base) != 1) {
        return false;
    }
    f->spoof_base = ntohl(base.s_addr);
    return f->n_spoofed > 0;
}

/* ADDRESS:PORT or [ADDRESS]:PORT */
static bool parse_to(struct flood *f, const char *text)
{
    char address[INET6_ADDRSTRLEN + 1];
    unsigned port;

    if (sscanf(text, "[%45[0-9a-f:.]]:%u", address, &port) == 2) {
        f->to6.sin6_family = AF_INET6;
        f->to6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, address, &f->to6.sin6_addr) == 1;
    }
    if (!parse_address(text, &f->to.sin_addr, &f->to.sin_port)) {
        return false;
    }
    f->to.sin_port = htons(f->to.sin_port);
    return true;
}

int main(int argc, char **argv)
{
    struct flood f = {.rate = 10000, .to = {.sin_family = AF_INET}};
    int one = 1, fd, status;
    bool six;

    if (argc < 3 || argc % 2 == 0 || !read_templates(&f, argv[1]) ||
        !parse_to(&f, argv[2])) {
        fprintf(stderr, "usage: flood FILE TO:PORT --count N --rate N [--spoof IP/N] "
                        "[--mutate SEED]\n");
        return 2;
    }
    six = f.to6.sin6_family != 0;
    for (int i = 3; i + 1 < argc; i += 2) {
        if (!take(&f, argv[i], argv[i + 1])) {
            fprintf(stderr, "flood: %s %s?\n", argv[i], argv[i + 1]);
            return 2;
        }
    }
    if (six && f.n_spoofed == 0) {
        fprintf(stderr, "flood: --spoof is missing\n");
        return 2;
    }
    fd = socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0 ||
        (!six && setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one)) != 0)) {
        perror("flood: raw socket");
        return 1;
    }
    status = send_all(&f, fd);
    (void)close(fd);
    free(f.templates);
    return status;
}
