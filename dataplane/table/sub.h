/* A subscription: a cursor of one peer into one stream's ring, and how packets are
 * rewritten for it. Sequence numbers and indexes are given when a packet is sent, never
 * before.
 *
 * Owner: the lane of the subscriber. Everything a send touches is in two lines of struct
 * sub.
 */
#ifndef KCS_TABLE_SUB_H
#define KCS_TABLE_SUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/answered.h"
#include "core/gaps.h"
#include "core/keyframe.h"
#include "core/rtxindex.h"
#include "core/switcher.h"
#include "table/sublist.h"

enum {
    SUB_CNAME = 40,
    SUB_EXT_TMPL = 28, /* MID of 16, abs-send-time, transport-cc */
    SUB_HDR_TMPL = 16 + SUB_EXT_TMPL,
    SUB_EXTS = 16,       /* as N_EXTS (worker/ asserts it) */
    SUB_EXT_RENAMED = 0, /* the bit of 'ext_mask' (there is no id 0): some have other ids */
    SUB_STREAMS = 3,
    SUB_LAYER_ANY = 255
};

/* What a subscription has that may be sent a part of the packets, or other streams: the
 * streams that it may be sent (all held), and where it stands. A spatial layer is a stream
 * if there are several (simulcast), else a layer within. */
struct sub_layers {
    struct switcher switcher;
    struct sub *sub;
    struct stream *streams[SUB_STREAMS]; /* ascending */
    uint8_t n_streams;
    uint8_t at;     /* of them, the one that it is sent, or was; SUB_STREAMS none yet */
    uint8_t target; /* the one that it is to be sent */
    bool waiting;   /* for a place in 'target' to begin at */
    bool cut;       /* and is sent nothing until then (stage/layers) */
    uint8_t wish_spatial, wish_temporal;   /* control's; SUB_LAYER_ANY */
    uint8_t limit_spatial, limit_temporal; /* the link's; SUB_LAYER_ANY */
    uint8_t shed_spatial; /* the lane's (stage/shed); SUB_LAYER_ANY */
    uint8_t to_spatial, to_temporal;       /* what these and the source come to */
    uint8_t reason;     /* enum abi_layers_reason: why they were set so */
    uint32_t told;      /* what control knows */
    uint32_t source;    /* counts changes of stream, for what is to be sent again */
    uint32_t ts_offset; /* source minus outgoing, but for what kept time from going back */
    uint64_t from_pos;  /* waiting: the key frame lies at or behind this */
    uint64_t since_us, asked_us;
    uint64_t sent_us;           /* the last packet */
    uint64_t lower_us;          /* shed_spatial was set */
    uint64_t lag_us[LAYER_MAX]; /* a layer is behind the others since then; 0 no */
    uint64_t shunned_until_us[LAYER_MAX]; /* no key frame came */
    uint64_t *last_us, *last_out;         /* in the vault */
    struct sub_layers *next, **link;      /* of the lane */
    struct sub_layers *next_waiting, **waiting_link;
};

/* What it takes to tell which packets were sent and may be sent again, apart as most never
 * need it: nothing was left out, nothing is asked for again (table/repair). */
struct sub_repair {
    struct gaps gaps;         /* indexes below *next_index that are free */
    struct rtxindex sent;     /* what our numbers were, of one without layers */
    struct answered answered; /* lately */
};

