#include "egress/out/recode.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS_MAX = 4096 * 2304, FPS = 30, KEY_PICTURES = 10 * FPS };

struct recode {
    uint32_t hz;
    AVCodecContext *from, *to; /* 'to': once there was a picture */
    AVFrame *decoded, *fitted;
    struct SwsContext *scaler;
    AVPacket *in, *out;
    int64_t last; /* ticks; INT64_MIN: none yet */
    bool wants_key;
};

int recode_create(struct recode **out, uint32_t hz)
{
    const AVCodec *vp8 = avcodec_find_decoder(AV_CODEC_ID_VP8);
    struct recode *recode = calloc(1, sizeof(*recode));
    int err = recode == NULL ? -ENOMEM : vp8 == NULL ? -ENOSYS : 0;

    if (err == 0) {
        recode->hz = hz;
        recode->last = INT64_MIN;
        recode->from = avcodec_alloc_context3(vp8);
        recode->decoded = av_frame_alloc();
        recode->fitted = av_frame_alloc();
        recode->in = av_packet_alloc();
        recode->out = av_packet_alloc();
        err = recode->from != NULL && recode->decoded != NULL && recode->fitted != NULL &&
                      recode->in != NULL && recode->out != NULL
                  ? 0
                  : -ENOMEM;
    }
    if (err == 0) {
        recode->from->thread_count = 1;
        recode->from->flags |= AV_CODEC_FLAG_LOW_DELAY;
        recode->from->max_pixels = PIXELS_MAX;
        err = avcodec_open2(recode->from, vp8, NULL) == 0 ? 0 : -ENOSYS;
    }
    if (err != 0) {
        recode_destroy(recode);
        return err;
    }
    *out = recode;
    return 0;
}

void recode_destroy(struct recode *recode)
{
    if (recode == NULL) {
        return;
    }
    avcodec_free_context(&recode->from);
    avcodec_free_context(&recode->to);
    av_frame_free(&recode->decoded);
    av_frame_free(&recode->fitted);
    sws_freeContext(recode->scaler);
    av_packet_free(&recode->in);
    av_packet_free(&recode->out);
    free(recode);
}

/* ---- the encoder ---- */

static int even(int n)
{
    return (n + 1) / 2 * 2;
}

static int open_encoder(struct recode *recode)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    AVDictionary *options = NULL;
    int err;

    if (c == NULL) {
        return codec == NULL ? -ENOSYS : -ENOMEM;
    }
    recode->to = c;
    c->width = even(recode->decoded->width);
    c->height = even(recode->decoded->height);
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_SMPTE170M; /* which VP8 knows alone */
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->time_base = (AVRational){1, (int)recode->hz};
    c->framerate = (AVRational){FPS, 1};
    c->gop_size = KEY_PICTURES;
    c->max_b_frames = 0;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    (void)av_dict_set(&options, "crf", "23", 0);
    (void)av_dict_set(&options, "preset", "veryfast", 0);
    (void)av_dict_set(&options, "tune", "zerolatency", 0);
    (void)av_dict_set(&options, "forced-idr", "1", 0);
    err = avcodec_open2(c, codec, &options);
    av_dict_free(&options);
    if (err < 0) {
        avcodec_free_context(&recode->to);
        return err == AVERROR(ENOMEM) ? -ENOMEM : -ENOSYS;
    }
    recode->fitted->width = c->width;
    recode->fitted->height = c->height;
    recode->fitted->format = c->pix_fmt;
    return av_frame_get_buffer(recode->fitted, 0) == 0 ? 0 : -ENOMEM;
}

