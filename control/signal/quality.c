/* How each participant's streams do, told every ten seconds to whoever collects it: figures
 * that may be lost. Participants take turns, so that a large room is no heavy moment. */
#include <stdlib.h>
#include <string.h>

#include "metric/metric.h"
#include "proto/jtext.h"
#include "sfu/base/fnv.h"
#include "signal/priv.h"
#include "sys/clock.h"

enum { EVERY_TICKS = QUALITY_EVERY_MS / SIGNAL_TICK_MS };

/* What a client asks for on its way in, in this order; between them it shakes hands
 * (establish_seconds of session/). */
static const char *const steps[QUALITY_STEPS] = {"room:join", "transport:create",
                                                 "transport:connect", "produce", "consume"};

static int register_joins(struct signal *signal)
{
    static const double seconds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,   0.25,   0.5,   1,    2.5,   5};
    int err = 0;

    for (size_t i = 0; err == 0 && i < QUALITY_STEPS; i++) {
        const struct metric_label label = {"step", steps[i]};

        err = metric_register_histogram(
            signal->conf.metrics, "join_seconds",
            "What a client asks for as it joins, until it is granted.", &label, 1, seconds,
            sizeof(seconds) / sizeof(seconds[0]), &signal->join_s[i]);
    }
    return err;
}

uint32_t quality_step_of(const char *event)
{
    uint32_t i = 0;

    while (i < QUALITY_STEPS && strcmp(event, steps[i]) != 0) {
        i++;
    }
    return i < QUALITY_STEPS ? i + 1 : 0;
}

void quality_step(const struct reply *reply)
{
    const struct signal *signal = reply->client->signal;

    if (signal->conf.metrics != NULL && reply->step != 0) {
        metric_observe(signal->join_s[reply->step - 1],
                       (double)(clock_mono_us() - reply->since_us) / 1e6);
    }
}

static int register_available(struct signal *signal)
{
    static const double bps[] = {50e3, 100e3, 250e3, 500e3, 1e6, 2e6, 5e6, 10e6, 50e6};

    return metric_register_histogram(
        signal->conf.metrics, "bwe_available_bps",
        "Bits a second that the link to a client carries, as estimated.", NULL, 0, bps,
        sizeof(bps) / sizeof(bps[0]), &signal->available);
}

static const char left_out[] = "polling_left_out_total";

void quality_unregister(struct signal *signal)
{
    metric_unregister(signal->conf.metrics, left_out);
}

static void collect_left_out(struct metric_sink *sink, void *arg)
{
    const struct signal *signal = arg;

    metric_emit(sink, NULL, 0, (double)engine_n_left_out(signal->engine));
}

int quality_register(struct signal *signal)
{
    static const char *const directions[] = {"received", "sent"};
    static const char *const kinds[] = {"audio", "video"};
    static const double ratios[] = {0, 0.001, 0.005, 0.01, 0.03, 0.05, 0.1, 0.2, 0.5};
    static const double seconds[] = {0.005, 0.01, 0.02, 0.03, 0.05, 0.1,
                                     0.15,  0.2,  0.3,  0.5,  1};
    struct metric_registry *reg = signal->conf.metrics;
    int err = register_joins(signal);

    if (err == 0) {
        err = metric_register_collector(
            reg, METRIC_COUNTER, left_out,
            "Messages that slow readers by long-polling were not sent, for newer ones had "
            "made them stale.",
            collect_left_out, signal);
    }
    if (err == 0) {
        err = register_available(signal);
    }
    for (size_t i = 0; err == 0 && i < 4; i++) {
        size_t sent = i / 2;
        size_t video = i % 2;
        const struct metric_label labels[] = {{"direction", directions[sent]},
                                              {"kind", kinds[video]}};

        err = metric_register_histogram(
            reg, "stream_loss_ratio", "Loss of a stream in a second, before repair.", labels,
            2, ratios, sizeof(ratios) / sizeof(ratios[0]), &signal->loss[sent][video]);
        if (err == 0) {
            err = metric_register_histogram(
                reg, "stream_jitter_seconds", "Jitter of a stream (RFC 3550).", labels, 2,
                seconds, sizeof(seconds) / sizeof(seconds[0]),
                &signal->jitter_s[sent][video]);
        }
        if (err == 0) {
            err = metric_register_histogram(
                reg, "stream_rtt_seconds", "Round trip between the node and a client.",
                labels, 2, seconds, sizeof(seconds) / sizeof(seconds[0]),
                &signal->rtt_s[sent][video]);
        }
    }
    return err;
}

