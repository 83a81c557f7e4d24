#include "egress/track/timeline.h"

enum {
    JUMP_US = 2000000
}; /* what timestamps and arrivals may differ by from one to the next */

void timeline_init(struct timeline *t, uint32_t hz)
{
    *t = (struct timeline){.hz = hz};
}

static int64_t us_of(const struct timeline *t, int64_t ticks)
{
    return ticks / t->hz * 1000000 + ticks % t->hz * 1000000 / t->hz;
}

int64_t timeline_at(struct timeline *t, uint32_t ts, uint64_t arrival_us,
                    struct timeline_clock *clock)
{
    int64_t by_ts = (int32_t)(ts - t->ts);
    int64_t by_arrival = (int64_t)(arrival_us - t->arrival_us);
    int64_t differ;

    if (!t->started) {
        t->started = true;
        t->first_us = arrival_us;
        by_ts = by_arrival = 0;
    }
    differ = us_of(t, by_ts) - by_arrival;
    if (differ > JUMP_US || differ < -JUMP_US) {
        by_ts = by_arrival > 0 ? by_arrival * t->hz / 1000000 : 0;
    }
    t->ticks += by_ts;
    t->ts = ts;
    t->arrival_us = arrival_us;
    if (t->reported) {
        int64_t ahead = (int64_t)arrival_us - (t->start_us + us_of(t, t->ticks));

        if (!clock->known || ahead < clock->ahead_us) {
            clock->ahead_us = ahead;
            clock->known = true;
        }
    }
    return t->ticks;
}

void timeline_on_report(struct timeline *t, uint64_t ntp, uint32_t ts)
{
    int64_t at_us = (int64_t)(ntp >> 32) * 1000000 +
                    (int64_t)((ntp & UINT32_MAX) * UINT64_C(1000000) >> 32);

    if (t->started && !t->reported) {
        t->start_us = at_us - us_of(t, t->ticks + (int32_t)(ts - t->ts));
        t->reported = true;
    }
}

int64_t timeline_start(const struct timeline *t, const struct timeline_clock *clock,
                       uint64_t zero_us)
{
    return t->reported && clock->known ? t->start_us + clock->ahead_us - (int64_t)zero_us
                                       : (int64_t)(t->first_us - zero_us);
}
