#include "proto/base64.h"

#include <errno.h>

static const char STD[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Full groups, then 2 or 3 characters for what is left. */
static size_t encode(const char *alphabet, const uint8_t *data, size_t len, char *out)
{
    char *p = out;
    size_t i;

    for (i = 0; i + 3 <= len; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];

        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = alphabet[v >> 6 & 63];
        *p++ = alphabet[v & 63];
    }
    if (len - i == 1) {
        *p++ = alphabet[data[i] >> 2];
        *p++ = alphabet[(data[i] & 3) << 4];
    } else if (len - i == 2) {
        *p++ = alphabet[data[i] >> 2];
        *p++ = alphabet[(data[i] & 3) << 4 | data[i + 1] >> 4];
        *p++ = alphabet[(data[i + 1] & 15) << 2];
    }
    return (size_t)(p - out);
}

size_t base64_encode(const uint8_t *data, size_t len, char *out)
{
    size_t n = encode(STD, data, len, out);

    while (n % 4 != 0) {
        out[n++] = '=';
    }
    return n;
}

size_t base64url_encode(const uint8_t *data, size_t len, char *out)
{
    return encode(URL, data, len, out);
}

/* The six bits that 'c' stands for, or -1. */
static int value_of(char c, char c62, char c63)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == c62 ? 62 : c == c63 ? 63 : -1;
}

static int decode(const char *text, size_t len, char c62, char c63, uint8_t *out,
                  size_t *out_len)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;

    if (len % 4 == 1) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < len; i++) {
        int v = value_of(text[i], c62, c63);

        if (v < 0) {
            return -EBADMSG;
        }
        bits = bits << 6 | (uint32_t)v;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    if ((bits & ((1u << n_bits) - 1)) != 0) {
        return -EBADMSG;
    }
    *out_len = n;
    return 0;
}

int base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    if (len % 4 != 0) {
        return -EBADMSG;
    }
    if (len > 0 && text[len - 1] == '=') {
        len -= text[len - 2] == '=' ? 2 : 1;
    }
    return decode(text, len, STD[62], STD[63], out, out_len);
}

int base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    return decode(text, len, URL[62], URL[63], out, out_len);
}
