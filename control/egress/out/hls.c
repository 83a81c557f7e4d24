#include "egress/out/hls.h"

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

enum { NAME = 48, LIST = 8192 };

struct segment {
    uint64_t number;
    double seconds;
    uint64_t wall_us;
};

struct hls {
    struct hls_conf conf;
    char directory[PATH_MAX - 64];
    char codecs[64];
    struct fmp4 *fmp4;
    struct segment segments[HLS_WINDOW];
    unsigned n; /* in the playlist */
    uint64_t next;
    int64_t since; /* the segment's first picture; -1: none yet */
    uint64_t since_wall_us;
    uint64_t bytes;
    bool announced; /* the master playlist is there */
    int err;
};

/* ---- files ---- */

static void path_of(const struct hls *hls, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s", hls->directory, name);
}

/* A file of that name, whole or not at all. */
static int put_file(struct hls *hls, const char *name, const void *data, size_t len)
{
    char path[PATH_MAX], made[PATH_MAX];
    const uint8_t *bytes = data;
    size_t done = 0;
    int err = 0;
    int fd;

    path_of(hls, name, path);
    path_of(hls, ".new", made);
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

static void segment_name(const struct hls *hls, uint64_t number, char out[NAME])
{
    (void)snprintf(out, NAME, "%u-%" PRIu64 ".m4s", hls->conf.part, number);
}

/* ---- playlists ---- */

static int announce(struct hls *hls)
{
    char list[512];
    int n = snprintf(list, sizeof(list),
                     "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                     "#EXT-X-STREAM-INF:BANDWIDTH=%" PRIu32
                     ",CODECS=\"%s\",RESOLUTION=%ux%u,FRAME-RATE=%d.000\n%up.m3u8\n",
                     hls->conf.bps, hls->codecs, hls->conf.width, hls->conf.height,
                     ENCODER_FPS, hls->conf.height);

    return put_file(hls, "master.m3u8", list, (size_t)n);
}

static int write_list(struct hls *hls, bool last)
{
    char list[LIST], name[NAME];
    const struct segment *first = &hls->segments[0];
    size_t n;

    n = (size_t)snprintf(list, sizeof(list),
                         "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                         "#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%" PRIu64
                         "\n#EXT-X-DISCONTINUITY-SEQUENCE:%u\n"
                         "#EXT-X-MAP:URI=\"%u-init.mp4\"\n",
                         hls->n > 0 ? first->number : hls->next, hls->conf.part - 1,
                         hls->conf.part);
    for (unsigned i = 0; i < hls->n; i++) {
        const struct segment *s = &hls->segments[i];
        time_t seconds = (time_t)(s->wall_us / 1000000);
        char date[32] = "";
        struct tm tm;

        if (gmtime_r(&seconds, &tm) != NULL) {
            (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        }
        segment_name(hls, s->number, name);
        n += (size_t)snprintf(list + n, sizeof(list) - n,
                              "#EXT-X-PROGRAM-DATE-TIME:%s.%03uZ\n#EXTINF:%.5f,\n%s\n",
                              date, (unsigned)(s->wall_us / 1000 % 1000), s->seconds, name);
    }
    if (last) {
        n += (size_t)snprintf(list + n, sizeof(list) - n, "#EXT-X-ENDLIST\n");
    }
    (void)snprintf(name, sizeof(name), "%up.m3u8", hls->conf.height);
    return put_file(hls, name, list, n);
}

/* A process before this one has numbered segments: it goes on behind them. */
static uint64_t number_after(const struct hls *hls)
{
    char path[PATH_MAX], name[NAME], line[128];
    uint64_t number = 0;
    FILE *file;

    (void)snprintf(name, sizeof(name), "%up.m3u8", hls->conf.height);
    path_of(hls, name, path);
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

static void take_away(const struct hls *hls, uint64_t number)
{
    char name[NAME], path[PATH_MAX];

    segment_name(hls, number, name);
    path_of(hls, name, path);
    (void)unlink(path);
}

/* Ends the segment that is gathered; the next begins with the picture 'until'. */
static int cut(struct hls *hls, int64_t until, bool last)
{
    struct segment *s;
    char name[NAME];
    const uint8_t *bytes;
    size_t len;
    int err = fmp4_cut(hls->fmp4, last);

    bytes = fmp4_take(hls->fmp4, &len);
    segment_name(hls, hls->next, name);
    if (err == 0) {
        err = put_file(hls, name, bytes, len);
    }
    if (err != 0) {
        return err;
    }
    hls->bytes += len;
    if (hls->n == HLS_WINDOW) {
        memmove(hls->segments, hls->segments + 1, (HLS_WINDOW - 1) * sizeof(*s));
        hls->n--;
    }
    s = &hls->segments[hls->n++];
    *s = (struct segment){.number = hls->next++,
                          .seconds = (double)(until - hls->since) / ENCODER_FPS,
                          .wall_us = hls->since_wall_us};
    if (s->number >= HLS_KEPT) {
        take_away(hls, s->number - HLS_KEPT);
    }
    err = write_list(hls, last);
    if (err == 0 && !hls->announced) {
        hls->announced = true;
        err = announce(hls);
    }
    return err;
}

int hls_open(struct hls **out, const struct hls_conf *conf)
{
    struct hls *hls = calloc(1, sizeof(*hls));
    char name[NAME];
    const uint8_t *bytes;
    size_t len;
    int err;

    if (hls == NULL) {
        return -ENOMEM;
    }
    hls->conf = *conf;
    (void)snprintf(hls->directory, sizeof(hls->directory), "%s", conf->directory);
    hls->since = -1;
    hls->next = number_after(hls);
    fmp4_codecs(conf->encoder, hls->codecs, sizeof(hls->codecs));
    err = fmp4_create(&hls->fmp4, conf->encoder);
    if (err == 0) {
        bytes = fmp4_take(hls->fmp4, &len);
        (void)snprintf(name, sizeof(name), "%u-init.mp4", conf->part);
        err = put_file(hls, name, bytes, len);
    }
    if (err != 0) {
        fmp4_destroy(hls->fmp4);
        free(hls);
        return err;
    }
    *out = hls;
    return 0;
}

int hls_put(struct hls *hls, enum encoder_kind kind, const AVPacket *packet,
            uint64_t wall_us)
{
    bool key = kind == ENCODER_VIDEO && (packet->flags & AV_PKT_FLAG_KEY) != 0;

    if (hls->err == 0) {
        hls->err = fmp4_put(hls->fmp4, kind, packet);
    }
    if (hls->err == 0 && key && hls->since >= 0 &&
        packet->pts - hls->since >= ENCODER_FPS) {
        hls->err = cut(hls, packet->pts, false);
        hls->since = -1;
    }
    if (key && hls->since < 0) {
        hls->since = packet->pts;
        hls->since_wall_us = wall_us;
    }
    return hls->err;
}

int hls_close(struct hls *hls)
{
    int err;

    if (hls == NULL) {
        return 0;
    }
    err = hls->err;
    if (err == 0) {
        /* what is left is shorter than a segment: it is not worth a file of its own */
        err = write_list(hls, true);
    }
    fmp4_destroy(hls->fmp4);
    free(hls);
    return err;
}

void hls_figures(const struct hls *hls, struct hls_figures *out)
{
    *out = (struct hls_figures){.segments = hls->next, .bytes = hls->bytes};
}
