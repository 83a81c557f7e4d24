/* See growth_plot.h. */
#include "benchmarks/growth_plot.h"

#include <cairo/cairo.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH = 1000, HEIGHT = 560, LEFT = 70, RIGHT = 960, TOP = 70, BOTTOM = 500 };

struct plot {
    cairo_t *cr;
    const struct growth_point *points;
    size_t n;
    double most_ns;
};

static const double OURS[3] = {0.84, 0.15, 0.16};
static const double FLOOR[3] = {0.55, 0.55, 0.55};

static double x_of(const struct plot *p, unsigned n_subs)
{
    const double first = log10(p->points[0].n_subs);
    const double last = log10(p->points[p->n - 1].n_subs);

    return LEFT + (RIGHT - LEFT) * (log10(n_subs) - first) / (last - first);
}

static double y_of(const struct plot *p, double ns)
{
    return BOTTOM - (BOTTOM - TOP) * ns / p->most_ns;
}

static void say(const struct plot *p, double x, double y, double align, const char *words)
{
    cairo_text_extents_t e;

    cairo_set_source_rgb(p->cr, 0.15, 0.15, 0.15);
    cairo_text_extents(p->cr, words, &e);
    cairo_move_to(p->cr, x - align * e.width, y);
    cairo_show_text(p->cr, words);
}

static void grid_line(const struct plot *p, double x0, double y0, double x1, double y1)
{
    cairo_set_source_rgb(p->cr, 0.88, 0.88, 0.88);
    cairo_set_line_width(p->cr, 1);
    cairo_move_to(p->cr, x0, y0);
    cairo_line_to(p->cr, x1, y1);
    cairo_stroke(p->cr);
}

static void axes(const struct plot *p)
{
    char label[48];

    for (unsigned ns = 0; ns <= p->most_ns; ns += 50) {
        grid_line(p, LEFT, y_of(p, ns), RIGHT, y_of(p, ns));
        (void)snprintf(label, sizeof(label), "%u", ns);
        say(p, LEFT - 8, y_of(p, ns) + 4, 1, label);
    }
    say(p, LEFT, TOP - 12, 0, "ns a forward");
    for (size_t i = 0; i < p->n; i++) {
        const double x = x_of(p, p->points[i].n_subs);

        grid_line(p, x, TOP, x, BOTTOM);
        (void)snprintf(label, sizeof(label), "%u", p->points[i].n_subs);
        say(p, x, BOTTOM + 18, 0.5, label);
        (void)snprintf(label, sizeof(label), "%.2f",
                       p->points[i].result.floor_ns / p->points[i].result.ns);
        say(p, x, BOTTOM + 36, 0.5, p->points[i].result.floor_valid ? label : "no floor");
    }
    say(p, LEFT, HEIGHT - 8, 0, "subscribers; below: the floor's share of ours");
}

static double ns_of(const struct growth_point *point, bool ours)
{
    return ours ? point->result.ns : point->result.floor_ns;
}

static void curve(const struct plot *p, const double colour[3], bool ours)
{
    cairo_set_source_rgb(p->cr, colour[0], colour[1], colour[2]);
    cairo_set_line_width(p->cr, 2.5);
    cairo_new_path(p->cr); /* words leave a point behind */
    for (size_t i = 0; i < p->n; i++) {
        cairo_line_to(p->cr, x_of(p, p->points[i].n_subs),
                      y_of(p, ns_of(&p->points[i], ours)));
    }
    cairo_stroke(p->cr);
    say(p, RIGHT - 4, y_of(p, ns_of(&p->points[p->n - 1], ours)) + (ours ? -8 : 18), 1,
        ours ? "through all stages" : "bare ipsec-mb, as many keys");
}

static void draw(struct plot *p, unsigned size)
{
    char title[96];

    for (size_t i = 0; i < p->n; i++) {
        const double ns = ns_of(&p->points[i], true);

        p->most_ns = ns * 1.15 > p->most_ns ? ns * 1.15 : p->most_ns;
    }
    cairo_set_source_rgb(p->cr, 1, 1, 1);
    cairo_paint(p->cr);
    cairo_select_font_face(p->cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(p->cr, 15);
    (void)snprintf(title, sizeof(title),
                   "One publisher, one lane: a packet of %u bytes, AEAD-AES-128-GCM", size);
    say(p, LEFT, 28, 0, title);
    cairo_set_font_size(p->cr, 12);
    axes(p);
    curve(p, FLOOR, false);
    curve(p, OURS, true);
}

int growth_plot(const struct growth_point *points, size_t n, unsigned size,
                const char *path)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    struct plot p = {.cr = cairo_create(surface), .points = points, .n = n};
    cairo_status_t status;

    draw(&p, size);
    status = cairo_surface_write_to_png(surface, path);
    cairo_destroy(p.cr);
    cairo_surface_destroy(surface);
    return status == CAIRO_STATUS_SUCCESS ? 0 : -EIO;
}
