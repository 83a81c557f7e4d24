/* Included before test code that is linked among what is counted: its own allocations do
 * not fail. */
#ifndef TESTS_OOM_EXEMPT_H
#define TESTS_OOM_EXEMPT_H

#include <stdlib.h>

void *oom_exempt_malloc(size_t len);

#define malloc oom_exempt_malloc

#endif
