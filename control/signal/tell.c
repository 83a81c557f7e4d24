/* What meeting/ tells, to events; see priv.h. Each is encoded once a dialect, however many
 * get it; lasting facts are kept by the room, for room:sync. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/jtext.h"
#include "sfu/base/fnv.h"
#include "signal/priv.h"
#include "sys/clock.h"

/* What an event says of its subject. */
static json_t *encode_event(const struct meeting_event *event, const char **name)
{
    switch ((int)event->kind) {
    case MEETING_JOINED:
        *name = "participant:joined";
        return encode_participant(event->who);
    case MEETING_LEFT:
        *name = "participant:left";
        return json_pack("{s:s,s:s,s:s}", "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "reason", event->reason);
    case MEETING_NEW_PRODUCER:
        *name = "new-producer";
        return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b}", "producer_id",
                         event->producer->id, "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "display_name", event->who->name, "kind",
                         encode_kind(event->producer), "source",
                         meeting_source_names[event->producer->source], "paused",
                         (int)producer_is_paused(event->producer->producer));
    case MEETING_SPEAKER:
        *name = "speaker:active";
        return event->who == NULL
                   ? json_pack("{s:n,s:n,s:n}", "user_id", "participant_id", "producer_id")
                   : json_pack("{s:s,s:s,s:s}", "user_id", event->who->who.user_id,
                               "participant_id", event->who->id, "producer_id",
                               event->producer->id);
    case MEETING_CONSUMER_CLOSED:
        *name = "consumer:closed";
        return json_pack("{s:s,s:s,s:s}", "consumer_id", event->consumer->id, "producer_id",
                         event->producer->id, "reason", event->reason);
    case MEETING_CONSUMER_LAYERS:
        *name = "consumer:layers-changed";
        return encode_consumer_layers(event->consumer);
    case MEETING_PRODUCER_LAYERS:
        *name = "producer:layers";
        return json_pack("{s:s,s:o}", "producer_id", event->producer->id, "layers",
                         encode_needed(event->producer));
    case MEETING_SCREEN_STARTED:
    case MEETING_SCREEN_STOPPED:
        *name = event->kind == MEETING_SCREEN_STARTED ? "screen:started" : "screen:stopped";
        return json_pack("{s:s,s:s}", "participant_id", event->who->id, "user_id",
                         event->who->who.user_id);
    case MEETING_BANDWIDTH:
        *name = "bwe:downlink";
        return json_pack("{s:s,s:I}", "transport_id", event->transport->id, "available_bps",
                         (json_int_t)event->available_bps);
    case MEETING_NEW_DATA: {
        json_t *body = encode_data_producer(event->data);

        *name = "data:new";
        (void)json_object_set_new(body, "display_name", json_string(event->who->name));
        return body;
    }
    case MEETING_DATA_CLOSED:
        *name = "data:closed";
        return json_pack("{s:s,s:s,s:s,s:s}", "data_producer_id", event->data->id,
                         "participant_id", event->who->id, "user_id",
                         event->who->who.user_id, "reason", event->reason);
    case MEETING_DATA_CONSUMER_CLOSED:
        *name = "data:consumer-closed";
        return json_pack("{s:s,s:s,s:s}", "data_consumer_id", event->data_consumer->id,
                         "data_producer_id", event->data->id, "reason", event->reason);
    case MEETING_TRANSPORT_CLOSED:
        *name = "transport:closed";
        return json_pack("{s:s,s:s}", "transport_id", event->transport->id, "reason",
                         event->reason);
    case MEETING_PRODUCER_SCORE:
        *name = "producer:score";
        return encode_score(json_pack("{s:s}", "producer_id", event->producer->id),
                            &event->producer->score, true);
    case MEETING_CONSUMER_SCORE:
        *name = "consumer:score";
        return encode_score(json_pack("{s:s,s:s,s:i}", "consumer_id", event->consumer->id,
                                      "producer_id", event->consumer->source->id,
                                      "producer_score",
                                      (int)event->consumer->source->score.value),
                            &event->consumer->score, false);
    case MEETING_QUALITY_WARNING:
        *name = "quality:warning";
        return event->consumer != NULL
                   ? json_pack("{s:s,s:s,s:i}", "issue", event->reason, "consumer_id",
                               event->consumer->id, "score",
                               (int)event->consumer->score.value)
                   : json_pack("{s:s,s:s,s:i}", "issue", event->reason, "producer_id",
                               event->producer->id, "score",
                               (int)event->producer->score.value);
    case MEETING_PRODUCER_CLOSED:
    case MEETING_PRODUCER_PAUSED:
    case MEETING_PRODUCER_RESUMED:
        *name = event->kind == MEETING_PRODUCER_CLOSED   ? "producer:closed"
                : event->kind == MEETING_PRODUCER_PAUSED ? "producer:paused"
                                                         : "producer:resumed";
        return json_pack("{s:s,s:s,s:s}", "producer_id", event->producer->id,
                         "participant_id", event->who->id, "user_id",
                         event->who->who.user_id);
    case MEETING_RECORDING_STARTED:
    case MEETING_RECORDING_PAUSED:
    case MEETING_RECORDING_RESUMED:
    case MEETING_RECORDING_STOPPED:
    case MEETING_RECORDING_STATUS:
        return encode_recording_event(event, name);
    case MEETING_LIVE_STARTED:
    case MEETING_LIVE_STOPPED:
    case MEETING_LIVE_STATUS:
        return encode_live_event(event, name);
    default:
        return encode_people_event(event, name);
    }
}

