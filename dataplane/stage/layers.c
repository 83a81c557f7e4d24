/* See layers.h. */
#include "stage/layers.h"

#include <errno.h>

#include "stage/shed.h"

enum { NO_LAYER = 15, MAX_SWEPT = 256 };

/* As enum abi_layers_reason (worker/ asserts it). */
enum { STARTED = 1, REQUESTED, BANDWIDTH, SOURCE, NO_KEYFRAME };

static bool simulcast(const struct sub_layers *l)
{
    return l->n_streams > 1;
}

static uint8_t n_spatial(const struct sub_layers *l)
{
    return simulcast(l) ? l->n_streams : LAYER_MAX;
}

/* ---- what comes ---- */

/* When a spatial layer last came; 0 never. */
static uint64_t came_us(const struct sub_layers *l, uint8_t spatial)
{
    const struct stream *s = l->streams[simulcast(l) ? spatial : 0];
    uint64_t last = 0;

    if (!simulcast(l)) {
        return atomic_load_explicit(&s->spatial_us[spatial], memory_order_relaxed);
    }
    for (uint8_t i = 0; i < LAYER_MAX; i++) {
        uint64_t at = atomic_load_explicit(&s->spatial_us[i], memory_order_relaxed);

        last = at > last ? at : last;
    }
    return last;
}

/* Notes which layers are behind the others: all come with each picture, so one that does
 * not while others do has ended. */
static void look(struct sub_layers *l, uint64_t now_us)
{
    uint64_t newest = 0;

    for (uint8_t i = 0; i < n_spatial(l); i++) {
        uint64_t at = came_us(l, i);

        newest = at > newest ? at : newest;
    }
    for (uint8_t i = 0; i < n_spatial(l); i++) {
        uint64_t at = came_us(l, i);

        if (at != 0 && newest - at < LAYERS_SILENT_US) {
            l->lag_us[i] = 0;
        } else if (l->lag_us[i] == 0) {
            l->lag_us[i] = now_us;
        }
    }
}

static bool comes(const struct sub_layers *l, uint8_t spatial, uint64_t now_us)
{
    return came_us(l, spatial) != 0 &&
           (l->lag_us[spatial] == 0 || now_us - l->lag_us[spatial] < LAYERS_SURE_US);
}

uint8_t layers_live_spatial(const struct sub_layers *l, uint64_t now_us)
{
    uint8_t n = 0;

    for (uint8_t i = 0; i < n_spatial(l); i++) {
        n = comes(l, i, now_us) ? (uint8_t)(i + 1) : n;
    }
    return n;
}

static uint8_t top_temporal(const struct sub_layers *l)
{
    uint8_t at = l->at < l->n_streams ? l->at : 0;

    return atomic_load_explicit(&l->streams[at]->top_temporal, memory_order_relaxed);
}

uint8_t layers_live_temporal(const struct sub_layers *l)
{
    return (uint8_t)(top_temporal(l) + 1);
}

/* ---- what is told ---- */

enum { NOTHING = NO_LAYER << 4 | NO_LAYER };

static uint32_t current(const struct sub_layers *l)
{
    const struct switcher *sw = &l->switcher;
    uint8_t top = top_temporal(l);

    if (!l->cut && (!sw->running || sw->at_spatial == SWITCHER_NO_LAYER)) {
        return NOTHING;
    }
    return (uint32_t)(simulcast(l) ? l->at : sw->at_spatial) << 4 |
           (sw->at_temporal < top ? sw->at_temporal : top);
}

/* Of one that is held nothing is aimed at: what it is sent afterwards its link will say. */
static uint32_t aimed_at(const struct sub_layers *l)
{
    uint8_t top = top_temporal(l);

    if (l->sub->held) {
        return NOTHING;
    }
    return (uint32_t)l->to_spatial << 4 | (l->to_temporal < top ? l->to_temporal : top);
}

/* Control hears of every change; of those that it had no room for, the last. */
static void tell(struct lane *lane, struct sub_layers *l)
{
    uint32_t now = current(l) << 8 | aimed_at(l);

    if (now != l->told && lane_tell(lane, LANE_NEWS_LAYERS, l->sub->handle,
                                    (uint32_t)l->reason << 16 | now)) {
        l->told = now;
    }
}

/* ---- aiming ---- */

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* The highest spatial layer up to 'limit' that comes; if none does, the lowest that does;
 * else 'otherwise'. */
