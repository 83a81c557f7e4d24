/* Recordings with the program kcs-egress itself, which reads rings that the test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include "metric/metric.h"
#include "recording/choice.h"
#include "recording/recorder.h"
#include "sys/child.h"
#include "sys/clock.h"
#include "unit/media/rig.h"

enum { SLOTS = 256, BYTES = 64 * 1024, FRAME_TICKS = 3000, FRAME_US = 33333 };

struct world {
    struct fixture f;
    char directory[64];
    struct metric_registry *metrics;
    struct recorder *recorder;
    struct recorder_job *job;
    uint64_t stream, seq;
    uint32_t ts, bytes;
    size_t seen; /* commands of the dataplane */
    char reason[128];
    unsigned n_failed, n_ended, n_live, n_away, n_over, n_died;
    uint64_t used, room;
    bool used_known;
    char live[80];
    struct recorder_file files[8];
    size_t n_files;
};

static void on_failed(void *user, const char *reason)
{
    struct world *w = user;

    w->n_failed++;
    (void)snprintf(w->reason, sizeof(w->reason), "%s", reason);
}

static void on_ended(void *user, const struct recorder_file *files, size_t n)
{
    struct world *w = user;

    w->n_ended++;
    w->n_files = n;
    assert_true(n <= 8);
    memcpy(w->files, files, n * sizeof(*files));
}

static void on_live(void *user)
{
    struct world *w = user;

    w->n_live++;
}

static void on_away(void *user, const char *reason)
{
    struct world *w = user;

    w->n_away++;
    (void)snprintf(w->reason, sizeof(w->reason), "%s", reason);
}

static void on_died(void *user, const char *reason)
{
    struct world *w = user;

    w->n_died++;
    (void)snprintf(w->reason, sizeof(w->reason), "%s", reason);
}

static void on_over(void *user)
{
    struct world *w = user;

    assert_int_equal(w->n_ended, w->n_over + 1); /* its files are final */
    w->n_over++;
}

static bool look(void *user, struct recorder_room *out)
{
    const struct world *w = user;

    *out = (struct recorder_room){w->used, w->room};
    return w->used_known;
}

enum { QUOTA = 1000 };

static const struct recorder_ops OPS = {.live = on_live,
                                        .away = on_away,
                                        .died = on_died,
                                        .failed = on_failed,
                                        .ended = on_ended};

static const struct recorder_owner OWNER = {
    .person = "ann", .name = "Ann Example", .source = "camera"};

static struct tap *tap_of(struct world *w, uint64_t stream)
{
    return tap_first(fake_dp_streams(w->f.dp)) + handle_index(stream);
}

/* Opens a stream of video, with a ring of its own. */
static uint64_t open_video(struct world *w, enum abi_codec codec)
{
    const struct vault_stream_conf conf = {.kind = ABI_VIDEO,
                                           .codec = (uint8_t)codec,
                                           .clock_hz = 90000,
                                           .ssrc = 1,
                                           .pt = 96,
                                           .peer = open_peer(&w->f)};
    struct answer answer = {.n = 0};
    uint64_t at = tap_blocks_at(8);
    uint64_t stream;

    assert_int_equal(media_stream_open(w->f.media, &conf, on_answer, &answer, &stream), 0);
    WAIT(&w->f, answer.n == 1);
    at += handle_index(stream) * (SLOTS * sizeof(struct tap_slot) + BYTES);
    tap_open(tap_of(w, stream), stream, at, SLOTS, at + SLOTS * sizeof(struct tap_slot),
             BYTES);
    return stream;
}

