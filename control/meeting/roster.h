/* How a large meeting is told of its people: not one by one but, twice a second at most and
 * less often the more they are (MEETING_CALM_PEOPLE), who has come, left or changed; hosts of
 * all, the others only of who presents, and of how many there are. */
#ifndef MEETING_ROSTER_H
#define MEETING_ROSTER_H

#include "meeting/meeting.h"

enum { ROSTER_MAX = 200 }; /* of each list; who misses somebody asks for the list */

struct roster_left {
    char participant_id[MEETING_OBJECT_ID + 1];
    char user_id[AUTH_ID_MAX + 1];
    char reason[32];
    bool shown; /* the others than hosts had heard of it */
};

struct roster {
    uint64_t told_us;    /* monotonic: when last */
    uint32_t told_count; /* what was said then */
    bool changed;
    bool more;      /* while it is told: there was no room for all */
    bool more_left; /* of those who left; … */
    bool more_shown_left;
    uint32_t n_joined, n_updated, n_left;
    struct roster_left left[ROSTER_MAX];
    const struct participant *joined[ROSTER_MAX]; /* while it is told */
    const struct participant *updated[ROSTER_MAX];
};

#endif
