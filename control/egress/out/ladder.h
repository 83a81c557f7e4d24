/* One picture encoded in several sizes, and the sound once: for viewers with links of
 * several widths. Each picture is a key frame in all of them or in none. */
#ifndef EGRESS_LADDER_H
#define EGRESS_LADDER_H

#include "egress/out/encoder.h"

enum { LADDER_RUNGS = 4 };

struct ladder;

struct ladder_rung {
    unsigned width, height; /* even */
    uint32_t bps;           /* at most */
};

struct ladder_conf {
    struct ladder_rung rungs[LADDER_RUNGS]; /* from the largest */
    unsigned n;                             /* 0: sound alone */
    uint32_t audio_bps;
    /* packet: borrowed; see encoder.h. Sound has the rung 0. */
    void (*packet)(void *arg, unsigned rung, enum encoder_kind kind,
                   const struct AVPacket *packet);
    void *arg;
};

/* As encoder_create(). */
int ladder_create(struct ladder **out, const struct ladder_conf *conf,
                  char reason[ENCODER_REASON]);
void ladder_destroy(struct ladder *ladder); /* NULL is a no-op */

/* As those of encoder.h; a frame of any size. */
int ladder_picture(struct ladder *ladder, struct AVFrame *frame, int64_t at, bool key);
int ladder_sound(struct ladder *ladder, const float *left, const float *right, int64_t at);

/* The encoder of a rung; that of the first, which is there in any case, has the sound. */
const struct encoder *ladder_encoder(const struct ladder *ladder, unsigned rung);

#endif
