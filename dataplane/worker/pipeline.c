/* See pipeline.h. */
#include "worker/pipeline.h"

#include "rtcp/rtcp_in.h"
#include "rtcp/rtcp_out.h"
#include "stage/classify.h"
#include "stage/consent.h"
#include "stage/ingest.h"
#include "stage/protect.h"
#include "stage/punt.h"
#include "stage/rewrite.h"
#include "stage/route.h"
#include "stage/spread.h"
#include "stage/unprotect.h"

enum {
    RX_BURSTS = 4, /* of one device before the next has its turn */
    TX_TRIES = 4   /* a device whose queue is full gets this many chances to drain */
};

/* Counts what leaves as sent; 'sign' -1 takes it back for what the device refused. */
static void account(struct lane *lane, const struct pkt *pkt, int sign)
{
    uint64_t one = (uint64_t)(int64_t)sign;

    lane->counts.tx_packets += one;
    lane->counts.tx_bytes += one * pkt->len;
    if (pkt->peer != NULL) {
        pkt->peer->tx_packets += one;
        pkt->peer->tx_bytes += one * pkt->len;
    }
    if (pkt->sub != NULL) {
        lane->counts.forwards += one;
        pkt->sub->packets += one;
        pkt->sub->bytes += one * pkt->payload_len;
    }
}

static void transmit_on(struct pipeline *p, unsigned device, struct pkt **pkts, uint16_t n)
{
    uint16_t sent = 0;

    for (uint16_t i = 0; i < n; i++) {
        account(p->lane, pkts[i], 1);
    }
    for (unsigned i = 0; i < TX_TRIES && sent < n; i++) {
        sent = (uint16_t)(sent + io_tx_burst(p->io, device, p->lane->index, pkts + sent,
                                             (uint16_t)(n - sent)));
    }
    for (; sent < n; sent++) {
        account(p->lane, pkts[sent], -1);
        if (pkts[sent]->sub != NULL) {
            pkts[sent]->sub->skipped++;
        }
        lane_drop_out(p->lane, pkts[sent], DROP_TX_FULL);
    }
}

void pipeline_transmit(struct pipeline *p, const struct burst *burst)
{
    uint64_t done = 0;

    for (uint16_t i = 0; i < burst->n; i++) {
        struct pkt *same[PKT_BURST];
        uint16_t n = 0;

        if ((done >> i & 1) != 0) {
            continue;
        }
        for (uint16_t k = i; k < burst->n; k++) {
            if ((done >> k & 1) == 0 && burst->pkts[k]->device == burst->pkts[i]->device) {
                same[n++] = burst->pkts[k];
                done |= 1ull << k;
            }
        }
        transmit_on(p, same[0]->device, same, n);
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

static void ingress_burst(struct pipeline *p, const struct burst *in)
{
    struct lane *lane = p->lane;
    struct classified sorted;
    struct burst plain = {.n = 0};
    struct burst stored = {.n = 0};
    struct burst replies = {.n = 0};
    struct burst none = {.n = 0};

    (void)classify_burst(lane, in, &sorted);
    if (sorted.media.n > 0) {
        (void)unprotect_burst(lane, &sorted.media, &plain);
        (void)ingest_burst(lane, &plain, &stored);
        (void)spread_burst(lane, &stored, &none);
    }
    if (sorted.rtcp.n > 0) {
        rtcp_in_burst(lane, &sorted.rtcp);
    }
    if (sorted.consent.n > 0) {
        (void)consent_burst(lane, &sorted.consent, &replies);
        pipeline_transmit(p, &replies);
    }
    if (sorted.punt.n > 0) {
        punt(p, &sorted.punt);
    }
}

uint32_t pipeline_ingress(struct pipeline *p)
{
    uint32_t total = 0;

    for (unsigned device = 0; device < io_n_devices(p->io); device++) {
        if (p->lane->index >= io_device(p->io, device)->n_queues) {
            continue;
        }
        for (unsigned i = 0; i < RX_BURSTS; i++) {
            struct burst in;

            in.n = io_rx_burst(p->io, device, p->lane->index, in.pkts, PKT_BURST, &p->rx);
            total += in.n;
            if (in.n > 0) {
                ingress_burst(p, &in);
            }
            if (in.n < PKT_BURST) {
                break;
            }
        }
    }
    return total;
}

uint32_t pipeline_egress(struct pipeline *p, unsigned max_bursts)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < max_bursts && p->lane->grown != NULL; i++) {
        struct burst routed = {.n = 0};
        struct burst rewritten = {.n = 0};
        struct burst sealed = {.n = 0};

        total += route_burst(p->lane, NULL, &routed);
        (void)rewrite_burst(p->lane, &routed, &rewritten);
        (void)protect_burst(p->lane, &rewritten, &sealed);
        pipeline_transmit(p, &sealed);
    }
    return total;
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
