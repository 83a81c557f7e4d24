/* One picture and one sound of all streams: to a file (mode composite; sound: without the
 * picture), to who watches (mode live), or to a server that has viewers of its own (mode
 * push). What is shown is some time behind what comes, so that repair and clocks have their
 * time, and is then never late.
 *
 * What control says is in cast.h, and of mode push, once: push URL, where to.
 *
 * Of the whole it is told what of a track is: 'wrote', 'done' and 'failed' have the name
 * meeting.PART. If there were parts before, in the end they are joined: joined FILE
 * LENGTH_US BYTES, which takes the place of all of them; 'joining' now and then until
 * then. */
#include <errno.h>
#include <inttypes.h>
#include <libavcodec/packet.h>
#include <libavutil/frame.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "egress/compose/canvas.h"
#include "egress/compose/cast.h"
#include "egress/mode.h"
#include "egress/out/joining.h"
#include "egress/out/ladder.h"
#include "egress/out/part.h"
#include "egress/out/push.h"
#include "egress/out/segments.h"

enum {
    WIDTH = 1280,
    HEIGHT = 720,
    VIDEO_BPS = 3000000,
    AUDIO_BPS = 128000,
    LATE_US = 100000,    /* a picture that is so late is left out */
    ENCODED_US = 200000, /* from its time to its segment's, at most as a rule */
    TOLD_US = 1000000,
    KEY_FILE = 2 * ENCODER_FPS, /* pictures from one key frame to the next */
    KEY_LIVE = ENCODER_FPS
};

/* What a cell shows; kept to be drawn again where that changes. */
struct shown {
    struct scene_cell cell;
    uint64_t serial; /* whose picture; 0: a face */
    char name[SCENE_NAME + 1];
    bool drawn;
};

static struct {
    const struct mode_conf *conf;
    const struct mode *mode;
    struct cast cast;
    struct mixer mixer;
    struct canvas *canvas; /* NULL: sound alone */
    struct shown cells[SCENE_CELLS];
    size_t n_cells;
    struct ladder_conf rungs;
    struct ladder *ladder;
    struct part *part; /* one of these; no push yet: it was not told where to */
    struct segments *segments;
    struct push *push;
    int64_t zero_wall_us; /* of the clock on the wall, when the job began */
    int64_t first_sample; /* of this process */
    int64_t picture;      /* the next */
    int64_t key_at;       /* the next that leans on no other */
    uint64_t told_us, pictures;
    uint64_t bytes; /* of the file that was closed */
    int err;
} all;

/* ---- what comes out ---- */

static int64_t us_of_picture(int64_t picture)
{
    return picture * 1000000 / ENCODER_FPS;
}

static void fail(int err)
{
    if (err == -ENOMEM) {
        mode_no_memory();
    }
    if (all.err == 0) {
        all.err = err;
        mode_say("failed meeting.%u %s", all.conf->part, strerror(-err));
    }
}

static void on_packet(void *arg, unsigned rung, enum encoder_kind kind,
                      const struct AVPacket *packet)
{
    int err = 0;

    (void)arg;
    if (all.err != 0 || (kind == ENCODER_AUDIO && packet->pts < all.first_sample)) {
        return; /* what an encoder of sound begins with is no sound */
    }
    if (all.part != NULL) {
        err = part_put(all.part, kind, packet);
    } else if (all.segments != NULL) {
        err = segments_put(all.segments, rung, kind, packet);
    } else if (all.push != NULL) {
        push_put(all.push, kind, packet);
    }
    if (err != 0) {
        fail(err);
    }
}

/* ---- the picture ---- */

static int on_line(const char *line)
{
    if (all.mode == &mode_push && all.push == NULL && strncmp(line, "push ", 5) == 0) {
        const char *ca = all.conf->n_words > 1 ? all.conf->words[1] : "";
        const bool private =
            all.conf->n_words > 0 && strcmp(all.conf->words[0], "private") == 0;

        return push_open(&all.push, line + 5, ladder_encoder(all.ladder, 0), private, ca);
    }
    return cast_on_line(&all.cast, line);
}

static bool same_cells(const struct scene_cell *cells, size_t n)
{
    if (n != all.n_cells) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct scene_cell *a = &cells[i], *b = &all.cells[i].cell;

        if (a->person != b->person || a->screen != b->screen || a->x != b->x ||
            a->y != b->y || a->w != b->w || a->h != b->h) {
            return false;
        }
    }
    return true;
}

/* Returns whether the picture is another one altogether. */
static bool arrange(void)
{
    struct scene_cell cells[SCENE_CELLS];
    size_t n = scene_cells(&all.cast.scenes[CAST_NOW], WIDTH, HEIGHT, cells);

    if (same_cells(cells, n)) {
        return false;
    }
    canvas_clear(all.canvas);
    for (size_t i = 0; i < n; i++) {
        all.cells[i] = (struct shown){.cell = cells[i]};
    }
    all.n_cells = n;
    return true;
}

