/* Commands from control to a lane. A command names a record of the vault; what the object
 * is to be stands there (vault.h), committed before the command is sent. Every command is
 * answered by exactly one ABI_EVT_ANSWER with its cookie, in order per lane.
 *
 * OPEN makes the object of the record; UPDATE applies what changed in it; CLOSE ends it.
 * Each lane has its ring. A command goes to the lane of its object: of a peer the one it
 * was opened on or moved to, of streams and subscriptions that of their peer. What lanes
 * have to do in order is control's to order, by waiting for answers: STREAM_OPEN before the
 * SUB_OPEN of another lane, SUB_CLOSE before the STREAM_CLOSE of another lane.
 *
 * A slot may be used again only after the answer to its CLOSE: by then no lane holds it. */
#ifndef SFU_ABI_CMD_H
#define SFU_ABI_CMD_H

#include <stdint.h>

enum abi_op {
    ABI_OP_PING = 1,
    ABI_OP_PEER_OPEN = 2,
    ABI_OP_PEER_UPDATE = 3, /* keys, paths */
    ABI_OP_PEER_CLOSE = 4,  /* its streams and subscriptions must be closed before */
    ABI_OP_STREAM_OPEN = 5,
    ABI_OP_STREAM_UPDATE = 6, /* paused */
    ABI_OP_STREAM_CLOSE = 7,  /* its subscriptions must be closed before */
    ABI_OP_SUB_OPEN = 8,
    ABI_OP_SUB_UPDATE = 9, /* paused; layers; if it is layered its streams */
    ABI_OP_SUB_CLOSE = 10,
    ABI_OP_STREAM_KEYFRAME = 11, /* ask its publisher for a key frame (merged, limited) */
    ABI_OP_PEER_MOVE = 12, /* with all that is its, to lane 'arg'. The next commands for it
                              go there, after the answer */
    ABI_OP_PEER_CAPTURE = 13, /* its packets are copied: arg is enum abi_capture; goes
                                 with it when it moves */
    ABI_OP_SUB_KEYFRAME = 14, /* its peer asks for a key frame, as by a PLI: that is
                                 limited for it besides */
    N_ABI_OPS = 15
};

struct abi_cmd {
    uint64_t cookie; /* chosen by control, returned in the answer */
    uint64_t handle; /* base/handle.h: index and generation */
    uint32_t op;     /* enum abi_op */
    uint32_t arg;    /* PEER_MOVE: the lane; PEER_CAPTURE: how; else control's own */
    uint32_t _pad[2];
};

_Static_assert(sizeof(struct abi_cmd) == 32, "command slot");

#endif
