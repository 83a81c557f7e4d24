#include "proto/jwt.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base64.h"

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
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *typ = json_object_get(header, "typ");

    if (alg == NULL || strcmp(alg, "HS256") != 0) {
        return JWT_WRONG_ALG;
    }
    if (typ != NULL &&
        (!json_is_string(typ) || (strcasecmp(json_string_value(typ), "JWT") != 0 &&
                                  strcasecmp(json_string_value(typ), "at+jwt") != 0))) {
        return JWT_BAD_HEADER;
    }
    return json_object_get(header, "crit") == NULL ? JWT_OK : JWT_BAD_HEADER;
}

static bool sign(const uint8_t *key, size_t key_len, const char *data, size_t len,
                 uint8_t sig[SIG_LEN])
{
    unsigned n = 0;

    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data, len, sig,
                &n) != NULL &&
           n == SIG_LEN;
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

enum jwt_error jwt_verify(const char *token, size_t len, const uint8_t *key, size_t key_len,
                          int64_t now_s, struct jwt_claims *out)
{
    uint8_t scratch[JWT_MAX_LEN];
    uint8_t want[SIG_LEN];
    enum jwt_error err = JWT_MALFORMED;
    const char *end = token + len;
    const char *payload;
    const char *sig;
    json_t *json = NULL;
    size_t n;

    if (key_len < JWT_MIN_KEY) {
        return JWT_BAD_KEY;
    }
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
    if (err != JWT_OK) {
        goto out;
    }
    err = JWT_MALFORMED;
    if (base64url_decode(sig + 1, (size_t)(end - sig - 1), scratch, &n) != 0) {
        goto out;
    }
    err = JWT_BAD_SIGNATURE;
    if (n != SIG_LEN || !sign(key, key_len, token, (size_t)(sig - token), want) ||
        CRYPTO_memcmp(scratch, want, SIG_LEN) != 0) {
        goto out;
    }
    json_decref(json);
    json = load_part(payload + 1, (size_t)(sig - payload - 1), scratch);
    err = json != NULL ? read_claims(json, now_s, out) : JWT_MALFORMED;
out:
    explicit_bzero(want, sizeof(want));
    json_decref(json);
    return err;
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
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
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
    json = json_object();
    if (json == NULL) {
        return JWT_NO_MEMORY;
    }
    if (!put_string(json, "sub", claims->sub) ||
        !put_string(json, "tenant", claims->tenant) ||
        !put_string(json, "name", claims->name) ||
        !put_string(json, "role", claims->role) ||
        !put_string(json, "meeting_id", claims->meeting_id) ||
        !put_string(json, "jti", claims->jti) || !put_time(json, "iat", claims->iat) ||
        !put_time(json, "nbf", claims->nbf) || !put_time(json, "exp", claims->exp)) {
        err = JWT_BAD_CLAIM;
        goto out;
    }
    text = json_dumps(json, JSON_COMPACT);
    if (text == NULL) {
        goto out;
    }
    n = base64url_encoded_len(sizeof(header) - 1) + base64url_encoded_len(strlen(text)) +
        base64url_encoded_len(SIG_LEN) + 2;
    if (n > JWT_MAX_LEN || n + 1 > cap) {
        err = JWT_TOO_LARGE;
        goto out;
    }
    n = base64url_encode((const uint8_t *)header, sizeof(header) - 1, out);
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
