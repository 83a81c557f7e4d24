/* What is lasting, to the store: each fact of a room is written as an event of its meeting,
 * in one step with the document that it has changed. See priv.h; load.c reads it back.
 *
 * People do not wait for it: it is told at once and written behind, in order. But who
 * writes into the chat is answered when it is written, so that what was acknowledged is
 * never lost (what cannot be written is taken back), and what hosts decide is told then
 * (hold.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/chat.h"
#include "meeting/play.h"
#include "proto/jtext.h"
#include "proto/rrule.h"
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"
#include "trace/trace.h"

enum {
    KEEP_WRITES = 4,
    KEEP_BALLOTS_BYTES = 128 * 1024, /* of a poll's ballots; more are not kept */
    DAY_S = 86400
};

/* A fact in the making: what is written with it. */
struct keep {
    struct signal *signal;
    const struct room *room;
    struct store_write writes[KEEP_WRITES];
    size_t n;
    char ids[KEEP_WRITES][STORE_ID_MAX + 1];
    char *texts[KEEP_WRITES];
};

/* ---- documents ---- */

static const char *keep_text(struct keep *k, json_t *json)
{
    char *text = jtext_make(json, JSON_COMPACT);

    json_decref(json);
    k->texts[k->n - 1] = text;
    return text;
}

/* One more write about a document of the meeting. 'json' (moved) may be NULL. */
static struct store_doc *put(struct keep *k, enum store_kind kind, const char *ref,
                             json_t *json)
{
    struct store_write *w = &k->writes[k->n++];

    *w = (struct store_write){.what = STORE_PUT, .kind = kind, .expect = STORE_ANY};
    w->doc = (struct store_doc){
        .tenant = k->room->tenant, .group = k->room->id, .ref = ref, .at = clock_wall_s()};
    w->doc.json = keep_text(k, json);
    if (!k->room->stored) { /* a meeting that nobody has made by REST ends some day */
        w->doc.expires_s = w->doc.at + (int64_t)k->signal->conf.keep_days * DAY_S;
    }
    return &w->doc;
}

/* Named by the meeting and a user. */
static const char *name_of(struct keep *k, const char *user_id)
{
    char *id = k->ids[k->n - 1];

    (void)snprintf(id, sizeof(k->ids[0]), "%s/%s", k->room->id, user_id);
    return id;
}

static void put_message(struct keep *k, const struct chat_message *m)
{
    json_t *json = encode_chat_message(m);
    json_t *reactors = json_array();
    struct store_doc *doc;

    for (uint32_t i = 0; i < m->n_reactions; i++) {
        (void)json_array_append_new(
            reactors, json_pack("[ss]", m->reactions[i].user_id, m->reactions[i].emoji));
    }
    (void)json_object_set_new(json, "reactors", reactors);
    if (m->audience.reach == FACT_GROUP) {
        (void)json_object_set_new(json, "group", json_integer(m->audience.group));
    }
    doc = put(k, STORE_CHAT, m->user_id, json);
    doc->id = m->id;
    doc->at = (int64_t)m->seq;
}

static void add_ballot(void *arg, const char *user_id, uint32_t choice)
{
    (void)json_object_set_new(arg, user_id, json_integer((json_int_t)choice));
}

/* Who has voted for what is kept for as long as it can be changed. */
static void put_poll(struct keep *k, const struct poll *poll)
{
    json_t *json = encode_poll(poll);
    json_t *ballots = json_object();
    struct store_doc *doc;

    meeting_poll_each(poll, add_ballot, ballots);
    if (json_dumpb(ballots, NULL, 0, JSON_COMPACT) <= KEEP_BALLOTS_BYTES) {
        (void)json_object_set(json, "ballots", ballots);
    }
    json_decref(ballots);
    doc = put(k, STORE_POLL, NULL, json);
    doc->id = poll->id;
    doc->state = poll->closed ? "closed" : "open";
    doc->at = (int64_t)poll->made_us;
}

static void put_person(struct keep *k, const char *user_id, const char *name,
                       enum auth_role role)
{
    struct store_doc *doc =
        put(k, STORE_PARTICIPANT, user_id, json_pack("{s:s}", "name", name));

    doc->id = name_of(k, user_id);
    doc->state = auth_role_name(role);
}

static void put_ban(struct keep *k, const char *user_id, bool on)
{
    struct store_doc *doc = put(k, STORE_BAN, user_id, NULL);

    doc->id = name_of(k, user_id);
    doc->state = on ? "banned" : "lifted";
}