static void observe(const struct signal *signal, const struct score *score, bool sent)
{
    const struct score_counters *c = &score->last;

    if (signal->conf.metrics == NULL || c->paused) {
        return;
    }
    metric_observe(signal->loss[sent][c->video], (double)score->detail.loss);
    metric_observe(signal->jitter_s[sent][c->video], (double)c->jitter_us / 1e6);
    if (c->rtt_us != 0) {
        metric_observe(signal->rtt_s[sent][c->video], (double)c->rtt_us / 1e6);
    }
}

static void observe_link(const struct signal *signal, const struct transport *t)
{
    struct transport_figures figures;
    struct meeting_error err;

    if (signal->conf.metrics != NULL && !t->send && t->consumers != NULL &&
        meeting_transport_stats(signal->meeting, t->owner, t->id, &figures, &err) == 0 &&
        figures.available_bps != 0) {
        metric_observe(signal->available, (double)figures.available_bps);
    }
}

uint32_t quality_turn_of(const char *id)
{
    return fnv32(id, strlen(id)) % EVERY_TICKS;
}

/* As clients are told it (encode_score()), and what has come in all. */
static json_t *encode_stream(json_t *json, const struct score *score, bool sent)
{
    const struct score_counters *c = &score->last;
    json_t *more = json_pack("{s:s, s:I, s:I, s:b, s:I}", "kind", c->video ? "video" : "audio",
                             "packets", (json_int_t)c->packets, "lost",
                             (json_int_t)c->lost, "paused", (int)c->paused, "freezes",
                             (json_int_t)score->freezes);

    (void)json_object_update_new(json, more);
    return encode_score(json, score, sent);
}

static json_t *encode_sent(const struct room_producer *rp)
{
    json_int_t n = 0;

    for (const struct room_consumer *rc = rp->consumers; rc != NULL;
         rc = rc->next_of_source) {
        n++;
    }
    return encode_stream(json_pack("{s:s, s:s, s:I}", "producer_id", rp->id, "source",
                                   meeting_source_names[rp->source], "subscribers", n),
                         &rp->score, true);
}

static json_t *encode_received(const struct room_consumer *rc)
{
    return encode_stream(encode_consumer_layers(rc), &rc->score, false);
}

static void tell(const struct signal *signal, const struct room *room,
                 const struct participant *p)
{
    json_t *sent = json_array();
    json_t *received = json_array();
    char *text = NULL;
    json_t *json;

    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        observe_link(signal, t);
        for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (rp->score.started) {
                observe(signal, &rp->score, true);
                (void)json_array_append_new(sent, encode_sent(rp));
            }
        }
        for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            if (rc->score.started && rc->source->id[0] != '\0') { /* else it waits */
                observe(signal, &rc->score, false);
                (void)json_array_append_new(received, encode_received(rc));
            }
        }
    }
    json = json_pack("{s:s, s:s, s:o, s:o}", "participant_id", p->id, "user_id",
                     p->who.user_id, "sent", sent, "received", received);
    if (json_array_size(json_object_get(json, "sent")) > 0 ||
        json_array_size(json_object_get(json, "received")) > 0) {
        text = jtext_make(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    }
    json_decref(json);
    if (text != NULL && signal->conf.quality != NULL) {
        signal->conf.quality(signal->conf.quality_user, room->tenant, room->id, text);
    }
    free(text);
}

static void tell_room(void *arg, struct room *room)
{
    const struct signal *signal = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        if (quality_turn_of(p->id) == signal->turn) {
            tell(signal, room, p);
        }
    }
}

void quality_tick(struct signal *signal)
{
    signal->turn = (signal->turn + 1) % EVERY_TICKS;
    if (signal->conf.quality != NULL || signal->conf.metrics != NULL) {
        meeting_each_room(signal->meeting, tell_room, signal);
    }
}
