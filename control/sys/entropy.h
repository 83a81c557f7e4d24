/* Random bytes fit for keys, from the kernel (getrandom). Not named "random":
 * <sys/random.h> is libc's, and control/ is on the include path.
 *
 * Any thread. */
#ifndef SYS_ENTROPY_H
#define SYS_ENTROPY_H

#include <stddef.h>

/* Fills 'len' bytes. Cannot fail: a kernel that gives no randomness ends the process, for
 * nothing this program does is safe without it. */
void entropy_fill(void *out, size_t len);

/* Fills 'out' with 'n' characters of [A-Za-z0-9_-] (6 bits of entropy each) and a NUL:
 * ids and passwords that need no escaping. The first is no '-': a command line would take
 * the id for an option. 'out' holds n + 1. */
void entropy_id(char *out, size_t n);

#endif
