/* See shed.h. */
#include "stage/shed.h"

#include "sfu/base/least.h"
#include "stage/begin.h"
#include "stage/layers.h"

enum {
    STOOD_US = 200000, /* for so long after the lane stood still nothing is given up … */
    STOOD_AGAIN_US = 2000000, /* … but once in so long */
    DRAINS = 20,       /* a delay that shrinks by one part in so many goes away by itself */
    /* Of what was sent in time so much is kept: the delay has to shrink, too. */
    KEEP = 9,
    KEEP_OF = 10,
    RETURN_PART = 8, /* of those that are sent, in the first step; each doubles */
    MOST_STEPS = 8
};

static uint64_t age_of(const struct lane *lane, uint64_t since_us)
{
    return lane->now_us > since_us ? lane->now_us - since_us : 0;
}

/* A delay that the lane has because it was not run is not the ring's. */
static bool has_stood(const struct lane *lane)
{
    return lane->now_us - lane->stood_us <= STOOD_US;
}

void shed_on_stood(struct lane *lane)
{
    if (lane->now_us - lane->stood_us > STOOD_AGAIN_US) {
        lane->stood_us = lane->now_us;
    }
}

static bool is_ready(const struct peer *peer)
{
    return peer->to != NULL && peer->tx_key != NULL && !peer->consent_lost;
}

static bool is_sent(const struct sub *sub)
{
    return !sub->paused && !sub->held && !sub->shed && is_ready(sub->peer) &&
           (sub->layers == NULL || !sub->layers->cut);
}

bool shed_is_too_late(const struct lane *lane, uint64_t since_us)
{
    return age_of(lane, since_us) > SHED_VIDEO_US + lane->pacer_window_us &&
           !has_stood(lane);
}

void shed_lose(struct lane *lane, struct sub *sub, uint64_t pos, enum drop_reason reason,
               bool ask)
{
    if ((sub->started || !sub->stream->video) && is_ready(sub->peer)) {
        lane->counts.drops_out[reason] += pos - sub->cursor;
        sub->rest->skipped += pos - sub->cursor;
    }
    sub->cursor = pos;
    if (!sub->stream->video) {
        return;
    }
    if (sub->layers != NULL) {
        layers_begin(lane, sub);
        return;
    }
    sub->started = false;
    sub->wait_keyframe = true;
    sub->rest->asked = ask && lane_wish_keyframe(lane, sub, sub->stream);
}

void shed_count(struct lane *lane, struct stream_readers *readers, uint64_t pos)
{
    const uint64_t from = readers_front(readers);

    if (pos > from && readers->n_shed > 0) {
        const uint64_t all = (pos - from) * readers->n_shed;
        const uint64_t had = least(all, readers->shed_had);

        readers->shed_had -= had;
        lane->counts.drops_out[DROP_SHED_VIDEO] += all - had;
    }
}

void shed_skip_to(struct lane *lane, struct stream_readers *readers, uint64_t pos)
{
    struct sublist_iter at = sublist_start(&readers->subs);
    struct sub *sub;

    /* in the midst of a position: those that have not had it are a step behind the walk */
    while (readers->walk_pos >= readers->next_pos && (sub = sublist_next(&at)) != NULL) {
        tables_sub_catch_up(lane->tables, sub);
    }
    shed_count(lane, readers, pos);
    readers->next_pos = pos;
    readers->at = sublist_start(&readers->subs);
}

void shed_go_back(struct stream_readers *readers, uint64_t pos)
{
    /* what all have lost it does not go back for */
    pos = pos > readers->shed_pos ? pos : readers->shed_pos;
    if (pos <= readers->next_pos) { /* or stands in the midst of it, and is past who waited */
        readers_go_back(readers, pos);
    }
}

/* ---- some of those who watch ---- */

