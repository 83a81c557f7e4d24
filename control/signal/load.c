/* What keep.c has stored of a meeting, and its settings as REST has them, into its room
 * before anybody enters. See priv.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/chat.h"
#include "meeting/host.h"
#include "meeting/play.h"
#include "signal/priv.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"

struct load {
    struct signal *signal;
    char tenant[AUTH_ID_MAX + 1], meeting[MEETING_ID_MAX + 1];
    unsigned n; /* answers that are still to come */
    int err;    /* of one that could not be read */
};

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static uint64_t time_of(const json_t *json, const char *name)
{
    const char *text = text_of(json, name);
    int64_t ms;

    return text[0] != '\0' && schema_time_parse(text, &ms) == 0 ? (uint64_t)ms * 1000 : 0;
}

/* The room, as long as it waits for this. */
static struct room *room_of(const struct load *load)
{
    struct room *room =
        meeting_find_room(load->signal->meeting, load->tenant, load->meeting);

    return room != NULL && room->loading ? room : NULL;
}

/* ---- settings ---- */

static void read_flag(const json_t *from, unsigned i, struct meeting_change *change)
{
    const json_t *value = json_object_get(from, meeting_flag_names[i]);

    if (json_is_true(value)) {
        change->set |= UINT32_C(1) << i;
    } else if (json_is_false(value)) {
        change->clear |= UINT32_C(1) << i;
    }
}

static bool is_over(const json_t *meeting)
{
    const char *state = text_of(meeting, "meeting_status");

    return strcmp(state, "ended") == 0 || strcmp(state, "cancelled") == 0 ||
           strcmp(state, "deleted") == 0;
}

/* As it is stored in 'version'; 'meeting' is moved. */
static void remember(struct room *room, json_t *meeting, uint64_t version)
{
    struct stored *stored = room->front;

    if (stored == NULL) {
        stored = room->front = calloc(1, sizeof(*stored));
    }
    if (stored == NULL) { /* its settings are then not written */
        json_decref(meeting);
        return;
    }
    json_decref(stored->meeting);
    stored->meeting = meeting;
    stored->version = version;
}

static void take_settings(struct signal *signal, struct room *room, json_t *meeting,
                          uint64_t version)
{
    const json_t *features = json_object_get(meeting, "features");
    const json_t *most = json_object_get(meeting, "max_participants");
    struct meeting_change change = {.layout = -1};

    room->stored = true;
    remember(room, json_incref(meeting), version);
    /* Those of a room that was restored are newer than any that are stored. */
    for (unsigned i = 0; i < N_MEETING_FLAGS && !(room->restored && room->loading); i++) {
        read_flag(i >= MEETING_FIRST_FEATURE ? features : meeting, i, &change);
    }
    change.name = json_string_value(json_object_get(meeting, "meeting_name"));
    change.max_participants = (uint32_t)json_integer_value(most);
    take_auto_record(room, meeting);
    meeting_stored_settings(signal->meeting, room, &change, is_over(meeting));
    if (room->front != NULL) {
        ((struct stored *)room->front)->max_participants = room->max_participants;
    }
}

json_t *load_settings(const struct room *room, const json_t *meeting)
{
    const struct stored *stored = room->front;
    json_t *whole = json_copy((json_t *)meeting);
    json_t *features = json_copy(json_object_get(meeting, "features"));

    for (unsigned i = 0; i < N_MEETING_FLAGS; i++) {
        (void)json_object_set_new(i >= MEETING_FIRST_FEATURE ? features : whole,
                                  meeting_flag_names[i],
                                  json_boolean((room->flags & UINT32_C(1) << i) != 0));
    }
    (void)json_object_set_new(whole, "features", features);
    if (room->name[0] != '\0') {
        (void)json_object_set_new(whole, "meeting_name", json_string(room->name));
    }
    /* else the node allows fewer than what is stored, which stays */
    if (stored == NULL || room->max_participants != stored->max_participants) {
        (void)json_object_set_new(whole, "max_participants",
                                  json_integer((json_int_t)room->max_participants));
    }
    (void)json_object_set_new(whole, "updated_at", encode_time(clock_wall_us()));
    return whole;
}

void load_forget(struct room *room)
{
    struct stored *stored = room->front;

    if (stored != NULL) {
        json_decref(stored->meeting);
    }
    free(stored);
    room->front = NULL;
}

void signal_meeting_changed(struct signal *signal, const char *tenant, const char *id,
                            const char *json, uint64_t version)
{
    struct room *room = meeting_find_room(signal->meeting, tenant, id);
    json_t *meeting = room != NULL ? json_loads(json, 0, NULL) : NULL;

    if (meeting != NULL) {
        take_settings(signal, room, meeting, version);
    }
    json_decref(meeting);
}

