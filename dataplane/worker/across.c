/* See across.h. */
#include "worker/across.h"

#include <errno.h>

enum {
    MAX_MESSAGES = 256, /* read of one lane in a turn */
    /* what one command tells another lane at most: paths gone and come, and a sync */
    COMMAND_MESSAGES = 2 * PEER_PATHS + 2,
    /* stages of a move; see across.h */
    SETTLE = 1,
    MOVE_EXPECTED,
    MOVE_DRAINED,
    MOVE_TAKEN
};

_Static_assert(HUB_RESERVED > 4 * COMMAND_MESSAGES, "commands find room");

static uint64_t others(const struct lane *lane)
{
    uint64_t all =
        lane->hub->n_lanes < 64 ? (UINT64_C(1) << lane->hub->n_lanes) - 1 : ~UINT64_C(0);

    return all & ~(UINT64_C(1) << lane->index);
}

/* Room was looked at before the command (across_room), so that it always succeeds. */
static void tell(struct lane *lane, uint64_t lanes, const struct hub_msg *msg)
{
    for (; lanes != 0; lanes &= lanes - 1) {
        (void)lane_send(lane, (uint32_t)__builtin_ctzll(lanes), msg);
    }
}

bool across_room(const struct lane *lane)
{
    if (lane->hub == NULL) {
        return true;
    }
    for (uint32_t to = 0; to < lane->hub->n_lanes; to++) {
        if (to != lane->index && hub_room(lane->hub, lane->index, to) < COMMAND_MESSAGES) {
            return false;
        }
    }
    return true;
}

static void sync_with(struct lane *lane, uint64_t lanes, uint32_t stage)
{
    const struct hub_msg msg = {.kind = HUB_SYNC, .lane = (uint8_t)lane->index};

    lane->pending.acks = lanes;
    lane->pending.stage = stage;
    tell(lane, lanes, &msg);
}

void across_paths(struct lane *lane, const struct peer *peer, const struct path *old,
                  uint8_t n_old)
{
    struct hub_msg msg = {.lane = (uint8_t)lane->index, .peer = peer->index};

    if (lane->hub == NULL) {
        return;
    }
    msg.kind = HUB_PATH_DEL;
    for (uint8_t i = 0; i < n_old; i++) {
        msg.key = tables_path_key(&old[i]);
        tell(lane, others(lane), &msg);
    }
    msg.kind = HUB_PATH_ADD;
    for (uint8_t i = 0; i < peer->rest->n_paths; i++) {
        msg.key = tables_path_key(&peer->rest->paths[i]);
        tell(lane, others(lane), &msg);
    }
}

int across_settle(struct lane *lane)
{
    if (lane->hub == NULL) {
        return 0;
    }
    sync_with(lane, others(lane), SETTLE);
    return ACROSS_LATER;
}

/* ---- moves, on the old lane ---- */

int across_move(struct lane *lane, struct peer *peer, uint32_t to)
{
    const struct hub_msg route = {
        .kind = HUB_ROUTE, .lane = (uint8_t)to, .peer = peer->index};

    if (to >= lane->tables->conf.n_lanes) {
        return -EINVAL;
    }
    if (to == lane->index) {
        return 0;
    }
    lane->pending.peer = peer->index;
    lane->pending.to = to;
    tell(lane, UINT64_C(1) << to, &route);
    sync_with(lane, UINT64_C(1) << to, MOVE_EXPECTED);
    return ACROSS_LATER;
}

static void pause_egress(struct lane *lane, struct peer *peer)
{
    tables_peer_pause(lane->tables, peer);
    /* after that: it goes by who waits. They go on from there on the other lane. */
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        lane_paced_forget(lane, sub);
    }
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        struct stream_readers *readers = &sub->stream->readers[lane->index];

        if (readers->subs.n == 0) {
            lane_grown_forget(lane, readers);
        }
    }
}

int across_resume(const struct pipeline *p)
{
    struct lane *lane = p->lane;
    struct lane_pending *pending = &lane->pending;
    struct peer *peer = &lane->tables->peers[pending->peer];
    struct hub_msg msg = {.lane = (uint8_t)pending->to, .peer = pending->peer};

    /* what the next stage tells must find room, too */
    if (pending->acks != 0 || !across_room(lane)) {
        return ACROSS_LATER;
    }
    switch (pending->stage) {
    case MOVE_EXPECTED:
        pause_egress(lane, peer);
        lane->tables->lane_of[pending->peer] = (uint8_t)pending->to;
        msg.kind = HUB_ROUTE;
        tell(lane, others(lane), &msg);
        sync_with(lane, others(lane), MOVE_DRAINED);
        return ACROSS_LATER;
    case MOVE_DRAINED:
        if (pipeline_holds(p)) {
            return ACROSS_LATER; /* else the peer's next frames overtake them */
        }
        tables_peer_leave(lane->tables, peer);
        msg = (struct hub_msg){
            .kind = HUB_TAKE, .peer = pending->peer, .handle = lane->now_us};
        tell(lane, UINT64_C(1) << pending->to, &msg);
        sync_with(lane, UINT64_C(1) << pending->to, MOVE_TAKEN);
        return ACROSS_LATER;
    default:
        pending->stage = 0;
        return 0;
    }
}

/* ---- what others say ---- */

/* All that a lane has received, and so classified, goes on here. */
static void flush(struct pipeline *p, struct burst *in)
{
    if (in->n > 0) {
        pipeline_handed(p, in);
        in->n = 0;
    }
}

/* The peer is ours now: its subscriptions are served from where they stood, and what was
 * parked goes on. What is for others that are still to come is parked again. */
