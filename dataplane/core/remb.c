#include "core/remb.h"

#include <string.h>

enum {
    RTT_US = 100000,   /* until it is known */
    REST_US = 1000000, /* nothing came: whatever had queued has drained */
    ALIVE_US = 2000000 /* who sends nothing is told nothing */
};

static const float COME_UP = 2; /* times what arrives: until a queue has ever grown */
static const float FALL = 0.97f;

void remb_init(struct remb *remb)
{
    memset(remb, 0, sizeof(*remb));
    remb->due_us = UINT64_MAX;
    bwe_delay_init(&remb->delay);
    bwe_acked_init(&remb->acked);
    bwe_rate_init(&remb->rate, REMB_START_BPS, REMB_MIN_BPS, (float)REMB_MAX_BPS);
}

/* Seconds in 6.18 fixed point to microseconds; differences are at most half of 64 s. */
static int64_t to_us(int32_t time)
{
    return (int64_t)time * 1000000 / (1 << 18);
}

/* Ends a round: what came in it decides where the rate goes. */
static void end_round(struct remb *remb, uint64_t rtt_us, uint64_t now_us)
{
    enum bwe_usage usage;

    bwe_delay_on_least(&remb->delay, remb->least_us, remb->arrival_us);
    remb->acked.noise_us = bwe_delay_noise(&remb->delay);
    usage = bwe_delay_usage(&remb->delay);
    remb->round_us = now_us;
    remb->least_us = INT64_MAX;
    if (remb->acked.bps <= 0) {
        return; /* too early to tell */
    }
    (void)bwe_rate_update(&remb->rate, usage, remb->acked.bps,
                          rtt_us != 0 ? rtt_us : RTT_US, false, now_us);
    if (usage == BWE_NORMAL && remb->rate.decreased_us == 0 &&
        COME_UP * remb->acked.bps > remb->rate.bps) {
        bwe_rate_set(&remb->rate, COME_UP * remb->acked.bps, now_us);
    }
    if (remb->told_bps == 0 || remb->rate.bps < FALL * (float)remb->told_bps) {
        remb->due_us = now_us;
    }
}

void remb_on_packet(struct remb *remb, uint32_t send_time, uint32_t len, uint64_t rtt_us,
                    uint64_t now_us)
{
    if (!remb->started) {
        remb->started = true;
        remb->last_time = send_time;
        remb->least_us = INT64_MAX;
        remb->round_us = now_us;
        remb->arrival_us = (int64_t)now_us;
    }
    if (now_us - (uint64_t)remb->arrival_us > REST_US) {
        bwe_delay_rest(&remb->delay);
    }
    remb->send_us += to_us((int32_t)((send_time - remb->last_time) << 8) >> 8);
    remb->last_time = send_time;
    remb->arrival_us = (int64_t)now_us;
    if (remb->arrival_us - remb->send_us < remb->least_us) {
        remb->least_us = remb->arrival_us - remb->send_us;
    }
    bwe_delay_on_packet(&remb->delay, remb->send_us, remb->arrival_us);
    bwe_acked_on_packet(&remb->acked, remb->arrival_us, len);
    if (now_us - remb->round_us >= REMB_ROUND_US) {
        end_round(remb, rtt_us, now_us);
    }
}

uint32_t remb_take(struct remb *remb, uint64_t now_us)
{
    if (now_us < remb->due_us) {
        return 0;
    }
    if (now_us - (uint64_t)remb->arrival_us > ALIVE_US) {
        remb->due_us = UINT64_MAX;
        remb->told_bps = 0; /* who comes back is told at once */
        return 0;
    }
    remb->due_us = now_us + REMB_INTERVAL_US;
    remb->told_bps = (uint32_t)remb->rate.bps;
    return remb->told_bps;
}