static void draw(unsigned slot, struct shown *shown)
{
    const struct scene_cell *cell = &shown->cell;
    const struct canvas_box box = {cell->x, cell->y, cell->w, cell->h};
    const struct cast_entry *entry = cast_picture(&all.cast, cell);
    uint64_t serial = entry != NULL ? entry->serial : 0;
    bool same = shown->drawn && shown->serial == serial &&
                strcmp(shown->name, cell->person->name) == 0;

    if (same && (entry == NULL || !entry->fresh)) {
        return;
    }
    if (entry == NULL ||
        canvas_picture(all.canvas, slot, &box, source_picture(entry->source),
                       cell->person->name) != 0) {
        canvas_face(all.canvas, slot, &box, cell->person->id, cell->person->name);
    }
    shown->serial = serial;
    shown->drawn = true;
    (void)snprintf(shown->name, sizeof(shown->name), "%s", cell->person->name);
}

static void compose(int64_t at_us)
{
    struct AVFrame *frame = canvas_frame(all.canvas);
    bool due, key;

    cast_advance(&all.cast, at_us + 1000000 / ENCODER_FPS / 2); /* the nearest ones */
    if (av_frame_make_writable(frame) < 0) {
        return; /* the next one may have more luck */
    }
    due = all.picture >= all.key_at;
    key = arrange() || due;
    for (unsigned i = 0; i < all.n_cells; i++) {
        draw(i, &all.cells[i]);
    }
    if (due) { /* not put off by the others: a segment is no longer for it */
        all.key_at = all.picture + (all.segments != NULL ? KEY_LIVE : KEY_FILE);
    }
    if (ladder_picture(all.ladder, frame, all.picture, key) != 0) {
        fail(-EIO);
    }
    all.pictures++;
}

/* ---- time ---- */

static void sound_until(int64_t at_us)
{
    float left[ENCODER_SAMPLES], right[ENCODER_SAMPLES];

    while ((all.mixer.at + ENCODER_SAMPLES) * 1000 <= at_us * (ENCODER_HZ / 1000)) {
        int64_t at = all.mixer.at;

        mixer_take(&all.mixer, left, right, ENCODER_SAMPLES);
        if (ladder_sound(all.ladder, left, right, at) != 0) {
            fail(-EIO);
        }
    }
}

/* Everything until then. 'late' pictures may be left out. */
static void make_until(int64_t until_us, bool late)
{
    if (all.canvas == NULL) {
        sound_until(until_us);
        return;
    }
    if (late && until_us - us_of_picture(all.picture) > LATE_US) {
        all.picture = until_us * ENCODER_FPS / 1000000;
    }
    while (us_of_picture(all.picture) <= until_us && all.err == 0) {
        sound_until(us_of_picture(all.picture));
        compose(us_of_picture(all.picture));
        all.picture++;
    }
}

static void tell_push(void)
{
    struct push_figures figures;

    if (all.push == NULL) {
        return;
    }
    push_figures(all.push, &figures);
    if (figures.state == PUSH_CONNECTED) {
        mode_say("live 1 %" PRIu64, figures.bytes);
    } else if (figures.state == PUSH_REFUSED && all.err == 0) {
        all.err = -EPERM;
        mode_say("failed meeting.%u %s", all.conf->part, figures.reason);
    } else if (figures.reason[0] != '\0') {
        mode_say("away %s", figures.reason);
    }
}

static void tell(const char *word)
{
    struct segments_figures figures;
    int64_t start_us, length_us;

    if (all.segments != NULL) {
        segments_figures(all.segments, &figures);
        mode_say("live %" PRIu64 " %" PRIu64, figures.segments, figures.bytes);
        return;
    }
    if (all.mode == &mode_push) {
        tell_push();
        return;
    }
    start_us = all.first_sample * 1000 / (ENCODER_HZ / 1000);
    length_us = all.mixer.at * 1000 / (ENCODER_HZ / 1000) - start_us;
    mode_say("%s meeting.%u meeting.%u.%s %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64
             " %" PRIu64,
             word, all.conf->part, all.conf->part, all.canvas != NULL ? "mp4" : "m4a",
             start_us, length_us, all.part != NULL ? part_bytes(all.part) : all.bytes,
             all.pictures, cast_lost(&all.cast));
}

static unsigned turn(uint64_t now_us)
{
    int64_t due_us = (int64_t)(now_us - all.conf->zero_us) - CAST_DELAY_US;
    int64_t wait_us;

    cast_run(&all.cast, now_us, &all.mixer);
    if (all.err != 0) {
        return MODE_TURN_MS;
    }
    make_until(due_us, true);
    if (now_us - all.told_us >= TOLD_US) {
        all.told_us = now_us;
        tell("wrote");
    }
    wait_us = us_of_picture(all.picture) - due_us;
    return wait_us / 1000 >= MODE_TURN_MS || all.canvas == NULL ? MODE_TURN_MS
           : wait_us > 0 ? (unsigned)(wait_us / 1000 + 1)
                         : 0;
}

/* ---- begin and end ---- */

