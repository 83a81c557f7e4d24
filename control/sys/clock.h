/* The two clocks of control: monotonic for intervals, wall for what people and other
 * machines read. Sans-IO modules never include this: they are told the time.
 *
 * Any thread. */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { CLOCK_RFC3339_LEN = 28 }; /* "2026-01-02T03:04:05.678901Z" and its NUL */

/* Microseconds since an arbitrary start; never steps back. */
uint64_t clock_mono_us(void);

/* Microseconds since 1970-01-01T00:00:00Z; steps when the operator's clock does. */
uint64_t clock_wall_us(void);

/* The same in whole seconds, as tokens and what is stored have it. */
int64_t clock_wall_s(void);

/* 'ms' from now, as pthread_cond_timedwait() wants it; 'id': the clock of its condition. */
struct timespec clock_deadline(clockid_t id, uint32_t ms);

/* Fills 'out' with RFC 3339 in UTC, microseconds, and a NUL. */
void clock_format(uint64_t wall_us, char out[CLOCK_RFC3339_LEN]);

/* CPU that the calling thread has taken. */
uint64_t clock_thread_us(void);

#endif
