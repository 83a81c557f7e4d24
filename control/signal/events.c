/* The events that clients send. Each handler checks the payload, calls meeting/ and answers
 * exactly once; a bad request changes nothing. See docs/api.md for names and shapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/host.h"
#include "signal/priv.h"

enum { ID_MAX = 128, NAME_MAX_BYTES = MEETING_NAME_MAX, APP_DATA_MAX_BYTES = 4096 };

static void fail_invalid(struct reply *reply, const struct fields *f)
{
    reply_fail(reply, "invalid", f->error);
}

static void fail(struct reply *reply, const struct meeting_error *err)
{
    reply_error(reply, err);
}

/* ---- rooms ---- */

static void resume(struct reply *reply, const char *meeting_id, const char *token)
{
    struct client *client = reply->client;
    struct meeting_error err;
    void *old = NULL;

    client->participant = meeting_resume(client->signal->meeting, &client->who, meeting_id,
                                         token, client, &old, &err);
    if (client->participant == NULL) {
        fail(reply, &err);
        return;
    }
    if (old != NULL) {
        struct client *before = old;

        before->participant = NULL; /* its connection is dead, we just had not noticed */
        client_drop(before);
    }
    reply_ok(reply, encode_room_resumed(client->signal, client->participant));
}

static void on_room_join(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const json_t *capabilities;
    const char *resume_token;
    const char *meeting_id;
    const char *name;

    (void)field_text(&f, "meeting_id", MEETING_ID_MAX, true, &meeting_id);
    (void)field_text(&f, "display_name", NAME_MAX_BYTES, true, &name);
    (void)field_text(&f, "resume_token", ID_MAX, false, &resume_token);
    (void)field_object(&f, "rtp_capabilities", false, &capabilities);
    if (f.error[0] != '\0') {
        fail_invalid(reply, &f);
        return;
    }
    if (client->participant != NULL) {
        reply_fail(reply, "already_joined", "leave the room before joining another");
        return;
    }
    if (resume_token[0] != '\0') {
        resume(reply, meeting_id, resume_token);
        return;
    }
    client->participant = meeting_enter(client->signal->meeting, &client->who, meeting_id,
                                        name, client, &err);
    if (client->participant == NULL) {
        fail(reply, &err);
        return;
    }
    if (client->participant->waiting) {
        reply->paired = client->legacy ? "waiting-for-host" : "lobby:waiting";
        reply_ok(reply, json_pack("{s:b,s:s,s:s}", "waiting", 1, "meeting_id",
                                  client->participant->room->id, "participant_id",
                                  client->participant->id));
        return;
    }
    reply_ok(reply, encode_room_joined(client->signal, client->participant));
}

static void on_room_leave(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    const char *meeting_id;

    (void)field_text(&f, "meeting_id", MEETING_ID_MAX, false, &meeting_id);
    if (f.error[0] != '\0') {
        fail_invalid(reply, &f);
        return;
    }
    if (meeting_id[0] != '\0' &&
        strcmp(meeting_id, reply->client->participant->room->id) != 0) {
        reply_fail(reply, "not_found", "you are not in that meeting");
        return;
    }
    client_leave(reply->client, "left");
    reply_ok(reply, NULL);
}

/* ---- transports ---- */

static void on_transport_created(void *arg, const struct meeting_error *err, void *object)
{
    if (err != NULL) {
        fail(arg, err);
    } else {
        reply_ok(arg, encode_transport(object));
    }
}

static void on_transport_create(struct reply *reply, const json_t *payload)
{
    static const char *const directions[] = {"send", "recv", NULL};
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    int direction;

    if (!field_enum(&f, "direction", directions, &direction)) {
        fail_invalid(reply, &f);
        return;
    }
    if (meeting_transport_create(client->signal->meeting, client->participant,
                                 direction == 0, on_transport_created, reply, &err) != 0) {
        fail(reply, &err);
    }
}

static void on_transport_connect(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct session_dtls dtls;
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "transport_id", ID_MAX, true, &id) ||
        !field_dtls(&f, "dtls_parameters", &dtls)) {
        fail_invalid(reply, &f);
        return;
    }
    if (meeting_transport_connect(reply->client->participant, id, &dtls, &err) != 0) {
        fail(reply, &err);
        return;
    }
    reply_ok(reply, json_pack("{s:s}", "transport_id", id));
}

static void on_transport_restart_ice(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    const struct transport *t;
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "transport_id", ID_MAX, true, &id)) {
        fail_invalid(reply, &f);
        return;
    }
    t = meeting_transport_restart_ice(reply->client->participant, id, &err);
    if (t == NULL) {
        fail(reply, &err);
        return;
    }
    reply_ok(reply, encode_ice(t));
}

/* ---- producers ---- */

