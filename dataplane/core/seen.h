/* Which of the last numbers of a stream have come: a packet and its retransmissions count
 * once, by whichever way they come. Used by stage/ingest.
 *
 * The replay window of SRTP (crypt/replay.h) is of one SSRC and much shorter; this one is
 * of a stream, and as long as its ring.
 *
 * Pure, header-only. Numbers are extended, so never wrap. */
#ifndef CORE_SEEN_H
#define CORE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_WINDOW = 1024 }; /* a power of two; what is older counts as seen */

struct seen {
    uint64_t next;                    /* one past the highest; 0: none came yet */
    uint64_t words[SEEN_WINDOW / 64]; /* by number, modulo the window */
};

/* Notes 'seq'. Returns true if it comes for the first time. */
static inline bool seen_take(struct seen *seen, uint64_t seq)
{
    uint64_t *word = &seen->words[seq % SEEN_WINDOW / 64];
    uint64_t bit = UINT64_C(1) << seq % 64;

    if (seq >= seen->next) {
        uint64_t from = seen->next + SEEN_WINDOW < seq ? seq - SEEN_WINDOW : seen->next;

        for (uint64_t i = from; i < seq; i++) {
            seen->words[i % SEEN_WINDOW / 64] &= ~(UINT64_C(1) << i % 64);
        }
        seen->next = seq + 1;
    } else if (seen->next - seq > SEEN_WINDOW || (*word & bit) != 0) {
        return false;
    }
    *word |= bit;
    return true;
}

#endif
