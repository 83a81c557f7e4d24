/* What the forwarding path must know of a codec: whether a decrypted RTP payload starts a
 * key frame, which is where a subscriber can begin.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbered like enum abi_codec. */
enum codec_kind {
    CODEC_NONE,
    CODEC_OPUS,
    CODEC_VP8,
    CODEC_VP9,
    CODEC_H264,
    CODEC_AV1,
    N_CODECS
};

/* Whether 'payload' (borrowed; behind the RTP header, padding removed) is the first packet
 * of a key frame. Malformed payloads are not, and neither is audio, where every packet will
 * do.
 *
 * VP8   partition 0 starts and the frame is not inter-predicted (RFC 7741, 4.2, 4.3)
 * VP9   a frame of the lowest spatial layer begins, not inter-predicted (RFC 9628, 4.2)
 * H264  an SPS or an IDR slice begins, alone, in a STAP-A or an FU-A (RFC 6184, 5.2). An
 * SPS and its IDR in packets of their own are both said to be: same timestamp, same frame
 * AV1   first packet of a coded video sequence (AV1 RTP payload specification, 4.4) */
bool codec_is_keyframe(enum codec_kind codec, const uint8_t *payload, size_t len);

#endif