static uint8_t best_spatial(const struct sub_layers *l, uint8_t limit, uint64_t now_us,
                            uint8_t otherwise)
{
    uint8_t n = n_spatial(l);

    for (uint8_t i = least((uint8_t)(n - 1), limit) + 1; i-- > 0;) {
        if (comes(l, i, now_us) && now_us >= l->shunned_until_us[i]) {
            return i;
        }
    }
    for (uint8_t i = 0; i < n; i++) {
        if (comes(l, i, now_us)) {
            return i;
        }
    }
    return otherwise;
}

/* Of what control wishes, the link allows and the lane can do, the least. */
static uint8_t most_spatial(const struct sub_layers *l)
{
    return least(least(l->wish_spatial, l->limit_spatial), l->shed_spatial);
}

static void wait_for(struct lane *lane, struct sub_layers *l, uint8_t target)
{
    const struct stream *stream = l->streams[target];

    l->target = target;
    l->since_us = lane->now_us;
    l->asked_us = 0;
    l->from_pos = stream_ring_head(&stream->ring);
    tables_sub_wait(lane->tables, l->sub, true);
}

/* Aims at what is best now. */
static void aim(struct lane *lane, struct sub_layers *l, uint8_t reason)
{
    struct sub *sub = l->sub;
    uint8_t spatial;
    uint8_t temporal = least(l->wish_temporal, l->limit_temporal);
    uint8_t target;

    look(l, lane->now_us);
    spatial = best_spatial(l, most_spatial(l), lane->now_us, l->to_spatial);
    temporal = least(temporal, LAYER_MAX - 1);
    if (spatial != l->to_spatial || temporal != l->to_temporal) {
        l->reason = reason;
    }
    l->to_spatial = spatial;
    l->to_temporal = temporal;
    tables_sub_catch_up(lane->tables, sub);
    switcher_want(&l->switcher, simulcast(l) ? LAYER_MAX - 1 : spatial, temporal);
    if (sub->paused || sub->held || sub->shed) {
        return;
    }
    target = simulcast(l) ? spatial : 0;
    if (l->waiting && target == l->target) {
        return;
    }
    if (target != l->at || !l->switcher.running ||
        (!simulcast(l) && l->switcher.at_spatial != spatial)) {
        wait_for(lane, l, target);
    } else {
        tables_sub_wait(lane->tables, sub, false);
    }
}

/* ---- changing over ---- */

/* Takes 'sub' out of its list; a ring that nobody here reads is not looked at any more, for
 * it may end. */
static void leave(struct lane *lane, const struct sub *sub)
{
    struct stream_readers *readers = &sub->stream->readers[lane->index];

    if (readers->subs.n == 1) {
        lane_grown_forget(lane, readers);
    }
}

/* What its publisher's lane has written before it could know of us is looked for at once.
 */
static void arrive(struct lane *lane, const struct sub *sub)
{
    if (lane->hub != NULL) {
        atomic_thread_fence(memory_order_seq_cst);
    }
    lane_grown(lane, &sub->stream->readers[lane->index]);
}

/* Source minus outgoing timestamp for packets of 'stream' from 'ts' on, which came at
 * 'at_us'. Streams of one publisher are compared by its clock; others by that. */
static uint32_t offset_to(const struct sub_layers *l, const struct stream *stream,
                          uint32_t ts, uint64_t at_us)
{
    const struct stream *before = l->at < l->n_streams ? l->streams[l->at] : NULL;
    const struct switcher *sw = &l->switcher;
    struct switcher_clock from, to;
    uint64_t arrival_us;

    if (l->sent_us == 0) {
        return 0; /* the first there is */
    }
    if (before == stream) {
        return l->ts_offset;
    }
    if (before != NULL &&
        stream_clock_read(&before->clock, &from.ntp, &from.ts, &arrival_us) &&
        stream_clock_read(&stream->clock, &to.ntp, &to.ts, &arrival_us)) {
        return switcher_map(&from, &to, stream->clock_hz, l->ts_offset);
    }
    return ts - sw->out_ts -
           (uint32_t)((int64_t)(at_us - l->sent_us) * stream->clock_hz / 1000000);
}

/* The timestamp at which a packet of 'stream' goes out. Time never goes back. */
static uint32_t outgoing_ts(struct sub_layers *l, const struct stream *stream, uint32_t ts,
                            uint64_t at_us)
{
    const struct switcher *sw = &l->switcher;
    uint32_t out;

    l->ts_offset = offset_to(l, stream, ts, at_us);
    out = ts - l->ts_offset;
    if (l->sent_us != 0 && (int32_t)(out - sw->out_ts) <= 0) {
        out = sw->out_ts + 1;
    }
    return out;
}

