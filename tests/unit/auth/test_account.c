/* Logins, on a real store: what a refresh token is good for, and for how long. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/account.h"
#include "store/store.h"
#include "sys/loop.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static int64_t wall_s; /* of all that happens here */

struct desk {
    char dir[64], path[96];
    struct loop *loop;
    struct store *store;
    struct auth *auth;
    struct accounts *accounts;
    char password[64]; /* of the administrator, if it was told */
    unsigned n_told;
    uint32_t grace_s;
    unsigned n; /* answers */
    int err;
    char code[64];
    struct account_tokens tokens;
    const char *revoked; /* NULL, or a token that must not be taken while it starts */
};

static int64_t now_s(void)
{
    return wall_s;
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

static void on_first(void *user, const char *login, const char *password)
{
    struct desk *desk = user;

    assert_string_equal(login, "admin");
    (void)snprintf(desk->password, sizeof(desk->password), "%s", password);
    desk->n_told++;
}

static void done(void *arg, int err, const char *code, const struct account_tokens *tokens)
{
    struct desk *desk = arg;

    desk->err = err;
    (void)snprintf(desk->code, sizeof(desk->code), "%s", err != 0 ? code : "");
    memset(&desk->tokens, 0, sizeof(desk->tokens));
    if (tokens != NULL) {
        desk->tokens = *tokens;
    }
    desk->n++;
}

static int wait_for(struct desk *desk, int ret)
{
    unsigned before = desk->n;

    assert_int_equal(ret, 0);
    while (desk->n == before) {
        loop_turn(desk->loop);
        (void)usleep(100);
    }
    return desk->err;
}

static int login(struct desk *desk, const char *tenant, const char *name,
                 const char *password)
{
    return wait_for(desk,
                    accounts_login(desk->accounts, tenant, name, password, done, desk));
}

static int refresh(struct desk *desk, const char *token)
{
    return wait_for(desk, accounts_refresh(desk->accounts, token, done, desk));
}

static const char *verdict(const struct desk *desk, const char *token)
{
    struct auth_identity who;
    const char *code = "";

    return auth_verify(desk->auth, token, strlen(token),
                       wall_s, &who, &code) == 0
               ? "ok"
               : code;
}

/* What a process has from its start to its end. */
static void start(struct desk *desk, unsigned queue)
{
    const struct store_conf store = {.path = desk->path, .post = post, .loop = desk->loop};
    struct account_conf conf = {.hash_threads = 1,
                                .hash_queue = queue,
                                .access_s = 900,
                                .refresh_s = 604800,
                                .grace_s = desk->grace_s,
                                .now_s = now_s,
                                .key_days = 30,
                                .post = post,
                                .loop = desk->loop,
                                .on_first = on_first,
                                .user = desk};
    char err[STORE_ERR_MAX];

    assert_int_equal(store_create(&desk->store, &store, err), 0);
    assert_int_equal(auth_create(&desk->auth, (const uint8_t *)SECRET, 32), 0);
    conf.store = desk->store;
    conf.auth = desk->auth;
    assert_int_equal(accounts_create(&desk->accounts, &conf), 0);
    if (desk->revoked != NULL) {
        assert_string_not_equal(verdict(desk, desk->revoked), "ok");
    }
    while (accounts_login(desk->accounts, "", "nobody", "x", done, desk) == -EAGAIN) {
        loop_turn(desk->loop);
        if (desk->revoked != NULL) {
            assert_string_not_equal(verdict(desk, desk->revoked), "ok");
        }
        (void)usleep(100);
    }
    desk->n = 0;
    while (desk->n == 0) {
        loop_turn(desk->loop);
    }
}

static void stop(struct desk *desk)
{
    store_close(desk->store);
    accounts_destroy(desk->accounts);
    store_destroy(desk->store);
    auth_destroy(desk->auth);
}

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    assert_non_null(desk);
    (void)snprintf(desk->dir, sizeof(desk->dir), "/tmp/kcs-account-XXXXXX");
    assert_non_null(mkdtemp(desk->dir));
    (void)snprintf(desk->path, sizeof(desk->path), "%s/kcs.db", desk->dir);
    assert_int_equal(loop_create(&desk->loop), 0);
    wall_s = 1800000000;
    desk->grace_s = 10;
    start(desk, 8);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    char path[128];

    stop(desk);
    loop_destroy(desk->loop);
    (void)unlink(desk->path);
    (void)snprintf(path, sizeof(path), "%s-wal", desk->path);
    (void)unlink(path);
    (void)rmdir(desk->dir);
    free(desk);
    return 0;
}

