/* See padding.h. */
#include "stage/padding.h"

#include <string.h>

#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"
#include "stage/rewrite.h"

enum {
    MAX_ZEROS = 1000,      /* bytes of payload of a probe's packet */
    MAX_RTX_PADDING = 255, /* its length is told by its last byte */
    MIN_ZEROS = 60,
    OVERHEAD = 60,      /* of headers, extensions and tag, about */
    PACKETS_A_CALL = 16 /* for one peer */
};

static const char PROBATOR_MID[] = "probator"; /* as mediasoup-client has it */
static const uint8_t ZEROS[4];

/* Extensions of a probe: its MID, the send time and the transport-wide number. */
static uint8_t *put_exts(struct lane *lane, struct peer *peer, uint8_t *p)
{
    const uint64_t number = peer->twcc_next++;
    uint8_t *start = p + RTP_EXT_HEADER_LEN;
    uint8_t *end = start;
    const size_t mid_len = sizeof(PROBATOR_MID) - 1;

    if (number % PEER_TWCC_BLOCK == 0) {
        *peer->rest->twcc_taken = number + PEER_TWCC_BLOCK;
    }
    *end++ = (uint8_t)(EXT_MID << 4 | (mid_len - 1));
    memcpy(end, PROBATOR_MID, mid_len);
    end += mid_len;
    *end++ = EXT_ABS_SEND_TIME << 4 | 2;
    store_be24(end, rtp_ext_abs_send_time(lane->now_us));
    end += 3;
    *end++ = EXT_TRANSPORT_CC << 4 | 1;
    store_be16(end, (uint16_t)number);
    end += 2;
    while ((end - start) % 4 != 0) {
        *end++ = 0;
    }
    store_be16(p, RTP_EXT_ONE_BYTE);
    store_be16(p + 2, (uint16_t)((end - start) / 4));
    return end;
}

/* Writes headers of a probe under its own SSRC. Returns their end. */
static uint8_t *write_probe(struct lane *lane, struct peer *peer, struct pkt *pkt)
{
    uint8_t *rtp = pkt->data + peer->hdr.len;

    /* Stored before it is used, so that a successor uses it for nothing else. */
    pkt->index = ++*peer->rest->probe_next;
    pkt->ssrc = PADDING_SSRC;
    rtp[0] = 0x90;
    rtp[1] = PADDING_PT;
    store_be32(rtp + 4, (uint32_t)(lane->now_us * 9 / 100)); /* 90 kHz */
    return put_exts(lane, peer, rtp + RTP_FIXED_LEN);
}

/* The same of a packet of padding of a retransmission stream. */
static uint8_t *write_rtx(struct lane *lane, struct sub *sub, struct pkt *pkt)
{
    static const struct ring_slot empty = {.len = 0};
    uint8_t *rtp = pkt->data + sub->peer->hdr.len;

    pkt->index = (*sub->rest->rtx_next_index)++;
    pkt->ssrc = sub->rest->rtx_ssrc;
    pkt->sub = sub;
    pkt->layered = false;
    rtp[0] = 0xb0; /* with padding */
    rtp[1] = sub->rest->rtx_pt;
    store_be32(rtp + 4, (uint32_t)(lane->now_us * 9 / 100));
    return rewrite_exts(rtp_ext_abs_send_time(lane->now_us), pkt, &empty, ZEROS,
                        rtp + RTP_FIXED_LEN);
}

/* Makes one packet of 'len' bytes of nothing: under the SSRC of probes, or, if 'sub' is not
 * NULL, as padding of its retransmissions. */
static bool make_one(struct lane *lane, struct peer *peer, struct sub *sub, uint16_t len,
                     struct burst *out)
{
    uint8_t payload[MAX_ZEROS] = {0};
    struct crypt_op op;
    struct pkt *pkt;
    uint8_t *rtp;

