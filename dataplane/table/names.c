/* Names of peers: which ICE ufrags stand for one of ours. Counts by hash, of all lanes: a
 * few names that nobody has are taken for one, none that somebody has is missed. */
#include <stdatomic.h>
#include <string.h>

#include "sfu/base/fnv.h"
#include "table/tables_priv.h"

/* From 1. */
static uint32_t place_of(const struct tables *t, const uint8_t *ufrag, size_t len)
{
    uint32_t hash = fnv32(ufrag, len);

    return ((hash ^ hash >> 16) & (t->n_names - 1)) + 1;
}

static void put(struct tables *t, uint32_t place)
{
    (void)atomic_fetch_add_explicit(&t->names[place - 1], 1, memory_order_relaxed);
}

static void take(struct tables *t, uint32_t place)
{
    (void)atomic_fetch_sub_explicit(&t->names[place - 1], 1, memory_order_relaxed);
}

void tables_name_forget(struct tables *t, struct peer *peer)
{
    if (peer->rest->ufrag_len != 0) {
        take(t, place_of(t, peer->rest->ufrag, peer->rest->ufrag_len));
    }
    if (peer->rest->next_name != 0) {
        take(t, peer->rest->next_name);
    }
    peer->rest->ufrag_len = 0;
    peer->rest->next_name = 0;
}

void tables_peer_name(struct tables *t, struct peer *peer, const uint8_t *ufrag,
                      uint8_t len, const uint8_t *next, uint8_t next_len)
{
    tables_name_forget(t, peer);
    memcpy(peer->rest->ufrag, ufrag, len);
    peer->rest->ufrag_len = len;
    put(t, place_of(t, ufrag, len));
    if (next_len != 0) {
        peer->rest->next_name = place_of(t, next, next_len);
        put(t, peer->rest->next_name);
    }
}

uint32_t tables_named(const struct tables *t, const uint8_t *ufrag, size_t len)
{
    uint32_t place = place_of(t, ufrag, len);

    return atomic_load_explicit(&t->names[place - 1], memory_order_relaxed) != 0 ? place
                                                                                 : 0;
}
