/* See writer.h. Lists of writes stand in one queue. Some of its first are on their way to
 * the store; those that fail are put back in front of the others, in their order, when all
 * of these have been answered. */
#include "store/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_priv.h"
#include "sys/clock.h"
#include "sys/log.h"

struct entry {
    struct store_writer *writer;
    struct entry *next;
    struct store_arena arena;
    struct store_write *writes;
    struct store_write *instead; /* of one that is not tried again, or NULL */
    size_t n, bytes;
    bool once, patient;
    store_done *done;
    void *arg;
};

struct entries {
    struct entry *first, **last;
};

struct store_writer {
    struct store *store;
    struct store_line line;
    struct entries queue, again;
    uint32_t n, n_flying; /* all; those that the store has */
    size_t bytes;
    int failing;
    uint64_t retry_us; /* monotonic: not before then */
    uint64_t lost;
    bool closed;
};

static void clear(struct entries *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void append(struct entries *list, struct entry *entry)
{
    entry->next = NULL;
    *list->last = entry;
    list->last = &entry->next;
}

static struct entry *take(struct entries *list)
{
    struct entry *entry = list->first;

    if (entry != NULL) {
        list->first = entry->next;
        if (list->first == NULL) {
            list->last = &list->first;
        }
    }
    return entry;
}

int store_writer_create(struct store_writer **out, struct store *store)
{
    struct store_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->store = store;
    clear(&writer->queue);
    clear(&writer->again);
    *out = writer;
    return 0;
}

static void entry_free(struct entry *entry)
{
    store_arena_free(&entry->arena);
    free(entry);
}

/* ---- to the store and back ---- */

static int lose(struct store_writer *writer, int err)
{
    writer->lost++;
    log_error("store_fact_lost", LOG_STR("error", strerror(-err)),
              LOG_U64("lost", writer->lost));
    return err;
}

/* It is over with one; whoever waits is told. */
static void finish(struct entry *entry, const struct store_result *result)
{
    struct store_writer *writer = entry->writer;

    writer->n--;
    writer->bytes -= entry->bytes;
    if (result->err != 0 && !writer->closed && !entry->once) {
        (void)lose(writer, result->err);
    }
    if (entry->done != NULL) {
        entry->done(entry->arg, result);
    }
    entry_free(entry);
}

/* One that is not tried again has failed: what is to stand in its place waits there, and
 * whoever waits is told. */
static void replace(struct entry *entry, const struct store_result *result)
{
    store_done *done = entry->done;
    void *arg = entry->arg;

    entry->once = false;
    entry->done = NULL;
    entry->writes = entry->instead;
    entry->n = 1;
    append(&entry->writer->again, entry);
    if (done != NULL) {
        done(arg, result);
    }
}

static void note_state(struct store_writer *writer, int err)
{
    if (err != 0 && writer->failing == 0) {
        log_error("store_failing", LOG_STR("error", strerror(-err)),
                  LOG_U64("waiting", writer->n));
    } else if (err == 0 && writer->failing != 0) {
        log_info("store_works_again", LOG_U64("waiting", writer->n),
                 LOG_U64("lost", writer->lost));
    }
    writer->failing = err;
    if (err != 0) {
        writer->retry_us = clock_mono_us() + STORE_WRITER_RETRY_MS * UINT64_C(1000);
    }
}

static void pump(struct store_writer *writer, uint64_t now_us);

/* What has failed goes before what was not tried yet. */
static void put_back(struct store_writer *writer)
{
    if (writer->n_flying > 0) {
        return;
    }
    writer->line.err = 0;
    if (writer->again.first != NULL) {
        *writer->again.last = writer->queue.first;
        if (writer->queue.first == NULL) {
            writer->queue.last = writer->again.last;
        }
        writer->queue.first = writer->again.first;
        clear(&writer->again);
    }
}

static void on_written(void *arg, const struct store_result *result)
{
    struct entry *entry = arg;
    struct store_writer *writer = entry->writer;

    writer->n_flying--;
    writer->closed |= result->err == -ECANCELED;
    if (result->err == 0 || store_may_pass(result->err)) {
        note_state(writer, result->err);
    }
    if (store_may_pass(result->err) && !entry->once) {
        append(&writer->again, entry);
    } else if (store_may_pass(result->err) && entry->instead != NULL) {
        replace(entry, result);
    } else {
        finish(entry, result);
    }
    put_back(writer);
    pump(writer, clock_mono_us());
}

static bool is_due(const struct store_writer *writer, uint64_t now_us)
{
    return writer->again.first == NULL &&
           (writer->failing == 0 || (writer->n_flying == 0 && now_us >= writer->retry_us));
}

/* As long as the store fails one at a time is tried. */
static void pump(struct store_writer *writer, uint64_t now_us)
{
    while (writer->queue.first != NULL && !writer->closed &&
           writer->n_flying < STORE_WRITER_FLYING && is_due(writer, now_us)) {
        struct entry *entry = writer->queue.first;
        int err = store_write_in_line(writer->store, &writer->line, entry->patient,
                                      entry->writes, entry->n, on_written, entry);
        const struct store_result refused = {.err = err};

        if (err == -EAGAIN) {
            return; /* the store's queue is full: at the next tick */
        }
        (void)take(&writer->queue);
        if (err == 0) {
            writer->n_flying++;
        } else {
            writer->closed |= err == -ECANCELED;
            finish(entry, &refused);
        }
    }
}

void store_writer_tick(struct store_writer *writer, uint64_t now_us)
{
    pump(writer, now_us);
}

void store_writer_destroy(struct store_writer *writer)
{
    const struct store_result gone = {.err = -ECANCELED};
    struct entry *entry;

    if (writer == NULL) {
        return;
    }
    writer->closed = true;
    while ((entry = take(&writer->queue)) != NULL) {
        finish(entry, &gone);
    }
    free(writer);
}

/* ---- what is put ---- */

static const char *keep(struct entry *entry, const char *text)
{
    entry->bytes += text != NULL ? strlen(text) + 1 : 0;
    return text != NULL ? store_arena_text(&entry->arena, text) : NULL;
}

static void keep_write(struct entry *entry, struct store_write *w)
{
    struct store_doc *doc = &w->doc;
    struct store_event *event = &w->event;

    doc->tenant = keep(entry, doc->tenant);
    doc->id = keep(entry, doc->id);
    doc->name = keep(entry, doc->name);
    doc->group = keep(entry, doc->group);
    doc->ref = keep(entry, doc->ref);
    doc->state = keep(entry, doc->state);
    doc->json = keep(entry, doc->json);
    event->tenant = keep(entry, event->tenant);
    event->meeting = keep(entry, event->meeting);
    event->type = keep(entry, event->type);
    event->ref = keep(entry, event->ref);
    event->json = keep(entry, event->json);
}

static struct entry *copy(struct store_writer *writer, const struct store_write *writes,
                          size_t n, const struct store_write *instead)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL) {
        return NULL;
    }
    entry->writer = writer;
    entry->bytes = sizeof(*entry) + n * sizeof(*writes);
    entry->n = n;
    entry->writes = store_arena_alloc(&entry->arena, n * sizeof(*writes));
    for (size_t i = 0; i < n && entry->writes != NULL; i++) {
        entry->writes[i] = writes[i];
        keep_write(entry, &entry->writes[i]);
    }
    if (instead != NULL) {
        entry->instead = store_arena_alloc(&entry->arena, sizeof(*instead));
        if (entry->instead != NULL) {
            *entry->instead = *instead;
            keep_write(entry, entry->instead);
        }
    }
    if (entry->arena.failed) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