/* When somebody came, and went. */
static void put_attendance(struct keep *k, const struct meeting_event *event)
{
    const struct participant *p = event->who;
    bool left = event->kind == MEETING_LEFT;
    struct store_doc *doc =
        put(k, STORE_ATTENDANCE, p->who.user_id,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:s*}", "participant_id", p->id, "name",
                      p->name, "role", auth_role_name(p->who.role), "joined_at",
                      encode_time(p->joined_us), "left_at",
                      left ? encode_time(clock_wall_us()) : json_null(), "reason",
                      left ? event->reason : NULL));

    doc->id = p->id;
    doc->state = left ? "left" : "present";
    doc->at = (int64_t)(p->joined_us / 1000000);
}

/* The meeting with its room's settings, if REST has made it and nobody has changed it since
 * it was read: else on_meeting() tries again. */
static void put_settings(struct keep *k, struct stored *stored)
{
    json_t *json = load_settings(k->room, stored->meeting);
    const char *state = json_string_value(json_object_get(json, "meeting_status"));
    const char *creator = json_string_value(json_object_get(json, "creator_id"));
    const char *start = json_string_value(json_object_get(json, "meeting_start_time"));
    struct store_doc *doc;
    int64_t ms = 0;

    if (start == NULL) {
        start = json_string_value(json_object_get(json, "created_at"));
    }
    doc = put(k, STORE_MEETING, NULL, json_incref(json));
    doc->id = k->room->id;
    doc->group = creator;
    doc->state = state;
    doc->at = start != NULL && schema_time_parse(start, &ms) == 0 ? ms / 1000 : doc->at;
    doc->until =
        rrule_until(json_string_value(json_object_get(json, "recurrence")), doc->at);
    k->writes[k->n - 1].expect = stored->version;
    json_decref(stored->meeting);
    stored->meeting = json;
    stored->version++;
}

static void put_documents(struct keep *k, const struct meeting_event *event)
{
    switch ((int)event->kind) {
    case MEETING_JOINED:
        put_attendance(k, event);
        break;
    case MEETING_LEFT:
        put_attendance(k, event);
        if (strcmp(event->reason, "banned") == 0) {
            put_ban(k, event->who->who.user_id, true);
        }
        break;
    case MEETING_ROOM_UPDATED:
        if (k->room->front != NULL && event->by != NULL) { /* else REST has written it */
            put_settings(k, k->room->front);
        }
        break;
    case MEETING_ROLE_CHANGED:
        put_person(k, event->who->who.user_id, event->who->name, event->who->who.role);
        break;
    case MEETING_INVITED:
        put_person(k, event->text, event->reason, event->old_role);
        put_ban(k, event->text, false);
        break;
    case MEETING_CHAT_DELETED:
        if (event->who == NULL && event->message->edited_us == 0 &&
            event->message->n_reactions == 0) {
            break; /* it was withdrawn, and never kept */
        }
        put_message(k, event->message);
        break;
    case MEETING_CHAT:
    case MEETING_CHAT_EDITED:
    case MEETING_CHAT_REACTION:
        put_message(k, event->message);
        break;
    case MEETING_POLL:
        put_poll(k, event->poll);
        break;
    default:
        break;
    }
}

/* ---- the event ---- */

static const char *about(const struct meeting_event *event)
{
    if (event->message != NULL) {
        return event->message->user_id;
    }
    if (event->kind == MEETING_INVITED) {
        return event->text;
    }
    return event->who != NULL ? event->who->who.user_id : NULL;
}

static const char *const reach_names[] = {[FACT_ALL] = "all",
                                          [FACT_GROUP] = "group",
                                          [FACT_HOSTS] = "hosts",
                                          [FACT_OTHERS] = "others",
                                          [FACT_PEOPLE] = "people"};

static json_t *encode_audience(const struct fact_audience *audience)
{
    const char *reach = reach_names[audience->reach];

    switch ((int)audience->reach) {
    case FACT_GROUP:
        return json_pack("{s:s, s:i}", "reach", reach, "group", (int)audience->group);
    case FACT_PEOPLE:
        return json_pack("{s:s, s:s, s:s}", "reach", reach, "from", audience->from, "to",
                         audience->to);
    default:
        return json_pack("{s:s}", "reach", reach);
    }
}

bool keep_audience(const json_t *event, struct fact_audience *out)
{
    const json_t *json = json_object_get(event, "audience");
    const char *reach = json_string_value(json_object_get(json, "reach"));
    const char *from = json_string_value(json_object_get(json, "from"));
    const char *to = json_string_value(json_object_get(json, "to"));
    unsigned i = 0;

    while (i < sizeof(reach_names) / sizeof(reach_names[0]) &&
           (reach == NULL || strcmp(reach, reach_names[i]) != 0)) {
        i++;
    }
    if (i == sizeof(reach_names) / sizeof(reach_names[0])) {
        return false;
    }
    *out = (struct fact_audience){
        .reach = (enum fact_reach)i,
        .group = (uint8_t)json_integer_value(json_object_get(json, "group"))};
    (void)snprintf(out->from, sizeof(out->from), "%s", from != NULL ? from : "");
    (void)snprintf(out->to, sizeof(out->to), "%s", to != NULL ? to : "");
    return true;
}