static void setup_with(struct world *w, enum recorder_mode mode, unsigned memory_mb)
{
    struct recorder_conf conf = {.program = KCS_EGRESS,
                                 .directory = w->directory,
                                 .memory_mb = memory_mb,
                                 .quota_bytes = QUOTA,
                                 .look = look,
                                 .over = on_over,
                                 .user = w,
                                 .renditions = {{360, 800}, {180, 250}},
                                 .n_renditions = 2,
                                 .push_private = mode == RECORDER_PUSH};
    char reason[RECORDER_REASON];

    memset(w, 0, sizeof(*w));
    start_all(&w->f);
    w->room = RECORDER_FREE;
    w->stream = open_video(w, ABI_CODEC_VP8);
    (void)snprintf(w->directory, sizeof(w->directory), "%s/recordings", w->f.dir);
    (void)snprintf(w->live, sizeof(w->live), "%s/live", w->f.dir);
    conf.live = w->live;
    conf.loop = w->f.loop;
    conf.media = w->f.media;
    assert_int_equal(metric_registry_create(&w->metrics), 0);
    conf.metrics = w->metrics;
    assert_int_equal(recorder_create(&w->recorder, &conf, reason), 0);
    assert_int_equal(mode == RECORDER_PUSH
                         ? recorder_push(w->recorder, "one",
                                         "rtmp://127.0.0.1:1/live/secret", &OPS, w, &w->job)
                         : recorder_start(w->recorder, "one", mode, &OPS, w, &w->job),
                     0);
    recorder_add(w->job, "camera", &w->stream, 1, &OWNER);
}

static void setup_as(struct world *w, enum recorder_mode mode)
{
    setup_with(w, mode, 0);
}

static void setup(struct world *w)
{
    setup_as(w, RECORDER_TRACKS);
}

static void teardown(struct world *w)
{
    char command[256];

    recorder_destroy(w->recorder);
    (void)snprintf(command, sizeof(command), "rm -rf %s %s", w->directory, w->live);
    assert_int_equal(system(command), 0);
    metric_registry_destroy(w->metrics);
    finish(&w->f);
}

static void assert_metric(const struct world *w, const char *line)
{
    char *text;
    size_t len;

    assert_int_equal(metric_render(w->metrics, &text, &len), 0);
    assert_non_null(strstr(text, line));
    free(text);
}

/* One packet that is a whole frame. */
static void write_packet(struct world *w, uint64_t stream, const uint8_t *p, size_t len)
{
    struct tap *tap = tap_of(w, stream);
    uint8_t *mem = fake_dp_streams(w->f.dp);
    uint64_t pos = atomic_load(&tap->head);
    struct tap_slot slot = {.pos = pos,
                            .seq = w->seq++,
                            .arrival_us = clock_mono_us(),
                            .ts = w->ts,
                            .offset = w->bytes,
                            .len = (uint16_t)len,
                            .flags = TAP_MARKER};

    w->ts += FRAME_TICKS;
    memcpy(mem + tap->bytes_at + w->bytes, p, len);
    memcpy(mem + tap->slots_at + (pos & (SLOTS - 1)) * sizeof(slot), &slot, sizeof(slot));
    w->bytes = (w->bytes + 64) % BYTES;
    if (pos >= SLOTS / 2) {
        atomic_store(&tap->tail, pos - SLOTS / 2);
    }
    atomic_store(&tap->head, pos + 1);
}

static void write_frame(struct world *w, bool key)
{
    static const uint8_t key_frame[] = {0x10, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0};
    static const uint8_t other[] = {0x10, 0x11, 2, 0};

    write_packet(w, w->stream, key ? key_frame : other,
                 key ? sizeof(key_frame) : sizeof(other));
}

/* One frame at its time, a key frame if the dataplane was asked for one. */
static void step(struct world *w)
{
    bool key = false;

    for (; w->seen < fake_dp_n_cmds(w->f.dp); w->seen++) {
        key = key || fake_dp_cmd(w->f.dp, w->seen).op == ABI_OP_STREAM_KEYFRAME;
    }
    write_frame(w, key);
    recorder_tick(w->recorder, clock_mono_us());
    settle(&w->f, FRAME_US / 1000);
}

/* Frames of the newest file that are known of. */
static uint64_t frames_of(const struct world *w, size_t n_files)
{
    size_t n;
    const struct recorder_file *files = recorder_files(w->job, &n);

    return n < n_files ? 0 : files[n_files - 1].frames;
}

