/* How the tables are written down; for table_*.c only.
 *
 * A field is one line: name, flags (R: required, N: null is a value, 0), bounds, a
 * sentence. An event or route takes who may send it without a default: one that lacks it
 * does not compile. */
#ifndef SCHEMA_TABLE_H
#define SCHEMA_TABLE_H

#include "schema/schema.h"

enum {
    R = SCHEMA_REQUIRED,
    N = SCHEMA_NULLABLE,
    S = SCHEMA_SECRET,
    ID_MAX = 128,    /* of objects */
    KEY_MAX = 64,    /* of meetings and users */
    NAME_MAX_ = 128, /* of people: characters, and bytes where the meeting keeps them */
};

#define MAX_SAFE INT64_C(9007199254740991) /* what JavaScript counts exactly: 2^53 - 1 */

/* ---- fields ---- */

#define FIELD(name_, type_, flags_, min_, max_, doc_, ...)                                 \
    {                                                                                      \
        .name = (name_), .type = (type_), .flags = (flags_), .min = (min_), .max = (max_), \
        .doc = (doc_), __VA_ARGS__                                                         \
    }

#define TEXT(name_, flags_, min_, max_, doc_)                                              \
    FIELD(name_, SCHEMA_STRING, flags_, min_, max_, doc_, .max_bytes = 0)
#define TEXT_BYTES(name_, flags_, min_, max_, doc_)                                        \
    FIELD(name_, SCHEMA_STRING, flags_, min_, max_, doc_, .max_bytes = (max_))
#define ID(name_, flags_, doc_)                                                            \
    FIELD(name_, SCHEMA_ID, flags_, 1, ID_MAX, doc_, .max_bytes = ID_MAX)
#define KEY(name_, flags_, doc_)                                                           \
    FIELD(name_, SCHEMA_ID, flags_, 1, KEY_MAX, doc_, .max_bytes = KEY_MAX)
#define INT(name_, flags_, min_, max_, doc_)                                               \
    FIELD(name_, SCHEMA_INTEGER, flags_, min_, max_, doc_, .max_bytes = 0)
#define NUM(name_, flags_, min_, max_, doc_)                                               \
    FIELD(name_, SCHEMA_NUMBER, flags_, min_, max_, doc_, .max_bytes = 0)
#define BOOL(name_, flags_, doc_)                                                          \
    FIELD(name_, SCHEMA_BOOLEAN, flags_, 0, 0, doc_, .max_bytes = 0)
#define ENUM(name_, flags_, names_, doc_)                                                  \
    FIELD(name_, SCHEMA_ENUM, flags_, 0, 0, doc_, .names = (names_))
#define TIME(name_, flags_, doc_)                                                          \
    FIELD(name_, SCHEMA_TIME, flags_, 0, 0, doc_, .max_bytes = 0)
#define URL(name_, flags_, doc_)                                                           \
    FIELD(name_, SCHEMA_URL, flags_, 1, 2048, doc_, .max_bytes = 0)
#define ANY(name_, flags_, doc_)                                                           \
    FIELD(name_, SCHEMA_ANY, flags_, 0, 0, doc_, .max_bytes = 0)
