/* A lane: all that one CPU owns, and the first argument of every stage. Nothing here is
 * shared; others send it messages (commands; packets, moves and rings of streams that grew
 * by the hub).
 *
 * Neighbours: worker/ drives it; stage/ and rtcp/ work on it; table/ holds its objects. */
#ifndef KCS_LANE_LANE_H
#define KCS_LANE_LANE_H

#include <stdint.h>

#include "lane/hub.h"
#include "lane/paced.h"
#include "lane/turns.h"
#include "pkt/drop.h"
#include "pkt/ext.h"
#include "pkt/pkt.h"
#include "table/tables.h"

struct captured;
struct crypt_ctx;
struct rte_mempool;

enum {
    LANE_NEWS = 256,          /* events that wait for worker/ */
    LANE_PUNTS_PER_S = 20000, /* unauthenticated STUN handed to control, at most */
    LANE_PUNT_BURST = 2000,
    LANE_NAMES = 256, /* of it, a share for each group of ufrags that are ours: */
    LANE_NAME_PER_S = 200,
    LANE_NAME_BURST = 100,
    LANE_STRANGERS_PER_S = 2000, /* and one for all that name nobody */
    LANE_STRANGER_BURST = 200,
    LANE_PROBES = 32,   /* peers that are probed at once */
    LANE_PARKED = 512,  /* packets that wait for a peer that is moving here */
    LANE_RESENDS = 1024 /* packets that were asked for again; a power of two */
};

/* News for control, drained by worker/ between bursts. */
enum lane_news_kind {
    LANE_NEWS_CONSENT_LOST,
    LANE_NEWS_STREAM_BOUND,
    LANE_NEWS_BYE,
    LANE_NEWS_LAYERS,
    LANE_NEWS_BANDWIDTH
};

struct lane_news {
    enum lane_news_kind kind;
    uint32_t arg;
    uint64_t handle;
};

struct lane_counts {
    uint64_t rx_packets, rx_bytes;
    uint64_t tx_packets, tx_bytes;
    uint64_t forwards; /* media packets that reached a device */
    uint64_t rtcp_out;
    uint64_t datagrams_out;         /* those of control */
    uint64_t handed_out, handed_in; /* packets of peers, to and from other lanes */
    uint64_t handed_tx;             /* frames given to the lane of their device */
    uint64_t padding_packets, padding_bytes;
    uint64_t resent; /* retransmissions to subscribers */
    uint64_t paced;  /* times that the pacer made a cursor wait */
    uint64_t drops_in[N_DROP_REASONS];
    uint64_t drops_out[N_DROP_REASONS];
    uint64_t done[N_DONE_KINDS];
};

/* A command that is done only when other lanes have passed a point. */
struct lane_pending {
    uint64_t acks;  /* bit i: lane i has not passed yet */
    uint32_t stage; /* 0: nothing is pending */
    uint32_t to;    /* of a move */
    uint32_t peer;
};

/* A packet that a subscriber misses (rtcp_in): what it was, not the packet itself. */
struct lane_resend {
    uint64_t sub;   /* handle */
    uint64_t seq;   /* the publisher's, extended */
    uint64_t index; /* the outgoing one that it was sent under */
    uint32_t source;
    uint32_t _pad;
};

struct lane {
    uint64_t now_us; /* CLOCK_MONOTONIC, set once a loop */
    uint32_t index;
    struct tables *tables;
    struct crypt_ctx *crypt;
    struct rte_mempool *pool;
    struct lane_counts counts;

    struct hub *hub;  /* NULL: there is no other lane */
    uint64_t to_wake; /* bit i: lane i was sent something since it was last rung */
    uint64_t ack_due; /* bit i: lane i's ring had no place for its HUB_ACK */
    struct lane_pending pending;
    uint32_t n_parked;
    struct pkt *parked[LANE_PARKED];

    uint32_t runs; /* bit i: packets in a row to one destination cost device i less */
    struct turns audio, video; /* rings that grew; route empties them, audio first */
    struct paced paced;        /* and video that waits for its time */
    uint32_t pacer_window_us;  /* it waits no longer; 0: nothing waits */
    uint64_t stood_us; /* when the lane stood still: that made late, not its rooms */

    /* stage/punt: until when each share is spent, if before now less its burst */
    uint64_t punts_us, strangers_us;
    uint64_t names_us[LANE_NAMES];

    /* the sweep of estimators (stage/budget), and who is being probed (stage/padding) */
    uint32_t budget_at;
    uint64_t budget_due_us;
    uint64_t padding_due_us; /* UINT64_MAX: nobody is */
    uint32_t n_probing;
    uint64_t probing[LANE_PROBES]; /* handles */

