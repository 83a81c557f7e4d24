/* What a client has missed comes from the room's own list of facts, and what lies before
 * that list from the store: of a crowd, or of a control that was killed. See events.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/host.h"
#include "signal/priv.h"
#include "store/store.h"
#include "sys/clock.h"

enum {
    SYNC_MAX = 256,        /* facts in one answer */
    SYNC_AGE_S = 900,      /* who was away for longer gets all there is now */
    SYNC_STORE_WAITS = 256 /* no more questions to a store that has as many to do */
};

/* The number of a fact. */
struct number {
    uint64_t epoch, seq;
};

/* ---- the answer ---- */

static void add(json_t *list, const char *name, json_t *payload)
{
    (void)json_array_append_new(list,
                                json_pack("{s:s,s:o}", "event", name, "payload", payload));
}

/* at     the last fact that was looked at
 * whole  nothing is missing up to there; else what there is now comes with it */
static void answer(struct reply *reply, json_t *facts, struct number at, bool more,
                   bool whole)
{
    struct participant *p = reply->client->participant;

    reply_ok(reply, json_pack("{s:I,s:I,s:o,s:b,s:b,s:o}", "epoch", (json_int_t)at.epoch,
                              "seq", (json_int_t)at.seq, "facts", facts, "more", (int)more,
                              "complete", (int)whole, "snapshot",
                              whole ? json_null()
                                    : encode_room_resumed(reply->client->signal, p)));
}

/* Nothing is known of what was missed. */
static void answer_snapshot(struct reply *reply)
{
    const struct room *room = reply->client->participant->room;

    answer(reply, json_array(), (struct number){room->epoch, room->seq}, false, false);
}

/* ---- of the room's list ---- */

static void answer_listed(struct reply *reply, uint64_t since)
{
    const struct participant *p = reply->client->participant;
    struct number at = {p->room->epoch, since};
    json_t *list = json_array();
    const struct fact *fact;

    for (uint32_t i = 0; (fact = facts_after(&p->room->facts, since, i)) != NULL; i++) {
        if (meeting_sees(p, &fact->audience)) {
            if (json_array_size(list) == SYNC_MAX) {
                answer(reply, list, at, true, true);
                return;
            }
            add(list, fact->name, json_loadb(fact->words, fact->len, 0, NULL));
        }
        at.seq = fact->seq;
    }
    at.seq = p->room->seq;
    answer(reply, list, at, false, true);
}

/* ---- of the store ---- */

struct syncing {
    struct reply *reply;
    char meeting[MEETING_ID_MAX + 1];
    struct number since;
};

/* Adds a stored event in the words that it was told in; others of the meeting (what REST
 * and the audit have written) were not told. */
static void add_stored(json_t *list, const struct participant *p,
                       const struct store_event *event)
{
    json_t *json = json_loads(event->json, 0, NULL);
    json_t *name = json_incref(json_object_get(json, "event"));
    struct fact_audience audience;

    if (json_is_string(name) && keep_audience(json, &audience) &&
        meeting_sees(p, &audience)) {
        (void)json_object_del(json, "event");
        (void)json_object_del(json, "audience");
        add(list, json_string_value(name), json_incref(json));
    }
    json_decref(name);
    json_decref(json);
}

static void answer_stored(struct reply *reply, const struct store_result *result,
                          struct number at)
{
    const struct participant *p = reply->client->participant;
    const struct room *room = p->room;
    json_t *list = json_array();
    bool more = result->more;
    bool whole = true;

    for (size_t i = 0; i < result->n_events; i++) {
        const struct store_event *event = &result->events[i];

        /* While a room is open its numbers have no gaps. In another epoch it has opened
         * anew, and nobody was told who had left before. */
        whole = whole && event->epoch == at.epoch && event->seq == at.seq + 1;
        at = (struct number){event->epoch, event->seq};
        add_stored(list, p, event);
    }
    if (!more && (at.epoch != room->epoch || at.seq < room->facts.floor)) {
        whole = false; /* told, and not written when control was killed */
        at = (struct number){room->epoch, room->facts.floor};
    }
    answer(reply, list, at, more || at.seq < room->seq, whole);
}

static void on_stored(void *arg, const struct store_result *result)
{
    struct syncing *syncing = arg;
    struct reply *reply = syncing->reply;
    const struct participant *p = reply->client != NULL ? reply->client->participant : NULL;
    uint64_t oldest_us = clock_wall_us() - SYNC_AGE_S * UINT64_C(1000000);

    if (p == NULL || strcmp(p->room->id, syncing->meeting) != 0) {
        reply_fail(reply, "not_joined", "you have left the room");
    } else if (result->err != 0 ||
               (result->n_events > 0 && result->events[0].at_us < oldest_us)) {
        answer_snapshot(reply);
    } else {
        answer_stored(reply, result, syncing->since);
    }
    free(syncing);
}

static int ask_store(struct reply *reply, struct number since)
{
    const struct room *room = reply->client->participant->room;
    struct store *store = reply->client->signal->conf.store;
    struct syncing *syncing;
    int err;

    if (store == NULL || store_waiting(store) >= SYNC_STORE_WAITS) {
        return -EAGAIN;
    }
    syncing = calloc(1, sizeof(*syncing));
    if (syncing == NULL) {
        return -ENOMEM;
    }
    syncing->reply = reply;
    syncing->since = since;
    memcpy(syncing->meeting, room->id, sizeof(room->id));
    err = store_events(store, room->tenant, room->id, since.epoch, since.seq, SYNC_MAX,
                       on_stored, syncing);
    if (err != 0) {
        free(syncing);
    }
    return err;
}

/* ---- the event ---- */

void on_room_sync(struct reply *reply, const json_t *payload)
{
    const struct participant *p = reply->client->participant;
    const struct room *room = p->room;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    int64_t since, epoch;
    bool ours;

    if (!field_int(&f, "since_seq", 0, INT64_MAX, true, 0, &since) ||
        !field_int(&f, "epoch", 0, INT64_MAX, false, (int64_t)room->epoch, &epoch)) {
        reply_refuse(reply, &f);
        return;
    }
    if (meeting_ask(reply->client->participant, MEETING_RATE_LIST, &err) != 0) {
        reply_error(reply, &err);
        return;
    }
    ours = (uint64_t)epoch == room->epoch && (uint64_t)since <= room->seq;
    if (ours && facts_reach_back(&room->facts, (uint64_t)since)) {
        answer_listed(reply, (uint64_t)since);
        return;
    }
    /* numbers from the future say nothing about what is known */
    if ((!ours && (uint64_t)epoch >= room->epoch) ||
        ask_store(reply, (struct number){(uint64_t)epoch, (uint64_t)since}) != 0) {
        answer_snapshot(reply);
    }
}
