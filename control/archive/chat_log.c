#include "archive/chat_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/jtext.h"
#include "store/store.h"
#include "sys/clock.h"

enum {
    PAGE = 200,
    BYTES_MAX = 64 << 20,      /* of the file: what was said before that is left out */
    PAUSES_MAX = 256,          /* that are looked at */
    STEP_US = 60 * 1000 * 1000 /* that the wall clock may have gone back */
};

struct span {
    uint64_t from_us, to_us;
};

struct chat_log {
    struct store *store;
    char tenant[STORE_ID_MAX + 1], meeting[STORE_ID_MAX + 1], recording[STORE_ID_MAX + 1];
    struct span when, left_out[PAUSES_MAX];
    size_t n_left_out;
    char **texts; /* of messages, from the last */
    size_t n, cap, bytes;
    bool cut; /* there were too many */
    int64_t after_at;
    char after_id[STORE_ID_MAX + 1];
    chat_log_done *done;
    void *arg;
};

static void finish(struct chat_log *log, int err, char *text)
{
    chat_log_done *done = log->done;
    void *arg = log->arg;

    for (size_t i = 0; i < log->n; i++) {
        free(log->texts[i]);
    }
    free(log->texts);
    free(log);
    done(arg, err, text);
}

/* ---- one message ---- */

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

/* What clock_format() wrote; 0: it is none. */
static uint64_t time_of(const char *text)
{
    unsigned us = 0;
    struct tm tm = {.tm_isdst = 0};
    int64_t s;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us) != 7) {
        return 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    s = (int64_t)timegm(&tm);
    return s > 0 ? (uint64_t)s * 1000000 + us : 0;
}

/* Where in the recording that was; false: it was not in it. */
static bool place_of(const struct chat_log *log, uint64_t at_us, uint64_t *out)
{
    if (at_us < log->when.from_us || at_us >= log->when.to_us) {
        return false;
    }
    *out = at_us - log->when.from_us;
    for (size_t i = 0; i < log->n_left_out; i++) {
        const struct span *span = &log->left_out[i];

        if (at_us >= span->to_us) {
            *out -= span->to_us - span->from_us;
        } else if (at_us >= span->from_us) {
            return false;
        }
    }
    return true;
}

static bool was_for_all(const json_t *message)
{
    const json_t *to = json_object_get(message, "to");

    return (to == NULL || json_is_null(to)) &&
           json_integer_value(json_object_get(message, "group")) == 0 &&
           !json_is_true(json_object_get(message, "deleted"));
}

static int keep(struct chat_log *log, json_t *entry)
{
    char *text = jtext_make(entry, JSON_COMPACT);
    const size_t cap = log->cap > 0 ? 2 * log->cap : PAGE;

    json_decref(entry);
    if (text == NULL) {
        return -ENOMEM;
    }
    if (log->n == log->cap) {
        char **more = realloc(log->texts, cap * sizeof(*more));

        if (more == NULL) {
            free(text);
            return -ENOMEM;
        }
        log->texts = more;
        log->cap = cap;
    }
    log->bytes += strlen(text) + 2;
    log->texts[log->n++] = text;
    return 0;
}

/* Returns 0; 1: those that are left are from before; or -ENOMEM. */
static int take(struct chat_log *log, const struct store_doc *doc)
{
    json_t *message = json_loads(doc->json, 0, NULL);
    const uint64_t at_us = time_of(text_of(message, "timestamp"));
    uint64_t place;
    int err = 0;

    if (at_us != 0 && at_us + STEP_US < log->when.from_us) {
        err = 1;
    } else if (place_of(log, at_us, &place) && was_for_all(message)) {
        err = keep(log, json_pack("{s:I, s:s, s:s, s:s, s:s, s:O?, s:O?}", "at_ms",
                                  (json_int_t)(place / 1000), "message_id",
                                  text_of(message, "message_id"), "user_id",
                                  text_of(message, "user_id"), "display_name",
                                  text_of(message, "display_name"), "message",
                                  text_of(message, "message"), "reply_to",
                                  json_object_get(message, "reply_to"), "edited_at",
                                  json_object_get(message, "edited_at")));
        log->cut = log->bytes > BYTES_MAX;
        err = err == 0 && log->cut ? 1 : err;
    }
    json_decref(message);
    return err;
}

