/* The queue, the thread and the way back to the loop; see store.h. What is put into the
 * queue store_request.c makes. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_priv.h"
#include "sys/clock.h"
#include "sys/thread.h"

enum {
    BATCH = 16384,  /* requests of one transaction */
    GATHER_MS = 10, /* how long one that nobody waits for waits for others */
    ROOM_US = 1000000
};

struct list {
    struct store_req *first, **last;
};

struct store {
    const struct store_backend *backend;
    void *data;
    pthread_t thread, copier;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake, wake_copier, answered;
    struct list queue, copies;
    uint32_t n_waiting; /* queued, being done, or not yet answered */
    size_t n_bytes;
    uint32_t n_urgent; /* of those in 'queue', that somebody waits for */
    bool stop;
    struct list answers;
    bool posted; /* a call of deliver() is on its way */
    bool dead;   /* store_destroy() was called: that call frees */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;
    char *path;
    uint64_t last_epoch, last_seq; /* as they were at open */
    atomic_ullong used, most;      /* see store_room() */
    /* The loop's: */
    int failing; /* see store_failing() */
    void (*on_event)(void *arg, const struct store_event *event);
    void (*on_events)(void *arg);
    void *on_events_arg;
    bool news; /* on_events is to be called */
    uint64_t n_events;
};

