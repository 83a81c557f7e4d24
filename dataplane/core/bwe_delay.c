#include "core/bwe_delay.h"

#include <string.h>

enum {
    GROUP_US = 5000,
    BUNCH_US = 5000,       /* packets that arrive this close may be one bunch of the path */
    MAX_BUNCH_US = 100000, /* which is no longer than this */
    MAX_SWAPPED = 3,
    MAX_DELTAS = 1000,
    FULL_DELTAS = 60, /* the slope counts in full from here on */
    MAX_NOISE_US = 1000000
};

_Static_assert(BWE_TREND_GROUPS % 4 == 0, "none is left over");

/* Figures of the trend line as everybody uses them: see the draft, section 5.4, and the
 * defaults of libwebrtc, which senders on the other side have too. */
static const double SMOOTHING = 0.9;
static const float MS = 1e-3f; /* of microseconds */
static const float GAIN = 4.0f;
static const float OVER_MS = 10.0f;
static const float FIRST_THRESHOLD_MS = 12.5f;
static const float LEAST_THRESHOLD_MS = 6.0f;
static const float MOST_THRESHOLD_MS = 600.0f;
static const float K_UP = 0.0087f;
static const float K_DOWN = 0.039f;
static const float QUEUED_US = 15000, MOST_QUEUED_US = 80000;
static const int64_t FREE_US = 5000;
static const float NOISE_GAIN = 0.04f, NOISE_SHARE = 3;
static const float SPIKE_MS = 15.0f; /* above the threshold: not adapted to */

void bwe_delay_init(struct bwe_delay *delay)
{
    memset(delay, 0, sizeof(*delay));
    delay->threshold_ms = FIRST_THRESHOLD_MS;
}

/* Four at once: of a sum each addition waits for the one before. */
typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));

static float sum_of(floats x)
{
    return (x[0] + x[1]) + (x[2] + x[3]);
}

/* Least squares over the points; 0 if they all came at once. From the last point on, so
 * that what is squared is small. */
static float slope_of(const struct bwe_delay *delay)
{
    const unsigned last = (delay->at + BWE_TREND_GROUPS - 1u) % BWE_TREND_GROUPS;
    const int32_t last_us = (int32_t)delay->arrival_us[last];
    floats x = {0}, y = {0}, xx = {0}, xy = {0};
    float above, below;

    for (unsigned i = 0; i < BWE_TREND_GROUPS; i += 4) {
        ints at;
        floats after_us, more_ms;

        memcpy(&at, &delay->arrival_us[i], sizeof(at));
        memcpy(&more_ms, &delay->delay_ms[i], sizeof(more_ms));
        after_us = __builtin_convertvector(at - last_us, floats);
        more_ms -= delay->delay_ms[last];
        x += after_us;
        y += more_ms;
        xx += after_us * after_us;
        xy += after_us * more_ms;
    }
    above = sum_of(xy) - sum_of(x) * sum_of(y) / BWE_TREND_GROUPS;
    below = sum_of(xx) - sum_of(x) * sum_of(x) / BWE_TREND_GROUPS;
    return below > 0 ? 1000 * above / below : 0;
}

static float magnitude(float x)
{
    return x < 0 ? -x : x;
}

static void adapt_threshold(struct bwe_delay *delay, float trend_ms, int64_t now_us)
{
    const float over = magnitude(trend_ms) - delay->threshold_ms;
    float since_ms = (float)(now_us - delay->threshold_at_us) * MS;

    delay->threshold_at_us = now_us;
    if (over > SPIKE_MS) {
        return;
    }
    if (since_ms < 0 || since_ms > 100) {
        since_ms = 100;
    }
    delay->threshold_ms += (over < 0 ? K_DOWN : K_UP) * over * since_ms;
    if (delay->threshold_ms < LEAST_THRESHOLD_MS) {
        delay->threshold_ms = LEAST_THRESHOLD_MS;
    } else if (delay->threshold_ms > MOST_THRESHOLD_MS) {
        delay->threshold_ms = MOST_THRESHOLD_MS;
    }
}