#define RUN(w_, cond_)                                                                     \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 60000;                                                \
        while (!(cond_)) {                                                                 \
            assert_true(now_ms() < until_);                                                \
            step(w_);                                                                      \
        }                                                                                  \
    } while (0)

static void stop(struct world *w)
{
    recorder_stop(w->job);
    for (uint64_t until = now_ms() + 10000; w->n_ended == 0 && now_ms() < until;) {
        recorder_tick(w->recorder, clock_mono_us());
        settle(&w->f, 10);
    }
    assert_int_equal(w->n_ended, 1);
    assert_metric(w, "\nkcs_recordings 0\n");
}

static void assert_file(const struct world *w, size_t i, const char *name, bool whole)
{
    const struct recorder_file *file = &w->files[i];
    char path[192];
    struct stat st;

    assert_string_equal(file->track, "camera");
    assert_string_equal(file->name, name);
    assert_int_equal(file->whole, whole);
    assert_true(file->frames >= 5 && file->length_us > 100000);
    assert_in_range(file->start_us, 1, 10000000);
    (void)snprintf(path, sizeof(path), "%s/one/%s", w->directory, name);
    assert_int_equal(stat(path, &st), 0);
    if (whole) {
        assert_int_equal(st.st_size, file->bytes);
    } else {
        assert_true(st.st_size > 100);
    }
}

static int pid_of_egress(void)
{
    char path[64];
    FILE *file;
    int pid = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    (void)fclose(file);
    return pid;
}

static void a_stream_is_recorded_from_its_first_key_frame(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    RUN(&w, frames_of(&w, 1) >= 20);
    stop(&w);
    assert_int_equal(w.n_failed, 0);
    assert_int_equal(w.n_files, 1);
    assert_file(&w, 0, "camera.1.webm", true);
    assert_int_equal(w.files[0].lost, 0);
    teardown(&w);
}

static void a_process_that_is_killed_is_followed_by_another(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    RUN(&w, frames_of(&w, 1) >= 20);
    assert_int_equal(kill(pid_of_egress(), SIGKILL), 0);
    RUN(&w, frames_of(&w, 2) >= 20);
    assert_metric(&w, "\nkcs_recorder_restarts_total 1\n");
    assert_int_equal(w.n_died, 1);
    assert_string_equal(w.reason, "its process died, and it goes on in another part");
    assert_metric(&w, "\nkcs_recordings 1\n");
    stop(&w);
    assert_int_equal(w.n_files, 2);
    assert_file(&w, 0, "camera.1.webm", false);
    assert_file(&w, 1, "camera.2.webm", true);
    teardown(&w);
}

/* A MiB is less than any has. */
static void one_that_has_too_much_memory_ends_its_file_and_another_goes_on(void **state)
{
    struct world w;
    (void)state;

    setup_with(&w, RECORDER_TRACKS, 1);
    RUN(&w, w.n_died == 1);
    assert_string_equal(w.reason, "it took too much memory, and goes on in another part");
    RUN(&w, frames_of(&w, 2) >= 5);
    stop(&w);
    assert_int_equal(w.n_failed, 0);
    assert_int_equal(w.n_files, 2);
    assert_file(&w, 0, "camera.1.webm", true);
    teardown(&w);
}

/* What one publisher sends is its own affair: the others are recorded. */
static void a_broken_track_leaves_the_others_alone(void **state)
{
    /* H264 whose parameter sets tell nothing */
    static const uint8_t bad[] = {0x78, 0,    2, 0x67, 0xff, 0,   2,
                                  0x68, 0xff, 0, 2,    0x65, 0xff};
    struct world w;
    uint64_t stream, before;
    size_t n;
    (void)state;

    setup(&w);
    stream = open_video(&w, ABI_CODEC_H264);
    recorder_add(w.job, "screen", &stream, 1, &OWNER);
    RUN(&w, frames_of(&w, 1) >= 20);
    write_packet(&w, stream, bad, sizeof(bad));
    before = frames_of(&w, 1);
    RUN(&w, frames_of(&w, 1) >= before + 90); /* three seconds */
    assert_int_equal(w.n_failed, 0);
    (void)recorder_files(w.job, &n);
    assert_int_equal(n, 1);
    recorder_remove(w.job, "screen"); /* it has gone already */
    stop(&w);
    assert_file(&w, 0, "camera.1.webm", true);
    teardown(&w);
}

