/* Who is in the picture, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "egress/compose/scene.h"

enum { W = 1280, H = 720 };

static uint64_t came;

static struct scene_person *join(struct scene *scene, const char *id)
{
    struct scene_person *p = scene_person_of(scene, id);

    assert_non_null(p);
    p->n_streams++;
    p->came = p->came != 0 ? p->came : ++came;
    return p;
}

static struct scene *setup(enum scene_layout layout)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    assert_non_null(scene);
    scene->layout = layout;
    return scene;
}

/* All in the picture, even, none upon another. */
static size_t cells_of(const struct scene *scene, struct scene_cell out[SCENE_CELLS])
{
    size_t n = scene_cells(scene, W, H, out);

    for (size_t i = 0; i < n; i++) {
        const struct scene_cell *a = &out[i];

        assert_int_equal((a->x | a->y | a->w | a->h) & 1, 0);
        assert_true(a->w > 0 && a->h > 0 && a->x + a->w <= W && a->y + a->h <= H);
        for (size_t k = 0; k < i; k++) {
            const struct scene_cell *b = &out[k];

            assert_true(a->x >= b->x + b->w || b->x >= a->x + a->w || a->y >= b->y + b->h ||
                        b->y >= a->y + a->h);
        }
    }
    return n;
}

static void assert_cell(const struct scene_cell *cell, const char *id, unsigned x,
                        unsigned y, unsigned w, unsigned h)
{
    assert_string_equal(cell->person->id, id);
    assert_int_equal(cell->x, x);
    assert_int_equal(cell->y, y);
    assert_int_equal(cell->w, w);
    assert_int_equal(cell->h, h);
}

static void nobody_is_an_empty_picture(void **state)
{
    struct scene_cell cells[SCENE_CELLS];
    (void)state;

    for (unsigned layout = 0; layout < N_SCENE_LAYOUTS; layout++) {
        struct scene *scene = setup((enum scene_layout)layout);

        assert_int_equal(cells_of(scene, cells), 0);
        (void)scene_person_of(scene, "who sends nothing");
        assert_int_equal(cells_of(scene, cells), 0);
        free(scene);
    }
}

static void a_grid_has_those_who_send_in_the_order_of_their_coming(void **state)
{
    struct scene *scene = setup(SCENE_GRID);
    struct scene_cell cells[SCENE_CELLS];
    struct scene_person *ann = join(scene, "ann");
    (void)state;

    assert_int_equal(cells_of(scene, cells), 1);
    assert_cell(&cells[0], "ann", 0, 0, 1280, 720);
    (void)join(scene, "bob");
    assert_int_equal(cells_of(scene, cells), 2);
    assert_cell(&cells[0], "ann", 0, 180, 640, 360);
    assert_cell(&cells[1], "bob", 640, 180, 640, 360);
    (void)join(scene, "cy");
    assert_int_equal(cells_of(scene, cells), 3);
    assert_cell(&cells[0], "ann", 0, 0, 640, 360);
    assert_cell(&cells[2], "cy", 320, 360, 640, 360); /* the last row in the middle */
    scene_speaks(scene, "cy", 5);
    assert_int_equal(cells_of(scene, cells), 3);
    assert_cell(&cells[0], "ann", 0, 0, 640, 360); /* who speaks moves nobody */
    ann->n_streams--;
    assert_int_equal(cells_of(scene, cells), 2);
    assert_cell(&cells[0], "bob", 0, 180, 640, 360);
    free(scene);
}

static void of_many_those_are_shown_who_spoke_last(void **state)
{
    struct scene *scene = setup(SCENE_GRID);
    struct scene_cell cells[SCENE_CELLS];
    bool eleven = false;
    (void)state;

    for (unsigned i = 1; i <= 12; i++) {
        char id[8];

        (void)snprintf(id, sizeof(id), "p%u", i);
        (void)join(scene, id);
    }
    assert_int_equal(cells_of(scene, cells), 9);
    assert_cell(&cells[8], "p9", 852, 478, 426, 238);
    scene_speaks(scene, "p11", 1);
    assert_int_equal(cells_of(scene, cells), 9);
    for (unsigned i = 0; i < 9; i++) {
        eleven = eleven || strcmp(cells[i].person->id, "p11") == 0;
        assert_true(i == 0 || cells[i].person->came > cells[i - 1].person->came);
    }
    assert_true(eleven);
    free(scene);
}