    if (lane_alloc(lane, &pkt, 1) == 0) {
        lane->counts.drops_out[DROP_NO_BUFFER]++;
        return false;
    }
    rtp = pkt->data + peer->hdr.len;
    pkt->hdr_len = (uint16_t)((sub != NULL ? write_rtx(lane, sub, pkt)
                                           : write_probe(lane, peer, pkt)) -
                              rtp);
    store_be16(rtp + 2, (uint16_t)pkt->index);
    store_be32(rtp + 8, pkt->ssrc);
    payload[len - 1] = sub != NULL ? (uint8_t)len : 0; /* RFC 3550, 5.1 */
    op = (struct crypt_op){.key = peer->tx_key,
                           .src = payload,
                           .dst = rtp + pkt->hdr_len,
                           .index = pkt->index,
                           .ssrc = pkt->ssrc,
                           .hdr_len = pkt->hdr_len,
                           .len = len};
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)crypt_protect_burst(lane->crypt, &op, 1);
    if (op.status != 0) {
        lane_drop_out(lane, pkt, DROP_PROTECT);
        return false;
    }
    len = (uint16_t)(pkt->hdr_len + len + peer->tag_len);
    pkt_hdr_write(&peer->hdr, pkt->data, len);
    pkt->len = (uint16_t)(peer->hdr.len + len);
    pkt->peer = peer;
    pkt->sub = NULL;
    pkt->kind = PKT_RTP;
    pkt->device = peer->device;
    pkt->to = peer->to;
    bwe_note_sent(peer->bwe, peer->twcc_next - 1, len, lane->now_us);
    burst_push(out, pkt);
    return true;
}

/* Whose retransmissions can carry padding; NULL if none. What is held may be all there is:
 * it comes back only when a probe has shown that the link carries it. */
static struct sub *carrier(const struct peer *peer)
{
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        if (sub_repairs(sub) && sub->twcc_at != 0 && !sub->paused &&
            (sub->started || sub->held)) {
            return sub;
        }
    }
    return NULL;
}

bool padding_is_possible(const struct peer *peer)
{
    return peer->rest->probator || carrier(peer) != NULL;
}

static void pad(struct lane *lane, struct peer *peer, struct sub *sub, struct burst *out)
{
    const uint32_t most = sub != NULL ? MAX_RTX_PADDING : MAX_ZEROS;
    uint32_t owed =
        bwe_take_padding(peer->bwe, peer->tx_bytes, peer->twcc_next, lane->now_us);

    for (int i = 0; owed > 0 && i < PACKETS_A_CALL && out->n < PKT_BURST; i++) {
        const uint32_t len = owed > most + OVERHEAD        ? most
                             : owed > MIN_ZEROS + OVERHEAD ? owed - OVERHEAD
                                                           : MIN_ZEROS;

        if (!make_one(lane, peer, sub, (uint16_t)len, out)) {
            return;
        }
        owed -= owed < len + OVERHEAD ? owed : len + OVERHEAD;
    }
}

/* Returns false if its probe is over, or it may not be sent to any more. */
static bool serve(struct lane *lane, struct peer *peer, struct burst *out)
{
    struct sub *sub;

    if (!bwe_is_probing(peer->bwe)) {
        return false;
    }
    if (bwe_padding_due(peer->bwe) > lane->now_us) {
        return true;
    }
    sub = peer->rest->probator ? NULL : carrier(peer);
    if ((!peer->rest->probator && sub == NULL) || peer->to == NULL ||
        peer->tx_key == NULL || peer->consent_lost) {
        /* asked all the same, so that the probe ends */
        (void)bwe_take_padding(peer->bwe, peer->tx_bytes, peer->twcc_next, lane->now_us);
        return bwe_is_probing(peer->bwe);
    }
    pad(lane, peer, sub, out);
    return bwe_is_probing(peer->bwe);
}

uint16_t padding_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    uint32_t n = 0;

    (void)in;
    if (lane->now_us < lane->padding_due_us) {
        return 0;
    }
    lane->padding_due_us = UINT64_MAX;
    for (uint32_t i = 0; i < lane->n_probing; i++) {
        struct peer *peer = tables_peer(lane->tables, lane->probing[i]);

        if (peer == NULL) {
            continue; /* closed, or another lane's now */
        }
        if (!serve(lane, peer, out)) {
            continue;
        }
        lane->probing[n++] = peer->handle;
        if (bwe_padding_due(peer->bwe) < lane->padding_due_us) {
            lane->padding_due_us = bwe_padding_due(peer->bwe);
        }
    }
    lane->n_probing = n;
    return out->n;
}
