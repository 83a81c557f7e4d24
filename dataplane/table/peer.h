/* A peer: one ICE + DTLS transport, hence one pair of SRTP keys. The object that its lane
 * works on; what must survive the process (receive windows, next indexes) lies in the vault
 * and is only pointed to.
 *
 * Owner: the lane of the peer. What every send touches lies apart from the rest. */
#ifndef KCS_TABLE_PEER_H
#define KCS_TABLE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alloc.h"
#include "core/bwe.h"
#include "core/pacer.h"
#include "core/remb.h"
#include "core/trial.h"
#include "core/twcc.h"
#include "crypt/crypt.h"
#include "crypt/replay.h"
#include "pkt/pkt.h"

enum {
    PEER_SSRCS = 32, /* SSRCs one peer may send at once; more are dropped as ssrc_limit */
    PEER_PATHS = 4,  /* validated 5-tuples */
    PEER_RRTRS = 4,  /* reference times that wait for their answer */
    PEER_UFRAG = 32,
    PEER_PWD = 64,
    PEER_ANSWERED = 256,
    PEER_EXT_IDS = 256,     /* a two-byte header extension id is a byte */
    PEER_SWEPT_BYTES = 192, /* of peer_rest, from last_check_us on */
    PEER_TWCC_BLOCK = 256   /* transport-wide numbers are taken from the vault in blocks */
};

/* What a peer's incoming SSRC is. */
struct peer_ssrc {
    struct stream *stream; /* NULL: authenticated, but of no stream */
    bool rtx;              /* it repairs 'stream' */
};

/* A reference time from a peer, of one of its receivers. */
struct peer_rrtr {
    uint64_t at_us; /* when it came; 0: nothing to answer */
    uint32_t ssrc, ntp;
};

/* What a send does not touch. */
struct peer_rest {
    /* ingress, every packet */
    _Alignas(64) struct crypt_key *rx_key;
    struct replay *rx; /* PEER_SSRCS of them, in the vault */
    uint64_t rx_packets;
    uint64_t rx_bytes;
    uint32_t n_ssrcs;
    bool twcc_used;  /* some packet carried a transport-wide sequence number */
    bool remb_ok;    /* it follows REMB */
    uint8_t watched; /* as watched_out: each direction has it on a line that it touches */
    uint32_t ssrcs[PEER_SSRCS];
    struct peer_ssrc ssrc_of[PEER_SSRCS];
    uint8_t ext_of[PEER_EXT_IDS]; /* the publisher's header extension id -> ours, 0 none */

    /* cold */
    _Alignas(64) uint8_t n_paths; /* with the first path on one line */
    uint8_t ufrag_len, pwd_len;
    struct path paths[PEER_PATHS];
    uint8_t ufrag[PEER_UFRAG];
    uint8_t pwd[PEER_PWD];
    uint32_t next_name; /* place of its name after the ICE restart under way; 0: none is */

    /* every report, and the sweeps of rtcp/ and stage/budget: as few lines as they fit on
     */
    _Alignas(64) uint64_t *last_check_us; /* in the vault: last valid consent check */
    uint64_t *heard_us; /* in the vault, by path: when media that is its own came last */
    uint64_t report_due_us; /* next SR/RR round */
    struct stream *streams; /* list: what it publishes */
    struct sub *subs;       /* list: what it receives */
    struct replay *rx_rtcp; /* PEER_SSRCS of them, in the vault */
    uint32_t n_rtcp_ssrcs;
    bool has_twcc;  /* some subscription carries transport-wide numbers */
    bool loss_told; /* control knows that consent is lost */
    bool probator;  /* probes have an SSRC of their own (mediasoup-client) */
    bool settled;   /* the last allotment gave all that was asked for */
    uint32_t twcc_reports;
    uint32_t twcc_lost;
    uint32_t told_bps;  /* what control was told that the link carries */
    uint32_t rtt_us;    /* by its reports; 0 unknown */
    uint64_t told_us;   /* when */
    uint64_t given_bps; /* by the last allocation, if media is the probe; else 0 */
    uint64_t fed_us;    /* when the first feedback had come; 0 not yet */
    uint64_t allot_us, besides_bytes; /* the last time; sent without numbers until then */
    uint64_t allot_bytes;             /* tx_bytes then */
    struct alloc alloc;

