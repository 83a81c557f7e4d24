/* The one stage that amplifies: moves this lane's cursors over the rings that grew and
 * makes an egress packet for each subscription that wants the slot. One burst a call, so a
 * room of any size costs a bounded step. Audio comes first; rooms take turns (lane/turns.h),
 * and within a room streams, by packet.
 *
 * A lane that cannot send all, be it for want of CPU or of room in a device, sends what it
 * can: cursors wait, and what has waited for too long is given up, the oldest video first.
 * Whom that cuts off goes on with a key frame.
 *
 * Video of a peer whose link is known (peer->pace_bps) is spread by core/pacer: its cursor
 * waits (lane/paced.h) while others go on. Audio never waits. */
#ifndef KCS_STAGE_ROUTE_H
#define KCS_STAGE_ROUTE_H

#include "lane/lane.h"

/* 'in' is not used (rings are the input). Fills the empty 'out' with up to PKT_BURST
 * packets that have sub, peer and pos set. What could not be served is counted as drops of
 * egress, for each subscription: no_buffer; overrun, of what this lane was too slow to
 * reach in its ring; shed_video and shed_audio, of what it gave up. Returns how many; 0 when
 * no ring has anything for anybody, or when none of many subscriptions wanted it: call
 * again while route_is_due(). */
uint16_t route_burst(struct lane *lane, const struct burst *in, struct burst *out);

/* Whether there is something to look at now; paced_deadline() tells when the next of those
 * is that wait. */
static inline bool route_is_due(const struct lane *lane)
{
    return lane_has_grown(lane) || paced_deadline(&lane->paced) <= lane->now_us;
}

/* When the video of 'peer' whose turn it is has waited as long as it may; UINT64_MAX if
 * none waits. */
uint64_t route_late_us(const struct lane *lane, const struct peer *peer);

#endif
