/* A packet as the stages see it: the private area of an mbuf, without DPDK's types. io/
 * fills it at rx and reads it at tx; lane/ allocates and frees. An ingress packet is a UDP
 * payload whose outer headers io/ has already taken off; an egress packet is written by the
 * stages from a header template (struct pkt_hdr) so that tx has nothing left to build.
 *
 * Owner: the lane that received or allocated it. */
#ifndef KCS_PKT_PKT_H
#define KCS_PKT_PKT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sfu/base/path.h"

enum {
    PKT_MAX_DATAGRAM = 1500, /* a longer UDP payload is dropped as too_long */
    PKT_BURST = 32,          /* packets a stage sees at once, at most */
    PKT_HDR_MAX = 62,        /* Ethernet 14 + IPv6 40 + UDP 8 */
    PKT_ROOM = 1664          /* bytes from 'data' that a packet of the pool always has */
};

/* What RFC 7983 makes of the first byte (classify). */
enum pkt_kind { PKT_UNKNOWN, PKT_STUN, PKT_DTLS, PKT_RTP, PKT_RTCP };

struct peer;
struct stream;
struct sub;

struct pkt {
    uint8_t *data; /* ingress: the UDP payload; egress: the first byte that goes out */
    uint16_t len;  /* bytes at 'data' */
    uint8_t device;
    uint8_t kind; /* enum pkt_kind; egress: only of what is not media, PKT_RTP is padding */

    /* ingress, after classify; egress, after rewrite */
    uint16_t hdr_len; /* RTP header with CSRCs and extensions */
    uint16_t seq;
    uint32_t ssrc;
    uint32_t ts;
    uint8_t pt;
    bool marker;
    bool padding;    /* the RTP padding bit */
    bool rtx;        /* it repairs 'stream' (unprotect); egress: 'sub' (resend) */
    bool handed;     /* another lane received it; set only if there are several */
    uint8_t rx_lane; /* which */
    uint16_t ext_at; /* where the extension block's elements begin, from 'data' on */
    uint16_t ext_len;
    uint16_t ext_profile;
    uint16_t payload_len;
    const uint8_t *payload; /* ingress: plaintext after unprotect; egress: in the ring */
    struct peer *peer;
    union {
        struct stream *stream; /* ingress, after unprotect; NULL if of no stream */
        struct sub *sub;       /* egress of media; NULL for replies and RTCP */
    };
    /* egress of a subscription with layers, given by route with index, ts and marker */
    bool layered;
    bool audio; /* of a frame that waits or was refused: for what is counted */
    uint8_t tl0, keyidx;
    uint16_t picture;
    uint8_t spatial, temporal; /* what is watched */

    uint64_t index; /* SRTP index: ROC << 16 | SEQ, which is the extended sequence number */
    uint64_t pos;   /* egress: position in the stream's ring that it was read from */

    const struct path *to; /* egress: borrowed until tx (udp devices send to it) */
    /* egress, of a frame that waits for its device or goes to the lane that serves it:
     * whose it is, or HANDLE_NONE; 'peer' and 'sub' may have ended */
    uint64_t peer_handle, sub_handle;
    struct path path; /* ingress: where it came from */
};

/* Outer headers of an egress path, made once by io_hdr_build() and copied for each packet.
 */
struct pkt_hdr {
    uint8_t bytes[PKT_HDR_MAX];
    uint8_t len;     /* 0: the kernel writes the headers (udp devices) */
    uint8_t family;  /* 4 or 6 */
    uint32_t ip_sum; /* IPv4: folded sum of the header with length and checksum zero */
};

/* Egress: a probe of nothing. */
static inline bool pkt_is_padding(const struct pkt *pkt)
{
    return pkt->sub == NULL && pkt->kind == PKT_RTP;
}

struct burst {
    uint16_t n;
    struct pkt *pkts[PKT_BURST];
};

static inline void burst_push(struct burst *burst, struct pkt *pkt)
{
    burst->pkts[burst->n++] = pkt;
}

/* Writes the outer headers for 'payload_len' bytes of UDP payload to 'dst' (hdr->len
 * bytes). UDP checksums: IPv4 zero (RFC 768 allows it); IPv6 is computed by tx, because it
 * covers the encrypted bytes. */
static inline void pkt_hdr_write(const struct pkt_hdr *hdr, uint8_t *dst,
                                 uint16_t payload_len)
{
    uint16_t udp_len = (uint16_t)(payload_len + 8);

    if (hdr->len == 0) {
        return;
    }
    if (hdr->family == 4) {
        uint16_t ip_len = (uint16_t)(udp_len + 20);
        uint32_t sum = hdr->ip_sum + ip_len;

        memcpy(dst, hdr->bytes, 42);
        dst[16] = (uint8_t)(ip_len >> 8);
        dst[17] = (uint8_t)ip_len;
        sum = ~((sum & 0xffff) + (sum >> 16)); /* two of 16 bits: once is enough */
        dst[24] = (uint8_t)(sum >> 8);
        dst[25] = (uint8_t)sum;
        dst[38] = (uint8_t)(udp_len >> 8);
        dst[39] = (uint8_t)udp_len;
    } else {
        memcpy(dst, hdr->bytes, PKT_HDR_MAX);
        dst[18] = (uint8_t)(udp_len >> 8);
        dst[19] = (uint8_t)udp_len;
        dst[58] = (uint8_t)(udp_len >> 8);
        dst[59] = (uint8_t)udp_len;
    }
}

/* Makes 'pkt' a whole egress frame: outer headers and this UDP payload (len bytes, at most
 * PKT_ROOM - PKT_HDR_MAX). */
static inline void pkt_frame(struct pkt *pkt, const struct pkt_hdr *hdr,
                             const uint8_t *payload, uint16_t len)
{
    pkt_hdr_write(hdr, pkt->data, len);
    memcpy(pkt->data + hdr->len, payload, len);
    pkt->len = (uint16_t)(hdr->len + len);
}

#endif
