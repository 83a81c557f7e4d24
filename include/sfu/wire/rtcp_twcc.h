/* Transport-wide congestion control feedback: which packets of a transport arrived, and
 * when. An iterator over the received packets of one message, and an incremental writer.
 *
 * Pure, header-only. draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. */
#ifndef SFU_WIRE_RTCP_TWCC_H
#define SFU_WIRE_RTCP_TWCC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtcp_fb.h"

enum {
    TWCC_TICK_US = 250,      /* unit of deltas */
    TWCC_REF_TICKS = 256,    /* ticks in a unit of the reference time (64 ms) */
    TWCC_MAX_STATUS = 32768, /* more could not be told apart on the 16-bit circle */
    TWCC_HEADER_LEN = 20, /* RTCP header, SSRCs, base, count, reference, feedback count */
    TWCC_MAX_RUN = 8191,  /* 13 bits */
    TWCC_MAX_DELTA_LEN = 1200 /* the writer's bound on a message */
};

/* Status symbols; 3 is reserved and refused. */
enum { TWCC_LOST = 0, TWCC_SMALL = 1, TWCC_LARGE = 2 };

/* ---- reading ---- */

struct twcc_fb {
    struct rbytes chunks;
    struct rbytes deltas;
    uint32_t ref_time;  /* 24 bit, in 64 ms, wraps */
    uint16_t base_seq;  /* the first packet this message is about */
    uint16_t n_status;  /* how many packets it is about, from 'base_seq' on: 1..32768 */
    uint8_t fb_count;   /* numbers the messages of one transport, wraps */
    uint32_t n_decoded; /* the iterator's place: statuses taken from chunks */
    uint32_t vector;    /* symbols of the current vector, the next one in the top bits */
    uint16_t n_left;    /* statuses left in the current chunk */
    uint8_t bits;       /* per symbol of the vector; 0 in a run */
    uint8_t run_symbol;
};

struct twcc_arrival {
    uint16_t seq;
    int32_t delta_ticks; /* of 250 us, since the arrival before; the first: 'ref_time' */
};

/* Takes the next chunk. Returns false at the end of the chunks. */
static inline bool twcc_fb_chunk(struct twcc_fb *fb)
{
    uint16_t chunk;
    uint16_t n;

    if (rbytes_left(&fb->chunks) < 2) {
        return false;
    }
    chunk = rbytes_be16(&fb->chunks);
    if ((chunk & 0x8000) == 0) {
        fb->bits = 0;
        fb->run_symbol = (chunk >> 13) & 3;
        n = chunk & TWCC_MAX_RUN;
    } else {
        fb->bits = (chunk & 0x4000) != 0 ? 2 : 1;
        fb->vector = (uint32_t)chunk << 18; /* the 14 symbol bits on top */
        n = fb->bits == 2 ? 7 : 14;
    }
    fb->n_left = n;
    return true;
}

/* Takes the next symbol of the chunk; n_left > 0. */
static inline uint8_t twcc_fb_symbol(struct twcc_fb *fb)
{
    uint8_t symbol = fb->run_symbol;

    if (fb->bits != 0) {
        symbol = (uint8_t)(fb->vector >> (32 - fb->bits));
        fb->vector <<= fb->bits;
    }
    fb->n_left--;
    fb->n_decoded++;
    return symbol;
}

/* Gives the next packet that arrived; those of [base_seq, base_seq + n_status) that are not
 * given are lost (or not there yet). Returns false at the end. Costs O(1) a packet given
 * and a chunk, however many were lost. */
static inline bool twcc_fb_next(struct twcc_fb *fb, struct twcc_arrival *out)
{
    while (fb->n_decoded < fb->n_status) {
        uint8_t symbol;

        if (fb->n_left == 0) {
            if (!twcc_fb_chunk(fb)) {
                return false;
            }
            if (fb->bits == 0 && fb->run_symbol == TWCC_LOST) {
                fb->n_decoded += fb->n_left;
                fb->n_left = 0;
            }
            continue;
        }
        symbol = twcc_fb_symbol(fb);
        if (symbol == TWCC_LOST) {
            continue;
        }
        out->seq = (uint16_t)(fb->base_seq + fb->n_decoded - 1);
        out->delta_ticks = symbol == TWCC_SMALL ? rbytes_u8(&fb->deltas)
                                                : (int16_t)rbytes_be16(&fb->deltas);
        return !fb->deltas.bad;
    }
    return false;
}

