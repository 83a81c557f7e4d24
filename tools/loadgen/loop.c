#include "loadgen/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 256 };

struct loop {
    int epoll;
    size_t n_timers;
    size_t cap;
    struct loop_timer **heap; /* by due_us, the first is the next */
};

uint64_t loop_now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int loop_create(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL) {
        return -ENOMEM;
    }
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        int err = -errno;

        free(loop);
        return err;
    }
    *out = loop;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (loop != NULL) {
        (void)close(loop->epoll);
        free(loop->heap);
        free(loop);
    }
}

/* ---- descriptors ---- */

int loop_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = io};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        return -errno;
    }
    io->fd = fd;
    return 0;
}

void loop_watch(struct loop *loop, struct loop_io *io, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = io};

    if (io->fd >= 0) {
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, io->fd, &event);
    }
}

void loop_remove(struct loop *loop, struct loop_io *io)
{
    if (io->fd >= 0) {
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, io->fd, NULL);
        io->fd = -1;
    }
}

/* ---- deadlines ---- */

static void place(struct loop *loop, struct loop_timer *timer, size_t at)
{
    loop->heap[at] = timer;
    timer->at = at + 1;
}

static void sift(struct loop *loop, struct loop_timer *timer, size_t at)
{
    while (at > 0 && loop->heap[(at - 1) / 2]->due_us > timer->due_us) {
        place(loop, loop->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < loop->n_timers &&
            loop->heap[child + 1]->due_us < loop->heap[child]->due_us) {
            child++;
        }
        if (child >= loop->n_timers || loop->heap[child]->due_us >= timer->due_us) {
            break;
        }
        place(loop, loop->heap[child], at);
        at = child;
    }
    place(loop, timer, at);
}

static void disarm(struct loop *loop, struct loop_timer *timer)
{
    size_t at = timer->at - 1;
    struct loop_timer *last = loop->heap[--loop->n_timers];

    timer->at = 0;
    if (last != timer) {
        sift(loop, last, at);
    }
}

int loop_set(struct loop *loop, struct loop_timer *timer, uint64_t due_us)
{
    timer->due_us = due_us;
    if (due_us == UINT64_MAX) {
        if (timer->at != 0) {
            disarm(loop, timer);
        }
        return 0;
    }
    if (timer->at == 0) {
        if (loop->n_timers == loop->cap) {
            size_t cap = loop->cap == 0 ? 256 : 2 * loop->cap;
            struct loop_timer **heap =
                realloc(loop->heap, cap * sizeof(struct loop_timer *));

            if (heap == NULL) {
                return -ENOMEM;
            }
            loop->heap = heap;
            loop->cap = cap;
        }
        loop->n_timers++;
        sift(loop, timer, loop->n_timers - 1);
    } else {
        sift(loop, timer, timer->at - 1);
    }
    return 0;
}

static void run_due(struct loop *loop)
{
    uint64_t now_us = loop_now_us();

    while (loop->n_timers > 0 && loop->heap[0]->due_us <= now_us) {
        struct loop_timer *timer = loop->heap[0];

        disarm(loop, timer);
        timer->on_due(timer, now_us);
    }
}

int loop_turn(struct loop *loop, uint64_t until_us)
{
    struct epoll_event events[EVENTS_A_TURN];
    uint64_t now_us = loop_now_us();
    struct timespec wait = {0};
    int n;

    if (loop->n_timers > 0 && loop->heap[0]->due_us < until_us) {
        until_us = loop->heap[0]->due_us;
    }
    if (until_us > now_us) {
        wait.tv_sec = (time_t)((until_us - now_us) / 1000000u);
        wait.tv_nsec = (long)((until_us - now_us) % 1000000u) * 1000;
    }
    n = epoll_pwait2(loop->epoll, events, EVENTS_A_TURN, &wait, NULL);
    if (n < 0 && errno != EINTR) {
        return -errno;
    }
    for (int i = 0; i < n; i++) {
        struct loop_io *io = events[i].data.ptr;

        if (io->fd >= 0) { /* not taken out by one before it */
            io->on_events(io, events[i].events);
        }
    }
    run_due(loop);
    return 0;
}
