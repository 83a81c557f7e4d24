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

enum { MAX_CHOSEN = 64, N_CHOICES = 8 };

/* What is handed out of an operation; of others all is. */
struct choice {
    int operation;
    bool (*also)(const OSSL_ALGORITHM *); /* or NULL */
    OSSL_ALGORITHM algorithms[MAX_CHOSEN + 1];
};

static bool reads_certificates(const OSSL_ALGORITHM *decoder);

/* Of the whole process, as is the default provider; constant once they are made. */
static OSSL_PROVIDER *whole;
static struct choice choices[N_CHOICES] = {
    {.operation = OSSL_OP_DIGEST},
    {.operation = OSSL_OP_CIPHER},
    {.operation = OSSL_OP_MAC},
    {.operation = OSSL_OP_KDF},
    {.operation = OSSL_OP_KEYMGMT},
    {.operation = OSSL_OP_KEYEXCH},
    {.operation = OSSL_OP_SIGNATURE},
    {.operation = OSSL_OP_DECODER, .also = reads_certificates}};
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

/* Our own shares, what signs the certificates that we take, the suites (dtls_cert.c for all
 * three), fingerprints; derivations, which OpenSSL counts among keys; and what its random
 * numbers are made of. */
static bool needed(const OSSL_ALGORITHM *algorithm)
{
    static const char *const names[] = {
        "EC",        "ECDH",        "ECDSA",       "RSA",
        "RSA-PSS",   "X25519",      "ED25519",     "HMAC",
        "HKDF",      "TLS1-PRF",    "SHA1",        "SHA2-256",
        "SHA2-384",  "SHA2-512",    "AES-128-GCM", "AES-256-GCM",
        "AES-256-CTR", "AES-256-ECB", "ChaCha20-Poly1305"};

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
static bool choose(struct choice *choice)
{
    int no_cache = 0;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(whole, choice->operation, &no_cache);
    size_t n = 0;

    for (; all != NULL && all->algorithm_names != NULL; all++) {
        if (needed(all) && (choice->also == NULL || choice->also(all))) {
            if (n == MAX_CHOSEN) {
                return false;
            }
            choice->algorithms[n++] = *all;
        }
    }
    return n > 0 && no_cache == 0;
}

static bool choose_all(void)
{
    for (size_t i = 0; i < N_CHOICES; i++) {
        if (!choose(&choices[i])) {
            return false;
        }
    }
    return true;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    for (size_t i = 0; i < N_CHOICES; i++) {
        if (choices[i].operation == operation) {
            return choices[i].algorithms;
        }
    }
    return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
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
    if (whole == NULL || !choose_all()) {
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
