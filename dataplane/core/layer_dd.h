/* The dependency descriptor (AV1 RTP payload specification, appendix A): a header extension
 * that says of each packet which decode targets need its frame. A key frame brings the
 * *structure*, a list of templates that later descriptors name; it is kept per stream.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_LAYER_DD_H
#define CORE_LAYER_DD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LAYER_DD_TEMPLATES = 64, /* template ids have six bits */
    LAYER_DD_TARGETS = 32,   /* decode targets: five bits */
    LAYER_DD_MAX = 255       /* bytes of a descriptor: it is a header extension */
};

struct layer_dd_template {
    uint8_t spatial, temporal;
    uint16_t present; /* targets that need a frame of this template … */
    uint16_t sync;    /* … and that may begin at one; masks of layer.h */
};

struct layer_dd {
    bool known; /* a structure has come */
    uint8_t n_templates, n_targets;
    uint8_t first_id;
    struct layer_dd_template templates[LAYER_DD_TEMPLATES];
    uint16_t target[LAYER_DD_TARGETS]; /* the bits of each decode target */
    uint8_t own[LAYER_DD_TARGETS];     /* and its layer: spatial << 4 | temporal */
    uint32_t active;                   /* bit i: the sender sends what target i needs */

    /* the frame that is coming in: its later packets need not say again */
    bool has_frame;
    uint16_t frame;
    uint16_t present, sync;
};

/* One descriptor. */
struct layer_dd_info {
    bool begin, end; /* first and last packet of the frame */
    bool structure;  /* it brought one */
    uint16_t frame;  /* number */
    uint8_t spatial, temporal;
    uint16_t present, sync;
    bool targets; /* it said which targets are active */
};

/* The highest layers of the targets that are active: 0 if none is. */
uint8_t layer_dd_top_spatial(const struct layer_dd *dd);
uint8_t layer_dd_top_temporal(const struct layer_dd *dd);

/* Reads a descriptor and keeps its structure.
 *
 * Returns 0; -EBADMSG if it is cut off or names what there is not; -ENOENT if no structure
 * has come yet: then only begin, end and frame are filled. 'dd' changes with 0 only. */
int layer_dd_parse(struct layer_dd *dd, const uint8_t *data, size_t len,
                   struct layer_dd_info *out);

/* Writes a descriptor with another frame number and, if it brings a structure, with 'mask'
 * (of layer.h) as the decode targets that are active: those whose bit is set, and that the
 * sender says are.
 *
 * out  cap bytes, not overlapping 'data'; nothing is written behind them
 *
 * Returns its length, or 0 if it does not fit or 'data' is malformed. */
size_t layer_dd_write(const uint8_t *data, size_t len, uint16_t frame, uint16_t mask,
                      uint8_t *out, size_t cap);

#endif
