#include "loadgen/payload.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum { MAGIC = 0x4b435321, HASH_LEN = 8, OPUS_TOC = 0xfc, VP8_START = 0x10 };

/* Of 8 bytes a step, each result depending on all before: good enough to find what a
 * network or a media node could do wrong, and cheap. */
static uint64_t hash_of(const uint8_t *data, size_t len)
{
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15) ^ len;

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

static void write_front(const struct payload *payload, struct wbytes *w)
{
    static const uint8_t start_code[] = {0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01};

    if (!payload->video) {
        wbytes_u8(w, OPUS_TOC);
        return;
    }
    wbytes_u8(w, payload->frame_start ? VP8_START : 0);
    wbytes_u8(w, payload->key ? 0x50 : 0x51); /* P, the lowest bit, is 0 in a key frame */
    wbytes_be16(w, 0x2a00);
    wbytes_put(w, start_code, sizeof(start_code));
}

void payload_write(const struct payload *payload, uint8_t *out, size_t len)
{
    struct wbytes w = wbytes_of(out, len - HASH_LEN);

    write_front(payload, &w);
    wbytes_be32(&w, MAGIC);
    wbytes_be32(&w, payload->tag);
    wbytes_be64(&w, payload->number);
    wbytes_be64(&w, payload->sent_us);
    fill(w.p, wbytes_left(&w), payload->number ^ (uint64_t)payload->tag << 32);
    store_be64(out + len - HASH_LEN, hash_of(out, len - HASH_LEN));
}

int payload_parse(const uint8_t *data, size_t len, bool video, struct payload *out)
{
    struct rbytes r;
    const uint8_t *front;

    if (len < PAYLOAD_MIN || len > PAYLOAD_MAX ||
        load_be64(data + len - HASH_LEN) != hash_of(data, len - HASH_LEN)) {
        return -EBADMSG;
    }
    r = rbytes_of(data, len - HASH_LEN);
    front = rbytes_take(&r, video ? 11 : 1);
    if (front == NULL || rbytes_be32(&r) != MAGIC) {
        return -EBADMSG;
    }
    out->tag = rbytes_be32(&r);
    out->number = rbytes_be64(&r);
    out->sent_us = rbytes_be64(&r);
    out->video = video;
    out->frame_start = video && front[0] == VP8_START;
    out->key = video && (front[1] & 1) == 0;
    return r.bad ? -EBADMSG : 0;
}
