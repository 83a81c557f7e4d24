#include "egress/out/join.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "egress/out/averror.h"
#include "egress/out/encoder.h"
#include "egress/out/part.h"

enum { KINDS = 2, ALIVE = 4096 }; /* packets between two signs of life */

struct join {
    const struct join_conf *conf;
    AVFormatContext *to;
    AVPacket *packet, *silence;
    int64_t next[KINDS]; /* by stream: where it goes on, in its time base */
    int64_t later_us;    /* by which the part that is read is moved */
    int sound;           /* the stream of sound; -1 none */
    uint64_t n;
    bool begun;
};

static void path_of(const struct join_conf *conf, unsigned part, char out[PATH_MAX])
{
    char name[PART_NAME];

    part_name(name,
              &(struct part_conf){.number = part, .extension = conf->extension});
    (void)snprintf(out, PATH_MAX, "%s/%s", conf->directory, name);
}

/* ---- silence ---- */

static void on_silence(void *arg, enum encoder_kind kind, const AVPacket *packet)
{
    AVPacket *silence = arg;

    (void)kind;
    av_packet_unref(silence); /* the last one: nothing leads into it */
    (void)av_packet_ref(silence, packet);
}

static int make_silence(AVPacket *out)
{
    static const float zeros[ENCODER_SAMPLES];
    const struct encoder_conf conf = {.audio_bps = 96000, .packet = on_silence, .arg = out};
    struct encoder *encoder;
    char ignored[ENCODER_REASON];
    int err = encoder_create(&encoder, &conf, ignored);

    for (int64_t i = 0; err == 0 && i < 4; i++) {
        err = encoder_sound(encoder, zeros, zeros, i * ENCODER_SAMPLES);
    }
    if (err == 0) {
        encoder_destroy(encoder);
    }
    return err;
}

static int fill_silence(struct join *join, int64_t until)
{
    int64_t *next = &join->next[join->sound];
    int err = 0;

    while (err >= 0 && until - *next >= ENCODER_SAMPLES) {
        err = av_packet_ref(join->packet, join->silence);
        if (err >= 0) {
            join->packet->stream_index = join->sound;
            join->packet->pts = join->packet->dts = *next;
            join->packet->duration = ENCODER_SAMPLES;
            *next += ENCODER_SAMPLES;
            err = av_interleaved_write_frame(join->to, join->packet);
        }
    }
    return err;
}

/* ---- parts ---- */

static int begin(struct join *join, const AVFormatContext *from, const char *path)
{
    AVDictionary *options = NULL;
    int err = avformat_alloc_output_context2(&join->to, NULL, "mp4", path);

    for (unsigned i = 0; err >= 0 && i < from->nb_streams && i < KINDS; i++) {
        AVStream *stream = avformat_new_stream(join->to, NULL);

        err = stream != NULL
                  ? avcodec_parameters_copy(stream->codecpar, from->streams[i]->codecpar)
                  : AVERROR(ENOMEM);
        if (err >= 0) {
            stream->codecpar->codec_tag = 0;
            stream->time_base = from->streams[i]->time_base;
            if (stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
                join->sound = (int)i;
            }
        }
    }
    if (err >= 0) {
        err = avio_open2(&join->to->pb, path, AVIO_FLAG_WRITE, NULL, NULL);
    }
    if (err >= 0) {
        (void)av_dict_set(&options, "movflags", "faststart", 0);
        err = avformat_write_header(join->to, &options);
        av_dict_free(&options);
        join->begun = err >= 0;
    }
    return err;
}

/* Whether a part is of the same kind as the first. */
static bool fits(const struct join *join, const AVFormatContext *from)
{
    if (from->nb_streams != join->to->nb_streams) {
        return false;
    }
    for (unsigned i = 0; i < from->nb_streams; i++) {
        const AVCodecParameters *a = from->streams[i]->codecpar;
        const AVCodecParameters *b = join->to->streams[i]->codecpar;

        if (a->codec_id != b->codec_id || a->extradata_size != b->extradata_size ||
            memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) != 0) {
            return false;
        }
    }
    return true;
}

static int copy_packet(struct join *join, const AVFormatContext *from)
{
    AVPacket *packet = join->packet;
    int i = packet->stream_index;
    int64_t later;
    int err = 0;

    if (join->conf->alive != NULL && ++join->n % ALIVE == 0) {
        join->conf->alive();
    }
    if (i < 0 || i >= KINDS || (packet->flags & AV_PKT_FLAG_CORRUPT) != 0) {
        av_packet_unref(packet);
        return 0;
    }
    av_packet_rescale_ts(packet, from->streams[i]->time_base,
                         join->to->streams[i]->time_base);
    later = av_rescale_q(join->later_us, AV_TIME_BASE_Q, join->to->streams[i]->time_base);
    packet->pts += later;
    packet->dts += later;
    if (packet->dts < join->next[i]) { /* what the part before has already */
        av_packet_unref(packet);
        return 0;
    }
    if (i == join->sound && packet->dts - join->next[i] >= ENCODER_SAMPLES) {
        AVPacket *kept = av_packet_clone(packet);

        av_packet_unref(packet);
        err = kept != NULL ? fill_silence(join, kept->dts) : AVERROR(ENOMEM);
        if (err >= 0) {
            av_packet_move_ref(packet, kept);
        }
        av_packet_free(&kept);
    }
    if (err >= 0) {
        packet->pos = -1;
        if (i == join->sound) { /* what a demuxer guesses of it may be wrong */
            packet->duration = ENCODER_SAMPLES;
        }
        join->next[i] = packet->dts + packet->duration;
        err = av_interleaved_write_frame(join->to, packet);
    }
    return err;
}

