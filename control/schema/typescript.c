/* TypeScript of the table's objects; see document.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/document.h"
#include "schema/json_schema.h"

enum { MAX_OBJECTS = 512 };

struct out {
    FILE *to;
    const struct schema_object *done[MAX_OBJECTS];
    size_t n;
};

/* ---- types ---- */

static void write_type(struct out *out, const struct schema_field *f);

static void write_object_name(struct out *out, const struct schema_object *object)
{
    char name[TYPE_NAME_MAX];

    json_schema_name(object, name);
    (void)fputs(object->foreign != NULL ? object->foreign : name, out->to);
}

static void write_type(struct out *out, const struct schema_field *f)
{
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_ID:
    case SCHEMA_TIME:
    case SCHEMA_URL:
        (void)fputs("string", out->to);
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        (void)fputs("number", out->to);
        break;
    case SCHEMA_BOOLEAN:
        (void)fputs("boolean", out->to);
        break;
    case SCHEMA_ENUM:
        for (size_t i = 0; f->names[i] != NULL; i++) {
            (void)fprintf(out->to, "%s'%s'", i > 0 ? " | " : "", f->names[i]);
        }
        break;
    case SCHEMA_OBJECT:
        write_object_name(out, f->object);
        break;
    case SCHEMA_ARRAY:
        (void)fputs("Array<", out->to);
        write_type(out, f->item);
        (void)fputs(">", out->to);
        break;
    case SCHEMA_ANY:
        (void)fputs("unknown", out->to);
        break;
    }
    if ((f->flags & SCHEMA_NULLABLE) != 0) {
        (void)fputs(" | null", out->to);
    }
}

static bool is_done(struct out *out, const struct schema_object *object)
{
    for (size_t i = 0; i < out->n; i++) {
        if (out->done[i] == object) {
            return true;
        }
    }
    if (out->n == MAX_OBJECTS) {
        return true;
    }
    out->done[out->n++] = object;
    return false;
}

/* The interface of an object and those of all in it, once. */
static void write_object(struct out *out, const struct schema_object *object)
{
    if (object->foreign != NULL || is_done(out, object)) {
        return;
    }
    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        while (f->type == SCHEMA_ARRAY) {
            f = f->item;
        }
        if (f->type == SCHEMA_OBJECT) {
            write_object(out, f->object);
        }
    }
    (void)fprintf(out->to, "/* %s */\nexport interface ", object->doc);
    write_object_name(out, object);
    (void)fputs(" {\n", out->to);
    for (size_t i = 0; i < object->n_fields; i++) {
        const struct schema_field *f = &object->fields[i];

        (void)fprintf(out->to, "    /** %s */\n    '%s'%s: ", f->doc, f->name,
                      (f->flags & SCHEMA_REQUIRED) != 0 ? "" : "?");
        write_type(out, f);
        (void)fputs(";\n", out->to);
    }
    if (object->unknown == SCHEMA_OPEN) {
        (void)fputs("    [key: string]: unknown;\n", out->to);
    }
    (void)fputs("}\n\n", out->to);
}

/* ---- maps ---- */

static void write_objects(struct out *out)
{
    const struct schema_event *event;
    const struct schema_route *route;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        write_object(out, event->payload);
        if (!event->told) {
            write_object(out, event->reply);
        }
        if (event->instead != NULL) {
            write_object(out, event->instead);
        }
    }
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        write_object(out, route->query);
        write_object(out, route->body);
        write_object(out, route->answer);
    }
}

static void write_requests(struct out *out)
{
    const struct schema_event *event;

    (void)fputs("/* Requests: event, what it takes, what its ack brings when ok. */\n"
                "export interface Requests {\n",
                out->to);
    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        if (!event->told) {
            (void)fprintf(out->to, "    /** %s */\n    '%s': { payload: ", event->doc,
                          event->name);
            write_object_name(out, event->payload);
            (void)fputs("; reply: ", out->to);
            write_object_name(out, event->reply);
            if (event->instead != NULL) {
                (void)fputs(" | ", out->to);
                write_object_name(out, event->instead);
            }
            (void)fputs(" };\n", out->to);
        }
    }
    (void)fputs("}\n\n", out->to);
}

