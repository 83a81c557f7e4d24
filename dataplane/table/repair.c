/* See repair.h. */
#include "table/repair.h"

#include <string.h>

struct sub_repair *repair_make(const struct tables *t, struct sub *sub)
{
    struct sub_rest *rest = sub->rest;

    if (rest->repair == NULL) {
        rest->repair = &t->repairs[sub->index];
        memset(rest->repair, 0, sizeof(*rest->repair)); /* the slot's last one has used it */
        if (rest->begun.first != 0) {
            rtxindex_begin(&rest->repair->sent, rest->begun.first, rest->begun.offset);
        }
    }
    return rest->repair;
}

void repair_begin(const struct tables *t, struct sub *sub)
{
    struct sub_rest *rest = sub->rest;

    if (rest->begun.first == 0) {
        rest->begun = (struct rtxindex_span){.first = *sub->next_index,
                                             .offset = sub->seq_offset};
        if (rest->repair == NULL) {
            return;
        }
    }
    rtxindex_begin(&repair_make(t, sub)->sent, *sub->next_index, sub->seq_offset);
}
