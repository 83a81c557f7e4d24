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
#include "sys/child.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { LINE = 512, HEARD = 64 }; /* lines in one turn of the loop */
enum {
    RESTART_US = 1000000, /* till the first; each next takes twice as long */
    RESTART_MAX_US = 30000000,
    STEADY_US = 60000000, /* one that ran so long is not counted with those before it */
};

struct track {
    char name[RECORDER_NAME + 1];
    uint64_t streams[RECORDER_ENCODINGS];
    uint8_t n, at;     /* encodings, and which is recorded */
    uint16_t part;     /* of its files */
    bool given;        /* the process has it */
    bool seen;         /* of this encoding there is a file */
    uint64_t since_us; /* that it was given */
    struct track *next;
};

struct recorder_job {
    struct recorder *recorder;
    char id[RECORDER_NAME + 1];
    const struct recorder_ops *ops;
    void *user;
    uint64_t zero_us;
    struct child *child;
    int sock;
    struct loop_watch *watch;
    uint64_t streams_id;    /* of the dataplane's memory that the process reads */
    uint64_t restart_at_us; /* 0: it runs */
    uint64_t started_us;    /* of the process */
    unsigned deaths;        /* in a row: none ran for STEADY_US */
    bool stopping, failed;
    bool renewing; /* it was told to end, for the next to begin */
    uint64_t stop_by_us;
    struct track *tracks;
    struct recorder_file *files;
    size_t n_files;
    struct recorder_job *next;
};

struct recorder {
    struct recorder_conf conf;
    struct recorder_job *jobs;
    struct metric *n_jobs, *restarts;
};

static int make_directory(const char *path)
{
    struct stat st;

    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return -errno;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int recorder_create(struct recorder **out, const struct recorder_conf *conf,
                    char reason[RECORDER_REASON])
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    int err = recorder == NULL ? -ENOMEM : make_directory(conf->directory);

    if (err == 0 && access(conf->directory, W_OK | X_OK) != 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)snprintf(reason, RECORDER_REASON, "recording.directory %s: %s",
                       conf->directory, strerror(-err));
    } else if (access(conf->program, X_OK) != 0) {
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
    *out = recorder;
    return 0;
}

/* ---- what is told by the process ---- */

static struct track *find_track(const struct recorder_job *job, const char *name)
{
    struct track *track = job->tracks;

    while (track != NULL && strcmp(track->name, name) != 0) {
        track = track->next;
    }
    return track;
}

static struct recorder_file *find_file(const struct recorder_job *job, const char *name)
{
    for (size_t i = 0; i < job->n_files; i++) {
        if (strcmp(job->files[i].name, name) == 0) {
            return &job->files[i];
        }
    }
    return NULL;
}

/* A file's stem is its track's name, a dot and its part. */
static bool split(const char *stem, char track[RECORDER_NAME + 1], unsigned *part)
{
    const char *dot = strrchr(stem, '.');
    size_t len = dot != NULL ? (size_t)(dot - stem) : 0;

    if (len == 0 || len > RECORDER_NAME || sscanf(dot, ".%5u", part) != 1) {
        return false;
    }
    memcpy(track, stem, len);
    track[len] = '\0';
    return true;
}

static void on_file(struct recorder_job *job, const char *line)
{
    char word[8], stem[RECORDER_FILE + 1];
    struct recorder_file file = {.whole = false};
    struct recorder_file *known;
    struct track *track;
    unsigned part;

    if (sscanf(line,
               "%7s %32s %32s %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               word, stem, file.name, &file.start_us, &file.length_us, &file.bytes,
               &file.frames, &file.lost) != 8 ||
        !split(stem, file.track, &part) || strchr(file.name, '/') != NULL) {
        log_warn("recorder_not_understood", LOG_STR("recording", job->id));
        return;
    }
    file.whole = strcmp(word, "done") == 0;
    track = find_track(job, file.track);
    if (track != NULL && track->part == part) {
        track->seen = true;
    }
    known = find_file(job, file.name);
    if (known == NULL && job->n_files < RECORDER_FILES) {
        known = &job->files[job->n_files++];
    }
    if (known != NULL) {
        *known = file;
    }
}

static void drop(struct recorder_job *job, struct track *track)
{
    struct track **at = &job->tracks;

    while (*at != track) {
        at = &(*at)->next;
    }
    *at = track->next;
    free(track);
}

