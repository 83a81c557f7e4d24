/* Makes the n-th allocation fail, once: either of our own code (linked with --wrap),
 * jansson and libuv, or of OpenSSL or libwebsockets, by the hooks that they have, or of
 * usrsctp, which is linked with another name for it. Counted
 * over all threads, but for what stands between oom_pause() and oom_go_on(): the far ends
 * of a test. */
#ifndef TESTS_OOM_ALLOC_H
#define TESTS_OOM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before anything else in the process. */
void oom_hook(void);

/* Whose allocations are counted and fail. */
enum oom_of { OOM_OURS, OOM_OPENSSL, OOM_WEBSOCKETS, OOM_SCTP };

/* For the calling thread. */
void oom_pause(void);
void oom_go_on(void);

/* Between these libwebsockets' own do not fail: see alloc.c. */
void oom_start_or_stop(bool on);

/* Which of this life's allocations has failed, up to now; 0: none. */
uint64_t oom_failed(void);

/* malloc() for test code among what is counted. */
void *oom_exempt_malloc(size_t len);

/* What usrsctp has in its place. */
void *oom_sctp_malloc(size_t len);

/* Runs 'life' again and again, another n-th allocation failing each time: about 'n_lives'
 * of them spread over all, with KCS_LONG every single one, or with KCS_OOM_PART=k/n besides
 * each n-th from the k-th on (but all where a part would have fewer than 'n_lives'); with
 * KCS_OOM_AT=n only that.
 * Fails the test on a leak. Returns how many were made to fail. */
unsigned oom_every(enum oom_of of, void (*life)(void), unsigned n_lives);

#endif