static void the_first_start_tells_a_password_once(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(desk->n_told, 1);
    assert_int_equal(strlen(desk->password), 20);
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    assert_int_equal(desk->tokens.who.role, AUTH_ADMIN);
    assert_string_equal(verdict(desk, desk->tokens.access), "ok");
    stop(desk);
    start(desk, 8);
    assert_int_equal(desk->n_told, 1);
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
}

static void wrong_names_and_passwords_are_told_apart_by_nobody(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(login(desk, "", "admin", "wrong password"), -EPERM);
    assert_string_equal(desk->code, "bad_credentials");
    assert_int_equal(login(desk, "", "nobody", desk->password), -EPERM);
    assert_string_equal(desk->code, "bad_credentials");
    assert_int_equal(login(desk, "other", "admin", desk->password), -EPERM);
    assert_string_equal(desk->code, "bad_credentials");
    assert_int_equal(login(desk, "", "admin", ""), -EPERM);
    assert_int_equal(desk->tokens.access[0], '\0');
}

static void a_refresh_token_is_good_once(void **state)
{
    struct desk *desk = *state;
    struct account_tokens other;
    struct account_tokens first;
    struct account_tokens between;
    struct account_tokens second;
    struct auth_identity who;
    char ticket[AUTH_TOKEN_MAX];

    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    other = desk->tokens;
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    first = desk->tokens;
    assert_int_equal(refresh(desk, first.refresh), 0);
    between = desk->tokens;
    assert_int_equal(refresh(desk, between.refresh), 0);
    second = desk->tokens;
    assert_string_not_equal(first.refresh, second.refresh);
    assert_string_equal(verdict(desk, second.access), "ok");
    who = second.who;
    assert_int_equal(auth_mint(desk->auth, &who, NULL, wall_s, ticket), 0);
    assert_string_equal(verdict(desk, ticket), "ok");
    assert_int_equal(second.who.role, AUTH_ADMIN);

    /* The old one again: all that came of this login ends, each access token that is out,
     * and what was asked for with one; another login of the user does not. */
    assert_int_equal(refresh(desk, first.refresh), -EPERM);
    assert_string_equal(desk->code, "refresh_reused");
    assert_string_equal(desk->tokens.who.user_id, first.who.user_id);
    assert_int_equal(desk->tokens.access[0] | desk->tokens.refresh[0], '\0');
    assert_string_equal(verdict(desk, second.access), "token_revoked");
    assert_int_equal(refresh(desk, second.refresh), -EPERM);
    assert_string_equal(desk->code, "refresh_unknown");
    stop(desk);
    desk->revoked = second.access;
    start(desk, 8);
    desk->revoked = NULL;
    assert_string_equal(verdict(desk, second.access), "token_revoked"); /* it lasts */
    assert_string_equal(verdict(desk, first.access), "token_revoked");
    assert_string_equal(verdict(desk, between.access), "token_revoked");
    assert_string_equal(verdict(desk, ticket), "token_revoked");
    assert_string_equal(verdict(desk, other.access), "ok");
    assert_int_equal(refresh(desk, other.refresh), 0);
}

static void put_done(void *arg, const struct store_result *result)
{
    struct desk *desk = arg;

    desk->err = result->err;
    desk->n++;
}

static void tokens_of_who_was_erased_are_void(void **state)
{
    struct desk *desk = *state;
    struct account_tokens tokens;
    struct auth_identity later;
    struct store_write write;
    char id[ACCOUNT_VOID_ID];
    char token[AUTH_TOKEN_MAX];

    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    tokens = desk->tokens;
    later = tokens.who;
    accounts_void(desk->accounts, "other", tokens.who.user_id, &write, id);
    assert_string_equal(verdict(desk, tokens.access), "ok");
    accounts_void(desk->accounts, "", tokens.who.user_id, &write, id);
    assert_string_equal(verdict(desk, tokens.access), "token_revoked");
    assert_int_equal(
        wait_for(desk, store_write(desk->store, &write, 1, put_done, desk)), 0);
    stop(desk);
    start(desk, 8);
    assert_string_equal(verdict(desk, tokens.access), "token_revoked");

    /* who comes again by somebody else's word is let in */
    assert_int_equal(auth_mint(desk->auth, &later, NULL, wall_s + 1, token), 0);
    assert_string_equal(verdict(desk, token), "ok");
}

/* A login, and what its refresh token gives; the first of them in 'first'. */
static struct account_tokens renewed(struct desk *desk, struct account_tokens *first)
{
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    *first = desk->tokens;
    assert_int_equal(refresh(desk, first->refresh), 0);
    return desk->tokens;
}

static void expect_ended(struct desk *desk, const char *token, const char *access)
{
    assert_int_equal(refresh(desk, token), -EPERM);
    assert_string_equal(desk->code, "refresh_reused");
    assert_string_equal(verdict(desk, access), "token_revoked");
}

