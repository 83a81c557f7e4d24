#include "egress/compose/cast.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void cast_init(struct cast *cast, const struct mode_conf *conf, bool pictures)
{
    memset(cast, 0, sizeof(*cast));
    cast->conf = conf;
    cast->pictures = pictures;
}

/* There is a place for one: no more than there are sources. */
static struct cast_publisher *publisher_of(struct cast *cast, uint64_t id)
{
    struct cast_publisher *unused = NULL;

    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_publisher *publisher = &cast->publishers[i];

        if (publisher->n > 0 && publisher->id == id) {
            return publisher;
        }
        if (publisher->n == 0 && unused == NULL) {
            unused = publisher;
        }
    }
    *unused = (struct cast_publisher){.id = id};
    return unused;
}

static struct cast_entry *find(struct cast *cast, const char *name)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source != NULL && strcmp(cast->entries[i].name, name) == 0) {
            return &cast->entries[i];
        }
    }
    return NULL;
}

static struct cast_entry *unused_entry(struct cast *cast)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source == NULL) {
            return &cast->entries[i];
        }
    }
    return NULL;
}

static int open_entry(struct cast *cast, struct cast_entry *entry,
                      const struct mode_stream *stream)
{
    struct cast_publisher *publisher = publisher_of(cast, stream->publisher);
    const struct source_conf conf = {.rings = &cast->conf->rings,
                                     .handle = stream->handle,
                                     .codec = stream->codec,
                                     .hz = stream->hz,
                                     .zero_us = cast->conf->zero_us,
                                     .clock = &publisher->clock};
    int err = source_open(&entry->source, &conf);

    if (err != 0) {
        return err;
    }
    (void)snprintf(entry->name, sizeof(entry->name), "%s", stream->name);
    entry->serial = ++cast->serial;
    entry->publisher = publisher;
    publisher->n++;
    entry->video = stream->codec != ABI_CODEC_OPUS;
    entry->screen = entry->video && strcmp(stream->source, "screen") == 0;
    if (strcmp(stream->source, "screen_audio") != 0) {
        (void)snprintf(entry->owner, sizeof(entry->owner), "%s", stream->person);
    }
    return 0;
}

/* Who is one too many is heard and not seen. */
static void enter(struct cast *cast, struct cast_entry *entry, enum cast_when when)
{
    struct cast_state *state = entry != NULL ? &entry->at[when] : NULL;

    if (state != NULL && state->person == NULL && entry->owner[0] != '\0') {
        state->person = scene_person_of(&cast->scenes[when], entry->owner);
    } else {
        return;
    }
    if (state->person != NULL) {
        state->person->n_streams++;
        state->person->n_screens += entry->screen;
    }
}

static void leave(struct cast_entry *entry, enum cast_when when)
{
    struct scene_person *person = entry->at[when].person;

    if (person != NULL) {
        person->n_streams--;
        person->n_screens -= entry->screen;
        entry->at[when].person = NULL;
    }
}

static int add(struct cast *cast, const char *line)
{
    struct mode_stream stream;
    struct cast_entry *entry;
    int err = -EMFILE;

    if (!mode_parse_add(line, &stream) || find(cast, stream.name) != NULL) {
        return -EINVAL;
    }
    if (!cast->pictures && stream.codec != ABI_CODEC_OPUS) {
        return 0; /* sound alone */
    }
    entry = unused_entry(cast);
    if (entry != NULL) {
        *entry = (struct cast_entry){.source = NULL};
        err = open_entry(cast, entry, &stream);
    }
    if (err != 0) {
        mode_say("broken %s %s", stream.name, strerror(-err));
    }
    return 0;
}

static void drop(struct cast_entry *entry)
{
    leave(entry, CAST_SOON);
    leave(entry, CAST_NOW);
    entry->publisher->n--;
    source_close(entry->source);
    entry->source = NULL;
    entry->in_view = false;
}

static void take_away(struct cast_entry *entry, enum cast_when when)
{
    if (entry != NULL && when == CAST_NOW) {
        drop(entry);
    } else if (entry != NULL) {
        leave(entry, when);
    }
}

static void pause_entry(struct cast_entry *entry, enum cast_when when, bool paused)
{
    if (entry != NULL) {
        entry->at[when].paused = paused;
        entry->seen = entry->seen && (when != CAST_NOW || !paused);
    }
}

static void name_person(struct scene *scene, const char *id, uint64_t came,
                        const char *name)
{
    struct scene_person *person = scene_person_of(scene, id);

    if (person != NULL) {
        person->came = came;
        (void)snprintf(person->name, sizeof(person->name), "%s", name);
    }
}

static int obey(struct cast *cast, const char *line, enum cast_when when)
{
    struct scene *scene = &cast->scenes[when];
    char name[FEED_NAME + 1] = "";
    uint64_t came = 0;
    unsigned n = 0;
    int at = 0;

    if (sscanf(line, "enter %63s", name) == 1) {
        enter(cast, find(cast, name), when);
    } else if (sscanf(line, "remove %63s", name) == 1) {
        take_away(find(cast, name), when);
    } else if (sscanf(line, "person %31s %" SCNu64 " %n", name, &came, &at) == 2 &&
               at > 0) {
        name_person(scene, name, came, line + at);
    } else if (sscanf(line, "pause %63s %u", name, &n) == 2) {
        pause_entry(find(cast, name), when, n != 0);
    } else if (sscanf(line, "layout %31s", name) == 1) {
        return scene_layout_of(name, &scene->layout) ? 0 : -EINVAL;
    } else if (strncmp(line, "speaker", 7) == 0) {
        (void)sscanf(line, "speaker %31s", name);
        scene_speaks(scene, name, mode_now_us());
    } else if (strncmp(line, "spotlight", 9) == 0) {
        (void)sscanf(line, "spotlight %31s", name);
        (void)snprintf(scene->spotlight, sizeof(scene->spotlight), "%s", name);
    } else {
        return -EINVAL;
    }
    return 0;
}

