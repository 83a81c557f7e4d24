#include "egress/out/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libavcodec/packet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "egress/out/manifest.h"

enum {
    PICTURE_HZ = 90000,
    TICKS = PICTURE_HZ / ENCODER_FPS, /* of a picture */
    AROUND_BPS = 16000                /* boxes of a segment, around what is encoded */
};

struct segments {
    char directory[PATH_MAX - 64];
    struct manifest manifest;
    struct fmp4 *fmp4[MANIFEST_TRACKS];
    int64_t since[MANIFEST_TRACKS]; /* what is gathered begins there, ticks; -1: nowhere */
    int64_t sound_until;            /* what came of the sound ends there */
    int64_t cut_at;                 /* the picture at which all tracks are cut */
    uint64_t next;                  /* number of the segments that are gathered */
    uint64_t bytes;
    bool announced; /* the master playlist is there */
    int err;
};

static unsigned sound_of(const struct segments *segments)
{
    return segments->manifest.n_tracks - 1;
}

/* ---- files ---- */

static void path_of(const struct segments *segments, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s", segments->directory, name);
}

/* A file of that name, whole or not at all. */
static int put_file(struct segments *segments, const char *name, const void *data,
                    size_t len)
{
    char path[PATH_MAX], made[PATH_MAX];
    const uint8_t *bytes = data;
    size_t done = 0;
    int err = 0;
    int fd;

    path_of(segments, name, path);
    path_of(segments, ".new", made);
    fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return -errno;
    }
    while (done < len && err == 0) {
        ssize_t n = write(fd, bytes + done, len - done);

        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            err = -errno;
        }
    }
    if (close(fd) != 0 && err == 0) {
        err = -errno;
    }
    if (err == 0 && rename(made, path) != 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)unlink(made);
    }
    return err;
}

/* ---- what there is ---- */

/* The last is told of first: who reads of a segment in a list finds it in any other. */
static int publish(struct segments *segments)
{
    const struct manifest *manifest = &segments->manifest;
    static char text[MANIFEST_TEXT];
    char name[MANIFEST_NAME];
    struct timespec now;
    int err = 0;

    for (unsigned i = 0; i < manifest->n_tracks && err == 0; i++) {
        manifest_playlist_name(manifest, i, name);
        err = put_file(segments, name, text, manifest_write_playlist(manifest, i, text));
    }
    if (err == 0) {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        err = put_file(segments, "manifest.mpd", text,
                       manifest_write_mpd(manifest,
                                          (uint64_t)now.tv_sec * 1000000 +
                                              (uint64_t)now.tv_nsec / 1000,
                                          text));
    }
    if (err == 0 && !segments->announced) {
        segments->announced = true;
        err =
            put_file(segments, "master.m3u8", text, manifest_write_master(manifest, text));
    }
    return err;
}

/* A process before this one has numbered segments: it goes on behind them. */
static uint64_t number_after(const struct segments *segments)
{
    char path[PATH_MAX], name[MANIFEST_NAME], line[128];
    uint64_t number = 0;
    FILE *file;

    manifest_playlist_name(&segments->manifest, 0, name);
    path_of(segments, name, path);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "#EXT-X-MEDIA-SEQUENCE:%" SCNu64, &number) != 1 &&
            strncmp(line, "#EXTINF:", 8) == 0) {
            number++;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return number;
}

/* ---- segments ---- */

static void take_away(const struct segments *segments, uint64_t number)
{
    char name[MANIFEST_NAME], path[PATH_MAX];

    for (unsigned i = 0; i < segments->manifest.n_tracks; i++) {
        manifest_segment_name(&segments->manifest, i, number, name);
        path_of(segments, name, path);
        (void)unlink(path);
    }
}

/* Ends the segment that is gathered of a track; the next begins at 'until'. */
static int cut(struct segments *segments, unsigned track, int64_t until)
{
    struct manifest *manifest = &segments->manifest;
    struct manifest_segment *list = manifest->tracks[track].segments;
    const unsigned at = manifest->n < MANIFEST_WINDOW ? manifest->n : MANIFEST_WINDOW - 1;
    char name[MANIFEST_NAME];
    const uint8_t *bytes;
    size_t len;
    int err = fmp4_cut(segments->fmp4[track], false);

    bytes = fmp4_take(segments->fmp4[track], &len);
    manifest_segment_name(manifest, track, segments->next, name);
    if (err == 0) {
        err = put_file(segments, name, bytes, len);
    }
    if (err != 0) {
        return err;
    }
    segments->bytes += len;
    if (manifest->n == MANIFEST_WINDOW) {
        memmove(list, list + 1, (MANIFEST_WINDOW - 1) * sizeof(*list));
    }
    list[at] = (struct manifest_segment){.at = segments->since[track],
                                         .length = until - segments->since[track]};
    segments->since[track] = until;
    return 0;
}

/* All tracks are cut. */
static int next_segment(struct segments *segments)
{
    struct manifest *manifest = &segments->manifest;
    uint64_t number = segments->next++;

    if (manifest->n < MANIFEST_WINDOW) {
        manifest->n++;
    }
    manifest->number = segments->next - manifest->n;
    if (number >= SEGMENTS_KEPT) {
        take_away(segments, number - SEGMENTS_KEPT);
    }
    return publish(segments);
}

