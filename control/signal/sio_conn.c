#include "signal/sio_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/entropy.h"
#include "sys/log.h"

struct sio_conn {
    struct engine_peer *peer;
    const struct sio_conf *conf;
    struct sio_decoder decoder;
    struct sio_socket sockets[SIO_CONN_SOCKETS];
};

void *sio_conn_on_open(void *conf, struct engine_peer *peer)
{
    struct sio_conn *conn = calloc(1, sizeof(*conn));

    if (conn != NULL) {
        conn->peer = peer;
        conn->conf = conf;
        sio_decoder_init(&conn->decoder, conn->conf->max_payload);
        engine_expect(peer, SIO_CONN_OPEN_MS);
    }
    return conn;
}

struct engine_peer *sio_conn_peer(const struct sio_conn *conn)
{
    return conn->peer;
}

/* ---- out ---- */

void sio_conn_send(struct sio_socket *socket, struct eio_msg *msg)
{
    engine_send(socket->conn->peer, msg);
}

static void send_packet(struct sio_conn *conn, const struct sio_packet *packet)
{
    struct eio_msg *msg;

    if (sio_packet_write(packet, &msg) != 0) {
        return;
    }
    engine_send(conn->peer, msg);
    eio_msg_unref(msg);
    for (size_t i = 0; i < packet->n_attachments; i++) {
        msg = eio_msg_binary(packet->attachments[i].data, packet->attachments[i].len);
        if (msg == NULL) { /* the client waits for it in vain: better that it comes again */
            engine_drop(conn->peer);
            return;
        }
        engine_send(conn->peer, msg);
        eio_msg_unref(msg);
    }
}

void sio_conn_packet(struct sio_socket *socket, enum sio_type type, const uint64_t *id,
                     json_t *data, const struct sio_blob *attachments, size_t n_attachments)
{
    struct sio_packet packet = {.type = type, .has_id = id != NULL, .data = data};

    if (id != NULL) {
        packet.id = *id;
    }
    memcpy(packet.nsp, socket->nsp, strlen(socket->nsp) + 1);
    packet.n_attachments = n_attachments;
    for (size_t i = 0; i < n_attachments; i++) {
        packet.attachments[i] = attachments[i];
    }
    if (data != NULL) {
        send_packet(socket->conn, &packet);
    }
    json_decref(data);
}

/* ---- in ---- */

static struct sio_socket *find_socket(struct sio_conn *conn, const char *nsp)
{
    for (size_t i = 0; i < SIO_CONN_SOCKETS; i++) {
        struct sio_socket *socket = &conn->sockets[i];

        if (socket->conn != NULL && strcmp(socket->nsp, nsp) == 0) {
            return socket;
        }
    }
    return NULL;
}

static bool has_sockets(const struct sio_conn *conn)
{
    for (size_t i = 0; i < SIO_CONN_SOCKETS; i++) {
        if (conn->sockets[i].conn != NULL) {
            return true;
        }
    }
    return false;
}

/* A slot for the namespace, NULL if there is none left. */
static struct sio_socket *take_socket(struct sio_conn *conn, const char *nsp)
{
    for (size_t i = 0; i < SIO_CONN_SOCKETS; i++) {
        struct sio_socket *socket = &conn->sockets[i];

        if (socket->conn == NULL) {
            memset(socket, 0, sizeof(*socket));
            socket->conn = conn;
            memcpy(socket->nsp, nsp, strlen(nsp) + 1);
            entropy_id(socket->id, SIO_CONN_SID);
            return socket;
        }
    }
    return NULL;
}

static void refuse(struct sio_conn *conn, const char *nsp, const struct sio_refusal *why)
{
    struct sio_packet packet = {.type = SIO_CONNECT_ERROR};

    memcpy(packet.nsp, nsp, strlen(nsp) + 1);
    packet.data = why->code != NULL ? json_pack("{s:s,s:{s:s}}", "message", why->message,
                                                "data", "code", why->code)
                                    : json_pack("{s:s}", "message", why->message);
    if (packet.data != NULL) {
        send_packet(conn, &packet);
    }
    sio_packet_fini(&packet);
}

static void on_connect(struct sio_conn *conn, const struct sio_packet *packet)
{
    const struct sio_conn_ops *ops = conn->conf->ops;
    struct sio_refusal why = {.message = "too many namespaces"};
    struct sio_socket *socket = take_socket(conn, packet->nsp);

    if (socket == NULL) {
        refuse(conn, packet->nsp, &why);
        return;
    }
    if (!ops->on_connect(conn->conf->user, socket, packet->data, &why)) {
        socket->conn = NULL;
        refuse(conn, packet->nsp, &why);
        return;
    }
    engine_expect(conn->peer, 0);
    sio_conn_packet(socket, SIO_CONNECT, NULL, json_pack("{s:s}", "sid", socket->id), NULL,
                    0);
    if (ops->on_open != NULL) {
        ops->on_open(conn->conf->user, socket, packet->data);
    }
}

static void on_disconnect(struct sio_conn *conn, struct sio_socket *socket)
{
    conn->conf->ops->on_close(conn->conf->user, socket, true,
                              "client namespace disconnect");
    socket->conn = NULL;
    if (!has_sockets(conn)) {
        engine_expect(conn->peer, SIO_CONN_OPEN_MS);
    }
}

static void on_packet(struct sio_conn *conn, struct sio_packet *packet)
{
    struct sio_socket *socket = find_socket(conn, packet->nsp);

    if (socket != NULL ? packet->type == SIO_CONNECT || packet->type == SIO_CONNECT_ERROR
                       : packet->type != SIO_CONNECT) {
        log_debug("socketio_wrong_state", LOG_I64("type", (int64_t)packet->type));
        engine_close(conn->peer);
        return;
    }
    switch (packet->type) {
    case SIO_CONNECT:
        on_connect(conn, packet);
        break;
    case SIO_DISCONNECT:
        on_disconnect(conn, socket);
        break;
    case SIO_EVENT:
    case SIO_BINARY_EVENT:
        conn->conf->ops->on_event(conn->conf->user, socket, packet);
        break;
    default: /* acks: we ask for none */
        break;
    }
}

void sio_conn_on_message(void *arg, bool binary, const uint8_t *data, size_t len)
{
    struct sio_conn *conn = arg;
    struct sio_packet packet = {.data = NULL};
    int e = binary
                ? sio_decoder_feed_binary(&conn->decoder, data, len, &packet)
                : sio_decoder_feed_text(&conn->decoder, (const char *)data, len, &packet);

    if (e == -EAGAIN) {
        return; /* attachments are still to come */
    }
    if (e != 0) {
        log_debug("socketio_bad_packet", LOG_I64("error", e));
        engine_close(conn->peer);
        return;
    }
    on_packet(conn, &packet);
    sio_packet_fini(&packet);
}

void sio_conn_on_close(void *arg, const char *reason)
{
    struct sio_conn *conn = arg;

    for (size_t i = 0; i < SIO_CONN_SOCKETS; i++) {
        if (conn->sockets[i].conn != NULL) {
            conn->conf->ops->on_close(conn->conf->user, &conn->sockets[i], false, reason);
        }
    }
    sio_decoder_fini(&conn->decoder);
    free(conn);
}
