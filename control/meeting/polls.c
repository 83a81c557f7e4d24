/* Polls and captions; see play.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"

struct ballot {
    char user_id[AUTH_ID_MAX + 1];
    uint32_t choice;
    UT_hash_handle hh;
};

static void forget_ballots(struct poll *poll)
{
    struct ballot *ballot = poll->ballots;
    struct ballot *next;

    HASH_CLEAR(hh, poll->ballots);
    for (; ballot != NULL; ballot = next) {
        next = ballot->hh.next;
        free(ballot);
    }
}

void meeting_poll_free(struct poll *poll)
{
    forget_ballots(poll);
    for (unsigned i = 0; i < POLL_OPTIONS; i++) {
        free(poll->options[i]);
    }
    free(poll->question);
    free(poll);
}

void meeting_polls_free(struct room *room)
{
    struct poll *next;

    for (struct poll *poll = room->polls; poll != NULL; poll = next) {
        next = poll->next;
        meeting_poll_free(poll);
    }
    room->polls = NULL;
}

static struct poll *find_poll(const struct room *room, const char *id,
                              struct meeting_error *err)
{
    struct poll *poll = room->polls;

    while (poll != NULL && strcmp(poll->id, id) != 0) {
        poll = poll->next;
    }
    if (poll == NULL) {
        (void)meeting_fail(err, "not_found", "there is no such poll");
    }
    return poll;
}

static void tell(struct meeting *meeting, struct room *room, struct poll *poll)
{
    poll->changed = false;
    poll->told_us = clock_mono_us();
    meeting_tell_fact(meeting, room, NULL,
                      (struct meeting_event){.kind = MEETING_POLL, .poll = poll});
}

/* Makes room for one more: the oldest that is closed goes. */
static int make_room(struct room *room, struct meeting_error *err)
{
    struct poll **oldest = NULL;
    unsigned n = 0;

    for (struct poll **at = &room->polls; *at != NULL; at = &(*at)->next) {
        oldest = (*at)->closed ? at : oldest; /* the newest is first */
        n++;
    }
    if (n < POLL_MAX) {
        return 0;
    }
    if (oldest == NULL) {
        return meeting_fail(err, "too_many", "at most %d open polls", POLL_MAX);
    }
    {
        struct poll *gone = *oldest;

        *oldest = gone->next;
        meeting_poll_free(gone);
    }
    return 0;
}

static struct poll *make(const struct meeting *meeting, const struct poll_draft *draft)
{
    struct poll *poll = calloc(1, sizeof(*poll));
    bool fine;

    if (poll == NULL) {
        return NULL;
    }
    meeting_new_id(meeting, poll->id);
    poll->made_us = clock_wall_us();
    poll->n_options = draft->n_options;
    poll->multiple = draft->multiple;
    poll->anonymous = draft->anonymous;
    poll->question = strdup(draft->question);
    fine = poll->question != NULL;
    for (unsigned i = 0; i < draft->n_options; i++) {
        poll->options[i] = strdup(draft->options[i]);
        fine = fine && poll->options[i] != NULL;
    }
    if (!fine) {
        meeting_poll_free(poll);
        return NULL;
    }
    return poll;
}

const struct poll *meeting_poll_create(struct meeting *meeting, struct participant *p,
                                       const struct poll_draft *draft,
                                       struct meeting_error *err)
{
    struct poll *poll;

    if (meeting_need_host(p, err) != 0 || make_room(p->room, err) != 0) {
        return NULL;
    }
    poll = make(meeting, draft);
    if (poll == NULL) {
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    poll->next = p->room->polls;
    p->room->polls = poll;
    tell(meeting, p->room, poll);
    return poll;
}

static void count(struct poll *poll, uint32_t choice, int by)
{
    for (unsigned i = 0; i < poll->n_options; i++) {
        if ((choice & UINT32_C(1) << i) != 0) {
            poll->votes[i] += (uint32_t)by;
        }
    }
}

static struct ballot *ballot_of(struct poll *poll, const char *user_id)
{
    struct ballot *ballot;

