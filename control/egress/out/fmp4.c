#include "egress/out/fmp4.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 64 * 1024 };

struct fmp4 {
    AVFormatContext *format;
    int stream_of[N_ENCODER_KINDS]; /* -1: there is none */
    AVRational base_of[N_ENCODER_KINDS];
    AVPacket *held, *packet;
    bool has_held, begun;
    uint8_t *bytes;
    size_t len, cap;
};

/* libavformat's: adds bytes to ours. */
static int on_bytes(void *opaque, uint8_t *data, int len)
{
    struct fmp4 *fmp4 = opaque;

    if (fmp4->len + (size_t)len > fmp4->cap) {
        size_t cap = 2 * (fmp4->len + (size_t)len);
        uint8_t *bytes = realloc(fmp4->bytes, cap);

        if (bytes == NULL) {
            return AVERROR(ENOMEM);
        }
        fmp4->bytes = bytes;
        fmp4->cap = cap;
    }
    memcpy(fmp4->bytes + fmp4->len, data, (size_t)len);
    fmp4->len += (size_t)len;
    return len;
}

static int to_errno(int averror)
{
    return averror >= 0 ? 0 : averror == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL;
}

static int add_stream(struct fmp4 *fmp4, const struct encoder *encoder,
                      enum encoder_kind kind)
{
    const AVCodecContext *codec = encoder != NULL ? encoder_of(encoder, kind) : NULL;
    AVStream *stream;

    fmp4->stream_of[kind] = -1;
    if (codec == NULL) {
        return 0;
    }
    stream = avformat_new_stream(fmp4->format, NULL);
    if (stream == NULL) {
        return AVERROR(ENOMEM);
    }
    fmp4->stream_of[kind] = stream->index;
    fmp4->base_of[kind] = codec->time_base;
    stream->time_base = kind == ENCODER_VIDEO ? (AVRational){1, 90000} : codec->time_base;
    return avcodec_parameters_from_context(stream->codecpar, codec);
}

static int open_format(struct fmp4 *fmp4, const struct encoder *pictures,
                       const struct encoder *sound)
{
    const char *flags = "frag_custom+empty_moov+default_base_moof+frag_discont";
    AVDictionary *options = NULL;
    uint8_t *buffer = av_malloc(BUFFER);
    int err = avformat_alloc_output_context2(&fmp4->format, NULL, "mp4", NULL);

    if (err < 0 || buffer == NULL) {
        av_free(buffer);
        return err < 0 ? err : AVERROR(ENOMEM);
    }
    fmp4->format->pb = avio_alloc_context(buffer, BUFFER, 1, fmp4, NULL, on_bytes, NULL);
    if (fmp4->format->pb == NULL) {
        av_free(buffer);
        return AVERROR(ENOMEM);
    }
    fmp4->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    err = add_stream(fmp4, pictures, ENCODER_VIDEO);
    err = err < 0 ? err : add_stream(fmp4, sound, ENCODER_AUDIO);
    if (err < 0) {
        return err;
    }
    /* times as they are given: a part that begins later says so */
    (void)av_dict_set(&options, "movflags", flags, 0);
    if (pictures == NULL || sound == NULL) {
        (void)av_dict_set(&options, "movflags", "+cmaf", AV_DICT_APPEND);
    }
    (void)av_dict_set(&options, "avoid_negative_ts", "disabled", 0);
    err = avformat_write_header(fmp4->format, &options);
    av_dict_free(&options);
    fmp4->begun = err >= 0;
    return err;
}

int fmp4_create(struct fmp4 **out, const struct encoder *pictures,
                const struct encoder *sound)
{
    struct fmp4 *fmp4 = calloc(1, sizeof(*fmp4));
    int err = AVERROR(ENOMEM);

    if (fmp4 == NULL) {
        return -ENOMEM;
    }
    fmp4->held = av_packet_alloc();
    fmp4->packet = av_packet_alloc();
    if (fmp4->held != NULL && fmp4->packet != NULL) {
        err = open_format(fmp4, pictures, sound);
    }
    if (err < 0) {
        fmp4_destroy(fmp4);
        return to_errno(err);
    }
    avio_flush(fmp4->format->pb);
    *out = fmp4;
    return 0;
}

void fmp4_destroy(struct fmp4 *fmp4)
{
    if (fmp4 == NULL) {
        return;
    }
    if (fmp4->format != NULL && fmp4->format->pb != NULL) {
        av_freep(&fmp4->format->pb->buffer);
        avio_context_free(&fmp4->format->pb);
    }
    avformat_free_context(fmp4->format);
    av_packet_free(&fmp4->held);
    av_packet_free(&fmp4->packet);
    free(fmp4->bytes);
    free(fmp4);
}

static int write_packet(struct fmp4 *fmp4, enum encoder_kind kind, AVPacket *packet)
{
    const AVStream *stream = fmp4->format->streams[fmp4->stream_of[kind]];

    packet->stream_index = stream->index;
    av_packet_rescale_ts(packet, fmp4->base_of[kind], stream->time_base);
    return av_write_frame(fmp4->format, packet);
}

static int write_held(struct fmp4 *fmp4, int64_t duration)
{
    int err = 0;

    if (fmp4->has_held) {
        fmp4->held->duration = duration;
        err = write_packet(fmp4, ENCODER_VIDEO, fmp4->held);
        av_packet_unref(fmp4->held);
        fmp4->has_held = false;
    }
    return err;
}

int fmp4_put(struct fmp4 *fmp4, enum encoder_kind kind, const AVPacket *packet)
{
    AVPacket *to = kind == ENCODER_VIDEO ? fmp4->held : fmp4->packet;
    int err = 0;

    if (fmp4->stream_of[kind] < 0) {
        return -EINVAL;
    }
    if (kind == ENCODER_VIDEO && fmp4->has_held) {
        err = write_held(fmp4, packet->pts - fmp4->held->pts);
    }
    if (err >= 0) {
        err = av_packet_ref(to, packet);
    }
    if (err >= 0 && kind == ENCODER_VIDEO) {
        fmp4->has_held = true;
    } else if (err >= 0) {
        err = write_packet(fmp4, kind, to);
        av_packet_unref(to);
    }
    return to_errno(err);
}

int fmp4_cut(struct fmp4 *fmp4, bool all)
{
    int err = all ? write_held(fmp4, 1) : 0;

    if (err >= 0) {
        err = av_write_frame(fmp4->format, NULL);
    }
    avio_flush(fmp4->format->pb);
    return to_errno(err < 0 ? err : fmp4->format->pb->error);
}

const uint8_t *fmp4_take(struct fmp4 *fmp4, size_t *len)
{
    *len = fmp4->len;
    fmp4->len = 0;
    return fmp4->bytes;
}

void fmp4_codec(const struct encoder *encoder, enum encoder_kind kind, char *out,
                size_t cap)
{
    const AVCodecContext *video = encoder_of(encoder, ENCODER_VIDEO);

    (void)snprintf(out, cap, "mp4a.40.2");
    if (kind == ENCODER_AUDIO || video == NULL) {
        return;
    }
    /* a start code, then the sequence's parameters: profile, constraints, level */
    for (int i = 3; i + 3 < video->extradata_size; i++) {
        const uint8_t *p = video->extradata + i;

        if (p[-3] == 0 && p[-2] == 0 && p[-1] == 1 && (p[0] & 31) == 7) {
            (void)snprintf(out, cap, "avc1.%02x%02x%02x", p[1], p[2], p[3]);
            break;
        }
    }
}
