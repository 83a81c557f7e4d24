/* Frames of whatever codec; see depay.h. The payload formats are in depay_*.c. */
#include "egress/depay/depay.h"

#include <string.h>

void depay_init(struct depay *depay, enum abi_codec codec, struct depay_buffers *buffers)
{
    *depay = (struct depay){
        .codec = codec, .buffers = buffers, .need_key = codec != ABI_CODEC_OPUS};
}

void depay_add(struct depay *depay, const uint8_t *p, size_t len)
{
    if (len > DEPAY_FRAME - depay->len) {
        depay->bad = true;
        return;
    }
    memcpy(depay->buffers->frame + depay->len, p, len);
    depay->len += len;
}

void depay_spoilt(struct depay *depay)
{
    if (!depay->need_key && depay->codec != ABI_CODEC_OPUS) {
        depay->need_key = true;
        depay->asked = false;
    }
}

static bool is_key(const struct depay *depay, struct depay_frame *frame)
{
    switch (depay->codec) {
    case ABI_CODEC_VP8:
        return depay_vp8_key(frame->data, frame->len, &frame->width, &frame->height);
    case ABI_CODEC_VP9:
        if (!depay_vp9_key(frame->data, frame->len, &frame->width, &frame->height)) {
            return false;
        }
        if (depay->layers.size.width != 0) { /* that of the highest layer */
            frame->width = depay->layers.size.width;
            frame->height = depay->layers.size.height;
        }
        return true;
    case ABI_CODEC_H264: /* without its sets nobody can decode it */
        return depay->key && depay->sps_len > 0 && depay->pps_len > 0;
    default:
        return depay->key;
    }
}

static bool is_whole(struct depay *depay)
{
    if (depay->bad || depay->len == 0 || depay->in_part) {
        return false;
    }
    if (depay->codec == ABI_CODEC_VP9) {
        if (depay->layers.at[depay->layers.n] != depay->len) { /* it does not say so */
            vp9_layers_end(&depay->layers, depay->len);
        }
        depay->len = vp9_layers_join(&depay->layers, depay->buffers->frame, DEPAY_FRAME);
    }
    return depay->len > 0;
}

/* Ends the frame that is gathered. True if it may come out. */
static bool end(struct depay *depay, struct depay_frame *frame)
{
    bool whole = is_whole(depay);

    *frame = (struct depay_frame){
        .data = depay->buffers->frame, .len = depay->len, .ts = depay->ts};
    depay->open = false;
    if (!whole) {
        depay->broken++;
        depay->in_part = false;
        depay_spoilt(depay);
        return false;
    }
    frame->key = is_key(depay, frame);
    if (depay->need_key && !frame->key) {
        depay->broken++;
        return false;
    }
    depay->need_key = false;
    depay->frames++;
    return true;
}

static void begin(struct depay *depay, uint32_t ts)
{
    depay->open = true;
    depay->bad = depay->ended = depay->key = depay->in_part = false;
    depay->len = depay->part_len = 0;
    depay->ts = ts;
    vp9_layers_begin(&depay->layers);
}

bool depay_ends(struct depay *depay, uint32_t ts, bool lost, struct depay_frame *frame)
{
    if (depay->codec == ABI_CODEC_OPUS || !depay->open || ts == depay->ts) {
        return false;
    }
    depay->bad = depay->bad || lost; /* its end may be among what is missing */
    return end(depay, frame);
}

bool depay_put(struct depay *depay, const uint8_t *payload, size_t len, uint32_t ts,
               bool marker, bool lost, struct depay_frame *frame)
{
    if (depay->codec == ABI_CODEC_OPUS) {
        *frame = (struct depay_frame){.data = payload, .len = len, .ts = ts, .key = true};
        depay->frames += len > 0;
        return len > 0 && depay_opus_samples(payload, len) != 0;
    }
    if (lost) {
        depay->bad = depay->open;
        depay_spoilt(depay);
    }
    if (len == 0) {
        return false; /* padding only: it belongs to no frame */
    }
    if (!depay->open) {
        begin(depay, ts);
        depay->bad = lost && depay->codec == ABI_CODEC_H264 && !depay_h264_begins(payload);
    }
    switch (depay->codec) {
    case ABI_CODEC_VP8:
        depay_vp8(depay, payload, len);
        break;
    case ABI_CODEC_VP9:
        depay_vp9(depay, payload, len);
        break;
    case ABI_CODEC_H264:
        depay_h264(depay, payload, len);
        break;
    default:
        depay_av1(depay, payload, len);
        break;
    }
    return depay->open && (marker || depay->ended) && end(depay, frame);
}

bool depay_wants_key(struct depay *depay)
{
    bool wants = depay->need_key && !depay->asked;

    depay->asked = true;
    return wants;
}

size_t depay_extradata(const struct depay *depay, uint8_t *out, size_t cap)
{
    size_t len = depay->sps_len + depay->pps_len;

    if (len > cap || (depay->codec == ABI_CODEC_H264 && depay->pps_len == 0)) {
        return 0;
    }
    memcpy(out, depay->sps, depay->sps_len);
    memcpy(out + depay->sps_len, depay->pps, depay->pps_len);
    return len;
}

uint32_t depay_opus_samples(const uint8_t *packet, size_t len)
{
    static const uint16_t silk[] = {480, 960, 1920, 2880};
    uint32_t config, frame, n;

    if (len == 0) {
        return 0;
    }
    config = packet[0] >> 3;
    if (config < 12) {
        frame = silk[config & 3];
    } else if (config < 16) {
        frame = (config & 1) != 0 ? 960 : 480;
    } else {
        frame = UINT32_C(120) << (config & 3);
    }
    switch (packet[0] & 3) {
    case 0:
        n = 1;
        break;
    case 3:
        n = len > 1 ? packet[1] & 63u : 0;
        break;
    default:
        n = 2;
        break;
    }
    return n * frame <= 5760 ? n * frame : 0; /* 120 ms at most */
}
