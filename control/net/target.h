/* The target of a request (RFC 3986, section 3), taken apart as libwebsockets does it for
 * HTTP/1.1, so that a path means the same in both. Pure. */
#ifndef NET_TARGET_H
#define NET_TARGET_H

#include <stdbool.h>
#include <stddef.h>

enum { TARGET_PARTS = 64 }; /* of a query; libwebsockets has room for about as many */

/* The path of 'target' without percent-encoding, dot segments and doubled slashes. 'out'
 * has room for strlen(target) + 2. False if it is no path, has half a percent-encoding or a
 * NUL in it, or a query of more than TARGET_PARTS. */
bool target_path(const char *target, char *out);

/* Where the query of 'target' begins, for target_next(); NULL: it has none. */
const char *target_query(const char *target);

/* The part of a query at '*at', "name=value", decoded: its length, with '*at' moved to the
 * next one, NULL after the last. -1 if '*at' is NULL, or it does not fit 'cap' bytes with
 * its NUL: there is no more then. */
int target_next(const char **at, char *out, size_t cap);

#endif
