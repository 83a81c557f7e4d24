/* One thread with its own SSL_CTX, a bounded queue of jobs and the timers of its
 * connections. */
#ifndef KCS_DTLS_DTLS_WORKER_H
#define KCS_DTLS_DTLS_WORKER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dtls/dtls_conn.h"
#include "dtls/dtls_heap.h"

struct dtls_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct dtls_job *first, **last;
    unsigned n_feeds, max_feeds; /* waiting datagrams; the other jobs always find room */
    bool stop;
    _Atomic uint64_t busy_us; /* CPU of the thread */
    /* worker's thread */
    SSL_CTX *ctx;
    struct dtls_heap heap;
};

/* Starts the thread; 'ctx' is moved, also on failure. Returns 0 or -errno. */
int dtls_worker_start(struct dtls_worker *worker, SSL_CTX *ctx, unsigned max_feeds);

/* Ends the thread and frees the jobs that it has not done. */
void dtls_worker_stop(struct dtls_worker *worker);

/* Moves 'job' into the queue. Returns 0, or -EAGAIN for a FEED or SEND that finds it full.
 */
int dtls_worker_put(struct dtls_worker *worker, struct dtls_job *job);

/* How long the first job of the queue has waited; 0 if there is none. */
uint64_t dtls_worker_delay_us(struct dtls_worker *worker);

#endif
