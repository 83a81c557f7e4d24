#include "app/keep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/control_conf.h"
#include "app/outlet.h"
#include "auth/account.h"
#include "event/event.h"
#include "sfu/conf/conf.h"
#include "store/store_priv.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { KEEP_TICK_MS = 60000, KEEP_LOOK_MS = 5000 };

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

/* To whoever has started the node, and to nobody else: not a log, which others collect. */
static void on_first(void *user, const char *login, const char *password)
{
    (void)user;
    (void)printf(
        "\nFirst start: there is an administrator now, whose password is told only "
        "here.\n  login:    %s\n  password: %s\n\n",
        login, password);
    (void)fflush(stdout);
}

static void on_swept(void *arg, const struct store_result *result)
{
    (void)arg;
    if (result->err != 0) {
        log_warn("store_sweep_failed", LOG_STR("error", strerror(-result->err)));
    }
}

static void on_tick(void *arg)
{
    struct keep *keep = arg;
    uint64_t now_us = clock_wall_us();
    uint64_t day_us = UINT64_C(86400000000);
    uint64_t age_us = keep->conf->store.event_days * day_us;

    accounts_tick(keep->accounts, (int64_t)(now_us / 1000000));
    (void)store_sweep(keep->store, (int64_t)(now_us / 1000000),
                      now_us > age_us ? now_us - age_us : 0,
                      event_relay_n_sinks(keep->relay) == 0, on_swept, NULL);
}

static void on_looked(void *arg, const struct store_result *result)
{
    struct keep *keep = arg;

    (void)result; /* the store knows by itself what has failed */
    keep->looking = false;
}

/* Asks the database for something, so that it is known to be away, or back, while nobody
 * else asks. */
static void on_look(void *arg)
{
    struct keep *keep = arg;

    if (!keep->looking) {
        keep->looking =
            store_get(keep->store, STORE_USER, "", "-", on_looked, keep) == 0;
    }
}

static int look_after(struct keep *keep, struct loop *loop)
{
    int ret = loop_timer_create(loop, &keep->look, on_look, keep);

    if (ret == 0) {
        loop_timer_start(keep->look, KEEP_LOOK_MS, KEEP_LOOK_MS);
    }
    return ret;
}

/* Reads the keys of one; 'fresh': it is known already. */
static int read_issuer(const struct control_conf *conf, uint32_t i, struct auth *auth,
                       bool fresh, char *err, size_t cap)
{
    const struct control_issuer *issuer = &conf->auth.issuers[i];
    const char *why = "";
    char *text = NULL;
    size_t len = 0;
    int ret = conf_slurp(issuer->jwks_file, &text, &len);

    if (text != NULL && fresh) {
        ret = auth_renew_issuer(auth, i, text, len, &why);
    } else if (text != NULL) {
        ret = auth_add_issuer(auth, text, len, issuer->issuer, issuer->audience,
                              issuer->tenant, &why);
    }
    free(text);
    if (ret != 0) {
        (void)snprintf(err, cap, "auth.issuers[%u].jwks_file %s: %s", i, issuer->jwks_file,
                       why[0] != '\0'   ? why
                       : ret == -ENOENT ? "no such file, or no key in it for RS256 or ES256"
                                        : strerror(-ret));
        return -EINVAL;
    }
    return 0;
}

int keep_issuers(const struct control_conf *conf, struct auth *auth, char *err, size_t cap)
{
    int ret = 0;

    for (uint32_t i = 0; ret == 0 && i < conf->auth.n_issuers; i++) {
        ret = read_issuer(conf, i, auth, false, err, cap);
    }
    return ret;
}

