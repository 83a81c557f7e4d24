/* The fixed-capacity tables of the dataplane: peers, streams and subscriptions by handle,
 * the paths that ICE validated, the outgoing SSRCs that feedback names, and the memory of
 * stream rings. All memory is given at start; opening and closing only takes and gives back
 * slots.
 *
 * Control chooses the slot (the vault's record); the tables check that it is free and that
 * handles are of this life.
 *
 * Thread: with one lane, that lane. Path and feedback look-ups are rte_hash tables. */
#ifndef KCS_TABLE_TABLES_H
#define KCS_TABLE_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "table/peer.h"
#include "table/store.h"
#include "table/stream.h"
#include "table/sub.h"

struct rte_hash;

struct tables_conf {
    uint32_t n_peers, n_streams, n_subs;
    uint32_t n_lanes;
    size_t ring_bytes; /* budget of all stream rings */
};

struct tables {
    struct tables_conf conf;
    struct peer *peers;
    struct stream *streams;
    struct sub *subs;
    struct twcc *twccs;        /* by peer */
    struct crypt_key *tx_keys; /* by peer; apart from the others, as fan-out reads these */
    struct crypt_key *rx_keys; /* by peer */
    struct stream_readers *readers;
    struct sublist_pool chunks;
    struct ring_store store;
    struct rte_hash *paths;    /* 5-tuple -> peer index */
    struct rte_hash *feedback; /* (peer index, outgoing SSRC) -> subscription index */
    uint32_t *open_peers;      /* indexes of open peers, dense */
    uint32_t n_open;
    uint32_t n_open_streams, n_open_subs;
};

/* Bytes of zeroed, 64-byte aligned memory that tables_init() needs. */
size_t tables_bytes(const struct tables_conf *conf);

/* mem   zeroed, tables_bytes() long, borrowed for the life of the tables
 * name  distinguishes the hash tables of several instances
 *
 * Returns 0, or -ENOMEM if the hash tables do not fit. At start. */
int tables_init(struct tables *t, const struct tables_conf *conf, void *mem,
                const char *name);
void tables_fini(struct tables *t);

/* Take the slot that 'handle' names, zeroed but for its handle and index. Return it, or
 * NULL with *err: -EINVAL the index is out of range, -EEXIST the slot is in use. */
struct peer *tables_peer_open(struct tables *t, uint64_t handle, int *err);
struct stream *tables_stream_open(struct tables *t, uint64_t handle, struct peer *peer,
                                  int *err);
struct sub *tables_sub_open(struct tables *t, uint64_t handle, struct stream *stream,
                            struct peer *peer, uint32_t lane, uint32_t ssrc, int *err);

/* Give a slot back. A peer must have no streams and subscriptions, a stream no
 * subscriptions: else -EBUSY and nothing is done. */
int tables_peer_close(struct tables *t, struct peer *peer);
int tables_stream_close(struct tables *t, struct stream *stream);
void tables_sub_close(struct tables *t, struct sub *sub, uint32_t lane);

/* The object of a handle, or NULL if there is none or it is of another life. */
struct peer *tables_peer(const struct tables *t, uint64_t handle);
struct stream *tables_stream(const struct tables *t, uint64_t handle);
struct sub *tables_sub(const struct tables *t, uint64_t handle);

/* Makes 'paths' the validated paths of the peer, 'selected' (index, or n for none) the one
 * to send to; old ones are forgotten. A path that another peer holds is taken from it: the
 * address was just proven to be this peer's.
 * Returns 0, -EINVAL for more than PEER_PATHS, or -ENOSPC. */
int tables_peer_set_paths(struct tables *t, struct peer *peer, const struct path *paths,
                          uint8_t n, uint8_t selected);

/* Looks up the peers of 'n' (<= PKT_BURST) paths; NULL where none. */
void tables_find_paths(const struct tables *t, const struct path *const *paths, uint16_t n,
                       struct peer **out);

/* The subscription of 'peer' that is sent under 'ssrc', or NULL. */
struct sub *tables_find_feedback(const struct tables *t, const struct peer *peer,
                                 uint32_t ssrc);

#endif
