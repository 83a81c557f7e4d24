/* Each stream to a file of its own, as it is (track.h). Control says which: add, remove. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "egress/mode.h"
#include "egress/track/track.h"

enum { MAX_TRACKS = 256, TOLD_US = 1000000 };

struct publisher {
    uint64_t id;
    unsigned n; /* tracks that are of it; 0: the place is free */
    struct timeline_clock clock;
};

struct entry {
    struct track *track;
    struct publisher *publisher;
    char name[FEED_NAME + 1];
};

static struct {
    const struct mode_conf *conf;
    bool mp4;
    struct entry entries[MAX_TRACKS];
    unsigned n;
    struct publisher publishers[MAX_TRACKS];
    uint64_t told_us;
} all;

static void tell(const struct track *track)
{
    struct track_state s;

    track_state(track, &s);
    if (s.has_file) {
        const char *word = s.whole ? "done" : "wrote";

        mode_say("%s %s %s.%s %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                 word, s.name, s.name, s.extension, s.start_us, s.length_us, s.bytes,
                 s.frames, s.lost);
    } else if (s.whole) {
        mode_say("none %s", s.name);
    }
}

/* There is a place for one: no more than there are tracks. */
static struct publisher *publisher_of(uint64_t id)
{
    struct publisher *unused = NULL;

    for (unsigned i = 0; i < MAX_TRACKS; i++) {
        struct publisher *publisher = &all.publishers[i];

        if (publisher->n > 0 && publisher->id == id) {
            return publisher;
        }
        if (publisher->n == 0 && unused == NULL) {
            unused = publisher;
        }
    }
    *unused = (struct publisher){.id = id};
    return unused;
}

static struct entry *find(const char *name)
{
    for (unsigned i = 0; i < all.n; i++) {
        if (strcmp(all.entries[i].name, name) == 0) {
            return &all.entries[i];
        }
    }
    return NULL;
}

static int add(const char *line)
{
    struct mode_stream stream;
    struct track_conf conf = {.name = stream.name,
                              .directory = all.conf->directory,
                              .mp4 = all.mp4,
                              .rings = &all.conf->rings,
                              .zero_us = all.conf->zero_us};
    int err = -EMFILE;

    if (!mode_parse_add(line, &stream) || find(stream.name) != NULL) {
        return -EINVAL;
    }
    conf.handle = stream.handle;
    conf.codec = stream.codec;
    conf.hz = stream.hz;
    if (all.n < MAX_TRACKS) {
        struct entry *entry = &all.entries[all.n];

        entry->publisher = publisher_of(stream.publisher);
        conf.clock = &entry->publisher->clock;
        err = track_open(&entry->track, &conf);
        if (err == 0) {
            (void)snprintf(entry->name, sizeof(entry->name), "%s", stream.name);
            entry->publisher->n++;
            all.n++;
        }
    }
    if (err == -ENOMEM) {
        mode_no_memory();
    }
    if (err != 0) {
        mode_say("broken %s %s", stream.name, strerror(-err));
    }
    return 0;
}

static void finish(struct entry *entry)
{
    track_end(entry->track, mode_now_us());
    tell(entry->track);
    track_close(entry->track);
    entry->publisher->n--;
    *entry = all.entries[--all.n];
}

static int on_line(const char *line)
{
    char name[FEED_NAME + 1];

    if (strncmp(line, "add ", 4) == 0) {
        return add(line);
    }
    if (sscanf(line, "remove %63s", name) == 1) {
        struct entry *entry = find(name);

        if (entry != NULL) {
            finish(entry);
        }
        return 0;
    }
    return -EINVAL;
}

static unsigned turn(uint64_t now)
{
    bool told = now - all.told_us >= TOLD_US;

    for (unsigned i = all.n; i-- > 0;) { /* one that ends has the last in its place */
        struct entry *entry = &all.entries[i];
        enum track_news news = track_run(entry->track, now);

        if (news == TRACK_NO_MEMORY) {
            mode_no_memory();
        }
        if (news == TRACK_BROKEN || news == TRACK_FAILED) {
            mode_say("%s %s %s", news == TRACK_FAILED ? "failed" : "broken", entry->name,
                     track_reason(entry->track));
            finish(entry);
            continue;
        }
        if (news == TRACK_WANTS_KEY) {
            mode_say("key %s", entry->name);
        }
        if (told) {
            tell(entry->track);
        }
    }
    all.told_us = told ? now : all.told_us;
    return MODE_TURN_MS;
}

static int begin(const struct mode_conf *conf)
{
    all.conf = conf;
    return 0;
}

static int begin_mp4(const struct mode_conf *conf)
{
    all.mp4 = true;
    return begin(conf);
}

static void end(uint64_t now_us, bool last)
{
    (void)now_us;
    (void)last;
    while (all.n > 0) {
        finish(&all.entries[0]);
    }
}

const struct mode mode_tracks = {
    .name = "tracks", .begin = begin, .on_line = on_line, .turn = turn, .end = end};
const struct mode mode_mp4 = {
    .name = "mp4", .begin = begin_mp4, .on_line = on_line, .turn = turn, .end = end};
