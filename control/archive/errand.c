#include "archive/errand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"
#include "sys/thread.h"

enum {
    PART_BYTES = 8 << 20, /* of an upload; more, if it were more than S3_PARTS */
    MIB = 1 << 20,
    AGAIN_MS = 100,
    PATIENCE_MS = 2000, /* with what does not answer, when it is to end */
    N_TEXTS = 7         /* of the configuration */
};

/* An errand with whose it is: NULL once the runner is gone, and nobody waits for it. */
struct sent {
    struct errand errand;
    struct runner *runner;
};

struct runner {
    struct runner_conf conf;
    struct s3_conf s3_conf;
    char *texts[N_TEXTS]; /* of both */
    struct s3 *s3;
    pthread_t thread;
    pthread_mutex_t lock; /* of 'waits', 'stop' and what follows that */
    pthread_cond_t changed;
    struct sent *waits;
    struct sent *out; /* the loop's: the one that is not done */
    atomic_bool stop;
    bool ended;  /* the thread, but for its return */
    bool left;   /* to the thread, which frees */
    bool posted; /* 'out' is done, and the loop is to hear of it */
};

/* ---- the errands: on the thread ---- */

static int open_directory(const struct runner *runner, const struct errand *e)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", runner->conf.directory, e->id);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* The same to be read. NULL with *err, which is 0 if nothing is there. */
static DIR *read_directory(const struct runner *runner, const struct errand *e, int *err)
{
    int fd = open_directory(runner, e);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    *err = fd >= 0 || fd == -ENOENT ? 0 : fd;
    if (fd >= 0 && dir == NULL) {
        *err = -errno;
        (void)close(fd);
    }
    return dir;
}

static void note_file(struct errand *e, const char *name, const struct stat *st,
                      int64_t now_s)
{
    const int64_t idle_s = now_s - st->st_mtim.tv_sec;
    struct errand_file *file = &e->files[e->n_files];

    e->idle_s = idle_s < e->idle_s ? idle_s : e->idle_s;
    if (S_ISREG(st->st_mode) && name[0] != '.' &&
        snprintf(file->name, sizeof(file->name), "%s", name) < (int)sizeof(file->name)) {
        file->bytes = (uint64_t)st->st_size;
        e->n_files++;
    }
}

