/* See pipeline.h. */
#include "worker/pipeline.h"

#include "lane/capture.h"
#include "rtcp/rtcp_in.h"
#include "rtcp/rtcp_out.h"
#include "sfu/base/handle.h"
#include "sfu/base/least.h"
#include "stage/budget.h"
#include "stage/classify.h"
#include "stage/consent.h"
#include "stage/ingest.h"
#include "stage/layers.h"
#include "stage/padding.h"
#include "stage/protect.h"
#include "stage/punt.h"
#include "stage/resend.h"
#include "stage/rewrite.h"
#include "stage/route.h"
#include "stage/spread.h"
#include "stage/unprotect.h"

enum {
    RX_BURSTS = 4, /* of one device before the next has its turn */
    TX_TRIES = 4,  /* a device whose queue is full gets this many chances to drain */
    /* A device that stays full holds up the lane's other devices too: for so long at once,
     * and for one in so many parts of the time. */
    TX_PATIENCE_US = 20000,
    TX_PATIENCE_SHARE = 4,
    TX_ALONE_US = 1000000, /* the same of one that holds up no other: 250 ms at once */
    TX_URGENT_US = 50000, /* what cannot hold up others is kept longer: it is dead, then */
    TX_LOOK_US = 1000    /* between two looks; more is not the device's fault */
};

/* What a device takes is the lane's that serves it; 'sign' -1 takes it back for what the
 * device refuses. */
static void account_device(struct lane *lane, struct pkt *const *pkts, uint16_t n, int sign)
{
    const uint64_t one = (uint64_t)(int64_t)sign;
    uint64_t bytes = 0, forwards = 0, resent = 0;

    for (uint16_t i = 0; i < n; i++) {
        const struct pkt *pkt = pkts[i];
        const bool media = pkt->sub != NULL;

        bytes += pkt->len;
        forwards += media && !pkt->rtx;
        resent += media && pkt->rtx;
        if (!media) {
            lane->counts.rtcp_out += pkt->kind == PKT_RTCP ? one : 0;
            lane->counts.datagrams_out += pkt->kind == PKT_DTLS ? one : 0;
        }
        if (pkt_is_padding(pkt)) {
            lane->counts.padding_packets += one;
            lane->counts.padding_bytes += one * pkt->len;
        }
    }
    lane->counts.tx_packets += one * n;
    lane->counts.tx_bytes += one * bytes;
    lane->counts.forwards += one * forwards;
    lane->counts.resent += one * resent;
}

static inline void account_forward(struct peer *peer, struct sub *sub,
                                   const struct pkt *pkt, int sign)
{
    const uint64_t one = (uint64_t)(int64_t)sign;

    peer->tx_packets += one;
    peer->tx_bytes += one * pkt->len;
    sub->packets += one;
    sub->bytes += one * pkt->payload_len;
}

/* Counts what leaves as sent by its peer and its subscription; 'sign' -1 takes it back for
 * what the device refuses at once. */
static void account_owners(const struct pkt *pkt, int sign)
{
    uint64_t one = (uint64_t)(int64_t)sign;

    if (pkt->sub != NULL && !pkt->rtx) {
        account_forward(pkt->peer, pkt->sub, pkt, sign);
        return;
    }
    if (pkt->peer != NULL) {
        pkt->peer->tx_packets += one;
        pkt->peer->tx_bytes += one * pkt->len;
        if (pkt_is_padding(pkt)) {
            pkt->peer->rest->padding_packets += one;
            pkt->peer->rest->padding_bytes += one * pkt->len;
        }
    }
    if (pkt->sub != NULL) {
        pkt->sub->rest->rtx_packets += one;
        pkt->sub->rest->rtx_bytes += one * pkt->payload_len;
    }
}

static bool is_audio(const struct pkt *pkt)
{
    return pkt->sub != NULL && !pkt->sub->stream->video;
}

/* From here on the frame does without what it points to, which may end or move. */
static void detach(struct pkt *pkt)
{
    if (pkt->to != &pkt->path) {
        pkt->path = *pkt->to;
        pkt->to = &pkt->path;
    }
    pkt->audio = is_audio(pkt);
    pkt->peer_handle = pkt->peer != NULL ? pkt->peer->handle : HANDLE_NONE;
    pkt->sub_handle = pkt->sub != NULL ? pkt->sub->handle : HANDLE_NONE;
}

static bool is_urgent(const struct pkt *pkt)
{
    return pkt->sub == NULL && !pkt_is_padding(pkt);
}

