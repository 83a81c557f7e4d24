/* RTCP extended reports, as far as they tell a receiver that sends no media its round trip:
 * the receiver reference time (RRTR) and the answer to it (DLRR). Other blocks are passed
 * over.
 *
 * Pure, header-only. RFC 3611, sections 2, 3, 4.4 and 4.5. */
#ifndef SFU_WIRE_RTCP_XR_H
#define SFU_WIRE_RTCP_XR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtcp.h"

enum rtcp_xr_bt { RTCP_XR_RRTR = 4, RTCP_XR_DLRR = 5 };

enum {
    RTCP_XR_RRTR_LEN = 12,
    RTCP_XR_SUB_LEN = 12,
    RTCP_XR_MAX_BLOCKS = 32, /* of one packet; what comes behind them is not read */
    RTCP_XR_MAX_SUBS = 32
};

/* One block; 'data' is behind its 4-byte header, borrowed. */
struct rtcp_xr_block {
    const uint8_t *data;
    size_t len;
    uint8_t type;
};

struct rtcp_xr_iter {
    struct rbytes r;
    uint32_t ssrc; /* of who sends the report */
    uint32_t n_blocks;
};

/* Begins with an XR packet. Returns 0, or -EBADMSG if it is too short. */
static inline int rtcp_xr_parse(const struct rtcp_pkt *pkt, struct rtcp_xr_iter *out)
{
    *out = (struct rtcp_xr_iter){.r = rbytes_of(pkt->body, pkt->len)};
    out->ssrc = rbytes_be32(&out->r);
    return out->r.bad ? -EBADMSG : 0;
}

/* Gives the next block. Returns 1, 0 at the end, or -EBADMSG if it is longer than what is
 * left. */
static inline int rtcp_xr_next(struct rtcp_xr_iter *it, struct rtcp_xr_block *out)
{
    const uint8_t *head;

    if (it->r.bad) {
        return -EBADMSG;
    }
    if (rbytes_left(&it->r) == 0 || it->n_blocks++ >= RTCP_XR_MAX_BLOCKS) {
        return 0;
    }
    head = rbytes_take(&it->r, 4);
    if (head == NULL) {
        return -EBADMSG;
    }
    out->type = head[0];
    out->len = (size_t)load_be16(head + 2) * 4;
    out->data = rbytes_take(&it->r, out->len);
    return out->data != NULL ? 1 : -EBADMSG;
}

/* The NTP time of an RRTR block. Returns false if it is none. */
static inline bool rtcp_xr_rrtr(const struct rtcp_xr_block *block, uint64_t *ntp)
{
    if (block->type != RTCP_XR_RRTR || block->len != 8) {
        return false;
    }
    *ntp = load_be64(block->data);
    return true;
}

/* A sub-block of DLRR: how long ago the RRTR of 'ssrc' came. */
struct rtcp_xr_dlrr {
    uint32_t ssrc;
    uint32_t lrr;  /* middle 32 bits of its NTP time */
    uint32_t dlrr; /* 1/65536 s */
};

/* How many sub-blocks to read; 0 if it is no DLRR block. */
static inline size_t rtcp_xr_dlrr_count(const struct rtcp_xr_block *block)
{
    size_t n = block->type == RTCP_XR_DLRR ? block->len / RTCP_XR_SUB_LEN : 0;

    return n < RTCP_XR_MAX_SUBS ? n : RTCP_XR_MAX_SUBS;
}

/* Sub-block 'i' < rtcp_xr_dlrr_count(). */
static inline struct rtcp_xr_dlrr rtcp_xr_dlrr_at(const struct rtcp_xr_block *block,
                                                  size_t i)
{
    const uint8_t *p = block->data + i * RTCP_XR_SUB_LEN;

    return (struct rtcp_xr_dlrr){
        .ssrc = load_be32(p), .lrr = load_be32(p + 4), .dlrr = load_be32(p + 8)};
}

/* Append an XR packet of 'ssrc' with one block; of DLRR, 'n' sub-blocks. */
static inline void rtcp_xr_write_rrtr(struct wbytes *w, uint32_t ssrc, uint64_t ntp)
{
    rtcp_write_header(w, 0, RTCP_XR, 4 + RTCP_XR_RRTR_LEN);
    wbytes_be32(w, ssrc);
    wbytes_u8(w, RTCP_XR_RRTR);
    wbytes_u8(w, 0);
    wbytes_be16(w, 2);
    wbytes_be64(w, ntp);
}

static inline void rtcp_xr_write_dlrr(struct wbytes *w, uint32_t ssrc,
                                      const struct rtcp_xr_dlrr *subs, uint8_t n)
{
    rtcp_write_header(w, 0, RTCP_XR, 4 + 4 + n * (size_t)RTCP_XR_SUB_LEN);
    wbytes_be32(w, ssrc);
    wbytes_u8(w, RTCP_XR_DLRR);
    wbytes_u8(w, 0);
    wbytes_be16(w, (uint16_t)(3 * n));
    for (uint8_t i = 0; i < n; i++) {
        wbytes_be32(w, subs[i].ssrc);
        wbytes_be32(w, subs[i].lrr);
        wbytes_be32(w, subs[i].dlrr);
    }
}

#endif
