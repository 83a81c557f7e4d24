/* See ingest.h. */
#include "stage/ingest.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/seq.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"

/* The extensions of one packet, as they are kept in the ring. */
struct kept {
    uint8_t bytes[RING_EXT_MAX];
    uint16_t len;
    uint16_t mask;
    bool two_byte;
    uint8_t audio_level;
    bool has_level;
    const uint8_t *dependency; /* the packet's; NULL none */
    uint8_t dependency_len;
    struct layer_info layer;
};

static struct rtp_ext_iter exts_of(const struct pkt *pkt)
{
    const struct rtp_hdr hdr = {.ext = pkt->data + pkt->ext_at,
                                .ext_len = pkt->ext_len,
                                .ext_profile = pkt->ext_profile,
                                .has_ext = pkt->ext_len > 0};

    return rtp_ext_iter_of(&hdr);
}

/* Whether some element that travels on does not fit the one-byte form. */
static bool needs_two_byte(const struct pkt *pkt)
{
    struct rtp_ext_iter it = exts_of(pkt);
    const uint8_t *data;
    uint8_t id;
    uint8_t len;

    while (rtp_ext_next(&it, &id, &data, &len)) {
        if ((EXT_FORWARDED >> pkt->peer->rest->ext_of[id] & 1) != 0 &&
            (len == 0 || len > 16)) {
            return true;
        }
    }
    return false;
}

static void keep(struct kept *kept, uint8_t id, const uint8_t *data, uint8_t len)
{
    uint8_t *p = kept->bytes + kept->len;
    uint16_t need = (uint16_t)(len + (kept->two_byte ? 2 : 1));

    if (kept->len + need > RING_EXT_MAX || (kept->mask >> id & 1) != 0) {
        return; /* more than any real sender writes, or a second of the same */
    }
    if (kept->two_byte) {
        *p++ = id;
        *p++ = len;
    } else {
        *p++ = (uint8_t)(id << 4 | (len - 1));
    }
    if (len > 0) {
        memcpy(p, data, len);
    }
    kept->len = (uint16_t)(kept->len + need);
    kept->mask = (uint16_t)(kept->mask | 1u << id);
}

/* Reads every extension once: what is for us is used, what travels on is kept. */
static void read_exts(struct lane *lane, const struct pkt *pkt, struct kept *kept)
{
    struct rtp_ext_iter it = exts_of(pkt);
    struct peer *peer = pkt->peer;
    const uint8_t *data;
    uint8_t id;
    uint8_t len;

    kept->len = 0;
    kept->mask = 0;
    kept->audio_level = 127;
    kept->has_level = false;
    kept->dependency = NULL;
    kept->dependency_len = 0;
    kept->two_byte = needs_two_byte(pkt);
    while (rtp_ext_next(&it, &id, &data, &len)) {
        uint8_t ours = peer->rest->ext_of[id];
        uint16_t seq;
        bool voice;

        if (ours == EXT_TRANSPORT_CC && rtp_ext_twcc_seq(data, len, &seq)) {
            (void)twcc_on_packet(peer->rest->twcc, seq, lane->now_us);
            twcc_note_bytes(peer->rest->twcc, pkt->len);
            peer->rest->twcc_used = true;
        } else if (ours == EXT_ABS_SEND_TIME && len == RTP_EXT_ABS_SEND_TIME_LEN &&
                   peer->rest->remb_ok && !peer->rest->twcc_used) {
            remb_on_packet(peer->rest->remb, load_be24(data), pkt->len, peer->rest->rtt_us,
                           lane->now_us);
        } else if (ours == EXT_AUDIO_LEVEL) {
            kept->has_level = rtp_ext_audio_level(data, len, &kept->audio_level, &voice);
        } else if (ours == EXT_DEPENDENCY) {
            kept->dependency = data;
            kept->dependency_len = len;
        }
        if ((EXT_FORWARDED >> ours & 1) != 0) {
            keep(kept, ours, data, len);
        }
    }
}

/* Takes RTP padding off. Returns 0, -1 malformed, 1 if nothing else was there. */
static int strip_padding(struct pkt *pkt)
{
    int n;

    if (!pkt->padding) {
        return 0;
    }
    n = rtp_padding_len(pkt->payload, pkt->payload_len);
    if (n < 0) {
        return -1;
    }
    pkt->payload_len = (uint16_t)(pkt->payload_len - n);
    return pkt->payload_len == 0 ? 1 : 0;
}

/* Makes of a retransmission the packet that it repeats (RFC 4588, section 4). Returns false
 * if that cannot be: no such payload type, nothing in it, nothing to relate it to. */
