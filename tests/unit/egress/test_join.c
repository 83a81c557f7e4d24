/* What is composed, as files: parts that are whole up to the second in which their writer
 * was killed, and one file of several parts. ffprobe and ffmpeg judge them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "egress/out/join.h"
#include "egress/out/part.h"
#include "film.h"

struct world {
    struct film film;
    struct part *part;
    int err;
};

static void on_packet(void *arg, enum encoder_kind kind, const struct AVPacket *packet)
{
    struct world *w = arg;

    if (w->err == 0) {
        w->err = part_put(w->part, kind, packet);
    }
}

static void setup(struct world *w)
{
    memset(w, 0, sizeof(*w));
    film_setup(&w->film, "/tmp/kcs-join.XXXXXX");
}

static void begin(struct world *w, unsigned number)
{
    struct part_conf part = {
        .directory = w->film.directory, .extension = "mp4", .number = number};

    film_begin(&w->film, on_packet, w);
    part.encoder = w->film.encoder;
    assert_int_equal(part_open(&w->part, &part), 0);
}

/* Pictures that differ, and sound, from one second to the other. */
static void fill(struct world *w, int64_t from_s, int64_t to_s)
{
    static float tone[ENCODER_SAMPLES];
    int64_t sample = from_s * ENCODER_HZ / ENCODER_SAMPLES * ENCODER_SAMPLES;

    for (unsigned i = 0; i < ENCODER_SAMPLES; i++) {
        tone[i] = (float)(i % 48) / 96.0f;
    }
    for (int64_t at = from_s * FPS; at < to_s * FPS; at++) {
        char id[24];

        (void)snprintf(id, sizeof(id), "%d", (int)at);
        sample = film_shoot(&w->film, at, id, id, at % (2 * FPS) == 0, tone, sample);
    }
}

static int end(struct world *w)
{
    uint64_t bytes;
    int err = part_close(w->part, &bytes);

    encoder_destroy(w->film.encoder);
    return err;
}

static void path_of(const struct world *w, const char *name, char out[96])
{
    (void)snprintf(out, 96, "%s/%s", w->film.directory, name);
}

/* Half of the bytes of its last fragment are missing, as of one that was killed. */
static void cut_off(const struct world *w, const char *name, off_t bytes)
{
    struct stat st;
    char path[96];

    path_of(w, name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - bytes), 0);
}

