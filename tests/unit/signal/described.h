/* Holds what the node sends against the table that describes it, so that a member that is
 * sent and not described, or described and not sent, fails the test. Include cmocka.h
 * before. */
#ifndef UNIT_SIGNAL_DESCRIBED_H
#define UNIT_SIGNAL_DESCRIBED_H

#include <stdio.h>
#include <string.h>

#include "schema/check.h"

static inline const struct schema_field *described_field(const struct schema_object *object,
                                                         const char *name)
{
    for (size_t i = 0; i < object->n_fields; i++) {
        if (strcmp(object->fields[i].name, name) == 0) {
            return &object->fields[i];
        }
    }
    return NULL;
}

/* The first member that the table does not name, NULL if there is none. 'also' are names
 * that may stand beside, by spaces. */
static inline const char *described_not(const struct schema_object *object,
                                        const json_t *value, const char *also)
{
    const char *key;
    json_t *each;

    json_object_foreach((json_t *)value, key, each)
    {
        const struct schema_field *f = described_field(object, key);
        const char *wrong = NULL;
        char spaced[80];

        (void)snprintf(spaced, sizeof(spaced), " %s ", key);
        if (f == NULL && object->unknown != SCHEMA_OPEN && strstr(also, spaced) == NULL) {
            return key;
        }
        if (f != NULL && f->type == SCHEMA_OBJECT) {
            wrong = described_not(f->object, each, "");
        }
        for (size_t i = 0; wrong == NULL && f != NULL && f->type == SCHEMA_ARRAY &&
                           f->item->type == SCHEMA_OBJECT && i < json_array_size(each);
             i++) {
            wrong = described_not(f->item->object, json_array_get(each, i), "");
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

/* Why 'value' is not what the table says; empty if it is. */
static inline const char *described_wrong(const struct schema_object *object,
                                          const json_t *value, const char *also)
{
    static char text[512];
    struct schema_errors errors;
    const char *extra = described_not(object, value, also);

    text[0] = '\0';
    if (!schema_check(value, object, &errors)) {
        (void)snprintf(text, sizeof(text), "%s %s", errors.at[0].path, errors.at[0].reason);
    } else if (extra != NULL) {
        (void)snprintf(text, sizeof(text), "%s is not described", extra);
    }
    return text;
}

/* The body of an ack that says ok. */
static inline void ack_is_described(const char *event, const json_t *body)
{
    const struct schema_event *asked = schema_event_find(event);
    const struct schema_object *reply;
    const char *wrong;

    assert_non_null(asked);
    reply = asked->reply;
    if (json_is_true(json_object_get(body, "waiting"))) { /* for a host, instead of that */
        reply = asked->instead;
        assert_non_null(reply);
    }
    wrong = described_wrong(reply, body, " ok epoch seq ");
    if (wrong[0] != '\0') {
        fail_msg("the answer to %s: %s", event, wrong);
    }
}

/* The payload of an event: one that all are told, or an answer to who asked. */
static inline void event_is_described(const char *name, const json_t *payload)
{
    const struct schema_event *told = schema_told_find(name);
    const struct schema_event *event;
    const char *also = "";
    char wrong[512] = "there is no such event";

    if (told != NULL) {
        also = (told->flags & SCHEMA_FACT) != 0      ? " meeting_id timestamp epoch seq "
               : (told->flags & SCHEMA_STAMPED) != 0 ? " meeting_id timestamp "
                                                     : "";
        (void)snprintf(wrong, sizeof(wrong), "%s",
                       described_wrong(told->payload, payload, also));
    }
    for (size_t i = 0; wrong[0] != '\0' && (event = schema_event_at(i)) != NULL; i++) {
        if (event->paired != NULL && strcmp(event->paired, name) == 0) {
            (void)snprintf(wrong, sizeof(wrong), "%s",
                           described_wrong(event->reply, payload, " epoch seq "));
        }
    }
    if (wrong[0] != '\0') {
        fail_msg("the event %s: %s", name, wrong);
    }
}

#endif
