/* What accounts need before the first login: keys, revoked tokens, and somebody who can log
 * in at all. Each step asks the store and is followed by the next; one that fails is begun
 * again at the next tick. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "auth/account_priv.h"
#include "proto/jtext.h"
#include "sys/entropy.h"
#include "sys/log.h"

enum { DAY_S = 86400, PAGE = STORE_FIND_MAX };

static void stuck(struct accounts *accounts, const char *step, int err)
{
    accounts->starting = false;
    if (err == -ECANCELED) {
        return; /* the node stops */
    }
    log_error("accounts_not_ready", LOG_STR("step", step),
              LOG_STR("error", strerror(-err)));
}

/* ---- keys ---- */

struct new_key {
    struct accounts *accounts;
    char kid[12 + 1];
    uint8_t secret[AUTH_KEY_LEN];
    int64_t made_s;
};

static void on_key_written(void *arg, const struct store_result *result)
{
    struct new_key *key = arg;
    struct accounts *accounts = key->accounts;

    accounts->starting = false;
    if (result->err != 0) {
        stuck(accounts, "key", result->err);
    } else {
        (void)auth_add_key(accounts->conf.auth, key->kid, key->secret);
        accounts->key_made_s = key->made_s;
        accounts->has_keys = true;
        log_info("signing_key_made", LOG_STR("kid", key->kid));
        account_start(accounts);
    }
    sodium_memzero(key, sizeof(*key));
    free(key);
}

static void make_key(struct accounts *accounts)
{
    struct new_key *key = calloc(1, sizeof(*key));
    char json[2 * AUTH_KEY_LEN + 32] = "{\"secret\":\"";
    struct store_write write = {.what = STORE_PUT, .kind = STORE_KEY};
    int err;

    if (key == NULL) {
        stuck(accounts, "key", -ENOMEM);
        return;
    }
    key->accounts = accounts;
    key->made_s = accounts->conf.now_s();
    entropy_id(key->kid, 12);
    entropy_fill(key->secret, sizeof(key->secret));
    (void)sodium_bin2hex(json + strlen(json), 2 * AUTH_KEY_LEN + 1, key->secret,
                         sizeof(key->secret));
    strcat(json, "\"}");
    write.doc.id = key->kid;
    write.doc.state = "HS256";
    write.doc.at = key->made_s;
    write.doc.json = json;
    accounts->starting = true;
    err = store_write(accounts->conf.store, &write, 1, on_key_written, key);
    sodium_memzero(json, sizeof(json));
    if (err != 0) {
        sodium_memzero(key, sizeof(*key));
        free(key);
        stuck(accounts, "key", err);
    }
}

static void take_key(struct accounts *accounts, const struct store_doc *doc)
{
    json_t *json = json_loads(doc->json, 0, NULL);
    const char *hex = json_string_value(json_object_get(json, "secret"));
    uint8_t secret[AUTH_KEY_LEN];
    size_t len = 0;

    if (hex != NULL &&
        sodium_hex2bin(secret, sizeof(secret), hex, strlen(hex), NULL, &len, NULL) == 0 &&
        len == AUTH_KEY_LEN && auth_add_key(accounts->conf.auth, doc->id, secret) == 0) {
        accounts->key_made_s = doc->at;
    } else {
        log_error("signing_key_unreadable", LOG_STR("kid", doc->id));
    }
    sodium_memzero(secret, sizeof(secret));
    json_decref(json);
}

static void on_keys(void *arg, const struct store_result *result)
{
    struct accounts *accounts = arg;

    if (result->err != 0) {
        stuck(accounts, "keys", result->err);
        return;
    }
    accounts->starting = false;
    for (size_t i = result->n_docs; i > 0; i--) { /* the newest comes last, and signs */
        take_key(accounts, &result->docs[i - 1]);
    }
    if (accounts->key_made_s == 0) {
        make_key(accounts);
    } else {
        accounts->has_keys = true;
        account_start(accounts);
    }
}

/* ---- revoked tokens ---- */

static int take_revoked(struct auth *auth, const struct store_doc *doc, int64_t now_s)
{
    if (strcmp(doc->state, ACCOUNT_REVOKED_USER) == 0) {
        return auth_revoke_user(auth, doc->tenant, strchr(doc->id, '/') + 1,
                                doc->at - ACCOUNT_REVOKED_S, doc->expires_s, now_s);
    }
    return auth_revoke(auth, doc->id, doc->expires_s, now_s);
}

