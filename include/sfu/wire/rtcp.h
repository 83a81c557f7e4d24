/* RTCP compound packets: an iterator, and the reports, SDES and BYE of RFC 3550, section 6.
 * Feedback messages (RFC 4585 and later) are in rtcp_fb.h.
 *
 * Parsers take one packet of the iterator and borrow from it. Writers append one whole
 * packet to a struct wbytes; one that does not fit latches 'bad' and must not be sent.
 *
 * Pure, header-only. Reduced-size packets (RFC 5506) are accepted. */
#ifndef SFU_WIRE_RTCP_H
#define SFU_WIRE_RTCP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"

enum rtcp_pt {
    RTCP_SR = 200,
    RTCP_RR = 201,
    RTCP_SDES = 202,
    RTCP_BYE = 203,
    RTCP_APP = 204,
    RTCP_RTPFB = 205,
    RTCP_PSFB = 206,
    RTCP_XR = 207
};

enum {
    RTCP_HEADER_LEN = 4,
    RTCP_BLOCK_LEN = 24,
    RTCP_MAX_COUNT = 31,  /* the 5-bit count: report blocks, SDES chunks, BYE sources */
    RTCP_MAX_PACKETS = 64 /* in one compound; more is an attack */
};

/* One packet of a compound. */
struct rtcp_pkt {
    const uint8_t *body; /* behind the 4-byte header, borrowed */
    size_t len;          /* of 'body', padding removed */
    uint8_t pt;
    uint8_t count; /* RC, SC or FMT: what it counts depends on 'pt' */
};

struct rtcp_iter {
    struct rbytes r;
    uint32_t n_packets;
};

static inline struct rtcp_iter rtcp_iter_of(const uint8_t *data, size_t len)
{
    return (struct rtcp_iter){.r = rbytes_of(data, len), .n_packets = 0};
}

/* Gives the next packet of the compound.
 *
 * Returns 1 and fills 'out', 0 at the end, or -EBADMSG (for ever after): wrong version or
 * type, a length past the end, bad padding, or padding before the last packet. */
static inline int rtcp_next(struct rtcp_iter *it, struct rtcp_pkt *out)
{
    const uint8_t *head;
    const uint8_t *body;
    size_t len;
    size_t pad = 0;

    if (!it->r.bad && rbytes_left(&it->r) == 0) {
        return 0;
    }
    head = rbytes_take(&it->r, RTCP_HEADER_LEN);
    if (head == NULL || head[0] >> 6 != 2 || head[1] < 192 || head[1] > 223 ||
        it->n_packets++ >= RTCP_MAX_PACKETS) {
        goto bad;
    }
    len = (size_t)load_be16(head + 2) * 4;
    body = rbytes_take(&it->r, len);
    if (body == NULL) {
        goto bad;
    }
    if ((head[0] & 0x20) != 0) {
        pad = len > 0 ? body[len - 1] : 0;
        if (pad == 0 || pad > len || rbytes_left(&it->r) != 0) {
            goto bad;
        }
    }
    *out = (struct rtcp_pkt){
        .body = body, .len = len - pad, .pt = head[1], .count = head[0] & 0x1f};
    return 1;
bad:
    it->r.bad = true;
    return -EBADMSG;
}

/* Whether 'data' is one or more well-formed packets to its last byte (RFC 3550, A.2). */
static inline bool rtcp_valid(const uint8_t *data, size_t len)
{
    struct rtcp_iter it = rtcp_iter_of(data, len);
    struct rtcp_pkt pkt;
    int got = rtcp_next(&it, &pkt);

    if (got != 1) {
        return false;
    }
    while (got == 1) {
        got = rtcp_next(&it, &pkt);
    }
    return got == 0;
}

/* Writes a header for 'len' bytes of body, a multiple of 4. */
static inline void rtcp_write_header(struct wbytes *w, uint8_t count, uint8_t pt,
                                     size_t len)
{
    uint8_t *p;

    if (count > RTCP_MAX_COUNT || len % 4 != 0 || len / 4 > UINT16_MAX) {
        w->bad = true;
        return;
    }
    p = wbytes_reserve(w, RTCP_HEADER_LEN);
    if (p != NULL) {
        p[0] = (uint8_t)(0x80u | count);
        p[1] = pt;
        store_be16(p + 2, (uint16_t)(len / 4));
    }
}

