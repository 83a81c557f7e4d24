/* Where a live stream is sent to: rtmp://HOST[:PORT]/APP/KEY, or rtmps, by TLS. KEY, what
 * behind the last '/' is, with its query, is a secret between the two ends.
 *
 * Pure; header-only. */
#ifndef SFU_BASE_RTMP_URL_H
#define SFU_BASE_RTMP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RTMP_URL_MAX = 480, RTMP_URL_HOST = 256 }; /* bytes, with the ending 0 */

struct rtmp_url {
    bool tls;
    char host[RTMP_URL_HOST]; /* without [] */
    char port[6];
    char app[RTMP_URL_MAX], key[RTMP_URL_MAX];
};

static inline bool rtmp_url_take(char *out, size_t cap, const char *from, size_t len)
{
    if (len == 0 || len >= cap) {
        return false;
    }
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT */
static inline bool rtmp_url_host(const char *at, size_t len, struct rtmp_url *out)
{
    const char *end = at + len;
    const char *colon;
    unsigned long port;
    char *rest;

    if (at < end && at[0] == '[') {
        colon = memchr(at, ']', len);
        if (colon == NULL || !rtmp_url_take(out->host, sizeof(out->host), at + 1,
                                            (size_t)(colon - at) - 1)) {
            return false;
        }
        at = colon + 1;
    } else {
        colon = memchr(at, ':', len);
        colon = colon != NULL ? colon : end;
        if (!rtmp_url_take(out->host, sizeof(out->host), at, (size_t)(colon - at))) {
            return false;
        }
        at = colon;
    }
    (void)snprintf(out->port, sizeof(out->port), out->tls ? "443" : "1935");
    if (at == end) {
        return true;
    }
    if (at[0] != ':' ||
        !rtmp_url_take(out->port, sizeof(out->port), at + 1, (size_t)(end - at) - 1)) {
        return false;
    }
    port = strtoul(out->port, &rest, 10);
    return *rest == '\0' && out->port[0] >= '1' && out->port[0] <= '9' && port <= 65535;
}

/* False: it is none. */
static inline bool rtmp_url_parse(const char *url, struct rtmp_url *out)
{
    static const char plain[] = "rtmp://", secure[] = "rtmps://";
    const char *host, *app, *key;

    out->tls = strncmp(url, secure, sizeof(secure) - 1) == 0;
    if ((!out->tls && strncmp(url, plain, sizeof(plain) - 1) != 0) ||
        strlen(url) >= RTMP_URL_MAX) {
        return false;
    }
    host = url + (out->tls ? sizeof(secure) : sizeof(plain)) - 1;
    for (const char *c = url; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '\\') {
            return false;
        }
    }
    app = strchr(host, '/');
    if (app == NULL || memchr(host, '@', (size_t)(app - host)) != NULL) {
        return false;
    }
    /* a key may have a query, in which there may be more of them */
    key = app + strcspn(app, "?");
    while (key > app && *key != '/') {
        key--;
    }
    return key > app && rtmp_url_host(host, (size_t)(app - host), out) &&
           rtmp_url_take(out->app, sizeof(out->app), app + 1, (size_t)(key - app) - 1) &&
           rtmp_url_take(out->key, sizeof(out->key), key + 1, strlen(key + 1));
}

#endif
