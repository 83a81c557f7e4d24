/* Rooms again from what an earlier control left in the vault: peers become participants and
 * transports, streams producers, subscriptions consumers; what fits nowhere is closed.
 * Everybody is away until their connection comes back; nobody is told anything, since for
 * the others nothing has happened. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "meeting/priv.h"
#include "sfu/base/handle.h"
#include "sys/clock.h"
#include "sys/log.h"

struct restore {
    struct meeting *meeting;
    struct media *media;
    uint64_t away_until_us;
    struct transport **transports;    /* by slot of their peer */
    struct room_producer **producers; /* by slot of each of their streams */
    bool *subs;                       /* by slot: taken up */
    uint32_t n_participants, n_producers, n_consumers, n_closed;
};

/* ---- participants and transports ---- */

static struct room *restore_room(struct meeting *meeting, const struct meeting_record *r)
{
    struct meeting_error err;
    struct room *room = meeting_find_room(meeting, r->person.who.tenant, r->room_id);

    if (room == NULL) {
        room = meeting_reopen_room(meeting, r->person.who.tenant, r->room_id, &err);
        if (room != NULL) {
            room->epoch = r->epoch; /* and it goes on from its own number */
            room->seq = room->facts.floor = 0;
            room->restored = room->fresh = true;
        }
    }
    if (room != NULL && room->epoch == r->epoch && room->seq < r->seq) {
        room->seq = r->seq;
        room->facts.floor = r->seq;        /* their words went with the process before */
        meeting_set_flags(room, r->flags); /* the newest record has them as they were */
        room->layout = r->layout;
        room->auto_record.declined = r->record_declined;
        memcpy(room->bans, r->bans, sizeof(room->bans));
    }
    return room;
}

static struct participant *restore_person(struct restore *re,
                                          const struct meeting_record *r)
{
    struct room *room = restore_room(re->meeting, r);
    struct participant *p = meeting_find_token(re->meeting, r->person.resume_token);
    struct meeting_error err;
    struct known *known;

    if (room == NULL) {
        return NULL;
    }
    if (p != NULL) {
        return p->room == room && strcmp(p->id, r->person.id) == 0 ? p : NULL;
    }
    p = meeting_add_participant(re->meeting, room, r->person.resume_token);
    if (p == NULL) {
        meeting_close_room_if_empty(re->meeting, room);
        return NULL;
    }
    memcpy(p->id, r->person.id, sizeof(p->id));
    memcpy(p->name, r->person.name, sizeof(p->name));
    p->who = r->person.who;
    meeting_note_role(p);
    p->joined_us = r->person.joined_us;
    p->front = r->person.front;
    p->muted = r->person.muted;
    p->off = r->person.off;
    p->hand = r->person.hand;
    p->group = r->person.group <= BREAKOUT_MAX ? r->person.group : 0;
    meeting_breakouts_restore(re->meeting, room, p->group, r->closes_us);
    if (room->breakouts == NULL) {
        p->group = 0;
    }
    known = p->group != 0 || p->muted != 0 ? meeting_remember(room, p->who.user_id, &err)
                                           : NULL;
    if (known != NULL) {
        known->group = p->group;
        known->muted = p->muted;
    }
    if (room->last_hand < p->hand) {
        room->last_hand = p->hand;
    }
    p->n_front_data = r->person.n_front_data;
    memcpy(p->front_data, r->person.front_data, sizeof(p->front_data));
    if (r->person.viewer) {
        meeting_view_as(p, r->person.watched);
        p->watched_user = r->person.watched_user;
        p->watching = p->n_front_data > 0; /* it was answered */
    }
    p->away_until_us = re->away_until_us;
    p->away_reason = "not resumed";
    re->meeting->n_away++;
    re->n_participants++;
    return p;
}

static void restore_transport(struct restore *re, uint32_t i, uint64_t peer)
{
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    struct meeting_record record;
    struct participant *p = NULL;
    struct transport *t = NULL;

    if (media_peer_conf(re->media, peer, &conf) == 0) {
        if (meeting_nobody_is_peer(&conf.blob)) {
            (void)meeting_nobody_restore(re->meeting, peer, HANDLE_NONE);
        } else if (meeting_record_read(&conf.blob, &record) == 0) {
            p = restore_person(re, &record);
        }
    }
    explicit_bzero(&conf, sizeof(conf));
    if (p != NULL) {
        t = meeting_add_transport(re->meeting, p);
    }
    if (t == NULL) {
        return;
    }
    memcpy(t->id, record.transport_id, sizeof(t->id));
    t->send = record.send;
    t->next_mid = record.next_mid;
    t->next_ssrc = record.next_ssrc;
    if (session_restore(&t->session, re->meeting->conf.sessions, peer, &meeting_session_ops,
                        t) != 0) {
        meeting_drop_transport(t);
        return;
    }
    re->transports[i] = t;
}

