/* What is composed, as a live stream to be fetched: HTTP Live Streaming (RFC 8216, version
 * 7) in a directory, fragmented MP4 in segments of a second. Files are there whole or not
 * at all, and no name is ever used for two contents but those of the playlists; segments
 * that nobody can want any more are taken away. */
#ifndef EGRESS_HLS_H
#define EGRESS_HLS_H

#include "egress/out/fmp4.h"

struct hls;

enum {
    HLS_WINDOW = 12, /* segments in the playlist */
    HLS_KEPT = 24    /* and on the disk: who has an older playlist still gets them */
};

struct hls_conf {
    const char *directory;
    unsigned part; /* of the stream: each process begins anew, and says so */
    const struct encoder *encoder; /* borrowed for the call, with pictures */
    unsigned width, height;
    uint32_t bps; /* at most */
};

/* master.m3u8 is there when the first segment is. Returns 0 or -errno. */
int hls_open(struct hls **out, const struct hls_conf *conf);

/* wall_us  of the clock on the wall, when what is in the packet happened
 *
 * Returns 0 or -errno (-ENOSPC …): then it is to be closed. */
int hls_put(struct hls *hls, enum encoder_kind kind, const struct AVPacket *packet,
            uint64_t wall_us);

/* Says that nothing more comes. NULL is a no-op. */
int hls_close(struct hls *hls);

struct hls_figures {
    uint64_t segments, bytes;
};

void hls_figures(const struct hls *hls, struct hls_figures *out);

#endif
