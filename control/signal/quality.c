/* How each participant's streams do, told every ten seconds to whoever collects it: figures
 * that may be lost. Participants take turns, so that a large room is no heavy moment. */
#include <stdlib.h>

#include "signal/priv.h"

enum { EVERY_TICKS = QUALITY_EVERY_MS / SIGNAL_TICK_MS };

/* A tick of its own for each, the same all its life. */
static uint32_t turn_of(const struct participant *p)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (const char *at = p->id; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    }
    return hash % EVERY_TICKS;
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
    return encode_stream(json_pack("{s:s, s:s}", "producer_id", rp->id, "source",
                                   encode_source_names[rp->source]),
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
        for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (rp->score.started) {
                (void)json_array_append_new(sent, encode_sent(rp));
            }
        }
        for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            if (rc->score.started) {
                (void)json_array_append_new(received, encode_received(rc));
            }
        }
    }
    json = json_pack("{s:s, s:s, s:o, s:o}", "participant_id", p->id, "user_id",
                     p->who.user_id, "sent", sent, "received", received);
    if (json_array_size(json_object_get(json, "sent")) > 0 ||
        json_array_size(json_object_get(json, "received")) > 0) {
        text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    }
    json_decref(json);
    if (text != NULL) {
        signal->conf.quality(signal->conf.quality_user, room->tenant, room->id, text);
    }
    free(text);
}

static void tell_room(void *arg, struct room *room)
{
    const struct signal *signal = arg;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        if (turn_of(p) == signal->turn) {
            tell(signal, room, p);
        }
    }
}

void quality_tick(struct signal *signal)
{
    signal->turn = (signal->turn + 1) % EVERY_TICKS;
    if (signal->conf.quality != NULL) {
        meeting_each_room(signal->meeting, tell_room, signal);
    }
}
