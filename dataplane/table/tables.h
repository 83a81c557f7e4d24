/* The fixed-capacity tables of the dataplane: peers, streams and subscriptions by handle,
 * the paths that ICE validated, the outgoing SSRCs that feedback names, and the memory of
 * stream rings. All memory is given at start; opening and closing only takes and gives back
 * slots.
 *
 * Control chooses the slot (the vault's record); the tables check that it is free and that
 * handles are of this life.
 *
 * Each lane has a struct tables of its own. The arrays of objects are the same for all, as
 * slots are numbers that any lane may have to resolve; an object belongs to one lane at a
 * time. All else (hash tables, lists, pools, counts) is the lane's alone, so nothing here
 * is locked. A lane knows of every peer's paths, and which lane to hand their packets to:
 * the owner tells the others (worker/across).
 *
 * Thread: the lane. Path and feedback look-ups are rte_hash tables. */
#ifndef KCS_TABLE_TABLES_H
#define KCS_TABLE_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "table/peer.h"
#include "table/refused.h"
#include "table/store.h"
#include "table/stream.h"
#include "table/sub.h"

struct rte_hash;

struct tables_conf {
    uint32_t n_peers, n_streams, n_subs;
    uint32_t n_lanes;
    size_t ring_bytes; /* budget of all stream rings */
    void *ring_mem;    /* that long, for these alone, and seen from outside: begins with
                          what base/tap.h says; NULL: they lie among the tables */
    uint32_t numa;     /* node + 1 of the hash tables' memory; 0: any */
};

/* What a packet's source is looked up by. The link address is not part of it. */
struct path_key {
    uint8_t remote_ip[16];
    uint8_t local_ip[16];
    uint16_t remote_port;
    uint16_t device;
};

/* An open peer, as the sweeps of its lane see it: dense, so that those for whom there is
 * nothing to do cost next to nothing. Times: when there will be something, if nothing happens
 * before (0: at once). */
struct open_peer {
    uint32_t index;
    bool told;           /* of control: nothing but 'told_packets' can have changed since */
    uint64_t reports_us; /* of rtcp/rtcp_out */
    uint64_t budget_us;  /* of stage/budget; and when something was sent, … */
    uint64_t tx_bytes, twcc_next; /* … as the peer's differ from what they were last */
    uint64_t ticked_us;           /* when its estimator was run last; 0 never */
    uint64_t told_packets;        /* its tx_packets when control was told */
};

struct tables {
    struct tables_conf conf;
    uint32_t lane; /* whose these are */
    struct peer *peers;
    struct peer_rest *peer_rests;
    struct stream *streams;
    struct sub *subs;
    struct sub_rest *sub_rests;
    struct sub_layers *layers;  /* by subscription */
    struct sub_repair *repairs; /* likewise */
    struct twcc *twccs;        /* by peer */
    struct remb *rembs;        /* likewise */
    struct bwe *bwes;          /* by peer */
    struct crypt_key *tx_keys; /* by peer; apart from the others, as fan-out reads these */
    struct crypt_key *rx_keys; /* by peer */
    struct refused *refused_peers, *refused_subs; /* by slot */
    struct refused *refused_rtx;                  /* by subscription: retransmissions */
    struct refused *refused_padding;              /* by peer */
    struct stream_readers *readers;
    struct sublist_pool chunks;
    struct ring_store *rings;  /* of all lanes */
    struct ring_store store;   /* what 'rings' of all lanes is: the first lane's */
    _Atomic uint16_t *names;   /* of all lanes: how many peers' ufrags fall on a place */
    uint32_t n_names;          /* a power of two */
    uint8_t *lane_of;          /* by peer: the lane that packets from it are handed to */
    bool *mine;                /* by peer: it belongs to this lane */
    struct rte_hash *paths;    /* 5-tuple -> peer index */
    struct rte_hash *feedback; /* (peer index, outgoing SSRC) -> subscription index */
    struct open_peer *open;    /* in no order */
    uint32_t n_open;
    uint32_t n_open_streams, n_open_subs;
    struct sub_layers *layered; /* subscriptions with layers, and which of them wait */
    struct sub_layers *waiting;
};

/* Bytes of zeroed, 64-byte aligned memory that tables_init() needs. */
size_t tables_bytes(const struct tables_conf *conf);

/* Makes the tables of all lanes.
 *
 * t     conf->n_lanes of them
 * mem   zeroed, tables_bytes() long, borrowed for the life of the tables
 * name  distinguishes the hash tables of several instances
 *
 * Returns 0, or -ENOMEM if the hash tables do not fit. At start. */
int tables_init(struct tables *t, const struct tables_conf *conf, void *mem,
                const char *name);
void tables_fini(struct tables *t); /* of all lanes: the pointer that init was given */

/* Take the slot that 'handle' names, zeroed but for its handle and index. Return it, or
 * NULL with *err: -EINVAL the index is out of range, -EEXIST the slot is in use, -ENOENT
 * the stream, of any lane, has just ended (stream_handle says which life was meant). A
 * subscription's SSRCs (rtx_ssrc 0: no retransmissions) must be no other's of this peer:
 * -EEXIST. */
struct peer *tables_peer_open(struct tables *t, uint64_t handle, int *err);
struct stream *tables_stream_open(struct tables *t, uint64_t handle, struct peer *peer,
                                  int *err);
