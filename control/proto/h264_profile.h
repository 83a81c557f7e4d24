/* What the profile-level-id of an H.264 stream says, so that two spellings of one profile
 * can be told to be the same.
 *
 * Pure. RFC 6184, section 8.1; the same reading as libwebrtc and mediasoup have. */
#ifndef PROTO_H264_PROFILE_H
#define PROTO_H264_PROFILE_H

#include <stdint.h>

enum h264_profile {
    H264_CONSTRAINED_BASELINE,
    H264_BASELINE,
    H264_MAIN,
    H264_CONSTRAINED_HIGH,
    H264_HIGH,
    H264_PREDICTIVE_HIGH_444
};

enum { H264_LEVEL_1B = 0 }; /* the other levels are ten times their number: 31 is 3.1 */

/* Reads six hexadecimal digits ("42e01f"). An empty string is the default of libwebrtc,
 * constrained baseline at level 3.1.
 *
 * Returns 0, or -EINVAL for anything that is no known profile or level. */
int h264_profile_parse(const char *text, enum h264_profile *profile, uint8_t *level);

#endif
