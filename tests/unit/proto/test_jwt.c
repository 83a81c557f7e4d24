/* control/proto/jwt: the vector of RFC 7515, round trips, and the table of ways to forge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "proto/base64.h"
#include "proto/jwt.h"

#define KEY     "0123456789abcdef0123456789abcdef"
#define OTHER   "X123456789abcdef0123456789abcdef"
#define HS256   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS  "{\"sub\":\"u1\",\"exp\":2000}"
#define KEY_LEN 32

enum { NOW = 1000 };

static enum jwt_error verify(const char *token, struct jwt_claims *out)
{
    return jwt_verify(token, strlen(token), (const uint8_t *)KEY, KEY_LEN, NOW, out);
}

/* A token whose signature is right whatever it says. */
static void forge(const char *header, const char *claims, const char *key, char *out)
{
    uint8_t sig[32];
    unsigned n_sig = 0;
    size_t n = base64url_encode((const uint8_t *)header, strlen(header), out);

    out[n++] = '.';
    n += base64url_encode((const uint8_t *)claims, strlen(claims), out + n);
    HMAC(EVP_sha256(), key, KEY_LEN, (const uint8_t *)out, n, sig, &n_sig);
    out[n++] = '.';
    n += base64url_encode(sig, n_sig, out + n);
    out[n] = '\0';
}