/* Of one track nothing more is written: what its publisher sends makes no sense, and would
 * not in another part. */
static void on_broken(struct recorder_job *job, const char *line)
{
    char stem[RECORDER_FILE + 1], name[RECORDER_NAME + 1];
    struct track *track = NULL;
    const char *reason = strchr(line, ' ');
    unsigned part;

    if (sscanf(line, "%32s", stem) == 1 && split(stem, name, &part)) {
        track = find_track(job, name);
    }
    log_warn("recording_track_broken", LOG_STR("recording", job->id),
             LOG_STR("track", track != NULL ? name : ""),
             LOG_STR("reason", reason != NULL ? reason + 1 : "unknown"));
    if (track != NULL && track->part == part) {
        drop(job, track);
    }
}

static void fail(struct recorder_job *job, const char *reason)
{
    log_error("recording_failed", LOG_STR("recording", job->id), LOG_STR("reason", reason));
    if (!job->failed && !job->stopping) {
        job->failed = true;
        job->ops->failed(job->user, reason);
    }
}

/* Nothing can be written: the disk is full, or broken. */
static void on_failed(struct recorder_job *job, const char *line)
{
    const char *reason = strchr(line, ' ');

    fail(job, reason != NULL ? reason + 1 : "unknown");
}

static void on_key(struct recorder_job *job, const char *stem)
{
    char name[RECORDER_NAME + 1];
    const struct track *track;
    unsigned part;

    track = split(stem, name, &part) ? find_track(job, name) : NULL;
    if (track != NULL && track->given && track->part == part) {
        (void)media_stream_keyframe(job->recorder->conf.media, track->streams[track->at],
                                    NULL, NULL);
    }
}

static void on_line(struct recorder_job *job, const char *line)
{
    if (strncmp(line, "key ", 4) == 0) {
        on_key(job, line + 4);
    } else if (strncmp(line, "wrote ", 6) == 0 || strncmp(line, "done ", 5) == 0) {
        on_file(job, line);
    } else if (strncmp(line, "broken ", 7) == 0) {
        on_broken(job, line + 7);
    } else if (strncmp(line, "failed ", 7) == 0) {
        on_failed(job, line + 7);
    }
}

