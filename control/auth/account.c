/* Logins and what comes of them; see account.h. */
#include "auth/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/account_priv.h"
#include "auth/refresh.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"

_Static_assert((int)AUTH_FAMILY == (int)ACCOUNT_ID, "a login is its tokens' family");
_Static_assert((int)ACCOUNT_SECRET == (int)HASHER_SECRET, "each follows from the one before");
_Static_assert((int)ACCOUNT_ID >= (int)HASHER_NONCE_MIN, "a nonce is an id");

/* One request, from its call to its answer. */
struct op {
    struct accounts *accounts;
    account_done *done;
    void *arg;
    struct account_tokens tokens;
    char family[ACCOUNT_ID + 1];
    char brought[ACCOUNT_REFRESH_MAX]; /* the refresh token; empty: a login */
    char digest[HASHER_DIGEST + 1];    /* of it */
    char nonce[ACCOUNT_ID + 1];        /* by which the next one follows from it */
    uint64_t version;                  /* of the family */
    int64_t since_s;                   /* that it was issued */
    bool looked_again;
    /* of accounts_add() */
    char login[ACCOUNT_LOGIN_MAX + 1];
};

int accounts_create(struct accounts **out, const struct account_conf *conf)
{
    struct accounts *accounts = calloc(1, sizeof(*accounts));
    const struct hasher_conf hasher = {.threads = conf->hash_threads,
                                       .queue = conf->hash_queue,
                                       .post = conf->post,
                                       .loop = conf->loop};
    int err;

    if (accounts == NULL) {
        return -ENOMEM;
    }
    accounts->conf = *conf;
    if (conf->now_s == NULL) {
        accounts->conf.now_s = clock_wall_s;
    }
    err = hasher_create(&accounts->hasher, &hasher);
    if (err != 0) {
        free(accounts);
        return err;
    }
    account_start(accounts);
    while (!accounts->has_revoked && accounts->starting) {
        store_wait(conf->store);
    }
    if (!accounts->has_revoked) {
        accounts_destroy(accounts);
        return -EIO; /* why is in the log */
    }
    *out = accounts;
    return 0;
}

void accounts_destroy(struct accounts *accounts)
{
    if (accounts != NULL) {
        hasher_destroy(accounts->hasher);
        explicit_bzero(accounts, sizeof(*accounts));
        free(accounts);
    }
}

/* ---- requests ---- */

static struct op *op_new(struct accounts *accounts, account_done *done, void *arg)
{
    struct op *op = calloc(1, sizeof(*op));

    if (op != NULL) {
        op->accounts = accounts;
        op->done = done;
        op->arg = arg;
    }
    return op;
}

static void op_free(struct op *op)
{
    explicit_bzero(op, sizeof(*op));
    free(op);
}

static void op_end(struct op *op, int err, const char *code)
{
    op->done(op->arg, err, code, err == 0 && op->tokens.access[0] ? &op->tokens : NULL);
    op_free(op);
}

/* The caller's error if 'err' is not 0: then the request was not taken. */
static int op_taken(struct op *op, int err)
{
    if (err != 0) {
        op_free(op);
    }
    return err;
}

/* ---- tokens ---- */

static void on_issued(void *arg, const struct store_result *result);
static void on_family(void *arg, const struct store_result *result);
static void revoke_family(struct op *op);

/* Fills the pair of tokens for op->tokens.who: the refresh token follows from the one that was
 * brought and op->nonce, or from nothing. Returns 0 or an error of auth_mint(). */
static int make_tokens(struct op *op, int64_t now_s)
{
    const struct account_conf *conf = &op->accounts->conf;
    struct account_tokens *t = &op->tokens;
    char secret[ACCOUNT_SECRET + 1];

    t->access_s = conf->access_s;
    t->who.expires_s = now_s + t->access_s;
    if (op->brought[0] != '\0') {
        hasher_derive(op->brought, op->nonce, secret);
    } else {
        entropy_id(secret, ACCOUNT_SECRET);
    }
    refresh_write(op->family, secret, t->who.tenant, t->refresh);
    explicit_bzero(secret, sizeof(secret));
    return auth_mint(conf->auth, &t->who, op->family, now_s, t->access);
}

