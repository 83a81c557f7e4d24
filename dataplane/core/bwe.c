#include "core/bwe.h"

#include <string.h>

#include "sfu/base/least.h"
#include "sfu/base/seq.h"
#include "sfu/wire/rtcp_twcc.h"

enum {
    REMB_LIFE_US = 10000000, /* a REMB holds that long, beside feedback */
    WINDOW_US = 300000,      /* over which the rate of sending is taken */
    SILENCE_US = 450000, /* and two round trips without an answer: the rate is lowered … */
    STILL_US = 250000,   /* … and again after this and one more, until one comes … */
    SILENT_PACKETS = 8,  /* … if so many were sent: fewer may just be lost */
    ANSWERED_US = 1500000, /* feedback is no older than that where all is calm */
    DRAIN_US = 4000000,    /* after a decrease queues are emptied for this long at most */
    REST_US = 1000000,     /* nothing sent that feedback could be about: queues are empty */
    QUEUE_OK_US = 50000,
    QUEUE_SPAN_US = 400000,
    REAL_QUEUE_US = 100000, /* what arrives meanwhile is what the link carries */
    WAS_LIMITED_US = 1000000,
    CALM_US = 700000, /* after a decrease no probe */
    MAX_PROBE_QUEUE_US = 120000
};

static const float LIMITED = 0.7f; /* of the target: less is sent, so it proves nothing */
static const float LITTLE_LOSS = 0.02f;
static const float MAX_DRAIN = 0.5f;
static const float SILENT = 0.5f;
static const float STILL_SILENT = 0.25f;
static const float FELL = 0.9f; /* times a REMB of before: its sender has seen a queue */

void bwe_init(struct bwe *bwe, const struct bwe_conf *conf)
{
    const float min_bps = (float)conf->min_bps, max_bps = (float)conf->max_bps;

    memset(bwe, 0, sizeof(*bwe));
    bwe->conf = *conf;
    bwe->rtt_us = 100000;
    bwe->target_bps = (float)conf->start_bps;
    bwe_delay_init(&bwe->delay);
    bwe_acked_init(&bwe->acked);
    bwe_rate_init(&bwe->rate, (float)conf->start_bps, min_bps, max_bps);
    bwe_loss_init(&bwe->loss, min_bps, max_bps);
    bwe_probe_init(&bwe->probe);
}

/* After a decrease a queue is left that the link works off with what is spared: the rate
 * stays a bit lower until it has. Not for long: a queue that stays is somebody else's. */
static float drain_of(const struct bwe *bwe, uint64_t now_us)
{
    float share;

    if (bwe->rate.decreased_us == 0 || now_us - bwe->rate.decreased_us > DRAIN_US ||
        bwe->delay.queue_us <= QUEUE_OK_US) {
        return 1;
    }
    share = (float)(bwe->delay.queue_us - QUEUE_OK_US) / QUEUE_SPAN_US;
    return 1 - (share < MAX_DRAIN ? share : MAX_DRAIN);
}

static bool settle(struct bwe *bwe, uint64_t now_us)
{
    const float was = bwe->target_bps;
    float bps = bwe->rate.bps * drain_of(bwe, now_us);

    bps = bps < bwe->loss.bps ? bps : bwe->loss.bps;
    if (bwe->remb_us != 0 && bwe->feedback_us == 0) {
        /* without transport-cc it is all that is known: who is sent nothing says nothing
         * new, and what was true remains so until it is tried (core/trial) */
        bps = bwe->remb_bps > bwe->shown_bps ? bwe->remb_bps : bwe->shown_bps;
        bps = bps < bwe->loss.bps ? bps : bwe->loss.bps;
    } else if (bwe->remb_us != 0 && now_us - bwe->remb_us < REMB_LIFE_US) {
        bps = bwe->remb_bps < bps ? bwe->remb_bps : bps;
    }
    bps = bps > (float)bwe->conf.min_bps ? bps : (float)bwe->conf.min_bps;
    bps = bps < (float)bwe->conf.max_bps ? bps : (float)bwe->conf.max_bps;
    bps = bwe->silent && bps > was ? was
                                   : bps; /* a queue that seems to drain proves nothing */
    bwe->target_bps = bps;
    return bps > was || bps < was;
}

