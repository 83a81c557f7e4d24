#include "app/disk.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "sys/clock.h"
#include "sys/thread.h"

enum { EVERY_MS = 2000, PATIENCE_MS = 1000, OLD_US = 60000000 };

struct disk {
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows, but for 'path' */
    pthread_cond_t changed;
    struct disk_facts facts;
    uint64_t at_us; /* when they were heard */
    bool known;
    bool stop;
    bool ended; /* the thread, but for its return */
    bool left;  /* to the thread, which frees */
    char path[];
};

static void disk_free(struct disk *disk)
{
    (void)pthread_cond_destroy(&disk->changed);
    (void)pthread_mutex_destroy(&disk->lock);
    free(disk);
}

static uint64_t size_of(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t size_below(const char *path)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry;
    uint64_t bytes = 0;

    while (tree != NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_F) {
            bytes += (uint64_t)entry->fts_statp->st_size;
        }
    }
    if (tree != NULL) {
        (void)fts_close(tree);
    }
    return bytes;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* May take for ever. */
static bool ask(const char *path, struct disk_facts *out)
{
    struct statvfs fs;

    if (statvfs(path, &fs) != 0) {
        return false;
    }
    out->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    out->size_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    out->file_bytes =
        is_directory(path) ? size_below(path) : size_of(path, "") + size_of(path, "-wal");
    return true;
}

/* Under the lock; false: it is time. */
static bool wait_until(struct disk *disk, const struct timespec *until)
{
    return pthread_cond_timedwait(&disk->changed, &disk->lock, until) != ETIMEDOUT;
}

static void *run(void *arg)
{
    struct disk *disk = arg;
    bool left;

    thread_named("kcs-disk");
    (void)pthread_mutex_lock(&disk->lock);
    while (!disk->stop) {
        struct disk_facts facts = {0, 0, 0};
        struct timespec until;
        bool known;

        (void)pthread_mutex_unlock(&disk->lock);
        known = ask(disk->path, &facts);
        until = clock_deadline(CLOCK_MONOTONIC, EVERY_MS);
        (void)pthread_mutex_lock(&disk->lock);
        disk->known = known;
        disk->facts = facts;
        disk->at_us = clock_mono_us();
        while (!disk->stop && wait_until(disk, &until)) {
        }
    }
    disk->ended = true;
    left = disk->left;
    (void)pthread_cond_signal(&disk->changed);
    (void)pthread_mutex_unlock(&disk->lock);
    if (left) {
        disk_free(disk);
    }
    return NULL;
}

int disk_create(struct disk **out, const char *path)
{
    size_t len = strlen(path) + 1;
    struct disk *disk = calloc(1, sizeof(*disk) + len);
    pthread_condattr_t attr;
    int err;

    if (disk == NULL) {
        return -ENOMEM;
    }
    memcpy(disk->path, path, len);
    (void)pthread_mutex_init(&disk->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&disk->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    err = -pthread_create(&disk->thread, NULL, run, disk);
    if (err != 0) {
        disk_free(disk);
        return err;
    }
    *out = disk;
    return 0;
}

bool disk_look(struct disk *disk, struct disk_facts *out)
{
    bool known;

    (void)pthread_mutex_lock(&disk->lock);
    known = disk->known && clock_mono_us() - disk->at_us < OLD_US;
    *out = disk->facts;
    (void)pthread_mutex_unlock(&disk->lock);
    return known;
}

void disk_destroy(struct disk *disk)
{
    const struct timespec until = clock_deadline(CLOCK_MONOTONIC, PATIENCE_MS);
    bool left;

    if (disk == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&disk->lock);
    disk->stop = true;
    (void)pthread_cond_signal(&disk->changed);
    while (!disk->ended && wait_until(disk, &until)) {
    }
    left = disk->left = !disk->ended;
    if (left) {
        (void)pthread_detach(disk->thread); /* not later: it is gone with 'disk' */
    }
    (void)pthread_mutex_unlock(&disk->lock);
    if (!left) {
        (void)pthread_join(disk->thread, NULL);
        disk_free(disk);
    }
}
