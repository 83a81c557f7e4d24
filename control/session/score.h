/* How well one stream arrives, as a number from 0 (nothing) to 10 (all of it): of the
 * counters of the dataplane, looked at once a second. What was lost and came again does not
 * count as lost, but a little.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef SESSION_SCORE_H
#define SESSION_SCORE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCORE_MAX = 10, SCORE_BAD = 5, SCORE_WARN_AFTER = 2, SCORE_WARN_EVERY = 10 };

/* Since the stream began; whoever starts again below what was seen starts anew. */
struct score_counters {
    uint64_t packets;  /* that arrived, or were sent */
    uint64_t lost;     /* of these, or besides, as the receiver counts */
    uint64_t repaired; /* that came, or were sent, again */
    uint64_t bytes;
    uint64_t keyframes;
    uint32_t rtt_us; /* 0 unknown */
    uint32_t jitter_us;
    bool video;
    bool paused; /* nothing is to come: the score stays */
    bool held;   /* nothing is sent, for the link does not carry it: the score is 0 */
};

/* What the last second was like. */
struct score_detail {
    uint32_t bps;
    float loss;  /* 0..1, before repair */
    bool freeze; /* video that probably stood still: something is missing */
};

/* Zeroed at first. */
struct score {
    struct score_counters last;
    uint8_t value; /* valid once started */
    uint8_t n_bad; /* seconds in sequence below SCORE_BAD */
    bool started;
    bool rtt_bad; /* of the last second: it was the delay */
    bool silent;  /* nothing came, or was sent */
    uint32_t freezes; /* seconds of detail.freeze, since the stream began */
    struct score_detail detail;
};

/* Looks at the counters of one more second; the first look judges nothing and makes it
 * SCORE_MAX. Returns true if the value changed. */
bool score_update(struct score *score, const struct score_counters *now);

/* What to warn of now: "packet_loss", "high_rtt", "no_media", or NULL. Once bad for
 * SCORE_WARN_AFTER seconds, then each SCORE_WARN_EVERY. Call after each update. */
const char *score_warning(const struct score *score);

#endif