/* Begins at position 'pos' of the stream that is waited for. */
static bool change_over(struct lane *lane, struct sub_layers *l, uint64_t pos)
{
    struct stream *stream = l->streams[l->target];
    struct sub *sub = l->sub;
    struct ring_slot slot;
    uint8_t ext[RING_EXT_MAX];
    struct switcher_in in;

    if (!stream_ring_copy(&stream->ring, pos, &slot, ext)) {
        return false;
    }
    in = (struct switcher_in){.seq = slot.seq, .ts = slot.ts, .layer = slot.layer};
    tables_sub_catch_up(lane->tables, sub);
    switcher_begin(&l->switcher, &in, outgoing_ts(l, stream, slot.ts, slot.arrival_us));
    leave(lane, sub);
    tables_sub_read(lane->tables, sub, stream, pos);
    arrive(lane, sub);
    if (!sub->started) {
        l->reason = l->sent_us == 0 ? STARTED : l->reason;
        sub->started = true;
    }
    l->at = l->target;
    l->cut = false;
    l->source++;
    tables_sub_wait(lane->tables, sub, false);
    return true;
}

/* Whether a key frame that came before it was waited for may be begun with. Not if a later
 * picture was shown already: all that follows would be shown as much too late. */
static bool is_fresh(const struct sub_layers *l, uint64_t pos, uint64_t now_us)
{
    const struct stream *stream = l->streams[l->target];
    const struct ring_slot *slot = &stream->ring.slots[pos & stream->ring.slot_mask];
    const uint64_t arrival_us = __atomic_load_n(&slot->arrival_us, __ATOMIC_RELAXED);
    const uint32_t ts = __atomic_load_n(&slot->ts, __ATOMIC_RELAXED);
    int32_t ahead;

    if (!stream_ring_alive(&stream->ring, pos) || now_us - arrival_us > LAYERS_FRESH_US) {
        return false;
    }
    ahead = (int32_t)(ts - offset_to(l, stream, ts, arrival_us) - l->switcher.out_ts);
    return (!l->switcher.running && !l->cut) ||
           ahead >= -(int32_t)(stream->clock_hz / 1000 * LAYERS_SAME_MS);
}

/* Where a subscription may begin in the stream that it waits for; UINT64_MAX nowhere yet.
 */
static uint64_t place(const struct sub_layers *l, uint64_t now_us)
{
    const struct stream *stream = l->streams[l->target];
    uint64_t head = stream_ring_head(&stream->ring);
    uint64_t pos;

    if (!stream->video) {
        return head > l->from_pos ? head - 1 : UINT64_MAX; /* any packet will do */
    }
    pos = atomic_load_explicit(&stream->keyframe_pos, memory_order_acquire);
    if (pos == 0 || pos - 1 < stream_ring_tail(&stream->ring)) {
        return UINT64_MAX;
    }
    pos--;
    return pos >= l->from_pos || is_fresh(l, pos, now_us) ? pos : UINT64_MAX;
}

/* Whether what is sent now may stop here: between pictures, or if the rest of one does not
 * come. */
static bool may_leave(const struct sub_layers *l, uint64_t now_us)
{
    return !l->switcher.running || l->switcher.whole ||
           now_us - l->sent_us > LAYERS_MEND_US;
}

static bool ready(const struct peer *peer)
{
    return peer->to != NULL && peer->tx_key != NULL && !peer->consent_lost;
}

/* Nobody answers: the layer is left alone for a while. One that has nothing else waits on.
 */
static void ask_or_give_up(struct lane *lane, struct sub_layers *l)
{
    if (lane->now_us - l->since_us >= LAYERS_GIVE_UP_US &&
        (l->switcher.running || l->cut)) {
        l->shunned_until_us[l->to_spatial] = lane->now_us + LAYERS_SHUN_US;
        tables_sub_wait(lane->tables, l->sub, false);
        aim(lane, l, NO_KEYFRAME);
        return;
    }
    if (l->asked_us == 0) {
        if (!lane_wish_keyframe(lane, l->sub, l->streams[l->target])) {
            l->since_us = lane->now_us; /* it has asked too often: nobody fails to answer */
            return;
        }
        l->asked_us = lane->now_us;
    } else if (lane->now_us - l->asked_us >= LAYERS_ASK_US) {
        lane_ask_keyframe(lane, l->streams[l->target], true);
        l->asked_us = lane->now_us;
    }
}

