/* What says which segments of a live stream there are: playlists of HTTP Live Streaming
 * (RFC 8216, version 7), and a manifest of DASH (ISO/IEC 23009-1, a live profile), of the
 * same segments. Who asks for the master playlist or the manifest learns which renditions
 * there are, and of each what it needs to be decoded and sent.
 *
 * Pure; any thread. */
#ifndef EGRESS_MANIFEST_H
#define EGRESS_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MANIFEST_WINDOW = 12, /* segments that are listed */
    MANIFEST_TRACKS = 5,  /* renditions of the picture, and the sound */
    MANIFEST_NAME = 48,   /* bytes of a file's name */
    MANIFEST_TEXT = 16384
};

struct manifest_segment {
    int64_t at, length; /* ticks */
};

struct manifest_track {
    char name[12];          /* "720p", "audio" */
    char codec[24];         /* RFC 6381 */
    unsigned width, height; /* 0: the sound */
    uint32_t fps;
    uint32_t hz;            /* ticks a second */
    uint32_t bps, peak_bps; /* on the average, and of a segment, at most */
    struct manifest_segment segments[MANIFEST_WINDOW];
};

struct manifest {
    struct manifest_track tracks[MANIFEST_TRACKS]; /* the sound is the last */
    unsigned n_tracks;
    unsigned part;        /* of the stream, from 1 */
    uint64_t number;      /* of the first segment that is listed, in all tracks */
    unsigned n;           /* segments listed */
    int64_t begin_ms;     /* the time that the first segment of this part has */
    int64_t zero_wall_us; /* when what has the time 0 happened */
    int64_t behind_us; /* how much later it can be fetched, but for its segment's length */
    bool over;         /* no more will come */
};

/* Names of files: PART-TRACK.mp4 (how it is decoded), PART-TRACK-NUMBER.m4s, TRACK.m3u8. */
void manifest_init_name(const struct manifest *manifest, unsigned track,
                        char out[MANIFEST_NAME]);
void manifest_segment_name(const struct manifest *manifest, unsigned track, uint64_t number,
                           char out[MANIFEST_NAME]);
void manifest_playlist_name(const struct manifest *manifest, unsigned track,
                            char out[MANIFEST_NAME]);

/* Each writes its text; returns its length. */
size_t manifest_write_master(const struct manifest *manifest, char out[MANIFEST_TEXT]);
size_t manifest_write_playlist(const struct manifest *manifest, unsigned track,
                               char out[MANIFEST_TEXT]);
size_t manifest_write_mpd(const struct manifest *manifest, uint64_t now_wall_us,
                          char out[MANIFEST_TEXT]);

#endif
