#include "proto/jwk.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdbool.h>
#include <string.h>

#include "proto/base64.h"

enum { NUMBER_MAX = 1024, RSA_MIN_BITS = 2048, RSA_MAX_BITS = 8192 };

static int fail(const char **why, const char *text)
{
    *why = text;
    return -EBADMSG;
}

/* Decodes a base64url member of at most NUMBER_MAX bytes. */
static bool take_number(const json_t *key, const char *name, uint8_t out[NUMBER_MAX],
                        size_t *len)
{
    const json_t *value = json_object_get(key, name);

    return json_is_string(value) && json_string_length(value) > 0 &&
           json_string_length(value) <= NUMBER_MAX &&
           base64url_decode(json_string_value(value), json_string_length(value), out,
                            len) == 0 &&
           *len > 0;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY *key = NULL;

    if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *rsa_key(const json_t *json)
{
    uint8_t n[NUMBER_MAX];
    uint8_t e[NUMBER_MAX];
    size_t n_len;
    size_t e_len;
    OSSL_PARAM_BLD *build;
    BIGNUM *modulus;
    BIGNUM *exponent;
    EVP_PKEY *key = NULL;

    if (!take_number(json, "n", n, &n_len) || !take_number(json, "e", e, &e_len) ||
        e_len > 8) {
        return NULL;
    }
    build = OSSL_PARAM_BLD_new();
    modulus = BN_bin2bn(n, (int)n_len, NULL);
    exponent = BN_bin2bn(e, (int)e_len, NULL);
    if (build != NULL && modulus != NULL && exponent != NULL &&
        BN_num_bits(modulus) >= RSA_MIN_BITS && BN_num_bits(modulus) <= RSA_MAX_BITS &&
        BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = make_key("RSA", build);
    }
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *ec_key(const json_t *json)
{
    uint8_t x[NUMBER_MAX];
    uint8_t y[NUMBER_MAX];
    uint8_t point[65] = {4}; /* SEC 1, section 2.3.3: uncompressed */
    size_t x_len;
    size_t y_len;
    OSSL_PARAM_BLD *build;
    EVP_PKEY *key = NULL;

    if (!take_number(json, "x", x, &x_len) || !take_number(json, "y", y, &y_len) ||
        x_len != 32 || y_len != 32) {
        return NULL;
    }
    memcpy(point + 1, x, 32);
    memcpy(point + 33, y, 32);
    build = OSSL_PARAM_BLD_new();
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1",
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         sizeof(point)) == 1) {
        key = make_key("EC", build); /* refuses a point that is not on the curve */
    }
    OSSL_PARAM_BLD_free(build);
    return key;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static bool is_or_none(const char *have, const char *want)
{
    return have[0] == '\0' || strcmp(have, want) == 0;
}

static int take_key(const json_t *json, struct jwk_set *out, const char **why)
{
    const char *kty = text_of(json, "kty");
    const char *alg = text_of(json, "alg");
    const char *kid = text_of(json, "kid");
    struct jwt_key *key = &out->keys[out->n];
    bool rsa = strcmp(kty, "RSA") == 0 && is_or_none(alg, "RS256");
    bool ec = strcmp(kty, "EC") == 0 && is_or_none(alg, "ES256") &&
              strcmp(text_of(json, "crv"), "P-256") == 0;

    if (!json_is_object(json) || kty[0] == '\0') {
        return fail(why, "a key is no object with a kty");
    }
    if (strcmp(kty, "oct") == 0) {
        return fail(why, "it holds a symmetric key (oct), which is no public one");
    }
    if ((!rsa && !ec) || !is_or_none(text_of(json, "use"), "sig")) {
        return 0;
    }
    if (strlen(kid) > JWT_KID_MAX) {
        return fail(why, "a kid is longer than 64 characters");
    }
    for (size_t i = 0; i < out->n; i++) {
        if (kid[0] != '\0' && strcmp(out->kids[i], kid) == 0) {
            return fail(why, "two keys have the same kid");
        }
    }
    if (out->n == JWK_MAX) {
        return -ENOSPC;
    }
    strcpy(out->kids[out->n], kid);
    *key = (struct jwt_key){.alg = rsa ? JWT_RS256 : JWT_ES256,
                            .kid = out->kids[out->n],
                            .public_key = rsa ? rsa_key(json) : ec_key(json)};
    if (key->public_key == NULL) {
        return fail(why, rsa ? "an RSA key is malformed, or not of 2048 to 8192 bits"
                             : "an EC key is malformed, or no point of P-256");
    }
    out->n++;
    return 0;
}

int jwk_parse(const char *text, size_t len, struct jwk_set *out, const char **why)
{
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keys = json_object_get(json, "keys");
    const json_t *key;
    size_t i;
    int err = 0;

    memset(out, 0, sizeof(*out));
    *why = "";
    if (!json_is_array(keys)) {
        err = fail(why, "it is no JSON object with an array 'keys'");
    }
    json_array_foreach(keys, i, key)
    {
        err = err == 0 ? take_key(key, out, why) : err;
    }
    json_decref(json);
    if (err == 0 && out->n == 0) {
        err = -ENOENT;
    }
    if (err != 0) {
        jwk_fini(out);
    }
    return err;
}

void jwk_fini(struct jwk_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        EVP_PKEY_free(set->keys[i].public_key);
    }
    set->n = 0;
}
