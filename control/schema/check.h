/* Holds JSON against the table. What it lets through a handler need not look at again.
 *
 * Pure but for allocations of the text forms; thread: any. */
#ifndef SCHEMA_CHECK_H
#define SCHEMA_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"

enum {
    SCHEMA_MAX_ERRORS = 32,
    SCHEMA_MAX_DEPTH = 8,     /* of what is open, below the field */
    SCHEMA_MAX_NODES = 4096,  /* members and items of it, at all depths */
    SCHEMA_MAX_TEXT = 262144, /* bytes of a string in it */
    SCHEMA_PATH_LEN = 160,
    SCHEMA_REASON_LEN = 160
};

struct schema_error {
    char path[SCHEMA_PATH_LEN];     /* JSON pointer (RFC 6901), "" for the whole */
    char reason[SCHEMA_REASON_LEN]; /* "must be a string" */
};

struct schema_errors {
    size_t n;
    bool more; /* than there is room for */
    struct schema_error at[SCHEMA_MAX_ERRORS];
};

/* Notes what is wrong with 'value' (NULL and null count as an empty object), all at once.
 * 'errors' is filled. Returns true if nothing is. */
bool schema_check(const json_t *value, const struct schema_object *object,
                  struct schema_errors *errors);

/* Adds an error of the caller's own to those of a check. */
void schema_error_add(struct schema_errors *errors, const char *path, const char *reason);

/* [{path, reason}, …]: a new reference, NULL without memory. */
json_t *schema_errors_json(const struct schema_errors *errors);

/* Makes an object of a query's texts, as the fields are typed, and checks it: "limit=20" is
 * the integer 20. 'get' gives the text of a name, or NULL if it does not stand there.
 *
 * Returns a new reference, also if there are errors; NULL without memory. */
json_t *schema_query(const struct schema_object *object,
                     const char *(*get)(void *arg, const char *name), void *arg,
                     struct schema_errors *errors);

/* RFC 3339 with an offset or Z, of the years 1970 to 9999, to milliseconds since 1970.
 * Returns 0 or -EBADMSG. */
int schema_time_parse(const char *text, int64_t *out_ms);

/* Parses a body of a request: duplicate keys, bad UTF-8, numbers beyond 64 bits and depth
 * beyond 16 are refused.
 *
 * errors  filled with the one error if NULL is returned
 *
 * Returns a new reference or NULL. */
json_t *schema_parse(const char *text, size_t len, struct schema_errors *errors);

#endif
