/* Names that stand for addresses which may not be connected to stand for nothing. Where TLS
 * has to know the name libavformat looks it up itself: between our look at what it stands
 * for and its own it may stand for something else.
 *
 * resolve.c has getaddrinfo() itself, for all of the process. */
#ifndef EGRESS_RESOLVE_H
#define EGRESS_RESOLVE_H

#include <stdbool.h>

/* From now on this thread resolves names to addresses of the public Internet alone, or
 * again to any. */
void resolve_public_only(bool on);

struct sockaddr;

/* Whether an address is one. */
bool resolve_is_public(const struct sockaddr *address);

#endif
