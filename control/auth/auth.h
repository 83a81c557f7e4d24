/* Who somebody is. What that role may do is in role.h. Both are decided here only, for
 * Socket.IO and REST alike.
 *
 * Thread: any; nothing is changed after auth_create(). */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/role.h"

struct auth;

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

#endif
