#include "core/layer.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/bytes.h"

/* The targets of spatial layers from 's' to 's_top' and of temporal layers from 't' on. */
static uint16_t targets(unsigned s, unsigned s_top, unsigned t)
{
    uint16_t mask = 0;

    for (; s <= s_top && s < LAYER_MAX; s++) {
        for (unsigned k = t; k < LAYER_MAX; k++) {
            mask |= LAYER_BIT(s, k);
        }
    }
    return mask;
}

static uint8_t at_most(unsigned v)
{
    return (uint8_t)(v < LAYER_MAX ? v : LAYER_MAX - 1);
}

/* ---- VP8 ---- */

enum { VP8_X = 0x80, VP8_S = 0x10, VP8_PID = 0x07 };

static void picture_id(struct rbytes *r, struct layer_info *out)
{
    uint8_t first = rbytes_u8(r);

    out->bits = 7;
    out->picture = first & 0x7f;
    if ((first & 0x80) != 0) {
        out->bits = 15;
        out->picture = (uint16_t)(out->picture << 8 | rbytes_u8(r));
    }
}

static void vp8_parse(struct rbytes *r, struct layer_info *out)
{
    uint8_t head = rbytes_u8(r);
    uint8_t ext = (head & VP8_X) != 0 ? rbytes_u8(r) : 0;
    bool sync = false;
    uint8_t layers;

    if ((ext & 0x80) != 0) {
        picture_id(r, out);
    }
    if ((ext & 0x40) != 0) {
        out->flags |= LAYER_TL0;
        out->tl0 = rbytes_u8(r);
    }
    if ((ext & 0x30) != 0) {
        layers = rbytes_u8(r);
        if ((ext & 0x20) != 0) {
            out->temporal = layers >> 6;
            sync = (layers & 0x20) != 0;
        }
        if ((ext & 0x10) != 0) {
            out->flags |= LAYER_KEYIDX;
            out->keyidx = layers & 0x1f;
        }
    }
    out->flags |= LAYER_COUNTED;
    out->present = targets(0, LAYER_MAX, out->temporal);
    if ((head & VP8_S) != 0 && (head & VP8_PID) == 0) {
        out->flags |= LAYER_BEGIN;
        if (rbytes_left(r) > 0 && (r->p[0] & 1) == 0) {
            out->flags |= LAYER_KEY;
        }
    }
    if ((out->flags & LAYER_KEY) != 0) {
        out->sync = LAYER_ALL;
    } else if (sync && out->temporal > 0) {
        /* it leans on the base only: its own layer begins, if those between are whole */
        out->sync = targets(0, LAYER_MAX, out->temporal) &
                    (uint16_t)~targets(0, LAYER_MAX, out->temporal + 1u);
        out->chain = (uint8_t)(out->temporal - 1);
    }
}

/* ---- VP9 ---- */

enum {
    VP9_I = 0x80,
    VP9_P = 0x40,
    VP9_L = 0x20,
    VP9_F = 0x10,
    VP9_B = 0x08,
    VP9_E = 0x04,
    VP9_V = 0x02,
    VP9_MAX_REFS = 3
};

/* The scalability structure (RFC 9628, 4.2.1). */
static void vp9_skip_structure(struct rbytes *r)
{
    uint8_t head = rbytes_u8(r); /* N_S(3) Y G */
    unsigned n = 0;

    if ((head & 0x10) != 0) {
        (void)rbytes_take(r, (size_t)4 * ((head >> 5) + 1u));
    }
    if ((head & 0x08) != 0) {
        n = rbytes_u8(r);
    }
    for (unsigned i = 0; i < n && !r->bad; i++) {
        (void)rbytes_take(r, rbytes_u8(r) >> 2 & 3);
    }
}