/* It is on the way down, and its link is behind already: more of what is too much would
 * make that worse until the key frame comes. What waits in the queue is shown meanwhile. */
static void cut_off(const struct lane *lane, struct sub_layers *l)
{
    if (l->switcher.running && l->switcher.whole && l->target < l->at &&
        l->at < l->n_streams && bwe_is_behind(l->sub->peer->bwe)) {
        tables_sub_catch_up(lane->tables, l->sub);
        switcher_stop(&l->switcher);
        l->cut = true;
    }
}

/* One that waits. Returns true if it changed over. */
static bool advance(struct lane *lane, struct sub_layers *l)
{
    uint64_t pos;

    if (!ready(l->sub->peer)) {
        l->since_us = lane->now_us; /* nothing can be sent: no time goes by */
        return false;
    }
    if (!simulcast(l) && l->at == l->target && l->switcher.running) {
        /* a layer of the stream that it reads: the switcher takes it up by itself */
        if (l->switcher.at_spatial == l->to_spatial) {
            tables_sub_wait(lane->tables, l->sub, false);
        } else if (l->switcher.at_spatial < l->to_spatial ||
                   lane->now_us - l->since_us >= LAYERS_DOWN_US) {
            ask_or_give_up(lane, l);
        }
        return false;
    }
    pos = place(l, lane->now_us);
    if (pos != UINT64_MAX && may_leave(l, lane->now_us)) {
        return change_over(lane, l, pos);
    }
    if (pos == UINT64_MAX && l->streams[l->target]->video) {
        ask_or_give_up(lane, l);
        cut_off(lane, l);
    }
    return false;
}

uint32_t layers_sweep(struct lane *lane)
{
    struct tables *t = lane->tables;
    uint32_t n = 0;

    if (t->waiting != NULL && lane->now_us >= lane->layers_wait_us) {
        struct sub_layers *next;

        lane->layers_wait_us = lane->now_us + LAYERS_WAIT_US;
        for (struct sub_layers *l = t->waiting; l != NULL; l = next) {
            next = l->next_waiting;
            n += advance(lane, l);
        }
    }
    if (t->layered != NULL && lane->now_us >= lane->layers_sweep_us) {
        lane->layers_sweep_us = lane->now_us + LAYERS_SWEEP_US;
        for (struct sub_layers *l = t->layered; l != NULL; l = l->next) {
            if (l->sub->paused) {
                continue;
            }
            if (l->sub->held) {
                l->reason = BANDWIDTH; /* and that it goes on, when it does */
            } else {
                if (l->shed_spatial != SUB_LAYER_ANY && shed_may_rise(lane, l)) {
                    l->shed_spatial = l->shed_spatial + 2 < n_spatial(l)
                                          ? (uint8_t)(l->shed_spatial + 1)
                                          : SUB_LAYER_ANY;
                }
                aim(lane, l,
                    most_spatial(l) < l->wish_spatial ||
                            l->limit_temporal < l->wish_temporal
                        ? BANDWIDTH
                        : SOURCE);
            }
            tell(lane, l);
        }
    }
    return n;
}

uint64_t layers_deadline(const struct lane *lane)
{
    if (lane->tables->waiting != NULL) {
        return lane->layers_wait_us;
    }
    return lane->tables->layered != NULL ? lane->layers_sweep_us : UINT64_MAX;
}

/* ---- what control and the link say ---- */

int layers_streams(struct lane *lane, struct sub *sub, const uint64_t *handles, uint8_t n)
{
    bool fresh = sub->layers == NULL;
    int err;

    tables_sub_catch_up(lane->tables, sub);
    leave(lane, sub);
    err = tables_sub_layers(lane->tables, sub, handles, n);
    arrive(lane, sub);
    if (err != 0) {
        return err;
    }
    sub->wait_keyframe = false; /* it waits in its own way */
    sub->started = false;
    sub->layers->at = SUB_STREAMS;
    sub->layers->cut = false;
    sub->layers->shed_spatial = SUB_LAYER_ANY;
    sub->layers->source++; /* what was sent before is not in these: never sent again */
    for (uint8_t i = 0; i < LAYER_MAX; i++) {
        sub->layers->lag_us[i] = sub->layers->shunned_until_us[i] = 0;
    }
    if (fresh) {
        sub->layers->wish_spatial = sub->layers->wish_temporal = SUB_LAYER_ANY;
        sub->layers->limit_spatial = sub->layers->limit_temporal = SUB_LAYER_ANY;
        sub->layers->told = UINT32_MAX;
    }
    switcher_stop(&sub->layers->switcher);
    return 0;
}

