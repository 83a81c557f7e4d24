/* One subscription's way through the layers of a publisher: which packets of a stream it is
 * sent, and under which numbers, so that what its receiver sees is one stream without seams
 * although packets are left out and the source changes.
 *
 * Every packet of the source is shown to it once, in order of arrival. It decides frame by
 * frame, by targets (core/layer.h): a frame that was left out spoils the targets that
 * needed it until one of their entry points comes, so no frame is sent whose reference was
 * not. A source is changed to at a key frame (switcher_begin).
 *
 * Numbers are the source's minus offsets; the offsets change where something is left out,
 * and late packets are numbered by those of their time ('segments'). No number is given out
 * twice, whatever the source says: they are nonces of the encryption.
 *
 * Pure: no clock, no allocation, no I/O. Thread: the lane of the subscription. */
#ifndef CORE_SWITCHER_H
#define CORE_SWITCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/layer.h"

enum {
    SWITCHER_SEGMENTS = 32, /* SVC begins one with each picture that is not sent whole */
    SWITCHER_WINDOW = 128, /* late packets are sent if their number is at most so old */
    SWITCHER_NO_LAYER = 0xff
};

/* A packet of the source. */
struct switcher_in {
    uint64_t seq; /* extended */
    uint32_t ts;
    bool marker;
    struct layer_info layer;
};

/* What it becomes. */
struct switcher_out {
    uint64_t index; /* outgoing extended sequence number */
    uint32_t ts;
    uint16_t picture; /* of as many bits as the source's */
    uint8_t tl0, keyidx;
    uint8_t spatial, temporal; /* the target that is watched */
    bool marker;
};

/* Offsets from a packet of the source on: outgoing = source's - offset. */
struct switcher_segment {
    uint64_t from; /* first source number */
    uint64_t seq;
    uint32_t skipped; /* so many right before were left out, and may not come again */
    uint32_t ts;
    uint16_t picture[2]; /* of ids with 7 bits, and with more */
    uint8_t tl0, keyidx;
    uint16_t target; /* bit of the target; 0 none */
};

_Static_assert(sizeof(struct switcher_segment) == 32, "a subscription has many");

struct switcher {
    /* the highest source number seen, its frame, and what became of that */
    uint64_t last_seq;
    uint32_t last_ts;
    uint16_t last_picture;
    uint8_t last_bits; /* of last_picture; 0 there was none */
    uint8_t last_spatial;
    bool last_sent;
    uint64_t walked_pictures; /* of the walk, when it was level with it last */
    bool running; /* switcher_begin() was called */
    bool whole;   /* the last picture that was sent is complete: it had its marker */
    uint8_t want_spatial, want_temporal;
    uint8_t at_spatial, at_temporal; /* SWITCHER_NO_LAYER: none, until an entry point */
    uint16_t broken;                 /* targets that a frame is missing of */
    uint64_t entry_seq;              /* where all of them were mended last */
    uint8_t n_segments;
    uint8_t newest;

    /* what went out last */
    uint64_t next; /* the next number is this, or more */
    uint64_t sent[SWITCHER_WINDOW / 64];
    uint32_t out_ts;
    uint16_t out_picture;
    uint8_t out_tl0, out_keyidx;

    struct switcher_segment segments[SWITCHER_SEGMENTS];
};

/* A stream as all see it who are shown each of its packets, as long as they come in order:
 * kept once, so that a subscription need not be shown what it would leave out anyhow. It
 * catches up with the walk before anything else is done with it. */
struct switcher_walk {
    uint64_t seq;      /* of the last packet; late ones do not count */
    uint64_t pictures; /* frames begun whose ids are closed up if they are left out */
    uint32_t ts;
    uint16_t picture;
    uint16_t present; /* of the last packet's frame */
    uint8_t bits, spatial;
    uint32_t last_of[LAYER_MAX * LAYER_MAX]; /* of each target: number of the last packet
                                                that began a frame for it, low bits */
};

/* What an earlier process sent last goes on; zeros for a new subscription. */
struct switcher_last {
    uint32_t ts;
    uint16_t picture;
    uint8_t tl0, keyidx;
};

/* next  the first outgoing number that was never used */
void switcher_init(struct switcher *sw, uint64_t next, const struct switcher_last *last);

/* The layers to be watched, each below LAYER_MAX; takes effect where the codec allows. */
void switcher_want(struct switcher *sw, uint8_t spatial, uint8_t temporal);

/* The next packet, the first of a key frame (audio: any), is of another source, or of the
 * same one after a pause. It will go out at 'ts'. */
void switcher_begin(struct switcher *sw, const struct switcher_in *in, uint32_t ts);

/* Nothing is sent until switcher_begin(). */
void switcher_stop(struct switcher *sw);

/* Shows a packet. Returns true and fills 'out' if it is to be sent. */
bool switcher_packet(struct switcher *sw, const struct switcher_in *in,
                     struct switcher_out *out);

/* The walk begins, anew, with this packet. */
void switcher_walk_begin(struct switcher_walk *walk, const struct switcher_in *in);

/* The walk meets the next packet. Returns whether those may pass it over who were level with
 * the walk and do not need it: it continues what came before. */
bool switcher_walk_next(struct switcher_walk *walk, const struct switcher_in *in);

/* The target (its bit) of one that may pass over, unseen, what that target does not need,
 * from where the walk stands on and as long as nothing else is done with 'sw'; 0: it has to
 * be shown everything. */
uint16_t switcher_passes(struct switcher *sw, const struct switcher_walk *walk);

/* As if switcher_packet() had been called for all that was passed over since. */
void switcher_catch_up(struct switcher *sw, const struct switcher_walk *walk);

/* What a packet that was sent became, if that is still known; to send it once more. */
bool switcher_again(const struct switcher *sw, const struct switcher_in *in,
                    struct switcher_out *out);

/* Finds what was sent as 'number': the outgoing index and the source's number. Returns
 * false for one that is ahead, or older than what is remembered. */
bool switcher_find(const struct switcher *sw, uint16_t number, uint64_t *index,
                   uint64_t *seq);

/* True while what is wanted cannot be had without a key frame. */
bool switcher_needs_keyframe(const struct switcher *sw);

/* The time at which a packet of another stream goes out: the two streams' clocks compared
 * by their sender reports.
 *
 * from, to  the stream before and the one now: NTP time (32.32) and timestamp of a report
 * offset    source minus outgoing timestamp of 'from'
 * Returns the offset for 'to'. */
struct switcher_clock {
    uint64_t ntp;
    uint32_t ts;
};
uint32_t switcher_map(const struct switcher_clock *from, const struct switcher_clock *to,
                      uint32_t clock_hz, uint32_t offset);

#endif
