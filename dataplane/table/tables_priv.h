/* What the files of tables share: how a subscription holds streams and stands in lists. */
#ifndef KCS_TABLE_TABLES_PRIV_H
#define KCS_TABLE_TABLES_PRIV_H

#include <errno.h>

#include "sfu/base/handle.h"
#include "table/tables.h"

/* Why a slot cannot be taken, or 0. */
static inline int tables_slot_err(uint64_t handle, uint32_t n, uint64_t in_use)
{
    if (handle_gen(handle) == 0 || handle_index(handle) >= n) {
        return -EINVAL;
    }
    return in_use != HANDLE_NONE ? -EEXIST : 0;
}

/* Holds a stream for a subscription of any lane. False if it is not there: control may have
 * sent the commands in the wrong order. */
bool tables_hold(struct stream *stream, uint64_t handle);

/* Lets go of every stream that a subscription holds. */
void tables_let_go(struct sub *sub);

/* Puts 'sub' into this lane's list of its stream, so that it is served from 'from' on.
 * Returns 0 or -ENOSPC. _delist: takes it out. */
int tables_enlist(struct tables *t, struct sub *sub, uint64_t from);
void tables_delist(struct tables *t, struct sub *sub);

/* The same for this lane's lists of subscriptions with layers; others are passed over. */
void tables_layers_link(struct tables *t, struct sub *sub);
void tables_layers_unlink(struct sub *sub);

/* A peer's name stands for it no more. */
void tables_name_forget(struct tables *t, struct peer *peer);

#endif
