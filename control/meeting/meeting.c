/* Rooms and participants; see meeting.h. A room lives while somebody is in it. */
#include "meeting/meeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

/* A room in the service's table; tenants do not see each other's rooms, also not by name.
 */
struct room_entry {
    struct room room;
    char key[AUTH_ID_MAX + 1 + MEETING_ID_MAX + 1]; /* tenant, 0, id, 0 */
    UT_hash_handle hh;
};

/* A participant by its resume token. */
struct participant_entry {
    struct participant *p;
    UT_hash_handle hh;
};

int meeting_create(struct meeting **out, const struct meeting_conf *conf,
                   const struct meeting_ops *ops, void *user)
{
    struct meeting *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return -ENOMEM;
    }
    m->conf = *conf;
    m->ops = *ops;
    m->user = user;
    (void)snprintf(m->id_prefix, sizeof(m->id_prefix), "%s", conf->id_prefix);
    m->conf.id_prefix = m->id_prefix;
    m->closed_seq = conf->first_seq;
    m->conf.crowd = conf->crowd != 0 ? conf->crowd : MEETING_CROWD;
    m->conf.grace_ms = conf->grace_ms != 0 ? conf->grace_ms : MEETING_GRACE_MS;
    *out = m;
    return 0;
}

static void empty_room(void *arg, struct room *room)
{
    room->keep_until_us = UINT64_MAX; /* it does not end with the last of them */
    while (room->participants != NULL) {
        meeting_leave(arg, room->participants, "node stopping");
    }
    while (room->waiting != NULL) {
        meeting_leave(arg, room->waiting, "node stopping");
    }
    room->keep_until_us = 0;
    meeting_drop_waits(room);
    room->loading = false;
    meeting_close_room_if_empty(arg, room);
}

void meeting_destroy(struct meeting *meeting)
{
    if (meeting != NULL) { /* those who are away; the others have left with their clients */
        meeting_each_room(meeting, empty_room, meeting);
        meeting_nobody_lost(meeting);
        meeting_nobody_tick(meeting, 0);
        meeting_audio_fini(meeting);
        free(meeting->by_sub);
    }
    free(meeting);
}

static void tell_no_room(void *user, struct room *room, const struct participant *except,
                         const struct meeting_event *event)
{
    (void)user;
    (void)room;
    (void)except;
    (void)event;
}

static void tell_no_one(void *user, struct participant *to,
                        const struct meeting_event *event)
{
    (void)user;
    (void)to;
    (void)event;
}

static void no_one(void *user, struct participant *who)
{
    (void)user;
    (void)who;
}

void meeting_silence(struct meeting *meeting)
{
    void (*unload)(void *user, struct room *room) = meeting->ops.unload;

    meeting->ops = (struct meeting_ops){.to_room = tell_no_room,
                                        .to_one = tell_no_one,
                                        .media_lost = no_one,
                                        .ended = no_one,
                                        .unload = unload};
}

uint32_t meeting_n_rooms(const struct meeting *meeting)
{
    return meeting->n_rooms;
}

uint32_t meeting_n_participants(const struct meeting *meeting)
{
    return meeting->n_participants;
}

bool meeting_is_empty(const struct meeting *meeting)
{
    const struct room_entry *entry = meeting->rooms;

    while (entry != NULL && entry->room.n_waiting == 0) {
        entry = entry->hh.next;
    }
    return meeting->n_participants == 0 && entry == NULL;
}

void meeting_drain(struct meeting *meeting, bool on)
{
    meeting->draining = on;
}

void meeting_set_limits(struct meeting *meeting, const struct meeting_limits *limits)
{
    meeting->conf.max_rooms = limits->rooms;
    meeting->conf.max_participants = limits->participants;
    meeting->conf.max_producers = limits->producers;
    meeting->conf.max_consumers = limits->consumers;
}

void meeting_each_room(struct meeting *meeting, void (*fn)(void *arg, struct room *room),
                       void *arg)
{
    struct room_entry *entry;
    struct room_entry *next;

    HASH_ITER(hh, meeting->rooms, entry, next)
    {
        fn(arg, &entry->room);
    }
}

static void room_media_lost(void *arg, struct room *room)
{
    struct meeting *meeting = arg;

    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->transports == NULL) {
            continue;
        }
        p->media_lost = true;
        p->away_until_us = 0; /* if it is away, it need not come back to this */
        if (p->client != NULL) {
            meeting->ops.media_lost(meeting->user, p);
        }
    }
}