/* Of two encodings the better one ceases, and of the other nothing can be made: the file of
 * the one before is ended, with the track. */
static void a_broken_encoding_ends_the_one_before(void **state)
{
    static const uint8_t bad[] = {0x78, 0,    2, 0x67, 0xff, 0,   2,
                                  0x68, 0xff, 0, 2,    0x65, 0xff};
    struct abi_stream_stats *stats;
    uint64_t streams[2], before;
    const struct recorder_file *file;
    struct world w;
    size_t n = 0;
    (void)state;

    setup(&w);
    recorder_remove(w.job, "camera");
    streams[0] = open_video(&w, ABI_CODEC_H264);
    streams[1] = w.stream;
    stats = fake_dp_stream_stats(w.f.dp);
    for (unsigned i = 0; i < 2; i++) {
        stats[handle_index(streams[i])].handle = streams[i];
    }
    recorder_add(w.job, "camera", streams, 2, &OWNER);
    RUN(&w, frames_of(&w, 1) > 5); /* by the counters nothing of it comes any more */
    before = now_ms();
    RUN(&w, (stats[handle_index(streams[0])].packets++, now_ms() > before + 4000));
    write_packet(&w, streams[0], bad, sizeof(bad));
    before = now_ms();
    RUN(&w, (file = recorder_files(w.job, &n), n == 1 && file->whole) ||
                now_ms() > before + 3000);
    assert_string_equal(file->name, "camera.1.webm");
    assert_true(file->whole);
    assert_int_equal(w.n_failed, 0);
    stop(&w);
    teardown(&w);
}

/* The directory is gone: its files cannot be made. */
static void what_cannot_be_written_is_told_once(void **state)
{
    char path[128];
    struct world w;
    (void)state;

    setup(&w);
    (void)snprintf(path, sizeof(path), "%s/one", w.directory);
    assert_int_equal(rmdir(path), 0);
    RUN(&w, w.n_failed > 0);
    assert_int_equal(w.n_failed, 1);
    assert_non_null(strstr(w.reason, "No such file"));
    stop(&w);
    assert_int_equal(w.n_files, 0);
    teardown(&w);
}

/* It is what others have put there, too, that counts. */
static void a_quota_that_is_used_up_ends_what_runs_and_lets_nothing_begin(void **state)
{
    struct recorder_job *other = NULL;
    struct world w;
    (void)state;

    setup(&w);
    w.used = QUOTA - 1;
    w.used_known = true;
    RUN(&w, frames_of(&w, 1) >= 20);
    assert_int_equal(w.n_failed, 0);
    w.used = QUOTA;
    assert_int_equal(recorder_start(w.recorder, "two", RECORDER_TRACKS, &OPS, &w, &other),
                     -EDQUOT);
    assert_null(other);
    RUN(&w, w.n_failed > 0);
    assert_string_equal(w.reason, "the quota of recordings is used up");
    stop(&w);
    assert_int_equal(w.n_failed, 1);
    assert_int_equal(w.n_over, 1);
    assert_int_equal(w.n_files, 1);
    assert_file(&w, 0, "camera.1.webm", true); /* it plays */
    w.used = 0;
    w.room = RECORDER_FREE - 1;
    assert_int_equal(recorder_start(w.recorder, "two", RECORDER_TRACKS, &OPS, &w, &other),
                     -ENOSPC);
    assert_null(other);
    w.used_known = false; /* the disk does not say: it fails by itself if it is full */
    assert_int_equal(recorder_start(w.recorder, "three", RECORDER_TRACKS, &OPS, &w, &other),
                     0);
    w.n_ended = w.n_over = 0;
    w.job = other;
    stop(&w);
    teardown(&w);
}

