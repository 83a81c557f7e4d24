#include "recording/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/media.h"
#include "metric/metric.h"
#include "recording/priv.h"
#include "sys/child.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

const char *const recorder_mode_names[N_RECORDER_MODES] = {
    [RECORDER_MP4] = "mp4",
    [RECORDER_TRACKS] = "tracks",
    [RECORDER_COMPOSITE] = "composite",
    [RECORDER_SOUND] = "sound",
    [RECORDER_LIVE] = "live",
    [RECORDER_PUSH] = "push",
};

static int make_directory(const char *path)
{
    struct stat st;

    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return -errno;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* Makes the place if it has to be; "" is none. Returns 0, or -errno with 'reason'. */
static int prepare(const char *key, const char *path, char reason[RECORDER_REASON])
{
    int err = path != NULL && path[0] != '\0' ? make_directory(path) : 0;

    if (err == 0 && path != NULL && path[0] != '\0' && access(path, W_OK | X_OK) != 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)snprintf(reason, RECORDER_REASON, "%s %s: %s", key, path, strerror(-err));
    }
    return err;
}

int recorder_create(struct recorder **out, const struct recorder_conf *conf,
                    char reason[RECORDER_REASON])
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    int err = recorder == NULL ? -ENOMEM
                               : prepare("recording.directory", conf->directory, reason);

    if (err == 0) {
        err = prepare("recording.live", conf->live, reason);
    }
    if (err == 0 && access(conf->program, X_OK) != 0) {
        err = -errno;
        (void)snprintf(reason, RECORDER_REASON, "recording.program %s: %s", conf->program,
                       strerror(-err));
    }
    if (err == 0) {
        err = metric_register(conf->metrics, METRIC_GAUGE, "recordings",
                              "Recordings that run or are being ended.", NULL, 0,
                              &recorder->n_jobs);
    }
    if (err == 0) {
        err = metric_register(conf->metrics, METRIC_COUNTER, "recorder_restarts_total",
                              "Processes that recorded and died.", NULL, 0,
                              &recorder->restarts);
    }
    if (err != 0) {
        free(recorder);
        return err;
    }
    recorder->conf = *conf;
    recorder_erase_left(conf->live);
    *out = recorder;
    return 0;
}

