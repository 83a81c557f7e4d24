/* A stream: one encoding that a publisher sends (one SSRC and its retransmissions), its
 * ring and who reads it.
 *
 * Owner: the lane of the publisher; 'readers[i]' belongs to lane i. Other lanes hold a
 * stream while they have subscriptions to it, and may then read: the ring, what never
 * changes (video, room, codec, clock_hz), the atomic words, and the clock by
 * stream_clock_read(). */
#ifndef KCS_TABLE_STREAM_H
#define KCS_TABLE_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/codec.h"
#include "core/keyframe.h"
#include "core/layer.h"
#include "core/nack.h"
#include "core/recvstat.h"
#include "core/seen.h"
#include "core/speaker.h"
#include "core/switcher.h"
#include "stream/ring.h"
#include "table/sublist.h"

enum { STREAM_MID = 16, STREAM_RID = 16, STREAM_MAX_LANES = 64 };

/* In n_subs: nobody may subscribe, as it is not open yet or closed. */
#define STREAM_SHUT UINT32_C(0x80000000)

/* The subscriptions of one stream on one lane, and how far that lane's fan-out is. */
struct stream_readers {
    _Alignas(64) struct sublist subs;
    struct stream *stream;        /* constant: the slot's */
    uint64_t next_pos;            /* first position not yet fanned out on this lane */
    struct sublist_iter at;       /* where the fan-out of next_pos stands */
    uint64_t run_pos, run_end;    /* some may have had all from there to there */
    struct stream_readers *grown; /* next in its room's list of grown rings */
    bool queued;                  /* it is in that list */
    uint8_t n_returns;            /* steps in which some were taken up, without a cut */
    /* Who is sent a smaller one of its streams instead: */
    uint32_t n_rise;       /* so many more may come back, in this step, … */
    uint64_t rise_us;      /* … of those who went then, or before */
    uint64_t rise_next_us; /* the same of the next sweep */
    uint64_t swept_us;     /* the last one */

    /* The lane is overloaded (stage/shed): */
    uint32_t n_shed;            /* subscriptions that are given up, sub->shed */
    uint32_t shed_at, taken_at; /* places in the list, where the next is given or taken up */
    uint64_t shed_us;           /* when the last was, or it was late */
    uint64_t late_us;           /* since when it is late: then by so much; 0 it is not */
    uint64_t late_by_us;
    uint64_t shed_pos; /* what lies before all lost; who has not had it begins anew */
    uint64_t counted_pos; /* what lies before is counted for who is given up … */
    uint64_t shed_had;    /* … but for so many packets: they had been sent them before */

    /* How other lanes tell this one that the ring has grown (lane/hub.h). They belong to
     * the slot and outlive the stream. */
    _Atomic bool told;           /* it is in the list below */
    struct stream_readers *next; /* of those told to this lane */

    struct keyframe_askers askers; /* what this lane's peers may ask of the stream */

    /* What those with layers would leave out they are not shown (sub->passes): */
    struct switcher_walk walk;        /* behind position walk_pos */
    struct switcher_walk walk_before; /* behind the one before it that was walked */
    uint64_t walk_pos, walk_before_pos;
    bool walk_level;  /* walk_pos may be passed over */
    uint16_t targets; /* who needs none of these, and is known to, is not looked at now */
};

/* Before which position all is counted for those that are given up: the fan-out may have gone
 * back. */
static inline uint64_t readers_front(const struct stream_readers *readers)
{
    return readers->counted_pos > readers->next_pos ? readers->counted_pos
                                                    : readers->next_pos;
}

/* The fan-out goes on at 'pos', which is before where it stands or there. */
static inline void readers_go_back(struct stream_readers *readers, uint64_t pos)
{
    readers->counted_pos = readers_front(readers);
    readers->next_pos = pos;
    readers->at = sublist_start(&readers->subs);
}

/* The last sender report of the publisher: one writer, read by the lanes of subscribers. */
struct stream_clock {
    _Atomic uint32_t seq; /* odd while it is written; 0: there was none */
    _Atomic uint32_t ts;
    _Atomic uint64_t ntp; /* 32.32 */
    _Atomic uint64_t arrival_us;
};

struct stream {
    struct stream_ring ring;
    struct stream_readers *readers; /* one a lane */

