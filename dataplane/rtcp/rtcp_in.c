/* See rtcp_in.h. */
#include "rtcp/rtcp_in.h"

#include <string.h>

#include "lane/capture.h"
#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"
#include "sfu/wire/rtcp_xr.h"
#include "table/repair.h"

enum {
    MIN_RTCP = 8,
    REPORT_MAX_PACKETS = 65535, /* of one stream between two reports */
    XR_RTT_MAX_US = 10000000,   /* a longer one is a mistake */

    /* Retransmissions take at most a third of what a subscription is sent, after a first
     * allowance. Each is charged as a full packet, since its length is not known yet;
     * audio, whose packets are all much alike, as the mean of them with its headers. */
    RTX_SHARE = 2,
    RTX_COST = 1200,
    REPEAT_HEADERS = 60,
    RTX_BUDGET_MAX = 96 * 1024,
    RTX_RTT_MIN_US = 10000, /* how long an answer may be under way */
    RTX_RTT_MAX_US = 500000
};

static struct stream *stream_of(const struct peer *peer, uint32_t ssrc)
{
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        if (s->bound && s->ssrc == ssrc) {
            return s;
        }
    }
    return NULL;
}

/* Forgets the oldest sender that is none of the peer's streams now. They are in the order
 * in which they came. Returns false if all are streams. */
static bool forget_sender(struct peer *peer)
{
    for (uint32_t i = 0; i < peer->rest->n_rtcp_ssrcs; i++) {
        if (stream_of(peer, peer->rest->rx_rtcp[i].ssrc) == NULL) {
            peer->rest->n_rtcp_ssrcs--;
            /* one by one, each whole: who is killed leaves one twice at worst */
            for (; i < peer->rest->n_rtcp_ssrcs; i++) {
                replay_store(&peer->rest->rx_rtcp[i], peer->rest->rx_rtcp[i + 1]);
            }
            return true;
        }
    }
    return false;
}

/* The receive state of a sender's SRTCP, made for a new one; NULL if there are too many. */
static struct replay *replay_of(struct peer *peer, uint32_t ssrc)
{
    for (uint32_t i = 0; i < peer->rest->n_rtcp_ssrcs; i++) {
        if (peer->rest->rx_rtcp[i].ssrc == ssrc) {
            return &peer->rest->rx_rtcp[i];
        }
    }
    if (peer->rest->n_rtcp_ssrcs == PEER_SSRCS && !forget_sender(peer)) {
        return NULL;
    }
    replay_begin(&peer->rest->rx_rtcp[peer->rest->n_rtcp_ssrcs], ssrc);
    return &peer->rest->rx_rtcp[peer->rest->n_rtcp_ssrcs++];
}

/* What was lost since the last report. One that counts more packets than there can be tells
 * of another life, or lies. */
static void on_loss(const struct lane *lane, struct sub *sub,
                    const struct rtcp_block *block)
{
    const uint32_t n = block->ext_highest_seq - sub->rest->told_seq;
    const int64_t lost = (int64_t)block->lost - sub->rest->told_lost;

    if (sub->rest->told_seq != 0 && n <= REPORT_MAX_PACKETS && lost <= n) {
        (void)bwe_on_report(sub->peer->bwe, n, lost > 0 ? (uint32_t)lost : 0, lane->now_us);
        if (bwe_is_fed(sub->peer->bwe)) {
            tables_wake(lane->tables, sub->peer);
        }
    }
    sub->rest->told_seq = block->ext_highest_seq;
    sub->rest->told_lost = block->lost;
}

/* A subscriber says how a stream of ours arrives. */
static void on_block(struct lane *lane, struct peer *peer, const struct rtcp_block *block)
{
    struct sub *sub = tables_find_feedback(lane->tables, peer, block->ssrc);

    if (sub == NULL || sub->ssrc != block->ssrc) {
        return; /* its retransmissions are not reported on apart */
    }
    on_loss(lane, sub, block);
    sub->rest->lost = block->lost > 0 ? (uint32_t)block->lost : 0;
    sub->rest->fraction_lost = block->fraction_lost;
    sub->rest->jitter = block->jitter;
    if (block->lsr != 0 && block->lsr == sub->rest->last_sr_ntp) {
        uint64_t since_us = lane->now_us - sub->rest->last_sr_us;
        uint64_t held_us = (uint64_t)block->dlsr * 1000000 >> 16;

        sub->rest->rtt_us = since_us > held_us ? (uint32_t)(since_us - held_us) : 0;
        peer->rest->rtt_us =
            sub->rest->rtt_us != 0 ? sub->rest->rtt_us : peer->rest->rtt_us;
    }
}

