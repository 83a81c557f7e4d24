/* Who somebody is. What that role may do is in role.h. Both are decided here only, for
 * Socket.IO and REST alike.
 *
 * Tokens are signed by the configured secret (kcsctl token, and whoever else has it), by
 * the node's own keys, which have ids and are changed from time to time (account.h), or by
 * others whose public keys are configured. Each key has its one algorithm.
 *
 * Thread: the loop's. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/role.h"

struct auth;

enum { AUTH_ID_MAX = 64, AUTH_NAME_MAX = 128, AUTH_FAMILY = 22 };

struct auth_identity {
    char user_id[AUTH_ID_MAX + 1];
    char tenant[AUTH_ID_MAX + 1];
    char name[AUTH_NAME_MAX + 1];     /* empty if the token has none */
    char meeting_id[AUTH_ID_MAX + 1]; /* the one meeting it is for; empty: none is named */
    char jti[AUTH_ID_MAX + 1];        /* of the token; may be empty */
    enum auth_role role;
    int64_t expires_s; /* seconds since 1970 */
    bool captions;     /* its scope names "caption": it may pass captions on */
    bool link;         /* a join link's: what it is good for is a token of one's own */
};

/* secret  copied; at least 32 bytes
 * Returns 0, -EINVAL for a secret that is too short, or -ENOMEM. */
int auth_create(struct auth **out, const uint8_t *secret, size_t len);
void auth_destroy(struct auth *auth); /* wipes the secrets; NULL is a no-op */

enum {
    AUTH_KEYS = 8,
    AUTH_KEY_LEN = 32,
    AUTH_ISSUERS = 4,
    AUTH_TOKEN_MAX = 2048,
    AUTH_RENEW_S = 10 /* between two looks for keys that are not known */
};

/* Adds a key of the node's own: the last one added signs, all verify. With AUTH_KEYS of
 * them the oldest is forgotten. 0 or -EINVAL (no id, or one too long). */
int auth_add_key(struct auth *auth, const char *kid, const uint8_t secret[AUTH_KEY_LEN]);

/* Takes tokens that another party issues, by its JSON Web Key Set (proto/jwk.h).
 *
 * issuer, audience, tenant  what its tokens must say (copied); empty: whatever. A token
 *                           without a tenant is of this one
 * why                       filled with a constant if it is malformed
 *
 * Returns 0, -EBADMSG, -ENOENT (no key for us), -ENOSPC, -EINVAL (too long), -ENOMEM. */
int auth_add_issuer(struct auth *auth, const char *jwks, size_t len, const char *issuer,
                    const char *audience, const char *tenant, const char **why);

/* The keys of issuer 'i' (in the order of auth_add_issuer()) anew: tokens of keys that are
 * no longer among them are refused from now on. As above; on failure those it has stay.
 * -ENOENT if there is no such issuer. */
int auth_renew_issuer(struct auth *auth, size_t i, const char *jwks, size_t len,
                      const char **why);

/* What is called, at most once each AUTH_RENEW_S, when a token names a key that is not known:
 * an issuer may have changed its keys. It calls auth_renew_issuer(); then the token is tried
 * once more. */
typedef void auth_renew_fn(void *user);
void auth_on_unknown_key(struct auth *auth, auth_renew_fn *renew, void *user);

/* Signs a token for 'who' (its expires_s too), with a fresh jti.
 *
 * family  of AUTH_FAMILY characters: what the token comes from, whose revocation is its,
 *         too; NULL: what the token came from that 'who' was read from, if that has one
 *
 * Returns 0, or -EINVAL for text that is not UTF-8 or too long. */
int auth_mint(const struct auth *auth, struct auth_identity *who, const char *family,
              int64_t now_s, char out[AUTH_TOKEN_MAX]);

/* From now on a token for a meeting must be of the node's own keys, which sign one only for
 * a meeting that is stored. */
void auth_require_stored(struct auth *auth);

/* Refuses tokens with this id, or of this family, until they expire anyway. 0, or -ENOMEM;
 * -ENOSPC with a million of them. */
int auth_revoke(struct auth *auth, const char *id, int64_t expires_s, int64_t now_s);

/* The same of every token that this node has signed for a user until 'at_s'. */
int auth_revoke_user(struct auth *auth, const char *tenant, const char *user_id,
                     int64_t at_s, int64_t expires_s, int64_t now_s);

/* Verifies a token and fills 'out'. A token without a role is a guest's; an unknown role is
 * refused.
 *
 * code  filled on failure with a constant such as "jwt_expired"
 *
 * Returns 0 or -EPERM; for the token of a join link, too ("token_is_link"). */
int auth_verify(struct auth *auth, const char *token, size_t len, int64_t now_s,
                struct auth_identity *out, const char **code);

/* The same, where a join link will do. */
int auth_verify_link(struct auth *auth, const char *token, size_t len, int64_t now_s,
                     struct auth_identity *out, const char **code);

#endif
