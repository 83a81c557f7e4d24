/* The table of kcsctl lanes. */
#ifndef KCSCTL_LANES_H
#define KCSCTL_LANES_H

#include <jansson.h>

/* A row a lane of what an operator looks at, of the answer of /lanes (borrowed): what was
 * dropped as sums, for the reasons are in --json and in kcsctl drops. The caller's. */
json_t *lanes_table(const json_t *lanes);

/* The sum of counters by name, such as the drops of a lane by reason; 0 for NULL. */
json_int_t lanes_sum(const json_t *counters);

#endif
