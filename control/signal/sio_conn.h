/* Socket.IO on one Engine.IO session: which namespaces its client has opened, its packets,
 * and what is sent to it. What the events mean is the business of the user (client.c here).
 * Above engine.h and proto/socketio.h.
 *
 * Two sides that do not agree on their state (a packet for a namespace that is not open, a
 * second CONNECT, a malformed packet) end the session, as Socket.IO's own server does.
 * Thread: the loop's. */
#ifndef SIGNAL_SIO_CONN_H
#define SIGNAL_SIO_CONN_H

#include <jansson.h>

#include "proto/socketio.h"
#include "signal/engine.h"

enum {
    SIO_CONN_SID = 20,        /* characters of a socket's id */
    SIO_CONN_SOCKETS = 4,     /* namespaces that one client may have open */
    SIO_CONN_OPEN_MS = 45000, /* for the first namespace, as the clients' connectTimeout */
};

struct sio_conn;

/* A client in a namespace. */
struct sio_socket {
    struct sio_conn *conn; /* NULL: not in use */
    void *data;            /* the user's */
    char id[SIO_CONN_SID + 1];
    char nsp[SIO_NSP_MAX + 1];
};

struct sio_refusal {
    const char *message; /* constant */
    const char *code;    /* constant; stands in 'data'; may be NULL */
};

struct sio_conn_ops {
    /* A client asks for a namespace. 'auth' is the handshake's, borrowed, NULL if it sent
     * none. Returns true to let it in, or false with 'why' filled: then 'socket' is gone
     * after the call. Nothing may be sent yet. */
    bool (*on_connect)(void *user, struct sio_socket *socket, const json_t *auth,
                       struct sio_refusal *why);

    /* It was told that it is in: what is sent now comes first. May be NULL. */
    void (*on_open)(void *user, struct sio_socket *socket, const json_t *auth);

    /* EVENT, BINARY_EVENT: packet->data is [name, argument…]. The handler may take data and
     * attachments out of the packet. */
    void (*on_event)(void *user, struct sio_socket *socket, struct sio_packet *packet);

    /* 'socket' is gone after this call. 'left': its client left the namespace, else the
     * connection ended. 'reason' is a constant. */
    void (*on_close)(void *user, struct sio_socket *socket, bool left, const char *reason);
};

struct sio_conf {
    const struct sio_conn_ops *ops;
    void *user;
    size_t max_payload; /* of all attachments of one packet */
};

/* For engine_ops: 'user' of the engine is a struct sio_conf that outlives it. */
void *sio_conn_on_open(void *conf, struct engine_peer *peer);
void sio_conn_on_message(void *conn, bool binary, const uint8_t *data, size_t len);
void sio_conn_on_close(void *conn, const char *reason);

struct engine_peer *sio_conn_peer(const struct sio_conn *conn);

/* Queues a message that sio_event_write() made for the socket's namespace. */
void sio_conn_send(struct sio_socket *socket, struct eio_msg *msg);

/* Queues a packet of 'type' for the socket's namespace, and its attachments.
 *
 * id           the ack's, or NULL
 * data         moved; NULL (no memory): nothing is sent
 * attachments  borrowed; what the placeholders in 'data' stand for */
void sio_conn_packet(struct sio_socket *socket, enum sio_type type, const uint64_t *id,
                     json_t *data, const struct sio_blob *attachments,
                     size_t n_attachments);

#endif
