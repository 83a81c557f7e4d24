/* See breakout.h. Who changes the group loses all routes between himself and those he was
 * with: consumers are closed on both sides, so the dataplane forgets them. */
#include "meeting/breakout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

static const char REASON[] = "breakout";

/* ---- moving ---- */

static void end_consumers_of(struct meeting *meeting, struct room_producer *rp)
{
    meeting_viewers_leave(meeting, rp);
    while (rp->consumers != NULL) {
        meeting_end_consumer(meeting, rp->consumers, REASON);
    }
}

static void end_data_of(struct data_producer *dp)
{
    while (dp->consumers != NULL) {
        meeting_end_data_consumer(dp->consumers, REASON);
    }
}

/* Ends every route from and to 'p', and tells those who stay that his streams are gone. */
static void separate(struct meeting *meeting, struct participant *p)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        while (t->consumers != NULL) {
            meeting_end_consumer(meeting, t->consumers, REASON);
        }
        while (t->data_consumers != NULL) {
            meeting_end_data_consumer(t->data_consumers, REASON);
        }
        for (struct data_producer *dp = t->data_producers; dp != NULL; dp = dp->next) {
            end_data_of(dp);
            meeting_tell_fact(
                meeting, p->room, p,
                (struct meeting_event){
                    .kind = MEETING_DATA_CLOSED, .who = p, .data = dp, .reason = REASON});
        }
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            end_consumers_of(meeting, rp);
            meeting_audio_left(meeting, rp);
            if (rp->ready) {
                meeting_tell_fact(meeting, p->room, p,
                                  (struct meeting_event){.kind = MEETING_PRODUCER_CLOSED,
                                                         .who = p,
                                                         .producer = rp});
            }
        }
    }
}

/* Tells those whom he is with now what he sends. */
static void introduce(struct meeting *meeting, struct participant *p)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (rp->ready) {
                meeting_tell_fact(meeting, p->room, p,
                                  (struct meeting_event){.kind = MEETING_NEW_PRODUCER,
                                                         .who = p,
                                                         .producer = rp});
            }
        }
        for (struct data_producer *dp = t->data_producers; dp != NULL; dp = dp->next) {
            meeting_tell_fact(
                meeting, p->room, p,
                (struct meeting_event){.kind = MEETING_NEW_DATA, .who = p, .data = dp});
        }
    }
}

static bool move(struct meeting *meeting, struct participant *p, unsigned group)
{
    const struct meeting_event event = {.kind = MEETING_MOVED, .who = p};

    if (p->group == group || p->viewer) {
        return false;
    }
    separate(meeting, p);
    p->group = (uint8_t)group;
    meeting_save_person(p);
    log_info("participant_moved", LOG_STR("meeting_id", p->room->id),
             LOG_STR("participant_id", p->id), LOG_U64("group", group));
    meeting->ops.to_one(meeting->user, p, &event); /* first: then what comes fits */
    introduce(meeting, p);
    return true;
}

static void tell_state(struct meeting *meeting, struct room *room, struct participant *by)
{
    meeting_tell_fact(
        meeting, room, NULL,
        (struct meeting_event){.kind = MEETING_BREAKOUTS, .room = room, .by = by});
}

/* Everybody goes where he belongs; who belongs nowhere stays where he is. */
static void move_all(struct meeting *meeting, struct room *room)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        const struct known *known = meeting_known(room, p->who.user_id);

        if (known != NULL && known->group != 0) {
            (void)move(meeting, p, known->group);
        }
    }
}

/* ---- who belongs where ---- */

/* The group of an id, 0 with 'err' if there is none such. */
static unsigned find(const struct room *room, const char *id, struct meeting_error *err)
{
    const struct breakouts *b = room->breakouts;

    for (unsigned i = 0; b != NULL && i < b->n; i++) {
        if (strcmp(b->at[i].id, id) == 0) {
            return i + 1;
        }
    }
    (void)meeting_fail(err, "not_found", "there is no such breakout room");
    return 0;
}

