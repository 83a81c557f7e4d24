/* Which numbers a subscription was sent again a moment ago: who asks twice within a round
 * trip has asked before the answer could come. And who asks for the same one on and on has
 * got it, most likely (Pion's list does not notice what comes by RTX): it waits longer each
 * time, and is answered a few times at most, so that the share of the rate that repair may
 * cost is there for what is really missing. Used by rtcp/rtcp_in.
 *
 * Pure, header-only. A fixed table by number: two that share a place may both be answered
 * again, which costs a packet and no more. */
#ifndef CORE_ANSWERED_H
#define CORE_ANSWERED_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ANSWERED_PLACES = 64,
    ANSWERED_SOON = 3,  /* so many answers a round trip apart, then twice as far each time */
    ANSWERED_TIMES = 6, /* of one number: a link that takes a tenth takes all once in 10^6 */
    ANSWERED_MS = 10000 /* after which another packet may have the number */
};

struct answered {
    uint32_t at_ms[ANSWERED_PLACES]; /* of the last answer */
    uint16_t seq[ANSWERED_PLACES];
    uint8_t times[ANSWERED_PLACES]; /* 0: never */
};

/* Returns true, and notes it, if 'seq' may be answered at 'now_us' with a round trip of
 * 'rtt_us'. */
static inline bool answered_take(struct answered *a, uint16_t seq, uint64_t now_us,
                                 uint64_t rtt_us)
{
    uint32_t i = seq % ANSWERED_PLACES;
    uint32_t now_ms = (uint32_t)(now_us / 1000);
    uint32_t age_ms = now_ms - a->at_ms[i];

    if (a->times[i] == 0 || a->seq[i] != seq || age_ms >= ANSWERED_MS) {
        a->times[i] = 0;
    } else {
        uint32_t doubled = a->times[i] < ANSWERED_SOON ? 0 : a->times[i] - ANSWERED_SOON + 1;

        if (a->times[i] == ANSWERED_TIMES || age_ms < rtt_us / 1000 << doubled) {
            return false;
        }
    }
    a->times[i]++;
    a->at_ms[i] = now_ms;
    a->seq[i] = seq;
    return true;
}

#endif
