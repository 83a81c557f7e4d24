/* The picture that is being composed: pictures of people put into its cells, names on them,
 * and faces of those who show none. YUV 4:2:0, BT.709 in studio range. The libswscale part
 * of the program. */
#ifndef EGRESS_CANVAS_H
#define EGRESS_CANVAS_H

#include <stddef.h>

struct AVFrame;
struct canvas;

struct canvas_box {
    unsigned x, y, w, h; /* even, within the canvas */
};

enum { CANVAS_SLOTS = 9 }; /* each keeps what it takes to draw it again quickly */

/* Returns 0 or -ENOMEM. */
int canvas_create(struct canvas **out, unsigned width, unsigned height);
void canvas_destroy(struct canvas *canvas); /* NULL is a no-op */

/* All is background. */
void canvas_clear(struct canvas *canvas);

/* A picture, as large as the box takes it without cutting, with a name at its foot.
 *
 * slot     below CANVAS_SLOTS
 * picture  of any size and pixel format that libswscale knows
 *
 * Returns 0, or -EINVAL: nothing can be made of it, and the box is as it was. */
int canvas_picture(struct canvas *canvas, unsigned slot, const struct canvas_box *box,
                   const struct AVFrame *picture, const char *name);

/* Who shows no picture: a disc of a colour of its own with the name's first letter.
 *
 * id  whose the colour is */
void canvas_face(struct canvas *canvas, unsigned slot, const struct canvas_box *box,
                 const char *id, const char *name);

/* What has been drawn, to be read. Borrowed. */
struct AVFrame *canvas_frame(struct canvas *canvas);

#endif
