/* Which numbers a subscription was sent again a moment ago: who asks twice within a round
 * trip has asked before the answer could come. Used by rtcp/rtcp_in.
 *
 * Pure, header-only. A fixed table by number: two that share a place may both be answered
 * again, which costs a packet and no more. */
#ifndef CORE_ANSWERED_H
#define CORE_ANSWERED_H

#include <stdbool.h>
#include <stdint.h>

enum { ANSWERED_PLACES = 64 };

struct answered {
    uint32_t at_ms[ANSWERED_PLACES]; /* 0: never */
    uint16_t seq[ANSWERED_PLACES];
};

/* Returns true, and notes it, if 'seq' was not answered in the 'rtt_us' before 'now_us'. */
static inline bool answered_take(struct answered *a, uint16_t seq, uint64_t now_us,
                                 uint64_t rtt_us)
{
    uint32_t i = seq % ANSWERED_PLACES;
    uint32_t now_ms = (uint32_t)(now_us / 1000);

    if (a->at_ms[i] != 0 && a->seq[i] == seq && now_ms - a->at_ms[i] < rtt_us / 1000) {
        return false;
    }
    a->at_ms[i] = now_ms != 0 ? now_ms : 1;
    a->seq[i] = seq;
    return true;
}

#endif
