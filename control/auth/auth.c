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

static const char *const role_names[N_AUTH_ROLES] = {
    [AUTH_HOST] = "host",           [AUTH_CO_HOST] = "co_host",
    [AUTH_PRESENTER] = "presenter", [AUTH_ATTENDEE] = "attendee",
    [AUTH_GUEST] = "guest",
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

static int parse_role(const char *name, enum auth_role *out)
{
    if (name[0] == '\0') {
        *out = AUTH_GUEST;
        return 0;
    }
    for (int i = 0; i < N_AUTH_ROLES; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *out = (enum auth_role)i;
            return 0;
        }
    }
    return -EINVAL;
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
    if (parse_role(claims.role, &out->role) != 0) {
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

unsigned auth_permissions(enum auth_role role, const struct auth_policy *policy)
{
    const unsigned present =
        AUTH_PRODUCE_MEDIA | AUTH_PRODUCE_SCREEN | AUTH_CHAT | AUTH_RAISE_HAND | AUTH_REACT;

    switch (role) {
    case AUTH_HOST:
        return present | AUTH_MODERATE | AUTH_END_MEETING;
    case AUTH_CO_HOST:
        return present | AUTH_MODERATE;
    case AUTH_PRESENTER:
        return present;
    case AUTH_ATTENDEE:
        return AUTH_CHAT | AUTH_RAISE_HAND | AUTH_REACT |
               (policy->allow_attendee_media ? AUTH_PRODUCE_MEDIA : 0u);
    case AUTH_GUEST:
    case N_AUTH_ROLES:
        break;
    }
    return policy->allow_guest_chat ? AUTH_CHAT : 0u;
}

const char *auth_role_name(enum auth_role role)
{
    return role_names[role];
}

const char *auth_permission_name(enum auth_permission permission)
{
    switch (permission) {
    case AUTH_PRODUCE_MEDIA:
        return "produce_media";
    case AUTH_PRODUCE_SCREEN:
        return "produce_screen";
    case AUTH_CHAT:
        return "chat";
    case AUTH_RAISE_HAND:
        return "raise_hand";
    case AUTH_REACT:
        return "react";
    case AUTH_MODERATE:
        return "moderate";
    case AUTH_END_MEETING:
        return "end_meeting";
    }
    return "";
}
