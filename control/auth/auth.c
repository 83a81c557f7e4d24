/* See auth.h. */
#include "auth/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

#include "proto/jwk.h"
#include "proto/jwt.h"
#include "sys/entropy.h"

_Static_assert((int)AUTH_ID_MAX == (int)JWT_ID_MAX, "one limit");
_Static_assert((int)AUTH_NAME_MAX == (int)JWT_NAME_MAX, "one limit");

enum { REVOKED_MAX = 1000000, TEXT_MAX = 256, REVOKED_ID = 2 * AUTH_ID_MAX + 2 };

#define LINK_SCOPE "join_link"

struct own_key {
    char kid[JWT_KID_MAX + 1];
    uint8_t secret[AUTH_KEY_LEN];
};

struct issuer {
    struct jwk_set set;
    char issuer[TEXT_MAX], audience[TEXT_MAX], tenant[AUTH_ID_MAX + 1];
};

struct revoked {
    char id[REVOKED_ID]; /* a jti; a family; "TENANT\nUSER" */
    int64_t at_s;        /* of a user: tokens signed later are good */
    int64_t expires_s;
    UT_hash_handle hh;
};

struct auth {
    struct own_key own[AUTH_KEYS]; /* the last one signs */
    size_t n_own;
    struct issuer *issuers[AUTH_ISSUERS];
    size_t n_issuers;
    struct revoked *revoked; /* users, too: no id of ours has a line's end in it */
    bool require_stored;
    auth_renew_fn *renew; /* NULL: nothing is read again */
    void *renew_user;
    int64_t renewed_s;
    struct jwt_key keys[1 + AUTH_KEYS + AUTH_ISSUERS * JWK_MAX]; /* all of them */
    size_t n_keys;
    size_t len;
    uint8_t secret[];
};

/* Makes 'keys' anew from what they are made of. */
static void list_keys(struct auth *auth)
{
    size_t n = 0;

    auth->keys[n++] = (struct jwt_key){
        .alg = JWT_HS256, .kid = "", .secret = auth->secret, .secret_len = auth->len};
    for (size_t i = 0; i < auth->n_own; i++) {
        auth->keys[n++] = (struct jwt_key){.alg = JWT_HS256,
                                           .kid = auth->own[i].kid,
                                           .secret = auth->own[i].secret,
                                           .secret_len = AUTH_KEY_LEN};
    }
    for (size_t i = 0; i < auth->n_issuers; i++) {
        const struct issuer *issuer = auth->issuers[i];

        for (size_t k = 0; k < issuer->set.n; k++) {
            auth->keys[n] = issuer->set.keys[k];
            auth->keys[n].issuer = issuer->issuer;
            auth->keys[n].audience = issuer->audience;
            auth->keys[n++].tenant = issuer->tenant;
        }
    }
    auth->n_keys = n;
}

int auth_create(struct auth **out, const uint8_t *secret, size_t len)
{
    struct auth *auth;

    if (len < JWT_MIN_KEY) {
        return -EINVAL;
    }
    auth = calloc(1, sizeof(*auth) + len);
    if (auth == NULL) {
        return -ENOMEM;
    }
    auth->len = len;
    memcpy(auth->secret, secret, len);
    list_keys(auth);
    *out = auth;
    return 0;
}

void auth_destroy(struct auth *auth)
{
    struct revoked *one;

    if (auth == NULL) {
        return;
    }
    one = auth->revoked;
    HASH_CLEAR(hh, auth->revoked); /* the table; what was in it is a list still */
    while (one != NULL) {
        struct revoked *next = one->hh.next;

        free(one);
        one = next;
    }
    for (size_t i = 0; i < auth->n_issuers; i++) {
        jwk_fini(&auth->issuers[i]->set);
        free(auth->issuers[i]);
    }
    explicit_bzero(auth->own, sizeof(auth->own));
    explicit_bzero(auth->secret, auth->len);
    free(auth);
}

int auth_add_key(struct auth *auth, const char *kid, const uint8_t secret[AUTH_KEY_LEN])
{
    struct own_key *key;

    if (kid[0] == '\0' || strlen(kid) > JWT_KID_MAX) {
        return -EINVAL;
    }
    if (auth->n_own == AUTH_KEYS) {
        memmove(auth->own, auth->own + 1, (AUTH_KEYS - 1) * sizeof(auth->own[0]));
        auth->n_own--;
    }
    key = &auth->own[auth->n_own++];
    (void)snprintf(key->kid, sizeof(key->kid), "%s", kid);
    memcpy(key->secret, secret, AUTH_KEY_LEN);
    list_keys(auth);
    return 0;
}

