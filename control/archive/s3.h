/* An object store that speaks S3: what is asked of it, one request after the other, each
 * signed (proto/sigv4.h), each waited for. Every object is PREFIX/NAME of one bucket, which
 * is named by the path.
 *
 * Thread: one of its own, but for s3_url(). The libcurl part of archive/. */
#ifndef ARCHIVE_S3_H
#define ARCHIVE_S3_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3;

enum {
    S3_WHY = 320,
    S3_UPLOAD = 1024, /* characters of an upload's id */
    S3_ETAG = 128,
    S3_PARTS = 10000, /* of one upload, at most; so the stores say */
    S3_URL = 2560
};

/* All borrowed for as long as it is used. */
struct s3_conf {
    const char *endpoint; /* "https://s3.example.org", with a port or not; no path */
    const char *bucket, *prefix, *region, *access_key, *secret_key;
    bool allow_loopback; /* the endpoint may be this machine */
};

struct s3_part {
    uint64_t bytes;
    char etag[S3_ETAG + 1]; /* empty: it is not there */
};

/* stop  once true, what is asked is given up: -ECANCELED. Returns 0 or -ENOMEM. */
int s3_create(struct s3 **out, const struct s3_conf *conf, const atomic_bool *stop);
void s3_destroy(struct s3 *s3); /* NULL is a no-op */

/* Each returns 0, or -errno with 'why' in words: -ENOENT (there is no such upload, object
 * or bucket), -EACCES (it refuses us), -EIO (it fails, or cannot be reached), -EBADMSG (it
 * makes no sense), -ECANCELED, -ENOMEM; of the file's own if it cannot be read.
 *
 * fd   borrowed; 'len' bytes of it from 'at' on, which do not change meanwhile */
int s3_put(struct s3 *s3, const char *name, int fd, uint64_t at, uint64_t len,
           char why[S3_WHY]);
int s3_delete(struct s3 *s3, const char *name, char why[S3_WHY]); /* or it is not there */

/* An object in parts, of 5 MiB at least but the last; it is there once s3_complete() says
 * so. Number 'n' counts from 1. */
int s3_begin(struct s3 *s3, const char *name, char upload[S3_UPLOAD + 1], char why[S3_WHY]);
int s3_put_part(struct s3 *s3, const char *name, const char *upload, unsigned n, int fd,
                uint64_t at, uint64_t len, struct s3_part *out, char why[S3_WHY]);
/* Fills those of the n parts that are there; the others stay as they are. */
int s3_parts(struct s3 *s3, const char *name, const char *upload, struct s3_part *parts,
             unsigned n, char why[S3_WHY]);
int s3_complete(struct s3 *s3, const char *name, const char *upload,
                const struct s3_part *parts, unsigned n, char why[S3_WHY]);
/* or it is not there */
int s3_abort(struct s3 *s3, const char *name, const char *upload, char why[S3_WHY]);

/* Where anybody may fetch the object until 'expires_s' from now. Any thread. 0 or -ENOSPC.
 */
int s3_url(const struct s3_conf *conf, const char *name, int64_t now_s, uint32_t expires_s,
           char out[S3_URL]);

#endif
