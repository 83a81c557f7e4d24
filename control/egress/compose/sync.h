/* When a frame of one stream is to be seen or heard, on our clock. Within a stream its RTP
 * timestamps count; where they lie is told by the publisher's sender reports (RFC 3550,
 * 6.4.1) and, as its clock is not ours, by the quickest packets of the last half minute;
 * before the first report by the arrival. So streams of one publisher lie to each other as
 * it sent them, and clocks that drift are followed: by steps too small to be noticed, and
 * by a jump only if they are far apart, or timestamps have jumped.
 *
 * Pure: no clock, no I/O. */
#ifndef EGRESS_SYNC_H
#define EGRESS_SYNC_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SYNC_SLEW_US = 2000,      /* a frame may be moved by */
    SYNC_STEP_US = 500000,    /* from here on it is moved at once */
    SYNC_JUMP_US = 2000000,   /* timestamps and arrivals differ by: another source */
    SYNC_WINDOW_US = 15000000 /* the quickest packet is that of one to two of these */
};

/* How far our clock is ahead of another, by the quickest packets. */
struct sync_clock {
    bool known;
    int64_t now_us, before_us; /* in this window, and in the last */
    uint64_t since_us;         /* that this one lasts */
};

struct sync {
    uint32_t hz;
    bool started;
    uint32_t ts;           /* of the last frame */
    int64_t ticks;         /* of the last frame, since the first */
    uint64_t arrival_us;   /* of the last frame */
    struct sync_clock own; /* as if timestamps were a clock */
    bool reported;
    bool stepped;      /* what the first report says holds already */
    int64_t sender_us; /* the first frame, on the publisher's clock */
    int64_t at_us;     /* the first frame, on ours: what is told */
};

void sync_init(struct sync *sync, uint32_t hz);

/* publisher  its clock; shared by its streams
 *
 * Returns when the frame is, in microseconds of our clock. */
int64_t sync_at(struct sync *sync, uint32_t ts, uint64_t arrival_us,
                struct sync_clock *publisher);

/* A sender report: at 'ntp' (32.32) of the publisher its timestamp was 'ts'. May be told
 * again and again. */
void sync_on_report(struct sync *sync, uint64_t ntp, uint32_t ts);

#endif
