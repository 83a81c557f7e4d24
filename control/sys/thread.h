/* Threads beside the loop. Each calls one of these first, by itself.
 *
 *   name  what top -H and debuggers show, up to 15 characters */
#ifndef KCS_SYS_THREAD_H
#define KCS_SYS_THREAD_H

#include <pthread.h>
#include <sched.h>

static inline void thread_named(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
}

/* Of one whose work takes the CPU for long: when it is woken it does not push aside who runs
 * there (SCHED_BATCH). The loop hands over all that it has, instead of one thing at a time,
 * and answers others meanwhile. */
static inline void thread_of_work(const char *name)
{
    const struct sched_param param = {.sched_priority = 0};

    thread_named(name);
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
}

#endif