    _Atomic uint64_t handle;       /* 0: the slot is free */
    _Atomic uint32_t lane;         /* its owner */
    _Atomic uint32_t n_subs;       /* on all lanes; with STREAM_SHUT: none may come */
    _Atomic uint64_t reader_lanes; /* bit i: readers[i] has subscriptions */
    struct peer *peer;
    uint32_t index;
    uint32_t ssrc;     /* announced or bound; 0 none */
    uint32_t rtx_ssrc; /* likewise */
    uint32_t clock_hz;
    bool bound;     /* its first packet has come */
    bool announced; /* its SSRC was told in signaling; else found by MID and RID */
    bool paused;
    bool video;
    uint8_t room; /* whose turns its fan-out has (lane/turns.h); it never changes */
    enum codec_kind codec;
    uint8_t pt, rtx_pt;
    uint8_t mid_len, rid_len;
    uint8_t mid[STREAM_MID];
    uint8_t rid[STREAM_RID];

    uint64_t *live_ssrc, *live_rtx_ssrc; /* in the vault: bound; NULL if nobody asks */
    uint64_t *live_audio;                /* likewise: how loud it is */

    uint64_t packets, bytes;
    uint64_t keyframes;
    uint32_t keyframe_ts; /* RTP timestamp of the last one; valid if keyframes > 0 */
    uint64_t pli_sent, pli_asked;
    uint64_t repaired; /* packets that reached the ring as retransmissions */
    struct recvstat stat;
    struct keyframe keyframe;
    struct seen seen; /* what the ring has had */
    struct nack nack;
    bool nacks; /* what is missing is asked for again: video, and audio that offers it */

    /* What is not forwarded, of who is paused or not to be heard, leaves no gap: numbers of
     * the ring are the publisher's minus 'withheld', and what comes late from before the gate
     * opened stays out. */
    struct speaker speaker;
    uint8_t gate; /* enum speaker_gate */
    bool gate_closed;
    uint64_t withheld;
    uint64_t gate_first; /* the publisher's number at which it opened last */
    uint64_t gate_last;  /* the highest that went through; 0 none yet */

    /* Layers, for the lanes that hold it. */
    _Atomic uint64_t keyframe_pos; /* 1 + where the last one begins in the ring; 0 none */
    _Atomic uint64_t spatial_us[LAYER_MAX];             /* when each last came; 0 never */
    _Atomic uint64_t layer_bytes[LAYER_MAX][LAYER_MAX]; /* payload, spatial and temporal */
    _Atomic uint8_t top_temporal;
    _Atomic uint32_t
        layer_bps[LAYER_MAX][LAYER_MAX];        /* the same a second, by stage/budget */
    uint64_t rated_bytes[LAYER_MAX][LAYER_MAX]; /* when that was worked out last */
    uint64_t rated_us;
    struct layer_state layers; /* the owner's */

    struct stream_clock clock;

    struct stream *next_of_peer;
    bool bye; /* its publisher said so */
};

/* Notes a sender report. Thread: the owner. */
static inline void stream_clock_write(struct stream_clock *clock, uint64_t ntp, uint32_t ts,
                                      uint64_t arrival_us)
{
    uint32_t seq = atomic_load_explicit(&clock->seq, memory_order_relaxed);

    atomic_store_explicit(&clock->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&clock->ntp, ntp, memory_order_relaxed);
    atomic_store_explicit(&clock->ts, ts, memory_order_relaxed);
    atomic_store_explicit(&clock->arrival_us, arrival_us, memory_order_relaxed);
    /* 0 means that there was none: skipped when the count comes round */
    atomic_store_explicit(&clock->seq, seq + 2 != 0 ? seq + 2 : 2, memory_order_release);
}

/* Returns false if there was none yet, or it is just being written. Thread: any lane that
 * holds the stream. */
static inline bool stream_clock_read(const struct stream_clock *clock, uint64_t *ntp,
                                     uint32_t *ts, uint64_t *arrival_us)
{
    uint32_t seq = atomic_load_explicit(&clock->seq, memory_order_acquire);

    *ntp = atomic_load_explicit(&clock->ntp, memory_order_relaxed);
    *ts = atomic_load_explicit(&clock->ts, memory_order_relaxed);
    *arrival_us = atomic_load_explicit(&clock->arrival_us, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return seq != 0 && (seq & 1) == 0 &&
           atomic_load_explicit(&clock->seq, memory_order_relaxed) == seq;
}

#endif
