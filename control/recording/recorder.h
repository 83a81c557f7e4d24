/* Recordings as far as files and processes go: a directory each, one process kcs-egress at
 * a time that writes the files in it (control/egress), started, watched, and started anew
 * if it dies: then each stream goes on in a file of its own, the next part.
 *
 * Thread: the loop's. */
#ifndef RECORDING_RECORDER_H
#define RECORDING_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct media;
struct metric_registry;
struct recorder;
struct recorder_job;

enum {
    RECORDER_REASON = 512,      /* bytes */
    RECORDER_NAME = 20,         /* characters of a track's name: a producer's id */
    RECORDER_FILE = 32,         /* of a file's */
    RECORDER_FILES = 512,       /* of one recording */
    RECORDER_FREE = 8 << 20,    /* bytes of the disk, with less than which none begins */
    RECORDER_TEXT = 128,        /* bytes of a person's name */
    RECORDER_ENCODINGS = 4,     /* of one track */
    RECORDER_RENDITIONS = 4,    /* of a live stream's picture */
    RECORDER_DEATHS = 7,        /* of processes in a row, over a minute, fail it */
    RECORDER_ENDING_MS = 10000 /* that a process may take to end its files */
};

enum recorder_mode {
    RECORDER_TRACKS,    /* each stream to a file of its own, as it is */
    RECORDER_MP4,       /* the same, but VP8 as H264: each is MP4 */
    RECORDER_COMPOSITE, /* one picture and one sound of all, in one file */
    RECORDER_SOUND,     /* the sound of all, in one file */
    RECORDER_LIVE,      /* one picture and one sound, live: manifests and segments */
    RECORDER_PUSH,      /* one picture and one sound, live, by RTMP to a server */
    N_RECORDER_MODES
};

extern const char *const recorder_mode_names[N_RECORDER_MODES];

struct recorder_room {
    uint64_t used_bytes; /* of recordings */
    uint64_t free_bytes; /* of the disk */
};

struct recorder_conf {
    struct loop *loop; /* borrowed, as all here */
    struct media *media;
    struct metric_registry *metrics;
    const char *program;   /* path of kcs-egress */
    const char *directory; /* that holds those of the recordings */
    const char *live;      /* the same of live streams; "": there are none */
    uint64_t quota_bytes;  /* that 'directory' may hold; 0: as much as the disk */
    /* What there is of it, some seconds ago; false: that is not known. May be NULL, without
     * a quota. */
    bool (*look)(void *user, struct recorder_room *out);
    /* A recording has ended, and its 'ended' was called. May be NULL. */
    void (*over)(void *user);
    void *user;
    struct recorder_rendition {
        unsigned height, kbps;
    } renditions[RECORDER_RENDITIONS]; /* of their picture, from the highest */
    unsigned n_renditions;
    unsigned memory_mb; /* that a process may take; 0: as much as there is */
    const char *
        push_ca_file; /* certificates that servers are checked by; NULL, "": the system's */
    bool push_private; /* to addresses that are none of the public Internet, too */
};

struct recorder_file {
    char track[RECORDER_NAME + 1];
    char name[RECORDER_FILE + 1]; /* in the recording's directory */
    int64_t start_us;             /* of its first frame, since the recording began */
    int64_t length_us;
    uint64_t bytes, frames;
    uint64_t lost; /* packets that never came */
    bool whole;    /* it was ended in order */
};

/* Whose track it is, for those who compose. */
struct recorder_owner {
    const char *person; /* id, as long as a track's name at most */
    const char *name;   /* of the person, for people */
    uint64_t came;      /* of two, who came earlier stands first */
    const char *source; /* "mic", "camera", "screen", "screen_audio" */
    bool paused;        /* neither shown nor heard */
};

/* How it is composed. Words as in control/egress/compose/cast.h; people by their ids. */
struct recorder_scene {
    const char *layout, *speaker, *spotlight; /* the last two may be "" */
};

