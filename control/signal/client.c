/* Who is in the namespace: tokens, answers, leaving; see priv.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signal/priv.h"
#include "sys/clock.h"

void client_send(struct client *client, struct eio_msg *msg)
{
    sio_conn_send(client->socket, msg);
}

void client_push(struct client *client)
{
    engine_push(sio_conn_peer(client->socket->conn));
}

void client_drop(struct client *client)
{
    engine_drop(sio_conn_peer(client->socket->conn));
}

void client_emit(struct client *client, const char *event, json_t *payload)
{
    struct eio_msg *msg;

    if (payload != NULL &&
        sio_event_write(client->socket->nsp, event, payload, &msg) == 0) {
        client_send(client, msg);
        eio_msg_unref(msg);
    }
    json_decref(payload);
}

/* ---- answers ---- */

static void end_audit(struct reply *reply, const char *code)
{
    audit_end(reply->audit, reply->client, code);
    reply->audit = NULL;
}

/* The span of an event that has its answer; 'code' is the error's, or NULL. */
static void end_span(struct reply *reply, const char *code)
{
    const struct client *client = reply->client;
    const struct participant *p = client != NULL ? client->participant : NULL;
    const struct trace_tag tags[] = {
        {"kcs.meeting_id", p != NULL ? p->room->id : "", 0},
        {"kcs.participant_id", p != NULL ? p->id : "", 0}};

    trace_end(&reply->span, reply->event, client == NULL ? "gone" : code, tags,
              p != NULL ? sizeof(tags) / sizeof(tags[0]) : 0);
}

void reply_enter(struct trace_scope *scope, const struct reply *reply)
{
    const struct client *client = reply->client;
    const struct participant *p = client != NULL ? client->participant : NULL;

    trace_enter(scope, &reply->span.self, NULL, p != NULL ? p->room->id : NULL,
                p != NULL ? p->id : NULL);
}

/* The end of a reply. */
static void drop_reply(struct reply *reply)
{
    end_span(reply, NULL);
    audit_end(reply->audit, NULL, NULL);
    if (reply->client != NULL) {
        *reply->at = reply->next;
        if (reply->next != NULL) {
            reply->next->at = reply->at;
        }
    }
    json_decref(reply->asked);
    free(reply);
}

static void send_ack(struct reply *reply, json_t *body)
{
    sio_conn_packet(reply->client->socket, SIO_ACK, &reply->id, json_pack("[o]", body),
                    NULL, 0);
}

void reply_ok(struct reply *reply, json_t *fields)
{
    struct client *client = reply->client;

    if (client == NULL) {
        json_decref(fields);
        drop_reply(reply);
        return;
    }
    end_audit(reply, NULL);
    quality_step(reply);
    if (fields == NULL) {
        fields = json_object();
    }
    if (reply->alias != NULL) {
        json_t *theirs = legacy_answer(reply->alias, reply->asked, fields);

        json_decref(fields);
        fields = theirs;
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
    client_push(client); /* the dataplane's answer came: no flush follows by itself */
}

/* 'more' (moved, NULL for none) are members of the error beside code and message. */
static void fail(struct reply *reply, const char *code, const char *message, json_t *more)
{
    struct client *client = reply->client;
    json_t *error;

    if (client == NULL) {
        json_decref(more);
        drop_reply(reply);
        return;
    }
    end_audit(reply, code);
    end_span(reply, code);
    error = json_pack("{s:s,s:s}", "code", code, "message", message);
    (void)json_object_update(error, more);
    json_decref(more);
    if (reply->has_id) {
        send_ack(reply, json_pack("{s:b,s:o}", "ok", 0, "error", error));
    } else {
        (void)json_object_set_new(error, "event", json_string(reply->event));
        client_emit(client, "error", error);
    }
    drop_reply(reply);
    client_push(client);
}

void reply_fail(struct reply *reply, const char *code, const char *message)
{
    fail(reply, code, message, NULL);
}

void reply_overloaded(struct reply *reply, const char *message)
{
    fail(reply, "overloaded", message,
         json_pack("{s:I}", "retry_after_ms", (json_int_t)MEETING_RETRY_MS));
}

void reply_error(struct reply *reply, const struct meeting_error *err)
{
    fail(reply, err->code, err->message,
         err->retry_after_ms != 0
             ? json_pack("{s:I}", "retry_after_ms", (json_int_t)err->retry_after_ms)
             : NULL);
}

/* A legacy client knows the fields by its own names. */
static json_t *errors_of(const struct reply *reply, struct schema_errors *errors)
{
    for (size_t i = 0; reply->alias != NULL && i < errors->n; i++) {
        legacy_path(errors->at[i].path, sizeof(errors->at[i].path));
    }
    return schema_errors_json(errors);
}

void reply_invalid(struct reply *reply, struct schema_errors *errors)
{
    json_t *more = json_pack("{s:o}", "errors", errors_of(reply, errors));
    char message[SCHEMA_PATH_LEN + SCHEMA_REASON_LEN + 4];
    const struct schema_error *first = &errors->at[0];

    (void)snprintf(message, sizeof(message), "%s%s%s", first->path,
                   first->path[0] != '\0' ? ": " : "", first->reason);
    fail(reply, "invalid", message, more);
}

void reply_seq(struct reply *reply, json_t *fields)
{
    const struct participant *p = reply->client->participant;

    if (fields == NULL) {
        fields = json_object();
    }
    (void)json_object_set_new(fields, "epoch", json_integer((json_int_t)p->room->epoch));
    (void)json_object_set_new(fields, "seq", json_integer((json_int_t)p->room->seq));
    reply_ok(reply, fields);
}

void reply_done(struct reply *reply, int ret, const struct meeting_error *err,
                json_t *fields)
{
    if (ret != 0) {
        json_decref(fields);
        reply_error(reply, err);
    } else {
        reply_seq(reply, fields);
    }
}

/* ---- in and out of the room ---- */

void client_leave(struct client *client, const char *reason)
{
    struct participant *p = client->participant;

    if (p != NULL) {
        client->participant = NULL;
        meeting_leave(client->signal->meeting, p, reason);
    }
}

static void detach(struct client *client, const char *reason)
{
    struct participant *p = client->participant;

    if (p != NULL) {
        client->participant = NULL;
        meeting_detach(client->signal->meeting, p, reason);
    }
}

/* ---- in and out of the namespace ---- */

static struct client *client_create(struct signal *signal, struct sio_socket *socket)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    client->signal = signal;
    client->socket = socket;
    client->next = signal->clients;
    client->at = &signal->clients;
    if (client->next != NULL) {
        client->next->at = &client->next;
    }
    signal->clients = client;
    return client;
}

