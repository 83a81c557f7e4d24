#include "core/recvstat.h"

#include <string.h>

enum {
    LOST_MAX = 0x7fffff,   /* 24-bit signed */
    JITTER_MAX_STEP_S = 5, /* a longer step of transit is a change of clock, not jitter */
    NTP_FRACTION_HZ = 1 << 16 /* unit of DLSR */
};

/* 'us' in a clock of 'hz'; split so that no product exceeds 64 bits. */
static uint64_t us_to_units(uint64_t us, uint32_t hz)
{
    return us / 1000000u * hz + us % 1000000u * hz / 1000000u;
}

void recvstat_init(struct recvstat *stat, uint32_t clock_rate)
{
    memset(stat, 0, sizeof(*stat));
    stat->clock_rate = clock_rate;
    stat->bad_seq = UINT64_MAX;
}

static void start_at(struct recvstat *stat, uint64_t seq)
{
    stat->base_seq = seq;
    stat->max_seq = seq;
    stat->bad_seq = UINT64_MAX;
    stat->n_received = 0;
    stat->expected_prior = 0;
    stat->received_prior = 0;
}

/* A.8, with the estimate kept in sixteenths. */
static void update_jitter(struct recvstat *stat, uint32_t rtp_ts, uint64_t now_us,
                          bool first)
{
    uint32_t transit = (uint32_t)us_to_units(now_us, stat->clock_rate) - rtp_ts;
    int32_t step = (int32_t)(transit - stat->transit);
    uint32_t size = step < 0 ? 0u - (uint32_t)step : (uint32_t)step;

    stat->transit = transit;
    if (!first && size <= (uint64_t)stat->clock_rate * JITTER_MAX_STEP_S) {
        stat->jitter_q4 += size - ((stat->jitter_q4 + 8) >> 4);
    }
}

/* A.1 update_seq, on extended numbers. Returns whether the packet counts. */
static bool update_seq(struct recvstat *stat, uint64_t seq)
{
    bool ahead = seq >= stat->max_seq;
    uint64_t step = ahead ? seq - stat->max_seq : stat->max_seq - seq;

    if (step > (ahead ? RECVSTAT_MAX_DROPOUT : RECVSTAT_MAX_MISORDER)) {
        if (seq != stat->bad_seq) {
            stat->bad_seq = seq + 1;
            return false;
        }
        start_at(stat, seq);
    } else if (ahead) {
        stat->max_seq = seq;
    } else if (seq < stat->base_seq) {
        stat->base_seq = seq; /* reordered before the first: it was expected, too */
    }
    return true;
}

void recvstat_on_packet(struct recvstat *stat, uint64_t seq, uint32_t rtp_ts,
                        uint64_t now_us)
{
    bool first = !stat->started;

    if (first) {
        start_at(stat, seq);
        stat->started = true;
    } else if (!update_seq(stat, seq)) {
        return;
    }
    stat->n_received++;
    update_jitter(stat, rtp_ts, now_us, first);
}

void recvstat_on_sr(struct recvstat *stat, uint64_t ntp, uint64_t now_us)
{
    stat->lsr = (uint32_t)(ntp >> 16);
    stat->sr_at_us = now_us;
    stat->has_sr = true;
}

static uint64_t expected(const struct recvstat *stat)
{
    return stat->started ? stat->max_seq - stat->base_seq + 1 : 0;
}

int64_t recvstat_lost(const struct recvstat *stat)
{
    return (int64_t)(expected(stat) - stat->n_received);
}

uint32_t recvstat_jitter(const struct recvstat *stat)
{
    return stat->jitter_q4 >> 4;
}

bool recvstat_take_block(struct recvstat *stat, uint32_t ssrc, uint64_t now_us,
                         struct rtcp_block *out)
{
    uint64_t expected_now = expected(stat);
    int64_t n_expected = (int64_t)(expected_now - stat->expected_prior);
    int64_t n_lost = n_expected - (int64_t)(stat->n_received - stat->received_prior);
    int64_t lost = recvstat_lost(stat);

    if (!stat->started) {
        return false;
    }
    *out = (struct rtcp_block){
        .ssrc = ssrc,
        .ext_highest_seq = (uint32_t)stat->max_seq,
        .jitter = recvstat_jitter(stat),
        .lost = (int32_t)(lost > LOST_MAX    ? LOST_MAX
                          : lost < -LOST_MAX ? -LOST_MAX
                                             : lost),
    };
    if (n_expected > 0 && n_lost > 0) {
        int64_t fraction = n_lost * 256 / n_expected;

        out->fraction_lost = (uint8_t)(fraction < 255 ? fraction : 255);
    }
    if (stat->has_sr) {
        uint64_t since = us_to_units(now_us - stat->sr_at_us, NTP_FRACTION_HZ);

        out->lsr = stat->lsr;
        out->dlsr = since < UINT32_MAX ? (uint32_t)since : UINT32_MAX;
    }
    stat->expected_prior = expected_now;
    stat->received_prior = stat->n_received;
    return true;
}
