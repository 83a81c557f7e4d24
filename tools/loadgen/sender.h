/* One stream that a publisher sends: numbered payloads, as audio (one packet every so often) or
 * as video (frames of several packets; the first is a key frame, and so is the next when one is
 * asked for). They are all of one size and come at a steady rate, or follow a pattern.
 *
 * Pure: no clock, no allocation, no I/O. RFC 3550; RFC 7741 for the shape of video. */
#ifndef LOADGEN_SENDER_H
#define LOADGEN_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/pattern.h"
#include "sfu/base/bytes.h"
#include "sfu/wire/rtcp.h"

enum {
    SENDER_AUDIO_PT = 111, /* not the router's numbers, so that they must be mapped */
    SENDER_VIDEO_PT = 96,
    SENDER_EXT_MID = 9,
    SENDER_EXT_RID = 10,
    SENDER_EXT_TWCC = 3,
    SENDER_FRAME_RATE = 30,
    SENDER_MAX_CATCH_UP = 64, /* packets sent at once when late; the rest is given up, */
    SENDER_MAX_LATE_US = 500000, /* and frames of a pattern that are so late */
    SENDER_MAX_LAYERS = 3,   /* encodings of one camera */
    SENDER_TAIL = 1024,      /* so many of the last packets it is known of what they were */
    SENDER_LAYER_SHIFT = 24, /* of a tag: above it the layer, below it whose it is */
    SENDER_ID_MAX = 63
};

struct sender {
    char producer_id[SENDER_ID_MAX + 1]; /* empty until the node has told it */
    uint64_t n_sent;                     /* the next payload's number */
    uint64_t n_bytes;                    /* of payload */
    uint64_t n_key_frames;
    uint64_t n_key_requests; /* PLI and FIR that came */
    uint64_t n_reports;      /* report blocks of RR that came */
    uint64_t n_late;         /* packets never made: the process could not keep up */
    uint64_t due_us;         /* of the next packet */
    uint32_t rate;           /* packets a second */
    uint32_t tag;            /* in its payloads */
    uint32_t ssrc;
    uint32_t ts;
    uint32_t frame_len; /* packets of one frame */
    uint32_t frame_at;  /* packets of the current frame that were made */
    const struct pattern *pattern; /* NULL: all packets are alike */
    uint64_t frame_us;    /* when the current frame was due */
    uint32_t frame_bytes; /* of it */
    uint32_t next;        /* frame of the pattern */
    uint32_t pace_us;     /* the packets of one frame leave within */
    uint16_t picture;
    uint8_t tl0;
    uint8_t time_layers; /* of the current frame, as in the pattern */
    enum payload_kind kind;
    uint16_t size;      /* payload bytes of a packet */
    uint16_t seq;
    uint8_t mid;
    uint8_t layer; /* of 'layers', 0 the smallest */
    uint8_t layers;
    bool video;
    bool silent;   /* for a while: its owner has it so */
    bool key;      /* the current frame is one */
    bool want_key; /* the next one shall be */
    uint8_t tail[SENDER_TAIL]; /* of packet number % SENDER_TAIL: its TID, and TAIL_START */
};

/* rate   packets a second, 1..100000
 * size   PAYLOAD_MIN..PAYLOAD_MAX
 * seed   where sequence numbers and timestamps begin */
void sender_init(struct sender *sender, bool video, uint32_t tag, uint32_t rate,
                 uint16_t size, uint32_t seed);

/* After sender_init(): it is one of several encodings of a picture, told apart by RID (RFC
 * 8852), each with half the packets of the next. layers 2..SENDER_MAX_LAYERS. */
void sender_set_layer(struct sender *sender, uint8_t layer, uint8_t layers);

/* After those: it sends as 'pattern' (borrowed) says, from its frame 'phase' modulo their number
 * on; packets of one frame leave within 'pace_us', 0: at once. */
void sender_set_pattern(struct sender *sender, const struct pattern *pattern, uint32_t phase,
                        uint32_t pace_us);

/* Sends from 'at_us' on. */
void sender_start(struct sender *sender, uint64_t at_us);

/* It was silent and no longer is; its clock has gone on. */
void sender_go_on(struct sender *sender, uint64_t at_us);

/* Whether a packet is due. When more than SENDER_MAX_CATCH_UP are, or frames of a pattern for
 * longer than SENDER_MAX_LATE_US, the excess is dropped and counted. */
bool sender_is_due(struct sender *sender, uint64_t now_us);

/* Writes the next packet, with transport-wide number 'twcc', to 'out'. Returns its length.
 * 'out' has room for the payload and 64 bytes. */
size_t sender_make(struct sender *sender, uint16_t twcc, uint64_t now_us, uint8_t *out,
                   size_t cap);

/* How many of the packets from number 'from' to the last that was sent must come to a receiver,
 * as far as that is known: with 'all' each one; else of the lowest layer of time, and of the frame
 * that packet 'from' - 1 is of. The node may leave out the others. */
uint64_t sender_due_behind(const struct sender *sender, uint64_t from, bool all);

/* Appends a sender report and CNAME. 'ntp' is 'now_us' as 32.32 fixed point. */
void sender_report(const struct sender *sender, uint64_t now_us, uint64_t ntp,
                   const char *cname, struct wbytes *out);

#endif
