#include "core/bwe_probe.h"

#include <string.h>

enum {
    MIN_INTERVAL_US = 2000000, /* between periodic probes; doubled while they fail */
    MAX_INTERVAL_US = 4000000,
    RETRY_US = 500000, /* after one that said nothing */
    AFTER_DROP_US = 1500000,
    FORGET_DROP_US = 20000000,
    BUNCH_US = 500,
    MAX_PROBE_US = 150000, /* a cluster whose padding cannot be sent is ended */
    WAIT_US = 600000       /* for its feedback, and two round trips more */
};

static const float FIRST = 3, SECOND = 2; /* times the start, times the first result */
static const float STEP = 2;              /* times the estimate */
static const float LEAST = 0.5f;          /* times the start */
static const float SPARE = 1.5f;          /* of what is wanted: more need not be shown */
static const float SHOWN = 0.7f;          /* of its rate: the cluster got through */
static const float SATURATED = 0.9f;      /* arrived slower than sent by this: the limit */
static const float MAX_RATIO = 2;         /* arrived faster than sent: bunched, no result */
static const float GAP = 0.5f; /* of its time: a processor stood still, it is no rate */
static const float DROP = 0.66f;
static const float BACK = 0.85f; /* of what it was before a drop */

void bwe_probe_init(struct bwe_probe *probe)
{
    memset(probe, 0, sizeof(*probe));
    probe->due_us = UINT64_MAX;
    probe->interval_us = MIN_INTERVAL_US;
    probe->span_us = BWE_PROBE_US;
}

static void begin(struct bwe_probe *probe, float bps, const struct bwe_probe_view *view,
                  uint64_t now_us)
{
    probe->cluster =
        (struct bwe_cluster){.first = view->next_number, .end = UINT64_MAX, .bps = bps};
    probe->sending = true;
    probe->start_us = now_us;
    probe->due_us = now_us;
    probe->start_bytes = view->tx_bytes;
    probe->next_us = now_us + probe->interval_us;
}

static bool is_busy(struct bwe_probe *probe, uint64_t now_us)
{
    if (!probe->sending && probe->cluster.first != probe->cluster.end &&
        now_us > probe->cluster.deadline_us) {
        probe->cluster.end = probe->cluster.first; /* its feedback did not come */
        probe->next_bps = 0;
    }
    return probe->cluster.first != probe->cluster.end;
}

/* How fast the next cluster should be; 0 none. */
static float choose(struct bwe_probe *probe, const struct bwe_probe_view *view,
                    uint64_t now_us)
{
    const float most = SPARE * view->wanted_bps;
    float bps = 0;

    if (probe->next_bps > 0) {
        bps = probe->next_bps;
        probe->next_bps = 0;
    } else if (!probe->begun) {
        probe->begun = true;
        bps = FIRST * view->start_bps;
        probe->next_bps = FIRST * SECOND * view->start_bps;
    } else if (probe->before_drop_bps > 0 && now_us - probe->drop_us > AFTER_DROP_US) {
        bps = now_us - probe->drop_us < FORGET_DROP_US ? BACK * probe->before_drop_bps : 0;
        probe->before_drop_bps = 0;
    } else if (now_us >= probe->next_us) {
        /* not less than a picture may need, or one that is held never comes back: 25 ms of
         * it are a kilobyte */
        bps = STEP * view->estimate_bps > LEAST * view->start_bps
                  ? STEP * view->estimate_bps
                  : LEAST * view->start_bps;
    }
    bps = bps < most ? bps : most;
    return bps > view->estimate_bps ? bps : 0;
}

void bwe_probe_tick(struct bwe_probe *probe, const struct bwe_probe_view *view,
                    uint64_t now_us)
{
    float bps;

    if (is_busy(probe, now_us) || !view->healthy ||
        view->wanted_bps <= view->estimate_bps) {
        return;
    }
    bps = choose(probe, view, now_us);
    if (bps > 0) {
        begin(probe, bps, view, now_us);
    }
}

uint64_t bwe_probe_deadline(const struct bwe_probe *probe, bool more, uint64_t now_us)
{
    if (probe->sending) {
        return now_us;
    }
    if (probe->cluster.first != probe->cluster.end) {
        return probe->cluster.deadline_us + 1;
    }
    if (!more) {
        return UINT64_MAX;
    }
    return probe->begun && probe->next_bps <= 0 && probe->before_drop_bps <= 0
               ? probe->next_us
               : now_us;
}

uint32_t bwe_probe_take(struct bwe_probe *probe, uint64_t tx_bytes, uint64_t next_number,
                        uint64_t rtt_us, uint64_t now_us)
{
    const uint64_t since_us = now_us - probe->start_us;
    const uint64_t sent = tx_bytes - probe->start_bytes;
    float ought;

    if (!probe->sending || now_us < probe->due_us) {
        return 0;
    }
    if ((since_us >= probe->span_us &&
         next_number - probe->cluster.first >= BWE_PROBE_PACKETS) ||
        since_us > MAX_PROBE_US) {
        probe->sending = false;
        probe->due_us = UINT64_MAX;
        probe->cluster.end = next_number;
        probe->cluster.deadline_us = now_us + WAIT_US + 2 * rtt_us;
        return 0;
    }
    probe->due_us = now_us + BWE_PROBE_SLICE_US;
    ought = probe->cluster.bps * (float)(since_us + BWE_PROBE_SLICE_US) / 8e6f;
    return ought > (float)sent ? (uint32_t)(ought - (float)sent) : 0;
}