static bool restore(struct pkt *pkt)
{
    const struct stream *stream = pkt->stream;

    if (stream->rtx_pt == 0 || pkt->pt != stream->rtx_pt || stream->seen.next == 0 ||
        pkt->payload_len < RTX_OSN_LEN) {
        return false;
    }
    pkt->index = seq16_extend(stream->seen.next - 1, load_be16(pkt->payload));
    if (pkt->index >= stream->seen.next) {
        return false; /* nobody can have missed it yet */
    }
    pkt->payload += RTX_OSN_LEN;
    pkt->payload_len = (uint16_t)(pkt->payload_len - RTX_OSN_LEN);
    pkt->pt = stream->pt;
    return true;
}

/* Notes that a packet of the stream is here. Returns whether it is the first time. */
static bool note(struct lane *lane, const struct pkt *pkt)
{
    struct stream *stream = pkt->stream;
    int err;

    if (!seen_take(&stream->seen, pkt->index)) {
        return false;
    }
    if (!stream->nacks) {
        return true;
    }
    err = pkt->rtx ? nack_on_repair(&stream->nack, pkt->index, lane->now_us)
                   : nack_on_packet(&stream->nack, pkt->index, lane->now_us);
    if (err == -EOVERFLOW && stream->video) {
        keyframe_on_request(&stream->keyframe, lane->now_us);
    }
    return true;
}

/* Why this packet of a known stream does not go on, or N_DROP_REASONS. */
static enum drop_reason refusal(struct lane *lane, struct pkt *pkt)
{
    int padding;

    padding = strip_padding(pkt);
    if (padding < 0) {
        return DROP_RTP_MALFORMED;
    }
    if (padding > 0 && pkt->rtx) {
        return DROP_PADDING;
    }
    if (pkt->rtx && !restore(pkt)) {
        return DROP_RTX;
    }
    /* before what is refused by what it holds: its number is no hole */
    if (!note(lane, pkt)) {
        return DROP_DUPLICATE;
    }
    if (padding > 0) {
        return DROP_PADDING;
    }
    return pkt->pt != pkt->stream->pt ? DROP_PAYLOAD_TYPE : N_DROP_REASONS;
}

/* Notes how loud an audio packet is, forwarded or not. */
static void listen(struct lane *lane, struct stream *stream, const struct kept *kept)
{
    if (kept->has_level &&
        speaker_on_level(&stream->speaker, kept->audio_level, lane->now_us) &&
        stream->live_audio != NULL) {
        __atomic_store_n(stream->live_audio, speaker_word(&stream->speaker, lane->now_us),
                         __ATOMIC_RELAXED);
    }
}

/* Whether this is the first packet of a key frame. Several packets of one frame look like a
 * start (H264: parameter sets and the picture): only the first is, since a subscriber that
 * began at a later one would miss what stands in it. */
static bool starts_keyframe(const struct pkt *pkt)
{
    const struct stream *stream = pkt->stream;

    return stream->video &&
           codec_is_keyframe(stream->codec, pkt->payload, pkt->payload_len) &&
           (stream->keyframes == 0 || stream->keyframe_ts != pkt->ts);
}

/* Why the gate of a stream is shut, or N_DROP_REASONS. */
static enum drop_reason is_shut(const struct lane *lane, const struct stream *stream)
{
    if (stream->paused) {
        return DROP_PAUSED;
    }
    if (stream->video || stream->gate == SPEAKER_GATE_OPEN) {
        return N_DROP_REASONS;
    }
    if (stream->gate == SPEAKER_GATE_SHUT) {
        return DROP_NOT_LOUDEST;
    }
    return speaker_is_silent(&stream->speaker, lane->now_us) ? DROP_SILENT : N_DROP_REASONS;
}

/* Why the gate keeps a packet back, or N_DROP_REASONS. A stream of which the subscribers get
 * nothing for a while goes on with the next number, video with a key frame: to them nothing
 * is missing, and nothing is asked for again. */
static enum drop_reason gate(struct lane *lane, const struct pkt *pkt)
{
    struct stream *stream = pkt->stream;
    const enum drop_reason late = stream->video ? DROP_PAUSED : DROP_SILENT;
    const enum drop_reason shut = is_shut(lane, stream);

    if (shut != N_DROP_REASONS) {
        stream->gate_closed = true;
        return shut;
    }
    if (stream->gate_closed && pkt->index > stream->gate_last &&
        (!stream->video || starts_keyframe(pkt))) {
        stream->gate_closed = false;
        if (stream->gate_last != 0) {
            stream->withheld += pkt->index - stream->gate_last - 1;
        }
        stream->gate_first = pkt->index;
    }
    if (stream->gate_closed && stream->video) {
        keyframe_on_request(&stream->keyframe, lane->now_us);
    }
    if (pkt->index < stream->gate_first || stream->gate_closed) {
        return late; /* its number would be one that was used */
    }
    if (pkt->index > stream->gate_last) {
        stream->gate_last = pkt->index;
    }
    return N_DROP_REASONS;
}

