/* The elements inside of an RTP header extension block: an iterator over both forms, a
 * writer, and the values of the extensions that this project reads or rewrites.
 *
 * Pure, header-only. RFC 8285, section 4. */
#ifndef SFU_WIRE_RTP_EXT_H
#define SFU_WIRE_RTP_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtp.h"

enum {
    RTP_EXT_ONE_BYTE = 0xBEDE,
    RTP_EXT_TWO_BYTE = 0x1000, /* low 4 bits are "appbits", ignored */
    RTP_EXT_HEADER_LEN = 4
};

struct rtp_ext_iter {
    struct rbytes r;
    bool two_byte;
};

/* Starts at the first element of the block of 'h'. Without a block, or with a profile that
 * is not of RFC 8285, there are no elements. */
static inline struct rtp_ext_iter rtp_ext_iter_of(const struct rtp_hdr *h)
{
    bool two_byte = (h->ext_profile & 0xfff0) == RTP_EXT_TWO_BYTE;
    bool known = h->has_ext && (two_byte || h->ext_profile == RTP_EXT_ONE_BYTE);

    return (struct rtp_ext_iter){
        .r = known ? rbytes_of(h->ext, h->ext_len) : (struct rbytes){0},
        .two_byte = two_byte,
    };
}

/* Gives the next element, padding skipped. An element that would run past the block, id 15
 * and an id 0 with a length (both in the one-byte form) end the iteration: what came before
 * stays valid.
 *
 * id    filled: 1..14 (one-byte form) or 1..255
 * data  filled: borrowed from the packet
 * len   filled: 1..16 (one-byte form) or 0..255
 *
 * Returns false at the end; then the outputs are untouched. */
static inline bool rtp_ext_next(struct rtp_ext_iter *it, uint8_t *id, const uint8_t **data,
                                uint8_t *len)
{
    while (!it->r.bad && rbytes_left(&it->r) > 0) {
        uint8_t head = rbytes_u8(&it->r);
        uint8_t n;
        const uint8_t *p;

        if (head == 0) {
            continue; /* padding */
        }
        if (it->two_byte) {
            n = rbytes_u8(&it->r);
        } else {
            n = (uint8_t)((head & 0x0f) + 1);
            head >>= 4;
            if (head == 0 || head == 15) {
                break;
            }
        }
        p = rbytes_take(&it->r, n);
        if (p == NULL) {
            break;
        }
        *id = head;
        *data = p;
        *len = n;
        return true;
    }
    it->r.bad = true;
    return false;
}

/* The first element with 'id', borrowed, its length in 'len'; NULL if there is none. */
static inline const uint8_t *rtp_ext_find(const struct rtp_hdr *h, uint8_t id, uint8_t *len)
{
    struct rtp_ext_iter it = rtp_ext_iter_of(h);
    const uint8_t *data;
    uint8_t each;

    while (rtp_ext_next(&it, &each, &data, len)) {
        if (each == id) {
            return data;
        }
    }
    return NULL;
}

/* Writes one extension block behind a header that has 'has_ext' set: begin, any number of
 * put or reserve, finish. */
struct rtp_ext_writer {
    struct wbytes *w; /* borrowed until finish; 'bad' is latched if anything is refused */
    size_t start;     /* offset of the block in 'w' */
    bool two_byte;
};

static inline struct rtp_ext_writer rtp_ext_begin(struct wbytes *w, bool two_byte)
{
    struct rtp_ext_writer x = {.w = w, .start = wbytes_len(w), .two_byte = two_byte};

    wbytes_be16(w, two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE);
    wbytes_be16(w, 0); /* length in words, known at finish */
    return x;
}

/* Adds an element and returns its 'len' bytes for the caller to fill (also later, until the
 * packet leaves). NULL, and 'bad' latched, if it does not fit or the form cannot say it:
 * one-byte takes id 1..14 and 1..16 bytes, two-byte id 1..255 and 0..255 bytes. */
static inline uint8_t *rtp_ext_reserve(struct rtp_ext_writer *x, uint8_t id, uint8_t len)
{
    size_t head_len = x->two_byte ? 2 : 1;
    bool valid = x->two_byte ? id != 0 : id >= 1 && id <= 14 && len >= 1 && len <= 16;
    uint8_t *p;

    if (!valid) {
        x->w->bad = true;
        return NULL;
    }
    p = wbytes_reserve(x->w, head_len + len);
    if (p == NULL) {
        return NULL;
    }
    if (x->two_byte) {
        p[0] = id;
        p[1] = len;
    } else {
        p[0] = (uint8_t)(id << 4 | (len - 1));
    }
    return p + head_len;
}

static inline void rtp_ext_put(struct rtp_ext_writer *x, uint8_t id, const void *data,
                               uint8_t len)
{
    uint8_t *p = rtp_ext_reserve(x, id, len);

    if (p != NULL && len > 0) {
        memcpy(p, data, len);
    }
}

/* Pads to 4 bytes and sets the length. The block is valid unless 'w->bad'. */
static inline void rtp_ext_finish(struct rtp_ext_writer *x)
{
    size_t len = wbytes_len(x->w) - x->start;

    wbytes_zero(x->w, (4 - len % 4) % 4);
    if (!x->w->bad) {
        len = wbytes_len(x->w) - x->start - RTP_EXT_HEADER_LEN;
        store_be16(x->w->start + x->start + 2, (uint16_t)(len / 4));
    }
}

/* ---- values ---- */

enum { RTP_EXT_AUDIO_LEVEL_LEN = 1, RTP_EXT_ABS_SEND_TIME_LEN = 3, RTP_EXT_TWCC_LEN = 2 };

/* RFC 6464: loudness in -dBov (0 loudest, 127 silence) and the voice activity flag. An
 * element of the wrong length yields false. */
static inline bool rtp_ext_audio_level(const uint8_t *data, uint8_t len, uint8_t *level,
                                       bool *voice)
{
    if (len != RTP_EXT_AUDIO_LEVEL_LEN) {
        return false;
    }
    *level = data[0] & 0x7f;
    *voice = (data[0] & 0x80) != 0;
    return true;
}

static inline uint8_t rtp_ext_audio_level_byte(uint8_t level, bool voice)
{
    return (uint8_t)((voice ? 0x80u : 0u) | (level & 0x7fu));
}

/* abs-send-time: seconds modulo 64 as 6.18 fixed point, from any clock in microseconds. */
static inline uint32_t rtp_ext_abs_send_time(uint64_t now_us)
{
    return (uint32_t)(((now_us % 64000000u) << 18) / 1000000u);
}

static inline void rtp_ext_store_abs_send_time(uint8_t p[3], uint64_t now_us)
{
    store_be24(p, rtp_ext_abs_send_time(now_us));
}

/* Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01). The
 * longer version 2 element starts with the same two bytes. */
static inline bool rtp_ext_twcc_seq(const uint8_t *data, uint8_t len, uint16_t *seq)
{
    if (len < RTP_EXT_TWCC_LEN) {
        return false;
    }
    *seq = load_be16(data);
    return true;
}

#endif