/* A pair of tokens, and the family's document with it. */
static void issue(struct op *op)
{
    struct accounts *accounts = op->accounts;
    struct account_tokens *t = &op->tokens;
    int64_t now_s = accounts->conf.now_s();
    struct store_write write = {
        .what = STORE_PUT, .kind = STORE_FAMILY, .expect = op->version};
    json_t *json = NULL;
    char *text = NULL;
    int err;

    if (op->version == 0) {
        entropy_id(op->family, ACCOUNT_ID);
        op->since_s = now_s;
    }
    entropy_id(op->nonce, ACCOUNT_ID);
    t->refresh_s = accounts->conf.refresh_s;
    err = make_tokens(op, now_s);
    if (err == 0) {
        json = refresh_family(t->refresh, op->brought[0] != '\0' ? op->digest : NULL,
                              op->nonce, now_s);
        text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
        err = text != NULL ? 0 : -ENOMEM;
    }
    write.doc = (struct store_doc){.tenant = t->who.tenant,
                                   .id = op->family,
                                   .ref = t->who.user_id,
                                   .state = "live",
                                   .at = op->since_s,
                                   .expires_s = now_s + t->refresh_s,
                                   .json = text};
    if (err == 0) {
        err = store_write(accounts->conf.store, &write, 1, on_issued, op);
    }
    free(text);
    json_decref(json);
    if (err != 0) {
        op_end(op, err, "overloaded");
    }
}

/* The same refresh token once more, with an access token of its own: nothing is written. */
static void issue_again(struct op *op)
{
    log_info("refresh_token_again", LOG_STR("user_id", op->tokens.who.user_id));
    op_end(op, make_tokens(op, op->accounts->conf.now_s()), "overloaded");
}

static int look_at_family(struct op *op)
{
    return store_get(op->accounts->conf.store, STORE_FAMILY, op->tokens.who.tenant,
                     op->family, on_family, op);
}

/* Another was quicker with this token. With grace both get the same; else, which is the
 * thief's? */
static void on_overtaken(struct op *op)
{
    int err;

    if (op->accounts->conf.grace_s == 0 || op->looked_again) {
        revoke_family(op);
        return;
    }
    op->looked_again = true;
    err = look_at_family(op);
    if (err != 0) {
        op_end(op, err, "store_failed");
    }
}

static void on_issued(void *arg, const struct store_result *result)
{
    struct op *op = arg;

    if (result->err == -ESTALE) {
        on_overtaken(op);
        return;
    }
    op_end(op, result->err, "store_failed");
}

/* Fills who the user of a document is. */
static void take_user(struct op *op, const struct store_doc *doc, const json_t *json)
{
    struct auth_identity *who = &op->tokens.who;
    const char *name = json_string_value(json_object_get(json, "name"));

    (void)snprintf(who->user_id, sizeof(who->user_id), "%s", doc->id);
    (void)snprintf(who->tenant, sizeof(who->tenant), "%s", doc->tenant);
    (void)snprintf(who->name, sizeof(who->name), "%s", name != NULL ? name : "");
    if (!auth_role_find(doc->state, &who->role)) {
        who->role = AUTH_GUEST;
    }
}

/* ---- login ---- */

struct password {
    struct op *op;
    char text[HASHER_PASSWORD_MAX + 1];
};

static void password_free(struct password *p)
{
    explicit_bzero(p, sizeof(*p));
    free(p);
}

static void on_verified(void *arg, int err, const char *hash, bool good)
{
    struct op *op = arg;

    (void)hash;
    if (err != 0) {
        op_end(op, err, "overloaded");
    } else if (!good) {
        op_end(op, -EPERM, "bad_credentials");
    } else {
        issue(op);
    }
}

static void on_login_found(void *arg, const struct store_result *result)
{
    struct password *p = arg;
    struct op *op = p->op;
    json_t *json = NULL;
    const char *hash = NULL;
    int err = result->err;

    if (err == 0 && result->n_docs > 0) {
        json = json_loads(result->docs[0].json, 0, NULL);
        hash = json_string_value(json_object_get(json, "hash"));
        take_user(op, &result->docs[0], json);
    }
    if (err == 0) {
        err = hasher_verify(op->accounts->hasher, p->text, hash, on_verified, op);
    }
    json_decref(json);
    password_free(p);
    if (err != 0) {
        op_end(op, err, err == -EAGAIN ? "too_many_logins" : "store_failed");
    }
}

int accounts_login(struct accounts *accounts, const char *tenant, const char *login,
                   const char *password, account_done *done, void *arg)
{
    const struct store_query query = {
        .kind = STORE_USER, .tenant = tenant, .name = login, .limit = 1};
    struct password *p;
    struct op *op;
    int err;

    if (!accounts->ready) {
        return -EAGAIN;
    }
    if (strlen(password) > HASHER_PASSWORD_MAX || login[0] == '\0') {
        return -EINVAL;
    }
    op = op_new(accounts, done, arg);
    p = op != NULL ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL) {
        free(op);
        return -ENOMEM;
    }
    p->op = op;
    strcpy(p->text, password);
    err = store_find(accounts->conf.store, &query, on_login_found, p);
    if (err != 0) {
        password_free(p);
    }
    return op_taken(op, err);
}

