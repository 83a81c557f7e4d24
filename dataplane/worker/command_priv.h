/* What the files of commands share: the operations of streams and subscriptions (statuses
 * as in command.h), and how a record is read. */
#ifndef KCS_WORKER_COMMAND_PRIV_H
#define KCS_WORKER_COMMAND_PRIV_H

#include <errno.h>
#include <string.h>

#include "lane/lane.h"
#include "sfu/abi/vault.h"
#include "sfu/base/handle.h"

enum { COMMAND_READ_TRIES = 4 };

/* read_X fills 'out' with the vault's record of 'handle': 0, -EINVAL (no such slot),
 * -ENOENT (free), -ESTALE (of another life), -EAGAIN (its writer does not come to rest). */
#define COMMAND_DEFINE_READ(name)                                                          \
    static int read_##name(const struct vault *vault, uint64_t handle,                     \
                           struct vault_##name##_conf *out)                                \
    {                                                                                      \
        int err = -EAGAIN;                                                                 \
                                                                                           \
        memset(out, 0, sizeof(*out));                                                      \
        if (handle_index(handle) >= vault->n_##name##s) {                                  \
            return -EINVAL;                                                                \
        }                                                                                  \
        for (int i = 0; i < COMMAND_READ_TRIES && err == -EAGAIN; i++) {                   \
            err = vault_##name##_read(&vault->name##s[handle_index(handle)], out);         \
        }                                                                                  \
        return err == 0 && out->handle != handle ? -ESTALE : err;                          \
    }

/* resume: the live words of the record go on. */
int command_stream_open(struct lane *lane, const struct vault *vault, uint64_t handle,
                        bool resume);
int command_stream_update(struct lane *lane, const struct vault *vault, uint64_t handle);
int command_stream_close(struct lane *lane, uint64_t handle);
int command_stream_keyframe(struct lane *lane, uint64_t handle);
int command_sub_open(struct lane *lane, const struct vault *vault, uint64_t handle,
                     bool resume);
int command_sub_update(struct lane *lane, const struct vault *vault, uint64_t handle);
int command_sub_close(struct lane *lane, uint64_t handle);
int command_sub_keyframe(struct lane *lane, uint64_t handle);

#endif
