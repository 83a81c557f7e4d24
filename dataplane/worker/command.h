/* Applies control's commands to a lane's tables, between bursts. What an object is to be
 * stands in its vault record; everything in it is validated here, since control wrote it.
 */
#ifndef KCS_WORKER_COMMAND_H
#define KCS_WORKER_COMMAND_H

#include "io/io.h"
#include "lane/lane.h"
#include "sfu/abi/abi.h"

/* Applies one command. Returns the status for its answer: 0, -EINVAL unknown operation or a
 * field out of range, -ENOENT no such object or record, -ESTALE the record is of another
 * life, -EEXIST taken, -EBUSY still used by others, -ENOSPC. Nothing is changed on failure,
 * but that an opened object which fails half way is closed again. ACROSS_LATER: other lanes
 * have to pass a point first; across_resume() then says the status, and no other command is
 * applied before.
 * Thread: the lane. */
int command_apply(struct lane *lane, const struct io *io, const struct vault *vault,
                  const struct abi_cmd *cmd);

/* Opens the object of a record (op: one of the OPENs) that an earlier control or dataplane
 * has left, going on with its live words: indexes, replay windows, bound SSRCs. Returns as
 * above. Thread: the lane, or any while it rests. */
int command_resume(struct lane *lane, const struct io *io, const struct vault *vault,
                   enum abi_op op, uint64_t handle);

/* Closes everything that is open on all lanes. While they rest and nothing is on its way
 * between them (loop_settle); any thread. _all: where there is one lane. */
void command_close_lanes(struct lane *const *lanes, uint32_t n);
void command_close_all(struct lane *lane);

#endif
