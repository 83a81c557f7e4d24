/* One outgoing Engine.IO packet as a refcounted buffer: encoded once, queued on any number
 * of sessions (a broadcast), written by each from the same bytes.
 *
 * The packet is in WebSocket form: text packets begin with their type digit, binary ones
 * are bare payload. The polling form is derived from it when a poll is answered. In front
 * of the packet are EIO_MSG_HEADROOM bytes into which a listener may write its framing;
 * because the buffer is shared, that must be the same bytes for each reader, or be done
 * again before each write.
 *
 * Thread: all references live on one thread (the count is not atomic). */
#ifndef PROTO_EIO_MSG_H
#define PROTO_EIO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EIO_MSG_HEADROOM = 32 };

/* The packet types of Engine.IO v4, as they stand on the wire. */
enum eio_type {
    EIO_OPEN = '0',
    EIO_CLOSE = '1',
    EIO_PING = '2',
    EIO_PONG = '3',
    EIO_MESSAGE = '4',
    EIO_UPGRADE = '5',
    EIO_NOOP = '6'
};

struct eio_msg {
    uint32_t refs;
    uint32_t len; /* of the packet, without the headroom */
    bool binary;
    uint64_t topic; /* of what a newer one about the same makes stale; 0: it has to arrive */
    uint8_t data[]; /* headroom, packet */
};

/* Make a text packet of 'type', or a binary message, around a copy of the payload. One
 * reference belongs to the caller. Return NULL if there is no memory, or if the payload
 * does not fit 32 bits. */
struct eio_msg *eio_msg_text(enum eio_type type, const void *payload, size_t len);
struct eio_msg *eio_msg_binary(const void *payload, size_t len);

/* Adds a reference; returns 'msg'. */
struct eio_msg *eio_msg_ref(struct eio_msg *msg);

/* Gives one reference back; the last frees. NULL is a no-op. */
void eio_msg_unref(struct eio_msg *msg);

static inline uint8_t *eio_msg_packet(struct eio_msg *msg)
{
    return msg->data + EIO_MSG_HEADROOM;
}

/* Length of the packet in a polling payload (without separator): binary is 'b' and base64.
 */
size_t eio_msg_poll_len(const struct eio_msg *msg);

/* Writes the packet in polling form to 'out' (eio_msg_poll_len() bytes). Returns its
 * length. */
size_t eio_msg_poll_write(const struct eio_msg *msg, char *out);

#endif
