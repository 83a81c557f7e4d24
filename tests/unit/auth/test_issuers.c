/* Tokens of others: one algorithm a key, and the ways to confuse them. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "proto/base64.h"
#include "proto/jwt.h"

#define SECRET "0123456789abcdef0123456789abcdef"

enum { NOW = 1000 };

static EVP_PKEY *rsa, *ec;
static char set_text[4096];

/* A number of a key in base64url. */
static void number(EVP_PKEY *key, const char *name, char *out, int width)
{
    BIGNUM *n = NULL;
    unsigned char raw[512];
    int len;

    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    len = width > 0 ? BN_bn2binpad(n, raw, width) : BN_bn2bin(n, raw);
    out[base64url_encode(raw, (size_t)len, out)] = '\0';
    BN_free(n);
}

static int make_keys(void **state)
{
    char n[512];
    char e[16];
    char x[64];
    char y[64];
    (void)state;

    rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    number(rsa, OSSL_PKEY_PARAM_RSA_N, n, 0);
    number(rsa, OSSL_PKEY_PARAM_RSA_E, e, 0);
    number(ec, OSSL_PKEY_PARAM_EC_PUB_X, x, 32);
    number(ec, OSSL_PKEY_PARAM_EC_PUB_Y, y, 32);
    (void)snprintf(
        set_text, sizeof(set_text),
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r1\",\"use\":\"sig\",\"n\":\"%s\","
        "\"e\":\"%s\"},{\"kty\":\"EC\",\"kid\":\"e1\",\"crv\":\"P-256\","
        "\"x\":\"%s\",\"y\":\"%s\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\"},"
        "{\"kty\":\"RSA\",\"use\":\"enc\"}]}",
        n, e, x, y);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    return 0;
}

/* A token that one of the keys has signed, whatever its header says. */
static void sign(EVP_PKEY *key, const char *header, const char *claims, char *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[512];
    size_t len = sizeof(sig);
    size_t n = base64url_encode((const uint8_t *)header, strlen(header), out);

    out[n++] = '.';
    n += base64url_encode((const uint8_t *)claims, strlen(claims), out + n);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)out, n), 1);
    EVP_MD_CTX_free(ctx);
    if (key == ec) { /* RFC 7518, section 3.4 */
        const unsigned char *der = sig;
        ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &der, (long)len);

        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(parts), sig, 32), 32);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(parts), sig + 32, 32), 32);
        len = 64;
        ECDSA_SIG_free(parts);
    }
    out[n++] = '.';
    n += base64url_encode(sig, len, out + n);
    out[n] = '\0';
}

static struct auth *make(const char *issuer, const char *audience, const char *tenant)
{
    struct auth *auth;
    const char *why;

    assert_int_equal(auth_create(&auth, (const uint8_t *)SECRET, 32), 0);
    assert_int_equal(
        auth_add_issuer(auth, set_text, strlen(set_text), issuer, audience, tenant, &why),
        0);
    return auth;
}

static const char *verdict(struct auth *auth, const char *token)
{
    struct auth_identity who;
    const char *code = "ok";

    return auth_verify(auth, token, strlen(token), NOW, &who, &code) == 0 ? "ok" : code;
}

#define CLAIMS "{\"sub\":\"u\",\"exp\":2000,\"role\":\"host\"}"

static void the_table_of_confusions(void **state)
{
    struct auth *auth = make("", "", "");
    const struct {
        EVP_PKEY *key;
        const char *header, *want;
    } cases[] = {
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", "ok"},
        {ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", "ok"},
        {rsa, "{\"alg\":\"ES256\",\"kid\":\"r1\"}", "jwt_wrong_alg"},
        {ec, "{\"alg\":\"RS256\",\"kid\":\"e1\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"e1\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"HS256\",\"kid\":\"r1\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"none\",\"kid\":\"r1\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"PS256\",\"kid\":\"r1\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"RS256\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", "jwt_unknown_key"},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"\"}", "jwt_wrong_alg"},
        {rsa, "{\"alg\":\"RS256\",\"kid\":[\"r1\"]}", "jwt_bad_header"},
        {ec, "{\"alg\":\"ES256\",\"kid\":\"e1\",\"crit\":[\"b64\"]}", "jwt_bad_header"},
    };
    char token[4096];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sign(cases[i].key, cases[i].header, CLAIMS, token);
        assert_string_equal(verdict(auth, token), cases[i].want);
    }
    /* The public key as an HMAC secret: the oldest of the tricks. */
    struct jwt_claims claims = {.sub = "u", .exp = 2000};

    assert_int_equal(jwt_mint_as(&claims, "r1", (const uint8_t *)set_text, strlen(set_text),
                                 token, sizeof(token)),
                     JWT_OK);
    assert_string_equal(verdict(auth, token), "jwt_wrong_alg");
    /* One bit of the signature, and none at all. */
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS, token);
    token[strlen(token) - 10] ^= 1;
    assert_string_not_equal(verdict(auth, token), "ok");
    *(strrchr(token, '.') + 1) = '\0';
    assert_string_not_equal(verdict(auth, token), "ok");
    auth_destroy(auth);
}

