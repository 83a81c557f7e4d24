/* A live stream as files: segments of a second that play one after the other, in several
 * sizes, manifests that say what is there, and nothing that nobody wants any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <libavcodec/packet.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "egress/out/segments.h"
#include "film.h"

struct world {
    struct film film;
    struct ladder *ladder;
    struct segments *segments;
    int64_t sample;
    int err;
};

static void on_packet(void *arg, unsigned rung, enum encoder_kind kind,
                      const struct AVPacket *packet)
{
    struct world *w = arg;

    if (w->err == 0 && packet->pts >= 0) { /* encoders of sound begin before it */
        w->err = segments_put(w->segments, rung, kind, packet);
    }
}

static void begin(struct world *w, unsigned part)
{
    const struct ladder_conf rungs = {
        .rungs = {{WIDTH, HEIGHT, 1000000}, {WIDTH / 2, HEIGHT / 2, 200000}},
        .n = 2,
        .audio_bps = 96000,
        .packet = on_packet,
        .arg = w};
    char reason[ENCODER_REASON];
    struct segments_conf conf = {.directory = w->film.directory,
                                 .part = part,
                                 .rungs = &rungs,
                                 .zero_wall_us = UINT64_C(1764348000500000),
                                 .behind_us = 1000000};

    assert_int_equal(ladder_create(&w->ladder, &rungs, reason), 0);
    conf.ladder = w->ladder;
    assert_int_equal(segments_open(&w->segments, &conf), 0);
}

static void setup(struct world *w)
{
    memset(w, 0, sizeof(*w));
    film_setup(&w->film, "/tmp/kcs-segments.XXXXXX");
    begin(w, 1);
}

static int end(struct world *w)
{
    int err = segments_close(w->segments);

    ladder_destroy(w->ladder);
    return err;
}

/* Seconds of pictures and silence; 'also': a key frame there within each second, too. */
static void fill(struct world *w, int64_t from_s, int64_t to_s, int64_t also)
{
    static const float silence[ENCODER_SAMPLES];

    for (int64_t at = from_s * FPS; at < to_s * FPS; at++) {
        for (; w->sample * FPS < at * ENCODER_HZ; w->sample += ENCODER_SAMPLES) {
            assert_int_equal(ladder_sound(w->ladder, silence, silence, w->sample), 0);
        }
        film_draw(&w->film, at, "id", "Ann");
        assert_int_equal(ladder_picture(w->ladder, canvas_frame(w->film.canvas), at,
                                        at % FPS == 0 || at % FPS == also),
                         0);
    }
}

enum { SAID = 512 };

/* What a command of the shell, run where the files are, prints. */
static void ask(const struct world *w, const char *command, char out[SAID])
{
    char line[1024];
    size_t n;
    FILE *pipe;

    (void)snprintf(line, sizeof(line), "cd %s && %s", w->film.directory, command);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n = fread(out, 1, SAID - 1, pipe);
    out[n > 0 && out[n - 1] == '\n' ? n - 1 : n] = '\0';
    (void)pclose(pipe);
}

static void assert_says(const struct world *w, const char *command, const char *wanted)
{
    char said[SAID];

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
    assert_says(&w, "grep -c '^#EXTINF:1.00000,$' 90p.m3u8", "5");
    assert_says(&w, "grep -c '^#EXTINF:\\(0.9[68]...\\|1.00267\\),$' audio.m3u8", "5");
    assert_says(&w, "grep -c EXTINF 180p.m3u8", "5");
    assert_says(&w, "tail -q -n 1 180p.m3u8 90p.m3u8 audio.m3u8 | uniq -c | tr -d ' '",
                "3#EXT-X-ENDLIST");
    assert_says(&w, "grep -m 1 -o 'DATE-TIME:.*' 180p.m3u8",
                "DATE-TIME:2025-11-28T16:40:00.500Z");
    /* each is one stream: no picture is missing between them */
    assert_says(
        &w, "timeout 20 ffmpeg -v warning -nostdin -i master.m3u8 -map 0 -f null - 2>&1",
        "");
    assert_says(&w,
                "for list in 180p 90p; do ffprobe -v error -select_streams v -show_entries "
                "packet=pts_time -of csv=p=0 $list.m3u8 | awk 'NR > 1 && $1 - last > 0.034 "
                "{print \"hole\"} {last = $1} END {print NR}'; done | tr '\\n' ' '",
                "150 150 ");
    film_teardown(&w.film);
}

