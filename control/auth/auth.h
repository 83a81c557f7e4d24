/* Who somebody is, and what that role may do. The one place where both are decided, for
 * Socket.IO and REST alike.
 *
 * Thread: any; nothing is changed after auth_create(). */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct auth;

/* In descending order of power. */
enum auth_role {
    AUTH_HOST,
    AUTH_CO_HOST,
    AUTH_PRESENTER,
    AUTH_ATTENDEE,
    AUTH_GUEST,
    N_AUTH_ROLES
};

enum auth_permission {
    AUTH_PRODUCE_MEDIA = 1,  /* audio and video */
    AUTH_PRODUCE_SCREEN = 2, /* screen and its audio */
    AUTH_CHAT = 4,
    AUTH_RAISE_HAND = 8,
    AUTH_REACT = 16,
    AUTH_MODERATE = 32,    /* mute, remove, lock, roles below one's own */
    AUTH_END_MEETING = 64, /* end or delete it, change the host */
};

/* What a meeting allows beyond the roles. */
struct auth_policy {
    bool allow_attendee_media;
    bool allow_guest_chat;
};

enum { AUTH_ID_MAX = 64, AUTH_NAME_MAX = 128 };

struct auth_identity {
    char user_id[AUTH_ID_MAX + 1];
    char tenant[AUTH_ID_MAX + 1];
    char name[AUTH_NAME_MAX + 1];     /* empty if the token has none */
    char meeting_id[AUTH_ID_MAX + 1]; /* the one meeting it is for; empty: none is named */
    enum auth_role role;
    int64_t expires_s; /* seconds since 1970 */
};

/* secret  copied; at least 32 bytes
 * Returns 0, -EINVAL for a secret that is too short, or -ENOMEM. */
int auth_create(struct auth **out, const uint8_t *secret, size_t len);
void auth_destroy(struct auth *auth); /* wipes the secret; NULL is a no-op */

/* Verifies a token and fills 'out'. A token without a role is a guest's; an unknown role is
 * refused.
 *
 * code  filled on failure with a constant such as "jwt_expired"
 *
 * Returns 0 or -EPERM. */
int auth_verify(const struct auth *auth, const char *token, size_t len, int64_t now_s,
                struct auth_identity *out, const char **code);

/* The permissions of a role in a meeting, as bits of enum auth_permission. */
unsigned auth_permissions(enum auth_role role, const struct auth_policy *policy);

/* "host", "co_host" … */
const char *auth_role_name(enum auth_role role);

/* The name of one permission ("produce_media"), for lists that clients see. */
const char *auth_permission_name(enum auth_permission permission);

#endif