/* What of an event's name comes to who has asked: one line for each answer of another kind.
 */
static void write_paired(struct out *out, const char *name)
{
    const struct schema_object *seen[8];
    const struct schema_event *event;
    size_t n = 0;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        bool again = event->paired == NULL || strcmp(event->paired, name) != 0;

        for (size_t j = 0; j < n; j++) {
            again |= seen[j] == event->reply;
        }
        if (!again && n < 8) {
            seen[n++] = event->reply;
            (void)fputs(" | ", out->to);
            write_object_name(out, event->reply);
        }
    }
}

/* Whether an earlier event is paired with the same. */
static bool paired_before(size_t at)
{
    const struct schema_event *event = schema_event_at(at);

    for (size_t i = 0; i < at; i++) {
        const char *other = schema_event_at(i)->paired;

        if (other != NULL && strcmp(other, event->paired) == 0) {
            return true;
        }
    }
    return false;
}

static void write_events(struct out *out)
{
    const struct schema_event *event;

    (void)fputs("/* What the server says: unasked, or paired with an answer. */\n"
                "export interface Events {\n",
                out->to);
    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        if (event->told) {
            (void)fprintf(out->to, "    /** %s */\n    '%s': ", event->doc, event->name);
            write_object_name(out, event->payload);
            (void)fputs((event->flags & SCHEMA_FACT) != 0      ? " & Fact"
                        : (event->flags & SCHEMA_STAMPED) != 0 ? " & Stamp"
                                                               : "",
                        out->to);
            write_paired(out, event->name);
            (void)fputs(";\n", out->to);
        } else if (event->paired != NULL && schema_told_find(event->paired) == NULL &&
                   !paired_before(i)) {
            (void)fprintf(out->to, "    '%s': never", event->paired);
            write_paired(out, event->paired);
            (void)fputs(";\n", out->to);
        }
    }
    (void)fputs("}\n\n", out->to);
}

static void write_routes(struct out *out)
{
    const struct schema_route *route;

    (void)fputs(
        "/* Routes of REST that speak JSON: what they take, and 'data' of a success. "
        "*/\nexport interface Routes {\n",
        out->to);
    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        if (route->takes != NULL || route->gives != NULL) {
            continue;
        }
        (void)fprintf(out->to, "    /** %s */\n    '%s %s': { query: ", route->doc,
                      route->method, route->path);
        write_object_name(out, route->query);
        (void)fputs("; body: ", out->to);
        write_object_name(out, route->body);
        (void)fputs("; data: ", out->to);
        write_object_name(out, route->answer);
        (void)fputs((route->flags & SCHEMA_LIST) != 0 ? "[] };\n" : " };\n", out->to);
    }
    (void)fputs("}\n", out->to);
}

static void write_permissions(struct out *out)
{
    (void)fputs("/* What a role may do. */\nexport type Permission =", out->to);
    for (enum auth_permission p = AUTH_VIEW; p < N_AUTH_PERMISSIONS; p++) {
        (void)fprintf(out->to, "\n    | '%s'", auth_permission_name(p));
    }
    (void)fputs(";\n\n", out->to);
}

char *schema_typescript(void)
{
    struct out *out = calloc(1, sizeof(*out));
    char *text = NULL;
    size_t len = 0;

    if (out != NULL) {
        out->to = open_memstream(&text, &len);
    }
    if (out == NULL || out->to == NULL) {
        free(out);
        return NULL;
    }
    (void)fputs(
        "/* Made by kcs-schema from control/schema; do not edit. Names and shapes as "
        "on the\n * wire, types only. */\n"
        "import type { types } from 'mediasoup-client';\n\n"
        "/* What each event about a meeting has. */\n"
        "export interface Stamp {\n    meeting_id: string;\n    timestamp: string;\n}"
        "\n\n/* A lasting fact: seq rises with each of the meeting, with gaps. */\n"
        "export interface Fact extends Stamp {\n    epoch: number;\n    seq: number;\n"
        "}\n\n",
        out->to);
    write_permissions(out);
    write_objects(out);
    write_requests(out);
    write_events(out);
    write_routes(out);
    if (fclose(out->to) != 0) {
        free(text);
        text = NULL;
    }
    free(out);
    return text;
}
