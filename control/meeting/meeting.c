/* The service of meetings: begins, has its clock, ends; see meeting.h. */
#include "meeting/meeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "meeting/priv.h"
#include "sys/clock.h"

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
    if (meeting_gate_init(m) != 0) {
        free(m);
        return -ENOMEM;
    }
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
    if (meeting != NULL) {
        meeting_gate_fini(meeting);
        meeting_recording_fini(meeting);
        meeting_live_fini(meeting);
        /* those who are away; the others have left with their clients */
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

uint32_t meeting_n_participants(const struct meeting *meeting)
{
    return meeting->n_participants;
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
    meeting->conf.max_people = limits->people;
    gate_set(&meeting->gate, &limits->gate);
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

bool meeting_is_restored(const struct meeting *meeting)
{
    return meeting->seen_media;
}

enum { LEAVE_A_TICK = 200 }; /* of those who do not come back: some 50 ms of the loop */

struct tick {
    struct meeting *meeting;
    uint64_t now_us;
    uint32_t n_viewers; /* in all rooms */
    uint32_t n_left;    /* who had been away */
};

static void tick_away(struct tick *tick, struct room *room)
{
    struct participant *next;
    bool last = false;

    for (struct participant *p = room->participants;
         p != NULL && !last && tick->n_left < LEAVE_A_TICK; p = next) {
        next = p->next;
        if (p->client == NULL && p->away_until_us <= tick->now_us) {
            last = room->n_participants == 1; /* the room may end with it */
            tick->n_left++;
            meeting_leave(tick->meeting, p, p->away_reason);
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

static void tick_room(void *arg, struct room *room)
{
    struct tick *tick = arg;
    struct meeting *meeting = tick->meeting;

    meeting_first_media(meeting, room);
    meeting_audio_tick(meeting, room, tick->now_us);
    meeting_taped_tick(meeting, room);
    meeting_recording_tick(meeting, room, tick->now_us);
    tick->n_viewers += room->n_viewers;
    if (room->n_viewers > 0) {
        meeting_viewers_tick(meeting, room);
    }
    meeting_lobby_tick(meeting, room);
    meeting_roster_tick(meeting, room, tick->now_us);
    meeting_reactions_tick(meeting, room, tick->now_us);
    meeting_polls_tick(meeting, room, tick->now_us);
    meeting_breakouts_tick(meeting, room, clock_wall_us());
    if (room->n_participants == 0) {
        tick_empty(meeting, room, tick->now_us);
    } else if (meeting->n_away > 0) {
        tick_away(tick, room);
    }
}

void meeting_tick(struct meeting *meeting, uint64_t now_us)
{
    struct tick tick = {.meeting = meeting, .now_us = now_us};

    meeting_load_tick(meeting, now_us);
    meeting_layers_tick(meeting, now_us);
    meeting_scores(meeting, now_us);
    if (meeting->conf.recorder != NULL) {
        recorder_tick(meeting->conf.recorder, now_us);
        meeting_live_tick(meeting, now_us);
    }
    meeting_each_room(meeting, tick_room, &tick);
    meeting_nobody_tick(meeting, tick.n_viewers);
}
