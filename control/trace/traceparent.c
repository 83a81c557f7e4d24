#include "trace/traceparent.h"

#include <string.h>

enum { VERSION_AT = 0, ID_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, LEN = 55 };

static bool is_zero(const uint8_t *bytes, unsigned n)
{
    uint8_t all = 0;

    for (unsigned i = 0; i < n; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

bool trace_is_set(const struct trace *trace)
{
    return !is_zero(trace->id, TRACE_ID);
}

/* Upper case is refused (section 3.2.2). */
static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int high = digit(text[2 * (size_t)i]);
        int low = high >= 0 ? digit(text[2 * (size_t)i + 1]) : -1;

        if (low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool traceparent_parse(const char *text, struct trace *out)
{
    size_t len = text != NULL ? strnlen(text, 512) : 0;
    struct trace trace;
    uint8_t version;
    uint8_t flags;

    memset(out, 0, sizeof(*out));
    if (len < LEN || text[ID_AT - 1] != '-' || text[SPAN_AT - 1] != '-' ||
        text[FLAGS_AT - 1] != '-' || !read_hex(text + VERSION_AT, &version, 1) ||
        !read_hex(text + ID_AT, trace.id, TRACE_ID) ||
        !read_hex(text + SPAN_AT, trace.span, TRACE_SPAN_ID) ||
        !read_hex(text + FLAGS_AT, &flags, 1) || version == 0xff ||
        (version == 0 ? len != LEN : len > LEN && text[LEN] != '-') ||
        is_zero(trace.id, TRACE_ID) || is_zero(trace.span, TRACE_SPAN_ID)) {
        return false;
    }
    trace.sampled = (flags & 1) != 0;
    *out = trace;
    return true;
}

void trace_hex(const uint8_t *bytes, unsigned n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

void traceparent_write(const struct trace *trace, char out[TRACEPARENT_TEXT])
{
    out[0] = '\0';
    if (trace_is_set(trace)) {
        memcpy(out, "00-", ID_AT);
        trace_hex(trace->id, TRACE_ID, out + ID_AT);
        out[SPAN_AT - 1] = '-';
        trace_hex(trace->span, TRACE_SPAN_ID, out + SPAN_AT);
        memcpy(out + FLAGS_AT - 1, trace->sampled ? "-01" : "-00", 4);
    }
}