int auth_add_issuer(struct auth *auth, const char *jwks, size_t len, const char *issuer,
                    const char *audience, const char *tenant, const char **why)
{
    struct issuer *one;
    int err;

    *why = "";
    if (auth->n_issuers == AUTH_ISSUERS) {
        return -ENOSPC;
    }
    if (strlen(issuer) >= TEXT_MAX || strlen(audience) >= TEXT_MAX ||
        strlen(tenant) > AUTH_ID_MAX) {
        return -EINVAL;
    }
    one = calloc(1, sizeof(*one));
    if (one == NULL) {
        return -ENOMEM;
    }
    err = jwk_parse(jwks, len, &one->set, why);
    if (err != 0) {
        free(one);
        return err;
    }
    strcpy(one->issuer, issuer);
    strcpy(one->audience, audience);
    strcpy(one->tenant, tenant);
    auth->issuers[auth->n_issuers++] = one;
    list_keys(auth);
    return 0;
}

int auth_renew_issuer(struct auth *auth, size_t i, const char *jwks, size_t len,
                      const char **why)
{
    struct issuer *fresh;
    int err;

    *why = "";
    if (i >= auth->n_issuers) {
        return -ENOENT;
    }
    fresh = malloc(sizeof(*fresh));
    if (fresh == NULL) {
        return -ENOMEM;
    }
    *fresh = *auth->issuers[i];
    err = jwk_parse(jwks, len, &fresh->set, why);
    if (err != 0) {
        free(fresh);
        return err;
    }
    jwk_fini(&auth->issuers[i]->set);
    free(auth->issuers[i]);
    auth->issuers[i] = fresh; /* a set stays where it was parsed */
    list_keys(auth);
    return 0;
}

void auth_on_unknown_key(struct auth *auth, auth_renew_fn *renew, void *user)
{
    auth->renew = renew;
    auth->renew_user = user;
}

/* Whoever sends tokens of no key has no more read than this. */
static bool renew(struct auth *auth, int64_t now_s)
{
    int64_t passed_s = now_s - auth->renewed_s;

    if (auth->renew == NULL || auth->n_issuers == 0 ||
        (passed_s >= 0 && passed_s < AUTH_RENEW_S)) {
        return false;
    }
    auth->renewed_s = now_s;
    auth->renew(auth->renew_user);
    return true;
}

void auth_require_stored(struct auth *auth)
{
    auth->require_stored = true;
}

static void forget_expired(struct auth *auth, int64_t now_s)
{
    struct revoked *expired = NULL;
    struct revoked *one;
    struct revoked *next;

    HASH_ITER(hh, auth->revoked, one, next)
    {
        if (one->expires_s <= now_s) {
            HASH_DELETE(hh, auth->revoked, one);
            one->hh.next = expired;
            expired = one;
        }
    }
    while (expired != NULL) {
        one = expired;
        expired = one->hh.next;
        free(one);
    }
}

