/* W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context/): the header traceparent,
 * by which a trace goes on from one program to the next. Pure; any thread. */
#ifndef TRACE_TRACEPARENT_H
#define TRACE_TRACEPARENT_H

#include <stdbool.h>
#include <stdint.h>

enum { TRACE_ID = 16, TRACE_SPAN_ID = 8, TRACEPARENT_TEXT = 56, TRACE_ID_TEXT = 33 };

/* A place in a trace; all zero: none. */
struct trace {
    uint8_t id[TRACE_ID];
    uint8_t span[TRACE_SPAN_ID];
    bool sampled; /* whoever began it wants it recorded */
};

bool trace_is_set(const struct trace *trace);

/* Fills 'out' with what 'text' (NULL: nothing was sent) says: false, and 'out' is none, if
 * it is not well-formed. Of a later version what this one has is taken (section 3.2.4). */
bool traceparent_parse(const char *text, struct trace *out);

/* Fills 'out' with the header's value; "" of none. */
void traceparent_write(const struct trace *trace, char out[TRACEPARENT_TEXT]);

/* Lower case hexadecimal of 'n' bytes, and a NUL. */
void trace_hex(const uint8_t *bytes, unsigned n, char *out);

#endif
