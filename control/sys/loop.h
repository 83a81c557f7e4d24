/* The event loop of control: timers, file descriptors, signals, and work handed over from
 * other threads. One loop, one thread; every callback runs there. Owner of libuv, whose
 * types stay inside (loop_native() is for control/net, which lends the loop to its
 * library).
 *
 * All functions belong to the loop's thread, except loop_post(). */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_after;
struct loop_watch;
struct loop_signal;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* Fills 'out' with a loop, or returns -ENOMEM, -EMFILE. */
int loop_create(struct loop **out);

/* Runs what was posted and not yet run, then frees. Timers, watches and signals must be
 * destroyed before; one that is left is an error in the log. NULL is a no-op. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);

/* loop_run() returns after the current round of callbacks. From a callback. */
void loop_stop(struct loop *loop);

/* One round of what is ready, without waiting. Not from a callback. */
void loop_turn(struct loop *loop);

/* The uv_loop_t; borrowed. */
void *loop_native(struct loop *loop);

/* Has fn(arg) run on the loop, in order of posting. Any thread. 0, or -ENOMEM: 'fn' will
 * not run. */
int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* A stopped timer that will call fn(arg). 0 or -ENOMEM. */
int loop_timer_create(struct loop *loop, struct loop_timer **out, void (*fn)(void *arg),
                      void *arg);

/* Fires once after 'delay_ms', and then each 'period_ms' unless that is 0. A running timer
 * starts anew. */
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms, uint64_t period_ms);

void loop_timer_stop(struct loop_timer *timer);

/* 'fn' is not called again, even from within itself. NULL is a no-op. */
void loop_timer_destroy(struct loop_timer *timer);

/* Calls fn(arg) in each round of callbacks, after those of descriptors and what was posted,
 * and again before the loop waits: whatever a callback leaves to it is done before that. 0
 * or -ENOMEM. */
int loop_after_create(struct loop *loop, struct loop_after **out, void (*fn)(void *arg),
                      void *arg);

/* 'fn' is not called again. NULL is a no-op. */
void loop_after_destroy(struct loop_after *after);

/* Calls fn(arg, events) while 'fd' (borrowed; at most one watch a descriptor) is ready for
 * some of 'events', level-triggered. A broken descriptor is reported as both. 0, -ENOMEM,
 * -EEXIST (watched already), -EINVAL or -EPERM (a descriptor that cannot be polled). */
int loop_watch_create(struct loop *loop, struct loop_watch **out, int fd, unsigned events,
                      void (*fn)(void *arg, unsigned events), void *arg);

/* Changes what is waited for; 0 pauses. */
void loop_watch_set(struct loop_watch *watch, unsigned events);

/* Before the descriptor is closed. NULL is a no-op. */
void loop_watch_destroy(struct loop_watch *watch);

/* Calls fn(arg) on the loop for each signal 'signum'. 0, -ENOMEM or -EINVAL. */
int loop_signal_create(struct loop *loop, struct loop_signal **out, int signum,
                       void (*fn)(void *arg), void *arg);

void loop_signal_destroy(struct loop_signal *sig);

#endif
