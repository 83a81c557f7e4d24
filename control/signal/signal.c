/* The service: the engine of SIGNAL_PATH, and who is in the namespace; see signal.h. */
#include "signal/signal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ortc.h"
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"
#include "sys/loop.h"

static const struct engine_ops engine_ops = {.on_open = sio_conn_on_open,
                                             .on_message = sio_conn_on_message,
                                             .on_close = sio_conn_on_close};

bool signal_on_request(struct signal *signal, struct net_req *req)
{
    return engine_on_request(signal->engine, req);
}

void signal_on_abort(struct signal *signal, struct net_req *req)
{
    (void)signal;
    engine_on_abort(req);
}

int signal_on_ws_open(struct signal *signal, struct net_ws *ws, struct net_req *req)
{
    return engine_on_ws_open(signal->engine, ws, req);
}

void signal_on_ws_message(struct signal *signal, struct net_ws *ws, const void *data,
                          size_t len, bool binary)
{
    (void)signal;
    engine_on_ws_message(ws, data, len, binary);
}

void signal_on_ws_close(struct signal *signal, struct net_ws *ws, unsigned code)
{
    (void)signal;
    (void)code;
    engine_on_ws_close(ws);
}

/* Those who do not know yet that the node is going to stop, or that it is not. */
static void draining_tick(struct signal *signal)
{
    uint64_t now_us = clock_mono_us();
    uint64_t left_us = signal->drains_us > now_us ? signal->drains_us - now_us : 0;
    bool on = signal->drains_us != 0;

    for (struct client *client = signal->clients; client != NULL; client = client->next) {
        if (client->told_draining == on || client->legacy) {
            continue;
        }
        client->told_draining = on;
        client_emit(client, "server:draining",
                    on ? json_pack("{s:I}", "deadline_ms", (json_int_t)(left_us / 1000))
                       : json_pack("{s:b}", "cancelled", 1));
        client_push(client);
    }
}

void signal_draining(struct signal *signal, uint64_t until_us)
{
    bool later = signal->drains_us != 0 && until_us != 0;

    for (struct client *client = later ? signal->clients : NULL; client != NULL;
         client = client->next) {
        client->told_draining = false; /* the deadline is another one */
    }
    signal->drains_us = until_us;
    draining_tick(signal);
}

void signal_set_limits(struct signal *signal, uint32_t max_clients,
                       const struct callers_conf *callers)
{
    engine_set_limits(signal->engine, max_clients, callers);
}

static void on_tick(void *arg)
{
    struct signal *signal = arg;

    meeting_tick(signal->meeting, clock_mono_us());
    tokens_tick(signal);
    draining_tick(signal);
    quality_tick(signal);
    figures_tick(signal);
    if (signal->writer != NULL) {
        store_writer_tick(signal->writer, clock_mono_us());
        hold_tick(signal, clock_mono_us());
    }
}

int signal_create(struct signal **out, const struct signal_conf *conf)
{
    struct signal *signal = calloc(1, sizeof(*signal));
    const struct engine_conf engine = {.loop = conf->loop,
                                       .path = SIGNAL_PATH,
                                       .ping_interval_ms = conf->ping_interval_ms,
                                       .ping_timeout_ms = conf->ping_timeout_ms,
                                       .max_payload = conf->max_payload,
                                       .max_peers = conf->max_clients,
                                       .callers = conf->callers};
    int e;

    if (signal == NULL) {
        return -ENOMEM;
    }
    signal->conf = *conf;
    signal->sio = (struct sio_conf){
        .ops = &client_ops, .user = signal, .max_payload = conf->max_payload};
    signal->capabilities = ortc_router_capabilities();
    e = signal->capabilities != NULL
            ? engine_create(&signal->engine, &engine, &engine_ops, &signal->sio)
            : -ENOMEM;
    if (e == 0 && conf->store != NULL) {
        e = store_writer_create(&signal->writer, conf->store);
    }
    if (e == 0) {
        e = loop_timer_create(conf->loop, &signal->tick, on_tick, signal);
    }
    if (e == 0 && conf->metrics != NULL) {
        e = quality_register(signal);
        if (e != 0) {
            quality_unregister(signal);
            loop_timer_destroy(signal->tick);
        }
    }
    if (e != 0) {
        engine_destroy(signal->engine);
        store_writer_destroy(signal->writer);
        json_decref(signal->capabilities);
        free(signal);
        return e;
    }
    *out = signal;
    return 0;
}

void signal_set_meeting(struct signal *signal, struct meeting *meeting)
{
    signal->meeting = meeting;
    loop_timer_start(signal->tick, SIGNAL_TICK_MS, SIGNAL_TICK_MS);
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
    for (struct client *client = signal->clients; client != NULL; client = client->next) {
        client_leave(client, "node stopping");
    }
    hold_drop(signal);
    if (signal->conf.metrics != NULL) {
        quality_unregister(signal);
    }
    engine_destroy(signal->engine);
    store_writer_destroy(signal->writer); /* who waits for it is gone */
    loop_timer_destroy(signal->tick);
    json_decref(signal->capabilities);
    if (signal->meeting != NULL) {
        meeting_silence(signal->meeting);
    }
    free(signal);
}

uint32_t signal_n_clients(const struct signal *signal)
{
    return engine_n_peers(signal->engine);
}
