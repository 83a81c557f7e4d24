/* What the tests of kcs-egress's files have encoded: a small picture, and sound. */
#ifndef KCS_TESTS_FILM_H
#define KCS_TESTS_FILM_H

#include <libavutil/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "egress/compose/canvas.h"
#include "egress/out/encoder.h"

enum { WIDTH = 320, HEIGHT = 180, FPS = ENCODER_FPS };

struct film {
    char directory[32];
    struct canvas *canvas;
    struct encoder *encoder;
};

static inline void film_setup(struct film *film, const char *directory)
{
    av_log_set_level(AV_LOG_FATAL);
    (void)snprintf(film->directory, sizeof(film->directory), "%s", directory);
    assert_non_null(mkdtemp(film->directory));
    assert_int_equal(canvas_create(&film->canvas, WIDTH, HEIGHT), 0);
}

static inline void film_teardown(struct film *film)
{
    char command[64];

    canvas_destroy(film->canvas);
    (void)snprintf(command, sizeof(command), "rm -r %s", film->directory);
    assert_int_equal(system(command), 0);
}

static inline void film_begin(struct film *film,
                              void (*packet)(void *arg, enum encoder_kind kind,
                                             const struct AVPacket *packet),
                              void *arg)
{
    const struct encoder_conf conf = {.width = WIDTH,
                                      .height = HEIGHT,
                                      .video_bps = 1000000,
                                      .audio_bps = 96000,
                                      .packet = packet,
                                      .arg = arg};
    char reason[ENCODER_REASON];

    assert_int_equal(encoder_create(&film->encoder, &conf, reason), 0);
}

static inline void film_draw(const struct film *film, int64_t at, const char *id,
                             const char *name)
{
    const struct canvas_box box = {(unsigned)(at % 100) * 2, 40, 80, 80};

    canvas_face(film->canvas, 0, &box, id, name);
}

/* The picture 'at' with a face of that id and name, and the sound up to it; returns where
 * sound goes on. */
static inline int64_t film_shoot(const struct film *film, int64_t at, const char *id,
                                 const char *name, bool key, const float *tone,
                                 int64_t sample)
{
    for (; sample * FPS < at * ENCODER_HZ; sample += ENCODER_SAMPLES) {
        assert_int_equal(encoder_sound(film->encoder, tone, tone, sample), 0);
    }
    film_draw(film, at, id, name);
    assert_int_equal(encoder_picture(film->encoder, canvas_frame(film->canvas), at, key),
                     0);
    return sample;
}

#endif