struct recorder_ops {
    /* Of RECORDER_LIVE, once: the stream can be fetched. Of RECORDER_PUSH: it is sent, or
     * is again. May be NULL. */
    void (*live)(void *user);
    /* Of RECORDER_PUSH: the server cannot be reached; it is tried again. May be NULL. */
    void (*away)(void *user, const char *reason);
    /* Its process has died, or had to end because of its memory: another goes on, in the
     * next part. May be NULL. */
    void (*died)(void *user, const char *reason);
    /* It cannot go on (the disk is full, the quota used up, the process dies again and
     * again …): nothing more is written. Stop it. */
    void (*failed)(void *user, const char *reason);
    /* It has stopped, and its files are final. The job is gone afterwards. */
    void (*ended)(void *user, const struct recorder_file *files, size_t n);
};

/* Returns 0, -ENOMEM, or -errno of the directory or the program, with 'reason'. */
int recorder_create(struct recorder **out, const struct recorder_conf *conf,
                    char reason[RECORDER_REASON]);

/* Jobs that run end their files by themselves; nobody is told. NULL is a no-op. */
void recorder_destroy(struct recorder *recorder);

/* Begins a recording, of nothing yet, in a directory of the name 'id' (RECORDER_NAME
 * characters at most, of letters, digits, '-' and '_'). 'ops' is borrowed for the job's
 * life. Returns 0 or -errno: -EEXIST, -ENOSPC (the disk is full), -EDQUOT (the quota is
 * used up), -ENOTCONN (there is no dataplane), -ENOTSUP (there is no place for live
 * streams) … */
int recorder_start(struct recorder *recorder, const char *id, enum recorder_mode mode,
                   const struct recorder_ops *ops, void *user, struct recorder_job **out);

/* The same of RECORDER_PUSH, without a directory. 'url' (sfu/base/rtmp_url.h) is copied,
 * and told to nobody but the process. A name that stands for an address which may not be
 * connected to fails it. */
int recorder_push(struct recorder *recorder, const char *id, const char *url,
                  const struct recorder_ops *ops, void *user, struct recorder_job **out);

/* Records one more track, from now on. 'streams' are its encodings, from the lowest; the
 * highest that comes is taken. What goes wrong is logged; the others go on. */
void recorder_add(struct recorder_job *job, const char *track, const uint64_t *streams,
                  size_t n, const struct recorder_owner *owner);
void recorder_remove(struct recorder_job *job, const char *track);

/* What has changed of a track's owner, or of how it is composed. Told on only where it
 * differs from what was said before: call as often as one likes. */
void recorder_owner(struct recorder_job *job, const char *track,
                    const struct recorder_owner *owner);
void recorder_scene(struct recorder_job *job, const struct recorder_scene *scene);

/* Whether there are recordings, and live streams, here. */
bool recorder_has_files(const struct recorder *recorder);
bool recorder_has_live(const struct recorder *recorder);
bool recorder_pushes_anywhere(const struct recorder *recorder); /* recorder_conf's */

/* Takes away what there is of a live stream that has ended. */
void recorder_erase_live(const struct recorder *recorder, const char *id);

/* Nothing is recorded until it is resumed, and that time is in no file: what comes then
 * follows right behind, in the next part. Each does nothing where it is so already. */
void recorder_pause(struct recorder_job *job);
void recorder_resume(struct recorder_job *job);

/* Ends it: 'ended' is called later. */
void recorder_stop(struct recorder_job *job);

/* A process whose dataplane has gone is started anew, as is one that has died, after 1, 2,
 * 4 … 30 s; encodings that do not come are left. Call each second or so. */
void recorder_tick(struct recorder *recorder, uint64_t now_us);

/* What is known of its files now. Borrowed. */
const struct recorder_file *recorder_files(const struct recorder_job *job, size_t *n);

#endif