static unsigned children(void)
{
    char path[64], line[256] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    (void)fgets(line, sizeof(line), file);
    (void)fclose(file);
    return line[0] != '\0';
}

/* It is tried again, each time later, and given up at last. */
static void a_process_that_only_dies_is_not_started_for_ever(void **state)
{
    struct recorder_conf conf = {.program = "/bin/false"};
    char reason[RECORDER_REASON];
    struct world w;
    (void)state;

    memset(&w, 0, sizeof(w));
    start_all(&w.f);
    WAIT(&w.f, w.f.n_attached == 1);
    (void)snprintf(w.directory, sizeof(w.directory), "%s/recordings", w.f.dir);
    conf.loop = w.f.loop;
    conf.media = w.f.media;
    conf.directory = w.directory;
    assert_int_equal(metric_registry_create(&w.metrics), 0);
    conf.metrics = w.metrics;
    assert_int_equal(recorder_create(&w.recorder, &conf, reason), 0);
    assert_int_equal(recorder_start(w.recorder, "one", RECORDER_TRACKS, &OPS, &w, &w.job),
                     0);
    for (unsigned i = 0; i < RECORDER_DEATHS; i++) {
        const uint64_t wait_us = i < 5 ? UINT64_C(1000000) << i : 30000000;
        uint64_t died_us;

        assert_int_equal(w.n_failed, 0);
        WAIT(&w.f, children() == 0);
        settle(&w.f, 50); /* its end is heard of */
        died_us = clock_mono_us();
        recorder_tick(w.recorder, died_us + wait_us - 500000);
        assert_int_equal(children(), 0);
        recorder_tick(w.recorder, died_us + wait_us);
    }
    assert_int_equal(w.n_failed, 1);
    assert_non_null(strstr(w.reason, "again and again"));
    assert_metric(&w, "\nkcs_recorder_restarts_total 7\n");
    stop(&w);
    teardown(&w);
}

/* It is told to end because the dataplane is another, and does not hear that. */
static void one_that_does_not_end_for_its_successor_is_killed(void **state)
{
    struct world w;
    int pid;
    (void)state;

    setup(&w);
    RUN(&w, frames_of(&w, 1) >= 20);
    pid = pid_of_egress();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    fake_dp_hang_up(w.f.dp);
    WAIT(&w.f, w.f.n_detached == 1 && w.f.n_attached == 2);
    recorder_tick(w.recorder, clock_mono_us());
    settle(&w.f, 50);
    assert_int_equal(pid_of_egress(), pid);
    recorder_tick(w.recorder, clock_mono_us() + RECORDER_ENDING_MS * UINT64_C(1000));
    WAIT(&w.f, kill(pid, 0) != 0);
    settle(&w.f, 50);
    recorder_tick(w.recorder, clock_mono_us());
    assert_true(pid_of_egress() != pid);
    assert_metric(&w, "\nkcs_recorder_restarts_total 0\n");
    stop(&w);
    teardown(&w);
}

static void a_track_that_is_removed_has_its_file_ended(void **state)
{
    struct world w;
    size_t n;
    (void)state;

    setup(&w);
    RUN(&w, frames_of(&w, 1) >= 20);
    recorder_remove(w.job, "camera");
    for (unsigned i = 0; i < 1000 && !recorder_files(w.job, &n)[0].whole; i++) {
        settle(&w.f, 20);
    }
    assert_true(recorder_files(w.job, &n)[0].whole);
    assert_int_equal(n, 1);
    stop(&w);
    teardown(&w);
}

