#include "loadgen/payload.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum {
    MAGIC = 0x4b435321,
    HASH_LEN = 8,
    NUMBERS_LEN = 24, /* magic, tag, number, time */
    OPUS_TOC = 0xfc,
    VP8_X = 0x80,
    VP8_S = 0x10,
    VP8_I = 0x80,
    VP8_L = 0x40,
    VP8_T = 0x20,
    VP8_DESCRIPTOR = 4,          /* without layers of time, */
    VP8_DESCRIPTOR_TEMPORAL = 6, /* and with them */
    VP8_HEAD = 10,
    H264_SLICE = 1,
    H264_IDR = 5,
    H264_SEI = 6,
    H264_STAP_A = 24,
    H264_FU_A = 28,
    H264_NRI = 0x60,
    FU_START = 0x80,
    FU_END = 0x40
};

/* Of 1280x720, Constrained Baseline. */
static const uint8_t sps[] = {0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28,
                              0x02, 0xdd, 0x01, 0xe1, 0x10, 0x8d, 0x40};
static const uint8_t pps[] = {0x68, 0xce, 0x3c, 0x80};

enum { STAP_A_LEN = 1 + 2 + sizeof(sps) + 2 + sizeof(pps) + 2 + 1 };

/* Of 8 bytes a step, each result depending on all before: good enough to find what a
 * network or a media node could do wrong, and cheap. 'h' is the result of what stands before. */
static uint64_t hash_on(uint64_t h, const uint8_t *data, size_t len)
{
    while (len > 0) {
        uint8_t word[8] = {0};
        size_t n = len < sizeof(word) ? len : sizeof(word);

        memcpy(word, data, n);
        h = (h ^ load_be64(word)) * UINT64_C(0xd6e8feb86659fd93);
        h ^= h >> 32;
        data += n;
        len -= n;
    }
    return h;
}

/* The bytes of a VP8 descriptor as we write them. */
static size_t descriptor_len(const uint8_t *data, size_t len)
{
    return len > 1 && (data[1] & VP8_T) != 0 ? VP8_DESCRIPTOR_TEMPORAL : VP8_DESCRIPTOR;
}

/* Of all but the numbers that a node may change, and the hash itself. */
static uint64_t hash_of(const uint8_t *data, size_t len, enum payload_kind kind)
{
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15) ^ len;
    size_t n = kind == PAYLOAD_VP8 ? descriptor_len(data, len) : 0;

    if (n > 0) {
        uint8_t fixed[VP8_DESCRIPTOR_TEMPORAL] = {data[0], data[1]};

        fixed[5] = n == VP8_DESCRIPTOR_TEMPORAL ? data[5] : 0;
        h = hash_on(h, fixed, sizeof(fixed));
    }
    return hash_on(h, data + n, len - HASH_LEN - n);
}

/* Bytes that no two payloads have in common. */
static void fill(uint8_t *out, size_t len, uint64_t seed)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    while (len > 0) {
        uint8_t word[8];
        size_t n = len < sizeof(word) ? len : sizeof(word);

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        store_be64(word, x);
        memcpy(out, word, n);
        out += n;
        len -= n;
    }
}

static void write_vp8(const struct payload *payload, struct wbytes *w)
{
    static const uint8_t start_code[] = {0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01};

    wbytes_u8(w, VP8_X | (payload->frame_start ? VP8_S : 0));
    wbytes_u8(w, VP8_I | (payload->temporal ? VP8_L | VP8_T : 0));
    wbytes_be16(w, 0x8000 | payload->picture);
    if (payload->temporal) {
        wbytes_u8(w, payload->tl0);
        wbytes_u8(w, payload->layers);
    }
    wbytes_u8(w, payload->key ? 0x50 : 0x51); /* P, the lowest bit, is 0 in a key frame */
    wbytes_be16(w, 0x2a00);
    wbytes_put(w, start_code, sizeof(start_code));
}

/* A key frame begins with its parameter sets, in one packet with what has our numbers. */
static void write_stap_a(const struct payload *payload, struct wbytes *w, size_t len)
{
    wbytes_u8(w, H264_NRI | H264_STAP_A);
    wbytes_be16(w, sizeof(sps));
    wbytes_put(w, sps, sizeof(sps));
    wbytes_be16(w, sizeof(pps));
    wbytes_put(w, pps, sizeof(pps));
    wbytes_be16(w, (uint16_t)(len - STAP_A_LEN + 1));
    wbytes_u8(w, payload->frame_end ? H264_NRI | H264_IDR : H264_SEI);
}

