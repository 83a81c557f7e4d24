#include "proto/jwt.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base64.h"
#include "proto/jtext.h"

enum { SIG_LEN = 32, HEADER_MAX = 1024 };

const char *jwt_error_name(enum jwt_error error)
{
    static const char *const names[] = {
        [JWT_OK] = "ok",
        [JWT_TOO_LARGE] = "jwt_too_large",
        [JWT_MALFORMED] = "jwt_malformed",
        [JWT_WRONG_ALG] = "jwt_wrong_alg",
        [JWT_BAD_HEADER] = "jwt_bad_header",
        [JWT_BAD_SIGNATURE] = "jwt_bad_signature",
        [JWT_BAD_CLAIM] = "jwt_bad_claim",
        [JWT_MISSING_CLAIM] = "jwt_missing_claim",
        [JWT_WRONG_ISSUER] = "jwt_wrong_issuer",
        [JWT_WRONG_AUDIENCE] = "jwt_wrong_audience",
        [JWT_WRONG_TENANT] = "jwt_wrong_tenant",
        [JWT_UNKNOWN_KEY] = "jwt_unknown_key",
        [JWT_EXPIRED] = "jwt_expired",
        [JWT_NOT_YET_VALID] = "jwt_not_yet_valid",
        [JWT_BAD_KEY] = "jwt_bad_key",
        [JWT_NO_MEMORY] = "jwt_no_memory",
    };

    return names[error];
}

/* One base64url part as a JSON object, or NULL. A name that stands twice is refused: two
 * readers could take a different one. 'scratch' holds the decoded bytes. */
static json_t *load_part(const char *text, size_t len, uint8_t *scratch)
{
    json_t *json;
    size_t n;

    if (base64url_decode(text, len, scratch, &n) != 0) {
        return NULL;
    }
    json = json_loadb((const char *)scratch, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static enum jwt_error check_header(const json_t *header)
{
    const json_t *typ = json_object_get(header, "typ");

    if (typ != NULL &&
        (!json_is_string(typ) || (strcasecmp(json_string_value(typ), "JWT") != 0 &&
                                  strcasecmp(json_string_value(typ), "at+jwt") != 0))) {
        return JWT_BAD_HEADER;
    }
    return json_object_get(header, "crit") == NULL ? JWT_OK : JWT_BAD_HEADER;
}

/* The key that the header names, among those that may be: by its id, and then its algorithm
 * must be the key's. Fills *out with an index from 'from' on. */
static enum jwt_error choose_key(const json_t *header, const struct jwt_key *keys, size_t n,
                                 size_t from, size_t *out)
{
    static const char *const names[] = {
        [JWT_HS256] = "HS256", [JWT_RS256] = "RS256", [JWT_ES256] = "ES256"};
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *id = json_object_get(header, "kid");
    const char *kid = id == NULL ? "" : json_string_value(id);
    bool known = false;

    if (kid == NULL || strlen(kid) > JWT_KID_MAX) {
        return JWT_BAD_HEADER;
    }
    for (size_t i = 0; alg != NULL && i < n; i++) {
        known = known || strcmp(names[keys[i].alg], alg) == 0;
    }
    if (!known) {
        return JWT_WRONG_ALG;
    }
    known = false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].kid, kid) != 0) {
            continue;
        }
        known = true;
        if (strcmp(names[keys[i].alg], alg) == 0 && i >= from) {
            *out = i;
            return JWT_OK;
        }
    }
    return known ? JWT_WRONG_ALG : JWT_UNKNOWN_KEY;
}

static bool sign(const uint8_t *key, size_t key_len, const char *data, size_t len,
                 uint8_t sig[SIG_LEN])
{
    unsigned n = 0;

    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data, len, sig,
                &n) != NULL &&
           n == SIG_LEN;
}

