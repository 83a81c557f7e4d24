/* Serial number arithmetic (RFC 1982) and the extension of 16-bit RTP sequence numbers to
 * 64 bits, done once at ingest so that nothing later has to think about wrapping.
 *
 * Pure, header-only. */
#ifndef SFU_BASE_SEQ_H
#define SFU_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

/* Signed distance from 'b' to 'a' on the 16-bit circle. */
static inline int16_t seq16_diff(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b);
}

static inline int32_t seq32_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

/* The 64-bit number nearest to 'ref' whose low 16 bits are 'seq'. Never goes below zero: a
 * number that would is taken as the one ahead. */
static inline uint64_t seq16_extend(uint64_t ref, uint16_t seq)
{
    int16_t diff = seq16_diff(seq, (uint16_t)ref);

    if (diff < 0 && ref < (uint64_t)(-(int32_t)diff)) {
        return ref + (uint64_t)(65536 + diff);
    }
    return ref + (uint64_t)(int64_t)diff;
}

#endif
