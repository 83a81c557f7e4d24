/* See route.h. */
#include "stage/route.h"

enum {
    /* Subscriptions are asked for nearly two bursts of visits before, what they point to
     * one burst before: a visit takes some 2 ns, so within a burst it would come too late.
     */
    SUB_AHEAD = SUBLIST_CHUNK,
    PEER_AHEAD = SUB_AHEAD - PKT_BURST,
    MAX_VISITS = 512 /* subscriptions looked at in one call, wanting or not */
};

/* What is to know of a slot; the writer, on another lane, may be about to overwrite it. */
struct glance {
    uint64_t pos, seq;
    uint8_t flags;
};

/* Whether 'sub' is sent this slot; moves its cursor past it in any case. */
static bool wants(struct sub *sub, const struct glance *slot)
{
    const struct peer *peer = sub->peer;

    if (sub->cursor > slot->pos) {
        return false;
    }
    sub->cursor = slot->pos + 1;
    if (sub->paused || peer->to == NULL || peer->tx_key == NULL || peer->consent_lost) {
        return false;
    }
    if (!sub->started) {
        if (sub->wait_keyframe && (slot->flags & RING_SLOT_KEYFRAME) == 0) {
            return false;
        }
        sub->started = true;
        sub->seq_base = slot->seq;
        sub->seq_offset = slot->seq - *sub->next_index;
        *sub->seq_offset_live = sub->seq_offset;
        rtxindex_begin(&sub->sent, *sub->next_index, sub->seq_offset, 0);
    }
    /* Older than where this subscription began: its number would be one that was used. */
    return slot->seq >= sub->seq_base;
}

/* Takes the ring off the head of the list; puts it to the end if 'again'. */
static void next_ring(struct lane *lane, bool again)
{
    struct stream_readers *readers = lane->grown;

    lane->grown = readers->grown;
    if (lane->grown == NULL) {
        lane->grown_end = &lane->grown;
    }
    readers->queued = false;
    if (again) {
        lane_grown(lane, readers);
    }
}

/* Loads what the next visits will touch: first a subscription, later, when it is there, its
 * peer and the word of the vault that protect writes. */
static void prefetch_ahead(const struct stream_readers *readers)
{
    const struct sub *far = sublist_ahead(&readers->subs, &readers->at, SUB_AHEAD);
    const struct sub *near = sublist_ahead(&readers->subs, &readers->at, PEER_AHEAD);

    if (far != NULL) {
        __builtin_prefetch(far, 1);
        __builtin_prefetch(&far->packets, 1);
    }
    if (near != NULL) {
        __builtin_prefetch(near->peer);
        __builtin_prefetch(&near->peer->tx_key, 1);
        __builtin_prefetch(near->next_index, 1);
    }
}

/* Serves the position at which 'readers' stands, as far as there is room. Returns true when
 * all its subscriptions have had it. */
static bool serve(struct stream_readers *readers, const struct glance *slot,
                  struct sub **subs, uint16_t *n, uint16_t *visits)
{
    while (*n < PKT_BURST && *visits < MAX_VISITS) {
        struct sub *sub = sublist_next(&readers->subs, &readers->at);

        prefetch_ahead(readers);
        if (sub == NULL) {
            return true;
        }
        (*visits)++;
        if (wants(sub, slot)) {
            subs[(*n)++] = sub;
        }
    }
    return false;
}

static struct glance look(const struct stream_ring *ring, uint64_t pos)
{
    const struct ring_slot *slot = &ring->slots[pos & ring->slot_mask];

    return (struct glance){.pos = pos,
                           .seq = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED),
                           .flags = __atomic_load_n(&slot->flags, __ATOMIC_RELAXED)};
}

/* Counts what a lane that was too slow has lost: it goes on with the oldest whole slot. */
static void skip_overrun(struct lane *lane, struct stream_readers *readers, uint64_t tail)
{
    lane->counts.drops_out[DROP_OVERRUN] += tail - readers->next_pos;
    readers->next_pos = tail;
    readers->at = sublist_start(&readers->subs);
}

uint16_t route_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct sub *subs[PKT_BURST];
    uint64_t pos[PKT_BURST];
    uint16_t visits = 0;
    uint16_t n = 0;

    (void)in;
    while (lane->grown != NULL && n < PKT_BURST && visits < MAX_VISITS) {
        struct stream_readers *readers = lane->grown;
        struct stream_ring *ring = &readers->stream->ring;
        uint64_t tail = stream_ring_tail(ring);
        uint16_t first = n;
        struct glance slot;
        bool served;

        if (readers->next_pos < tail) {
            skip_overrun(lane, readers, tail);
        }
        if (readers->next_pos >= stream_ring_head(ring)) {
            next_ring(lane, false);
            continue;
        }
        slot = look(ring, readers->next_pos);
        if (!stream_ring_alive(ring, readers->next_pos)) {
            continue; /* overtaken just now: the tail has moved */
        }
        served = serve(readers, &slot, subs, &n, &visits);
        for (uint16_t i = first; i < n; i++) {
            pos[i] = readers->next_pos;
        }
        if (served) {
            readers->next_pos++;
            readers->at = sublist_start(&readers->subs);
            next_ring(lane, readers->next_pos < stream_ring_head(ring));
        }
    }
    if (n > 0 && lane_alloc(lane, out->pkts, n) == 0) {
        lane->counts.drops_out[DROP_NO_BUFFER] += n;
        for (uint16_t i = 0; i < n; i++) {
            subs[i]->skipped++;
        }
        return 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = out->pkts[i];

        pkt->sub = subs[i];
        pkt->peer = subs[i]->peer;
        pkt->pos = pos[i];
    }
    out->n = n;
    return n;
}
