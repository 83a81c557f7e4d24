/* Words as a mask: how much of each pixel they cover. The cairo part of the program. */
#ifndef EGRESS_TEXT_H
#define EGRESS_TEXT_H

#include <stdint.h>

struct text {
    unsigned w, h;
    uint8_t *cover; /* w * h, 0..255 */
};

/* Draws a line of UTF-8 (what is none is left out), 'size' pixels high; what is wider than
 * 'max_w' is cut off. Returns 0 or -ENOMEM; 'out' may be of no size. */
int text_draw(struct text *out, const char *words, unsigned size, unsigned max_w);
/* Gives back what the library keeps to draw the next quickly. */
void text_fini(void);

void text_free(struct text *text); /* one that is all zeros, too */

#endif
