/* JSON Web Key Sets: the public keys with which others sign tokens (RFC 7517, RFC 7518).
 *
 * Taken are RSA of 2048 to 8192 bits for RS256 and EC of P-256 for ES256. A key of another
 * kind, of another use than "sig", or for another algorithm is passed over: a set may hold
 * what is not for us. Symmetric keys ("oct") are refused, for such a set is no secret.
 *
 * Pure; thread: any. */
#ifndef PROTO_JWK_H
#define PROTO_JWK_H

#include <stddef.h>

#include "proto/jwt.h"

enum { JWK_MAX = 16 };

struct jwk_set {
    size_t n;
    struct jwt_key keys[JWK_MAX];
    char kids[JWK_MAX][JWT_KID_MAX + 1];
};

/* Reads a set. 'out' is filled; its kids point into it, so it stays where it is.
 *
 * Returns 0; -EBADMSG with *why (constant) if it is malformed, has two keys of one id, or a
 * symmetric key; -ENOENT if no key is for us; -ENOSPC if there are too many; -ENOMEM. */
int jwk_parse(const char *text, size_t len, struct jwk_set *out, const char **why);

void jwk_fini(struct jwk_set *set);

#endif
