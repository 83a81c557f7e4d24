#include "signal/legacy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "signal/priv.h"

enum { MAX_FIELDS = 8, KEY_MAX = 64, MAX_DEPTH = 4 };

/* What a request of this dialect leaves out and the event needs. */
enum {
    ADD_SEND = 1, /* transport_id: the send transport */
    ADD_RECV = 2, /* transport_id: the one that receives */
    ADD_NAME = 4, /* display_name: the token's */
    ADD_SOURCE = 8
};

struct field {
    const char *theirs; /* a dot leads into an object */
    const char *ours;
};

/* Fields that are not named here change between camelCase and snake_case by rule. */
struct legacy_alias {
    const char *name;
    const char *event;
    const char *paired;
    const char *flag; /* a boolean of the request: if false the event is 'otherwise' */
    const char *otherwise;
    unsigned add;
    const char *repeat[2]; /* ours; of the request, in the answer too */
    struct field answer[MAX_FIELDS];
};

static const struct legacy_alias aliases[] = {
    {.name = "join-meeting",
     .event = "room:join",
     .paired = "meeting-joined",
     .add = ADD_NAME,
     .answer = {{"existingProducers", "producers"}, {"meetingId", "meeting.id"}}},
    {.name = "leave-meeting", .event = "room:leave"},
    {.name = "create-transport",
     .event = "transport:create",
     .paired = "transport-created",
     .answer = {{"params.id", "transport_id"},
                {"params.iceParameters", "ice_parameters"},
                {"params.iceCandidates", "ice_candidates"},
                {"params.dtlsParameters", "dtls_parameters"},
                {"params.sctpParameters", "sctp_parameters"}}},
    {.name = "connect-transport",
     .event = "transport:connect",
     .paired = "transport-connected"},
    {.name = "produce",
     .event = "produce",
     .paired = "produced",
     .add = ADD_SEND | ADD_SOURCE,
     .repeat = {"request_id"}},
    {.name = "consume",
     .event = "consume",
     .paired = "consumed",
     .add = ADD_RECV,
     .answer = {{"id", "consumer_id"}, {"producerParticipantId", "participant_id"}}},
    {.name = "resume-consumer", .event = "consumer:resume", .paired = "consumer-resumed"},
    {.name = "close-producer",
     .event = "produce:close",
     .paired = "producer-closed",
     .repeat = {"producer_id"}},
    {.name = "send-message", .event = "chat:send", .paired = "new-message"},
    {.name = "typing", .event = "chat:typing"},
    {.name = "send-reaction", .event = "reaction:send"},
    {.name = "raise-hand",
     .event = "hand:raise",
     .flag = "raised",
     .otherwise = "hand:lower"},
    {.name = "toggle-recording",
     .event = "recording:start",
     .flag = "start",
     .otherwise = "recording:stop"},
};

/* What the server sends by itself. 'state' goes into the field 'key', if there is one. */
static const struct {
    const char *ours;
    const char *theirs;
    const char *key;
    const char *state; /* "true", "false": the booleans */
} told[] = {
    {"participant:joined", "participant-joined", NULL, NULL},
    {"participant:left", "participant-left", NULL, NULL},
    {"new-producer", "new-producer", NULL, NULL},
    {"producer:closed", "producer-closed", NULL, NULL},
    {"producer:paused", "producer-paused", NULL, NULL},
    {"producer:resumed", "producer-resumed", NULL, NULL},
    {"consumer:closed", "consumer-closed", NULL, NULL},
    {"chat:message", "new-message", NULL, NULL},
    {"chat:typing", "user-typing", NULL, NULL},
    {"reaction:received", "participant-reaction", NULL, NULL},
    {"hand:raised", "hand-raised", "raised", "true"},
    {"hand:lowered", "hand-raised", "raised", "false"},
    {"recording:started", "recording-status-changed", "status", "started"},
    {"recording:paused", "recording-status-changed", "status", "paused"},
    {"recording:resumed", "recording-status-changed", "status", "resumed"},
    {"recording:stopped", "recording-status-changed", "status", "stopped"},
    {"muted:by-host", "muted-by-host", NULL, NULL},
    {"removed:from-meeting", "removed-from-meeting", NULL, NULL},
    {"room:closed", "meeting-ended", NULL, NULL},
    {"lobby:denied", "join-denied", NULL, NULL},
};