/* The words of an event, which the caller frees. */
static char *event_text(const struct meeting_event *event, const char *name, json_t *body)
{
    json_t *json = json_copy(body);
    char *text;

    (void)json_object_update_new(json, json_pack("{s:s, s:o}", "event", name, "audience",
                                                 encode_audience(&event->audience)));
    text = jtext_make(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void put_event(struct keep *k, const struct meeting_event *event, const char *name,
                      json_t *body)
{
    const struct schema_fact *fact = schema_fact_of(name); /* each has one: test_facts.c */
    struct store_write *w = &k->writes[k->n++];

    k->texts[k->n - 1] = event_text(event, name, body);
    *w = (struct store_write){.what = STORE_EVENT};
    w->event = (struct store_event){.tenant = k->room->tenant,
                                    .meeting = k->room->id,
                                    .type = fact->type,
                                    .ref = about(event),
                                    .json = k->texts[k->n - 1],
                                    .trace = *trace_now(),
                                    .epoch = k->room->epoch,
                                    .seq = event->seq,
                                    .at_us = clock_wall_us()};
}

/* ---- written, or not ---- */

/* Where a fact came from, while it is written. */
struct origin {
    struct signal *signal;
    char tenant[AUTH_ID_MAX + 1], meeting[MEETING_ID_MAX + 1];
    bool settings; /* the meeting's document is among what is written */
    uint64_t hold; /* who waits for it; 0: nobody */
};

static void keep_settings(struct signal *signal, const struct room *room);

/* REST has changed the meeting at the same time: what it has written, with the settings of
 * the room in it, is written anew, under a number of its own. */
static void on_meeting(void *arg, const struct store_result *result)
{
    struct origin *origin = arg;
    struct signal *signal = origin->signal;
    struct room *room = meeting_find_room(signal->meeting, origin->tenant, origin->meeting);
    struct stored *stored = room != NULL ? room->front : NULL;
    json_t *meeting = result->err == 0 ? json_loads(result->docs[0].json, 0, NULL) : NULL;

    if (stored != NULL && meeting != NULL) {
        json_decref(stored->meeting);
        stored->meeting = meeting;
        stored->version = result->docs[0].version;
        keep_settings(signal, room);
    } else {
        json_decref(meeting);
    }
    free(origin);
}

static void on_written(void *arg, const struct store_result *result)
{
    struct origin *origin = arg;
    struct signal *signal = origin->signal;
    struct room *room =
        result->err == -ESTALE
            ? meeting_find_room(signal->meeting, origin->tenant, origin->meeting)
            : NULL;
    bool settings = origin->settings && result->failed == 0;

    hold_written(signal, origin->hold);
    if (room != NULL && !settings) {
        meeting_renumber(signal->meeting, room);
    }
    if (room == NULL || !settings ||
        store_get(signal->conf.store, STORE_MEETING, origin->tenant, origin->meeting,
                  on_meeting, origin) != 0) {
        free(origin);
    }
}

static struct origin *origin_of(struct signal *signal, const struct room *room)
{
    struct origin *origin = calloc(1, sizeof(*origin));

    if (origin != NULL) {
        origin->signal = signal;
        memcpy(origin->tenant, room->tenant, sizeof(room->tenant));
        memcpy(origin->meeting, room->id, sizeof(room->id));
    }
    return origin;
}

/* A message that its writer waits for. */
struct saying {
    struct signal *signal;
    struct reply *reply; /* NULL: answered, or not to be */
    json_t *answer;
    char tenant[AUTH_ID_MAX + 1], meeting[MEETING_ID_MAX + 1];
    char message[MEETING_OBJECT_ID + 1]; /* its id; empty until it is told */
    bool given;                          /* the writer has it */
    bool written;                        /* or not, as 'err' says */
    int err;
    struct saying *next, **at;
};

const char *keep_code(int err, const char **message)
{
    switch (-err) {
    case ENOSPC:
        *message = "the node's disk is full";
        return "store_full";
    case EHOSTDOWN:
        *message = "the node's database does not answer";
        return "store_away";
    case EAGAIN:
        *message = "too much at once; try again in a second";
        return "overloaded";
    default:
        *message = "the node could not write it";
        return "store_failed";
    }
}

static void refuse(struct reply *reply, int err)
{
    const char *message;
    const char *code = keep_code(err, &message);

    if (err == -EAGAIN) {
        reply_overloaded(reply, message);
    } else {
        reply_fail(reply, code, message);
    }
}

static void saying_end(struct saying *s)
{
    struct room *room;

    *s->at = s->next;
    if (s->next != NULL) {
        s->next->at = s->at;
    }
    if (s->err != 0 && s->message[0] != '\0') {
        room = meeting_find_room(s->signal->meeting, s->tenant, s->meeting);
        if (room != NULL) {
            meeting_chat_withdraw(s->signal->meeting, room, s->message);
        }
    }
    if (s->err != 0) {
        refuse(s->reply, s->err);
        json_decref(s->answer);
    } else {
        reply_ok(s->reply, s->answer);
    }
    free(s);
}

static void on_said(void *arg, const struct store_result *result)
{
    struct saying *s = arg;

    s->written = true;
    s->err = result->err;
    if (s->answer != NULL) { /* else it is still being told */
        saying_end(s);
    }
}

struct saying *keep_saying(struct signal *signal, struct reply *reply)
{
    const struct room *room = reply->client->participant->room;
    struct saying *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->signal = signal;
    s->reply = reply;
    memcpy(s->tenant, room->tenant, sizeof(room->tenant));
    memcpy(s->meeting, room->id, sizeof(room->id));
    s->next = signal->sayings;
    s->at = &signal->sayings;
    if (s->next != NULL) {
        s->next->at = &s->next;
    }
    signal->sayings = s;
    signal->saying = s;
    return s;
}

void keep_said(struct signal *signal, struct saying *s, json_t *answer)
{
    signal->saying = NULL;
    s->answer = answer;
    if (s->written || !s->given) { /* at once: it failed, or nothing is kept */
        saying_end(s);
    }
}

void keep_unsaid(struct signal *signal, struct saying *s)
{
    signal->saying = NULL;
    *s->at = s->next;
    if (s->next != NULL) {
        s->next->at = s->at;
    }
    free(s);
}

bool keep_is_said(const struct signal *signal, const char *message)
{
    const struct saying *s = signal->sayings;

    while (s != NULL && strcmp(s->message, message) != 0) {
        s = s->next;
    }
    return s == NULL;
}

bool keep_works(struct reply *reply)
{
    const struct store_writer *writer = reply->client->signal->writer;
    int err = writer != NULL ? store_writer_failing(writer) : 0;

    if (err == 0) {
        return true;
    }
    refuse(reply, err);
    return false;
}

/* ---- all of it ---- */

/* A message that its writer waits for. If it cannot be written what stands under its number
 * is that there was one, for which there is room later: readers miss no number. */
static void give_said(struct keep *k, struct saying *s, const struct meeting_event *event,
                      const char *name, json_t *body)
{
    struct store_write instead = k->writes[k->n - 1];
    json_t *silent = json_copy(body);
    char *text;
    int err;

    (void)json_object_set_new(silent, "message", json_string(""));
    (void)json_object_set_new(silent, "deleted", json_true());
    text = event_text(event, name, silent);
    instead.event.json = text;
    memcpy(s->message, event->message->id, sizeof(s->message));
    s->given = true;
    err = store_writer_put_once(k->signal->writer, k->writes, k->n, &instead, on_said, s);
    if (err != 0) {
        s->written = true;
        s->err = err;
    }
    json_decref(silent);
    free(text);
}

static void give(struct keep *k)
{
    struct origin *origin;

    origin = origin_of(k->signal, k->room);
    if (origin != NULL) {
        origin->settings = k->writes[0].kind == STORE_MEETING && k->n > 1;
        origin->hold = hold_add(k->signal);
    }
    if (store_writer_put(k->signal->writer, k->writes, k->n, k->signal->hold == NULL,
                         origin != NULL ? on_written : NULL, origin) != 0) {
        if (origin != NULL) {
            hold_written(k->signal, origin->hold);
        }
        free(origin);
    }
}

static void end(struct keep *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->texts[i]);
    }
}

static void keep_settings(struct signal *signal, const struct room *room)
{
    struct meeting_event event = {.kind = MEETING_ROOM_UPDATED, .room = room};
    struct keep k = {.signal = signal, .room = room};
    json_t *body = json_pack("{s:o}", "settings", encode_settings(room));
    uint64_t epoch;

    meeting_number(signal->meeting, room->tenant, room->id, &epoch, &event.seq);
    put_settings(&k, room->front);
    put_event(&k, &event, "room:updated", body);
    give(&k);
    json_decref(body);
    end(&k);
}

void keep_event(struct signal *signal, const struct room *room,
                const struct meeting_event *event, const char *name, json_t *body)
{
    struct keep k = {.signal = signal, .room = room};

    if (signal->writer == NULL) {
        return;
    }
    put_documents(&k, event);
    put_event(&k, event, name, body);
    if (event->kind == MEETING_CHAT && event->message != NULL && signal->saying != NULL) {
        give_said(&k, signal->saying, event, name, body);
    } else {
        give(&k);
    }
    end(&k);
}
