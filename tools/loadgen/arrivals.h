/* When packets with transport-wide numbers arrived, and the feedback that tells it.
 *
 * Pure: no clock, no allocation, no I/O.
 * draft-holmer-rmcat-transport-wide-cc-extensions-01. */
#ifndef LOADGEN_ARRIVALS_H
#define LOADGEN_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

enum { ARRIVALS_MAX = 256, ARRIVALS_PERIOD_US = 100000 };

struct arrivals {
    uint64_t next; /* extended number after the last that was told */
    uint32_t n;
    uint8_t n_messages;
    uint64_t seqs[ARRIVALS_MAX]; /* ascending */
    uint64_t at_us[ARRIVALS_MAX];
};

/* Notes one. Those out of order, and above ARRIVALS_MAX between two messages, are told as
 * lost. */
void arrivals_add(struct arrivals *arrivals, uint16_t seq, uint64_t now_us);

/* Writes a message about what came since the last. Returns its length, 0 if nothing did. */
size_t arrivals_take(struct arrivals *arrivals, uint32_t sender_ssrc, uint32_t media_ssrc,
                     uint8_t *out, size_t cap);

#endif
