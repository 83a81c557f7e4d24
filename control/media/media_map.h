/* The two memfds of the dataplane, mapped and checked: whoever wrote them may be broken, so
 * nothing of them is used before it was compared with what it must be, and what is used
 * later is our own copy. */
#ifndef KCS_MEDIA_MEDIA_MAP_H
#define KCS_MEDIA_MEDIA_MAP_H

#include <stdbool.h>

#include "sfu/abi/abi.h"

enum { MEDIA_MAX_FDS = ABI_FIXED_FDS + ABI_MAX_LANES };

struct media_rings {
    struct abi_lane *lane;
    struct ring_view cmd, evt, punt_in, punt_out, captured;
    const struct abi_lane_stats *stats;
    const struct abi_lane_trace *trace;
    int doorbell; /* eventfd: wakes the lane */
};

struct media_map {
    void *shm, *vault_mem;
    size_t shm_len, vault_len;
    int vault_fd;
    int streams_fd; /* the stream rings: not mapped here, only handed on */
    int doorbell; /* eventfd: wakes us */
    struct abi_shm info;
    struct vault vault;
    struct media_rings rings[ABI_MAX_LANES];
    const struct abi_peer_stats *peer_stats;
    const struct abi_stream_stats *stream_stats;
    const struct abi_sub_stats *sub_stats;
};

/* Fills 'map' from what came with the welcome.
 *
 * fds     as the contract orders them; moved, also on failure
 * reason  filled with one line on failure
 *
 * Returns 0, -EPROTO for a mismatch, or the error of a system call; nothing is left. */
int media_map_open(struct media_map *map, const struct abi_welcome *welcome, const int *fds,
                   size_t n_fds, char reason[104]);

/* The stretch of the vault at or behind offset 'at' that was ever written: 'from' up to
 * 'to'. False if there is none. What was never written is left unread, for reading it would
 * take memory. */
bool media_map_written(const struct media_map *map, size_t at, size_t *from, size_t *to);

/* Leaves nothing of what was written to the vault, the header included. */
void media_map_wipe(struct media_map *map);

/* Unmaps the contract and closes its doorbells: the vault and 'info' stay. */
void media_map_close_rings(struct media_map *map);

/* Unmaps and closes all. */
void media_map_close(struct media_map *map);

#endif