static struct bwe_probe_view view_of(const struct bwe *bwe, uint64_t tx_bytes,
                                     uint64_t next, uint64_t now_us)
{
    const uint64_t fell_us = bwe->rate.decreased_us;

    return (struct bwe_probe_view){
        .estimate_bps = bwe->target_bps,
        .wanted_bps = bwe->wanted_bps,
        .start_bps = (float)bwe->conf.start_bps,
        .besides_bps = bwe->besides_bps,
        .healthy = (bwe->delay.usage != BWE_OVERUSE ||
                    bwe_delay_usage(&bwe->delay) == BWE_NORMAL) &&
                   bwe->delay.queue_us < MAX_PROBE_QUEUE_US &&
                   (fell_us == 0 || now_us - fell_us > CALM_US),
        .tx_bytes = tx_bytes,
        .next_number = next,
    };
}

/* Whether little was sent just now, so that what arrives is not what the link carries. */
static bool was_limited(const struct bwe *bwe, uint64_t now_us)
{
    return bwe->limited ||
           (bwe->limited_us != 0 && now_us - bwe->limited_us < WAS_LIMITED_US);
}

/* ---- feedback ---- */

/* One message on its way through the estimator. */
struct reading {
    uint64_t next;     /* number of the next packet */
    uint64_t expected; /* the first number not looked at yet */
    uint64_t now_us;
    uint32_t n, n_lost;
    int64_t arrival_us;
    int64_t least_us; /* under way; INT64_MAX none */
    int64_t last_send_us;
};

/* The record of 'number', or NULL if it is not of this life or too old. */
static struct bwe_sent *find(struct bwe *bwe, uint64_t number, uint64_t next)
{
    struct bwe_sent *sent = &bwe->sent[number % BWE_HISTORY];

    if (number >= next || next - number > BWE_HISTORY || sent->len == 0) {
        return NULL;
    }
    return sent;
}

/* All that the message passed over did not arrive. */
static void on_gap(struct bwe *bwe, struct reading *r, uint64_t to)
{
    uint64_t from = r->expected;

    if (to > r->next) {
        to = r->next;
    }
    from = from > bwe->route_next ? from : bwe->route_next;
    if (r->next - from > BWE_HISTORY && from < r->next) {
        from = r->next - BWE_HISTORY;
    }
    for (; from < to; from++) {
        struct bwe_sent *sent = find(bwe, from, r->next);

        if (sent != NULL && sent->state == BWE_SENT) {
            sent->state = BWE_LOST;
            r->n++;
            r->n_lost++;
        }
    }
}

static void on_arrival(struct bwe *bwe, struct reading *r, uint64_t number)
{
    struct bwe_sent *sent = find(bwe, number, r->next);
    int64_t send_us;

    if (sent == NULL) {
        bwe->n_unknown++;
        return;
    }
    if (sent->state == BWE_ARRIVED || number < bwe->route_next) {
        return;
    }
    if (sent->state == BWE_SENT) {
        r->n++;
    } else if (r->n_lost > 0) {
        r->n_lost--; /* it was late, not lost */
    }
    sent->state = BWE_ARRIVED;
    send_us = (int64_t)(r->now_us - (uint32_t)((uint32_t)r->now_us - sent->time_us));
    if (r->arrival_us - send_us < r->least_us) {
        r->least_us = r->arrival_us - send_us;
    }
    r->last_send_us = send_us > r->last_send_us ? send_us : r->last_send_us;
    bwe_delay_on_packet(&bwe->delay, send_us, r->arrival_us);
    bwe_acked_on_packet(&bwe->acked, r->arrival_us, sent->len);
    bwe_probe_on_packet(&bwe->probe, number, send_us, r->arrival_us, sent->len);
}

/* The message's reference time, its 24 bits extended. */
static int64_t ref_of(struct bwe *bwe, uint32_t ref_time)
{
    int64_t last = bwe->ref_ticks / TWCC_REF_TICKS;
    int32_t step = (int32_t)((ref_time - (uint32_t)last) << 8) >> 8;

    if (!bwe->has_ref) {
        bwe->has_ref = true;
        /* room below for steps back */
        bwe->ref_ticks = ((INT64_C(1) << 24) + ref_time) * TWCC_REF_TICKS;
    } else {
        bwe->ref_ticks += (int64_t)step * TWCC_REF_TICKS;
    }
    return bwe->ref_ticks;
}

