/* Writes the frames of one stream to a file of its own, as they are: VP8 to WebM, all else
 * to fragmented MP4. A second after a frame was written it is in the file for good, so that
 * one whose writer was killed plays. The libavformat part of the program. */
#ifndef EGRESS_MUX_H
#define EGRESS_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/abi/media.h"

struct mux;

enum { MUX_REASON = 128 };

struct mux_conf {
    const char *path; /* of a new file */
    enum abi_codec codec;
    uint32_t hz;            /* of the ticks */
    uint16_t width, height; /* 0: they stand in 'extradata' */
    const uint8_t *extradata;
    size_t extradata_len;
    const uint8_t *first; /* the first frame, a key frame: H264 and AV1 tell their size */
    size_t first_len;
};

/* "webm" or "mp4". */
const char *mux_extension(enum abi_codec codec);

/* All borrowed for the call. Returns 0, or -errno with 'reason' filled and there is no
 * file: -EBADMSG if libav makes nothing of the frame. */
int mux_open(struct mux **out, const struct mux_conf *conf, char reason[MUX_REASON]);

/* ticks     since the first frame; one that is not behind the last is moved behind it
 * duration  of an audio packet, else 0
 *
 * Returns 0 or -errno (-ENOSPC; -EBADMSG: of the data) with 'reason' filled: then the file
 * is to be closed. */
int mux_write(struct mux *mux, const uint8_t *data, size_t len, int64_t ticks,
              int64_t duration, bool key, char reason[MUX_REASON]);

/* Ends the file. Returns 0 or -errno: then only its last second may be missing. 'bytes' may
 * be NULL; filled with the file's size if that can be told. NULL is a no-op. */
int mux_close(struct mux *mux, uint64_t *bytes, char reason[MUX_REASON]);

uint64_t mux_bytes(const struct mux *mux);

#endif