/* ---- documents ---- */

static void take_person(struct signal *signal, struct room *room,
                        const struct store_doc *doc, json_t *json)
{
    enum auth_role role;

    (void)json;
    if (auth_role_find(doc->state, &role)) {
        meeting_stored_person(signal->meeting, room, doc->ref, role);
    }
}

static void take_ban(struct signal *signal, struct room *room, const struct store_doc *doc,
                     json_t *json)
{
    (void)signal;
    (void)json;
    if (strcmp(doc->state, "banned") == 0) {
        meeting_stored_ban(room, doc->ref, true);
    }
}

static void take_reactions(struct chat_message *m, const json_t *list)
{
    size_t n = json_array_size(list);

    n = n < CHAT_REACTIONS ? n : CHAT_REACTIONS;
    m->reactions = n > 0 ? calloc(n, sizeof(*m->reactions)) : NULL;
    for (size_t i = 0; m->reactions != NULL && i < n; i++) {
        const json_t *one = json_array_get(list, i);
        struct chat_reaction *r = &m->reactions[m->n_reactions++];
        const char *user = json_string_value(json_array_get(one, 0));
        const char *emoji = json_string_value(json_array_get(one, 1));

        (void)snprintf(r->user_id, sizeof(r->user_id), "%s", user != NULL ? user : "");
        (void)snprintf(r->emoji, sizeof(r->emoji), "%s", emoji != NULL ? emoji : "");
    }
}

static void take_audience(struct chat_message *m, json_t *json)
{
    const char *to = text_of(json, "to");

    m->audience = (struct fact_audience){
        .reach = FACT_GROUP,
        .group = (uint8_t)json_integer_value(json_object_get(json, "group"))};
    if (to[0] != '\0') {
        m->audience.reach = FACT_PEOPLE;
        (void)snprintf(m->audience.from, sizeof(m->audience.from), "%s", m->user_id);
        (void)snprintf(m->audience.to, sizeof(m->audience.to), "%s", to);
    }
}

static void take_message(struct signal *signal, struct room *room,
                         const struct store_doc *doc, json_t *json)
{
    struct chat_message *m = calloc(1, sizeof(*m));

    (void)signal;
    if (m == NULL) {
        return;
    }
    m->text = strdup(text_of(json, "message"));
    if (m->text == NULL) {
        free(m);
        return;
    }
    m->len = strlen(m->text);
    (void)snprintf(m->id, sizeof(m->id), "%s", doc->id);
    (void)snprintf(m->user_id, sizeof(m->user_id), "%s", doc->ref);
    (void)snprintf(m->client_id, sizeof(m->client_id), "%s",
                   text_of(json, "client_message_id"));
    (void)snprintf(m->participant_id, sizeof(m->participant_id), "%s",
                   text_of(json, "participant_id"));
    (void)snprintf(m->name, sizeof(m->name), "%s", text_of(json, "display_name"));
    (void)snprintf(m->reply_to, sizeof(m->reply_to), "%s", text_of(json, "reply_to"));
    m->seq = (uint64_t)doc->at;
    m->sent_us = time_of(json, "timestamp");
    m->edited_us = time_of(json, "edited_at");
    m->deleted = json_is_true(json_object_get(json, "deleted"));
    take_audience(m, json);
    take_reactions(m, json_object_get(json, "reactors"));
    meeting_chat_restore(room, m);
}

static bool is_whole(const struct poll *poll)
{
    bool whole = true;

    for (unsigned i = 0; i < poll->n_options; i++) {
        whole = whole && poll->options[i] != NULL;
    }
    return whole;
}

static void take_poll(struct signal *signal, struct room *room, const struct store_doc *doc,
                      json_t *json)
{
    const json_t *options = json_object_get(json, "options");
    const json_t *votes = json_object_get(json, "votes");
    json_t *ballots = json_object_get(json, "ballots");
    struct poll *poll = calloc(1, sizeof(*poll));
    const char *user;
    json_t *choice;

    (void)signal;
    if (poll == NULL) {
        return;
    }
    (void)snprintf(poll->id, sizeof(poll->id), "%s", doc->id);
    poll->question = strdup(text_of(json, "question"));
    for (size_t i = 0; i < json_array_size(options) && i < POLL_OPTIONS; i++) {
        const char *option = json_string_value(json_array_get(options, i));

        poll->options[i] = strdup(option != NULL ? option : "");
        poll->votes[i] = (uint32_t)json_integer_value(json_array_get(votes, i));
        poll->n_options = (uint8_t)(i + 1);
    }
    poll->multiple = json_is_true(json_object_get(json, "multiple"));
    poll->anonymous = json_is_true(json_object_get(json, "anonymous"));
    poll->made_us = (uint64_t)doc->at;
    /* Without its ballots nobody could be kept from voting twice. */
    poll->closed = strcmp(doc->state, "open") != 0 || ballots == NULL;
    if (poll->question == NULL || poll->n_options < 2 || !is_whole(poll)) {
        meeting_poll_free(poll);
        return;
    }
    json_object_foreach(ballots, user, choice)
    {
        meeting_poll_ballot(poll, user, (uint32_t)json_integer_value(choice));
    }
    meeting_poll_restore(room, poll);
}