static void take_peer(struct pipeline *p, const struct hub_msg *msg)
{
    struct lane *lane = p->lane;
    struct peer *peer = &lane->tables->peers[msg->peer];
    uint32_t n = lane->n_parked;
    struct pkt *parked[LANE_PARKED];
    struct burst in = {.n = 0};

    /* time does not go back for the peer */
    if (lane->now_us < msg->handle) {
        lane->now_us = msg->handle;
    }
    (void)tables_peer_join(lane->tables, peer);
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        lane_grown(lane, &sub->stream->readers[lane->index]);
    }
    memcpy(parked, lane->parked, n * sizeof(struct pkt *));
    lane->n_parked = 0;
    for (uint32_t i = 0; i < n; i++) {
        burst_push(&in, parked[i]);
        if (in.n == PKT_BURST) {
            flush(p, &in);
        }
    }
    flush(p, &in);
}

static void on_keyframe(struct lane *lane, const struct hub_msg *msg)
{
    struct stream *stream = tables_stream(lane->tables, msg->handle);

    /* it may have ended, or moved on: then it is told there */
    if (stream != NULL) {
        lane_ask_keyframe(lane, stream, msg->lane != 0);
    }
}

static void on_sync(struct lane *lane, uint32_t from)
{
    const struct hub_msg ack = {.kind = HUB_ACK, .lane = (uint8_t)lane->index};

    if (!lane_send(lane, from, &ack)) {
        lane->ack_due |= UINT64_C(1) << from;
    }
}

static void send_due_acks(struct lane *lane)
{
    uint64_t due = lane->ack_due;

    lane->ack_due = 0;
    for (; due != 0; due &= due - 1) {
        on_sync(lane, (uint32_t)__builtin_ctzll(due));
    }
}

/* One lane's bursts in the making. */
struct incoming {
    struct burst in, out;
};

static void flush_both(struct pipeline *p, struct incoming *got)
{
    flush(p, &got->in);
    if (got->out.n > 0) {
        pipeline_send_for_others(p, &got->out);
        got->out.n = 0;
    }
}

static void on_message(struct pipeline *p, uint32_t from, const struct hub_msg *msg)
{
    struct lane *lane = p->lane;

    switch (msg->kind) {
    case HUB_PATH_ADD:
        tables_path_add(lane->tables, &msg->key, msg->peer, msg->lane);
        break;
    case HUB_PATH_DEL:
        tables_path_del(lane->tables, &msg->key, msg->peer);
        break;
    case HUB_ROUTE:
        lane->tables->lane_of[msg->peer] = msg->lane;
        break;
    case HUB_TAKE:
        take_peer(p, msg);
        break;
    case HUB_KEYFRAME:
        on_keyframe(lane, msg);
        break;
    case HUB_SYNC:
        on_sync(lane, from);
        break;
    case HUB_ACK:
        lane->pending.acks &= ~(UINT64_C(1) << from);
        break;
    default:
        break;
    }
}

/* Reads what lane 'from' has sent, in order: packets before a message are worked off before
 * it. A frame whose device has no room stays, and what is behind it; so does, in the end,
 * the fan-out of its sender. */
static uint32_t drain_lane(struct pipeline *p, uint32_t from)
{
    const struct ring_view *ring = hub_ring(p->lane->hub, from, p->lane->index);
    struct incoming got = {.in = {.n = 0}, .out = {.n = 0}};
    const struct hub_msg *slot;
    uint32_t n = 0;

    while (n < MAX_MESSAGES && (slot = ring_peek(ring)) != NULL) {
        struct hub_msg msg = *slot;

        if (msg.kind == HUB_PKT_OUT && pipeline_is_full(p, msg.pkt->device)) {
            break;
        }
        ring_release(ring);
        n++;
        if (msg.kind == HUB_PKT_IN) {
            msg.pkt->handed = true;
            p->lane->counts.handed_in++;
            burst_push(&got.in, msg.pkt);
        } else if (msg.kind == HUB_PKT_OUT) {
            burst_push(&got.out, msg.pkt);
        }
        if (got.in.n == PKT_BURST || got.out.n == PKT_BURST ||
            (msg.kind != HUB_PKT_IN && msg.kind != HUB_PKT_OUT)) {
            flush_both(p, &got);
        }
        if (msg.kind != HUB_PKT_IN && msg.kind != HUB_PKT_OUT) {
            on_message(p, from, &msg);
        }
    }
    flush_both(p, &got);
    return n;
}

/* Streams of other lanes that have grown go into our own list. */
static uint32_t take_grown(struct lane *lane)
{
    struct stream_readers *readers = hub_take_grown(lane->hub, lane->index);
    uint32_t n = 0;

    while (readers != NULL) {
        struct stream_readers *next = readers->next;

        (void)atomic_exchange(&readers->told, false);
        if (readers->subs.n > 0) {
            lane_grown(lane, readers);
        }
        readers = next;
        n++;
    }
    if (n > 0) {
        atomic_thread_fence(memory_order_seq_cst); /* before their heads are read */
    }
    return n;
}

uint32_t across_drain(struct pipeline *p)
{
    struct lane *lane = p->lane;
    uint32_t n;

    if (lane->hub == NULL) {
        return 0;
    }
    send_due_acks(lane);
    n = take_grown(lane);
    for (uint32_t from = 0; from < lane->hub->n_lanes; from++) {
        if (from != lane->index) {
            n += drain_lane(p, from);
        }
    }
    return n;
}

bool across_rests(const struct lane *lane)
{
    return lane->hub == NULL || (hub_quiet(lane->hub, lane->index) && lane->ack_due == 0 &&
                                 lane->pending.stage == 0);
}
