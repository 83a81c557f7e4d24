/* See rtcp_out.h. */
#include "rtcp/rtcp_out.h"

#include <string.h>

#include "lane/capture.h"
#include "sfu/wire/rtcp.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_xr.h"

enum {
    MAX_RTCP = 1200,    /* plain bytes of one packet */
    LOOKS_A_CALL = 4096, /* at peers, of which one that is due counts as so many: */
    DUE = 16,
    FAR = 12,           /* peers ahead; each is looked at for some 10 ns */
    NEAR = 8,
    NEXT = 4,
    MAX_SUB_REPORT = 28 + 52 + 60, /* what one subscription adds: SR, SDES, XR */
    MAX_TOGETHER = 32,
    MAX_BLOCKS = 31,          /* of one report; more go into another of the same compound */
    MAX_REPORTED = PEER_SSRCS /* no more can be bound */
};

_Static_assert((int)MAX_REPORTED <= 2 * MAX_BLOCKS && MAX_REPORTED * 24 + 3 * 20 < MAX_RTCP,
               "all streams of a peer fit two reports, and one compound");

/* Encrypts one compound and makes it a frame to the peer. Returns false if nothing was
 * added (the burst is full, no buffer). */
static bool push(struct lane *lane, struct peer *peer, const struct wbytes *w,
                 struct burst *out)
{
    uint8_t sealed[MAX_RTCP + CRYPT_RTCP_OVERHEAD_MAX];
    struct pkt *pkt;
    size_t len;

    if (w->bad || out->n == PKT_BURST) {
        return false;
    }
    if (lane_alloc(lane, &pkt, 1) == 0) {
        lane->counts.drops_out[DROP_NO_BUFFER]++;
        return false;
    }
    /* The index is noted before it is used, as for media. */
    *peer->rest->rtcp_next_index += 1;
    if (crypt_rtcp_protect(lane->crypt, peer->tx_key,
                           (uint32_t)*peer->rest->rtcp_next_index & 0x7fffffffu, w->start,
                           wbytes_len(w), sealed, sizeof(sealed), &len) != 0) {
        lane_drop_out(lane, pkt, DROP_PROTECT);
        return false;
    }
    pkt_frame(pkt, &peer->hdr, sealed, (uint16_t)len);
    pkt->peer = peer;
    pkt->sub = NULL;
    pkt->kind = PKT_RTCP;
    pkt->device = peer->to->device;
    pkt->to = peer->to;
    if (peer->watched_out == CAPTURE_PLAIN) {
        capture_report(lane, peer, w->start, (uint16_t)wbytes_len(w));
    }
    burst_push(out, pkt);
    return true;
}

/* A span of microseconds as 32.32 fixed point seconds. */
static uint64_t ntp_span(uint64_t us)
{
    return (us / 1000000) << 32 | ((us % 1000000) << 32) / 1000000;
}

/* How long ago the reference times of a peer that only receives came. */
static uint8_t take_rrtrs(const struct lane *lane, const struct peer *peer,
                          struct rtcp_xr_dlrr *out)
{
    uint8_t n = 0;

    for (unsigned i = 0; i < PEER_RRTRS; i++) {
        const struct peer_rrtr *rrtr = &peer->rest->rrtrs[i];

        if (rrtr->at_us != 0) {
            out[n++] = (struct rtcp_xr_dlrr){
                .ssrc = rrtr->ssrc,
                .lrr = rrtr->ntp,
                .dlrr = (uint32_t)(ntp_span(lane->now_us - rrtr->at_us) >> 16)};
        }
    }
    return n;
}

/* Sender reports of several subscriptions, on their way into one packet (RFC 8108, 5.3): that
 * it is sent costs more than all that is in it. */
struct sender_reports {
    uint8_t buf[MAX_RTCP];
    struct wbytes w;
    unsigned n;
    struct sub *subs[MAX_TOGETHER];
    uint32_t ntps[MAX_TOGETHER];
};

static void begin_together(struct sender_reports *r)
{
    r->w = wbytes_of(r->buf, sizeof(r->buf));
    r->n = 0;
}

/* Returns false if there was no place for what it holds, which is to be sent again. */
static bool send_together(struct lane *lane, struct peer *peer, struct sender_reports *r,
                          struct burst *out)
{
    const bool sent = r->n == 0 || push(lane, peer, &r->w, out);