/* Reads the packet's layer. Returns false if its descriptor is malformed. */
static bool read_layer(const struct pkt *pkt, struct kept *kept)
{
    struct stream *stream = pkt->stream;

    return layer_parse(&stream->layers, stream->codec, pkt->payload, pkt->payload_len,
                       kept->dependency, kept->dependency_len, &kept->layer) == 0;
}

/* Its sender says which layers there are: those above do not come any more, and who watches
 * one need not wait until that shows. */
static void note_targets(struct stream *stream)
{
    const uint8_t spatial = layer_dd_top_spatial(&stream->layers.dd);
    const uint8_t temporal = layer_dd_top_temporal(&stream->layers.dd);

    for (uint8_t i = (uint8_t)(spatial + 1); i < LAYER_MAX; i++) {
        atomic_store_explicit(&stream->spatial_us[i], 0, memory_order_relaxed);
    }
    if (temporal < atomic_load_explicit(&stream->top_temporal, memory_order_relaxed)) {
        atomic_store_explicit(&stream->top_temporal, temporal, memory_order_relaxed);
    }
}

/* Tells the lanes that hold the stream which layers come, and where the last key frame is.
 */
static void note_layer(struct lane *lane, const struct pkt *pkt,
                       const struct layer_info *layer, uint64_t keyframe_pos)
{
    struct stream *stream = pkt->stream;
    _Atomic uint64_t *bytes = &stream->layer_bytes[layer->spatial][layer->temporal];

    atomic_store_explicit(&stream->spatial_us[layer->spatial], lane->now_us,
                          memory_order_relaxed);
    atomic_store_explicit(
        bytes, atomic_load_explicit(bytes, memory_order_relaxed) + pkt->payload_len,
        memory_order_relaxed);
    if (layer->temporal >
        atomic_load_explicit(&stream->top_temporal, memory_order_relaxed)) {
        atomic_store_explicit(&stream->top_temporal, layer->temporal, memory_order_relaxed);
    }
    if ((layer->flags & LAYER_TARGETS) != 0) {
        note_targets(stream);
    }
    if (keyframe_pos != UINT64_MAX) {
        atomic_store_explicit(&stream->keyframe_pos, keyframe_pos + 1,
                              memory_order_release);
    }
}

/* Appends the packet to its ring. Returns false if it can never fit. */
static bool store(struct lane *lane, const struct pkt *pkt, const struct kept *kept)
{
    struct stream *stream = pkt->stream;
    struct ring_slot meta = {.seq = pkt->index - stream->withheld,
                             .arrival_us = lane->now_us,
                             .ts = pkt->ts,
                             .ext_mask = kept->mask,
                             .audio_level = kept->audio_level,
                             .layer = kept->layer};
    uint64_t pos;

    meta.flags = (uint8_t)((pkt->marker ? RING_SLOT_MARKER : 0) |
                           (kept->two_byte ? RING_SLOT_TWO_BYTE : 0));
    if (starts_keyframe(pkt)) {
        meta.flags |= RING_SLOT_KEYFRAME;
        stream->keyframes++;
        stream->keyframe_ts = pkt->ts;
        keyframe_on_keyframe(&stream->keyframe);
    }
    pos = stream_ring_write(&stream->ring, &meta, kept->bytes, kept->len, pkt->payload,
                            pkt->payload_len);
    if (pos == UINT64_MAX) {
        return false;
    }
    note_layer(lane, pkt, &kept->layer,
               (meta.flags & RING_SLOT_KEYFRAME) != 0 ? pos : UINT64_MAX);
    return true;
}

uint16_t ingest_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        struct stream *stream = pkt->stream;
        enum drop_reason reason;
        struct kept kept;

        read_exts(lane, pkt, &kept);
        if (stream == NULL) {
            lane_drop(lane, pkt, DROP_UNBOUND_SSRC);
            continue;
        }
        if (!pkt->rtx) {
            recvstat_on_packet(&stream->stat, pkt->index, pkt->ts, lane->now_us);
        }
        reason = refusal(lane, pkt);
        if (reason == N_DROP_REASONS && !stream->video && !stream->paused) {
            listen(lane, stream, &kept);
        }
        if (reason == N_DROP_REASONS) {
            reason = gate(lane, pkt);
        }
        if (reason == N_DROP_REASONS && !read_layer(pkt, &kept)) {
            reason = DROP_DESCRIPTOR;
        }
        if (reason == N_DROP_REASONS && !store(lane, pkt, &kept)) {
            reason = DROP_TOO_LONG;
        }
        if (reason != N_DROP_REASONS) {
            lane_drop(lane, pkt, reason);
            continue;
        }
        stream->packets++;
        stream->repaired += pkt->rtx;
        stream->bytes += pkt->payload_len;
        burst_push(out, pkt);
    }
    return out->n;
}