void layers_live(struct lane *lane, struct sub *sub, uint64_t *last_us, uint64_t *last_out,
                 bool resume)
{
    struct sub_layers *l = sub->layers;
    const struct switcher_last last = {.ts = (uint32_t)(*last_out >> 32),
                                       .picture = (uint16_t)(*last_out >> 16),
                                       .tl0 = (uint8_t)(*last_out >> 8),
                                       .keyidx = (uint8_t)*last_out};

    l->last_us = last_us;
    l->last_out = last_out;
    if (resume && *last_us <= lane->now_us) {
        l->sent_us = *last_us;
    }
    sub->passes = 0;
    switcher_init(&l->switcher, *sub->next_index, &last);
}

void layers_begin(struct lane *lane, struct sub *sub)
{
    struct sub_layers *l = sub->layers;

    tables_sub_catch_up(lane->tables, sub);
    sub->started = false;
    l->cut = false;
    switcher_stop(&l->switcher);
    tables_sub_wait(lane->tables, sub, false);
    aim(lane, l, l->reason);
}

void layers_pause(struct lane *lane, struct sub *sub)
{
    tables_sub_catch_up(lane->tables, sub);
    sub->started = false;
    sub->layers->cut = false;
    switcher_stop(&sub->layers->switcher);
    tables_sub_wait(lane->tables, sub, false);
}

void layers_wish(struct lane *lane, struct sub *sub, uint8_t spatial, uint8_t temporal)
{
    struct sub_layers *l = sub->layers;

    if (l->wish_spatial == spatial && l->wish_temporal == temporal) {
        return;
    }
    l->wish_spatial = spatial;
    l->wish_temporal = temporal;
    l->shunned_until_us[least(spatial, LAYER_MAX - 1)] = 0; /* asked for: tried again */
    aim(lane, l, REQUESTED);
}

void layers_limit(struct lane *lane, struct sub *sub, uint8_t spatial, uint8_t temporal)
{
    struct sub_layers *l = sub->layers;

    if (l->limit_spatial == spatial && l->limit_temporal == temporal) {
        return;
    }
    l->limit_spatial = spatial;
    l->limit_temporal = temporal;
    aim(lane, l, BANDWIDTH);
}

bool layers_lower(struct lane *lane, struct sub *sub)
{
    struct sub_layers *l = sub->layers;
    const uint8_t before = l->shed_spatial;

    if (!simulcast(l) || l->at == 0 || l->at >= l->n_streams) {
        return false;
    }
    l->shed_spatial = (uint8_t)(l->at - 1);
    l->lower_us = lane->now_us;
    aim(lane, l, BANDWIDTH);
    if (!l->waiting || l->target >= l->at) { /* no lower one comes */
        l->shed_spatial = before;
        return false;
    }
    tables_sub_catch_up(lane->tables, sub);
    switcher_stop(&l->switcher);
    l->cut = true;
    return true;
}

/* ---- packets ---- */

bool layers_again(const struct sub *sub, const struct lane_resend *resend,
                  const struct ring_slot *slot, struct switcher_out *out)
{
    const struct sub_layers *l = sub->layers;
    const struct switcher_in in = {.seq = slot->seq,
                                   .ts = slot->ts,
                                   .marker = (slot->flags & RING_SLOT_MARKER) != 0,
                                   .layer = slot->layer};

    return resend->source == l->source && switcher_again(&l->switcher, &in, out) &&
           out->index == resend->index;
}

bool layers_take(struct sub *sub, const struct switcher_in *in, uint64_t now_us,
                 struct switcher_out *out)
{
    struct sub_layers *l = sub->layers;

    if (!switcher_packet(&l->switcher, in, out)) {
        return false;
    }
    l->sent_us = now_us;
    *l->last_us = now_us;
    *l->last_out = (uint64_t)l->switcher.out_ts << 32 |
                   (uint64_t)l->switcher.out_picture << 16 |
                   (uint64_t)l->switcher.out_tl0 << 8 | l->switcher.out_keyidx;
    return true;
}
