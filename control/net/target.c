#include "net/target.h"

#include <string.h>

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* The character at '*p', moved past; -1: half an encoding. */
static int next(const char **p)
{
    const char *at = *p;
    int high;
    int low;

    if (*at != '%') {
        *p += 1;
        return (unsigned char)*at;
    }
    high = digit(at[1]);
    low = high >= 0 ? digit(at[2]) : -1;
    *p += 3;
    return low >= 0 ? high * 16 + low : -1;
}

/* Takes the last segment of 'out' ("/a/." or "/a/..") for what it means. */
static size_t settle(char *out, size_t n)
{
    size_t slash = n;

    while (slash > 0 && out[slash - 1] != '/') {
        slash--;
    }
    if (n - slash == 1 && out[slash] == '.') {
        return slash;
    }
    if (n - slash == 2 && memcmp(&out[slash], "..", 2) == 0) {
        slash -= slash > 1;
        while (slash > 1 && out[slash - 1] != '/') {
            slash--;
        }
        return slash;
    }
    return n;
}

bool target_path(const char *target, char *out)
{
    size_t parts = 1;
    size_t n = 0;

    if (*target != '/') {
        return false;
    }
    while (*target != '\0' && *target != '?' && *target != '#') {
        int c = next(&target);

        if (c <= 0) {
            return false;
        }
        if (c == '/') {
            n = settle(out, n);
            if (n > 0 && out[n - 1] == '/') {
                continue;
            }
        }
        out[n++] = (char)c;
    }
    n = settle(out, n);
    out[n] = '\0';
    while (*target != '\0') { /* the query is taken apart when it is asked for */
        parts += *target == '&';
        if (next(&target) <= 0) {
            return false;
        }
    }
    return parts <= TARGET_PARTS;
}

const char *target_query(const char *target)
{
    const char *mark = strchr(target, '?');

    return mark != NULL && mark[1] != '\0' ? mark + 1 : NULL;
}

int target_next(const char **at, char *out, size_t cap)
{
    const char *p = *at;
    size_t n = 0;

    *at = NULL;
    if (p == NULL) {
        return -1;
    }
    while (*p != '\0' && *p != '&') {
        int c = *p == '+' ? (p++, ' ') : next(&p);

        if (c <= 0 || n + 1 >= cap) {
            return -1;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    *at = *p == '&' ? p + 1 : NULL;
    return (int)n;
}
