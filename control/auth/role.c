/* See role.h. A permission without a rule for each role does not compile, and neither does
 * an event or route without a permission (schema/table.h). */
#include "auth/role.h"

#include <string.h>

enum grant { N, Y, M, C };

static const struct rule {
    const char *name, *doc;
    uint8_t grants[N_AUTH_ROLES]; /* enum grant */
} rules[N_AUTH_PERMISSIONS] = {
#define X(permission, text, host, co_host, presenter, attendee, guest, admin, words)       \
    [AUTH_##permission] = {.name = (text),                                                 \
                           .doc = (words),                                                 \
                           .grants = {[AUTH_HOST] = (host),                                \
                                      [AUTH_CO_HOST] = (co_host),                          \
                                      [AUTH_PRESENTER] = (presenter),                      \
                                      [AUTH_ATTENDEE] = (attendee),                        \
                                      [AUTH_GUEST] = (guest),                              \
                                      [AUTH_ADMIN] = (admin)}},
    AUTH_PERMISSIONS(X)
#undef X
};

static const char *const role_names[N_AUTH_ROLES] = {
    [AUTH_HOST] = "host",           [AUTH_CO_HOST] = "co_host",
    [AUTH_PRESENTER] = "presenter", [AUTH_ATTENDEE] = "attendee",
    [AUTH_GUEST] = "guest",         [AUTH_ADMIN] = "admin",
};

bool auth_may(enum auth_role role, const struct auth_policy *policy,
              enum auth_permission permission)
{
    switch ((enum grant)rules[permission].grants[role]) {
    case Y:
        return true;
    case M:
        return policy != NULL && policy->allow_attendee_media;
    case C:
        return policy != NULL && policy->allow_guest_chat;
    case N:
        break;
    }
    return false;
}

const char *auth_role_name(enum auth_role role)
{
    return role_names[role];
}

bool auth_role_find(const char *name, enum auth_role *out)
{
    for (int i = 0; i < N_AUTH_ROLES; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *out = (enum auth_role)i;
            return true;
        }
    }
    return false;
}

const char *auth_permission_name(enum auth_permission permission)
{
    return rules[permission].name;
}

const char *auth_permission_doc(enum auth_permission permission)
{
    return rules[permission].doc;
}