static void on_blocks(struct lane *lane, struct peer *peer, const uint8_t *blocks,
                      uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        struct rtcp_block block = rtcp_block_at(blocks, i);

        on_block(lane, peer, &block);
    }
}

static void on_sr(struct lane *lane, struct peer *peer, const struct rtcp_sr *sr)
{
    struct stream *stream = stream_of(peer, sr->ssrc);

    if (stream == NULL) {
        return;
    }
    recvstat_on_sr(&stream->stat, sr->ntp, lane->now_us);
    stream_clock_write(&stream->clock, sr->ntp, sr->rtp_ts, lane->now_us);
    if (stream->ring.tap != NULL) {
        tap_clock(stream->ring.tap, sr->ntp, sr->rtp_ts);
    }
}

/* It answers our reference time: how long the way there and back is. */
static void on_dlrr(struct lane *lane, struct peer *peer, const struct rtcp_xr_dlrr *dlrr)
{
    uint64_t since_us = lane->now_us - peer->rest->rrtr_sent_us;
    uint64_t held_us = (uint64_t)dlrr->dlrr * 1000000 >> 16;

    if (dlrr->ssrc != RTCP_OUR_SSRC || peer->rest->rrtr_sent_us == 0 ||
        dlrr->lrr != peer->rest->rrtr_sent_ntp || since_us > XR_RTT_MAX_US ||
        held_us > since_us) {
        return;
    }
    peer->rest->rtt_us = (uint32_t)(since_us - held_us);
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        nack_set_rtt(&s->nack, peer->rest->rtt_us);
    }
}

/* Where a reference time of 'ssrc' is kept: that of before, or the oldest goes. */
static struct peer_rrtr *rrtr_of(struct peer *peer, uint32_t ssrc)
{
    struct peer_rrtr *oldest = &peer->rest->rrtrs[0];

    for (unsigned i = 0; i < PEER_RRTRS; i++) {
        struct peer_rrtr *rrtr = &peer->rest->rrtrs[i];

        if (rrtr->at_us != 0 && rrtr->ssrc == ssrc) {
            return rrtr;
        }
        oldest = rrtr->at_us < oldest->at_us ? rrtr : oldest;
    }
    return oldest;
}

static void on_xr(struct lane *lane, struct peer *peer, const struct rtcp_pkt *pkt)
{
    struct rtcp_xr_iter it;
    struct rtcp_xr_block block;
    uint64_t ntp;

    if (rtcp_xr_parse(pkt, &it) != 0) {
        return;
    }
    while (rtcp_xr_next(&it, &block) == 1) {
        if (rtcp_xr_rrtr(&block, &ntp)) {
            *rrtr_of(peer, it.ssrc) = (struct peer_rrtr){
                .at_us = lane->now_us, .ssrc = it.ssrc, .ntp = (uint32_t)(ntp >> 16)};
        }
        for (size_t i = 0; i < rtcp_xr_dlrr_count(&block); i++) {
            struct rtcp_xr_dlrr dlrr = rtcp_xr_dlrr_at(&block, i);

            on_dlrr(lane, peer, &dlrr);
        }
    }
}

static void on_keyframe_request(struct lane *lane, struct peer *peer, uint32_t ssrc)
{
    struct sub *sub = tables_find_feedback(lane->tables, peer, ssrc);

    if (sub != NULL && sub->stream->video) {
        lane_hear_keyframe(lane, sub);
    }
}

/* Fills up what may be sent again, by what was sent meanwhile: a share of the rate. */
static void refill(struct sub *sub)
{
    uint64_t more = (sub->bytes - sub->rest->rtx_counted_bytes) / RTX_SHARE;

    if (sub->rest->rtx_counted_bytes == 0 && sub->rest->rtx_budget == 0) {
        more = RTX_BUDGET_MAX; /* the first time */
    }
    sub->rest->rtx_counted_bytes = sub->bytes;
    more += sub->rest->rtx_budget;
    sub->rest->rtx_budget = (uint32_t)(more < RTX_BUDGET_MAX ? more : RTX_BUDGET_MAX);
}

/* What a packet that is sent again takes of the budget. */
static uint32_t cost_of(const struct sub *sub)
{
    return sub->rest->repeats && sub->packets > 0
               ? (uint32_t)(sub->bytes / sub->packets) + REPEAT_HEADERS
               : RTX_COST;
}

