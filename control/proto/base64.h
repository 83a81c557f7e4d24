/* Base64 in its two alphabets, strict: the standard one with padding (binary packets of
 * Engine.IO polling) and the URL one without (tokens).
 *
 * Pure: no allocation. RFC 4648, sections 4 and 5. */
#ifndef PROTO_BASE64_H
#define PROTO_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters that 'len' bytes become, padding included. */
static inline size_t base64_encoded_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

static inline size_t base64url_encoded_len(size_t len)
{
    return (len * 4 + 2) / 3;
}

/* Bytes that 'len' characters can become at most. */
static inline size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

/* Write exactly base64_encoded_len(len) or base64url_encoded_len(len) characters to 'out',
 * no terminator. Return that number. */
size_t base64_encode(const uint8_t *data, size_t len, char *out);
size_t base64url_encode(const uint8_t *data, size_t len, char *out);

/* Decodes 'len' characters into 'out' (base64_decoded_max(len) bytes, filled) and tells how
 * many bytes in 'out_len'.
 *
 * Returns 0, or -EBADMSG for a foreign character, missing (base64) or present (base64url)
 * padding, or bits behind the last byte that are not zero: one value has one spelling. */
int base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);
int base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);

#endif
