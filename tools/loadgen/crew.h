/* Several processes that are one run: each has a share of the clients (a process has only
 * so many descriptors), and all see in shared memory what the others need: senders, so that
 * whoever receives knows what was sent, how far each process is, and what it has counted. */
#ifndef LOADGEN_CREW_H
#define LOADGEN_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loadgen/account.h"
#include "loadgen/sender.h"

enum { CREW_MAX = 64 };

/* Of one process; only it writes here. */
struct crew_seat {
    _Atomic uint32_t phase; /* how far it is; see crew_all_at() */
    _Atomic uint32_t n_up;
    _Atomic uint32_t n_failed;
    pid_t pid;              /* 0: it has ended */
    struct account account; /* its sums are brought up to date once in a while */
};

/* Shared. */
struct crew {
    _Atomic bool stopped; /* all are to end */
    uint32_t n;
    struct crew_seat *seats;
    struct sender *senders; /* of all processes; each is written by one */
    size_t bytes;
};

/* Makes room for 'n' processes (1..CREW_MAX) and begins those that are missing. All return
 * from here, and 'me' counts them; the first is the caller. Returns 0 or -errno, then
 * nothing is left. */
int crew_begin(struct crew **out, uint32_t n, size_t n_senders, uint32_t *me);

/* Whether all are at 'phase' or beyond. The first process notes whom it lost meanwhile. */
bool crew_all_at(struct crew *crew, uint32_t me, uint32_t phase);

uint32_t crew_up(const struct crew *crew);
uint32_t crew_failed(const struct crew *crew);

/* The first process: waits until the others have ended; what all have counted is there then.
 */
void crew_wait(struct crew *crew);
void crew_free(struct crew *crew); /* NULL is a no-op */

#endif
