#include "proto/eio_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 8 };

static int grow(struct eio_queue *queue)
{
    uint32_t n_slots = queue->n_slots == 0 ? FIRST_SLOTS : queue->n_slots * 2;
    struct eio_msg **slots = malloc(n_slots * sizeof(struct eio_msg *));

    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < queue->n; i++) {
        slots[i] = eio_queue_at(queue, i);
    }
    free(queue->slots);
    queue->slots = slots;
    queue->n_slots = n_slots;
    queue->head = 0;
    return 0;
}

int eio_queue_push(struct eio_queue *queue, struct eio_msg *msg)
{
    if (msg == NULL || (queue->n == queue->n_slots && grow(queue) != 0)) {
        eio_msg_unref(msg);
        return -ENOMEM;
    }
    queue->slots[(queue->head + queue->n) & (queue->n_slots - 1)] = msg;
    queue->n++;
    queue->bytes += msg->len;
    return 0;
}

struct eio_msg *eio_queue_at(const struct eio_queue *queue, uint32_t i)
{
    return queue->slots[(queue->head + i) & (queue->n_slots - 1)];
}

struct eio_msg *eio_queue_pop(struct eio_queue *queue)
{
    struct eio_msg *msg = eio_queue_at(queue, 0);

    queue->head = (queue->head + 1) & (queue->n_slots - 1);
    queue->n--;
    queue->bytes -= msg->len;
    if (queue->n == 0 && queue->n_slots > FIRST_SLOTS) {
        free(queue->slots);
        memset(queue, 0, sizeof(*queue));
    }
    return msg;
}

void eio_queue_drop(struct eio_queue *queue, uint32_t i)
{
    struct eio_msg *msg = eio_queue_at(queue, i);

    for (; i + 1 < queue->n; i++) {
        queue->slots[(queue->head + i) & (queue->n_slots - 1)] = eio_queue_at(queue, i + 1);
    }
    queue->n--;
    queue->bytes -= msg->len;
    eio_msg_unref(msg);
}

void eio_queue_clear(struct eio_queue *queue)
{
    while (queue->n > 0) {
        eio_msg_unref(eio_queue_pop(queue));
    }
    free(queue->slots);
    memset(queue, 0, sizeof(*queue));
}