/* The client of a participant of ours, NULL if it is away or another front's. */
static struct client *client_of(const struct participant *p)
{
    return p->front == MEETING_SOCKET ? p->client : NULL;
}

/* What a legacy client has said of its producer; of others' the source. */
static json_t *app_data_of(const struct meeting_event *event)
{
    const struct client *client = client_of(event->who);
    json_t *said =
        client != NULL ? json_object_get(client->app_data, event->producer->id) : NULL;

    return said != NULL
               ? json_incref(said)
               : json_pack("{s:s}", "source", meeting_source_names[event->producer->source]);
}

/* The whole of an event in our words, NULL if it has none. */
static json_t *encode_whole(const struct room *room, const struct meeting_event *event,
                            const char **name)
{
    json_t *body = encode_event(event, name);

    if (body == NULL) {
        return NULL;
    }
    (void)json_object_set_new(body, "meeting_id", json_string(room->id));
    (void)json_object_set_new(body, "timestamp", encode_time(clock_wall_us()));
    if (event->seq != 0) {
        (void)json_object_set_new(body, "epoch", json_integer((json_int_t)room->epoch));
        (void)json_object_set_new(body, "seq", json_integer((json_int_t)event->seq));
    }
    return body;
}

/* What is soon stale has a topic: the newest of it is all that who reads slowly need have.
 * 0: it has to arrive. Lasting facts do, and so does what builds on what was told before
 * (rosters, the whiteboard). */
static uint64_t topic_of(const struct meeting_event *event)
{
    const char *about = "";
    char text[16 + MEETING_OBJECT_ID];

    switch ((int)event->kind) {
    case MEETING_SPEAKER:
    case MEETING_LOBBY:
    case MEETING_COUNT:
    case MEETING_REACTION:
    case MEETING_REACTION_COUNTS:
        break;
    case MEETING_CHAT_READ:
    case MEETING_TYPING:
        about = event->who->id;
        break;
    case MEETING_BANDWIDTH:
        about = event->transport->id;
        break;
    case MEETING_CONSUMER_LAYERS:
    case MEETING_CONSUMER_SCORE:
        about = event->consumer->id;
        break;
    case MEETING_PRODUCER_LAYERS:
    case MEETING_PRODUCER_SCORE:
        about = event->producer->id;
        break;
    case MEETING_QUALITY_WARNING:
        about = event->consumer != NULL ? event->consumer->id : event->producer->id;
        break;
    default:
        return 0;
    }
    (void)snprintf(text, sizeof(text), "%d %s", (int)event->kind, about);
    return fnv64(text, strlen(text)) | 1; /* never 0 */
}

/* The message for a dialect; 'body' is moved. NULL without memory, or if the dialect does
 * not have the event. */
static struct eio_msg *encode_message(const struct meeting_event *event, const char *name,
                                      json_t *body, bool legacy)
{
    struct eio_msg *msg = NULL;

    if (legacy) {
        if (event->kind == MEETING_NEW_PRODUCER) {
            (void)json_object_set_new(body, "app_data", app_data_of(event));
        }
        body = legacy_event(&name, body);
    }
    if (body == NULL ||
        sio_event_write(legacy ? LEGACY_NSP : SIGNAL_NSP, name, body, &msg) != 0) {
        msg = NULL;
    }
    if (msg != NULL) {
        msg->topic = topic_of(event);
    }
    json_decref(body);
    return msg;
}

static void keep_fact(struct room *room, const struct meeting_event *event,
                      const char *name, const json_t *body)
{
    char *words = jtext_make(body, JSON_COMPACT);

    if (words == NULL) {
        facts_clear(&room->facts, event->seq);
        return;
    }
    facts_add(&room->facts, event->seq, name, &event->audience, words, strlen(words));
    free(words);
}

