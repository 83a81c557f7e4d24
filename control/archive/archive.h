/* What becomes of recordings that have ended: their files go to an object store, if there
 * is one, and all of it is taken away when its time is over. What is to be done stands in
 * the store's documents alone: so whoever is killed goes on where it was.
 *
 * One recording after the other, one file at a time, by a thread of its own (errand.h).
 * Thread: the loop's. */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "archive/s3.h"

struct archive;
struct loop;
struct metric_registry;
struct store;
struct store_doc;

enum { ARCHIVE_LINK_S = 3600 }; /* that a link to a file is good for */

struct archive_conf {
    struct loop *loop; /* borrowed, as all here */
    struct store *store;
    struct metric_registry *metrics;
    const char *directory;
    struct s3_conf s3;       /* no endpoint: there is none */
    bool keep_local;         /* files stay when they are in the object store */
    uint32_t retention_days; /* of what its meeting says nothing of; 0: for ever */
    uint32_t audit_days;
    /* Whether it is being recorded, or its files are being ended. */
    bool (*is_running)(void *user, const char *tenant, const char *id);
    /* The number of the next event of a meeting (meeting_number()). */
    void (*number)(void *user, const char *tenant, const char *meeting, uint64_t *epoch,
                   uint64_t *seq);
    void *user;
};

/* Returns 0, -ENOMEM or -EAGAIN. */
int archive_create(struct archive **out, const struct archive_conf *conf);

/* After store_close(). What is on its way is given up. NULL is a no-op. */
void archive_destroy(struct archive *archive);

/* A recording has ended: it is looked after within a second or two, not within the next
 * minute. NULL is a no-op. */
void archive_soon(struct archive *archive);

/* Until when a recording is kept, in seconds since 1970; 0: for ever. */
int64_t archive_until(const struct archive *archive, const struct store_doc *doc);

/* Where anybody may fetch a file that is in the object store, for ARCHIVE_LINK_S. Returns 0
 * or -ENOTSUP (there is none), -ENOSPC. */
int archive_link(const struct archive *archive, const char *id, const char *file,
                 char out[S3_URL]);

/* A file was handed out, here or there. */
void archive_count_download(struct archive *archive);

#endif