/* Who chooses by what the master playlist says is not deceived. */
static void the_renditions_are_what_they_are_said_to_be(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 6, -1);
    assert_int_equal(end(&w), 0);
    assert_says(&w, "grep -A 1 -o 'CODECS.*\\|^[^#].*' master.m3u8 | tr '\\n' ' '",
                "CODECS=\"avc1.640014,mp4a.40.2\",RESOLUTION=320x180,FRAME-RATE=30.000,"
                "AUDIO=\"audio\" 180p.m3u8 "
                "CODECS=\"avc1.64000b,mp4a.40.2\",RESOLUTION=160x90,FRAME-RATE=30.000,"
                "AUDIO=\"audio\" 90p.m3u8 ");
    assert_says(&w,
                "for i in 180 90; do cat 1-${i}p.mp4 1-${i}p-2.m4s | ffprobe -v error "
                "-show_entries stream=width,height,profile,level -of csv=p=0 -; done | "
                "tr '\\n' ' '",
                "High,320,180,20 High,160,90,11 ");
    /* no segment, with the largest of the sound, is larger than what is told */
    assert_says(
        &w,
        "audio=$(ls -l 1-audio-*.m4s | awk '$5 > m {m = $5} END {print m}'); "
        "sed -n 's/.*INF:BANDWIDTH=\\([0-9]*\\),AVERAGE-BANDWIDTH=\\([0-9]*\\),.*/\\1 "
        "\\2/p' "
        "master.m3u8 | { for i in 180 90; do read -r peak average; ls -l 1-${i}p-*.m4s | "
        "awk -v a=$audio -v p=$peak -v v=$average '{b = 8 * ($5 + a); t += b} b > p {print "
        "\"more:\", b, p} END {if (v >= p || t / NR > v) print \"average\", t / NR}'; "
        "done; }",
        "");
    film_teardown(&w.film);
}

/* DASH has the same segments: they lie where its manifest says, and have the times of it.
 */
static void the_manifest_of_dash_is_of_the_same_segments(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 6, -1);
    assert_int_equal(w.err, 0);
    assert_says(&w,
                "grep -o 'type=.*StartTime=\"[^\"]*\"\\|minimumUpdatePeriod=[^ ]*' "
                "manifest.mpd | tr '\\n' ' '",
                "type=\"dynamic\" availabilityStartTime=\"2025-11-28T16:40:01.500Z\" "
                "minimumUpdatePeriod=\"PT1S\" ");
    assert_int_equal(end(&w), 0);
    assert_says(&w, "grep -c minimumUpdatePeriod manifest.mpd", "0");
    assert_says(&w, "grep -o 'mediaPresentationDuration=[^ ]*' manifest.mpd",
                "mediaPresentationDuration=\"PT5.000S\"");
    assert_says(&w, "grep -o 'Representation id.*codecs=[^ ]*' manifest.mpd | tr '\\n' ' '",
                "Representation id=\"180p\" codecs=\"avc1.640014\" "
                "Representation id=\"90p\" codecs=\"avc1.64000b\" "
                "Representation id=\"audio\" codecs=\"mp4a.40.2\" ");
    /* tfdt, version 1, is the time that the manifest has for it */
    assert_says(&w,
                "for id in 180p audio; do n=0; "
                "sed -n \"/mimeType=.*$([ $id = audio ] && echo audio || echo video)/,"
                "/<.SegmentTimeline/s/.*<S t=.\\([0-9]*\\). d.*/\\1/p\" manifest.mpd | "
                "while read -r t; do at=$(grep -abo tfdt 1-$id-$n.m4s | cut -d: -f1); "
                "[ $t = $((0x$(xxd -s $((at + 8)) -l 8 -p 1-$id-$n.m4s))) ] && echo -n "
                "\"ok \"; n=$((n + 1)); done; done",
                "ok ok ok ok ok ok ok ok ok ok ");
    /* and another's reading of it, played through without a word, to its end */
    assert_says(&w, "grep -o 'type=[^ ]*' manifest.mpd", "type=\"static\"");
    assert_says(
        &w, "timeout 20 ffmpeg -v warning -nostdin -i manifest.mpd -map 0 -f null - 2>&1",
        "");
    assert_says(&w,
                "timeout 20 ffprobe -v error -show_entries stream=codec_name,width -of "
                "csv=p=0 manifest.mpd | head -n 3 | tr '\\n' ' '",
                "h264,320 h264,160 aac ");
    film_teardown(&w.film);
}

