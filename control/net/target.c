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
        if (next(&target) <= 0) {
            return false;
        }
    }
    return true;
}

int target_part(const char *target, int i, char *out, size_t cap)
{
    const char *p = strchr(target, '?');
    size_t n = 0;

    if (p == NULL || p[1] == '\0') {
        return -1;
    }
    for (p++; i > 0; i--) {
        p = strchr(p, '&');
        if (p == NULL) {
            return -1;
        }
        p++;
    }
    while (*p != '\0' && *p != '&') {
        int c = *p == '+' ? (p++, ' ') : next(&p);

        if (c <= 0 || n + 1 >= cap) {
            return -1;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return (int)n;
}
