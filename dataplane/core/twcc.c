#include "core/twcc.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/seq.h"
#include "sfu/wire/rtcp_twcc.h"

enum { RATED_US = 10000000 }; /* a longer silence says nothing of what comes now */

_Static_assert((TWCC_WINDOW & (TWCC_WINDOW - 1)) == 0, "the window is masked");
_Static_assert((int)TWCC_MAX_PACKET <= (int)TWCC_MAX_DELTA_LEN, "the writer's bound");

static bool is_received(const struct twcc *twcc, uint64_t seq)
{
    return (twcc->received[seq % TWCC_WINDOW / 64] >> seq % 64 & 1) != 0;
}

static void forget(struct twcc *twcc, uint64_t seq)
{
    twcc->received[seq % TWCC_WINDOW / 64] &= ~(UINT64_C(1) << seq % 64);
}

static void remember(struct twcc *twcc, uint64_t seq, uint64_t now_us)
{
    twcc->received[seq % TWCC_WINDOW / 64] |= UINT64_C(1) << seq % 64;
    twcc->arrival[seq % TWCC_WINDOW] = (uint32_t)(now_us / TWCC_TICK_US);
}

void twcc_init(struct twcc *twcc, const struct twcc_conf *conf)
{
    memset(twcc, 0, sizeof(*twcc));
    twcc->deadline_us = UINT64_MAX;
    twcc->least_us = conf->interval_us;
    twcc->most_us = conf->most_us > conf->interval_us ? conf->most_us : conf->interval_us;
    twcc->interval_us = conf->interval_us;
    twcc->max_packets = conf->max_packets;
}

/* Begins with 'seq', without a past. The extension leaves room below for packets that were
 * overtaken by the first one. */
static void start_at(struct twcc *twcc, uint16_t seq)
{
    memset(twcc->received, 0, sizeof(twcc->received));
    twcc->first = UINT64_C(65536) + seq;
    twcc->end = twcc->first;
    twcc->n_new = 0;
    twcc->has_old = false;
    twcc->started = true;
}

/* Moves the window so that 'seq' is its newest number. */
static void advance(struct twcc *twcc, uint64_t seq)
{
    if (seq - twcc->end >= TWCC_WINDOW) {
        /* an outage of more than a window: that all of it is lost says nothing new */
        memset(twcc->received, 0, sizeof(twcc->received));
        twcc->first = seq;
        twcc->n_new = 0;
    } else {
        for (uint64_t i = twcc->end; i <= seq; i++) {
            forget(twcc, i);
        }
    }
    twcc->end = seq + 1;
    if (twcc->end - twcc->first > TWCC_WINDOW) {
        twcc->first = twcc->end - TWCC_WINDOW;
    }
}

int twcc_on_packet(struct twcc *twcc, uint16_t seq, uint64_t now_us)
{
    uint64_t ext;

    if (!twcc->started) {
        start_at(twcc, seq);
    }
    ext = seq16_extend(twcc->end, seq);
    if (ext + TWCC_WINDOW < twcc->end) {
        if (!twcc->has_old || seq != twcc->next_old) {
            twcc->has_old = true;
            twcc->next_old = (uint16_t)(seq + 1);
            return -ERANGE;
        }
        start_at(twcc, seq);
        ext = twcc->end;
    }
    if (ext >= twcc->end) {
        advance(twcc, ext);
    } else if (is_received(twcc, ext)) {
        return -EALREADY;
    } else if (ext < twcc->first) {
        twcc->first = ext; /* what lies between is reported again, which does no harm */
    }
    twcc->has_old = false;
    remember(twcc, ext, now_us);
    twcc->n_new++;
    if (twcc->deadline_us == UINT64_MAX) {
        twcc->deadline_us = now_us + twcc->interval_us;
    }
    if (twcc->n_new >= twcc->max_packets) {
        twcc->deadline_us = now_us < twcc->deadline_us ? now_us : twcc->deadline_us;
    }
    return 0;
}

uint64_t twcc_deadline(const struct twcc *twcc)
{
    return twcc->deadline_us;
}

/* The first number from 'seq' on that arrived. While a deadline is set there is one: the
 * newest always did. */
static uint64_t next_received(const struct twcc *twcc, uint64_t seq)
{
    while (seq + 1 < twcc->end && !is_received(twcc, seq)) {
        seq++;
    }
    return seq;
}

/* A report has gone: how long the next may take, by what came since the last one. */
static void choose_interval(struct twcc *twcc, uint64_t now_us)
{
    const uint64_t since_us = now_us - twcc->rated_us;
    const uint64_t bytes = twcc->bytes > 0 ? twcc->bytes : 1;
    /* in the time that is sought come TWCC_SHARE times the bytes of a report */
    const uint64_t us =
        since_us < RATED_US ? (uint64_t)TWCC_COST * TWCC_SHARE * since_us / bytes : 0;

    if (twcc->rated_us == 0 || us < twcc->least_us) {
        twcc->interval_us = twcc->least_us;
    } else {
        twcc->interval_us = us < twcc->most_us ? (uint32_t)us : twcc->most_us;
    }
    twcc->rated_us = now_us;
    twcc->bytes = 0;
}

size_t twcc_take_feedback(struct twcc *twcc, uint64_t now_us, uint32_t sender_ssrc,
                          uint32_t media_ssrc, uint8_t *buf, size_t cap)
{
    struct twcc_fb_writer x;
    uint64_t seq = twcc->first;
    uint64_t known;
    uint32_t last_tick;
    size_t len;

    if (twcc->deadline_us > now_us) {
        return 0;
    }
    known = next_received(twcc, seq);
    /* deltas start at the reference time, whose unit is a multiple of the tick */
    last_tick = twcc->arrival[known % TWCC_WINDOW] & ~(uint32_t)(TWCC_REF_TICKS - 1);
    twcc_fb_begin(&x, buf, cap < TWCC_MAX_PACKET ? cap : TWCC_MAX_PACKET, sender_ssrc,
                  media_ssrc, (uint16_t)seq, last_tick / TWCC_REF_TICKS, twcc->fb_count);
    for (; seq < twcc->end; seq++) {
        bool received = is_received(twcc, seq);
        uint32_t tick = received ? twcc->arrival[seq % TWCC_WINDOW] : last_tick;

        if (twcc_fb_put(&x, received, (int32_t)(tick - last_tick)) != 0) {
            break;
        }
        last_tick = tick;
    }
    len = twcc_fb_finish(&x);
    if (len == 0) {
        return 0;
    }
    twcc->fb_count++;
    twcc->first = seq;
    if (seq == twcc->end) {
        twcc->n_new = 0;
        twcc->deadline_us = UINT64_MAX;
        choose_interval(twcc, now_us);
    }
    return len;
}
