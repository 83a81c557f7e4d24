#include "egress/depay/feed.h"

#include <errno.h>
#include <stdlib.h>

#include "sfu/base/handle.h"

enum { BURST = 2048 }; /* packets in one turn: two rings of video */

int feed_init(struct feed *feed, const struct feed_rings *rings, uint64_t handle,
              enum abi_codec codec)
{
    bool video = codec != ABI_CODEC_OPUS;
    uint32_t n = video ? FEED_VIDEO_SLOTS : FEED_AUDIO_SLOTS;
    uint32_t index = handle_index(handle);

    *feed = (struct feed){.rings = *rings, .handle = handle, .codec = codec};
    if (index >= rings->n_taps || handle == HANDLE_NONE || codec < ABI_CODEC_OPUS ||
        codec >= N_ABI_CODECS) {
        return -EINVAL;
    }
    feed->slots = calloc(n, sizeof(*feed->slots));
    feed->buffers = video ? malloc(sizeof(*feed->buffers)) : NULL;
    if (feed->slots == NULL || (video && feed->buffers == NULL)) {
        feed_fini(feed);
        return -ENOMEM;
    }
    feed->tap =
        (const struct tap *)(const void *)((const uint8_t *)rings->mem + 64) + index;
    feed->at = atomic_load_explicit(&feed->tap->head, memory_order_acquire);
    order_init(&feed->order, feed->slots, n, FEED_HOLD_US);
    depay_init(&feed->depay, codec, feed->buffers);
    return 0;
}

static void read_ring(struct feed *feed, uint64_t now_us)
{
    uint8_t payload[ORDER_PACKET];
    struct tap_slot slot;
    enum tap_got got = TAP_GOT;

    for (unsigned i = 0; i < BURST && (got == TAP_GOT || got == TAP_LOST); i++) {
        uint64_t next = feed->at;

        got = tap_read(feed->rings.mem, feed->rings.len, feed->tap, feed->handle, feed->at,
                       &slot, payload, sizeof(payload), &next);
        if (got == TAP_GOT) {
            const struct order_packet meta = {.seq = slot.seq,
                                              .arrival_us = slot.arrival_us,
                                              .ts = slot.ts,
                                              .len = slot.len,
                                              .marker = (slot.flags & TAP_MARKER) != 0};

            (void)order_put(&feed->order, &meta, payload, now_us);
        } else if (got == TAP_LOST) {
            feed->overrun += next > feed->at ? next - feed->at : 0;
        }
        feed->at = got == TAP_GOT || got == TAP_LOST ? next : feed->at;
    }
}

static void drain(struct feed *feed, uint64_t now_us, feed_frame *fn, void *arg)
{
    const struct order_packet *p;
    struct depay_frame frame;
    bool lost;

    while ((p = order_take(&feed->order, now_us, &lost)) != NULL) {
        if (depay_ends(&feed->depay, p->ts, lost, &frame)) {
            fn(arg, &frame, p->arrival_us);
        }
        if (depay_put(&feed->depay, p->data, p->len, p->ts, p->marker, lost, &frame)) {
            fn(arg, &frame, p->arrival_us);
        }
    }
}

void feed_run(struct feed *feed, uint64_t now_us, feed_frame *fn, void *arg)
{
    read_ring(feed, now_us);
    drain(feed, now_us, fn, arg);
}

void feed_end(struct feed *feed, uint64_t now_us, feed_frame *fn, void *arg)
{
    read_ring(feed, now_us);
    drain(feed, now_us + FEED_HOLD_US, fn, arg); /* nothing is waited for any more */
}

bool feed_report(const struct feed *feed, uint64_t *ntp, uint32_t *ts)
{
    return tap_is(feed->tap, feed->handle) && tap_clock_read(feed->tap, ntp, ts);
}

void feed_spoilt(struct feed *feed)
{
    depay_spoilt(&feed->depay);
}

bool feed_wants_key(struct feed *feed, uint64_t now_us)
{
    if (!depay_wants_key(&feed->depay) && !feed->depay.need_key) {
        return false;
    }
    if (feed->asked_us != 0 && now_us - feed->asked_us < FEED_ASK_US) {
        return false;
    }
    feed->asked_us = now_us;
    return true;
}

uint64_t feed_lost(const struct feed *feed)
{
    return feed->order.lost + feed->overrun;
}

void feed_fini(struct feed *feed)
{
    free(feed->slots);
    free(feed->buffers);
    feed->slots = NULL;
    feed->buffers = NULL;
}
