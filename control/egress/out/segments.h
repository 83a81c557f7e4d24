/* What is composed, as a live stream to be fetched: a directory with segments of a second
 * (fragmented MP4, CMAF: each rendition of the picture and the sound for itself), and what
 * says which there are (manifest.h): playlists of HLS and a manifest of DASH, of the same
 * segments. Files are there whole or not at all, and no name is ever used for two contents
 * but those of manifests; segments that nobody can want any more are taken away. */
#ifndef EGRESS_SEGMENTS_H
#define EGRESS_SEGMENTS_H

#include "egress/out/fmp4.h"
#include "egress/out/ladder.h"

struct segments;

enum { SEGMENTS_KEPT = 24 }; /* on the disk: who has an older manifest still gets them */

struct segments_conf {
    const char *directory;
    unsigned part;               /* of the stream: each process begins anew, and says so */
    const struct ladder *ladder; /* borrowed for the call, with pictures */
    const struct ladder_conf *rungs; /* the same */
    uint64_t zero_wall_us; /* of the clock on the wall, when what has the time 0 happened */
    uint64_t behind_us;    /* how much later it is put here, at the latest */
};

/* The manifests are there when the first segments are. Returns 0 or -errno. */
int segments_open(struct segments **out, const struct segments_conf *conf);

/* A packet of the ladder's. Returns 0 or -errno (-ENOSPC …): then it is to be closed. */
int segments_put(struct segments *segments, unsigned rung, enum encoder_kind kind,
                 const struct AVPacket *packet);

/* Says that nothing more comes. NULL is a no-op. */
int segments_close(struct segments *segments);

struct segments_figures {
    uint64_t segments, bytes; /* seconds, so to say; of all renditions */
};

void segments_figures(const struct segments *segments, struct segments_figures *out);

#endif