/* What it says, 'max' lines of it: one that says too much does not hold the loop up. */
static void hear(struct recorder_job *job, unsigned max)
{
    char line[LINE];
    ssize_t n;

    for (unsigned i = 0; i < max && job->sock >= 0 &&
                         (n = recv(job->sock, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0;
         i++) {
        line[n] = '\0';
        on_line(job, line);
    }
}

static void on_socket(void *arg, unsigned events)
{
    struct recorder_job *job = arg;
    char byte;

    (void)events;
    hear(job, HEARD);
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

static void give(struct recorder_job *job, struct track *track)
{
    struct vault_stream_conf conf;
    char line[LINE];

    if (job->sock < 0 || track->given ||
        media_stream_conf(job->recorder->conf.media, track->streams[track->at], &conf) !=
            0) {
        return;
    }
    track->part++;
    track->given = true;
    track->seen = false;
    track->since_us = clock_mono_us();
    (void)snprintf(line, sizeof(line), "add %s.%u %" PRIu64 " %u %u %" PRIu64, track->name,
                   track->part, track->streams[track->at], conf.codec, conf.clock_hz,
                   conf.peer);
    say(job, line);
}

static void take_back(struct recorder_job *job, struct track *track)
{
    char line[LINE];

    if (track->given) {
        (void)snprintf(line, sizeof(line), "remove %s.%u", track->name, track->part);
        say(job, line);
        track->given = false;
    }
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
    job->ops->ended(job->user, job->files, job->n_files);
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
        fail(job, "the process that records dies again and again");
    }
}

static void on_child_ended(void *arg, int status)
{
    struct recorder_job *job = arg;

    job->child = NULL;
    hear(job, UINT_MAX); /* its last words: no more than the socket holds */
    hang_up(job);
    for (struct track *track = job->tracks; track != NULL; track = track->next) {
        track->given = false;
    }
    if (job->stopping) {
        end_job(job);
        return;
    }
    if (job->renewing) {
        job->renewing = false;
        job->restart_at_us = clock_mono_us();
        return;
    }
    log_error("recorder_died", LOG_STR("recording", job->id), LOG_I64("status", status));
    metric_inc(job->recorder->restarts);
    if (clock_mono_us() - job->started_us >= STEADY_US) {
        job->deaths = 0;
    }
    on_death(job, clock_mono_us());
}

/* Returns 0, or -errno and there is no process. */
static int start_process(struct recorder_job *job)
{
    const struct recorder_conf *conf = &job->recorder->conf;
    char directory[PATH_MAX], zero[24];
    char *argv[] = {(char *)(uintptr_t)conf->program, directory, zero, NULL};
    int socks[2];
    int fds[2];
    int err;

    if (media_streams(conf->media, &fds[1], &job->streams_id) != 0) {
        return -ENOTCONN;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) != 0) {
        return -errno;
    }
    (void)snprintf(directory, sizeof(directory), "%s/%s", conf->directory, job->id);
    (void)snprintf(zero, sizeof(zero), "%" PRIu64, job->zero_us);
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
    job->restart_at_us = 0;
    job->started_us = clock_mono_us();
    for (struct track *track = job->tracks; track != NULL; track = track->next) {
        give(job, track);
    }
    return 0;
}

/* ---- jobs ---- */

int recorder_start(struct recorder *recorder, const char *id,
                   const struct recorder_ops *ops, void *user, struct recorder_job **out)
{
    struct recorder_job *job = calloc(1, sizeof(*job));
    char directory[PATH_MAX];
    int err = 0;

    if (job == NULL || (job->files = calloc(RECORDER_FILES, sizeof(*job->files))) == NULL) {
        free(job);
        return -ENOMEM;
    }
    job->recorder = recorder;
    job->ops = ops;
    job->user = user;
    job->sock = -1;
    job->zero_us = clock_mono_us();
    (void)snprintf(job->id, sizeof(job->id), "%s", id);
    job->next = recorder->jobs;
    recorder->jobs = job;
    metric_inc(recorder->n_jobs);
    (void)snprintf(directory, sizeof(directory), "%s/%s", recorder->conf.directory, id);
    if (mkdir(directory, 0750) != 0) {
        err = -errno;
    } else {
        err = start_process(job);
        if (err != 0) {
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

void recorder_add(struct recorder_job *job, const char *name, const uint64_t *streams,
                  size_t n)
{
    struct track *track = n > 0 && !job->stopping ? calloc(1, sizeof(*track)) : NULL;

    if (track == NULL) {
        return;
    }
    (void)snprintf(track->name, sizeof(track->name), "%s", name);
    track->n = (uint8_t)(n < RECORDER_ENCODINGS ? n : RECORDER_ENCODINGS);
    memcpy(track->streams, streams, track->n * sizeof(track->streams[0]));
    track->at = track->n - 1;
    track->next = job->tracks;
    job->tracks = track;
    give(job, track);
}

void recorder_remove(struct recorder_job *job, const char *name)
{
    struct track *track = find_track(job, name);

    if (track != NULL) {
        take_back(job, track);
        drop(job, track);
    }
}

/* The process is to end its files, or is killed. */
static void stop_process(struct recorder_job *job)
{
    job->stop_by_us = clock_mono_us() + RECORDER_ENDING_MS * UINT64_C(1000);
    if (job->child != NULL) {
        say(job, "stop");
    }
}

void recorder_stop(struct recorder_job *job)
{
    if (!job->stopping) {
        job->stopping = true;
        stop_process(job);
    }
}

static void tick_track(struct recorder_job *job, struct track *track, uint64_t now_us)
{
    if (!track->given) {
        give(job, track);
    } else if (!track->seen && track->at > 0 &&
               now_us - track->since_us > RECORDER_UNSEEN_MS * UINT64_C(1000)) {
        take_back(job, track);
        track->at--;
        give(job, track);
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

static void tick(struct recorder_job *job, uint64_t now_us)
{
    uint64_t streams_id = 0;
    int fd;

    if (job->stopping && job->child == NULL) {
        end_job(job); /* there was none to end anything */
        return;
    }
    if (job->stopping || job->renewing) {
        if (now_us >= job->stop_by_us) {
            child_kill(job->child, SIGKILL);
        }
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
        stop_process(job);
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
