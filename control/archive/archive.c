#include "archive/archive.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/chat_log.h"
#include "archive/errand.h"
#include "auth/audit.h"
#include "metric/metric.h"
#include "proto/jtext.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum {
    TICK_MS = 500,
    WALK_MS = 60000, /* from one look at all recordings to the next */
    SOON_MS = 1000,  /* till what is told of one that has ended is written */
    PAGE = 50,
    IDLE_S = 60, /* nobody has written to files of one that is not known to have ended */
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 300000,
    DAY_S = 86400
};

/* A recording that is looked after, as it was read. */
struct item {
    char tenant[STORE_ID_MAX + 1], id[STORE_ID_MAX + 1], meeting[STORE_ID_MAX + 1];
    char state[STORE_ID_MAX + 1];
    int64_t at, until;
    uint64_t version;
    json_t *json;
    json_t *file; /* of 'json': the one that is on its way */
    struct item *next;
};

struct archive {
    struct archive_conf conf;
    struct loop_timer *timer;
    struct runner *runner;
    struct item *items; /* of the last page */
    struct item *now;   /* an errand or a write for it is on its way; NULL: none */
    bool finding, more; /* a page is asked for; there is another one */
    int64_t after_at;
    char after_id[STORE_ID_MAX + 1];
    uint64_t walk_us;  /* when the next one begins */
    uint64_t retry_us; /* till then nothing is asked of the object store */
    uint32_t wait_ms;
    char told[S3_WHY]; /* what the object store fails with; empty: it works */
    struct metric *archived, *bytes, *expired, *failing, *downloads;
};

static void go_on(struct archive *archive);

/* ---- recordings ---- */

static void item_free(struct item *item)
{
    if (item != NULL) {
        json_decref(item->json);
        free(item);
    }
}

static bool has_store(const struct archive *archive)
{
    return archive->conf.s3.endpoint[0] != '\0';
}

static bool is_final(const char *state)
{
    return strcmp(state, "running") != 0 && strcmp(state, "paused") != 0 &&
           strcmp(state, "stopping") != 0;
}

int64_t archive_until(const struct archive *archive, const struct store_doc *doc)
{
    const int64_t days = archive->conf.retention_days;

    return doc->until != 0 ? doc->until : days != 0 ? doc->at + days * DAY_S : 0;
}

