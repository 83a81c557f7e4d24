#include "sys/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "sys/log.h"

struct posted {
    struct posted *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_async_t async;
    pthread_mutex_t lock; /* of the list below */
    struct posted *first;
    struct posted **last;
};

struct loop_timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

struct loop_after {
    uv_check_t check;     /* after descriptors, */
    uv_prepare_t prepare; /* and after timers */
    void (*fn)(void *arg);
    void *arg;
    unsigned n_open;
};

struct loop_watch {
    uv_poll_t uv;
    void (*fn)(void *arg, unsigned events);
    void *arg;
};

struct loop_signal {
    uv_signal_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void run_posted(struct loop *loop)
{
    struct posted *list;

    pthread_mutex_lock(&loop->lock);
    list = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    pthread_mutex_unlock(&loop->lock);

    while (list != NULL) {
        struct posted *item = list;

        list = item->next;
        item->fn(item->arg);
        free(item);
    }
}

static void on_async(uv_async_t *async)
{
    run_posted(async->data);
}

int loop_create(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    int err;

    if (loop == NULL) {
        return -ENOMEM;
    }
    err = uv_loop_init(&loop->uv);
    if (err != 0) {
        free(loop);
        return err;
    }
    err = uv_async_init(&loop->uv, &loop->async, on_async);
    if (err != 0) {
        uv_loop_close(&loop->uv);
        free(loop);
        return err;
    }
    loop->async.data = loop;
    loop->last = &loop->first;
    pthread_mutex_init(&loop->lock, NULL);
    *out = loop;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (loop->first != NULL) { /* what runs may post again */
        run_posted(loop);
    }
    uv_close((uv_handle_t *)&loop->async, NULL);
    /* Closing takes a round; a close callback may close once more. */
    for (int i = 0; i < 4; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    if (uv_loop_close(&loop->uv) != 0) {
        /* Freed memory with live handles would be worse than this leak at exit. */
        log_error("loop_left_busy");
        return;
    }
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void *loop_native(struct loop *loop)
{
    return &loop->uv;
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct posted *item = malloc(sizeof(*item));

    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct posted){.fn = fn, .arg = arg};
    pthread_mutex_lock(&loop->lock);
    *loop->last = item;
    loop->last = &item->next;
    pthread_mutex_unlock(&loop->lock);
    uv_async_send(&loop->async);
    return 0;
}

/* The handle is the first member of what was allocated. */
static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = (struct loop_timer *)uv;

    timer->fn(timer->arg);
}

int loop_timer_create(struct loop *loop, struct loop_timer **out, void (*fn)(void *arg),
                      void *arg)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));

    if (timer == NULL) {
        return -ENOMEM;
    }
    uv_timer_init(&loop->uv, &timer->uv); /* cannot fail */
    timer->fn = fn;
    timer->arg = arg;
    *out = timer;
    return 0;
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms, uint64_t period_ms)
{
    /* libuv counts from the start of the round, which a long callback has left behind. */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, delay_ms, period_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->uv, on_closed);
    }
}

static void on_check(uv_check_t *uv)
{
    const struct loop_after *after = uv->data;

    after->fn(after->arg);
}

static void on_prepare(uv_prepare_t *uv)
{
    const struct loop_after *after = uv->data;

    after->fn(after->arg);
}

int loop_after_create(struct loop *loop, struct loop_after **out, void (*fn)(void *arg),
                      void *arg)
{
    struct loop_after *after = calloc(1, sizeof(*after));

    if (after == NULL) {
        return -ENOMEM;
    }
    after->fn = fn;
    after->arg = arg;
    after->n_open = 2;
    uv_check_init(&loop->uv, &after->check); /* none of these can fail */
    uv_prepare_init(&loop->uv, &after->prepare);
    after->check.data = after->prepare.data = after;
    uv_check_start(&after->check, on_check);
    uv_prepare_start(&after->prepare, on_prepare);
    *out = after;
    return 0;
}

static void on_after_closed(uv_handle_t *handle)
{
    struct loop_after *after = handle->data;

    if (--after->n_open == 0) {
        free(after);
    }
}

void loop_after_destroy(struct loop_after *after)
{
    if (after != NULL) {
        uv_close((uv_handle_t *)&after->check, on_after_closed);
        uv_close((uv_handle_t *)&after->prepare, on_after_closed);
    }
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_watch *watch = (struct loop_watch *)uv;
    unsigned ready = 0;

    if (status < 0 || (events & UV_READABLE) != 0) {
        ready |= LOOP_READ;
    }
    if (status < 0 || (events & UV_WRITABLE) != 0) {
        ready |= LOOP_WRITE;
    }
    watch->fn(watch->arg, ready);
}

int loop_watch_create(struct loop *loop, struct loop_watch **out, int fd, unsigned events,
                      void (*fn)(void *arg, unsigned events), void *arg)
{
    struct loop_watch *watch = calloc(1, sizeof(*watch));
    int err;

    if (watch == NULL) {
        return -ENOMEM;
    }
    err = uv_poll_init(&loop->uv, &watch->uv, fd);
    if (err != 0) {
        free(watch);
        return err;
    }
    watch->fn = fn;
    watch->arg = arg;
    loop_watch_set(watch, events);
    *out = watch;
    return 0;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
    int mask = ((events & LOOP_READ) != 0 ? UV_READABLE : 0) |
               ((events & LOOP_WRITE) != 0 ? UV_WRITABLE : 0);

    if (mask == 0) {
        uv_poll_stop(&watch->uv);
    } else {
        uv_poll_start(&watch->uv, mask, on_poll);
    }
}

void loop_watch_destroy(struct loop_watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->uv, on_closed);
    }
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct loop_signal *sig = (struct loop_signal *)uv;

    (void)signum;
    sig->fn(sig->arg);
}

int loop_signal_create(struct loop *loop, struct loop_signal **out, int signum,
                       void (*fn)(void *arg), void *arg)
{
    struct loop_signal *sig = calloc(1, sizeof(*sig));
    int err;

    if (sig == NULL) {
        return -ENOMEM;
    }
    err = uv_signal_init(&loop->uv, &sig->uv);
    if (err != 0) {
        free(sig);
        return err;
    }
    sig->fn = fn;
    sig->arg = arg;
    err = uv_signal_start(&sig->uv, on_signal, signum);
    if (err != 0) {
        uv_close((uv_handle_t *)&sig->uv, on_closed);
        return err;
    }
    *out = sig;
    return 0;
}

void loop_signal_destroy(struct loop_signal *sig)
{
    if (sig != NULL) {
        uv_close((uv_handle_t *)&sig->uv, on_closed);
    }
}
