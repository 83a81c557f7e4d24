/* See protect.h. */
#include "stage/protect.h"

/* A successor of this process must go on behind every index that may have been used, so the
 * store comes before the encryption. A packet that was reordered on its way to us has a
 * lower index than the last and moves nothing. */
static void note_index(struct sub *sub, uint64_t index)
{
    if (index >= *sub->next_index) {
        *sub->next_index = index + 1;
    }
}

uint16_t protect_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct crypt_op ops[PKT_BURST];

    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];

        note_index(pkt->sub, pkt->index);
        ops[i] = (struct crypt_op){.key = pkt->peer->tx_key,
                                   .src = pkt->payload,
                                   .dst = pkt->data + pkt->peer->hdr.len + pkt->hdr_len,
                                   .index = pkt->index,
                                   .ssrc = pkt->sub->ssrc,
                                   .hdr_len = pkt->hdr_len,
                                   .len = pkt->payload_len};
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)crypt_protect_burst(lane->crypt, ops, in->n);
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
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
