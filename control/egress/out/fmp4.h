/* What an encoder makes, as fragmented MP4 in memory: a header, then fragments, cut where
 * one likes. Its times are those of the packets, wherever they begin. The libavformat part
 * of what is composed. */
#ifndef EGRESS_FMP4_H
#define EGRESS_FMP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egress/out/encoder.h"

struct fmp4;

/* pictures, sound  whose of each there are; borrowed for the call; NULL: none. One of them
 *                  alone makes a track of CMAF (ISO/IEC 23000-19)
 *
 * Returns 0, -ENOMEM or -EINVAL; the header can be taken. */
int fmp4_create(struct fmp4 **out, const struct encoder *pictures,
                const struct encoder *sound);
void fmp4_destroy(struct fmp4 *fmp4); /* NULL is a no-op */

/* Takes a packet of the encoder's. A picture is held until the next one tells how long it
 * lasts. Returns 0 or -errno. */
int fmp4_put(struct fmp4 *fmp4, enum encoder_kind kind, const struct AVPacket *packet);

/* Makes a fragment of all that was put, but for the picture that is held. 'all': with it.
 */
int fmp4_cut(struct fmp4 *fmp4, bool all);

/* The bytes since the last call, borrowed until the next of anything here. */
const uint8_t *fmp4_take(struct fmp4 *fmp4, size_t *len);

/* "avc1.64001f", "mp4a.40.2": what it is, for those who ask before they fetch (RFC 6381).
 */
void fmp4_codec(const struct encoder *encoder, enum encoder_kind kind, char *out,
                size_t cap);

#endif