/* A producer that is no more leaves nothing behind. */
static void forget_app_data(const struct meeting_event *event)
{
    /* others may be about nobody */
    struct client *client =
        event->kind == MEETING_PRODUCER_CLOSED ? client_of(event->who) : NULL;

    if (client != NULL && client->app_data != NULL) {
        (void)json_object_del(client->app_data, event->producer->id);
    }
}

/* The same under another name, which the interface has too. */
static void tell_alias(const struct room *room, const struct participant *except,
                       const char *name, json_t *body)
{
    struct eio_msg *msg;

    if (sio_event_write(SIGNAL_NSP, name, body, &msg) != 0) {
        return;
    }
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        struct client *client = p != except ? client_of(p) : NULL;

        if (client != NULL && !client->legacy) {
            client_send(client, msg);
            client_push(client);
        }
    }
    eio_msg_unref(msg);
}

/* Nobody leaves while a broadcast runs: a session that ends by it is ended at its next turn
 * (see engine_send). */
static void to_room(void *user, struct room *room, const struct participant *except,
                    const struct meeting_event *event)
{
    struct eio_msg *msgs[2] = {NULL, NULL}; /* in our words, and in the legacy dialect */
    bool tried[2] = {false, false};
    const char *name = NULL;
    json_t *body = encode_whole(room, event, &name);

    if (body != NULL && event->seq != 0) {
        keep_fact(room, event, name, body);
        keep_event(user, room, event, name, body);
    }
    if (event->kind == MEETING_JOINED && client_of(event->who) != NULL) {
        hold_newcomer(user, room, client_of(event->who));
    }
    for (struct participant *p = event->kept_only || body == NULL ? NULL
                                                                  : room->participants;
         p != NULL; p = p->next) {
        struct client *client = p != except ? client_of(p) : NULL;
        bool legacy = client != NULL && client->legacy;

        if (client == NULL || !meeting_sees(p, &event->audience)) {
            continue;
        }
        if (!tried[legacy]) {
            tried[legacy] = true;
            msgs[legacy] = encode_message(
                event, name, legacy ? json_copy(body) : json_incref(body), legacy);
        }
        if (msgs[legacy] != NULL) {
            client_send(client, msgs[legacy]);
            client_push(client);
        }
    }
    if (body != NULL && event->kind == MEETING_MEDIA_UPDATED && !event->kept_only) {
        tell_alias(room, except, "media:updated", body);
    }
    json_decref(body);
    eio_msg_unref(msgs[0]);
    eio_msg_unref(msgs[1]);
    forget_app_data(event);
}

/* What room:join would have answered. */
static void tell_admitted(struct signal *signal, struct client *client)
{
    json_t *joined = encode_room_joined(signal, client->participant);

    if (client->legacy) {
        client_emit(client, "meeting-joined", legacy_joined(joined));
    } else {
        (void)json_object_set_new(joined, "meeting_id",
                                  json_string(client->participant->room->id));
        (void)json_object_set_new(joined, "timestamp", encode_time(clock_wall_us()));
        client_emit(client, "lobby:admitted", joined);
    }
    client_push(client);
}

static void to_one(void *user, struct participant *to, const struct meeting_event *event)
{
    struct client *client = client_of(to);
    const char *name = NULL;
    json_t *body;
    struct eio_msg *msg;

    if (client != NULL && event->kind == MEETING_ADMITTED) {
        tell_admitted(user, client);
        return;
    }
    body = client != NULL ? encode_whole(to->room, event, &name) : NULL;
    msg = body != NULL ? encode_message(event, name, body, client->legacy) : NULL;
    if (msg != NULL) {
        client_send(client, msg);
        client_push(client);
        eio_msg_unref(msg);
    }
}

/* The connection is dropped, not closed: a Socket.IO client then reconnects by itself. */
static void media_lost(void *user, struct participant *who)
{
    (void)user;
    client_drop(who->client);
}

static void ended(void *user, struct participant *who)
{
    struct client *client = client_of(who);

    (void)user;
    if (client != NULL) {
        client->participant = NULL;
    }
}

static void load(void *user, struct room *room)
{
    load_room(user, room);
}

static void unload(void *user, struct room *room)
{
    (void)user; /* may be gone already */
    load_forget(room);
}

const struct meeting_ops encode_ops = {.to_room = to_room,
                                       .to_one = to_one,
                                       .media_lost = media_lost,
                                       .ended = ended,
                                       .load = load,
                                       .unload = unload,
                                       .recorded = keep_recording};
