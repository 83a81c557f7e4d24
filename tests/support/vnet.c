#include "support/vnet.h"

#include <assert.h>
#include <string.h>

/* xorshift64*, its upper half. */
uint32_t vnet_dice(uint64_t *random, uint32_t below)
{
    uint64_t x = *random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % below;
}

static bool happens(struct vnet *net, uint32_t millionths)
{
    return millionths > 0 && vnet_dice(&net->random, VNET_ALWAYS) < millionths;
}

void vnet_init(struct vnet *net, const struct vnet_conf *conf, uint64_t seed)
{
    memset(net, 0, sizeof(*net));
    net->conf = *conf;
    net->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool earlier(const struct vnet_pkt *a, const struct vnet_pkt *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push(struct vnet *net, uint64_t at_us, uint64_t id)
{
    struct vnet_pkt pkt = {.at_us = at_us, .order = net->n_sent++, .id = id};
    size_t i = net->n++;

    assert(i < VNET_MAX_FLIGHT);
    while (i > 0 && earlier(&pkt, &net->heap[(i - 1) / 2])) {
        net->heap[i] = net->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    net->heap[i] = pkt;
}

/* Whether it is lost by chance. */
static bool is_lost(struct vnet *net)
{
    if (happens(net, net->in_burst ? net->conf.burst_end : net->conf.burst_begin)) {
        net->in_burst = !net->in_burst;
    }
    return net->in_burst || happens(net, net->conf.loss);
}

/* Through the bottleneck: moves '*now_us' to when it is out. Returns false if the queue is
 * full. */
static bool squeeze(struct vnet *net, uint64_t *now_us, uint32_t len)
{
    uint64_t begin_us = net->free_at_us > *now_us ? net->free_at_us : *now_us;

    if (net->conf.rate_bps == 0) {
        return true;
    }
    if ((begin_us - *now_us) * net->conf.rate_bps / 8000000 + len > net->conf.queue_bytes) {
        return false;
    }
    net->free_at_us = begin_us + (uint64_t)len * 8000000 / net->conf.rate_bps;
    *now_us = net->free_at_us;
    return true;
}

/* The slow part of the delay: at most a tenth of its range up or down each 10 ms. */
static uint32_t walk(struct vnet *net, uint64_t now_us)
{
    uint32_t range = net->conf.wander_us;

    if (range == 0) {
        return 0;
    }
    for (int i = 0; net->walked_us + 10000 <= now_us; i++) {
        uint32_t step = vnet_dice(&net->random, range / 10 + 1);
        bool up = vnet_dice(&net->random, 2) == 1;

        if (up) {
            net->walk_us = net->walk_us + step < range ? net->walk_us + step : range;
        } else {
            net->walk_us = net->walk_us > step ? net->walk_us - step : 0;
        }
        net->walked_us = i < 100 ? net->walked_us + 10000 : now_us;
    }
    return net->walk_us;
}

bool vnet_send(struct vnet *net, uint64_t now_us, uint64_t id, uint32_t len)
{
    const struct vnet_conf *conf = &net->conf;
    uint64_t at_us = now_us;

    if (is_lost(net) || !squeeze(net, &at_us, len)) {
        return false;
    }
    at_us += conf->delay_us + vnet_dice(&net->random, conf->jitter_us + 1);
    at_us += walk(net, now_us);
    if (happens(net, conf->reorder)) {
        at_us += conf->reorder_us;
    } else {
        at_us = at_us > net->last_us ? at_us : net->last_us;
        net->last_us = at_us;
    }
    push(net, at_us, id);
    if (happens(net, conf->duplicate)) {
        push(net, at_us + 1 + vnet_dice(&net->random, conf->reorder_us + 1000), id);
    }
    return true;
}

uint64_t vnet_next_us(const struct vnet *net)
{
    return net->n > 0 ? net->heap[0].at_us : UINT64_MAX;
}

bool vnet_take(struct vnet *net, struct vnet_pkt *out)
{
    struct vnet_pkt last;
    size_t i = 0;

    if (net->n == 0) {
        return false;
    }
    *out = net->heap[0];
    last = net->heap[--net->n];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= net->n) {
            break;
        }
        if (child + 1 < net->n && earlier(&net->heap[child + 1], &net->heap[child])) {
            child++;
        }
        if (!earlier(&net->heap[child], &last)) {
            break;
        }
        net->heap[i] = net->heap[child];
        i = child;
    }
    net->heap[i] = last;
    return true;
}
