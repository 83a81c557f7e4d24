/* Merges the key frame requests (PLI, FIR, a new subscriber) for one incoming stream,
 * limits what the sender is asked, and asks again while nothing comes. Its answers become
 * PLIs in rtcp/.
 *
 * Pure: no clock, no allocation, no I/O. RFC 4585, 6.3.1; RFC 5104, 4.3.1. */
#ifndef CORE_KEYFRAME_H
#define CORE_KEYFRAME_H

#include <stdbool.h>
#include <stdint.h>

struct keyframe_conf {
    uint32_t interval_us; /* least time between two requests to the sender: 1000000 */
    uint8_t max_tries;    /* requests sent for one wish before it is given up: 5 */
};

struct keyframe {
    uint64_t deadline_us; /* UINT64_MAX if nothing is wanted */
    uint64_t sent_at_us;
    uint32_t interval_us;
    uint8_t max_tries;
    uint8_t n_tries; /* since the last wish */
    bool has_sent;
};

void keyframe_init(struct keyframe *kf, const struct keyframe_conf *conf); /* borrowed */

/* Somebody needs a key frame. Due at once, or when the limit allows. A wish while another
 * waits is merged into it and renews its tries. */
void keyframe_on_request(struct keyframe *kf, uint64_t now_us);

/* A key frame came (its first packet): nothing is wanted any more. */
void keyframe_on_keyframe(struct keyframe *kf);

/* When keyframe_take_request() can next say yes; UINT64_MAX if never. */
uint64_t keyframe_deadline(const struct keyframe *kf);

/* Whether to ask the sender now. Each yes counts as one request sent. */
bool keyframe_take_request(struct keyframe *kf, uint64_t now_us);

/* What each subscriber may ask of one stream, for a key frame costs all who watch it
 * quality: so many at once, then one a period. It is kept beside the stream, so that who
 * closes its subscription and opens another has what it had left. The places are few: a
 * newcomer gets that of whoever has most left, and that is not who asks too often. Zeroed
 * before the first. */
enum { KEYFRAME_SHARE = 8, KEYFRAME_MERGED_US = 1000000, KEYFRAME_ASKERS = 4 };

struct keyframe_asker {
    uint64_t who; /* 0 nobody */
    uint64_t granted_us;
    uint64_t spent_us; /* until when the share is spent, if all of it was left */
    uint64_t last;     /* key frame when it was granted */
};

struct keyframe_askers {
    uint64_t stream; /* whose key frames these are: those of another are forgotten */
    struct keyframe_asker of[KEYFRAME_ASKERS];
};

struct keyframe_wish {
    uint64_t stream, who; /* not 0 */
    uint64_t last; /* tells the last key frame that came from those before */
    uint32_t period_us;
};

/* Whether a wish is heard. What is asked again before a key frame has come is the same
 * wish, for a second, and costs nothing. */
bool keyframe_askers_take(struct keyframe_askers *askers, const struct keyframe_wish *wish,
                          uint64_t now_us);

#endif
