/* See route.h. */
#include "stage/route.h"

#include <string.h>

#include "stage/begin.h"
#include "stage/layers.h"
#include "stage/shed.h"
#include "table/repair.h"

enum {
    WALK_FROM = 8, /* readers on this lane: for fewer it costs more than it spares */
    VISITS_AHEAD = SUBLIST_CHUNK, /* at some 2 ns each */
    MAX_VISITS = 512,             /* subscriptions looked at in one call, wanting or not */
    RUN = 16, /* packets to one after each other, if its device likes that; of a burst's 32 */
    HEADERS = 60,                 /* of a packet, its UDP's too, about: for the pacer */
    MAX_DUE = 64 /* that go from the pacer's wheel to their rooms in a call */
};

/* What is to know of a slot; the writer, on another lane, may be about to overwrite it. */
struct glance {
    uint64_t pos, seq;
    uint64_t arrival_us;
    uint32_t ts;
    uint16_t len;
    uint8_t flags;
    struct layer_info layer;
};

/* What goes out in this call. */
struct routed {
    const struct tables *tables;
    uint64_t now_us;
    uint16_t n;
    uint16_t visits;
    uint16_t run; /* packets at most that one is sent when it is visited */
    bool full;    /* there may be room, but not for a run */
    bool strange; /* protect has not loaded what lies behind their peers */
    struct sub *subs[PKT_BURST];
    uint64_t pos[PKT_BURST];
    struct switcher_out outs[PKT_BURST]; /* of those with layers */
};

static bool takes(struct sub *sub, const struct glance *slot, struct routed *routed)
{
    const struct switcher_in in = {.seq = slot->seq,
                                   .ts = slot->ts,
                                   .marker = (slot->flags & RING_SLOT_MARKER) != 0,
                                   .layer = slot->layer};

    return layers_take(sub, &in, routed->now_us, &routed->outs[routed->n]);
}

static inline bool is_ready(const struct peer *peer)
{
    return peer->to != NULL && peer->tx_key != NULL && !peer->consent_lost;
}

/* Whether 'sub' is sent this slot; moves its cursor past it in any case. */
static bool wants(struct sub *sub, const struct glance *slot, struct routed *routed)
{
    if (sub->cursor > slot->pos) {
        return false;
    }
    sub->cursor = slot->pos + 1;
    if (sub->paused || sub->held || !is_ready(sub->peer)) {
        return false;
    }
    if (sub->layers != NULL) {
        return takes(sub, slot, routed);
    }
    if (!sub->started) {
        if (sub->wait_keyframe && (slot->flags & RING_SLOT_KEYFRAME) == 0) {
            return false;
        }
        sub->started = true;
        sub->seq_base = slot->seq;
        sub->seq_offset = slot->seq - *sub->next_index;
        *sub->rest->seq_offset_live = sub->seq_offset;
        repair_begin(routed->tables, sub);
    }
    /* Older than where this subscription began: its number would be one that was used. */
    return slot->seq >= sub->seq_base;
}

/* Takes the first ring of a room off its list; puts it to the end if 'again'. */
static void next_ring(struct turns_room *room, bool again)
{
    struct stream_readers *readers = room->first;

    if (again && readers == room->last) {
        return;
    }
    room->first = readers->grown;
    readers->queued = again;
    if (again) {
        readers->grown = NULL;
        room->last->grown = readers;
        room->last = readers;
    } else if (room->first == NULL) {
        room->last = NULL;
    }
}

/* ---- what the next visits will touch ---- */

/* Of the first in the list, which no visit has asked for. */
static void prefetch_first(const struct stream_readers *readers)
{
    const struct sub *subs[PKT_BURST];
    const uint32_t n = sublist_peek(readers->at, readers->targets, subs, PKT_BURST);

    for (uint32_t i = 0; i < n; i++) {
        __builtin_prefetch(subs[i], 1);
        __builtin_prefetch(&subs[i]->packets, 1);
    }
    for (uint32_t i = 0; i < n; i++) {
        __builtin_prefetch(subs[i]->peer, 1);
        __builtin_prefetch(&subs[i]->peer->tx_key, 1);
        __builtin_prefetch(subs[i]->next_index, 1);
    }
}