/* ---- lines ---- */

/* What was said the delay ago: now the picture is there. */
static void obey_first(struct cast *cast)
{
    (void)obey(cast, cast->lines[cast->first_line].words, CAST_NOW);
    cast->first_line = (cast->first_line + 1) % CAST_LINES;
    cast->n_lines--;
}

static void obey_due(struct cast *cast, uint64_t now_us)
{
    while (cast->n_lines > 0 && cast->lines[cast->first_line].due_us <= now_us) {
        obey_first(cast);
    }
}

int cast_on_line(struct cast *cast, const char *line)
{
    struct cast_line *last;
    char name[FEED_NAME + 1];
    char words[MODE_LINE];
    int err = 0;

    (void)snprintf(words, sizeof(words), "%s", line);
    if (strncmp(line, "add ", 4) == 0) { /* its packets are there now */
        err = add(cast, line);
        if (err != 0 || sscanf(line, "add %63s", name) != 1) {
            return err;
        }
        (void)snprintf(words, sizeof(words), "enter %s", name);
    }
    err = obey(cast, words, CAST_SOON);
    if (err != 0) {
        return err;
    }
    if (cast->n_lines == CAST_LINES) {
        obey_first(cast); /* too early rather than not at all */
    }
    last = &cast->lines[(cast->first_line + cast->n_lines++) % CAST_LINES];
    last->due_us = mode_now_us() + CAST_DELAY_US;
    memcpy(last->words, words, sizeof(words));
    return 0;
}

/* ---- what is decoded ---- */

static bool is_in(const struct cast_entry *entry, enum cast_when when,
                  const struct scene_cell *cell)
{
    const struct cast_state *state = &entry->at[when];

    return entry->source != NULL && entry->video && state->person == cell->person &&
           entry->screen == cell->screen && !state->paused;
}

/* Where its cell is in the picture does not matter here. */
static void note_in_view(const struct cast *cast, enum cast_when when,
                         bool in_view[CAST_SOURCES])
{
    struct scene_cell cells[SCENE_CELLS];
    size_t n = scene_cells(&cast->scenes[when], 1280, 720, cells);

    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        for (size_t k = 0; k < n && !in_view[i]; k++) {
            in_view[i] = is_in(&cast->entries[i], when, &cells[k]);
        }
    }
}

static void look(struct cast *cast)
{
    bool in_view[CAST_SOURCES] = {false};

    if (!cast->pictures) {
        return;
    }
    note_in_view(cast, CAST_NOW, in_view);
    note_in_view(cast, CAST_SOON, in_view);
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source != NULL && entry->video) {
            source_show(entry->source, in_view[i]);
            entry->in_view = in_view[i];
            entry->seen = entry->seen && in_view[i];
        }
    }
}

static void tell(struct cast_entry *entry)
{
    if (!entry->told) {
        entry->told = true;
        mode_say("seen %s", entry->name);
    }
}

void cast_run(struct cast *cast, uint64_t now_us, struct mixer *mixer)
{
    obey_due(cast, now_us);
    look(cast);
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source == NULL) {
            continue;
        }
        source_run(entry->source, now_us, mixer, entry->at[CAST_NOW].paused);
        if (entry->in_view && source_wants_key(entry->source, now_us)) {
            mode_say("key %s", entry->name);
        }
        if (entry->video && !entry->in_view && source_has_come(entry->source)) {
            tell(entry); /* as much as is known of what nobody looks at */
        }
    }
}

void cast_end(struct cast *cast, uint64_t now_us, struct mixer *mixer)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source != NULL) {
            source_end(entry->source, now_us, mixer, entry->at[CAST_NOW].paused);
        }
    }
}

void cast_advance(struct cast *cast, int64_t at_us)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->in_view) {
            entry->fresh = source_advance(entry->source, at_us);
            entry->seen = entry->seen || (entry->fresh && !entry->at[CAST_NOW].paused);
            if (entry->fresh) {
                tell(entry);
            }
        }
    }
}

const struct cast_entry *cast_picture(const struct cast *cast,
                                      const struct scene_cell *cell)
{
    const struct cast_entry *best = NULL;

    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        const struct cast_entry *entry = &cast->entries[i];

        /* of two the newer: another encoding of the same takes over */
        if (is_in(entry, CAST_NOW, cell) && entry->seen &&
            (best == NULL || entry->serial > best->serial)) {
            best = entry;
        }
    }
    return best;
}

static struct source_figures sum(const struct cast *cast)
{
    struct source_figures all = {.lost = 0};

    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source != NULL) {
            struct source_figures f;

            source_figures(cast->entries[i].source, &f);
            all.lost += f.lost;
            all.decoded += f.decoded;
        }
    }
    return all;
}

uint64_t cast_lost(const struct cast *cast)
{
    return sum(cast).lost;
}

uint64_t cast_decoded(const struct cast *cast)
{
    return sum(cast).decoded;
}

void cast_fini(struct cast *cast)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source != NULL) {
            drop(&cast->entries[i]);
        }
    }
}
