#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "media/media.h"
#include "recording/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

struct track *recorder_find(const struct recorder_job *job, const char *name)
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
    track = recorder_find(job, file.track);
    if (track != NULL && track->part == part) {
        recorder_saw(job, track);
    }
    known = find_file(job, file.name);
    if (known == NULL && job->n_files < RECORDER_FILES) {
        known = &job->files[job->n_files++];
    }
    if (known != NULL) {
        *known = file;
    }
}

void recorder_drop(struct recorder_job *job, struct track *track)
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
        track = recorder_find(job, name);
    }
    log_warn("recording_track_broken", LOG_STR("recording", job->id),
             LOG_STR("track", track != NULL ? name : ""),
             LOG_STR("reason", reason != NULL ? reason + 1 : "unknown"));
    if (track != NULL && track->part == part) {
        recorder_saw(job, track); /* nobody else ends the encoding before this one */
        recorder_drop(job, track);
    }
}

void recorder_fail(struct recorder_job *job, const char *reason)
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

    recorder_fail(job, reason != NULL ? reason + 1 : "unknown");
}

static void on_key(struct recorder_job *job, const char *stem)
{
    char name[RECORDER_NAME + 1];
    const struct track *track;
    unsigned part;

    track = split(stem, name, &part) ? recorder_find(job, name) : NULL;
    if (track != NULL && track->given && track->part == part) {
        (void)media_stream_keyframe(job->recorder->conf.media, track->streams[track->choice.at],
                                    NULL, NULL);
    }
}

/* Of this encoding there is a picture. */
static void on_seen(struct recorder_job *job, const char *stem)
{
    char name[RECORDER_NAME + 1];
    struct track *track;
    unsigned part;

    track = split(stem, name, &part) ? recorder_find(job, name) : NULL;
    if (track != NULL && track->part == part) {
        recorder_saw(job, track);
    }
}

/* All parts are one file now. */
static void on_joined(struct recorder_job *job, const char *line)
{
    struct recorder_file file = {.track = "meeting", .whole = true};

    if (sscanf(line, "joined %32s %" SCNd64 " %" SCNu64, file.name, &file.length_us,
               &file.bytes) != 3 ||
        strchr(file.name, '/') != NULL) {
        log_warn("recorder_not_understood", LOG_STR("recording", job->id));
        return;
    }
    for (size_t i = 0; i < job->n_files; i++) {
        file.frames += job->files[i].frames;
        file.lost += job->files[i].lost;
    }
    job->files[0] = file;
    job->n_files = 1;
    job->joined = true;
}

static void on_live(struct recorder_job *job, const char *line)
{
    uint64_t segments = 0;

    if (sscanf(line, "live %" SCNu64, &segments) == 1 && segments > 0 && !job->live) {
        job->live = true;
        if (job->ops->live != NULL) {
            job->ops->live(job->user);
        }
    }
}

static void on_away(struct recorder_job *job, const char *reason)
{
    job->live = false;
    if (job->ops->away != NULL) {
        job->ops->away(job->user, reason);
    }
}

/* It ends its files, if there is memory for that. */
static void on_heavy(struct recorder_job *job, const char *line)
{
    uint64_t bytes = 0;

    (void)sscanf(line, "%" SCNu64, &bytes);
    log_error("recorder_too_large", LOG_STR("recording", job->id), LOG_U64("bytes", bytes),
              LOG_U64("memory_mb", job->recorder->conf.memory_mb),
              LOG_STR("cure", "another process goes on; recording.memory_mb is the limit"));
    job->heavy = true;
    job->stop_by_us = clock_mono_us() + RECORDER_ENDING_MS * UINT64_C(1000);
}

static void on_line(struct recorder_job *job, const char *line)
{
    if (strncmp(line, "key ", 4) == 0) {
        on_key(job, line + 4);
    } else if (strncmp(line, "wrote ", 6) == 0 || strncmp(line, "done ", 5) == 0) {
        on_file(job, line);
    } else if (strncmp(line, "seen ", 5) == 0) {
        on_seen(job, line + 5);
    } else if (strncmp(line, "live ", 5) == 0) {
        on_live(job, line);
    } else if (strncmp(line, "away ", 5) == 0) {
        on_away(job, line + 5);
    } else if (strcmp(line, "joining") == 0) {
        job->stop_by_us = clock_mono_us() + RECORDER_ENDING_MS * UINT64_C(1000);
    } else if (strncmp(line, "joined ", 7) == 0) {
        on_joined(job, line);
    } else if (strncmp(line, "heavy ", 6) == 0) {
        on_heavy(job, line + 6);
    } else if (strncmp(line, "broken ", 7) == 0) {
        on_broken(job, line + 7);
    } else if (strncmp(line, "failed ", 7) == 0) {
        on_failed(job, line + 7);
    }
}

void recorder_hear(struct recorder_job *job, unsigned max)
{
    char line[LINE];
    ssize_t n;

    for (unsigned i = 0; i < max && job->sock >= 0; i++) {
        n = recv(job->sock, line, sizeof(line) - 1, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET) {
            continue; /* one that died and had not read all: its last words come after that
                       */
        }
        if (n <= 0) {
            return;
        }
        line[n] = '\0';
        on_line(job, line);
    }
}
