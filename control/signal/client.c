/* One session above Engine.IO: the namespace, packets in and out, acks; see priv.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "signal/priv.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"

void client_send(struct client *client, struct eio_msg *msg)
{
    if (!client->gone) {
        (void)eio_send(client->eio, msg); /* a full queue closes the session by itself */
    }
}

void client_emit(struct client *client, const char *event, json_t *payload)
{
    struct eio_msg *msg;

    if (payload != NULL && sio_event_write(SIGNAL_NSP, event, payload, &msg) == 0) {
        client_send(client, msg);
        eio_msg_unref(msg);
    }
    json_decref(payload);
}

/* Writes a packet of 'type'; 'data' is moved. */
static void send_packet(struct client *client, enum sio_type type, const char *nsp,
                        const uint64_t *id, json_t *data)
{
    struct sio_packet packet = {.type = type, .has_id = id != NULL, .data = data};
    struct eio_msg *msg;

    if (id != NULL) {
        packet.id = *id;
    }
    memcpy(packet.nsp, nsp, strlen(nsp) + 1);
    if (sio_packet_write(&packet, &msg) == 0) {
        client_send(client, msg);
        eio_msg_unref(msg);
    }
    sio_packet_fini(&packet);
}

/* ---- answers ---- */

/* The end of a reply. */
static void drop_reply(struct reply *reply)
{
    if (reply->client != NULL) {
        *reply->at = reply->next;
        if (reply->next != NULL) {
            reply->next->at = reply->at;
        }
    }
    free(reply);
}

static void send_ack(struct reply *reply, json_t *body)
{
    send_packet(reply->client, SIO_ACK, SIGNAL_NSP, &reply->id, json_pack("[o]", body));
}

void reply_ok(struct reply *reply, json_t *fields)
{
    struct client *client = reply->client;

    if (client == NULL) {
        json_decref(fields);
        drop_reply(reply);
        return;
    }
    if (fields == NULL) {
        fields = json_object();
    }
    if (reply->has_id) {
        json_t *body = json_pack("{s:b}", "ok", 1);

        (void)json_object_update(body, fields);
        send_ack(reply, body);
    }
    if (reply->paired != NULL) {
        client_emit(client, reply->paired, json_incref(fields));
    }
    json_decref(fields);
    drop_reply(reply);
    signal_push(client); /* the dataplane's answer came: no flush follows by itself */
}

void reply_fail(struct reply *reply, const char *code, const char *message)
{
    struct client *client = reply->client;

    if (client == NULL) {
        drop_reply(reply);
        return;
    }
    if (reply->has_id) {
        send_ack(reply, json_pack("{s:b,s:{s:s,s:s}}", "ok", 0, "error", "code", code,
                                  "message", message));
    } else {
        client_emit(client, "error",
                    json_pack("{s:s,s:s,s:s}", "code", code, "message", message, "event",
                              reply->event));
    }
    drop_reply(reply);
    signal_push(client);
}

/* ---- packets ---- */

static void refuse_connect(struct client *client, const char *nsp, const char *message,
                           const char *code)
{
    send_packet(client, SIO_CONNECT_ERROR, nsp, NULL,
                code != NULL
                    ? json_pack("{s:s,s:{s:s}}", "message", message, "data", "code", code)
                    : json_pack("{s:s}", "message", message));
}

static void on_connect(struct client *client, const struct sio_packet *packet)
{
    const char *token = json_string_value(json_object_get(packet->data, "token"));
    const char *code = "token_missing";
    int e;

    if (strcmp(packet->nsp, SIGNAL_NSP) != 0) {
        refuse_connect(client, packet->nsp, "Invalid namespace", NULL);
        return;
    }
    e = token == NULL
            ? -EPERM
            : auth_verify(client->signal->conf.auth, token, strlen(token),
                          (int64_t)(clock_wall_us() / 1000000), &client->who, &code);
    if (e != 0) {
        refuse_connect(client, packet->nsp,
                       token == NULL ? "a token is needed: connect with auth: {token}"
                                     : "the token was refused",
                       code);
        return;
    }
    client->connected = true;
    entropy_id(client->socket, SIGNAL_SID);
    send_packet(client, SIO_CONNECT, SIGNAL_NSP, NULL,
                json_pack("{s:s}", "sid", client->socket));
}

void client_leave(struct client *client, const char *reason)
{
    struct participant *p = client->participant;

    if (p != NULL) {
        client->participant = NULL;
        meeting_leave(client->signal->meeting, p, reason);
    }
}

void client_detach(struct client *client, const char *reason)
{
    struct participant *p = client->participant;

    if (p != NULL) {
        client->participant = NULL;
        meeting_detach(client->signal->meeting, p, reason);
    }
}

/* A packet for a namespace that is not open, or a second CONNECT, ends the session, as with
 * Socket.IO's own server: the two sides do not agree on their state. */
static void on_packet(struct client *client, const struct sio_packet *packet)
{
    bool open = client->connected && strcmp(packet->nsp, SIGNAL_NSP) == 0;

    if (open ? packet->type == SIO_CONNECT || packet->type == SIO_CONNECT_ERROR
             : packet->type != SIO_CONNECT) {
        log_debug("socketio_wrong_state", LOG_I64("type", (int64_t)packet->type));
        eio_close(client->eio, clock_mono_us());
        return;
    }
    switch (packet->type) {
    case SIO_CONNECT:
        on_connect(client, packet);
        break;
    case SIO_DISCONNECT:
        client_leave(client, "client namespace disconnect");
        client->connected = false;
        client->opened_us = clock_mono_us();
        break;
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        events_dispatch(client, json_string_value(json_array_get(packet->data, 0)),
                        json_array_get(packet->data, 1), packet->has_id, packet->id);
        break;
    default: /* acks: we ask for none */
        break;
    }
}

void client_on_message(struct client *client, bool binary, const uint8_t *data, size_t len)
{
    struct sio_packet packet = {.data = NULL};
    int e = binary
                ? sio_decoder_feed_binary(&client->decoder, data, len, &packet)
                : sio_decoder_feed_text(&client->decoder, (const char *)data, len, &packet);

    if (e == -EAGAIN) {
        return; /* attachments are still to come */
    }
    if (e != 0) {
        log_debug("socketio_bad_packet", LOG_I64("error", e));
        eio_close(client->eio, clock_mono_us());
        return;
    }
    on_packet(client, &packet);
    sio_packet_fini(&packet);
}

void client_on_close(struct client *client, const char *reason)
{
    client->gone = true;
    client->gone_reason = reason;
    client->connected = false;
}
