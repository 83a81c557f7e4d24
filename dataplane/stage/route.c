/* See route.h. */
#include "stage/route.h"

#include <string.h>

#include "stage/layers.h"

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
    uint32_t ts;
    uint8_t flags;
    struct layer_info layer;
};

/* What goes out in this call. */
struct routed {
    uint64_t now_us;
    uint16_t n;
    uint16_t visits;
    struct sub *subs[PKT_BURST];
    uint64_t pos[PKT_BURST];
    struct switcher_out outs[PKT_BURST]; /* of those with layers */
};

static bool takes(struct sub *sub, const struct glance *slot, struct routed *routed)
{
    const struct switcher_in in = {.seq = slot->seq,
                                   .ts = slot->ts,
                                   .marker = (slot->flags & RING_SLOT_MARKER) != 0,
                                   .layer = slot->layer};

    return layers_take(sub, &in, routed->now_us, &routed->outs[routed->n]);
}

/* Whether 'sub' is sent this slot; moves its cursor past it in any case. */
static bool wants(struct sub *sub, const struct glance *slot, struct routed *routed)
{
    const struct peer *peer = sub->peer;

    if (sub->cursor > slot->pos) {
        return false;
    }
    sub->cursor = slot->pos + 1;
    if (sub->paused || sub->held || peer->to == NULL || peer->tx_key == NULL || peer->consent_lost) {
        return false;
    }
    if (sub->layers != NULL) {
        return takes(sub, slot, routed);
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
                  struct routed *routed)
{
    while (routed->n < PKT_BURST && routed->visits < MAX_VISITS) {
        struct sub *sub = sublist_next(&readers->subs, &readers->at);

        prefetch_ahead(readers);
        if (sub == NULL) {
            return true;
        }
        routed->visits++;
        if (wants(sub, slot, routed)) {
            routed->pos[routed->n] = slot->pos;
            routed->subs[routed->n++] = sub;
        }
    }
    return false;
}

static struct glance look(const struct stream_ring *ring, uint64_t pos)
{
    const struct ring_slot *slot = &ring->slots[pos & ring->slot_mask];
    const uint64_t *layer = (const uint64_t *)&slot->layer;
    uint64_t words[2];
    struct glance glance = {.pos = pos,
                            .seq = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED),
                            .ts = __atomic_load_n(&slot->ts, __ATOMIC_RELAXED),
                            .flags = __atomic_load_n(&slot->flags, __ATOMIC_RELAXED)};

    words[0] = __atomic_load_n(&layer[0], __ATOMIC_RELAXED);
    words[1] = __atomic_load_n(&layer[1], __ATOMIC_RELAXED);
    memcpy(&glance.layer, words, sizeof(words));
    return glance;
}

/* Counts what a lane that was too slow has lost: it goes on with the oldest whole slot. */
static void skip_overrun(struct lane *lane, struct stream_readers *readers, uint64_t tail)
{
    lane->counts.drops_out[DROP_OVERRUN] += tail - readers->next_pos;
    readers->next_pos = tail;
    readers->at = sublist_start(&readers->subs);
}

/* Makes an egress packet of each. */
static void fill(const struct routed *routed, struct burst *out)
{
    for (uint16_t i = 0; i < routed->n; i++) {
        const struct switcher_out *layer = &routed->outs[i];
        struct pkt *pkt = out->pkts[i];

        pkt->sub = routed->subs[i];
        pkt->peer = routed->subs[i]->peer;
        pkt->pos = routed->pos[i];
        pkt->layered = routed->subs[i]->layers != NULL;
        if (pkt->layered) {
            pkt->index = layer->index;
            pkt->ts = layer->ts;
            pkt->marker = layer->marker;
            pkt->picture = layer->picture;
            pkt->tl0 = layer->tl0;
            pkt->keyidx = layer->keyidx;
            pkt->spatial = layer->spatial;
            pkt->temporal = layer->temporal;
        }
    }
    out->n = routed->n;
}

uint16_t route_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct routed routed;

    (void)in;
    routed.now_us = lane->now_us;
    routed.n = routed.visits = 0;
    while (lane->grown != NULL && routed.n < PKT_BURST && routed.visits < MAX_VISITS) {
        struct stream_readers *readers = lane->grown;
        struct stream_ring *ring = &readers->stream->ring;
        uint64_t tail = stream_ring_tail(ring);
        struct glance slot;

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
        if (serve(readers, &slot, &routed)) {
            readers->next_pos++;
            readers->at = sublist_start(&readers->subs);
            next_ring(lane, readers->next_pos < stream_ring_head(ring));
        }
    }
    if (routed.n > 0 && lane_alloc(lane, out->pkts, routed.n) == 0) {
        lane->counts.drops_out[DROP_NO_BUFFER] += routed.n;
        for (uint16_t i = 0; i < routed.n; i++) {
            routed.subs[i]->skipped++;
        }
        return 0;
    }
    fill(&routed, out);
    return routed.n;
}
