/* Who is in the picture, and where. Told who sends what, which layout the room has, who
 * speaks; says which cells the picture has.
 *
 * In the picture is who sends something (or would, if it were not paused): a grid of nine,
 * or one large picture with a column of four beside it. Of more people those are shown who
 * spoke last; their order is that of their coming, so that nobody wanders about.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef EGRESS_SCENE_H
#define EGRESS_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENE_ID = 31, SCENE_NAME = 255, SCENE_PEOPLE = 128, SCENE_CELLS = 9 };

enum scene_layout { SCENE_GRID, SCENE_SPEAKER, SCENE_PRESENTATION, N_SCENE_LAYOUTS };

struct scene_person {
    char id[SCENE_ID + 1];
    char name[SCENE_NAME + 1];
    unsigned n_streams; /* 0: not in the picture */
    unsigned n_screens; /* of them: a screen is a cell of its own */
    uint64_t spoke_us;  /* when it was last said to speak */
    uint64_t came;      /* the order of coming; two may have the same */
};

struct scene {
    enum scene_layout layout;
    char speaker[SCENE_ID + 1], spotlight[SCENE_ID + 1]; /* empty: nobody */
    struct scene_person people[SCENE_PEOPLE];
};

struct scene_cell {
    const struct scene_person *person; /* of the scene */
    bool screen;                       /* its screen, else its camera */
    unsigned x, y, w, h;               /* all even */
};

/* The layout of that name; false: there is none. */
bool scene_layout_of(const char *name, enum scene_layout *out);

/* The person of that id, made if need be: NULL if there are too many. */
struct scene_person *scene_person_of(struct scene *scene, const char *id);

void scene_speaks(struct scene *scene, const char *id, uint64_t now_us);

/* Cells of a picture of that size, none upon another. Returns how many. */
size_t scene_cells(const struct scene *scene, unsigned width, unsigned height,
                   struct scene_cell out[SCENE_CELLS]);

#endif
