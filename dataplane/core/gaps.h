/* Which numbers below the highest one of an outgoing stream were left out, so that a packet
 * that comes late may still take its own. Used by stage/protect, where it is what keeps an
 * SRTP index from being used twice: an index at or above the next one is new; one below may
 * be taken only from here, and only once. What is not known to be unused is used: a process
 * that begins with an empty struct (after a crash) refuses all that is late.
 *
 * Pure, header-only. Costs nothing while packets are sent in order. */
#ifndef CORE_GAPS_H
#define CORE_GAPS_H

#include <stdbool.h>
#include <stdint.h>

enum { GAPS_WORDS = 16, GAPS_WINDOW = GAPS_WORDS * 64 };

/* Word i speaks of the numbers block[i] * 64 .. + 63, and of no others. */
struct gaps {
    uint64_t unused[GAPS_WORDS]; /* bit k: the block's number k was left out */
    uint64_t block[GAPS_WORDS];
};

/* Notes that from..to - 1 are left out; of a wider gap the end. None of them may have been
 * used, nor noted before. */
static inline void gaps_add(struct gaps *gaps, uint64_t from, uint64_t to)
{
    if (to - from > GAPS_WINDOW) {
        from = to - GAPS_WINDOW;
    }
    for (uint64_t i = from; i < to; i++) {
        uint64_t block = i / 64;
        uint32_t at = (uint32_t)(block % GAPS_WORDS);

        if (gaps->block[at] != block) {
            gaps->block[at] = block;
            gaps->unused[at] = 0;
        }
        gaps->unused[at] |= UINT64_C(1) << i % 64;
    }
}

/* Takes 'number' if it was left out. Returns false if it was used, or nobody knows. */
static inline bool gaps_take(struct gaps *gaps, uint64_t number)
{
    uint32_t at = (uint32_t)(number / 64 % GAPS_WORDS);
    uint64_t bit = UINT64_C(1) << number % 64;

    if (gaps->block[at] != number / 64 || (gaps->unused[at] & bit) == 0) {
        return false;
    }
    gaps->unused[at] &= ~bit;
    return true;
}

#endif
