#include "egress/compose/canvas.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/compose/text.h"
#include "sfu/base/fnv.h"

enum {
    BACK_Y = 24, /* of the picture where nothing is */
    CELL_Y = 44, /* of a cell without a picture */
    WHITE_Y = 235,
    GREY = 128, /* no colour */
    NAME_MAX_ = 256
};

struct label {
    char words[NAME_MAX_];
    unsigned size, max_w;
    struct text text;
};

struct slot {
    struct SwsContext *scale;
    AVFrame *scaled; /* libswscale may write a little beyond a row: not into a neighbour */
    struct label name, letter;
};

struct canvas {
    AVFrame *frame;
    struct slot slots[CANVAS_SLOTS];
};

int canvas_create(struct canvas **out, unsigned width, unsigned height)
{
    struct canvas *canvas = calloc(1, sizeof(*canvas));

    if (canvas == NULL || (canvas->frame = av_frame_alloc()) == NULL) {
        canvas_destroy(canvas);
        return -ENOMEM;
    }
    canvas->frame->format = AV_PIX_FMT_YUV420P;
    canvas->frame->width = (int)width;
    canvas->frame->height = (int)height;
    canvas->frame->color_range = AVCOL_RANGE_MPEG;
    canvas->frame->colorspace = AVCOL_SPC_BT709;
    if (av_frame_get_buffer(canvas->frame, 0) < 0) {
        canvas_destroy(canvas);
        return -ENOMEM;
    }
    canvas_clear(canvas);
    *out = canvas;
    return 0;
}

void canvas_destroy(struct canvas *canvas)
{
    if (canvas == NULL) {
        return;
    }
    for (unsigned i = 0; i < CANVAS_SLOTS; i++) {
        sws_freeContext(canvas->slots[i].scale);
        av_frame_free(&canvas->slots[i].scaled);
        text_free(&canvas->slots[i].name.text);
        text_free(&canvas->slots[i].letter.text);
    }
    av_frame_free(&canvas->frame);
    text_fini();
    free(canvas);
}

static void fill(struct canvas *canvas, const struct canvas_box *box, uint8_t y, uint8_t u,
                 uint8_t v)
{
    const uint8_t values[3] = {y, u, v};

    for (int plane = 0; plane < 3; plane++) {
        unsigned shift = plane > 0 ? 1 : 0;
        size_t stride = (size_t)canvas->frame->linesize[plane];
        uint8_t *at =
            canvas->frame->data[plane] + (box->y >> shift) * stride + (box->x >> shift);

        for (unsigned row = 0; row < box->h >> shift; row++) {
            memset(at + row * stride, values[plane], box->w >> shift);
        }
    }
}

void canvas_clear(struct canvas *canvas)
{
    const struct canvas_box all = {0, 0, (unsigned)canvas->frame->width,
                                   (unsigned)canvas->frame->height};

    fill(canvas, &all, BACK_Y, GREY, GREY);
}

/* ---- words ---- */

static void write_words(struct label *label, const char *words, unsigned size,
                        unsigned max_w)
{
    if (label->size == size && label->max_w == max_w &&
        strncmp(label->words, words, NAME_MAX_) == 0) {
        return;
    }
    text_free(&label->text);
    label->size = size;
    label->max_w = max_w;
    (void)snprintf(label->words, sizeof(label->words), "%s", words);
    (void)text_draw(&label->text, words, size, max_w); /* without memory there are none */
}

static void put_words(struct canvas *canvas, const struct text *text, unsigned x,
                      unsigned y)
{
    size_t stride = (size_t)canvas->frame->linesize[0];

    for (unsigned row = 0; row < text->h; row++) {
        uint8_t *at = canvas->frame->data[0] + (y + row) * stride + x;
        const uint8_t *cover = text->cover + (size_t)row * text->w;

        for (unsigned i = 0; i < text->w; i++) {
            int more = (WHITE_Y - at[i]) * cover[i] / 255;

            at[i] = (uint8_t)(at[i] + more);
        }
    }
}

/* A strip at the foot of the box, as dark as it takes to read white on it. */
static void put_name(struct canvas *canvas, struct slot *slot, const struct canvas_box *box,
                     const char *name)
{
    unsigned size = (box->h / 14 < 12 ? 12 : box->h / 14) & ~1u;
    unsigned pad = size / 2 & ~1u;
    struct canvas_box strip;

    if (name[0] == '\0' || box->w < 4 * size || box->h < 3 * size) {
        return;
    }
    write_words(&slot->name, name, size, box->w - 2 * pad);
    if (slot->name.text.w == 0 || slot->name.text.h + 2 > box->h) {
        return;
    }
    strip = (struct canvas_box){.x = box->x,
                                .w = (slot->name.text.w + 2 * pad + 1) & ~1u,
                                .h = (slot->name.text.h + 1) & ~1u};
    strip.w = strip.w < box->w ? strip.w : box->w;
    strip.y = box->y + box->h - strip.h;
    fill(canvas, &strip, BACK_Y, GREY, GREY);
    put_words(canvas, &slot->name.text, strip.x + pad, strip.y);
}

/* ---- pictures ---- */

/* The largest box of the picture's shape in the middle of 'box'. */
static struct canvas_box fit(const struct canvas_box *box, const AVFrame *picture)
{
    uint64_t w = (uint64_t)picture->width, h = (uint64_t)picture->height;
    struct canvas_box in = *box;

