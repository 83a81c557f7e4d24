/* Domain objects to the JSON that clients see, and what meeting/ tells to events. */
#include <stdlib.h>
#include <string.h>

#include "signal/priv.h"
#include "sys/clock.h"

static const char *const source_names[] = {[SOURCE_MIC] = "mic",
                                           [SOURCE_CAMERA] = "camera",
                                           [SOURCE_SCREEN] = "screen",
                                           [SOURCE_SCREEN_AUDIO] = "screen_audio"};

static const char *kind_of(const struct room_producer *rp)
{
    return rtp_kind_name(producer_params(rp->producer)->kind);
}

static json_t *encode_time(uint64_t wall_us)
{
    char text[CLOCK_RFC3339_LEN];

    clock_format(wall_us, text);
    return json_string(text);
}

json_t *encode_participant(const struct participant *p)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:o}", "participant_id", p->id, "user_id",
                     p->who.user_id, "display_name", p->name, "role",
                     auth_role_name(p->who.role), "joined_at", encode_time(p->joined_us));
}

json_t *encode_producer(const struct room_producer *rp)
{
    const struct participant *p = rp->transport->owner;

    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "producer_id", rp->id, "participant_id",
                     p->id, "user_id", p->who.user_id, "kind", kind_of(rp), "source",
                     source_names[rp->source], "paused",
                     (int)producer_is_paused(rp->producer));
}

static json_t *encode_permissions(const struct participant *p)
{
    json_t *list = json_array();

    for (enum auth_permission may = AUTH_VIEW; may < N_AUTH_PERMISSIONS; may++) {
        if (auth_may(p->who.role, &p->room->policy, may)) {
            (void)json_array_append_new(list, json_string(auth_permission_name(may)));
        }
    }
    return list;
}

json_t *encode_room_joined(struct signal *signal, const struct participant *self)
{
    const struct room *room = self->room;
    json_t *participants = json_array();
    json_t *producers = json_array();
    json_t *data = json_array();
    json_t *joined;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        (void)json_array_append_new(participants, encode_participant(p));
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            for (const struct data_producer *dp = t->data_producers; dp != NULL;
                 dp = dp->next) {
                if (p != self) {
                    (void)json_array_append_new(data, encode_data_producer(dp));
                }
            }
            for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                if (rp->ready && p != self) {
                    (void)json_array_append_new(producers, encode_producer(rp));
                }
            }
        }
    }
    joined = json_pack(
        "{s:{s:s,s:s},s:s,s:s,s:s,s:o,s:o,s:i,s:o,s:O,s:[],s:I,s:I,s:s,s:b}", "meeting",
        "id", room->id, "meeting_name", room->id, "participant_id", self->id, "user_id",
        self->who.user_id, "your_role", auth_role_name(self->who.role), "permissions",
        encode_permissions(self), "participants", participants, "participant_count",
        (int)room->n_participants, "producers", producers, "rtp_capabilities",
        signal->capabilities, "ice_servers", "epoch", (json_int_t)room->epoch, "seq",
        (json_int_t)room->seq, "resume_token", self->resume_token, "resumed", 0);
    (void)json_object_set_new(joined, "data_producers", data);
    return joined;
}

/* What its sender need not send. */
static json_t *encode_needed(const struct room_producer *rp)
{
    struct producer_layers layers;
    json_t *list = json_array();

    producer_layers(rp->producer, &layers);
    for (uint8_t i = 0; i < layers.n_spatial; i++) {
        (void)json_array_append_new(list, json_pack("{s:i,s:b}", "spatial", (int)i,
                                                    "needed", (int)(i <= rp->needed)));
    }
    return list;
}

/* Adds a score to 'event' (moved), and what it was made of. */
static json_t *encode_score(json_t *event, const struct score *score, bool sent)
{
    const struct score_detail *d = &score->detail;
    json_t *detail =
        json_pack("{s:i,s:I,s:f,s:f,s:f,s:b}", "score", (int)score->value, "bitrate_bps",
                  (json_int_t)d->bps, "loss", (double)d->loss, "jitter_ms",
                  (double)score->last.jitter_us / 1000, "rtt_ms",
                  (double)score->last.rtt_us / 1000, "freeze_suspected", (int)d->freeze);

    if (sent) {
        (void)json_object_set_new(detail, "key_frames",
                                  json_integer((json_int_t)score->last.keyframes));
    }
    (void)json_object_update(event, detail);
    json_decref(detail);
    return event;
}

