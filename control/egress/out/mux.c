#include "egress/out/mux.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress/out/averror.h"

struct mux {
    AVFormatContext *format;
    AVPacket *packet;
    uint32_t hz;
    int64_t last; /* in the file's time base; -1 none yet */
    bool begun;   /* its header is written */
};

const char *mux_extension(enum abi_codec codec)
{
    return codec == ABI_CODEC_VP8 ? "webm" : "mp4";
}

static int fail(int averror, const char *what, char reason[MUX_REASON])
{
    char text[64] = "";

    (void)av_strerror(averror, text, sizeof(text));
    (void)snprintf(reason, MUX_REASON, "%s: %s", what, text);
    return averror_errno(averror);
}

static enum AVCodecID codec_id(enum abi_codec codec)
{
    switch (codec) {
    case ABI_CODEC_VP8:
        return AV_CODEC_ID_VP8;
    case ABI_CODEC_VP9:
        return AV_CODEC_ID_VP9;
    case ABI_CODEC_H264:
        return AV_CODEC_ID_H264;
    case ABI_CODEC_AV1:
        return AV_CODEC_ID_AV1;
    default:
        return AV_CODEC_ID_OPUS;
    }
}

/* The picture's size, profile and level as the first frame has them. */
static int ask_parser(AVCodecParameters *par, const struct mux_conf *conf)
{
    AVCodecParserContext *parser = av_parser_init((int)par->codec_id);
    AVCodecContext *codec = avcodec_alloc_context3(NULL);
    uint8_t *padded = av_mallocz(conf->first_len + AV_INPUT_BUFFER_PADDING_SIZE);
    uint8_t *out;
    int out_len;
    int err = -ENOMEM;

    if (parser != NULL && codec != NULL && padded != NULL) {
        memcpy(padded, conf->first, conf->first_len);
        codec->codec_id = par->codec_id;
        codec->codec_type = AVMEDIA_TYPE_VIDEO;
        parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
        (void)av_parser_parse2(parser, codec, &out, &out_len, padded, (int)conf->first_len,
                               AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
        par->width = parser->width > 0 ? parser->width : codec->width;
        par->height = parser->height > 0 ? parser->height : codec->height;
        par->profile = codec->profile;
        par->level = codec->level;
        err = par->width > 0 && par->height > 0 ? 0 : -EBADMSG;
    }
    av_parser_close(parser);
    avcodec_free_context(&codec);
    av_free(padded);
    return err;
}

static int set_extradata(AVCodecParameters *par, const uint8_t *data, size_t len)
{
    par->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (par->extradata == NULL) {
        return -ENOMEM;
    }
    memcpy(par->extradata, data, len);
    par->extradata_size = (int)len;
    return 0;
}

static int set_audio(AVCodecParameters *par)
{
    /* RFC 7845, 5.1: two channels, nothing to skip (it is joined midway), 48 kHz */
    static const uint8_t head[19] = {'O', 'p', 'u',  's',  'H', 'e', 'a', 'd', 1, 2,
                                     0,   0,   0x80, 0xbb, 0,   0,   0,   0,   0};

    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->sample_rate = 48000;
    par->frame_size = 960;
    av_channel_layout_default(&par->ch_layout, 2);
    return set_extradata(par, head, sizeof(head));
}

static int set_video(AVCodecParameters *par, const struct mux_conf *conf)
{
    int err = 0;

    par->codec_type = AVMEDIA_TYPE_VIDEO;
    par->format = 0; /* YUV 4:2:0, 8 bit: all that browsers send */
    par->width = conf->width;
    par->height = conf->height;
    if (par->width == 0) {
        err = ask_parser(par, conf);
    }
    if (err == 0 && conf->extradata_len > 0) {
        err = set_extradata(par, conf->extradata, conf->extradata_len);
    }
    return err;
}

static int begin(struct mux *mux, const struct mux_conf *conf, char reason[MUX_REASON])
{
    AVDictionary *options = NULL;
    AVStream *stream;
    int err = avformat_alloc_output_context2(&mux->format, NULL, mux_extension(conf->codec),
                                             conf->path);

    if (err < 0) {
        return fail(err, "no muxer", reason);
    }
    stream = avformat_new_stream(mux->format, NULL);
    if (stream == NULL) {
        return fail(AVERROR(ENOMEM), "no stream", reason);
    }
    stream->time_base = (AVRational){1, (int)conf->hz};
    stream->codecpar->codec_id = codec_id(conf->codec);
    err = conf->codec == ABI_CODEC_OPUS ? set_audio(stream->codecpar)
                                        : set_video(stream->codecpar, conf);
    if (err < 0) {
        return fail(err, "the first frame does not tell what it is", reason);
    }
    err = avio_open2(&mux->format->pb, conf->path, AVIO_FLAG_WRITE, NULL, NULL);
    if (err < 0) {
        return fail(err, "cannot open the file", reason);
    }
    mux->format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
    (void)av_dict_set(&options, "movflags", "frag_keyframe+empty_moov+default_base_moof",
                      0);
    (void)av_dict_set(&options, "frag_duration", "1000000", 0);
    (void)av_dict_set(&options, "cluster_time_limit", "1000", 0);
    (void)av_dict_set(&options, "strict", "-2", 0);
    err = avformat_write_header(mux->format, &options);
    av_dict_free(&options);
    if (err >= 0 && mux->format->pb->error < 0) {
        err = mux->format->pb->error;
    }
    mux->begun = err >= 0;
    return err < 0 ? fail(err, "cannot begin the file", reason) : 0;
}

int mux_open(struct mux **out, const struct mux_conf *conf, char reason[MUX_REASON])
{
    struct mux *mux = calloc(1, sizeof(*mux));
    int err;

    if (mux == NULL || (mux->packet = av_packet_alloc()) == NULL) {
        free(mux);
        return fail(AVERROR(ENOMEM), "no memory", reason);
    }
    mux->hz = conf->hz;
    mux->last = -1;
    err = begin(mux, conf, reason);
    if (err != 0) {
        char ignored[MUX_REASON];
        bool made = mux->format != NULL && mux->format->pb != NULL;

        (void)mux_close(mux, NULL, ignored);
        if (made) {
            (void)unlink(conf->path); /* nothing is in it */
        }
        return err;
    }
    *out = mux;
    return 0;
}

int mux_write(struct mux *mux, const uint8_t *data, size_t len, int64_t ticks,
              int64_t duration, bool key, char reason[MUX_REASON])
{
    const AVStream *stream = mux->format->streams[0];
    AVPacket *packet = mux->packet;
    int err = av_new_packet(packet, (int)len);

    if (err < 0) {
        return fail(err, "no memory", reason);
    }
    memcpy(packet->data, data, len);
    packet->pts = ticks;
    packet->duration = duration;
    packet->flags = key ? AV_PKT_FLAG_KEY : 0;
    packet->time_base = (AVRational){1, (int)mux->hz};
    av_packet_rescale_ts(packet, packet->time_base, stream->time_base);
    packet->pts = packet->pts > mux->last ? packet->pts : mux->last + 1;
    packet->dts = mux->last = packet->pts;
    err = av_write_frame(mux->format, packet);
    av_packet_unref(packet);
    if (err >= 0 && mux->format->pb->error < 0) {
        err = mux->format->pb->error;
    }
    return err < 0 ? fail(err, "cannot write", reason) : 0;
}

int mux_close(struct mux *mux, uint64_t *bytes, char reason[MUX_REASON])
{
    int err = 0;

    if (mux == NULL) {
        return 0;
    }
    if (mux->begun) {
        err = av_write_trailer(mux->format);
    }
    if (mux->format != NULL && mux->format->pb != NULL) {
        int64_t size = avio_size(mux->format->pb);
        int closed = avio_closep(&mux->format->pb);

        if (bytes != NULL && size > 0) {
            *bytes = (uint64_t)size;
        }
        err = err < 0 ? err : closed;
    }
    avformat_free_context(mux->format);
    av_packet_free(&mux->packet);
    free(mux);
    return err < 0 ? fail(err, "cannot end the file", reason) : 0;
}

uint64_t mux_bytes(const struct mux *mux)
{
    int64_t at = avio_tell(mux->format->pb);

    return at > 0 ? (uint64_t)at : 0;
}