/* 'sub' is sent a smaller stream instead of this one, or nothing of it until it is taken up. */
static void give_up(struct lane *lane, struct stream_readers *readers, struct sub *sub)
{
    if (sub->behind) {
        lane_paced_forget(lane, sub);
    }
    tables_sub_catch_up(lane->tables, sub);
    if (sub->layers != NULL && layers_lower(lane, sub)) {
        sub->cursor = sub->cursor > readers->next_pos ? sub->cursor : readers->next_pos;
        return;
    }
    if (sub->started && sub->cursor < readers_front(readers)) {
        lane->counts.drops_out[DROP_SHED_VIDEO] += readers_front(readers) - sub->cursor;
    } else if (sub->started) {
        readers->shed_had += sub->cursor - readers_front(readers);
    }
    if (sub->layers != NULL) {
        layers_pause(lane, sub);
    }
    sub->started = false;
    sub->wait_keyframe = sub->layers == NULL;
    sub->shed = true;
    readers->n_shed++;
}

static void take_up(struct lane *lane, struct stream_readers *readers, struct sub *sub)
{
    const uint64_t head = stream_ring_head(&sub->stream->ring);
    const uint64_t front = readers_front(readers);
    const uint64_t had =
        sub->cursor > front ? least(sub->cursor - front, readers->shed_had) : 0;

    readers->shed_had -= had;
    lane->counts.drops_out[DROP_SHED_VIDEO] += head - front - had;
    sub->rest->skipped += head - sub->cursor;
    begin_sub(lane, sub);
}

/* Gives 'n' up, or takes them up; the list goes round from '*at' on, which is then where the
 * next stands: so who was given up first comes back first. */
static void go_round(struct lane *lane, struct stream_readers *readers, uint32_t *at,
                     bool up, uint32_t n)
{
    const uint32_t from = *at;

    for (unsigned round = 0; round < 2; round++) {
        struct sublist_iter it = sublist_start(&readers->subs);
        struct sub *sub;

        for (uint32_t i = 0; n > 0 && (sub = sublist_next(&it)) != NULL; i++) {
            if ((i < from) != (round == 1) || !(up ? sub->shed : is_sent(sub))) {
                continue;
            }
            if (up) {
                take_up(lane, readers, sub);
            } else {
                give_up(lane, readers, sub);
            }
            *at = i + 1;
            n--;
        }
    }
}

static uint32_t count_sent(const struct stream_readers *readers)
{
    struct sublist_iter it = sublist_start(&readers->subs);
    const struct sub *sub;
    uint32_t n = 0;

    while ((sub = sublist_next(&it)) != NULL) {
        n += is_sent(sub);
    }
    return n;
}

static void look_anew(const struct lane *lane, struct stream_readers *readers,
                      uint64_t age_us)
{
    readers->late_us = lane->now_us;
    readers->late_by_us = age_us;
}

/* The delay has grown, or at least not shrunk, since it was looked at: of that time so much
 * media was sent as it did not grow by. */
static void give_some_up(struct lane *lane, struct stream_readers *readers, uint64_t age_us)
{
    const int64_t span_us = (int64_t)(lane->now_us - readers->late_us);
    const int64_t grown_us = (int64_t)age_us - (int64_t)readers->late_by_us;
    const int64_t sent_us = grown_us < span_us ? span_us - grown_us : 0;
    const uint32_t n = count_sent(readers);
    uint32_t keep;

    look_anew(lane, readers, age_us);
    if (grown_us * DRAINS < -span_us || n == 0) {
        return;
    }
    keep = (uint32_t)((int64_t)n * sent_us * KEEP / (span_us * KEEP_OF));
    readers->shed_us = lane->now_us;
    readers->n_returns = 0;
    go_round(lane, readers, &readers->shed_at, false, keep < n ? n - keep : 1);
}

/* There is enough: how many more may have it now. */
static uint32_t next_step(const struct lane *lane, struct stream_readers *readers)
{
    uint32_t n;

    if (lane->now_us - readers->shed_us < SHED_RETURN_US) {
        return 0;
    }
    n = count_sent(readers) / RETURN_PART;
    n = (n > 0 ? n : 1) << readers->n_returns;
    if (readers->n_returns < MOST_STEPS) {
        readers->n_returns++;
    }
    readers->shed_us = lane->now_us;
    return n;
}

