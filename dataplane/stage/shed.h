/* What a lane gives up that cannot send all, be it for want of CPU or of room in a device:
 * what waits for too long, of each ring for itself, as rooms and rings take turns.
 *
 * Of video so many subscriptions are given up that the others can have all of it, or are sent
 * a smaller one, where there is one; how many
 * the ring's own delay tells by how fast it grows. They are those that were served for
 * longest, and come first when there is more again, a few at a time, with a key frame. Only
 * if all of it is late all the same, all lose what lies there. Audio, which has its turn
 * before all video, loses what is oldest.
 *
 * Neighbours: stage/route asks at each ring whose turn it is. Thread: the lane. */
#ifndef KCS_STAGE_SHED_H
#define KCS_STAGE_SHED_H

#include "lane/lane.h"

enum {
    SHED_YOUNG_US = 120000,  /* so late is not late: a quota's period is less */
    SHED_SPREAD_US = 50000,  /* nothing is paced that is so late */
    SHED_LATE_US = 250000,   /* subscriptions of video are given up */
    SHED_VIDEO_US = 500000,  /* all lose it */
    SHED_AUDIO_US = 1000000, /* of audio what is older */
    SHED_LOOK_US = 250000,   /* between two looks at how fast a ring's delay grows */
    SHED_RETURN_US = 1000000 /* so long in time, then some are taken up again */
};

/* Gives up what is too late at the ring's next position, which came at 'arrival_us'.
 * Returns true if the fan-out goes on elsewhere. Costs a comparison in a lane that keeps up;
 * O(subscriptions) some times a second in one that does not. */
bool shed_ring(struct lane *lane, struct stream_readers *readers, uint64_t arrival_us);

/* The lane was not run for some time: what is late by that is forgiven for a while. Who
 * stands still again and again (a quota on its CPU, a neighbour) has no more than it gets, and
 * is overloaded as others are. */
void shed_on_stood(struct lane *lane);

/* Whether a lane that is so late with it spreads it by that, and no pacer has to. */
static inline bool shed_spreads(const struct lane *lane, uint64_t due_us)
{
    return lane->now_us > due_us + SHED_SPREAD_US;
}

/* Whether what 'sub' alone waits with since then (the pacer) is too late. */
bool shed_is_too_late(const struct lane *lane, uint64_t since_us);

/* Whether one that is sent a smaller stream, as the lane did not carry more, may be sent the
 * next larger one. Called for each of them some times a second. */
bool shed_may_rise(struct lane *lane, const struct sub_layers *layers);

/* The fan-out goes on at 'pos', which is not before where it stands. Who has not had what
 * lies before loses it when it is visited. */
void shed_skip_to(struct lane *lane, struct stream_readers *readers, uint64_t pos);

/* 'sub' has not had what lies before 'pos' and will not: audio goes on there, video with a
 * key frame. 'ask': for that; else rtcp_out does, in a while. */
void shed_lose(struct lane *lane, struct sub *sub, uint64_t pos, enum drop_reason reason,
               bool ask);

/* The fan-out goes on at 'pos', for whoever has not had it, if it was there before. */
void shed_go_back(struct stream_readers *readers, uint64_t pos);

/* The fan-out has come to 'pos': counts what lies before for those that are given up, but for
 * what they had. */
void shed_count(struct lane *lane, struct stream_readers *readers, uint64_t pos);

#endif
