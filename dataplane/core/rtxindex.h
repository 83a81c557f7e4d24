/* What an outgoing sequence number of one subscription was, of one without layers
 * (core/switcher knows it of the others): which packet of the stream. The outgoing number is
 * the publisher's minus an offset; the offset changes when the subscription starts or
 * resumes, so a few spans are enough. Used to answer NACKs (stage/resend).
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_RTXINDEX_H
#define CORE_RTXINDEX_H

#include <stdbool.h>
#include <stdint.h>

enum { RTXINDEX_SPANS = 16 };

struct rtxindex_span {
    uint64_t first;  /* outgoing index (ROC << 16 | SEQ) at which it begins */
    uint64_t offset; /* outgoing = publisher's - offset, modulo 2^64 */
};

struct rtxindex {
    uint32_t n; /* spans ever begun; the last RTXINDEX_SPANS are kept */
    uint32_t _pad;
    struct rtxindex_span spans[RTXINDEX_SPANS];
};

/* What a number was. */
struct rtxindex_hit {
    uint64_t out; /* outgoing index */
    uint64_t seq; /* the publisher's, extended */
};

/* From outgoing index 'first' on, 'offset' holds. 'first' does not decrease. */
void rtxindex_begin(struct rtxindex *index, uint64_t first, uint64_t offset);

/* Finds what was sent as 'seq'; 'next' is one past the highest outgoing index. Returns
 * false for a number that is ahead of it, or older than what is remembered. */
bool rtxindex_find(const struct rtxindex *index, uint16_t seq, uint64_t next,
                   struct rtxindex_hit *out);

#endif
