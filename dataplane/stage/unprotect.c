/* See unprotect.h. */
#include "stage/unprotect.h"

#include "lane/capture.h"
#include "stage/bind.h"

enum { NO_SLOT = PEER_SSRCS };

static uint32_t find_slot(const struct peer *peer, uint32_t ssrc)
{
    for (uint32_t i = 0; i < peer->rest->n_ssrcs; i++) {
        if (peer->rest->ssrcs[i] == ssrc) {
            return i;
        }
    }
    return NO_SLOT;
}

/* The place of an SSRC that was just authenticated for the first time, or NO_SLOT. When all
 * are taken, one whose stream has ended is used again: a peer that starts and stops its
 * camera for hours has new SSRCs each time. */
static uint32_t add_slot(struct peer *peer, uint32_t ssrc)
{
    uint32_t slot = peer->rest->n_ssrcs;

    if (slot < PEER_SSRCS) {
        peer->rest->n_ssrcs++;
    } else {
        slot = 0;
        while (slot < PEER_SSRCS && peer->rest->ssrc_of[slot].stream != NULL) {
            slot++;
        }
        if (slot == PEER_SSRCS) {
            return NO_SLOT;
        }
    }
    peer->rest->ssrcs[slot] = ssrc;
    peer->rest->ssrc_of[slot] = (struct peer_ssrc){.stream = NULL};
    replay_begin(&peer->rest->rx[slot], ssrc);
    return slot;
}

/* Decides the fate of a packet whose tag was right. Returns true if it goes on. */
static bool accept(struct lane *lane, struct pkt *pkt)
{
    struct peer *peer = pkt->peer;
    uint32_t slot = find_slot(peer, pkt->ssrc);

    if (slot == NO_SLOT) {
        slot = add_slot(peer, pkt->ssrc);
    }
    if (slot == NO_SLOT) {
        lane_drop(lane, pkt, DROP_SSRC_LIMIT);
        return false;
    }
    /* again: the same packet may stand twice in one burst */
    if (replay_check(&peer->rest->rx[slot], pkt->index) != 0) {
        lane_drop(lane, pkt, DROP_REPLAY);
        return false;
    }
    replay_commit(&peer->rest->rx[slot], pkt->index);
    peer_heard(peer, &pkt->path, lane->now_us);
    if (peer->rest->watched == CAPTURE_PLAIN) {
        capture_opened(lane, pkt, pkt->data, pkt->hdr_len, pkt->payload, pkt->payload_len);
    }
    if (peer->rest->ssrc_of[slot].stream == NULL) {
        bind_ssrc(lane, pkt, slot);
    }
    pkt->stream = peer->rest->ssrc_of[slot].stream;
    pkt->rtx = peer->rest->ssrc_of[slot].rtx;
    return true;
}

/* Fills the operation of one packet, or drops it and returns false. */
static bool prepare(struct lane *lane, struct pkt *pkt, uint8_t *plain, struct crypt_op *op)
{
    static const struct replay fresh;
    const struct peer *peer = pkt->peer;
    uint32_t slot = find_slot(peer, pkt->ssrc);
    const struct replay *rx = slot != NO_SLOT ? &peer->rest->rx[slot] : &fresh;

    pkt->index = replay_guess(rx, pkt->seq);
    if (replay_check(rx, pkt->index) != 0) {
        lane_drop(lane, pkt, DROP_REPLAY);
        return false;
    }
    *op = (struct crypt_op){.key = peer->rest->rx_key,
                            .src = pkt->data + pkt->hdr_len,
                            .dst = plain,
                            .index = pkt->index,
                            .ssrc = pkt->ssrc,
                            .hdr_len = pkt->hdr_len,
                            .len = (uint16_t)(pkt->len - pkt->hdr_len)};
    return true;
}

uint16_t unprotect_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct crypt_op ops[PKT_BURST];
    struct pkt *pkts[PKT_BURST];
    uint16_t n = 0;

    for (uint16_t i = 0; i < in->n; i++) {
        if (prepare(lane, in->pkts[i], lane->plain[n], &ops[n])) {
            pkts[n++] = in->pkts[i];
        }
    }
    (void)crypt_unprotect_burst(lane->crypt, ops, n);
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = pkts[i];

        if (ops[i].status != 0) {
            lane_drop(lane, pkt, DROP_AUTH);
            continue;
        }
        pkt->payload = ops[i].dst;
        pkt->payload_len = (uint16_t)(ops[i].len - pkt->peer->tag_len);
        if (accept(lane, pkt)) {
            burst_push(out, pkt);
        }
    }
    return out->n;
}