static void list_init(struct list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_put(struct list *list, struct store_req *req)
{
    req->next = NULL;
    *list->last = req;
    list->last = &req->next;
}

static struct store_req *list_take(struct list *list)
{
    struct store_req *req = list->first;

    if (req != NULL) {
        list->first = req->next;
        if (list->first == NULL) {
            list->last = &list->first;
        }
    }
    return req;
}

/* ---- answers ---- */

static void store_free(struct store *store)
{
    (void)pthread_cond_destroy(&store->wake);
    (void)pthread_cond_destroy(&store->wake_copier);
    (void)pthread_cond_destroy(&store->answered);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

/* A full disk still reads, and lets what is not there be deleted. */
static void note_state(struct store *store, const struct store_req *req)
{
    int err = req->result.err;

    if (err == -ENOSPC || err == -EHOSTDOWN || err == -EAGAIN || err == -EACCES ||
        err == -EIO) {
        store->failing = err;
    } else if (err != -ECANCELED && err != -ENOMEM &&
               (store->failing == -EHOSTDOWN || (err == 0 && req->op == OP_WRITE))) {
        store->failing = 0;
    }
}

int store_failing(const struct store *store)
{
    return store->failing;
}

uint64_t store_events_written(const struct store *store)
{
    return store->n_events;
}

static void tell_events(struct store *store, const struct store_req *req)
{
    const struct store_result *result = &req->result;

    store->news = true;
    for (size_t i = 0; i < req->n; i++) {
        store->n_events += req->writes[i].what == STORE_EVENT;
    }
    for (size_t i = 0; i < result->n_events && store->on_event != NULL; i++) {
        store->on_event(store->on_events_arg, &result->events[i]);
    }
    if (result->n_events == 0 && store->on_event != NULL) {
        store->on_event(store->on_events_arg, NULL);
    }
}

static void answer(struct store *store, struct store_req *req)
{
    if (req->op != OP_BACKUP) {
        note_state(store, req);
    }
    (void)pthread_mutex_lock(&store->lock);
    store->n_waiting--;
    store->n_bytes -= req->bytes;
    (void)pthread_mutex_unlock(&store->lock);
    if (req->done != NULL) {
        req->done(req->arg, &req->result);
    }
    if (req->op == OP_WRITE && req->result.err == 0 && req->result.seq != 0) {
        tell_events(store, req);
    }
    store_req_free(req);
}

/* Calls the callbacks of 'req' and of those behind it. */
static void tell_answers(struct store *store, struct store_req *req)
{
    struct store_req *next;

    for (; req != NULL; req = next) {
        next = req->next;
        answer(store, req);
    }
    if (store->news && store->on_events != NULL) {
        store->on_events(store->on_events_arg);
    }
    store->news = false;
}

/* With the lock. The first of them. */
static struct store_req *take_answers(struct store *store)
{
    struct store_req *first = store->answers.first;

    list_init(&store->answers);
    return first;
}

/* On the loop. */
static void deliver(void *arg)
{
    struct store *store = arg;
    struct store_req *first;
    bool dead;

    (void)pthread_mutex_lock(&store->lock);
    store->posted = false;
    dead = store->dead;
    first = take_answers(store);
    (void)pthread_mutex_unlock(&store->lock);
    if (dead) {
        store_free(store);
        return;
    }
    tell_answers(store, first);
}

void store_wait(struct store *store)
{
    struct store_req *first;

    (void)pthread_mutex_lock(&store->lock);
    while (store->answers.first == NULL && store->n_waiting > 0) {
        (void)pthread_cond_wait(&store->answered, &store->lock);
    }
    first = take_answers(store);
    (void)pthread_mutex_unlock(&store->lock);
    tell_answers(store, first);
}

void store_on_events(struct store *store,
                     void (*each)(void *arg, const struct store_event *event),
                     void (*fn)(void *arg), void *arg)
{
    store->on_event = each;
    store->on_events = fn;
    store->on_events_arg = arg;
}

/* With the lock. If it cannot be posted now, the next answer tries again. */
static void send_answer(struct store *store, struct store_req *req)
{
    list_put(&store->answers, req);
    (void)pthread_cond_signal(&store->answered);
    if (!store->posted) {
        store->posted = store->post(store->loop, deliver, store) == 0;
    }
}

/* ---- the thread ---- */

static void refuse(struct store_req *req, int err)
{
    memset(&req->result, 0, sizeof(req->result));
    req->result.err = err;
}

static void run_alone(struct store *store, struct store_req *req)
{
    int err = store->backend->begin(store->data, true);

    if (err != 0) {
        refuse(req, err);
        return;
    }
    if (!store->backend->run(store->data, req)) {
        return; /* it says why */
    }
    err = store->backend->commit(store->data);
    if (err != 0) {
        refuse(req, err);
    }
}

static bool changes(const struct store_req *req)
{
    return req->op == OP_WRITE || req->op == OP_ACK || req->op == OP_SWEEP ||
           req->op == OP_ERASE;
}

/* When another process has held the file for as long as one waits, nobody else of the batch
 * waits for that: which would be as long again for each. Nor does what is in line overtake
 * what has failed. */
static bool is_refused(struct store_req *req, bool locked)
{
    if (locked && changes(req)) {
        refuse(req, -EAGAIN);
        return true;
    }
    if (req->line != NULL && req->line->err != 0) {
        refuse(req, req->line->err);
        return true;
    }
    return false;
}

/* Looks at how one went. Returns whether the file is locked. */
static bool note_end(const struct store_req *req)
{
    if (req->line != NULL && store_may_pass(req->result.err)) {
        req->line->err = req->result.err;
    }
    return req->result.err == -EAGAIN;
}

/* One transaction for all. False: nothing of it was kept. */
static bool run_together(struct store *store, struct store_req *batch, bool careful)
{
    bool whole = store->backend->begin(store->data, careful) == 0;
    bool locked = false;

    for (struct store_req *req = batch; whole && req != NULL; req = req->next) {
        memset(&req->result, 0, sizeof(req->result));
        if (!is_refused(req, locked)) {
            whole = store->backend->run(store->data, req);
            locked = (whole ? note_end(req) : req->result.err == -EAGAIN) || locked;
        }
    }
    return whole && store->backend->commit(store->data) == 0;
}

/* That a list is refused after some of it was done is rare: till then none is prepared to
 * be undone alone. If even that does not work each has a transaction of its own: so that a
 * write that the disk has no room for does not take reads with it. */
static void run_batch(struct store *store, struct store_req *batch)
{
    bool locked = false;

    if (run_together(store, batch, false) || run_together(store, batch, true)) {
        return;
    }
    for (struct store_req *req = batch; req != NULL; req = req->next) {
        memset(&req->result, 0, sizeof(req->result));
        if (!is_refused(req, locked)) {
            run_alone(store, req);
            locked = note_end(req) || locked;
        }
    }
}

/* With the lock. A transaction costs far more than what is in it, and most of what meetings
 * write nobody waits for: so there is one for all of a moment. */
static void gather(struct store *store)
{
    const struct timespec until = clock_deadline(CLOCK_MONOTONIC, GATHER_MS);

    while (store->n_urgent == 0 && !store->stop &&
           pthread_cond_timedwait(&store->wake, &store->lock, &until) == 0) {
    }
}

static struct store_req *take_batch(struct store *store)
{
    struct list batch;

    list_init(&batch);
    for (int i = 0; i < BATCH && store->queue.first != NULL; i++) {
        struct store_req *req = list_take(&store->queue);

        store->n_urgent -= !req->patient;
        list_put(&batch, req);
    }
    return batch.first;
}

static void look_for_room(struct store *store)
{
    uint64_t used = 0;
    uint64_t most = 0;

    if (store->backend->room != NULL) {
        store->backend->room(store->data, &used, &most);
    }
    atomic_store(&store->used, used);
    atomic_store(&store->most, most);
}

bool store_room(const struct store *store, uint64_t *used, uint64_t *most)
{
    *used = atomic_load(&store->used);
    *most = atomic_load(&store->most);
    return *used > 0;
}

static void *store_main(void *arg)
{
    struct store *store = arg;
    struct store_req *batch;
    uint64_t looked_us = clock_mono_us();

    thread_of_work("kcs-store");
    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        while (store->queue.first == NULL && !store->stop) {
            (void)pthread_cond_wait(&store->wake, &store->lock);
        }
        gather(store);
        batch = take_batch(store);
        if (batch == NULL) {
            break; /* stopped, and nothing waits */
        }
        (void)pthread_mutex_unlock(&store->lock);
        run_batch(store, batch);
        if (clock_mono_us() - looked_us >= ROOM_US) {
            looked_us = clock_mono_us();
            look_for_room(store);
        }
        (void)pthread_mutex_lock(&store->lock);
        while (batch != NULL) {
            struct store_req *next = batch->next;

            send_answer(store, batch);
            batch = next;
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* Backups take as long as they take: beside the others. */
static void *copy_main(void *arg)
{
    struct store *store = arg;
    struct store_req *req;

    thread_of_work("kcs-store-copy");
    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        while (store->copies.first == NULL && !store->stop) {
            (void)pthread_cond_wait(&store->wake_copier, &store->lock);
        }
        req = list_take(&store->copies);
        if (req == NULL) {
            break;
        }
        (void)pthread_mutex_unlock(&store->lock);
        req->result.err = store->backend->backup(store->path, req->text);
        (void)pthread_mutex_lock(&store->lock);
        send_answer(store, req);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- life ---- */

static void stop_threads(struct store *store, int n)
{
    (void)pthread_mutex_lock(&store->lock);
    store->stop = true;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_cond_signal(&store->wake_copier);
    (void)pthread_mutex_unlock(&store->lock);
    if (n > 0) {
        (void)pthread_join(store->thread, NULL);
    }
    if (n > 1) {
        (void)pthread_join(store->copier, NULL);
    }
}

static int start_threads(struct store *store)
{
    int err = pthread_create(&store->thread, NULL, store_main, store);

    if (err != 0) {
        return -err;
    }
    err = pthread_create(&store->copier, NULL, copy_main, store);
    if (err != 0) {
        stop_threads(store, 1);
    }
    return -err;
}

int store_create_on(struct store **out, const struct store_backend *backend,
                    const struct store_conf *conf, char err[STORE_ERR_MAX])
{
    struct store *store = calloc(1, sizeof(*store));
    pthread_condattr_t attr;
    int ret;

    err[0] = '\0';
    if (store == NULL) {
        return -ENOMEM;
    }
    store->backend = backend;
    store->post = conf->post;
    store->loop = conf->loop;
    list_init(&store->queue);
    list_init(&store->copies);
    list_init(&store->answers);
    (void)pthread_mutex_init(&store->lock, NULL); /* neither can fail on Linux */
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_cond_init(&store->wake_copier, NULL);
    (void)pthread_cond_init(&store->answered, NULL);
    store->path = strdup(conf->path);
    ret = store->path != NULL ? backend->open(&store->data, conf, err) : -ENOMEM;
    if (ret != 0) {
        store_free(store);
        return ret;
    }
    ret = backend->last(store->data, &store->last_epoch, &store->last_seq);
    look_for_room(store);
    if (ret == 0) {
        ret = start_threads(store);
    }
    if (ret != 0) {
        backend->close(store->data);
        store_free(store);
        return ret;
    }
    *out = store;
    return 0;
}

int store_create(struct store **out, const struct store_conf *conf, char err[STORE_ERR_MAX])
{
    return store_create_on(out, &store_sqlite, conf, err);
}

void store_close(struct store *store)
{
    struct store_req *req;

    if (store == NULL || store->stop) {
        return;
    }
    stop_threads(store, 2);
    store->backend->close(store->data);
    while ((req = list_take(&store->answers)) != NULL) {
        answer(store, req); /* may ask again, and then is told -ECANCELED */
    }
}

void store_destroy(struct store *store)
{
    bool posted;

    if (store == NULL) {
        return;
    }
    store_close(store);
    (void)pthread_mutex_lock(&store->lock);
    posted = store->posted;
    store->dead = true;
    (void)pthread_mutex_unlock(&store->lock);
    if (!posted) {
        store_free(store);
    }
}

void store_last_numbers(const struct store *store, uint64_t *epoch, uint64_t *seq)
{
    *epoch = store->last_epoch;
    *seq = store->last_seq;
}

uint32_t store_waiting(const struct store *store)
{
    struct store *s = (struct store *)store;
    uint32_t n;

    (void)pthread_mutex_lock(&s->lock);
    n = s->n_waiting;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

int store_put(struct store *store, struct store_req *req)
{
    int err = 0;

    if (req->arena.failed) {
        store_req_free(req);
        return -ENOMEM;
    }
    req->bytes += sizeof(*req);
    (void)pthread_mutex_lock(&store->lock);
    if (store->stop) {
        err = -ECANCELED;
    } else if (store->n_waiting >= STORE_QUEUE ||
               store->n_bytes + req->bytes > STORE_QUEUE_BYTES) {
        err = -EAGAIN;
    } else {
        store->n_waiting++;
        store->n_bytes += req->bytes;
        if (req->op == OP_BACKUP) {
            list_put(&store->copies, req);
            (void)pthread_cond_signal(&store->wake_copier);
        } else {
            if (store->queue.first == NULL || (!req->patient && store->n_urgent == 0)) {
                (void)pthread_cond_signal(&store->wake); /* else it is awake, or gathers */
            }
            store->n_urgent += !req->patient;
            list_put(&store->queue, req);
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (err != 0) {
        store_req_free(req);
    }
    return err;
}