static void drop_full(struct lane *lane, struct pkt *pkt)
{
    lane_drop_out(lane, pkt,
                  is_urgent(pkt) ? DROP_TX_FULL_CONTROL
                  : pkt->audio   ? DROP_TX_FULL_AUDIO
                                 : DROP_TX_FULL);
}

/* Drops a detached frame. */
static void drop_refused(struct lane *lane, struct pkt *pkt)
{
    tables_refused(lane->tables, pkt);
    drop_full(lane, pkt);
}

static uint16_t push(struct pipeline *p, unsigned device, struct pkt **pkts, uint16_t n)
{
    unsigned queue = io_first_queue(p->io, device, p->lane->index);
    uint16_t sent = 0;

    for (unsigned i = 0; i < TX_TRIES && sent < n; i++) {
        sent = (uint16_t)(sent + io_tx_burst(p->io, device, queue, pkts + sent,
                                             (uint16_t)(n - sent)));
    }
    return sent;
}

/* ---- frames that a device has not taken ---- */

/* They were counted as sent. */
static void drop_frames(struct pipeline *p, struct pkt *const *pkts, uint16_t n)
{
    account_device(p->lane, pkts, n, -1);
    for (uint16_t i = 0; i < n; i++) {
        drop_refused(p->lane, pkts[i]);
    }
}

/* Takes the first 'n' away. */
static void forget_first(struct burst *frames, uint16_t n)
{
    frames->n = (uint16_t)(frames->n - n);
    memmove(frames->pkts, frames->pkts + n, frames->n * sizeof(struct pkt *));
}

/* Sends what goes before all media; a device that takes nothing gets no more of it. Returns
 * how many have gone. */
static uint16_t send_urgent(struct pipeline *p, unsigned device)
{
    struct pipeline_held *held = &p->held[device];
    uint16_t gone = 0, want, sent;

    while (gone < held->n_urgent) {
        want = (uint16_t)(held->n_urgent - gone);
        want = want < PKT_BURST ? want : PKT_BURST;
        sent = push(p, device, held->urgent + gone, want);
        gone = (uint16_t)(gone + sent);
        if (sent < want) {
            break;
        }
    }
    held->n_urgent = (uint16_t)(held->n_urgent - gone);
    memmove(held->urgent, held->urgent + gone, held->n_urgent * sizeof(struct pkt *));
    if (gone > 0) {
        held->took_us = p->lane->now_us;
    } else if (p->lane->now_us - held->took_us > TX_URGENT_US) {
        drop_frames(p, held->urgent, held->n_urgent);
        held->n_urgent = 0;
    }
    return gone;
}

/* Tries again. Returns whether the device has taken all. Waiting uses patience up, other
 * time gives it back; waiting for a device that is only slow costs nothing where there is
 * no other: so it is with a choked port, which the kernel has no time for now and then. */
static bool flush(struct pipeline *p, unsigned device)
{
    struct pipeline_held *held = &p->held[device];
    struct burst *frames = &held->frames;
    const bool alone = io_n_devices(p->io) == 1;
    const uint64_t most_us = alone ? TX_ALONE_US : TX_PATIENCE_US;
    uint64_t passed_us = p->lane->now_us - held->looked_us;
    uint16_t sent = 0;

    held->looked_us = p->lane->now_us;
    if (held->n_urgent > 0) {
        sent = send_urgent(p, device);
    }
    if (!pipeline_is_full(p, device)) {
        held->patience_us = least(held->patience_us + least(passed_us, most_us), most_us);
        return true;
    }
    if (held->n_urgent == 0) {
        const uint16_t n = push(p, device, frames->pkts, frames->n);

        forget_first(frames, n);
        sent = (uint16_t)(sent + n);
    }
    if (sent > 0 && alone) {
        held->patience_us = most_us;
    } else {
        held->patience_us -=
            least(held->patience_us, least(passed_us, TX_LOOK_US) * TX_PATIENCE_SHARE);
    }
    if (held->patience_us == 0) {
        drop_frames(p, frames->pkts, frames->n);
        frames->n = 0;
    }
    return !pipeline_is_full(p, device);
}

/* Keeps frames, in order, as far as there is room and patience. Returns how many; those
 * that it does not are the last of 'pkts' then. */
static uint16_t keep(struct pipeline *p, unsigned device, struct pkt **pkts, uint16_t n,
                     bool ours)
{
    struct pipeline_held *held = &p->held[device];
    uint16_t lost = 0;

    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = pkts[i];
        const bool urgent = is_urgent(pkt);

        if (urgent ? held->n_urgent == PIPELINE_URGENT
                   : held->patience_us == 0 || held->frames.n == PKT_BURST) {
            pkts[lost++] = pkt;
            continue;
        }
        if (ours) {
            detach(pkt);
        }
        if (urgent) {
            held->took_us = held->n_urgent == 0 ? p->lane->now_us : held->took_us;
            held->urgent[held->n_urgent++] = pkt;
        } else {
            burst_push(&held->frames, pkt);
        }
    }
    memmove(pkts + n - lost, pkts, lost * sizeof(struct pkt *));
    return (uint16_t)(n - lost);
}

