/* See call.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/call.h"

void call_start(struct call *call, const char *device, uint32_t profile, uint8_t family)
{
    call_open(call, rig_start(device), profile, family);
}

void call_open(struct call *call, struct rig *rig, uint32_t profile, uint8_t family)
{
    memset(call, 0, sizeof(*call));
    call->rig = rig;
    call->audio_seq = 1000;
    call->video_seq = 30000;
    far_open(&call->pub, call->rig, 1, profile, family);
    far_open(&call->sub, call->rig, 2, profile, family);
    call->audio = far_publish_audio(&call->pub, 0, CALL_AUDIO_SSRC);
    call->video = far_video(&call->pub, 1, CALL_VIDEO_SSRC);
    call->video.rtx_ssrc = CALL_RTX_SSRC;
    assert_int_equal(rig_stream(call->rig, ABI_OP_STREAM_OPEN, &call->video), 0);
    call->to_audio = far_subscribe(&call->sub, 0, &call->audio, CALL_OUT_AUDIO_SSRC);
    call->to_video = far_subscribe(&call->sub, 1, &call->video, CALL_OUT_VIDEO_SSRC);
}

void call_stop(struct call *call)
{
    far_end(&call->pub);
    far_end(&call->sub);
    rig_stop(call->rig);
}

struct far_rtp call_audio(struct call *call, const void *payload, size_t len)
{
    call->audio_seq++;
    call->audio_ts += 960;
    return (struct far_rtp){.ssrc = CALL_AUDIO_SSRC,
                            .pt = FAR_AUDIO_PT,
                            .seq = call->audio_seq,
                            .ts = call->audio_ts,
                            .payload = payload,
                            .len = len};
}

struct far_rtp call_video(struct call *call, bool key)
{
    call->video_seq++;
    call->video_ts += 3000;
    return (struct far_rtp){.ssrc = CALL_VIDEO_SSRC,
                            .pt = FAR_VIDEO_PT,
                            .seq = call->video_seq,
                            .ts = call->video_ts,
                            .marker = true,
                            .payload = key ? far_vp8_key : far_vp8_delta,
                            .len = sizeof(far_vp8_key)};
}

void call_say(struct call *call)
{
    const struct far_rtp rtp = call_audio(call, "hello", 5);

    far_send_rtp(&call->pub, &rtp);
    rig_run(call->rig);
}

void call_show(struct call *call, bool key)
{
    const struct far_rtp rtp = call_video(call, key);

    far_send_rtp(&call->pub, &rtp);
    rig_run(call->rig);
}

struct sub *call_sub(const struct call *call, const struct vault_sub_conf *conf)
{
    struct sub *sub = tables_sub(&call->rig->tables, conf->handle);

    assert_non_null(sub);
    return sub;
}

struct stream *call_stream(const struct call *call, const struct vault_stream_conf *conf)
{
    struct stream *stream = tables_stream(&call->rig->tables, conf->handle);

    assert_non_null(stream);
    return stream;
}

struct peer *call_peer(const struct call *call, const struct far *far)
{
    struct peer *peer = tables_peer(&call->rig->tables, far->conf.handle);

    assert_non_null(peer);
    return peer;
}
