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
        return gaps_take(&sub->gaps, index);
    }
    if (index > next) {
        gaps_add(&sub->gaps, next, index);
    }
    *sub->next_index = index + 1;
    return true;
}

uint16_t protect_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct crypt_op ops[PKT_BURST];
    struct pkt *pkts[PKT_BURST];
    uint16_t n = 0;

    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];

        if (!take_index(pkt->sub, pkt->index)) {
            pkt->sub->skipped++;
            lane_drop_out(lane, pkt, DROP_INDEX_USED);
            continue;
        }
        pkts[n] = pkt;
        ops[n++] = (struct crypt_op){.key = pkt->peer->tx_key,
                                     .src = pkt->payload,
                                     .dst = pkt->data + pkt->peer->hdr.len + pkt->hdr_len,
                                     .index = pkt->index,
                                     .ssrc = pkt->sub->ssrc,
                                     .hdr_len = pkt->hdr_len,
                                     .len = pkt->payload_len};
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)crypt_protect_burst(lane->crypt, ops, n);
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = pkts[i];
        struct sub *sub = pkt->sub;

        if (ops[i].status != 0) {
            sub->skipped++;
            lane_drop_out(lane, pkt, DROP_PROTECT);
        } else if (!stream_ring_alive(&sub->stream->ring, pkt->pos)) {
            sub->skipped++;
            lane_drop_out(lane, pkt, DROP_OVERRUN);
        } else {
            burst_push(out, pkt);
        }
    }
    return out->n;
}