/* Of one far ahead: where most are not sent it no encryption hides the loading. */
static inline void prefetch_far(const struct sublist_iter *at)
{
    const struct sub *sub = sublist_ahead(at, VISITS_AHEAD);

    if (sub != NULL) {
        __builtin_prefetch(sub, 1);
    }
}

static struct glance look(const struct stream_ring *ring, uint64_t pos)
{
    const struct ring_slot *slot = &ring->slots[pos & ring->slot_mask];
    const uint64_t *layer = (const uint64_t *)&slot->layer;
    uint64_t words[2];
    struct glance glance = {.pos = pos,
                            .seq = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED),
                            .arrival_us =
                                __atomic_load_n(&slot->arrival_us, __ATOMIC_RELAXED),
                            .len = __atomic_load_n(&slot->len, __ATOMIC_RELAXED),
                            .ts = __atomic_load_n(&slot->ts, __ATOMIC_RELAXED),
                            .flags = __atomic_load_n(&slot->flags, __ATOMIC_RELAXED)};

    words[0] = __atomic_load_n(&layer[0], __ATOMIC_RELAXED);
    words[1] = __atomic_load_n(&layer[1], __ATOMIC_RELAXED);
    memcpy(&glance.layer, words, sizeof(words));
    return glance;
}

/* ---- the pacer ---- */

/* Whether 'sub' has to wait, its cursor at this slot, until catch_up() comes to it. */
static bool waits(struct lane *lane, struct sub *sub, const struct glance *slot)
{
    const struct peer *peer = sub->peer;

    if (sub->behind) {
        return true;
    }
    if (peer->pace_bps == 0 || pacer_is_ready(&peer->pacer, lane->now_us) ||
        sub->cursor > slot->pos || sub->paused || sub->held ||
        shed_spreads(lane, slot->arrival_us)) {
        return false;
    }
    sub->cursor = slot->pos;
    lane->counts.paced++;
    paced_wait(&lane->paced, sub, lane->now_us);
    return true;
}

/* Since when 'sub', which is behind, waits with this slot; another lane's clock may be a
 * turn ahead of ours. */
static uint64_t waits_since(const struct sub *sub, uint64_t arrival_us, uint64_t now_us)
{
    const uint64_t since_us = arrival_us < now_us ? arrival_us : now_us;

    return since_us > sub->behind_us ? since_us : sub->behind_us;
}

uint64_t route_late_us(const struct lane *lane, const struct peer *peer)
{
    const struct sub *sub = peer->behind;
    const struct stream_ring *ring;

    if (sub == NULL) {
        return UINT64_MAX;
    }
    ring = &sub->stream->ring;
    return waits_since(
               sub,
               __atomic_load_n(&ring->slots[sub->cursor & ring->slot_mask].arrival_us,
                               __ATOMIC_RELAXED),
               lane->now_us) +
           lane->pacer_window_us;
}

/* Counts a packet of video that goes out. One that waited is charged by how long it did:
 * those behind it wait less, so that none does longer than the window. */
static void charge(const struct lane *lane, struct sub *sub, const struct glance *slot)
{
    struct peer *peer = sub->peer;
    const uint64_t now_us = lane->now_us;
    const uint64_t since_us =
        sub->behind ? waits_since(sub, slot->arrival_us, now_us) : now_us;

    if (peer->pace_bps == 0 || (!sub->behind && shed_spreads(lane, slot->arrival_us))) {
        return;
    }
    pacer_on_video(&peer->pacer, slot->len + HEADERS, peer->pace_bps, now_us - since_us,
                   lane->pacer_window_us, now_us);
}

/* ---- */

static struct stream_readers *readers_of(const struct lane *lane, const struct sub *sub)
{
    return &sub->stream->readers[lane->index];
}

/* Why a cursor has not had what lies before the fan-out's position. */
static enum drop_reason reason_of(const struct stream_readers *readers, uint64_t cursor)
{
    if (cursor >= readers->shed_pos) {
        return DROP_OVERRUN;
    }
    return readers->stream->video ? DROP_SHED_VIDEO : DROP_SHED_AUDIO;
}

