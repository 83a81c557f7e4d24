/* RTCP feedback messages: PLI, FIR, Generic NACK, REMB and transport-wide feedback. Parsers
 * take a packet of the iterator in rtcp.h and borrow from it; writers append one packet.
 *
 * Pure, header-only. RFC 4585, section 6 (common form, NACK, PLI); RFC 5104, 4.3.1 (FIR);
 * draft-alvestrand-rmcat-remb-03; draft-holmer-rmcat-transport-wide-cc-extensions-01. */
#ifndef SFU_WIRE_RTCP_FB_H
#define SFU_WIRE_RTCP_FB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtcp.h"

enum rtcp_fmt {
    RTCP_RTPFB_NACK = 1,
    RTCP_RTPFB_TWCC = 15,
    RTCP_PSFB_PLI = 1,
    RTCP_PSFB_FIR = 4,
    RTCP_PSFB_AFB = 15 /* application layer feedback: REMB and others */
};

enum { RTCP_FB_LEN = 8 }; /* the two SSRCs between header and FCI */

/* The common form; the message is told by the packet's 'pt' and 'count' (FMT). */
struct rtcp_fb {
    const uint8_t *fci; /* borrowed */
    size_t fci_len;
    uint32_t sender_ssrc;
    uint32_t media_ssrc;
};

/* Returns 0, or -EBADMSG if the packet is too short. */
static inline int rtcp_fb_parse(const struct rtcp_pkt *pkt, struct rtcp_fb *out)
{
    struct rbytes r = rbytes_of(pkt->body, pkt->len);

    out->sender_ssrc = rbytes_be32(&r);
    out->media_ssrc = rbytes_be32(&r);
    out->fci_len = rbytes_left(&r);
    out->fci = r.p;
    return r.bad ? -EBADMSG : 0;
}

static inline bool rtcp_is_pli(const struct rtcp_pkt *pkt)
{
    return pkt->pt == RTCP_PSFB && pkt->count == RTCP_PSFB_PLI;
}

static inline bool rtcp_is_fir(const struct rtcp_pkt *pkt)
{
    return pkt->pt == RTCP_PSFB && pkt->count == RTCP_PSFB_FIR;
}

static inline bool rtcp_is_nack(const struct rtcp_pkt *pkt)
{
    return pkt->pt == RTCP_RTPFB && pkt->count == RTCP_RTPFB_NACK;
}

static inline bool rtcp_is_twcc(const struct rtcp_pkt *pkt)
{
    return pkt->pt == RTCP_RTPFB && pkt->count == RTCP_RTPFB_TWCC;
}

static inline void rtcp_fb_write_header(struct wbytes *w, uint8_t fmt, uint8_t pt,
                                        uint32_t sender_ssrc, uint32_t media_ssrc,
                                        size_t fci_len)
{
    rtcp_write_header(w, fmt, pt, RTCP_FB_LEN + fci_len);
    wbytes_be32(w, sender_ssrc);
    wbytes_be32(w, media_ssrc);
}

/* ---- PLI ---- */

static inline void rtcp_pli_write(struct wbytes *w, uint32_t sender_ssrc,
                                  uint32_t media_ssrc)
{
    rtcp_fb_write_header(w, RTCP_PSFB_PLI, RTCP_PSFB, sender_ssrc, media_ssrc, 0);
}

/* ---- FIR: the streams are in the entries, 'media_ssrc' is unused ---- */

struct rtcp_fir {
    uint32_t ssrc;
    uint8_t seq; /* repeated by a sender that repeats the same request */
};

enum { RTCP_FIR_LEN = 8, RTCP_FIR_MAX = 32 };

/* How many entries to read; those past the cap are ignored. */
static inline size_t rtcp_fir_count(const struct rtcp_fb *fb)
{
    size_t n = fb->fci_len / RTCP_FIR_LEN;

    return n < RTCP_FIR_MAX ? n : RTCP_FIR_MAX;
}

/* Entry 'i' < rtcp_fir_count(). */
static inline struct rtcp_fir rtcp_fir_at(const struct rtcp_fb *fb, size_t i)
{
    const uint8_t *p = fb->fci + i * RTCP_FIR_LEN;

    return (struct rtcp_fir){.ssrc = load_be32(p), .seq = p[4]};
}

static inline void rtcp_fir_write(struct wbytes *w, uint32_t sender_ssrc,
                                  const struct rtcp_fir *entries, size_t n)
{
    rtcp_fb_write_header(w, RTCP_PSFB_FIR, RTCP_PSFB, sender_ssrc, 0, n * RTCP_FIR_LEN);
    for (size_t i = 0; i < n; i++) {
        wbytes_be32(w, entries[i].ssrc);
        wbytes_u8(w, entries[i].seq);
        wbytes_zero(w, 3);
    }
}

/* ---- Generic NACK ---- */