/* HEIGHT:BPS each, from the largest; without any the one picture as it is drawn. */
static int parse_rungs(const struct mode_conf *conf, struct ladder_conf *out)
{
    out->rungs[0] = (struct ladder_rung){WIDTH, HEIGHT, VIDEO_BPS};
    out->n = 1;
    for (int i = 0; i < conf->n_words && all.mode == &mode_live; i++) {
        struct ladder_rung *rung = &out->rungs[i];

        if (i == LADDER_RUNGS ||
            sscanf(conf->words[i], "%u:%" SCNu32, &rung->height, &rung->bps) != 2 ||
            rung->height == 0 || rung->height > HEIGHT || rung->bps == 0) {
            return -EINVAL;
        }
        rung->height &= ~1U;
        rung->width = (rung->height * WIDTH / HEIGHT + 1) & ~1U;
        out->n = (unsigned)i + 1;
    }
    return 0;
}

static int open_out(void)
{
    const struct part_conf part = {.directory = all.conf->directory,
                                   .extension = all.canvas != NULL ? "mp4" : "m4a",
                                   .number = all.conf->part,
                                   .encoder = ladder_encoder(all.ladder, 0)};
    const struct segments_conf live = {.directory = all.conf->directory,
                                       .part = all.conf->part,
                                       .ladder = all.ladder,
                                       .rungs = &all.rungs,
                                       .zero_wall_us = (uint64_t)all.zero_wall_us,
                                       .behind_us = CAST_DELAY_US + ENCODED_US};

    return all.mode == &mode_live   ? segments_open(&all.segments, &live)
           : all.mode == &mode_push ? 0
                                    : part_open(&all.part, &part);
}

static int begin(const struct mode *mode, const struct mode_conf *conf)
{
    const bool pictures = mode != &mode_sound;
    char reason[ENCODER_REASON];
    struct timespec wall;
    int64_t since_us = (int64_t)(mode_now_us() - conf->zero_us);
    int err;

    all.conf = conf;
    all.mode = mode;
    all.rungs.audio_bps = AUDIO_BPS;
    all.rungs.packet = on_packet;
    cast_init(&all.cast, conf, pictures);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    all.zero_wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000 - since_us;
    if (conf->part > 1) { /* what was before is in the parts before */
        all.picture = since_us * ENCODER_FPS / 1000000 + 1;
        all.first_sample =
            (us_of_picture(all.picture) * (ENCODER_HZ / 1000) / 1000 / ENCODER_SAMPLES +
             1) *
            ENCODER_SAMPLES;
    }
    mixer_init(&all.mixer, all.first_sample);
    err = pictures ? parse_rungs(conf, &all.rungs) : 0;
    if (err == 0 && pictures) {
        err = canvas_create(&all.canvas, WIDTH, HEIGHT);
    }
    if (err == 0) {
        err = ladder_create(&all.ladder, &all.rungs, reason);
        if (err != 0) {
            (void)fprintf(stderr, "kcs-egress: %s\n", reason);
        }
    }
    return err == 0 ? open_out() : err;
}

static void close_out(void)
{
    int err;

    if (all.mode == &mode_push) {
        push_close(all.push);
        all.push = NULL;
        return;
    }
    if (all.segments != NULL) {
        err = segments_close(all.segments);
        all.segments = NULL;
        if (err != 0) {
            fail(err);
        }
        return;
    }
    err = part_close(all.part, &all.bytes);
    all.part = NULL;
    if (err != 0) {
        fail(err);
    }
}

static void end(uint64_t now_us, bool last)
{
    if (all.err == 0) {
        cast_end(&all.cast, now_us, &all.mixer);
        make_until((int64_t)(now_us - all.conf->zero_us), false);
    }
    close_out();
    if (all.mode == &mode_composite || all.mode == &mode_sound) {
        tell(all.err == 0 ? "done" : "wrote");
        if (all.err == 0 && last && all.conf->part > 1) {
            joining_run(all.conf, all.mode == &mode_sound ? "m4a" : "mp4");
        }
    }
    cast_fini(&all.cast);
    ladder_destroy(all.ladder);
    canvas_destroy(all.canvas);
}

static int begin_composite(const struct mode_conf *conf)
{
    return begin(&mode_composite, conf);
}

static int begin_sound(const struct mode_conf *conf)
{
    return begin(&mode_sound, conf);
}

static int begin_push(const struct mode_conf *conf)
{
    return begin(&mode_push, conf);
}

static int begin_live(const struct mode_conf *conf)
{
    return begin(&mode_live, conf);
}

const struct mode mode_composite = {.name = "composite",
                                    .begin = begin_composite,
                                    .on_line = on_line,
                                    .turn = turn,
                                    .end = end};
const struct mode mode_sound = {
    .name = "sound", .begin = begin_sound, .on_line = on_line, .turn = turn, .end = end};
const struct mode mode_push = {
    .name = "push", .begin = begin_push, .on_line = on_line, .turn = turn, .end = end};
const struct mode mode_live = {
    .name = "live", .begin = begin_live, .on_line = on_line, .turn = turn, .end = end};
