#include "core/codec.h"

#include "sfu/base/bytes.h"

static bool vp8_is_keyframe(struct rbytes r)
{
    uint8_t head = rbytes_u8(&r); /* X R N S R PID */
    uint8_t first;

    if ((head & 0x10) == 0 || (head & 0x07) != 0) {
        return false; /* not the start of partition 0 */
    }
    if ((head & 0x80) != 0) {
        uint8_t ext = rbytes_u8(&r); /* I L T K */

        if ((ext & 0x80) != 0 && (rbytes_u8(&r) & 0x80) != 0) {
            (void)rbytes_u8(&r); /* 15-bit picture id */
        }
        if ((ext & 0x40) != 0) {
            (void)rbytes_u8(&r); /* TL0PICIDX */
        }
        if ((ext & 0x30) != 0) {
            (void)rbytes_u8(&r); /* TID, KEYIDX */
        }
    }
    first = rbytes_u8(&r);
    return !r.bad && (first & 0x01) == 0; /* P: 0 is a key frame */
}

static bool vp9_is_keyframe(struct rbytes r)
{
    uint8_t head = rbytes_u8(&r); /* I P L F B E V Z */
    uint8_t sid = 0;

    if ((head & 0x40) != 0 || (head & 0x08) == 0) {
        return false;
    }
    if ((head & 0x80) != 0 && (rbytes_u8(&r) & 0x80) != 0) {
        (void)rbytes_u8(&r); /* 15-bit picture id */
    }
    if ((head & 0x20) != 0) {
        sid = rbytes_u8(&r) >> 1 & 7; /* TID U SID D */
    }
    return !r.bad && sid == 0; /* higher layers lean on the lowest, even without P */
}

enum {
    H264_IDR = 5,
    H264_SPS = 7,
    H264_STAP_A = 24,
    H264_FU_A = 28,
    H264_MAX_NALS = 64 /* looked at in one STAP-A */
};

static bool h264_starts(unsigned nal_type)
{
    return nal_type == H264_IDR || nal_type == H264_SPS;
}

static bool h264_is_keyframe(struct rbytes r)
{
    unsigned type = rbytes_u8(&r) & 0x1f;

    if (type == H264_FU_A) {
        uint8_t fu = rbytes_u8(&r); /* S E R type */

        return !r.bad && (fu & 0x80) != 0 && h264_starts(fu & 0x1f);
    }
    if (type != H264_STAP_A) {
        return !r.bad && h264_starts(type);
    }
    for (unsigned i = 0; i < H264_MAX_NALS && rbytes_left(&r) > 0; i++) {
        uint16_t len = rbytes_be16(&r);
        const uint8_t *nal = rbytes_take(&r, len);

        if (nal == NULL || len == 0) {
            return false;
        }
        if (h264_starts(nal[0] & 0x1f)) {
            return true;
        }
    }
    return false;
}

static bool av1_is_keyframe(struct rbytes r)
{
    uint8_t head = rbytes_u8(&r); /* Z Y W W N */

    /* N with Z, a sequence that starts in the middle of an OBU, is forbidden */
    return rbytes_left(&r) > 0 && (head & 0x88) == 0x08;
}

bool codec_is_keyframe(enum codec_kind codec, const uint8_t *payload, size_t len)
{
    if (len == 0) {
        return false;
    }
    switch (codec) {
    case CODEC_VP8:
        return vp8_is_keyframe(rbytes_of(payload, len));
    case CODEC_VP9:
        return vp9_is_keyframe(rbytes_of(payload, len));
    case CODEC_H264:
        return h264_is_keyframe(rbytes_of(payload, len));
    case CODEC_AV1:
        return av1_is_keyframe(rbytes_of(payload, len));
    case CODEC_NONE:
    case CODEC_OPUS:
    case N_CODECS:
        break;
    }
    return false;
}
