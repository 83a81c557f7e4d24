#include "egress/depay/order.h"

#include <errno.h>
#include <string.h>

void order_init(struct order *order, struct order_packet *slots, uint32_t n,
                uint32_t hold_us)
{
    *order = (struct order){.slots = slots, .mask = n - 1, .hold_us = hold_us};
}

static struct order_packet *slot_of(const struct order *order, uint64_t seq)
{
    return &order->slots[seq & order->mask];
}

/* Gives up all before 'seq'. */
static void skip_to(struct order *order, uint64_t seq)
{
    uint64_t behind = seq - order->next;

    for (uint64_t i = 0; i < behind && i <= order->mask; i++) {
        struct order_packet *p = slot_of(order, order->next + i);

        if (p->there) {
            p->there = false;
            order->n--;
        }
    }
    order->lost += behind;
    order->gap = order->gap || behind > 0;
    order->next = seq;
}

int order_put(struct order *order, const struct order_packet *meta, const uint8_t *data,
              uint64_t now_us)
{
    struct order_packet *p;

    if (meta->len > ORDER_PACKET) {
        return -EMSGSIZE;
    }
    if (order->n == 0 && !order->started && order->since_us == 0) {
        order->next = meta->seq;
        order->since_us = now_us;
    }
    if (meta->seq < order->next) {
        /* before the start is fixed it may still move back */
        if (order->started || order->next - meta->seq > order->mask / 2) {
            return -EALREADY;
        }
        for (uint64_t at = order->next + order->mask; at > meta->seq + order->mask; at--) {
            if (slot_of(order, at)->there && slot_of(order, at)->seq == at) {
                return -EALREADY; /* no room for it and for what came since */
            }
        }
        order->next = meta->seq;
    }
    if (meta->seq - order->next > order->mask) {
        order->started = true;
        skip_to(order, meta->seq - order->mask / 2);
    }
    p = slot_of(order, meta->seq);
    if (p->there) {
        return -EALREADY;
    }
    p->seq = meta->seq;
    p->arrival_us = meta->arrival_us;
    p->put_us = now_us;
    p->ts = meta->ts;
    p->len = meta->len;
    p->marker = meta->marker;
    p->there = true;
    memcpy(p->data, data, meta->len);
    order->n++;
    return 0;
}

const struct order_packet *order_take(struct order *order, uint64_t now_us, bool *lost)
{
    struct order_packet *p;
    uint64_t seq;

    *lost = false;
    if (order->n == 0) {
        return NULL;
    }
    if (!order->started) {
        if (now_us - order->since_us < order->hold_us) {
            return NULL;
        }
        order->started = true;
    }
    for (seq = order->next; !slot_of(order, seq)->there; seq++) {
    } /* n is not 0: one of them is there */
    p = slot_of(order, seq);
    if (seq != order->next) {
        if (now_us - p->put_us < order->hold_us) {
            return NULL;
        }
        skip_to(order, seq);
    }
    p->there = false;
    order->n--;
    order->next = p->seq + 1;
    *lost = order->gap;
    order->gap = false;
    return p;
}