/* Sends frames, or keeps them. Returns how many; the others the device does not take. */
static uint16_t push_or_keep(struct pipeline *p, unsigned device, struct pkt **pkts,
                             uint16_t n, bool ours)
{
    uint16_t sent = 0;

    if (flush(p, device) && p->held[device].n_urgent == 0) {
        sent = push(p, device, pkts, n);
    }
    return (uint16_t)(sent + keep(p, device, pkts + sent, (uint16_t)(n - sent), ours));
}

/* ---- */

/* Gives frames to the lane that serves the device. What they point to stays here. */
static uint16_t give(struct pipeline *p, uint32_t to, struct pkt **pkts, uint16_t n)
{
    uint16_t sent = 0;

    for (; sent < n; sent++) {
        detach(pkts[sent]);
        if (!lane_send_pkt(p->lane, to, HUB_PKT_OUT, pkts[sent])) {
            break;
        }
    }
    p->lane->counts.handed_tx += sent;
    return sent;
}

/* Counts what leaves, and takes copies of what is watched. 'ours': the device is this
 * lane's. */
static void account(struct lane *lane, struct pkt *const *pkts, uint16_t n, bool ours)
{
    uint64_t bytes = 0, forwards = 0;

    for (uint16_t i = 0; i < n; i++) {
        const struct pkt *pkt = pkts[i];
        struct peer *peer = pkt->peer;

        if (pkt->sub != NULL && !pkt->rtx) { /* as a rule */
            account_forward(peer, pkt->sub, pkt, 1);
            bytes += pkt->len;
            forwards++;
        } else {
            account_owners(pkt, 1);
            account_device(lane, &pkts[i], ours ? 1 : 0, 1);
        }
        if (peer != NULL && peer->watched_out != CAPTURE_OFF) {
            capture_departure(lane, pkt);
        }
    }
    if (ours) {
        lane->counts.tx_packets += forwards;
        lane->counts.tx_bytes += bytes;
        lane->counts.forwards += forwards;
    }
}

static void transmit_on(struct pipeline *p, unsigned device, struct pkt **pkts, uint16_t n)
{
    uint32_t to = io_tx_lane(p->io, device, p->lane->index);
    bool ours = to == p->lane->index;
    uint16_t sent;

    account(p->lane, pkts, n, ours);
    if (ours) {
        sent = push_or_keep(p, device, pkts, n, true);
        account_device(p->lane, pkts + sent, (uint16_t)(n - sent), -1);
    } else {
        sent = give(p, to, pkts, n);
    }
    for (; sent < n; sent++) {
        account_owners(pkts[sent], -1);
        if (pkts[sent]->sub != NULL && !pkts[sent]->rtx) {
            pkts[sent]->sub->rest->skipped++;
        }
        pkts[sent]->audio = is_audio(pkts[sent]);
        drop_full(p->lane, pkts[sent]);
    }
}

static bool is_one_device(const struct burst *burst)
{
    unsigned other = 0;

    for (uint16_t i = 1; i < burst->n; i++) {
        other |= burst->pkts[i]->device ^ burst->pkts[0]->device;
    }
    return other == 0;
}

/* The frames of a burst that leave by the same device as its first; the others stay. */
static void take_device(struct burst *burst, struct burst *same)
{
    uint8_t device = burst->pkts[0]->device;
    uint16_t left = 0;

    same->n = 0;
    for (uint16_t i = 0; i < burst->n; i++) {
        if (burst->pkts[i]->device == device) {
            burst_push(same, burst->pkts[i]);
        } else {
            burst->pkts[left++] = burst->pkts[i];
        }
    }
    burst->n = left;
}

void pipeline_send_for_others(struct pipeline *p, const struct burst *burst)
{
    struct burst left = *burst;
    struct burst same;

    while (left.n > 0) {
        uint16_t sent;

        take_device(&left, &same);
        account_device(p->lane, same.pkts, same.n, 1);
        sent = push_or_keep(p, same.pkts[0]->device, same.pkts, same.n, false);
        account_device(p->lane, same.pkts + sent, (uint16_t)(same.n - sent), -1);
        for (; sent < same.n; sent++) {
            drop_refused(p->lane, same.pkts[sent]);
        }
    }
}

