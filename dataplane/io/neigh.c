/* See neigh.h. All answers are made in place: mostly the request with its ends swapped. */
#include "io/neigh.h"

#include <string.h>

#include "io/csum.h"
#include "io/ether.h"

enum {
    ARP_LEN = 28,
    ARP_REQUEST = 1,
    ARP_REPLY = 2,
    ECHO_LEN = 8,
    ICMP_ECHO_REPLY = 0,
    ICMP_ECHO_REQUEST = 8,
    ICMPV6_ECHO_REQUEST = 128,
    ICMPV6_ECHO_REPLY = 129,
    NDP_SOLICITATION = 135,
    NDP_ADVERTISEMENT = 136,
    NDP_LEN = 24,       /* without options */
    NDP_OPT_SOURCE = 1, /* link-layer address options */
    NDP_OPT_TARGET = 2,
    NDP_OPT_LEN = 8,
    NDP_HOP_LIMIT = 255 /* proves that no router has passed it on */
};

static void ether_turn(const struct neigh *self, uint8_t *frame, const uint8_t *to)
{
    uint8_t mac[6];

    memcpy(mac, to, 6); /* 'to' may lie in the frame */
    memcpy(frame, mac, 6);
    memcpy(frame + 6, self->mac, 6);
}

static size_t answer_arp(const struct neigh *self, uint8_t *frame, size_t len)
{
    static const uint8_t ethernet_ipv4[6] = {0, 1, 8, 0, 6, 4};
    uint8_t *arp = frame + ETHER_LEN;

    if (!self->has_v4 || len < ETHER_LEN + ARP_LEN || memcmp(arp, ethernet_ipv4, 6) != 0 ||
        load_be16(arp + 6) != ARP_REQUEST || memcmp(arp + 24, self->v4, 4) != 0 ||
        (arp[8] & 1) != 0) {
        return 0;
    }
    ether_turn(self, frame, arp + 8);
    store_be16(arp + 6, ARP_REPLY);
    memcpy(arp + 18, arp + 8, 10); /* the sender becomes the target */
    memcpy(arp + 8, self->mac, 6);
    memcpy(arp + 14, self->v4, 4);
    return ETHER_LEN + ARP_LEN;
}

static size_t answer_v4(const struct neigh *self, uint8_t *frame, size_t len)
{
    uint8_t *ip = frame + ETHER_LEN;
    uint8_t *icmp = ip + IPV4_LEN;
    size_t total;

    if (!self->has_v4 || len < ETHER_LEN + IPV4_LEN + ECHO_LEN || ip[0] != 0x45 ||
        ip[9] != IP_PROTO_ICMP || (load_be16(ip + 6) & 0x3fff) != 0 ||
        memcmp(ip + 16, self->v4, 4) != 0 || ip[12] == 0 || ip[12] >= 224 ||
        (frame[6] & 1) != 0) {
        return 0;
    }
    total = load_be16(ip + 2);
    if (total < IPV4_LEN + ECHO_LEN || total > len - ETHER_LEN ||
        icmp[0] != ICMP_ECHO_REQUEST || icmp[1] != 0 ||
        csum_fold(csum_add(0, ip, IPV4_LEN)) != 0 ||
        csum_fold(csum_add(0, icmp, total - IPV4_LEN)) != 0) {
        return 0;
    }
    ether_turn(self, frame, frame + 6);
    memcpy(ip + 16, ip + 12, 4);
    memcpy(ip + 12, self->v4, 4);
    ip[8] = ETHER_IP_TTL;
    store_be16(ip + 10, 0);
    store_be16(ip + 10, csum_fold(csum_add(0, ip, IPV4_LEN)));
    icmp[0] = ICMP_ECHO_REPLY;
    store_be16(icmp + 2, 0);
    store_be16(icmp + 2, csum_fold(csum_add(0, icmp, total - IPV4_LEN)));
    return ETHER_LEN + total;
}

static void icmpv6_sum(uint8_t *ip, size_t len)
{
    uint8_t *icmp = ip + IPV6_LEN;
    uint32_t pseudo = csum_pseudo6(ip, IP_PROTO_ICMPV6, (uint32_t)len);

    store_be16(icmp + 2, 0);
    store_be16(icmp + 2, csum_fold(csum_add(pseudo, icmp, len)));
}

