/* What kcs-egress takes from itself before it looks at what came over the network, so that
 * whoever takes over a decoder by it has little: no program can be started, no connection
 * made (but by what pushes), no other process touched, no code made, and of the files there
 * is only the job's own directory, besides fonts that can be read; and no capability, if
 * control has some. Linux: seccomp(2), landlock(7), capabilities(7). */
#ifndef EGRESS_CONFINE_H
#define EGRESS_CONFINE_H

#include <stdbool.h>

/* In a build with an address sanitizer its leak checker looks at the process's threads as a
 * debugger would: there ptrace() and clone() are not taken away. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_LEAKS 1
#endif
#endif

/* For good, and for all threads that begin later: call before the first. Files that are
 * open stay so.
 *
 * directory  of the job; borrowed. Without capabilities what is above it may not be passed
 * any more: what is to be opened later is named relative to it
 * also       a file that is read, too; may be NULL or ""
 * calls      it has to connect to servers of the Internet, by name
 *
 * Returns 0 or -errno: the kernel filters no system calls. One without landlock leaves
 * files to the rights of the user, which is said on standard error. */
int confine(const char *directory, bool calls, const char *also);

#endif
