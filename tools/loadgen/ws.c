#include "loadgen/ws.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base64.h"
#include "sfu/base/bytes.h"

enum { KEY_TEXT = 24, ACCEPT_TEXT = 28 };

int ws_request_write(const char *host, const char *path, const uint8_t key[WS_KEY_LEN],
                     char *out, size_t cap)
{
    char text[KEY_TEXT + 1];
    int n;

    text[base64_encode(key, WS_KEY_LEN, text)] = '\0';
    n = snprintf(out, cap,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 path, host, text);
    return n < 0 || (size_t)n >= cap ? -ENOSPC : n;
}

/* What the server must answer to prove that it understood (RFC 6455, 4.2.2). */
static int accept_of(const uint8_t key[WS_KEY_LEN], char out[ACCEPT_TEXT + 1])
{
    char text[KEY_TEXT + 37] = "";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    (void)base64_encode(key, WS_KEY_LEN, text);
    memcpy(text + KEY_TEXT, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    if (EVP_Digest(text, KEY_TEXT + 36, digest, &len, EVP_sha1(), NULL) != 1) {
        return -ENOMEM;
    }
    out[base64_encode(digest, len, out)] = '\0';
    return 0;
}

/* The value of header 'name' (with its colon) in a head that ends with a 0, or NULL. */
static const char *header(const char *head, const char *name)
{
    for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0) {
            line += strlen(name);
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

int ws_response_parse(const char *data, size_t len, const uint8_t key[WS_KEY_LEN],
                      unsigned *status)
{
    char head[WS_RESPONSE_MAX + 1];
    char accept[ACCEPT_TEXT + 1];
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    const char *value;
    size_t head_len;

    *status = 0;
    if (end == NULL) {
        return len > WS_RESPONSE_MAX ? -EBADMSG : -EAGAIN;
    }
    head_len = (size_t)(end - data) + 4;
    if (head_len > WS_RESPONSE_MAX || head_len < 13 || strncmp(data, "HTTP/1.", 7) != 0) {
        return -EBADMSG;
    }
    memcpy(head, data, head_len);
    head[head_len] = '\0';
    *status = (unsigned)strtoul(head + 9, NULL, 10);
    if (*status != 101) {
        return -EPERM;
    }
    value = header(head, "Sec-WebSocket-Accept:");
    if (accept_of(key, accept) != 0 || value == NULL ||
        strncmp(value, accept, ACCEPT_TEXT) != 0) {
        return -EBADMSG;
    }
    return (int)head_len;
}

size_t ws_head_write(enum ws_opcode opcode, const uint8_t mask[WS_MASK_LEN], size_t len,
                     uint8_t out[WS_HEAD_MAX])
{
    struct wbytes w = wbytes_of(out, WS_HEAD_MAX);

    wbytes_u8(&w, (uint8_t)(0x80u | (unsigned)opcode));
    if (len < 126) {
        wbytes_u8(&w, (uint8_t)(0x80u | len));
    } else if (len <= UINT16_MAX) {
        wbytes_u8(&w, 0x80u | 126u);
        wbytes_be16(&w, (uint16_t)len);
    } else {
        wbytes_u8(&w, 0x80u | 127u);
        wbytes_be64(&w, len);
    }
    wbytes_put(&w, mask, WS_MASK_LEN);
    return wbytes_len(&w);
}

void ws_mask(const uint8_t mask[WS_MASK_LEN], uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        data[i] ^= mask[i % WS_MASK_LEN];
    }
}

int64_t ws_frame_parse(const uint8_t *data, size_t len, struct ws_frame *out)
{
    struct rbytes r = rbytes_of(data, len);
    uint8_t head = rbytes_u8(&r);
    uint8_t short_len = rbytes_u8(&r);
    uint64_t n = short_len & 0x7f;
    uint8_t opcode = head & 0x0f;

    if (r.bad) {
        return 0;
    }
    if ((head & 0x70) != 0 || (short_len & 0x80) != 0 ||
        (opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG ||
        (opcode >= WS_CLOSE && ((head & 0x80) == 0 || n > 125))) {
        return -EBADMSG;
    }
    if (n == 126) {
        n = rbytes_be16(&r);
    } else if (n == 127) {
        n = rbytes_be64(&r);
    }
    if (n > WS_MESSAGE_MAX) {
        return -EBADMSG;
    }
    out->data = rbytes_take(&r, n);
    if (r.bad) {
        return 0;
    }
    out->len = n;
    out->final = (head & 0x80) != 0;
    out->opcode = opcode;
    return (int64_t)(len - rbytes_left(&r));
}
