/* Domain objects to the JSON that clients see; see priv.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/breakout.h"
#include "meeting/host.h"
#include "signal/priv.h"
#include "sys/clock.h"

const char *encode_kind(const struct room_producer *rp)
{
    return rtp_kind_name(producer_params(rp->producer)->kind);
}

json_t *encode_time(uint64_t wall_us)
{
    char text[CLOCK_RFC3339_LEN];

    clock_format(wall_us, text);
    return json_string(text);
}

json_t *encode_producer(const struct room_producer *rp)
{
    const struct participant *p = rp->transport->owner;

    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "producer_id", rp->id, "participant_id",
                     p->id, "user_id", p->who.user_id, "kind", encode_kind(rp), "source",
                     meeting_source_names[rp->source], "paused",
                     (int)producer_is_paused(rp->producer));
}

json_t *encode_permissions(const struct participant *p)
{
    json_t *list = json_array();

    for (enum auth_permission may = AUTH_VIEW; may < N_AUTH_PERMISSIONS; may++) {
        if (auth_may(p->who.role, &p->room->policy, may)) {
            (void)json_array_append_new(list, json_string(auth_permission_name(may)));
        }
    }
    return list;
}

/* Where a list goes on: behind this one. */
json_t *encode_cursor(const struct participant *p)
{
    char text[32 + MEETING_OBJECT_ID];

    (void)snprintf(text, sizeof(text), "%llu.%s", (unsigned long long)p->joined_us, p->id);
    return json_string(text);
}

/* What the others send who are where 'self' is. */
json_t *encode_producers(const struct participant *self)
{
    json_t *list = json_array();

    for (const struct participant *p = self->room->senders; p != NULL; p = p->next_sender) {
        const struct transport *t =
            p != self && p->group == self->group ? p->transports : NULL;

        for (; t != NULL; t = t->next) {
            for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                if (rp->ready) {
                    (void)json_array_append_new(list, encode_producer(rp));
                }
            }
        }
    }
    return list;
}

json_t *encode_data_producers(const struct participant *self)
{
    json_t *list = json_array();

    for (const struct participant *p = self->room->senders; p != NULL; p = p->next_sender) {
        const struct transport *t =
            p != self && p->group == self->group ? p->transports : NULL;

        for (; t != NULL; t = t->next) {
            for (const struct data_producer *dp = t->data_producers; dp != NULL;
                 dp = dp->next) {
                (void)json_array_append_new(list, encode_data_producer(dp));
            }
        }
    }
    return list;
}

json_t *encode_room_joined(struct signal *signal, struct participant *self)
{
    const struct meeting_page first = {.query = "", .after_id = "", .limit = MEETING_PAGE};
    struct participant *page[MEETING_PAGE];
    const struct room *room = self->room;
    uint32_t total;
    bool more;
    size_t n = meeting_list(self, &first, page, &total, &more);
    json_t *participants = json_array();
    json_t *producers = encode_producers(self);
    json_t *data = encode_data_producers(self);
    json_t *joined;

    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(participants, encode_participant(page[i]));
    }
    joined = json_pack(
        "{s:{s:s,s:s},s:s,s:s,s:s,s:o,s:o,s:i,s:o,s:O,s:o,s:I,s:I,s:s,s:b}", "meeting",
        "id", room->id, "meeting_name", room->name[0] != '\0' ? room->name : room->id,
        "participant_id", self->id, "user_id", self->who.user_id, "your_role",
        auth_role_name(self->who.role), "permissions", encode_permissions(self),
        "participants", participants, "participant_count", (int)room->n_participants,
        "producers", producers, "rtp_capabilities", signal->capabilities, "ice_servers",
        turn_json(&signal->conf.ice_servers, self->who.user_id, clock_wall_s()), "epoch",
        (json_int_t)room->epoch, "seq", (json_int_t)room->seq, "resume_token",
        self->resume_token, "resumed", 0);
    (void)json_object_set_new(joined, "data_producers", data);
    (void)json_object_set_new(joined, "next_cursor",
                              more ? encode_cursor(page[n - 1]) : json_null());
    (void)json_object_set_new(joined, "polls", encode_polls(room));
    (void)json_object_set_new(joined, "breakouts", encode_breakouts(room));
    (void)json_object_set_new(joined, "breakout_id",
                              meeting_breakout_of(self) != NULL
                                  ? json_string(meeting_breakout_of(self))
                                  : json_null());
    (void)json_object_set_new(joined, "recording_id",
                              room->recording != NULL ? json_string(room->recording->id)
                                                      : json_null());
    (void)json_object_set_new(joined, "live_stream", encode_live(room->live));
    (void)json_object_set_new(joined, "settings", encode_settings(room));
    (void)json_object_set_new(joined, "spotlight",
                              room->spotlight[0] != '\0' ? json_string(room->spotlight)
                                                         : json_null());
    return joined;
}

/* What its sender need not send. */
json_t *encode_needed(const struct room_producer *rp)
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
json_t *encode_score(json_t *event, const struct score *score, bool sent)
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

json_t *encode_room_resumed(struct signal *signal, struct participant *self)
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

static json_t *encode_layer(const struct meeting_layer *layer)
{
    return layer->any
               ? json_pack("{s:i,s:i}", "spatial", layer->spatial, "temporal", layer->temporal)
               : json_null();
}

json_t *encode_consumer_layers(const struct room_consumer *rc)
{
    const struct meeting_layers layers = meeting_layers_read(rc->layers);

    return json_pack("{s:s,s:s,s:o,s:o,s:s}", "consumer_id", rc->id, "producer_id",
                     rc->source->id, "current", encode_layer(&layers.current), "target",
                     encode_layer(&layers.target), "reason", layers.reason);
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
                     from->who.user_id, "kind", encode_kind(rc->source), "rtp_parameters",
                     rtp_params_write(&params), "type", types[consumer_type(&layers)],
                     "producer_paused", (int)producer_is_paused(rc->source->producer));
}
