/* The frames of a WebSocket as its server sees them (RFC 6455, section 5): the client's
 * bytes become messages, pings and closes; the head of an outgoing frame is written. Of
 * extensions compressed messages are understood (ws_deflate.h). ws.c is the shell.
 *
 * Pure: no clock, no I/O; the memory of one message. What is wrong is told with the first
 * byte that makes it so, not with the end of its frame or message. */
#ifndef NET_WS_FRAME_H
#define NET_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_op {
    WS_OP_MORE = 0, /* continues a message */
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

enum {
    WS_CONTROL_MAX = 125, /* payload of a control frame (section 5.5) */
    WS_REASON_MAX = WS_CONTROL_MAX - 2,
    WS_HEAD_MAX = 10, /* of an unmasked frame */
    WS_HEAD_PACKED =
        0x40,            /* in the first byte of a head: compressed (RFC 7692, section 6) */
    WS_CODE_NONE = 1005, /* a close frame without a code (section 7.4.1) */
};

enum ws_in_what {
    WS_IN_NOTHING, /* all is taken, more is needed */
    WS_IN_MESSAGE,
    WS_IN_PING,
    WS_IN_CLOSE,
    WS_IN_BROKEN, /* against the protocol, or too long: what follows is passed over */
};

struct ws_in_event {
    const uint8_t *data; /* MESSAGE, PING; valid until the next call, never NULL */
    size_t len;
    bool binary;
    unsigned code;      /* CLOSE: the peer's or 1005; BROKEN: what to close with */
    const char *reason; /* BROKEN: a few words */
};

struct ws_inflate;

struct ws_in {
    size_t message_max;
    bool deflate;    /* compressed messages may come: permessage-deflate was agreed on */
    bool packed;     /* the message is one */
    size_t wire_len; /* of a compressed message: what has come of it */
    struct ws_inflate *z; /* while one is on its way */
    uint8_t head[14];
    uint8_t head_len;
    uint8_t op;
    bool fin;
    bool in_payload; /* the head is whole */
    bool in_message; /* a last fragment is still to come */
    bool binary;     /* the message */
    bool broken;
    bool told;       /* what 'msg' holds was given out */
    uint8_t mask[4]; /* turned to where the payload goes on */
    uint64_t left;   /* of the frame's payload */
    uint8_t control[WS_CONTROL_MAX];
    uint8_t control_len;
    uint8_t *msg; /* the message so far, if it did not come in one piece */
    size_t msg_len;
    size_t msg_cap;
    size_t checked; /* of it is UTF-8, if it is text */
};

/* message_max  bytes; a longer message is BROKEN with 1009 as soon as a head tells it, a
 *              compressed one as soon as it has grown beyond
 * deflate      compressed messages may come: each by itself (RFC 7692) */
void ws_in_init(struct ws_in *in, size_t message_max, bool deflate);
void ws_in_fini(struct ws_in *in);

/* Takes bytes from '*data' (borrowed and changed: they are unmasked in place), moving
 * '*data' and '*len' past them, up to the next thing to tell, with which it fills 'out'.
 * Unasked pongs are passed over. Call until NOTHING. A message that lies whole in '*data'
 * is not copied. */
enum ws_in_what ws_in_next(struct ws_in *in, uint8_t **data, size_t *len,
                           struct ws_in_event *out);

/* Writes the head of a whole, unmasked frame of 'len' payload bytes. Returns its length. */
size_t ws_head_write(uint8_t out[WS_HEAD_MAX], enum ws_op op, size_t len);

/* True if 'key' is what a handshake needs: 16 bytes in base64 (section 4.2.1). */
bool ws_key_ok(const char *key);

#endif
