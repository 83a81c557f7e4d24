/* How the store and the disks are, for /metrics: what waits to be written, what the store's
 * file has grown to, and how much room there is.  Thread: the loop's. */
#ifndef APP_STORED_H
#define APP_STORED_H

#include <stdbool.h>
#include <stdint.h>

struct keep;
struct disk_facts;
struct metric_registry;

/* 'keep' is borrowed for as long as the registry renders. 0, or metric_register()'s error.
 */
int stored_register(struct metric_registry *metrics, struct keep *keep);

/* The disks of what an open 'keep' keeps are looked at from now on. 0, or disk_create()'s
 * error; stored_unwatch() then, too. */
int stored_watch(struct keep *keep);

/* The disk where recordings are put, some seconds ago; false: not known. */
bool stored_recordings(const struct keep *keep, struct disk_facts *out);

/* See disk_destroy(). */
void stored_unwatch(struct keep *keep);

#endif