/* What the client said of its producer, for those who will hear of it. */
static void keep_app_data(const struct reply *reply, const char *producer_id)
{
    json_t *app_data = json_object_get(reply->asked, "app_data");

    if (reply->client != NULL && app_data != NULL) {
        if (reply->client->app_data == NULL) {
            reply->client->app_data = json_object();
        }
        (void)json_object_set(reply->client->app_data, producer_id, app_data);
    }
}

static void on_produced(void *arg, const struct meeting_error *err, void *object)
{
    const struct room_producer *rp = object;

    if (err != NULL) {
        fail(arg, err);
        return;
    }
    keep_app_data(arg, rp->id);
    reply_ok(arg, json_pack("{s:s,s:s}", "producer_id", rp->id, "kind",
                            rtp_kind_name(producer_params(rp->producer)->kind)));
}

static void on_produce(struct reply *reply, const json_t *payload)
{
    static const char *const kinds[] = {"audio", "video", NULL};
    static const char *const sources[] = {"mic", "camera", "screen", "screen_audio", NULL};
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct rtp_error wrong = {.path = ""};
    const json_t *json_params;
    struct rtp_params params;
    struct meeting_error err;
    const char *id;
    char text[288];
    int source = 0;
    int kind = 0;
    bool paused;

    if (!field_text(&f, "transport_id", ID_MAX, true, &id) ||
        !field_enum(&f, "kind", kinds, &kind) ||
        !field_enum(&f, "source", sources, &source) ||
        !field_bool(&f, "paused", false, &paused) ||
        !field_object(&f, "rtp_parameters", true, &json_params)) {
        fail_invalid(reply, &f);
        return;
    }
    if (rtp_params_parse(json_params, &params, &wrong) != 0) {
        (void)snprintf(text, sizeof(text), "/rtp_parameters%s: %s", wrong.path,
                       wrong.reason);
        reply_fail(reply, "invalid", text);
        return;
    }
    if (meeting_produce(client->signal->meeting, client->participant, id,
                        kind == 0 ? RTP_KIND_AUDIO : RTP_KIND_VIDEO, &params,
                        (enum meeting_source)source, paused, on_produced, reply,
                        &err) != 0) {
        fail(reply, &err);
    }
}

/* ---- consumers ---- */

static void on_consumed(void *arg, const struct meeting_error *err, void *object)
{
    if (err != NULL) {
        fail(arg, err);
    } else {
        reply_ok(arg, encode_consumer(object));
    }
}

static void on_consume(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct rtp_error wrong = {.path = ""};
    const json_t *json_caps;
    const char *transport_id;
    const char *producer_id;
    struct meeting_error err;
    struct ortc_caps caps;
    char text[288];

    if (!field_text(&f, "transport_id", ID_MAX, true, &transport_id) ||
        !field_text(&f, "producer_id", ID_MAX, true, &producer_id) ||
        !field_object(&f, "rtp_capabilities", true, &json_caps)) {
        fail_invalid(reply, &f);
        return;
    }
    if (ortc_parse_caps(json_caps, &caps, &wrong) != 0) {
        (void)snprintf(text, sizeof(text), "/rtp_capabilities%s: %s", wrong.path,
                       wrong.reason);
        reply_fail(reply, "invalid", text);
        return;
    }
    if (meeting_consume(client->signal->meeting, client->participant, transport_id,
                        producer_id, NULL, &caps, on_consumed, reply, &err) != 0) {
        fail(reply, &err);
    }
}

/* ---- events that name one object and do one thing to it ---- */

typedef int id_call(struct client *client, const char *id, struct meeting_error *err);

/* Reads the id in 'field', makes the call and answers; 'tell' repeats the id in the answer.
 */
static void with_id(struct reply *reply, const json_t *payload, const char *field,
                    id_call *call, bool tell)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, field, ID_MAX, true, &id)) {
        fail_invalid(reply, &f);
    } else if (call(reply->client, id, &err) != 0) {
        fail(reply, &err);
    } else {
        reply_ok(reply, tell ? json_pack("{s:s}", field, id) : NULL);
    }
}

static int do_transport_close(struct client *client, const char *id,
                              struct meeting_error *err)
{
    return meeting_transport_close(client->signal->meeting, client->participant, id, err);
}

static void on_transport_close(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "transport_id", do_transport_close, false);
}

static int do_produce_close(struct client *client, const char *id,
                            struct meeting_error *err)
{
    return meeting_producer_close(client->signal->meeting, client->participant, id, err);
}

static void on_produce_close(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "producer_id", do_produce_close, false);
}

static int do_produce_pause(struct client *client, const char *id,
                            struct meeting_error *err)
{
    return meeting_producer_pause(client->signal->meeting, client->participant, id, true,
                                  err);
}

static void on_produce_pause(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "producer_id", do_produce_pause, false);
}

