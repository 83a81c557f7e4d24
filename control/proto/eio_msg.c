#include "proto/eio_msg.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"

static struct eio_msg *msg_alloc(bool binary, size_t len)
{
    struct eio_msg *msg;

    if (len >= UINT32_MAX) {
        return NULL;
    }
    msg = malloc(sizeof(*msg) + EIO_MSG_HEADROOM + len);
    if (msg != NULL) {
        msg->refs = 1;
        msg->len = (uint32_t)len;
        msg->binary = binary;
        msg->topic = 0;
    }
    return msg;
}

struct eio_msg *eio_msg_text(enum eio_type type, const void *payload, size_t len)
{
    struct eio_msg *msg = len < UINT32_MAX ? msg_alloc(false, len + 1) : NULL;

    if (msg != NULL) {
        eio_msg_packet(msg)[0] = (uint8_t)type;
        if (len > 0) {
            memcpy(eio_msg_packet(msg) + 1, payload, len);
        }
    }
    return msg;
}

struct eio_msg *eio_msg_binary(const void *payload, size_t len)
{
    struct eio_msg *msg = msg_alloc(true, len);

    if (msg != NULL && len > 0) {
        memcpy(eio_msg_packet(msg), payload, len);
    }
    return msg;
}

struct eio_msg *eio_msg_ref(struct eio_msg *msg)
{
    msg->refs++;
    return msg;
}

void eio_msg_unref(struct eio_msg *msg)
{
    if (msg != NULL && --msg->refs == 0) {
        free(msg);
    }
}

size_t eio_msg_poll_len(const struct eio_msg *msg)
{
    return msg->binary ? 1 + base64_encoded_len(msg->len) : msg->len;
}

size_t eio_msg_poll_write(const struct eio_msg *msg, char *out)
{
    const uint8_t *packet = msg->data + EIO_MSG_HEADROOM;

    if (!msg->binary) {
        memcpy(out, packet, msg->len);
        return msg->len;
    }
    out[0] = 'b';
    return 1 + base64_encode(packet, msg->len, out + 1);
}
