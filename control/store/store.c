/* The queue, the thread and the way back to the loop; see store.h. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_priv.h"
#include "sys/clock.h"

enum {
    BATCH = 16384, /* requests of one transaction */
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

static void req_free(struct store_req *req)
{
    store_arena_free(&req->arena);
    free(req);
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
    req_free(req);
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

static struct store_req *take_batch(struct store *store)
{
    struct list batch;

    list_init(&batch);
    for (int i = 0; i < BATCH && store->queue.first != NULL; i++) {
        list_put(&batch, list_take(&store->queue));
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

    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        while (store->queue.first == NULL && !store->stop) {
            (void)pthread_cond_wait(&store->wake, &store->lock);
        }
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
    (void)pthread_cond_init(&store->wake, NULL);
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

/* ---- requests ---- */

static struct store_req *req_new(enum store_op op, store_done *done, void *arg)
{
    struct store_req *req = calloc(1, sizeof(*req));

    if (req != NULL) {
        req->op = op;
        req->done = done;
        req->arg = arg;
    }
    return req;
}

/* Moves 'req' into a queue. */
static int put(struct store *store, struct store_req *req)
{
    int err = 0;

    if (req->arena.failed) {
        req_free(req);
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
            if (store->queue.first == NULL) { /* else it is awake */
                (void)pthread_cond_signal(&store->wake);
            }
            list_put(&store->queue, req);
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (err != 0) {
        req_free(req);
    }
    return err;
}

/* A column: short. */
static const char *copy_short(struct store_req *req, const char *text, bool *ok)
{
    size_t len = text != NULL ? strlen(text) : 0;

    *ok = *ok && len <= STORE_ID_MAX;
    req->bytes += len;
    return *ok ? store_arena_bytes(&req->arena, text, len) : "";
}

static const char *copy_json(struct store_req *req, const char *text, bool *ok)
{
    size_t len;

    text = text != NULL ? text : "{}";
    len = strlen(text);
    *ok = *ok && len <= STORE_DOC_MAX;
    req->bytes += len;
    return *ok ? store_arena_bytes(&req->arena, text, len) : "";
}

static void copy_write(struct store_req *req, struct store_write *w, bool *ok)
{
    if (w->what == STORE_EVENT) {
        struct store_event *e = &w->event;

        e->tenant = copy_short(req, e->tenant, ok);
        e->meeting = copy_short(req, e->meeting, ok);
        e->type = copy_short(req, e->type, ok);
        e->ref = copy_short(req, e->ref, ok);
        e->json = copy_json(req, e->json, ok);
        *ok = *ok && e->meeting[0] != '\0' && e->type[0] != '\0' && e->epoch <= INT64_MAX &&
              e->seq <= INT64_MAX;
        return;
    }
    w->doc.tenant = copy_short(req, w->doc.tenant, ok);
    w->doc.id = copy_short(req, w->doc.id, ok);
    w->doc.name = copy_short(req, w->doc.name, ok);
    w->doc.group = copy_short(req, w->doc.group, ok);
    w->doc.ref = copy_short(req, w->doc.ref, ok);
    w->doc.state = copy_short(req, w->doc.state, ok);
    w->doc.json = copy_json(req, w->doc.json, ok);
    *ok = *ok && w->doc.id[0] != '\0' && (unsigned)w->kind < STORE_N_KINDS;
}

bool store_may_pass(int err)
{
    return err == -ENOSPC || err == -EIO || err == -EACCES || err == -EAGAIN ||
           err == -EHOSTDOWN || err == -ENOMEM;
}

int store_write(struct store *store, const struct store_write *writes, size_t n,
                store_done *done, void *arg)
{
    return store_write_in_line(store, NULL, writes, n, done, arg);
}

int store_write_in_line(struct store *store, struct store_line *line,
                        const struct store_write *writes, size_t n, store_done *done,
                        void *arg)
{
    struct store_req *req;
    struct store_write *copy;
    bool ok = true;

    if (n == 0 || n > STORE_WRITES_MAX) {
        return -EINVAL;
    }
    req = req_new(OP_WRITE, done, arg);
    copy = req != NULL ? store_arena_alloc(&req->arena, n * sizeof(*copy)) : NULL;
    if (copy == NULL) {
        free(req);
        return -ENOMEM;
    }
    memcpy(copy, writes, n * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy_write(req, &copy[i], &ok);
    }
    req->writes = copy;
    req->line = line;
    req->n = n;
    if (!ok) {
        req_free(req);
        return -EINVAL;
    }
    return put(store, req);
}

static const char *copy_filter(struct store_req *req, const char *text, bool *ok)
{
    return text != NULL ? copy_short(req, text, ok) : NULL;
}

static int find(struct store *store, const struct store_query *query, bool one,
                store_done *done, void *arg)
{
    struct store_req *req;
    struct store_query *q;
    bool ok = (unsigned)query->kind < STORE_N_KINDS && query->limit <= STORE_FIND_MAX;

    if (!ok) {
        return -EINVAL;
    }
    req = req_new(OP_FIND, done, arg);
    if (req == NULL) {
        return -ENOMEM;
    }
    q = &req->query;
    *q = *query;
    q->tenant = copy_short(req, q->tenant, &ok);
    q->id = copy_filter(req, q->id, &ok);
    q->name = copy_filter(req, q->name, &ok);
    q->group = copy_filter(req, q->group, &ok);
    q->ref = copy_filter(req, q->ref, &ok);
    q->state = copy_filter(req, q->state, &ok);
    q->member = copy_filter(req, q->member, &ok);
    q->after_id = copy_short(req, q->after_id, &ok);
    q->limit = q->limit > 0 ? q->limit : 1;
    req->one = one;
    if (!ok) {
        req_free(req);
        return -EINVAL;
    }
    return put(store, req);
}

int store_find(struct store *store, const struct store_query *query, store_done *done,
               void *arg)
{
    return find(store, query, false, done, arg);
}

int store_get(struct store *store, enum store_kind kind, const char *tenant, const char *id,
              store_done *done, void *arg)
{
    const struct store_query query = {
        .kind = kind, .tenant = tenant, .id = id != NULL ? id : "", .limit = 1};

    return find(store, &query, true, done, arg);
}

/* The requests that are a name or two and numbers. */
static int ask(struct store *store, enum store_op op, const char *text, const char *name,
               const struct store_req *rest, store_done *done, void *arg)
{
    struct store_req *req = req_new(op, done, arg);
    bool ok = true;

    if (req == NULL) {
        return -ENOMEM;
    }
    req->a = rest->a;
    req->b = rest->b;
    req->now_s = rest->now_s;
    req->flag = rest->flag;
    req->limit = rest->limit > 0 ? rest->limit : 1;
    if (op == OP_BACKUP) {
        req->text = store_arena_text(&req->arena, text);
    } else {
        req->text = copy_short(req, text, &ok);
    }
    req->name = copy_short(req, name, &ok);
    if (!ok || req->limit > STORE_FIND_MAX) {
        req_free(req);
        return -EINVAL;
    }
    return put(store, req);
}

int store_events(struct store *store, const char *tenant, const char *meeting,
                 uint64_t epoch, uint64_t seq, uint32_t limit, store_done *done, void *arg)
{
    const struct store_req rest = {.a = epoch, .b = seq, .limit = limit};

    return ask(store, OP_EVENTS, tenant, meeting, &rest, done, arg);
}

int store_head(struct store *store, const char *tenant, const char *meeting,
               store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    return ask(store, OP_HEAD, tenant, meeting, &rest, done, arg);
}

int store_outbox(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg)
{
    const struct store_req rest = {.a = position, .limit = limit};

    return ask(store, OP_OUTBOX, NULL, NULL, &rest, done, arg);
}

int store_latest(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg)
{
    const struct store_req rest = {.a = position, .limit = limit, .flag = true};

    return ask(store, OP_OUTBOX, NULL, NULL, &rest, done, arg);
}

int store_ack(struct store *store, uint64_t position, store_done *done, void *arg)
{
    const struct store_req rest = {.a = position, .limit = 1};

    return ask(store, OP_ACK, NULL, NULL, &rest, done, arg);
}

int store_sweep(struct store *store, int64_t now_s, uint64_t events_before_us, bool unacked,
                store_done *done, void *arg)
{
    const struct store_req rest = {
        .now_s = now_s, .a = events_before_us, .flag = unacked, .limit = 1};

    return ask(store, OP_SWEEP, NULL, NULL, &rest, done, arg);
}

int store_erase(struct store *store, const char *tenant, const char *user_id,
                store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    if (user_id == NULL || user_id[0] == '\0') {
        return -EINVAL; /* it would be everybody's */
    }
    return ask(store, OP_ERASE, tenant, user_id, &rest, done, arg);
}

int store_backup(struct store *store, const char *path, store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    return ask(store, OP_BACKUP, path, NULL, &rest, done, arg);
}