static bool is_over(const struct archive *archive, int64_t at, int64_t until)
{
    const struct store_doc doc = {.at = at, .until = until};
    const int64_t end = archive_until(archive, &doc);

    return end != 0 && clock_wall_s() >= end;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static bool is_archived(const json_t *file)
{
    return json_is_true(json_object_get(file, "archived"));
}

/* The first file that is in the object store, or is not; NULL: none. */
static json_t *first(const struct item *item, bool archived)
{
    json_t *file;
    size_t i;

    json_array_foreach(json_object_get(item->json, "files"), i, file)
    {
        if (is_archived(file) == archived) {
            return file;
        }
    }
    return NULL;
}

static struct item *item_of(const struct store_doc *doc)
{
    struct item *item = calloc(1, sizeof(*item));

    if (item == NULL || (item->json = json_loads(doc->json, 0, NULL)) == NULL) {
        free(item);
        return NULL;
    }
    (void)snprintf(item->tenant, sizeof(item->tenant), "%s", doc->tenant);
    (void)snprintf(item->id, sizeof(item->id), "%s", doc->id);
    (void)snprintf(item->meeting, sizeof(item->meeting), "%s", doc->group);
    (void)snprintf(item->state, sizeof(item->state), "%s", doc->state);
    item->at = doc->at;
    item->until = doc->until;
    item->version = doc->version;
    return item;
}

/* ---- to the store ---- */

static void on_written(void *arg, const struct store_result *result)
{
    struct archive *archive = arg;
    struct item *item = archive->now;

    archive->now = NULL;
    if (result->err == 0 && item->json != NULL) { /* on with it */
        item->version = result->version;
        item->next = archive->items;
        archive->items = item;
    } else { /* it is gone, or another has changed it: it is read again */
        item_free(item);
    }
    go_on(archive);
}

static bool write_item(struct archive *archive, struct item *item)
{
    char *text = jtext_make(item->json, JSON_COMPACT);
    const struct store_write write = {.what = STORE_PUT,
                                      .kind = STORE_RECORDING,
                                      .expect = item->version,
                                      .doc = {.tenant = item->tenant,
                                              .id = item->id,
                                              .group = item->meeting,
                                              .state = item->state,
                                              .at = item->at,
                                              .until = item->until,
                                              .json = text}};
    bool sent = text != NULL &&
                store_write(archive->conf.store, &write, 1, on_written, archive) == 0;

    free(text);
    return sent;
}

/* Nothing is left of it but that it was. */
static bool forget(struct archive *archive, struct item *item)
{
    struct audit_act act = {.tenant = item->tenant,
                            .actor = "retention",
                            .meeting = item->meeting,
                            .act = "recording.expire",
                            .target = item->id,
                            .address = "",
                            .result = "ok",
                            .days = archive->conf.audit_days};
    struct store_write writes[1 + AUDIT_WRITES] = {
        {.what = STORE_DELETE,
         .kind = STORE_RECORDING,
         .expect = item->version,
         .doc = {.tenant = item->tenant, .id = item->id}}};
    char *texts[AUDIT_WRITES] = {NULL, NULL};
    char id[AUDIT_ID + 1];
    bool sent;

    archive->conf.number(archive->conf.user, item->tenant, item->meeting, &act.epoch,
                         &act.seq);
    sent = audit_fill(&act, writes + 1, id, texts) == 0 &&
           store_write(archive->conf.store, writes, 1 + AUDIT_WRITES, on_written,
                       archive) == 0;
    free(texts[0]);
    free(texts[1]);
    if (sent) {
        log_info("recording_expired", LOG_STR("recording", item->id));
        metric_inc(archive->expired);
        json_decref(item->json);
        item->json = NULL;
    }
    return sent;
}

/* ---- errands ---- */

static bool take_text(char *out, size_t cap, const char *text)
{
    return snprintf(out, cap, "%s", text) < (int)cap;
}

/* A name of a directory that we have made. */
static bool is_plain(const char *id)
{
    return id[0] != '.' && strchr(id, '/') == NULL;
}

static bool send(struct archive *archive, struct item *item, enum errand_kind kind,
                 json_t *file)
{
    struct errand errand = {.kind = kind};
    const char *name = file != NULL ? text_of(file, "file") : "";

    if (!take_text(errand.id, sizeof(errand.id), item->id) || !is_plain(item->id) ||
        !take_text(errand.file, sizeof(errand.file), name) || strchr(name, '/') != NULL ||
        !take_text(errand.upload, sizeof(errand.upload), text_of(file, "upload"))) {
        return false; /* we have not written that */
    }
    item->file = file;
    return runner_send(archive->runner, &errand) == 0;
}

static void note_failure(struct archive *archive, const char *why)
{
    archive->wait_ms = archive->wait_ms == 0                 ? RETRY_MIN_MS
                       : archive->wait_ms < RETRY_MAX_MS / 2 ? 2 * archive->wait_ms
                                                             : RETRY_MAX_MS;
    archive->retry_us = clock_mono_us() + archive->wait_ms * UINT64_C(1000);
    archive->walk_us =
        archive->retry_us < archive->walk_us ? archive->retry_us : archive->walk_us;
    metric_set(archive->failing, 1);
    if (strcmp(archive->told, why) != 0) { /* once, however often it is tried */
        (void)snprintf(archive->told, sizeof(archive->told), "%s", why);
        log_error("archive_failed", LOG_STR("endpoint", archive->conf.s3.endpoint),
                  LOG_STR("error", why),
                  LOG_STR("cure", "the files stay here and it is tried again"));
    }
}

static void note_success(struct archive *archive)
{
    archive->wait_ms = 0;
    archive->retry_us = 0;
    if (archive->told[0] != '\0') {
        archive->told[0] = '\0';
        metric_set(archive->failing, 0);
        log_info("archive_works", LOG_STR("endpoint", archive->conf.s3.endpoint));
    }
}

/* What was said goes on till then: its second is over, too. */
static void note_end(struct item *item, int64_t at_s)
{
    json_t *chat = json_object_get(item->json, "chat");

    if (chat != NULL && json_object_get(chat, "to_us") == NULL) {
        (void)json_object_set_new(chat, "to_us",
                                  json_integer((json_int_t)(at_s + 1) * 1000000));
    }
}

/* What there is of one that has ended without a word is what it has. Returns whether that
 * is to be written. */
static bool took_look(struct item *item, const struct errand *e)
{
    const int64_t now_s = clock_wall_s();
    json_t *files = json_array();

    if (e->err != 0 || e->idle_s < IDLE_S) {
        json_decref(files);
        return false;
    }
    for (size_t i = 0; i < e->n_files; i++) {
        (void)json_array_append_new(
            files,
            json_pack("{s:s, s:n, s:n, s:n, s:n, s:n, s:I, s:b}", "file", e->files[i].name,
                      "user_id", "display_name", "source", "start_ms", "duration_ms",
                      "size_bytes", (json_int_t)e->files[i].bytes, "complete", 0));
    }
    (void)json_object_set_new(item->json, "files", files);
    (void)snprintf(item->state, sizeof(item->state), "interrupted");
    note_end(item, e->idle_s < now_s ? now_s - e->idle_s : 0);
    return true;
}

static void drop_file(struct item *item)
{
    json_t *files = json_object_get(item->json, "files");
    json_t *file;
    size_t i;

    json_array_foreach(files, i, file)
    {
        if (file == item->file) {
            (void)json_array_remove(files, i);
            return;
        }
    }
}

static json_t *find_file(const struct item *item, const char *name)
{
    json_t *file;
    size_t i;

    json_array_foreach(json_object_get(item->json, "files"), i, file)
    {
        if (strcmp(text_of(file, "file"), name) == 0) {
            return file;
        }
    }
    return NULL;
}

/* It is a file like the others from now on. One that was killed before it could say so had
 * found it among them. */
static void took_chat(struct item *item, const struct errand *e)
{
    json_t *file = find_file(item, e->file);
    json_t *entry = json_pack("{s:s, s:n, s:n, s:n, s:i, s:O?, s:I, s:b}", "file", e->file,
                              "user_id", "display_name", "source", "start_ms", 0,
                              "duration_ms", json_object_get(item->json, "duration_ms"),
                              "size_bytes", (json_int_t)e->bytes, "complete", 1);

    if (e->err == 0 && file != NULL) {
        (void)json_object_update(file, entry);
    } else if (e->err == 0) {
        (void)json_array_append(json_object_get(item->json, "files"), entry);
    } /* else somebody has taken its directory away */
    json_decref(entry);
    (void)json_object_del(item->json, "chat");
}

static void took_upload(struct archive *archive, struct item *item, const struct errand *e)
{
    if (e->err != 0) { /* it is not there: somebody has taken it away */
        drop_file(item);
    } else if (e->begun) {
        (void)json_object_set_new(item->file, "upload", json_string(e->upload));
    } else {
        (void)json_object_del(item->file, "upload");
        (void)json_object_set_new(item->file, "size_bytes",
                                  json_integer((json_int_t)e->bytes));
        (void)json_object_set_new(item->file, "archived", json_true());
        metric_inc(archive->archived);
        metric_add(archive->bytes, (int64_t)e->bytes);
        log_info("recording_archived", LOG_STR("recording", e->id),
                 LOG_STR("file", e->file), LOG_U64("bytes", e->bytes));
    }
}

/* Returns whether the item goes on: it is to be written, or 'again': looked at anew. */
static bool take(struct archive *archive, struct item *item, const struct errand *e,
                 bool *again)
{
    *again = false;
    switch (e->kind) {
    case ERRAND_LOOK:
        return took_look(item, e);
    case ERRAND_WRITE:
        if (e->err != 0 && e->err != -ENOENT) {
            return false;
        }
        took_chat(item, e);
        return true;
    case ERRAND_UPLOAD:
        if (e->err != 0 && (e->stored || e->err != -ENOENT)) {
            return false;
        }
        took_upload(archive, item, e);
        return true;
    case ERRAND_DELETE:
        (void)json_object_del(item->file, "archived");
        (void)json_object_del(item->file, "upload");
        *again = true;
        return e->err == 0;
    case ERRAND_ERASE:
        if (e->err == 0) {
            (void)json_object_set_new(item->json, "erased", json_true());
        }
        *again = is_over(archive, item->at, item->until);
        return e->err == 0;
    }
    return false;
}

static void on_errand(void *arg, const struct errand *e)
{
    struct archive *archive = arg;
    struct item *item = archive->now;
    bool again;

    if (e->stored && e->err != 0) {
        note_failure(archive, e->why);
    } else if (e->stored) {
        note_success(archive);
    } else if (e->err != 0 && e->err != -ENOENT) {
        log_warn("recording_not_kept", LOG_STR("recording", e->id),
                 LOG_STR("error", e->why));
    }
    if (take(archive, item, e, &again)) {
        if (!again && write_item(archive, item)) {
            return;
        }
        if (again) {
            archive->now = NULL;
            item->next = archive->items;
            archive->items = item;
            go_on(archive);
            return;
        }
    }
    archive->now = NULL;
    item_free(item);
    go_on(archive);
}

/* ---- the chat ---- */

static void on_chat(void *arg, int err, char *text)
{
    struct archive *archive = arg;
    struct item *item = archive->now;
    struct errand errand = {.kind = ERRAND_WRITE, .file = CHAT_LOG_FILE, .text = text};

    if (err == 0 && take_text(errand.id, sizeof(errand.id), item->id) &&
        runner_send(archive->runner, &errand) == 0) {
        return;
    }
    free(text); /* it is tried again when all are looked at */
    archive->now = NULL;
    item_free(item);
    go_on(archive);
}

static bool gather_chat(struct archive *archive, const struct item *item)
{
    const struct chat_log_conf conf = {.store = archive->conf.store,
                                       .tenant = item->tenant,
                                       .meeting = item->meeting,
                                       .recording = item->id,
                                       .when = json_object_get(item->json, "chat")};

    return is_plain(item->id) && chat_log_make(&conf, on_chat, archive) == 0;
}

/* ---- what is next ---- */

static bool may_ask(const struct archive *archive)
{
    return has_store(archive) && clock_mono_us() >= archive->retry_us;
}

/* Takes away what is there of it: first elsewhere, then here, then that it was. */
static bool expire(struct archive *archive, struct item *item)
{
    json_t *file = first(item, true);
    json_t *each;
    size_t i;

    json_array_foreach(json_object_get(item->json, "files"), i, each)
    {
        file = file == NULL && json_object_get(each, "upload") != NULL ? each : file;
    }
    if (file != NULL) {
        return may_ask(archive) && send(archive, item, ERRAND_DELETE, file);
    }
    return json_is_true(json_object_get(item->json, "erased"))
               ? forget(archive, item)
               : send(archive, item, ERRAND_ERASE, NULL);
}

/* Begins what is to be done next of it. Returns false: nothing (now). */
static bool look_after(struct archive *archive, struct item *item)
{
    json_t *file;

    if (archive->conf.is_running(archive->conf.user, item->tenant, item->id)) {
        return false;
    }
    if (is_over(archive, item->at, item->until)) {
        return expire(archive, item);
    }
    if (!is_final(item->state)) {
        return send(archive, item, ERRAND_LOOK, NULL);
    }
    if (json_object_get(item->json, "chat") != NULL) {
        return gather_chat(archive, item);
    }
    if (!may_ask(archive)) {
        return false;
    }
    file = first(item, false);
    if (file != NULL) {
        return send(archive, item, ERRAND_UPLOAD, file);
    }
    return !archive->conf.keep_local &&
           !json_is_true(json_object_get(item->json, "erased")) &&
           json_array_size(json_object_get(item->json, "files")) > 0 &&
           send(archive, item, ERRAND_ERASE, NULL);
}

static void on_page(void *arg, const struct store_result *result)
{
    struct archive *archive = arg;
    struct item **end = &archive->items;

    archive->finding = false;
    archive->more = result->err == 0 && result->more;
    for (size_t i = 0; result->err == 0 && i < result->n_docs; i++) {
        const struct store_doc *doc = &result->docs[i];

        archive->after_at = doc->at;
        (void)snprintf(archive->after_id, sizeof(archive->after_id), "%s", doc->id);
        *end = item_of(doc);
        end = *end != NULL ? &(*end)->next : end;
    }
    go_on(archive);
}

static void find_page(struct archive *archive, bool on)
{
    const struct store_query query = {.kind = STORE_RECORDING,
                                      .any_tenant = true,
                                      .after = on,
                                      .after_at = archive->after_at,
                                      .after_id = archive->after_id,
                                      .limit = PAGE};

    archive->more = false;
    archive->finding = store_find(archive->conf.store, &query, on_page, archive) == 0;
}

static void go_on(struct archive *archive)
{
    while (archive->now == NULL && archive->items != NULL) {
        struct item *item = archive->items;

        archive->items = item->next;
        archive->now = item;
        if (!look_after(archive, item)) {
            archive->now = NULL;
            item_free(item);
        }
    }
    if (archive->now == NULL && !archive->finding && archive->more) {
        find_page(archive, true);
    }
}

static void on_tick(void *arg)
{
    struct archive *archive = arg;
    const uint64_t now_us = clock_mono_us();

    if (archive->now == NULL && archive->items == NULL && !archive->finding &&
        now_us >= archive->walk_us) {
        archive->walk_us = now_us + WALK_MS * UINT64_C(1000);
        find_page(archive, false);
    }
}

void archive_soon(struct archive *archive)
{
    const uint64_t soon_us = clock_mono_us() + SOON_MS * UINT64_C(1000);

    if (archive != NULL && soon_us < archive->walk_us) {
        archive->walk_us = soon_us;
    }
}

/* ---- begin and end ---- */

static int register_metrics(struct archive *archive, struct metric_registry *metrics)
{
    const struct {
        enum metric_kind kind;
        const char *name, *help;
        struct metric **out;
    } all[] = {
        {METRIC_COUNTER, "recording_files_archived_total",
         "Files of recordings that were put into the object store.", &archive->archived},
        {METRIC_COUNTER, "recording_archived_bytes_total", "Their bytes.", &archive->bytes},
        {METRIC_COUNTER, "recordings_expired_total",
         "Recordings that were taken away because their time was over.", &archive->expired},
        {METRIC_GAUGE, "recording_archive_failing",
         "1 while the object store takes nothing.", &archive->failing},
        {METRIC_COUNTER, "recording_downloads_total",
         "Requests for a file of a recording that were answered with it, or with where it "
         "is.",
         &archive->downloads},
    };
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
        err = metric_register(metrics, all[i].kind, all[i].name, all[i].help, NULL, 0,
                              all[i].out);
    }
    return err;
}

