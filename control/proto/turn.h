/* STUN and TURN servers as clients are told of them. One that shares a secret with the node
 * (coturn: use-auth-secret) gets credentials made for each client, good for a limited time:
 * the username is when they end and whose they are, the password an HMAC-SHA1 of it
 * (draft-uberti-behave-turn-rest-00, section 2.2).
 *
 * Pure: told the time. Any thread. */
#ifndef PROTO_TURN_H
#define PROTO_TURN_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum {
    TURN_GOOD_S = 86400,      /* as long as a call may last: a restart of ICE needs them */
    TURN_USERNAME_MAX = 128,  /* with their NUL, as that below */
    TURN_CREDENTIAL_MAX = 29, /* SHA-1 in base64 */
    TURN_LINKS_MAX = 4096,    /* of the servers that a configuration may name */
};

/* Strings are borrowed; one that does not apply is empty. */
struct turn_server {
    const char *url; /* RFC 7064, 7065 */
    const char *username, *credential;
    const char *secret; /* instead of both: they are made for each client */
};

struct turn_servers {
    const struct turn_server *list;
    size_t n;
};

/* Credentials that end at 'until_s' (seconds since 1970). What stands in 'user' beside
 * letters, digits and "-._@" becomes "_". Returns 0 or -ENOMEM. */
int turn_credential(const char *secret, const char *user, int64_t until_s,
                    char username[TURN_USERNAME_MAX], char credential[TURN_CREDENTIAL_MAX]);

/* RTCIceServer[] for 'user' (W3C WebRTC, 4.2.2), with credentials good for TURN_GOOD_S from
 * now on. The caller's; NULL without memory. */
json_t *turn_json(const struct turn_servers *servers, const char *user, int64_t now_s);

/* The same as the value of a header Link (RFC 9725, section 4.6); empty without servers.
 * Returns 0, or -ENOMEM with 'out' empty. */
int turn_links(const struct turn_servers *servers, const char *user, int64_t now_s,
               char out[TURN_LINKS_MAX]);

#endif
