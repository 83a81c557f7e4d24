/* What every backend of the store must do (store.h). */
#ifndef TESTS_STORE_CONFORMANCE_H
#define TESTS_STORE_CONFORMANCE_H

struct store_backend;

/* Runs all of it as one group of cmocka. Returns how many failed. */
int conformance_run(const struct store_backend *backend);

#endif
