/* Pictures to H264 and sound to AAC, at once: no picture waits for a later one, so what is
 * told of one is final. */
#ifndef EGRESS_ENCODER_H
#define EGRESS_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct AVCodecContext;
struct AVFrame;
struct AVPacket;
struct encoder;

enum {
    ENCODER_FPS = 30,
    ENCODER_HZ = 48000,
    ENCODER_SAMPLES = 1024, /* of sound that are encoded at once */
    ENCODER_REASON = 128
};

enum encoder_kind { ENCODER_VIDEO, ENCODER_AUDIO, N_ENCODER_KINDS };

struct encoder_conf {
    unsigned width, height;        /* 0: sound alone */
    uint32_t video_bps, audio_bps; /* at most; no audio_bps: no sound */
    /* packet: borrowed; its times are in 1/ENCODER_FPS or 1/ENCODER_HZ s. */
    void (*packet)(void *arg, enum encoder_kind kind, const struct AVPacket *packet);
    void *arg;
};

/* Returns 0, -ENOMEM, or -ENOSYS (no such encoder here), with 'reason'. */
int encoder_create(struct encoder **out, const struct encoder_conf *conf,
                   char reason[ENCODER_REASON]);
void encoder_destroy(struct encoder *encoder); /* NULL is a no-op */

/* frame  of the size that was said; borrowed
 * at     its number: it may leave some out, it never goes back
 * key    a picture that leans on no other */
int encoder_picture(struct encoder *encoder, struct AVFrame *frame, int64_t at, bool key);

/* ENCODER_SAMPLES of sound from the sample 'at' on. */
int encoder_sound(struct encoder *encoder, const float *left, const float *right,
                  int64_t at);

/* What pictures of so much a second on the average have in any one second at most. */
uint32_t encoder_peak_bps(uint32_t bps);

/* What a file has to know of one; NULL: there is none. */
const struct AVCodecContext *encoder_of(const struct encoder *encoder,
                                        enum encoder_kind kind);

#endif