static void on_revoked(void *arg, const struct store_result *result)
{
    struct accounts *accounts = arg;
    int64_t now_s = accounts->conf.now_s();

    if (result->err != 0) {
        stuck(accounts, "revoked", result->err);
        return;
    }
    accounts->starting = false;
    for (size_t i = 0; i < result->n_docs; i++) {
        const struct store_doc *doc = &result->docs[i];
        int err = take_revoked(accounts->conf.auth, doc, now_s);

        if (err != 0) {
            stuck(accounts, "revoked", err);
            return;
        }
        accounts->after_at = doc->at;
        (void)snprintf(accounts->after_id, sizeof(accounts->after_id), "%s", doc->id);
    }
    accounts->has_revoked = !result->more;
    account_start(accounts);
}

/* ---- the first administrator ---- */

char *account_user_json(const char *name, const char *hash)
{
    json_t *json = json_pack("{s:s, s:s}", "name", name, "hash", hash);
    char *text = jtext_make(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

static void on_first_written(void *arg, const struct store_result *result)
{
    struct accounts *accounts = arg;

    accounts->starting = false;
    if (result->err == 0) {
        accounts->ready = true;
        accounts->conf.on_first(accounts->conf.user, "admin", accounts->password);
    } else {
        stuck(accounts, "administrator", result->err);
    }
    sodium_memzero(accounts->password, sizeof(accounts->password));
}

static void on_first_hashed(void *arg, int err, const char *hash, bool good)
{
    struct accounts *accounts = arg;
    char id[ACCOUNT_ID + 1];
    struct store_write write = {.what = STORE_PUT, .kind = STORE_USER};
    char *json = err == 0 ? account_user_json("Administrator", hash) : NULL;

    (void)good;
    entropy_id(id, ACCOUNT_ID);
    write.doc.id = id;
    write.doc.name = "admin";
    write.doc.state = auth_role_name(AUTH_ADMIN);
    write.doc.at = accounts->conf.now_s();
    write.doc.json = json;
    if (err == 0) {
        err = json != NULL
                  ? store_write(accounts->conf.store, &write, 1, on_first_written, accounts)
                  : -ENOMEM;
    }
    if (err != 0) {
        stuck(accounts, "administrator", err);
    }
    free(json);
}

static void on_users(void *arg, const struct store_result *result)
{
    struct accounts *accounts = arg;
    int err = result->err;

    if (err == 0 && result->n_docs > 0) {
        accounts->starting = false;
        accounts->ready = true;
        return;
    }
    if (err == 0) {
        entropy_id(accounts->password, 20);
        err = hasher_hash(accounts->hasher, accounts->password, on_first_hashed, accounts);
    }
    if (err != 0) {
        stuck(accounts, "administrator", err);
    }
}

void account_start(struct accounts *accounts)
{
    struct store_query query = {.any_tenant = true, .limit = PAGE};
    store_done *next = on_users;
    int err;

    if (accounts->starting || accounts->ready) {
        return;
    }
    if (!accounts->has_revoked) { /* accounts_create() waits for it */
        query.kind = STORE_REVOKED;
        query.after = accounts->after_id[0] != '\0';
        query.after_at = accounts->after_at;
        query.after_id = accounts->after_id;
        query.alive_s = accounts->conf.now_s();
        next = on_revoked;
    } else if (!accounts->has_keys) {
        query.kind = STORE_KEY;
        query.descending = true;
        query.limit = AUTH_KEYS;
        next = on_keys;
    } else {
        query.kind = STORE_USER;
        query.limit = 1;
    }
    accounts->starting = true;
    err = store_find(accounts->conf.store, &query, next, accounts);
    if (err != 0) {
        stuck(accounts, "ask", err);
    }
}

void accounts_tick(struct accounts *accounts, int64_t now_s)
{
    if (!accounts->ready) {
        account_start(accounts);
    } else if (!accounts->starting &&
               now_s - accounts->key_made_s >= (int64_t)accounts->conf.key_days * DAY_S) {
        make_key(accounts);
    }
}
