/* The service: HTTP requests and WebSockets on one side, Engine.IO sessions on the other;
 * see signal.h. A session's callbacks run inside of the calls that feed it, so nothing is
 * freed before signal_flush() at the end of each. */
#include "signal/signal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ortc.h"
#include "signal/priv.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { MAX_QUEUE_MSGS = 4096, MAX_QUEUE_BYTES = 4 << 20, UPGRADE_MS = 10000 };

static const struct net_header text_headers[] = {
    {"content-type", "text/plain; charset=UTF-8"},
    {"cache-control", "no-store"},
    /* Tokens come in the packets, never as cookies, so any page may speak to us. */
    {"access-control-allow-origin", "*"},
};

static const struct net_header json_headers[] = {
    {"content-type", "application/json"},
    {"cache-control", "no-store"},
    {"access-control-allow-origin", "*"},
};

static const struct net_header preflight_headers[] = {
    {"access-control-allow-origin", "*"},
    {"access-control-allow-methods", "GET, POST"},
    {"access-control-allow-headers", "content-type"},
    {"access-control-max-age", "86400"},
};

enum { N_HEADERS = 3, N_PREFLIGHT = 4 };

/* ---- clients ---- */

static void on_eio_message(void *ctx, bool binary, const uint8_t *data, size_t len)
{
    client_on_message(ctx, binary, data, len);
}

static void on_eio_close(void *ctx, enum eio_reason reason)
{
    client_on_close(ctx, eio_reason_name(reason));
}

static const struct eio_callbacks eio_callbacks = {.on_message = on_eio_message,
                                                   .on_close = on_eio_close};

static struct client *client_create(struct signal *signal, bool websocket)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    client->signal = signal;
    client->opened_us = clock_mono_us();
    entropy_id(client->sid, SIGNAL_SID);
    if (eio_create(&client->eio, &signal->eio_conf, &eio_callbacks, client, client->sid,
                   websocket, client->opened_us) != 0) {
        free(client);
        return NULL;
    }
    sio_decoder_init(&client->decoder, signal->conf.max_payload);
    HASH_ADD_STR(signal->by_sid, sid, client);
    if (client->hh.tbl == NULL) {
        eio_destroy(client->eio);
        free(client);
        return NULL;
    }
    client->next = signal->clients;
    client->at = &signal->clients;
    if (client->next != NULL) {
        client->next->at = &client->next;
    }
    signal->clients = client;
    signal->n_clients++;
    return client;
}

static void client_destroy(struct client *client)
{
    struct signal *signal = client->signal;

    client_on_close(client, client->gone ? client->gone_reason : "transport close");
    client_detach(client, client->gone_reason);
    for (struct reply *reply = client->replies; reply != NULL; reply = reply->next) {
        reply->client = NULL; /* its answer frees it */
    }
    HASH_DEL(signal->by_sid, client);
    *client->at = client->next;
    if (client->next != NULL) {
        client->next->at = client->at;
    }
    signal->n_clients--;
    if (client->poll != NULL) {
        net_req_set_data(client->poll, NULL);
        net_respond(client->poll, 503, text_headers, N_HEADERS, "", 0);
    }
    if (client->ws != NULL) {
        net_ws_set_data(client->ws, NULL);
        net_ws_close(client->ws, 1001, NULL);
    }
    sio_decoder_fini(&client->decoder);
    eio_destroy(client->eio);
    free(client);
}

static struct client *find_client(struct signal *signal, const char *sid)
{
    struct client *client = NULL;

    if (sid != NULL) {
        HASH_FIND_STR(signal->by_sid, sid, client);
    }
    return client;
}

/* ---- output ---- */

/* The listener's form of a message: made once for all that it goes to in a row. */
static struct net_buf *buf_of(struct signal *signal, struct eio_msg *msg)
{
    if (signal->last_msg != msg) {
        net_buf_unref(signal->last_buf);
        eio_msg_unref(signal->last_msg);
        signal->last_msg = eio_msg_ref(msg);
        signal->last_buf = net_buf_create(eio_msg_packet(msg), msg->len, msg->binary);
    }
    return signal->last_buf;
}

