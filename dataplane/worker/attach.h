/* The socket on which control attaches: one at a time, versions and sizes compared. */
#ifndef KCS_WORKER_ATTACH_H
#define KCS_WORKER_ATTACH_H

#include <stddef.h>

#include "worker/shared.h"

/* Listens on 'path'. A socket file that nobody serves is replaced; one that is served is
 * -EADDRINUSE. Returns the descriptor or -errno; 'err' then says what to do. */
int attach_listen(const char *path, char *err, size_t err_cap);

/* Accepts a connection and reads its hello. Returns the descriptor if it fits, or -errno
 * after refusing it with a reason: -EBUSY if 'attached', -EPROTO for another version,
 * -ETIMEDOUT.
 *
 * vault_fd  filled with the vault that came with the hello, or -1; the caller's to close */
int attach_accept(int listen_fd, bool attached, int *vault_fd);

/* Sends the welcome with all descriptors. Returns 0 or -errno. */
int attach_welcome(int fd, const struct shared *s);

#endif
