/* Ethernet, IPv4, IPv6 and UDP headers: off an arriving frame, and the template of a
 * leaving one. Pure: bytes in, bytes out. */
#ifndef KCS_IO_ETHER_H
#define KCS_IO_ETHER_H

#include "io/io.h"

enum {
    ETHER_LEN = 14,
    ETHER_TYPE_IPV4 = 0x0800,
    ETHER_TYPE_ARP = 0x0806,
    ETHER_TYPE_IPV6 = 0x86dd,
    IP_PROTO_ICMP = 1,
    IP_PROTO_UDP = 17,
    IP_PROTO_ICMPV6 = 58,
    IPV4_LEN = 20, /* without options */
    IPV6_LEN = 40,
    UDP_LEN = 8,
    ETHER_IP_TTL = 64
};

struct ether_udp {
    uint16_t offset; /* of the UDP payload in the frame */
    uint16_t len;    /* bytes of it */
};

/* Parses a UDP datagram in an untagged frame.
 *
 * path   filled but for 'device'; undefined after failure
 * udp    filled; undefined after failure
 *
 * Returns 0, or -1 - (enum io_ignored) for anything else. RFC 791, RFC 8200, RFC 768. */
int ether_parse(const uint8_t *frame, size_t len, struct path *path, struct ether_udp *udp);

/* Fills the headers of datagrams that go back along 'to', from 'mac'. */
void ether_template(const uint8_t mac[6], const struct path *to, struct pkt_hdr *out);

/* Computes the UDP checksum of an IPv6 frame, which may not be left out there (RFC 8200,
 * 8.1). Returns true if the frame was one: IPv4 goes without (RFC 768). The frame is ours:
 * complete and well-formed. */
void ether_udp6_fill(uint8_t *frame);

static inline bool ether_udp6_sum(uint8_t *frame)
{
    if (frame[12] != 0x86 || frame[13] != 0xdd) {
        return false;
    }
    ether_udp6_fill(frame);
    return true;
}

/* Begins it for a device that adds the payload's: with the sum of the pseudo-header, not
 * complemented. Returns true if the frame was IPv6. */
bool ether_udp6_pseudo(uint8_t *frame);

#endif
