#include "egress/track.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sfu/base/handle.h"

enum { BURST = 2048 }; /* packets in one turn: two rings of video */

struct track {
    struct track_conf conf;
    char name[TRACK_NAME + 1];
    const struct tap *tap;
    uint64_t at; /* the position to read next */
    struct order order;
    struct order_packet *slots;
    struct depay depay;
    struct depay_buffers *buffers;
    struct timeline timeline;
    struct mux *mux;
    bool has_file, wants_key, ended;
    int err; /* nothing more is written */
    uint64_t asked_us;
    int64_t first_ticks; /* of the file's first frame */
    int64_t length_ticks;
    uint64_t bytes, frames;
    uint64_t overrun; /* packets that were overwritten before they were read */
    char reason[MUX_REASON];
};

static bool name_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= TRACK_NAME && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-.") == len;
}

int track_open(struct track **out, const struct track_conf *conf)
{
    bool video = conf->codec != ABI_CODEC_OPUS;
    uint32_t n = video ? TRACK_VIDEO_SLOTS : TRACK_AUDIO_SLOTS;
    uint32_t index = handle_index(conf->handle);
    struct track *track;

    if (!name_ok(conf->name) || index >= conf->n_taps || conf->hz == 0 ||
        conf->handle == HANDLE_NONE || conf->codec < ABI_CODEC_OPUS ||
        conf->codec >= N_ABI_CODECS) {
        return -EINVAL;
    }
    track = calloc(1, sizeof(*track));
    if (track == NULL) {
        return -ENOMEM;
    }
    track->slots = calloc(n, sizeof(*track->slots));
    track->buffers = video ? malloc(sizeof(*track->buffers)) : NULL;
    if (track->slots == NULL || (video && track->buffers == NULL)) {
        track_close(track);
        return -ENOMEM;
    }
    track->conf = *conf;
    (void)snprintf(track->name, sizeof(track->name), "%s", conf->name);
    track->tap =
        (const struct tap *)(const void *)((const uint8_t *)conf->streams + 64) + index;
    track->at = atomic_load_explicit(&track->tap->head, memory_order_acquire);
    order_init(&track->order, track->slots, n, TRACK_HOLD_US);
    depay_init(&track->depay, conf->codec, track->buffers);
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

static int begin_file(struct track *track, const struct depay_frame *frame)
{
    uint8_t extradata[2 * DEPAY_SETS];
    char path[PATH_MAX];
    struct mux_conf conf = {.path = path,
                            .codec = track->conf.codec,
                            .hz = track->conf.hz,
                            .width = frame->width,
                            .height = frame->height,
                            .extradata = extradata,
                            .first = frame->data,
                            .first_len = frame->len};

    conf.extradata_len = depay_extradata(&track->depay, extradata, sizeof(extradata));
    (void)snprintf(path, sizeof(path), "%s/%s.%s", track->conf.directory, track->name,
                   mux_extension(track->conf.codec));
    return mux_open(&track->mux, &conf, track->reason);
}

static void on_frame(struct track *track, const struct depay_frame *frame,
                     uint64_t arrival_us)
{
    int64_t duration = track->conf.codec == ABI_CODEC_OPUS
                           ? depay_opus_samples(frame->data, frame->len)
                           : 0;
    int64_t ticks = timeline_at(&track->timeline, frame->ts, arrival_us, track->conf.clock);
    int err = 0;

    if (track->err != 0) {
        return;
    }
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

static void on_packet(struct track *track, const struct order_packet *p, bool lost)
{
    struct depay_frame frame;

    if (depay_ends(&track->depay, p->ts, lost, &frame)) {
        on_frame(track, &frame, p->arrival_us);
    }
    if (depay_put(&track->depay, p->data, p->len, p->ts, p->marker, lost, &frame)) {
        on_frame(track, &frame, p->arrival_us);
    }
}

static void read_ring(struct track *track, uint64_t now_us)
{
    uint8_t payload[ORDER_PACKET];
    struct tap_slot slot;
    enum tap_got got = TAP_GOT;

    for (unsigned i = 0; i < BURST && (got == TAP_GOT || got == TAP_LOST); i++) {
        uint64_t next = track->at;

        got =
            tap_read(track->conf.streams, track->conf.streams_len, track->tap,
                     track->conf.handle, track->at, &slot, payload, sizeof(payload), &next);
        if (got == TAP_GOT) {
            const struct order_packet meta = {.seq = slot.seq,
                                              .arrival_us = slot.arrival_us,
                                              .ts = slot.ts,
                                              .len = slot.len,
                                              .marker = (slot.flags & TAP_MARKER) != 0};

            (void)order_put(&track->order, &meta, payload, now_us);
        } else if (got == TAP_LOST) {
            track->overrun += next > track->at ? next - track->at : 0;
        }
        track->at = got == TAP_GOT || got == TAP_LOST ? next : track->at;
    }
}

static void drain(struct track *track, uint64_t now_us)
{
    const struct order_packet *p;
    uint64_t ntp;
    uint32_t ts;
    bool lost;

    while ((p = order_take(&track->order, now_us, &lost)) != NULL) {
        on_packet(track, p, lost);
    }
    if (tap_is(track->tap, track->conf.handle) && tap_clock_read(track->tap, &ntp, &ts)) {
        timeline_on_report(&track->timeline, ntp, ts);
    }
}

enum track_news track_run(struct track *track, uint64_t now_us)
{
    read_ring(track, now_us);
    drain(track, now_us);
    if (track->err != 0) {
        return is_of_all(track->err) ? TRACK_FAILED : TRACK_BROKEN;
    }
    track->wants_key = depay_wants_key(&track->depay) || track->depay.need_key;
    if (track->wants_key &&
        (track->asked_us == 0 || now_us - track->asked_us >= TRACK_ASK_US)) {
        track->asked_us = now_us;
        return TRACK_WANTS_KEY;
    }
    return TRACK_QUIET;
}

void track_end(struct track *track, uint64_t now_us)
{
    read_ring(track, now_us);
    drain(track, now_us + TRACK_HOLD_US); /* nothing is waited for any more */
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
                                .extension = mux_extension(track->conf.codec),
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
                                .lost = track->order.lost + track->overrun};
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
        free(track->slots);
        free(track->buffers);
    }
    free(track);
}