/* How far a part's pictures (its sound, if there are none) begin before the end of the part
 * before, whose process took its time. None is left out: what follows leans on the first. */
static int64_t overlap_us(const struct join *join, const AVFormatContext *from)
{
    const int i = join->sound == 0 && from->nb_streams > 1 ? 1 : 0;
    const AVRational base = join->to->streams[i]->time_base;
    int64_t at = from->streams[i]->start_time;

    if (at == AV_NOPTS_VALUE) {
        return 0;
    }
    at = av_rescale_q(at, from->streams[i]->time_base, base);
    return at < join->next[i] ? av_rescale_q_rnd(join->next[i] - at, base, AV_TIME_BASE_Q,
                                                 AV_ROUND_UP)
                              : 0;
}

static int copy_part(struct join *join, const char *path, const char *to)
{
    AVFormatContext *from = NULL;
    int err = avformat_open_input(&from, path, NULL, NULL);

    if (err < 0) {
        return err == AVERROR(ENOENT) || err == AVERROR_INVALIDDATA || err == AVERROR_EOF
                   ? 0 /* nothing is in it */
                   : err;
    }
    err = avformat_find_stream_info(from, NULL);
    if (err >= 0 && from->nb_streams > 0) {
        err = join->to == NULL   ? begin(join, from, to)
              : fits(join, from) ? 0
                                 : AVERROR_INVALIDDATA;
        join->later_us = err >= 0 ? overlap_us(join, from) : 0;
        /* one that was killed may end in the middle of a fragment: so far it is good */
        while (err >= 0 && av_read_frame(from, join->packet) >= 0) {
            err = copy_packet(join, from);
        }
    }
    avformat_close_input(&from);
    return err;
}

static int64_t length_us(const struct join *join)
{
    int64_t longest = 0;

    for (unsigned i = 0; i < join->to->nb_streams; i++) {
        int64_t us = av_rescale_q(join->next[i], join->to->streams[i]->time_base,
                                  (AVRational){1, 1000000});

        longest = us > longest ? us : longest;
    }
    return longest;
}

static int finish(struct join *join, int err, struct joined *out)
{
    if (join->to == NULL) {
        return err < 0 ? err : AVERROR(ENOENT);
    }
    if (join->begun) {
        int ended;

        if (join->conf->alive != NULL) {
            join->conf->alive(); /* what follows takes a while */
        }
        ended = av_write_trailer(join->to);

        err = err < 0 ? err : ended;
        out->length_us = length_us(join);
    }
    if (join->to->pb != NULL) {
        int closed;

        err = err < 0 ? err : join->to->pb->error;
        closed = avio_closep(&join->to->pb);
        err = err < 0 ? err : closed;
    }
    avformat_free_context(join->to);
    return err;
}

int join_parts(const struct join_conf *conf, struct joined *out, char reason[JOIN_REASON])
{
    struct join join = {.conf = conf, .sound = -1};
    char path[PATH_MAX], unfinished[PATH_MAX], whole[PATH_MAX];
    struct stat st;
    int err;

    *out = (struct joined){.bytes = 0};
    (void)snprintf(unfinished, sizeof(unfinished), "%s/.joining.%s", conf->directory,
                   conf->extension);
    (void)snprintf(whole, sizeof(whole), "%s/meeting.%s", conf->directory, conf->extension);
    join.packet = av_packet_alloc();
    join.silence = av_packet_alloc();
    err =
        join.packet != NULL && join.silence != NULL ? make_silence(join.silence) : -ENOMEM;
    for (unsigned i = 1; i <= conf->n && err >= 0; i++) {
        path_of(conf, i, path);
        err = copy_part(&join, path, unfinished);
    }
    err = finish(&join, err, out);
    av_packet_free(&join.packet);
    av_packet_free(&join.silence);
    err = averror_errno(err);
    if (err == 0 && rename(unfinished, whole) != 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)unlink(unfinished);
        (void)snprintf(reason, JOIN_REASON, "%s", strerror(-err));
        return err;
    }
    for (unsigned i = 1; i <= conf->n; i++) {
        path_of(conf, i, path);
        (void)unlink(path);
    }
    out->bytes = stat(whole, &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}
