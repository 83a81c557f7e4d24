/* Commands on their way: each waits for room in its lane's ring, then for its answer. What
 * does not fit in the ring waits here, in order, and nothing is lost.
 *
 * Knows the rings, not what a command means: its owner says that when it is answered. */
#ifndef KCS_MEDIA_MEDIA_CMDS_H
#define KCS_MEDIA_MEDIA_CMDS_H

#include "media/media.h"
#include "media/media_map.h"

struct media_cmd {
    uint64_t handle;
    uint32_t op;  /* enum abi_op; 0: this entry is free */
    uint32_t say; /* what the lane is told: an OPEN that may have been done is an UPDATE */
    uint32_t tag; /* of its present use; half of the cookie */
    uint32_t next;
    uint32_t lane;
    uint32_t op_arg;
    bool in_ring;
    media_done *done;
    void *arg;
};

struct media_queue {
    uint32_t first, last; /* commands that found the ring full; UINT32_MAX none */
};

struct media_cmds {
    struct media_cmd *cmd;
    uint32_t n, n_used;
    uint32_t n_fresh; /* entries from here on were never used, nor touched */
    uint32_t first_free;
    uint32_t next_tag;
    uint32_t reserved; /* entries that only closings may use */
    struct media_queue queues[ABI_MAX_LANES];

    /* Whether a command has to wait for answers of other lanes; then those behind it in its
     * queue wait, too. May be NULL. Set by the owner after init. */
    bool (*held)(void *arg, const struct media_cmd *cmd);
    void *held_arg;
};

/* Makes room for MEDIA_MAX_COMMANDS and 'n_closings' more. Returns 0 or -ENOMEM. */
int media_cmds_init(struct media_cmds *cmds, uint32_t n_closings);
void media_cmds_fini(struct media_cmds *cmds);

/* True if one more command is accepted. */
bool media_cmds_room(const struct media_cmds *cmds, bool closing);

/* Sends a command, or queues it; there must be room. Wakes the lane if it sleeps.
 *
 * rings  of the lane; NULL: there are none now */
void media_cmds_push(struct media_cmds *cmds, struct media_rings *rings, uint32_t lane,
                     enum abi_op op, uint64_t handle, uint32_t op_arg, media_done *done,
                     void *arg);

/* The same for an OPEN whose object the dataplane has made from the vault by itself. */
void media_cmds_push_again(struct media_cmds *cmds, struct media_rings *rings,
                           uint32_t lane, enum abi_op op, uint64_t handle, media_done *done,
                           void *arg);

/* Puts everything back into the queues, in the order in which it was commanded: the rings
 * and what was in them are gone, and each record of the vault has been acted on. 'lane' is
 * asked about each in turn, as its object may be on another lane now. Returns 0 or -ENOMEM
 * (nothing has changed). */
int media_cmds_rewind(struct media_cmds *cmds,
                      uint32_t (*lane)(void *arg, const struct media_cmd *cmd), void *arg);

/* Moves what waits for lane 'lane' into its ring as far as it fits. */
void media_cmds_flush(struct media_cmds *cmds, struct media_rings *rings, uint32_t lane);

/* Takes the command that an answer is for; false if there is none. */
bool media_cmds_take(struct media_cmds *cmds, uint32_t lane, uint64_t cookie,
                     struct media_cmd *out);

/* Takes the commands that are left one by one, while nothing else happens to them. 'cursor'
 * is 0 at first. False if there is none. */
bool media_cmds_take_next(struct media_cmds *cmds, uint32_t *cursor, struct media_cmd *out);

/* Wakes a lane that sleeps, after something was put into one of its rings. */
void media_wake(const struct media_rings *rings);

#endif
