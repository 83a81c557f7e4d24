/* The spatial layers of one picture of VP9, made what players and libavcodec can decode: a
 * superframe (VP9 bitstream specification, annex B) of which the last frame alone is shown.
 * As they are sent each is; a decoder for calls shows the last all the same, a file's shows
 * one after the other.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef EGRESS_VP9_LAYERS_H
#define EGRESS_VP9_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VP9_LAYERS = 8, VP9_REFS = 8 };

struct vp9_size {
    uint16_t width, height; /* 0: not known */
};

struct vp9_layers {
    unsigned n;                /* that have ended */
    size_t at[VP9_LAYERS + 1]; /* where each begins; at[n]: where the last has ended */
    uint8_t sid;               /* of the last that has begun */
    bool full;                 /* there are as many as there can be */
    struct vp9_size refs[VP9_REFS]; /* of the frames that others are predicted from */
    struct vp9_size size;           /* of the last of a picture that was joined */
};

/* A picture begins. What is known of those before stays. */
void vp9_layers_begin(struct vp9_layers *layers);

/* A packet of a layer; whether it can be one of this picture, by its place among them.
 *
 * begins  it is the layer's first */
bool vp9_layers_are(struct vp9_layers *layers, uint8_t sid, bool begins);

/* The layer that has begun ends here. */
void vp9_layers_end(struct vp9_layers *layers, size_t at);

/* The picture is whole: 'frame' holds its layers, one behind the other. A single one stays
 * as it is, whatever it is.
 *
 * cap  bytes of 'frame'
 *
 * Returns its length, 0 if the layers make no sense or do not fit. */
size_t vp9_layers_join(struct vp9_layers *layers, uint8_t *frame, size_t cap);

#endif
