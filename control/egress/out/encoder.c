#include "egress/out/encoder.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
    struct encoder_conf conf;
    AVCodecContext *of[N_ENCODER_KINDS];
    AVFrame *sound;
    AVPacket *packet;
};

static int fail(const char *what, int averror, char reason[ENCODER_REASON])
{
    char text[64] = "";

    (void)av_strerror(averror, text, sizeof(text));
    (void)snprintf(reason, ENCODER_REASON, "%s: %s", what, text);
    return averror == AVERROR(ENOMEM) ? -ENOMEM : -ENOSYS;
}

uint32_t encoder_peak_bps(uint32_t bps)
{
    return bps + bps / 2;
}

static int open_video(struct encoder *encoder, char reason[ENCODER_REASON])
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    AVDictionary *options = NULL;
    int err;

    if (c == NULL) {
        return fail("no encoder of H264", AVERROR_ENCODER_NOT_FOUND, reason);
    }
    encoder->of[ENCODER_VIDEO] = c;
    c->width = (int)encoder->conf.width;
    c->height = (int)encoder->conf.height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->time_base = (AVRational){1, ENCODER_FPS};
    c->framerate = (AVRational){ENCODER_FPS, 1};
    c->gop_size = 10 * ENCODER_FPS; /* key frames are asked for */
    c->max_b_frames = 0;
    c->rc_max_rate = encoder->conf.video_bps;
    c->rc_buffer_size =
        (int)(encoder_peak_bps(encoder->conf.video_bps) - encoder->conf.video_bps);
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    /* what stands still costs little, what moves no more than the rate */
    (void)av_dict_set(&options, "crf", "23", 0);
    (void)av_dict_set(&options, "preset", "veryfast", 0);
    (void)av_dict_set(&options, "tune", "zerolatency", 0);
    (void)av_dict_set(&options, "forced-idr", "1", 0);
    err = avcodec_open2(c, codec, &options);
    av_dict_free(&options);
    return err < 0 ? fail("H264", err, reason) : 0;
}

static int open_audio(struct encoder *encoder, char reason[ENCODER_REASON])
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    AVDictionary *options = NULL;
    int err;

    if (c == NULL) {
        return fail("no encoder of AAC", AVERROR_ENCODER_NOT_FOUND, reason);
    }
    encoder->of[ENCODER_AUDIO] = c;
    c->sample_rate = ENCODER_HZ;
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    c->bit_rate = encoder->conf.audio_bps;
    c->time_base = (AVRational){1, ENCODER_HZ};
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_default(&c->ch_layout, 2);
    /* half the time of the default, and no worse from 64 kbit/s on */
    (void)av_dict_set(&options, "aac_coder", "fast", 0);
    err = avcodec_open2(c, codec, &options);
    av_dict_free(&options);
    if (err < 0) {
        return fail("AAC", err, reason);
    }
    if (c->frame_size != ENCODER_SAMPLES) {
        return fail("AAC", AVERROR(EINVAL), reason);
    }
    encoder->sound->nb_samples = ENCODER_SAMPLES;
    encoder->sound->format = AV_SAMPLE_FMT_FLTP;
    encoder->sound->sample_rate = ENCODER_HZ;
    err = av_channel_layout_copy(&encoder->sound->ch_layout, &c->ch_layout);
    err = err < 0 ? err : av_frame_get_buffer(encoder->sound, 0);
    return err < 0 ? fail("AAC", err, reason) : 0;
}

int encoder_create(struct encoder **out, const struct encoder_conf *conf,
                   char reason[ENCODER_REASON])
{
    struct encoder *encoder = calloc(1, sizeof(*encoder));
    int err = 0;

    if (encoder != NULL) {
        encoder->sound = av_frame_alloc();
        encoder->packet = av_packet_alloc();
    }
    if (encoder == NULL || encoder->sound == NULL || encoder->packet == NULL) {
        encoder_destroy(encoder);
        return fail("no memory", AVERROR(ENOMEM), reason);
    }
    encoder->conf = *conf;
    if (conf->width > 0) {
        err = open_video(encoder, reason);
    }
    if (err == 0 && conf->audio_bps > 0) {
        err = open_audio(encoder, reason);
    }
    if (err != 0) {
        encoder_destroy(encoder);
        return err;
    }
    *out = encoder;
    return 0;
}

void encoder_destroy(struct encoder *encoder)
{
    if (encoder == NULL) {
        return;
    }
    for (unsigned kind = 0; kind < N_ENCODER_KINDS; kind++) {
        avcodec_free_context(&encoder->of[kind]);
    }
    av_frame_free(&encoder->sound);
    av_packet_free(&encoder->packet);
    free(encoder);
}

static int encode(struct encoder *encoder, enum encoder_kind kind, const AVFrame *frame)
{
    int err = avcodec_send_frame(encoder->of[kind], frame);

    while (err >= 0 &&
           (err = avcodec_receive_packet(encoder->of[kind], encoder->packet)) >= 0) {
        encoder->conf.packet(encoder->conf.arg, kind, encoder->packet);
        av_packet_unref(encoder->packet);
    }
    return err == AVERROR(EAGAIN) ? 0 : err == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
}

int encoder_picture(struct encoder *encoder, AVFrame *frame, int64_t at, bool key)
{
    frame->pts = at;
    frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    return encode(encoder, ENCODER_VIDEO, frame);
}

int encoder_sound(struct encoder *encoder, const float *left, const float *right,
                  int64_t at)
{
    int err = av_frame_make_writable(encoder->sound);

    if (err < 0) {
        return -ENOMEM;
    }
    memcpy(encoder->sound->data[0], left, ENCODER_SAMPLES * sizeof(*left));
    memcpy(encoder->sound->data[1], right, ENCODER_SAMPLES * sizeof(*right));
    encoder->sound->pts = at;
    return encode(encoder, ENCODER_AUDIO, encoder->sound);
}

const AVCodecContext *encoder_of(const struct encoder *encoder, enum encoder_kind kind)
{
    return encoder->of[kind];
}
