/* Access and meeting tokens: JSON Web Tokens signed with HS256, minted and verified. There
 * is one algorithm, fixed here, never taken from the token; a key id in the header is not
 * looked at. Roles and permissions are judged by auth/.
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
    JWT_ROLE_MAX = 16,
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
    int64_t exp;
    int64_t iat;
    int64_t nbf;
};

/* Verifies a token and fills 'out' (untouched unless JWT_OK). The signature is checked,
 * in constant time, before any claim is read. */
enum jwt_error jwt_verify(const char *token, size_t len, const uint8_t *key, size_t key_len,
                          int64_t now_s, struct jwt_claims *out);

/* Writes a token and a final 0 to 'out'. Empty strings and zero times are left out.
 *
 * Returns JWT_OK, JWT_MISSING_CLAIM without sub or exp, JWT_BAD_CLAIM for text that is not
 * UTF-8, JWT_TOO_LARGE if 'cap' does not suffice, JWT_BAD_KEY, JWT_NO_MEMORY. */
enum jwt_error jwt_mint(const struct jwt_claims *claims, const uint8_t *key, size_t key_len,
                        char *out, size_t cap);

#endif
