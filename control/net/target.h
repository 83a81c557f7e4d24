/* The target of a request (RFC 3986, section 3), taken apart as libwebsockets does it for
 * HTTP/1.1, so that a path means the same in both. Pure. */
#ifndef NET_TARGET_H
#define NET_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* The path of 'target' without percent-encoding, dot segments and doubled slashes. 'out'
 * has room for strlen(target) + 2. False if it is no path, or has half a percent-encoding
 * or a NUL in it. */
bool target_path(const char *target, char *out);

/* Part 'i' of the query, "name=value", decoded: its length, -1 if there is none or it does
 * not fit 'cap' bytes with its NUL. */
int target_part(const char *target, int i, char *out, size_t cap);

#endif
