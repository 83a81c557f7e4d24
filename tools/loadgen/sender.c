#include "loadgen/sender.h"

#include <string.h>

#include "loadgen/payload.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"

enum {
    AUDIO_HZ = 48000,
    VIDEO_HZ = 90000,
    TAIL_START = 1 /* begins a frame; a bit that PATTERN_TID has not */
};

static uint32_t hz_of(const struct sender *sender)
{
    return sender->video ? VIDEO_HZ : AUDIO_HZ;
}

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
        .kind = video ? PAYLOAD_VP8 : PAYLOAD_OPUS,
        .picture = (uint16_t)(seed >> 3),
        .tl0 = (uint8_t)seed,
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

void sender_set_pattern(struct sender *sender, const struct pattern *pattern, uint32_t phase,
                        uint32_t pace_us)
{
    sender->pattern = pattern;
    sender->kind = pattern->kind;
    sender->next = phase % pattern->n_frames;
    sender->pace_us = pace_us;
    sender->frame_len = sender->frame_at = 0;
}

/* ---- frames of a pattern ---- */

static bool is_base(const struct pattern_frame *frame)
{
    return (frame->layers & PATTERN_TID) == 0;
}

static const struct pattern_frame *take_frame(struct sender *sender)
{
    const struct pattern *p = sender->pattern;
    const struct pattern_frame *frame = &p->frames[sender->next];

    sender->next = (sender->next + 1) % p->n_frames;
    return frame;
}

/* What a packet says of itself in front of its part of a frame. */
static uint32_t overhead(const struct pattern *p)
{
    return p->kind == PAYLOAD_VP8 ? (p->temporal ? 6 : 4) : p->kind == PAYLOAD_H264 ? 2 : 0;
}

/* How many packets a frame of so many bytes is: H264 sends parameter sets before a key frame. */
static uint32_t packets_of(const struct pattern *p, uint32_t len, bool key)
{
    uint32_t room = p->packet_max - overhead(p);

    return (len + room - 1) / room + (key && p->kind == PAYLOAD_H264);
}

/* Begins the frame that is due. */
static void next_of_pattern(struct sender *sender)
{
    const struct pattern *p = sender->pattern;
    const struct pattern_frame *frame;

    sender->key = p->keys != NULL && sender->want_key;
    if (sender->key) {
        while (!is_base(take_frame(sender))) {
        }
        frame = &p->keys[sender->n_key_frames % p->n_keys];
    } else {
        frame = take_frame(sender);
    }
    sender->frame_bytes = frame->len;
    sender->frame_len = packets_of(p, frame->len, sender->key);
    sender->time_layers = frame->layers;
    sender->picture++;
    sender->tl0 = (uint8_t)(sender->tl0 + is_base(frame));
    sender->frame_us = sender->due_us;
}

/* The time from the current frame to the next, which is not taken yet. */
static uint32_t step_ms(const struct sender *sender)
{
    return sender->pattern->frames[sender->next].ms;
}

/* The bytes of the current packet: parts of a frame are alike, but for what does not divide. */
static uint16_t size_of_pattern(const struct sender *sender)
{
    const struct pattern *p = sender->pattern;
    uint32_t sets = sender->key && p->kind == PAYLOAD_H264;
    uint32_t n = sender->frame_len - sets;
    uint32_t at = sender->frame_at - sets;
    size_t least = payload_min(p->kind);
    uint32_t size;

    if (sender->frame_at < sets) {
        return (uint16_t)least;
    }
    size = sender->frame_bytes / n + (at >= n - sender->frame_bytes % n) + overhead(p);
    return (uint16_t)(size > least ? size : least);
}

/* ---- time ---- */

void sender_start(struct sender *sender, uint64_t at_us)
{
    sender->due_us = at_us;
    sender->n_late = 0;
}

void sender_go_on(struct sender *sender, uint64_t at_us)
{
    uint32_t hz = hz_of(sender);

    if (at_us > sender->due_us && sender->pattern != NULL &&
        sender->frame_at < sender->frame_len) {
        sender->due_us = sender->frame_us = at_us; /* the rest of its frame, first */
    } else if (at_us > sender->due_us) {
        sender->ts += (uint32_t)((at_us - sender->due_us) * hz / 1000000u);
        sender->due_us = at_us;
    }
}

/* Gives up frames that nobody would want any more. */
static void skip_frames(struct sender *sender, uint64_t now_us)
{
    const struct pattern *p = sender->pattern;

    while (sender->n_sent > 0 && sender->frame_at == sender->frame_len &&
           now_us > sender->due_us + SENDER_MAX_LATE_US) {
        const struct pattern_frame *frame = take_frame(sender);

        sender->n_late += packets_of(p, frame->len, false);
        sender->ts += hz_of(sender) / 1000 * step_ms(sender);
        sender->due_us += step_ms(sender) * UINT64_C(1000);
    }
}

