/* Packets of the Socket.IO protocol v5 (what Socket.IO v4 clients speak): parse, write, and
 * the reassembly of binary attachments. Neighbours: engineio.h carries the packets, the
 * shell above knows namespaces, events and the time limit for CONNECT.
 *
 * Pure: no I/O, no clock. Payloads are jansson values. An attachment stands in 'data' as
 * the object {"_placeholder":true,"num":i}, and its bytes in attachments[i].
 *
 * https://github.com/socketio/socket.io-protocol, revision 5. */
#ifndef PROTO_SOCKETIO_H
#define PROTO_SOCKETIO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/eio_msg.h"

enum {
    SIO_MAX_ATTACHMENTS = 16,
    SIO_MAX_DEPTH = 32, /* of arrays and objects in one payload */
    SIO_NSP_MAX = 63    /* characters of a namespace */
};

/* As on the wire. */
enum sio_type {
    SIO_CONNECT = 0,
    SIO_DISCONNECT = 1,
    SIO_EVENT = 2,
    SIO_ACK = 3,
    SIO_CONNECT_ERROR = 4,
    SIO_BINARY_EVENT = 5,
    SIO_BINARY_ACK = 6
};

struct sio_blob {
    uint8_t *data;
    size_t len;
};

struct sio_packet {
    enum sio_type type;
    char nsp[SIO_NSP_MAX + 1]; /* begins with '/' */
    bool has_id;
    uint64_t id;  /* of the ack, below 2^53 */
    json_t *data; /* owned; null if the packet has none */
    /* Of an event: what is wrong with its JSON though it could be read (a key twice, a
     * number that no integer holds), so that its sender can be told. Constant; else NULL.
     */
    const char *fault;
    size_t n_attachments;
    struct sio_blob attachments[SIO_MAX_ATTACHMENTS]; /* owned */
};

/* Gives back what the packet owns and empties it. */
void sio_packet_fini(struct sio_packet *packet);

/* Parses the text of one packet. For the binary types 'n_attachments' is set and the blobs
 * are empty; sio_decoder below does the rest.
 *
 * text  borrowed
 * out   filled, to be given to sio_packet_fini(); untouched on failure
 *
 * Returns 0, or -EBADMSG: unknown type, a namespace too long, an id that is no number, JSON
 * that is malformed or too deep, a payload that the type does not have (an EVENT is a
 * non-empty array that begins with an event's name, and not one of the reserved names; an
 * ACK is an array and has an id), too many attachments, a placeholder for none of them. */
int sio_packet_parse(const char *text, size_t len, struct sio_packet *out);

/* Writes the text of a packet as an Engine.IO message, moved to the caller. The attachments
 * go behind it, each as eio_msg_binary().
 *
 * Returns 0, -EINVAL for a packet that sio_packet_parse() would refuse by its shape (binary
 * type and attachments do not agree, data of the wrong kind, a bad namespace), -ENOMEM. */
int sio_packet_write(const struct sio_packet *packet, struct eio_msg **out);

/* The packet [name, data] on 'nsp' as a message: what servers mostly send. 'data' may be
 * null (an event without argument) and is borrowed. Errors as above. */
int sio_event_write(const char *nsp, const char *name, json_t *data, struct eio_msg **out);

/* A new placeholder for attachment 'num', or NULL without memory. */
json_t *sio_placeholder(size_t num);

/* The attachment that 'value' stands for, or -1 if it is no placeholder. */
int sio_placeholder_num(const json_t *value);

/* Collects a packet and its attachments. */
struct sio_decoder {
    size_t max_bytes; /* all attachments of one packet together */
    bool waiting;     /* 'packet' lacks attachments */
    size_t n_have;
    size_t bytes;
    struct sio_packet packet;
};

void sio_decoder_init(struct sio_decoder *dec, size_t max_bytes);
void sio_decoder_fini(struct sio_decoder *dec);

/* One Engine.IO message. On 0 'out' is filled and owned by the caller.
 *
 * Returns 0; -EAGAIN when attachments are still to come; -EBADMSG for a malformed packet,
 * text between attachments or binary without a packet; -ENOSPC above 'max_bytes'; -ENOMEM.
 * After an error the decoder is empty; the session should be closed. */
int sio_decoder_feed_text(struct sio_decoder *dec, const char *text, size_t len,
                          struct sio_packet *out);
int sio_decoder_feed_binary(struct sio_decoder *dec, const uint8_t *data, size_t len,
                            struct sio_packet *out);

#endif
