/* One publisher with an audio and a video stream and one subscriber of both: where most
 * stage tests begin. Include cmocka.h before. */
#ifndef TESTS_SUPPORT_CALL_H
#define TESTS_SUPPORT_CALL_H

#include "support/far.h"

enum {
    CALL_AUDIO_SSRC = 0x0a0a0001,
    CALL_VIDEO_SSRC = 0x0a0a0002,
    CALL_RTX_SSRC = 0x0a0a0003,
    CALL_OUT_AUDIO_SSRC = 0x0b0b0001,
    CALL_OUT_VIDEO_SSRC = 0x0b0b0002
};

struct call {
    struct rig *rig;
    struct far pub, sub;
    struct vault_stream_conf audio, video;
    struct vault_sub_conf to_audio, to_video;
    uint16_t audio_seq, video_seq; /* of the last packet sent */
    uint32_t audio_ts, video_ts;
};

/* device  as rig_start */
void call_start(struct call *call, const char *device, uint32_t profile, uint8_t family);
void call_stop(struct call *call);

/* The same on a rig that runs already and stays the caller's; far_end() ends its far ends.
 */
void call_open(struct call *call, struct rig *rig, uint32_t profile, uint8_t family);

/* The next packet of the audio stream, to fill and send with far_send_rtp(). */
struct far_rtp call_audio(struct call *call, const void *payload, size_t len);

/* The next packet of the video stream: a key frame of one packet, or another frame. */
struct far_rtp call_video(struct call *call, bool key);

/* Sends one of them and runs. */
void call_say(struct call *call);
void call_show(struct call *call, bool key);

/* The lane's objects. */
struct sub *call_sub(const struct call *call, const struct vault_sub_conf *conf);
struct stream *call_stream(const struct call *call, const struct vault_stream_conf *conf);
struct peer *call_peer(const struct call *call, const struct far *far);

#endif
