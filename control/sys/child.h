/* A program of ours that runs beside us, and the news of its end. Thread: the loop's. */
#ifndef SYS_CHILD_H
#define SYS_CHILD_H

#include <stddef.h>

struct child;
struct loop;

enum { CHILD_FDS = 4 };

/* Starts 'argv' (argv[0] its path; ends with NULL) with 'fds' (n of them, at most
 * CHILD_FDS, borrowed) as its descriptors from 3 on, nothing as its input and output, and
 * our diagnostics as its own; nothing else is inherited.
 *
 * ended  called once, when it has ended, by itself or not: with its exit status, or minus
 * the signal's number. The child is gone after it. 'arg' is its first argument
 *
 * Returns 0 or -errno: -ENOENT, -EACCES, -ENOMEM … */
int child_start(struct child **out, struct loop *loop, char *const argv[], const int *fds,
                size_t n, void (*ended)(void *arg, int status), void *arg);

/* Sends it a signal. */
void child_kill(const struct child *child, int signum);

int child_pid(const struct child *child);

/* Lets go of it: it lives on, and its end is no news. NULL is a no-op. */
void child_leave(struct child *child);

#endif