/* ---- refresh ---- */

static void on_family_revoked(void *arg, const struct store_result *result)
{
    struct op *op = arg;

    if (result->err != 0 && result->err != -ENOENT) {
        op_end(op, result->err, "store_failed");
        return;
    }
    explicit_bzero(op->tokens.access, sizeof(op->tokens.access));
    explicit_bzero(op->tokens.refresh, sizeof(op->tokens.refresh));
    op->done(op->arg, -EPERM, "refresh_reused", &op->tokens);
    op_free(op);
}

/* Ends all that came of one login: it is deleted, and its access tokens are void, each that
 * is out, and the tokens for meetings that were asked for with them. */
static void revoke_family(struct op *op)
{
    const struct account_conf *conf = &op->accounts->conf;
    const char *tenant = op->tokens.who.tenant;
    int64_t now_s = conf->now_s();
    int64_t until_s = now_s + ACCOUNT_REVOKED_S;
    struct store_write writes[2] = {{.what = STORE_DELETE,
                                     .kind = STORE_FAMILY,
                                     .doc = {.tenant = tenant, .id = op->family},
                                     .expect = STORE_ANY},
                                    {.what = STORE_PUT,
                                     .kind = STORE_REVOKED,
                                     .doc = {.tenant = tenant,
                                             .id = op->family,
                                             .at = until_s,
                                             .expires_s = until_s},
                                     .expect = STORE_ANY}};
    int err;

    log_warn("refresh_token_reused", LOG_STR("user_id", op->tokens.who.user_id));
    (void)auth_revoke(conf->auth, op->family, until_s, now_s);
    err = store_write(conf->store, writes, 2, on_family_revoked, op);
    if (err != 0) {
        op_end(op, err, "store_failed");
    }
}

static void on_user(void *arg, const struct store_result *result)
{
    struct op *op = arg;
    json_t *json;

    if (result->err == -ENOENT) {
        op_end(op, -EPERM, "refresh_unknown");
        return;
    }
    if (result->err != 0) {
        op_end(op, result->err, "store_failed");
        return;
    }
    json = json_loads(result->docs[0].json, 0, NULL);
    take_user(op, &result->docs[0], json);
    json_decref(json);
    if (op->nonce[0] != '\0') {
        issue_again(op);
    } else {
        issue(op);
    }
}

static void on_family(void *arg, const struct store_result *result)
{
    struct op *op = arg;
    const struct store_doc *doc = result->n_docs > 0 ? &result->docs[0] : NULL;
    int64_t now_s = op->accounts->conf.now_s();
    enum refresh_which which;
    json_t *json;
    int err;

    if (doc == NULL || doc->expires_s <= now_s) {
        bool gone = result->err == -ENOENT || doc != NULL;

        op_end(op, gone ? -EPERM : result->err, gone ? "refresh_unknown" : "store_failed");
        return;
    }
    op->version = doc->version;
    op->since_s = doc->at;
    op->tokens.refresh_s = (uint32_t)(doc->expires_s - now_s);
    (void)snprintf(op->tokens.who.user_id, sizeof(op->tokens.who.user_id), "%s", doc->ref);
    json = json_loads(doc->json, 0, NULL);
    which = refresh_judge(json, op->digest, op->accounts->conf.grace_s, now_s, op->nonce);
    json_decref(json);
    if (which == REFRESH_OLD) {
        revoke_family(op);
        return;
    }
    err = store_get(op->accounts->conf.store, STORE_USER, op->tokens.who.tenant,
                    op->tokens.who.user_id, on_user, op);
    if (err != 0) {
        op_end(op, err, "store_failed");
    }
}

int accounts_refresh(struct accounts *accounts, const char *refresh, account_done *done,
                     void *arg)
{
    struct op *op;

    if (!accounts->ready) {
        return -EAGAIN;
    }
    op = op_new(accounts, done, arg);
    if (op == NULL) {
        return -ENOMEM;
    }
    if (!refresh_read(refresh, op->family, op->tokens.who.tenant)) {
        op_free(op);
        return -EINVAL;
    }
    strcpy(op->brought, refresh); /* which refresh_read() has found short enough */
    hasher_digest(refresh, op->digest);
    return op_taken(op, look_at_family(op));
}

/* ---- logout ---- */

static void on_logged_out(void *arg, const struct store_result *result)
{
    struct op *op = arg;

    /* A family that is gone, or another's (it has another id or tenant), does not matter.
     */
    op_end(op, result->err == -ENOENT ? 0 : result->err, "store_failed");
}

