/* Writes of those who cannot wait for them: in order, tried again for as long as the store
 * fails (a full disk), and bounded. What does not fit is lost, counted and logged.
 *
 * Thread: the loop's. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/store.h"

enum {
    STORE_WRITER_MAX = 32768,      /* lists of writes that wait, at most: when a meeting of
                                    * 10,000 ends each of them has left at that moment */
    STORE_WRITER_BYTES = 64 << 20, /* of these */
    STORE_WRITER_FLYING = 12288, /* of these, given to the store and not yet answered: some
                                  * wait while others are written */
    STORE_WRITER_RETRY_MS = 1000 /* from a failure to the next try */
};

struct store_writer;

/* store  borrowed. Returns 0 or -ENOMEM. */
int store_writer_create(struct store_writer **out, struct store *store);

/* After store_close(), so that nothing is on its way. What waits is lost, and whoever waits
 * for it is told -ECANCELED. NULL is a no-op. */
void store_writer_destroy(struct store_writer *writer);

/* As store_write(), but tried again: 'done' (may be NULL) is called once, when it is
 * written or given up. All that is passed is copied.
 *
 * patient  nobody waits for it: see store_write_in_line()
 *
 * Returns 0, or without 'done' -EAGAIN (no room), -EINVAL, -ENOMEM. */
int store_writer_put(struct store_writer *writer, const struct store_write *writes,
                     size_t n, bool patient, store_done *done, void *arg);

/* As store_writer_put(), but not tried again: whoever waits for it is told why.
 *
 * instead  a single write that takes its place if it cannot be written now, and is tried
 *          again like the others: of a number that was given out, so that none is missing;
 *          NULL: nothing does
 *
 * Returns as store_writer_put(), or without 'done' what the store fails with just now
 * (-ENOSPC …); 'instead' then waits all the same, if there is room. */
int store_writer_put_once(struct store_writer *writer, const struct store_write *writes,
                          size_t n, const struct store_write *instead, store_done *done,
                          void *arg);

/* Call a few times a second. */
void store_writer_tick(struct store_writer *writer, uint64_t now_us);

/* What the store fails with just now (-ENOSPC …); 0: it works as far as is known. */
int store_writer_failing(const struct store_writer *writer);

uint32_t store_writer_waiting(const struct store_writer *writer);
uint64_t store_writer_lost(const struct store_writer *writer); /* lists, since the start */

#endif