/* What a send does not touch. */
struct sub_rest {
    /* of its peer's, when there is not enough for all */
    uint32_t area;    /* pixels that it is shown with; 0 unknown */
    uint8_t priority; /* 1 … 255 */
    bool screen;
    int8_t level;              /* what it was allotted: core/alloc.h */
    uint64_t *seq_offset_live; /* in the vault: follows seq_offset */
    uint64_t skipped;
    bool asked;                      /* wait_keyframe: for the one that it waits for */
    uint64_t keyframes_ignored;      /* requests for more than its share */
    uint64_t nacks;                  /* numbers asked for again */
    uint64_t nacks_ignored;          /* of these: never sent, forgotten, or too many */
    uint64_t rtx_packets, rtx_bytes; /* of payload, sent as retransmissions */
    uint64_t *rtx_next_index;        /* in the vault: stored before each encryption */
    uint64_t rtx_counted_bytes;      /* 'bytes' when the budget was last filled up */
    uint32_t rtx_budget;             /* bytes that may be sent again */
    uint32_t rtx_ssrc;               /* 0: it gets no retransmissions */
    uint8_t rtx_pt;                  /* 0: nor of what it is sent now */
    bool
        repeats; /* what is lost may be sent again, bit by bit as it was (stage/resend.h) */
    struct rtxindex_span begun; /* without layers: where its numbers began; first 0: not yet */
    struct sub_repair *repair;  /* NULL: not needed yet */
    uint32_t lost, jitter, rtt_us, fraction_lost;
    uint32_t told_seq; /* the highest number of its last report; 0 none yet */
    int32_t told_lost;
    uint32_t last_sr_ntp; /* middle 32 bits of our last sender report */
    uint64_t last_sr_us;
    uint64_t reported_packets; /* 'packets' at the last sender report */
    uint8_t ext_id[SUB_EXTS];  /* the subscriber's ids of them */
    uint8_t cname_len;
    char cname[SUB_CNAME];
};

/* What a send touches, dense: that of 10,000 lies on few pages. */
struct sub {
    _Alignas(64) struct peer *peer;
    struct stream *stream;     /* the one that it is in the list of */
    struct sub_layers *layers; /* NULL: it is sent all of one stream */
    uint64_t cursor; /* next position of the ring to send; stands still while it 'passes' */
    union {
        uint64_t seq_base; /* packets of the publisher before this one are not sent */
        uint64_t passes;   /* with layers: the target (its bit) of one that need not be shown
                              what this does not need, until tables_sub_catch_up(); 0 none */
    };
    uint64_t seq_offset;       /* outgoing = publisher's - offset, modulo 2^64 */
    uint64_t *next_index;      /* in the vault: stored before each encryption */
    uint16_t ext_mask;         /* extensions that are forwarded to this subscriber */
    uint8_t pt;
    uint8_t hdr_len;      /* of the template, padding of the extensions included */
    uint8_t ext_len;      /* of its elements */
    uint8_t send_time_at; /* of the 3 bytes, from the first element; 0 not negotiated */
    uint8_t twcc_at;      /* of the 2 bytes; 0 not negotiated */
    bool paused : 1;
    bool started : 1;       /* packets go out; false after open and resume */
    bool wait_keyframe : 1; /* video starts and resumes on a key frame */
    bool held : 1;          /* its link does not carry it now (stage/allot) */
    bool shed : 1;          /* the lane does not carry it now (stage/shed) */
    bool behind : 1;        /* its cursor waits for the pacer (lane/paced.h) */

    _Alignas(64) uint64_t packets;
    uint64_t bytes; /* RTP payload, as sender reports count */
    uint32_t ssrc;
    /* RTP header with one-byte elements: MID, abs-send-time, transport-cc */
    uint8_t hdr[SUB_HDR_TMPL];

    _Alignas(64) uint64_t handle; /* 0: the slot is free */
    struct sub_rest *rest;
    uint32_t index;
    struct sublist_at at; /* where it stands in its stream's list; zero: in none */
    struct sub *next_of_peer;
    struct sub *next_behind; /* of its peer's that wait */
    uint64_t behind_us;      /* since when it waits */
};

_Static_assert(offsetof(struct sub, packets) == 64 && offsetof(struct sub, handle) == 128 &&
                   sizeof(struct sub) == 192,
               "two lines a send");
_Static_assert(sizeof(struct sub) + sizeof(struct sub_rest) <= 512, "a subscription's budget");

/* Whether what is lost may be sent again as a retransmission (RFC 4588). */
static inline bool sub_repairs(const struct sub *sub)
{
    return sub->rest->rtx_ssrc != 0 && sub->rest->rtx_pt != 0;
}

/* Whether what is lost may be sent again at all. */
static inline bool sub_resends(const struct sub *sub)
{
    return sub->rest->repeats || sub_repairs(sub);
}

/* Source minus outgoing timestamp of what is sent now, for sender reports. */
static inline uint32_t sub_ts_offset(const struct sub *sub)
{
    const struct switcher *sw;

    if (sub->layers == NULL) {
        return 0;
    }
    sw = &sub->layers->switcher;
    return sw->segments[sw->newest].ts;
}

#endif
