#include "dtls/dtls_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sys/clock.h"
#include "sys/thread.h"

enum { TOLD_EVERY = 16 }; /* jobs of a busy worker: what it has taken; asking is a call */

static void worker_do(struct dtls_worker *worker, struct dtls_job *job)
{
    struct dtls_conn *conn = job->conn;
    uint64_t now_us = clock_mono_us();

    switch (job->kind) {
    case DTLS_JOB_OPEN:
        dtls_conn_start(conn, worker->ctx, now_us);
        break;
    case DTLS_JOB_FEED:
        dtls_conn_on_datagram(conn, &job->from, job->data, job->len, now_us);
        free(job);
        break;
    case DTLS_JOB_GRANT:
        dtls_conn_on_grant(conn, &job->from, job->len, now_us);
        free(job);
        break;
    case DTLS_JOB_SEND:
        dtls_conn_on_send(conn, job->data, job->len);
        free(job);
        break;
    case DTLS_JOB_CLOSE:
        conn->deadline_us = UINT64_MAX;
        (void)dtls_heap_set(&worker->heap, conn); /* removal always succeeds */
        dtls_conn_stop(conn);
        dtls_mailbox_put(conn->shared->box, &conn->gone);
        return; /* the loop may have freed it by now */
    }
    if (dtls_heap_set(&worker->heap, conn) != 0) {
        /* Without a timer it lives from the peer's retransmissions alone. */
        conn->heap_index = DTLS_HEAP_NONE;
    }
}

/* Runs what is due. Returns the next deadline. */
static uint64_t worker_run_timers(struct dtls_worker *worker)
{
    for (;;) {
        struct dtls_conn *conn = dtls_heap_first(&worker->heap);
        uint64_t now_us = clock_mono_us();

        if (conn == NULL || conn->deadline_us > now_us) {
            return conn == NULL ? UINT64_MAX : conn->deadline_us;
        }
        dtls_conn_on_time(conn, now_us);
        (void)dtls_heap_set(&worker->heap, conn); /* it is a member: needs no room */
    }
}

static void worker_wait(struct dtls_worker *worker, uint64_t until_us)
{
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};

    if (until_us == UINT64_MAX) {
        (void)pthread_cond_wait(&worker->wake, &worker->lock);
    } else {
        (void)pthread_cond_timedwait(&worker->wake, &worker->lock, &until);
    }
}

/* Jobs that are made for what comes, and freed; those of OPEN and CLOSE are the
 * connection's. */
static bool carries_data(const struct dtls_job *job)
{
    return job->kind != DTLS_JOB_OPEN && job->kind != DTLS_JOB_CLOSE;
}

static struct dtls_job *worker_take(struct dtls_worker *worker)
{
    struct dtls_job *job = worker->first;

    if (job != NULL) {
        worker->first = job->next;
        if (worker->first == NULL) {
            worker->last = &worker->first;
        }
        worker->n_feeds -= carries_data(job);
    }
    return job;
}

static void tell_busy(struct dtls_worker *worker)
{
    atomic_store_explicit(&worker->busy_us, clock_thread_us(), memory_order_relaxed);
}

static void *worker_main(void *arg)
{
    struct dtls_worker *worker = arg;
    unsigned n = 0;

    thread_of_work("kcs-dtls");
    (void)pthread_mutex_lock(&worker->lock);
    while (!worker->stop) {
        struct dtls_job *job = worker_take(worker);
        uint64_t next_us;

        (void)pthread_mutex_unlock(&worker->lock);
        if (job != NULL) {
            worker_do(worker, job);
        }
        next_us = worker_run_timers(worker);
        if (++n % TOLD_EVERY == 0) {
            tell_busy(worker);
        }
        (void)pthread_mutex_lock(&worker->lock);
        if (!worker->stop && worker->first == NULL) {
            tell_busy(worker);
            worker_wait(worker, next_us);
        }
    }
    (void)pthread_mutex_unlock(&worker->lock);
    return NULL;
}

int dtls_worker_start(struct dtls_worker *worker, SSL_CTX *ctx, unsigned max_feeds)
{
    pthread_condattr_t attr;
    int err;

    worker->ctx = ctx;
    worker->max_feeds = max_feeds;
    worker->n_feeds = 0;
    worker->first = NULL;
    worker->last = &worker->first;
    worker->stop = false;
    atomic_init(&worker->busy_us, 0);
    worker->heap = (struct dtls_heap){.n = 0};
    err = pthread_condattr_init(&attr);
    if (err != 0) {
        goto out;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    err = pthread_cond_init(&worker->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (err != 0) {
        goto out;
    }
    err = pthread_mutex_init(&worker->lock, NULL);
    if (err != 0) {
        goto out_cond;
    }
    err = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (err == 0) {
        return 0;
    }
    (void)pthread_mutex_destroy(&worker->lock);
out_cond:
    (void)pthread_cond_destroy(&worker->wake);
out:
    SSL_CTX_free(ctx);
    return -err;
}

void dtls_worker_stop(struct dtls_worker *worker)
{
    struct dtls_job *job;

    (void)pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
    (void)pthread_join(worker->thread, NULL);
    while ((job = worker_take(worker)) != NULL) {
        if (carries_data(job)) {
            free(job);
        }
    }
    dtls_heap_fini(&worker->heap);
    SSL_CTX_free(worker->ctx);
    (void)pthread_cond_destroy(&worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
}

int dtls_worker_put(struct dtls_worker *worker, struct dtls_job *job)
{
    uint64_t now_us = clock_mono_us();
    int err = 0;

    (void)pthread_mutex_lock(&worker->lock);
    if (carries_data(job) && worker->n_feeds >= worker->max_feeds) {
        err = -EAGAIN;
    } else {
        worker->n_feeds += carries_data(job);
        job->next = NULL;
        job->since_us = now_us;
        *worker->last = job;
        worker->last = &job->next;
        (void)pthread_cond_signal(&worker->wake);
    }
    (void)pthread_mutex_unlock(&worker->lock);
    return err;
}

uint64_t dtls_worker_delay_us(struct dtls_worker *worker)
{
    uint64_t now_us = clock_mono_us();
    uint64_t since_us;

    (void)pthread_mutex_lock(&worker->lock);
    since_us = worker->first != NULL ? worker->first->since_us : now_us;
    (void)pthread_mutex_unlock(&worker->lock);
    return now_us > since_us ? now_us - since_us : 0;
}