#define OBJ(name_, flags_, object_, doc_)                                                  \
    FIELD(name_, SCHEMA_OBJECT, flags_, 0, 0, doc_, .object = &schema_##object_)

/* Arrays: of objects, of ids, of texts, of whatever ITEM says. */
#define LIST(name_, flags_, min_, max_, object_, doc_)                                     \
    ITEMS(name_, flags_, min_, max_, doc_, OBJ(NULL, 0, object_, NULL))
#define IDS(name_, flags_, min_, max_, doc_)                                               \
    ITEMS(name_, flags_, min_, max_, doc_, ID(NULL, 0, NULL))
#define KEYS(name_, flags_, min_, max_, doc_)                                              \
    ITEMS(name_, flags_, min_, max_, doc_, KEY(NULL, 0, NULL))
#define ITEMS(name_, flags_, min_, max_, doc_, ...)                                        \
    FIELD(name_, SCHEMA_ARRAY, flags_, min_, max_, doc_,                                   \
          .item = &(const struct schema_field)__VA_ARGS__)

/* ---- objects ---- */

#define OBJECT_AS(id_, doc_, unknown_, more_, ...)                                         \
    static const struct schema_field id_##_fields[] = {__VA_ARGS__};                       \
    const struct schema_object schema_##id_ = {.name = #id_,                               \
                                               .fields = id_##_fields,                     \
                                               .n_fields = sizeof(id_##_fields) /          \
                                                           sizeof(id_##_fields[0]),        \
                                               .unknown = (unknown_),                      \
                                               .doc = (doc_),                              \
                                               MORE_##more_}
#define MORE_NONE        .foreign = NULL
#define MORE_TYPE(type_) .foreign = (type_)

/* Unknown members: ignored, refused, kept. */
#define OBJECT(id_, doc_, ...) OBJECT_AS(id_, doc_, SCHEMA_IGNORE, NONE, __VA_ARGS__)
#define BODY(id_, doc_, ...)   OBJECT_AS(id_, doc_, SCHEMA_REFUSE, NONE, __VA_ARGS__)
#define OPEN(id_, doc_, ...)   OBJECT_AS(id_, doc_, SCHEMA_OPEN, NONE, __VA_ARGS__)
#define FOREIGN(id_, type_, doc_, ...)                                                     \
    OBJECT_AS(id_, doc_, SCHEMA_OPEN, TYPE(type_), __VA_ARGS__)

/* ---- events ---- */

/* reply and paired: an object's name or NONE; an event's name or NULL. */
#define ASK(name_, who_, flags_, payload_, reply_, paired_, tells_, doc_)                  \
    {                                                                                      \
        .name = (name_), .who = AUTH_##who_, .flags = (flags_),                            \
        .payload = &schema_##payload_, .reply = &schema_##reply_, .paired = (paired_),     \
        .tells = (tells_), .doc = (doc_)                                                   \
    }

#define ALIAS(name_, alias_, who_, flags_, payload_, reply_, paired_, tells_, doc_)        \
    {                                                                                      \
        .name = (name_), .alias = (alias_), .who = AUTH_##who_, .flags = (flags_),         \
        .payload = &schema_##payload_, .reply = &schema_##reply_, .paired = (paired_),     \
        .tells = (tells_), .doc = (doc_)                                                   \
    }

/* With another answer for who has to wait. */
#define ASK_OR(name_, who_, flags_, payload_, reply_, instead_, paired_, tells_, doc_)     \
    {                                                                                      \
        .name = (name_), .who = AUTH_##who_, .flags = (flags_),                            \
        .payload = &schema_##payload_, .reply = &schema_##reply_,                          \
        .instead = &schema_##instead_, .paired = (paired_), .tells = (tells_),             \
        .doc = (doc_)                                                                      \
    }

/* who: sees it. */
#define TELL(name_, who_, flags_, payload_, doc_)                                          \
    {                                                                                      \
        .name = (name_), .told = true, .who = AUTH_##who_, .flags = (flags_),              \
        .payload = &schema_##payload_, .doc = (doc_)                                       \
    }

enum { OUTSIDE = SCHEMA_OUTSIDE, LATER = SCHEMA_LATER };
enum { STAMPED = SCHEMA_STAMPED, FACT = SCHEMA_STAMPED | SCHEMA_FACT };

struct schema_events {
    const struct schema_event *at;
    size_t n;
};

#define EVENTS(id_, ...)                                                                   \
    static const struct schema_event id_##_list[] = {__VA_ARGS__};                         \
    const struct schema_events schema_events_##id_ = {                                     \
        id_##_list, sizeof(id_##_list) / sizeof(id_##_list[0])}

extern const struct schema_events schema_events_media, schema_events_room,
    schema_events_talk, schema_events_more;

/* ---- events that leave the node ---- */

struct schema_facts {
    const struct schema_fact *at;
    size_t n;
};

extern const struct schema_facts schema_facts_all;

/* ---- routes ---- */

enum {
    LIST_OF = SCHEMA_LIST,
    CREATED = SCHEMA_CREATED,
    EMPTY = SCHEMA_EMPTY,
    ETAG = SCHEMA_ETAG,
    REPEAT = SCHEMA_REPEAT,
    TAKES_LINK = SCHEMA_LINK
};

/* How much of all requests a route may be: what is asked at each click; what is asked now and
 * then; what writes, or costs much. */
enum { SHARE_ALL = 0, SHARE_MUCH = 40, SHARE_SOME = 20, SHARE_LITTLE = 4 };

#define ROUTE(method_, path_, who_, share_, flags_, query_, body_, answer_, doc_)          \
    {                                                                                      \
        .method = (method_), .path = (path_), .who = AUTH_##who_, .share = SHARE_##share_, \
        .flags = (flags_),                                                                 \
        .query = &schema_##query_, .body = &schema_##body_, .answer = &schema_##answer_,   \
        .doc = (doc_)                                                                      \
    }

/* Of other media types than ours; NULL: nothing. */
#define ROUTE_OF(method_, path_, who_, share_, flags_, query_, takes_, gives_, doc_)       \
    {                                                                                      \
        .method = (method_), .path = (path_), .who = AUTH_##who_, .share = SHARE_##share_, \
        .flags = (flags_),                                                                 \
        .query = &schema_##query_, .body = &schema_none, .answer = &schema_none,           \
        .takes = (takes_), .gives = (gives_), .doc = (doc_)                                \
    }

struct schema_routes {
    const struct schema_route *at;
    size_t n;
};

extern const struct schema_routes schema_routes_all;

/* ---- words and objects that several tables use (table_objects.c) ---- */

extern const char *const schema_roles[],
    *const schema_kinds[], *const schema_sources[], *const schema_directions[],
                                                        *const schema_layer_reasons[];

extern const struct schema_object schema_none, schema_meeting_ref, schema_transport_ref,
    schema_producer_ref, schema_consumer_ref, schema_rtp_parameters,
    schema_rtp_capabilities, schema_dtls_parameters, schema_ice_parameters,
    schema_ice_candidate, schema_sctp_parameters, schema_sctp_stream_parameters,
    schema_ice_server, schema_participant, schema_person, schema_producer,
    schema_data_producer, schema_layer, schema_layer_need, schema_meeting_settings,
    schema_features, schema_chat_message, schema_whiteboard_op, schema_poll, schema_breakout_state,
    schema_stream,
    schema_fact_meeting;

/* How well a stream arrived: in scores and in events of quality. */
#define SCORE_FIELDS                                                                       \
    INT("score", R, 0, 10, "how well it arrived in the last second"),                      \
        INT("bitrate_bps", R, 0, MAX_SAFE, "bits a second"),                               \
        NUM("loss", R, 0, 1, "share that was lost, before repair"),                        \
        NUM("jitter_ms", R, 0, MAX_SAFE, "jitter"),                                        \
        NUM("rtt_ms", R, 0, MAX_SAFE, "round trip; 0: not known"),                         \
        BOOL("freeze_suspected", R, "a picture of which something is missing")

#endif
