/* The outgoing packets of one Engine.IO session, in order. It grows on demand and gives its
 * memory back when it is empty, for most sessions are idle. The bound is the caller's.
 *
 * Pure. Thread: that of the session. */
#ifndef PROTO_EIO_QUEUE_H
#define PROTO_EIO_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/eio_msg.h"

/* All zero is an empty queue. */
struct eio_queue {
    struct eio_msg **slots; /* ring of n_slots, a power of two */
    uint32_t n_slots;
    uint32_t head;
    uint32_t n;
    size_t bytes; /* of the packets */
};

/* Appends 'msg', moved also on failure; NULL counts as a failed allocation, so that a
 * packet can be made in the argument. Returns 0 or -ENOMEM. */
int eio_queue_push(struct eio_queue *queue, struct eio_msg *msg);

/* The i-th packet, i < n; borrowed. */
struct eio_msg *eio_queue_at(const struct eio_queue *queue, uint32_t i);

/* Takes the first packet out of a queue that is not empty; moved to the caller. */
struct eio_msg *eio_queue_pop(struct eio_queue *queue);

/* Drops the i-th packet; the others stay in their order. */
void eio_queue_drop(struct eio_queue *queue, uint32_t i);

/* Drops all and gives the memory back. */
void eio_queue_clear(struct eio_queue *queue);

#endif