/* Nothing can come while it is paused: that is not taken for an encoding that does not. */
static void what_begins_paused_is_recorded_in_its_best_encoding(void **state)
{
    struct recorder_owner owner = OWNER;
    uint64_t streams[2];
    struct world w;
    size_t n = 0;
    (void)state;

    setup(&w);
    recorder_remove(w.job, "camera");
    streams[0] = open_video(&w, ABI_CODEC_VP8);
    streams[1] = w.stream;
    owner.paused = true;
    recorder_add(w.job, "camera", streams, 2, &owner);
    recorder_tick(w.recorder, clock_mono_us() + 2 * CHOICE_UNSEEN_MS * UINT64_C(1000));
    settle(&w.f, 50);
    owner.paused = false;
    recorder_owner(w.job, "camera", &owner);
    RUN(&w, frames_of(&w, 1) > 5);
    assert_string_equal(recorder_files(w.job, &n)[0].name, "camera.1.webm");
    stop(&w);
    teardown(&w);
}

static bool is_there(const char *directory, const char *name)
{
    char path[192];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* No decoder makes anything of these frames: there is a face instead, and it goes on. */
static void what_composes_goes_on_in_a_part_and_becomes_one_file(void **state)
{
    const struct recorder_scene scene = {
        .layout = "speaker", .speaker = "ann", .spotlight = ""};
    struct recorder_owner owner = OWNER;
    struct world w;
    (void)state;

    setup_as(&w, RECORDER_COMPOSITE);
    recorder_scene(w.job, &scene);
    RUN(&w, frames_of(&w, 1) > 30);
    assert_int_equal(kill(pid_of_egress(), SIGKILL), 0);
    owner.name = "Ann of the next part";
    owner.paused = true;
    recorder_owner(w.job, "camera", &owner);
    RUN(&w, frames_of(&w, 2) > 30);
    stop(&w);
    assert_int_equal(w.n_files, 1);
    assert_string_equal(w.files[0].track, "meeting");
    assert_string_equal(w.files[0].name, "meeting.mp4");
    assert_true(w.files[0].whole && w.files[0].length_us > 2000000);
    assert_true(is_there(w.directory, "one/meeting.mp4"));
    assert_false(is_there(w.directory, "one/meeting.1.mp4"));
    assert_int_equal(w.n_failed, 0);
    teardown(&w);
}

/* With each dataplane a part ends in order; what is one file then is not the last of them.
 */
static void parts_of_two_dataplanes_and_a_third_are_all_in_the_file(void **state)
{
    struct world w;
    (void)state;

    setup_as(&w, RECORDER_COMPOSITE);
    for (unsigned part = 1; part <= 2; part++) {
        RUN(&w, frames_of(&w, part) > 30);
        fake_dp_hang_up(w.f.dp);
        WAIT(&w.f, w.f.n_detached == part && w.f.n_attached == part + 1);
    }
    RUN(&w, frames_of(&w, 3) > 30);
    assert_true(is_there(w.directory, "one/meeting.1.mp4"));
    assert_true(is_there(w.directory, "one/meeting.2.mp4"));
    assert_false(is_there(w.directory, "one/meeting.mp4"));
    stop(&w);
    assert_int_equal(w.n_died, 0);
    assert_int_equal(w.n_files, 1);
    assert_string_equal(w.files[0].name, "meeting.mp4");
    assert_false(is_there(w.directory, "one/meeting.1.mp4"));
    teardown(&w);
}

static void pass(struct world *w, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        step(w);
    }
}

/* Three seconds of pause, twice; it is stopped while it is paused. */
static void what_is_paused_is_left_out_and_the_parts_become_one_file(void **state)
{
    const struct recorder_file *files;
    uint64_t since_ms;
    struct world w;
    int64_t left_ms;
    size_t n;
    (void)state;

    setup_as(&w, RECORDER_COMPOSITE);
    since_ms = now_ms();
    RUN(&w, frames_of(&w, 1) > 60);
    recorder_pause(w.job);
    recorder_pause(w.job);
    RUN(&w, children() == 0);
    pass(&w, 3000);
    assert_int_equal(children(), 0);
    recorder_resume(w.job);
    recorder_resume(w.job);
    RUN(&w, frames_of(&w, 2) > 60);
    files = recorder_files(w.job, &n);
    left_ms = (files[1].start_us - files[0].start_us - files[0].length_us) / 1000;
    assert_true(left_ms > -100 && left_ms < 1500); /* what its start took */
    recorder_pause(w.job);
    RUN(&w, children() == 0);
    pass(&w, 3000);
    stop(&w);
    assert_int_equal(w.n_died, 0);
    assert_int_equal(w.n_files, 1);
    assert_string_equal(w.files[0].name, "meeting.mp4");
    assert_true(w.files[0].length_us > 4000000);
    assert_true(w.files[0].length_us / 1000 < (int64_t)(now_ms() - since_ms) - 5500);
    assert_true(is_there(w.directory, "one/meeting.mp4"));
    assert_false(is_there(w.directory, "one/meeting.1.mp4"));
    teardown(&w);
}

