/* A bounded queue and the one thread that works it off. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "event/sink.h"
#include "sys/clock.h"
#include "sys/thread.h"

struct event_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    void (*work)(void *arg, struct event *first);
    void *arg;
    struct event *first, **last;
    uint32_t n, cap, batch;
    bool ending; /* no more comes */
    bool leave;  /* now */
    bool idle;   /* and nothing waits */
};

/* At most 'batch' of those that wait. */
static struct event *take(struct event_queue *queue)
{
    struct event *first = queue->first;
    struct event *tail = first;

    queue->n--;
    for (uint32_t i = 1; i < queue->batch && tail->next != NULL; i++) {
        tail = tail->next;
        queue->n--;
    }
    queue->first = tail->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    tail->next = NULL;
    return first;
}

static void *run(void *arg)
{
    struct event_queue *queue = arg;
    struct event *batch;

    thread_named("kcs-events");
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->leave) {
        if (queue->first == NULL) {
            queue->idle = true;
            (void)pthread_cond_broadcast(&queue->changed);
            (void)pthread_cond_wait(&queue->changed, &queue->lock);
            continue;
        }
        queue->idle = false;
        batch = take(queue);
        (void)pthread_mutex_unlock(&queue->lock);
        queue->work(queue->arg, batch);
        (void)pthread_mutex_lock(&queue->lock);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return NULL;
}

int event_queue_create(struct event_queue **out, uint32_t cap, uint32_t batch,
                       void (*work)(void *arg, struct event *first), void *arg)
{
    struct event_queue *queue = calloc(1, sizeof(*queue));
    pthread_condattr_t attr;
    int err;

    if (queue == NULL) {
        return -ENOMEM;
    }
    queue->work = work;
    queue->arg = arg;
    queue->cap = cap;
    queue->batch = batch;
    queue->last = &queue->first;
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    err = pthread_create(&queue->thread, NULL, run, queue);
    if (err != 0) {
        (void)pthread_cond_destroy(&queue->changed);
        (void)pthread_mutex_destroy(&queue->lock);
        free(queue);
        return -err;
    }
    *out = queue;
    return 0;
}

int event_queue_put(struct event_queue *queue, struct event *event)
{
    int ret = -EAGAIN;

    (void)pthread_mutex_lock(&queue->lock);
    if (queue->n < queue->cap && !queue->ending) {
        event->next = NULL;
        *queue->last = event;
        queue->last = &event->next;
        queue->n++;
        queue->idle = false;
        (void)pthread_cond_broadcast(&queue->changed);
        ret = 0;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return ret;
}

bool event_queue_wait(struct event_queue *queue, uint32_t ms)
{
    const struct timespec until = clock_deadline(CLOCK_MONOTONIC, ms);
    bool leave;

    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->leave &&
           pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == 0) {
    }
    leave = queue->leave;
    (void)pthread_mutex_unlock(&queue->lock);
    return leave;
}

void event_queue_stop(struct event_queue *queue, uint32_t patience_ms)
{
    const struct timespec until = clock_deadline(CLOCK_MONOTONIC, patience_ms);

    (void)pthread_mutex_lock(&queue->lock);
    if (queue->ending) {
        (void)pthread_mutex_unlock(&queue->lock);
        return;
    }
    queue->ending = true;
    while (!queue->idle &&
           pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == 0) {
    }
    queue->leave = true;
    (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->lock);
    (void)pthread_join(queue->thread, NULL);
}

void event_queue_destroy(struct event_queue *queue)
{
    struct event *event;

    if (queue == NULL) {
        return;
    }
    event_queue_stop(queue, 0);
    while ((event = queue->first) != NULL) {
        queue->first = event->next;
        free(event);
    }
    (void)pthread_cond_destroy(&queue->changed);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}