/* The first packets may come together, after a receiver whose processor was busy has read
 * them: what comes later is measured from the last of them on. */
static void note_bunch(struct bwe_cluster *c, int64_t arrival_us, uint16_t len)
{
    if (c->n == 0 || arrival_us + BUNCH_US < c->first_arrival_us) {
        c->bunch_bytes = 0;
        c->bunch_us = arrival_us;
    }
    if (c->n == 0 || arrival_us < c->first_arrival_us) {
        c->first_arrival_us = arrival_us;
    }
    if (arrival_us - c->first_arrival_us <= BUNCH_US) {
        c->bunch_bytes += len;
        c->bunch_us = arrival_us > c->bunch_us ? arrival_us : c->bunch_us;
    }
}

void bwe_probe_on_packet(struct bwe_probe *probe, uint64_t number, int64_t send_us,
                         int64_t arrival_us, uint16_t len)
{
    struct bwe_cluster *c = &probe->cluster;

    if (number < c->first || number >= c->end) {
        return;
    }
    if (c->n == 0 || send_us < c->first_send_us) {
        c->first_send_us = send_us;
    }
    if (c->n == 0 || send_us >= c->last_send_us) {
        c->last_send_us = send_us;
        c->last_len = len;
    }
    note_bunch(c, arrival_us, len);
    if (c->n > 0 && arrival_us - c->last_arrival_us > c->gap_us) {
        c->gap_us = (uint32_t)(arrival_us - c->last_arrival_us);
    }
    if (c->n == 0 || arrival_us > c->last_arrival_us) {
        c->last_arrival_us = arrival_us;
    }
    c->bytes += len;
    c->n++;
}

/* What the cluster says; 0 if its packets do not suffice. What went between them without
 * numbers took as much longer to arrive as they did. */
static float measure(const struct bwe_cluster *c, float besides_bps)
{
    const float sent_us = (float)(c->last_send_us - c->first_send_us);
    const float arrived_us = (float)(c->last_arrival_us - c->bunch_us);
    const float stretch = sent_us < arrived_us ? sent_us / arrived_us : 1;
    const uint64_t n = c->end - c->first;
    float send_bps, arrive_bps;

    if (c->n < BWE_PROBE_PACKETS || c->n * UINT64_C(5) < n * 4 || sent_us < 1000 ||
        arrived_us < 1000 || sent_us > 1e6f || arrived_us > 1e6f) {
        return 0;
    }
    send_bps = (float)(c->bytes - c->last_len) * 8e6f / sent_us + besides_bps;
    arrive_bps =
        (float)(c->bytes - c->bunch_bytes) * 8e6f / arrived_us + besides_bps * stretch;
    if (arrive_bps > MAX_RATIO * send_bps) {
        return 0;
    }
    return arrive_bps < SATURATED * send_bps ? 0.95f * arrive_bps
           : arrive_bps < send_bps           ? arrive_bps
                                             : send_bps;
}

/* Whether the cluster says nothing of the link: too little of it is known, or its packets
 * came together, for whoever noted them stood still meanwhile. */
static bool is_void(const struct bwe_cluster *c, float bps)
{
    return bps <= 0 ||
           (bps < SHOWN * c->bps &&
            (float)c->gap_us > GAP * (float)(c->last_arrival_us - c->first_arrival_us));
}

float bwe_probe_result(struct bwe_probe *probe, uint64_t told,
                       const struct bwe_probe_view *view, uint64_t now_us)
{
    struct bwe_cluster *c = &probe->cluster;
    const float most = SPARE * view->wanted_bps;
    float bps;

    if (probe->sending || c->first == c->end || told < c->end) {
        return 0;
    }
    bps = measure(c, view->besides_bps);
    c->end = c->first;
    if (is_void(c, bps)) {
        /* a longer one outlasts that */
        probe->span_us =
            probe->span_us < BWE_PROBE_MAX_US / 2 ? 2 * probe->span_us : BWE_PROBE_MAX_US;
        probe->next_us = now_us + RETRY_US;
        probe->next_bps = 0;
        return bps;
    }
    if (bps >= SHOWN * c->bps) {
        float next_bps = STEP * bps < most ? STEP * bps : most;

        probe->span_us = BWE_PROBE_US;
        probe->interval_us = MIN_INTERVAL_US;
        if (probe->next_bps < next_bps) {
            probe->next_bps =
                bps < view->wanted_bps && next_bps > 1.1f * bps ? next_bps : 0;
        }
    } else {
        probe->next_bps = 0;
        probe->interval_us = probe->interval_us < MAX_INTERVAL_US / 2
                                 ? probe->interval_us * 2
                                 : MAX_INTERVAL_US;
    }
    probe->next_us = now_us + probe->interval_us;
    return bps;
}

void bwe_probe_on_drop(struct bwe_probe *probe, float before_bps, float after_bps,
                       uint64_t now_us)
{
    probe->next_bps = 0;
    probe->interval_us = MIN_INTERVAL_US;
    probe->next_us = now_us + probe->interval_us;
    if (after_bps < DROP * before_bps) {
        probe->before_drop_bps = before_bps;
        probe->drop_us = now_us;
    }
}

void bwe_probe_on_route(struct bwe_probe *probe, uint64_t now_us)
{
    probe->sending = false;
    probe->due_us = UINT64_MAX;
    probe->cluster.end = probe->cluster.first;
    probe->next_bps = 0;
    probe->before_drop_bps = 0;
    probe->interval_us = MIN_INTERVAL_US;
    probe->next_us = now_us;
}