static inline void add(struct routed *routed, struct sub *sub, uint64_t pos)
{
    routed->pos[routed->n] = pos;
    routed->subs[routed->n++] = sub;
}

/* What comes behind the slot that 'sub' was just sent, as much of it as there is of its frame:
 * of the kernel's sockets that is one message. When the fan-out comes to those positions its
 * cursor says that it had them. */
static void run_on(struct lane *lane, struct sub *sub, struct routed *routed)
{
    const struct stream_ring *ring = &sub->stream->ring;
    const uint64_t end = sub->cursor + routed->run - 1;

    while (sub->cursor < end) {
        const struct glance slot = look(ring, sub->cursor);

        if (!stream_ring_alive(ring, slot.pos) || waits(lane, sub, &slot)) {
            return;
        }
        routed->visits++;
        if (wants(sub, &slot, routed)) {
            charge(lane, sub, &slot);
            add(routed, sub, slot.pos);
        }
    }
}

static inline void send(struct lane *lane, struct sub *sub, uint64_t pos,
                        struct routed *routed)
{
    add(routed, sub, pos);
    if (routed->run > 1 && (lane->runs >> sub->peer->device & 1) != 0) {
        run_on(lane, sub, routed);
    }
}

/* The ring does not reach back to where a cursor waits any more. */
static void restart(struct lane *lane, struct sub *sub, uint64_t tail)
{
    lane->counts.drops_out[DROP_OVERRUN] += tail - sub->cursor;
    sub->rest->skipped += tail - sub->cursor;
    begin_sub(lane, sub);
}

/* Moves the cursor of one that waits to behind the next packet that it is sent. Returns
 * false when there is none: it waits no more. */
static bool step(struct lane *lane, struct sub *sub, struct routed *routed)
{
    const struct stream_ring *ring = &sub->stream->ring;
    const struct stream_readers *readers = readers_of(lane, sub);

    while (sub->cursor < stream_ring_head(ring)) {
        const uint64_t tail = stream_ring_tail(ring);
        struct glance slot;

        if (sub->cursor < readers->shed_pos) {
            shed_lose(lane, sub, readers->shed_pos, DROP_SHED_VIDEO, false);
            if (sub->layers != NULL) {
                return false;
            }
            continue;
        }
        if (sub->cursor < tail) {
            restart(lane, sub, tail);
            return false;
        }
        if (routed->visits == MAX_VISITS) {
            return true;
        }
        slot = look(ring, sub->cursor);
        if (!stream_ring_alive(ring, sub->cursor)) {
            continue; /* overtaken just now */
        }
        if (shed_is_too_late(lane, waits_since(sub, slot.arrival_us, lane->now_us))) {
            /* it alone: with those who wait for the pacer it is each one's own queue */
            shed_lose(lane, sub, stream_ring_head(ring), DROP_SHED_VIDEO, false);
            return false;
        }
        routed->visits++;
        if (wants(sub, &slot, routed)) {
            charge(lane, sub, &slot);
            add(routed, sub, slot.pos);
            return true;
        }
    }
    return false;
}

/* Those whose time has come go from the pacer's wheel to where their room's turn finds
 * them. */
static void take_due(struct lane *lane)
{
    for (unsigned i = 0; i < MAX_DUE; i++) {
        struct peer *peer = paced_take(&lane->paced, lane->now_us);

        if (peer == NULL) {
            break;
        }
        turns_queue(&lane->video, paced_put_due(&lane->paced, peer));
    }
}

/* Who waited for the pacer, and then for its turn much longer, is served with the others
 * again: the fan-out goes back to where it stands; their cursors keep them from being served
 * twice. In two queues those who wait would have all that there is, and neither queue's delay
 * would tell how much that is. */
static void rejoin(struct lane *lane, struct peer *peer)
{
    while (peer->behind != NULL) {
        struct sub *sub = peer->behind;
        struct stream_readers *readers = readers_of(lane, sub);

        paced_done(sub);
        shed_go_back(readers, sub->cursor);
        lane_grown(lane, readers);
    }
}

/* Serves video of a room that had to wait and may go on, ahead of what is newer. The
 * subscriptions of a peer take turns by packet. The room's rings have every other turn. */