struct sub *tables_sub_open(struct tables *t, uint64_t handle, struct stream *stream,
                            struct peer *peer, uint64_t stream_handle, uint32_t ssrc,
                            uint32_t rtx_ssrc, int *err);

/* A stream that was opened can be subscribed to from here on: it is complete. */
void tables_stream_ready(struct stream *stream);

/* Makes a subscription one with layers, that holds the streams of 'handles' (ascending, n
 * of 1 to SUB_STREAMS) instead of what it held. Returns 0, or -ENOENT if one is not there,
 * -EINVAL if they are not of one codec: then nothing has changed. */
int tables_sub_layers(struct tables *t, struct sub *sub, const uint64_t *handles,
                      uint8_t n);

/* Shows a subscription with layers all that it was spared (sub->passes). Before anything else
 * is done with its switcher, or its cursor. */
void tables_sub_catch_up(const struct tables *t, struct sub *sub);

/* The same for whoever tells sublist_needs() behind it. */
void tables_sub_level(const struct stream_readers *readers, struct sub *sub);

/* Has a subscription read 'stream', which it holds, from 'pos' on. The caller tells the
 * lane that its ring is to be looked at. */
void tables_sub_read(struct tables *t, struct sub *sub, struct stream *stream,
                     uint64_t pos);

/* It is not given up any more (stage/shed), if it was: it begins anew, stops or leaves its
 * list. */
void tables_sub_unshed(const struct tables *t, struct sub *sub);

/* Puts it into the list of those that wait for a key frame, or takes it out. */
void tables_sub_wait(struct tables *t, struct sub *sub, bool waiting);

/* Give a slot back. A peer must have no streams and subscriptions, a stream no
 * subscriptions: else -EBUSY and nothing is done. */
int tables_peer_close(struct tables *t, struct peer *peer);
int tables_stream_close(struct tables *t, struct stream *stream);
void tables_sub_close(struct tables *t, struct sub *sub);

/* The object of a handle, or NULL if there is none, it is of another life or (but for
 * streams) of another lane. */
struct peer *tables_peer(const struct tables *t, uint64_t handle);
struct stream *tables_stream(const struct tables *t, uint64_t handle);
struct sub *tables_sub(const struct tables *t, uint64_t handle);

/* Something has come, or was changed, that what the sweeps do for the peer may depend on.
 * _heard: that only what control is told depends on. */
static inline void tables_heard(struct tables *t, const struct peer *peer)
{
    t->open[peer->rest->open_slot].told = false;
}

static inline void tables_wake(struct tables *t, struct peer *peer)
{
    struct open_peer *open = &t->open[peer->rest->open_slot];

    open->told = false;
    open->reports_us = open->budget_us = 0;
    peer->rest->settled = false;
}

/* Makes 'paths' the validated paths of the peer, 'selected' (index, or n for none) the one
 * to send to; old ones are forgotten. A path that another peer holds is taken from it: the
 * address was just proven to be this peer's.
 * Returns 0, -EINVAL for more than PEER_PATHS, or -ENOSPC. */
int tables_peer_set_paths(struct tables *t, struct peer *peer, const struct path *paths,
                          uint8_t n, uint8_t selected);

/* Makes 'ufrag' (len <= PEER_UFRAG) the name of the peer, in checks to it. During an ICE
 * restart 'next' is its name as well (next_len 0: there is none). */
void tables_peer_name(struct tables *t, struct peer *peer, const uint8_t *ufrag,
                      uint8_t len, const uint8_t *next, uint8_t next_len);

/* Whether a peer of any lane has this name: 0 if none has. Else, and for a few names that
 * nobody has, the place of it, which is all that an attacker can choose: one that stands
 * for a name that he knows. */
uint32_t tables_named(const struct tables *t, const uint8_t *ufrag, size_t len);

/* What another lane says of its peers: a path of peer 'index' came or went, and where its
 * packets are to go. */
void tables_path_add(struct tables *t, const struct path_key *key, uint32_t index,
                     uint32_t lane);
void tables_path_del(struct tables *t, const struct path_key *key, uint32_t index);
struct path_key tables_path_key(const struct path *path);

/* Forgets every path, of all peers. */
void tables_paths_reset(struct tables *t);

/* A peer moves to another lane in two steps of the old lane and one of the new. _pause: no
 * more is sent to it (its subscriptions leave the lists; their cursors stay). _leave: the
 * rest. _join: it is this lane's; returns 0, or -ENOSPC (never, if its old lane's tables
 * were as large). What it publishes is written by the lane that 'mine' names, throughout.
 */
void tables_peer_pause(struct tables *t, struct peer *peer);
void tables_peer_leave(struct tables *t, struct peer *peer);
int tables_peer_join(struct tables *t, struct peer *peer);

/* A frame for 'peer_handle' and 'sub_handle', each of them or HANDLE_NONE, was counted as
 * sent and is not. Any lane, of any peer. */
void tables_refused(struct tables *t, const struct pkt *pkt);

/* Looks up the peers of 'n' (<= PKT_BURST) paths; NULL where none. */
void tables_find_paths(const struct tables *t, const struct path *const *paths, uint16_t n,
                       struct peer **out);

/* The subscription of 'peer' that is sent, or sent again, under 'ssrc', or NULL. */
struct sub *tables_find_feedback(const struct tables *t, const struct peer *peer,
                                 uint32_t ssrc);

#endif