static void a_speaker_is_large_and_one_in_the_spotlight_before_him(void **state)
{
    struct scene *scene = setup(SCENE_SPEAKER);
    struct scene_cell cells[SCENE_CELLS];
    (void)state;

    (void)join(scene, "ann");
    assert_int_equal(cells_of(scene, cells), 1);
    assert_cell(&cells[0], "ann", 0, 0, 1280, 720);
    (void)join(scene, "bob");
    (void)join(scene, "cy");
    scene_speaks(scene, "bob", 7);
    assert_int_equal(cells_of(scene, cells), 3);
    assert_cell(&cells[0], "bob", 0, 72, 1024, 576);
    assert_cell(&cells[1], "ann", 1024, 216, 256, 144);
    assert_cell(&cells[2], "cy", 1024, 360, 256, 144);
    (void)strcpy(scene->spotlight, "cy");
    assert_int_equal(cells_of(scene, cells), 3);
    assert_string_equal(cells[0].person->id, "cy");
    (void)strcpy(scene->spotlight, "who left");
    assert_int_equal(cells_of(scene, cells), 3);
    assert_string_equal(cells[0].person->id, "bob");
    for (char id[] = "d"; id[0] < 'k'; id[0]++) {
        (void)join(scene, id);
    }
    assert_int_equal(cells_of(scene, cells), 5);
    free(scene);
}

static void a_screen_is_large_in_a_presentation_and_a_cell_elsewhere(void **state)
{
    struct scene *scene = setup(SCENE_PRESENTATION);
    struct scene_cell cells[SCENE_CELLS];
    struct scene_person *bob;
    (void)state;

    (void)join(scene, "ann");
    bob = join(scene, "bob");
    assert_int_equal(cells_of(scene, cells), 2); /* as with a speaker */
    assert_string_equal(cells[0].person->id, "ann");
    bob->n_streams++;
    bob->n_screens++;
    assert_int_equal(cells_of(scene, cells), 3);
    assert_cell(&cells[0], "bob", 0, 72, 1024, 576);
    assert_true(cells[0].screen);
    assert_false(cells[1].screen || cells[2].screen);
    assert_string_equal(cells[1].person->id, "ann");
    assert_string_equal(cells[2].person->id, "bob");
    scene->layout = SCENE_SPEAKER;
    assert_int_equal(cells_of(scene, cells), 3);
    assert_false(cells[0].screen);
    assert_true(cells[1].screen);
    scene->layout = SCENE_GRID;
    assert_int_equal(cells_of(scene, cells), 3);
    assert_true(cells[0].screen);
    free(scene);
}

static void more_people_than_there_are_places_for_are_not_shown(void **state)
{
    struct scene *scene = setup(SCENE_GRID);
    struct scene_person *last = NULL;
    char id[16];
    (void)state;

    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        (void)snprintf(id, sizeof(id), "p%u", i);
        last = join(scene, id);
    }
    assert_null(scene_person_of(scene, "one more"));
    assert_ptr_equal(scene_person_of(scene, id), last);
    last->n_streams--; /* whose place is free again */
    assert_ptr_equal(scene_person_of(scene, "one more"), last);
    assert_string_equal(last->id, "one more");
    free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_an_empty_picture),
        cmocka_unit_test(a_grid_has_those_who_send_in_the_order_of_their_coming),
        cmocka_unit_test(of_many_those_are_shown_who_spoke_last),
        cmocka_unit_test(a_speaker_is_large_and_one_in_the_spotlight_before_him),
        cmocka_unit_test(a_screen_is_large_in_a_presentation_and_a_cell_elsewhere),
        cmocka_unit_test(more_people_than_there_are_places_for_are_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
