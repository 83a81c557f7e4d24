/* Brings a lane's objects in line with the vault when a control attaches: the lane may know
 * objects that an earlier control has closed or was closing, or none at all because this
 * dataplane succeeds one that died; the vault may hold records that no lane ever saw. */
#ifndef KCS_WORKER_RECOVER_H
#define KCS_WORKER_RECOVER_H

#include "io/io.h"
#include "lane/lane.h"
#include "sfu/abi/vault.h"

/* Closes objects whose record is gone, then opens records that have no object, each going
 * on with its live words. A record that cannot be opened is left to control, which learns
 * it when it updates the object.
 *
 * vault_fd  the memory of 'vault': what was never written is left unread
 *
 * Thread: the lane. Cost: O(objects and records). */
void recover_lane(struct lane *lane, const struct io *io, const struct vault *vault,
                  int vault_fd);

#endif
