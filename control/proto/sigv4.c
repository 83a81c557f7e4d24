#include "proto/sigv4.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HASH = 32, SCOPE = 128, CANONICAL = 4096 };

static void to_hex(const unsigned char *in, char out[SIGV4_HASH])
{
    for (size_t i = 0; i < HASH; i++) {
        (void)sprintf(out + 2 * i, "%02x", in[i]);
    }
}

static void mac(const unsigned char *key, size_t len, const char *text,
                unsigned char out[HASH])
{
    (void)HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)text, strlen(text), out,
               NULL);
}

void sigv4_time(int64_t at_s, char out[SIGV4_TIME])
{
    const time_t t = (time_t)at_s;
    struct tm tm = {0};

    (void)gmtime_r(&t, &tm);
    (void)strftime(out, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm);
}

/* Where and when the key holds: "20130524/us-east-1/s3/aws4_request". */
static bool write_scope(const struct sigv4_key *key, const char *time, char out[SCOPE])
{
    return snprintf(out, SCOPE, "%.8s/%s/s3/aws4_request", time, key->region) < SCOPE;
}

/* The signature over what both forms have in common. */
static int sign(const struct sigv4_key *key, const char *time, const char *scope,
                const char *canonical, char out[SIGV4_HASH])
{
    unsigned char digest[HASH], a[HASH], b[HASH];
    char hash[SIGV4_HASH], day[9], text[SIGV4_HASH + SCOPE + 64], first[256];
    const int len = snprintf(first, sizeof(first), "AWS4%s", key->secret);

    if (len >= (int)sizeof(first)) {
        return -ENOSPC;
    }
    (void)EVP_Digest(canonical, strlen(canonical), digest, NULL, EVP_sha256(), NULL);
    to_hex(digest, hash);
    (void)snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hash);
    (void)snprintf(day, sizeof(day), "%.8s", time);
    mac((const unsigned char *)first, (size_t)len, day, a);
    mac(a, HASH, key->region, b);
    mac(b, HASH, "s3", a);
    mac(a, HASH, "aws4_request", b);
    mac(b, HASH, text, a);
    to_hex(a, out);
    explicit_bzero(first, sizeof(first));
    explicit_bzero(b, sizeof(b));
    return 0;
}

int sigv4_header(const struct sigv4_key *key, const struct sigv4_request *request,
                 char out[SIGV4_HEADER])
{
    static const char names[] = "host;x-amz-content-sha256;x-amz-date";
    char time[SIGV4_TIME], scope[SCOPE], canonical[CANONICAL], signature[SIGV4_HASH];

    sigv4_time(request->at_s, time);
    if (!write_scope(key, time, scope) ||
        snprintf(canonical, CANONICAL,
                 "%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s",
                 request->method, request->path, request->query, request->host,
                 request->body, time, names, request->body) >= CANONICAL ||
        sign(key, time, scope, canonical, signature) != 0 ||
        snprintf(out, SIGV4_HEADER,
                 "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
                 key->access, scope, names, signature) >= SIGV4_HEADER) {
        return -ENOSPC;
    }
    return 0;
}

/* As a query has it. Returns false if it does not fit. */
static bool encode(const char *text, char *out, size_t cap)
{
    size_t at = 0;

    for (; *text != '\0' && at + 4 < cap; text++) {
        const bool plain = (*text >= '0' && *text <= '9') ||
                           (*text >= 'A' && *text <= 'Z') ||
                           (*text >= 'a' && *text <= 'z') || strchr("-._~", *text) != NULL;

        at += (size_t)snprintf(out + at, cap - at, plain ? "%c" : "%%%02X",
                               (unsigned char)*text);
    }
    out[at] = '\0';
    return *text == '\0';
}

int sigv4_query(const struct sigv4_key *key, const struct sigv4_request *request,
                uint32_t expires_s, char out[SIGV4_QUERY])
{
    char time[SIGV4_TIME], scope[SCOPE], credential[3 * SCOPE], encoded[SIGV4_HEADER];
    char canonical[CANONICAL], signature[SIGV4_HASH];
    int len;

    sigv4_time(request->at_s, time);
    if (!write_scope(key, time, scope) ||
        snprintf(credential, sizeof(credential), "%s/%s", key->access, scope) >=
            (int)sizeof(credential) ||
        !encode(credential, encoded, sizeof(encoded))) {
        return -ENOSPC;
    }
    len = snprintf(out, SIGV4_QUERY,
                   "%s%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s"
                   "&X-Amz-Expires=%u&X-Amz-SignedHeaders=host",
                   request->query, request->query[0] != '\0' ? "&" : "", encoded, time,
                   expires_s);
    if (len >= SIGV4_QUERY - SIGV4_HASH - 24 ||
        snprintf(canonical, CANONICAL, "%s\n%s\n%s\nhost:%s\n\nhost\n%s", request->method,
                 request->path, out, request->host, request->body) >= CANONICAL ||
        sign(key, time, scope, canonical, signature) != 0) {
        return -ENOSPC;
    }
    (void)snprintf(out + len, SIGV4_QUERY - (size_t)len, "&X-Amz-Signature=%s", signature);
    return 0;
}