/* ---- producers ---- */

static void on_producer(void *arg, int status)
{
    struct room_producer *rp = arg;

    if (status != 0) {
        meeting_end_producer(rp->transport->meeting, rp);
    }
}

/* Finds the streams of the other encodings, which mostly lie behind the first. Returns how
 * many there are in all. */
static uint8_t find_encodings(const struct restore *re, uint32_t first,
                              const struct vault_stream_conf *of, const uint8_t *tag,
                              size_t tag_len, uint8_t n,
                              uint64_t streams[RTP_PARAMS_MAX_ENCODINGS])
{
    uint32_t slots = media_slots_of(re->media, MEDIA_STREAM);
    uint8_t found = 1;

    for (uint32_t k = 1; k < slots && found < n; k++) {
        uint64_t stream =
            media_handle_at(re->media, MEDIA_STREAM, (uint32_t)((first + k) % slots));
        struct vault_stream_conf conf;
        const uint8_t *other;
        size_t other_len;
        uint8_t encoding;
        uint8_t total;

        if (stream != HANDLE_NONE && media_stream_conf(re->media, stream, &conf) == 0 &&
            conf.peer == of->peer &&
            producer_tag(&conf, &other, &other_len, &encoding, &total) == 0 &&
            other_len == tag_len && memcmp(other, tag, tag_len) == 0 && encoding < n &&
            streams[encoding] == HANDLE_NONE) {
            streams[encoding] = stream;
            found++;
        }
    }
    return found;
}

static void restore_producer(struct restore *re, uint32_t i, uint64_t stream)
{
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS] = {stream};
    struct vault_stream_conf conf;
    struct room_producer *rp;
    struct transport *t;
    const uint8_t *tag;
    size_t tag_len;
    uint8_t encoding;
    uint8_t n;

    if (media_stream_conf(re->media, stream, &conf) != 0) {
        return;
    }
    if (conf.peer == re->meeting->nobody.peer) {
        re->producers[i] = meeting_nobody_restore(re->meeting, conf.peer, stream);
        return;
    }
    if (producer_tag(&conf, &tag, &tag_len, &encoding, &n) != 0 || encoding != 0 ||
        tag_len != 1 + MEETING_OBJECT_ID || tag[0] > SOURCE_SCREEN_AUDIO ||
        handle_index(conf.peer) >= media_slots_of(re->media, MEDIA_PEER)) {
        return;
    }
    t = re->transports[handle_index(conf.peer)];
    if (t == NULL || session_peer(t->session) != conf.peer || !t->send ||
        find_encodings(re, i, &conf, tag, tag_len, n, streams) != n) {
        return;
    }
    rp = calloc(1, sizeof(*rp));
    if (rp == NULL) {
        return;
    }
    memcpy(rp->id, tag + 1, MEETING_OBJECT_ID);
    rp->source = (enum meeting_source)tag[0];
    rp->transport = t;
    rp->ready = true;
    if (producer_restore(&rp->producer, re->media, streams, n, on_producer, rp) != 0) {
        free(rp);
        return;
    }
    meeting_note_sender(t->owner);
    rp->next = t->producers;
    t->producers = rp;
    t->owner->n_producers++;
    t->owner->screen |= rp->source == SOURCE_SCREEN;
    meeting_layers_produced(re->meeting, rp);
    re->n_producers++;
    meeting_audio_produced(re->meeting, rp);
    for (uint8_t k = 0; k < n; k++) {
        re->producers[handle_index(streams[k])] = rp;
    }
}

/* ---- consumers ---- */

static void on_consumer(void *arg, int status)
{
    struct room_consumer *rc = arg;

    if (status != 0) {
        meeting_end_consumer(rc->transport->meeting, rc, NULL);
    }
}

/* Numbers of the transport are counted on from here, whatever its own record says. */
static void note_numbers(struct transport *t, const struct vault_sub_conf *conf)
{
    char mid[VAULT_MID_MAX + 1] = "";
    unsigned long n;

    memcpy(mid, conf->mid, conf->mid_len <= VAULT_MID_MAX ? conf->mid_len : 0);
    n = strtoul(mid, NULL, 10);
    if (n >= t->next_mid && n < UINT32_MAX) {
        t->next_mid = (uint32_t)n + 1;
    }
    if (conf->ssrc >= t->next_ssrc) {
        t->next_ssrc = conf->ssrc + 2;
    }
}

static bool may_consume(const struct meeting *meeting, const struct participant *p,
                        const struct room_producer *rp)
{
    if (meeting_is_nobody(rp)) {
        return p->viewer && meeting->nobody.open;
    }
    return p->room == rp->transport->owner->room && p->group == rp->transport->owner->group;
}

