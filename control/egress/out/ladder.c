#include "egress/out/ladder.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>

struct rung {
    struct ladder *ladder;
    unsigned number;
    struct encoder *encoder;
    struct SwsContext *scaler; /* NULL: nothing was scaled yet */
    AVFrame *frame;            /* the picture in this size; NULL: as above */
};

struct ladder {
    struct ladder_conf conf;
    struct rung rungs[LADDER_RUNGS];
};

static void on_packet(void *arg, enum encoder_kind kind, const struct AVPacket *packet)
{
    const struct rung *rung = arg;
    const struct ladder_conf *conf = &rung->ladder->conf;

    conf->packet(conf->arg, rung->number, kind, packet);
}

static int open_rung(struct ladder *ladder, unsigned i, char reason[ENCODER_REASON])
{
    const struct ladder_rung *from = &ladder->conf.rungs[i];
    const bool pictures = i < ladder->conf.n;
    const struct encoder_conf conf = {.width = pictures ? from->width : 0,
                                      .height = pictures ? from->height : 0,
                                      .video_bps = pictures ? from->bps : 0,
                                      .audio_bps = i == 0 ? ladder->conf.audio_bps : 0,
                                      .packet = on_packet,
                                      .arg = &ladder->rungs[i]};

    ladder->rungs[i].ladder = ladder;
    ladder->rungs[i].number = i;
    return encoder_create(&ladder->rungs[i].encoder, &conf, reason);
}

int ladder_create(struct ladder **out, const struct ladder_conf *conf,
                  char reason[ENCODER_REASON])
{
    struct ladder *ladder = calloc(1, sizeof(*ladder));
    int err = 0;

    if (ladder == NULL || conf->n > LADDER_RUNGS) {
        (void)snprintf(reason, ENCODER_REASON, "no memory");
        free(ladder);
        return -ENOMEM;
    }
    ladder->conf = *conf;
    for (unsigned i = 0; (i == 0 || i < conf->n) && err == 0; i++) {
        err = open_rung(ladder, i, reason);
    }
    if (err != 0) {
        ladder_destroy(ladder);
        return err;
    }
    *out = ladder;
    return 0;
}

void ladder_destroy(struct ladder *ladder)
{
    if (ladder == NULL) {
        return;
    }
    for (unsigned i = 0; i < LADDER_RUNGS; i++) {
        encoder_destroy(ladder->rungs[i].encoder);
        sws_freeContext(ladder->rungs[i].scaler);
        av_frame_free(&ladder->rungs[i].frame);
    }
    free(ladder);
}

static int make_frame(struct rung *rung, const AVFrame *like)
{
    const struct ladder_rung *size = &rung->ladder->conf.rungs[rung->number];
    AVFrame *frame = av_frame_alloc();

    if (frame == NULL) {
        return -ENOMEM;
    }
    frame->format = like->format;
    frame->width = (int)size->width;
    frame->height = (int)size->height;
    if (av_frame_get_buffer(frame, 0) < 0 || av_frame_copy_props(frame, like) < 0) {
        av_frame_free(&frame);
        return -ENOMEM;
    }
    rung->frame = frame;
    return 0;
}

/* The picture in the rung's size, from one in another; borrowed till the next. */
static AVFrame *scaled(struct rung *rung, AVFrame *from)
{
    const struct ladder_rung *size = &rung->ladder->conf.rungs[rung->number];

    if (from->width == (int)size->width && from->height == (int)size->height) {
        return from;
    }
    if (rung->frame == NULL && make_frame(rung, from) != 0) {
        return NULL;
    }
    rung->scaler = sws_getCachedContext(rung->scaler, from->width, from->height,
                                        from->format, (int)size->width, (int)size->height,
                                        rung->frame->format, SWS_AREA, NULL, NULL, NULL);
    if (rung->scaler == NULL || av_frame_make_writable(rung->frame) < 0 ||
        sws_scale(rung->scaler, (const uint8_t *const *)from->data, from->linesize, 0,
                  from->height, rung->frame->data, rung->frame->linesize) < 0) {
        return NULL;
    }
    return rung->frame;
}

int ladder_picture(struct ladder *ladder, AVFrame *frame, int64_t at, bool key)
{
    AVFrame *above = frame;
    int err = 0;

    /* each from the one above it, which has less to be read than the whole */
    for (unsigned i = 0; i < ladder->conf.n && err == 0; i++) {
        above = scaled(&ladder->rungs[i], above);
        err = above != NULL ? encoder_picture(ladder->rungs[i].encoder, above, at, key)
                            : -ENOMEM;
    }
    return err;
}

int ladder_sound(struct ladder *ladder, const float *left, const float *right, int64_t at)
{
    return encoder_sound(ladder->rungs[0].encoder, left, right, at);
}

const struct encoder *ladder_encoder(const struct ladder *ladder, unsigned rung)
{
    return ladder->rungs[rung].encoder;
}
