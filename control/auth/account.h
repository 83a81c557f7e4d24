/* Accounts: who logs in with a password, and the tokens that come of it. On the store.
 *
 * A login gives an access token (a JWT, auth_mint) of 15 minutes and a refresh token:
 * opaque, good for seven days and for one use, which gives a new pair. Who brings a refresh
 * token that was used already has stolen it, or was stolen from: its whole family, that is
 * all that came of one login, ends. But the last one that was used gives, for 'grace_s', the
 * same next one again, since its answer may have been lost on its way: it follows from the
 * one that is brought and a nonce in the store, which has only digests of both (docs/decisions/
 * 0043).
 *
 * A token's signature is the node's own key's; the key is changed each 'key_days', and the
 * ones before it go on verifying until their last tokens have expired.
 *
 * Thread: the loop's. */
#ifndef AUTH_ACCOUNT_H
#define AUTH_ACCOUNT_H

#include "auth/auth.h"
#include "auth/hasher.h"

struct accounts;
struct store;
struct store_write;

enum {
    ACCOUNT_VOID_ID = AUTH_ID_MAX + 8,
    ACCOUNT_LOGIN_MAX = 128,
    ACCOUNT_REFRESH_MAX = 192,
    ACCOUNT_PASSWORD_MIN = 8 /* NIST SP 800-63B, section 5.1.1 */
};

struct account_conf {
    struct store *store; /* borrowed, as auth */
    struct auth *auth;
    unsigned hash_threads, hash_queue;
    uint32_t access_s, refresh_s;
    uint32_t grace_s; /* 0: a refresh token is good once, whatever came of its answer */
    uint32_t key_days;
    int64_t (*now_s)(void); /* NULL: clock_wall_s() */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;
    /* The first start: there was no user, now there is this administrator, whose password
     * is told here and never again. */
    void (*on_first)(void *user, const char *login, const char *password);
    void *user;
};

struct account_tokens {
    struct auth_identity who;
    char access[AUTH_TOKEN_MAX];
    char refresh[ACCOUNT_REFRESH_MAX];
    uint32_t access_s, refresh_s; /* how long they are good for */
};

/* err     0; -EPERM: refused, 'code' says why ("bad_credentials", "refresh_reused" …);
 *         -EAGAIN: too many at once; else as of the store
 * tokens  NULL unless err is 0, but of "refresh_reused" whose it was ('who', and nothing
 *         else); valid during the call */
typedef void account_done(void *arg, int err, const char *code,
                          const struct account_tokens *tokens);

/* When it returns, what was revoked is known: no such token is taken again, by whichever key
 * it is. Then loads the keys and makes the first administrator: until that is done all is
 * answered -EAGAIN. Before the loop runs. 0, -ENOMEM, -EIO (what was revoked could not be
 * read), or what kept a thread from starting. */
int accounts_create(struct accounts **out, const struct account_conf *conf);

/* Callbacks that are left are called. After store_close(). NULL is a no-op. */
void accounts_destroy(struct accounts *accounts);

/* Each 0, and 'done' is called once, later; or -errno without it. */
int accounts_login(struct accounts *accounts, const char *tenant, const char *login,
                   const char *password, account_done *done, void *arg);
int accounts_refresh(struct accounts *accounts, const char *refresh, account_done *done,
                     void *arg);

/* The access token of 'who' is not taken any more, and the family of 'refresh' (NULL: it is
 * let live) ends. tokens of 'done' is NULL. */
int accounts_logout(struct accounts *accounts, const struct auth_identity *who,
                    const char *refresh, account_done *done, void *arg);

/* A new user; role AUTH_ADMIN is an administrator of the tenant. 'done' gets who it is in
 * tokens->who (there are no tokens), or -EEXIST if the login is taken. */
int accounts_add(struct accounts *accounts, const char *tenant, const char *login,
                 const char *name, enum auth_role role, const char *password,
                 account_done *done, void *arg);

/* The account is erased: what tokens the user has of this node are void from now on, and
 * stay so by 'write', which is filled; its id is in 'id'. */
void accounts_void(struct accounts *accounts, const char *tenant, const char *user_id,
                   struct store_write *write, char id[ACCOUNT_VOID_ID]);

/* Changes the signing key if it is due. Now and then. */
void accounts_tick(struct accounts *accounts, int64_t now_s);

#endif