static int put(struct store_writer *writer, const struct store_write *writes, size_t n,
               bool once, bool patient, const struct store_write *instead, store_done *done,
               void *arg)
{
    struct entry *entry;

    if (writer->closed) {
        return -ECANCELED;
    }
    if (n == 0 || n > STORE_WRITES_MAX) {
        return -EINVAL;
    }
    entry = copy(writer, writes, n, instead);
    if (entry == NULL) {
        return once ? -ENOMEM : lose(writer, -ENOMEM);
    }
    if (writer->n >= STORE_WRITER_MAX ||
        writer->bytes + entry->bytes > STORE_WRITER_BYTES) {
        entry_free(entry);
        return once ? -EAGAIN : lose(writer, -EAGAIN);
    }
    entry->once = once;
    entry->patient = patient;
    entry->done = done;
    entry->arg = arg;
    writer->n++;
    writer->bytes += entry->bytes;
    append(&writer->queue, entry);
    pump(writer, clock_mono_us());
    return 0;
}

int store_writer_put(struct store_writer *writer, const struct store_write *writes,
                     size_t n, bool patient, store_done *done, void *arg)
{
    return put(writer, writes, n, false, patient, NULL, done, arg);
}

int store_writer_put_once(struct store_writer *writer, const struct store_write *writes,
                          size_t n, const struct store_write *instead, store_done *done,
                          void *arg)
{
    int err;

    if (writer->failing != 0 && !writer->closed &&
        (writer->queue.first != NULL || !is_due(writer, clock_mono_us()))) {
        err = writer->failing;
    } else {
        err = put(writer, writes, n, true, false, instead, done, arg);
    }
    if (err != 0 && err != -ECANCELED && instead != NULL) {
        (void)put(writer, instead, 1, false, true, NULL, NULL, NULL);
    }
    return err;
}

int store_writer_failing(const struct store_writer *writer)
{
    return writer->failing;
}

uint32_t store_writer_waiting(const struct store_writer *writer)
{
    return writer->n;
}

uint64_t store_writer_lost(const struct store_writer *writer)
{
    return writer->lost;
}