    HASH_FIND_STR(poll->ballots, user_id, ballot);
    if (ballot != NULL) {
        return ballot;
    }
    ballot = calloc(1, sizeof(*ballot));
    if (ballot != NULL) {
        memcpy(ballot->user_id, user_id, strlen(user_id) + 1);
        HASH_ADD_STR(poll->ballots, user_id, ballot);
        if (ballot->hh.tbl == NULL) {
            free(ballot);
            ballot = NULL;
        }
    }
    return ballot;
}

int meeting_poll_vote(struct meeting *meeting, struct participant *p, const char *id,
                      uint32_t choice, struct meeting_error *err)
{
    struct poll *poll = find_poll(p->room, id, err);
    struct ballot *ballot;

    if (poll == NULL) {
        return -1;
    }
    if (!meeting_may(p, AUTH_REACT)) {
        return meeting_fail(err, "forbidden", "the role %s may not vote",
                            auth_role_name(p->who.role));
    }
    if (poll->closed) {
        return meeting_fail(err, "closed", "that poll is closed");
    }
    if (choice == 0 || choice >> poll->n_options != 0 ||
        (!poll->multiple && (choice & (choice - 1)) != 0)) {
        return meeting_fail(err, "invalid", "/choice: must be %s of %u options",
                            poll->multiple ? "some" : "one", poll->n_options);
    }
    if (meeting_spend(p, MEETING_RATE_REACT, err) != 0) {
        return -1;
    }
    ballot = ballot_of(poll, p->who.user_id);
    if (ballot == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    count(poll, ballot->choice, -1);
    ballot->choice = choice;
    count(poll, choice, 1);
    poll->changed = true;
    meeting_polls_tick(meeting, p->room, clock_mono_us());
    return 0;
}

int meeting_poll_close(struct meeting *meeting, struct participant *p, const char *id,
                       struct meeting_error *err)
{
    struct poll *poll;

    if (meeting_need_host(p, err) != 0) {
        return -1;
    }
    poll = find_poll(p->room, id, err);
    if (poll == NULL) {
        return -1;
    }
    if (!poll->closed) {
        poll->closed = true;
        forget_ballots(poll);
        tell(meeting, p->room, poll);
    }
    return 0;
}

void meeting_polls_tick(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    for (struct poll *poll = room->polls; poll != NULL; poll = poll->next) {
        if (poll->changed && now_us >= poll->told_us + POLL_CALM_MS * UINT64_C(1000)) {
            tell(meeting, room, poll);
        }
    }
}

/* ---- from and to where they are kept ---- */

void meeting_poll_restore(struct room *room, struct poll *poll)
{
    struct poll **last = &room->polls;
    unsigned n = 0;

    for (; *last != NULL; last = &(*last)->next) {
        n++;
    }
    if (n >= POLL_MAX) {
        meeting_poll_free(poll);
    } else {
        *last = poll;
    }
}

void meeting_poll_ballot(struct poll *poll, const char *user_id, uint32_t choice)
{
    struct ballot *ballot =
        strlen(user_id) <= AUTH_ID_MAX ? ballot_of(poll, user_id) : NULL;

    if (ballot != NULL) {
        ballot->choice = choice;
    }
}

void meeting_poll_each(const struct poll *poll,
                       void (*fn)(void *arg, const char *user_id, uint32_t choice),
                       void *arg)
{
    for (const struct ballot *b = poll->ballots; b != NULL; b = b->hh.next) {
        if (b->choice != 0) {
            fn(arg, b->user_id, b->choice);
        }
    }
}

/* ---- captions ---- */

int meeting_caption(struct meeting *meeting, struct participant *p,
                    const struct caption *caption, struct meeting_error *err)
{
    const struct meeting_event event = {
        .kind = MEETING_CAPTION,
        .who = p,
        .caption = caption,
        .audience = {.reach = FACT_GROUP, .group = p->group}};

    if (!p->who.captions) {
        return meeting_fail(err, "forbidden", "the token lacks the scope caption");
    }
    /* what is not final comes again: in a large meeting it is not worth a message to all */
    if (!caption->final && meeting_is_crowd(p->room)) {
        return 0;
    }
    if (meeting_spend(p, MEETING_RATE_CAPTION, err) != 0) {
        return -1;
    }
    meeting->ops.to_room(meeting->user, p->room, p, &event);
    return 0;
}
