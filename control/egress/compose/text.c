#include "egress/compose/text.h"

#include <cairo.h>
#include <errno.h>
#include <fontconfig/fontconfig.h>
#include <stdlib.h>
#include <string.h>

static cairo_surface_t *draw(const char *words, unsigned size, unsigned w, unsigned h)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, (int)w, (int)h);
    cairo_t *cairo = cairo_create(surface);
    cairo_font_extents_t font;

    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
    cairo_font_extents(cairo, &font);
    cairo_move_to(cairo, 0, font.ascent);
    cairo_show_text(cairo, words);
    cairo_destroy(cairo);
    cairo_surface_flush(surface);
    return surface;
}

/* How large it is; -EINVAL: it is no UTF-8. */
static int measure(const char *words, unsigned size, unsigned *w, unsigned *h)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *cairo = cairo_create(surface);
    cairo_text_extents_t text;
    cairo_font_extents_t font;
    int err;

    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
    cairo_text_extents(cairo, words, &text);
    cairo_font_extents(cairo, &font);
    *w = (unsigned)(text.x_advance + 0.999);
    *h = (unsigned)(font.ascent + font.descent + 0.999);
    err = cairo_status(cairo) == CAIRO_STATUS_SUCCESS ? 0 : -EINVAL;
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return err;
}

int text_draw(struct text *out, const char *words, unsigned size, unsigned max_w)
{
    cairo_surface_t *surface;
    unsigned w, h;

    *out = (struct text){.w = 0};
    if (measure(words, size, &w, &h) != 0 || w == 0 || max_w == 0) {
        return 0;
    }
    w = w < max_w ? w : max_w;
    surface = draw(words, size, w, h);
    out->cover = malloc((size_t)w * h);
    if (out->cover == NULL || cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(surface);
        text_free(out);
        return -ENOMEM;
    }
    for (unsigned y = 0; y < h; y++) {
        memcpy(out->cover + (size_t)y * w,
               cairo_image_surface_get_data(surface) +
                   (size_t)y * (size_t)cairo_image_surface_get_stride(surface),
               w);
    }
    cairo_surface_destroy(surface);
    out->w = w;
    out->h = h;
    return 0;
}

void text_free(struct text *text)
{
    free(text->cover);
    *text = (struct text){.w = 0};
}

void text_fini(void)
{
    cairo_debug_reset_static_data();
    FcFini();
}
