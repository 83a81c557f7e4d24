/* When a frame of one stream is, and where the stream lies on the clock of the whole
 * recording. Within a stream its RTP timestamps count; a jump of them that the arrivals do
 * not share (another source) is closed up. Between streams of one publisher its sender
 * reports (RFC 3550, 6.4.1) count, between publishers the quickest packets; before the
 * first report the arrival.
 *
 * Pure: no clock, no I/O. */
#ifndef EGRESS_TIMELINE_H
#define EGRESS_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of a publisher's clock. Shared by its streams. */
struct timeline_clock {
    bool known;
    int64_t ahead_us; /* ours minus the publisher's, by the quickest packet so far */
};

struct timeline {
    uint32_t hz;
    bool started;
    uint32_t ts;         /* of the last frame */
    int64_t ticks;       /* of the last frame, since the first */
    uint64_t arrival_us; /* of the last frame */
    uint64_t first_us;   /* arrival of the first */
    bool reported;
    int64_t start_us; /* the first frame on the publisher's clock */
};

void timeline_init(struct timeline *t, uint32_t hz);

/* Ticks of 1/hz since the first frame. */
int64_t timeline_at(struct timeline *t, uint32_t ts, uint64_t arrival_us,
                    struct timeline_clock *clock);

/* A sender report: at 'ntp' (32.32) of the publisher its timestamp was 'ts'. Only once
 * there was a frame; the first one counts. */
void timeline_on_report(struct timeline *t, uint64_t ntp, uint32_t ts);

/* The first frame, in microseconds since 'zero_us' of our clock. */
int64_t timeline_start(const struct timeline *t, const struct timeline_clock *clock,
                       uint64_t zero_us);

#endif
