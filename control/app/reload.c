#include "app/reload.h"

#include <stdio.h>
#include <string.h>

#define PART(key_, member_, live_)                                                         \
    {                                                                                      \
        .key = (key_), .offset = offsetof(struct control_conf, member_),                   \
        .size = sizeof(((struct control_conf *)0)->member_), .live = (live_)               \
    }

/* Every part of the configuration, once (test_reload counts the bytes). What is not live is
 * laid out or opened at start. */
static const struct part {
    const char *key;
    size_t offset, size;
    bool live;
} parts[] = {
    PART("dataplane", dataplane, false),
    PART("http", http, false),
    PART("http", n_http, false),
    PART("trusted_proxies", proxies, false),
    PART("trusted_proxies", n_proxies, false),
    PART("ice_servers", ice_servers, false),
    PART("ice_servers", n_ice_servers, false),
    PART("admin", admin, false),
    PART("web", web, true),
    PART("auth", auth, false),
    PART("store", store, false),
    PART("events", events, false),
    PART("meetings", meetings, false),
    PART("cors", cors, true),
    PART("cors", n_cors, true),
    PART("socketio", socketio, false),
    PART("dtls", dtls, false),
    PART("audio", audio, false),
    PART("recording", recording, false),
    PART("limits", limits, true),
    PART("shutdown", shutdown, true),
    PART("log", log, true),
    PART("tracing", tracing, false),
};

static void name(char names[RELOAD_NAMES_MAX], const char *key)
{
    size_t len = strlen(names);

    if (len < strlen(key) || strcmp(names + len - strlen(key), key) != 0) {
        (void)snprintf(names + len, RELOAD_NAMES_MAX - len, "%s%s", len > 0 ? " " : "",
                       key);
    }
}

/* The key that signs tokens is wiped in the configuration that is in use. */
static bool differs(const struct part *part, const struct control_conf *a,
                    const struct control_conf *b)
{
    const char *from_a = (const char *)a + part->offset;
    const char *from_b = (const char *)b + part->offset;
    size_t at = offsetof(struct control_auth, hs256_secret);
    size_t size = sizeof(a->auth.hs256_secret);

    if (part->offset != offsetof(struct control_conf, auth)) {
        return memcmp(from_a, from_b, part->size) != 0;
    }
    return memcmp(from_a, from_b, at) != 0 ||
           memcmp(from_a + at + size, from_b + at + size, part->size - at - size) != 0;
}

void reload_take(struct control_conf *conf, const struct control_conf *fresh,
                 struct reload_diff *diff)
{
    *diff = (struct reload_diff){0};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct part *part = &parts[i];

        if (!differs(part, conf, fresh)) {
            continue;
        }
        name(part->live ? diff->live : diff->start, part->key);
        if (part->live) {
            memcpy((char *)conf + part->offset, (const char *)fresh + part->offset,
                   part->size);
        }
    }
}