static void catch_up(struct lane *lane, uint8_t room, struct routed *routed)
{
    struct peer *peer = paced_take_due(&lane->paced, room);

    if (shed_spreads(lane, peer->pacer.ready_us)) {
        rejoin(lane, peer);
        routed->visits++;
        return;
    }
    routed->strange = true;
    while (peer->behind != NULL && routed->n < PKT_BURST && routed->visits < MAX_VISITS &&
           pacer_is_ready(&peer->pacer, lane->now_us)) {
        struct sub *sub = paced_next(peer);

        if (!step(lane, sub, routed)) {
            paced_done(sub);
        }
    }
    if (peer->behind != NULL) {
        paced_put(&lane->paced, peer, lane->now_us);
    }
    routed->full = routed->n == PKT_BURST;
}

/* ---- */

/* Whether it need not be looked at until it resumes, which sets its cursor anew. */
static inline bool is_idle(const struct sub *sub)
{
    return (sub->paused || sub->held || sub->shed) && !sub->behind;
}

/* Whether it is sent all of one stream, has begun and has had what lies before 'pos': as a rule
 * it is. What is left to ask are its cursor, its peer and its first number. */
static inline bool is_plain(const struct sub *sub, uint64_t pos)
{
    return sub->started && !is_idle(sub) && !sub->behind && sub->layers == NULL &&
           sub->cursor >= pos;
}

/* Visits one that is neither plain nor idle, or whose peer is paced. */
static void visit(struct lane *lane, struct stream_readers *readers, struct sub *sub,
                  const struct glance *slot, struct routed *routed)
{
    const bool video = readers->stream->video;

    if (sub->cursor < slot->pos && (sub->started || !video) && !sub->behind) {
        shed_lose(lane, sub, slot->pos, reason_of(readers, sub->cursor),
                  (slot->flags & RING_SLOT_KEYFRAME) == 0);
    }
    if ((video && waits(lane, sub, slot)) || !wants(sub, slot, routed)) {
        return;
    }
    if (video) {
        charge(lane, sub, slot);
    }
    send(lane, sub, slot->pos, routed);
}

/* The same of one with layers; and if it is level with the walk, it is looked at again when
 * there is what it needs. */
static void visit_layers(struct lane *lane, struct stream_readers *readers,
                         struct sublist_at at, const struct glance *slot,
                         struct routed *routed)
{
    struct sub *sub = at.chunk->subs[at.i];

    tables_sub_level(readers, sub);
    visit(lane, readers, sub, slot, routed);
    /* one that waits for the pacer goes on by itself, not by the walk */
    if (slot->pos == readers->walk_pos && sub->cursor == slot->pos + 1 && !sub->behind) {
        sub->passes = switcher_passes(&sub->layers->switcher, &readers->walk);
    }
    if (sub->passes == 0) {
        sublist_ask(at);
    } else if (!sublist_is(at, (uint16_t)sub->passes)) {
        sublist_needs(at, (uint16_t)sub->passes);
    }
}

/* Shows the slot to the walk, once. */
static void walk(struct stream_readers *readers, const struct glance *slot)
{
    const struct switcher_in in = {.seq = slot->seq, .ts = slot->ts, .layer = slot->layer};

    if (!readers->stream->video || readers->subs.n < WALK_FROM ||
        slot->pos == readers->walk_pos) {
        return;
    }
    if (slot->pos > readers->walk_pos) {
        readers->walk_before = readers->walk;
        readers->walk_before_pos = readers->walk_pos;
    }
    if (slot->pos == readers->walk_pos + 1) {
        readers->walk_level = switcher_walk_next(&readers->walk, &in);
        readers->walk_pos = slot->pos;
    } else if (slot->pos > readers->walk_pos) {
        readers->walk_level = false;
        switcher_walk_begin(&readers->walk, &in);
        readers->walk_pos = slot->pos;
    }
}

/* Looks at one, at 'at', that is not plain. */
static void look_at(struct lane *lane, struct stream_readers *readers, struct sublist_at at,
                    const struct glance *slot, struct routed *routed)
{
    struct sub *sub = at.chunk->subs[at.i];

    if (is_idle(sub)) {
        sublist_needs(at, 0);
    } else if (sub->layers != NULL) {
        visit_layers(lane, readers, at, slot, routed);
    } else {
        visit(lane, readers, sub, slot, routed);
    }
}

