/* What the files of recording/ share: recorder.c, jobs and their processes; heard.c, what
 * these say; places.c, where live streams are. */
#ifndef RECORDING_PRIV_H
#define RECORDING_PRIV_H

#include "recording/choice.h"
#include "recording/recorder.h"
#include "sfu/base/rtmp_url.h"

struct child;
struct loop_watch;
struct metric;

enum { LINE = 512, HEARD = 64 }; /* lines in one turn of the loop */
enum {
    RESTART_US = 1000000, /* till the first; each next takes twice as long */
    RESTART_MAX_US = 30000000,
    STEADY_US = 60000000, /* one that ran so long is not counted with those before it */
};

struct track {
    char name[RECORDER_NAME + 1];
    uint64_t streams[RECORDER_ENCODINGS];
    struct choice choice; /* of its encodings, which is recorded */
    uint16_t part;        /* of its files */
    uint16_t old_part;    /* of the encoding before, until this one is seen; 0: none */
    bool given;        /* the process has it */
    bool seen;         /* of this encoding there is a file */
    uint64_t since_us; /* that it was given */
    char person[RECORDER_NAME + 1], source[16], owner[RECORDER_TEXT + 1];
    uint64_t came;
    bool paused;
    struct track *next;
};

struct recorder_job {
    struct recorder *recorder;
    char id[RECORDER_NAME + 1];
    enum recorder_mode mode;
    unsigned part;          /* of the processes of one that composes */
    bool live;              /* it was said that it can be fetched */
    char url[RTMP_URL_MAX]; /* of RECORDER_PUSH; there is a secret in it */
    char layout[16], speaker[RECORDER_NAME + 1], spotlight[RECORDER_NAME + 1];
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
    bool heavy;    /* the process has too much memory, and ends by itself */
    uint64_t stop_by_us;
    uint64_t paused_us; /* since when it is paused; 0: it is not */
    bool joined;        /* its parts are one file, or it was tried to make one of them */
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

/* heard.c: the track of that name, NULL if there is none; takes it off, and frees it; what
 * the process says, 'max' lines of it: one that says too much does not hold the loop up. */
struct track *recorder_find(const struct recorder_job *job, const char *name);
void recorder_drop(struct recorder_job *job, struct track *track);
void recorder_hear(struct recorder_job *job, unsigned max);

/* recorder.c: of what was given there is a file, or a picture. */
void recorder_saw(struct recorder_job *job, struct track *track);

/* It cannot go on; 'reason' is told once. */
void recorder_fail(struct recorder_job *job, const char *reason);

/* places.c: takes away what an earlier control has left of live streams. */
void recorder_erase_left(const char *live);

#endif
