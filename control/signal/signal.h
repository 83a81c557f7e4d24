/* Socket.IO for meetings: Engine.IO sessions on the listener's requests and WebSockets, the
 * namespace /meeting, its events translated to calls of meeting/ and what meeting/ tells
 * translated to events (names and shapes as docs/api.md has them).
 *
 * app/ owns the listener and passes on what belongs here: every request below
 * SIGNAL_PATH and every WebSocket. Thread: the loop's. */
#ifndef SIGNAL_SIGNAL_H
#define SIGNAL_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/turn.h"
#include "signal/callers.h"

struct auth;
struct loop;
struct metric_registry;
struct meeting;
struct net_req;
struct net_ws;
struct signal;
struct store;

#define SIGNAL_PATH "/socket.io/"

struct signal_conf {
    struct loop *loop;
    struct metric_registry *metrics; /* outlives the object; NULL: nothing is counted */
    struct auth *auth;
    struct turn_servers ice_servers; /* that clients are told of */
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t max_payload;
    uint32_t max_clients;
    struct callers_conf callers; /* of one address; all zeros: no limit */
    struct store *store; /* what is lasting is kept there; NULL: nowhere */
    uint32_t keep_days;  /* what is kept of meetings that nobody made by REST */
    uint32_t audit_days; /* that audit entries are kept */
    /* How a participant's streams do, every ten seconds; 'json' is borrowed. May be NULL.
     */
    void (*quality)(void *user, const char *tenant, const char *meeting, const char *json);
    void *quality_user;
};

/* A meeting was changed by REST: its room, if there is one, is as 'json' (the meeting as it
 * is stored) says. */
void signal_meeting_changed(struct signal *signal, const char *tenant, const char *id,
                            const char *json, uint64_t version);

/* All of conf is borrowed for the life of the object. Returns 0 or -ENOMEM. */
int signal_create(struct signal **out, const struct signal_conf *conf);

/* The meeting service, which is made with signal_meeting_ops() and this object. Once. */
void signal_set_meeting(struct signal *signal, struct meeting *meeting);

/* What the meeting service calls ('user' is the signal object). */
struct meeting_ops;
const struct meeting_ops *signal_meeting_ops(void);

/* Ends every session; the meeting service, which must still be there, is silent from then
 * on. NULL is a no-op. */
void signal_destroy(struct signal *signal);

/* True if the request's path is ours: it is then ours to answer. */
bool signal_on_request(struct signal *signal, struct net_req *req);

/* The request that signal_on_request() took was abandoned by its client. */
void signal_on_abort(struct signal *signal, struct net_req *req);

/* As in net.h: 0, or the HTTP status of the refusal. */
int signal_on_ws_open(struct signal *signal, struct net_ws *ws, struct net_req *req);
void signal_on_ws_message(struct signal *signal, struct net_ws *ws, const void *data,
                          size_t len, bool binary);
void signal_on_ws_close(struct signal *signal, struct net_ws *ws, unsigned code);

uint32_t signal_n_clients(const struct signal *signal);

/* In place of signal_conf's max_clients and callers; who is there stays. */
void signal_set_limits(struct signal *signal, uint32_t max_clients,
                       const struct callers_conf *callers);

/* The node stops at 'until_us' (monotonic) at the latest: tells it to all who are there and
 * who come. 0: it does not stop after all. */
void signal_draining(struct signal *signal, uint64_t until_us);

#endif
