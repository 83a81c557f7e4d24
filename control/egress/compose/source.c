#include "egress/compose/source.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLES = 5760, /* of an Opus packet, at most: 120 ms */
    STRETCH = 240,  /* samples that one may be stretched or shortened by */
    NEAR = 480,     /* samples that one may lie off and still go on with the last */
    FADE = 240      /* samples in which sound begins */
};

struct waiting {
    AVPacket *packet;
    int64_t at_us;
};

struct source {
    struct source_conf conf;
    struct feed feed;
    struct sync sync;
    AVCodecContext *codec;
    AVFrame *decoded, *newest;
    bool has_newest;
    struct waiting queue[SOURCE_QUEUE];
    unsigned first, n;
    AVPacket *packet; /* of sound: no need to keep any */
    int64_t next;     /* the sample behind the last of sound */
    bool goes_on;
    bool shown;
    uint64_t broken, n_decoded;
    float samples[MIXER_CHANNELS * SAMPLES], stretched[MIXER_CHANNELS * (SAMPLES + NEAR)];
    struct mixer *mixer; /* while it runs */
    bool hidden;
};

static const AVCodec *decoder_of(enum abi_codec codec)
{
    const AVCodec *found = NULL;

    switch (codec) {
    case ABI_CODEC_VP8:
        return avcodec_find_decoder(AV_CODEC_ID_VP8);
    case ABI_CODEC_VP9:
        return avcodec_find_decoder(AV_CODEC_ID_VP9);
    case ABI_CODEC_H264:
        return avcodec_find_decoder(AV_CODEC_ID_H264);
    case ABI_CODEC_AV1:
        found = avcodec_find_decoder_by_name("libdav1d"); /* libav's own needs hardware */
        return found != NULL ? found : avcodec_find_decoder(AV_CODEC_ID_AV1);
    default:
        found = avcodec_find_decoder_by_name("libopus");
        return found != NULL ? found : avcodec_find_decoder(AV_CODEC_ID_OPUS);
    }
}

static int open_decoder(struct source *source)
{
    const AVCodec *decoder = decoder_of(source->conf.codec);
    AVCodecContext *codec = decoder != NULL ? avcodec_alloc_context3(decoder) : NULL;

    if (codec == NULL) {
        return decoder == NULL ? -EINVAL : -ENOMEM;
    }
    source->codec = codec;
    codec->thread_count = 1; /* a job keeps to few cores, and frames must come at once */
    codec->flags |= AV_CODEC_FLAG_LOW_DELAY;
    codec->max_pixels = SOURCE_PIXELS;
    if (source->conf.codec == ABI_CODEC_OPUS) {
        codec->sample_rate = MIXER_HZ;
        codec->request_sample_fmt = AV_SAMPLE_FMT_FLT;
        av_channel_layout_default(&codec->ch_layout, MIXER_CHANNELS);
    }
    return avcodec_open2(codec, decoder, NULL) == 0 ? 0 : -EINVAL;
}

int source_open(struct source **out, const struct source_conf *conf)
{
    struct source *source = conf->hz != 0 ? calloc(1, sizeof(*source)) : NULL;
    int err;

    if (source == NULL) {
        return conf->hz != 0 ? -ENOMEM : -EINVAL;
    }
    source->conf = *conf;
    sync_init(&source->sync, conf->hz);
    err = feed_init(&source->feed, conf->rings, conf->handle, conf->codec);
    if (err == 0) {
        err = open_decoder(source);
    }
    if (err == 0) {
        source->decoded = av_frame_alloc();
        source->newest = av_frame_alloc();
        source->packet = av_packet_alloc();
        err = source->decoded != NULL && source->newest != NULL && source->packet != NULL
                  ? 0
                  : -ENOMEM;
    }
    if (err != 0) {
        source_close(source);
        return err;
    }
    *out = source;
    return 0;
}

/* ---- sound ---- */

/* Interleaved floats, whatever the decoder makes. Returns how many samples. */
static size_t interleave(const AVFrame *frame, float *out)
{
    int n = frame->nb_samples < SAMPLES ? frame->nb_samples : SAMPLES;
    int channels = frame->ch_layout.nb_channels;

    for (int i = 0; i < n; i++) {
        for (int c = 0; c < MIXER_CHANNELS; c++) {
            int from = c < channels ? c : 0;
            float *to = &out[MIXER_CHANNELS * i + c];

            switch (frame->format) {
            case AV_SAMPLE_FMT_FLT:
                *to = ((const float *)(const void *)frame->data[0])[channels * i + from];
                break;
            case AV_SAMPLE_FMT_FLTP:
                *to = ((const float *)(const void *)frame->data[from])[i];
                break;
            case AV_SAMPLE_FMT_S16:
                *to = (float)((const int16_t *)(const void *)
                                  frame->data[0])[channels * i + from] /
                      32768.0f;
                break;
            default:
                *to = 0;
                break;
            }
        }
    }
    return n > 0 ? (size_t)n : 0;
}

/* What follows closely upon the last is stretched to fit, so that clocks that differ are
 * not heard as clicks. */
static void mix(struct source *source, int64_t at, size_t n)
{
    int64_t off = at - source->next;

    if (source->goes_on && off >= -NEAR && off <= NEAR) {
        int64_t most = (int64_t)n / 4 < STRETCH ? (int64_t)n / 4 : STRETCH;
        int64_t by = off < -most ? -most : off > most ? most : off;
        size_t to = (size_t)((int64_t)n + by);

        if (by >= -2 && by <= 2) { /* times are rounded */
            mixer_add(source->mixer, source->next, source->samples, n);
            source->next += (int64_t)n;
        } else {
            mixer_stretch(source->samples, n, source->stretched, to);
            mixer_add(source->mixer, source->next, source->stretched, to);
            source->next += (int64_t)to;
        }
        return;
    }
    for (size_t i = 0; i < n && i < FADE; i++) {
        source->samples[MIXER_CHANNELS * i] *= (float)i / FADE;
        source->samples[MIXER_CHANNELS * i + 1] *= (float)i / FADE;
    }
    mixer_add(source->mixer, at, source->samples, n);
    source->next = at + (int64_t)n;
    source->goes_on = true;
}

