/* A live stream as files: segments of a second that play one after the other, playlists
 * that say what is there, and nothing that nobody wants any more. */
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
#include <unistd.h>

#include "egress/out/hls.h"
#include "film.h"

struct world {
    struct film film;
    struct hls *hls;
    int64_t sample;
    int err;
};

static void on_packet(void *arg, enum encoder_kind kind, const struct AVPacket *packet)
{
    struct world *w = arg;

    if (w->err == 0) {
        w->err = hls_put(w->hls, kind, packet, UINT64_C(1764348000500000));
    }
}

static void begin(struct world *w, unsigned part)
{
    struct hls_conf hls = {.directory = w->film.directory,
                           .part = part,
                           .width = WIDTH,
                           .height = HEIGHT,
                           .bps = 1096000};

    film_begin(&w->film, on_packet, w);
    hls.encoder = w->film.encoder;
    assert_int_equal(hls_open(&w->hls, &hls), 0);
}

static void setup(struct world *w)
{
    memset(w, 0, sizeof(*w));
    film_setup(&w->film, "/tmp/kcs-hls.XXXXXX");
    begin(w, 1);
}

static int end(struct world *w)
{
    int err = hls_close(w->hls);

    encoder_destroy(w->film.encoder);
    return err;
}

/* Seconds of pictures and silence; 'also': a key frame there within each second, too. */
static void fill(struct world *w, int64_t from_s, int64_t to_s, int64_t also)
{
    static const float silence[ENCODER_SAMPLES];

    for (int64_t at = from_s * FPS; at < to_s * FPS; at++) {
        w->sample = film_shoot(&w->film, at, "id", "Ann", at % FPS == 0 || at % FPS == also,
                               silence, w->sample);
    }
}

/* What a command of the shell, run where the files are, prints. */
static void ask(const struct world *w, const char *command, char out[256])
{
    char line[512];
    size_t n;
    FILE *pipe;

    (void)snprintf(line, sizeof(line), "cd %s && %s", w->film.directory, command);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n = fread(out, 1, 255, pipe);
    out[n > 0 && out[n - 1] == '\n' ? n - 1 : n] = '\0';
    (void)pclose(pipe);
}

static void assert_says(const struct world *w, const char *command, const char *wanted)
{
    char said[256];

    ask(w, command, said);
    assert_string_equal(said, wanted);
}

static void segments_are_of_a_second_whatever_key_frames_there_are(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 6, 17);
    assert_int_equal(w.err, 0);
    assert_int_equal(end(&w), 0);
    assert_says(&w, "grep -c '^#EXTINF:1.00000,$' 180p.m3u8", "5");
    assert_says(&w, "grep -c EXTINF 180p.m3u8", "5");
    assert_says(&w, "tail -n 1 180p.m3u8", "#EXT-X-ENDLIST");
    assert_says(&w, "grep -m 1 -o 'DATE-TIME:.*' 180p.m3u8",
                "DATE-TIME:2025-11-28T16:40:00.500Z");
    assert_says(&w, "grep -o 'CODECS.*' master.m3u8",
                "CODECS=\"avc1.640014,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=30.000");
    assert_says(&w, "tail -n 1 master.m3u8", "180p.m3u8");
    /* they are one stream: no picture is missing between them */
    assert_says(&w, "ffmpeg -v warning -nostdin -i 180p.m3u8 -f null - 2>&1", "");
    assert_says(
        &w,
        "ffprobe -v error -select_streams v -show_entries packet=pts_time -of "
        "csv=p=0 180p.m3u8 | awk 'NR > 1 && $1 - last > 0.034 {print \"hole\"} {last = $1} "
        "END {print NR}'",
        "150");
    film_teardown(&w.film);
}

static void what_nobody_wants_any_more_is_taken_away(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, HLS_KEPT + 6, 0);
    assert_int_equal(w.err, 0);
    assert_says(&w, "grep -c EXTINF 180p.m3u8", "12");
    assert_says(&w, "grep -o 'MEDIA-SEQUENCE:.*' 180p.m3u8", "MEDIA-SEQUENCE:17");
    assert_says(&w, "ls *.m4s | wc -l", "24");
    assert_says(&w, "ls -A | grep -c '^[.]'", "0");
    assert_int_equal(end(&w), 0);
    film_teardown(&w.film);
}

static void another_process_goes_on_with_the_numbers(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 4, 0);
    assert_int_equal(end(&w), 0); /* as if killed, but for the last line */
    begin(&w, 2);
    fill(&w, 10, 13, 0);
    assert_int_equal(w.err, 0);
    assert_says(&w, "grep SEQUENCE 180p.m3u8 | tr '\\n' ' '",
                "#EXT-X-MEDIA-SEQUENCE:3 #EXT-X-DISCONTINUITY-SEQUENCE:1 ");
    assert_says(&w, "grep -o 'URI=.*' 180p.m3u8", "URI=\"2-init.mp4\"");
    assert_says(&w, "ls 2-*.m4s | tr '\\n' ' '", "2-3.m4s 2-4.m4s ");
    assert_int_equal(end(&w), 0);
    film_teardown(&w.film);
}

static void a_full_disk_is_told_and_leaves_what_was_whole(void **state)
{
    struct rlimit before;
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 3, 0);
    assert_int_equal(w.err, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, before.rlim_max}), 0);
    fill(&w, 3, 5, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(w.err, -EFBIG);
    assert_int_equal(end(&w), -EFBIG);
    assert_says(&w, "grep -c EXTINF 180p.m3u8", "2");
    assert_says(&w, "ls -A | grep -c '^[.]'", "0");
    film_teardown(&w.film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_of_a_second_whatever_key_frames_there_are),
        cmocka_unit_test(what_nobody_wants_any_more_is_taken_away),
        cmocka_unit_test(another_process_goes_on_with_the_numbers),
        cmocka_unit_test(a_full_disk_is_told_and_leaves_what_was_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