void pipeline_transmit(struct pipeline *p, struct burst *burst)
{
    struct burst left;
    struct burst same;

    if (burst->n > 0 && (io_n_devices(p->io) == 1 || is_one_device(burst))) {
        transmit_on(p, burst->pkts[0]->device, burst->pkts, burst->n);
        return;
    }
    left = *burst;
    while (left.n > 0) {
        take_device(&left, &same);
        transmit_on(p, same.pkts[0]->device, same.pkts, same.n);
    }
}

static void punt(struct pipeline *p, const struct burst *in)
{
    struct burst out = {.n = 0};

    (void)punt_burst(p->lane, in, &out);
    for (uint16_t i = 0; i < out.n; i++) {
        if (p->punt != NULL && p->punt(p->punt_arg, out.pkts[i])) {
            lane_done(p->lane, out.pkts[i], DONE_PUNTED);
        } else {
            lane_drop(p->lane, out.pkts[i], DROP_PUNT_FULL);
        }
    }
}

/* Packets of peers that are another lane's go there; those of one that is moving here wait
 * for it. */
static void send_away(struct pipeline *p, const struct burst *away)
{
    struct lane *lane = p->lane;

    for (uint16_t i = 0; i < away->n; i++) {
        struct pkt *pkt = away->pkts[i];
        uint32_t to = lane->tables->lane_of[pkt->peer - lane->tables->peers];

        if (to == lane->index && lane->n_parked < LANE_PARKED) {
            /* parked as handed over: it was counted, and is the peer's when that is here */
            if (!pkt->handed) {
                lane->counts.handed_out++;
                lane->counts.handed_in++;
                pkt->handed = true;
            }
            lane->parked[lane->n_parked++] = pkt;
        } else if (to != lane->index && lane_send_pkt(lane, to, HUB_PKT_IN, pkt)) {
            lane->counts.handed_out++;
        } else {
            lane_drop(lane, pkt, DROP_HANDOVER);
        }
    }
}

static void mark(struct pipeline *p, enum trace_stage stage, uint16_t n)
{
    trace_mark(&p->trace, stage, n, p->lane->now_us);
}

static void ingress_burst(struct pipeline *p, const struct burst *in)
{
    struct lane *lane = p->lane;
    struct classified sorted;
    struct burst plain = {.n = 0};
    struct burst stored = {.n = 0};
    struct burst replies = {.n = 0};
    struct burst none = {.n = 0};

    (void)classify_burst(lane, in, &sorted);
    mark(p, TRACE_CLASSIFY, in->n);
    if (sorted.media.n > 0) {
        (void)unprotect_burst(lane, &sorted.media, &plain);
        mark(p, TRACE_UNPROTECT, sorted.media.n);
        (void)ingest_burst(lane, &plain, &stored);
        mark(p, TRACE_INGEST, plain.n);
        (void)spread_burst(lane, &stored, &none);
        mark(p, TRACE_SPREAD, stored.n);
    }
    if (sorted.rtcp.n > 0) {
        rtcp_in_burst(lane, &sorted.rtcp);
        mark(p, TRACE_RTCP_IN, sorted.rtcp.n);
    }
    if (sorted.consent.n > 0) {
        (void)consent_burst(lane, &sorted.consent, &replies, &sorted.punt);
        pipeline_transmit(p, &replies);
        mark(p, TRACE_CONSENT, sorted.consent.n);
    }
    if (sorted.punt.n > 0) {
        punt(p, &sorted.punt);
        mark(p, TRACE_PUNT, sorted.punt.n);
    }
    if (sorted.away.n > 0) {
        send_away(p, &sorted.away);
    }
}

void pipeline_handed(struct pipeline *p, const struct burst *in)
{
    ingress_burst(p, in);
}

static uint32_t ingress_queue(struct pipeline *p, unsigned device, unsigned queue)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < RX_BURSTS; i++) {
        struct burst in;

        trace_begin(&p->trace, &p->trace.left_in);
        in.n = io_rx_burst(p->io, device, queue, in.pkts, PKT_BURST, &p->rx);
        mark(p, TRACE_RX, in.n);
        if (p->lane->hub != NULL) {
            for (uint16_t k = 0; k < in.n; k++) {
                in.pkts[k]->handed = false;
                in.pkts[k]->rx_lane = (uint8_t)p->lane->index;
            }
        }
        total += in.n;
        if (in.n > 0) { /* none: the next may be traced */
            ingress_burst(p, &in);
            trace_end(&p->trace, &p->trace.left_in);
        }
        p->trace.on = false;
        if (in.n < PKT_BURST) {
            break;
        }
    }
    return total;
}