    for (unsigned i = 0; sent && i < r->n; i++) {
        r->subs[i]->rest->reported_packets = r->subs[i]->packets;
        r->subs[i]->rest->last_sr_ntp = r->ntps[i];
        r->subs[i]->rest->last_sr_us = lane->now_us;
    }
    begin_together(r);
    return sent;
}

/* The publisher's clock carried on: its last report plus the time since. Lip sync between
 * streams of one publisher is kept, as both are mapped by the same clock. */
static void sub_report(struct lane *lane, struct sub *sub, struct sender_reports *r)
{
    const struct stream *stream = sub->stream;
    struct rtcp_xr_dlrr dlrrs[PEER_RRTRS];
    const uint8_t n_dlrrs = take_rrtrs(lane, sub->peer, dlrrs);
    struct rtcp_sr sr = {.ssrc = sub->ssrc,
                         .n_packets = (uint32_t)sub->packets,
                         .n_bytes = (uint32_t)sub->bytes};
    uint64_t arrival_us;
    uint64_t since_us;

    if (sub->packets == sub->rest->reported_packets ||
        !stream_clock_read(&stream->clock, &sr.ntp, &sr.rtp_ts, &arrival_us)) {
        return; /* nothing sent since the last, or nothing to anchor the report to */
    }
    /* another lane's clock may be a turn ahead of ours */
    since_us = lane->now_us > arrival_us ? lane->now_us - arrival_us : 0;
    sr.ntp += ntp_span(since_us);
    sr.rtp_ts += (uint32_t)(since_us * stream->clock_hz / 1000000) - sub_ts_offset(sub);
    rtcp_sr_write(&r->w, &sr, NULL, 0);
    if (sub->rest->cname_len > 0) {
        rtcp_sdes_write(&r->w, sub->ssrc, sub->rest->cname, sub->rest->cname_len);
    }
    if (n_dlrrs > 0) { /* libwebrtc tells its application only of those by its sender */
        rtcp_xr_write_dlrr(&r->w, sub->ssrc, dlrrs, n_dlrrs);
    }
    r->subs[r->n] = sub;
    r->ntps[r->n++] = (uint32_t)(sr.ntp >> 16);
}

static void publisher_report(struct lane *lane, struct peer *peer, struct burst *out)
{
    struct rtcp_block blocks[MAX_REPORTED];
    uint8_t buf[MAX_RTCP];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    uint8_t n = 0;

    for (struct stream *s = peer->rest->streams; s != NULL && n < MAX_REPORTED;
         s = s->next_of_peer) {
        if (s->bound && recvstat_take_block(&s->stat, s->ssrc, lane->now_us, &blocks[n])) {
            n++;
        }
    }
    if (n == 0) {
        return;
    }
    rtcp_rr_write(&w, RTCP_OUR_SSRC, blocks, n < MAX_BLOCKS ? n : MAX_BLOCKS);
    if (n > MAX_BLOCKS) {
        rtcp_rr_write(&w, RTCP_OUR_SSRC, blocks + MAX_BLOCKS, (uint8_t)(n - MAX_BLOCKS));
    }
    /* who sends no media to us in the other direction would have no round trip: any clock
     * does, as it is only compared with itself */
    rtcp_xr_write_rrtr(&w, RTCP_OUR_SSRC, ntp_span(lane->now_us));
    if (push(lane, peer, &w, out)) {
        peer->rest->rrtr_sent_ntp = (uint32_t)(ntp_span(lane->now_us) >> 16);
        peer->rest->rrtr_sent_us = lane->now_us;
    }
}

/* Answers for all that is received, whether or not something was sent to report on. */
static void answer_rrtrs(struct lane *lane, struct peer *peer, struct burst *out)
{
    uint8_t buf[128];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_xr_dlrr dlrrs[PEER_RRTRS];
    const uint8_t n = take_rrtrs(lane, peer, dlrrs);

    if (n == 0) {
        return;
    }
    rtcp_rr_write(&w, RTCP_OUR_SSRC, NULL, 0);
    rtcp_xr_write_dlrr(&w, RTCP_OUR_SSRC, dlrrs, n);
    if (push(lane, peer, &w, out)) {
        memset(peer->rest->rrtrs, 0, sizeof(peer->rest->rrtrs)); /* each is answered once */
    }
}

