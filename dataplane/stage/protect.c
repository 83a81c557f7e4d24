/* See protect.h. */
#include "stage/protect.h"

#include "table/repair.h"

/* Places of who is visited in the next burst, in the one after and in the third. */
enum { SECOND = PKT_BURST, THIRD = 2 * PKT_BURST, SOON = 3 * PKT_BURST };

/* Takes the packet's index, or returns false if it may have been used before: under one key
 * that would give the key's secrets away. A successor of this process must go on behind
 * every index that may have been used, so the store comes before the encryption; what was
 * left out before the crash is not known to it and stays unused. */
static bool take_index(const struct lane *lane, struct sub *sub, uint64_t index)
{
    uint64_t next = *sub->next_index;

    if (index < next) {
        return sub->rest->repair != NULL && gaps_take(&sub->rest->repair->gaps, index);
    }
    if (index > next) {
        gaps_add(&repair_make(lane->tables, sub)->gaps, next, index);
    }
    *sub->next_index = index + 1;
    return true;
}

/* Who is visited in the next three bursts; nearly at the end the last of them again and
 * again. Returns how many 'soon' has: all or none. */
static uint32_t visited_soon(const struct lane *lane, const struct sub *soon[SOON])
{
    const struct stream_readers *next = lane_next_grown(lane);
    uint32_t n = next != NULL ? sublist_peek(next->at, next->targets, soon, SOON) : 0;

    while (n > 0 && n < SOON) {
        soon[n] = soon[n - 1];
        n++;
    }
    return n;
}

/* What others will touch of who is visited in the next burst, in the one after and in the
 * third. Where to look is said by what was loaded a burst before: a subscription, then its
 * peer, then what the peer points to. */
static inline void load_soon(const struct sub *const *soon, const void *lines[CRYPT_SOON])
{
    const struct peer *peer = soon[0]->peer;
    const struct sub *second = soon[SECOND];

    lines[0] = soon[THIRD];
    lines[1] = second->peer;
    lines[2] = second->next_index;
    lines[3] = peer->tx_key;
    lines[4] = bwe_sent_at(peer->bwe, peer->twcc_next);
}

/* Drops what was not encrypted, and what was overtaken meanwhile. */
static uint16_t sift(struct lane *lane, const struct crypt_op *ops, struct burst *out,
                     uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = out->pkts[i];
        const bool alive = stream_ring_alive(&pkt->sub->stream->ring, pkt->pos);

        if (ops[i].status == 0 && alive) {
            burst_push(out, pkt);
        } else {
            pkt->sub->rest->skipped++;
            lane_drop_out(lane, pkt, ops[i].status != 0 ? DROP_PROTECT : DROP_OVERRUN);
        }
    }
    return out->n;
}

uint16_t protect_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    const struct sub *soon[SOON];
    struct crypt_op ops[PKT_BURST];
    struct pkt **pkts = out->pkts;
    bool alone = true; /* all are made from one slot */
    const uint32_t n_soon = visited_soon(lane, soon);
    uint16_t n = 0;

    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        struct sub *sub = pkt->sub;
        struct peer *peer = pkt->peer;
        struct crypt_op *op = &ops[n];

        if (!take_index(lane, sub, pkt->index)) {
            sub->rest->skipped++;
            lane_drop_out(lane, pkt, DROP_INDEX_USED);
            continue;
        }
        pkts[n++] = pkt;
        op->key = peer->tx_key;
        op->src = pkt->payload;
        op->dst = pkt->data + peer->hdr.len + pkt->hdr_len;
        op->index = pkt->index;
        op->ssrc = sub->ssrc;
        op->hdr_len = pkt->hdr_len;
        op->len = pkt->payload_len;
        alone &= op->src == ops[0].src && pkt->pos == pkts[0]->pos;
        if (n_soon > 0) {
            load_soon(&soon[i], op->soon);
        } else {
            op->soon[0] = NULL;
        }
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (n == 0) {
        return 0;
    }
    if (crypt_protect_burst(lane->crypt, ops, n) == n && alone &&
        stream_ring_alive(&pkts[0]->sub->stream->ring, pkts[0]->pos)) {
        out->n = n; /* as a rule */
        return n;
    }
    return sift(lane, ops, out, n);
}