/* Which packet went out as 'seq'. */
static bool find_sent(const struct lane *lane, struct sub *sub, uint16_t seq,
                      struct rtxindex_hit *hit)
{
    tables_sub_catch_up(lane->tables, sub);
    return sub->layers != NULL
               ? switcher_find(&sub->layers->switcher, seq, &hit->out, &hit->seq)
               : rtxindex_find(&repair_make(lane->tables, sub)->sent, seq,
                               *sub->next_index, hit);
}

/* Puts one missed packet on the list. Returns false if it is not sent again. */
static bool resend(struct lane *lane, struct sub *sub, uint16_t seq)
{
    const uint32_t cost = cost_of(sub);
    uint64_t rtt_us = sub->rest->rtt_us != 0 ? sub->rest->rtt_us : sub->peer->rest->rtt_us;
    struct rtxindex_hit hit;

    rtt_us = rtt_us < RTX_RTT_MIN_US ? RTX_RTT_MIN_US : rtt_us;
    rtt_us = rtt_us > RTX_RTT_MAX_US ? RTX_RTT_MAX_US : rtt_us;

    if (!sub_resends(sub) || lane->no_repair || sub->rest->rtx_budget < cost ||
        lane->resend_head - lane->resend_tail == LANE_RESENDS ||
        !find_sent(lane, sub, seq, &hit) ||
        !answered_take(&repair_make(lane->tables, sub)->answered, seq, lane->now_us,
                       rtt_us)) {
        return false;
    }
    sub->rest->rtx_budget -= cost;
    lane->resends[lane->resend_head++ % LANE_RESENDS] =
        (struct lane_resend){.sub = sub->handle,
                             .seq = hit.seq,
                             .index = hit.out,
                             .source = sub->layers != NULL ? sub->layers->source : 0};
    return true;
}

/* The last of a list, which were lost last, are answered first, for not all can be if they
 * are many: Pion's has those before them whether they came again or not. */
static void on_nack(struct lane *lane, struct peer *peer, const struct rtcp_fb *fb)
{
    struct sub *sub = tables_find_feedback(lane->tables, peer, fb->media_ssrc);
    struct rtcp_nack_iter it = rtcp_nack_iter_of(fb);
    uint16_t seqs[RTCP_NACK_MAX * 17];
    uint32_t n = 0;

    if (sub == NULL || sub->ssrc != fb->media_ssrc) {
        return;
    }
    while (rtcp_nack_next(&it, &seqs[n])) {
        n++;
    }
    refill(sub);
    sub->rest->nacks += n;
    while (n > 0) {
        sub->rest->nacks_ignored += !resend(lane, sub, seqs[--n]);
    }
}

static void on_twcc(const struct lane *lane, struct peer *peer, const struct rtcp_fb *fb)
{
    struct twcc_fb report;
    struct twcc_fb again;
    struct twcc_arrival arrival;
    uint32_t n = 0;

    if (twcc_fb_parse(fb, &report) != 0) {
        return;
    }
    again = report;
    while (twcc_fb_next(&report, &arrival)) {
        n++;
    }
    peer->rest->twcc_reports++;
    peer->rest->twcc_lost += report.n_status - n;
    if (peer->rest->has_twcc) {
        (void)bwe_on_feedback(peer->bwe, &again, peer->twcc_next, lane->now_us);
        tables_wake(lane->tables, peer);
    }
}

static void on_feedback(struct lane *lane, struct peer *peer, const struct rtcp_pkt *pkt)
{
    struct rtcp_fb fb;
    struct rtcp_remb remb;

    if (rtcp_fb_parse(pkt, &fb) != 0) {
        return;
    }
    if (rtcp_is_pli(pkt)) {
        on_keyframe_request(lane, peer, fb.media_ssrc);
    } else if (rtcp_is_fir(pkt)) {
        for (size_t i = 0; i < rtcp_fir_count(&fb); i++) {
            on_keyframe_request(lane, peer, rtcp_fir_at(&fb, i).ssrc);
        }
    } else if (rtcp_is_nack(pkt)) {
        on_nack(lane, peer, &fb);
    } else if (rtcp_is_twcc(pkt)) {
        on_twcc(lane, peer, &fb);
    } else if (pkt->pt == RTCP_PSFB && rtcp_remb_parse(&fb, &remb) == 0) {
        peer->rest->remb_bps =
            remb.rate_bps < UINT32_MAX ? (uint32_t)remb.rate_bps : UINT32_MAX;
        (void)bwe_on_remb(peer->bwe, remb.rate_bps, lane->now_us);
        tables_wake(lane->tables, peer);
    }
}