static void what_nobody_wants_any_more_is_taken_away(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, SEGMENTS_KEPT + 6, -1);
    assert_int_equal(w.err, 0);
    assert_says(&w, "grep -c EXTINF 180p.m3u8", "12");
    assert_says(&w, "grep -o 'MEDIA-SEQUENCE:.*' 180p.m3u8", "MEDIA-SEQUENCE:17");
    assert_says(&w, "grep -o 'startNumber=.[0-9]*' manifest.mpd | uniq",
                "startNumber=\"17");
    assert_says(&w, "grep -c '<S t' manifest.mpd", "24");
    assert_says(&w, "ls *.m4s | wc -l", "72");
    assert_says(&w, "ls -A | grep -c '^[.]'", "0");
    assert_int_equal(end(&w), 0);
    /* one that is over begins where what is left does */
    assert_says(&w,
                "grep -o '<Period.*' manifest.mpd; grep -o "
                "'presentationTimeOffset=[^ ]*\\|<S t=[^ ]*' manifest.mpd | head -n 2",
                "<Period id=\"1\" start=\"PT17.000S\">\n"
                "presentationTimeOffset=\"1530000\"\n<S t=\"1530000\"");
    assert_says(&w, "grep -c 'timeShift\\|suggestedPres' manifest.mpd", "0");
    film_teardown(&w.film);
}

static void another_process_goes_on_with_the_numbers(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 4, -1);
    assert_int_equal(end(&w), 0); /* as if killed, but for the last line */
    w.sample = INT64_C(10) * ENCODER_HZ;
    begin(&w, 2);
    fill(&w, 10, 13, -1);
    assert_int_equal(w.err, 0);
    assert_says(&w, "grep SEQUENCE 180p.m3u8 | tr '\\n' ' '",
                "#EXT-X-MEDIA-SEQUENCE:3 #EXT-X-DISCONTINUITY-SEQUENCE:1 ");
    assert_says(&w, "grep -o 'URI=.*' 180p.m3u8", "URI=\"2-180p.mp4\"");
    assert_says(&w, "ls 2-180p-*.m4s | tr '\\n' ' '", "2-180p-3.m4s 2-180p-4.m4s ");
    /* a period of its own, that begins where its first segment does */
    assert_says(&w, "grep -o '<Period.*' manifest.mpd",
                "<Period id=\"2\" start=\"PT10.000S\">");
    assert_says(&w,
                "grep -o 'presentationTimeOffset=[^ ]*\\|<S t=[^ ]*' manifest.mpd | "
                "head -n 2 | tr '\\n' ' '",
                "presentationTimeOffset=\"900000\" <S t=\"900000\" ");
    assert_int_equal(end(&w), 0);
    film_teardown(&w.film);
}

static void a_full_disk_is_told_and_leaves_what_was_whole(void **state)
{
    struct rlimit before;
    struct world w;
    (void)state;

    setup(&w);
    fill(&w, 0, 3, -1);
    assert_int_equal(w.err, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, before.rlim_max}), 0);
    fill(&w, 3, 5, -1);
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
        cmocka_unit_test(the_renditions_are_what_they_are_said_to_be),
        cmocka_unit_test(the_manifest_of_dash_is_of_the_same_segments),
        cmocka_unit_test(what_nobody_wants_any_more_is_taken_away),
        cmocka_unit_test(another_process_goes_on_with_the_numbers),
        cmocka_unit_test(a_full_disk_is_told_and_leaves_what_was_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