bool sender_is_due(struct sender *sender, uint64_t now_us)
{
    uint64_t late_us;
    uint64_t n;

    if (now_us < sender->due_us) {
        return false;
    }
    if (sender->pattern != NULL) {
        skip_frames(sender, now_us);
        return true;
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
    if (sender->frame_at < sender->frame_len && sender->n_sent > 0) {
        return;
    }
    sender->frame_at = 0;
    if (sender->pattern != NULL) {
        next_of_pattern(sender);
    } else {
        if (sender->n_sent > 0) {
            sender->ts +=
                (uint32_t)((uint64_t)hz_of(sender) * sender->frame_len / sender->rate);
        }
        sender->picture++;
        sender->key = sender->want_key;
    }
    sender->n_key_frames += sender->key;
    sender->want_key = false;
}

/* The packet was made: when the next one is due, and of what time it is. */
static void advance(struct sender *sender)
{
    sender->seq++;
    sender->frame_at++;
    sender->n_sent++;
    if (sender->pattern == NULL) {
        sender->due_us += 1000000u / sender->rate;
    } else if (sender->frame_at < sender->frame_len) {
        sender->due_us = sender->frame_us +
                         (uint64_t)sender->pace_us * sender->frame_at / sender->frame_len;
    } else {
        sender->due_us = sender->frame_us + step_ms(sender) * UINT64_C(1000);
        sender->ts += hz_of(sender) / 1000 * step_ms(sender);
    }
}

size_t sender_make(struct sender *sender, uint16_t twcc, uint64_t now_us, uint8_t *out,
                   size_t cap)
{
    struct wbytes w = wbytes_of(out, cap);
    struct rtp_ext_writer ext;
    struct payload payload;
    struct rtp_hdr hdr;
    uint16_t size;
    uint8_t *body;
    uint8_t number[2];
    uint8_t mid = (uint8_t)('0' + sender->mid);
    uint8_t rid = (uint8_t)('0' + sender->layer);

    next_frame(sender);
    size = sender->pattern != NULL ? size_of_pattern(sender) : sender->size;
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
                               .kind = sender->kind,
                               .frame_start = sender->frame_at == 0,
                               .frame_end = sender->frame_at + 1 == sender->frame_len,
                               .second = sender->frame_at == 1,
                               .key = sender->key,
                               .temporal =
                                   sender->pattern != NULL && sender->pattern->temporal,
                               .picture = sender->picture,
                               .tl0 = sender->tl0,
                               .layers = sender->time_layers};
    rtp_write(&w, &hdr);
    ext = rtp_ext_begin(&w, false);
    rtp_ext_put(&ext, SENDER_EXT_MID, &mid, 1);
    if (sender->layers > 1) {
        rtp_ext_put(&ext, SENDER_EXT_RID, &rid, 1);
    }
    store_be16(number, twcc);
    rtp_ext_put(&ext, SENDER_EXT_TWCC, number, 2);
    rtp_ext_finish(&ext);
    body = wbytes_reserve(&w, size);
    if (body == NULL) {
        return 0; /* the caller's room is too small */
    }
    payload_write(&payload, body, size);
    sender->tail[sender->n_sent % SENDER_TAIL] =
        (uint8_t)((sender->time_layers & PATTERN_TID) |
                  (payload.frame_start ? TAIL_START : 0));
    sender->n_bytes += size;
    advance(sender);
    return wbytes_len(&w);
}

uint64_t sender_due_behind(const struct sender *sender, uint64_t from, bool all)
{
    uint64_t n = 0;
    bool begun = true; /* its frame */

    if (from >= sender->n_sent) {
        return 0;
    }
    if (all) {
        return sender->n_sent - from;
    }
    if (sender->n_sent - from > SENDER_TAIL) {
        from = sender->n_sent - SENDER_TAIL;
        begun = false;
    }
    for (; from < sender->n_sent; from++) {
        uint8_t what = sender->tail[from % SENDER_TAIL];

        begun = begun && (what & TAIL_START) == 0;
        n += begun || (what & PATTERN_TID) == 0;
    }
    return n;
}

void sender_report(const struct sender *sender, uint64_t now_us, uint64_t ntp,
                   const char *cname, struct wbytes *out)
{
    uint32_t hz = hz_of(sender);
    /* of a pattern 'ts' is of the moment when the next packet is due */
    uint64_t ahead_us =
        sender->pattern != NULL && sender->due_us > now_us ? sender->due_us - now_us : 0;
    const struct rtcp_sr sr = {
        .ssrc = sender->ssrc,
        .ntp = ntp,
        /* what the timestamp of a packet made now would be, or nearly */
        .rtp_ts =
            sender->ts - (uint32_t)(ahead_us * hz / 1000000u) +
            (sender->due_us > now_us
                              ? 0
                              : (uint32_t)((now_us - sender->due_us) * hz / 1000000u)),
        .n_packets = (uint32_t)sender->n_sent,
        .n_bytes = (uint32_t)sender->n_bytes};

    rtcp_sr_write(out, &sr, NULL, 0);
    rtcp_sdes_write(out, sender->ssrc, cname, (uint8_t)strlen(cname));
}
