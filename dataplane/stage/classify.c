/* See classify.h. */
#include "stage/classify.h"

#include "lane/capture.h"
#include "sfu/wire/demux.h"
#include "sfu/wire/rtp.h"

static enum pkt_kind kind_of(const struct pkt *pkt)
{
    switch (demux_of(pkt->data, pkt->len)) {
    case DEMUX_STUN:
        return PKT_STUN;
    case DEMUX_DTLS:
        return PKT_DTLS;
    case DEMUX_RTP:
        return PKT_RTP;
    case DEMUX_RTCP:
        return PKT_RTCP;
    case DEMUX_UNKNOWN:
        break;
    }
    return PKT_UNKNOWN;
}

/* Drops a media packet that has no right to be here, or sorts it. */
static void sort_media(struct lane *lane, struct pkt *pkt, struct classified *out)
{
    struct rtp_hdr hdr;

    if (pkt->peer->rest->rx_key == NULL) {
        lane_drop(lane, pkt, DROP_NO_KEYS);
        return;
    }
    if (pkt->kind == PKT_RTCP) {
        burst_push(&out->rtcp, pkt);
        return;
    }
    if (rtp_parse(pkt->data, pkt->len, &hdr) != 0) {
        lane_drop(lane, pkt, DROP_RTP_MALFORMED);
        return;
    }
    pkt->ssrc = hdr.ssrc;
    pkt->seq = hdr.seq;
    pkt->hdr_len = hdr.hdr_len;
    pkt->ts = hdr.ts;
    pkt->pt = hdr.pt;
    pkt->marker = hdr.marker;
    pkt->padding = hdr.has_padding;
    pkt->ext_profile = hdr.ext_profile;
    pkt->ext_len = hdr.ext_len;
    pkt->ext_at = (uint16_t)(hdr.hdr_len - hdr.ext_len);
    burst_push(&out->media, pkt);
}

static void sort(struct lane *lane, struct pkt *pkt, struct classified *out)
{
    struct peer *peer = pkt->peer;

    pkt->kind = (uint8_t)kind_of(pkt);
    if (peer != NULL) {
        peer->rest->rx_packets++;
        peer->rest->rx_bytes += pkt->len;
        if (peer->rest->watched != CAPTURE_OFF) {
            capture_arrival(lane, pkt);
        }
    }
    switch (pkt->kind) {
    case PKT_STUN:
        if (peer != NULL && peer->to != NULL && path_same_tuple(peer->to, &pkt->path)) {
            burst_push(&out->consent, pkt);
        } else {
            burst_push(&out->punt, pkt);
        }
        break;
    case PKT_DTLS:
        if (peer == NULL) {
            lane_drop(lane, pkt, DROP_NO_PEER);
        } else {
            burst_push(&out->punt, pkt);
        }
        break;
    case PKT_RTP:
    case PKT_RTCP:
        if (peer == NULL) {
            lane_drop(lane, pkt, DROP_NO_PEER);
        } else {
            sort_media(lane, pkt, out);
        }
        break;
    default:
        lane_drop(lane, pkt, DROP_UNKNOWN_KIND);
        break;
    }
}

/* Whether a packet of 'peer' is for this lane. While a peer moves, its old lane still works
 * off what others had handed over; what comes by our own devices goes where the peer will
 * be, so that no packet passes another. */
static bool is_ours(const struct lane *lane, const struct pkt *pkt, const struct peer *peer)
{
    const struct tables *t = lane->tables;
    size_t i = (size_t)(peer - t->peers);

    return t->mine[i] && (pkt->handed || t->lane_of[i] == lane->index);
}

uint16_t classify_burst(struct lane *lane, const struct burst *in, struct classified *out)
{
    const struct path *paths[PKT_BURST];
    struct peer *peers[PKT_BURST];

    out->media.n = out->rtcp.n = out->consent.n = out->punt.n = out->away.n = 0;
    for (uint16_t i = 0; i < in->n; i++) {
        paths[i] = &in->pkts[i]->path;
    }
    tables_find_paths(lane->tables, paths, in->n, peers);
    for (uint16_t i = 0; i < in->n; i++) {
        if (peers[i] != NULL) {
            __builtin_prefetch(&peers[i]->rest);
            __builtin_prefetch(
                &lane->tables->peer_rests[peers[i] - lane->tables->peers].rx_key, 1);
        }
        __builtin_prefetch(in->pkts[i]->data);
    }
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];

        pkt->peer = peers[i];
        pkt->stream = NULL;
        if (lane->hub == NULL || !pkt->handed) {
            lane->counts.rx_packets++;
            lane->counts.rx_bytes += pkt->len;
        }
        if (lane->hub != NULL && peers[i] != NULL && !is_ours(lane, pkt, peers[i])) {
            burst_push(&out->away, pkt);
        } else if (pkt->len == 0) {
            lane_drop(lane, pkt, DROP_EMPTY);
        } else if (pkt->len > PKT_MAX_DATAGRAM) {
            lane_drop(lane, pkt, DROP_TOO_LONG);
        } else {
            sort(lane, pkt, out);
        }
    }
    return (uint16_t)(out->media.n + out->rtcp.n + out->consent.n + out->punt.n +
                      out->away.n);
}