enum {
    RTCP_NACK_LEN = 4,
    RTCP_NACK_MAX = 64 /* entries; each asks for up to 17 packets */
};

struct rtcp_nack_iter {
    struct rbytes r;
    uint32_t n_entries;
    uint32_t mask; /* of the current entry, its packets still to give; bit 0 is 'pid' */
    uint16_t pid;
};

static inline struct rtcp_nack_iter rtcp_nack_iter_of(const struct rtcp_fb *fb)
{
    return (struct rtcp_nack_iter){.r = rbytes_of(fb->fci, fb->fci_len)};
}

/* Gives the next sequence number asked for, in the order of the message. */
static inline bool rtcp_nack_next(struct rtcp_nack_iter *it, uint16_t *seq)
{
    unsigned bit;

    if (it->mask == 0) {
        if (rbytes_left(&it->r) < RTCP_NACK_LEN || it->n_entries++ >= RTCP_NACK_MAX) {
            return false;
        }
        it->pid = rbytes_be16(&it->r);
        it->mask = (uint32_t)rbytes_be16(&it->r) << 1 | 1u;
    }
    bit = (unsigned)__builtin_ctz(it->mask);
    it->mask &= it->mask - 1;
    *seq = (uint16_t)(it->pid + bit);
    return true;
}

/* Appends a NACK for 'n' numbers, ascending on the 16-bit circle, in as few entries as that
 * order allows. Writes nothing if n is 0. */
static inline void rtcp_nack_write(struct wbytes *w, uint32_t sender_ssrc,
                                   uint32_t media_ssrc, const uint16_t *seqs, size_t n)
{
    size_t start = wbytes_len(w);
    size_t i = 0;

    if (n == 0) {
        return;
    }
    rtcp_fb_write_header(w, RTCP_RTPFB_NACK, RTCP_RTPFB, sender_ssrc, media_ssrc, 0);
    while (i < n) {
        uint16_t pid = seqs[i++];
        uint16_t blp = 0;

        for (; i < n; i++) {
            uint16_t ahead = (uint16_t)(seqs[i] - pid);

            if (ahead == 0 || ahead > 16) {
                break;
            }
            blp = (uint16_t)(blp | 1u << (ahead - 1));
        }
        wbytes_be16(w, pid);
        wbytes_be16(w, blp);
    }
    if ((wbytes_len(w) - start) / 4 - 1 > UINT16_MAX) {
        w->bad = true;
    }
    if (!w->bad) {
        store_be16(w->start + start + 2, (uint16_t)((wbytes_len(w) - start) / 4 - 1));
    }
}

/* ---- REMB ---- */

enum { RTCP_REMB_ID = 0x52454d42 }; /* "REMB" */

struct rtcp_remb {
    const uint8_t *ssrcs; /* n_ssrcs times 4 bytes */
    uint64_t rate_bps;    /* UINT64_MAX if larger than fits */
    uint8_t n_ssrcs;
};

/* Returns 0, -ENOENT if the packet is other application feedback, or -EBADMSG. */
static inline int rtcp_remb_parse(const struct rtcp_fb *fb, struct rtcp_remb *out)
{
    struct rbytes r = rbytes_of(fb->fci, fb->fci_len);
    uint32_t rate;
    uint32_t mantissa;
    uint32_t exponent;

    if (rbytes_be32(&r) != RTCP_REMB_ID) {
        return -ENOENT;
    }
    out->n_ssrcs = rbytes_u8(&r);
    rate = rbytes_be24(&r);
    mantissa = rate & 0x3ffffu;
    exponent = rate >> 18;
    out->rate_bps = (uint64_t)mantissa << exponent;
    if (out->rate_bps >> exponent != mantissa) {
        out->rate_bps = UINT64_MAX;
    }
    out->ssrcs = rbytes_take(&r, (size_t)out->n_ssrcs * 4);
    return r.bad ? -EBADMSG : 0;
}

/* Appends a REMB. 'rate_bps' is rounded down to 18 significant bits. */
static inline void rtcp_remb_write(struct wbytes *w, uint32_t sender_ssrc,
                                   uint64_t rate_bps, const uint32_t *ssrcs,
                                   uint8_t n_ssrcs)
{
    uint32_t exponent = 0;

    while (rate_bps > 0x3ffffu) {
        rate_bps >>= 1;
        exponent++;
    }
    rtcp_fb_write_header(w, RTCP_PSFB_AFB, RTCP_PSFB, sender_ssrc, 0,
                         8 + (size_t)n_ssrcs * 4);
    wbytes_be32(w, RTCP_REMB_ID);
    wbytes_u8(w, n_ssrcs);
    wbytes_be24(w, exponent << 18 | (uint32_t)rate_bps);
    for (uint8_t i = 0; i < n_ssrcs; i++) {
        wbytes_be32(w, ssrcs[i]);
    }
}

#endif