/* ---- all of them ---- */

static char *make_text(const struct chat_log *log)
{
    char from[CLOCK_RFC3339_LEN];
    struct jtext text = {.data = NULL};
    json_t *head;
    char *first;

    clock_format(log->when.from_us, from);
    head = json_pack("{s:s, s:s, s:s, s:b}", "recording_id", log->recording, "meeting_id",
                     log->meeting, "started_at", from, "complete", !log->cut);
    first = jtext_make(head, JSON_COMPACT);
    json_decref(head);
    if (first != NULL) { /* but for its end */
        (void)jtext_add(first, strlen(first) - 1, &text);
        (void)jtext_add(",\"messages\":[", 13, &text);
    }
    for (size_t i = log->n; i-- > 0 && first != NULL;) {
        (void)jtext_add("\n", 1, &text);
        (void)jtext_add(log->texts[i], strlen(log->texts[i]), &text);
        (void)jtext_add(",", i > 0, &text);
    }
    (void)jtext_add("\n]}\n", 5, &text); /* with its NUL */
    if (first == NULL || text.failed) {
        free(text.data);
        text.data = NULL;
    }
    free(first);
    return text.data;
}

static int find(struct chat_log *log, bool on);

static void on_page(void *arg, const struct store_result *result)
{
    struct chat_log *log = arg;
    int err = result->err;
    char *text;

    for (size_t i = 0; err == 0 && i < result->n_docs; i++) {
        log->after_at = result->docs[i].at;
        (void)snprintf(log->after_id, sizeof(log->after_id), "%s", result->docs[i].id);
        err = take(log, &result->docs[i]);
    }
    if (err == 0 && result->more) {
        err = find(log, true);
        if (err == 0) {
            return;
        }
    }
    text = err >= 0 ? make_text(log) : NULL;
    finish(log, err < 0 ? err : text == NULL ? -ENOMEM : 0, text);
}

static int find(struct chat_log *log, bool on)
{
    const struct store_query query = {.kind = STORE_CHAT,
                                      .tenant = log->tenant,
                                      .group = log->meeting,
                                      .descending = true,
                                      .after = on,
                                      .after_at = log->after_at,
                                      .after_id = log->after_id,
                                      .limit = PAGE};

    return store_find(log->store, &query, on_page, log);
}

static uint64_t us_of(const json_t *json)
{
    return json_integer_value(json) > 0 ? (uint64_t)json_integer_value(json) : 0;
}

static void read_when(struct chat_log *log, const struct chat_log_conf *conf)
{
    const json_t *pair;
    size_t i;

    log->when.from_us = us_of(json_object_get(conf->when, "from_us"));
    log->when.to_us = us_of(json_object_get(conf->when, "to_us"));
    if (log->when.to_us == 0) {
        log->when.to_us = (uint64_t)(conf->to_s > 0 ? conf->to_s : 0) * 1000000;
    }
    json_array_foreach(json_object_get(conf->when, "left_out"), i, pair)
    {
        struct span *span = &log->left_out[log->n_left_out];

        span->from_us = us_of(json_array_get(pair, 0));
        span->to_us = us_of(json_array_get(pair, 1));
        if (span->to_us == 0) { /* it was never resumed */
            span->to_us = UINT64_MAX;
        }
        log->n_left_out += span->to_us >= span->from_us && i < PAUSES_MAX - 1;
    }
}

int chat_log_make(const struct chat_log_conf *conf, chat_log_done *done, void *arg)
{
    struct chat_log *log = calloc(1, sizeof(*log));
    int err;

    if (log == NULL) {
        return -ENOMEM;
    }
    log->store = conf->store;
    log->done = done;
    log->arg = arg;
    (void)snprintf(log->tenant, sizeof(log->tenant), "%s", conf->tenant);
    (void)snprintf(log->meeting, sizeof(log->meeting), "%s", conf->meeting);
    (void)snprintf(log->recording, sizeof(log->recording), "%s", conf->recording);
    read_when(log, conf);
    err = find(log, false);
    if (err != 0) {
        free(log);
    }
    return err;
}
