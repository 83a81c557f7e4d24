/* The events that clients send. What a payload holds was checked by the table of schema/
 * when a handler gets it; the handler calls meeting/ and answers exactly once. A bad
 * request changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/host.h"
#include "signal/priv.h"
#include "sys/clock.h"

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
    static const struct trace_tag resumed = {"kcs.resumed", "true", 0};
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
    trace_end(&client->join, "join", NULL, &resumed, 1);
    reply_ok(reply, encode_room_resumed(client->signal, client->participant));
}

/* Enters, now that what is stored of the meeting is known. */
static void enter(struct reply *reply, const char *meeting_id, const char *name)
{
    struct client *client = reply->client;
    struct meeting_error err;

    if (client->participant != NULL) {
        reply_fail(reply, "already_joined", "leave the room before joining another");
        return;
    }
    client->participant = meeting_enter(client->signal->meeting, &client->who, meeting_id,
                                        name, client, &err);
    if (client->participant == NULL) {
        fail(reply, &err);
        return;
    }
    client->participant->join = client->join;
    client->join = (struct trace_span){.begun_us = 0};
    if (client->participant->waiting) {
        reply->paired = client->legacy ? "waiting-for-host" : "lobby:waiting";
        reply_ok(reply, json_pack("{s:b,s:s,s:s}", "waiting", 1, "meeting_id",
                                  client->participant->room->id, "participant_id",
                                  client->participant->id));
        return;
    }
    reply_ok(reply, encode_room_joined(client->signal, client->participant));
}

/* One who joins and waits for his turn, or while the room is being read. */
struct joining {
    struct arrival arrival;
    struct reply *reply;
    char meeting_id[MEETING_ID_MAX + 1], name[NAME_MAX_BYTES + 1];
};

static void on_ready(void *arg)
{
    struct joining *j = arg;
    struct trace_scope scope;

    if (j->reply->client != NULL) {
        j->reply->client->joining = NULL;
        trace_enter(&scope, &j->reply->span.self, NULL, j->meeting_id, NULL);
        enter(j->reply, j->meeting_id, j->name);
        trace_leave(&scope);
    } else {
        reply_ok(j->reply, NULL); /* it is gone: frees the reply */
    }
    free(j);
}

/* It is his turn, or never. */
static void on_turn(void *arg, const struct meeting_error *err)
{
    struct joining *j = arg;
    struct client *client = j->reply->client;

    if (err != NULL) {
        client->joining = NULL;
        fail(j->reply, err);
        free(j);
    } else if (meeting_prepare(client->signal->meeting, &client->who, j->meeting_id, false,
                               on_ready, j)) {
        on_ready(j);
    }
}

void events_client_gone(struct client *client)
{
    struct joining *j = client->joining;

    if (j != NULL && j->arrival.entry.waits) {
        meeting_depart(client->signal->meeting, &j->arrival);
        reply_ok(j->reply, NULL); /* frees the reply */
        free(j);
    }
}