static void read_all(struct bwe *bwe, struct twcc_fb *fb, struct reading *r)
{
    struct twcc_arrival arrival;
    uint64_t base = seq16_extend(r->next, fb->base_seq);
    int64_t ticks = ref_of(bwe, fb->ref_time);

    r->expected = base;
    while (twcc_fb_next(fb, &arrival)) {
        uint64_t number = base + (uint16_t)(arrival.seq - fb->base_seq);

        ticks += arrival.delta_ticks;
        r->arrival_us = ticks * TWCC_TICK_US;
        on_gap(bwe, r, number);
        on_arrival(bwe, r, number);
        r->expected = number + 1;
    }
    on_gap(bwe, r, base + fb->n_status);
    r->expected = base + fb->n_status;
    bwe->told_next = r->expected;
}

/* Too many messages cost the others time: what is over the limit is not looked at. */
static bool is_welcome(struct bwe *bwe, uint64_t now_us)
{
    if (now_us - bwe->reports_us > 100000) {
        bwe->reports_us = now_us;
        bwe->n_reports = 0;
    }
    if (bwe->n_reports >= BWE_MAX_REPORTS) {
        bwe->n_ignored++;
        return false;
    }
    bwe->n_reports++;
    return true;
}

/* What arrives without a queue and without loss gets through, whether or not a probe has
 * shown it: the rate is not below. */
static void raise_to_arriving(struct bwe *bwe, uint64_t now_us)
{
    const float arrives_bps = bwe->acked.bps + bwe->besides_bps;
    const float bps = arrives_bps < bwe->sent_bps ? arrives_bps : bwe->sent_bps;

    if (bps > bwe->rate.bps && bwe->loss.share < LITTLE_LOSS &&
        !bwe_delay_is_queued(&bwe->delay)) {
        bwe_rate_set(&bwe->rate, bps, now_us);
    }
}

static void update_rate(struct bwe *bwe, const struct reading *r)
{
    const float was = bwe->rate.bps;
    const enum bwe_usage usage = bwe_delay_usage(&bwe->delay);
    const bool stepped = usage == BWE_OVERUSE && was_limited(bwe, r->now_us);
    const bool limited = usage == BWE_OVERUSE
                             ? stepped && bwe->delay.queue_us < REAL_QUEUE_US
                             : bwe->limited;
    /* the mean may still be that of the little that was sent before the queue grew */
    const float told_bps = stepped ? bwe_acked_most(&bwe->acked) : bwe->acked.bps;
    const float acked_bps = told_bps > 0 ? told_bps + bwe->besides_bps : 0;
    struct bwe_probe_view view = view_of(bwe, 0, r->next, r->now_us);
    float shown = bwe_probe_result(&bwe->probe, r->expected, &view, r->now_us);

    if (bwe_rate_update(&bwe->rate, usage, acked_bps, bwe->rtt_us, limited, r->now_us)) {
        bwe_probe_on_drop(&bwe->probe, was, bwe->rate.bps, r->now_us);
    } else if (shown > bwe->rate.bps && usage != BWE_OVERUSE) {
        bwe_rate_set(&bwe->rate, shown, r->now_us);
    }
    if (usage == BWE_NORMAL) {
        raise_to_arriving(bwe, r->now_us);
    }
    if (shown > 0) {
        bwe_loss_on_probe(&bwe->loss, shown);
    }
}

static float rate_of_sending(const struct bwe *bwe)
{
    return bwe->sent_bps > 0 && bwe->sent_bps < bwe->target_bps ? bwe->sent_bps
                                                                : bwe->target_bps;
}