/* RFC 7518, section 3.4: r and s of 32 bytes, which OpenSSL wants in DER. */
static bool der_of(const uint8_t *sig, size_t len, uint8_t out[80], size_t *out_len)
{
    ECDSA_SIG *parts = len == 64 ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = parts != NULL ? BN_bin2bn(sig, 32, NULL) : NULL;
    BIGNUM *t = parts != NULL ? BN_bin2bn(sig + 32, 32, NULL) : NULL;
    int n = 0;

    if (r != NULL && t != NULL && ECDSA_SIG_set0(parts, r, t) == 1) {
        uint8_t *at = out;

        r = t = NULL; /* moved */
        n = i2d_ECDSA_SIG(parts, NULL) <= 80 ? i2d_ECDSA_SIG(parts, &at) : 0;
    }
    BN_free(r);
    BN_free(t);
    ECDSA_SIG_free(parts);
    *out_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool signed_by(const struct jwt_key *key, const char *data, size_t len,
                      const uint8_t *sig, size_t sig_len)
{
    uint8_t want[SIG_LEN];
    uint8_t der[80];
    EVP_MD_CTX *ctx;
    bool good;

    if (key->alg == JWT_HS256) {
        good = sig_len == SIG_LEN && sign(key->secret, key->secret_len, data, len, want) &&
               CRYPTO_memcmp(sig, want, SIG_LEN) == 0;
        explicit_bzero(want, sizeof(want));
        return good;
    }
    if (key->alg == JWT_ES256) {
        if (!der_of(sig, sig_len, der, &sig_len)) {
            return false;
        }
        sig = der;
    }
    ctx = EVP_MD_CTX_new();
    good = ctx != NULL &&
           EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->public_key) == 1 &&
           EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

/* Copies an optional string claim of at most 'max' bytes. */
static bool take_string(const json_t *claims, const char *name, char *out, size_t max)
{
    const json_t *value = json_object_get(claims, name);

    if (value == NULL || json_is_null(value)) {
        out[0] = '\0';
        return true;
    }
    if (!json_is_string(value) || json_string_length(value) > max) {
        return false;
    }
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return true;
}

/* An optional NumericDate (RFC 7519, section 2): it may have a fraction. */
static bool take_time(const json_t *claims, const char *name, bool *has, int64_t *out)
{
    const json_t *value = json_object_get(claims, name);
    double real = json_number_value(value);

    *has = value != NULL;
    if (value == NULL) {
        *out = 0;
        return true;
    }
    if (!json_is_number(value) || !(real >= 0 && real < 1e12)) {
        return false;
    }
    *out = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
    return true;
}

static enum jwt_error read_claims(const json_t *json, int64_t now_s, struct jwt_claims *out)
{
    struct jwt_claims c;
    char campus[JWT_ID_MAX + 1];
    bool has_exp;
    bool has_iat;
    bool has_nbf;

    if (!take_string(json, "sub", c.sub, JWT_ID_MAX) ||
        !take_string(json, "tenant", c.tenant, JWT_ID_MAX) ||
        !take_string(json, "campus_id", campus, JWT_ID_MAX) ||
        !take_string(json, "name", c.name, JWT_NAME_MAX) ||
        !take_string(json, "role", c.role, JWT_ROLE_MAX) ||
        !take_string(json, "meeting_id", c.meeting_id, JWT_ID_MAX) ||
        !take_string(json, "jti", c.jti, JWT_ID_MAX) ||
        !take_string(json, "scope", c.scope, JWT_SCOPE_MAX) ||
        !take_time(json, "exp", &has_exp, &c.exp) ||
        !take_time(json, "iat", &has_iat, &c.iat) ||
        !take_time(json, "nbf", &has_nbf, &c.nbf)) {
        return JWT_BAD_CLAIM;
    }
    if (c.sub[0] == '\0' || !has_exp) {
        return JWT_MISSING_CLAIM;
    }
    if (c.tenant[0] == '\0') {
        strcpy(c.tenant, campus);
    } else if (campus[0] != '\0' && strcmp(c.tenant, campus) != 0) {
        return JWT_BAD_CLAIM;
    }
    if (has_iat && c.iat > c.exp) {
        return JWT_BAD_CLAIM;
    }
    if (now_s >= c.exp) {
        return JWT_EXPIRED;
    }
    if (c.nbf > now_s + JWT_LEEWAY_S || c.iat > now_s + JWT_LEEWAY_S) {
        return JWT_NOT_YET_VALID;
    }
    *out = c;
    return JWT_OK;
}

static bool is_for(const json_t *aud, const char *audience)
{
    size_t i;
    const json_t *one;

    if (json_is_string(aud)) {
        return strcmp(json_string_value(aud), audience) == 0;
    }
    json_array_foreach(aud, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), audience) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* For whom the key may speak. */
static enum jwt_error check_key_claims(const struct jwt_key *key, const json_t *json,
                                       struct jwt_claims *claims)
{
    const char *iss = json_string_value(json_object_get(json, "iss"));

    if (is_set(key->issuer) && (iss == NULL || strcmp(iss, key->issuer) != 0)) {
        return JWT_WRONG_ISSUER;
    }
    if (is_set(key->audience) && !is_for(json_object_get(json, "aud"), key->audience)) {
        return JWT_WRONG_AUDIENCE;
    }
    if (is_set(key->tenant) && claims->tenant[0] == '\0') {
        if (strlen(key->tenant) >= sizeof(claims->tenant)) {
            return JWT_WRONG_TENANT;
        }
        strcpy(claims->tenant, key->tenant);
    }
    if (is_set(key->tenant) && strcmp(claims->tenant, key->tenant) != 0) {
        return JWT_WRONG_TENANT;
    }
    return JWT_OK;
}

/* A signature by one of the keys that fit; several may, if they have no ids. */
static enum jwt_error check_signature(const json_t *header, const char *data, size_t len,
                                      const uint8_t *sig, size_t sig_len,
                                      const struct jwt_key *keys, size_t n, size_t *at)
{
    enum jwt_error err = JWT_BAD_SIGNATURE;

    for (size_t from = 0; err == JWT_BAD_SIGNATURE; from = *at + 1) {
        err = choose_key(header, keys, n, from, at);
        if (err != JWT_OK) {
            return from == 0 ? err : JWT_BAD_SIGNATURE;
        }
        err = signed_by(&keys[*at], data, len, sig, sig_len) ? JWT_OK : JWT_BAD_SIGNATURE;
    }
    return err;
}

enum jwt_error jwt_verify_by(const char *token, size_t len, const struct jwt_key *keys,
                             size_t n_keys, int64_t now_s, struct jwt_claims *out)
{
    uint8_t scratch[JWT_MAX_LEN];
    struct jwt_claims claims;
    enum jwt_error err;
    const char *end = token + len;
    const char *payload;
    const char *sig;
    json_t *json = NULL;
    size_t at = 0;
    size_t n;

    if (len > JWT_MAX_LEN) {
        return JWT_TOO_LARGE;
    }
    payload = len > 0 ? memchr(token, '.', len) : NULL;
    sig = payload != NULL ? memchr(payload + 1, '.', (size_t)(end - payload - 1)) : NULL;
    if (sig == NULL || payload - token > HEADER_MAX) {
        return JWT_MALFORMED;
    }

    json = load_part(token, (size_t)(payload - token), scratch);
    err = json != NULL ? check_header(json) : JWT_MALFORMED;
    if (err == JWT_OK && base64url_decode(sig + 1, (size_t)(end - sig - 1), scratch, &n)) {
        err = JWT_MALFORMED;
    }
    if (err == JWT_OK) {
        err = check_signature(json, token, (size_t)(sig - token), scratch, n, keys, n_keys,
                              &at);
    }
    if (err != JWT_OK) {
        goto out;
    }
    json_decref(json);
    json = load_part(payload + 1, (size_t)(sig - payload - 1), scratch);
    err = json != NULL ? read_claims(json, now_s, &claims) : JWT_MALFORMED;
    if (err == JWT_OK) {
        err = check_key_claims(&keys[at], json, &claims);
    }
    if (err == JWT_OK) {
        claims.key = at;
        *out = claims;
    }
out:
    json_decref(json);
    return err;
}

enum jwt_error jwt_verify(const char *token, size_t len, const uint8_t *key, size_t key_len,
                          int64_t now_s, struct jwt_claims *out)
{
    const struct jwt_key only = {
        .alg = JWT_HS256, .kid = "", .secret = key, .secret_len = key_len};

    if (key_len < JWT_MIN_KEY) {
        return JWT_BAD_KEY;
    }
    return jwt_verify_by(token, len, &only, 1, now_s, out);
}

/* ---- mint ---- */

static bool put_string(json_t *json, const char *name, const char *value)
{
    return value[0] == '\0' || json_object_set_new(json, name, json_string(value)) == 0;
}

static bool put_time(json_t *json, const char *name, int64_t value)
{
    return value == 0 || json_object_set_new(json, name, json_integer(value)) == 0;
}

enum jwt_error jwt_mint(const struct jwt_claims *claims, const uint8_t *key, size_t key_len,
                        char *out, size_t cap)
{
    return jwt_mint_as(claims, "", key, key_len, out, cap);
}

enum jwt_error jwt_mint_as(const struct jwt_claims *claims, const char *kid,
                           const uint8_t *key, size_t key_len, char *out, size_t cap)
{
    char header[64 + JWT_KID_MAX] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    enum jwt_error err = JWT_NO_MEMORY;
    uint8_t sig[SIG_LEN];
    char *text = NULL;
    json_t *json;
    size_t n;

    if (key_len < JWT_MIN_KEY) {
        return JWT_BAD_KEY;
    }
    if (claims->sub[0] == '\0' || claims->exp == 0) {
        return JWT_MISSING_CLAIM;
    }
    if (kid[0] != '\0') { /* ours: letters and digits */
        (void)snprintf(header, sizeof(header),
                       "{\"alg\":\"HS256\",\"kid\":\"%.*s\",\"typ\":\"JWT\"}", JWT_KID_MAX,
                       kid);
    }
    json = json_object();
    if (json == NULL) {
        return JWT_NO_MEMORY;
    }
    if (!put_string(json, "sub", claims->sub) ||
        !put_string(json, "tenant", claims->tenant) ||
        !put_string(json, "name", claims->name) ||
        !put_string(json, "role", claims->role) ||
        !put_string(json, "meeting_id", claims->meeting_id) ||
        !put_string(json, "jti", claims->jti) ||
        !put_string(json, "scope", claims->scope) || !put_time(json, "iat", claims->iat) ||
        !put_time(json, "nbf", claims->nbf) || !put_time(json, "exp", claims->exp)) {
        err = JWT_BAD_CLAIM;
        goto out;
    }
    text = jtext_make(json, JSON_COMPACT);
    if (text == NULL) {
        goto out;
    }
    n = base64url_encoded_len(strlen(header)) + base64url_encoded_len(strlen(text)) +
        base64url_encoded_len(SIG_LEN) + 2;
    if (n > JWT_MAX_LEN || n + 1 > cap) {
        err = JWT_TOO_LARGE;
        goto out;
    }
    n = base64url_encode((const uint8_t *)header, strlen(header), out);
    out[n++] = '.';
    n += base64url_encode((const uint8_t *)text, strlen(text), out + n);
    if (!sign(key, key_len, out, n, sig)) {
        goto out;
    }
    out[n++] = '.';
    n += base64url_encode(sig, SIG_LEN, out + n);
    out[n] = '\0';
    err = JWT_OK;
out:
    free(text);
    json_decref(json);
    return err;
}
