/* The numbered payload that publishers send and receivers verify: who sent it, which one it
 * is, when it left, and a hash over all of it, so that a byte changed anywhere, a payload
 * cut short or one of another stream is noticed.
 *
 * In front stands what a media node may look at: for video a VP8 payload descriptor and
 * frame tag (RFC 7741, 4.2 and 4.3), for audio the first byte of an Opus packet.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef LOADGEN_PAYLOAD_H
#define LOADGEN_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAYLOAD_MIN = 48, PAYLOAD_MAX = 1200 }; /* bytes, all told */

struct payload {
    uint32_t tag;     /* of the sending stream */
    uint64_t number;  /* counts from 0 */
    uint64_t sent_us; /* by the clock that both ends share */
    bool video;
    bool frame_start; /* video: first packet of a frame */
    bool key;         /* video: of a key frame */
};

/* Fills 'len' bytes of 'out', PAYLOAD_MIN <= len <= PAYLOAD_MAX. */
void payload_write(const struct payload *payload, uint8_t *out, size_t len);

/* Reads what payload_write() wrote; 'video' says which kind the stream is of. Returns 0, or
 * -EBADMSG if it is anything else to the last bit; then 'out' is undefined. */
int payload_parse(const uint8_t *data, size_t len, bool video, struct payload *out);

#endif