void meeting_on_media_lost(struct meeting *meeting)
{
    meeting_each_room(meeting, room_media_lost, meeting);
    meeting_nobody_lost(meeting);
}

/* ---- rooms ---- */

static size_t make_key(char *key, const char *tenant, const char *id)
{
    size_t tenant_len = strlen(tenant) + 1;
    size_t id_len = strlen(id) + 1;

    memcpy(key, tenant, tenant_len);
    memcpy(key + tenant_len, id, id_len);
    return tenant_len + id_len;
}

struct room *meeting_find_room(struct meeting *meeting, const char *tenant, const char *id)
{
    char key[sizeof(((struct room_entry *)0)->key)];
    size_t len = make_key(key, tenant, id);
    struct room_entry *entry;

    HASH_FIND(hh, meeting->rooms, key, len, entry);
    return entry != NULL ? &entry->room : NULL;
}

struct room *meeting_open_room(struct meeting *meeting, const char *tenant, const char *id,
                               struct meeting_error *err)
{
    if (meeting->draining) {
        (void)meeting_fail(err, "draining",
                           "the node is going to stop and begins no more meetings");
        return NULL;
    }
    return meeting_reopen_room(meeting, tenant, id, err);
}

struct room *meeting_reopen_room(struct meeting *meeting, const char *tenant,
                                 const char *id, struct meeting_error *err)
{
    struct room_entry *entry;
    size_t len;

    if (meeting->n_rooms >= meeting->conf.max_rooms) {
        (void)meeting_fail(err, "too_many_rooms",
                           "the node has no room for another meeting");
        return NULL;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    len = make_key(entry->key, tenant, id);
    (void)snprintf(entry->room.id, sizeof(entry->room.id), "%s", id);
    (void)snprintf(entry->room.tenant, sizeof(entry->room.tenant), "%s", tenant);
    entry->room.epoch = meeting->conf.epoch;
    entry->room.seq = meeting->closed_seq; /* it may have been open before */
    entry->room.facts.floor = entry->room.seq;
    entry->room.index = entry;
    entry->room.max_participants = meeting->conf.max_participants;
    entry->room.crowd = meeting->conf.crowd;
    meeting_set_flags(&entry->room, MEETING_FLAGS_FIRST);
    HASH_ADD_KEYPTR(hh, meeting->rooms, entry->key, len, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    meeting->n_rooms++;
    log_info("room_opened", LOG_STR("meeting_id", entry->room.id));
    return &entry->room;
}

void meeting_close_room_if_empty(struct meeting *meeting, struct room *room)
{
    struct room_entry *entry = room->index;

    if (room->n_participants > 0 || room->n_waiting > 0 || room->keep_until_us != 0 ||
        room->loading) {
        return;
    }
    log_info("room_closed", LOG_STR("meeting_id", room->id));
    if (room->seq > meeting->closed_seq) {
        meeting->closed_seq = room->seq;
    }
    facts_clear(&room->facts, 0);
    meeting_forget_all(room);
    free(room->roster);
    free(room->reactions);
    meeting_chat_free(room->chat);
    meeting_polls_free(room);
    meeting_board_free(room->board);
    free(room->breakouts);
    if (meeting->ops.unload != NULL) {
        meeting->ops.unload(meeting->user, room);
    }
    HASH_DELETE(hh, meeting->rooms, entry);
    meeting->n_rooms--;
    free(entry);
}

/* ---- people ---- */

int meeting_index_token(struct meeting *meeting, struct participant *p)
{
    struct participant_entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL) {
        return -ENOMEM;
    }
    entry->p = p;
    HASH_ADD_KEYPTR(hh, meeting->tokens, p->resume_token, strlen(p->resume_token), entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return -ENOMEM;
    }
    p->token_index = entry;
    return 0;
}

void meeting_unindex_token(struct meeting *meeting, struct participant *p)
{
    HASH_DELETE(hh, meeting->tokens, (struct participant_entry *)p->token_index);
    free(p->token_index);
}

void meeting_leave(struct meeting *meeting, struct participant *p, const char *reason)
{
    struct room *room = p->room;
    struct participant **at = &room->participants;

    if (p->waiting) {
        meeting_stop_waiting(meeting, p);
        return;
    }
    while (p->transports != NULL) {
        meeting_end_transport(meeting, p->transports);
    }
    if (p->screen) {
        struct meeting_error err;

        (void)meeting_screen(meeting, p, false, &err);
    }
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    room->n_viewers -= p->viewer ? 1 : 0;
    room->n_participants--;
    meeting->n_participants--;
    if (p->client == NULL && meeting->n_away > 0) {
        meeting->n_away--;
    }
    meeting_unindex_token(meeting, p);
    if (strcmp(room->spotlight, p->id) == 0) {
        memset(room->spotlight, 0, sizeof(room->spotlight));
    }
    log_info("participant_left", LOG_STR("meeting_id", room->id),
             LOG_STR("participant_id", p->id), LOG_STR("reason", reason));
    meeting_tell_person(
        meeting, p, p,
        (struct meeting_event){.kind = MEETING_LEFT, .who = p, .reason = reason});
    meeting_end_join(p, "no_media");
    free(p);
    meeting_close_room_if_empty(meeting, room);
}

/* ---- connections that break ---- */

void meeting_detach(struct meeting *meeting, struct participant *p, const char *reason)
{
    if (p->media_lost || p->waiting) {
        meeting_leave(meeting, p, reason);
        return;
    }
    log_info("participant_away", LOG_STR("meeting_id", p->room->id),
             LOG_STR("participant_id", p->id), LOG_STR("reason", reason));
    p->client = NULL;
    p->away_reason = reason;
    p->away_until_us = clock_mono_us() + meeting->conf.grace_ms * UINT64_C(1000);
    meeting->n_away++;
}

struct participant *meeting_resume(struct meeting *meeting, const struct auth_identity *who,
                                   const char *meeting_id, const char *token, void *client,
                                   void **old, struct meeting_error *err)
{
    struct participant_entry *entry;
    struct participant *p;

    HASH_FIND(hh, meeting->tokens, token, strlen(token), entry);
    p = entry != NULL ? entry->p : NULL;
    if (p == NULL || p->media_lost || p->waiting || strcmp(p->room->id, meeting_id) != 0 ||
        strcmp(p->who.tenant, who->tenant) != 0 ||
        strcmp(p->who.user_id, who->user_id) != 0) {
        if (!meeting->seen_media) {
            (void)meeting_fail_errno(err, -ENOTCONN);
        } else {
            (void)meeting_fail(err, "not_found", "there is nothing to resume");
        }
        return NULL;
    }
    *old = p->client;
    if (p->client == NULL) {
        meeting->n_away--;
    }
    p->client = client;
    log_info("participant_resumed", LOG_STR("meeting_id", p->room->id),
             LOG_STR("participant_id", p->id));
    return p;
}

void meeting_keep(struct participant *p, const void *data, size_t n)
{
    p->n_front_data = (uint8_t)(n <= sizeof(p->front_data) ? n : 0);
    memcpy(p->front_data, data, p->n_front_data);
    meeting_save_person(p);
}

bool meeting_is_restored(const struct meeting *meeting)
{
    return meeting->seen_media;
}

static void tick_room(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    struct participant *next;
    bool last = false;

    for (struct participant *p = room->participants; p != NULL && !last; p = next) {
        next = p->next;
        if (p->client == NULL && p->away_until_us <= now_us) {
            last = room->n_participants == 1; /* the room may end with it */
            meeting_leave(meeting, p, p->away_reason);
        }
    }
}

/* One that was made and that nobody enters, or of which only the lobby is left. */
static void tick_empty(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    if (room->keep_until_us != 0 && room->keep_until_us <= now_us) {
        room->keep_until_us = 0;
        meeting_close_room_if_empty(meeting, room);
    }
}

void meeting_tick(struct meeting *meeting, uint64_t now_us)
{
    struct room_entry *entry;
    struct room_entry *next;
    uint32_t n_viewers = 0;

    meeting_load_tick(meeting, now_us);
    meeting_layers_tick(meeting, now_us);
    meeting_scores(meeting, now_us);
    HASH_ITER(hh, meeting->rooms, entry, next)
    {
        meeting_first_media(meeting, &entry->room);
        meeting_audio_tick(meeting, &entry->room, now_us);
        n_viewers += entry->room.n_viewers;
        if (entry->room.n_viewers > 0) {
            meeting_viewers_tick(meeting, &entry->room);
        }
        meeting_lobby_tick(meeting, &entry->room);
        meeting_roster_tick(meeting, &entry->room, now_us);
        meeting_reactions_tick(meeting, &entry->room, now_us);
        meeting_polls_tick(meeting, &entry->room, now_us);
        meeting_breakouts_tick(meeting, &entry->room, clock_wall_us());
        if (entry->room.n_participants == 0) {
            tick_empty(meeting, &entry->room, now_us);
        } else if (meeting->n_away > 0) {
            tick_room(meeting, &entry->room, now_us);
        }
    }
    meeting_nobody_tick(meeting, n_viewers);
}
