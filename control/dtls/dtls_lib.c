/* See dtls_lib.h. The provider is a view of the default one: it hands out the same
 * implementations, which are given the same context. */
#include "dtls/dtls_lib.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { MAX_KEYS = 16, MAX_DECODERS = 64 };

/* Of the whole process, as is the default provider; constant once they are made. */
static OSSL_PROVIDER *whole;
static OSSL_ALGORITHM keys[MAX_KEYS + 1], decoders[MAX_DECODERS + 1];
static OSSL_LIB_CTX *made;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* 'names' are separated by colons. */
static bool named(const char *names, const char *wanted)
{
    const size_t len = strlen(wanted);

    for (const char *at = names; at != NULL;) {
        const char *colon = strchr(at, ':');

        if (strncasecmp(at, wanted, len) == 0 && (at[len] == ':' || at[len] == '\0')) {
            return true;
        }
        at = colon != NULL ? colon + 1 : NULL;
    }
    return false;
}

/* Our own shares, what signs the certificates that we take (dtls_cert.c), and what OpenSSL counts among
 * keys: derivations, and the HMAC of suites with CBC. */
static bool needed(const OSSL_ALGORITHM *algorithm)
{
    static const char *const names[] = {"EC",   "RSA",  "RSA-PSS", "X25519", "ED25519",
                                        "HMAC", "HKDF", "TLS1-PRF"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (named(algorithm->algorithm_names, names[i])) {
            return true;
        }
    }
    return false;
}

/* Whether it reads a key as it stands in a certificate. */
static bool reads_certificates(const OSSL_ALGORITHM *decoder)
{
    const char *properties = decoder->property_definition;

    return properties != NULL && strstr(properties, "input=der") != NULL &&
           strstr(properties, "structure=SubjectPublicKeyInfo") != NULL;
}

/* Returns whether it has found some, and all of them had room. */
static bool choose(int operation, OSSL_ALGORITHM *out, size_t cap,
                   bool (*also)(const OSSL_ALGORITHM *))
{
    int no_cache = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
    size_t n = 0;

    for (; all != NULL && all->algorithm_names != NULL; all++) {
        if (needed(all) && (also == NULL || also(all))) {
            if (n == cap) {
                return false;
            }
            out[n++] = *all;
        }
    }
    return n > 0 && no_cache == 0;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return keys;
    case OSSL_OP_DECODER:
        return decoders;
    default:
        return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
    }
}

static int capabilities(void *provctx, const char *capability, OSSL_CALLBACK *cb, void *arg)
{
    (void)provctx;
    return OSSL_PROVIDER_get_capabilities(whole, capability, cb, arg);
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                const OSSL_DISPATCH **out, void **provctx)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
        {0, NULL}};

    (void)handle;
    (void)in;
    *out = functions;
    *provctx = OSSL_PROVIDER_get0_provider_ctx(whole);
    return 1;
}

static void make(void)
{
    OSSL_LIB_CTX *lib;

    if (EVP_default_properties_is_fips_enabled(NULL) == 1 ||
        OSSL_PROVIDER_available(NULL, "default") != 1) {
        return;
    }
    whole = OSSL_PROVIDER_load(NULL, "default");
    if (whole == NULL || !choose(OSSL_OP_KEYMGMT, keys, MAX_KEYS, NULL) ||
        !choose(OSSL_OP_DECODER, decoders, MAX_DECODERS, reads_certificates)) {
        return;
    }
    lib = OSSL_LIB_CTX_new();
    if (lib != NULL && OSSL_PROVIDER_add_builtin(lib, "handshakes", init) == 1 &&
        OSSL_PROVIDER_load(lib, "handshakes") != NULL) {
        made = lib;
        return;
    }
    OSSL_LIB_CTX_free(lib); /* NULL is a no-op */
    ERR_clear_error();
}

OSSL_LIB_CTX *dtls_lib(void)
{
    return pthread_once(&once, make) == 0 ? made : NULL;
}
