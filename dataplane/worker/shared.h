/* The memory that the dataplane shares with control: the contract (rings, statistics), the
 * vault, and the stream rings, which nobody else may write. Made once at start; handed to
 * each control that attaches. */
#ifndef KCS_WORKER_SHARED_H
#define KCS_WORKER_SHARED_H

#include <stdbool.h>

#include "sfu/abi/abi.h"

struct shared_lane {
    struct abi_lane *flags;
    struct ring_view cmd, evt, punt_in, punt_out, captured;
    struct abi_lane_trace *trace;
    struct abi_lane_stats *stats;
    int doorbell; /* eventfd: control wakes the lane */
};

struct shared {
    struct abi_shm *shm;
    struct abi_layout layout;
    struct vault vault;
    uint32_t n_lanes;
    int shm_fd, vault_fd;
    int streams_fd;       /* the stream rings, as who records sees them: base/tap.h */
    int control_doorbell; /* eventfd: a lane wakes control */
    size_t vault_bytes;
    void *streams;
    size_t streams_bytes;
    struct abi_peer_stats *peer_stats;
    struct abi_stream_stats *stream_stats;
    struct abi_sub_stats *sub_stats;
    struct shared_lane lanes[ABI_MAX_LANES];
};

/* ring_bytes  of the stream rings, which are for the tables (tables_conf.ring_mem)
 *
 * Returns 0, or -errno of what the kernel refused. At start. */
int shared_init(struct shared *s, uint32_t n_lanes, uint32_t n_peers, uint32_t n_streams,
                uint32_t n_subs, size_t ring_bytes);

/* keep_vault: a control holds the vault for our successor, so it is not wiped. */
void shared_fini(struct shared *s, bool keep_vault);

/* How many commands of a control that is gone have no answer that it has read. No lane may
 * use the rings meanwhile. */
uint32_t shared_unanswered(const struct shared *s);

/* Empties the rings, for a new control. No lane may use them meanwhile. */
void shared_reset_rings(struct shared *s);

/* Puts the vault of a dataplane that died in the place of our own, which nobody has used.
 *
 * fd  moved, also on failure
 *
 * Returns 0, or -EPROTO if it is not sealed or not of our size and version: then ours
 * stays. No lane may use it meanwhile. */
int shared_take_vault(struct shared *s, int fd);

/* Frees every record of the vault and leaves nothing of it. */
void shared_wipe(struct shared *s);

#endif