static void on_room_join(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    const json_t *capabilities;
    struct meeting_error err;
    struct joining *joining;
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
    if (client->joining != NULL) {
        reply_fail(reply, "already_joined", "you are joining already: wait for the answer");
        return;
    }
    if (resume_token[0] != '\0') {
        resume(reply, meeting_id, resume_token);
        return;
    }
    joining = calloc(1, sizeof(*joining));
    if (joining == NULL) {
        reply_fail(reply, "no_memory", "the node is out of memory");
        return;
    }
    joining->reply = reply;
    (void)snprintf(joining->meeting_id, sizeof(joining->meeting_id), "%s", meeting_id);
    (void)snprintf(joining->name, sizeof(joining->name), "%s", name);
    joining->arrival.transports = MEETING_TRANSPORTS;
    joining->arrival.ready = on_turn;
    joining->arrival.arg = joining;
    client->joining = joining;
    switch (meeting_arrive(client->signal->meeting, &client->who, meeting_id,
                           &joining->arrival, &err)) {
    case 0:
        on_turn(joining, NULL);
        break;
    case -EINPROGRESS:
        break;
    default:
        on_turn(joining, &err);
        break;
    }
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
        !field_enum(&f, "source", meeting_source_names, &source) ||
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

static void on_transport_stats(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    const char *id = json_string_value(json_object_get(payload, "transport_id"));
    struct transport_figures figures;
    struct meeting_error err;

    if (meeting_ask(client->participant, MEETING_RATE_LIST, &err) != 0 ||
        meeting_transport_stats(client->signal->meeting, client->participant, id, &figures,
                                &err) != 0) {
        reply_error(reply, &err);
        return;
    }
    reply_ok(reply,
             json_pack("{s:s,s:{s:s,s:I,s:I,s:I,s:I,s:I,s:f}}", "transport_id", id, "stats",
                       "state", figures.state, "rx_packets", (json_int_t)figures.rx_packets,
                       "rx_bytes", (json_int_t)figures.rx_bytes, "tx_packets",
                       (json_int_t)figures.tx_packets, "tx_bytes",
                       (json_int_t)figures.tx_bytes, "available_bps",
                       (json_int_t)figures.available_bps, "rtt_ms", figures.rtt_us / 1e3));
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

/* ---- who handles what ---- */

/* What each event is, who may send it and what it carries is in schema/; an event of that
 * table that has no line here is not built. */
static const struct {
    const char *name;
    event_fn *handler;
} handlers[] = {
    {"room:join", on_room_join},
    {"room:leave", on_room_leave},
    {"room:sync", on_room_sync},
    {"room:create", on_room_create},
    {"room:close", on_room_close},
    {"room:lock", on_room_lock},
    {"room:unlock", on_room_unlock},
    {"room:update", on_room_update},
    {"layout:change", on_layout_change},
    {"lobby:admit", on_lobby_admit},
    {"lobby:deny", on_lobby_deny},
    {"lobby:admit-all", on_lobby_admit_all},
    {"media:toggle", on_media_toggle},
    {"participant:mute", on_mute},
    {"participant:mute-all", on_mute_all},
    {"participant:unmute-request", on_unmute_request},
    {"participant:remove", on_remove},
    {"participant:role:update", on_role_update},
    {"participant:add", on_participant_add},
    {"participant:rename", on_rename},
    {"participant:list", on_participant_list},
    {"participant:pin", on_pin},
    {"participant:spotlight", on_spotlight},
    {"chat:send", on_chat_send},
    {"chat:edit", on_chat_edit},
    {"chat:delete", on_chat_delete},
    {"chat:react", on_chat_react},
    {"chat:history", on_chat_history},
    {"chat:read", on_chat_read},
    {"chat:typing", on_chat_typing},
    {"hand:raise", on_hand_raise},
    {"hand:lower", on_hand_lower},
    {"hand:lower-all", on_hand_lower_all},
    {"reaction:send", on_reaction},
    {"poll:create", on_poll_create},
    {"poll:vote", on_poll_vote},
    {"poll:close", on_poll_close},
    {"whiteboard:update", on_board_update},
    {"whiteboard:clear", on_board_clear},
    {"whiteboard:get", on_board_get},
    {"caption:segment", on_caption},
    {"recording:start", on_recording_start},
    {"recording:pause", on_recording_pause},
    {"recording:resume", on_recording_resume},
    {"recording:stop", on_recording_stop},
    {"stream:start", on_stream_start},
    {"stream:stop", on_stream_stop},
    {"stats:report", on_stats_report},
    {"auth:refresh", on_auth_refresh},
    {"breakout:create", on_breakout_create},
    {"breakout:assign", on_breakout_assign},
    {"breakout:open", on_breakout_open},
    {"breakout:join", on_breakout_join},
    {"breakout:broadcast", on_breakout_broadcast},
    {"breakout:close", on_breakout_close},
    {"transport:create", on_transport_create},
    {"transport:connect", on_transport_connect},
    {"transport:restart-ice", on_transport_restart_ice},
    {"transport:close", on_transport_close},
    {"transport:stats", on_transport_stats},
    {"produce", on_produce},
    {"produce:close", on_produce_close},
    {"produce:pause", on_produce_pause},
    {"produce:resume", on_produce_resume},
    {"consume", on_consume},
    {"consumer:pause", on_consumer_pause},
    {"consumer:resume", on_consumer_resume},
    {"consumer:close", on_consumer_close},
    {"consumer:layers", on_consumer_layers},
    {"quality:change", on_quality_change},
    {"consumer:priority", on_consumer_priority},
    {"consumer:keyframe", on_consumer_keyframe},
    {"view:set", on_view_set},
    {"data:produce", on_data_produce},
    {"data:consume", on_data_consume},
    {"data:close", on_data_close},
    {"screen:start", on_screen_start},
    {"screen:stop", on_screen_stop},
};

event_fn *events_handler(const char *name)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (strcmp(handlers[i].name, name) == 0) {
            return handlers[i].handler;
        }
    }
    return NULL;
}

/* What a host decides is told when it is written. */
static bool decides(event_fn *handler)
{
    static event_fn *const all[] = {on_room_close,     on_room_lock, on_room_unlock,
                                    on_room_update,    on_remove,    on_role_update,
                                    on_participant_add};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == handler) {
            return true;
        }
    }
    return false;
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

