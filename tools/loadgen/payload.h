/* The numbered payload that publishers send and receivers verify: who sent it, which one it
 * is, when it left, and a hash over all of it, so that a byte changed anywhere, a payload
 * cut short or one of another stream is noticed.
 *
 * In front stands what a media node may look at: for VP8 a payload descriptor and the head of a
 * frame (RFC 7741, 4.2 and 4.3), for H264 a NAL unit, a fragment of one or parameter sets (RFC
 * 6184, 5.6 to 5.8), for audio the first byte of an Opus packet. Numbers that a node changes when
 * it leaves frames out (PictureID and TL0PICIDX of VP8) are not in the hash.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef LOADGEN_PAYLOAD_H
#define LOADGEN_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAYLOAD_MIN = 48, PAYLOAD_MAX = 1200 }; /* bytes, all told; H264 has a higher least */

enum payload_kind { PAYLOAD_OPUS, PAYLOAD_VP8, PAYLOAD_H264 };

struct payload {
    uint32_t tag;     /* of the sending stream */
    uint64_t number;  /* counts from 0 */
    uint64_t sent_us; /* by the clock that both ends share */
    enum payload_kind kind;
    /* video */
    bool frame_start; /* first packet of a frame */
    bool frame_end;   /* last; written only */
    bool second;      /* H264: behind the parameter sets; written only */
    bool key;         /* of a key frame */
    /* VP8 */
    bool temporal;    /* in layers of time: then there are 'tl0' and 'layers' */
    uint16_t picture; /* 15 bits */
    uint8_t tl0;
    uint8_t layers; /* TID and Y, where the descriptor has them */
};

/* The fewest bytes that hold one of that kind. */
size_t payload_min(enum payload_kind kind);

/* Fills 'len' bytes of 'out', payload_min() <= len <= PAYLOAD_MAX. */
void payload_write(const struct payload *payload, uint8_t *out, size_t len);

/* Reads what payload_write() wrote; 'kind' is what the stream is of. Returns 0, or -EBADMSG if it
 * is anything else to the last bit; then 'out' is undefined. */
int payload_parse(const uint8_t *data, size_t len, enum payload_kind kind,
                  struct payload *out);

#endif