static void a_track_goes_on_behind_a_pause(void **state)
{
    struct world w;
    (void)state;

    setup(&w);
    RUN(&w, frames_of(&w, 1) >= 20);
    recorder_pause(w.job);
    pass(&w, 3000);
    assert_int_equal(children(), 0);
    recorder_resume(w.job);
    RUN(&w, frames_of(&w, 2) >= 20);
    stop(&w);
    assert_int_equal(w.n_files, 2);
    assert_file(&w, 0, "camera.1.webm", true);
    assert_file(&w, 1, "camera.2.webm", true);
    assert_true(w.files[1].start_us - w.files[0].start_us - w.files[0].length_us < 2000000);
    teardown(&w);
}

static void a_live_stream_is_there_until_it_is_taken_away(void **state)
{
    struct world w;
    char command[256];
    (void)state;

    setup_as(&w, RECORDER_LIVE);
    RUN(&w, w.n_live == 1);
    assert_true(is_there(w.live, "one/master.m3u8"));
    assert_true(is_there(w.live, "one/360p.m3u8"));
    assert_true(is_there(w.live, "one/1-180p-0.m4s"));
    (void)snprintf(command, sizeof(command), "! grep -q ENDLIST %s/one/360p.m3u8", w.live);
    assert_int_equal(system(command), 0);
    /* the next process goes on with the numbers, and says that it is another */
    assert_int_equal(kill(pid_of_egress(), SIGKILL), 0);
    RUN(&w, is_there(w.live, "one/2-audio.mp4"));
    for (uint64_t until = now_ms() + 3000; now_ms() < until;) {
        step(&w);
    }
    RUN(&w, w.n_live == 2);
    assert_int_equal(w.n_died, 1);
    stop(&w);
    (void)snprintf(command, sizeof(command),
                   "cd %s/one && grep -q ENDLIST 180p.m3u8 && grep -q "
                   "DISCONTINUITY-SEQUENCE:1 180p.m3u8 && ! grep -q SEQUENCE:0 180p.m3u8",
                   w.live);
    assert_int_equal(system(command), 0);
    recorder_erase_live(w.recorder, "one");
    assert_false(is_there(w.live, "one"));
    teardown(&w);
}

/* Where to, nobody else is told; one that follows is. */
static void what_is_pushed_is_tried_again_by_the_next_process_too(void **state)
{
    char command[128];
    struct world w;
    (void)state;

    setup_as(&w, RECORDER_PUSH);
    for (int process = 0; process < 2; process++) {
        w.n_away = 0;
        RUN(&w, w.n_away > 0);
        assert_string_equal(w.reason, "Connection refused");
        (void)snprintf(command, sizeof(command), "! grep -q secret /proc/%d/cmdline",
                       pid_of_egress());
        assert_int_equal(system(command), 0);
        assert_int_equal(kill(pid_of_egress(), SIGKILL), 0);
        RUN(&w, children() == 0);
    }
    assert_false(is_there(w.directory, "one")); /* it leaves no files */
    stop(&w);
    assert_int_equal(w.n_failed, 0);
    assert_int_equal(w.n_live, 0);
    teardown(&w);
}