static void the_vector_of_rfc_7515_is_verified(void **state)
{
    /* Appendix A.1. It has no "sub", which is looked at only behind the signature. */
    static const char secret[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3"
        "Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                   "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                   "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
                   "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    struct jwt_claims claims;
    uint8_t key[96];
    size_t key_len;
    (void)state;

    assert_int_equal(base64url_decode(secret, sizeof(secret) - 1, key, &key_len), 0);
    assert_int_equal(key_len, 64);
    assert_int_equal(
        jwt_verify(token, sizeof(token) - 1, key, key_len, 1300819379, &claims),
        JWT_MISSING_CLAIM);
    token[60] ^= 1;
    assert_int_equal(
        jwt_verify(token, sizeof(token) - 1, key, key_len, 1300819379, &claims),
        JWT_BAD_SIGNATURE);
}

static void a_minted_token_comes_back_whole(void **state)
{
    struct jwt_claims in;
    struct jwt_claims out;
    char token[1024];
    (void)state;

    memset(&in, 0, sizeof(in));
    strcpy(in.sub, "user-1");
    strcpy(in.tenant, "campus");
    strcpy(in.name, "Zo\xc3\xab \"Z\"");
    strcpy(in.role, "host");
    strcpy(in.meeting_id, "m1");
    strcpy(in.jti, "id-7");
    in.exp = NOW + 900;
    in.iat = NOW;
    in.nbf = NOW;
    memset(&out, 0, sizeof(out));
    assert_int_equal(jwt_mint(&in, (const uint8_t *)KEY, KEY_LEN, token, sizeof(token)),
                     JWT_OK);
    assert_int_equal(verify(token, &out), JWT_OK);
    assert_string_equal(out.sub, in.sub);
    assert_string_equal(out.tenant, in.tenant);
    assert_string_equal(out.name, in.name);
    assert_string_equal(out.role, in.role);
    assert_string_equal(out.meeting_id, in.meeting_id);
    assert_string_equal(out.jti, in.jti);
    assert_int_equal(out.exp, in.exp);
    assert_int_equal(out.iat, in.iat);
    assert_int_equal(out.nbf, in.nbf);
}

static void tokens_are_judged_by_the_table(void **state)
{
    static const struct {
        enum jwt_error want;
        const char *header;
        const char *claims;
    } cases[] = {
        {JWT_OK, HS256, CLAIMS},
        {JWT_OK, "{\"alg\":\"HS256\"}", CLAIMS},
        {JWT_OK, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", CLAIMS},
        /* a key id is no path to anything */
        {JWT_UNKNOWN_KEY, "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", CLAIMS},
        {JWT_OK, "{\"alg\":\"HS256\",\"jku\":\"http://evil/\",\"x5u\":\"x\"}", CLAIMS},

        {JWT_WRONG_ALG, "{\"alg\":\"none\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"NONE\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"RS256\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"ES256\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"hs256\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":\"HS384\"}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":[\"HS256\"]}", CLAIMS},
        {JWT_WRONG_ALG, "{\"alg\":null}", CLAIMS},
        {JWT_WRONG_ALG, "{}", CLAIMS},
        {JWT_MALFORMED, "{\"alg\":\"none\",\"alg\":\"HS256\"}", CLAIMS},
        {JWT_MALFORMED, "[]", CLAIMS},
        {JWT_MALFORMED, "", CLAIMS},
        {JWT_MALFORMED, "{", CLAIMS},
        {JWT_BAD_HEADER, "{\"alg\":\"HS256\",\"typ\":\"JWE\"}", CLAIMS},
        {JWT_BAD_HEADER, "{\"alg\":\"HS256\",\"typ\":1}", CLAIMS},
        {JWT_BAD_HEADER, "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", CLAIMS},

        {JWT_MALFORMED, HS256, "x"},
        {JWT_MALFORMED, HS256, "[]"},
        {JWT_MALFORMED, HS256, "{\"sub\":\"a\",\"sub\":\"b\",\"exp\":2000}"},
        {JWT_MISSING_CLAIM, HS256, "{\"sub\":\"u1\"}"},
        {JWT_MISSING_CLAIM, HS256, "{\"exp\":2000}"},
        {JWT_MISSING_CLAIM, HS256, "{\"sub\":\"\",\"exp\":2000}"},
        {JWT_EXPIRED, HS256, "{\"sub\":\"u1\",\"exp\":1000}"},
        {JWT_EXPIRED, HS256, "{\"sub\":\"u1\",\"exp\":0}"},
        {JWT_OK, HS256, "{\"sub\":\"u1\",\"exp\":1001}"},
        {JWT_OK, HS256, "{\"sub\":\"u1\",\"exp\":1001.9}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":\"2000\"}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":-5}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":1e300}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":null}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":1,\"exp\":2000}"},
        {JWT_BAD_CLAIM, HS256,
         "{\"sub\":\"u1\",\"exp\":2000,\"role\":\"0123456789abcdefg\"}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":2000,\"meeting_id\":{}}"},
        {JWT_BAD_CLAIM, HS256, "{\"sub\":\"u1\",\"exp\":2000,\"iat\":2001}"},
        {JWT_BAD_CLAIM, HS256,
         "{\"sub\":\"u1\",\"exp\":2000,\"tenant\":\"a\",\"campus_id\":\"b\"}"},
        {JWT_OK, HS256, "{\"sub\":\"u1\",\"exp\":2000,\"iat\":1060,\"nbf\":1060}"},
        {JWT_NOT_YET_VALID, HS256, "{\"sub\":\"u1\",\"exp\":2000,\"nbf\":1061}"},
        {JWT_NOT_YET_VALID, HS256, "{\"sub\":\"u1\",\"exp\":2000,\"iat\":1061}"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jwt_claims claims;
        char token[1024];
        enum jwt_error got;

        forge(cases[i].header, cases[i].claims, KEY, token);
        got = verify(token, &claims);
        if (got != cases[i].want) {
            fail_msg("%s %s: %s, not %s", cases[i].header, cases[i].claims,
                     jwt_error_name(got), jwt_error_name(cases[i].want));
        }
    }
}

static void spellings_of_a_token_are_strict(void **state)
{
    struct jwt_claims claims;
    char good[512];
    char bad[1024];
    size_t len;
    (void)state;

    forge(HS256, CLAIMS, KEY, good);
    len = strlen(good);
    assert_int_equal(verify(good, &claims), JWT_OK);

    snprintf(bad, sizeof(bad), "%s=", good);
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    snprintf(bad, sizeof(bad), "%s.", good);
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    snprintf(bad, sizeof(bad), "%s.a.b", good);
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    snprintf(bad, sizeof(bad), " %s", good);
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    snprintf(bad, sizeof(bad), "%s\n", good);
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    /* 32 bytes leave two bits in the last character: not zero is another spelling */
    strcpy(bad, good);
    bad[len - 1]++;
    assert_int_equal(verify(bad, &claims), JWT_MALFORMED);
    assert_int_equal(verify("", &claims), JWT_MALFORMED);
    assert_int_equal(verify(".", &claims), JWT_MALFORMED);
    assert_int_equal(verify("..", &claims), JWT_MALFORMED);
}

static void what_is_not_signed_with_the_key_is_refused(void **state)
{
    struct jwt_claims claims;
    char token[512];
    char *sig;
    (void)state;

    forge(HS256, CLAIMS, OTHER, token);
    assert_int_equal(verify(token, &claims), JWT_BAD_SIGNATURE);
    forge(HS256, CLAIMS, KEY, token);
    sig = strrchr(token, '.');
    sig[1] = sig[1] == 'A' ? 'B' : 'A';
    assert_int_equal(verify(token, &claims), JWT_BAD_SIGNATURE);
    sig[1] = '\0'; /* an empty signature, as with alg none */
    assert_int_equal(verify(token, &claims), JWT_BAD_SIGNATURE);
    strcpy(sig + 1, "AAAA");
    assert_int_equal(verify(token, &claims), JWT_BAD_SIGNATURE);
    /* a claim is not even read: no expired, no malformed before the signature */
    forge(HS256, "{\"sub\":\"u1\",\"exp\":1}", OTHER, token);
    assert_int_equal(verify(token, &claims), JWT_BAD_SIGNATURE);
}

static void campus_id_stands_for_tenant(void **state)
{
    struct jwt_claims claims;
    char token[512];
    (void)state;

    forge(HS256, "{\"sub\":\"u1\",\"exp\":2000,\"campus_id\":\"c9\"}", KEY, token);
    assert_int_equal(verify(token, &claims), JWT_OK);
    assert_string_equal(claims.tenant, "c9");
}

static void sizes_and_keys_are_bounded(void **state)
{
    static char huge[JWT_MAX_LEN + 2];
    struct jwt_claims claims = {.sub = "u1", .exp = 2000};
    char token[512];
    size_t len;
    (void)state;

    memset(huge, 'A', JWT_MAX_LEN + 1);
    assert_int_equal(verify(huge, &claims), JWT_TOO_LARGE);
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, KEY_LEN, token, sizeof(token)),
                     JWT_OK);
    len = strlen(token);
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, KEY_LEN, token, len),
                     JWT_TOO_LARGE);
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, KEY_LEN, token, len + 1),
                     JWT_OK);
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, 31, token, sizeof(token)),
                     JWT_BAD_KEY);
    assert_int_equal(jwt_verify(token, len, (const uint8_t *)KEY, 31, NOW, &claims),
                     JWT_BAD_KEY);
    claims.exp = 0;
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, KEY_LEN, token, sizeof(token)),
                     JWT_MISSING_CLAIM);
    claims.exp = 2000;
    strcpy(claims.name, "\xff");
    assert_int_equal(jwt_mint(&claims, (const uint8_t *)KEY, KEY_LEN, token, sizeof(token)),
                     JWT_BAD_CLAIM);
}

static void errors_have_distinct_names(void **state)
{
    (void)state;

    for (int i = JWT_OK; i <= JWT_NO_MEMORY; i++) {
        for (int j = JWT_OK; j < i; j++) {
            assert_string_not_equal(jwt_error_name((enum jwt_error)i),
                                    jwt_error_name((enum jwt_error)j));
        }
    }
    assert_string_equal(jwt_error_name(JWT_EXPIRED), "jwt_expired");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_rfc_7515_is_verified),
        cmocka_unit_test(a_minted_token_comes_back_whole),
        cmocka_unit_test(tokens_are_judged_by_the_table),
        cmocka_unit_test(spellings_of_a_token_are_strict),
        cmocka_unit_test(what_is_not_signed_with_the_key_is_refused),
        cmocka_unit_test(campus_id_stands_for_tenant),
        cmocka_unit_test(sizes_and_keys_are_bounded),
        cmocka_unit_test(errors_have_distinct_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
