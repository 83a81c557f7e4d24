#include "egress/track/track.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/out/recode.h"

struct track {
    struct track_conf conf;
    char name[FEED_NAME + 1];
    struct feed feed;
    struct timeline timeline;
    struct mux *mux;
    struct recode *recode; /* NULL: frames are written as they are */
    bool has_file, ended;
    int err;             /* nothing more is written */
    int64_t first_ticks; /* of the file's first frame */
    int64_t length_ticks;
    uint64_t bytes, frames;
    uint64_t overrun; /* packets that were overwritten before they were read */
    char reason[MUX_REASON];
};

static bool name_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= FEED_NAME && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-.") == len;
}

int track_open(struct track **out, const struct track_conf *conf)
{
    struct track *track = NULL;
    int err = name_ok(conf->name) && conf->hz != 0 ? 0 : -EINVAL;

    if (err == 0) {
        track = calloc(1, sizeof(*track));
        err = track == NULL
                  ? -ENOMEM
                  : feed_init(&track->feed, conf->rings, conf->handle, conf->codec);
    }
    if (err == 0 && conf->mp4 && conf->codec == ABI_CODEC_VP8) {
        err = recode_create(&track->recode, conf->hz);
    }
    if (err != 0) {
        track_close(track);
        return err;
    }
    track->conf = *conf;
    (void)snprintf(track->name, sizeof(track->name), "%s", conf->name);
    timeline_init(&track->timeline, conf->hz);
    *out = track;
    return 0;
}

static void fail(struct track *track, int err)
{
    char ignored[MUX_REASON];

    track->err = err;
    (void)mux_close(track->mux, &track->bytes, ignored);
    track->mux = NULL;
}

/* Whether it is the place that all files are in, or that none can be opened: no other track
 * fares better. Anything else is about what this one's publisher sends. */
static bool is_of_all(int err)
{
    switch (-err) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EROFS:
    case ENOENT: /* these only come of opening a file */
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case ENFILE:
    case EMFILE:
        return true;
    default:
        return false;
    }
}

static enum abi_codec codec_of(const struct track *track)
{
    return track->recode != NULL ? ABI_CODEC_H264 : track->conf.codec;
}

static int begin_file(struct track *track, const struct depay_frame *frame)
{
    uint8_t extradata[2 * DEPAY_SETS];
    char path[PATH_MAX];
    struct mux_conf conf = {.path = path,
                            .codec = codec_of(track),
                            .hz = track->conf.hz,
                            .width = frame->width,
                            .height = frame->height,
                            .extradata = extradata,
                            .first = frame->data,
                            .first_len = frame->len};

    if (track->recode != NULL) {
        conf.extradata =
            recode_extradata(track->recode, &conf.extradata_len, &conf.width, &conf.height);
    } else {
        conf.extradata_len =
            depay_extradata(&track->feed.depay, extradata, sizeof(extradata));
    }
    (void)snprintf(path, sizeof(path), "%s/%s.%s", track->conf.directory, track->name,
                   mux_extension(codec_of(track)));
    return mux_open(&track->mux, &conf, track->reason);
}

static void write_frame(struct track *track, const struct depay_frame *frame, int64_t ticks,
                        int64_t duration)
{
    int err = 0;

    if (track->mux == NULL) {
        err = begin_file(track, frame);
        if (err != 0) {
            fail(track, err);
            return;
        }
        track->has_file = true;
        track->first_ticks = ticks;
    }
    err = mux_write(track->mux, frame->data, frame->len, ticks - track->first_ticks,
                    duration, frame->key, track->reason);
    if (err != 0) {
        fail(track, err);
        return;
    }
    track->bytes = mux_bytes(track->mux);
    track->frames++;
    if (ticks - track->first_ticks + duration > track->length_ticks) {
        track->length_ticks = ticks - track->first_ticks + duration;
    }
}

/* What its decoder makes nothing of is left out, and what follows until a key frame. */
static void on_vp8(struct track *track, const struct depay_frame *frame, int64_t ticks)
{
    struct recode_picture picture;
    const int got =
        recode_put(track->recode, frame->data, frame->len, frame->key, ticks, &picture);

    if (got > 0) {
        const struct depay_frame made = {
            .data = picture.data, .len = picture.len, .key = picture.key};

        write_frame(track, &made, picture.ticks, 0);
    } else if (got == -EBADMSG) {
        feed_spoilt(&track->feed);
    } else if (got < 0) {
        (void)snprintf(track->reason, sizeof(track->reason), "cannot be transcoded: %s",
                       strerror(-got));
        fail(track, got == -EIO ? -EBADMSG : got); /* it is not the disk's */
    }
}

static void on_frame(void *arg, const struct depay_frame *frame, uint64_t arrival_us)
{
    struct track *track = arg;
    int64_t duration = track->conf.codec == ABI_CODEC_OPUS
                           ? depay_opus_samples(frame->data, frame->len)
                           : 0;
    int64_t ticks = timeline_at(&track->timeline, frame->ts, arrival_us, track->conf.clock);

    if (track->err != 0) {
        return;
    }
    if (track->recode != NULL) {
        on_vp8(track, frame, ticks);
    } else {
        write_frame(track, frame, ticks, duration);
    }
}

static void note_report(struct track *track)
{
    uint64_t ntp;
    uint32_t ts;

    if (feed_report(&track->feed, &ntp, &ts)) {
        timeline_on_report(&track->timeline, ntp, ts);
    }
}

enum track_news track_run(struct track *track, uint64_t now_us)
{
    feed_run(&track->feed, now_us, on_frame, track);
    note_report(track);
    if (track->err != 0) {
        return track->err == -ENOMEM   ? TRACK_NO_MEMORY
               : is_of_all(track->err) ? TRACK_FAILED
                                       : TRACK_BROKEN;
    }
    return feed_wants_key(&track->feed, now_us) ? TRACK_WANTS_KEY : TRACK_QUIET;
}

void track_end(struct track *track, uint64_t now_us)
{
    feed_end(&track->feed, now_us, on_frame, track);
    note_report(track);
    if (track->mux != NULL) {
        track->err = mux_close(track->mux, &track->bytes, track->reason);
        track->mux = NULL;
    }
    track->ended = true;
}

void track_state(const struct track *track, struct track_state *out)
{
    int64_t us = track->first_ticks * 1000000 / track->conf.hz;

    *out = (struct track_state){.name = track->name,
                                .extension = mux_extension(codec_of(track)),
                                .has_file = track->has_file,
                                .whole = track->ended && track->err == 0,
                                .start_us = !track->has_file
                                                ? 0
                                                : us + timeline_start(&track->timeline,
                                                                      track->conf.clock,
                                                                      track->conf.zero_us),
                                .length_us = track->length_ticks * 1000000 / track->conf.hz,
                                .bytes = track->bytes,
                                .frames = track->frames,
                                .lost = feed_lost(&track->feed)};
}

const char *track_reason(const struct track *track)
{
    return track->reason;
}

void track_close(struct track *track)
{
    char ignored[MUX_REASON];

    if (track != NULL) {
        (void)mux_close(track->mux, NULL, ignored);
        feed_fini(&track->feed);
        recode_destroy(track->recode);
    }
    free(track);
}
