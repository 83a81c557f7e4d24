/* The server side of one Engine.IO v4 session: handshake, both transports, the upgrade from
 * one to the other, heartbeat, close. Fed with what a listener saw; says what to write.
 * Neighbours: a listener below (HTTP and WebSocket), socketio.h above.
 *
 * Sans-IO: no socket, no clock, no randomness. All times are microseconds of one monotonic
 * clock. Thread: one at a time. After any call that is fed an event the caller looks for
 * output: eio_poll_len(), eio_take_frame(), eio_ws_must_close(), then eio_done().
 *
 * Callbacks run inside of the call that caused them. They may call eio_send() and
 * eio_close(), but must not destroy the session: ask eio_done() after the call.
 *
 * https://github.com/socketio/engine.io-protocol, revision 4. */
#ifndef PROTO_ENGINEIO_H
#define PROTO_ENGINEIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/eio_msg.h"

enum { EIO_SID_MAX = 32 };

/* What an HTTP request is refused with; EIO_TOO_LARGE has no code of the protocol. */
enum eio_error {
    EIO_OK,
    EIO_UNKNOWN_TRANSPORT, /* code 0 */
    EIO_UNKNOWN_SID,       /* code 1 */
    EIO_BAD_METHOD,        /* code 2 */
    EIO_BAD_REQUEST,       /* code 3 */
    EIO_BAD_VERSION,       /* code 5 */
    EIO_TOO_LARGE
};

/* HTTP status and JSON body for a refusal; both constant. */
int eio_error_status(enum eio_error error);
const char *eio_error_body(enum eio_error error);

enum eio_reason {
    EIO_REASON_CLIENT,       /* the client said close */
    EIO_REASON_TRANSPORT,    /* its connection ended */
    EIO_REASON_PING_TIMEOUT, /* no pong in time */
    EIO_REASON_PARSE,        /* malformed packet, or one that has no place here */
    EIO_REASON_TOO_LARGE,    /* a WebSocket message above max_payload */
    EIO_REASON_CONCURRENT,   /* two polls or two posts at once */
    EIO_REASON_OVERFLOW,     /* it reads too slowly: the outgoing queue is full */
    EIO_REASON_NO_MEMORY,
    EIO_REASON_SERVER /* eio_close() */
};

/* Constant text, in the words that Socket.IO users know where there are such. */
const char *eio_reason_name(enum eio_reason reason);

struct eio_conf {
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t upgrade_timeout_ms; /* from the probe's connection to its '5' */
    uint32_t max_payload;        /* bytes of one POST or one WebSocket message, incoming */
    /* Outgoing messages that wait. Once a quarter of that does, those with a topic give way
     * to newer ones of it, and all of them before there are more than this; that is counted.
     * More still closes the session. */
    uint32_t max_queue_msgs;
    uint32_t max_queue_bytes;
    uint64_t *n_left_out; /* borrowed; may be NULL */
};

struct eio_callbacks {
    /* One message; data is borrowed. Text is not checked to be UTF-8. */
    void (*on_message)(void *ctx, bool binary, const uint8_t *data, size_t len);
    /* Once, whoever closes. No message comes after it. */
    void (*on_close)(void *ctx, enum eio_reason reason);
};

struct eio_session;

/* An HTTP request to the Engine.IO path, before it has reached a session. Strings are
 * borrowed; NULL means that the query has no such key. */
struct eio_request {
    bool get;
    bool post;
    bool upgrade; /* it asks for a WebSocket */
    const char *eio;
    const char *transport;
    const char *sid;
};

/* Judges a request: EIO_OK with a null 'sid' opens a session, EIO_OK with one goes to
 * 'session' (the one that the caller found by sid; null if there is none). */
enum eio_error eio_vet(const struct eio_request *req, const struct eio_session *session);