static void hear(struct source *source, const struct depay_frame *frame, int64_t at_us)
{
    AVPacket *packet = source->packet;
    int64_t at = at_us * (MIXER_HZ / 1000) / 1000;

    if (source->hidden || av_new_packet(packet, (int)frame->len) != 0) {
        source->goes_on = false;
        return;
    }
    memcpy(packet->data, frame->data, frame->len);
    if (avcodec_send_packet(source->codec, packet) != 0) {
        source->broken++;
    }
    av_packet_unref(packet);
    while (avcodec_receive_frame(source->codec, source->decoded) == 0) {
        size_t n = interleave(source->decoded, source->samples);

        av_frame_unref(source->decoded);
        mix(source, at, n);
        at = source->next;
    }
}

/* ---- pictures ---- */

static void forget(struct source *source)
{
    for (; source->n > 0; source->n--) {
        av_packet_free(&source->queue[source->first].packet);
        source->first = (source->first + 1) % SOURCE_QUEUE;
    }
}

static void spoilt(struct source *source)
{
    source->broken++;
    forget(source);
    avcodec_flush_buffers(source->codec);
    feed_spoilt(&source->feed);
}

static void keep(struct source *source, const struct depay_frame *frame, int64_t at_us)
{
    struct waiting *w;
    AVPacket *packet = av_packet_alloc();

    if (packet == NULL || source->n == SOURCE_QUEUE ||
        av_new_packet(packet, (int)frame->len) != 0) {
        av_packet_free(&packet);
        spoilt(source);
        return;
    }
    memcpy(packet->data, frame->data, frame->len);
    packet->flags = frame->key ? AV_PKT_FLAG_KEY : 0;
    w = &source->queue[(source->first + source->n++) % SOURCE_QUEUE];
    w->packet = packet;
    w->at_us = at_us;
}

/* Returns false if the decoder makes nothing of it. */
static bool decode(struct source *source, const AVPacket *packet)
{
    bool good = avcodec_send_packet(source->codec, packet) == 0;

    while (good && avcodec_receive_frame(source->codec, source->decoded) == 0) {
        AVFrame *frame = source->decoded;

        if (frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 ||
            frame->width < 2 || frame->height < 2) {
            good = false;
            av_frame_unref(frame);
        } else {
            av_frame_unref(source->newest);
            av_frame_move_ref(source->newest, frame);
            source->has_newest = true;
            source->n_decoded++;
        }
    }
    return good;
}

void source_show(struct source *source, bool shown)
{
    if (source->shown == shown) {
        return;
    }
    source->shown = shown;
    source->has_newest = false;
    forget(source);
    avcodec_flush_buffers(source->codec);
    if (shown) {
        feed_spoilt(&source->feed); /* what comes leans on what was not decoded */
    }
}

bool source_advance(struct source *source, int64_t at_us)
{
    bool has;

    while (source->n > 0 && source->queue[source->first].at_us <= at_us) {
        AVPacket *packet = source->queue[source->first].packet;
        bool good = decode(source, packet);

        av_packet_free(&source->queue[source->first].packet);
        source->first = (source->first + 1) % SOURCE_QUEUE;
        source->n--;
        if (!good) {
            spoilt(source);
        }
    }
    has = source->has_newest;
    source->has_newest = false;
    return has;
}

const AVFrame *source_picture(const struct source *source)
{
    return source->newest->width > 0 ? source->newest : NULL;
}

/* ---- both ---- */

static void on_frame(void *arg, const struct depay_frame *frame, uint64_t arrival_us)
{
    struct source *source = arg;
    int64_t at_us = sync_at(&source->sync, frame->ts, arrival_us, source->conf.clock) -
                    (int64_t)source->conf.zero_us;

    if (source->conf.codec == ABI_CODEC_OPUS) {
        hear(source, frame, at_us);
    } else if (source->shown) {
        keep(source, frame, at_us);
    }
}

static void note_report(struct source *source)
{
    uint64_t ntp;
    uint32_t ts;

    if (feed_report(&source->feed, &ntp, &ts)) {
        sync_on_report(&source->sync, ntp, ts);
    }
}

void source_run(struct source *source, uint64_t now_us, struct mixer *mixer, bool hidden)
{
    source->mixer = mixer;
    source->hidden = hidden;
    feed_run(&source->feed, now_us, on_frame, source);
    note_report(source);
}

void source_end(struct source *source, uint64_t now_us, struct mixer *mixer, bool hidden)
{
    source->mixer = mixer;
    source->hidden = hidden;
    feed_end(&source->feed, now_us, on_frame, source);
}

bool source_has_come(const struct source *source)
{
    return source->feed.order.since_us != 0;
}

bool source_wants_key(struct source *source, uint64_t now_us)
{
    return feed_wants_key(&source->feed, now_us);
}

void source_figures(const struct source *source, struct source_figures *out)
{
    *out = (struct source_figures){.lost = feed_lost(&source->feed),
                                   .broken = source->broken,
                                   .decoded = source->n_decoded};
}

void source_close(struct source *source)
{
    if (source == NULL) {
        return;
    }
    forget(source);
    avcodec_free_context(&source->codec);
    av_frame_free(&source->decoded);
    av_frame_free(&source->newest);
    av_packet_free(&source->packet);
    feed_fini(&source->feed);
    free(source);
}