static int put_picture(struct segments *segments, unsigned rung, const AVPacket *packet)
{
    const int64_t at = packet->pts * TICKS;
    const bool key = (packet->flags & AV_PKT_FLAG_KEY) != 0;
    const bool first = rung == 0, last = rung + 1 == sound_of(segments);
    int err = fmp4_put(segments->fmp4[rung], ENCODER_VIDEO, packet);

    if (segments->since[rung] < 0) {
        segments->since[rung] = at;
        segments->manifest.begin_ms = at * 1000 / PICTURE_HZ;
        return err;
    }
    if (first && key && at - segments->since[0] >= PICTURE_HZ) {
        segments->cut_at = at;
    }
    if (segments->cut_at != at) {
        return err;
    }
    err = err != 0 ? err : cut(segments, rung, at);
    if (first && err == 0) { /* sound goes before pictures: it is there so far */
        err = cut(segments, sound_of(segments), segments->sound_until);
    }
    return last && err == 0 ? next_segment(segments) : err;
}

static int put_sound(struct segments *segments, const AVPacket *packet)
{
    const unsigned track = sound_of(segments);

    if (segments->since[track] < 0) {
        segments->since[track] = packet->pts;
    }
    segments->sound_until = packet->pts + ENCODER_SAMPLES;
    return fmp4_put(segments->fmp4[track], ENCODER_AUDIO, packet);
}

int segments_put(struct segments *segments, unsigned rung, enum encoder_kind kind,
                 const AVPacket *packet)
{
    if (segments->err == 0) {
        segments->err = kind == ENCODER_VIDEO ? put_picture(segments, rung, packet)
                                              : put_sound(segments, packet);
    }
    return segments->err;
}

/* ---- begin and end ---- */

static void describe(struct manifest *manifest, const struct segments_conf *conf)
{
    const struct ladder_conf *rungs = conf->rungs;
    struct manifest_track *t;

    manifest->n_tracks = rungs->n + 1;
    manifest->part = conf->part;
    manifest->zero_wall_us = (int64_t)conf->zero_wall_us;
    manifest->behind_us = (int64_t)conf->behind_us;
    for (unsigned i = 0; i < rungs->n; i++) {
        t = &manifest->tracks[i];
        *t = (struct manifest_track){.width = rungs->rungs[i].width,
                                     .height = rungs->rungs[i].height,
                                     .fps = ENCODER_FPS,
                                     .hz = PICTURE_HZ,
                                     .bps = rungs->rungs[i].bps + AROUND_BPS,
                                     .peak_bps = encoder_peak_bps(rungs->rungs[i].bps) +
                                                 AROUND_BPS};
        (void)snprintf(t->name, sizeof(t->name), "%up", t->height);
        fmp4_codec(ladder_encoder(conf->ladder, i), ENCODER_VIDEO, t->codec,
                   sizeof(t->codec));
    }
    t = &manifest->tracks[rungs->n];
    *t = (struct manifest_track){.name = "audio",
                                 .hz = ENCODER_HZ,
                                 .bps = rungs->audio_bps + AROUND_BPS,
                                 .peak_bps =
                                     encoder_peak_bps(rungs->audio_bps) + AROUND_BPS};
    fmp4_codec(ladder_encoder(conf->ladder, 0), ENCODER_AUDIO, t->codec, sizeof(t->codec));
}

static int open_track(struct segments *segments, const struct ladder *ladder, unsigned i)
{
    const bool sound = i == sound_of(segments);
    char name[MANIFEST_NAME];
    const uint8_t *bytes;
    size_t len;
    int err = fmp4_create(&segments->fmp4[i], sound ? NULL : ladder_encoder(ladder, i),
                          sound ? ladder_encoder(ladder, 0) : NULL);

    if (err != 0) {
        return err;
    }
    segments->since[i] = -1;
    bytes = fmp4_take(segments->fmp4[i], &len);
    manifest_init_name(&segments->manifest, i, name);
    return put_file(segments, name, bytes, len);
}

static void dispose(struct segments *segments)
{
    for (unsigned i = 0; i < MANIFEST_TRACKS; i++) {
        fmp4_destroy(segments->fmp4[i]);
    }
    free(segments);
}

int segments_open(struct segments **out, const struct segments_conf *conf)
{
    struct segments *segments = calloc(1, sizeof(*segments));
    int err = 0;

    if (segments == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(segments->directory, sizeof(segments->directory), "%s", conf->directory);
    describe(&segments->manifest, conf);
    segments->cut_at = -1;
    segments->next = number_after(segments);
    segments->manifest.number = segments->next;
    for (unsigned i = 0; i < segments->manifest.n_tracks && err == 0; i++) {
        err = open_track(segments, conf->ladder, i);
    }
    if (err != 0) {
        dispose(segments);
        return err;
    }
    *out = segments;
    return 0;
}

int segments_close(struct segments *segments)
{
    int err;

    if (segments == NULL) {
        return 0;
    }
    err = segments->err;
    if (err == 0) {
        /* what is left is shorter than a segment: it is not worth files of its own */
        segments->manifest.over = true;
        err = publish(segments);
    }
    dispose(segments);
    return err;
}

void segments_figures(const struct segments *segments, struct segments_figures *out)
{
    *out = (struct segments_figures){.segments = segments->next, .bytes = segments->bytes};
}
