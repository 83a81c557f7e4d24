/* One stream that a subscriber receives: what came, what it should have been, and the
 * reports that go back.
 *
 * Pure: no clock, no allocation, no I/O. RFC 3550, 6.4.1, A.8. */
#ifndef LOADGEN_RECEIVER_H
#define LOADGEN_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/hist.h"
#include "loadgen/payload.h"
#include "loadgen/track.h"
#include "sfu/wire/rtcp.h"
#include "sfu/wire/rtp.h"

struct sender;

enum { RECEIVER_ID_MAX = 63, RECEIVER_ROW = 256 /* packets, without a gap: it gets all */ };

struct receiver {
    char producer_id[RECEIVER_ID_MAX + 1];
    char consumer_id[RECEIVER_ID_MAX + 1];
    uint32_t ssrc; /* 0 until the node has told it */
    enum payload_kind kind;
    bool resumed;  /* the node was asked to send, and agreed */
    bool closed;   /* it ends before the run does: what is missing behind it is not lost */
    bool numbered; /* payloads are loadgen's: 'tag' and 'numbers' count */
    bool started;
    bool layered; /* the node has several encodings to choose from */
    uint8_t layer; /* the one that comes */
    uint32_t tag;
    struct track sequence; /* by RTP sequence number */
    uint64_t sent_then;    /* by the sender, when the first packet came; 0: not known */
    uint64_t seq_then;     /* which had this sequence number */
    struct track numbers;  /* by payload number */
    uint64_t n_padding;    /* packets of padding alone */
    uint64_t n_foreign;    /* payloads that are not loadgen's, before one that was */
    uint64_t n_corrupt;    /* not loadgen's, or another stream's, after one that was */
    uint64_t n_key_frames;
    uint64_t n_switches; /* from one encoding to another */
    uint64_t n_unkeyed;  /* packets of another encoding, without its key frame */
    uint64_t n_misnumbered; /* VP8: PictureID or TL0PICIDX does not go on from the packet before */
    uint64_t picture_at;    /* whose sequence number 'picture' and 'tl0' are of; 0: none yet */
    uint16_t picture;
    uint8_t tl0;
    uint64_t n_bytes;
    uint64_t arrived_us;     /* the latest packet */
    uint64_t max_silence_us; /* the longest time from one packet to the next, or to the end */
    /* for reports */
    uint64_t sr_at_us;
    uint64_t n_expected_prior;
    uint64_t n_received_prior;
    uint64_t n_reports; /* SR that came */
    uint32_t lsr;
    uint32_t transit;
    uint32_t jitter_q4;
};

/* A packet of this stream came. 'payload' is NULL if nobody looked inside; then only the
 * header counts. The delay of a numbered payload is added to 'delays_us'. */
void receiver_on_packet(struct receiver *receiver, const struct rtp_hdr *hdr,
                        const uint8_t *payload, size_t len, uint64_t now_us,
                        struct hist *delays_us);

/* How many packets of 'sender', which comes in it and has stopped, are missing behind the last one
 * that was verified. Of layers of time the node may have left some out: it is held to all only
 * if it has left out none for a while. */
uint64_t receiver_lost_behind(const struct receiver *receiver, const struct sender *sender);

/* What is missing of a stream that nobody looks into, and of which the node leaves nothing out,
 * besides holes in its sequence numbers. 'whole': it is to have all that was ever sent. Else what
 * is missing behind the last packet: at least so many, for what was under way when the first came
 * is not known. */
uint64_t receiver_unseen(const struct receiver *receiver, const struct sender *sender, bool whole);

/* The sender is about to stop: what was silent up to now has been silent until the end. */
void receiver_on_end(struct receiver *receiver, uint64_t now_us);

void receiver_on_sr(struct receiver *receiver, const struct rtcp_sr *sr, uint64_t now_us);

/* The report block of the time since the last; false if nothing ever came. */
bool receiver_take_block(struct receiver *receiver, uint64_t now_us,
                         struct rtcp_block *out);

#endif
