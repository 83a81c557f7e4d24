/* What the store tells, as CloudEvents 1.0 has it. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/sink.h"
#include "proto/jtext.h"
#include "store/store.h"
#include "sys/entropy.h"

enum { TIME_TEXT = 32, ID_TEXT = 2 * STORE_ID_MAX + 48, SOURCE_TEXT = 64, FRESH_ID = 20 };

static void write_time(uint64_t at_us, char out[TIME_TEXT])
{
    time_t s = (time_t)(at_us / 1000000);
    struct tm tm;
    char date[TIME_TEXT - 8];

    (void)gmtime_r(&s, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, TIME_TEXT, "%.19s.%03uZ", date, (unsigned)(at_us / 1000 % 1000));
}

/* Without what was said; NULL without memory. The caller frees it. */
static char *metadata_of(const char *doc, const char *said)
{
    json_t *json = json_loads(doc, 0, NULL);
    char *text;

    (void)json_object_del(json, said);
    text = jtext_make(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static const char *add(char **at, const char *text, size_t len)
{
    char *begin = *at;

    memcpy(begin, text, len);
    begin[len] = '\0';
    *at += len + 1;
    return begin;
}

struct event *event_of(const struct store_event *fact, const struct event_words *words)
{
    const struct event_kind kind = words->kind_of(fact->type, fact->json);
    bool silent = kind.said != NULL && !words->chat_text;
    char *stripped = silent ? metadata_of(fact->json, kind.said) : NULL;
    const char *data = stripped != NULL ? stripped : fact->json;
    char id[ID_TEXT];
    char source[SOURCE_TEXT];
    char time_text[TIME_TEXT];
    char trace[TRACEPARENT_TEXT];
    const char *schema = kind.schema != NULL ? kind.schema : "";
    const char *const texts[] = {id,     source,       fact->type,    time_text,
                                 schema, trace, fact->tenant, fact->meeting, data};
    struct event *event = NULL;
    size_t size = sizeof(*event);
    char *at;

    if (silent && stripped == NULL) {
        return NULL; /* rather later than with what was said */
    }
    if (fact->seq != 0) {
        (void)snprintf(id, sizeof(id), "%s/%s/%" PRIu64 "/%" PRIu64, fact->tenant,
                       fact->meeting, fact->epoch, fact->seq);
    } else { /* of quality: it has no number */
        entropy_id(id, FRESH_ID);
    }
    (void)snprintf(source, sizeof(source), "/kcs/%s", words->node);
    write_time(fact->at_us, time_text);
    traceparent_write(&fact->trace, trace);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size += strlen(texts[i]) + 1;
    }
    event = calloc(1, size);
    if (event != NULL) {
        at = (char *)(event + 1);
        event->position = fact->position;
        event->at_us = fact->at_us;
        event->epoch = fact->epoch;
        event->seq = fact->seq;
        event->id = add(&at, id, strlen(id));
        event->source = add(&at, source, strlen(source));
        event->type = add(&at, fact->type, strlen(fact->type));
        event->time = add(&at, time_text, strlen(time_text));
        event->schema = add(&at, schema, strlen(schema));
        event->trace = add(&at, trace, strlen(trace));
        event->tenant = add(&at, fact->tenant, strlen(fact->tenant));
        event->meeting = add(&at, fact->meeting, strlen(fact->meeting));
        event->data_len = strlen(data);
        event->data = add(&at, data, event->data_len);
    }
    free(stripped);
    return event;
}

/* What was said is a text already, which is not read again: it stands behind the rest. */
char *event_json(const struct event *event, size_t *len)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "specversion", "1.0",
                             "id", event->id, "source", event->source, "type", event->type,
                             "time", event->time, "subject", event->meeting,
                             "datacontenttype", "application/json", "tenant", event->tenant);
    struct jtext text = {0};
    int err = json != NULL ? 0 : -1;

    if (json != NULL && event->schema[0] != '\0') {
        err |= json_object_set_new(json, "dataschema", json_string(event->schema));
    }
    if (json != NULL && event->trace[0] != '\0') {
        err |= json_object_set_new(json, "traceparent", json_string(event->trace));
    }
    if (json != NULL && event->seq != 0) {
        err |= json_object_set_new(json, "epoch", json_integer((json_int_t)event->epoch));
        err |= json_object_set_new(json, "seq", json_integer((json_int_t)event->seq));
    }
    if (err == 0 && jtext_add_json(&text, json) == 0) {
        text.len--; /* its '}' comes behind the data */
        (void)jtext_add(",\"data\":", 8, &text);
        (void)jtext_add(event->data, event->data_len, &text);
        (void)jtext_add("}", 2, &text);
    }
    json_decref(json);
    if (text.len == 0 || text.failed) {
        free(text.data);
        return NULL;
    }
    *len = text.len - 1;
    return text.data;
}
