/* Control without its listener, for targets: signaling, meetings, sessions and the media
 * client, a dataplane that answers when it is told (plane.h), and users who are the input's
 * to command. The listener is signal_world.c itself: it defines what net/net.h declares.
 *
 * In the input's texts '$' and two characters stand for what only the server knows: the
 * last ids that it gave out, tokens. */
#ifndef TESTS_FUZZ_SIGNAL_WORLD_H
#define TESTS_FUZZ_SIGNAL_WORLD_H

#include "plane.h"

#include "auth/auth.h"
#include "media/media.h"
#include "meeting/meeting.h"
#include "metric/metric.h"
#include "net/net.h"
#include "proto/jwt.h"
#include "session/session.h"
#include "signal/signal.h"
#include "sys/loop.h"

enum { USERS = 3, IDS = 4, TEXT_MAX = 8192, PAYLOAD_MAX = 4096 };

struct net_req {
    enum net_method method;
    const char *eio, *transport, *sid;
    const uint8_t *body;
    size_t len;
    void *data;
    bool answered;
    int user; /* whose GET waits; -1 none */
};

struct net_ws {
    void *data;
    bool open;
    bool must_close;
    char sid[64]; /* of its user's session */
};

struct net_buf {
    unsigned refs;
    size_t len;
    char data[];
};

/* What a kind of object was called, the newest first. */
struct ids {
    const char *key; /* as it stands in JSON, with what precedes the value */
    char at[IDS][48];
};

struct world {
    struct plane plane;
    struct loop *loop;
    struct metric_registry *metrics;
    struct auth *auth;
    struct media *media;
    struct session_registry *sessions;
    struct signal *signal;
    struct meeting *meeting;
    char token[2][JWT_MAX_LEN];
    struct rbytes in;
    struct net_ws ws[USERS];
    struct net_req gets[USERS]; /* that wait */
    struct ids ids[7];
    unsigned n_reqs;
    uint64_t peer_port;
};

extern struct world w;

/* The same in parts that may fail: what a failed one has made stays in 'w'. _name first. */
void world_name(void);
int world_make_base(void);
int world_make_media(void);
int world_make_signal(void);

/* Welcomes control, which may come late; false if it does not. The dataplane goes. */
bool world_welcome(unsigned patience_ms);
void world_close_plane(void);

/* What lives as long as the process; may be called again. */
void world_begin(void);

/* Control attaches to w.plane, which is open, and takes up what an earlier control has left
 * there; control ends. */
void world_attach(void);
void world_detach(void);

/* Signaling and meetings begin; everybody goes, or is sent away. */
void world_begin_signal(void);
void world_end_signal(bool sent_away);

/* Whether the dataplane has nothing open. */
bool world_is_empty(void);

/* Forgets the ids that were given out. */
void world_forget(void);

/* One thing that users, the dataplane or the network do, from w.in. */
void world_step(void);

/* The dataplane answers, and control hears it. */
void world_serve(void);

/* A user connects and joins the room "m". */
void world_enter(unsigned user);

/* A user says a text, its '$' replaced; a user's connection ends. */
void world_say(unsigned user, const char *text);
void world_gone(unsigned user);

/* An ICE check with the credentials that were given out, how / 8 before the last; from port
 * 5000 + (how & 6). */
void world_check(uint8_t how);

#endif
