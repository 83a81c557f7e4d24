/* What session.c (one session), data.c (its data channels) and registry.c (all of them)
 * share. */
#ifndef SESSION_SESSION_PRIV_H
#define SESSION_SESSION_PRIV_H

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <sys/queue.h>
#include <uthash.h>

#include "dtls/dtls.h"
#include "media/media.h"
#include "metric/metric.h"
#include "session/session.h"
#include "trace/traceparent.h"
#include "sfu/base/handle.h"

/* What became of a datagram that the dataplane punted. */
#define SESSION_STUN_RESULTS(X)                                                            \
    X(STUN_ACCEPTED, "accepted")                                                           \
    X(STUN_MALFORMED, "malformed")                                                         \
    X(STUN_UNKNOWN_UFRAG, "unknown_ufrag")                                                 \
    X(STUN_PATH_TAKEN, "path_taken")                                                       \
    X(STUN_REFUSED, "refused")                                                             \
    X(STUN_UNAUTHENTICATED, "unauthenticated")                                             \
    X(STUN_REPLAYED, "replayed")

#define SESSION_DTLS_RESULTS(X)                                                            \
    X(DTLS_FED, "fed")                                                                     \
    X(DTLS_HELD, "held")                                                                   \
    X(DTLS_HELD_LOST, "held_lost")                                                         \
    X(DTLS_NO_SESSION, "no_session")                                                       \
    X(DTLS_NOT_VALIDATED, "not_validated")                                                 \
    X(DTLS_QUEUE_FULL, "queue_full")

#define X(constant, name) constant,
enum session_stun_result { SESSION_STUN_RESULTS(X) N_SESSION_STUN_RESULTS };
enum session_dtls_result { SESSION_DTLS_RESULTS(X) N_SESSION_DTLS_RESULTS };
#undef X

/* A path that a session holds, in the registry's table. */
struct session_path {
    struct path key; /* the 5-tuple: without the link address */
    struct session *session;
    UT_hash_handle hh;
};

/* A command whose answer is due. It outlives its session. */
struct session_call {
    struct session *session; /* NULL: closed meanwhile */
    enum session_call_kind { CALL_OPEN, CALL_PATHS, CALL_KEYS, CALL_ICE } kind;
    LIST_ENTRY(session_call) link;
};

struct session_held {
    struct path from;
    uint16_t len;
    uint8_t data[DTLS_MAX_DATAGRAM];
};

struct session {
    struct session_registry *reg;
    const struct session_ops *ops;
    void *user;
    enum session_state state;
    uint64_t since_us; /* monotonic: in this state */
    struct trace trace; /* of whoever made it */
    uint64_t peer;
    struct ice_lite ice;
    struct path told[ICE_MAX_PATHS]; /* what the vault has */
    uint8_t n_told;
    int8_t selected_told;
    struct session_path
        paths[ICE_MAX_PATHS]; /* in the registry's table if session is set */
    bool has_remote;
    struct session_dtls remote;
    struct dtls_conn *dtls;
    bool has_keys;                               /* the dataplane has them */
    uint32_t profile;                            /* of the keys; 0: none yet */
    struct session_held *held[SESSION_MAX_HELD]; /* oldest first */
    uint8_t n_held;
    bool wants_data, data_ended;
    bool opens_data;          /* somebody has asked for a data channel */
    bool shaken;              /* DTLS is done, and kept */
    struct dsctp_assoc *sctp; /* NULL: not yet, or ended */
    LIST_HEAD(session_call_list, session_call) calls;
    bool settling; /* it is in the registry's list: a nomination waits */
    TAILQ_ENTRY(session) settling_link;
    UT_hash_handle by_ufrag, by_peer;
    UT_hash_handle by_old; /* by the ufrag before an ICE restart, until that is done */
};

struct session_registry {
    struct session_registry_conf conf;
    struct dtls *dtls;
    struct session *by_ufrag, *by_peer, *by_old;
    struct session_path *by_path;
    uint32_t n_state[N_SESSION_STATES];
    struct dsctp *sctp;
    struct loop_timer *tick; /* of 'sctp' */
    struct loop_timer *settle;
    TAILQ_HEAD(session_settling, session) settling;
    uint32_t n_settling;
    uint64_t ticked_us;
    bool ticking;
    uint64_t n_data_sent, n_data_dropped; /* messages, a subscriber each */
    struct metric *stun[N_SESSION_STUN_RESULTS];
    struct metric *dtls_in[N_SESSION_DTLS_RESULTS];
    struct metric_histogram *ice_s, *dtls_s; /* seconds of a step */
    struct metric *unestablished;
};

/* session.c */
enum session_stun_result session_on_stun(struct session *session,
                                         const struct abi_datagram *datagram);
void session_fail(struct session *session, const char *reason);
void session_set_state(struct session *session, enum session_state state);
/* Tells the dataplane of the paths, if they differ from what it has. Returns 0 or -errno. */
int session_sync_paths(struct session *session);

/* A command to the dataplane, whose answer session_on_answer() takes with it as 'arg'; NULL
 * without memory. */
struct session_call *session_call_new(struct session *session, enum session_call_kind kind);
void session_call_free(struct session_call *call);
void session_on_answer(void *call, int status);

/* Looks at the nomination that waits; once, or each ICE_SETTLE_MS while it is listed. */
void session_settle(struct session *session, uint64_t now_us);

/* handshake.c */
enum session_dtls_result session_on_dtls(struct session *session,
                                         const struct abi_datagram *datagram);
void session_on_dtls_send(void *user, const struct path *to, const void *data, size_t len);
void session_on_farewell(void *registry, const struct path *to, const void *data,
                         size_t len);
void session_on_dtls_done(void *user, int err, const struct dtls_keys *keys);
void session_on_dtls_parted(void *user);
/* Starts DTLS when both the peer's fingerprints and a path of it are known. Returns 0 or
 * -ENOMEM. */
int session_start_dtls(struct session *session);
/* Tells DTLS of what checks have brought: it may send that much more. */
void session_grant_dtls(struct session *session);
/* Ends DTLS; a peer that is connected is told (RFC 9725, section 4.2). */
void session_end_dtls(struct session *session);
void session_drop_held(struct session *session);

/* data.c */
void session_on_dtls_data(void *user, const void *data, size_t len);
int session_data_init(struct session_registry *reg);
void session_data_fini(struct session_registry *reg);
void session_data_shaken(struct session *session); /* DTLS is done */
void session_data_end(struct session *session);    /* untold */

/* registry.c: makes the table's paths of a session those of its ICE agent, or none. */
void session_registry_sync_paths(struct session *session);
void session_registry_forget_paths(struct session *session);

/* Puts a session into the tables, or takes it out. Returns 0, -EEXIST or -ENOMEM. */
int session_registry_add(struct session *session);
void session_registry_remove(struct session *session);

/* Restarts its ICE agent and gives it the other ufrag in the tables, beside the old one.
 * Returns 0, -EEXIST or -ENOMEM: it may then be in no table, so failed. */
int session_registry_rename(struct session *session, const char *ufrag, const char *pwd);

/* Lists a session whose nomination waits, or takes it out. */
void session_registry_settling(struct session *session, bool settling);

/* Its old ufrag is not good any more. */
void session_registry_forget_old(struct session *session);

#endif
