/* Makes frames of the payloads of one stream: VP8 (RFC 7741), VP9 (RFC 9628), H264 (RFC
 * 6184), AV1 (AV1 RTP payload specification) and Opus (RFC 7587). What comes out is what a
 * file holds: H264 with start codes, AV1 with OBUs that tell their sizes and no temporal
 * delimiters, VP9 with spatial layers one superframe a picture, which shows the highest.
 *
 * A frame of which anything is missing never comes out, and after it, or after any loss, no
 * frame does until a key frame: who plays the file sees a picture that stands, not a broken
 * one.
 *
 * Fed with packets in order. Pure: no clock, no I/O; its buffers are given. */
#ifndef EGRESS_DEPAY_H
#define EGRESS_DEPAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/depay/vp9_layers.h"
#include "sfu/abi/media.h"

enum { DEPAY_FRAME = 4 << 20, DEPAY_SETS = 512 };

struct depay_buffers {
    uint8_t frame[DEPAY_FRAME];
    uint8_t part[DEPAY_FRAME]; /* of AV1: an OBU that goes on in the next packet */
};

struct depay_frame {
    const uint8_t *data; /* borrowed until the next call */
    size_t len;
    uint32_t ts;
    bool key;
    uint16_t width, height; /* of a key frame of VP8 and VP9; else 0 */
};

struct depay {
    enum abi_codec codec;
    struct depay_buffers *buffers;
    size_t len, part_len;
    uint32_t ts;
    bool open;     /* a frame is being gathered */
    bool bad;      /* and something of it is missing, or makes no sense */
    bool ended;    /* and it is whole: its end was told */
    bool key;      /* H264 and AV1: it is a key frame */
    bool in_part;  /* an OBU, or a fragmented NAL unit, goes on */
    bool need_key; /* none may come out until then */
    bool asked;    /* depay_wants_key() has said so */
    /* H264: the last parameter sets, with start codes. AV1: the sequence header, whole. */
    uint8_t sps[DEPAY_SETS], pps[DEPAY_SETS];
    size_t sps_len, pps_len;
    struct vp9_layers layers; /* VP9 */
    uint64_t frames, broken; /* that came out, and that did not */
};

/* buffers  borrowed; NULL for Opus */
void depay_init(struct depay *depay, enum abi_codec codec, struct depay_buffers *buffers);

/* To be called for each packet before depay_put(): whether one of another timestamp ends
 * the frame that is gathered, and 'frame' is filled with it. */
bool depay_ends(struct depay *depay, uint32_t ts, bool lost, struct depay_frame *frame);

/* Takes a packet.
 *
 * payload  borrowed, behind the RTP header, without padding
 * lost     packets right before it are missing for good
 *
 * Returns true if it ends a frame that may come out: then 'frame' is filled. */
bool depay_put(struct depay *depay, const uint8_t *payload, size_t len, uint32_t ts,
               bool marker, bool lost, struct depay_frame *frame);

/* Who decodes the frames can make nothing of them: none comes out until a key frame. */
void depay_spoilt(struct depay *depay);

/* True once whenever nothing can come out until the publisher sends a key frame. */
bool depay_wants_key(struct depay *depay);

/* What a file begins with: H264 parameter sets with start codes, the sequence header of
 * AV1. 'cap' bytes of 'out'; returns how many, 0 if there is none (yet). */
size_t depay_extradata(const struct depay *depay, uint8_t *out, size_t cap);

/* Samples (48 kHz) of an Opus packet by its TOC (RFC 6716, 3.1); 0 if it makes no sense. */
uint32_t depay_opus_samples(const uint8_t *packet, size_t len);

/* ---- the codecs' own: each takes the payload of one packet into depay->buffers ---- */

void depay_vp8(struct depay *depay, const uint8_t *p, size_t len);
void depay_vp9(struct depay *depay, const uint8_t *p, size_t len);
void depay_h264(struct depay *depay, const uint8_t *p, size_t len);
void depay_av1(struct depay *depay, const uint8_t *p, size_t len);

/* Whether a packet can be the first of a picture: parameter sets, a delimiter, SEI. */
bool depay_h264_begins(const uint8_t *p);

void depay_add(struct depay *depay, const uint8_t *p, size_t len);

/* Whether a whole frame is a key frame, and how large. */
bool depay_vp8_key(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height);
bool depay_vp9_key(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height);

#endif
