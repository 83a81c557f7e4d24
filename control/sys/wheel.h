/* Timers of which there are many, in a hashed wheel (Varghese and Lauck, 1987, scheme 6): to
 * set, move and remove one costs the same however many there are, and one timer of the loop
 * serves all. For deadlines that are mostly moved before they pass; they fire up to
 * WHEEL_TICK_MS late, never early.
 *
 * Pure: told the time. The caller owns the entries. Neighbour: loop.h. */
#ifndef SYS_WHEEL_H
#define SYS_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WHEEL_TICK_MS = 16,
    WHEEL_SLOTS = 4096, /* a turn takes 65 s: longer than a session is silent */
};

/* All zeros at first, and whenever it is not set. */
struct wheel_entry {
    struct wheel_entry *next, **at;
    uint64_t tick; /* when it fires; 0: it is due */
};

struct wheel {
    struct wheel_entry *slot[WHEEL_SLOTS];
    struct wheel_entry *due, **due_last; /* first come, first served */
    uint64_t used[WHEEL_SLOTS / 64]; /* a bit a slot that is not empty */
    uint64_t tick;                   /* all up to this one are due or have fired */
    uint32_t n;
};

/* Empty, at 'now_us' of the monotonic clock. */
void wheel_init(struct wheel *wheel, uint64_t now_us);

/* Has the entry (borrowed while it is set) fire at 'at_us' or at most a tick later; one that
 * is set is moved. What is past fires with the next wheel_take(). */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t at_us);

/* A no-op of one that is not set. */
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);

static inline bool wheel_is_set(const struct wheel_entry *entry)
{
    return entry->at != 0;
}

/* Takes one that is due off the wheel; NULL: none is any more. Others may be set and removed
 * between two calls. When the clock has jumped ahead all that it passed are due. */
struct wheel_entry *wheel_take(struct wheel *wheel, uint64_t now_us);

/* When wheel_take() is to be called next: no later than the first is due, perhaps sooner (of
 * those farther than a turn); UINT64_MAX: nothing is set. At most WHEEL_SLOTS / 64 words. */
uint64_t wheel_deadline(const struct wheel *wheel);

#endif