static void detect(struct bwe_delay *delay, float slope, float sent_ms, int64_t now_us)
{
    const uint32_t n = delay->n_deltas < FULL_DELTAS ? delay->n_deltas : FULL_DELTAS;
    const float trend_ms = (float)n * slope * GAIN;

    if (delay->n_deltas < 2) {
        return;
    }
    if (trend_ms > delay->threshold_ms) {
        delay->over_ms += delay->n_over == 0 ? sent_ms / 2 : sent_ms;
        delay->n_over = (uint8_t)(delay->n_over + (delay->n_over < UINT8_MAX));
        if (delay->over_ms > OVER_MS && delay->n_over > 1 && slope >= delay->slope) {
            delay->usage = BWE_OVERUSE;
        }
    } else {
        delay->over_ms = 0;
        delay->n_over = 0;
        delay->usage = trend_ms < -delay->threshold_ms ? BWE_UNDERUSE : BWE_NORMAL;
    }
    delay->slope = slope;
    adapt_threshold(delay, trend_ms, now_us);
}

/* 'delay->group' is complete: compares it with the one before. */
static void end_group(struct bwe_delay *delay)
{
    const struct bwe_group *a = &delay->before, *b = &delay->group;
    const int64_t sent_us = b->last_send_us - a->last_send_us;
    const int64_t arrived_us = b->last_arrival_us - a->last_arrival_us;
    const float was = delay->slope;

    if (arrived_us < 0) {
        if (++delay->n_swapped >= MAX_SWAPPED) {
            delay->has_before = false;
            delay->n_swapped = 0;
        }
        return;
    }
    delay->n_swapped = 0;
    delay->n_deltas += delay->n_deltas < MAX_DELTAS;
    delay->sum_ms += (double)(arrived_us - sent_us) * 1e-3;
    delay->smooth_ms = SMOOTHING * delay->smooth_ms + (1 - SMOOTHING) * delay->sum_ms;
    delay->arrival_us[delay->at] = (uint32_t)b->last_arrival_us;
    delay->delay_ms[delay->at] = (float)delay->smooth_ms;
    delay->at = (uint8_t)((delay->at + 1) % BWE_TREND_GROUPS);
    delay->n_points = (uint8_t)(delay->n_points + (delay->n_points < BWE_TREND_GROUPS));
    detect(delay, delay->n_points == BWE_TREND_GROUPS ? slope_of(delay) : was,
           (float)sent_us * MS, b->last_arrival_us);
}

/* The path may have held a packet back so that it came together with what was before it:
 * that says nothing about the rate. */
static bool is_bunched(const struct bwe_group *group, int64_t send_us, int64_t arrival_us)
{
    const int64_t arrived_us = arrival_us - group->last_arrival_us;

    return arrived_us - (send_us - group->last_send_us) < 0 && arrived_us <= BUNCH_US &&
           arrival_us - group->first_arrival_us < MAX_BUNCH_US;
}

void bwe_delay_on_packet(struct bwe_delay *delay, int64_t send_us, int64_t arrival_us)
{
    struct bwe_group *group = &delay->group;

    if (delay->has_group && send_us < group->first_send_us) {
        return;
    }
    if (delay->has_group && (send_us - group->first_send_us <= GROUP_US ||
                             is_bunched(group, send_us, arrival_us))) {
        group->last_send_us = send_us > group->last_send_us ? send_us : group->last_send_us;
        group->last_arrival_us =
            arrival_us > group->last_arrival_us ? arrival_us : group->last_arrival_us;
        return;
    }
    if (delay->has_group) {
        if (delay->has_before) {
            end_group(delay);
        }
        delay->before = *group;
        delay->has_before = true;
    }
    *group = (struct bwe_group){.first_send_us = send_us,
                                .last_send_us = send_us,
                                .first_arrival_us = arrival_us,
                                .last_arrival_us = arrival_us};
    delay->has_group = true;
}

