/* Who is in what is composed: the streams, decoded, and whose they are. Of pictures only
 * those are decoded that are in view, or will be when what was said has come into force:
 * so their key frames are there when they are seen. It is told by control, in lines:
 *
 * add (mode.h) · remove NAME · person ID CAME NAME: of two, who CAME
 * earlier stands first · pause NAME 0|1: nothing of that stream is
 * shown or heard · layout grid|speaker|presentation · speaker ID · spotlight ID; of the
 * last two without ID: nobody */
#ifndef EGRESS_CAST_H
#define EGRESS_CAST_H

#include "egress/compose/scene.h"
#include "egress/compose/source.h"
#include "egress/mode.h"

enum {
    CAST_SOURCES = 256,
    CAST_LINES = 512,
    CAST_DELAY_US = 800000 /* what is shown is behind what comes: repair (FEED_HOLD_US), and
                            * a turn that is slow */
};

struct cast_line {
    uint64_t due_us;
    char words[MODE_LINE];
};

struct cast_publisher {
    uint64_t id;
    unsigned n; /* sources that are of it; 0: the place is free */
    struct sync_clock clock;
};

/* As it is, and as it will be when all that was said has come into force. */
enum cast_when { CAST_NOW, CAST_SOON, N_CAST_WHEN };

struct cast_entry {
    struct source *source; /* NULL: the place is free */
    uint64_t serial;       /* no other has had it */
    struct cast_publisher *publisher;
    char name[FEED_NAME + 1];
    char owner[MODE_PERSON + 1]; /* empty: heard, and not seen */
    bool video, screen;
    struct cast_state {
        struct scene_person *person; /* NULL: not in the picture */
        bool paused;
    } at[N_CAST_WHEN];
    bool in_view; /* of a picture: it is decoded */
    bool seen;    /* one has come since it was */
    bool fresh;   /* and one with the last cast_advance() */
    bool told;    /* that something of it has come */
};

struct cast {
    const struct mode_conf *conf; /* borrowed */
    bool pictures;                /* else sound alone */
    struct cast_entry entries[CAST_SOURCES];
    struct cast_publisher publishers[CAST_SOURCES];
    struct scene scenes[N_CAST_WHEN];
    uint64_t serial;
    struct cast_line lines[CAST_LINES]; /* that wait until the picture is as late as they */
    unsigned first_line, n_lines;
};

void cast_init(struct cast *cast, const struct mode_conf *conf, bool pictures);
void cast_fini(struct cast *cast);

/* Returns 0, or -EINVAL: not understood. */
int cast_on_line(struct cast *cast, const char *line);

/* Reads what has come; sound goes into the mixer; says whose key frame is wished for. */
void cast_run(struct cast *cast, uint64_t now_us, struct mixer *mixer);

/* The same, when nothing more comes. */
void cast_end(struct cast *cast, uint64_t now_us, struct mixer *mixer);

/* All pictures are those of 'at_us'. */
void cast_advance(struct cast *cast, int64_t at_us);

/* Whose picture is in the cell; NULL: there is none to be shown. */
const struct cast_entry *cast_picture(const struct cast *cast,
                                      const struct scene_cell *cell);

uint64_t cast_lost(const struct cast *cast);    /* packets, of those who are there */
uint64_t cast_decoded(const struct cast *cast); /* pictures, of the same */

#endif
