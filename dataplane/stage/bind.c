/* See bind.h. */
#include "stage/bind.h"

#include <string.h>

#include "sfu/wire/rtp_ext.h"

/* What a packet says of its stream. */
struct labels {
    const uint8_t *mid, *rid, *repaired;
    uint8_t mid_len, rid_len, repaired_len;
};

static struct labels labels_of(const struct pkt *pkt)
{
    const struct rtp_hdr hdr = {.ext = pkt->data + pkt->ext_at,
                                .ext_len = pkt->ext_len,
                                .ext_profile = pkt->ext_profile,
                                .has_ext = pkt->ext_len > 0};
    struct rtp_ext_iter it = rtp_ext_iter_of(&hdr);
    struct labels labels = {.mid = NULL};
    const uint8_t *data;
    uint8_t id;
    uint8_t len;

    while (rtp_ext_next(&it, &id, &data, &len)) {
        switch (pkt->peer->rest->ext_of[id]) {
        case EXT_MID:
            labels.mid = data;
            labels.mid_len = len;
            break;
        case EXT_RID:
            labels.rid = data;
            labels.rid_len = len;
            break;
        case EXT_REPAIRED_RID:
            labels.repaired = data;
            labels.repaired_len = len;
            break;
        default:
            break;
        }
    }
    return labels;
}

static bool same(const uint8_t *a, uint8_t a_len, const uint8_t *b, uint8_t b_len)
{
    return a != NULL && a_len == b_len && memcmp(a, b, b_len) == 0;
}

/* Whether 'pkt' is of 'stream' by its labels; '*rtx' says whether as its repair. */
static bool labels_match(const struct stream *stream, const struct pkt *pkt,
                         const struct labels *labels, bool *rtx)
{
    if (stream->mid_len == 0 ||
        !same(labels->mid, labels->mid_len, stream->mid, stream->mid_len)) {
        return false;
    }
    *rtx = stream->rtx_pt != 0 && pkt->pt == stream->rtx_pt;
    if (stream->rid_len == 0) {
        return *rtx || pkt->pt == stream->pt;
    }
    if (same(labels->repaired, labels->repaired_len, stream->rid, stream->rid_len)) {
        *rtx = true;
        return true;
    }
    /* the repair's payload type tells, too: Pion repeats the packet's own label (RFC 8852
     * has another for it) */
    return same(labels->rid, labels->rid_len, stream->rid, stream->rid_len);
}

static void bind(struct lane *lane, struct stream *stream, const struct pkt *pkt,
                 uint32_t slot, bool rtx)
{
    pkt->peer->rest->ssrc_of[slot] = (struct peer_ssrc){.stream = stream, .rtx = rtx};
    if (rtx) {
        stream->rtx_ssrc = pkt->ssrc;
        if (stream->live_rtx_ssrc != NULL) {
            *stream->live_rtx_ssrc = pkt->ssrc;
        }
        return;
    }
    stream->ssrc = pkt->ssrc;
    if (stream->live_ssrc != NULL) {
        *stream->live_ssrc = pkt->ssrc;
    }
    stream->bound = true;
    (void)lane_tell(lane, LANE_NEWS_STREAM_BOUND, stream->handle, pkt->ssrc);
}

void bind_ssrc(struct lane *lane, const struct pkt *pkt, uint32_t slot)
{
    struct labels labels;

    for (struct stream *s = pkt->peer->rest->streams; s != NULL; s = s->next_of_peer) {
        if (s->ssrc == pkt->ssrc || s->rtx_ssrc == pkt->ssrc) {
            bind(lane, s, pkt, slot, s->ssrc != pkt->ssrc);
            return;
        }
    }
    labels = labels_of(pkt);
    for (struct stream *s = pkt->peer->rest->streams; s != NULL; s = s->next_of_peer) {
        bool rtx = false;

        /* A stream that announced its SSRCs is found by them only. One that has its SSRC
         * keeps it: the numbers of two SSRCs in one ring would make two packets under one
         * index of a subscriber's key. */
        if (!s->announced && labels_match(s, pkt, &labels, &rtx) &&
            (rtx ? s->rtx_ssrc == 0 : !s->bound)) {
            bind(lane, s, pkt, slot, rtx);
            return;
        }
    }
}