/* What a command says about a file, without its last line's end. */
static void ask(const struct world *w, const char *name, const char *command, char out[256])
{
    char line[512], path[96];
    size_t n;
    FILE *pipe;

    path_of(w, name, path);
    (void)snprintf(line, sizeof(line), command, path);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n = fread(out, 1, 255, pipe);
    out[n > 0 && out[n - 1] == '\n' ? n - 1 : n] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

static void assert_clean(const struct world *w, const char *name)
{
    char said[256];

    ask(w, name, "ffmpeg -v warning -nostdin -i %s -f null - 2>&1", said);
    assert_string_equal(said, "");
}

static void assert_frames(const struct world *w, const char *name, int video,
                          double until_s)
{
    char said[256];

    ask(w, name,
        "ffprobe -v error -count_packets -select_streams v -show_entries "
        "stream=nb_read_packets -of csv=p=0 %s",
        said);
    assert_int_equal(atoi(said), video);
    ask(w, name, "ffprobe -v error -show_entries format=duration -of csv=p=0 %s", said);
    assert_true(atof(said) > until_s - 0.1 && atof(said) < until_s + 0.1);
}

static void a_part_plays(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    begin(&w, 1);
    fill(&w, 0, 4);
    assert_int_equal(w.err, 0);
    assert_int_equal(end(&w), 0);
    assert_clean(&w, "meeting.1.mp4");
    assert_frames(&w, "meeting.1.mp4", 4 * FPS, 4);
    film_teardown(&w.film);
}

/* Also of a part in which nothing came to be. */
static void parts_become_one_file_in_which_the_time_between_has_passed(void **state)
{
    struct world w;
    struct join_conf conf = {.extension = "mp4", .n = 3};
    struct joined joined;
    char reason[JOIN_REASON], said[256], path[96];
    struct stat st;
    (void)state;

    setup(&w);
    begin(&w, 1);
    fill(&w, 0, 4);
    assert_int_equal(end(&w), 0);
    cut_off(&w, "meeting.1.mp4", 500);
    begin(&w, 2);
    assert_int_equal(end(&w), 0);
    begin(&w, 3);
    fill(&w, 6, 9);
    assert_int_equal(end(&w), 0);

    conf.directory = w.film.directory;
    if (join_parts(&conf, &joined, reason) != 0) {
        fail_msg("%s", reason);
    }
    assert_clean(&w, "meeting.mp4");
    /* of the first, the second that was broken off is missing at most */
    ask(&w, "meeting.mp4",
        "ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 %s | "
        "awk '{n++; if ($1 < 3.1) early++; if ($1 >= 6) late++} END {print (early >= 3 * "
        "30 - 1), "
        "late}'",
        said);
    assert_string_equal(said, "1 90");
    assert_true(joined.length_us > 8900000 && joined.length_us < 9100000);
    /* sound all the way: no hole that players close up */
    ask(&w, "meeting.mp4",
        "ffprobe -v error -select_streams a -show_entries packet=pts_time -of csv=p=0 %s | "
        "awk 'NR > 1 && $1 - last > 0.022 {print \"hole at\", last} {last = $1}'",
        said);
    assert_string_equal(said, "");
    for (unsigned i = 1; i <= 3; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "meeting.%u.mp4", i);
        path_of(&w, name, path);
        assert_int_equal(stat(path, &st), -1);
    }
    path_of(&w, "meeting.mp4", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(joined.bytes, st.st_size);
    film_teardown(&w.film);
}

/* A process that took its time to end has written what the next one has, too: the picture
 * with which that begins is not left out, as all that follows leans on it. */
static void parts_that_overlap_become_a_file_that_plays(void **state)
{
    struct world w;
    struct join_conf conf = {.extension = "mp4", .n = 2};
    struct joined joined;
    char reason[JOIN_REASON];
    (void)state;

    setup(&w);
    begin(&w, 1);
    fill(&w, 0, 3);
    assert_int_equal(end(&w), 0);
    begin(&w, 2);
    fill(&w, 2, 5);
    assert_int_equal(end(&w), 0);
    conf.directory = w.film.directory;
    assert_int_equal(join_parts(&conf, &joined, reason), 0);
    assert_clean(&w, "meeting.mp4");
    assert_frames(&w, "meeting.mp4", 6 * FPS, 6);
    assert_true(joined.length_us > 5900000 && joined.length_us < 6100000);
    film_teardown(&w.film);
}

/* Whoever tells it has been told: and what was written before is whole. */
static void a_full_disk_leaves_a_file_that_plays(void **state)
{
    struct rlimit before;
    struct world w;
    char said[256];
    (void)state;

    setup(&w);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    begin(&w, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, before.rlim_max}), 0);
    fill(&w, 0, 20);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(w.err, -EFBIG);
    assert_int_equal(end(&w), -EFBIG);
    assert_clean(&w, "meeting.1.mp4");
    ask(&w, "meeting.1.mp4",
        "ffprobe -v error -show_entries format=duration -of csv=p=0 %s", said);
    assert_true(atof(said) > 1);
    film_teardown(&w.film);
}

static void nothing_to_join_is_refused_and_nothing_is_left(void **state)
{
    struct world w;
    struct join_conf conf = {.extension = "mp4", .n = 2};
    struct joined joined;
    char reason[JOIN_REASON];
    (void)state;

    setup(&w);
    conf.directory = w.film.directory;
    assert_int_equal(join_parts(&conf, &joined, reason), -ENOENT);
    assert_int_equal(rmdir(w.film.directory), 0);
    assert_int_equal(mkdir(w.film.directory, 0700), 0);
    film_teardown(&w.film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_plays),
        cmocka_unit_test(parts_become_one_file_in_which_the_time_between_has_passed),
        cmocka_unit_test(parts_that_overlap_become_a_file_that_plays),
        cmocka_unit_test(a_full_disk_leaves_a_file_that_plays),
        cmocka_unit_test(nothing_to_join_is_refused_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