/* How many packets one may be sent before the fan-out comes to the next: where a device likes
 * that, what there is of a frame of video. */
static uint16_t run_of(const struct lane *lane, const struct stream_readers *readers)
{
    const struct stream_ring *ring = &readers->stream->ring;
    const uint64_t head = stream_ring_head(ring);
    uint16_t run = 1;

    if (lane->runs == 0 || !readers->stream->video) {
        return 1;
    }
    for (uint64_t pos = readers->next_pos; pos + 1 < head && run < RUN; pos++, run++) {
        const struct ring_slot *slot = &ring->slots[pos & ring->slot_mask];

        if ((__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) & RING_SLOT_MARKER) != 0) {
            break;
        }
    }
    return run;
}

/* Serves the position at which 'readers' stands, as far as there is room. Returns true when
 * all its subscriptions have had it. */
static bool serve(struct lane *lane, struct stream_readers *readers,
                  const struct glance *slot, struct routed *routed)
{
    const bool video = readers->stream->video;
    const uint64_t pos = slot->pos, seq = slot->seq;
    const uint16_t targets = readers->targets;
    struct sublist_iter at = readers->at;
    uint16_t visits = 0;
    const uint16_t run = run_of(lane, readers);
    const uint16_t most_n = (uint16_t)(PKT_BURST - run);
    const uint16_t most_visits = (uint16_t)(MAX_VISITS - routed->visits);

    routed->run = run;
    if (pos >= readers->run_end) {
        readers->run_pos = pos;
    }
    if (pos == readers->run_pos && pos + run > readers->run_end) {
        readers->run_end = pos + run; /* it begins, or more of it has come meanwhile */
    }
    while (at.chunk != NULL && routed->n <= most_n && visits < most_visits) {
        struct sublist_chunk *const next = at.chunk->next;
        uint64_t todo = sublist_wanting(at.chunk, at.i, targets);

        if (next != NULL) {
            __builtin_prefetch(next);
            __builtin_prefetch(&next->needs[4]);
            __builtin_prefetch(&next->needs[12]);
        }
        if (todo == 0) { /* all of them are passed over at the cost of one */
            visits++;
        }
        for (; todo != 0 && routed->n <= most_n && visits < most_visits; todo &= todo - 1) {
            const uint32_t i = (uint32_t)__builtin_ctzll(todo);
            struct sub *sub = at.chunk->subs[i];
            const uint16_t n = routed->n;

            visits++;
            at.i = i + 1;
            if (!is_plain(sub, pos) || (video && sub->peer->pace_bps != 0)) {
                look_at(lane, readers, (struct sublist_at){.chunk = at.chunk, .i = i}, slot,
                        routed);
            } else if (sub->cursor == pos) { /* as wants() */
                sub->cursor = pos + 1;
                if (is_ready(sub->peer) && seq >= sub->seq_base) {
                    send(lane, sub, pos, routed);
                }
            }
            if (routed->n == n) {
                prefetch_far(&at);
            }
        }
        if (todo == 0) {
            at = (struct sublist_iter){.chunk = next};
        }
    }
    readers->at = at;
    routed->visits = (uint16_t)(routed->visits + visits);
    routed->full = routed->n > most_n;
    return at.chunk == NULL;
}

/* What rewrite and protect touch first, of an object that is here by now. */
static inline void prefetch_later(const struct sub *sub)
{
    const struct peer *peer = sub->peer;

    __builtin_prefetch(peer->tx_key);
    if (sub->twcc_at != 0) {
        __builtin_prefetch(bwe_sent_at(peer->bwe, peer->twcc_next), 1);
    }
}

