#include "dtls/dtls_fp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t len;
} hashes[N_DTLS_HASHES] = {
    [DTLS_SHA1] = {"sha-1", 20},
    [DTLS_SHA256] = {"sha-256", 32},
    [DTLS_SHA384] = {"sha-384", 48},
    [DTLS_SHA512] = {"sha-512", 64},
};

const char *dtls_hash_name(enum dtls_hash hash)
{
    return hashes[hash].name;
}

size_t dtls_hash_len(enum dtls_hash hash)
{
    return hashes[hash].len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int dtls_fp_parse(const char *name, const char *value, struct dtls_fp *out)
{
    struct dtls_fp fp = {.hash = 0};
    size_t len;

    while (fp.hash < N_DTLS_HASHES && strcasecmp(name, hashes[fp.hash].name) != 0) {
        fp.hash++;
    }
    if (fp.hash == N_DTLS_HASHES) {
        return -ENOTSUP;
    }
    len = hashes[fp.hash].len;
    if (strlen(value) != 3 * len - 1) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(value[3 * i]);
        int low = hex_digit(value[3 * i + 1]);

        if (high < 0 || low < 0 || (i + 1 < len && value[3 * i + 2] != ':')) {
            return -EBADMSG;
        }
        fp.value[i] = (uint8_t)(high << 4 | low);
    }
    fp.len = (uint8_t)len;
    *out = fp;
    return 0;
}

void dtls_fp_text(const struct dtls_fp *fp, char out[DTLS_FP_TEXT])
{
    out[0] = '\0';
    for (size_t i = 0; i < fp->len && i < DTLS_FP_BYTES; i++) {
        (void)snprintf(out + (i == 0 ? 0 : 3 * i - 1), 4, i == 0 ? "%02X" : ":%02X",
                       fp->value[i]);
    }
}
