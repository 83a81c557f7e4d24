/* Writes a packet's new numbers into its payload descriptor: same length, same form. The
 * fields are found as layer_parse() finds them.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_LAYER_WRITE_H
#define CORE_LAYER_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "core/codec.h"

struct layer_numbers {
    uint16_t picture;
    uint8_t tl0, keyidx;
};

/* payload  changed; of a packet that layer_parse() took
 *
 * Returns 0, or -EBADMSG if the descriptor is cut off: then nothing was changed. */
int layer_write(enum codec_kind codec, uint8_t *payload, size_t len,
                const struct layer_numbers *numbers);

#endif