static void flush_poll(struct client *client)
{
    size_t len = client->poll != NULL ? eio_poll_len(client->eio) : 0;
    struct net_req *req = client->poll;
    char *body;

    if (len == 0) {
        return;
    }
    body = malloc(len);
    client->poll = NULL;
    net_req_set_data(req, NULL);
    if (body == NULL) {
        eio_on_poll_aborted(client->eio);
        net_respond(req, 503, text_headers, N_HEADERS, "", 0);
        return;
    }
    len = eio_take_poll(client->eio, body);
    net_respond(req, 200, text_headers, N_HEADERS, body, len);
    free(body);
}

static void flush_ws(struct client *client)
{
    struct eio_msg *msg;

    while ((msg = eio_take_frame(client->eio)) != NULL) {
        struct net_buf *buf = buf_of(client->signal, msg);

        if (client->ws != NULL &&
            (buf == NULL || net_ws_send(client->ws, buf) == -ENOMEM)) {
            client->drop = true; /* a message is lost; other failures come as on_ws_close */
        }
        eio_msg_unref(msg);
    }
    if (client->ws != NULL && eio_ws_must_close(client->eio)) {
        net_ws_close(client->ws, 1000, NULL);
    }
}

void signal_push(struct client *client)
{
    flush_poll(client);
    flush_ws(client);
}

void signal_flush(struct client *client)
{
    if (client->gone) {
        client_detach(client, client->gone_reason);
    }
    signal_push(client);
    if (eio_done(client->eio)) {
        client_destroy(client);
    }
}

/* ---- requests ---- */

static void refuse(struct net_req *req, enum eio_error error)
{
    const char *body = eio_error_body(error);

    net_respond(req, (unsigned)eio_error_status(error), json_headers, N_HEADERS, body,
                strlen(body));
}

static struct eio_request request_of(struct net_req *req, bool upgrade)
{
    return (struct eio_request){.get = net_req_method(req) == NET_GET,
                                .post = net_req_method(req) == NET_POST,
                                .upgrade = upgrade,
                                .eio = net_req_query(req, "EIO"),
                                .transport = net_req_query(req, "transport"),
                                .sid = net_req_query(req, "sid")};
}

static void on_get(struct signal *signal, struct client *client, struct net_req *req)
{
    enum eio_error error = EIO_OK;

    if (client == NULL) {
        client = client_create(signal, false);
        if (client == NULL) {
            net_respond(req, 503, text_headers, N_HEADERS, "", 0);
            return;
        }
    } else {
        error = eio_on_poll(client->eio, clock_mono_us());
    }
    if (error != EIO_OK) {
        refuse(req, error);
    } else {
        client->poll = req;
        net_req_set_data(req, client);
    }
    signal_flush(client);
}

static void on_post(struct client *client, struct net_req *req)
{
    size_t len = 0;
    const char *body = net_req_body(req, &len);
    enum eio_error error = eio_on_post_begin(client->eio, len, clock_mono_us());

    if (error == EIO_OK) {
        error = eio_on_post(client->eio, body != NULL ? body : "", len, clock_mono_us());
    }
    if (error != EIO_OK) {
        refuse(req, error);
    } else {
        net_respond(req, 200, text_headers, N_HEADERS, "ok", 2);
    }
    signal_flush(client);
}

bool signal_on_request(struct signal *signal, struct net_req *req)
{
    struct eio_request asked;
    struct client *client;
    enum eio_error error;

    if (strncmp(net_req_path(req), SIGNAL_PATH, strlen(SIGNAL_PATH)) != 0) {
        return false;
    }
    net_req_set_data(req, NULL);
    if (net_req_method(req) == NET_OPTIONS) {
        net_respond(req, 204, preflight_headers, N_PREFLIGHT, NULL, 0);
        return true;
    }
    asked = request_of(req, false);
    client = find_client(signal, asked.sid);
    error = eio_vet(&asked, client != NULL ? client->eio : NULL);
    if (error == EIO_OK && client == NULL &&
        signal->n_clients >= signal->conf.max_clients) {
        net_respond(req, 503, text_headers, N_HEADERS, "full", 4);
    } else if (error != EIO_OK) {
        refuse(req, error);
    } else if (asked.get || client == NULL) { /* a POST has a session, eio_vet() says */
        on_get(signal, client, req);
    } else {
        on_post(client, req);
    }
    return true;
}

void signal_on_abort(struct signal *signal, struct net_req *req)
{
    struct client *client = net_req_data(req);

    (void)signal;
    if (client != NULL && client->poll == req) {
        client->poll = NULL;
        eio_on_poll_aborted(client->eio);
        signal_flush(client);
    }
}

