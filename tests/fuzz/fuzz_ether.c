/* Frames from the wire: the header parser, what is sent back along the path that it found,
 * and the answers to ARP, Neighbour Solicitations and pings. The first byte says whether
 * checksums are made right, for else few frames would get past them. */
#include "fuzz.h"

#include "io/csum.h"
#include "io/ether.h"
#include "io/neigh.h"

enum { ROOM = 2048, GROWTH = 32 };

static const struct neigh SELF = {.mac = {2, 0, 0, 0, 0, 1},
                                  .has_v4 = true,
                                  .has_v6 = true,
                                  .v4 = {192, 0, 2, 1},
                                  .v6 = {0xfd, [15] = 1}};

/* Makes the checksums of IPv4 headers, ICMP and ICMPv6 right. */
static void mend(uint8_t *frame, size_t len)
{
    uint8_t *ip = frame + ETHER_LEN;
    size_t n;

    if (len >= ETHER_LEN + IPV4_LEN && load_be16(frame + 12) == ETHER_TYPE_IPV4) {
        memset(ip + 10, 0, 2);
        store_be16(ip + 10, csum_fold(csum_add(0, ip, IPV4_LEN)));
        n = load_be16(ip + 2);
        if (ip[9] == IP_PROTO_ICMP && n >= IPV4_LEN + 8 && n <= len - ETHER_LEN) {
            memset(ip + IPV4_LEN + 2, 0, 2);
            store_be16(ip + IPV4_LEN + 2,
                       csum_fold(csum_add(0, ip + IPV4_LEN, n - IPV4_LEN)));
        }
    } else if (len >= ETHER_LEN + IPV6_LEN && load_be16(frame + 12) == ETHER_TYPE_IPV6) {
        n = load_be16(ip + 4);
        if (ip[6] == IP_PROTO_ICMPV6 && n >= 8 && n <= len - ETHER_LEN - IPV6_LEN) {
            memset(ip + IPV6_LEN + 2, 0, 2);
            store_be16(ip + IPV6_LEN + 2,
                       csum_fold(csum_add(csum_pseudo6(ip, IP_PROTO_ICMPV6, (uint32_t)n),
                                          ip + IPV6_LEN, n)));
        }
    }
}

/* A datagram sent back along 'path' is understood as one that came from us. */
static void send_back(const struct path *path, const uint8_t *payload, uint16_t len)
{
    uint8_t *frame = malloc((size_t)PKT_HDR_MAX + len);
    struct pkt pkt = {.data = frame};
    struct pkt_hdr hdr = {.len = 0};
    struct path seen = {.device = 0};
    struct ether_udp udp;
    int e;

    FUZZ_CHECK(frame != NULL);
    ether_template(SELF.mac, path, &hdr);
    FUZZ_CHECK(hdr.len == (path->family == 4 ? 42 : 62));
    pkt_frame(&pkt, &hdr, payload, len);
    FUZZ_CHECK(ether_udp6_sum(frame) == (path->family == 6));
    e = ether_parse(frame, pkt.len, &seen, &udp);
    if (e == 0) {
        FUZZ_CHECK(memcmp(seen.remote_ip, path->local_ip, 16) == 0 &&
                   memcmp(seen.local_ip, path->remote_ip, 16) == 0 &&
                   seen.remote_port == path->local_port &&
                   seen.local_port == path->remote_port && seen.family == path->family);
        FUZZ_CHECK(udp.len == len && memcmp(frame + udp.offset, payload, len) == 0);
    } else { /* it was sent to an address that is nobody's own */
        FUZZ_CHECK(e == -1 - IO_IGNORED_SOURCE);
    }
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rbytes in = fuzz_in(data, size);
    bool mended = rbytes_u8(&in) % 2 != 0;
    size_t len = rbytes_left(&in);
    uint8_t *frame;
    struct ether_udp udp;
    struct path path = {.device = 0};
    size_t answer;

    if (len > ROOM) {
        return 0;
    }
    frame = fuzz_tight(in.p, len);
    if (mended) {
        mend(frame, len);
    }
    if (ether_parse(frame, len, &path, &udp) == 0) {
        FUZZ_CHECK((size_t)udp.offset + udp.len <= len);
        FUZZ_CHECK(path.family == 4 || path.family == 6);
        send_back(&path, frame + udp.offset, udp.len);
    }
    FUZZ_CHECK((answer = neigh_answer(&SELF, frame, len, len)) <= len);
    free(frame);
    frame = malloc(len + GROWTH);
    FUZZ_CHECK(frame != NULL);
    memcpy(frame, in.p, len);
    if (mended) {
        mend(frame, len);
    }
    answer = neigh_answer(&SELF, frame, len, len + GROWTH);
    FUZZ_CHECK(answer <= len + GROWTH);
    if (answer == 0) {
        uint8_t *before = fuzz_tight(in.p, len);

        if (mended) {
            mend(before, len);
        }
        FUZZ_CHECK(len == 0 || memcmp(before, frame, len) == 0);
        free(before);
    }
    free(frame);
    return 0;
}
