/* See auth.h. */
#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/jwt.h"

_Static_assert((int)AUTH_ID_MAX == (int)JWT_ID_MAX, "one limit");
_Static_assert((int)AUTH_NAME_MAX == (int)JWT_NAME_MAX, "one limit");

struct auth {
    size_t len;
    uint8_t secret[];
};

int auth_create(struct auth **out, const uint8_t *secret, size_t len)
{
    struct auth *auth;

    if (len < JWT_MIN_KEY) {
        return -EINVAL;
    }
    auth = malloc(sizeof(*auth) + len);
    if (auth == NULL) {
        return -ENOMEM;
    }
    auth->len = len;
    memcpy(auth->secret, secret, len);
    *out = auth;
    return 0;
}

void auth_destroy(struct auth *auth)
{
    if (auth != NULL) {
        explicit_bzero(auth->secret, auth->len);
        free(auth);
    }
}

/* A token without a role is a guest's. */
static bool parse_role(const char *name, enum auth_role *out)
{
    *out = AUTH_GUEST;
    return name[0] == '\0' || auth_role_find(name, out);
}

int auth_verify(const struct auth *auth, const char *token, size_t len, int64_t now_s,
                struct auth_identity *out, const char **code)
{
    struct jwt_claims claims;
    enum jwt_error err = jwt_verify(token, len, auth->secret, auth->len, now_s, &claims);

    if (err != JWT_OK) {
        *code = jwt_error_name(err);
        return -EPERM;
    }
    memset(out, 0, sizeof(*out));
    if (!parse_role(claims.role, &out->role)) {
        *code = "unknown_role";
        return -EPERM;
    }
    memcpy(out->user_id, claims.sub, sizeof(out->user_id));
    memcpy(out->tenant, claims.tenant, sizeof(out->tenant));
    memcpy(out->name, claims.name, sizeof(out->name));
    memcpy(out->meeting_id, claims.meeting_id, sizeof(out->meeting_id));
    out->expires_s = claims.exp;
    return 0;
}