static void vp9_parse(struct layer_state *state, struct rbytes *r, struct layer_info *out)
{
    uint8_t head = rbytes_u8(r);
    bool inter = (head & VP9_P) != 0;
    bool leans = true;
    bool up = false;
    uint8_t more = 1;
    uint8_t layers;

    if ((head & VP9_I) != 0) {
        picture_id(r, out);
    }
    if ((head & VP9_L) != 0) {
        layers = rbytes_u8(r); /* T(3) U S(3) D */
        out->temporal = at_most(layers >> 5);
        out->spatial = at_most(layers >> 1 & 7);
        up = (layers & 0x10) != 0;
        leans = (layers & 1) != 0;
        if ((head & VP9_F) == 0) {
            out->flags |= LAYER_TL0;
            out->tl0 = rbytes_u8(r);
        }
    }
    for (unsigned i = 0; (head & VP9_F) != 0 && inter && more != 0; i++) {
        more = rbytes_u8(r) & 1;
        if (i == VP9_MAX_REFS) {
            r->bad = true;
        }
        if (r->bad) {
            return;
        }
    }
    if ((head & VP9_V) != 0) {
        vp9_skip_structure(r);
    }
    out->flags |= (uint8_t)((head & VP9_B) != 0 ? LAYER_BEGIN : 0);
    out->flags |= (uint8_t)((head & VP9_E) != 0 ? LAYER_END : 0);
    if (out->spatial > 0 && inter && !r->bad) {
        state->apart = !leans;
    }
    if (!inter && out->spatial == 0) {
        out->flags |= LAYER_KEY;
    }
    /* Between key pictures of a K-SVC stream a frame is its own layer's only. */
    out->present = targets(out->spatial, inter && state->apart ? out->spatial : LAYER_MAX,
                           out->temporal);
    if ((out->flags & LAYER_KEY) != 0) {
        out->sync = LAYER_ALL;
    } else if (up) {
        out->sync = targets(0, LAYER_MAX, out->temporal);
        out->chain = out->temporal;
    }
}

/* ---- H264 ---- */

enum { H264_STAP_A = 24, H264_FU_A = 28, H264_MAX_NALS = 64 };

static void h264_parse(struct rbytes *r)
{
    unsigned type = rbytes_u8(r) & 0x1f;

    if (type == 0 || type > 29) {
        r->bad = true;
    } else if (type == H264_FU_A) {
        (void)rbytes_u8(r);
        (void)rbytes_u8(r);
    } else if (type == H264_STAP_A) {
        for (unsigned i = 0; i < H264_MAX_NALS && rbytes_left(r) > 0 && !r->bad; i++) {
            uint16_t len = rbytes_be16(r);

            r->bad = len == 0 || rbytes_take(r, len) == NULL;
        }
    }
}

/* ---- AV1, and what else comes with a dependency descriptor ---- */

static int dd_parse(struct layer_state *state, enum codec_kind codec, const uint8_t *dd,
                    size_t len, struct layer_info *out)
{
    struct layer_dd_info info;
    int err = layer_dd_parse(&state->dd, dd, len, &info);

    if (err == -EBADMSG) {
        return err;
    }
    out->flags &= (uint8_t)~LAYER_BEGIN;
    out->flags |= (uint8_t)((info.begin ? LAYER_BEGIN : 0) | (info.end ? LAYER_END : 0));
    if (codec == CODEC_AV1) {
        out->bits = 16;
        out->picture = info.frame;
    }
    if (err == 0) {
        out->flags |= info.targets ? LAYER_TARGETS : 0;
        out->spatial = info.spatial;
        out->temporal = info.temporal;
        out->present = info.present;
        out->sync = (out->flags & LAYER_KEY) != 0 ? LAYER_ALL : info.sync;
    }
    return 0;
}

int layer_parse(struct layer_state *state, enum codec_kind codec, const uint8_t *payload,
                size_t len, const uint8_t *dd, size_t dd_len, struct layer_info *out)
{
    static const struct layer_info anybody = {
        .present = LAYER_ALL, .chain = LAYER_NO_CHAIN, .flags = LAYER_BEGIN};
    struct rbytes r = rbytes_of(payload, len);
    bool key = codec_is_keyframe(codec, payload, len);

    *out = anybody;
    switch (codec) {
    case CODEC_VP8:
        out->flags = 0;
        vp8_parse(&r, out);
        break;
    case CODEC_VP9:
        out->flags = 0;
        vp9_parse(state, &r, out);
        break;
    case CODEC_H264:
        h264_parse(&r);
        break;
    case CODEC_AV1:
        (void)rbytes_u8(&r); /* the aggregation header */
        break;
    case CODEC_NONE:
    case CODEC_OPUS:
    case N_CODECS:
        out->sync = LAYER_ALL; /* sound may begin anywhere */
        return 0;
    }
    if (r.bad || (codec != CODEC_H264 && rbytes_left(&r) == 0)) {
        *out = anybody;
        return -EBADMSG;
    }
    if (codec != CODEC_VP8 && codec != CODEC_VP9) {
        if (key) {
            out->flags |= LAYER_KEY;
            out->sync = LAYER_ALL;
        }
        return dd != NULL ? dd_parse(state, codec, dd, dd_len, out) : 0;
    }
    return 0;
}
