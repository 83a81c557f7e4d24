/* The client side of a WebSocket connection as bytes: the opening request and its answer,
 * frames out, messages in.
 *
 * Sans-IO: no socket, no clock, no randomness (keys and masks are given).
 * RFC 6455; no extensions, no subprotocol. */
#ifndef LOADGEN_WS_H
#define LOADGEN_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_KEY_LEN = 16,
    WS_MASK_LEN = 4,
    WS_HEAD_MAX = 14,          /* of a frame that we send */
    WS_RESPONSE_MAX = 8192,    /* of the answer to the opening request */
    WS_MESSAGE_MAX = 16 << 20, /* incoming; more is an error */
};

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Writes the opening request and a final 0 to 'out'. Returns its length, or -ENOSPC. */
int ws_request_write(const char *host, const char *path, const uint8_t key[WS_KEY_LEN],
                     char *out, size_t cap);

/* Reads the answer to that request. Returns the bytes that it takes of 'data' (what follows
 * are frames), -EAGAIN if it is not all there, -EBADMSG if it is none, or -EPERM if the
 * server refuses; 'status' is then its HTTP status (0 if unknown). */
int ws_response_parse(const char *data, size_t len, const uint8_t key[WS_KEY_LEN],
                      unsigned *status);

/* Writes the head of a final frame with 'len' bytes of data, to 'out'. Returns its length.
 */
size_t ws_head_write(enum ws_opcode opcode, const uint8_t mask[WS_MASK_LEN], size_t len,
                     uint8_t out[WS_HEAD_MAX]);

/* Masks a frame's data in place; the same again takes it off. */
void ws_mask(const uint8_t mask[WS_MASK_LEN], uint8_t *data, size_t len);

/* One frame of a buffer. */
struct ws_frame {
    const uint8_t *data; /* borrowed */
    size_t len;
    bool final;
    uint8_t opcode; /* 0: goes on with the message before */
};

/* Reads the first frame of 'data'. Returns the bytes that it takes, 0 if it is not all
 * there, or -EBADMSG: masked, reserved bits, an opcode that is none, a control frame in
 * parts or too long, more than WS_MESSAGE_MAX. */
int64_t ws_frame_parse(const uint8_t *data, size_t len, struct ws_frame *out);

#endif