/* A subscription that still waits for the key frame it was promised: it came, but its first
 * packet was lost on the way to us. Or nobody was asked yet. */
static void ask_again(struct lane *lane, struct sub *sub)
{
    if (!sub->wait_keyframe || sub->started || sub->paused || sub->held ||
        sub->shed) {
        return;
    }
    if (sub->rest->asked) {
        lane_ask_keyframe(lane, sub->stream, true);
    } else {
        sub->rest->asked = lane_wish_keyframe(lane, sub, sub->stream);
    }
}

/* Returns false if the burst is full: reported_packets tells who is left. */
static bool sender_reports(struct lane *lane, struct peer *peer, struct burst *out)
{
    struct sender_reports r;

    begin_together(&r);
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        ask_again(lane, sub);
        sub_report(lane, sub, &r);
        if ((r.n == MAX_TOGETHER || wbytes_len(&r.w) > MAX_RTCP - MAX_SUB_REPORT) &&
            !send_together(lane, peer, &r, out) && out->n == PKT_BURST) {
            return false;
        }
    }
    return send_together(lane, peer, &r, out) || out->n < PKT_BURST;
}

static void reports(struct lane *lane, struct peer *peer, struct burst *out)
{
    if (!sender_reports(lane, peer, out) || out->n == PKT_BURST) {
        return; /* the rest at the next turn */
    }
    answer_rrtrs(lane, peer, out);
    if (out->n == PKT_BURST) {
        return;
    }
    /* last, so that it is once a round: taking the blocks begins their next interval */
    publisher_report(lane, peer, out);
    peer->rest->report_due_us = lane->now_us + RTCP_REPORT_US;
}

static void keyframe_requests(struct lane *lane, struct peer *peer, struct burst *out)
{
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        uint8_t buf[64];
        struct wbytes w = wbytes_of(buf, sizeof(buf));

        /* what came of it in a pause would be for nobody: it is asked for when that ends */
        if (!s->video || !s->bound || s->paused || out->n == PKT_BURST ||
            !keyframe_take_request(&s->keyframe, lane->now_us)) {
            continue;
        }
        rtcp_pli_write(&w, RTCP_OUR_SSRC, s->ssrc);
        if (push(lane, peer, &w, out)) {
            s->pli_sent++;
        }
    }
}

/* Asks for what is missing. What was asked for in vain is replaced by a key frame. */
static void nack_requests(struct lane *lane, struct peer *peer, struct burst *out)
{
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        uint64_t missing[NACK_MAX_HOLES];
        uint16_t seqs[NACK_MAX_HOLES];
        uint8_t buf[MAX_RTCP];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        size_t n;

        if (!s->bound || nack_deadline(&s->nack) > lane->now_us || out->n == PKT_BURST) {
            continue;
        }
        if (s->paused || lane->no_repair) {
            nack_reset(&s->nack);
            continue;
        }
        n = nack_take_due(&s->nack, lane->now_us, missing, NACK_MAX_HOLES);
        for (size_t i = 0; i < n; i++) {
            seqs[i] = (uint16_t)missing[i];
        }
        rtcp_nack_write(&w, RTCP_OUR_SSRC, s->ssrc, seqs, n);
        if (n > 0) {
            (void)push(lane, peer, &w, out);
        }
        if (nack_take_given_up(&s->nack) > 0 && s->video) {
            keyframe_on_request(&s->keyframe, lane->now_us);
        }
    }
}

static void twcc_feedback(struct lane *lane, struct peer *peer, struct burst *out)
{
    while (out->n < PKT_BURST && twcc_deadline(peer->rest->twcc) <= lane->now_us) {
        uint8_t buf[MAX_RTCP];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        size_t n = twcc_take_feedback(
            peer->rest->twcc, lane->now_us, RTCP_OUR_SSRC,
            peer->rest->streams != NULL ? peer->rest->streams->ssrc : 0, buf, sizeof(buf));

        if (n == 0) {
            return;
        }
        (void)wbytes_reserve(&w, n);
        (void)push(lane, peer, &w, out);
    }
}

/* For a publisher whose packets have no transport-wide numbers: what its way to us carries,
 * for all of its streams. */
