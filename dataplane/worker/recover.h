/* Brings the lanes' objects in line with the vault when a control attaches: they may know
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
 * Each peer is opened on the lane that it was on last, modulo how many there are.
 *
 * lanes     all of them; nothing is on its way between them (loop_settle)
 * vault_fd  the memory of 'vault': what was never written is left unread
 *
 * Thread: any, while all lanes rest. Cost: O(objects and records). */
void recover_lanes(struct lane *const *lanes, uint32_t n, const struct io *io,
                   const struct vault *vault, int vault_fd, uint64_t now_us);

#endif
