#include "app/stored.h"

#include <stdbool.h>
#include <stddef.h>

#include "app/control_conf.h"
#include "app/disk.h"
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

static void collect_size(struct metric_sink *sink, void *arg)
{
    const struct keep *keep = arg;
    struct disk_facts facts;

    if (keep->store_disk != NULL && disk_look(keep->store_disk, &facts)) {
        metric_emit(sink, NULL, 0, (double)facts.file_bytes);
    }
}

static void emit_room(struct metric_sink *sink, const struct keep *keep, bool most)
{
    uint64_t room[2];

    if (keep->store != NULL && store_room(keep->store, &room[0], &room[1])) {
        metric_emit(sink, NULL, 0, (double)room[most]);
    }
}

static void collect_used(struct metric_sink *sink, void *arg)
{
    emit_room(sink, arg, false);
}

static void collect_most(struct metric_sink *sink, void *arg)
{
    emit_room(sink, arg, true);
}

/* ---- disks ---- */

bool stored_recordings(const struct keep *keep, struct disk_facts *out)
{
    return keep->recordings_disk != NULL && disk_look(keep->recordings_disk, out);
}

static void collect_recordings(struct metric_sink *sink, void *arg)
{
    struct disk_facts facts;

    if (stored_recordings(arg, &facts)) {
        metric_emit(sink, NULL, 0, (double)facts.file_bytes);
    }
}

static void emit_disk(struct metric_sink *sink, const char *what, struct disk *disk,
                      bool all)
{
    const struct metric_label label = {"holds", what};
    struct disk_facts facts;

    if (disk != NULL && disk_look(disk, &facts)) {
        metric_emit(sink, &label, 1, (double)(all ? facts.size_bytes : facts.free_bytes));
    }
}

static void emit_disks(struct metric_sink *sink, const struct keep *keep, bool all)
{
    emit_disk(sink, "store", keep->store_disk, all);
    emit_disk(sink, "recordings", keep->recordings_disk, all);
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
        {METRIC_GAUGE, "store_used_bytes",
         "What the store holds, without room in its file that was freed.", collect_used},
        {METRIC_GAUGE, "store_max_bytes", "What it may hold; 0: as the disk allows.",
         collect_most},
        {METRIC_GAUGE, "recordings_size_bytes", "What lies where recordings are put.",
         collect_recordings},
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

int stored_watch(struct keep *keep)
{
    const struct control_conf *conf = keep->conf;
    int err = 0;

    if (keep->store != NULL && conf->store.url[0] == '\0') { /* a file */
        err = disk_create(&keep->store_disk, conf->store.path);
    }
    if (err == 0 && conf->recording.directory[0] != '\0') {
        err = disk_create(&keep->recordings_disk, conf->recording.directory);
    }
    return err;
}

void stored_unwatch(struct keep *keep)
{
    disk_destroy(keep->store_disk);
    disk_destroy(keep->recordings_disk);
    keep->store_disk = keep->recordings_disk = NULL;
}
