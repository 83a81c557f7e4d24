/* Reception statistics of one incoming SSRC, and the report block they make. Fed by
 * stage/ingest (packets) and rtcp/ (sender reports); its answers become RR or SR blocks.
 *
 * Pure: no clock, no allocation, no I/O. Sequence numbers are extended, so never wrap.
 * RFC 3550, 6.4.1, A.1, A.3 and A.8. */
#ifndef CORE_RECVSTAT_H
#define CORE_RECVSTAT_H

#include <stdbool.h>
#include <stdint.h>

#include "sfu/wire/rtcp.h"

/* A.1: a larger step is an outage or a restart and is believed only when a second packet
 * follows it; then counting starts anew, as the loss would say nothing. */
enum { RECVSTAT_MAX_DROPOUT = 3000, RECVSTAT_MAX_MISORDER = 100 };

struct recvstat {
    uint64_t base_seq; /* first counted */
    uint64_t max_seq;  /* highest counted */
    uint64_t bad_seq;  /* what must come next to believe a jump; UINT64_MAX: none */
    uint64_t n_received;
    uint64_t expected_prior; /* at the report before */
    uint64_t received_prior;
    uint64_t sr_at_us;
    uint32_t clock_rate;
    uint32_t transit;
    uint32_t jitter_q4; /* in 1/16 timestamp units */
    uint32_t lsr;       /* middle 32 bits of the last SR's NTP time */
    bool started;
    bool has_sr;
};

/* 'clock_rate' of the payload in Hz, not 0. */
void recvstat_init(struct recvstat *stat, uint32_t clock_rate);

/* Notes the arrival of a packet with extended number 'seq'. A duplicate counts as received,
 * as A.1 does: callers that drop replays earlier need not care. */
void recvstat_on_packet(struct recvstat *stat, uint64_t seq, uint32_t rtp_ts,
                        uint64_t now_us);

/* Notes a sender report of this SSRC with its 64-bit NTP time. */
void recvstat_on_sr(struct recvstat *stat, uint64_t ntp, uint64_t now_us);

/* Packets lost so far; negative if duplicates outnumber them. */
int64_t recvstat_lost(const struct recvstat *stat);

/* RFC 3550 interarrival jitter, in timestamp units. */
uint32_t recvstat_jitter(const struct recvstat *stat);

/* Fills 'out' with the block for 'ssrc' and starts a new interval of fraction lost. Returns
 * false, and fills nothing, if no packet ever came. */
bool recvstat_take_block(struct recvstat *stat, uint32_t ssrc, uint64_t now_us,
                         struct rtcp_block *out);

#endif
