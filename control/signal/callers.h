/* Who may open how many sessions, and how fast, by address: sessions of long-polling need
 * no connection, so the listener's limit of connections does not bound them, and what is
 * open of one address must not be all that there is.
 *
 * Pure but for its memory; thread: the loop's. */
#ifndef SIGNAL_CALLERS_H
#define SIGNAL_CALLERS_H

#include <stdint.h>

#include "net/net.h"

struct caller;
struct callers;

struct callers_conf {
    uint32_t most; /* sessions of one address at once; 0: no limit */
    uint32_t
        per_s; /* that it may open in the long run, four times as many at once; likewise */
};

/* conf is copied. Returns 0 or -ENOMEM. */
int callers_create(struct callers **out, const struct callers_conf *conf);

/* In place of the first; who is there stays. */
void callers_set(struct callers *callers, const struct callers_conf *conf);

/* Every caller must have left. NULL is a no-op. */
void callers_destroy(struct callers *callers);

/* One more session of 'origin'. Fills 'out', to be given back by callers_leave().
 *
 * Returns 0, -ENOSPC if it has as many as it may, -EAGAIN if it opens them too fast, or
 * -ENOMEM. */
int callers_enter(struct callers *callers, const uint8_t origin[NET_ORIGIN],
                  uint64_t now_us, struct caller **out);

/* NULL, for who is not counted, is a no-op. */
void callers_leave(struct caller *caller);

/* How many addresses are remembered. */
uint32_t callers_n(const struct callers *callers);

#endif