/* ---- report blocks, SR, RR (6.4) ---- */

struct rtcp_block {
    uint32_t ssrc;
    uint32_t ext_highest_seq;
    uint32_t jitter;       /* RTP timestamp units */
    uint32_t lsr;          /* middle 32 bits of the NTP time of the last SR, 0 if none */
    uint32_t dlsr;         /* 1/65536 s between that SR and this report */
    int32_t lost;          /* cumulative, -2^23..2^23-1 */
    uint8_t fraction_lost; /* of 256, since the report before */
};

struct rtcp_sr {
    uint64_t ntp; /* 32.32 fixed point */
    const uint8_t *blocks;
    uint32_t ssrc;
    uint32_t rtp_ts;
    uint32_t n_packets;
    uint32_t n_bytes;
    uint8_t n_blocks;
};

struct rtcp_rr {
    const uint8_t *blocks;
    uint32_t ssrc;
    uint8_t n_blocks;
};

/* Reads block 'i' of the 'blocks' of a parsed report; i < n_blocks. */
static inline struct rtcp_block rtcp_block_at(const uint8_t *blocks, uint8_t i)
{
    const uint8_t *p = blocks + (size_t)i * RTCP_BLOCK_LEN;
    uint32_t lost = load_be24(p + 5);

    return (struct rtcp_block){
        .ssrc = load_be32(p),
        .fraction_lost = p[4],
        .lost = (lost & 0x800000u) != 0 ? (int32_t)lost - 0x1000000 : (int32_t)lost,
        .ext_highest_seq = load_be32(p + 8),
        .jitter = load_be32(p + 12),
        .lsr = load_be32(p + 16),
        .dlsr = load_be32(p + 20),
    };
}

/* Returns 0, or -EBADMSG if the packet is too short for what it announces. Profile-specific
 * extensions behind the blocks are ignored. */
static inline int rtcp_sr_parse(const struct rtcp_pkt *pkt, struct rtcp_sr *out)
{
    struct rbytes r = rbytes_of(pkt->body, pkt->len);

    out->ssrc = rbytes_be32(&r);
    out->ntp = rbytes_be64(&r);
    out->rtp_ts = rbytes_be32(&r);
    out->n_packets = rbytes_be32(&r);
    out->n_bytes = rbytes_be32(&r);
    out->n_blocks = pkt->count;
    out->blocks = rbytes_take(&r, (size_t)pkt->count * RTCP_BLOCK_LEN);
    return r.bad ? -EBADMSG : 0;
}

static inline int rtcp_rr_parse(const struct rtcp_pkt *pkt, struct rtcp_rr *out)
{
    struct rbytes r = rbytes_of(pkt->body, pkt->len);

    out->ssrc = rbytes_be32(&r);
    out->n_blocks = pkt->count;
    out->blocks = rbytes_take(&r, (size_t)pkt->count * RTCP_BLOCK_LEN);
    return r.bad ? -EBADMSG : 0;
}

static inline void rtcp_write_blocks(struct wbytes *w, const struct rtcp_block *blocks,
                                     uint8_t n_blocks)
{
    for (uint8_t i = 0; i < n_blocks; i++) {
        const struct rtcp_block *b = &blocks[i];

        wbytes_be32(w, b->ssrc);
        wbytes_u8(w, b->fraction_lost);
        wbytes_be24(w, (uint32_t)b->lost & 0xffffffu);
        wbytes_be32(w, b->ext_highest_seq);
        wbytes_be32(w, b->jitter);
        wbytes_be32(w, b->lsr);
        wbytes_be32(w, b->dlsr);
    }
}

/* Appends an SR with the sender information of 'sr' and these blocks (its own 'blocks' and
 * 'n_blocks' are not read). n_blocks <= 31; 'blocks' may be NULL if 0. */
static inline void rtcp_sr_write(struct wbytes *w, const struct rtcp_sr *sr,
                                 const struct rtcp_block *blocks, uint8_t n_blocks)
{
    rtcp_write_header(w, n_blocks, RTCP_SR, 24 + (size_t)n_blocks * RTCP_BLOCK_LEN);
    wbytes_be32(w, sr->ssrc);
    wbytes_be64(w, sr->ntp);
    wbytes_be32(w, sr->rtp_ts);
    wbytes_be32(w, sr->n_packets);
    wbytes_be32(w, sr->n_bytes);
    rtcp_write_blocks(w, blocks, n_blocks);
}

