/* Pictures of VP8 as H264, for files that VP8 cannot be in: each at its own time, all as
 * large as the first (one of another shape is made smaller, with black beside it).
 *
 * Costs as decoding and encoding do. */
#ifndef EGRESS_RECODE_H
#define EGRESS_RECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recode;

struct recode_picture {
    const uint8_t *data; /* H264 with start codes; borrowed until the next call */
    size_t len;
    int64_t ticks;
    bool key;
};

/* hz  of the ticks. Returns 0, -ENOMEM or -ENOSYS (there is no such decoder or encoder). */
int recode_create(struct recode **out, uint32_t hz);

/* A frame of VP8 at 'ticks'; one that is not behind the last is moved behind it.
 *
 * Returns 1: 'out' is filled; 0: nothing is to be seen of it; -EBADMSG: the decoder makes
 * nothing of it, and needs a key frame; -ENOMEM; -EIO. */
int recode_put(struct recode *recode, const uint8_t *data, size_t len, bool key,
               int64_t ticks, struct recode_picture *out);

/* Once there was a picture: their size, and the parameter sets. Borrowed. */
const uint8_t *recode_extradata(const struct recode *recode, size_t *len, uint16_t *width,
                                uint16_t *height);

void recode_destroy(struct recode *recode); /* NULL is a no-op */

#endif