/* Finds where the chunks end and whether the deltas that they announce are all there. */
static inline int twcc_fb_check(struct twcc_fb *fb, struct rbytes body)
{
    size_t deltas_len = 0;

    fb->chunks = body;
    while (fb->n_decoded < fb->n_status) {
        uint8_t symbol;

        if (fb->n_left == 0) {
            if (!twcc_fb_chunk(fb) || fb->n_left == 0) {
                return -EBADMSG;
            }
            continue;
        }
        if (fb->bits == 0) {
            uint32_t n = fb->n_left;

            if (n > fb->n_status - fb->n_decoded) {
                n = fb->n_status - fb->n_decoded;
            }
            fb->n_decoded += n;
            fb->n_left = 0;
            symbol = fb->run_symbol;
            deltas_len += (size_t)n * symbol;
        } else {
            symbol = twcc_fb_symbol(fb);
            deltas_len += symbol;
        }
        if (symbol > TWCC_LARGE) {
            return -EBADMSG;
        }
    }
    fb->deltas = fb->chunks;
    if (deltas_len > rbytes_left(&fb->deltas)) {
        return -EBADMSG;
    }
    fb->chunks = rbytes_of(body.p, (size_t)(fb->deltas.p - body.p));
    fb->deltas = rbytes_of(fb->deltas.p, deltas_len);
    fb->n_decoded = 0;
    fb->n_left = 0;
    return 0;
}

/* Parses the FCI of 'msg' (rtcp_is_twcc) and checks all of it, so that the iteration cannot
 * fail. 'out' borrows from the packet. Returns 0 or -EBADMSG. */
static inline int twcc_fb_parse(const struct rtcp_fb *msg, struct twcc_fb *out)
{
    struct rbytes r = rbytes_of(msg->fci, msg->fci_len);

    *out = (struct twcc_fb){.base_seq = rbytes_be16(&r)};
    out->n_status = rbytes_be16(&r);
    out->ref_time = rbytes_be24(&r);
    out->fb_count = rbytes_u8(&r);
    if (r.bad || out->n_status == 0 || out->n_status > TWCC_MAX_STATUS) {
        return -EBADMSG;
    }
    return twcc_fb_check(out, r);
}

/* ---- writing ---- */

/* Builds one message status by status; what was accepted always fits. The pending chunk
 * holds the last statuses until it is clear which form is the smallest. */
struct twcc_fb_writer {
    struct wbytes w; /* header and finished chunks */
    uint16_t n_status;
    uint16_t n_deltas; /* bytes used in 'deltas' */
    uint16_t n_last;   /* statuses in the pending chunk */
    uint8_t last[14];  /* their symbols (the first 14) */
    bool all_same;     /* of the pending chunk */
    bool has_large;    /* of the pending chunk */
    uint8_t deltas[TWCC_MAX_DELTA_LEN];
};

/* Starts a message in 'buf' (borrowed until finish). 'ref_time' in units of 64 ms. */
static inline void twcc_fb_begin(struct twcc_fb_writer *x, uint8_t *buf, size_t cap,
                                 uint32_t sender_ssrc, uint32_t media_ssrc,
                                 uint16_t base_seq, uint32_t ref_time, uint8_t fb_count)
{
    x->w = wbytes_of(buf, cap < TWCC_MAX_DELTA_LEN ? cap : TWCC_MAX_DELTA_LEN);
    x->n_status = 0;
    x->n_deltas = 0;
    x->n_last = 0;
    x->all_same = true;
    x->has_large = false;
    rtcp_fb_write_header(&x->w, RTCP_RTPFB_TWCC, RTCP_RTPFB, sender_ssrc, media_ssrc, 8);
    wbytes_be16(&x->w, base_seq);
    wbytes_be16(&x->w, 0); /* status count, known at finish */
    wbytes_be24(&x->w, ref_time & 0xffffffu);
    wbytes_u8(&x->w, fb_count);
}

/* Whether 'symbol' can join the pending chunk. */
static inline bool twcc_fb_joins(const struct twcc_fb_writer *x, uint8_t symbol)
{
    if (x->n_last < 7) {
        return true;
    }
    if (x->n_last < 14 && !x->has_large && symbol != TWCC_LARGE) {
        return true;
    }
    return x->n_last < TWCC_MAX_RUN && x->all_same && x->last[0] == symbol;
}