/* Objects of mediasoup-client and of the clients themselves: nothing in them is renamed. */
static const char *const opaque[] = {
    "rtp_parameters",  "rtp_capabilities", "ice_parameters",  "ice_candidates",
    "dtls_parameters", "app_data",         "sctp_parameters", "ice_servers"};

const struct legacy_alias *legacy_find(const char *name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(aliases[i].name, name) == 0) {
            return &aliases[i];
        }
    }
    return NULL;
}

const char *legacy_name(const struct legacy_alias *alias)
{
    return alias->name;
}

const char *legacy_paired(const struct legacy_alias *alias)
{
    return alias->paired;
}

/* ---- names of fields ---- */

/* meetingId to meeting_id; false if it is too long to be one of ours. */
static bool to_snake(const char *theirs, char out[KEY_MAX])
{
    size_t n = 0;

    for (; *theirs != '\0'; theirs++) {
        if (n + 3 > KEY_MAX) {
            return false;
        }
        if (isupper((unsigned char)*theirs) != 0 && n > 0) {
            out[n++] = '_';
        }
        out[n++] = (char)tolower((unsigned char)*theirs);
    }
    out[n] = '\0';
    return true;
}

/* meeting_id to meetingId. Ours are short. */
static void to_camel(const char *ours, char out[KEY_MAX])
{
    size_t n = 0;

    for (; *ours != '\0' && n + 1 < KEY_MAX; ours++) {
        if (*ours == '_' && ours[1] != '\0') {
            ours++;
            out[n++] = (char)toupper((unsigned char)*ours);
        } else {
            out[n++] = *ours;
        }
    }
    out[n] = '\0';
}

