/* A one-way network path in virtual time: loss, bursts of loss, a bottleneck with a queue,
 * delay, jitter, reordering, duplication. The same seed gives the same deliveries. The
 * relay (relay.c) is the same model in real time.
 *
 * Pure: no clock, no thread. What is sent must be sent in the order of time. */
#ifndef SUPPORT_VNET_H
#define SUPPORT_VNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VNET_MAX_FLIGHT = 4096, VNET_ALWAYS = 1000000 };

/* Chances are in millionths, of each packet. All zero is a perfect wire. */
struct vnet_conf {
    uint32_t delay_us;
    uint32_t jitter_us;   /* 0..this is added; the order is kept */
    uint32_t wander_us;   /* 0..this is added, as a slow walk: what queues elsewhere do */
    uint32_t loss;        /* each for itself */
    uint32_t burst_begin; /* to fall into a state in which everything is lost */
    uint32_t burst_end;   /* to leave it; not 0 if the above is not */
    uint32_t reorder;     /* to be overtaken: held back by 'reorder_us' */
    uint32_t reorder_us;
    uint32_t duplicate;   /* to come twice, the second time within 'reorder_us' + 1 ms */
    uint32_t rate_bps;    /* of the bottleneck; 0: none */
    uint32_t queue_bytes; /* before the bottleneck; what does not fit is lost */
};

struct vnet_pkt {
    uint64_t at_us;
    uint64_t order; /* of sending: decides between equal times */
    uint64_t id;    /* the sender's */
};

struct vnet {
    struct vnet_conf conf;
    uint64_t random;
    uint64_t free_at_us; /* the bottleneck */
    uint64_t last_us;    /* latest arrival of those that keep the order */
    uint64_t walked_us;  /* when the walk took its last step */
    uint32_t walk_us;    /* where it is, of 'wander_us' */
    uint64_t n_sent;
    bool in_burst;
    size_t n;
    struct vnet_pkt heap[VNET_MAX_FLIGHT]; /* earliest on top */
};

void vnet_init(struct vnet *net, const struct vnet_conf *conf, uint64_t seed);

/* How many more packets may be sent before some arrive: each takes up to two places. */
static inline size_t vnet_room(const struct vnet *net)
{
    return (VNET_MAX_FLIGHT - net->n) / 2;
}

/* Returns whether it will arrive (at least once). */
bool vnet_send(struct vnet *net, uint64_t now_us, uint64_t id, uint32_t len);

/* When the next packet arrives; UINT64_MAX if none is under way. */
uint64_t vnet_next_us(const struct vnet *net);

/* Takes the next packet that arrives. Returns false if none is under way. */
bool vnet_take(struct vnet *net, struct vnet_pkt *out);

/* 0..below-1 from a state that is not 0, for the tests' own dice. */
uint32_t vnet_dice(uint64_t *random, uint32_t below);

#endif