static inline void twcc_fb_join(struct twcc_fb_writer *x, uint8_t symbol)
{
    if (x->n_last < sizeof(x->last)) {
        x->last[x->n_last] = symbol;
    }
    x->all_same = x->n_last == 0 || (x->all_same && symbol == x->last[0]);
    x->has_large = (x->n_last > 0 && x->has_large) || symbol == TWCC_LARGE;
    x->n_last++;
}

/* Writes the pending chunk, or the first 7 of its statuses if the rest needs another. */
static inline void twcc_fb_emit(struct twcc_fb_writer *x, bool is_final)
{
    unsigned chunk = 0;
    uint16_t n = x->n_last;

    if (x->all_same) {
        wbytes_be16(&x->w, (uint16_t)((unsigned)x->last[0] << 13 | n));
    } else if (n == 14 || (is_final && n > 7)) {
        for (uint16_t i = 0; i < n; i++) {
            chunk |= (unsigned)x->last[i] << (13 - i);
        }
        wbytes_be16(&x->w, (uint16_t)(0x8000u | chunk));
    } else {
        n = n < 7 ? n : 7;
        for (uint16_t i = 0; i < n; i++) {
            chunk |= (unsigned)x->last[i] << (12 - 2 * i);
        }
        wbytes_be16(&x->w, (uint16_t)(0xc000u | chunk));
    }
    if (n == x->n_last) {
        x->n_last = 0;
    } else {
        uint8_t rest[sizeof(x->last)];
        uint16_t n_rest = (uint16_t)(x->n_last - n);

        memcpy(rest, x->last + n, n_rest);
        x->n_last = 0;
        for (uint16_t i = 0; i < n_rest; i++) {
            twcc_fb_join(x, rest[i]);
        }
    }
}

/* Adds the status of the next packet in order. 'delta_ticks' as in struct twcc_arrival, not
 * read if the packet is lost.
 *
 * Returns 0, -ENOSPC if the message is full, or -ERANGE if the delta needs a new message
 * with a later reference time; then nothing was added. */
static inline int twcc_fb_put(struct twcc_fb_writer *x, bool received, int32_t delta_ticks)
{
    uint8_t symbol = TWCC_LOST;
    size_t need;

    if (received) {
        if (delta_ticks < INT16_MIN || delta_ticks > INT16_MAX) {
            return -ERANGE;
        }
        symbol = delta_ticks >= 0 && delta_ticks <= UINT8_MAX ? TWCC_SMALL : TWCC_LARGE;
    }
    /* two chunks: the one this status may finish and the one that is then pending */
    need = x->n_deltas + (size_t)symbol + 4;
    need += (4 - (wbytes_len(&x->w) + need) % 4) % 4;
    if (x->w.bad || need > wbytes_left(&x->w) || x->n_status == TWCC_MAX_STATUS) {
        return -ENOSPC;
    }
    if (!twcc_fb_joins(x, symbol)) {
        twcc_fb_emit(x, false);
    }
    twcc_fb_join(x, symbol);
    x->n_status++;
    if (symbol == TWCC_SMALL) {
        x->deltas[x->n_deltas] = (uint8_t)delta_ticks;
    } else if (symbol == TWCC_LARGE) {
        store_be16(x->deltas + x->n_deltas, (uint16_t)delta_ticks);
    }
    x->n_deltas = (uint16_t)(x->n_deltas + symbol);
    return 0;
}

/* Ends the message. Returns its length, or 0 if it holds no status. Padding is zeros inside
 * of the length, as browsers write it, without the RTCP padding bit. */
static inline size_t twcc_fb_finish(struct twcc_fb_writer *x)
{
    size_t len;

    if (x->w.bad || x->n_status == 0) {
        return 0;
    }
    twcc_fb_emit(x, true);
    wbytes_put(&x->w, x->deltas, x->n_deltas);
    wbytes_zero(&x->w, (4 - wbytes_len(&x->w) % 4) % 4);
    len = wbytes_len(&x->w);
    store_be16(x->w.start + 2, (uint16_t)(len / 4 - 1));
    store_be16(x->w.start + 14, x->n_status);
    return len;
}

#endif