static void remb(struct lane *lane, struct peer *peer, struct burst *out)
{
    uint32_t ssrcs[PEER_SSRCS];
    uint8_t buf[MAX_RTCP];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    uint8_t n = 0;
    uint32_t bps;

    if (!peer->rest->remb_ok || peer->rest->twcc_used ||
        remb_deadline(peer->rest->remb) > lane->now_us || out->n == PKT_BURST) {
        return;
    }
    bps = remb_take(peer->rest->remb, lane->now_us);
    for (struct stream *s = peer->rest->streams; s != NULL && n < PEER_SSRCS;
         s = s->next_of_peer) {
        if (s->bound) {
            ssrcs[n++] = s->ssrc;
        }
    }
    if (bps != 0 && n > 0) {
        rtcp_remb_write(&w, RTCP_OUR_SSRC, bps, ssrcs, n);
        peer->rest->rembs += push(lane, peer, &w, out);
    }
}

/* When there is something to do again for who sends nothing: the next reports, or that its
 * consent is over. */
static uint64_t due_of(const struct peer *peer)
{
    const uint64_t lost_us = *peer->rest->last_check_us + RTCP_CONSENT_US + 1;

    return peer->rest->report_due_us < lost_us ? peer->rest->report_due_us : lost_us;
}

static void sweep_peer(struct lane *lane, struct open_peer *open, struct burst *out)
{
    struct peer *peer = &lane->tables->peers[open->index];

    open->reports_us = 0;
    if (peer->to == NULL || peer->tx_key == NULL) {
        return;
    }
    if (lane->now_us > *peer->rest->last_check_us + RTCP_CONSENT_US) {
        peer->consent_lost = true;
        if (!peer->rest->loss_told) {
            peer->rest->loss_told =
                lane_tell(lane, LANE_NEWS_CONSENT_LOST, peer->handle, 0);
        }
        return;
    }
    if (peer->rest->streams != NULL) {
        nack_requests(lane, peer, out);
        keyframe_requests(lane, peer, out);
        twcc_feedback(lane, peer, out);
        remb(lane, peer, out);
    }
    if (peer->rest->report_due_us <= lane->now_us) {
        reports(lane, peer, out);
    }
    if (peer->rest->streams == NULL) {
        open->reports_us = due_of(peer);
    }
}

/* Whose turn it is in the sweep 'at' places on, or NULL. */
static struct peer *due_at(const struct lane *lane, uint32_t at)
{
    const struct tables *t = lane->tables;

    return at < t->n_open && t->open[at].reports_us <= lane->now_us
               ? &t->peers[t->open[at].index]
               : NULL;
}

/* Loads ahead what is looked at of peer 'at' of the sweep. */
static void prefetch(const struct lane *lane, uint32_t at)
{
    const struct peer *far = due_at(lane, at + FAR);
    const struct peer *near = due_at(lane, at + NEAR);
    const struct peer *next = due_at(lane, at + NEXT);

    if (far != NULL) {
        peer_prefetch(far);
    }
    if (near != NULL) {
        __builtin_prefetch(&near->rest->last_check_us);
    }
    if (next != NULL) {
        __builtin_prefetch(next->rest->last_check_us);
    }
}

uint16_t rtcp_out_burst(struct lane *lane, struct burst *out)
{
    struct tables *t = lane->tables;
    uint32_t looks = 0;

    if (lane->now_us < lane->sweep_due_us) {
        return 0;
    }
    while (lane->sweep_at < t->n_open && looks < LOOKS_A_CALL) {
        prefetch(lane, lane->sweep_at);
        if (due_at(lane, lane->sweep_at) != NULL) {
            sweep_peer(lane, &t->open[lane->sweep_at], out);
            looks += DUE;
        }
        if (out->n == PKT_BURST) {
            return out->n; /* this peer again: it may have more */
        }
        lane->sweep_at++;
        looks++;
    }
    if (lane->sweep_at >= t->n_open) {
        lane->sweep_at = 0;
        lane->sweep_due_us = lane->now_us + RTCP_SWEEP_US;
    }
    return out->n;
}

uint64_t rtcp_out_deadline(const struct lane *lane)
{
    return lane->tables->n_open > 0 ? lane->sweep_due_us : UINT64_MAX;
}
