#include "egress/out/packet_queue.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct packet_queue {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t change;
    AVPacket *packets[PACKET_QUEUE];
    enum encoder_kind kinds[PACKET_QUEUE];
    unsigned first, n;
    bool gap; /* until a picture that leans on no other */
    bool closed;
    uint64_t left_out;
};

int packet_queue_create(struct packet_queue **out)
{
    struct packet_queue *queue = calloc(1, sizeof(*queue));
    pthread_condattr_t attr;

    if (queue == NULL) {
        return -ENOMEM;
    }
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->change, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&queue->lock, NULL);
    *out = queue;
    return 0;
}

/* The lock is held. */
static void leave_out(struct packet_queue *queue)
{
    while (queue->n > 0) {
        av_packet_free(&queue->packets[queue->first]);
        queue->first = (queue->first + 1) % PACKET_QUEUE;
        queue->n--;
        queue->left_out++;
    }
}

void packet_queue_destroy(struct packet_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    leave_out(queue);
    (void)pthread_cond_destroy(&queue->change);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

void packet_queue_put(struct packet_queue *queue, enum encoder_kind kind,
                      const AVPacket *packet)
{
    AVPacket *copy = av_packet_clone(packet);

    (void)pthread_mutex_lock(&queue->lock);
    if (queue->n == PACKET_QUEUE || copy == NULL) {
        leave_out(queue);
        queue->gap = true;
    }
    if (kind == ENCODER_VIDEO && (packet->flags & AV_PKT_FLAG_KEY) != 0) {
        queue->gap = copy == NULL;
    }
    if (queue->gap || queue->closed) {
        av_packet_free(&copy);
        queue->left_out++;
    } else {
        unsigned at = (queue->first + queue->n++) % PACKET_QUEUE;

        queue->packets[at] = copy;
        queue->kinds[at] = kind;
        (void)pthread_cond_signal(&queue->change);
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

AVPacket *packet_queue_take(struct packet_queue *queue, enum encoder_kind *kind)
{
    AVPacket *packet = NULL;

    (void)pthread_mutex_lock(&queue->lock);
    while (queue->n == 0 && !queue->closed) {
        (void)pthread_cond_wait(&queue->change, &queue->lock);
    }
    if (queue->n > 0) {
        packet = queue->packets[queue->first];
        *kind = queue->kinds[queue->first];
        queue->first = (queue->first + 1) % PACKET_QUEUE;
        queue->n--;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return packet;
}

void packet_queue_clear(struct packet_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    leave_out(queue);
    (void)pthread_mutex_unlock(&queue->lock);
}

void packet_queue_pause(struct packet_queue *queue, unsigned ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->closed &&
           pthread_cond_timedwait(&queue->change, &queue->lock, &until) != ETIMEDOUT) {
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

void packet_queue_close(struct packet_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    (void)pthread_cond_broadcast(&queue->change);
    (void)pthread_mutex_unlock(&queue->lock);
}

uint64_t packet_queue_left_out(struct packet_queue *queue)
{
    uint64_t left_out;

    (void)pthread_mutex_lock(&queue->lock);
    left_out = queue->left_out;
    (void)pthread_mutex_unlock(&queue->lock);
    return left_out;
}