static void the_last_one_gives_the_same_again_for_a_while(void **state)
{
    struct desk *desk = *state;
    struct account_tokens first, second, third, again;

    second = renewed(desk, &first);
    wall_s += 10;
    assert_int_equal(refresh(desk, first.refresh), 0);
    again = desk->tokens;
    assert_string_equal(again.refresh, second.refresh);
    assert_string_not_equal(again.access, second.access);
    assert_string_equal(verdict(desk, again.access), "ok");
    assert_string_equal(verdict(desk, second.access), "ok");
    assert_string_equal(again.who.user_id, second.who.user_id);
    assert_int_equal(again.who.role, AUTH_ADMIN);
    assert_int_equal(again.refresh_s, second.refresh_s - 10); /* it ends when it was to end */
    stop(desk);
    start(desk, 8);
    assert_int_equal(refresh(desk, first.refresh), 0);
    assert_string_equal(desk->tokens.refresh, second.refresh);
    assert_int_equal(refresh(desk, second.refresh), 0); /* which is good as ever */
    assert_string_not_equal(desk->tokens.refresh, second.refresh);
    third = desk->tokens;
    assert_string_equal(verdict(desk, third.access), "ok");

    wall_s += 1; /* the one before the last */
    expect_ended(desk, first.refresh, third.access);
}

static void the_last_one_ends_all_when_the_while_is_over(void **state)
{
    struct desk *desk = *state;
    struct account_tokens first, second;

    second = renewed(desk, &first);
    wall_s += 11;
    expect_ended(desk, first.refresh, second.access);
    second = renewed(desk, &first);
    wall_s -= 11; /* the operator's clock has stepped */
    expect_ended(desk, first.refresh, second.access);
}

/* He has what the owner has, and no more; when both go on, it shows. */
static void a_thief_within_the_while_is_found_at_the_next_use(void **state)
{
    struct desk *desk = *state;
    struct account_tokens first, owner, thief;

    owner = renewed(desk, &first);
    wall_s += 2;
    assert_int_equal(refresh(desk, first.refresh), 0);
    assert_int_equal(refresh(desk, desk->tokens.refresh), 0);
    thief = desk->tokens;
    wall_s += 600;
    expect_ended(desk, owner.refresh, thief.access);
    assert_int_equal(refresh(desk, thief.refresh), -EPERM);
}

struct crowd {
    unsigned n, n_good;
    struct account_tokens good[2];
};

static void count(void *arg, int err, const char *code, const struct account_tokens *tokens)
{
    struct crowd *crowd = arg;

    (void)code;
    if (err == 0) {
        crowd->good[crowd->n_good++] = *tokens;
    }
    crowd->n++;
}

/* Two bring one token at the same moment. */
static void two_at_once(struct desk *desk, const char *token, struct crowd *crowd)
{
    *crowd = (struct crowd){.n = 0};
    assert_int_equal(accounts_refresh(desk->accounts, token, count, crowd), 0);
    assert_int_equal(accounts_refresh(desk->accounts, token, count, crowd), 0);
    while (crowd->n < 2) {
        loop_turn(desk->loop);
        (void)usleep(100);
    }
}

static void two_who_refresh_at_once_get_the_same(void **state)
{
    struct desk *desk = *state;
    char token[ACCOUNT_REFRESH_MAX];
    struct crowd crowd;

    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    strcpy(token, desk->tokens.refresh);
    two_at_once(desk, token, &crowd);
    assert_int_equal(crowd.n_good, 2);
    assert_string_equal(crowd.good[0].refresh, crowd.good[1].refresh);
    assert_string_equal(verdict(desk, crowd.good[0].access), "ok");
    assert_string_equal(verdict(desk, crowd.good[1].access), "ok");
    assert_int_equal(refresh(desk, crowd.good[0].refresh), 0);
}

static void without_grace_two_at_once_are_one_too_many(void **state)
{
    struct desk *desk = *state;
    struct account_tokens first, second;
    char token[ACCOUNT_REFRESH_MAX];
    struct crowd crowd;

    stop(desk);
    desk->grace_s = 0;
    start(desk, 8);
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    strcpy(token, desk->tokens.refresh);
    two_at_once(desk, token, &crowd);
    assert_true(crowd.n_good <= 1);
    assert_int_equal(refresh(desk, token), -EPERM);
    second = renewed(desk, &first);
    expect_ended(desk, first.refresh, second.access);
}