/* Makes an egress packet of each. */
static void fill(const struct routed *routed, struct burst *out)
{
    for (uint16_t i = 0; i < routed->n; i++) {
        const struct switcher_out *layer = &routed->outs[i];
        struct pkt *pkt = out->pkts[i];

        if (routed->strange) {
            prefetch_later(routed->subs[i]);
        }
        pkt->sub = routed->subs[i];
        pkt->peer = routed->subs[i]->peer;
        pkt->pos = routed->pos[i];
        pkt->rtx = false;
        pkt->layered = routed->subs[i]->layers != NULL;
        if (pkt->layered) {
            pkt->index = layer->index;
            pkt->ts = layer->ts;
            pkt->marker = layer->marker;
            pkt->picture = layer->picture;
            pkt->tl0 = layer->tl0;
            pkt->keyidx = layer->keyidx;
            pkt->spatial = layer->spatial;
            pkt->temporal = layer->temporal;
        }
    }
    out->n = routed->n;
}

/* Whether some have had this position when they were sent one before. A delay is then no
 * measure: it goes up by the time that all need for a run, and down again. */
static bool is_within_run(const struct stream_readers *readers)
{
    return readers->next_pos > readers->run_pos && readers->next_pos < readers->run_end;
}

/* Serves the first ring of a room: a position of it, or as much as there is room for. */
static void serve_ring(struct lane *lane, struct turns_room *room, struct routed *routed)
{
    struct stream_readers *readers = room->first;
    const struct stream_ring *ring = &readers->stream->ring;
    const uint64_t tail = stream_ring_tail(ring);
    struct glance slot;

    if (readers->next_pos < tail) { /* it goes on with the oldest whole slot */
        shed_skip_to(lane, readers, tail);
    }
    if (readers->next_pos >= stream_ring_head(ring)) {
        next_ring(room, false);
        return;
    }
    slot = look(ring, readers->next_pos);
    if (!stream_ring_alive(ring, readers->next_pos)) {
        return; /* overtaken just now: the tail has moved */
    }
    if (!is_within_run(readers) && shed_ring(lane, readers, slot.arrival_us)) {
        return;
    }
    walk(readers, &slot);
    readers->targets = readers->walk_level && slot.pos == readers->walk_pos
                           ? slot.layer.present
                           : SUBLIST_ALL;
    if (sublist_is_start(&readers->subs, &readers->at)) {
        prefetch_first(readers);
        routed->strange = true;
    }
    if (serve(lane, readers, &slot, routed)) {
        shed_count(lane, readers, readers->next_pos + 1);
        readers->next_pos++;
        readers->at = sublist_start(&readers->subs);
        readers->targets = SUBLIST_ALL; /* of what comes next */
        next_ring(room, readers->next_pos < stream_ring_head(ring));
    }
}

/* Serves rooms in turn, as far as there is room. */
static void serve_rooms(struct lane *lane, struct turns *turns, struct routed *routed)
{
    const bool video = turns == &lane->video;

    while (turns->first != NULL && !routed->full && routed->visits < MAX_VISITS) {
        struct turns_room *room = turns->first;
        const uint8_t index = (uint8_t)(room - turns->rooms);
        const uint32_t n = routed->n, visits = routed->visits;
        const bool due = video && paced_is_due(&lane->paced, index);

        if (due && !(room->ring_next && room->first != NULL)) {
            room->ring_next = true;
            catch_up(lane, index, routed);
        } else if (room->first != NULL) {
            serve_ring(lane, room, routed);
            if (routed->n > n || routed->visits > visits) {
                room->ring_next = false;
            } /* else there was no room for it: it is still next */
        }
        turns_spend(turns, (routed->n - n) * TURNS_PACKET + routed->visits - visits,
                    room->first != NULL || (video && paced_is_due(&lane->paced, index)));
    }
}

uint16_t route_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    struct routed routed;

    (void)in;
    routed.tables = lane->tables;
    routed.now_us = lane->now_us;
    routed.n = routed.visits = 0;
    routed.full = routed.strange = false;
    take_due(lane);
    serve_rooms(lane, &lane->audio, &routed);
    serve_rooms(lane, &lane->video, &routed);
    if (routed.n > 0 && lane_alloc(lane, out->pkts, routed.n) == 0) {
        lane->counts.drops_out[DROP_NO_BUFFER] += routed.n;
        for (uint16_t i = 0; i < routed.n; i++) {
            routed.subs[i]->rest->skipped++;
        }
        return 0;
    }
    fill(&routed, out);
    return routed.n;
}
