/* Meetings that recur, as their documents tell: by a rule (RFC 5545), in UTC, each time as
 * long as the first. Others are asked about too, and happen once. */
#ifndef REST_SERIES_H
#define REST_SERIES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct schema_errors;

enum {
    SERIES_SHOWN = 50, /* starts in an answer, at most */
    SERIES_AHEAD_S = 5 * 366 * 86400 /* looked for, from the beginning of what is asked */
};

/* Says what is wrong with the rule of a recurring meeting. */
void series_check(const json_t *meeting, struct schema_errors *errors);

/* Gives a recurring meeting its 'occurrences' in from_s <= t < to_s. False: there are none,
 * or it does not recur. */
bool series_add(json_t *meeting, int64_t from_s, int64_t to_s);

/* The end of the time that runs now or comes next; 'otherwise' if none is told. */
int64_t series_end(const json_t *meeting, int64_t otherwise);

/* It recurs, and another time comes. */
bool series_goes_on(const json_t *meeting);

#endif