/* Notes that one waits for its return since then. Returns true if it is among those who have
 * for longest, as the sweep before this one saw it. */
static bool waits_longest(const struct lane *lane, struct stream_readers *readers,
                          uint64_t since_us)
{
    if (readers->swept_us != lane->now_us) {
        readers->swept_us = lane->now_us;
        readers->rise_us = readers->rise_next_us;
        readers->rise_next_us = UINT64_MAX;
    }
    if (since_us <= readers->rise_us) {
        return true;
    }
    readers->rise_next_us = least(readers->rise_next_us, since_us);
    return false;
}

bool shed_may_rise(struct lane *lane, const struct sub_layers *layers)
{
    struct stream_readers *readers =
        &layers->streams[layers->shed_spatial + 1]->readers[lane->index];

    for (unsigned i = 0; i < layers->n_streams; i++) {
        const struct stream_readers *r = &layers->streams[i]->readers[lane->index];

        /* of one that all have left nobody looks whether it is late still */
        if (r->subs.n > 0 && (r->late_us != 0 || r->n_shed != 0)) {
            return false;
        }
    }
    if (!waits_longest(lane, readers, layers->lower_us)) {
        return false;
    }
    if (readers->n_rise == 0) {
        readers->n_rise = next_step(lane, readers);
    }
    if (readers->n_rise == 0) {
        readers->rise_next_us = least(readers->rise_next_us, layers->lower_us);
        return false;
    }
    readers->n_rise--;
    return true;
}

/* ---- all of them ---- */

/* All lose what lies in the ring, up to a key frame if a fresh one came. */
static void skip_video(struct lane *lane, struct stream_readers *readers)
{
    struct stream *stream = readers->stream;
    const struct stream_ring *ring = &stream->ring;
    const uint64_t key =
        atomic_load_explicit(&stream->keyframe_pos, memory_order_acquire);
    uint64_t to = stream_ring_head(ring);

    if (key > readers->next_pos + 1 && key > stream_ring_tail(ring) &&
        age_of(lane, __atomic_load_n(&ring->slots[(key - 1) & ring->slot_mask].arrival_us,
                                     __ATOMIC_RELAXED)) < SHED_YOUNG_US) {
        to = key - 1;
    }
    shed_skip_to(lane, readers, to);
    readers->shed_pos = to;
    readers->late_us = 0;
}

static bool shed_video(struct lane *lane, struct stream_readers *readers, uint64_t age_us)
{
    if (age_us <= SHED_YOUNG_US) {
        readers->late_us = 0;
        if (readers->n_shed > 0) {
            go_round(lane, readers, &readers->taken_at, true, next_step(lane, readers));
        }
        return false;
    }
    readers->shed_us = lane->now_us;
    readers->n_rise = 0;
    if (readers->late_us == 0 || has_stood(lane)) {
        look_anew(lane, readers, age_us);
    }
    /* whoever is given up has had the positions before, and not this */
    if (has_stood(lane) || !sublist_is_start(&readers->subs, &readers->at)) {
        return false;
    }
    if (age_us > SHED_LATE_US && lane->now_us - readers->late_us >= SHED_LOOK_US) {
        give_some_up(lane, readers, age_us);
    }
    if (age_us > SHED_VIDEO_US) {
        skip_video(lane, readers);
        return true;
    }
    return false;
}

bool shed_ring(struct lane *lane, struct stream_readers *readers, uint64_t arrival_us)
{
    const uint64_t age_us = age_of(lane, arrival_us);

    if (readers->stream->video) {
        return (age_us > SHED_YOUNG_US || readers->late_us != 0 || readers->n_shed != 0) &&
               shed_video(lane, readers, age_us);
    }
    if (age_us <= SHED_AUDIO_US || has_stood(lane)) {
        return false;
    }
    readers->shed_pos = readers->next_pos + 1;
    shed_skip_to(lane, readers, readers->next_pos + 1);
    return true;
}
