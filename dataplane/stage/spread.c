/* See spread.h. */
#include "stage/spread.h"

/* Tells each other lane that reads this stream; once, until it has looked. */
static void tell_others(struct lane *lane, struct stream *stream)
{
    uint64_t lanes = atomic_load_explicit(&stream->reader_lanes, memory_order_relaxed) &
                     ~(UINT64_C(1) << lane->index);

    for (; lanes != 0; lanes &= lanes - 1) {
        uint32_t to = (uint32_t)__builtin_ctzll(lanes);

        if (hub_tell_grown(lane->hub, to, &stream->readers[to])) {
            lane->to_wake |= UINT64_C(1) << to;
        }
    }
}

uint16_t spread_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    (void)out;
    if (lane->hub != NULL) {
        /* Pairs with the fences of those who take what was told, and of those who begin to
         * read: either they see the new heads, or we see them. */
        atomic_thread_fence(memory_order_seq_cst);
    }
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        struct stream_readers *readers = &pkt->stream->readers[lane->index];

        if (readers->subs.n > 0) {
            lane_grown(lane, readers);
        }
        if (lane->hub != NULL) {
            tell_others(lane, pkt->stream);
        }
        lane_done(lane, pkt, DONE_INGESTED);
    }
    return 0;
}