static void forget_groups(struct room *room)
{
    struct known *known = NULL;
    struct known *next = NULL;

    HASH_ITER(hh, room->known, known, next)
    {
        known->group = 0;
    }
}

/* How many of them the room does not remember yet. */
static size_t count_new(const struct room *room, const struct breakout_draft *draft)
{
    size_t n = 0;

    for (size_t i = 0; i < draft->n_users; i++) {
        n += meeting_known(room, draft->users[i]) == NULL;
    }
    return n;
}

static int have_room(const struct room *room, const struct breakout_draft *drafts, size_t n,
                     struct meeting_error *err)
{
    size_t more = HASH_COUNT(room->known);

    for (size_t i = 0; i < n; i++) {
        more += count_new(room, &drafts[i]);
    }
    return more <= MEETING_KNOWN
               ? 0
               : meeting_fail(err, "too_many", "a meeting remembers at most %d people",
                              MEETING_KNOWN);
}

static void assign(struct room *room, const struct breakout_draft *draft, unsigned group)
{
    for (size_t i = 0; i < draft->n_users; i++) {
        struct meeting_error err;
        struct known *known = meeting_remember(room, draft->users[i], &err);

        if (known != NULL) { /* else there is no memory: he stays where he is */
            known->group = (uint8_t)group;
        }
    }
}

/* ---- calls ---- */

static int may_break_out(struct participant *by, struct meeting_error *err)
{
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    return meeting_has(by->room, MEETING_BIT(BREAKOUTS))
               ? 0
               : meeting_fail(err, "forbidden", "this meeting has no breakout rooms");
}

int meeting_breakout_create(struct meeting *meeting, struct participant *by,
                            const struct breakout_draft *drafts, size_t n,
                            struct meeting_error *err)
{
    struct room *room = by->room;

    if (may_break_out(by, err) != 0 || have_room(room, drafts, n, err) != 0) {
        return -1;
    }
    if (room->breakouts != NULL && room->breakouts->open) {
        return meeting_fail(err, "already_exists", "close the open ones first");
    }
    if (room->breakouts == NULL) {
        room->breakouts = malloc(sizeof(*room->breakouts));
        if (room->breakouts == NULL) {
            return meeting_fail_errno(err, -ENOMEM);
        }
    }
    *room->breakouts = (struct breakouts){.n = (uint32_t)n};
    forget_groups(room);
    for (size_t i = 0; i < n; i++) {
        struct breakout *b = &room->breakouts->at[i];

        meeting_new_id(meeting, b->id);
        (void)snprintf(b->name, sizeof(b->name), "%s", drafts[i].name);
        assign(room, &drafts[i], (unsigned)i + 1);
    }
    tell_state(meeting, room, by);
    return 0;
}

int meeting_breakout_assign(struct meeting *meeting, struct participant *by,
                            const struct breakout_draft *drafts, size_t n,
                            struct meeting_error *err)
{
    struct room *room = by->room;

