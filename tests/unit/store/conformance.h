/* What every backend of the store must do (store.h). */
#ifndef TESTS_STORE_CONFORMANCE_H
#define TESTS_STORE_CONFORMANCE_H

#include <stdint.h>

struct store_backend;

/* Runs all of it as one group of cmocka.
 *
 * moments  after so many acknowledged writes of 10,000 the writer is killed; 0 ends it
 * whole    asserts that what is there is sound by the backend's own judgement; or NULL
 *
 * Returns how many failed. */
int conformance_run(const struct store_backend *backend, const uint64_t *moments,
                    void (*whole)(const char *path));

#endif
