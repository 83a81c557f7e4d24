/* What happens to the node itself, as lasting facts (kcs.node.*): of no meeting, and numbered
 * by the store.  Thread: the loop's. */
#ifndef APP_NODE_FACTS_H
#define APP_NODE_FACTS_H

#include <stdint.h>

struct store;

enum node_fact {
    NODE_STARTED,
    NODE_STOPPING,
    NODE_DRAINING,
    NODE_IN_SERVICE,
    NODE_MEDIA_ATTACHED,
    NODE_MEDIA_LOST
};

/* store  NULL: nothing is kept, nor told
 * node  the prefix of the ids that this process gives out
 * epoch  of this run of control
 * people  in meetings just now
 * seconds  DRAINING: the most that it takes */
void node_fact_tell(struct store *store, enum node_fact fact, const char *node,
                    uint64_t epoch, uint32_t people, uint32_t seconds);

#endif
