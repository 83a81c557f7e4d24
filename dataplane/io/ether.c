/* Headers of a media packet, see ether.h. Checks what the kernel would have checked before
 * a socket got the datagram, but for the UDP checksum. */
#include "io/ether.h"

#include <rte_ip.h>

#include "io/csum.h"
#include "sfu/base/bytes.h"

static int ignored(enum io_ignored why)
{
    return -1 - (int)why;
}

/* An answer to such a source would go nowhere, or to many. */
static bool v4_source_ok(const uint8_t ip[4])
{
    return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
}

static bool v6_source_ok(const uint8_t ip[16])
{
    static const uint8_t zero[15];

    return ip[0] != 0xff && !(memcmp(ip, zero, 15) == 0 && ip[15] <= 1);
}

static int parse_udp(struct rbytes *r, size_t ip_payload, const uint8_t *frame,
                     struct path *path, struct ether_udp *udp)
{
    uint16_t udp_len;

    path->remote_port = rbytes_be16(r);
    path->local_port = rbytes_be16(r);
    udp_len = rbytes_be16(r);
    rbytes_be16(r); /* checksum */
    if (r->bad || udp_len < UDP_LEN || udp_len > ip_payload) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    if (path->remote_port == 0) {
        return ignored(IO_IGNORED_SOURCE);
    }
    udp->offset = (uint16_t)(r->p - frame);
    udp->len = (uint16_t)(udp_len - UDP_LEN);
    return 0;
}

static int parse_v4(struct rbytes *r, const uint8_t *frame, struct path *path,
                    struct ether_udp *udp)
{
    size_t left = rbytes_left(r);
    const uint8_t *ip = rbytes_take(r, IPV4_LEN);
    size_t total;

    if (ip == NULL || ip[0] >> 4 != 4 || (ip[0] & 15) < 5) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    if ((ip[0] & 15) > 5) {
        return ignored(IO_IGNORED_OPTIONS);
    }
    total = load_be16(ip + 2);
    if (total < IPV4_LEN || total > left || csum_fold(csum_add(0, ip, IPV4_LEN)) != 0) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    if ((load_be16(ip + 6) & 0x3fff) != 0) { /* an offset, or more to come */
        return ignored(IO_IGNORED_FRAGMENT);
    }
    if (ip[9] != IP_PROTO_UDP) {
        return ignored(IO_IGNORED_PROTOCOL);
    }
    if (!v4_source_ok(ip + 12)) {
        return ignored(IO_IGNORED_SOURCE);
    }
    path->family = 4;
    path_map_v4(path->remote_ip, ip + 12);
    path_map_v4(path->local_ip, ip + 16);
    return parse_udp(r, total - IPV4_LEN, frame, path, udp);
}

static int parse_v6(struct rbytes *r, const uint8_t *frame, struct path *path,
                    struct ether_udp *udp)
{
    const uint8_t *ip = rbytes_take(r, IPV6_LEN);
    size_t payload;

    if (ip == NULL || ip[0] >> 4 != 6) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    payload = load_be16(ip + 4);
    if (payload > rbytes_left(r)) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    switch (ip[6]) {
    case IP_PROTO_UDP:
        break;
    case 44:
        return ignored(IO_IGNORED_FRAGMENT);
    case 0: /* hop-by-hop, routing, authentication, destination, mobility */
    case 43:
    case 51:
    case 60:
    case 135:
        return ignored(IO_IGNORED_OPTIONS);
    default:
        return ignored(IO_IGNORED_PROTOCOL);
    }
    if (!v6_source_ok(ip + 8)) {
        return ignored(IO_IGNORED_SOURCE);
    }
    path->family = 6;
    memcpy(path->remote_ip, ip + 8, 16);
    memcpy(path->local_ip, ip + 24, 16);
    return parse_udp(r, payload, frame, path, udp);
}

int ether_parse(const uint8_t *frame, size_t len, struct path *path, struct ether_udp *udp)
{
    struct rbytes r = rbytes_of(frame, len);
    const uint8_t *eth = rbytes_take(&r, ETHER_LEN);

    if (eth == NULL) {
        return ignored(IO_IGNORED_MALFORMED);
    }
    memcpy(path->remote_mac, eth + 6, PATH_MAC_LEN);
    switch (load_be16(eth + 12)) {
    case ETHER_TYPE_IPV4:
        return parse_v4(&r, frame, path, udp);
    case ETHER_TYPE_IPV6:
        return parse_v6(&r, frame, path, udp);
    default:
        return ignored(IO_IGNORED_NOT_IP);
    }
}

void ether_template(const uint8_t mac[6], const struct path *to, struct pkt_hdr *out)
{
    struct wbytes w = wbytes_of(out->bytes, sizeof(out->bytes));
    bool v4 = to->family == 4;

    memset(out, 0, sizeof(*out));
    out->family = to->family;
    wbytes_put(&w, to->remote_mac, PATH_MAC_LEN);
    wbytes_put(&w, mac, PATH_MAC_LEN);
    wbytes_be16(&w, v4 ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6);
    if (v4) {
        wbytes_be16(&w, 0x4500);
        wbytes_be16(&w, 0);      /* length: pkt_hdr_write */
        wbytes_be16(&w, 0);      /* identification: unused, it never fragments (RFC 6864) */
        wbytes_be16(&w, 0x4000); /* don't fragment */
        wbytes_u8(&w, ETHER_IP_TTL);
        wbytes_u8(&w, IP_PROTO_UDP);
        wbytes_be16(&w, 0); /* checksum: pkt_hdr_write, from ip_sum */
        wbytes_put(&w, to->local_ip + 12, 4);
        wbytes_put(&w, to->remote_ip + 12, 4);
        out->ip_sum = csum_add(0, out->bytes + ETHER_LEN, IPV4_LEN);
        out->ip_sum = (out->ip_sum & 0xffff) + (out->ip_sum >> 16);
    } else {
        wbytes_be32(&w, 0x60000000);
        wbytes_be16(&w, 0); /* length: pkt_hdr_write */
        wbytes_u8(&w, IP_PROTO_UDP);
        wbytes_u8(&w, ETHER_IP_TTL);
        wbytes_put(&w, to->local_ip, 16);
        wbytes_put(&w, to->remote_ip, 16);
    }
    wbytes_be16(&w, to->local_port);
    wbytes_be16(&w, to->remote_port);
    wbytes_be32(&w, 0); /* length and checksum */
    out->len = (uint8_t)wbytes_len(&w);
}

void ether_udp6_fill(uint8_t *frame)
{
    uint8_t *ip = frame + ETHER_LEN;
    uint8_t *udp = ip + IPV6_LEN;

    udp[6] = 0;
    udp[7] = 0;
    {
        /* DPDK's sum is the fast one; both directions of byte order cancel out */
        uint16_t sum = rte_ipv6_udptcp_cksum((const struct rte_ipv6_hdr *)ip, udp);

        memcpy(udp + 6, &sum, 2);
    }
}

bool ether_udp6_pseudo(uint8_t *frame)
{
    uint16_t sum;

    if (frame[12] != 0x86 || frame[13] != 0xdd) {
        return false;
    }
    sum = rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)(frame + ETHER_LEN), 0);
    memcpy(frame + ETHER_LEN + IPV6_LEN + 6, &sum, 2);
    return true;
}
