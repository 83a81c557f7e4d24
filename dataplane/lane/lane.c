/* See lane.h. The packets of a lane are mbufs of DPDK's pool; struct pkt is their private
 * area. */
#include "lane/lane.h"

#include <string.h>

#include <rte_mbuf.h>

enum {
    /* a key frame for one subscriber, in the long run */
    REPAIRED_US = 3000000,
    UNREPAIRED_US = 1000000
};

_Static_assert(sizeof(struct pkt) <= 256, "the private area of an mbuf");

static struct rte_mbuf *mbuf_of(struct pkt *pkt)
{
    return (struct rte_mbuf *)(void *)pkt - 1;
}

void lane_init(struct lane *lane, uint32_t index, struct tables *tables,
               struct crypt_ctx *crypt, struct rte_mempool *pool, uint64_t now_us)
{
    memset(lane, 0, sizeof(*lane));
    lane->index = index;
    lane->tables = tables;
    lane->crypt = crypt;
    lane->pool = pool;
    lane->now_us = now_us;
    lane->padding_due_us = UINT64_MAX;
}

uint16_t lane_alloc(struct lane *lane, struct pkt **pkts, uint16_t n)
{
    struct rte_mbuf *mbufs[PKT_BURST];

    if (n > PKT_BURST || rte_mempool_get_bulk(lane->pool, (void **)mbufs, n) != 0) {
        return 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        struct pkt *pkt = rte_mbuf_to_priv(mbufs[i]);

        /* one segment, nobody else's: so they lie in a pool. The rest of an mbuf is said by
         * flags, and its lengths by the port that sends it: its second line stays alone. */
        rte_pktmbuf_reset_headroom(mbufs[i]);
        mbufs[i]->ol_flags = 0;
        pkt->data = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
        pkt->len = 0;
        pkt->to = NULL;
        pkts[i] = pkt;
    }
    return n;
}

void lane_buffers(const struct lane *lane, uint64_t *n_free, uint64_t *n_total)
{
    *n_free = rte_mempool_avail_count(lane->pool);
    *n_total = lane->pool->size;
}

void lane_free(struct lane *lane, struct pkt *pkt)
{
    (void)lane;
    rte_pktmbuf_free(mbuf_of(pkt));
}

void lane_drop(struct lane *lane, struct pkt *pkt, enum drop_reason reason)
{
    lane->counts.drops_in[reason]++;
    lane_free(lane, pkt);
}

void lane_drop_out(struct lane *lane, struct pkt *pkt, enum drop_reason reason)
{
    lane->counts.drops_out[reason]++;
    lane_free(lane, pkt);
}

void lane_done(struct lane *lane, struct pkt *pkt, enum done_kind kind)
{
    lane->counts.done[kind]++;
    lane_free(lane, pkt);
}

bool lane_tell(struct lane *lane, enum lane_news_kind kind, uint64_t handle, uint32_t arg)
{
    if (lane->n_news == LANE_NEWS) {
        return false;
    }
    lane->news[lane->n_news++] =
        (struct lane_news){.kind = kind, .arg = arg, .handle = handle};
    return true;
}

static struct turns *turns_of(struct lane *lane, const struct stream_readers *readers)
{
    return readers->stream->video ? &lane->video : &lane->audio;
}

/* A room that may have nothing any more. */
static void rest(struct lane *lane, struct turns *turns, uint8_t room)
{
    if (turns->rooms[room].first == NULL &&
        (turns != &lane->video || !paced_is_due(&lane->paced, room))) {
        turns_dequeue(turns, room);
    }
}

void lane_grown(struct lane *lane, struct stream_readers *readers)
{
    if (readers->queued) {
        return;
    }
    readers->queued = true;
    turns_add(turns_of(lane, readers), readers->stream->room, readers);
}

void lane_grown_forget(struct lane *lane, struct stream_readers *readers)
{
    if (!readers->queued) {
        return;
    }
    turns_remove(turns_of(lane, readers), readers->stream->room, readers);
    readers->queued = false;
    rest(lane, turns_of(lane, readers), readers->stream->room);
}

void lane_paced_forget(struct lane *lane, struct sub *sub)
{
    paced_forget(&lane->paced, sub);
    rest(lane, &lane->video, sub->peer->paced_room);
}

bool lane_send(struct lane *lane, uint32_t to, const struct hub_msg *msg)
{
    if (!hub_send(lane->hub, lane->index, to, msg, 0)) {
        return false;
    }
    lane->to_wake |= UINT64_C(1) << to;
    return true;
}

bool lane_send_pkt(struct lane *lane, uint32_t to, enum hub_kind kind, struct pkt *pkt)
{
    const struct hub_msg msg = {.kind = (uint8_t)kind, .pkt = pkt};

    if (!hub_send(lane->hub, lane->index, to, &msg, HUB_RESERVED)) {
        return false;
    }
    lane->to_wake |= UINT64_C(1) << to;
    return true;
}

void lane_ask_keyframe(struct lane *lane, struct stream *stream, bool again)
{
    uint32_t owner = atomic_load_explicit(&stream->lane, memory_order_relaxed);

    if (owner != lane->index && lane->hub != NULL) {
        const struct hub_msg msg = {
            .kind = HUB_KEYFRAME, .lane = again, .handle = stream->handle};

        /* as a packet: what must not be lost keeps its places */
        if (hub_send(lane->hub, lane->index, owner, &msg, HUB_RESERVED)) {
            lane->to_wake |= UINT64_C(1) << owner;
        }
        return;
    }
    stream->pli_asked += !again;
    keyframe_on_request(&stream->keyframe, lane->now_us);
}

bool lane_wish_keyframe(struct lane *lane, const struct sub *sub, struct stream *stream)
{
    /* who is told of loss that nothing repairs has reason to ask each second */
    const bool unrepaired = !sub_resends(sub) && sub->rest->fraction_lost > 0;
    const struct keyframe_wish wish = {
        .stream = stream->handle,
        .who = sub->peer->handle,
        .last = atomic_load_explicit(&stream->keyframe_pos, memory_order_relaxed),
        .period_us = unrepaired ? UNREPAIRED_US : REPAIRED_US};

    if (!keyframe_askers_take(&stream->readers[lane->index].askers, &wish, lane->now_us)) {
        return false;
    }
    lane_ask_keyframe(lane, stream, false);
    return true;
}

void lane_hear_keyframe(struct lane *lane, struct sub *sub)
{
    sub->rest->keyframes_ignored += !lane_wish_keyframe(lane, sub, sub->stream);
}

void lane_sub_close(struct lane *lane, struct sub *sub)
{
    struct stream_readers *readers = &sub->stream->readers[lane->index];

    lane_paced_forget(lane, sub);
    /* before the stream is let go: its ring may end then */
    if (readers->subs.n == 1) {
        lane_grown_forget(lane, readers);
    }
    tables_sub_close(lane->tables, sub);
}
