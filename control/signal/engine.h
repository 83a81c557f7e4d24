/* Engine.IO sessions on the listener: its requests and WebSockets to eio_session objects,
 * their output to answers and frames, their deadlines to timers. What is in the messages is
 * the business of whoever made it (sio_conn.h for Socket.IO).
 *
 * The owner of the listener passes on what belongs here: every request and every WebSocket
 * below the path. Thread: the loop's. */
#ifndef SIGNAL_ENGINE_H
#define SIGNAL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/eio_msg.h"
#include "signal/callers.h"

struct engine;
struct engine_peer; /* one session */
struct loop;
struct net_req;
struct net_ws;
struct trace;

enum { ENGINE_REMOTE = 64 }; /* bytes of an address and port */

struct engine_conf {
    struct loop *loop;
    const char *path; /* "/socket.io/" */
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t max_payload;
    uint32_t max_peers;
    struct callers_conf callers; /* of each address */
};

struct engine_ops {
    /* A session was opened: returns what the calls below get as 'ctx', or NULL without
     * memory, and then the session does not come about. */
    void *(*on_open)(void *user, struct engine_peer *peer);

    /* One message; 'data' is borrowed. */
    void (*on_message)(void *ctx, bool binary, const uint8_t *data, size_t len);

    /* The session has ended, whoever ended it; nothing comes after it and 'peer' must not
     * be used any more. Never from within a call to a function of this header but
     * engine_destroy(), nor within on_message. 'reason' is a constant. */
    void (*on_close)(void *ctx, const char *reason);
};

/* All of conf, and ops, are borrowed for the life of the object. Returns 0 or -ENOMEM. */
int engine_create(struct engine **out, const struct engine_conf *conf,
                  const struct engine_ops *ops, void *user);

/* Ends every session. NULL is a no-op. */
void engine_destroy(struct engine *engine);

uint32_t engine_n_peers(const struct engine *engine);

/* Messages with a topic that sessions by long-polling were not sent, for they had not
 * fetched what was before them; of WebSockets the listener knows. */
uint64_t engine_n_left_out(const struct engine *engine);
void engine_set_limits(struct engine *engine, uint32_t max_peers,
                       const struct callers_conf *callers);

/* ---- from the listener; see net.h ---- */

/* True if the request's path is ours: it is then ours to answer. */
bool engine_on_request(struct engine *engine, struct net_req *req);

/* A request that engine_on_request() took was abandoned by its client. This and the last
 * two find their session by what they are about, and do nothing if it is gone: the listener
 * may outlive the engine. */
void engine_on_abort(struct net_req *req);

/* 0, or the HTTP status of the refusal; 404 if the path is not ours. */
int engine_on_ws_open(struct engine *engine, struct net_ws *ws, struct net_req *req);
void engine_on_ws_message(struct net_ws *ws, const void *data, size_t len, bool binary);
void engine_on_ws_close(struct net_ws *ws);

/* ---- to a session ---- */

/* Where it was opened from: "192.0.2.1:5000". */
const char *engine_remote(const struct engine_peer *peer);

/* What the traceparent of its handshake says; none without one. Borrowed. */
const struct trace *engine_trace(const struct engine_peer *peer);

/* Queues a message (borrowed). A full queue ends the session, later. It goes out at the end
 * of the turn that a message of this session began, else with engine_push(). */
void engine_send(struct engine_peer *peer, struct eio_msg *msg);

/* Sends what waits. Ends nothing, so it may be called while others are iterated. */
void engine_push(struct engine_peer *peer);

/* Holds back what is sent, for a moment; then it goes out, in its order. Ends nothing. */
void engine_hold(struct engine_peer *peer, bool on);

/* Ends the session in good order, after what waits. */
void engine_close(struct engine_peer *peer);

/* Has the session cut off, soon: its client sees a broken connection and comes again. */
void engine_drop(struct engine_peer *peer);

/* Closes the session in 'ms' from now, unless this is called again; 0: not at all. */
void engine_expect(struct engine_peer *peer, uint32_t ms);

#endif
