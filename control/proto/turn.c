#include "proto/turn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "proto/base64.h"

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@"

/* A server as one client is told of it. */
struct told {
    const char *username, *credential; /* empty: without */
    char made_username[TURN_USERNAME_MAX], made_credential[TURN_CREDENTIAL_MAX];
};

int turn_credential(const char *secret, const char *user, int64_t until_s,
                    char username[TURN_USERNAME_MAX], char credential[TURN_CREDENTIAL_MAX])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int at = snprintf(username, TURN_USERNAME_MAX, "%" PRId64 ":", until_s);

    (void)snprintf(username + at, TURN_USERNAME_MAX - (size_t)at, "%s", user);
    for (char *c = username + at; *c != '\0'; c++) {
        if (strchr(PLAIN, *c) == NULL) {
            *c = '_';
        }
    }
    if (HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)username,
             strlen(username), mac, &len) == NULL) {
        return -ENOMEM;
    }
    credential[base64_encode(mac, len, credential)] = '\0';
    return 0;
}

static int tell(const struct turn_server *server, const char *user, int64_t now_s,
                struct told *out)
{
    if (server->secret[0] == '\0') {
        out->username = server->username;
        out->credential = server->credential;
        return 0;
    }
    out->username = out->made_username;
    out->credential = out->made_credential;
    return turn_credential(server->secret, user, now_s + TURN_GOOD_S, out->made_username,
                           out->made_credential);
}

static json_t *one_json(const struct turn_server *server, const char *user, int64_t now_s)
{
    struct told told;

    if (tell(server, user, now_s, &told) != 0) {
        return NULL;
    }
    return told.username[0] == '\0'
               ? json_pack("{s:[s]}", "urls", server->url)
               : json_pack("{s:[s], s:s, s:s}", "urls", server->url, "username",
                           told.username, "credential", told.credential);
}

json_t *turn_json(const struct turn_servers *servers, const char *user, int64_t now_s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < servers->n; i++) {
        if (json_array_append_new(list, one_json(&servers->list[i], user, now_s)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

int turn_links(const struct turn_servers *servers, const char *user, int64_t now_s,
               char out[TURN_LINKS_MAX])
{
    struct told told;
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < servers->n && at < TURN_LINKS_MAX; i++) {
        const struct turn_server *server = &servers->list[i];

        if (tell(server, user, now_s, &told) != 0) {
            out[0] = '\0';
            return -ENOMEM;
        }
        at += (size_t)snprintf(out + at, TURN_LINKS_MAX - at, "%s<%s>; rel=\"ice-server\"",
                               i > 0 ? ", " : "", server->url);
        if (told.username[0] != '\0' && at < TURN_LINKS_MAX) {
            at += (size_t)snprintf(out + at, TURN_LINKS_MAX - at,
                                   "; username=\"%s\"; credential=\"%s\"; "
                                   "credential-type=\"password\"",
                                   told.username, told.credential);
        }
    }
    return 0;
}
