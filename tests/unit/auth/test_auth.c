/* Tokens to identities, roles to permissions: the table of docs/api.md, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "auth/auth.h"
#include "proto/jwt.h"

static const uint8_t secret[] = "0123456789abcdef0123456789abcdef";
enum { SECRET_LEN = sizeof(secret) - 1, NOW = 1000000 };

static struct auth *make_auth(void)
{
    struct auth *auth = NULL;

    assert_int_equal(auth_create(&auth, secret, SECRET_LEN), 0);
    return auth;
}

/* Verifies a token with these claims. */
static int verify(struct jwt_claims claims, struct auth_identity *out, const char **code)
{
    struct auth *auth = make_auth();
    char token[1024];
    int err;

    if (claims.exp == 0) {
        claims.exp = NOW + 60;
    }
    assert_int_equal(jwt_mint(&claims, secret, SECRET_LEN, token, sizeof(token)), JWT_OK);
    err = auth_verify(auth, token, strlen(token), NOW, out, code);
    auth_destroy(auth);
    return err;
}

static void a_short_secret_is_refused(void **state)
{
    struct auth *auth = NULL;
    (void)state;

    assert_int_equal(auth_create(&auth, secret, SECRET_LEN - 1), -EINVAL);
    assert_null(auth);
    auth_destroy(NULL);
}

static void a_tokens_claims_become_an_identity(void **state)
{
    const struct jwt_claims claims = {.sub = "u-1",
                                      .tenant = "north",
                                      .name = "Ada \xe2\x98\x95",
                                      .role = "co_host",
                                      .meeting_id = "m-1",
                                      .exp = NOW + 7};
    struct auth_identity who;
    const char *code = NULL;
    (void)state;

    assert_int_equal(verify(claims, &who, &code), 0);
    assert_string_equal(who.user_id, "u-1");
    assert_string_equal(who.tenant, "north");
    assert_string_equal(who.name, "Ada \xe2\x98\x95");
    assert_string_equal(who.meeting_id, "m-1");
    assert_int_equal(who.role, AUTH_CO_HOST);
    assert_int_equal(who.expires_s, NOW + 7);
}

static void the_longest_claims_fit(void **state)
{
    struct jwt_claims claims = {.role = "host"};
    struct auth_identity who;
    const char *code = NULL;
    (void)state;

    memset(claims.sub, 's', AUTH_ID_MAX);
    memset(claims.tenant, 't', AUTH_ID_MAX);
    memset(claims.meeting_id, 'm', AUTH_ID_MAX);
    memset(claims.name, 'n', AUTH_NAME_MAX);
    assert_int_equal(verify(claims, &who, &code), 0);
    assert_string_equal(who.user_id, claims.sub);
    assert_string_equal(who.tenant, claims.tenant);
    assert_string_equal(who.meeting_id, claims.meeting_id);
    assert_string_equal(who.name, claims.name);
}

static void every_role_is_known_by_its_name_and_no_other(void **state)
{
    static const char *const strange[] = {"Host", "root", "host ", "cohost"};
    struct auth_identity who;
    const char *code = NULL;
    (void)state;

    for (enum auth_role role = 0; role < N_AUTH_ROLES; role++) {
        struct jwt_claims claims = {.sub = "u"};

        strcpy(claims.role, auth_role_name(role));
        assert_int_equal(verify(claims, &who, &code), 0);
        assert_int_equal(who.role, role);
    }
    assert_int_equal(verify((struct jwt_claims){.sub = "u"}, &who, &code), 0);
    assert_int_equal(who.role, AUTH_GUEST);
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        struct jwt_claims claims = {.sub = "u"};

        strcpy(claims.role, strange[i]);
        code = NULL;
        assert_int_equal(verify(claims, &who, &code), -EPERM);
        assert_string_equal(code, "unknown_role");
    }
}

static void a_token_that_is_not_good_is_refused_with_its_code(void **state)
{
    static const char *const garbage[] = {"", "garbage", "..", "a.b.c"};
    const struct jwt_claims old = {.sub = "u", .exp = NOW};
    struct auth *auth = make_auth();
    struct auth_identity who;
    const char *code = NULL;
    char token[512];
    (void)state;

    assert_int_equal(verify(old, &who, &code), -EPERM);
    assert_string_equal(code, "jwt_expired");
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        code = NULL;
        assert_int_equal(
            auth_verify(auth, garbage[i], strlen(garbage[i]), NOW, &who, &code), -EPERM);
        assert_string_equal(code, "jwt_malformed");
    }
    assert_int_equal(jwt_mint(&(struct jwt_claims){.sub = "u", .exp = NOW + 9},
                              (const uint8_t *)"ffffffffffffffffffffffffffffffff", 32,
                              token, sizeof(token)),
                     JWT_OK);
    assert_int_equal(auth_verify(auth, token, strlen(token), NOW, &who, &code), -EPERM);
    assert_string_equal(code, "jwt_bad_signature");
    auth_destroy(auth);
}

static void a_link_is_good_for_nothing_but_a_token_of_ones_own(void **state)
{
    struct auth_identity who = {.user_id = "host", .expires_s = NOW + 60, .meeting_id = "m",
                                .link = true};
    struct auth_identity out;
    char token[AUTH_TOKEN_MAX];
    struct auth *auth;
    const char *code;
    (void)state;

    assert_int_equal(auth_create(&auth, secret, SECRET_LEN), 0);
    assert_int_equal(auth_mint(auth, &who, NULL, NOW, token), 0);
    assert_int_equal(auth_verify(auth, token, strlen(token), NOW, &out, &code), -EPERM);
    assert_string_equal(code, "token_is_link");
    assert_int_equal(auth_verify_link(auth, token, strlen(token), NOW, &out, &code), 0);
    assert_true(out.link);
    who.link = false;
    assert_int_equal(auth_mint(auth, &who, NULL, NOW, token), 0);
    assert_int_equal(auth_verify_link(auth, token, strlen(token), NOW, &out, &code), 0);
    assert_false(out.link);
    auth_destroy(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_secret_is_refused),
        cmocka_unit_test(a_tokens_claims_become_an_identity),
        cmocka_unit_test(the_longest_claims_fit),
        cmocka_unit_test(every_role_is_known_by_its_name_and_no_other),
        cmocka_unit_test(a_link_is_good_for_nothing_but_a_token_of_ones_own),
        cmocka_unit_test(a_token_that_is_not_good_is_refused_with_its_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
