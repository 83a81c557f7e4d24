/* Frames as a real encoder has made them: how large, how long after the one before, of which layer.
 * recorded.c has the tables; record.mjs makes it.
 *
 * Pure: constants. */
#ifndef LOADGEN_PATTERN_H
#define LOADGEN_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "loadgen/payload.h"

enum { PATTERN_LAYERS = 3, PATTERN_TID = 0xc0 };

struct pattern_frame {
    uint32_t len;   /* bytes, without what packets add */
    uint16_t ms;    /* after the frame before */
    uint8_t layers; /* VP8: TID and Y as the descriptor has them (RFC 7741, 4.2) */
};

/* The frames are played again and again. When a key frame is asked for, the next of 'keys' is sent
 * instead of the next frame, and it goes on behind the next frame of the lowest layer. */
struct pattern {
    const struct pattern_frame *frames;
    const struct pattern_frame *keys; /* NULL: audio */
    uint32_t n_frames;
    uint32_t n_keys;
    uint16_t packet_max; /* bytes of payload */
    enum payload_kind kind;
    bool temporal;
};

/* What a browser sends of a camera of 1280x720 and of speech. */
extern const struct pattern pattern_vp8[PATTERN_LAYERS]; /* 320x180, 640x360, 1280x720 */
extern const struct pattern pattern_h264;
extern const struct pattern pattern_opus;
extern const struct pattern pattern_opus_dtx; /* nearly nothing while nobody speaks */

#endif