static void write_h264(const struct payload *payload, struct wbytes *w, size_t len)
{
    uint8_t type = payload->key ? H264_IDR : H264_SLICE;
    bool starts = payload->key ? payload->second : payload->frame_start;

    if (payload->key && payload->frame_start) {
        write_stap_a(payload, w, len);
    } else if (starts && payload->frame_end) {
        wbytes_u8(w, H264_NRI | type);
    } else {
        wbytes_u8(w, H264_NRI | H264_FU_A);
        wbytes_u8(w, (uint8_t)((starts ? FU_START : 0) |
                               (payload->frame_end ? FU_END : 0) | type));
    }
}

/* The length of what stands before the numbers, or 0 if it is not ours. Says what it tells. */
static size_t read_front(const uint8_t *data, size_t len, enum payload_kind kind,
                         struct payload *out)
{
    uint8_t type = data[0] & 0x1f;
    size_t n;

    switch (kind) {
    case PAYLOAD_VP8:
        n = descriptor_len(data, len);
        out->frame_start = (data[0] & VP8_S) != 0;
        out->temporal = n == VP8_DESCRIPTOR_TEMPORAL;
        out->picture = load_be16(data + 2) & 0x7fff;
        out->tl0 = out->temporal ? data[4] : 0;
        out->layers = out->temporal ? data[5] : 0;
        out->key = (data[n] & 1) == 0;
        return n + VP8_HEAD;
    case PAYLOAD_H264:
        if (type == H264_STAP_A) {
            out->frame_start = out->key = true;
            return STAP_A_LEN;
        }
        if (type == H264_FU_A) {
            out->key = (data[1] & 0x1f) == H264_IDR;
            out->frame_start = !out->key && (data[1] & FU_START) != 0;
            return 2;
        }
        out->key = type == H264_IDR;
        out->frame_start = !out->key;
        return 1;
    case PAYLOAD_OPUS:
    default:
        return 1;
    }
}

size_t payload_min(enum payload_kind kind)
{
    size_t front = kind == PAYLOAD_OPUS  ? 1
                   : kind == PAYLOAD_VP8 ? VP8_DESCRIPTOR_TEMPORAL + VP8_HEAD
                                         : STAP_A_LEN;

    return front + NUMBERS_LEN + HASH_LEN;
}

void payload_write(const struct payload *payload, uint8_t *out, size_t len)
{
    struct wbytes w = wbytes_of(out, len - HASH_LEN);

    if (payload->kind == PAYLOAD_VP8) {
        write_vp8(payload, &w);
    } else if (payload->kind == PAYLOAD_H264) {
        write_h264(payload, &w, len);
    } else {
        wbytes_u8(&w, OPUS_TOC);
    }
    wbytes_be32(&w, MAGIC);
    wbytes_be32(&w, payload->tag);
    wbytes_be64(&w, payload->number);
    wbytes_be64(&w, payload->sent_us);
    fill(w.p, wbytes_left(&w), payload->number ^ (uint64_t)payload->tag << 32);
    store_be64(out + len - HASH_LEN, hash_of(out, len, payload->kind));
}

int payload_parse(const uint8_t *data, size_t len, enum payload_kind kind,
                  struct payload *out)
{
    struct rbytes r;

    if (len < payload_min(PAYLOAD_OPUS) || len > PAYLOAD_MAX ||
        load_be64(data + len - HASH_LEN) != hash_of(data, len, kind)) {
        return -EBADMSG;
    }
    *out = (struct payload){.kind = kind};
    r = rbytes_of(data, len - HASH_LEN);
    (void)rbytes_take(&r, read_front(data, len, kind, out));
    if (rbytes_be32(&r) != MAGIC) {
        return -EBADMSG;
    }
    out->tag = rbytes_be32(&r);
    out->number = rbytes_be64(&r);
    out->sent_us = rbytes_be64(&r);
    return r.bad ? -EBADMSG : 0;
}