/* ---- WebSockets ---- */

int signal_on_ws_open(struct signal *signal, struct net_ws *ws, struct net_req *req)
{
    struct eio_request asked = request_of(req, true);
    struct client *client = find_client(signal, asked.sid);
    enum eio_error error;

    if (strncmp(net_req_path(req), SIGNAL_PATH, strlen(SIGNAL_PATH)) != 0) {
        return 404;
    }
    error = eio_vet(&asked, client != NULL ? client->eio : NULL);
    if (error != EIO_OK) {
        return eio_error_status(error);
    }
    if (client == NULL) {
        client = signal->n_clients < signal->conf.max_clients ? client_create(signal, true)
                                                              : NULL;
        if (client == NULL) {
            return 503;
        }
    } else if (eio_on_ws_open(client->eio, clock_mono_us()) != 0) {
        return 400;
    }
    client->ws = ws;
    net_ws_set_data(ws, client);
    signal_flush(client);
    return 0;
}

void signal_on_ws_message(struct signal *signal, struct net_ws *ws, const void *data,
                          size_t len, bool binary)
{
    struct client *client = net_ws_data(ws);

    (void)signal;
    if (client != NULL) {
        eio_on_ws_frame(client->eio, binary, data, len, clock_mono_us());
        signal_flush(client);
    }
}

void signal_on_ws_close(struct signal *signal, struct net_ws *ws, unsigned code)
{
    struct client *client = net_ws_data(ws);

    (void)signal;
    (void)code;
    if (client != NULL) {
        client->ws = NULL;
        eio_on_ws_closed(client->eio);
        signal_flush(client);
    }
}

/* ---- the service ---- */

static void on_tick(void *arg)
{
    struct signal *signal = arg;
    uint64_t now_us = clock_mono_us();
    struct client *next;

    for (struct client *client = signal->clients; client != NULL; client = next) {
        next = client->next; /* only this one can end in its turn */
        if (client->drop) {
            client_destroy(client);
            continue;
        }
        if (!client->connected &&
            now_us - client->opened_us > SIGNAL_CONNECT_S * UINT64_C(1000000)) {
            eio_close(client->eio, now_us);
        }
        if (eio_deadline(client->eio) <= now_us) {
            eio_on_tick(client->eio, now_us);
        }
        signal_flush(client);
    }
    meeting_tick(signal->meeting, now_us);
}

int signal_create(struct signal **out, const struct signal_conf *conf)
{
    struct signal *signal = calloc(1, sizeof(*signal));
    int e;

    if (signal == NULL) {
        return -ENOMEM;
    }
    signal->conf = *conf;
    signal->eio_conf = (struct eio_conf){.ping_interval_ms = conf->ping_interval_ms,
                                         .ping_timeout_ms = conf->ping_timeout_ms,
                                         .upgrade_timeout_ms = UPGRADE_MS,
                                         .max_payload = conf->max_payload,
                                         .max_queue_msgs = MAX_QUEUE_MSGS,
                                         .max_queue_bytes = MAX_QUEUE_BYTES};
    signal->capabilities = ortc_router_capabilities();
    e = signal->capabilities != NULL
            ? loop_timer_create(conf->loop, &signal->tick, on_tick, signal)
            : -ENOMEM;
    if (e != 0) {
        json_decref(signal->capabilities);
        free(signal);
        return e;
    }
    loop_timer_start(signal->tick, SIGNAL_TICK_MS, SIGNAL_TICK_MS);
    *out = signal;
    return 0;
}

void signal_set_meeting(struct signal *signal, struct meeting *meeting)
{
    signal->meeting = meeting;
}

const struct meeting_ops *signal_meeting_ops(void)
{
    return &encode_ops;
}

void signal_destroy(struct signal *signal)
{
    if (signal == NULL) {
        return;
    }
    for (struct client *client = signal->clients, *next; client != NULL; client = next) {
        next = client->next;
        client_leave(client, "node stopping");
        client_destroy(client);
    }
    loop_timer_destroy(signal->tick);
    net_buf_unref(signal->last_buf);
    eio_msg_unref(signal->last_msg);
    json_decref(signal->capabilities);
    free(signal);
}

uint32_t signal_n_clients(const struct signal *signal)
{
    return signal->n_clients;
}
