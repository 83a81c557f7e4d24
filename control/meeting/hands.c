/* Hands and reactions; see chat.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"

/* ---- hands ---- */

uint32_t meeting_hand_position(const struct participant *p)
{
    uint32_t position = 1;

    if (p->hand == 0) {
        return 0;
    }
    for (const struct participant *q = p->room->participants; q != NULL; q = q->next) {
        position += q->hand != 0 && q->hand < p->hand;
    }
    return position;
}

int meeting_hand_raise(struct meeting *meeting, struct participant *p, uint32_t *position,
                       struct meeting_error *err)
{
    if (!meeting_may(p, AUTH_RAISE_HAND) || !meeting_has(p->room, MEETING_BIT(HANDS))) {
        return meeting_fail(err, "forbidden", "you may not raise a hand here");
    }
    if (p->hand == 0) {
        if (meeting_spend(p, MEETING_RATE_HOST, err) != 0) {
            return -1;
        }
        p->hand = ++p->room->last_hand;
        meeting_save_person(p);
        meeting_tell_person(meeting, p, p,
                            (struct meeting_event){.kind = MEETING_HAND_RAISED,
                                                   .who = p,
                                                   .n = meeting_hand_position(p)});
    }
    *position = meeting_hand_position(p);
    return 0;
}

static void lower(struct meeting *meeting, struct participant *by, struct participant *p)
{
    if (p->hand == 0) {
        return;
    }
    p->hand = 0;
    meeting_save_person(p);
    meeting_tell_person(meeting, p, p == by ? p : NULL,
                        (struct meeting_event){.kind = MEETING_HAND_LOWERED,
                                               .who = p,
                                               .by = p == by ? NULL : by});
}

int meeting_hand_lower(struct meeting *meeting, struct participant *by, const char *target,
                       struct meeting_error *err)
{
    if (target[0] == '\0' || meeting_is_meant(by, target)) {
        lower(meeting, by, by);
        return 0;
    }
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    if (meeting_find_meant(by->room, target) == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    for (struct participant *p = by->room->participants; p != NULL; p = p->next) {
        if (meeting_is_meant(p, target)) {
            lower(meeting, by, p);
        }
    }
    return 0;
}

int meeting_hand_lower_all(struct meeting *meeting, struct participant *by,
                           struct meeting_error *err)
{
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    for (struct participant *p = by->room->participants; p != NULL; p = p->next) {
        if (p->hand != 0) {
            p->hand = 0;
            meeting_save_person(p);
        }
    }
    meeting_tell_fact(meeting, by->room, NULL,
                      (struct meeting_event){.kind = MEETING_HAND_LOWERED, .by = by});
    return 0;
}

/* ---- reactions ---- */

static void count(struct reactions *reactions, const char *emoji)
{
    uint32_t i = 0;

    while (i < reactions->n && strcmp(reactions->at[i].emoji, emoji) != 0) {
        i++;
    }
    if (i == REACTION_KINDS) {
        return; /* there is no room for more kinds at once */
    }
    if (i == reactions->n) {
        reactions->n++;
        reactions->at[i].n = 0;
        (void)snprintf(reactions->at[i].emoji, sizeof(reactions->at[i].emoji), "%s", emoji);
    }
    reactions->at[i].n++;
}

int meeting_react(struct meeting *meeting, struct participant *p, const char *emoji,
                  struct meeting_error *err)
{
    const struct meeting_event event = {
        .kind = MEETING_REACTION,
        .who = p,
        .text = emoji,
        .audience = {.reach = FACT_GROUP, .group = p->group}};
    struct room *room = p->room;

    if (!meeting_may(p, AUTH_REACT)) {
        return meeting_fail(err, "forbidden", "the role %s may not react here",
                            auth_role_name(p->who.role));
    }
    if (meeting_spend(p, MEETING_RATE_REACT, err) != 0) {
        return -1;
    }
    if (!meeting_is_crowd(room)) {
        meeting->ops.to_room(meeting->user, room, p, &event);
        return 0;
    }
    if (room->reactions == NULL) {
        room->reactions = calloc(1, sizeof(*room->reactions));
    }
    if (room->reactions != NULL) {
        count(room->reactions, emoji);
    }
    return 0;
}

void meeting_reactions_tick(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    const struct meeting_event event = {.kind = MEETING_REACTION_COUNTS, .room = room};
    struct reactions *reactions = room->reactions;

    if (reactions == NULL || reactions->n == 0 ||
        now_us - reactions->told_us < MEETING_CALM_MS * UINT64_C(1000)) {
        return;
    }
    reactions->told_us = now_us;
    meeting->ops.to_room(meeting->user, room, NULL, &event);
    reactions->n = 0;
}
