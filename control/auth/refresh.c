#include "auth/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/hasher.h"
#include "proto/base64.h"

void refresh_write(const char *family, const char *secret, const char *tenant,
                   char out[ACCOUNT_REFRESH_MAX])
{
    size_t at = (size_t)snprintf(out, ACCOUNT_REFRESH_MAX, "%s.%s.", family, secret);

    at += base64url_encode((const uint8_t *)tenant, strlen(tenant), out + at);
    out[at] = '\0';
}

bool refresh_read(const char *text, char family[ACCOUNT_ID + 1],
                  char tenant[AUTH_ID_MAX + 1])
{
    enum { BEFORE = ACCOUNT_ID + 1 + ACCOUNT_SECRET + 1 };
    uint8_t raw[AUTH_ID_MAX + 8];
    size_t len = strlen(text);
    size_t n = 0;

    if (len < BEFORE || len >= ACCOUNT_REFRESH_MAX || text[ACCOUNT_ID] != '.' ||
        text[BEFORE - 1] != '.' || len - BEFORE > 4 * AUTH_ID_MAX / 3 + 2 ||
        base64url_decode(text + BEFORE, len - BEFORE, raw, &n) != 0 || n > AUTH_ID_MAX ||
        memchr(raw, '\0', n) != NULL) {
        return false;
    }
    memcpy(family, text, ACCOUNT_ID);
    family[ACCOUNT_ID] = '\0';
    memcpy(tenant, raw, n);
    tenant[n] = '\0';
    return true;
}

json_t *refresh_family(const char *token, const char *before, const char *nonce,
                       int64_t now_s)
{
    char digest[HASHER_DIGEST + 1];

    hasher_digest(token, digest);
    return before == NULL
               ? json_pack("{s:s}", "digest", digest)
               : json_pack("{s:s, s:s, s:s, s:I}", "digest", digest, "before", before,
                           "nonce", nonce, "renewed_s", (json_int_t)now_s);
}

enum refresh_which refresh_judge(const json_t *json, const char *digest, uint32_t grace_s,
                                 int64_t now_s, char nonce[ACCOUNT_ID + 1])
{
    const char *present = json_string_value(json_object_get(json, "digest"));
    const char *before = json_string_value(json_object_get(json, "before"));
    const char *by = json_string_value(json_object_get(json, "nonce"));
    int64_t renewed_s = json_integer_value(json_object_get(json, "renewed_s"));

    nonce[0] = '\0';
    if (present != NULL && hasher_same(present, digest)) {
        return REFRESH_PRESENT;
    }
    if (grace_s == 0 || before == NULL || by == NULL || strlen(by) != ACCOUNT_ID ||
        !hasher_same(before, digest) ||
        llabs(now_s - renewed_s) > grace_s) { /* another node's clock may be ahead */
        return REFRESH_OLD;
    }
    memcpy(nonce, by, ACCOUNT_ID + 1);
    return REFRESH_LAST;
}
