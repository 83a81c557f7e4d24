/* Refresh tokens as text, and what the store has of the family that one login's are: digests of
 * the present one and of the one before, and the nonce by which the one follows from the other
 * (docs/decisions/0043).
 *
 * Pure: no clock, no randomness, no I/O. */
#ifndef AUTH_REFRESH_H
#define AUTH_REFRESH_H

#include <jansson.h>

#include "auth/account_priv.h"

/* FAMILY.SECRET.TENANT; the last in base64url, for the store finds by tenant. */
void refresh_write(const char *family, const char *secret, const char *tenant,
                   char out[ACCOUNT_REFRESH_MAX]);

/* Takes one apart. Returns false if it never was one. */
bool refresh_read(const char *text, char family[ACCOUNT_ID + 1],
                  char tenant[AUTH_ID_MAX + 1]);

/* The document of a family.
 *
 * token   the present one
 * before  digest of the one that it was given for, NULL: of none, it is the first
 * nonce   by which it follows from that one; not read if there is none
 *
 * Returns a new reference, NULL without memory. */
json_t *refresh_family(const char *token, const char *before, const char *nonce,
                       int64_t now_s);

enum refresh_which {
    REFRESH_PRESENT,
    REFRESH_LAST, /* the one before it, used no longer ago than the grace: it gives it again */
    REFRESH_OLD   /* neither */
};

/* Which of the family's tokens has this digest. 'nonce' is filled for REFRESH_LAST, else empty.
 *
 * json     borrowed; NULL: nothing is known
 * grace_s  0: there is no REFRESH_LAST */
enum refresh_which refresh_judge(const json_t *json, const char *digest, uint32_t grace_s,
                                 int64_t now_s, char nonce[ACCOUNT_ID + 1]);

#endif