static int do_produce_resume(struct client *client, const char *id,
                             struct meeting_error *err)
{
    return meeting_producer_pause(client->signal->meeting, client->participant, id, false,
                                  err);
}

static void on_produce_resume(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "producer_id", do_produce_resume, false);
}

static int do_consumer_close(struct client *client, const char *id,
                             struct meeting_error *err)
{
    return meeting_consumer_close(client->signal->meeting, client->participant, id, err);
}

static void on_consumer_close(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "consumer_id", do_consumer_close, false);
}

static int do_consumer_pause(struct client *client, const char *id,
                             struct meeting_error *err)
{
    return meeting_consumer_pause(client->participant, id, true, err);
}

static void on_consumer_pause(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "consumer_id", do_consumer_pause, true);
}

static int do_consumer_resume(struct client *client, const char *id,
                              struct meeting_error *err)
{
    return meeting_consumer_pause(client->participant, id, false, err);
}

static void on_consumer_resume(struct reply *reply, const json_t *payload)
{
    with_id(reply, payload, "consumer_id", do_consumer_resume, true);
}

/* ---- the table ---- */

struct event {
    const char *name;
    void (*handler)(struct reply *reply, const json_t *payload);
    const char *paired;
    bool outside; /* may come from outside of a room */
};

static const struct event events[] = {
    {"room:join", on_room_join, "room:joined", true},
    {"room:leave", on_room_leave, NULL, false},
    {"room:sync", on_room_sync, NULL, false},
    {"room:create", on_room_create, "room:created", true},
    {"room:close", on_room_close, NULL, false},
    {"room:lock", on_room_lock, "room:updated", false},
    {"room:unlock", on_room_unlock, "room:updated", false},
    {"room:update", on_room_update, "room:updated", false},
    {"layout:change", on_layout_change, NULL, false},
    {"lobby:admit", on_lobby_admit, "lobby:updated", false},
    {"lobby:deny", on_lobby_deny, "lobby:updated", false},
    {"lobby:admit-all", on_lobby_admit_all, "lobby:updated", false},
    {"media:toggle", on_media_toggle, "media:updated", false},
    {"participant:mute", on_mute, NULL, false},
    {"participant:mute-all", on_mute_all, NULL, false},
    {"participant:unmute-request", on_unmute_request, NULL, false},
    {"participant:remove", on_remove, NULL, false},
    {"participant:role:update", on_role_update, NULL, false},
    {"participant:add", on_participant_add, NULL, false},
    {"participant:rename", on_rename, NULL, false},
    {"participant:list", on_participant_list, NULL, false},
    {"participant:pin", on_pin, "participant:pinned", false},
    {"participant:spotlight", on_spotlight, NULL, false},
    {"chat:send", on_chat_send, "chat:message", false},
    {"chat:edit", on_chat_edit, "chat:edited", false},
    {"chat:delete", on_chat_delete, "chat:deleted", false},
    {"chat:react", on_chat_react, "chat:reaction", false},
    {"chat:history", on_chat_history, NULL, false},
    {"chat:read", on_chat_read, NULL, false},
    {"chat:typing", on_chat_typing, NULL, false},
    {"hand:raise", on_hand_raise, "hand:raised", false},
    {"hand:lower", on_hand_lower, "hand:lowered", false},
    {"hand:lower-all", on_hand_lower_all, NULL, false},
    {"reaction:send", on_reaction, NULL, false},
    {"poll:create", on_poll_create, NULL, false},
    {"poll:vote", on_poll_vote, NULL, false},
    {"poll:close", on_poll_close, NULL, false},
    {"whiteboard:update", on_board_update, NULL, false},
    {"whiteboard:clear", on_board_clear, NULL, false},
    {"whiteboard:get", on_board_get, NULL, false},
    {"caption:segment", on_caption, NULL, false},
    {"stats:report", on_stats_report, NULL, false},
    {"auth:refresh", on_auth_refresh, NULL, true},
    {"breakout:create", on_breakout_create, NULL, false},
    {"breakout:assign", on_breakout_assign, NULL, false},
    {"breakout:open", on_breakout_open, NULL, false},
    {"breakout:join", on_breakout_join, NULL, false},
    {"breakout:broadcast", on_breakout_broadcast, NULL, false},
    {"breakout:close", on_breakout_close, NULL, false},
    {"transport:create", on_transport_create, "transport:created", false},
    {"transport:connect", on_transport_connect, "transport:connected", false},
    {"transport:restart-ice", on_transport_restart_ice, NULL, false},
    {"transport:close", on_transport_close, NULL, false},
    {"produce", on_produce, "producer:created", false},
    {"producer:create", on_produce, "producer:created", false},
    {"produce:close", on_produce_close, NULL, false},
    {"produce:pause", on_produce_pause, NULL, false},
    {"produce:resume", on_produce_resume, NULL, false},
    {"consume", on_consume, "consumer:created", false},
    {"consumer:create", on_consume, "consumer:created", false},
    {"consumer:pause", on_consumer_pause, "consumer:paused", false},
    {"consumer:resume", on_consumer_resume, "consumer:resumed", false},
    {"consumer:close", on_consumer_close, NULL, false},
    {"consumer:layers", on_consumer_layers, "consumer:layers-changed", false},
    {"quality:change", on_quality_change, "consumer:layers-changed", false},
    {"consumer:priority", on_consumer_priority, NULL, false},
    {"consumer:keyframe", on_consumer_keyframe, NULL, false},
    {"view:set", on_view_set, NULL, false},
    {"data:produce", on_data_produce, "data:produced", false},
    {"data:consume", on_data_consume, "data:consumed", false},
    {"data:close", on_data_close, NULL, false},
    {"screen:start", on_screen_start, "screen:started", false},
    {"screen:stop", on_screen_stop, "screen:stopped", false},
};

