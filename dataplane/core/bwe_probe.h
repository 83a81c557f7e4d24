/* Probes: short clusters of packets sent faster than the estimate, with padding where media
 * does not suffice, to see whether more would get through. When: at the start, while the
 * subscriber wants more than the estimate allows, and some time after the estimate fell.
 * And what a cluster's arrival says. Part of core/bwe.
 *
 * Pure: no clock, no allocation. A cluster is a range of transport-wide numbers, so the
 * fast path marks nothing. */
#ifndef CORE_BWE_PROBE_H
#define CORE_BWE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BWE_PROBE_US = 25000, /* a cluster's length, and after one that said nothing, … */
    BWE_PROBE_MAX_US = 100000, /* … doubled, up to this */
    BWE_PROBE_PACKETS = 5,     /* and the least number of its packets */
    BWE_PROBE_SLICE_US = 2000  /* a cluster's padding is asked for this often */
};

struct bwe_cluster {
    uint64_t first, end;  /* numbers; first == end: no cluster */
    uint64_t deadline_us; /* of its feedback */
    int64_t first_send_us, last_send_us;
    int64_t first_arrival_us, last_arrival_us;
    int64_t bunch_us; /* the last arrival of those that came with the first */
    float bps;
    uint32_t gap_us;      /* the longest time in which none arrived */
    uint32_t bytes;       /* that arrived */
    uint32_t bunch_bytes; /* that came with the first: they say nothing about the rate */
    uint16_t last_len;    /* of the last sent */
    uint16_t n;
};

struct bwe_probe {
    struct bwe_cluster cluster; /* the one under way or waited for */
    bool sending;
    bool begun;        /* the first probes were made */
    uint32_t span_us;  /* how long a cluster is to be */
    uint64_t start_us; /* of the cluster being sent */
    uint64_t due_us;   /* its next padding */
    uint64_t start_bytes;
    float next_bps;   /* to follow when the present one is answered; 0 none */
    uint64_t next_us; /* no periodic probe before */
    uint32_t interval_us;
    float before_drop_bps; /* estimate before it fell; 0 it did not */
    uint64_t drop_us;
};

/* What the controller has to know. */
struct bwe_probe_view {
    float estimate_bps;
    float wanted_bps; /* that the subscriber could make use of */
    float start_bps;
    float besides_bps; /* sent in packets that no feedback tells of */
    bool healthy;      /* queues do not grow, none is standing, no decrease just now */
    uint64_t tx_bytes, next_number;
};

void bwe_probe_init(struct bwe_probe *probe);

/* Begins a cluster if it is time for one. */
void bwe_probe_tick(struct bwe_probe *probe, const struct bwe_probe_view *view,
                    uint64_t now_us);

/* When bwe_probe_tick() next has something to do; UINT64_MAX never. 'more': more is wanted
 * than the estimate. */
uint64_t bwe_probe_deadline(const struct bwe_probe *probe, bool more, uint64_t now_us);

/* Bytes of padding to send now so that the cluster keeps its rate; 0 none. Ends it when it
 * is long enough. 'due_us' is when to ask again, UINT64_MAX if nothing is sent. */
uint32_t bwe_probe_take(struct bwe_probe *probe, uint64_t tx_bytes, uint64_t next_number,
                        uint64_t rtt_us, uint64_t now_us);

/* A packet was acknowledged: notes it if it is of the cluster. */
void bwe_probe_on_packet(struct bwe_probe *probe, uint64_t number, int64_t send_us,
                         int64_t arrival_us, uint16_t len);

/* After a feedback about numbers below 'told': the rate that the cluster has shown to get
 * through, 0 if it is not complete or says nothing. */
float bwe_probe_result(struct bwe_probe *probe, uint64_t told,
                       const struct bwe_probe_view *view, uint64_t now_us);

/* The estimate fell from 'before_bps'. */
void bwe_probe_on_drop(struct bwe_probe *probe, float before_bps, float after_bps,
                       uint64_t now_us);

/* What was under way went another way; the next probe is due now. */
void bwe_probe_on_route(struct bwe_probe *probe, uint64_t now_us);

#endif