static void what_is_no_refresh_token_is_refused(void **state)
{
    struct desk *desk = *state;
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "aaaaaaaaaaaaaaaaaaaaaa.x.",
                                      "../../../../etc/passwd",
                                      "aaaaaaaaaaaaaaaaaaaaaa."};
    char token[ACCOUNT_REFRESH_MAX];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(accounts_refresh(desk->accounts, bad[i], done, desk), -EINVAL);
    }
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    strcpy(token, desk->tokens.refresh);
    token[0] = token[0] == 'a' ? 'b' : 'a'; /* another family */
    assert_int_equal(refresh(desk, token), -EPERM);
    assert_string_equal(desk->code, "refresh_unknown");
}

static void logging_out_ends_both_tokens(void **state)
{
    struct desk *desk = *state;
    struct account_tokens tokens;

    assert_int_equal(login(desk, "", "admin", desk->password), 0);
    tokens = desk->tokens;
    assert_int_equal(wait_for(desk, accounts_logout(desk->accounts, &tokens.who,
                                                    tokens.refresh, done, desk)),
                     0);
    assert_string_equal(verdict(desk, tokens.access), "token_revoked");
    assert_int_equal(refresh(desk, tokens.refresh), -EPERM);
    stop(desk);
    start(desk, 8);
    assert_string_equal(verdict(desk, tokens.access), "token_revoked");
}

/* It needs no key of the store, and yet must not be taken before the store was asked. */
static void what_was_revoked_is_not_taken_by_a_successor_for_a_moment(void **state)
{
    struct desk *desk = *state;
    struct auth_identity who = {.user_id = "ada", .expires_s = wall_s + 900};
    struct auth *others;
    char token[AUTH_TOKEN_MAX];

    assert_int_equal(auth_create(&others, (const uint8_t *)SECRET, 32), 0);
    assert_int_equal(auth_mint(others, &who, NULL, wall_s, token), 0);
    auth_destroy(others);
    assert_string_equal(verdict(desk, token), "ok");
    assert_int_equal(
        wait_for(desk, accounts_logout(desk->accounts, &who, NULL, done, desk)), 0);
    assert_string_equal(verdict(desk, token), "token_revoked");
    stop(desk);
    desk->revoked = token;
    start(desk, 8);
    desk->revoked = NULL;
    assert_string_equal(verdict(desk, token), "token_revoked");
}

static void tenants_have_their_own_people(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(
        wait_for(desk, accounts_add(desk->accounts, "acme", "ada", "Ada L.", AUTH_PRESENTER,
                                    "correct horse", done, desk)),
        0);
    assert_int_equal(
        wait_for(desk, accounts_add(desk->accounts, "acme", "ada", "Ada", AUTH_PRESENTER,
                                    "correct horse", done, desk)),
        -EEXIST);
    assert_int_equal(
        accounts_add(desk->accounts, "b", "ada", "", AUTH_PRESENTER, "short", done, desk),
        -EINVAL);
    assert_int_equal(login(desk, "acme", "ada", "correct horse"), 0);
    assert_string_equal(desk->tokens.who.tenant, "acme");
    assert_string_equal(desk->tokens.who.name, "Ada L.");
    assert_int_equal(desk->tokens.who.role, AUTH_PRESENTER);
    assert_int_equal(refresh(desk, desk->tokens.refresh), 0);
    assert_string_equal(desk->tokens.who.tenant, "acme");
    assert_int_equal(login(desk, "", "ada", "correct horse"), -EPERM);
}

static void too_many_passwords_at_once_are_told_so(void **state)
{
    struct desk *desk = *state;
    unsigned refused = 0;

    stop(desk);
    start(desk, 2);
    desk->n = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(accounts_login(desk->accounts, "", "admin", "x", done, desk), 0);
    }
    for (unsigned seen = 0; seen < 20; seen = desk->n) {
        loop_turn(desk->loop);
        refused += desk->n > seen && desk->err == -EAGAIN;
    }
    assert_true(refused > 0);
    assert_int_equal(login(desk, "", "admin", desk->password), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_first_start_tells_a_password_once),
        CASE(wrong_names_and_passwords_are_told_apart_by_nobody),
        CASE(a_refresh_token_is_good_once),
        CASE(the_last_one_gives_the_same_again_for_a_while),
        CASE(the_last_one_ends_all_when_the_while_is_over),
        CASE(a_thief_within_the_while_is_found_at_the_next_use),
        CASE(two_who_refresh_at_once_get_the_same),
        CASE(without_grace_two_at_once_are_one_too_many),
        CASE(what_is_no_refresh_token_is_refused),
        CASE(tokens_of_who_was_erased_are_void),
        CASE(logging_out_ends_both_tokens),
        CASE(what_was_revoked_is_not_taken_by_a_successor_for_a_moment),
        CASE(tenants_have_their_own_people),
        CASE(too_many_passwords_at_once_are_told_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
