/* RTP packet headers: bytes to struct rtp_hdr and back. Header extensions inside of the
 * extension block are in rtp_ext.h.
 *
 * Pure, header-only. RFC 3550, section 5.1. */
#ifndef SFU_WIRE_RTP_H
#define SFU_WIRE_RTP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"

enum {
    RTP_FIXED_LEN = 12,
    RTP_MAX_CSRC = 15,
    RTX_OSN_LEN = 2 /* a retransmission's payload begins with it (RFC 4588, section 4) */
};

struct rtp_hdr {
    const uint8_t *ext; /* borrowed from the packet; NULL without extension block */
    uint32_t ts;
    uint32_t ssrc;
    uint16_t seq;
    uint16_t hdr_len; /* bytes before the payload: fixed, CSRCs, whole extension block */
    uint16_t ext_len; /* bytes of 'ext', without the 4 of its own header */
    uint16_t ext_profile; /* "defined by profile": 0xBEDE or 0x100X for RFC 8285 */
    uint8_t pt;           /* 0..127 */
    uint8_t n_csrc;       /* 0..15; they follow the fixed header */
    bool marker;
    bool has_ext;
    bool has_padding; /* the count of padding bytes is the (encrypted) last byte */
};

/* Parses the header of a packet, which may still be encrypted: padding is not looked at.
 *
 * data  borrowed; 'out->ext' points into it
 * out   filled only on success
 *
 * Returns 0, or -EBADMSG if it is not version 2 or the header does not fit in 'len'. */
static inline int rtp_parse(const uint8_t *data, size_t len, struct rtp_hdr *out)
{
    struct rbytes r = rbytes_of(data, len);
    const uint8_t *fixed = rbytes_take(&r, RTP_FIXED_LEN);
    struct rtp_hdr h = {0};

    if (fixed == NULL || fixed[0] >> 6 != 2) {
        return -EBADMSG;
    }
    h.has_padding = (fixed[0] & 0x20) != 0;
    h.has_ext = (fixed[0] & 0x10) != 0;
    h.n_csrc = fixed[0] & 0x0f;
    h.marker = (fixed[1] & 0x80) != 0;
    h.pt = fixed[1] & 0x7f;
    h.seq = load_be16(fixed + 2);
    h.ts = load_be32(fixed + 4);
    h.ssrc = load_be32(fixed + 8);
    (void)rbytes_take(&r, (size_t)h.n_csrc * 4);
    if (h.has_ext) {
        size_t ext_len;

        h.ext_profile = rbytes_be16(&r);
        ext_len = (size_t)rbytes_be16(&r) * 4;
        h.ext = rbytes_take(&r, ext_len);
        h.ext_len = (uint16_t)ext_len;
    }
    /* no datagram is longer than 64 kB, but the caller's 'len' could be */
    if (r.bad || len - rbytes_left(&r) > UINT16_MAX) {
        return -EBADMSG;
    }
    h.hdr_len = (uint16_t)(len - rbytes_left(&r));
    *out = h;
    return 0;
}

/* Writes the fixed 12 bytes of 'h' to 'w'. CSRCs and the extension block that 'n_csrc'
 * and 'has_ext' announce are for the caller to append; a write that does not fit latches
 * 'w->bad'. */
static inline void rtp_write(struct wbytes *w, const struct rtp_hdr *h)
{
    uint8_t *p = wbytes_reserve(w, RTP_FIXED_LEN);

    if (p == NULL) {
        return;
    }
    p[0] = (uint8_t)(0x80u | (h->has_padding ? 0x20u : 0u) | (h->has_ext ? 0x10u : 0u) |
                     (h->n_csrc & 0x0fu));
    p[1] = (uint8_t)((h->marker ? 0x80u : 0u) | (h->pt & 0x7fu));
    store_be16(p + 2, h->seq);
    store_be32(p + 4, h->ts);
    store_be32(p + 8, h->ssrc);
}

/* How many of the 'len' bytes of a decrypted payload whose header has the padding bit are
 * padding (1..255). Returns -EBADMSG if the count is zero or larger than the payload. */
static inline int rtp_padding_len(const uint8_t *payload, size_t len)
{
    if (len == 0 || payload[len - 1] == 0 || payload[len - 1] > len) {
        return -EBADMSG;
    }
    return payload[len - 1];
}

#endif