bool bwe_on_feedback(struct bwe *bwe, struct twcc_fb *fb, uint64_t next, uint64_t now_us)
{
    struct reading r = {
        .next = next, .now_us = now_us, .least_us = INT64_MAX, .last_send_us = -1};

    if (!is_welcome(bwe, now_us)) {
        return false;
    }
    read_all(bwe, fb, &r);
    if (r.n == 0) {
        return false;
    }
    bwe->feedback_us = now_us;
    if (r.n_lost <= r.n / 2) { /* else it was by chance that one arrived */
        bwe->unanswered_us = 0;
        bwe->silent = false;
        bwe->seen_next = next;
    }
    bwe->n_lost += r.n_lost;
    if (r.last_send_us >= 0) {
        int64_t rtt_us = (int64_t)now_us - r.last_send_us;

        bwe->rtt_us =
            (7 * bwe->rtt_us + (uint64_t)(rtt_us < 3000000 ? rtt_us : 3000000)) / 8;
        bwe_delay_on_least(&bwe->delay, r.least_us, r.arrival_us);
        bwe->acked.noise_us = bwe_delay_noise(&bwe->delay);
    }
    bwe_loss_on_feedback(&bwe->loss, r.n, r.n_lost, rate_of_sending(bwe), bwe->rtt_us,
                         now_us);
    update_rate(bwe, &r);
    return settle(bwe, now_us);
}

bool bwe_on_remb(struct bwe *bwe, uint64_t bps, uint64_t now_us)
{
    const struct bwe_conf *conf = &bwe->conf;

    bps = bps < conf->min_bps ? conf->min_bps : bps > conf->max_bps ? conf->max_bps : bps;
    bwe->remb_bps = (float)bps;
    bwe->remb_us = now_us;
    bwe->most_bps = bwe->most_bps > bwe->remb_bps ? bwe->most_bps : bwe->remb_bps;
    if (bwe->remb_bps < FELL * bwe->most_bps) {
        bwe->shown_bps = 0;
    }
    return settle(bwe, now_us);
}

bool bwe_on_report(struct bwe *bwe, uint32_t n, uint32_t n_lost, uint64_t now_us)
{
    const uint64_t fell_us = bwe->loss.decreased_us;

    if (bwe->feedback_us != 0 || bwe->remb_us == 0 || n == 0) {
        return false;
    }
    bwe_loss_on_feedback(&bwe->loss, n, n_lost < n ? n_lost : n, rate_of_sending(bwe),
                         bwe->rtt_us, now_us);
    if (bwe->loss.decreased_us != fell_us) {
        bwe->shown_bps = 0;
    }
    return settle(bwe, now_us);
}

void bwe_on_shown(struct bwe *bwe, uint64_t bps, uint64_t now_us)
{
    bwe_loss_on_probe(&bwe->loss, (float)bps);
    bwe->shown_bps = bwe->feedback_us == 0 ? (float)bps : 0;
    bwe->most_bps = bwe->remb_bps;
    (void)settle(bwe, now_us);
}

void bwe_on_route(struct bwe *bwe, uint64_t next, uint64_t now_us)
{
    const struct bwe_conf *conf = &bwe->conf;

    bwe->route_next = next;
    bwe->seen_next = next;
    bwe->unanswered_us = 0;
    bwe->silent = false;
    bwe_delay_init(&bwe->delay);
    bwe_acked_init(&bwe->acked);
    bwe_loss_init(&bwe->loss, (float)conf->min_bps, (float)conf->max_bps);
    bwe_rate_on_route(&bwe->rate);
    bwe_probe_on_route(&bwe->probe, now_us);
}

/* ---- time ---- */

bool bwe_is_calm(const struct bwe *bwe, uint64_t now_us)
{
    const uint64_t fell_us = bwe->rate.decreased_us;

    if (bwe->feedback_us == 0) {
        return bwe->shown_bps > 0;
    }
    return now_us - bwe->feedback_us < ANSWERED_US && !bwe_delay_is_queued(&bwe->delay) &&
           (fell_us == 0 || now_us - fell_us > CALM_US) &&
           /* neither loss nor the receiver nor a queue that drains allows less */
           bwe->target_bps >= bwe->rate.bps;
}

bool bwe_is_behind(const struct bwe *bwe)
{
    return bwe->feedback_us != 0 && bwe->delay.queue_us > REAL_QUEUE_US;
}

void bwe_want(struct bwe *bwe, uint64_t bps)
{
    bwe->wanted_bps = (float)(bps < bwe->conf.max_bps ? bps : (uint64_t)bwe->conf.max_bps);
}

void bwe_besides(struct bwe *bwe, uint64_t bps)
{
    bwe->besides_bps = (float)bps;
}

