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
    /* whose sound is of a screen, or who is one too many, is heard and not seen */
    entry->person = strcmp(stream->source, "screen_audio") != 0
                        ? scene_person_of(&cast->scene, stream->person)
                        : NULL;
    return 0;
}

static void enter(struct cast_entry *entry)
{
    if (entry != NULL && entry->person != NULL && !entry->entered) {
        entry->entered = true;
        entry->person->n_streams++;
        entry->person->n_screens += entry->screen;
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
    if (entry->entered) {
        entry->person->n_streams--;
        entry->person->n_screens -= entry->screen;
    }
    entry->publisher->n--;
    source_close(entry->source);
    entry->source = NULL;
}

static void pause_entry(struct cast *cast, const char *name, unsigned paused)
{
    struct cast_entry *entry = find(cast, name);

    if (entry != NULL) {
        entry->paused = paused != 0;
        entry->seen = entry->seen && paused == 0;
    }
}

static void name_person(struct cast *cast, const char *id, uint64_t came, const char *name)
{
    struct scene_person *person = scene_person_of(&cast->scene, id);

    if (person != NULL) {
        person->came = came;
        (void)snprintf(person->name, sizeof(person->name), "%s", name);
    }
}

/* What was said the delay ago: now the picture is there. */
static int obey(struct cast *cast, const char *line)
{
    char name[FEED_NAME + 1] = "";
    uint64_t came = 0;
    unsigned n = 0;
    int at = 0;

    if (sscanf(line, "enter %63s", name) == 1) {
        enter(find(cast, name));
    } else if (sscanf(line, "remove %63s", name) == 1) {
        struct cast_entry *entry = find(cast, name);

        if (entry != NULL) {
            drop(entry);
        }
    } else if (sscanf(line, "person %31s %" SCNu64 " %n", name, &came, &at) == 2 &&
               at > 0) {
        name_person(cast, name, came, line + at);
    } else if (sscanf(line, "pause %63s %u", name, &n) == 2) {
        pause_entry(cast, name, n);
    } else if (sscanf(line, "layout %31s", name) == 1) {
        return scene_layout_of(name, &cast->scene.layout) ? 0 : -EINVAL;
    } else if (strncmp(line, "speaker", 7) == 0) {
        (void)sscanf(line, "speaker %31s", name);
        scene_speaks(&cast->scene, name, mode_now_us());
    } else if (strncmp(line, "spotlight", 9) == 0) {
        (void)sscanf(line, "spotlight %31s", name);
        (void)snprintf(cast->scene.spotlight, sizeof(cast->scene.spotlight), "%s", name);
    } else {
        return -EINVAL;
    }
    return 0;
}

static void ask(struct cast_entry *entry, uint64_t now_us)
{
    if (!entry->paused && source_wants_key(entry->source, now_us)) {
        mode_say("key %s", entry->name);
    }
}

/* ---- lines ---- */

static void obey_first(struct cast *cast)
{
    struct cast_line *first = &cast->lines[cast->first_line];

    if (obey(cast, first->words) != 0) {
        (void)fprintf(stderr, "kcs-egress: not understood: %s\n", first->words);
    }
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
    int err = 0;

    if (strncmp(line, "add ", 4) == 0) { /* its packets are there now */
        err = add(cast, line);
        if (err != 0 || sscanf(line, "add %63s", name) != 1) {
            return err;
        }
    }
    if (cast->n_lines == CAST_LINES) {
        obey_first(cast); /* too early rather than not at all */
    }
    last = &cast->lines[(cast->first_line + cast->n_lines++) % CAST_LINES];
    last->due_us = mode_now_us() + CAST_DELAY_US;
    if (strncmp(line, "add ", 4) == 0) {
        (void)snprintf(last->words, sizeof(last->words), "enter %s", name);
    } else {
        (void)snprintf(last->words, sizeof(last->words), "%s", line);
    }
    return 0;
}

void cast_run(struct cast *cast, uint64_t now_us, struct mixer *mixer)
{
    obey_due(cast, now_us);
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source != NULL) {
            source_run(entry->source, now_us, mixer, entry->paused);
            ask(entry, now_us);
        }
    }
}

void cast_end(struct cast *cast, uint64_t now_us, struct mixer *mixer)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source != NULL) {
            source_end(entry->source, now_us, mixer, entry->paused);
        }
    }
}

void cast_advance(struct cast *cast, int64_t at_us)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        struct cast_entry *entry = &cast->entries[i];

        if (entry->source != NULL && entry->video) {
            entry->fresh = source_advance(entry->source, at_us);
            entry->seen = entry->seen || (entry->fresh && !entry->paused);
            if (entry->fresh && !entry->told) {
                entry->told = true;
                mode_say("seen %s", entry->name);
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

        if (entry->source != NULL && entry->video && entry->person == cell->person &&
            entry->screen == cell->screen && !entry->paused && entry->seen) {
            best = entry;
        }
    }
    return best;
}

uint64_t cast_lost(const struct cast *cast)
{
    uint64_t lost = 0;

    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source != NULL) {
            struct source_figures f;

            source_figures(cast->entries[i].source, &f);
            lost += f.lost;
        }
    }
    return lost;
}

void cast_fini(struct cast *cast)
{
    for (unsigned i = 0; i < CAST_SOURCES; i++) {
        if (cast->entries[i].source != NULL) {
            drop(&cast->entries[i]);
        }
    }
}
