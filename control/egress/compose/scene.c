#include "egress/compose/scene.h"

#include <string.h>

enum { COLUMN = 4 }; /* cells beside the large one, a fifth of the picture wide */

bool scene_layout_of(const char *name, enum scene_layout *out)
{
    static const char *const names[] = {[SCENE_GRID] = "grid",
                                        [SCENE_SPEAKER] = "speaker",
                                        [SCENE_PRESENTATION] = "presentation"};

    for (unsigned i = 0; i < N_SCENE_LAYOUTS; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum scene_layout)i;
            return true;
        }
    }
    return false;
}

static void copy(char *out, const char *id)
{
    size_t len = strnlen(id, SCENE_ID);

    memcpy(out, id, len);
    out[len] = '\0';
}

struct scene_person *scene_person_of(struct scene *scene, const char *id)
{
    struct scene_person *unused = NULL;

    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        struct scene_person *p = &scene->people[i];

        if (p->id[0] != '\0' && strcmp(p->id, id) == 0) {
            return p;
        }
        if (p->n_streams == 0 && (unused == NULL || p->id[0] == '\0')) {
            unused = p;
        }
    }
    if (unused != NULL) {
        *unused = (struct scene_person){.came = 0};
        copy(unused->id, id);
    }
    return unused;
}

void scene_speaks(struct scene *scene, const char *id, uint64_t now_us)
{
    copy(scene->speaker, id);
    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        if (id[0] != '\0' && strcmp(scene->people[i].id, id) == 0) {
            scene->people[i].spoke_us = now_us;
        }
    }
}

/* What could be a cell: somebody, or somebody's screen. */
struct item {
    const struct scene_person *person;
    bool screen;
};

static bool is_in(const struct item *items, size_t n, const struct scene_person *person,
                  bool screen)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].person == person && items[i].screen == screen) {
            return true;
        }
    }
    return false;
}

/* Who of those that are not there yet is the next to be shown: who spoke last, else who
 * came first. */
static const struct scene_person *next_person(const struct scene *scene,
                                              const struct item *items, size_t n)
{
    const struct scene_person *best = NULL;

    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        const struct scene_person *p = &scene->people[i];

        if (p->n_streams == 0 || is_in(items, n, p, false)) {
            continue;
        }
        if (best == NULL || p->spoke_us > best->spoke_us ||
            (p->spoke_us == best->spoke_us && p->came < best->came)) {
            best = p;
        }
    }
    return best;
}

static const struct scene_person *screen_of(const struct scene *scene)
{
    const struct scene_person *newest = NULL;

    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        const struct scene_person *p = &scene->people[i];

        if (p->n_screens > 0 && (newest == NULL || p->came > newest->came)) {
            newest = p;
        }
    }
    return newest;
}

/* Screens first, then people in the order of their coming. */
static void put_in_order(struct item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct item item = items[i];
        size_t k = i;

        while (k > 0 && !items[k - 1].screen &&
               (item.screen || items[k - 1].person->came > item.person->came)) {
            items[k] = items[k - 1];
            k--;
        }
        items[k] = item;
    }
}

/* Fills up to 'cap' of them, behind the n that are there. */
static size_t gather(const struct scene *scene, struct item *items, size_t n, size_t cap)
{
    const struct scene_person *p;

    while (n < cap && (p = next_person(scene, items, n)) != NULL) {
        items[n++] = (struct item){.person = p};
    }
    return n;
}

static void place(struct scene_cell *cell, const struct item *item, unsigned x, unsigned y,
                  unsigned w, unsigned h)
{
    *cell = (struct scene_cell){.person = item->person,
                                .screen = item->screen,
                                .x = x & ~1u,
                                .y = y & ~1u,
                                .w = w & ~1u,
                                .h = h & ~1u};
}

static size_t grid(const struct scene *scene, unsigned width, unsigned height,
                   struct scene_cell out[SCENE_CELLS])
{
    struct item items[SCENE_CELLS];
    const struct scene_person *screen = screen_of(scene);
    unsigned columns, rows, w, h;
    size_t n = 0;

    if (screen != NULL) {
        items[n++] = (struct item){screen, true};
    }
    n = gather(scene, items, n, SCENE_CELLS);
    put_in_order(items, n);
    columns = n > 4 ? 3 : n > 1 ? 2 : 1;
    rows = n > 0 ? (unsigned)(n + columns - 1) / columns : 1;
    w = width / columns & ~1u;
    h = (height / rows & ~1u) < (w * height / width & ~1u) ? height / rows
                                                           : w * height / width;
    h &= ~1u;
    for (unsigned i = 0; i < n; i++) {
        unsigned row = i / columns;
        unsigned in_row = row + 1 < rows ? columns : (unsigned)n - row * columns;
        /* a row that is not full stands in the middle, and so do all of them */
        unsigned x = (width - in_row * w) / 2 + i % columns * w;
        unsigned y = (height - rows * h) / 2 + row * h;

        place(&out[i], &items[i], x, y, w, h);
    }
    return n;
}

static const struct scene_person *featured(const struct scene *scene)
{
    const struct scene_person *best = NULL;

    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        const struct scene_person *p = &scene->people[i];

        if (p->n_streams > 0 && strcmp(p->id, scene->spotlight) == 0) {
            return p;
        }
        if (p->n_streams > 0 && strcmp(p->id, scene->speaker) == 0) {
            best = p;
        }
    }
    /* nobody speaks, or who did has left: who spoke last, else who came first */
    return best != NULL ? best : next_person(scene, NULL, 0);
}

static size_t one_large(const struct scene *scene, const struct item *large, unsigned width,
                        unsigned height, struct scene_cell out[SCENE_CELLS])
{
    struct item items[COLUMN + 1] = {*large};
    const struct scene_person *screen = screen_of(scene);
    unsigned side = width / 5 & ~1u, h = height / 5 & ~1u;
    size_t n = 1;

    if (screen != NULL && !large->screen) {
        items[n++] = (struct item){screen, true};
    }
    n = gather(scene, items, n, COLUMN + 1);
    put_in_order(items + 1, n - 1);
    if (n == 1) {
        place(&out[0], &items[0], 0, 0, width, height);
        return 1;
    }
    place(&out[0], &items[0], 0, (height - height * 4 / 5) / 2, width - side,
          height * 4 / 5);
    for (unsigned i = 1; i < n; i++) {
        unsigned y = (height - (unsigned)(n - 1) * h) / 2 + (i - 1) * h;

        place(&out[i], &items[i], width - side, y, side, h);
    }
    return n;
}

size_t scene_cells(const struct scene *scene, unsigned width, unsigned height,
                   struct scene_cell out[SCENE_CELLS])
{
    struct item large = {.person = NULL};

    if (scene->layout == SCENE_PRESENTATION) {
        large = (struct item){screen_of(scene), true};
    }
    if (large.person == NULL && scene->layout != SCENE_GRID) {
        large = (struct item){featured(scene), false};
    }
    return large.person != NULL ? one_large(scene, &large, width, height, out)
                                : grid(scene, width, height, out);
}