    if (w * box->h > h * box->w) {
        in.h = (unsigned)(box->w * h / w) & ~1u;
    } else {
        in.w = (unsigned)(box->h * w / h) & ~1u;
    }
    in.w = in.w > 2 ? in.w : 2;
    in.h = in.h > 2 ? in.h : 2;
    in.x += (box->w - in.w) / 2 & ~1u;
    in.y += (box->h - in.h) / 2 & ~1u;
    return in;
}

/* What is left of the box around what is in it. */
static void fill_around(struct canvas *canvas, const struct canvas_box *box,
                        const struct canvas_box *in)
{
    const struct canvas_box around[] = {
        {box->x, box->y, box->w, in->y - box->y},
        {box->x, in->y + in->h, box->w, box->y + box->h - in->y - in->h},
        {box->x, in->y, in->x - box->x, in->h},
        {in->x + in->w, in->y, box->x + box->w - in->x - in->w, in->h}};

    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        fill(canvas, &around[i], BACK_Y, GREY, GREY);
    }
}

static bool make_scaled(struct slot *slot, const struct canvas_box *in)
{
    if (slot->scaled != NULL && slot->scaled->width == (int)in->w &&
        slot->scaled->height == (int)in->h) {
        return true;
    }
    av_frame_free(&slot->scaled);
    slot->scaled = av_frame_alloc();
    if (slot->scaled == NULL) {
        return false;
    }
    slot->scaled->format = AV_PIX_FMT_YUV420P;
    slot->scaled->width = (int)in->w;
    slot->scaled->height = (int)in->h;
    return av_frame_get_buffer(slot->scaled, 0) == 0;
}

static void copy_in(struct canvas *canvas, const AVFrame *from, const struct canvas_box *in)
{
    for (int plane = 0; plane < 3; plane++) {
        unsigned shift = plane > 0 ? 1 : 0;
        size_t stride = (size_t)canvas->frame->linesize[plane];
        uint8_t *to =
            canvas->frame->data[plane] + (in->y >> shift) * stride + (in->x >> shift);

        for (unsigned row = 0; row < in->h >> shift; row++) {
            memcpy(to + row * stride,
                   from->data[plane] + row * (size_t)from->linesize[plane], in->w >> shift);
        }
    }
}

int canvas_picture(struct canvas *canvas, unsigned slot, const struct canvas_box *box,
                   const AVFrame *picture, const char *name)
{
    struct slot *s = &canvas->slots[slot];
    struct canvas_box in = fit(box, picture);

    s->scale = sws_getCachedContext(
        s->scale, picture->width, picture->height, (enum AVPixelFormat)picture->format,
        (int)in.w, (int)in.h, AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    if (s->scale == NULL || !make_scaled(s, &in) ||
        sws_scale(s->scale, (const uint8_t *const *)picture->data, picture->linesize, 0,
                  picture->height, s->scaled->data, s->scaled->linesize) <= 0) {
        return -EINVAL;
    }
    copy_in(canvas, s->scaled, &in);
    fill_around(canvas, box, &in);
    put_name(canvas, s, box, name);
    return 0;
}

/* ---- faces ---- */

static void disc(struct canvas *canvas, const struct canvas_box *box, unsigned radius,
                 uint8_t u, uint8_t v)
{
    unsigned cx = box->x + box->w / 2, cy = box->y + box->h / 2;

    for (unsigned dy = 0; dy < 2 * radius; dy += 2) {
        int from_middle = (int)dy - (int)radius;
        unsigned half = 0;

        while ((half + 1) * (half + 1) + (unsigned)(from_middle * from_middle) <=
               radius * radius) {
            half++;
        }
        if (half > 0) {
            fill(canvas,
                 &(struct canvas_box){(cx - half) & ~1u, (cy - radius + dy) & ~1u,
                                      2 * half & ~1u, 2},
                 110, u, v);
        }
    }
}

/* The first letter, with whatever bytes it has. */
static void first_letter(const char *name, char out[5])
{
    size_t n = name[0] != '\0' ? 1 : 0;

    while (n > 0 && n < 4 && ((uint8_t)name[n] & 0xc0) == 0x80) {
        n++;
    }
    memcpy(out, name, n);
    out[n] = '\0';
    if (n == 1 && out[0] >= 'a' && out[0] <= 'z') {
        out[0] = (char)(out[0] - 'a' + 'A');
    }
}

void canvas_face(struct canvas *canvas, unsigned slot, const struct canvas_box *box,
                 const char *id, const char *name)
{
    struct slot *s = &canvas->slots[slot];
    uint64_t hash = fnv64(id, strlen(id));
    unsigned radius = (box->h < box->w ? box->h : box->w) / 4 & ~1u;
    const struct text *text;
    char letter[5];

    fill(canvas, box, CELL_Y, GREY, GREY);
    disc(canvas, box, radius, (uint8_t)(96 + hash % 64), (uint8_t)(96 + hash / 64 % 64));
    first_letter(name, letter);
    write_words(&s->letter, letter, radius > 12 ? radius : 12, box->w);
    text = &s->letter.text;
    if (text->w > 0 && text->h < box->h) {
        put_words(canvas, text, box->x + (box->w - text->w) / 2,
                  box->y + (box->h - text->h) / 2);
    }
    put_name(canvas, s, box, name);
}

struct AVFrame *canvas_frame(struct canvas *canvas)
{
    return canvas->frame;
}
