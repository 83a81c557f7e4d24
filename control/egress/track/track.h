/* One stream that is recorded: its frames are written to a file. Neighbours: depay/feed.h,
 * timeline.h, mux.h. */
#ifndef EGRESS_TRACK_H
#define EGRESS_TRACK_H

#include "egress/depay/feed.h"
#include "egress/out/mux.h"
#include "egress/track/timeline.h"

struct track_conf {
    const char *name; /* of its file, without extension: letters, digits, '_', '-', '.' */
    const char *directory;
    uint64_t handle; /* of its stream */
    enum abi_codec codec;
    uint32_t hz;
    bool mp4; /* VP8 becomes H264, so that the file is MP4 */
    const struct feed_rings *rings;
    uint64_t zero_us;             /* CLOCK_MONOTONIC at which the recording began */
    struct timeline_clock *clock; /* of its publisher; borrowed for the track's life */
};

enum track_news {
    TRACK_QUIET,
    TRACK_WANTS_KEY, /* its publisher is to be asked for a key frame */
    TRACK_BROKEN,    /* nothing more of it is written: track_reason() */
    TRACK_FAILED,    /* nor of any other: the disk is full … */
    TRACK_NO_MEMORY
};

struct track_state {
    const char *name, *extension;
    bool has_file;
    bool whole;       /* it was ended in order */
    int64_t start_us; /* of its first frame, since the recording began */
    int64_t length_us;
    uint64_t bytes, frames, lost; /* packets that were given up */
};

struct track;

/* Reads from now on. Returns 0, -EINVAL (no such name or stream), or -ENOMEM. */
int track_open(struct track **out, const struct track_conf *conf);

/* Reads what has come. Call every few milliseconds: a ring holds a second. */
enum track_news track_run(struct track *track, uint64_t now_us);

/* Writes what waits and ends the file; track_state() is final then. */
void track_end(struct track *track, uint64_t now_us);

void track_state(const struct track *track, struct track_state *out);
const char *track_reason(const struct track *track);

void track_close(struct track *track); /* NULL is a no-op */

#endif
