/* A stream: one encoding that a publisher sends (one SSRC and its retransmissions), its
 * ring and who reads it.
 *
 * Owner: the lane of the publisher; 'readers[i]' belongs to lane i. */
#ifndef KCS_TABLE_STREAM_H
#define KCS_TABLE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec.h"
#include "core/keyframe.h"
#include "core/recvstat.h"
#include "stream/ring.h"
#include "table/sublist.h"

enum { STREAM_MID = 16, STREAM_RID = 16, STREAM_MAX_LANES = 64 };

/* The subscriptions of one stream on one lane, and how far that lane's fan-out is. */
struct stream_readers {
    struct sublist subs;
    struct stream *stream;
    uint64_t next_pos;            /* first position not yet fanned out on this lane */
    struct sublist_iter at;       /* where the fan-out of next_pos stands */
    struct stream_readers *grown; /* next in the lane's list of grown rings */
    bool queued;                  /* it is in that list */
};

struct stream {
    struct stream_ring ring;
    struct stream_readers *readers; /* one a lane */

    uint64_t handle; /* 0: the slot is free */
    struct peer *peer;
    uint32_t index;
    uint32_t ssrc;     /* announced or bound; 0 none */
    uint32_t rtx_ssrc; /* likewise */
    uint32_t clock_hz;
    bool bound;     /* its first packet has come */
    bool announced; /* its SSRC was told in signaling; else found by MID and RID */
    bool paused;
    bool video;
    enum codec_kind codec;
    uint8_t pt, rtx_pt;
    uint8_t mid_len, rid_len;
    uint8_t mid[STREAM_MID];
    uint8_t rid[STREAM_RID];

    uint64_t *live_ssrc, *live_rtx_ssrc; /* in the vault: bound; NULL if nobody asks */

    uint64_t packets, bytes;
    uint64_t keyframes;
    uint32_t keyframe_ts; /* RTP timestamp of the last one; valid if keyframes > 0 */
    uint64_t pli_sent, pli_asked;
    struct recvstat stat;
    struct keyframe keyframe;

    bool has_sr;
    uint64_t sr_ntp; /* last sender report: 32.32 */
    uint32_t sr_ts;
    uint64_t sr_arrival_us;

    struct stream *next_of_peer;
    uint32_t n_subs;
    bool bye; /* its publisher said so */
};

#endif