static void an_issuer_speaks_for_whom_it_may(void **state)
{
    struct auth *auth = make("https://login.example", "kcs", "acme");
    static const struct {
        const char *claims, *want;
    } cases[] = {
#define ISS "{\"sub\":\"u\",\"exp\":2000,\"iss\":\"https://login.example\""
        {ISS ",\"aud\":\"kcs\"}", "ok"},
        {ISS ",\"aud\":[\"x\",\"kcs\"],\"tenant\":\"acme\"}", "ok"},
        {ISS ",\"aud\":\"kcs\",\"tenant\":\"other\"}", "jwt_wrong_tenant"},
        {ISS ",\"aud\":\"kcs\",\"campus_id\":\"other\"}", "jwt_wrong_tenant"},
        {ISS ",\"aud\":\"kcs2\"}", "jwt_wrong_audience"},
        {ISS ",\"aud\":[]}", "jwt_wrong_audience"},
        {ISS "}", "jwt_wrong_audience"},
        {"{\"sub\":\"u\",\"exp\":2000,\"aud\":\"kcs\"}", "jwt_wrong_issuer"},
        {"{\"sub\":\"u\",\"exp\":2000,\"aud\":\"kcs\",\"iss\":\"x\"}", "jwt_wrong_issuer"},
        {"{\"sub\":\"u\",\"exp\":1000,\"aud\":\"kcs\"}", "jwt_expired"},
        {"{\"sub\":\"u\",\"exp\":2000,\"nbf\":1500,\"aud\":\"kcs\"}", "jwt_not_yet_valid"},
    };
    struct auth_identity who;
    const char *code;
    char token[4096];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", cases[i].claims, token);
        assert_string_equal(verdict(auth, token), cases[i].want);
    }
    sign(rsa, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", ISS ",\"aud\":\"kcs\"}", token);
    assert_int_equal(auth_verify(auth, token, strlen(token), NOW, &who, &code), 0);
    assert_string_equal(who.tenant, "acme"); /* it need not say so */
    auth_destroy(auth);
}

static void sets_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"", -EBADMSG},
        {"[]", -EBADMSG},
        {"{\"keys\":{}}", -EBADMSG},
        {"{\"keys\":[1]}", -EBADMSG},
        {"{\"keys\":[]}", -ENOENT},
        {"{\"keys\":[{\"kty\":\"OKP\"}]}", -ENOENT},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", -EBADMSG},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", -EBADMSG},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
         -EBADMSG},
        /* no point of the curve */
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
         -EBADMSG},
    };
    struct auth *auth;
    const char *why;
    (void)state;

    assert_int_equal(auth_create(&auth, (const uint8_t *)SECRET, 32), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            auth_add_issuer(auth, cases[i].text, strlen(cases[i].text), "", "", "", &why),
            cases[i].want);
    }
    auth_destroy(auth);
}

static void keys_of_an_issuer_are_read_anew(void **state)
{
    static const struct {
        const char *text;
        int want;
    } bad[] = {{"{\"keys\":[", -EBADMSG},
               {"{\"keys\":[]}", -ENOENT},
               {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", -EBADMSG}};
    struct auth *auth = make("", "", "theirs");
    struct auth_identity who;
    char old[4096], renewed[4096], text[sizeof(set_text)];
    const char *why, *code;
    char *kid;
    (void)state;

    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS, old);
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e2\"}", CLAIMS, renewed);
    assert_string_equal(verdict(auth, old), "ok");
    assert_string_equal(verdict(auth, renewed), "jwt_unknown_key");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(auth_renew_issuer(auth, 0, bad[i].text, strlen(bad[i].text), &why),
                         bad[i].want);
        assert_string_equal(verdict(auth, old), "ok");
    }
    memcpy(text, set_text, sizeof(text));
    kid = strstr(text, "\"e1\"");
    assert_non_null(kid);
    kid[2] = '2';
    assert_int_equal(auth_renew_issuer(auth, 1, text, strlen(text), &why), -ENOENT);
    assert_int_equal(auth_renew_issuer(auth, 0, text, strlen(text), &why), 0);
    assert_string_equal(verdict(auth, old), "jwt_unknown_key");
    assert_int_equal(auth_verify(auth, renewed, strlen(renewed), NOW, &who, &code), 0);
    assert_string_equal(who.tenant, "theirs"); /* what it may speak for is as it was */
    auth_destroy(auth);
}

