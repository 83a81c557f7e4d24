/* See protect.h. */
#include "stage/protect.h"

/* Takes the packet's index, or returns false if it may have been used before: under one key
 * that would give the key's secrets away. A successor of this process must go on behind
 * every index that may have been used, so the store comes before the encryption; what was
 * left out before the crash is not known to it and stays unused. */
static bool take_index(struct sub *sub, uint64_t index)
{
    uint64_t next = *sub->next_index;

    if (index < next) {
        return gaps_take(&sub->rest->gaps, index);
    }
    if (index > next) {
        gaps_add(&sub->rest->gaps, next, index);
    }
    *sub->next_index = index + 1;
    return true;
}

/* What others will touch of who is visited in the next burst, in the one after and in the
 * third. Where to look is said by what was loaded a burst before: a subscription, then its
 * peer, then what the peer points to. */
static inline void load_soon(struct sublist_iter *next, const void *lines[CRYPT_SOON])
{
    const struct sub *first = sublist_next(next);
    const struct sub *second, *third;

    lines[0] = NULL;
    if (first == NULL) {
        return;
    }
    second = sublist_ahead(next, PKT_BURST - 1);
    third = second != NULL ? sublist_ahead(next, 2 * PKT_BURST - 1) : NULL;
    second = second != NULL ? second : first; /* nearly at the end */
    third = third != NULL ? third : second;
    lines[0] = third;
    lines[1] = second->peer;
    lines[2] = second->next_index;
    lines[3] = first->peer->tx_key;
    lines[4] = bwe_sent_at(first->peer->bwe, first->peer->twcc_next);
}

uint16_t protect_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct sublist_iter next = {.chunk = NULL};
    struct crypt_op ops[PKT_BURST];
    struct pkt *pkts[PKT_BURST];
    bool alive = false;
    uint16_t n = 0;

    if (lane->grown != NULL) {
        next = lane->grown->at;
    }
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        struct crypt_op *op = &ops[n];

        if (!take_index(pkt->sub, pkt->index)) {
            pkt->sub->rest->skipped++;
            lane_drop_out(lane, pkt, DROP_INDEX_USED);
            continue;
        }
        pkts[n++] = pkt;
        op->key = pkt->peer->tx_key;
        op->src = pkt->payload;
        op->dst = pkt->data + pkt->peer->hdr.len + pkt->hdr_len;
        op->index = pkt->index;
        op->ssrc = pkt->sub->ssrc;
        op->hdr_len = pkt->hdr_len;
        op->len = pkt->payload_len;
        load_soon(&next, op->soon);
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)crypt_protect_burst(lane->crypt, ops, n);
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = pkts[i];

        /* most of a burst are made from one slot */
        if (i == 0 || ops[i].src != ops[i - 1].src || pkt->pos != pkts[i - 1]->pos) {
            alive = stream_ring_alive(&pkt->sub->stream->ring, pkt->pos);
        }
        if (ops[i].status == 0 && alive) {
            burst_push(out, pkt);
        } else {
            pkt->sub->rest->skipped++;
            lane_drop_out(lane, pkt, ops[i].status != 0 ? DROP_PROTECT : DROP_OVERRUN);
        }
    }
    return out->n;
}