static void on_revoked(void *arg, const struct store_result *result)
{
    struct op *op = arg;
    struct store_write write = {.what = STORE_DELETE,
                                .kind = STORE_FAMILY,
                                .doc = {.tenant = op->tokens.who.tenant, .id = op->family},
                                .expect = STORE_ANY};
    int err = result->err;

    if (err == 0 && op->family[0] != '\0') {
        err = store_write(op->accounts->conf.store, &write, 1, on_logged_out, op);
        if (err == 0) {
            return;
        }
    }
    op_end(op, err, "store_failed");
}

int accounts_logout(struct accounts *accounts, const struct auth_identity *who,
                    const char *refresh, account_done *done, void *arg)
{
    struct op *op = op_new(accounts, done, arg);
    char tenant[AUTH_ID_MAX + 1];
    struct store_write write = {.what = STORE_PUT,
                                .kind = STORE_REVOKED,
                                .doc = {.tenant = who->tenant,
                                        .id = who->jti,
                                        .ref = who->user_id,
                                        .at = who->expires_s,
                                        .expires_s = who->expires_s},
                                .expect = STORE_ANY};

    if (op == NULL) {
        return -ENOMEM;
    }
    op->tokens.who = *who;
    if ((refresh != NULL && (!refresh_read(refresh, op->family, tenant) ||
                             strcmp(tenant, who->tenant) != 0)) ||
        who->jti[0] == '\0') {
        op_free(op);
        return -EINVAL;
    }
    (void)auth_revoke(accounts->conf.auth, who->jti, who->expires_s, accounts->conf.now_s());
    return op_taken(op, store_write(accounts->conf.store, &write, 1, on_revoked, op));
}

void accounts_void(struct accounts *accounts, const char *tenant, const char *user_id,
                   struct store_write *write, char id[ACCOUNT_VOID_ID])
{
    int64_t now_s = accounts->conf.now_s();
    int64_t until_s = now_s + ACCOUNT_REVOKED_S;

    (void)auth_revoke_user(accounts->conf.auth, tenant, user_id, now_s, until_s, now_s);
    (void)snprintf(id, ACCOUNT_VOID_ID, "user/%s", user_id);
    *write = (struct store_write){.what = STORE_PUT,
                                  .kind = STORE_REVOKED,
                                  .doc = {.tenant = tenant,
                                          .id = id,
                                          .state = ACCOUNT_REVOKED_USER,
                                          .at = until_s,
                                          .expires_s = until_s},
                                  .expect = STORE_ANY};
}

/* ---- new users ---- */

static void on_added(void *arg, const struct store_result *result)
{
    struct op *op = arg;

    op->done(op->arg, result->err, result->err == -EEXIST ? "login_taken" : "store_failed",
             result->err == 0 ? &op->tokens : NULL);
    op_free(op);
}

static void on_hashed(void *arg, int err, const char *hash, bool good)
{
    struct op *op = arg;
    const struct auth_identity *who = &op->tokens.who;
    char *json = err == 0 ? account_user_json(who->name, hash) : NULL;
    struct store_write write = {.what = STORE_PUT,
                                .kind = STORE_USER,
                                .doc = {.tenant = who->tenant,
                                        .id = who->user_id,
                                        .name = op->login,
                                        .state = auth_role_name(who->role),
                                        .at = op->accounts->conf.now_s(),
                                        .json = json}};

    (void)good;
    if (err == 0) {
        err = json != NULL ? store_write(op->accounts->conf.store, &write, 1, on_added, op)
                           : -ENOMEM;
    }
    free(json);
    if (err != 0) {
        op_end(op, err, "overloaded");
    }
}

int accounts_add(struct accounts *accounts, const char *tenant, const char *login,
                 const char *name, enum auth_role role, const char *password,
                 account_done *done, void *arg)
{
    struct op *op;
    struct auth_identity *who;

    if (login[0] == '\0' || strlen(login) > ACCOUNT_LOGIN_MAX ||
        strlen(tenant) > AUTH_ID_MAX || strlen(name) > AUTH_NAME_MAX ||
        strlen(password) < ACCOUNT_PASSWORD_MIN) {
        return -EINVAL;
    }
    op = op_new(accounts, done, arg);
    if (op == NULL) {
        return -ENOMEM;
    }
    who = &op->tokens.who;
    entropy_id(who->user_id, ACCOUNT_ID);
    strcpy(who->tenant, tenant);
    strcpy(who->name, name);
    strcpy(op->login, login);
    who->role = role;
    return op_taken(op, hasher_hash(accounts->hasher, password, on_hashed, op));
}
