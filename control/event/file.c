/* JSON lines in a file that is changed for a new one when it has grown. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/sink.h"
#include "sys/log.h"
#include "sys/place.h"

enum { QUEUE = 8192, BATCH = 256, RETRY_MS = 1000, PATH = 512 };

struct file {
    struct event_sink sink;
    struct event_port *port;
    struct event_queue *queue;
    char path[PATH];
    uint64_t max, size;
    uint32_t keep;
    int fd;
    pthread_mutex_t lock;
    int failing; /* errno; under 'lock' */
};

static struct file *file_of(struct event_sink *sink)
{
    return (struct file *)sink;
}

/* Who was killed while it wrote has left a part of a line: it goes, its event comes again.
 */
static int mend(struct file *file)
{
    char part[4096];
    uint64_t end = file->size;

    while (end > 0) {
        size_t n = end < sizeof(part) ? (size_t)end : sizeof(part);
        const char *newline;

        if (pread(file->fd, part, n, (off_t)(end - n)) != (ssize_t)n) {
            return -EIO;
        }
        newline = memrchr(part, '\n', n);
        end -= n;
        if (newline != NULL) {
            end += (size_t)(newline - part) + 1;
            break;
        }
    }
    if (end < file->size && ftruncate(file->fd, (off_t)end) != 0) {
        return -errno;
    }
    file->size = end;
    return 0;
}

static int open_file(struct file *file)
{
    struct stat st;

    file->fd = open(file->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (file->fd < 0 || fstat(file->fd, &st) != 0) {
        return -errno;
    }
    file->size = (uint64_t)st.st_size;
    return mend(file);
}

/* PATH.2 becomes PATH.3, PATH.1 PATH.2, PATH PATH.1. */
static int rotate(struct file *file)
{
    char from[PATH + 16];
    char to[PATH + 16];

    for (uint32_t i = file->keep; i > 0; i--) {
        (void)snprintf(to, sizeof(to), "%s.%u", file->path, i);
        if (i > 1) {
            (void)snprintf(from, sizeof(from), "%s.%u", file->path, i - 1);
        } else {
            (void)snprintf(from, sizeof(from), "%s", file->path);
        }
        if (rename(from, to) != 0 && errno != ENOENT) {
            return -errno;
        }
    }
    if (file->keep == 0 && unlink(file->path) != 0 && errno != ENOENT) {
        return -errno;
    }
    (void)close(file->fd);
    return open_file(file);
}

static void note(struct file *file, int err)
{
    int before;

    (void)pthread_mutex_lock(&file->lock);
    before = file->failing;
    file->failing = err;
    (void)pthread_mutex_unlock(&file->lock);
    if (err != 0 && before == 0) {
        log_error("event_file_failed", LOG_STR("path", file->path),
                  LOG_STR("error", strerror(err)),
                  LOG_STR("cure", "events wait in the store; it is tried again"));
    } else if (err == 0 && before != 0) {
        log_info("event_file_works", LOG_STR("path", file->path));
    }
}

/* All of it or nothing. */
static int write_all(struct file *file, const char *text, size_t len)
{
    size_t at = 0;
    int err = 0;

    if (file->fd < 0) {
        err = open_file(file);
    }
    if (err == 0 && file->size > 0 && file->size + len > file->max) {
        err = rotate(file);
    }
    while (err == 0 && at < len) {
        ssize_t n = write(file->fd, text + at, len - at);

        if (n > 0) {
            at += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            err = n == 0 ? -EIO : -errno;
        }
    }
    if (err == 0 && fdatasync(file->fd) != 0 && errno != EINVAL) {
        err = -errno;
    }
    if (err == 0) {
        file->size += len;
    } else if (file->fd >= 0) {
        (void)ftruncate(file->fd, (off_t)file->size); /* no half a line stays */
    }
    return err;
}

static char *lines_of(const struct event *first, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    if (out == NULL) {
        return NULL;
    }
    for (const struct event *event = first; event != NULL; event = event->next) {
        size_t n;
        char *line = event_json(event, &n);

        if (line == NULL || fwrite(line, 1, n, out) != n || fputc('\n', out) == EOF) {
            free(line);
            (void)fclose(out);
            free(text);
            return NULL;
        }
        free(line);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void work(void *arg, struct event *first)
{
    struct file *file = arg;
    size_t len = 0;
    char *text;
    int err;

    do {
        text = lines_of(first, &len);
        err = text != NULL ? write_all(file, text, len) : -ENOMEM;
        free(text);
        note(file, -err);
    } while (err != 0 && !event_queue_wait(file->queue, RETRY_MS));
    while (first != NULL) {
        struct event *event = first;

        first = event->next;
        if (err == 0) {
            event_port_report(file->port, event->position, EVENT_DELIVERED);
        }
        free(event);
    }
}

static int file_send(struct event_sink *sink, struct event *event)
{
    return event_queue_put(file_of(sink)->queue, event);
}

static bool file_works(struct event_sink *sink, char state[EVENT_STATE_MAX])
{
    struct file *file = file_of(sink);
    int err;

    (void)pthread_mutex_lock(&file->lock);
    err = file->failing;
    (void)pthread_mutex_unlock(&file->lock);
    if (err != 0) {
        (void)snprintf(state, EVENT_STATE_MAX, "%.160s: %s", file->path, strerror(err));
    }
    return err == 0;
}

static void file_stop(struct event_sink *sink, uint32_t patience_ms)
{
    event_queue_stop(file_of(sink)->queue, patience_ms);
}

static void file_destroy(struct event_sink *sink)
{
    struct file *file = file_of(sink);

    event_queue_destroy(file->queue);
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    (void)pthread_mutex_destroy(&file->lock);
    free(file);
}

int event_file_create(struct event_sink **out, struct event_port *port,
                      const struct event_file_conf *conf, char err[EVENT_ERR_MAX])
{
    static const struct event_sink_ops ops = {file_send, file_works, file_stop,
                                              file_destroy};
    struct file *file = calloc(1, sizeof(*file));
    int ret;

    if (file == NULL || strlen(conf->path) >= sizeof(file->path)) {
        ret = file == NULL ? -ENOMEM : -ENAMETOOLONG;
        (void)snprintf(err, EVENT_ERR_MAX, "events.file.path: %s", strerror(-ret));
        free(file);
        return ret;
    }
    file->sink = (struct event_sink){&ops, "file", true};
    file->port = port;
    (void)snprintf(file->path, sizeof(file->path), "%s", conf->path);
    file->max = (uint64_t)conf->max_mb << 20;
    file->keep = conf->keep;
    (void)pthread_mutex_init(&file->lock, NULL);
    place_make(file->path, 0755);
    ret = open_file(file);
    if (ret == 0) {
        ret = event_queue_create(&file->queue, QUEUE, BATCH, work, file);
    }
    if (ret != 0) {
        (void)snprintf(err, EVENT_ERR_MAX, "events.file.path %.400s: %s", file->path,
                       strerror(-ret));
        file_destroy(&file->sink);
        return ret;
    }
    *out = &file->sink;
    return 0;
}