static bool is_opaque(const char *key)
{
    for (size_t i = 0; i < sizeof(opaque) / sizeof(opaque[0]); i++) {
        if (strcmp(opaque[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *camel_value(json_t *value, int depth);

/* Sets 'value' (moved) under its name in this dialect. */
static void set_camel(json_t *to, const char *ours, json_t *value)
{
    char key[KEY_MAX];

    to_camel(ours, key);
    (void)json_object_set_new(to, key, value);
}

/* A new reference: 'value' itself, or a copy with other names. */
static json_t *camel_value(json_t *value, int depth)
{
    json_t *out;
    const char *key;
    json_t *each;
    size_t i;

    if (depth == 0 || (!json_is_object(value) && !json_is_array(value))) {
        return json_incref(value);
    }
    out = json_is_object(value) ? json_object() : json_array();
    json_array_foreach(value, i, each)
    {
        (void)json_array_append_new(out, camel_value(each, depth - 1));
    }
    json_object_foreach(value, key, each)
    {
        set_camel(out, key,
                  is_opaque(key) ? json_incref(each) : camel_value(each, depth - 1));
    }
    return out;
}

/* ---- requests ---- */

static const struct transport *find_transport(const struct client *client, bool send)
{
    const struct transport *t =
        client->participant != NULL ? client->participant->transports : NULL;

    while (t != NULL && t->send != send) {
        t = t->next;
    }
    return t;
}

static void add_source(json_t *payload)
{
    const char *kind = json_string_value(json_object_get(payload, "kind"));
    const char *wanted =
        json_string_value(json_object_get(json_object_get(payload, "app_data"), "source"));
    const char *source = kind != NULL && strcmp(kind, "audio") == 0 ? "mic" : "camera";

    for (size_t i = 0; wanted != NULL && i < N_MEETING_SOURCES; i++) {
        if (strcmp(meeting_source_names[i], wanted) == 0) {
            source = meeting_source_names[i];
        }
    }
    (void)json_object_set_new(payload, "source", json_string(source));
}

static bool lacks(const json_t *payload, const char *key)
{
    const json_t *value = json_object_get(payload, key);

    return value == NULL || json_is_null(value);
}

static void add_missing(unsigned add, const struct client *client, json_t *payload)
{
    if ((add & (ADD_SEND | ADD_RECV)) != 0 && lacks(payload, "transport_id")) {
        const struct transport *t = find_transport(client, (add & ADD_SEND) != 0);

        if (t != NULL) {
            (void)json_object_set_new(payload, "transport_id", json_string(t->id));
        }
    }
    if ((add & ADD_NAME) != 0 && lacks(payload, "display_name")) {
        const char *name = client->who.name[0] != '\0' ? client->who.name : "Guest";

        (void)json_object_set_new(payload, "display_name", json_string(name));
    }
    if ((add & ADD_SOURCE) != 0 && lacks(payload, "source")) {
        add_source(payload);
    }
}

json_t *legacy_request(const struct legacy_alias *alias, const struct client *client,
                       const json_t *payload, const char **event)
{
    char key[KEY_MAX];
    const char *theirs;
    json_t *value;
    json_t *out;

    *event = alias->flag != NULL && json_is_false(json_object_get(payload, alias->flag))
                 ? alias->otherwise
                 : alias->event;
    if (payload != NULL && !json_is_object(payload) && !json_is_null(payload)) {
        return json_incref((json_t *)payload); /* refused by the handler, in its words */
    }
    out = json_object();
    json_object_foreach((json_t *)payload, theirs, value)
    {
        if (to_snake(theirs, key)) {
            (void)json_object_set(out, key, value);
        }
    }
    add_missing(alias->add, client, out);
    return out;
}

/* Only the first name of a path was changed by legacy_request(), and no name grows. */
void legacy_path(char *path, size_t cap)
{
    char rest[256];
    char key[KEY_MAX];
    size_t len = path[0] == '/' ? strcspn(path + 1, "/") : 0;

    if (len > 0 && len < KEY_MAX) {
        (void)snprintf(rest, sizeof(rest), "%s", path + 1 + len);
        path[1 + len] = '\0';
        to_camel(path + 1, key);
        (void)snprintf(path, cap, "/%s%s", key, rest);
    }
}

/* ---- answers and events ---- */

/* The value at a path of ours, such as "meeting.id". */
static json_t *get_path(const json_t *from, const char *path)
{
    const char *dot = strchr(path, '.');
    char head[KEY_MAX];

    if (dot == NULL) {
        return json_object_get(from, path);
    }
    (void)snprintf(head, sizeof(head), "%.*s", (int)(dot - path), path);
    return json_object_get(json_object_get(from, head), dot + 1);
}

static void set_path(json_t *to, const char *path, json_t *value)
{
    const char *dot = strchr(path, '.');
    char head[KEY_MAX];
    json_t *inner;

    if (dot == NULL) {
        (void)json_object_set_new(to, path, value);
        return;
    }
    (void)snprintf(head, sizeof(head), "%.*s", (int)(dot - path), path);
    inner = json_object_get(to, head);
    if (inner == NULL) {
        (void)json_object_set_new(to, head, json_object());
        inner = json_object_get(to, head);
    }
    (void)json_object_set_new(inner, dot + 1, value);
}

static bool is_renamed(const struct legacy_alias *alias, const char *ours)
{
    for (size_t i = 0; i < MAX_FIELDS && alias->answer[i].ours != NULL; i++) {
        if (strcmp(alias->answer[i].ours, ours) == 0) {
            return true;
        }
    }
    return false;
}

json_t *legacy_answer(const struct legacy_alias *alias, const json_t *asked,
                      const json_t *fields)
{
    json_t *out = json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)fields, key, value)
    {
        if (!is_renamed(alias, key)) {
            set_camel(out, key,
                      is_opaque(key) ? json_incref(value) : camel_value(value, MAX_DEPTH));
        }
    }
    for (size_t i = 0; i < MAX_FIELDS && alias->answer[i].ours != NULL; i++) {
        const struct field *field = &alias->answer[i];

        value = get_path(fields, field->ours);
        if (value != NULL) {
            set_path(out, field->theirs,
                     is_opaque(field->ours) ? json_incref(value)
                                            : camel_value(value, MAX_DEPTH));
        }
    }
    for (size_t i = 0; i < 2 && alias->repeat[i] != NULL; i++) {
        value = json_object_get(asked, alias->repeat[i]);
        if (value != NULL) {
            set_camel(out, alias->repeat[i], json_incref(value));
        }
    }
    return out;
}

json_t *legacy_joined(json_t *joined)
{
    json_t *out = legacy_answer(legacy_find("join-meeting"), NULL, joined);

    json_decref(joined);
    return out;
}

json_t *legacy_event(const char **name, json_t *body)
{
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (strcmp(told[i].ours, *name) == 0) {
            json_t *out = camel_value(body, MAX_DEPTH);
            const char *state = told[i].state;

            if (state != NULL) {
                (void)json_object_set_new(out, told[i].key,
                                          strcmp(state, "true") == 0 ? json_true()
                                          : strcmp(state, "false") == 0
                                              ? json_false()
                                              : json_string(state));
            }
            *name = told[i].theirs;
            json_decref(body);
            return out;
        }
    }
    json_decref(body);
    return NULL;
}