    bool no_repair;       /* neither ask for what is lost nor send it again */
    uint32_t resend_head; /* next to write; both count on for ever */
    uint32_t resend_tail; /* next to send */
    struct lane_resend resends[LANE_RESENDS];

    /* the RTCP sweep (rtcp/rtcp_out) */
    uint32_t sweep_at;
    uint64_t sweep_due_us;

    /* that of statistics (worker/report) */
    uint32_t told_at, told_round;

    /* the sweeps of layers (stage/layers) */
    uint64_t layers_sweep_us, layers_wait_us;

    uint32_t n_news;
    struct lane_news news[LANE_NEWS];

    /* lane/capture.h: where copies of packets go. Set by worker/; NULL: nobody can watch */
    bool (*capture)(void *arg, const struct captured *packet);
    void *capture_arg;
    uint32_t capture_missed; /* since the last that was taken */

    /* where a burst is decrypted to, before ingest moves it into rings: what fails
     * authentication never touches a ring; and where rewrite changes payloads */
    _Alignas(64) uint8_t plain[PKT_BURST][PKT_ROOM];
};

/* Whether something waits to be sent again. */
static inline bool lane_resends(const struct lane *lane)
{
    return lane->resend_head != lane->resend_tail;
}

/* tables, crypt, pool  borrowed for the lane's life. 'hub' is set by the caller afterwards
 * if there are several lanes. */
void lane_init(struct lane *lane, uint32_t index, struct tables *tables,
               struct crypt_ctx *crypt, struct rte_mempool *pool, uint64_t now_us);

/* Fills 'pkts' with 'n' fresh packets whose 'data' has PKT_ROOM bytes. All or nothing:
 * returns n or 0. */
uint16_t lane_alloc(struct lane *lane, struct pkt **pkts, uint16_t n);

/* How many packets of the pool are free, and how many there are. Cost: O(threads). */
void lane_buffers(const struct lane *lane, uint64_t *n_free, uint64_t *n_total);

/* Ends a packet's life and counts why. _drop: ingress; _drop_out: egress; _done: it reached
 * its end; _free: not counted (what was transmitted). */
void lane_drop(struct lane *lane, struct pkt *pkt, enum drop_reason reason);
void lane_drop_out(struct lane *lane, struct pkt *pkt, enum drop_reason reason);
void lane_done(struct lane *lane, struct pkt *pkt, enum done_kind kind);
void lane_free(struct lane *lane, struct pkt *pkt);

/* Tells control. Returns false when the queue is full: the news is then kept by its
 * object's state (consent is found lost again, a stream is found bound by its statistics).
 */
bool lane_tell(struct lane *lane, enum lane_news_kind kind, uint64_t handle, uint32_t arg);

/* Whether a ring has grown, or video that waited may go on. */
static inline bool lane_has_grown(const struct lane *lane)
{
    return lane->audio.first != NULL || lane->video.first != NULL;
}

/* Of those the ring whose turn it is; NULL if there is none. */
static inline const struct stream_readers *lane_next_grown(const struct lane *lane)
{
    const struct turns_room *room =
        lane->audio.first != NULL ? lane->audio.first : lane->video.first;

    return room != NULL ? room->first : NULL;
}

/* Notes that the ring of 'readers' has grown on this lane (spread), once until route has
 * served it. _forget: its stream ends. */
void lane_grown(struct lane *lane, struct stream_readers *readers);
void lane_grown_forget(struct lane *lane, struct stream_readers *readers);

/* As paced_forget(): 'sub' ends, or goes to another lane. */
void lane_paced_forget(struct lane *lane, struct sub *sub);

/* Sends another lane a message, which may take the reserved places. Returns false if there
 * is no room even there. _pkt: a packet; what does not fit stays the caller's. */
bool lane_send(struct lane *lane, uint32_t to, const struct hub_msg *msg);
bool lane_send_pkt(struct lane *lane, uint32_t to, enum hub_kind kind, struct pkt *pkt);

/* Asks the publisher of a stream for a key frame, on whichever lane it is. Merged and
 * limited there; may be lost if that lane is flooded (who still waits asks again). 'again':
 * it was counted before. While the lanes rest 'hub' may be unset: then all is the caller's.
 */
void lane_ask_keyframe(struct lane *lane, struct stream *stream, bool again);

/* The same for one subscription that begins: at all, after a pause, or with another layer.
 * Its peer may make it do so as often as it can ask. Returns false if the peer has asked
 * this stream too often (core/keyframe.h): nobody is asked now. */
bool lane_wish_keyframe(struct lane *lane, const struct sub *sub, struct stream *stream);

/* The peer of a subscription of video asks: of the same share. What is beyond is counted. */
void lane_hear_keyframe(struct lane *lane, struct sub *sub);

/* Ends a subscription of this lane. */
void lane_sub_close(struct lane *lane, struct sub *sub);

#endif