void keep_renew_issuers(const struct control_conf *conf, struct auth *auth)
{
    char err[512] = "";

    for (uint32_t i = 0; i < conf->auth.n_issuers; i++) {
        const char *file = conf->auth.issuers[i].jwks_file;

        if (read_issuer(conf, i, auth, true, err, sizeof(err)) != 0) {
            log_error("issuer_keys_refused", LOG_STR("error", err),
                      LOG_STR("stays", "the keys that were read before"));
        } else {
            log_info("issuer_keys_read", LOG_STR("jwks_file", file));
        }
    }
}

static int open_accounts(struct keep *keep, struct loop *loop, struct auth *auth)
{
    const struct control_auth *conf = &keep->conf->auth;
    const struct account_conf accounts = {.store = keep->store,
                                          .auth = auth,
                                          .hash_threads = conf->hash_threads,
                                          .hash_queue = conf->hash_queue,
                                          .access_s = conf->access_minutes * 60,
                                          .refresh_s = conf->refresh_days * 86400,
                                          .grace_s = conf->refresh_grace_s,
                                          .key_days = conf->key_days,
                                          .post = post,
                                          .loop = loop,
                                          .on_first = on_first};
    int ret = accounts_create(&keep->accounts, &accounts);

    if (ret == 0) {
        ret = loop_timer_create(loop, &keep->timer, on_tick, keep);
    }
    if (ret == 0) {
        loop_timer_start(keep->timer, KEEP_TICK_MS, KEEP_TICK_MS);
    }
    return ret;
}

static int open_database(struct keep *keep, const struct store_conf *conf,
                         char err[STORE_ERR_MAX])
{
    if (keep->database == NULL) {
        (void)snprintf(
            err, STORE_ERR_MAX,
            "this kcs-control was built without libmongoc: install libmongoc-dev "
            "and build it again");
        return -ENOTSUP;
    }
    return store_create_on(&keep->store, keep->database, conf, err);
}

int keep_open(struct keep *keep, const struct control_conf *conf, struct loop *loop,
              struct metric_registry *metrics, struct auth *auth, char *err, size_t cap)
{
    bool in_database = conf->store.url[0] != '\0';
    const char *where = in_database ? conf->store.url : conf->store.path;
    const struct store_conf store = {
        .path = where,
        .synchronous = conf->store.synchronous == CONTROL_SYNC_FULL ? STORE_SYNC_FULL
                                                                    : STORE_SYNC_NORMAL,
        .max_mb = conf->store.max_mb,
        .post = post,
        .loop = loop};
    char why[STORE_ERR_MAX] = "";
    int ret;

    keep->conf = conf;
    if (conf->meetings.require_stored) {
        auth_require_stored(auth);
    }
    if (where[0] == '\0') {
        return 0;
    }
    ret = in_database ? open_database(keep, &store, why)
                      : store_create(&keep->store, &store, why);
    if (ret == 0) {
        ret = open_accounts(keep, loop, auth);
    }
    if (ret == 0 && in_database) {
        ret = look_after(keep, loop);
    }
    if (ret != 0) {
        (void)snprintf(err, cap, "%s: %s", in_database ? "store.url" : "store.path",
                       why[0] != '\0' ? why : strerror(-ret));
        return ret;
    }
    return outlet_open(&keep->relay, conf, keep->store, loop, metrics, err, cap);
}

struct keep_numbers keep_numbers(const struct keep *keep, uint64_t started_us)
{
    struct keep_numbers numbers = {0, 0};

    if (keep->store != NULL) {
        store_last_numbers(keep->store, &numbers.epoch, &numbers.seq);
    }
    numbers.epoch = numbers.epoch < started_us ? started_us : numbers.epoch + 1;
    return numbers;
}

void keep_close(struct keep *keep)
{
    loop_timer_destroy(keep->timer);
    loop_timer_destroy(keep->look);
    keep->timer = keep->look = NULL;
    event_relay_stop(keep->relay);
    store_close(keep->store);
}

void keep_free(struct keep *keep)
{
    keep_close(keep);
    event_relay_destroy(keep->relay);
    accounts_destroy(keep->accounts);
    store_destroy(keep->store);
}
