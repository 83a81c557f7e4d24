#include "loadgen/sender.h"

#include <string.h>

#include "loadgen/payload.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"

enum { AUDIO_HZ = 48000, VIDEO_HZ = 90000 };

void sender_init(struct sender *sender, bool video, uint32_t tag, uint32_t rate,
                 uint16_t size, uint32_t seed)
{
    uint32_t frame_len = (rate + SENDER_FRAME_RATE / 2) / SENDER_FRAME_RATE;

    *sender = (struct sender){
        .rate = rate,
        .tag = tag,
        .ssrc = seed ^ tag * 0x9e3779b9u,
        .ts = seed * 3,
        .frame_len = video && frame_len > 0 ? frame_len : 1,
        .size = size,
        .seq = (uint16_t)(seed >> 7),
        .video = video,
        .want_key = video,
    };
    if (sender->ssrc == 0) {
        sender->ssrc = 1;
    }
}

void sender_set_layer(struct sender *sender, uint8_t layer, uint8_t layers)
{
    uint32_t rate = sender->rate >> (layers - 1 - layer);

    sender_init(sender, true, sender->tag | (uint32_t)layer << SENDER_LAYER_SHIFT,
                rate > 0 ? rate : 1, sender->size, sender->ts + 1);
    sender->layer = layer;
    sender->layers = layers;
}

void sender_start(struct sender *sender, uint64_t at_us)
{
    sender->due_us = at_us;
    sender->n_late = 0;
}

void sender_go_on(struct sender *sender, uint64_t at_us)
{
    uint32_t hz = sender->video ? VIDEO_HZ : AUDIO_HZ;

    if (at_us > sender->due_us) {
        sender->ts += (uint32_t)((at_us - sender->due_us) * hz / 1000000u);
        sender->due_us = at_us;
    }
}

bool sender_is_due(struct sender *sender, uint64_t now_us)
{
    uint64_t late_us;
    uint64_t n;

    if (now_us < sender->due_us) {
        return false;
    }
    late_us = now_us - sender->due_us;
    n = late_us * sender->rate / 1000000u;
    if (n > SENDER_MAX_CATCH_UP) {
        sender->n_late += n - SENDER_MAX_CATCH_UP;
        sender->due_us += (n - SENDER_MAX_CATCH_UP) * 1000000u / sender->rate;
    }
    return true;
}

/* Begins a frame when the one before is complete. */
static void next_frame(struct sender *sender)
{
    uint32_t hz = sender->video ? VIDEO_HZ : AUDIO_HZ;

    if (sender->frame_at < sender->frame_len && sender->n_sent > 0) {
        return;
    }
    sender->frame_at = 0;
    if (sender->n_sent > 0) {
        sender->ts += (uint32_t)((uint64_t)hz * sender->frame_len / sender->rate);
    }
    sender->key = sender->want_key;
    sender->n_key_frames += sender->key;
    sender->want_key = false;
}

size_t sender_make(struct sender *sender, uint16_t twcc, uint64_t now_us, uint8_t *out,
                   size_t cap)
{
    struct wbytes w = wbytes_of(out, cap);
    struct rtp_ext_writer ext;
    struct payload payload;
    struct rtp_hdr hdr;
    uint8_t *body;
    uint8_t number[2];
    uint8_t mid = (uint8_t)('0' + sender->mid);
    uint8_t rid = (uint8_t)('0' + sender->layer);

    next_frame(sender);
    hdr = (struct rtp_hdr){.ts = sender->ts,
                           .ssrc = sender->ssrc,
                           .seq = sender->seq,
                           .pt = sender->video ? SENDER_VIDEO_PT : SENDER_AUDIO_PT,
                           .marker =
                               sender->video && sender->frame_at + 1 == sender->frame_len,
                           .has_ext = true};
    payload = (struct payload){.tag = sender->tag,
                               .number = sender->n_sent,
                               .sent_us = now_us,
                               .video = sender->video,
                               .frame_start = sender->frame_at == 0,
                               .key = sender->key};
    rtp_write(&w, &hdr);
    ext = rtp_ext_begin(&w, false);
    rtp_ext_put(&ext, SENDER_EXT_MID, &mid, 1);
    if (sender->layers > 1) {
        rtp_ext_put(&ext, SENDER_EXT_RID, &rid, 1);
    }
    store_be16(number, twcc);
    rtp_ext_put(&ext, SENDER_EXT_TWCC, number, 2);
    rtp_ext_finish(&ext);
    body = wbytes_reserve(&w, sender->size);
    if (body == NULL) {
        return 0; /* the caller's room is too small */
    }
    payload_write(&payload, body, sender->size);
    sender->seq++;
    sender->frame_at++;
    sender->n_sent++;
    sender->n_bytes += sender->size;
    sender->due_us += 1000000u / sender->rate;
    return wbytes_len(&w);
}

void sender_report(const struct sender *sender, uint64_t now_us, uint64_t ntp,
                   const char *cname, struct wbytes *out)
{
    uint32_t hz = sender->video ? VIDEO_HZ : AUDIO_HZ;
    const struct rtcp_sr sr = {
        .ssrc = sender->ssrc,
        .ntp = ntp,
        /* what the timestamp of a packet made now would be, or nearly */
        .rtp_ts =
            sender->ts + (sender->due_us > now_us
                              ? 0
                              : (uint32_t)((now_us - sender->due_us) * hz / 1000000u)),
        .n_packets = (uint32_t)sender->n_sent,
        .n_bytes = (uint32_t)sender->n_bytes};

    rtcp_sr_write(out, &sr, NULL, 0);
    rtcp_sdes_write(out, sender->ssrc, cname, (uint8_t)strlen(cname));
}