static size_t answer_echo6(const struct neigh *self, uint8_t *frame, size_t icmp_len)
{
    uint8_t *ip = frame + ETHER_LEN;

    if (memcmp(ip + 24, self->v6, 16) != 0 || ip[8] == 0xff) {
        return 0;
    }
    ether_turn(self, frame, frame + 6);
    memcpy(ip + 24, ip + 8, 16);
    memcpy(ip + 8, self->v6, 16);
    ip[7] = ETHER_IP_TTL;
    ip[IPV6_LEN] = ICMPV6_ECHO_REPLY;
    icmpv6_sum(ip, icmp_len);
    return ETHER_LEN + IPV6_LEN + icmp_len;
}

/* Walks the options of a solicitation (RFC 4861, 4.6). Returns false if one is malformed.
 */
static bool ndp_options(const uint8_t *icmp, size_t len, bool *has_source)
{
    *has_source = false;
    for (size_t at = NDP_LEN; at < len;) {
        size_t left = len - at;
        size_t size = left >= 2 ? (size_t)icmp[at + 1] * 8 : 0;

        if (size == 0 || size > left) {
            return false;
        }
        *has_source = *has_source || icmp[at] == NDP_OPT_SOURCE;
        at += size;
    }
    return true;
}

/* RFC 4861, 7.1.1 (what a solicitation must be) and 7.2.4 (the answer). */
static size_t answer_ndp(const struct neigh *self, uint8_t *frame, size_t icmp_len,
                         size_t cap)
{
    static const uint8_t unspecified[16];
    static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
    static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    uint8_t *ip = frame + ETHER_LEN;
    uint8_t *icmp = ip + IPV6_LEN;
    bool probe = memcmp(ip + 8, unspecified, 16) == 0; /* duplicate address detection */
    bool has_source;

    if (ip[7] != NDP_HOP_LIMIT || icmp_len < NDP_LEN ||
        memcmp(icmp + 8, self->v6, 16) != 0 || !ndp_options(icmp, icmp_len, &has_source) ||
        (probe && (has_source || ip[24] != 0xff)) || ip[8] == 0xff ||
        cap < ETHER_LEN + IPV6_LEN + NDP_LEN + NDP_OPT_LEN) {
        return 0;
    }
    ether_turn(self, frame, probe ? all_nodes_mac : frame + 6);
    memcpy(ip + 24, probe ? all_nodes : ip + 8, 16);
    memcpy(ip + 8, self->v6, 16);
    store_be16(ip + 4, NDP_LEN + NDP_OPT_LEN);
    icmp[0] = NDP_ADVERTISEMENT;
    store_be32(icmp + 4, probe ? 0x20000000 : 0x60000000); /* override; solicited */
    icmp[NDP_LEN] = NDP_OPT_TARGET;
    icmp[NDP_LEN + 1] = 1;
    memcpy(icmp + NDP_LEN + 2, self->mac, 6);
    icmpv6_sum(ip, NDP_LEN + NDP_OPT_LEN);
    return ETHER_LEN + IPV6_LEN + NDP_LEN + NDP_OPT_LEN;
}

static size_t answer_v6(const struct neigh *self, uint8_t *frame, size_t len, size_t cap)
{
    uint8_t *ip = frame + ETHER_LEN;
    uint8_t *icmp = ip + IPV6_LEN;
    size_t icmp_len;
    uint32_t pseudo;

    if (!self->has_v6 || len < ETHER_LEN + IPV6_LEN + ECHO_LEN || ip[0] >> 4 != 6 ||
        ip[6] != IP_PROTO_ICMPV6 || (frame[6] & 1) != 0) {
        return 0;
    }
    icmp_len = load_be16(ip + 4);
    if (icmp_len < ECHO_LEN || icmp_len > len - ETHER_LEN - IPV6_LEN || icmp[1] != 0) {
        return 0;
    }
    pseudo = csum_pseudo6(ip, IP_PROTO_ICMPV6, (uint32_t)icmp_len);
    if (csum_fold(csum_add(pseudo, icmp, icmp_len)) != 0) {
        return 0;
    }
    switch (icmp[0]) {
    case ICMPV6_ECHO_REQUEST:
        return answer_echo6(self, frame, icmp_len);
    case NDP_SOLICITATION:
        return answer_ndp(self, frame, icmp_len, cap);
    default:
        return 0;
    }
}

size_t neigh_answer(const struct neigh *self, uint8_t *frame, size_t len, size_t cap)
{
    if (len < ETHER_LEN) {
        return 0;
    }
    switch (load_be16(frame + 12)) {
    case ETHER_TYPE_ARP:
        return answer_arp(self, frame, len);
    case ETHER_TYPE_IPV4:
        return answer_v4(self, frame, len);
    case ETHER_TYPE_IPV6:
        return answer_v6(self, frame, len, cap);
    default:
        return 0;
    }
}
