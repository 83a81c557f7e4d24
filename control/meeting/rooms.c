/* The rooms of this node by tenant and name, and participants by the token with which they
 * come back. A room lives while somebody is in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
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

uint32_t meeting_n_rooms(const struct meeting *meeting)
{
    return meeting->n_rooms;
}

bool meeting_is_empty(const struct meeting *meeting)
{
    const struct room_entry *entry = meeting->rooms;

    while (entry != NULL && entry->room.n_waiting == 0) {
        entry = entry->hh.next;
    }
    return meeting->n_participants == 0 && entry == NULL;
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
    meeting_recording_leave(meeting, room);
    meeting_live_leave(room);
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

/* ---- tokens ---- */

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

struct participant *meeting_find_token(const struct meeting *meeting, const char *token)
{
    struct participant_entry *entry;

    HASH_FIND(hh, meeting->tokens, token, strlen(token), entry);
    return entry != NULL ? entry->p : NULL;
}