uint32_t pipeline_ingress(struct pipeline *p)
{
    uint32_t total = 0;

    for (unsigned device = 0; device < io_n_devices(p->io); device++) {
        unsigned queue = io_first_queue(p->io, device, p->lane->index);

        for (; queue < io_device(p->io, device)->n_queues; queue += io_n_lanes(p->io)) {
            total += ingress_queue(p, device, queue);
        }
    }
    return total;
}

/* Whether a burst finds a place on its way to any device, this lane's or another's. Frames
 * leave half of the way free for packets that come in: those cannot wait. */
static bool has_way(const struct pipeline *p)
{
    const struct lane *lane = p->lane;

    for (unsigned device = 0; device < io_n_devices(p->io); device++) {
        uint32_t to = io_tx_lane(p->io, device, lane->index);

        if (pipeline_is_full(p, device)) {
            return false;
        }
        if (to != lane->index &&
            hub_room(lane->hub, lane->index, to) < HUB_SLOTS / 2 + PKT_BURST) {
            return false;
        }
    }
    return true;
}

bool pipeline_is_full(const struct pipeline *p, unsigned device)
{
    return p->held[device].frames.n > 0;
}

bool pipeline_holds(const struct pipeline *p)
{
    for (unsigned device = 0; device < io_n_devices(p->io); device++) {
        if (pipeline_is_full(p, device) || p->held[device].n_urgent > 0) {
            return true;
        }
    }
    return false;
}

/* A burst of fan-out. Returns how many packets it has. */
static uint32_t route_once(struct pipeline *p)
{
    struct burst routed, rewritten, sealed;
    uint32_t n;

    routed.n = rewritten.n = sealed.n = 0; /* the rest as it is: some 10 ns each */
    trace_begin(&p->trace, &p->trace.left_out);
    n = route_burst(p->lane, NULL, &routed);
    mark(p, TRACE_ROUTE, routed.n);
    (void)rewrite_burst(p->lane, &routed, &rewritten);
    mark(p, TRACE_REWRITE, routed.n);
    (void)protect_burst(p->lane, &rewritten, &sealed);
    mark(p, TRACE_PROTECT, rewritten.n);
    pipeline_transmit(p, &sealed);
    mark(p, TRACE_TX, sealed.n);
    trace_end(&p->trace, &p->trace.left_out);
    return n;
}

uint32_t pipeline_egress(struct pipeline *p, unsigned max_bursts)
{
    uint32_t total = 0;
    unsigned n = 0; /* bursts of fan-out */

    p->lane->runs = 0;
    for (unsigned device = 0; device < io_n_devices(p->io); device++) {
        p->lane->runs |= (uint32_t)io_device(p->io, device)->likes_runs << device;
        (void)flush(p, device);
    }
    /* what is missed is older than what is new, but audio comes before all; a list's length
     * of it at most */
    for (; n < max_bursts && p->lane->audio.first != NULL && has_way(p); n++) {
        total += route_once(p);
    }
    for (unsigned i = 0; i < max_bursts && lane_resends(p->lane) && has_way(p); i++) {
        struct burst again = {.n = 0};

        trace_begin(&p->trace, &p->trace.left_again);
        total += resend_burst(p->lane, NULL, &again);
        mark(p, TRACE_RESEND, again.n);
        trace_end(&p->trace, &p->trace.left_again);
        pipeline_transmit(p, &again);
    }
    /* A device may be full; its lane may be behind, or not have a CPU just now. Then the
     * cursors stay where they are, as long as the rings reach back. */
    for (; n < max_bursts && route_is_due(p->lane) && has_way(p); n++) {
        total += route_once(p);
    }
    return total;
}

bool pipeline_held_up(const struct pipeline *p)
{
    return pipeline_holds(p) ||
           ((route_is_due(p->lane) || lane_resends(p->lane)) && !has_way(p));
}

uint32_t pipeline_layers(struct pipeline *p)
{
    return layers_sweep(p->lane);
}

uint32_t pipeline_budget(struct pipeline *p)
{
    struct burst out = {.n = 0};

    budget_sweep(p->lane);
    (void)padding_burst(p->lane, NULL, &out);
    pipeline_transmit(p, &out);
    return out.n;
}

uint32_t pipeline_rtcp(struct pipeline *p)
{
    uint32_t total = 0;
    struct burst out;

    do {
        out.n = 0;
        total += rtcp_out_burst(p->lane, &out);
        pipeline_transmit(p, &out);
    } while (out.n == PKT_BURST && total < 8 * PKT_BURST);
    return total;
}