/* Opens a session whose first request (a GET that waits, or an established WebSocket) has
 * been vetted. The open packet is at once ready to be taken.
 *
 * conf, cb   borrowed, copied
 * sid        unguessable, 1..EIO_SID_MAX of A-Z a-z 0-9 - _; copied
 * websocket  the transport
 *
 * Returns 0, -EINVAL for a bad sid, -ENOMEM. */
int eio_create(struct eio_session **out, const struct eio_conf *conf,
               const struct eio_callbacks *cb, void *ctx, const char *sid, bool websocket,
               uint64_t now_us);

/* Frees the session and what it queued. No callback is called. NULL is a no-op. */
void eio_destroy(struct eio_session *s);

const char *eio_sid(const struct eio_session *s);

/* ---- what the listener saw ---- */

/* A GET came. EIO_OK: it waits until eio_poll_len() is not 0. A second one at a time closes
 * the session; that one is refused and the first is answered with a close packet. */
enum eio_error eio_on_poll(struct eio_session *s, uint64_t now_us);

/* The connection of the waiting GET ended before its answer: closes the session. */
void eio_on_poll_aborted(struct eio_session *s);

/* The head of a POST came, 'content_len' bytes are announced (0 if unknown). A second one
 * at a time closes the session. After EIO_OK exactly one of the two calls below follows. */
enum eio_error eio_on_post_begin(struct eio_session *s, size_t content_len,
                                 uint64_t now_us);

/* The whole body is here. EIO_OK: answer 200 "ok". A malformed one closes the session. */
enum eio_error eio_on_post(struct eio_session *s, const char *body, size_t len,
                           uint64_t now_us);
void eio_on_post_aborted(struct eio_session *s);

/* A WebSocket with this session's sid was established, to upgrade. Returns 0, or -EPERM if
 * the session has one already or is closed: the caller closes the new one; nothing else
 * changes. */
int eio_on_ws_open(struct eio_session *s, uint64_t now_us);

/* One whole WebSocket message. */
void eio_on_ws_frame(struct eio_session *s, bool binary, const uint8_t *data, size_t len,
                     uint64_t now_us);

/* The WebSocket ended, whoever ended it. Before the upgrade the session lives on. */
void eio_on_ws_closed(struct eio_session *s);

/* Time has passed: pings, times out. */
void eio_on_tick(struct eio_session *s, uint64_t now_us);

/* When eio_on_tick() next has something to do; UINT64_MAX if never. */
uint64_t eio_deadline(const struct eio_session *s);

/* ---- what the application wants ---- */

/* Queues a message made by eio_msg_text(EIO_MESSAGE, …) or eio_msg_binary(). 'msg' is
 * borrowed: the queue takes its own reference.
 *
 * Returns 0, -EPIPE if the session is closed, -ENOSPC or -ENOMEM: then it closes now. */
int eio_send(struct eio_session *s, struct eio_msg *msg);

/* Closes. What is queued is still delivered: on a WebSocket before it is closed, on polling
 * with the waiting GET or, if none waits, with one that comes within the ping timeout. */
void eio_close(struct eio_session *s, uint64_t now_us);

bool eio_is_closed(const struct eio_session *s);

/* ---- what the listener shall do ---- */

/* Length of the body with which to answer the waiting GET now; 0: let it wait. */
size_t eio_poll_len(const struct eio_session *s);

/* Writes that body (status 200) to 'out', which has eio_poll_len() bytes. The GET waits no
 * longer. Returns the length. */
size_t eio_take_poll(struct eio_session *s, char *out);

/* The next WebSocket message to write, moved to the caller (eio_msg_unref() it), or NULL.
 */
struct eio_msg *eio_take_frame(struct eio_session *s);

/* True if the WebSocket shall be closed, after all frames were taken. Stays so until
 * eio_on_ws_closed(). */
bool eio_ws_must_close(const struct eio_session *s);

/* True if the session is closed and nothing of it waits: destroy it. */
bool eio_done(const struct eio_session *s);

#endif
