/* See roster.h. */
#include "meeting/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"

enum { NEWS_JOINED = 1, NEWS_UPDATED = 2 };

bool meeting_is_crowd(const struct room *room)
{
    return room->n_participants > room->crowd;
}

static bool presents(const struct participant *p)
{
    return meeting_rank(p->who.role) <= meeting_rank(AUTH_PRESENTER);
}

static void note_left(struct roster *roster, const struct participant *p,
                      const char *reason)
{
    struct roster_left *left = &roster->left[roster->n_left];

    if (roster->n_left == ROSTER_MAX) {
        roster->more_left = true;
        roster->more_shown_left |= p->shown;
        return;
    }
    roster->n_left++;
    left->shown = p->shown;
    memcpy(left->participant_id, p->id, sizeof(left->participant_id));
    memcpy(left->user_id, p->who.user_id, sizeof(left->user_id));
    (void)snprintf(left->reason, sizeof(left->reason), "%s", reason);
}

void meeting_tell_person(struct meeting *meeting, struct participant *p,
                         const struct participant *except, struct meeting_event event)
{
    struct room *room = p->room;

    if (meeting_is_crowd(room) && room->roster == NULL) {
        room->roster = calloc(1, sizeof(*room->roster));
    }
    p->shown |= presents(p) || !meeting_is_crowd(room);
    if (!meeting_is_crowd(room) || room->roster == NULL) {
        meeting_tell_fact(meeting, room, except, event);
        return;
    }
    if (event.kind == MEETING_LEFT) {
        if ((p->news & NEWS_JOINED) == 0) { /* else nobody has heard of it yet */
            note_left(room->roster, p, event.reason);
        }
    } else {
        p->news |= event.kind == MEETING_JOINED ? NEWS_JOINED : NEWS_UPDATED;
    }
    room->roster->changed = true;
    event.kept_only = true;
    if (event.kind == MEETING_LEFT ? !p->shown : !presents(p)) {
        event.audience.reach = FACT_HOSTS;
    }
    meeting_tell_fact(meeting, room, except, event);
}

/* ---- telling ---- */

static void add(const struct participant *list[ROSTER_MAX], uint32_t *n,
                const struct participant *p, bool *more)
{
    if (*n == ROSTER_MAX) {
        *more = true;
    } else {
        list[(*n)++] = p;
    }
}

static void gather(struct roster *roster, const struct room *room, bool to_hosts)
{
    roster->n_joined = roster->n_updated = 0;
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->news == 0 || (!to_hosts && !presents(p))) {
            continue;
        }
        if ((p->news & NEWS_JOINED) != 0) {
            add(roster->joined, &roster->n_joined, p, &roster->more);
        } else {
            add(roster->updated, &roster->n_updated, p, &roster->more);
        }
    }
}

/* The others hear only of those go whom they had heard of; hosts were told before. */
static void keep_shown(struct roster *roster)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < roster->n_left; i++) {
        if (roster->left[i].shown) {
            roster->left[n++] = roster->left[i];
        }
    }
    roster->n_left = n;
}

static void tell(struct meeting *meeting, struct room *room, bool to_hosts)
{
    struct roster *roster = room->roster;
    const struct meeting_event event = {
        .kind = MEETING_ROSTER,
        .room = room,
        .roster = roster,
        .audience = {.reach = to_hosts ? FACT_HOSTS : FACT_OTHERS}};

    roster->more = to_hosts ? roster->more_left : roster->more_shown_left;
    if (!to_hosts) {
        keep_shown(roster);
    }
    gather(roster, room, to_hosts);
    if (roster->more || roster->n_joined + roster->n_updated + roster->n_left > 0) {
        meeting->ops.to_room(meeting->user, room, NULL, &event);
    }
}

/* To tell all costs as much as there are: so that it never costs more than a part of the
 * time, however many they are, they are told less often. */
static uint64_t calm_us(const struct room *room)
{
    uint64_t times = 1 + room->n_participants / MEETING_CALM_PEOPLE;

    return times * MEETING_CALM_MS * UINT64_C(1000);
}

void meeting_roster_tick(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    const struct meeting_event count = {.kind = MEETING_COUNT, .room = room};
    struct roster *roster = room->roster;

    if (roster == NULL || !roster->changed ||
        now_us - roster->told_us < calm_us(room)) {
        return;
    }
    roster->told_us = now_us;
    tell(meeting, room, true);
    tell(meeting, room, false);
    if (roster->told_count != room->n_participants) {
        roster->told_count = room->n_participants;
        meeting->ops.to_room(meeting->user, room, NULL, &count);
    }
    roster->changed = roster->more_left = roster->more_shown_left = false;
    roster->n_left = 0;
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        p->news = 0;
    }
}