static bool on_connect(void *user, struct sio_socket *socket, const json_t *auth,
                       struct sio_refusal *why)
{
    const char *token = json_string_value(json_object_get(auth, "token"));
    const char *parent = json_string_value(json_object_get(auth, "traceparent"));
    struct trace trace = *engine_trace(sio_conn_peer(socket->conn));
    struct signal *signal = user;
    struct auth_identity who;
    struct trace_span join;
    struct trace_span step;
    struct client *client;
    int err;

    if (strcmp(socket->nsp, SIGNAL_NSP) != 0 && strcmp(socket->nsp, LEGACY_NSP) != 0) {
        *why = (struct sio_refusal){.message = "Invalid namespace"};
        return false;
    }
    *why = (struct sio_refusal){.code = "token_missing",
                                .message = "a token is needed: connect with auth: {token}"};
    if (token == NULL) {
        return false;
    }
    if (parent != NULL) { /* browsers cannot give a WebSocket's handshake a header */
        (void)traceparent_parse(parent, &trace);
    }
    trace_begin(&join, &trace, TRACE_SERVER);
    trace_begin(&step, &join.self, TRACE_INTERNAL);
    why->message = "the token was refused";
    err = auth_verify(signal->conf.auth, token, strlen(token), clock_wall_s(), &who,
                      &why->code);
    trace_end(&step, "token", err != 0 ? why->code : NULL, NULL, 0);
    if (err != 0) {
        trace_end(&join, "join", why->code, NULL, 0);
        return false;
    }
    client = client_create(signal, socket);
    if (client == NULL) {
        *why = (struct sio_refusal){.code = "no_memory", .message = "the node is full"};
        return false;
    }
    client->who = who;
    client->trace = trace;
    client->join = join;
    client->legacy = strcmp(socket->nsp, LEGACY_NSP) == 0;
    socket->data = client;
    return true;
}

static void on_event(void *user, struct sio_socket *socket, struct sio_packet *packet)
{
    (void)user;
    events_dispatch(socket->data, json_string_value(json_array_get(packet->data, 0)),
                    json_array_get(packet->data, 1), packet->fault, packet->has_id,
                    packet->id);
}

static void on_close(void *user, struct sio_socket *socket, bool left, const char *reason)
{
    struct client *client = socket->data;

    (void)user;
    if (left) {
        client_leave(client, reason);
    } else {
        detach(client, reason);
    }
    for (struct reply *reply = client->replies; reply != NULL; reply = reply->next) {
        reply->client = NULL; /* its answer frees it */
    }
    events_client_gone(client);
    trace_end(&client->join, "join", "not_joined", NULL, 0);
    *client->at = client->next;
    if (client->next != NULL) {
        client->next->at = client->at;
    }
    json_decref(client->app_data);
    free(client);
}

const struct sio_conn_ops client_ops = {
    .on_connect = on_connect, .on_event = on_event, .on_close = on_close};