/* Whether who asks may do so; answers if not. */
static bool may(struct reply *reply, const struct schema_event *event)
{
    const struct client *client = reply->client;
    const struct participant *p = client->participant;
    enum auth_role role = p != NULL ? p->who.role : client->who.role;
    char text[160];

    if (p == NULL && (event->flags & SCHEMA_OUTSIDE) == 0) {
        reply_fail(reply, "not_joined",
                   client->legacy ? "join a meeting first (join-meeting)"
                                  : "join a room first (room:join)");
        return false;
    }
    if (p != NULL && p->waiting && (event->flags & SCHEMA_OUTSIDE) == 0 &&
        events_handler(event->name) != on_room_leave) {
        reply_fail(reply, "waiting", "a host has to let you in");
        return false;
    }
    if (!auth_may(role, p != NULL ? &p->room->policy : NULL, event->who)) {
        (void)snprintf(text, sizeof(text), "the role %s may not: it lacks %s",
                       auth_role_name(role), auth_permission_name(event->who));
        reply_fail(reply, "forbidden", text);
        return false;
    }
    return true;
}

/* Events that make something in the dataplane, or have it made anew. */
static bool makes(event_fn *handler)
{
    return handler == on_transport_create || handler == on_transport_restart_ice ||
           handler == on_produce || handler == on_consume || handler == on_data_produce ||
           handler == on_data_consume;
}

/* Whether the socket has not asked too often; answers if it has. Who comes into a large
 * meeting consumes hundreds at once. */
static bool not_too_often(struct reply *reply)
{
    static const struct rate_conf conf = {.per_s = 50, .burst = 1000};
    struct meeting_error err = {.code = "rate_limited"};

    err.retry_after_ms = rate_take(&reply->client->made, &conf, clock_mono_us());
    if (err.retry_after_ms == 0) {
        return true;
    }
    (void)snprintf(err.message, sizeof(err.message), "too often; wait %u ms",
                   err.retry_after_ms);
    reply_error(reply, &err);
    return false;
}

/* An event is a part of its client's join until that is done; then of what the client has
 * named. */
static const struct trace *parent_of(const struct client *client)
{
    const struct participant *p = client->participant;
    const struct trace_span *join = p != NULL ? &p->join : &client->join;

    return trace_is_open(join) ? &join->self : &client->trace;
}

/* Ends 'reply' in every case, if need be later. */
static void run(struct reply *reply, const struct schema_event *event,
                const json_t *payload)
{
    struct signal *signal = reply->client->signal;
    const struct participant *p = reply->client->participant;
    event_fn *handler = events_handler(event->name);
    struct schema_errors errors;

    reply->audit = audit_begin(reply->client, event, payload);
    if (handler == NULL) {
        reply_fail(reply, "not_implemented", "this node does not offer it yet");
    } else if (!may(reply, event) || (makes(handler) && !not_too_often(reply))) {
        return;
    } else if (!schema_check(payload, event->payload, &errors)) {
        reply_invalid(reply, &errors);
    } else if (reply->alias == NULL || legacy_sound(reply)) {
        if (p != NULL && decides(handler)) {
            hold_begin(signal, p->room);
        }
        handler(reply, payload);
        hold_end(signal);
    }
}

void events_dispatch(struct client *client, const char *name, const json_t *payload,
                     const char *fault, bool has_id, uint64_t id)
{
    const struct legacy_alias *alias =
        client->legacy && name != NULL ? legacy_find(name) : NULL;
    const struct schema_event *event = NULL;
    struct reply *reply = malloc(sizeof(*reply));
    struct trace_scope scope;
    const char *known = "unknown";
    json_t *asked = NULL;

    if (reply == NULL) {
        return; /* the client's ack times out; nothing was changed */
    }
    if (alias != NULL) {
        asked = legacy_request(alias, client, payload, &name);
        payload = asked;
    }
    if (name != NULL && (alias != NULL || !client->legacy)) {
        event = schema_event_find(name);
    }
    if (alias != NULL) {
        known = legacy_name(alias);
    } else if (event != NULL) { /* by the name that the client has used */
        known = strcmp(event->name, name) == 0 ? event->name : event->alias;
    }
    *reply = (struct reply){.client = client,
                            .has_id = has_id,
                            .id = id,
                            .event = known,
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
    trace_begin(&reply->span, parent_of(client), TRACE_SERVER);
    reply->since_us = clock_mono_us();
    reply->step = event != NULL ? quality_step_of(event->name) : 0;
    reply_enter(&scope, reply);
    if (fault != NULL) {
        struct schema_errors errors = {.n = 0};

        schema_error_add(&errors, "", fault);
        reply_invalid(reply, &errors);
    } else if (event == NULL) {
        reply_fail(reply, "unknown_event", "there is no such event");
    } else {
        run(reply, event, payload);
    }
    trace_leave(&scope);
}