static void keys_of_our_own_are_changed_and_the_old_ones_verify(void **state)
{
    struct auth_identity who = {.user_id = "u", .expires_s = 2000, .role = AUTH_PRESENTER};
    struct auth_identity again;
    uint8_t secret[AUTH_KEY_LEN] = {1};
    char tokens[AUTH_KEYS + 2][AUTH_TOKEN_MAX];
    struct auth *auth;
    const char *code;
    (void)state;

    assert_int_equal(auth_create(&auth, (const uint8_t *)SECRET, 32), 0);
    assert_int_equal(auth_add_key(auth, "", secret), -EINVAL);
    for (int i = 0; i <= AUTH_KEYS + 1; i++) {
        char kid[8];

        if (i > 0) { /* the first token is the configured secret's */
            (void)snprintf(kid, sizeof(kid), "k%d", i);
            secret[0] = (uint8_t)i;
            assert_int_equal(auth_add_key(auth, kid, secret), 0);
        }
        who.jti[0] = '\0';
        assert_int_equal(auth_mint(auth, &who, NULL, NOW, tokens[i]), 0);
    }
    assert_string_equal(verdict(auth, tokens[0]), "ok");
    assert_string_equal(verdict(auth, tokens[1]), "jwt_unknown_key"); /* the oldest left */
    for (int i = 2; i <= AUTH_KEYS + 1; i++) {
        assert_string_equal(verdict(auth, tokens[i]), "ok");
    }
    assert_int_equal(auth_verify(auth, tokens[2], strlen(tokens[2]), NOW, &again, &code),
                     0);
    assert_int_equal(again.role, AUTH_PRESENTER);
    assert_int_equal(strlen(again.jti), 22);

    assert_int_equal(auth_revoke(auth, again.jti, again.expires_s, NOW), 0);
    assert_string_equal(verdict(auth, tokens[2]), "token_revoked");
    assert_string_equal(verdict(auth, tokens[3]), "ok");
    auth_destroy(auth);
}

static void a_meeting_must_be_stored_if_that_is_asked_for(void **state)
{
    struct auth_identity who = {.user_id = "u", .expires_s = 2000, .meeting_id = "m"};
    uint8_t secret[AUTH_KEY_LEN] = {1};
    struct auth *auth = make("", "", "");
    char own[AUTH_TOKEN_MAX];
    char configured[AUTH_TOKEN_MAX];
    char theirs[4096];
    (void)state;

    assert_int_equal(auth_mint(auth, &who, NULL, NOW, configured), 0);
    assert_int_equal(auth_add_key(auth, "k1", secret), 0);
    assert_int_equal(auth_mint(auth, &who, NULL, NOW, own), 0);
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}",
         "{\"sub\":\"u\",\"exp\":2000,\"meeting_id\":\"m\"}", theirs);
    assert_string_equal(verdict(auth, configured), "ok");
    assert_string_equal(verdict(auth, theirs), "ok");
    auth_require_stored(auth);
    assert_string_equal(verdict(auth, configured), "meeting_not_stored");
    assert_string_equal(verdict(auth, theirs), "meeting_not_stored");
    assert_string_equal(verdict(auth, own), "ok");
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS, theirs);
    assert_string_equal(verdict(auth, theirs), "ok"); /* for no meeting in particular */
    auth_destroy(auth);
}

struct renewal {
    struct auth *auth;
    const char *text;
    int n;
};

static void renew(void *user)
{
    struct renewal *r = user;
    const char *why;

    r->n++;
    assert_int_equal(auth_renew_issuer(r->auth, 0, r->text, strlen(r->text), &why), 0);
}

static void an_unknown_key_has_the_keys_read_again_but_not_often(void **state)
{
    struct auth *auth = make("", "", "");
    char known[4096], renewed[4096], text[sizeof(set_text)];
    struct renewal r = {.auth = auth, .text = set_text};
    struct auth_identity who;
    const char *code;
    (void)state;

    auth_on_unknown_key(auth, renew, &r);
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS, known);
    sign(ec, "{\"alg\":\"ES256\",\"kid\":\"e2\"}", CLAIMS, renewed);
    assert_string_equal(verdict(auth, known), "ok");
    assert_int_equal(r.n, 0);
    for (int i = 0; i < 3; i++) { /* a flood of them costs one reading */
        assert_string_equal(verdict(auth, renewed), "jwt_unknown_key");
        assert_int_equal(r.n, 1);
    }
    memcpy(text, set_text, sizeof(text));
    strstr(text, "\"e1\"")[2] = '2';
    r.text = text;
    assert_int_equal(auth_verify(auth, renewed, strlen(renewed), NOW + AUTH_RENEW_S - 1,
                                 &who, &code),
                     -EPERM);
    assert_int_equal(r.n, 1);
    assert_int_equal(
        auth_verify(auth, renewed, strlen(renewed), NOW + AUTH_RENEW_S, &who, &code), 0);
    assert_int_equal(r.n, 2);
    assert_string_equal(verdict(auth, known), "jwt_unknown_key"); /* a clock set back: at once */
    assert_int_equal(r.n, 3);
    auth_destroy(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_confusions),
        cmocka_unit_test(an_issuer_speaks_for_whom_it_may),
        cmocka_unit_test(sets_that_are_none_are_refused),
        cmocka_unit_test(keys_of_an_issuer_are_read_anew),
        cmocka_unit_test(an_unknown_key_has_the_keys_read_again_but_not_often),
        cmocka_unit_test(a_meeting_must_be_stored_if_that_is_asked_for),
        cmocka_unit_test(keys_of_our_own_are_changed_and_the_old_ones_verify),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
