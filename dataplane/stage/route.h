/* The one stage that amplifies: moves this lane's cursors over the rings that grew and
 * makes an egress packet for each subscription that wants the slot. One burst a call, so a
 * room of any size costs a bounded step; streams take turns by packet.
 *
 * Video of a peer whose link is known (peer->pace_bps) is spread by core/pacer: its cursor
 * waits (lane/paced.h) while others go on. Audio never waits. */
#ifndef KCS_STAGE_ROUTE_H
#define KCS_STAGE_ROUTE_H

#include "lane/lane.h"

/* 'in' is not used (rings are the input). Fills the empty 'out' with up to PKT_BURST
 * packets that have sub, peer and pos set. What could not be served is counted as drops of
 * egress: no_buffer for each subscription; overrun for each packet of a ring that this lane
 * was too slow to reach, whatever the number of its subscriptions. Returns how many; 0 when
 * no ring has anything for anybody, or when none of many subscriptions wanted it: call
 * again while route_is_due(). */
uint16_t route_burst(struct lane *lane, const struct burst *in, struct burst *out);

/* Whether there is something to look at now; paced_deadline() tells when the next of those
 * is that wait. */
static inline bool route_is_due(const struct lane *lane)
{
    return lane->grown != NULL || paced_deadline(&lane->paced) <= lane->now_us;
}

/* When the video of 'peer' whose turn it is has waited as long as it may; UINT64_MAX if
 * none waits. */
uint64_t route_late_us(const struct lane *lane, const struct peer *peer);

#endif
