#include "core/layer_write.h"

#include <errno.h>

#include "core/layer.h"
#include "sfu/base/bytes.h"

/* Offsets of the fields in the payload; 0 not there (the first byte is none of them). */
struct places {
    size_t picture, tl0, keyidx;
    bool wide;
};

static size_t here(const struct rbytes *r, const uint8_t *payload)
{
    return (size_t)(r->p - payload);
}

static void picture_id(struct rbytes *r, const uint8_t *payload, struct places *at)
{
    at->picture = here(r, payload);
    at->wide = (rbytes_u8(r) & 0x80) != 0;
    if (at->wide) {
        (void)rbytes_u8(r);
    }
}

/* RFC 7741, 4.2. */
static void find_vp8(struct rbytes *r, const uint8_t *payload, struct places *at)
{
    uint8_t ext = (rbytes_u8(r) & 0x80) != 0 ? rbytes_u8(r) : 0;

    if ((ext & 0x80) != 0) {
        picture_id(r, payload, at);
    }
    if ((ext & 0x40) != 0) {
        at->tl0 = here(r, payload);
        (void)rbytes_u8(r);
    }
    if ((ext & 0x30) != 0) {
        at->keyidx = (ext & 0x10) != 0 ? here(r, payload) : 0;
        (void)rbytes_u8(r);
    }
}

/* RFC 9628, 4.2. */
static void find_vp9(struct rbytes *r, const uint8_t *payload, struct places *at)
{
    uint8_t head = rbytes_u8(r);

    if ((head & 0x80) != 0) {
        picture_id(r, payload, at);
    }
    if ((head & 0x20) != 0) {
        (void)rbytes_u8(r);
        if ((head & 0x10) == 0) {
            at->tl0 = here(r, payload);
            (void)rbytes_u8(r);
        }
    }
}

int layer_write(enum codec_kind codec, uint8_t *payload, size_t len,
                const struct layer_numbers *numbers)
{
    struct rbytes r = rbytes_of(payload, len);
    struct places at = {.wide = false};

    if (codec == CODEC_VP8) {
        find_vp8(&r, payload, &at);
    } else if (codec == CODEC_VP9) {
        find_vp9(&r, payload, &at);
    }
    if (r.bad) {
        return -EBADMSG;
    }
    if (at.picture != 0 && at.wide) {
        store_be16(payload + at.picture, (uint16_t)(0x8000 | (numbers->picture & 0x7fff)));
    } else if (at.picture != 0) {
        payload[at.picture] = numbers->picture & 0x7f;
    }
    if (at.tl0 != 0) {
        payload[at.tl0] = numbers->tl0;
    }
    if (at.keyidx != 0) {
        payload[at.keyidx] =
            (uint8_t)((payload[at.keyidx] & 0xe0) | (numbers->keyidx & 0x1f));
    }
    return 0;
}