/* ---- answers ---- */

typedef void take_fn(struct signal *signal, struct room *room, const struct store_doc *doc,
                     json_t *json);

static void finish(struct load *load)
{
    struct room *room = room_of(load);

    if (load->err != 0) {
        log_error("room_not_read", LOG_STR("meeting_id", load->meeting),
                  LOG_STR("error", strerror(-load->err)));
    }
    if (room != NULL) {
        meeting_loaded(load->signal->meeting, room);
    }
    free(load);
}

static void end_one(struct load *load, int err)
{
    load->err = err != 0 && err != -ENOENT ? err : load->err;
    if (--load->n == 0) {
        finish(load);
    }
}

/* Counts one that was asked for; its answer comes from the loop, later. */
static void begin_one(struct load *load, int err)
{
    load->err = err != 0 ? err : load->err;
    load->n += err == 0;
}

static void take_all(struct load *load, const struct store_result *result, take_fn *take)
{
    for (size_t i = 0; result->err == 0 && i < result->n_docs; i++) {
        struct room *room = room_of(load);
        json_t *json = json_loads(result->docs[i].json, 0, NULL);

        if (room != NULL && json != NULL) {
            take(load->signal, room, &result->docs[i], json);
        }
        json_decref(json);
    }
    end_one(load, result->err);
}

static void take_meeting(struct signal *signal, struct room *room,
                         const struct store_doc *doc, json_t *json)
{
    take_settings(signal, room, json, doc->version);
}

static void on_meeting(void *arg, const struct store_result *result)
{
    take_all(arg, result, take_meeting);
}

static void on_people(void *arg, const struct store_result *result)
{
    take_all(arg, result, take_person);
}

static void on_bans(void *arg, const struct store_result *result)
{
    take_all(arg, result, take_ban);
}

static void on_messages(void *arg, const struct store_result *result)
{
    take_all(arg, result, take_message);
}

static void on_polls(void *arg, const struct store_result *result)
{
    take_all(arg, result, take_poll);
}

/* Of a room that was restored. What was told and not written went with the process before;
 * so that readers of events miss no number within an epoch, another one begins. */
static void on_head(void *arg, const struct store_result *result)
{
    struct load *load = arg;
    struct room *room = room_of(load);

    if (room != NULL && result->err == 0 &&
        (result->epoch != room->epoch || result->seq != room->seq)) {
        meeting_renumber(load->signal->meeting, room);
    }
    end_one(load, result->err);
}

void load_room(struct signal *signal, struct room *room)
{
    static const struct {
        enum store_kind kind;
        uint32_t limit;
        store_done *done;
    } parts[] = {{STORE_PARTICIPANT, MEETING_KNOWN / 2, on_people},
                 {STORE_BAN, MEETING_KNOWN / 2, on_bans},
                 {STORE_CHAT, CHAT_MAX, on_messages},
                 {STORE_POLL, POLL_MAX, on_polls}};
    struct load *load = signal->conf.store != NULL ? calloc(1, sizeof(*load)) : NULL;

    if (load == NULL) {
        meeting_loaded(signal->meeting, room);
        return;
    }
    load->signal = signal;
    memcpy(load->tenant, room->tenant, sizeof(room->tenant));
    memcpy(load->meeting, room->id, sizeof(room->id));
    begin_one(load, store_get(signal->conf.store, STORE_MEETING, load->tenant,
                              load->meeting, on_meeting, load));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct store_query query = {.kind = parts[i].kind,
                                          .tenant = room->tenant,
                                          .group = room->id,
                                          .limit = parts[i].limit,
                                          .descending = true,
                                          .alive_s = clock_wall_s()};

        begin_one(load, store_find(signal->conf.store, &query, parts[i].done, load));
    }
    if (room->restored) {
        begin_one(load, store_head(signal->conf.store, load->tenant, load->meeting, on_head,
                                   load));
    }
    if (load->n == 0) {
        finish(load);
    }
}