static void on_bye(struct lane *lane, struct peer *peer, const struct rtcp_pkt *pkt)
{
    struct rtcp_bye bye;

    if (rtcp_bye_parse(pkt, &bye) != 0) {
        return;
    }
    for (uint8_t i = 0; i < bye.n_ssrcs; i++) {
        struct stream *stream = stream_of(peer, load_be32(bye.ssrcs + 4 * (size_t)i));

        if (stream != NULL && !stream->bye) {
            stream->bye = lane_tell(lane, LANE_NEWS_BYE, stream->handle, stream->ssrc);
        }
    }
}

static void on_compound(struct lane *lane, struct peer *peer, const uint8_t *data,
                        size_t len)
{
    struct rtcp_iter it = rtcp_iter_of(data, len);
    struct rtcp_pkt pkt;
    struct rtcp_sr sr;
    struct rtcp_rr rr;

    while (rtcp_next(&it, &pkt) == 1) {
        switch (pkt.pt) {
        case RTCP_SR:
            if (rtcp_sr_parse(&pkt, &sr) == 0) {
                on_sr(lane, peer, &sr);
                on_blocks(lane, peer, sr.blocks, sr.n_blocks);
            }
            break;
        case RTCP_RR:
            if (rtcp_rr_parse(&pkt, &rr) == 0) {
                on_blocks(lane, peer, rr.blocks, rr.n_blocks);
            }
            break;
        case RTCP_BYE:
            on_bye(lane, peer, &pkt);
            break;
        case RTCP_RTPFB:
        case RTCP_PSFB:
            on_feedback(lane, peer, &pkt);
            break;
        case RTCP_XR:
            on_xr(lane, peer, &pkt);
            break;
        default: /* SDES: the router has its own names; APP: nothing asked for it */
            break;
        }
    }
}

/* Returns why the packet is dropped, or N_DROP_REASONS with the plaintext in 'out'. */
static enum drop_reason unprotect(struct lane *lane, const struct pkt *pkt, uint8_t *out,
                                  size_t *out_len)
{
    struct peer *peer = pkt->peer;
    struct replay *replay;
    uint32_t index;

    if (pkt->len < MIN_RTCP ||
        crypt_rtcp_unprotect(lane->crypt, peer->rest->rx_key, pkt->data, pkt->len, out,
                             PKT_ROOM, out_len, &index) != 0) {
        return DROP_AUTH;
    }
    replay = replay_of(peer, load_be32(out + 4));
    if (replay == NULL) {
        return DROP_SSRC_LIMIT;
    }
    if (replay_check(replay, index) != 0) {
        return DROP_REPLAY;
    }
    replay_commit(replay, index);
    peer_heard(peer, &pkt->path, lane->now_us);
    if (peer->rest->watched == CAPTURE_PLAIN) {
        capture_opened(lane, pkt, out, (uint16_t)*out_len, NULL, 0);
    }
    return rtcp_valid(out, *out_len) ? N_DROP_REASONS : DROP_RTCP_MALFORMED;
}

/* What is needed of the peer once the report is decrypted. */
static void prefetch_written(const struct peer *peer)
{
    __builtin_prefetch(peer->rest->rx_rtcp, 1);
    __builtin_prefetch(peer->rest->heard_us, 1);
    bwe_prefetch_sent(peer->bwe);
}

/* What a report touches of its peer lies on some thirty lines, which many peers' have
 * driven out of the caches since its last. */
static void prefetch(const struct lane *lane, const struct burst *in, uint16_t i)
{
    const struct peer *peer;

    if (i < in->n) {
        peer = in->pkts[i]->peer;
        crypt_rtcp_prefetch(&lane->tables->rx_keys[peer->index]);
        peer_prefetch_rest(peer);
        __builtin_prefetch(&peer->rest->n_paths);
        bwe_prefetch(peer->bwe);
    }
}

void rtcp_in_burst(struct lane *lane, const struct burst *in)
{
    for (uint16_t i = 0; i < in->n; i++) {
        peer_prefetch(in->pkts[i]->peer);
    }
    prefetch(lane, in, 0);
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        uint8_t *plain = lane->plain[0];
        size_t len = 0;
        enum drop_reason reason;

        prefetch_written(pkt->peer);
        prefetch(lane, in, (uint16_t)(i + 1));
        reason = unprotect(lane, pkt, plain, &len);
        if (reason != N_DROP_REASONS) {
            lane_drop(lane, pkt, reason);
            continue;
        }
        tables_heard(lane->tables, pkt->peer);
        on_compound(lane, pkt->peer, plain, len);
        lane_done(lane, pkt, DONE_RTCP);
    }
}