/* The least of 'queue_us' over the feedbacks of the last BWE_STANDING_US, this one
 * included. */
static int64_t standing_of(struct bwe_delay *delay, int64_t arrival_us)
{
    int64_t least_us = delay->queue_us;

    for (unsigned i = 0; i < delay->n_least; i++) {
        if (arrival_us - delay->least_at_us[i] < BWE_STANDING_US &&
            delay->least_us[i] < least_us) {
            least_us = delay->least_us[i];
        }
    }
    delay->least_us[delay->least_at] = delay->queue_us;
    delay->least_at_us[delay->least_at] = arrival_us;
    delay->least_at = (uint8_t)((delay->least_at + 1) % BWE_STANDING);
    delay->n_least = (uint8_t)(delay->n_least + (delay->n_least < BWE_STANDING));
    return least_us;
}

void bwe_delay_on_least(struct bwe_delay *delay, int64_t way_us, int64_t arrival_us)
{
    int64_t base_us;
    float off_us;

    if (!delay->has_base || arrival_us - delay->span_at_us > BWE_BASE_SPAN_US) {
        delay->base_us[1] = delay->has_base ? delay->base_us[0] : way_us;
        delay->base_us[0] = way_us;
        delay->span_at_us = arrival_us;
        delay->has_base = true;
    }
    if (way_us < delay->base_us[0]) {
        delay->base_us[0] = way_us;
    }
    base_us = delay->base_us[0] < delay->base_us[1] ? delay->base_us[0] : delay->base_us[1];
    delay->queue_us = way_us - base_us;
    delay->standing_us = standing_of(delay, arrival_us);
    off_us = (float)delay->queue_us - delay->mean_us;
    delay->mean_us += NOISE_GAIN * off_us;
    delay->noise_us += NOISE_GAIN * (magnitude(off_us) - delay->noise_us);
}

void bwe_delay_rest(struct bwe_delay *delay)
{
    delay->has_group = delay->has_before = false;
    delay->usage = BWE_NORMAL;
    delay->over_ms = 0;
    delay->n_over = 0;
    delay->n_points = 0;
    delay->slope = 0;
    delay->queue_us = delay->standing_us = 0;
    delay->n_least = 0;
}

bool bwe_delay_is_queued(const struct bwe_delay *delay)
{
    const float most_us = QUEUED_US + NOISE_SHARE * delay->noise_us;

    return (float)delay->standing_us >
           (most_us < MOST_QUEUED_US ? most_us : MOST_QUEUED_US);
}

bool bwe_delay_is_free(const struct bwe_delay *delay)
{
    return delay->standing_us < FREE_US;
}

/* Whether the queue is much shorter than a moment ago: few packets tell so sooner than the
 * slope over twenty groups does. */
static bool is_draining(const struct bwe_delay *delay)
{
    const unsigned last = (delay->least_at + BWE_STANDING - 1u) % BWE_STANDING;

    for (unsigned i = 0; i < delay->n_least; i++) {
        if (delay->least_at_us[last] - delay->least_at_us[i] < BWE_DRAIN_US &&
            delay->queue_us < delay->least_us[i] / 4 * 3) {
            return true;
        }
    }
    return false;
}

enum bwe_usage bwe_delay_usage(const struct bwe_delay *delay)
{
    if (delay->usage == BWE_OVERUSE && !bwe_delay_is_queued(delay)) {
        return bwe_delay_is_free(delay) ? BWE_NORMAL : BWE_UNDERUSE;
    }
    if (delay->usage == BWE_OVERUSE && is_draining(delay)) {
        return BWE_UNDERUSE;
    }
    return (enum bwe_usage)delay->usage;
}

uint32_t bwe_delay_noise(const struct bwe_delay *delay)
{
    if (bwe_delay_is_queued(delay)) {
        return 0;
    }
    return delay->noise_us < MAX_NOISE_US ? (uint32_t)delay->noise_us : MAX_NOISE_US;
}