static int revoke(struct auth *auth, const char *id, int64_t at_s, int64_t expires_s,
                  int64_t now_s)
{
    struct revoked *one = NULL;

    if (id[0] == '\0' || expires_s <= now_s) {
        return 0;
    }
    HASH_FIND_STR(auth->revoked, id, one);
    if (one != NULL) {
        one->at_s = at_s > one->at_s ? at_s : one->at_s;
        one->expires_s = expires_s > one->expires_s ? expires_s : one->expires_s;
        return 0;
    }
    if (HASH_COUNT(auth->revoked) >= REVOKED_MAX) {
        forget_expired(auth, now_s);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed is not in the table */
        if (HASH_COUNT(auth->revoked) >= REVOKED_MAX) {
            return -ENOSPC;
        }
    }
    one = calloc(1, sizeof(*one));
    if (one == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(one->id, sizeof(one->id), "%s", id);
    one->at_s = at_s;
    one->expires_s = expires_s;
    HASH_ADD_STR(auth->revoked, id, one);
    if (one->hh.tbl == NULL) {
        free(one);
        return -ENOMEM;
    }
    return 0;
}

int auth_revoke(struct auth *auth, const char *id, int64_t expires_s, int64_t now_s)
{
    return revoke(auth, id, 0, expires_s, now_s);
}

static const char *user_key(const char *tenant, const char *user_id, char key[REVOKED_ID])
{
    (void)snprintf(key, REVOKED_ID, "%s\n%s", tenant, user_id);
    return key;
}

int auth_revoke_user(struct auth *auth, const char *tenant, const char *user_id,
                     int64_t at_s, int64_t expires_s, int64_t now_s)
{
    char key[REVOKED_ID];

    return revoke(auth, user_key(tenant, user_id, key), at_s, expires_s, now_s);
}

/* A jti of ours is FAMILY.ID, or an ID alone. */
static bool has_family(const char *jti)
{
    return strnlen(jti, AUTH_FAMILY + 1) > AUTH_FAMILY && jti[AUTH_FAMILY] == '.';
}

static void fresh_jti(char jti[AUTH_ID_MAX + 1], const char *family)
{
    size_t at = 0;

    if (family != NULL || has_family(jti)) {
        memmove(jti, family != NULL ? family : jti, AUTH_FAMILY);
        jti[AUTH_FAMILY] = '.';
        at = AUTH_FAMILY + 1;
    }
    entropy_id(jti + at, 22);
}

int auth_mint(const struct auth *auth, struct auth_identity *who, const char *family,
              int64_t now_s, char out[AUTH_TOKEN_MAX])
{
    struct jwt_claims claims = {.iat = now_s, .exp = who->expires_s};
    const struct own_key *own = auth->n_own > 0 ? &auth->own[auth->n_own - 1] : NULL;

    fresh_jti(who->jti, family);
    memcpy(claims.sub, who->user_id, sizeof(claims.sub));
    memcpy(claims.tenant, who->tenant, sizeof(claims.tenant));
    memcpy(claims.name, who->name, sizeof(claims.name));
    memcpy(claims.meeting_id, who->meeting_id, sizeof(claims.meeting_id));
    memcpy(claims.jti, who->jti, sizeof(claims.jti));
    (void)snprintf(claims.role, sizeof(claims.role), "%s", auth_role_name(who->role));
    (void)snprintf(claims.scope, sizeof(claims.scope), "%s", who->link ? LINK_SCOPE : "");
    return jwt_mint_as(&claims, own != NULL ? own->kid : "",
                       own != NULL ? own->secret : auth->secret,
                       own != NULL ? AUTH_KEY_LEN : auth->len, out,
                       AUTH_TOKEN_MAX) == JWT_OK
               ? 0
               : -EINVAL;
}

/* Whether 'scope' has the word. */
static bool has_scope(const char *scope, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = scope; (at = strstr(at, word)) != NULL; at += len) {
        if ((at == scope || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

/* Whether the token was revoked; of those that we have signed also what it came from, or
 * all of the user's. */
static bool is_revoked(const struct auth *auth, const struct jwt_claims *claims)
{
    const struct revoked *one = NULL;
    char key[REVOKED_ID];

    HASH_FIND_STR(auth->revoked, claims->jti, one);
    if (one != NULL || claims->key == 0 || claims->key > auth->n_own) {
        return one != NULL;
    }
    HASH_FIND_STR(auth->revoked, user_key(claims->tenant, claims->sub, key), one);
    if (one != NULL && claims->iat <= one->at_s) {
        return true;
    }
    one = NULL;
    if (has_family(claims->jti)) {
        HASH_FIND(hh, auth->revoked, claims->jti, AUTH_FAMILY, one);
    }
    return one != NULL;
}

/* A token without a role is a guest's. */
static bool parse_role(const char *name, enum auth_role *out)
{
    *out = AUTH_GUEST;
    return name[0] == '\0' || auth_role_find(name, out);
}

int auth_verify(struct auth *auth, const char *token, size_t len, int64_t now_s,
                struct auth_identity *out, const char **code)
{
    int err = auth_verify_link(auth, token, len, now_s, out, code);

    if (err == 0 && out->link) {
        *code = "token_is_link";
        err = -EPERM;
    }
    return err;
}

int auth_verify_link(struct auth *auth, const char *token, size_t len, int64_t now_s,
                     struct auth_identity *out, const char **code)
{
    struct jwt_claims claims;
    enum jwt_error err =
        jwt_verify_by(token, len, auth->keys, auth->n_keys, now_s, &claims);

    /* the first key of an algorithm that had none is told as a wrong one */
    if ((err == JWT_UNKNOWN_KEY || err == JWT_WRONG_ALG) && renew(auth, now_s)) {
        err = jwt_verify_by(token, len, auth->keys, auth->n_keys, now_s, &claims);
    }
    if (err != JWT_OK) {
        *code = jwt_error_name(err);
        return -EPERM;
    }
    if (is_revoked(auth, &claims)) {
        *code = "token_revoked";
        return -EPERM;
    }
    if (auth->require_stored && claims.meeting_id[0] != '\0' &&
        (claims.key == 0 || claims.key > auth->n_own)) {
        *code = "meeting_not_stored";
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
    memcpy(out->jti, claims.jti, sizeof(out->jti));
    out->expires_s = claims.exp;
    out->captions = has_scope(claims.scope, "caption");
    out->link = has_scope(claims.scope, LINK_SCOPE);
    return 0;
}