static void on_socket(void *arg, unsigned events)
{
    struct recorder_job *job = arg;
    char byte;

    (void)events;
    recorder_hear(job, HEARD);
    if (recv(job->sock, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0) {
        loop_watch_set(job->watch, 0); /* its end is told by the child's */
    }
}

/* ---- the process ---- */

static void hang_up(struct recorder_job *job)
{
    loop_watch_destroy(job->watch);
    job->watch = NULL;
    if (job->sock >= 0) {
        (void)close(job->sock);
    }
    job->sock = -1;
}

static void say(struct recorder_job *job, const char *line)
{
    if (job->sock >= 0 &&
        send(job->sock, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
        errno != EPIPE && errno != ECONNRESET) {
        log_error("recorder_does_not_listen", LOG_STR("recording", job->id),
                  LOG_STR("error", strerror(errno)));
        if (job->child != NULL) {
            child_kill(job->child, SIGKILL); /* then the next part begins with all tracks */
        }
    }
}

static bool leaves_files(enum recorder_mode mode)
{
    return mode != RECORDER_LIVE && mode != RECORDER_PUSH;
}

static bool composes(const struct recorder_job *job)
{
    return job->mode != RECORDER_TRACKS && job->mode != RECORDER_MP4;
}

static void say_name(struct recorder_job *job, const struct track *track)
{
    char line[LINE];

    if (composes(job) && track->person[0] != '\0') {
        (void)snprintf(line, sizeof(line), "person %s %" PRIu64 " %s", track->person,
                       track->came, track->owner);
        say(job, line);
    }
}

static void say_pause(struct recorder_job *job, const struct track *track, unsigned part)
{
    char line[LINE];

    (void)snprintf(line, sizeof(line), "pause %s.%u %d", track->name, part, track->paused);
    say(job, line);
}

static void say_paused(struct recorder_job *job, const struct track *track)
{
    if (composes(job) && track->given) {
        say_pause(job, track, track->part);
    }
    if (composes(job) && track->old_part != 0) {
        say_pause(job, track, track->old_part);
    }
}

static void say_word(struct recorder_job *job, const char *word, const char *value)
{
    char line[LINE];

    (void)snprintf(line, sizeof(line), "%s %s", word, value);
    say(job, line);
}

static void say_scene(struct recorder_job *job)
{
    if (composes(job) && job->layout[0] != '\0') {
        say_word(job, "layout", job->layout);
        say_word(job, "speaker", job->speaker);
        say_word(job, "spotlight", job->spotlight);
    }
}

/* Where to; before all else, so that it is connected when there is something. */
static void say_url(struct recorder_job *job)
{
    char line[LINE];

    if (job->mode == RECORDER_PUSH) {
        (void)snprintf(line, sizeof(line), "push %s", job->url);
        say(job, line);
        explicit_bzero(line, sizeof(line));
    }
}

static void give(struct recorder_job *job, struct track *track)
{
    struct vault_stream_conf conf;
    char line[LINE];

    if (job->sock < 0 || track->given ||
        media_stream_conf(job->recorder->conf.media, track->streams[track->choice.at], &conf) !=
            0) {
        return;
    }
    track->part++;
    track->given = true;
    track->seen = false;
    track->since_us = clock_mono_us();
    say_name(job, track);
    (void)snprintf(line, sizeof(line), "add %s.%u %" PRIu64 " %u %u %" PRIu64 " %s %s",
                   track->name, track->part, track->streams[track->choice.at], conf.codec,
                   conf.clock_hz, conf.peer, track->person, track->source);
    say(job, line);
    if (track->paused) {
        say_paused(job, track);
    }
}

static void say_remove(struct recorder_job *job, const struct track *track, unsigned part)
{
    char line[LINE];

    (void)snprintf(line, sizeof(line), "remove %s.%u", track->name, part);
    say(job, line);
}

static void take_back(struct recorder_job *job, struct track *track)
{
    if (track->old_part != 0) {
        say_remove(job, track, track->old_part);
        track->old_part = 0;
    }
    if (track->given) {
        say_remove(job, track, track->part);
        track->given = false;
    }
}

void recorder_saw(struct recorder_job *job, struct track *track)
{
    track->seen = true;
    if (track->old_part != 0) {
        say_remove(job, track, track->old_part);
        track->old_part = 0;
    }
}

/* Another encoding. The one before stays until something of this one is there. */
static void change(struct recorder_job *job, struct track *track)
{
    if (track->old_part == 0 && track->seen) {
        track->old_part = track->part;
    } else {
        say_remove(job, track, track->part);
    }
    track->given = false;
    give(job, track);
}

static void dispose(struct recorder_job *job)
{
    metric_add(job->recorder->n_jobs, -1);
    hang_up(job);
    child_leave(job->child);
    while (job->tracks != NULL) {
        struct track *track = job->tracks;

        job->tracks = track->next;
        free(track);
    }
    free(job->files);
    explicit_bzero(job->url, sizeof(job->url));
    free(job);
}

static void free_job(struct recorder_job *job)
{
    struct recorder_job **at = &job->recorder->jobs;

    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    dispose(job);
}

static void end_job(struct recorder_job *job)
{
    const struct recorder_conf *conf = &job->recorder->conf;

    job->ops->ended(job->user, job->files, job->n_files);
    if (conf->over != NULL && leaves_files(job->mode)) {
        conf->over(conf->user);
    }
    free_job(job);
}

/* A process has died, or could not be started: another one follows, each later than the one
 * before, but not for ever. */
static void on_death(struct recorder_job *job, uint64_t now_us)
{
    uint64_t wait_us = (uint64_t)RESTART_US << job->deaths;

    job->restart_at_us = now_us + (wait_us < RESTART_MAX_US ? wait_us : RESTART_MAX_US);
    job->deaths++;
    if (job->deaths >= RECORDER_DEATHS) {
        recorder_fail(job, job->heavy ? "the process that records takes too much memory"
                                      : "the process that records dies again and again");
    } else if (!job->failed && job->ops->died != NULL) {
        job->ops->died(job->user,
                       job->heavy ? "it took too much memory, and goes on in another part"
                                  : "its process died, and it goes on in another part");
    }
}

/* The process is to end its files, or is killed. 'word': whether another follows. */
static void stop_process(struct recorder_job *job, const char *word)
{
    job->stop_by_us = clock_mono_us() + RECORDER_ENDING_MS * UINT64_C(1000);
    if (job->child != NULL) {
        say(job, word);
    }
}

static int launch(struct recorder_job *job, const char *mode, unsigned number);

/* What ended without a process that could make one file of the parts gets one that does
 * nothing else. */
static void end_or_join(struct recorder_job *job)
{
    const bool parts = leaves_files(job->mode) && composes(job) && job->part > 1;

    if (!parts || job->failed || job->joined) {
        end_job(job);
        return;
    }
    job->joined = true;
    if (launch(job, "join", job->part) != 0) {
        end_job(job);
        return;
    }
    stop_process(job, "stop");
}

static void on_child_ended(void *arg, int status)
{
    struct recorder_job *job = arg;

    job->child = NULL;
    recorder_hear(job, UINT_MAX); /* its last words: no more than the socket holds */
    hang_up(job);
    for (struct track *track = job->tracks; track != NULL; track = track->next) {
        track->given = false;
        track->old_part = 0;
    }
    if (job->stopping) {
        end_or_join(job);
        return;
    }
    if (job->renewing) {
        job->renewing = false;
        job->restart_at_us = job->paused_us == 0 ? clock_mono_us() : 0;
        return;
    }
    log_error("recorder_died", LOG_STR("recording", job->id), LOG_I64("status", status));
    metric_inc(job->recorder->restarts);
    if (clock_mono_us() - job->started_us >= STEADY_US) {
        job->deaths = 0;
    }
    on_death(job, clock_mono_us());
}

static void directory_of(const struct recorder_job *job, char out[PATH_MAX])
{
    const struct recorder_conf *conf = &job->recorder->conf;

    (void)snprintf(out, PATH_MAX, "%s/%s",
                   job->mode == RECORDER_LIVE ? conf->live : conf->directory, job->id);
}

/* Returns 0, or -errno and there is no process. 'number': of the part. */
static int launch(struct recorder_job *job, const char *mode, unsigned number)
{
    const struct recorder_conf *conf = &job->recorder->conf;
    char directory[PATH_MAX], zero[24], part[16], memory[16];
    char sizes[RECORDER_RENDITIONS][24];
    char *argv[7 + RECORDER_RENDITIONS] = {
        (char *)(uintptr_t)conf->program, directory, zero,
        (char *)(uintptr_t)mode,          part,      memory};
    int socks[2];
    int fds[2];
    int err;

    if (media_streams(conf->media, &fds[1], &job->streams_id) != 0) {
        return -ENOTCONN;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) != 0) {
        return -errno;
    }
    directory_of(job, directory);
    (void)snprintf(part, sizeof(part), "%u", number);
    (void)snprintf(zero, sizeof(zero), "%" PRIu64, job->zero_us);
    (void)snprintf(memory, sizeof(memory), "%u", conf->memory_mb);
    for (unsigned i = 0; i < conf->n_renditions && job->mode == RECORDER_LIVE; i++) {
        (void)snprintf(sizes[i], sizeof(sizes[i]), "%u:%u000", conf->renditions[i].height,
                       conf->renditions[i].kbps);
        argv[6 + i] = sizes[i];
    }
    if (job->mode == RECORDER_PUSH) {
        argv[6] = (char *)(uintptr_t)(conf->push_private ? "private" : "public");
        argv[7] = (char *)(uintptr_t)conf->push_ca_file;
    } else if (job->mode == RECORDER_SOUND) { /* of use where parts are joined */
        argv[6] = (char *)(uintptr_t) "m4a";
    }
    fds[0] = socks[1];
    err = child_start(&job->child, conf->loop, argv, fds, 2, on_child_ended, job);
    (void)close(socks[1]);
    job->sock = socks[0];
    if (err == 0) {
        err = loop_watch_create(conf->loop, &job->watch, job->sock, LOOP_READ, on_socket,
                                job);
    }
    if (err != 0) {
        child_leave(job->child); /* it ends by itself when we hang up */
        job->child = NULL;
        hang_up(job);
        return err;
    }
    job->heavy = false;
    job->live = false; /* it will say so */
    job->started_us = clock_mono_us();
    return 0;
}

static int start_process(struct recorder_job *job)
{
    int err = launch(job, recorder_mode_names[job->mode], job->part + 1);

    if (err != 0) {
        return err;
    }
    job->restart_at_us = 0;
    job->part++;
    say_url(job);
    say_scene(job);
    for (struct track *track = job->tracks; track != NULL; track = track->next) {
        give(job, track);
    }
    return 0;
}

/* ---- jobs ---- */

/* Live streams take their files away themselves. */
static bool quota_is_used_up(const struct recorder *recorder, enum recorder_mode mode)
{
    const struct recorder_conf *conf = &recorder->conf;
    struct recorder_room room;

    return leaves_files(mode) && conf->quota_bytes != 0 && conf->look(conf->user, &room) &&
           room.used_bytes >= conf->quota_bytes;
}

static bool disk_is_full(const struct recorder *recorder, enum recorder_mode mode)
{
    const struct recorder_conf *conf = &recorder->conf;
    struct recorder_room room;

    return leaves_files(mode) && conf->look != NULL && conf->look(conf->user, &room) &&
           room.free_bytes < RECORDER_FREE;
}

static int begin(struct recorder *recorder, const char *id, enum recorder_mode mode,
                 const char *url, const struct recorder_ops *ops, void *user,
                 struct recorder_job **out)
{
    bool here = mode != RECORDER_LIVE || recorder_has_live(recorder);
    struct recorder_job *job = here ? calloc(1, sizeof(*job)) : NULL;
    char directory[PATH_MAX];
    int err = 0;

    if (here && (quota_is_used_up(recorder, mode) || disk_is_full(recorder, mode))) {
        free(job);
        return quota_is_used_up(recorder, mode) ? -EDQUOT : -ENOSPC;
    }
    if (job == NULL || (job->files = calloc(RECORDER_FILES, sizeof(*job->files))) == NULL) {
        free(job);
        return here ? -ENOMEM : -ENOTSUP;
    }
    job->recorder = recorder;
    job->mode = mode;
    job->ops = ops;
    job->user = user;
    job->sock = -1;
    job->zero_us = clock_mono_us();
    (void)snprintf(job->id, sizeof(job->id), "%s", id);
    job->next = recorder->jobs;
    recorder->jobs = job;
    metric_inc(recorder->n_jobs);
    (void)snprintf(job->url, sizeof(job->url), "%s", url);
    directory_of(job, directory);
    if (mode != RECORDER_PUSH && mkdir(directory, 0750) != 0) {
        err = -errno;
    } else {
        err = start_process(job);
        if (err != 0 && mode != RECORDER_PUSH) {
            (void)rmdir(directory);
        }
    }
    if (err != 0) {
        free_job(job);
        return err;
    }
    *out = job;
    return 0;
}

int recorder_start(struct recorder *recorder, const char *id, enum recorder_mode mode,
                   const struct recorder_ops *ops, void *user, struct recorder_job **out)
{
    return begin(recorder, id, mode, "", ops, user, out);
}

int recorder_push(struct recorder *recorder, const char *id, const char *url,
                  const struct recorder_ops *ops, void *user, struct recorder_job **out)
{
    return begin(recorder, id, RECORDER_PUSH, url, ops, user, out);
}

static void note_owner(struct track *track, const struct recorder_owner *owner)
{
    (void)snprintf(track->person, sizeof(track->person), "%s", owner->person);
    (void)snprintf(track->source, sizeof(track->source), "%s", owner->source);
    (void)snprintf(track->owner, sizeof(track->owner), "%s", owner->name);
    track->came = owner->came;
    track->paused = owner->paused;
}

void recorder_add(struct recorder_job *job, const char *name, const uint64_t *streams,
                  size_t n, const struct recorder_owner *owner)
{
    struct track *track = n > 0 && !job->stopping ? calloc(1, sizeof(*track)) : NULL;

    if (track == NULL) {
        return;
    }
    (void)snprintf(track->name, sizeof(track->name), "%s", name);
    choice_init(&track->choice, (uint8_t)(n < RECORDER_ENCODINGS ? n : RECORDER_ENCODINGS));
    memcpy(track->streams, streams, track->choice.n * sizeof(track->streams[0]));
    note_owner(track, owner);
    track->next = job->tracks;
    job->tracks = track;
    give(job, track);
}

void recorder_owner(struct recorder_job *job, const char *name,
                    const struct recorder_owner *owner)
{
    struct track *track = recorder_find(job, name);
    bool named, paused;

    if (track == NULL) {
        return;
    }
    named = strncmp(track->owner, owner->name, RECORDER_TEXT) != 0;
    paused = track->paused != owner->paused;
    note_owner(track, owner);
    if (named) {
        say_name(job, track);
    }
    if (paused) {
        track->since_us = clock_mono_us(); /* before that nothing could come */
        say_paused(job, track);
    }
}

/* Returns whether it is another. */
static bool note_word(char *out, size_t cap, const char *word)
{
    bool other = strncmp(out, word, cap - 1) != 0;

    (void)snprintf(out, cap, "%s", word);
    return other;
}

void recorder_scene(struct recorder_job *job, const struct recorder_scene *scene)
{
    bool layout = note_word(job->layout, sizeof(job->layout), scene->layout);
    bool speaker = note_word(job->speaker, sizeof(job->speaker), scene->speaker);
    bool spotlight = note_word(job->spotlight, sizeof(job->spotlight), scene->spotlight);

    if (layout || speaker || spotlight) {
        say_scene(job);
    }
}

bool recorder_has_files(const struct recorder *recorder)
{
    return recorder->conf.directory[0] != '\0';
}

bool recorder_has_live(const struct recorder *recorder)
{
    return recorder->conf.live != NULL && recorder->conf.live[0] != '\0';
}

bool recorder_pushes_anywhere(const struct recorder *recorder)
{
    return recorder->conf.push_private;
}

void recorder_remove(struct recorder_job *job, const char *name)
{
    struct track *track = recorder_find(job, name);

    if (track != NULL) {
        take_back(job, track);
        recorder_drop(job, track);
    }
}

static void restart(struct recorder_job *job, uint64_t now_us)
{
    int err = start_process(job);

    if (err == 0) {
        return;
    }
    log_warn("recorder_not_started", LOG_STR("recording", job->id),
             LOG_STR("error", strerror(-err)));
    if (err == -ENOTCONN) { /* there is no dataplane: as soon as there is one */
        job->restart_at_us = now_us + RESTART_US;
    } else {
        on_death(job, now_us);
    }
}

void recorder_pause(struct recorder_job *job)
{
    if (job->stopping || job->paused_us != 0) {
        return;
    }
    job->paused_us = clock_mono_us();
    job->restart_at_us = 0;
    if (job->child != NULL) {
        job->renewing = true;
        stop_process(job, "leave");
    }
}

void recorder_resume(struct recorder_job *job)
{
    const uint64_t now_us = clock_mono_us();

    if (job->stopping || job->paused_us == 0) {
        return;
    }
    job->zero_us += now_us - job->paused_us;
    job->paused_us = 0;
    if (job->child == NULL) { /* else when that has ended */
        restart(job, now_us);
    }
}

void recorder_stop(struct recorder_job *job)
{
    if (!job->stopping) {
        job->stopping = true;
        stop_process(job, "stop");
    }
}

static void tick_track(struct recorder_job *job, struct track *track, uint64_t now_us)
{
    struct choice *choice = &track->choice;
    const uint8_t at = choice->at;
    struct abi_stream_stats stats;

    for (uint8_t i = 0; i < choice->n; i++) {
        if (media_stream_stats(job->recorder->conf.media, track->streams[i], &stats) == 0) {
            choice_note(choice, i, stats.packets, now_us);
        }
    }
    if (!track->given) {
        give(job, track);
    } else if (!track->paused &&
               choice_make(choice, track->seen, track->since_us, now_us) != at) {
        change(job, track);
    }
}

static void tick(struct recorder_job *job, uint64_t now_us)
{
    uint64_t streams_id = 0;
    int fd;

    if (job->stopping && job->child == NULL) {
        end_or_join(job); /* there was none to end anything */
        return;
    }
    if (job->stopping || job->renewing || (job->heavy && job->child != NULL)) {
        if (now_us >= job->stop_by_us) {
            child_kill(job->child, SIGKILL);
        }
        return;
    }
    if (job->paused_us != 0) {
        return;
    }
    if (quota_is_used_up(job->recorder, job->mode)) {
        recorder_fail(job, "the quota of recordings is used up");
        return;
    }
    if (job->restart_at_us != 0) {
        if (now_us >= job->restart_at_us) {
            restart(job, now_us);
        }
        return;
    }
    if (media_streams(job->recorder->conf.media, &fd, &streams_id) == 0 &&
        streams_id != job->streams_id) {
        /* another dataplane has another memory: the files are ended, the next part begins
         */
        job->streams_id = streams_id;
        job->renewing = true;
        stop_process(job, "leave");
        return;
    }
    for (struct track *track = job->tracks; track != NULL; track = track->next) {
        tick_track(job, track, now_us);
    }
}

void recorder_tick(struct recorder *recorder, uint64_t now_us)
{
    struct recorder_job *next;

    for (struct recorder_job *job = recorder->jobs; job != NULL; job = next) {
        next = job->next;
        tick(job, now_us);
    }
}

const struct recorder_file *recorder_files(const struct recorder_job *job, size_t *n)
{
    *n = job->n_files;
    return job->files;
}

void recorder_destroy(struct recorder *recorder)
{
    struct recorder_job *next;

    if (recorder == NULL) {
        return;
    }
    for (struct recorder_job *job = recorder->jobs; job != NULL; job = next) {
        next = job->next;
        dispose(job);
    }
    free(recorder);
}
