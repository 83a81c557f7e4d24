/* How much memory kcs-egress may take: what a decoder or a muxer makes of what anybody
 * sends must not take the machine's. Its own pages count, not those of the stream rings,
 * which all share.
 *
 * Two bounds: what it has in use is looked at each second, by itself, so that it can end
 * its files in order; and a hard one above that, the kernel's, for what grows faster. */
#ifndef EGRESS_MEMORY_H
#define EGRESS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* mb  MiB; 0: as much as there is. Once, before threads and before confine(). Returns 0 or
 * -errno. */
int memory_limit(unsigned mb);

/* Whether it is above the limit. Call as often as one likes. 'bytes': what it has, filled
 * if so. */
bool memory_is_exceeded(uint64_t now_us, uint64_t *bytes);

#endif
