/* Rooms are filled with what is stored of them before anybody enters, and every fact of a
 * meeting gets its number here or in its room; see meeting.h. What is stored, and how, is
 * the business of whoever implements meeting_ops.load. */
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

enum { LOAD_MAX_MS = 5000 }; /* then the room is opened without */

struct room_wait {
    struct room_wait *next;
    void (*ready)(void *arg);
    void *arg;
};

/* ---- numbers ---- */

void meeting_number(struct meeting *meeting, const char *tenant, const char *id,
                    uint64_t *epoch, uint64_t *seq)
{
    struct room *room = id != NULL ? meeting_find_room(meeting, tenant, id) : NULL;

    *epoch = room != NULL ? room->epoch : meeting->conf.epoch;
    *seq = room != NULL ? ++room->seq : id != NULL ? ++meeting->closed_seq : 0;
    if (room != NULL) {
        meeting_save_room(room);
    }
}

void meeting_renumber(struct meeting *meeting, struct room *room)
{
    if (room->epoch >= meeting->conf.epoch) {
        return;
    }
    log_warn("room_renumbered", LOG_STR("meeting_id", room->id),
             LOG_U64("epoch", room->epoch), LOG_U64("seq", room->seq));
    room->epoch = meeting->conf.epoch;
    if (room->seq < meeting->closed_seq) {
        room->seq = meeting->closed_seq;
    }
    facts_clear(&room->facts, room->seq);
    meeting_save_room(room);
}

/* ---- loading ---- */

void meeting_load(struct meeting *meeting, struct room *room)
{
    room->fresh = false;
    if (meeting->ops.load != NULL) {
        room->loading = true;
        room->loading_until_us = clock_mono_us() + LOAD_MAX_MS * UINT64_C(1000);
        meeting->ops.load(meeting->user, room);
    }
}

bool meeting_prepare(struct meeting *meeting, const struct auth_identity *who,
                     const char *meeting_id, bool make, void (*ready)(void *arg), void *arg)
{
    struct room *room = meeting_find_room(meeting, who->tenant, meeting_id);
    struct room_wait **last;
    struct meeting_error err;

    if (meeting->ops.load == NULL ||
        (room == NULL && !make && strcmp(who->meeting_id, meeting_id) != 0)) {
        return true;
    }
    if (room == NULL && meeting_id[0] != '\0' && strlen(meeting_id) <= MEETING_ID_MAX) {
        room = meeting_open_room(meeting, who->tenant, meeting_id, &err);
        if (room != NULL) {
            room->keep_until_us = UINT64_MAX; /* until those who wait have had their turn */
            meeting_load(meeting, room);
            room = meeting_find_room(meeting, who->tenant, meeting_id);
        }
    }
    if (room == NULL || !room->loading) {
        return true;
    }
    last = &room->waits;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = calloc(1, sizeof(**last));
    if (*last == NULL) {
        return true; /* it is refused: the room is being opened */
    }
    (*last)->ready = ready;
    (*last)->arg = arg;
    return false;
}

void meeting_loaded(struct meeting *meeting, struct room *room)
{
    struct room_wait *wait = room->waits;
    struct room_wait *next;
    char tenant[sizeof(room->tenant)];
    char id[sizeof(room->id)];

    memcpy(tenant, room->tenant, sizeof(tenant));
    memcpy(id, room->id, sizeof(id));
    room->waits = NULL;
    room->loading = false;
    room->fresh = room->keep_until_us == UINT64_MAX;
    for (; wait != NULL; wait = next) {
        next = wait->next;
        wait->ready(wait->arg);
        free(wait);
    }
    room = meeting_find_room(meeting, tenant, id);
    if (room != NULL && !room->loading) {
        room->fresh = false;
        if (room->keep_until_us == UINT64_MAX) {
            room->keep_until_us = 0; /* whoever wanted to come was refused */
        }
        meeting_close_room_if_empty(meeting, room);
    }
}

void meeting_drop_waits(struct room *room)
{
    struct room_wait *wait = room->waits;
    struct room_wait *next;

    room->waits = NULL;
    for (; wait != NULL; wait = next) {
        next = wait->next;
        wait->ready(wait->arg); /* its client is gone: it notices */
        free(wait);
    }
}

struct late {
    struct meeting *meeting;
    uint64_t now_us;
};

static void open_late(void *arg, struct room *room)
{
    const struct late *late = arg;

    if (room->loading && late->now_us >= room->loading_until_us) {
        log_error("room_not_read", LOG_STR("meeting_id", room->id));
        meeting_loaded(late->meeting, room);
    }
}

void meeting_load_tick(struct meeting *meeting, uint64_t now_us)
{
    struct late late = {meeting, now_us};

    meeting_each_room(meeting, open_late, &late);
}