    if (may_break_out(by, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (find(room, drafts[i].id, err) == 0) {
            return -1;
        }
    }
    if (have_room(room, drafts, n, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        assign(room, &drafts[i], find(room, drafts[i].id, err));
    }
    if (room->breakouts->open) {
        move_all(meeting, room);
    }
    tell_state(meeting, room, by);
    return 0;
}

int meeting_breakout_open(struct meeting *meeting, struct participant *by,
                          uint32_t duration_s, struct meeting_error *err)
{
    struct room *room = by->room;

    if (may_break_out(by, err) != 0) {
        return -1;
    }
    if (room->breakouts == NULL || room->breakouts->n == 0) {
        return meeting_fail(err, "not_found", "there are no breakout rooms yet");
    }
    room->breakouts->open = true;
    room->breakouts->closes_us =
        duration_s != 0 ? clock_wall_us() + duration_s * UINT64_C(1000000) : 0;
    move_all(meeting, room);
    tell_state(meeting, room, by);
    meeting_save_room(room);
    return 0;
}

int meeting_breakout_join(struct meeting *meeting, struct participant *p, const char *id,
                          struct meeting_error *err)
{
    const struct known *known = meeting_known(p->room, p->who.user_id);
    unsigned group = 0;

    if (p->room->breakouts == NULL || !p->room->breakouts->open) {
        return meeting_fail(err, "not_found", "no breakout rooms are open");
    }
    if (id[0] != '\0') {
        group = find(p->room, id, err);
        if (group == 0) {
            return -1;
        }
        if (!meeting_may(p, AUTH_MODERATE) && (known == NULL || known->group != group)) {
            return meeting_fail(err, "forbidden", "you do not belong there");
        }
    }
    if (meeting_spend(p, MEETING_RATE_SEND, err) != 0) {
        return -1;
    }
    if (move(meeting, p, group)) {
        tell_state(meeting, p->room, p);
    }
    return 0;
}

int meeting_breakout_say(struct meeting *meeting, struct participant *by, const char *text,
                         struct meeting_error *err)
{
    if (may_break_out(by, err) != 0) {
        return -1;
    }
    if (by->room->breakouts == NULL || !by->room->breakouts->open) {
        return meeting_fail(err, "not_found", "no breakout rooms are open");
    }
    meeting_tell_fact(
        meeting, by->room, NULL,
        (struct meeting_event){.kind = MEETING_BREAKOUT_SAID, .who = by, .text = text});
    return 0;
}

static void close_all(struct meeting *meeting, struct room *room, struct participant *by)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        (void)move(meeting, p, 0);
    }
    room->breakouts->open = false;
    room->breakouts->closes_us = 0;
    tell_state(meeting, room, by);
}

int meeting_breakout_close(struct meeting *meeting, struct participant *by,
                           struct meeting_error *err)
{
    if (may_break_out(by, err) != 0) {
        return -1;
    }
    if (by->room->breakouts == NULL || !by->room->breakouts->open) {
        return meeting_fail(err, "not_found", "no breakout rooms are open");
    }
    close_all(meeting, by->room, by);
    return 0;
}

void meeting_breakouts_tick(struct meeting *meeting, struct room *room, uint64_t wall_us)
{
    const struct breakouts *b = room->breakouts;

    if (b != NULL && b->open && b->closes_us != 0 && b->closes_us <= wall_us) {
        close_all(meeting, room, NULL);
    }
}

/* ---- looking ---- */

size_t meeting_breakout_people(const struct room *room, unsigned group,
                               const char *out[BREAKOUT_SHOWN])
{
    const struct known *known = room->known;
    size_t n = 0;

    if (room->breakouts->open) {
        for (const struct participant *p = room->participants;
             p != NULL && n < BREAKOUT_SHOWN; p = p->next) {
            if (p->group == group) {
                out[n++] = p->who.user_id;
            }
        }
        return n;
    }
    for (; known != NULL && n < BREAKOUT_SHOWN; known = known->hh.next) {
        if (known->group == group) {
            out[n++] = known->user_id;
        }
    }
    return n;
}

const char *meeting_breakout_of(const struct participant *p)
{
    const struct breakouts *b = p->room->breakouts;

    return p->group != 0 && b != NULL && p->group <= b->n ? b->at[p->group - 1].id : NULL;
}

/* ---- after a restart: that there are breakout rooms is known by who is in them ---- */

void meeting_breakouts_restore(struct meeting *meeting, struct room *room, unsigned group,
                               uint64_t closes_us)
{
    struct breakouts *b = room->breakouts;

    if (group == 0 || group > BREAKOUT_MAX) {
        return;
    }
    if (b == NULL) {
        b = calloc(1, sizeof(*b));
        if (b == NULL) {
            return;
        }
        room->breakouts = b;
        b->open = true;
    }
    b->closes_us = closes_us;
    for (; b->n < group; b->n++) {
        meeting_new_id(meeting, b->at[b->n].id);
        (void)snprintf(b->at[b->n].name, sizeof(b->at[b->n].name), "Room %u", b->n + 1);
    }
}