static void restore_consumer(struct restore *re, uint32_t i, uint64_t sub)
{
    struct vault_sub_conf conf;
    struct room_producer *rp;
    struct room_consumer *rc;
    struct transport *t;
    const uint8_t *tag;
    size_t tag_len;

    if (media_sub_conf(re->media, sub, &conf) != 0 ||
        consumer_tag(&conf, &tag, &tag_len) != 0 || tag_len != MEETING_OBJECT_ID ||
        handle_index(conf.peer) >= media_slots_of(re->media, MEDIA_PEER) ||
        handle_index(conf.stream) >= media_slots_of(re->media, MEDIA_STREAM)) {
        return;
    }
    t = re->transports[handle_index(conf.peer)];
    rp = re->producers[handle_index(conf.stream)];
    if (t == NULL || rp == NULL || t->send || session_peer(t->session) != conf.peer ||
        !may_consume(re->meeting, t->owner, rp)) {
        return;
    }
    rc = calloc(1, sizeof(*rc));
    if (rc == NULL) {
        return;
    }
    memcpy(rc->id, tag, MEETING_OBJECT_ID);
    rc->transport = t;
    if (consumer_restore(&rc->consumer, re->media, sub, rp->producer, on_consumer, rc) !=
        0) {
        free(rc);
        return;
    }
    note_numbers(t, &conf);
    rc->next = t->consumers;
    t->consumers = rc;
    meeting_note_consumer(rc, rp);
    t->owner->n_consumers++;
    rc->wish_spatial = conf.spatial;
    rc->wish_temporal = conf.temporal;
    rc->view_spatial = rc->view_temporal = VAULT_LAYER_ANY;
    rc->view_area = conf.area;
    rc->priority = conf.priority;
    rc->parked = t->owner->viewer && consumer_is_paused(rc->consumer);
    /* without memory its owner is not told of its layers, and they are not counted */
    (void)meeting_layers_added(re->meeting, rc);
    re->subs[i] = true;
    re->n_consumers++;
}

/* ---- all ---- */

static void each(struct restore *re, enum media_kind kind,
                 void (*fn)(struct restore *re, uint32_t i, uint64_t handle))
{
    uint32_t n = media_slots_of(re->media, kind);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t handle = media_handle_at(re->media, kind, i);

        if (handle != HANDLE_NONE) {
            fn(re, i, handle);
        }
    }
}

static void close_one(struct restore *re, enum media_kind kind, uint64_t handle)
{
    (void)media_close(re->media, kind, handle, NULL, NULL);
    re->n_closed++;
}

static void close_sub(struct restore *re, uint32_t i, uint64_t handle)
{
    if (!re->subs[i]) {
        close_one(re, MEDIA_SUB, handle);
    }
}

static void close_stream(struct restore *re, uint32_t i, uint64_t handle)
{
    if (re->producers[i] == NULL) {
        close_one(re, MEDIA_STREAM, handle);
    }
}

static void close_peer(struct restore *re, uint32_t i, uint64_t handle)
{
    if (re->transports[i] == NULL && handle != re->meeting->nobody.peer) {
        close_one(re, MEDIA_PEER, handle);
    }
}

/* What the vault does not have: the chat, polls, who was banned … */
static void load_restored(void *arg, struct room *room)
{
    if (room->restored && room->fresh) {
        meeting_load(arg, room);
    }
}

void meeting_restore(struct meeting *meeting)
{
    struct media *media = meeting->conf.media;
    uint32_t n_peers = media_slots_of(media, MEDIA_PEER);
    uint32_t n_streams = media_slots_of(media, MEDIA_STREAM);
    uint32_t n_subs = media_slots_of(media, MEDIA_SUB);
    struct restore re = {
        .meeting = meeting,
        .media = media,
        .away_until_us = clock_mono_us() + MEETING_RESTORED_GRACE_MS * UINT64_C(1000),
        .transports = calloc(n_peers + 1, sizeof(struct transport *)),
        .producers = calloc(n_streams + 1, sizeof(struct room_producer *)),
        .subs = calloc(n_subs + 1, sizeof(bool)),
    };

    meeting->seen_media = true;
    if (re.transports != NULL && re.producers != NULL && re.subs != NULL) {
        each(&re, MEDIA_PEER, restore_transport);
        each(&re, MEDIA_STREAM, restore_producer);
        each(&re, MEDIA_SUB, restore_consumer);
        each(&re, MEDIA_SUB, close_sub);
        meeting_nobody_restored(meeting);
        each(&re, MEDIA_STREAM, close_stream);
        each(&re, MEDIA_PEER, close_peer);
        if (re.n_participants + re.n_closed > 0) {
            log_info("restored", LOG_U64("participants", re.n_participants),
                     LOG_U64("producers", re.n_producers),
                     LOG_U64("consumers", re.n_consumers), LOG_U64("closed", re.n_closed));
        }
    } else {
        log_error("restore_no_memory");
    }
    free(re.transports);
    free(re.producers);
    free(re.subs);
    meeting_each_room(meeting, load_restored, meeting);
}
