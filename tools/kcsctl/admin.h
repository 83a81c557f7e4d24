/* The client end of the node's admin interface: HTTP on a Unix socket, answers
 * {"data": …} or {"code": …, "message": …}. */
#ifndef KCSCTL_ADMIN_H
#define KCSCTL_ADMIN_H

#include <jansson.h>
#include <stddef.h>

/* GETs 'path' ("/status") through the Unix socket 'socket'.
 *
 * data  filled with the value of "data"; the caller's, json_decref()
 * err   filled on failure with one line that says what to do
 *
 * Returns EXIT_OK, EXIT_UNREACHABLE if nobody answers there, EXIT_FAILED for an answer that
 * is an error or none of ours. Blocks for 10 s at most. */
int admin_get(const char *socket, const char *path, json_t **data, char *err, size_t cap);

/* The same with a POST of 'body', which may be empty. Blocks for 10 minutes at most. */
int admin_post(const char *socket, const char *path, const char *body, json_t **data,
               char *err, size_t cap);

#endif