/* Named by the API, not built yet: they say so rather than pretend. */
static const char *const later[] = {
    "transport:stats",  "hand:raise",      "hand:lower",         "chat:send",        "chat:edit",       "chat:delete",        "chat:history",     "chat:read",       "chat:typing",        "recording:start",  "recording:pause", "recording:resume",   "recording:stop",
    "stream:start",     "stream:stop",     "breakout:create",    "breakout:open",    "breakout:join",   "breakout:broadcast", "breakout:close",
    "poll:create",      "poll:vote",       "poll:close",         "whiteboard:clear", "caption:segment", "stats:report",   };

static const struct event *find_event(const char *name)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i].name, name) == 0) {
            return &events[i];
        }
    }
    return NULL;
}

static const char *find_later(const char *name)
{
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (strcmp(later[i], name) == 0) {
            return later[i];
        }
    }
    return NULL;
}

/* Whether a legacy request is sound in what its dialect has beyond ours. */
static bool legacy_sound(struct reply *reply)
{
    const struct participant *p = reply->client->participant;
    const json_t *id = json_object_get(reply->asked, "meeting_id");
    const json_t *app_data = json_object_get(reply->asked, "app_data");

    if (p != NULL && json_is_string(id) &&
        strcmp(json_string_value(id), p->room->id) != 0) {
        reply_fail(reply, "not_found", "you are not in that meeting");
        return false;
    }
    if (app_data != NULL && (!json_is_object(app_data) ||
                             json_dumpb(app_data, NULL, 0, 0) > APP_DATA_MAX_BYTES)) {
        reply_fail(reply, "invalid", "/appData: must be an object of at most 4096 bytes");
        return false;
    }
    return true;
}

void events_dispatch(struct client *client, const char *name, const json_t *payload,
                     bool has_id, uint64_t id)
{
    const struct legacy_alias *alias =
        client->legacy && name != NULL ? legacy_find(name) : NULL;
    const struct event *event = NULL;
    const char *known_later = NULL;
    struct reply *reply = malloc(sizeof(*reply));
    json_t *asked = NULL;

    if (reply == NULL) {
        return; /* the client's ack times out; nothing was changed */
    }
    if (alias != NULL) {
        asked = legacy_request(alias, client, payload, &name);
        payload = asked;
    }
    if (name != NULL && (alias != NULL || !client->legacy)) {
        event = find_event(name);
        known_later = event == NULL ? find_later(name) : NULL;
    }
    *reply = (struct reply){.client = client,
                            .has_id = has_id,
                            .id = id,
                            .event = alias != NULL         ? legacy_name(alias)
                                     : event != NULL       ? event->name
                                     : known_later != NULL ? known_later
                                                           : "unknown",
                            .paired = alias != NULL   ? legacy_paired(alias)
                                      : event != NULL ? event->paired
                                                      : NULL,
                            .alias = alias,
                            .asked = asked,
                            .next = client->replies,
                            .at = &client->replies};
    if (reply->next != NULL) {
        reply->next->at = &reply->next;
    }
    client->replies = reply;
    if (known_later != NULL) {
        reply_fail(reply, "not_implemented", "this node does not offer it yet");
    } else if (event == NULL) {
        reply_fail(reply, "unknown_event", "there is no such event");
    } else if (fields_hide_text(payload)) { /* its depth was bounded when it was parsed */
        reply_fail(reply, "invalid", "a string must not contain a null character");
    } else if (!event->outside && client->participant != NULL &&
               client->participant->waiting && event->handler != on_room_leave) {
        reply_fail(reply, "waiting", "a host has to let you in");
    } else if (!event->outside && client->participant == NULL) {
        reply_fail(reply, "not_joined",
                   client->legacy ? "join a meeting first (join-meeting)"
                                  : "join a room first (room:join)");
    } else if (alias == NULL || legacy_sound(reply)) {
        event->handler(reply, payload);
    }
}
