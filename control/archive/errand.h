/* What waits for disks and object stores, so that nobody else does: a thread that does one
 * errand after the other.
 *
 * Thread: the loop's. */
#ifndef ARCHIVE_ERRAND_H
#define ARCHIVE_ERRAND_H

#include "archive/s3.h"
#include "recording/recorder.h"

struct loop;
struct runner;

enum errand_kind {
    ERRAND_LOOK,   /* what files there are, and how long nobody has written to them */
    ERRAND_WRITE,  /* 'text' to a file, which is there whole or as it was */
    ERRAND_UPLOAD, /* a file; of a large one first 'upload' is begun */
    ERRAND_DELETE, /* what is stored of a file, and the upload that is not complete */
    ERRAND_ERASE   /* the directory and all in it */
};

struct errand_file {
    char name[RECORDER_FILE + 1];
    uint64_t bytes;
};

struct errand {
    enum errand_kind kind;
    char id[RECORDER_NAME + 1];   /* of the recording */
    char file[RECORDER_FILE + 1]; /* of WRITE, UPLOAD, DELETE */
    char *text;                   /* of WRITE: moved once it is sent */
    char upload[S3_UPLOAD + 1];   /* that goes on; empty: none. Filled, if 'begun' */
    /* the answer */
    int err;        /* of the object store as s3.h says, if 'stored'; else of the disk */
    bool stored;    /* the object store was asked */
    bool begun;     /* nothing but that: 'upload' is to be kept, then asked again */
    uint64_t bytes; /* of the file */
    int64_t idle_s; /* of LOOK */
    struct errand_file *files; /* of LOOK; freed after 'done' */
    size_t n_files;
    char why[S3_WHY];
};

struct runner_conf {
    struct loop *loop;
    const char *directory;    /* of all recordings */
    const struct s3_conf *s3; /* NULL: nothing is stored elsewhere */
    void (*done)(void *arg, const struct errand *errand); /* on the loop */
    void *arg;
};

/* conf: borrowed; what is in it is copied, but for the loop. Returns 0, -ENOMEM or -EAGAIN.
 */
int runner_create(struct runner **out, const struct runner_conf *conf);

/* Gives up what it is at: at most two seconds are waited for a disk or a store that does
 * not answer, then the thread is left behind, and frees when they do. NULL is a no-op;
 * nothing is done any more. */
void runner_destroy(struct runner *runner);

/* Has a copy done. One at a time: not before 'done' for the last. Returns 0 or -ENOMEM. */
int runner_send(struct runner *runner, const struct errand *errand);

#endif
