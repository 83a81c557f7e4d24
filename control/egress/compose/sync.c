#include "egress/compose/sync.h"

void sync_init(struct sync *sync, uint32_t hz)
{
    *sync = (struct sync){.hz = hz};
}

static int64_t us_of(const struct sync *sync, int64_t ticks)
{
    return ticks / sync->hz * 1000000 + ticks % sync->hz * 1000000 / sync->hz;
}

static void note(struct sync_clock *clock, int64_t ahead_us, uint64_t now_us)
{
    if (!clock->known || now_us - clock->since_us >= SYNC_WINDOW_US) {
        clock->before_us = clock->known ? clock->now_us : ahead_us;
        clock->now_us = ahead_us;
        clock->since_us = now_us;
        clock->known = true;
    } else if (ahead_us < clock->now_us) {
        clock->now_us = ahead_us;
    }
}

static int64_t ahead(const struct sync_clock *clock)
{
    return clock->now_us < clock->before_us ? clock->now_us : clock->before_us;
}

/* Another source, or the same with timestamps of its own choice: as if it began. */
static void begin(struct sync *sync, uint32_t ts)
{
    const struct sync fresh = {.hz = sync->hz, .started = true, .ts = ts};

    *sync = fresh;
}

static void follow(struct sync *sync, int64_t wanted_us, bool first)
{
    int64_t differ = wanted_us - sync->at_us;

    if (!first && differ >= -SYNC_STEP_US && differ <= SYNC_STEP_US) {
        differ = differ > SYNC_SLEW_US    ? SYNC_SLEW_US
                 : differ < -SYNC_SLEW_US ? -SYNC_SLEW_US
                                          : differ;
    }
    sync->at_us += differ;
}

int64_t sync_at(struct sync *sync, uint32_t ts, uint64_t arrival_us,
                struct sync_clock *publisher)
{
    int64_t by_ts = us_of(sync, (int32_t)(ts - sync->ts));
    int64_t differ = by_ts - (int64_t)(arrival_us - sync->arrival_us);
    bool first = !sync->started || differ > SYNC_JUMP_US || differ < -SYNC_JUMP_US;
    int64_t media_us;

    if (first) {
        begin(sync, ts);
    }
    sync->ticks += (int32_t)(ts - sync->ts);
    sync->ts = ts;
    sync->arrival_us = arrival_us;
    media_us = us_of(sync, sync->ticks);
    note(&sync->own, (int64_t)arrival_us - media_us, arrival_us);
    if (sync->reported) {
        note(publisher, (int64_t)arrival_us - media_us - sync->sender_us, arrival_us);
        follow(sync, sync->sender_us + ahead(publisher), !sync->stepped);
        sync->stepped = true;
    } else {
        follow(sync, ahead(&sync->own), first);
    }
    return sync->at_us + media_us;
}

void sync_on_report(struct sync *sync, uint64_t ntp, uint32_t ts)
{
    int64_t at_us = (int64_t)(ntp >> 32) * 1000000 +
                    (int64_t)((ntp & UINT32_MAX) * UINT64_C(1000000) >> 32);

    if (sync->started) {
        sync->sender_us = at_us - us_of(sync, sync->ticks + (int32_t)(ts - sync->ts));
        sync->reported = true;
    }
}
