/* How often one may ask: a token bucket for each address and each user. Bounded: of very
 * many at once, those that have asked for nothing lately are forgotten first.
 *
 * Pure but for its memory; thread: the loop's. */
#ifndef REST_RATE_H
#define REST_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate;

enum { RATE_KEY_MAX = 160, RATE_KEYS = 65536 };

/* per_s in thousandths of a request a second; burst: how many at once. 0 or -ENOMEM. */
int rate_create(struct rate **out, uint32_t per_s_milli, uint32_t burst);
void rate_destroy(struct rate *rate); /* NULL is a no-op */

/* One request of 'key'. Returns 0 if it may, else after how many seconds it may. rate NULL:
 * always. Without memory for a new key: it may. */
uint32_t rate_take(struct rate *rate, const char *key, uint64_t now_us);

uint32_t rate_burst(const struct rate *rate);

#endif
