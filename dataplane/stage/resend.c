/* See resend.h. */
#include "stage/resend.h"

#include "core/layer_write.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"
#include "stage/layers.h"
#include "stage/rewrite.h"
#include "stage/route.h"

/* Room for a whole slot behind the original number. */
_Static_assert(PKT_ROOM > RTX_OSN_LEN + RING_EXT_MAX + PKT_MAX_DATAGRAM - RING_EXT_MAX,
               "scratch holds a packet");

/* Gives 'pkt' what the packet in 'slot' had when it was sent first, and its payload the
 * numbers of then. Returns false if nobody knows. */
static bool as_it_was(const struct lane_resend *resend, struct sub *sub,
                      const struct ring_slot *slot, struct pkt *pkt, uint8_t *payload)
{
    struct layer_numbers numbers;
    struct switcher_out was;

    pkt->sub = sub;
    pkt->layered = sub->layers != NULL;
    pkt->ts = slot->ts;
    pkt->marker = (slot->flags & RING_SLOT_MARKER) != 0;
    if (!pkt->layered) {
        return true;
    }
    if (!layers_again(sub, resend, slot, &was)) {
        return false;
    }
    pkt->ts = was.ts;
    pkt->marker = was.marker;
    pkt->picture = was.picture;
    pkt->spatial = was.spatial;
    pkt->temporal = was.temporal;
    numbers = (struct layer_numbers){
        .picture = was.picture, .tl0 = was.tl0, .keyidx = was.keyidx};
    return layer_write(sub->stream->codec, payload, slot->len, &numbers) == 0;
}

/* Gives 'pkt' what tells a retransmission from a packet that is repeated as it was. */
static void number(const struct lane_resend *resend, struct sub *sub, struct pkt *pkt)
{
    if (sub->rest->repeats) {
        pkt->index = resend->index;
        pkt->ssrc = sub->ssrc;
        pkt->pt = sub->pt;
        return;
    }
    /* Stored before it is used, so that a successor uses it for nothing else. */
    pkt->index = (*sub->rest->rtx_next_index)++;
    pkt->ssrc = sub->rest->rtx_ssrc;
    pkt->pt = sub->rest->rtx_pt;
}

/* Writes headers into 'pkt' and the plaintext payload to 'plain'. Returns false if the
 * packet is not in the ring any more, or cannot fit behind its new headers. */
static bool write_one(const struct lane *lane, const struct lane_resend *resend,
                      struct sub *sub, struct pkt *pkt, uint8_t *plain)
{
    const struct peer *peer = sub->peer;
    const uint16_t osn_len = sub->rest->repeats ? 0 : RTX_OSN_LEN;
    uint8_t bytes[PKT_ROOM];
    struct ring_slot slot;
    uint8_t *rtp = pkt->data + peer->hdr.len;
    const uint8_t *end;

    if (!stream_ring_recall(&sub->stream->ring, resend->seq, &slot, bytes, sizeof(bytes)) ||
        slot.len + RTX_OSN_LEN + RTP_FIXED_LEN + RTP_EXT_HEADER_LEN + slot.ext_len +
                2 * SUB_EXT_TMPL + 4 + peer->hdr.len + peer->tag_len >
            PKT_ROOM) {
        return false;
    }
    tables_sub_catch_up(lane->tables, sub);
    store_be16(plain, (uint16_t)resend->index);
    memcpy(plain + osn_len, bytes + slot.ext_len, slot.len);
    if (!as_it_was(resend, sub, &slot, pkt, plain + osn_len)) {
        return false;
    }
    end = rewrite_exts(rtp_ext_abs_send_time(lane->now_us), pkt, &slot, bytes,
                       rtp + RTP_FIXED_LEN);
    number(resend, sub, pkt);
    pkt->hdr_len = (uint16_t)(end - rtp);
    pkt->payload = plain;
    pkt->payload_len = (uint16_t)(slot.len + osn_len);
    rtp[0] = end - rtp > RTP_FIXED_LEN ? 0x90 : 0x80;
    rtp[1] = (uint8_t)((pkt->marker ? 0x80 : 0) | pkt->pt);
    store_be16(rtp + 2, (uint16_t)pkt->index);
    store_be32(rtp + 4, pkt->ts);
    store_be32(rtp + 8, pkt->ssrc);
    pkt_hdr_write(&peer->hdr, pkt->data,
                  (uint16_t)(pkt->hdr_len + pkt->payload_len + peer->tag_len));
    pkt->len = (uint16_t)(peer->hdr.len + pkt->hdr_len + pkt->payload_len + peer->tag_len);
    if (sub->stream->video) {
        pacer_on_repair(&sub->peer->pacer, pkt->len, peer->pace_bps,
                        route_late_us(lane, peer), lane->now_us);
    }
    if (sub->twcc_at != 0) {
        bwe_note_sent(peer->bwe, peer->twcc_next - 1, (uint16_t)(pkt->len - peer->hdr.len),
                      lane->now_us);
    }
    pkt->peer = sub->peer;
    pkt->rtx = true; /* counted apart from the subscription's own packets */
    pkt->device = peer->device;
    pkt->to = peer->to;
    return true;
}

/* The subscription, if it still is and may be sent to. */
static struct sub *recipient(const struct lane *lane, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);

    return sub != NULL && !sub->paused && sub_resends(sub) && sub->peer->to != NULL &&
                   sub->peer->tx_key != NULL && !sub->peer->consent_lost
               ? sub
               : NULL;
}

uint16_t resend_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct crypt_op ops[PKT_BURST];
    struct pkt *pkts[PKT_BURST];
    uint16_t n = 0;

    (void)in;
    while (lane_resends(lane) && n < PKT_BURST) {
        const struct lane_resend *resend =
            &lane->resends[lane->resend_tail++ % LANE_RESENDS];
        struct sub *sub = recipient(lane, resend->sub);

        if (sub == NULL) {
            continue;
        }
        if (lane_alloc(lane, &pkts[n], 1) == 0) {
            lane->counts.drops_out[DROP_NO_BUFFER]++;
            continue;
        }
        if (!write_one(lane, resend, sub, pkts[n], lane->plain[n])) {
            sub->rest->nacks_ignored++;
            lane_free(lane, pkts[n]);
            continue;
        }
        ops[n] =
            (struct crypt_op){.key = sub->peer->tx_key,
                              .src = pkts[n]->payload,
                              .dst = pkts[n]->data + sub->peer->hdr.len + pkts[n]->hdr_len,
                              .index = pkts[n]->index,
                              .ssrc = pkts[n]->ssrc,
                              .hdr_len = pkts[n]->hdr_len,
                              .len = pkts[n]->payload_len};
        n++;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)crypt_protect_burst(lane->crypt, ops, n);
    for (uint16_t i = 0; i < n; i++) {
        if (ops[i].status != 0) {
            lane_drop_out(lane, pkts[i], DROP_PROTECT);
            continue;
        }
        burst_push(out, pkts[i]);
    }
    return out->n;
}