    /* seldom */
    uint64_t *last_nomination_us; /* in the vault: the last check that nominated */
    uint64_t *answered;           /* in the vault: checks of before (base/txids) */
    uint64_t *lane;               /* in the vault: whose it is */
    uint64_t *rtcp_next_index;    /* in the vault */
    uint32_t remb_bps;
    struct trial trial;   /* for one whose probes cannot be padded */
    uint64_t *twcc_taken; /* in the vault: numbers below may have been used */
    uint64_t *probe_next; /* in the vault: next index of the probes' SSRC */
    uint64_t padding_packets, padding_bytes;
    /* extended reports (RFC 3611): the last reference times from it, to be answered, and
     * the last that we sent */
    struct peer_rrtr rrtrs[PEER_RRTRS];
    uint32_t rrtr_sent_ntp; /* middle 32 bits */
    uint64_t rrtr_sent_us;  /* 0: none yet */
    uint32_t open_slot;     /* where it stands in the lane's list of open peers */

    /* made with the first stream; apart, as they are large and few peers publish */
    struct twcc *twcc;
    struct remb *remb; /* for those that number no packets */
    uint64_t rembs;    /* sent */
};

/* What a send touches, dense: that of 10,000 lies on few pages. */
struct peer {
    /* egress, every packet */
    _Alignas(64) struct pkt_hdr hdr; /* outer headers towards the selected path */
    uint8_t tag_len;                 /* of an SRTP packet under tx_key and rx_key */
    bool consent_lost;               /* nothing may be sent (RFC 7675, 5.1) */
    uint8_t device;                  /* of 'to' */
    uint8_t profile;                 /* enum crypt_profile */
    struct crypt_key *tx_key;        /* NULL before DTLS; borrowed from the tables */
    uint64_t twcc_next;              /* transport-wide number of the next packet */
    struct bwe *bwe;                 /* what its link carries; apart, as it is large */
    const struct path *to;           /* the selected path; NULL before ICE selects */
    uint64_t tx_packets;
    uint64_t tx_bytes;
    uint32_t pace_bps;   /* at which video may leave; 0: it is not paced */
    uint8_t watched_out; /* enum capture: copies of it are taken (lane/capture.h) */

    /* egress of those that are paced */
    _Alignas(64) struct pacer pacer;
    struct sub *behind, *behind_last; /* video that waits (lane/paced.h) */
    struct peer *next_paced, **paced_link;

    struct peer_rest *rest;
    uint64_t handle; /* 0: the slot is free */
    uint32_t index;
    uint8_t paced_slot, paced_room;
};

_Static_assert(offsetof(struct peer, pacer) == 128 && sizeof(struct peer) == 192,
               "two lines a send, and one more if it is paced");
_Static_assert(2 * sizeof(struct crypt_key) <= (size_t)8 * 1024, "a peer's budget of keys");
_Static_assert(offsetof(struct peer_rest, last_nomination_us) <=
                   offsetof(struct peer_rest, last_check_us) + PEER_SWEPT_BYTES,
               "prefetched whole");

/* Start loading what a report from the peer, or a sweep, is about to touch: first this of
 * it itself, then, some 100 ns later, what that points to. */
static inline void peer_prefetch(const struct peer *peer)
{
    __builtin_prefetch(&peer->twcc_next);
    __builtin_prefetch(&peer->rest);
}

static inline void peer_prefetch_rest(const struct peer *peer)
{
    const char *first = (const char *)&peer->rest->last_check_us;

    for (unsigned at = 0; at < PEER_SWEPT_BYTES; at += 64) {
        __builtin_prefetch(first + at);
    }
}

static inline void peer_watch(struct peer *peer, uint8_t how)
{
    peer->rest->watched = peer->watched_out = how;
}

/* Notes that SRTP or SRTCP of 'peer', authentic and no replay, came from 'path'. */
static inline void peer_heard(struct peer *peer, const struct path *path, uint64_t now_us)
{
    for (uint8_t i = 0; i < peer->rest->n_paths; i++) {
        if (path_same_tuple(&peer->rest->paths[i], path)) {
            __atomic_store_n(&peer->rest->heard_us[i], now_us, __ATOMIC_RELAXED);
            return;
        }
    }
}

#endif