/* One of another size into the middle, with its own shape. */
static int fit(struct recode *recode)
{
    static const enum AVPixelFormat format = AV_PIX_FMT_YUV420P;
    const AVFrame *from = recode->decoded;
    AVFrame *to = recode->fitted;
    uint8_t *at[4];
    ptrdiff_t lines[4];
    const int64_t w = from->width, h = from->height;
    int width = to->width, height = to->height, x, y;

    if (w * height > h * width) {
        height = (int)(h * width / w) / 2 * 2;
    } else {
        width = (int)(w * height / h) / 2 * 2;
    }
    width = width < 2 ? 2 : width;
    height = height < 2 ? 2 : height;
    x = (to->width - width) / 4 * 2;
    y = (to->height - height) / 4 * 2;
    if (av_frame_make_writable(to) < 0) {
        return -ENOMEM;
    }
    for (int i = 0; i < 4; i++) {
        lines[i] = to->linesize[i];
    }
    (void)av_image_fill_black(to->data, lines, format, AVCOL_RANGE_MPEG, to->width,
                              to->height);
    recode->scaler =
        sws_getCachedContext(recode->scaler, from->width, from->height, format, width,
                             height, format, SWS_BILINEAR, NULL, NULL, NULL);
    if (recode->scaler == NULL) {
        return -ENOMEM;
    }
    at[0] = to->data[0] + (ptrdiff_t)y * to->linesize[0] + x;
    at[1] = to->data[1] + (ptrdiff_t)(y / 2) * to->linesize[1] + x / 2;
    at[2] = to->data[2] + (ptrdiff_t)(y / 2) * to->linesize[2] + x / 2;
    at[3] = NULL;
    (void)sws_scale(recode->scaler, (const uint8_t *const *)from->data, from->linesize, 0,
                    from->height, at, to->linesize);
    return 0;
}

static int encode(struct recode *recode, int64_t ticks, struct recode_picture *out)
{
    AVFrame *frame = recode->decoded;
    int err = recode->to == NULL ? open_encoder(recode) : 0;

    if (err == 0 &&
        (frame->width != recode->to->width || frame->height != recode->to->height)) {
        err = fit(recode);
        frame = recode->fitted;
    }
    if (err != 0) {
        return err;
    }
    recode->last = ticks > recode->last ? ticks : recode->last + 1;
    frame->pts = recode->last;
    frame->pict_type = recode->wants_key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    recode->wants_key = false;
    err = avcodec_send_frame(recode->to, frame);
    err = err < 0 ? err : avcodec_receive_packet(recode->to, recode->out);
    if (err < 0) {
        return err == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
    }
    *out = (struct recode_picture){.data = recode->out->data,
                                   .len = (size_t)recode->out->size,
                                   .ticks = recode->out->pts,
                                   .key = (recode->out->flags & AV_PKT_FLAG_KEY) != 0};
    return 1;
}

/* ---- frames ---- */

int recode_put(struct recode *recode, const uint8_t *data, size_t len, bool key,
               int64_t ticks, struct recode_picture *out)
{
    int err = len <= INT32_MAX / 2 ? av_new_packet(recode->in, (int)len) : AVERROR(EINVAL);

    av_packet_unref(recode->out);
    if (err < 0) {
        return err == AVERROR(ENOMEM) ? -ENOMEM : -EBADMSG;
    }
    memcpy(recode->in->data, data, len);
    recode->wants_key = recode->wants_key || key;
    err = avcodec_send_packet(recode->from, recode->in);
    av_packet_unref(recode->in);
    err = err < 0 ? err : avcodec_receive_frame(recode->from, recode->decoded);
    if (err == AVERROR(EAGAIN)) {
        return 0;
    }
    if (err < 0 || recode->decoded->format != AV_PIX_FMT_YUV420P) {
        av_frame_unref(recode->decoded);
        return err == AVERROR(ENOMEM) ? -ENOMEM : -EBADMSG;
    }
    err = encode(recode, ticks, out);
    av_frame_unref(recode->decoded);
    return err;
}

const uint8_t *recode_extradata(const struct recode *recode, size_t *len, uint16_t *width,
                                uint16_t *height)
{
    *len = (size_t)recode->to->extradata_size;
    *width = (uint16_t)recode->to->width;
    *height = (uint16_t)recode->to->height;
    return recode->to->extradata;
}
