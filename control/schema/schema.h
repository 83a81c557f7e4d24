/* What clients send and get, as data: every event of Socket.IO, every route of REST, and
 * the objects in them. One table (table_*.c), from which all else is made: the check of
 * what comes in (check.h), OpenAPI, AsyncAPI, the page /docs and the types of control/web
 * (document.h).
 *
 * Everything here is constant and lives as long as the program. Thread: any. */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/role.h"

enum schema_type {
    SCHEMA_STRING,
    SCHEMA_ID, /* a name without spaces or control characters, of ours or of a client */
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_ENUM,
    SCHEMA_TIME, /* RFC 3339 */
    SCHEMA_URL,  /* absolute: http, https, rtmp or rtmps */
    SCHEMA_OBJECT,
    SCHEMA_ARRAY,
    SCHEMA_ANY /* bounded in depth and size, else free */
};

enum {
    SCHEMA_REQUIRED = 1,
    SCHEMA_NULLABLE = 2, /* null is a value; elsewhere it is refused */
    SCHEMA_SECRET = 4,   /* a password or token: never logged or shown */
};

struct schema_object;

struct schema_field {
    const char *name; /* NULL for the items of an array */
    enum schema_type type;
    unsigned flags;
    int64_t min, max;   /* characters, value or items; of SCHEMA_ANY depth is bounded */
    uint32_t max_bytes; /* of UTF-8, for text that is kept in that much; 0: no limit */
    const char *const *names;           /* SCHEMA_ENUM; NULL ends it */
    const struct schema_object *object; /* SCHEMA_OBJECT */
    const struct schema_field *item;    /* SCHEMA_ARRAY */
    const char *doc;
};

/* What becomes of members that are not named. */
enum schema_unknown {
    SCHEMA_IGNORE, /* a client may be newer than the node */
    SCHEMA_REFUSE, /* a typing error must not look like success */
    SCHEMA_OPEN    /* mediasoup-client's, or the client's own: kept, within bounds */
};

struct schema_object {
    const char *name; /* "room_joined" */
    const struct schema_field *fields;
    size_t n_fields;
    enum schema_unknown unknown;
    const char *foreign;     /* what it is in TypeScript, if it is not ours; or NULL */
    const char *any_of[2];   /* of these two fields at least one must be there; or NULL */
    const char *not_both[2]; /* of these at most one; or NULL */
    const char *doc;
};

/* ---- Socket.IO ---- */

enum {
    SCHEMA_OUTSIDE = 1, /* needs no room */
    SCHEMA_LATER = 2,   /* named by the interface, its part is not built yet: of what the
                         * server tells, it does not */
    SCHEMA_STAMPED = 4, /* from the server: has meeting_id and timestamp */
    SCHEMA_FACT = 8,    /* a lasting one: has epoch and seq too */
    /* of routes */
    SCHEMA_LIST = 16,    /* 'data' is an array of 'answer', beside count and next_cursor */
    SCHEMA_CREATED = 32, /* 201 on success */
    SCHEMA_EMPTY = 64,   /* 204 on success */
    SCHEMA_ETAG = 128,   /* gives an ETag; a change takes If-Match */
    SCHEMA_REPEAT = 256, /* takes Idempotency-Key */
    SCHEMA_LINK = 512,   /* the token of a join link will do */
};

struct schema_event {
    const char *name;
    const char *alias;        /* another name that clients may send, or NULL */
    bool told;                /* the server sends it */
    enum auth_permission who; /* may send it */
    unsigned flags;
    const struct schema_object *payload;
    const struct schema_object *reply;   /* members of the ack beside ok; NULL: none */
    const struct schema_object *instead; /* these in its place to who has to wait; or NULL */
    const char
        *paired;       /* sent to the asker on success, with the reply's members; or NULL */
    const char *tells; /* what others are told: events of the table, by spaces; or NULL */
    const char *doc;
};

/* The events in the order of the interface; NULL behind the last. */
const struct schema_event *schema_event_at(size_t i);

/* What clients may send, by its name or alias; NULL if there is none. */
const struct schema_event *schema_event_find(const char *name);

/* What the server sends. A name can stand for both (caption:segment). */
const struct schema_event *schema_told_find(const char *name);

/* ---- events that leave the node (CloudEvents) ---- */

#define SCHEMA_ERASED "kcs.erased" /* not a type of events: what is left of erased ones */

struct schema_fact {
    const char *type;                 /* "kcs.chat.message" */
    const char *id;                   /* the URI of its schema, version included */
    const char *told;                 /* the event of Socket.IO that it keeps; NULL: none */
    const struct schema_object *data; /* NULL: the payload of 'told' */
    const char *said; /* member with what somebody said: left out unless that is wanted */
    const char *doc;
};

/* The types in the order of the catalogue; NULL behind the last. */
const struct schema_fact *schema_fact_at(size_t i);

/* By type; by the event of Socket.IO. NULL if there is none. */
const struct schema_fact *schema_fact_find(const char *type);
const struct schema_fact *schema_fact_of(const char *told);

/* ---- REST ---- */

struct schema_route {
    const char *method;                /* "GET"; HEAD goes with it */
    const char *path;                  /* "/api/meeting/{id}/chat" */
    enum auth_permission who;          /* of a role in the meeting, if the path names one */
    unsigned flags;                    /* SCHEMA_LATER, SCHEMA_LIST … */
    uint8_t share; /* of all that a user may ask a second (of a PUBLIC one an address) so many
                    * hundredths may be this; 0: there is no limit of its own */
    const struct schema_object *query; /* all scalars; without fields: none */
    const struct schema_object *body;  /* without fields: none */
    const struct schema_object *answer; /* 'data' of a success */
    const char *takes, *gives;          /* media types other than JSON; or NULL */
    const char *doc;
};

/* The routes in the order of the interface; NULL behind the last. */
const struct schema_route *schema_route_at(size_t i);

/* Of success: 200, or 201 or 204 if the flags say so. */
unsigned schema_route_status(const struct schema_route *route);

enum {
    SCHEMA_PATH_PARAMS = 3,
    SCHEMA_PARAM_MAX = 64,
    SCHEMA_METHODS_LEN = 64,
    SCHEMA_REPEAT_MAX = 200 /* characters of an Idempotency-Key */
};

/* What stood in the places of {…} of a path, in order. */
struct schema_params {
    size_t n;
    char at[SCHEMA_PATH_PARAMS][SCHEMA_PARAM_MAX + 1];
};

/* Whether a control character is in it, as "%0d" of a path may bring: no name has one. */
bool schema_has_control(const char *text, size_t len);

/* The route of a method ("HEAD" is GET's) and a path, percent-decoded. What is empty,
 * longer than SCHEMA_PARAM_MAX or holds a control character is no name: then no path fits.
 *
 * params   filled
 * methods  filled with what the path takes, "GET, HEAD, POST"; empty: there is no such path
 *
 * Returns NULL if there is none. */
const struct schema_route *schema_route_find(const char *method, const char *path,
                                             struct schema_params *params,
                                             char methods[SCHEMA_METHODS_LEN]);

#endif
