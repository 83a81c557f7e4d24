/* The one thread's event loop: descriptors by epoll, deadlines by a heap.
 *
 * What is registered is the caller's memory and must live until the loop is destroyed or it
 * is taken out. Callbacks may add, change and take out anything, themselves too. */
#ifndef LOADGEN_LOOP_H
#define LOADGEN_LOOP_H

#include <stddef.h>
#include <stdint.h>

struct loop;

/* A descriptor. 'events' as in epoll. */
struct loop_io {
    void (*on_events)(struct loop_io *io, uint32_t events);
    void *user;
    int fd; /* -1: not registered */
};

/* A deadline; zeroed it is not armed. */
struct loop_timer {
    void (*on_due)(struct loop_timer *timer, uint64_t now_us);
    void *user;
    uint64_t due_us;
    size_t at; /* place in the heap plus 1; 0: not armed */
};

/* Returns 0 or -errno. */
int loop_create(struct loop **out);
void loop_destroy(struct loop *loop); /* NULL is a no-op */

/* Registers 'fd' (the caller's to close, after loop_remove()). Returns 0 or -errno. */
int loop_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events);
void loop_watch(struct loop *loop, struct loop_io *io, uint32_t events);
void loop_remove(struct loop *loop, struct loop_io *io);

/* Arms, moves, or with UINT64_MAX disarms a timer. Returns 0 or -ENOMEM. */
int loop_set(struct loop *loop, struct loop_timer *timer, uint64_t due_us);

/* Waits until something is ready or due, at most until 'until_us', and calls back. Returns
 * 0 or -errno. */
int loop_turn(struct loop *loop, uint64_t until_us);

/* Microseconds of CLOCK_MONOTONIC, now. */
uint64_t loop_now_us(void);

#endif
