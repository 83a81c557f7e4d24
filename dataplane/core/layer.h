/* What one packet of a video stream says of the layers: which picture it is of, whom it is
 * for, and where a receiver may change over. The payload descriptors of VP8 (RFC 7741), VP9
 * (RFC 9628) and H264 (RFC 6184) and the dependency descriptor of AV1 (AV1 RTP payload
 * specification, appendix A) are read once, by ingest, into one form that core/switcher
 * decides on without knowing the codec.
 *
 * A *target* is what a receiver may be watching: a spatial and a temporal layer, and all
 * that these lean on. Masks have a bit for each (LAYER_BIT).
 *
 * Pure: no clock, no allocation, no I/O. Neighbours: layer_dd.h, layer_write.h. */
#ifndef CORE_LAYER_H
#define CORE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec.h"
#include "core/layer_dd.h"

enum {
    LAYER_MAX = 4, /* spatial layers of a stream, and temporal layers */
    LAYER_ALL = 0xffff,
    LAYER_NO_CHAIN = 0xff
};

#define LAYER_BIT(spatial, temporal)                                                       \
    ((uint16_t)(1u << ((unsigned)(spatial)*LAYER_MAX + (unsigned)(temporal))))

enum layer_flag {
    LAYER_TL0 = 1,     /* 'tl0' is there */
    LAYER_KEYIDX = 2,  /* 'keyidx' is there */
    LAYER_BEGIN = 4,   /* first packet of its frame, or nothing tells frames apart */
    LAYER_END = 8,     /* last packet of its frame */
    LAYER_KEY = 16,    /* of a key frame */
    LAYER_COUNTED = 32, /* picture ids of frames that are left out are closed up (VP8) */
    LAYER_TARGETS = 64 /* its sender said which targets there are: state->dd */
};

/* One packet. 16 bytes: it lies in the ring's slot. */
struct layer_info {
    uint16_t picture; /* picture id (VP8, VP9), frame number (AV1) */
    uint16_t present; /* targets that need this frame */
    uint16_t sync;    /* targets that may begin here, whatever was left out before … */
    uint8_t chain;    /* … if those of the same spatial layer with this temporal one are
                         whole; LAYER_NO_CHAIN: without condition */
    uint8_t spatial, temporal;
    uint8_t tl0;
    uint8_t keyidx;
    uint8_t flags; /* enum layer_flag */
    uint8_t bits;  /* of 'picture': 7, 15 or 16; 0 there is none */
    uint8_t _pad[3];
};

_Static_assert(sizeof(struct layer_info) == 16, "it lies in a slot");

/* What has to be known of a stream's earlier packets. */
struct layer_state {
    bool apart; /* VP9: between key pictures spatial layers do not lean on each other */
    struct layer_dd dd;
};

/* Reads one packet.
 *
 * state    of its stream, zeroed before the first packet
 * payload  borrowed; behind the RTP header, padding removed
 * dd       dependency descriptor, borrowed, NULL if the packet has none; used with AV1 and
 *          H264
 * out      filled in any case: of a codec without layers, all are for everybody; of audio
 *          each packet is a place to begin at
 *
 * Returns 0, or -EBADMSG for a descriptor that is cut off or contradicts itself. */
int layer_parse(struct layer_state *state, enum codec_kind codec, const uint8_t *payload,
                size_t len, const uint8_t *dd, size_t dd_len, struct layer_info *out);

#endif
