/* What the way from a publisher to us carries, estimated here from abs-send-time, for those
 * that do not number their packets transport-wide and so cannot estimate it themselves. It
 * is told to them as REMB. Same filter and same control of the rate as core/bwe, without
 * probes: a publisher comes up by what it is told.
 *
 * Fed by stage/ingest; asked by rtcp/.
 *
 * Pure: no clock, no allocation, no I/O. Nothing that a publisher sends moves the estimate
 * out of [REMB_MIN_BPS, REMB_MAX_BPS]; it concerns only its own rate.
 * draft-alvestrand-rmcat-remb-03; draft-ietf-rmcat-gcc-02, section 5. */
#ifndef CORE_REMB_H
#define CORE_REMB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bwe_acked.h"
#include "core/bwe_delay.h"
#include "core/bwe_rate.h"

enum {
    REMB_START_BPS = 300000,
    REMB_MIN_BPS = 50000,
    REMB_MAX_BPS = 100000000,
    REMB_ROUND_US = 50000,     /* the estimate is worked out this often */
    REMB_INTERVAL_US = 1000000 /* and told at least this often, while packets come */
};

struct remb {
    bool started;
    uint32_t last_time; /* the last packet's 24 bits */
    int64_t send_us;    /* the same, extended */
    int64_t arrival_us; /* of the last packet */
    int64_t least_us;   /* the least time under way in this round */
    uint64_t round_us;  /* when it began */
    uint64_t due_us;    /* when the estimate is told again; UINT64_MAX: nothing to tell */
    uint32_t told_bps;  /* 0 nothing yet */
    struct bwe_delay delay;
    struct bwe_acked acked;
    struct bwe_rate rate;
};

void remb_init(struct remb *remb);

/* Notes a packet.
 *
 * send_time  its abs-send-time, 24 bits
 * len        of the UDP payload
 * rtt_us     of the path, 0 unknown */
void remb_on_packet(struct remb *remb, uint32_t send_time, uint32_t len, uint64_t rtt_us,
                    uint64_t now_us);

/* When remb_take() next yields something; UINT64_MAX if never. */
static inline uint64_t remb_deadline(const struct remb *remb)
{
    return remb->due_us;
}

/* What to tell now: the estimate, after it fell at once, else once an interval. Returns 0
 * if nothing is due. */
uint32_t remb_take(struct remb *remb, uint64_t now_us);

#endif
