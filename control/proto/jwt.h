/* Access and meeting tokens: JSON Web Tokens. Ours are signed with HS256; those of others
 * are verified with RS256 or ES256 too. A key has one algorithm, fixed with the key and
 * never taken from the token; a key id is compared with those of the keys that there are,
 * and is nothing else, no path and no address. Roles and permissions are judged by auth/.
 *
 * Pure: no clock, no I/O. Times are seconds since 1970 UTC.
 * RFC 7519, RFC 7515 (compact form), RFC 8725 (the traps). */
#ifndef PROTO_JWT_H
#define PROTO_JWT_H

#include <stddef.h>
#include <stdint.h>

enum {
    JWT_MAX_LEN = 8192, /* characters of a token */
    JWT_MIN_KEY = 32,   /* bytes of a secret (RFC 7518, section 3.2) */
    JWT_ID_MAX = 64,    /* characters of sub, tenant, meeting_id, jti */
    JWT_NAME_MAX = 128, /* bytes of name, UTF-8 */
    JWT_KID_MAX = 64,   /* characters of a key id */
    JWT_ROLE_MAX = 16,
    JWT_SCOPE_MAX = 256,
    JWT_LEEWAY_S = 60 /* how far another's clock may be ahead (nbf, iat; not exp) */
};

enum jwt_error {
    JWT_OK,
    JWT_TOO_LARGE,     /* more than JWT_MAX_LEN */
    JWT_MALFORMED,     /* not three strict base64url parts of JSON objects */
    JWT_WRONG_ALG,     /* alg is not exactly "HS256" */
    JWT_BAD_HEADER,    /* typ is not a JWT, or there are critical extensions */
    JWT_BAD_SIGNATURE, /* not made with this key */
    JWT_BAD_CLAIM,     /* a claim is of the wrong type, too long, or contradicts another */
    JWT_MISSING_CLAIM, /* sub or exp */
    JWT_WRONG_ISSUER,
    JWT_WRONG_AUDIENCE,
    JWT_WRONG_TENANT, /* the key speaks for another tenant only */
    JWT_UNKNOWN_KEY,  /* no key has this id, or one is needed */
    JWT_EXPIRED,
    JWT_NOT_YET_VALID, /* nbf, or iat in the future */
    JWT_BAD_KEY,       /* secret shorter than JWT_MIN_KEY: our configuration is wrong */
    JWT_NO_MEMORY
};

/* "jwt_expired" and the like, for answers and logs. */
const char *jwt_error_name(enum jwt_error error);

/* Strings are empty and times 0 where the token has no such claim; sub and exp always are.
 */
struct jwt_claims {
    char sub[JWT_ID_MAX + 1];    /* user id */
    char tenant[JWT_ID_MAX + 1]; /* also read from "campus_id" */
    char name[JWT_NAME_MAX + 1];
    char role[JWT_ROLE_MAX + 1];
    char meeting_id[JWT_ID_MAX + 1];
    char jti[JWT_ID_MAX + 1];
    char scope[JWT_SCOPE_MAX + 1]; /* words with spaces between (RFC 8693, 4.2) */
    int64_t exp;
    int64_t iat;
    int64_t nbf;
    size_t key; /* verified: which of the keys has signed it */
};

enum jwt_alg { JWT_HS256, JWT_RS256, JWT_ES256 };

struct jwt_key {
    enum jwt_alg alg;
    const char *kid;       /* "": for tokens that name no key */
    const uint8_t *secret; /* HS256 */
    size_t secret_len;
    struct evp_pkey_st *public_key; /* RS256, ES256: as jwk_parse() makes it */
    /* What tokens of this key must say; NULL or "": nothing. A token without a tenant has
     * this one. */
    const char *issuer, *audience, *tenant;
};

/* jwt_verify() with whichever of 'keys' the token's header names. */
enum jwt_error jwt_verify_by(const char *token, size_t len, const struct jwt_key *keys,
                             size_t n, int64_t now_s, struct jwt_claims *out);

/* Verifies a token of ours and fills 'out' (untouched unless JWT_OK). The signature is
 * checked, in constant time, before any claim is read. */
enum jwt_error jwt_verify(const char *token, size_t len, const uint8_t *key, size_t key_len,
                          int64_t now_s, struct jwt_claims *out);

/* Writes a token and a final 0 to 'out'. Empty strings and zero times are left out.
 *
 * Returns JWT_OK, JWT_MISSING_CLAIM without sub or exp, JWT_BAD_CLAIM for text that is not
 * UTF-8, JWT_TOO_LARGE if 'cap' does not suffice, JWT_BAD_KEY, JWT_NO_MEMORY. */
/* kid  of the key, for the header; "": none */
enum jwt_error jwt_mint_as(const struct jwt_claims *claims, const char *kid,
                           const uint8_t *key, size_t key_len, char *out, size_t cap);
enum jwt_error jwt_mint(const struct jwt_claims *claims, const uint8_t *key, size_t key_len,
                        char *out, size_t cap);

#endif