static inline void rtcp_rr_write(struct wbytes *w, uint32_t ssrc,
                                 const struct rtcp_block *blocks, uint8_t n_blocks)
{
    rtcp_write_header(w, n_blocks, RTCP_RR, 4 + (size_t)n_blocks * RTCP_BLOCK_LEN);
    wbytes_be32(w, ssrc);
    rtcp_write_blocks(w, blocks, n_blocks);
}

/* ---- SDES (6.5) ---- */

enum { RTCP_SDES_CNAME = 1 };

struct rtcp_sdes_iter {
    struct rbytes r;
    uint8_t n_left; /* chunks */
};

struct rtcp_sdes {
    const uint8_t *cname; /* borrowed, not terminated; NULL if the chunk has none */
    uint32_t ssrc;
    uint8_t cname_len;
};

static inline struct rtcp_sdes_iter rtcp_sdes_iter_of(const struct rtcp_pkt *pkt)
{
    return (struct rtcp_sdes_iter){.r = rbytes_of(pkt->body, pkt->len),
                                   .n_left = pkt->count};
}

/* Gives the next chunk: its source and CNAME. Returns 1, 0 at the end, or -EBADMSG. */
static inline int rtcp_sdes_next(struct rtcp_sdes_iter *it, struct rtcp_sdes *out)
{
    size_t pad;

    if (it->n_left == 0) {
        return it->r.bad ? -EBADMSG : 0;
    }
    it->n_left--;
    *out = (struct rtcp_sdes){.ssrc = rbytes_be32(&it->r)};
    for (;;) { /* each turn consumes: bounded by the packet */
        uint8_t type = rbytes_u8(&it->r);
        uint8_t len;
        const uint8_t *text;

        if (it->r.bad || type == 0) {
            break;
        }
        len = rbytes_u8(&it->r);
        text = rbytes_take(&it->r, len);
        if (type == RTCP_SDES_CNAME && out->cname == NULL && text != NULL) {
            out->cname = text;
            out->cname_len = len;
        }
    }
    /* the null that ends a chunk is followed by more of them up to a word boundary, and the
     * body ends on one */
    pad = rbytes_left(&it->r) % 4;
    (void)rbytes_take(&it->r, pad);
    if (it->r.bad) {
        it->n_left = 0;
        return -EBADMSG;
    }
    return 1;
}

/* Appends an SDES with one chunk: the CNAME of 'ssrc' ('len' bytes, 1..255). */
static inline void rtcp_sdes_write(struct wbytes *w, uint32_t ssrc, const void *cname,
                                   uint8_t len)
{
    size_t items = 2u + len;
    size_t pad = 4 - items % 4; /* at least the one null that ends the list */

    rtcp_write_header(w, 1, RTCP_SDES, 4 + items + pad);
    wbytes_be32(w, ssrc);
    wbytes_u8(w, RTCP_SDES_CNAME);
    wbytes_u8(w, len);
    wbytes_put(w, cname, len);
    wbytes_zero(w, pad);
}

/* ---- BYE (6.6) ---- */

struct rtcp_bye {
    const uint8_t *ssrcs;  /* n_ssrcs times 4 bytes: load_be32(ssrcs + 4 * i) */
    const uint8_t *reason; /* borrowed, not terminated; NULL if none */
    uint8_t n_ssrcs;
    uint8_t reason_len;
};

static inline int rtcp_bye_parse(const struct rtcp_pkt *pkt, struct rtcp_bye *out)
{
    struct rbytes r = rbytes_of(pkt->body, pkt->len);

    *out = (struct rtcp_bye){.n_ssrcs = pkt->count};
    out->ssrcs = rbytes_take(&r, (size_t)pkt->count * 4);
    if (!r.bad && rbytes_left(&r) > 0) {
        out->reason_len = rbytes_u8(&r);
        out->reason = rbytes_take(&r, out->reason_len);
    }
    return r.bad ? -EBADMSG : 0;
}

/* Appends a BYE without reason for n <= 31 sources. */
static inline void rtcp_bye_write(struct wbytes *w, const uint32_t *ssrcs, uint8_t n)
{
    rtcp_write_header(w, n, RTCP_BYE, (size_t)n * 4);
    for (uint8_t i = 0; i < n; i++) {
        wbytes_be32(w, ssrcs[i]);
    }
}

#endif
