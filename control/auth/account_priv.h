/* The parts of account.h: account.c has logins, account_start.c what is there at start. */
#ifndef AUTH_ACCOUNT_PRIV_H
#define AUTH_ACCOUNT_PRIV_H

#include <jansson.h>

#include "auth/account.h"
#include "store/store.h"

struct accounts {
    struct account_conf conf;
    struct hasher *hasher;
    bool starting; /* something of account_start.c is on its way */
    bool has_keys, has_revoked, ready;
    int64_t key_made_s; /* the newest */
    int64_t after_at;   /* of the revoked ones: how far they are read */
    char after_id[STORE_ID_MAX + 1];
    char password[24]; /* of the first administrator, until it is told */
};

/* ACCOUNT_REVOKED_S: how long what came of a login that was stolen stays void, or what an erased
 * user had. An access token is good for a day at most; one for a meeting till its end, of
 * which most are within this. */
enum { ACCOUNT_ID = 22, ACCOUNT_SECRET = 43, ACCOUNT_REVOKED_S = 31 * 86400 };

/* Revoked is not one token, but all that the user had when this was written. */
#define ACCOUNT_REVOKED_USER "user"

/* Loads what is not loaded yet. */
void account_start(struct accounts *accounts);

/* account_start.c: the document of a new user. json: a new reference; NULL without memory.
 */
char *account_user_json(const char *name, const char *hash);

#endif