static int look(const struct runner *runner, struct errand *e)
{
    const int64_t now_s = clock_wall_s();
    const struct dirent *entry;
    DIR *dir;
    struct stat st;
    int err;

    e->idle_s = INT64_MAX;
    e->files = calloc(RECORDER_FILES, sizeof(*e->files));
    if (e->files == NULL) {
        return -ENOMEM;
    }
    dir = read_directory(runner, e, &err);
    while (dir != NULL && e->n_files < RECORDER_FILES && (entry = readdir(dir)) != NULL) {
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            strcmp(entry->d_name, "..") != 0) {
            note_file(e, entry->d_name, &st, now_s);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return err;
}

static int erase(const struct runner *runner, const struct errand *e)
{
    int err; /* that of rmdir() says more */
    DIR *dir = read_directory(runner, e, &err);
    const struct dirent *entry;
    char path[PATH_MAX];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        /* "." and ".." are none that it takes */
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)snprintf(path, sizeof(path), "%s/%s", runner->conf.directory, e->id);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* The parts that are not there are sent, and the object is. */
static int send_parts(const struct runner *runner, struct errand *e, const char *name,
                      int fd, uint64_t part_bytes)
{
    const unsigned n = (unsigned)((e->bytes + part_bytes - 1) / part_bytes);
    struct s3_part *parts = calloc(n, sizeof(*parts));
    int err =
        parts != NULL ? s3_parts(runner->s3, name, e->upload, parts, n, e->why) : -ENOMEM;

    for (unsigned i = 0; err == 0 && i < n; i++) {
        const uint64_t at = i * part_bytes;
        const uint64_t len = e->bytes - at < part_bytes ? e->bytes - at : part_bytes;

        if (parts[i].etag[0] == '\0' || parts[i].bytes != len) {
            err = s3_put_part(runner->s3, name, e->upload, i + 1, fd, at, len, &parts[i],
                              e->why);
        }
    }
    err = err != 0 ? err : s3_complete(runner->s3, name, e->upload, parts, n, e->why);
    free(parts);
    return err;
}

static int store_file(const struct runner *runner, struct errand *e, const char *name,
                      int fd)
{
    uint64_t part_bytes = PART_BYTES;
    int err;

    if (e->bytes / S3_PARTS >= part_bytes) {
        part_bytes = (e->bytes / S3_PARTS / MIB + 1) * MIB;
    }
    if (e->bytes <= part_bytes) {
        return s3_put(runner->s3, name, fd, 0, e->bytes, e->why);
    }
    if (e->upload[0] != '\0') {
        err = send_parts(runner, e, name, fd, part_bytes);
        if (err != -ENOENT) {
            return err;
        }
        /* the store has forgotten it: it begins anew */
    }
    err = s3_begin(runner->s3, name, e->upload, e->why);
    e->begun = err == 0;
    return err;
}

static void name_of(const struct errand *e, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/%s", e->id, e->file);
}

static int upload(const struct runner *runner, struct errand *e)
{
    char name[RECORDER_NAME + RECORDER_FILE + 2];
    struct stat st;
    int dir = open_directory(runner, e);
    int fd = dir >= 0 ? openat(dir, e->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : dir;
    int err = fd >= 0 ? 0 : dir >= 0 ? -errno : dir;

    if (err == 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        err = -ENOENT;
    }
    if (err == 0) {
        e->bytes = (uint64_t)st.st_size;
        e->stored = true;
        name_of(e, name, sizeof(name));
        err = store_file(runner, e, name, fd);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    return err;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

static int write_file(const struct runner *runner, struct errand *e)
{
    char name[RECORDER_FILE + 2];
    int dir = open_directory(runner, e);
    int fd = -1;
    int err = dir < 0 ? dir : 0;

    (void)snprintf(name, sizeof(name), ".%s", e->file); /* no file of the recording's yet */
    if (err == 0) {
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
        err = fd < 0 ? -errno : write_all(fd, e->text, strlen(e->text));
    }
    if (fd >= 0 && close(fd) != 0 && err == 0) {
        err = -errno;
    }
    if (fd >= 0 && err == 0 && renameat(dir, name, dir, e->file) != 0) {
        err = -errno;
    }
    if (fd >= 0 && err != 0) {
        (void)unlinkat(dir, name, 0);
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    e->bytes = strlen(e->text);
    return err;
}

static int take_back(const struct runner *runner, struct errand *e)
{
    char name[RECORDER_NAME + RECORDER_FILE + 2];
    int err = 0;

    e->stored = true;
    name_of(e, name, sizeof(name));
    if (e->upload[0] != '\0') {
        err = s3_abort(runner->s3, name, e->upload, e->why);
    }
    return err != 0 ? err : s3_delete(runner->s3, name, e->why);
}

static void work(const struct runner *runner, struct errand *e)
{
    switch (e->kind) {
    case ERRAND_LOOK:
        e->err = look(runner, e);
        break;
    case ERRAND_WRITE:
        e->err = write_file(runner, e);
        break;
    case ERRAND_UPLOAD:
        e->err = upload(runner, e);
        break;
    case ERRAND_DELETE:
        e->err = take_back(runner, e);
        break;
    case ERRAND_ERASE:
        e->err = erase(runner, e);
        break;
    }
    if (e->err != 0 && !e->stored) {
        (void)snprintf(e->why, sizeof(e->why), "%s", strerror(-e->err));
    }
}

/* ---- to and fro ---- */

static void sent_free(struct sent *sent)
{
    free(sent->errand.files);
    free(sent->errand.text);
    free(sent);
}

static void on_done(void *arg)
{
    struct sent *sent = arg;
    struct runner *runner = sent->runner;

    if (runner != NULL) {
        runner->out = NULL;
        runner->conf.done(runner->conf.arg, &sent->errand);
    }
    sent_free(sent);
}

static void runner_free(struct runner *runner)
{
    (void)pthread_cond_destroy(&runner->changed);
    (void)pthread_mutex_destroy(&runner->lock);
    s3_destroy(runner->s3);
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (runner->texts[i] != NULL) {
            explicit_bzero(runner->texts[i], strlen(runner->texts[i])); /* a secret */
        }
        free(runner->texts[i]);
    }
    free(runner);
}

/* Under the lock; lets it go while there is no memory. Nobody hears of it who is gone. */
static void answer(struct runner *runner, struct sent *sent)
{
    while (!runner->left && loop_post(runner->conf.loop, on_done, sent) != 0) {
        (void)pthread_mutex_unlock(&runner->lock);
        (void)usleep(AGAIN_MS * 1000);
        (void)pthread_mutex_lock(&runner->lock);
    }
    if (runner->left) {
        sent_free(sent);
    } else {
        runner->posted = true;
    }
}

static void *run(void *arg)
{
    struct runner *runner = arg;
    bool left;

    thread_of_work("kcs-archive");
    (void)pthread_mutex_lock(&runner->lock);
    while (!atomic_load(&runner->stop)) {
        struct sent *sent = runner->waits;

        if (sent == NULL) {
            (void)pthread_cond_wait(&runner->changed, &runner->lock);
            continue;
        }
        runner->waits = NULL;
        (void)pthread_mutex_unlock(&runner->lock);
        work(runner, &sent->errand);
        (void)pthread_mutex_lock(&runner->lock);
        answer(runner, sent);
    }
    runner->ended = true;
    left = runner->left;
    (void)pthread_cond_signal(&runner->changed);
    (void)pthread_mutex_unlock(&runner->lock);
    if (left) {
        runner_free(runner);
    }
    return NULL;
}

/* What a thread that is left behind reads is its own. */
static int copy_conf(struct runner *runner, const struct runner_conf *conf)
{
    struct s3_conf *own = &runner->s3_conf;
    const char **const fields[] = {
        &own->endpoint,   &own->bucket,     &own->prefix,           &own->region,
        &own->access_key, &own->secret_key, &runner->conf.directory};
    _Static_assert(sizeof(fields) / sizeof(fields[0]) == N_TEXTS, "a place for each");

    runner->conf = *conf;
    if (conf->s3 != NULL) {
        *own = *conf->s3;
        runner->conf.s3 = own;
    }
    for (size_t i = 0; i < N_TEXTS; i++) {
        runner->texts[i] = *fields[i] != NULL ? strdup(*fields[i]) : NULL;
        if (*fields[i] != NULL && runner->texts[i] == NULL) {
            return -ENOMEM;
        }
        *fields[i] = runner->texts[i];
    }
    return 0;
}

int runner_create(struct runner **out, const struct runner_conf *conf)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    pthread_condattr_t attr;
    int err;

    if (runner == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&runner->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&runner->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    err = copy_conf(runner, conf);
    if (err == 0 && conf->s3 != NULL) {
        err = s3_create(&runner->s3, runner->conf.s3, &runner->stop);
    }
    err = err != 0 ? err : -pthread_create(&runner->thread, NULL, run, runner);
    if (err != 0) {
        runner_free(runner);
        return err;
    }
    *out = runner;
    return 0;
}

void runner_destroy(struct runner *runner)
{
    const struct timespec until = clock_deadline(CLOCK_MONOTONIC, PATIENCE_MS);
    bool left;

    if (runner == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&runner->lock);
    atomic_store(&runner->stop, true);
    (void)pthread_cond_signal(&runner->changed);
    while (!runner->ended &&
           pthread_cond_timedwait(&runner->changed, &runner->lock, &until) != ETIMEDOUT) {
    }
    left = runner->left = !runner->ended;
    if (left && runner->out != NULL && runner->posted) {
        runner->out->runner = NULL;
    }
    if (left) {
        (void)pthread_detach(runner->thread); /* not later: it is gone with 'runner' */
    }
    (void)pthread_mutex_unlock(&runner->lock);
    if (left) {
        log_warn("archive_left", LOG_STR("cure", "a disk or the object store hangs"));
        return;
    }
    (void)pthread_join(runner->thread, NULL);
    if (runner->waits != NULL) { /* the thread has never seen it */
        sent_free(runner->waits);
    } else if (runner->out != NULL) {
        runner->out->runner = NULL; /* posted, and not yet heard: it frees itself */
    }
    runner_free(runner);
}

int runner_send(struct runner *runner, const struct errand *errand)
{
    struct sent *sent = malloc(sizeof(*sent));

    if (sent == NULL) {
        return -ENOMEM;
    }
    sent->errand = *errand;
    sent->runner = runner;
    (void)pthread_mutex_lock(&runner->lock);
    runner->waits = runner->out = sent;
    runner->posted = false;
    (void)pthread_cond_signal(&runner->changed);
    (void)pthread_mutex_unlock(&runner->lock);
    return 0;
}