json_t *encode_room_resumed(struct signal *signal, const struct participant *self)
{
    json_t *joined = encode_room_joined(signal, self);
    json_t *transports = json_array();
    json_t *producers = json_array();
    json_t *consumers = json_array();
    json_t *own_data = json_array();
    json_t *own_data_consumers = json_array();

    for (const struct transport *t = self->transports; t != NULL; t = t->next) {
        (void)json_array_append_new(transports,
                                    json_pack("{s:s,s:s,s:b}", "transport_id", t->id,
                                              "direction", t->send ? "send" : "recv",
                                              "data", (int)session_has_data(t->session)));
        for (const struct data_producer *dp = t->data_producers; dp != NULL;
             dp = dp->next) {
            (void)json_array_append_new(own_data, encode_data_producer(dp));
        }
        for (const struct data_consumer *dc = t->data_consumers; dc != NULL;
             dc = dc->next) {
            (void)json_array_append_new(own_data_consumers, encode_data_consumer(dc));
        }
        for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (rp->ready) {
                json_t *own = encode_producer(rp);

                (void)json_object_set_new(own, "layers", encode_needed(rp));
                (void)json_array_append_new(producers, own);
            }
        }
        for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            (void)json_array_append_new(consumers,
                                        json_pack("{s:s,s:s,s:b}", "consumer_id", rc->id,
                                                  "producer_id", rc->source->id, "paused",
                                                  (int)consumer_is_paused(rc->consumer)));
        }
    }
    (void)json_object_set_new(joined, "resumed", json_true());
    (void)json_object_set_new(joined, "own_transports", transports);
    (void)json_object_set_new(joined, "own_producers", producers);
    (void)json_object_set_new(joined, "own_consumers", consumers);
    (void)json_object_set_new(joined, "own_data_producers", own_data);
    (void)json_object_set_new(joined, "own_data_consumers", own_data_consumers);
    return joined;
}

static json_t *encode_candidates(const struct session_local *local)
{
    json_t *list = json_array();

    for (uint8_t i = 0; i < local->n_candidates; i++) {
        const struct session_candidate *c = &local->candidates[i];

        /* 'ip' is what older clients read */
        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:I,s:s,s:s,s:s,s:i,s:s}", "foundation", c->foundation,
                      "priority", (json_int_t)c->priority, "address", c->address, "ip",
                      c->address, "protocol", "udp", "port", (int)c->port, "type", "host"));
    }
    return list;
}

json_t *encode_transport(const struct transport *t)
{
    struct session_local local;

    session_local(t->session, &local);
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:b},s:o,s:{s:s,s:[{s:s,s:s}]},"
                     "s:{s:i,s:i,s:i,s:i,s:i,s:i}}",
                     "transport_id", t->id, "direction", t->send ? "send" : "recv",
                     "ice_parameters", "usernameFragment", local.ufrag, "password",
                     local.pwd, "iceLite", 1, "ice_candidates", encode_candidates(&local),
                     "dtls_parameters", "role", "auto", "fingerprints", "algorithm",
                     "sha-256", "value", local.fingerprint, "sctp_parameters", "port",
                     DSCTP_PORT, "OS", DSCTP_STREAMS, "MIS", DSCTP_STREAMS,
                     "maxMessageSize", DSCTP_MAX_MESSAGE, "maxSendMessageSize",
                     DSCTP_MAX_MESSAGE, "maxReceiveMessageSize", DSCTP_MAX_MESSAGE);
}

json_t *encode_data_producer(const struct data_producer *dp)
{
    const struct participant *p = dp->transport->owner;

    return json_pack("{s:s,s:s,s:s,s:s,s:s}", "data_producer_id", dp->id, "participant_id",
                     p->id, "user_id", p->who.user_id, "label", dp->label, "protocol",
                     dp->protocol);
}

json_t *encode_data_consumer(const struct data_consumer *dc)
{
    const struct dsctp_channel *c = &dc->channel;
    json_t *stream =
        json_pack("{s:i,s:b}", "streamId", (int)c->stream, "ordered", (int)!c->unordered);
    json_t *body = encode_data_producer(dc->source);

    if (c->reliability != DSCTP_RELIABLE) {
        (void)json_object_set_new(stream,
                                  c->reliability == DSCTP_LIFETIME ? "maxPacketLifeTime"
                                                                   : "maxRetransmits",
                                  json_integer(c->limit));
    }
    (void)json_object_set_new(body, "id", json_string(dc->id));
    (void)json_object_set_new(body, "data_consumer_id", json_string(dc->id));
    (void)json_object_set_new(body, "sctp_stream_parameters", stream);
    return body;
}

