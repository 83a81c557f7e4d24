/* The room as its hosts change it, begin it and end it; see host.h. */
#include "meeting/host.h"

#include <stdio.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

const char *const meeting_flag_names[N_MEETING_FLAGS] = {
#define X(bit, name, first) [MEETING_FLAG_##bit] = (name),
    MEETING_FLAGS(X)
#undef X
};

const char *const meeting_layout_names[N_MEETING_LAYOUTS + 1] = {
    [MEETING_LAYOUT_GRID] = "grid",
    [MEETING_LAYOUT_SPEAKER] = "speaker",
    [MEETING_LAYOUT_PRESENTATION] = "presentation",
};

/* ---- settings ---- */

void meeting_apply(struct room *room, const struct meeting_change *change)
{
    meeting_set_flags(room, (room->flags & ~change->clear) | change->set);
    if (change->max_participants != 0) {
        room->max_participants = change->max_participants;
    }
    if (change->layout >= 0) {
        room->layout = (enum meeting_layout)change->layout;
    }
    if (change->name != NULL) {
        (void)snprintf(room->name, sizeof(room->name), "%s", change->name);
    }
}

void meeting_enforce(struct meeting *meeting, struct participant *p)
{
    struct meeting_error err;

    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        struct room_producer *next;

        for (struct room_producer *rp = t->producers; rp != NULL; rp = next) {
            next = rp->next;
            if (meeting_may_send(p, rp->source, &err) != 0) {
                struct meeting_event event = {
                    .kind = MEETING_PRODUCER_CLOSED, .who = p, .producer = rp};

                meeting->ops.to_one(meeting->user, p, &event); /* the others hear anyway */
                meeting_end_producer(meeting, rp);
            }
        }
    }
}

static int check_change(const struct meeting *meeting, const struct meeting_change *change,
                        struct meeting_error *err)
{
    if (change->max_participants > meeting->conf.max_participants) {
        return meeting_fail(err, "invalid", "/settings/max_participants: at most %u",
                            meeting->conf.max_participants);
    }
    return 0;
}

void meeting_settings_changed(struct meeting *meeting, struct room *room,
                              struct participant *by)
{
    log_info("room_updated", LOG_STR("meeting_id", room->id),
             LOG_STR("by", by != NULL ? by->id : ""), LOG_U64("flags", room->flags));
    meeting_tell_fact(
        meeting, room, by,
        (struct meeting_event){.kind = MEETING_ROOM_UPDATED, .room = room, .by = by});
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        meeting_enforce(meeting, p);
        meeting_save_person(p);
    }
    if (!meeting_has(room, MEETING_BIT(WAITING_ROOM) | MEETING_BIT(HOST_APPROVAL))) {
        meeting_admit_all(meeting, room);
    }
}

int meeting_update(struct meeting *meeting, struct participant *by,
                   const struct meeting_change *change, struct meeting_error *err)
{
    if (meeting_need_host(by, err) != 0 || check_change(meeting, change, err) != 0) {
        return -1;
    }
    meeting_apply(by->room, change);
    meeting_settings_changed(meeting, by->room, by);
    return 0;
}

int meeting_set_layout(struct meeting *meeting, struct participant *by,
                       enum meeting_layout layout, struct meeting_error *err)
{
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    by->room->layout = layout;
    meeting_tell_fact(
        meeting, by->room, by,
        (struct meeting_event){.kind = MEETING_LAYOUT_CHANGED, .room = by->room, .by = by});
    return 0;
}

/* ---- begin and end ---- */

struct count {
    const struct auth_identity *who;
    uint32_t n;
};

static void count_made(void *arg, struct room *room)
{
    struct count *count = arg;

    count->n += room->keep_until_us != 0 && strcmp(room->tenant, count->who->tenant) == 0 &&
                strcmp(room->creator, count->who->user_id) == 0;
}

struct room *meeting_create_room(struct meeting *meeting, const struct auth_identity *who,
                                 const char *id, const struct meeting_change *change,
                                 struct meeting_error *err)
{
    struct count made = {.who = who};
    struct room *room;

    if ((who->meeting_id[0] != '\0' && strcmp(who->meeting_id, id) != 0) ||
        !auth_may(who->role, NULL, AUTH_MODERATE)) {
        (void)meeting_fail(err, "forbidden", "only hosts may make that meeting");
        return NULL;
    }
    if (check_change(meeting, change, err) != 0) {
        return NULL;
    }
    room = meeting_find_room(meeting, who->tenant, id);
    if (room != NULL &&
        (!room->fresh || room->over || room->n_participants > 0 || room->n_waiting > 0)) {
        (void)meeting_fail(err, "already_exists",
                           room->over ? "the meeting has ended" : "the meeting has begun");
        return NULL;
    }
    meeting_each_room(meeting, count_made, &made);
    if (made.n >= MEETING_MADE_BY_ONE) {
        (void)meeting_fail(err, "too_many", "you have made %u meetings that nobody entered",
                           made.n);
        return NULL;
    }
    if (room == NULL) {
        room = meeting_open_room(meeting, who->tenant, id, err);
    }
    if (room != NULL) {
        room->fresh = false;
        meeting_apply(room, change);
        (void)snprintf(room->creator, sizeof(room->creator), "%s", who->user_id);
        room->keep_until_us = clock_mono_us() + MEETING_KEEP_MS * UINT64_C(1000);
    }
    return room;
}

void meeting_evict(struct meeting *meeting, struct participant *p, const char *reason)
{
    if (p->front == MEETING_HTTP && p->client != NULL) {
        (void)snprintf(p->evicted, sizeof(p->evicted), "%s", reason);
        while (p->transports != NULL) {
            meeting_end_transport(meeting, p->transports);
        }
        meeting->ops.media_lost(meeting->user, p); /* its session ends, and it leaves */
        return;
    }
    if (p->client != NULL) {
        meeting->ops.ended(meeting->user, p);
    }
    meeting_leave(meeting, p, reason);
}

void meeting_end_room(struct meeting *meeting, struct room *room, const char *reason)
{
    struct participant *next;

    meeting_recording_leave(meeting, room);
    meeting_live_leave(room);
    /* each was there until now; nobody is sent that, for all hear that it ends */
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        meeting_tell_person(meeting, p, NULL,
                            (struct meeting_event){.kind = MEETING_LEFT,
                                                   .who = p,
                                                   .reason = reason,
                                                   .kept_only = true});
    }
    meeting_tell_fact(meeting, room, NULL,
                      (struct meeting_event){
                          .kind = MEETING_ROOM_CLOSED, .room = room, .reason = reason});
    room->closing = true;
    room->keep_until_us = UINT64_MAX; /* it does not end with the last of them */
    meeting_deny_all(meeting, room, reason);
    for (struct participant *p = room->participants; p != NULL; p = next) {
        next = p->next;
        meeting_evict(meeting, p, reason);
    }
    room->keep_until_us = 0;
    room->closing = room->n_participants > 0; /* who came by HTTP is about to leave */
    meeting_close_room_if_empty(meeting, room);
}

int meeting_close(struct meeting *meeting, struct participant *by, const char *reason,
                  struct meeting_error *err)
{
    if (!meeting_may(by, AUTH_END_MEETING)) {
        return meeting_fail(err, "forbidden", "only the host may end the meeting");
    }
    meeting_end_room(meeting, by->room, reason);
    return 0;
}

void meeting_close_room(struct meeting *meeting, const char *tenant, const char *id,
                        const char *reason)
{
    struct room *room = meeting_find_room(meeting, tenant, id);

    if (room != NULL) {
        meeting_end_room(meeting, room, reason);
    }
}
