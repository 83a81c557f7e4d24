/* Encoded packets on their way from who encodes to a thread that sends them. It holds some
 * seconds; when it is full all that waits is left out, and what follows up to the next
 * picture that leans on no other: who is late shows the present again, not the past.
 *
 * One puts, one takes; all may be called in any thread. */
#ifndef EGRESS_PACKET_QUEUE_H
#define EGRESS_PACKET_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "egress/out/encoder.h"

struct packet_queue;

enum { PACKET_QUEUE = 512 }; /* packets: some six seconds of pictures and sound */

int packet_queue_create(struct packet_queue **out);    /* 0 or -ENOMEM */
void packet_queue_destroy(struct packet_queue *queue); /* NULL is a no-op */

/* packet: borrowed. Never waits; without memory it is left out. */
void packet_queue_put(struct packet_queue *queue, enum encoder_kind kind,
                      const struct AVPacket *packet);

/* Waits for the next, which is the caller's. NULL: the queue is closed and empty. */
struct AVPacket *packet_queue_take(struct packet_queue *queue, enum encoder_kind *kind);

/* Leaves out all that waits. */
void packet_queue_clear(struct packet_queue *queue);

/* Waits so long, or until it is closed. */
void packet_queue_pause(struct packet_queue *queue, unsigned ms);

/* Nothing is put any more; wakes who waits. */
void packet_queue_close(struct packet_queue *queue);

uint64_t packet_queue_left_out(struct packet_queue *queue);

#endif
