#include "loadgen/receiver.h"

#include "loadgen/sender.h"
#include "sfu/base/seq.h"

static void on_timestamp(struct receiver *receiver, uint32_t ts, uint64_t now_us)
{
    uint32_t hz = receiver->kind != PAYLOAD_OPUS ? 90000 : 48000;
    uint32_t transit = (uint32_t)(now_us * hz / 1000000u) - ts;
    int32_t d = (int32_t)(transit - receiver->transit);

    if (receiver->started) {
        uint32_t size = d < 0 ? (uint32_t)-d : (uint32_t)d;

        receiver->jitter_q4 += size - ((receiver->jitter_q4 + 8) >> 4);
    }
    receiver->transit = transit;
}

/* The node may go over to another encoding of the same picture, at a key frame of it. */
static bool change_layer(struct receiver *receiver, const struct payload *got)
{
    uint32_t differs = got->tag ^ receiver->tag;

    if ((differs & ((1u << SENDER_LAYER_SHIFT) - 1)) != 0) {
        receiver->n_corrupt++;
        return false;
    }
    if (!got->key || !got->frame_start) {
        receiver->n_unkeyed++;
        return false;
    }
    receiver->tag = got->tag;
    receiver->layer = (uint8_t)(got->tag >> SENDER_LAYER_SHIFT);
    receiver->n_switches++;
    track_restart(&receiver->numbers);
    return true;
}

/* The node counts pictures anew when it leaves some out: a decoder would take a jump for a loss. A
 * key frame may begin with any number, and behind a packet that is missing nothing is known. */
static void on_picture(struct receiver *receiver, uint64_t seq, const struct payload *got)
{
    uint16_t picture = receiver->picture;
    uint8_t tl0 = receiver->tl0;
    bool base = (got->layers & PATTERN_TID) == 0;

    if (got->frame_start) {
        picture = (picture + 1) & 0x7fff;
        tl0 = (uint8_t)(tl0 + (got->temporal && base));
    }
    if (receiver->picture_at != 0 && seq == receiver->picture_at + 1 &&
        !(got->key && got->frame_start)) {
        receiver->n_misnumbered +=
            got->picture != picture || (got->temporal && got->tl0 != tl0);
    }
    receiver->picture_at = seq;
    receiver->picture = got->picture;
    receiver->tl0 = got->tl0;
}

/* Judges a payload that was looked into. */
static void on_payload(struct receiver *receiver, uint64_t seq, const uint8_t *payload, size_t len,
                       uint64_t now_us, struct hist *delays_us)
{
    struct payload got;

    if (payload_parse(payload, len, receiver->kind, &got) != 0) {
        receiver->n_corrupt += receiver->numbered;
        receiver->n_foreign += !receiver->numbered;
        return;
    }
    if (!receiver->numbered) {
        receiver->numbered = true;
        receiver->tag = got.tag;
        receiver->layer = (uint8_t)(got.tag >> SENDER_LAYER_SHIFT);
    }
    if (got.tag != receiver->tag && !change_layer(receiver, &got)) {
        return;
    }
    if (got.kind == PAYLOAD_VP8) {
        on_picture(receiver, seq, &got);
    }
    receiver->n_key_frames += got.key && got.frame_start;
    (void)track_on_number(&receiver->numbers, got.number);
    hist_add(delays_us, now_us > got.sent_us ? now_us - got.sent_us : 0);
}

static void note_silence(struct receiver *receiver, uint64_t now_us)
{
    if (receiver->started && now_us - receiver->arrived_us > receiver->max_silence_us) {
        receiver->max_silence_us = now_us - receiver->arrived_us;
    }
}

void receiver_on_packet(struct receiver *receiver, const struct rtp_hdr *hdr,
                        const uint8_t *payload, size_t len, uint64_t now_us,
                        struct hist *delays_us)
{
    /* above zero, so that a packet from before the first has a number too */
    uint64_t ref = receiver->started ? receiver->sequence.max : UINT64_C(1) << 32;

    uint64_t seq = seq16_extend(ref, hdr->seq);

    (void)track_on_number(&receiver->sequence, seq);
    receiver->seq_then = receiver->started ? receiver->seq_then : seq;
    on_timestamp(receiver, hdr->ts, now_us);
    note_silence(receiver, now_us);
    receiver->arrived_us = now_us;
    receiver->started = true;
    receiver->n_bytes += len;
    if (payload == NULL) {
        return;
    }
    if (hdr->has_padding) {
        int padding = rtp_padding_len(payload, len);

        len -= padding > 0 ? (size_t)padding : 0;
    }
    if (len == 0) {
        receiver->n_padding++;
        return;
    }
    on_payload(receiver, seq, payload, len, now_us, delays_us);
}

uint64_t receiver_lost_behind(const struct receiver *receiver, const struct sender *sender)
{
    const struct track *numbers = &receiver->numbers;

    if (!numbers->started) {
        return 0;
    }
    return sender_due_behind(sender, numbers->max + 1, track_row(numbers) >= RECEIVER_ROW);
}

uint64_t receiver_unseen(const struct receiver *receiver, const struct sender *sender, bool whole)
{
    uint64_t sent_then = whole && receiver->started ? 1 : receiver->sent_then;
    uint64_t came = receiver->sequence.max -
                    (whole ? receiver->sequence.first : receiver->seq_then);

    return sent_then != 0 && sender->n_sent > sent_then + came
               ? sender->n_sent - sent_then - came
               : 0;
}

void receiver_on_end(struct receiver *receiver, uint64_t now_us)
{
    note_silence(receiver, now_us);
}

void receiver_on_sr(struct receiver *receiver, const struct rtcp_sr *sr, uint64_t now_us)
{
    receiver->lsr = (uint32_t)(sr->ntp >> 16);
    receiver->sr_at_us = now_us;
    receiver->n_reports++;
}

bool receiver_take_block(struct receiver *receiver, uint64_t now_us, struct rtcp_block *out)
{
    const struct track *seq = &receiver->sequence;
    uint64_t expected;
    uint64_t interval;
    uint64_t lost = 0;
    uint64_t fraction; /* of 256 */

    if (!receiver->started) {
        return false;
    }
    expected = seq->max - seq->first + 1;
    interval = expected - receiver->n_expected_prior;
    if (interval > seq->n_received - receiver->n_received_prior) {
        lost = interval - (seq->n_received - receiver->n_received_prior);
    }
    fraction = interval > 0 ? lost * 256 / interval : 0;
    *out = (struct rtcp_block){
        .ssrc = receiver->ssrc,
        .ext_highest_seq = (uint32_t)seq->max,
        .jitter = receiver->jitter_q4 >> 4,
        .lsr = receiver->n_reports > 0 ? receiver->lsr : 0,
        .dlsr = receiver->n_reports > 0
                    ? (uint32_t)((now_us - receiver->sr_at_us) * 65536 / 1000000u)
                    : 0,
        .lost = seq->n_missing > 0x7fffff ? 0x7fffff : (int32_t)seq->n_missing,
        .fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction)};
    receiver->n_expected_prior = expected;
    receiver->n_received_prior = seq->n_received;
    return true;
}