static void measure_sending(struct bwe *bwe, uint64_t tx_bytes, uint64_t now_us)
{
    uint64_t since_us = now_us - bwe->window_us;

    if (!bwe->started) {
        bwe->started = true;
    } else if (since_us < WINDOW_US) {
        return;
    } else {
        bwe->sent_bps = (float)(tx_bytes - bwe->window_bytes) * 8e6f / (float)since_us;
        bwe->limited = bwe->sent_bps < LIMITED * bwe->target_bps;
        bwe->limited_us = bwe->limited ? now_us : bwe->limited_us;
        bwe->acked.jumpy = was_limited(bwe, now_us);
    }
    bwe->window_us = now_us;
    bwe->window_bytes = tx_bytes;
}

/* What was sent is not answered: the path, or its way back, does not carry it. As with a
 * timeout of TCP the rate is halved, and goes down faster if that changes nothing: where
 * audio alone fills the link no large packet gets in, and it is video that has to stop.
 * Only what has a number is ever answered: while video is held and audio has none, silence
 * says nothing. */
static void on_silence(struct bwe *bwe, uint64_t next, uint64_t now_us)
{
    const uint64_t patience_us =
        bwe->silent ? STILL_US + bwe->rtt_us : SILENCE_US + 2 * bwe->rtt_us;
    const float was = bwe->rate.bps;

    if (next != bwe->seen_next && bwe->unanswered_us == 0) {
        bwe->unanswered_us = now_us;
        bwe->unanswered = (uint32_t)bwe->seen_next;
    }
    bwe->seen_next = next;
    if (bwe->unanswered_us == 0 && now_us - bwe->feedback_us > REST_US) {
        bwe_delay_rest(&bwe->delay);
    }
    if (bwe->feedback_us == 0 || bwe->unanswered_us == 0 ||
        now_us - bwe->unanswered_us < patience_us) {
        return;
    }
    bwe->unanswered_us = 0; /* until more is sent */
    if ((uint32_t)next - bwe->unanswered < SILENT_PACKETS) {
        return;
    }
    bwe_rate_set(&bwe->rate, (bwe->silent ? STILL_SILENT : SILENT) * was, now_us);
    bwe_probe_on_drop(&bwe->probe, was, bwe->rate.bps, now_us);
    bwe->silent = true;
}

bool bwe_tick(struct bwe *bwe, uint64_t tx_bytes, uint64_t next, uint64_t now_us)
{
    struct bwe_probe_view view;

    measure_sending(bwe, tx_bytes, now_us);
    on_silence(bwe, next, now_us);
    view = view_of(bwe, tx_bytes, next, now_us);
    if (!bwe->probe.sending) {
        bwe_probe_tick(&bwe->probe, &view, now_us);
        bwe->n_probes += bwe->probe.sending;
    }
    return settle(bwe, now_us);
}

/* Whether time alone changes nothing of what was sent, answered and lowered. */
static bool is_at_rest(const struct bwe *bwe, uint64_t tx_bytes, uint64_t next,
                       uint64_t now_us)
{
    const uint64_t fell_us = bwe->rate.decreased_us;

    return bwe->started && tx_bytes == bwe->window_bytes && bwe->sent_bps <= 0 &&
           bwe->limited && next == bwe->seen_next &&
           (fell_us == 0 || now_us - fell_us > DRAIN_US) &&
           (bwe->feedback_us == 0 ||
            (bwe->unanswered_us == 0 && now_us - bwe->feedback_us > REST_US));
}

uint64_t bwe_deadline(const struct bwe *bwe, uint64_t tx_bytes, uint64_t next,
                      uint64_t now_us)
{
    uint64_t due_us = UINT64_MAX;

    if (!is_at_rest(bwe, tx_bytes, next, now_us)) {
        return now_us;
    }
    if (bwe->remb_us != 0 && bwe->feedback_us != 0 &&
        now_us - bwe->remb_us < REMB_LIFE_US) {
        due_us = bwe->remb_us + REMB_LIFE_US;
    }
    return least(due_us, bwe_probe_deadline(&bwe->probe,
                                            bwe->wanted_bps > bwe->target_bps, now_us));
}

uint32_t bwe_take_padding(struct bwe *bwe, uint64_t tx_bytes, uint64_t next,
                          uint64_t now_us)
{
    return bwe_probe_take(&bwe->probe, tx_bytes, next, bwe->rtt_us, now_us);
}
