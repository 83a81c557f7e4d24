/* What arrival times say about a path: are queues growing? Packets that were sent together
 * make a group; how much further apart two groups arrive than they were sent is added up,
 * and the slope of that sum is compared with a threshold that adapts to the path, so that a
 * competing TCP flow does not starve us. Part of core/bwe.
 *
 * Pure: no clock, no allocation. Times are microseconds of two clocks, sender's and
 * receiver's, of which only differences are used.
 * draft-ietf-rmcat-gcc-02, sections 5.2 to 5.4 (with a trend line for the filter). */
#ifndef CORE_BWE_DELAY_H
#define CORE_BWE_DELAY_H

#include <stdbool.h>
#include <stdint.h>

enum bwe_usage { BWE_NORMAL, BWE_OVERUSE, BWE_UNDERUSE };

enum {
    BWE_TREND_GROUPS = 20,       /* groups that the slope is taken over */
    BWE_BASE_SPAN_US = 15000000, /* the least delay of one to two of these is "no queue" */
    BWE_STANDING_US = 200000,    /* a queue that is never short for this long is one */
    BWE_DRAIN_US = 400000,       /* a queue that was longer within this drains */
    BWE_STANDING = 8             /* feedbacks in that time that are remembered */
};

/* Packets sent within 5 ms, or that the path itself had bunched up. */
struct bwe_group {
    int64_t first_send_us, last_send_us;
    int64_t first_arrival_us, last_arrival_us;
};

struct bwe_delay {
    struct bwe_group group, before;
    bool has_group, has_before;
    uint8_t usage; /* enum bwe_usage */
    uint8_t n_points, at;
    uint8_t n_over;    /* groups in sequence above the threshold */
    uint8_t n_swapped; /* groups in sequence that arrived before the one before */
    uint32_t n_deltas; /* saturates */
    float over_ms;     /* since when the slope is above the threshold */
    float slope;
    float threshold_ms;
    int64_t threshold_at_us;
    double sum_ms; /* of how much later each group came than the one before it */
    double smooth_ms;
    uint32_t arrival_us[BWE_TREND_GROUPS]; /* low bits */
    float delay_ms[BWE_TREND_GROUPS];

    /* how long packets are under way, more than the least that was seen */
    bool has_base;
    int64_t base_us[2]; /* arrival - sending: of this span, of the last one */
    int64_t span_at_us;
    int64_t queue_us;
    float mean_us, noise_us; /* of queue_us, and how far it is off that, in the mean */

    /* the least of queue_us of late: what a processor that is busy elsewhere, at either
     * end, adds to some packets is not in it */
    int64_t standing_us;
    int64_t least_us[BWE_STANDING], least_at_us[BWE_STANDING];
    uint8_t n_least, least_at;
};

void bwe_delay_init(struct bwe_delay *delay);

/* Notes a packet that arrived; in the order of sending. Packets of a group that was left
 * already are ignored. */
void bwe_delay_on_packet(struct bwe_delay *delay, int64_t send_us, int64_t arrival_us);

/* Notes the least time under way (arrival - sending) among the packets of one feedback,
 * and works out 'queue_us' from it: the time spent in queues, jitter left out; and
 * 'standing_us', the least of that of late. */
void bwe_delay_on_least(struct bwe_delay *delay, int64_t way_us, int64_t arrival_us);

/* Nothing was sent for so long that whatever had queued has drained: what was found of that
 * is no longer true. What was learnt of the path stays. */
void bwe_delay_rest(struct bwe_delay *delay);

/* Whether so much waits in queues that it cannot be the path's noise: only then is overuse
 * a reason to send less. */
bool bwe_delay_is_queued(const struct bwe_delay *delay);

/* Whether queues were as good as empty of late, whatever the trend says. */
bool bwe_delay_is_free(const struct bwe_delay *delay);

/* What the rate is to follow. Overuse within the path's noise only ends the increase;
 * without a queue it is none: a receiver, or a sender, whose processor was busy elsewhere.
 */
enum bwe_usage bwe_delay_usage(const struct bwe_delay *delay);

/* The noise of arrival times, in microseconds. What queues grow by is none; and arrivals
 * may be any nonsense. */
uint32_t bwe_delay_noise(const struct bwe_delay *delay);

#endif
