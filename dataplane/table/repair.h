/* Which packets a subscription was sent, and may be sent again. Made when it is needed first:
 * a packet is left out, a number begins anew, something is asked for again. Of most of those
 * in a large room it never is.
 *
 * Thread: the lane. */
#ifndef KCS_TABLE_REPAIR_H
#define KCS_TABLE_REPAIR_H

#include "table/tables.h"

/* That of 'sub', made if there is none. */
struct sub_repair *repair_make(const struct tables *t, struct sub *sub);

/* A subscription without layers begins, or goes on: from *next_index on, seq_offset holds. */
void repair_begin(const struct tables *t, struct sub *sub);

#endif