json_t *encode_ice(const struct transport *t)
{
    struct session_local local;

    session_local(t->session, &local);
    return json_pack("{s:s,s:{s:s,s:s,s:b}}", "transport_id", t->id, "ice_parameters",
                     "usernameFragment", local.ufrag, "password", local.pwd, "iceLite", 1);
}

static json_t *encode_layer(uint32_t spatial, uint32_t temporal)
{
    return spatial == 15
               ? json_null()
               : json_pack("{s:i,s:i}", "spatial", (int)spatial, "temporal", (int)temporal);
}

/* The dataplane's reasons (enum abi_layers_reason). */
json_t *encode_consumer_layers(const struct room_consumer *rc)
{
    static const char *const reasons[] = {"",          "started", "requested",
                                          "bandwidth", "source",  "no_keyframe"};
    uint32_t reason = rc->layers >> 16;
    uint32_t at = rc->layers != 0 ? rc->layers : 0xff00; /* nothing is sent yet */

    return json_pack("{s:s,s:s,s:o,s:o,s:s}", "consumer_id", rc->id, "producer_id",
                     rc->source->id, "current", encode_layer(at >> 12 & 15, at >> 8 & 15),
                     "target", encode_layer(at >> 4 & 15, at & 15), "reason",
                     reasons[reason < sizeof(reasons) / sizeof(reasons[0]) ? reason : 0]);
}

json_t *encode_consumer(const struct room_consumer *rc)
{
    static const char *const types[] = {[CONSUMER_SIMPLE] = "simple",
                                        [CONSUMER_SIMULCAST] = "simulcast",
                                        [CONSUMER_SVC] = "svc"};
    const struct participant *from = rc->source->transport->owner;
    struct producer_layers layers;
    struct rtp_params params;

    producer_layers(rc->source->producer, &layers);
    consumer_params(rc->consumer, &params);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:b}", "consumer_id", rc->id,
                     "producer_id", rc->source->id, "participant_id", from->id, "user_id",
                     from->who.user_id, "kind", kind_of(rc->source), "rtp_parameters",
                     rtp_params_write(&params), "type", types[consumer_type(&layers)],
                     "producer_paused", (int)producer_is_paused(rc->source->producer));
}

/* ---- events ---- */

/* What an event says of its subject. */
static json_t *encode_event(const struct meeting_event *event, const char **name)
{
    switch (event->kind) {
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
                         kind_of(event->producer), "source",
                         source_names[event->producer->source], "paused",
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
    }
    return NULL;
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
               : json_pack("{s:s}", "source", source_names[event->producer->source]);
}

static struct eio_msg *encode_message(const struct room *room,
                                      const struct meeting_event *event, bool legacy)
{
    const char *name = NULL;
    json_t *body = encode_event(event, &name);
    struct eio_msg *msg = NULL;

    if (body == NULL) {
        return NULL;
    }
    (void)json_object_set_new(body, "meeting_id", json_string(room->id));
    (void)json_object_set_new(body, "timestamp", encode_time(clock_wall_us()));
    if (event->seq != 0) {
        (void)json_object_set_new(body, "epoch", json_integer((json_int_t)room->epoch));
        (void)json_object_set_new(body, "seq", json_integer((json_int_t)event->seq));
    }
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
    json_decref(body);
    return msg;
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

/* Nobody leaves while a broadcast runs: a session that ends by it is ended at its next turn
 * (see engine_send). */
static void to_room(void *user, struct room *room, const struct participant *except,
                    const struct meeting_event *event)
{
    struct eio_msg *msgs[2] = {NULL, NULL}; /* in our words, and in the legacy dialect */

    (void)user;
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        struct client *client = p != except ? client_of(p) : NULL;
        struct eio_msg **msg = client != NULL ? &msgs[client->legacy] : NULL;

        if (msg != NULL && *msg == NULL) {
            *msg = encode_message(room, event, client->legacy);
        }
        if (msg != NULL && *msg != NULL) {
            client_send(client, *msg);
            client_push(client);
        }
    }
    eio_msg_unref(msgs[0]);
    eio_msg_unref(msgs[1]);
    forget_app_data(event);
}

static void to_one(void *user, struct participant *to, const struct meeting_event *event)
{
    struct client *client = client_of(to);
    struct eio_msg *msg =
        client != NULL ? encode_message(to->room, event, client->legacy) : NULL;

    (void)user;
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

const struct meeting_ops encode_ops = {
    .to_room = to_room, .to_one = to_one, .media_lost = media_lost};
