#include "app/stored.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "app/control_conf.h"
#include "app/keep.h"
#include "metric/metric.h"
#include "store/store.h"

/* ---- the store ---- */

static void collect_waiting(struct metric_sink *sink, void *arg)
{
    const struct keep *keep = arg;

    if (keep->store != NULL) {
        metric_emit(sink, NULL, 0, store_waiting(keep->store));
    }
}

static void collect_failing(struct metric_sink *sink, void *arg)
{
    const struct keep *keep = arg;

    if (keep->store != NULL) {
        metric_emit(sink, NULL, 0, store_failing(keep->store) != 0);
    }
}

static void collect_events(struct metric_sink *sink, void *arg)
{
    const struct keep *keep = arg;

    if (keep->store != NULL) {
        metric_emit(sink, NULL, 0, (double)store_events_written(keep->store));
    }
}

static bool is_file(const struct keep *keep)
{
    return keep->store != NULL && keep->conf->store.url[0] == '\0';
}

static double size_of(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (double)st.st_size : 0;
}

static void collect_size(struct metric_sink *sink, void *arg)
{
    const struct keep *keep = arg;

    if (is_file(keep)) {
        metric_emit(sink, NULL, 0,
                    size_of(keep->conf->store.path, "") +
                        size_of(keep->conf->store.path, "-wal"));
    }
}

/* ---- disks ---- */

/* The one that 'path', a directory or a file that is there, lies on. */
static void emit_disk(struct metric_sink *sink, const char *what, const char *path,
                      bool all)
{
    const struct metric_label label = {"holds", what};
    struct statvfs fs;

    if (statvfs(path, &fs) == 0) {
        metric_emit(sink, &label, 1,
                    (double)(all ? fs.f_blocks : fs.f_bavail) * (double)fs.f_frsize);
    }
}

static void emit_disks(struct metric_sink *sink, const struct keep *keep, bool all)
{
    if (is_file(keep)) {
        emit_disk(sink, "store", keep->conf->store.path, all);
    }
    if (keep->conf != NULL && keep->conf->recording.directory[0] != '\0') {
        emit_disk(sink, "recordings", keep->conf->recording.directory, all);
    }
}

static void collect_free(struct metric_sink *sink, void *arg)
{
    emit_disks(sink, arg, false);
}

static void collect_all(struct metric_sink *sink, void *arg)
{
    emit_disks(sink, arg, true);
}

int stored_register(struct metric_registry *metrics, struct keep *keep)
{
    static const struct {
        enum metric_kind kind;
        const char *name, *help;
        void (*collect)(struct metric_sink *sink, void *arg);
    } families[] = {
        {METRIC_GAUGE, "store_waiting", "Requests that the store has not answered.",
         collect_waiting},
        {METRIC_GAUGE, "store_failing",
         "1 while the store does not take what is to be written.", collect_failing},
        {METRIC_COUNTER, "store_events_total", "Lasting events written to the outbox.",
         collect_events},
        {METRIC_GAUGE, "store_size_bytes", "The store's file, and what is not yet in it.",
         collect_size},
        {METRIC_GAUGE, "disk_free_bytes", "Room on the disk that holds it.", collect_free},
        {METRIC_GAUGE, "disk_size_bytes", "All of that disk.", collect_all},
    };
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(families) / sizeof(families[0]); i++) {
        err = metric_register_collector(metrics, families[i].kind, families[i].name,
                                        families[i].help, families[i].collect, keep);
    }
    return err;
}
