/* auth/refresh: which of a family's tokens was brought, and what follows from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "auth/hasher.h"
#include "auth/refresh.h"

enum { NOW_S = 1800000000, GRACE_S = 10 };

#define NONCE "abcdefghijklmnopqrstuv"

/* Judges the token 'text' against a family whose tokens were "first" and then "second". */
static enum refresh_which judge(const char *text, uint32_t grace_s, int64_t now_s,
                                char nonce[ACCOUNT_ID + 1])
{
    char before[HASHER_DIGEST + 1], digest[HASHER_DIGEST + 1];
    enum refresh_which which;
    json_t *json;

    hasher_digest("first", before);
    hasher_digest(text, digest);
    json = refresh_family("second", before, NONCE, NOW_S);
    assert_non_null(json);
    which = refresh_judge(json, digest, grace_s, now_s, nonce);
    json_decref(json);
    return which;
}

static void one_of_three(void **state)
{
    char nonce[ACCOUNT_ID + 1];
    (void)state;

    assert_int_equal(judge("second", GRACE_S, NOW_S + 1000, nonce), REFRESH_PRESENT);
    assert_string_equal(nonce, "");
    assert_int_equal(judge("first", GRACE_S, NOW_S, nonce), REFRESH_LAST);
    assert_string_equal(nonce, NONCE);
    assert_int_equal(judge("first", GRACE_S, NOW_S + GRACE_S, nonce), REFRESH_LAST);
    assert_int_equal(judge("first", GRACE_S, NOW_S + GRACE_S + 1, nonce), REFRESH_OLD);
    assert_string_equal(nonce, "");
    assert_int_equal(judge("first", GRACE_S, NOW_S - GRACE_S, nonce), REFRESH_LAST);
    assert_int_equal(judge("first", GRACE_S, NOW_S - GRACE_S - 1, nonce), REFRESH_OLD);
    assert_int_equal(judge("first", 0, NOW_S, nonce), REFRESH_OLD);
    assert_int_equal(judge("third", GRACE_S, NOW_S, nonce), REFRESH_OLD);
}

/* Of a login, of a program before this one, and of nobody. */
static void who_has_none_before_has_no_last_one(void **state)
{
    json_t *json = refresh_family("first", NULL, NULL, NOW_S);
    char digest[HASHER_DIGEST + 1], nonce[ACCOUNT_ID + 1];
    (void)state;

    hasher_digest("first", digest);
    assert_int_equal(refresh_judge(json, digest, GRACE_S, NOW_S, nonce), REFRESH_PRESENT);
    hasher_digest("other", digest);
    assert_int_equal(refresh_judge(json, digest, GRACE_S, NOW_S, nonce), REFRESH_OLD);
    assert_int_equal(refresh_judge(NULL, digest, GRACE_S, NOW_S, nonce), REFRESH_OLD);
    json_decref(json);
    json = json_pack("{s:s, s:s, s:s, s:i}", "digest", "", "before", digest, "nonce", "short",
                     "renewed_s", NOW_S);
    assert_int_equal(refresh_judge(json, digest, GRACE_S, NOW_S, nonce), REFRESH_OLD);
    json_decref(json);
}

static void what_follows_is_the_same_and_of_both(void **state)
{
    char a[HASHER_SECRET + 1], b[HASHER_SECRET + 1], digest[HASHER_DIGEST + 1];
    (void)state;

    hasher_derive("first", NONCE, a);
    assert_int_equal(strlen(a), ACCOUNT_SECRET);
    assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-_"),
                     ACCOUNT_SECRET);
    hasher_derive("first", NONCE, b);
    assert_string_equal(a, b);
    hasher_derive("firsu", NONCE, b);
    assert_string_not_equal(a, b);
    hasher_derive("first", "bbcdefghijklmnopqrstuv", b);
    assert_string_not_equal(a, b);
    hasher_digest("first", digest); /* what the store has */
    hasher_derive(digest, NONCE, b);
    assert_string_not_equal(a, b);
}

static void text_of_a_token_is_read_as_it_was_written(void **state)
{
    char token[ACCOUNT_REFRESH_MAX], family[ACCOUNT_ID + 1], tenant[AUTH_ID_MAX + 1];
    char secret[HASHER_SECRET + 1];
    (void)state;

    hasher_derive("first", NONCE, secret);
    refresh_write(NONCE, secret, "acme \"1\"", token);
    assert_true(refresh_read(token, family, tenant));
    assert_string_equal(family, NONCE);
    assert_string_equal(tenant, "acme \"1\"");
    refresh_write(NONCE, secret, "", token);
    assert_true(refresh_read(token, family, tenant));
    assert_string_equal(tenant, "");
    token[ACCOUNT_ID] = '-';
    assert_false(refresh_read(token, family, tenant));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_three),
        cmocka_unit_test(who_has_none_before_has_no_last_one),
        cmocka_unit_test(what_follows_is_the_same_and_of_both),
        cmocka_unit_test(text_of_a_token_is_read_as_it_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
