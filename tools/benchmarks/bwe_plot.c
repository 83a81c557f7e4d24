/* See bwe_plot.h. */
#include "benchmarks/bwe_plot.h"

#include <cairo/cairo.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 1200,
    HEIGHT = 700,
    LEFT = 80,
    RIGHT = 1170,
    RATES_TOP = 60,
    RATES_BOTTOM = 440,
    QUEUE_TOP = 490,
    QUEUE_BOTTOM = 640
};

struct panel {
    cairo_t *cr;
    double top, bottom;
    double most_x, most_y;
};

struct colour {
    double r, g, b;
};

static const struct colour CAPACITY = {0.55, 0.55, 0.55};
static const struct colour ESTIMATE = {0.84, 0.15, 0.16};
static const struct colour SENT = {0.12, 0.47, 0.71};
static const struct colour TCP = {1.0, 0.6, 0.1};
static const struct colour QUEUE = {0.17, 0.55, 0.27};
static const struct colour INK = {0.15, 0.15, 0.15};

static void use(cairo_t *cr, struct colour c)
{
    cairo_set_source_rgb(cr, c.r, c.g, c.b);
}

static double x_of(const struct panel *p, double x)
{
    return LEFT + (RIGHT - LEFT) * x / p->most_x;
}

static double y_of(const struct panel *p, double y)
{
    double share = y / p->most_y;

    return p->bottom - (p->bottom - p->top) * (share < 1 ? share : 1);
}

static void text(cairo_t *cr, double x, double y, double align, const char *s)
{
    cairo_text_extents_t e;

    cairo_text_extents(cr, s, &e);
    cairo_move_to(cr, x - align * e.width, y);
    cairo_show_text(cr, s);
}

/* A step of 1, 2 or 5 times a power of ten, such that there are some 5 of it. */
static double step_for(double most)
{
    double step = 0.001;

    while (most / step > 6) {
        step *= most / (step * 2) <= 6 ? 2 : most / (step * 5) <= 6 ? 5 : 10;
    }
    return step;
}

static void frame(const struct panel *p, const char *unit)
{
    const double step_y = step_for(p->most_y), step_x = step_for(p->most_x / 2);
    char label[32];

    cairo_set_line_width(p->cr, 1);
    for (unsigned i = 0; i * step_y <= p->most_y * 1.001; i++) {
        const double y = i * step_y;

        cairo_set_source_rgb(p->cr, 0.88, 0.88, 0.88);
        cairo_move_to(p->cr, LEFT, y_of(p, y));
        cairo_line_to(p->cr, RIGHT, y_of(p, y));
        cairo_stroke(p->cr);
        use(p->cr, INK);
        (void)snprintf(label, sizeof(label), "%g", y);
        text(p->cr, LEFT - 8, y_of(p, y) + 4, 1, label);
    }
    for (unsigned i = 0; i * step_x <= p->most_x * 1.001; i++) {
        const double x = i * step_x;

        cairo_set_source_rgb(p->cr, 0.88, 0.88, 0.88);
        cairo_move_to(p->cr, x_of(p, x), p->top);
        cairo_line_to(p->cr, x_of(p, x), p->bottom);
        cairo_stroke(p->cr);
        use(p->cr, INK);
        (void)snprintf(label, sizeof(label), "%g s", x);
        text(p->cr, x_of(p, x), p->bottom + 18, 0.5, label);
    }
    text(p->cr, LEFT - 8, p->top - 8, 0.5, unit);
}

static void line(const struct panel *p, const struct world_trace *t, size_t offset,
                 double unit, struct colour colour, double width)
{
    use(p->cr, colour);
    cairo_set_line_width(p->cr, width);
    for (size_t i = 0; i < t->n; i++) {
        float value;
        const double x = x_of(p, (double)(i + 1) * WORLD_SAMPLE_US / 1e6);
        double y;

        memcpy(&value, (const char *)&t->samples[i] + offset, sizeof(value));
        y = y_of(p, (double)value / unit);
        if (i == 0) {
            cairo_move_to(p->cr, x, y);
        } else {
            cairo_line_to(p->cr, x, y);
        }
    }
    cairo_stroke(p->cr);
}

static double key(cairo_t *cr, double x, struct colour colour, const char *s)
{
    cairo_text_extents_t e;

    use(cr, colour);
    cairo_rectangle(cr, x, 30, 18, 6);
    cairo_fill(cr);
    use(cr, INK);
    text(cr, x + 24, 38, 0, s);
    cairo_text_extents(cr, s, &e);
    return x + 24 + e.x_advance + 24;
}

static void draw(cairo_t *cr, const struct world_scenario *s, const struct world_trace *t)
{
    struct panel rates = {.cr = cr, .top = RATES_TOP, .bottom = RATES_BOTTOM};
    struct panel queue = {.cr = cr, .top = QUEUE_TOP, .bottom = QUEUE_BOTTOM};
    double x = LEFT;

    rates.most_x = queue.most_x = (double)t->n * WORLD_SAMPLE_US / 1e6;
    for (size_t i = 0; i < t->n; i++) {
        double top = (double)t->samples[i].capacity_bps / 1e6 * 1.3;

        rates.most_y = top > rates.most_y ? top : rates.most_y;
        top = (double)t->samples[i].queue_ms * 1.05;
        queue.most_y = top > queue.most_y ? top : queue.most_y;
    }
    queue.most_y = queue.most_y > 100 ? queue.most_y : 100;
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 15);
    use(cr, INK);
    text(cr, LEFT, 20, 0, s->text);
    cairo_set_font_size(cr, 12);
    frame(&rates, "Mb/s");
    frame(&queue, "ms");
    line(&rates, t, offsetof(struct world_sample, sent_bps), 1e6, SENT, 1);
    if (s->tcp) {
        line(&rates, t, offsetof(struct world_sample, tcp_bps), 1e6, TCP, 1);
    }
    line(&rates, t, offsetof(struct world_sample, capacity_bps), 1e6, CAPACITY, 2.5);
    line(&rates, t, offsetof(struct world_sample, estimate_bps), 1e6, ESTIMATE, 2);
    line(&queue, t, offsetof(struct world_sample, queue_ms), 1, QUEUE, 1.2);
    x = key(cr, x, CAPACITY, "capacity");
    x = key(cr, x, ESTIMATE, "estimate");
    x = key(cr, x, SENT, "sent, padding included");
    if (s->tcp) {
        x = key(cr, x, TCP, "TCP");
    }
    (void)key(cr, x, QUEUE, "delay in the queue, the most of 100 ms");
}

int bwe_plot(const struct world_scenario *scenario, const struct world_trace *trace,
             const char *path)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    cairo_t *cr = cairo_create(surface);
    cairo_status_t status;

    draw(cr, scenario, trace);
    status = cairo_surface_write_to_png(surface, path);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return status == CAIRO_STATUS_SUCCESS ? 0 : -EIO;
}