static void what_an_earlier_one_left_of_live_streams_is_taken_away(void **state)
{
    struct recorder_conf conf = {.program = KCS_EGRESS, .directory = ""};
    char reason[RECORDER_REASON], command[256];
    struct recorder_job *job;
    struct world w;
    (void)state;

    memset(&w, 0, sizeof(w));
    start_all(&w.f);
    WAIT(&w.f, w.f.n_attached == 1);
    (void)snprintf(w.live, sizeof(w.live), "%s/live", w.f.dir);
    (void)snprintf(command, sizeof(command),
                   "cd %s && mkdir -p live/old live/other && touch live/old/1-audio.mp4 "
                   "live/old/master.m3u8 live/other/file",
                   w.f.dir);
    assert_int_equal(system(command), 0);
    conf.loop = w.f.loop;
    conf.media = w.f.media;
    conf.live = w.live;
    assert_int_equal(metric_registry_create(&w.metrics), 0);
    conf.metrics = w.metrics;
    assert_int_equal(recorder_create(&w.recorder, &conf, reason), 0);
    assert_false(is_there(w.live, "old"));
    assert_true(is_there(w.live, "other/file"));
    assert_false(recorder_has_files(w.recorder));
    recorder_destroy(w.recorder);
    metric_registry_destroy(w.metrics);

    conf.directory = w.live;
    conf.live = "";
    assert_int_equal(metric_registry_create(&w.metrics), 0);
    conf.metrics = w.metrics;
    assert_int_equal(recorder_create(&w.recorder, &conf, reason), 0);
    assert_int_equal(recorder_start(w.recorder, "one", RECORDER_LIVE, &OPS, &w, &job),
                     -ENOTSUP);
    recorder_destroy(w.recorder);
    metric_registry_destroy(w.metrics);
    (void)snprintf(command, sizeof(command), "rm -r %s", w.live);
    assert_int_equal(system(command), 0);
    finish(&w.f);
}

static void what_is_missing_is_said_at_the_start(void **state)
{
    struct recorder_conf conf = {.program = "/nowhere/kcs-egress", .directory = "/tmp"};
    char reason[RECORDER_REASON];
    struct recorder *recorder;
    struct fixture f;
    (void)state;

    start_all(&f);
    conf.loop = f.loop;
    conf.media = f.media;
    assert_int_equal(recorder_create(&recorder, &conf, reason), -ENOENT);
    assert_non_null(strstr(reason, "recording.program /nowhere/kcs-egress"));
    conf.directory = "/nowhere/at/all";
    assert_int_equal(recorder_create(&recorder, &conf, reason), -ENOENT);
    assert_non_null(strstr(reason, "recording.directory"));
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_recorded_from_its_first_key_frame),
        cmocka_unit_test(a_process_that_is_killed_is_followed_by_another),
        cmocka_unit_test(one_that_has_too_much_memory_ends_its_file_and_another_goes_on),
        cmocka_unit_test(a_broken_track_leaves_the_others_alone),
        cmocka_unit_test(a_broken_encoding_ends_the_one_before),
        cmocka_unit_test(what_cannot_be_written_is_told_once),
        cmocka_unit_test(a_quota_that_is_used_up_ends_what_runs_and_lets_nothing_begin),
        cmocka_unit_test(a_process_that_only_dies_is_not_started_for_ever),
        cmocka_unit_test(one_that_does_not_end_for_its_successor_is_killed),
        cmocka_unit_test(a_track_that_is_removed_has_its_file_ended),
        cmocka_unit_test(what_begins_paused_is_recorded_in_its_best_encoding),
        cmocka_unit_test(what_composes_goes_on_in_a_part_and_becomes_one_file),
        cmocka_unit_test(parts_of_two_dataplanes_and_a_third_are_all_in_the_file),
        cmocka_unit_test(what_is_paused_is_left_out_and_the_parts_become_one_file),
        cmocka_unit_test(a_track_goes_on_behind_a_pause),
        cmocka_unit_test(a_live_stream_is_there_until_it_is_taken_away),
        cmocka_unit_test(what_is_pushed_is_tried_again_by_the_next_process_too),
        cmocka_unit_test(what_an_earlier_one_left_of_live_streams_is_taken_away),
        cmocka_unit_test(what_is_missing_is_said_at_the_start),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