int archive_create(struct archive **out, const struct archive_conf *conf)
{
    struct archive *archive = calloc(1, sizeof(*archive));
    struct runner_conf runner = {.loop = conf->loop,
                                 .directory = conf->directory,
                                 .done = on_errand,
                                 .arg = archive};
    int err = archive != NULL ? 0 : -ENOMEM;

    if (err == 0) {
        archive->conf = *conf;
        runner.s3 = has_store(archive) ? &archive->conf.s3 : NULL;
        err = register_metrics(archive, conf->metrics);
    }
    err = err != 0 ? err : runner_create(&archive->runner, &runner);
    err = err != 0 ? err : loop_timer_create(conf->loop, &archive->timer, on_tick, archive);
    if (err != 0) {
        archive_destroy(archive);
        return err;
    }
    loop_timer_start(archive->timer, TICK_MS, TICK_MS);
    *out = archive;
    return 0;
}

void archive_destroy(struct archive *archive)
{
    struct item *next;

    if (archive == NULL) {
        return;
    }
    loop_timer_destroy(archive->timer);
    runner_destroy(archive->runner);
    for (struct item *item = archive->items; item != NULL; item = next) {
        next = item->next;
        item_free(item);
    }
    item_free(archive->now);
    free(archive);
}

int archive_link(const struct archive *archive, const char *id, const char *file,
                 char out[S3_URL])
{
    char name[RECORDER_NAME + RECORDER_FILE + 2];

    if (archive == NULL || !has_store(archive)) {
        return -ENOTSUP;
    }
    if (snprintf(name, sizeof(name), "%s/%s", id, file) >= (int)sizeof(name)) {
        return -ENOSPC;
    }
    return s3_url(&archive->conf.s3, name, clock_wall_s(), ARCHIVE_LINK_S, out);
}

void archive_count_download(struct archive *archive)
{
    metric_inc(archive->downloads);
}
