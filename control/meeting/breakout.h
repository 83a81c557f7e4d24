/* Breakout rooms: groups of a meeting's people who send to and receive from each other
 * only. Nobody leaves the meeting for it: who is there, roles and facts are the whole
 * meeting's; media, data channels, the floor and the chat are a group's. See meeting.h.
 * Each call returns 0, or -1 with 'err' and nothing changed. */
#ifndef MEETING_BREAKOUT_H
#define MEETING_BREAKOUT_H

#include "meeting/meeting.h"

enum {
    BREAKOUT_MAX = 50,       /* of a meeting */
    BREAKOUT_NAME_MAX = 400, /* bytes: 100 characters */
    BREAKOUT_SHOWN = 200,    /* people of one that are told of */
    BREAKOUT_TEXT_MAX = 16000
};

struct breakout {
    char id[MEETING_OBJECT_ID + 1];
    char name[BREAKOUT_NAME_MAX + 1];
    struct room_producer *speaker; /* who has the floor there; as room->speaker */
};

struct breakouts {
    uint32_t n;
    bool open;
    uint64_t closes_us; /* wall clock: they close by themselves; 0: they do not */
    struct breakout at[BREAKOUT_MAX]; /* the group is the index + 1 */
};

struct breakout_draft {
    const char *name;         /* all borrowed; of those that are to be made */
    const char *id;           /* of those that there are */
    const char *const *users; /* who belongs there */
    size_t n_users;
};

/* Makes them, not open yet; those before are gone. */
int meeting_breakout_create(struct meeting *meeting, struct participant *by,
                            const struct breakout_draft *drafts, size_t n,
                            struct meeting_error *err);

/* Says who belongs where; if they are open people are moved at once. */
int meeting_breakout_assign(struct meeting *meeting, struct participant *by,
                            const struct breakout_draft *drafts, size_t n,
                            struct meeting_error *err);

/* Moves people to where they belong. duration_s 0: until somebody closes them. */
int meeting_breakout_open(struct meeting *meeting, struct participant *by,
                          uint32_t duration_s, struct meeting_error *err);

/* Goes to one: a host to any, others to where they belong; id empty: back to the meeting.
 */
int meeting_breakout_join(struct meeting *meeting, struct participant *p, const char *id,
                          struct meeting_error *err);

int meeting_breakout_say(struct meeting *meeting, struct participant *by, const char *text,
                         struct meeting_error *err);

/* Brings all back. */
int meeting_breakout_close(struct meeting *meeting, struct participant *by,
                           struct meeting_error *err);

/* Who belongs to a group (from 1), or as long as they are open, is there: user ids. Returns
 * how many were filled. */
size_t meeting_breakout_people(const struct room *room, unsigned group,
                               const char *out[BREAKOUT_SHOWN]);

/* The id of where 'p' is; NULL: in none. */
const char *meeting_breakout_of(const struct participant *p);

#endif
