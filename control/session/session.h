/* One participant's WebRTC transport: ICE-lite and DTLS on one side, a peer of the
 * dataplane on the other. A session is created, its local() goes to the browser, the
 * browser's DTLS parameters come back to connect(); STUN and DTLS that the dataplane punts
 * find it through the registry. Keys go from DTLS to the vault and stand nowhere else.
 *
 * Nothing here trusts an address: a datagram counts for a session only if its path was
 * validated by an authentic ICE check, and a path belongs to one session at a time.
 *
 * Neighbours: producer.h, consumer.h (what flows on it), proto/ice_lite.h, dtls/dtls.h,
 * media/media.h. Thread: the loop's.
 * RFC 8445 (ICE-lite), RFC 5764 (DTLS-SRTP), RFC 8842 (who is the DTLS client). */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtls/dtls_fp.h"
#include "proto/ice_lite.h"
#include "sctp/dsctp.h"

struct loop;
struct media;
struct metric_registry;
struct session;
struct session_registry;

enum {
    SESSION_MAX_CANDIDATES = 64,
    SESSION_ADDRESS_MAX = 46, /* text of an address, with its NUL */
    SESSION_MAX_HELD = 4      /* DTLS datagrams kept until connect() */
};

enum session_state {
    SESSION_NEW,        /* nothing has come from the peer */
    SESSION_CONNECTING, /* ICE or DTLS has begun */
    SESSION_CONNECTED,  /* keys and a selected path are with the dataplane */
    SESSION_FAILED,     /* for good; close it */
    N_SESSION_STATES
};

/* The peer's role in DTLS, as its dtlsParameters say. */
enum session_dtls_role { SESSION_PEER_AUTO, SESSION_PEER_CLIENT, SESSION_PEER_SERVER };

/* The peer's DTLS parameters. */
struct session_dtls {
    enum session_dtls_role role;
    uint8_t n_fps;
    struct dtls_fp fps[DTLS_MAX_FPS];
};

/* A UDP host candidate. */
struct session_candidate {
    char foundation[ICE_FOUNDATION_MAX + 1];
    char address[SESSION_ADDRESS_MAX];
    uint16_t port;
    uint8_t family; /* 4 or 6 */
    uint32_t priority;
};

/* What the peer is told. The DTLS role is "auto". */
struct session_local {
    char ufrag[ICE_UFRAG_MAX + 1];
    char pwd[ICE_PWD_MAX + 1];
    char fingerprint[DTLS_FP_TEXT]; /* sha-256 */
    uint8_t n_candidates;
    struct session_candidate candidates[SESSION_MAX_CANDIDATES];
};

/* News of one session. Each may close it. */
struct session_ops {
    /* The dataplane has it (0) or refused it (-errno: close it). Once. */
    void (*on_ready)(void *user, int status);

    /* 'reason' is a constant word: "dtls_timeout", "consent_lost" ...; NULL unless failed.
     */
    void (*on_state)(void *user, enum session_state state, const char *reason);

    /* What the peer's link carries towards it has changed. May be NULL. */
    void (*on_bandwidth)(void *user, uint64_t available_bps);

    /* A message of a data channel; borrowed. The next three may be NULL. */
    void (*on_data)(void *user, uint16_t stream, uint32_t ppid, const void *data,
                    size_t len);
    /* The peer has closed a data channel. */
    void (*on_data_reset)(void *user, uint16_t stream);
    /* The data channels have ended, for good, and only they; 'reason' is a constant word.
     */
    void (*on_data_down)(void *user, const char *reason);

    bool probator; /* its peers are mediasoup-client: probes come as SSRC 1234 */
};

struct session_registry_conf {
    struct loop *loop;               /* borrowed */
    struct media *media;             /* borrowed, not started yet: the registry starts it */
    struct metric_registry *metrics; /* borrowed */
    unsigned dtls_threads;

    /* The dataplane came (with what an earlier control may have left in it), or went: then
     * every session has failed, without on_state(). May be NULL. */
    void (*on_media)(void *user, bool attached);
    /* A subscription's layers have changed (see media_ops). May be NULL. */
    void (*on_layers)(void *user, uint64_t sub, uint32_t layers);
    void *user;
};

/* Makes the DTLS certificate and threads, and attaches to the dataplane. Returns 0,
 * -ENOMEM, or an error of dtls_create() or metric_register(). */
int session_registry_create(struct session_registry **out,
                            const struct session_registry_conf *conf);

/* Sessions must have been closed, and 'media' must be destroyed next, before the loop turns
 * again. NULL is a no-op. */
void session_registry_destroy(struct session_registry *reg);

/* How busy those are who make keys: see dtls_load(). */
struct session_load {
    uint64_t busy_us, delay_us;
    uint32_t threads;
};

void session_registry_load(struct session_registry *reg, struct session_load *out);

/* How many sessions there are in 'state'. */
uint32_t session_registry_count(const struct session_registry *reg,
                                enum session_state state);

/* Opens a session and its peer in the dataplane; on_ready() comes later.
 *
 * ops   borrowed for the session's life
 *
 * Returns 0, -ENOTCONN without a dataplane, -ENOSPC if it is full, -EAGAIN, -ENOMEM. */
int session_create(struct session **out, struct session_registry *reg,
                   const struct session_ops *ops, void *user);

/* Stores what the owner's successor is to know of the session (see vault_blob). */
void session_save(const struct session *session, const void *data, size_t len);

/* Takes up a session that an earlier control had: its peer is in the dataplane, with keys.
 * The DTLS connection itself is gone; nothing asks for it any more.
 *
 * peer  its handle (media_handle_at)
 *
 * Returns 0; on_ready() comes later, with an error if the dataplane does not have it; or
 * -ENOTCONN if it has no keys yet (its handshake died with the other control), -EEXIST,
 * -EINVAL, -ENOMEM: then close the peer. */
int session_restore(struct session **out, struct session_registry *reg, uint64_t peer,
                    const struct session_ops *ops, void *user);

/* Ends it; nothing is called back any more. Its producers and consumers must have been
 * closed before. NULL is a no-op. */
void session_close(struct session *session);

void session_local(const struct session *session, struct session_local *out);

/* Takes the peer's DTLS parameters; DTLS begins as soon as a path is validated. Returns 0,
 * -EINVAL without a fingerprint, -EALREADY the second time, -ENOTCONN if it has failed, or
 * -ENOMEM. */
int session_connect(struct session *session, const struct session_dtls *dtls);

/* ICE restart: makes new credentials, which session_local() then tells. The old ones stay
 * good, and what is selected goes on, until the peer chooses a path by the new. A process
 * that dies before that leaves the old ones to its successor. Returns 0, -ENOTCONN if it
 * has failed, -ENOMEM. */
int session_restart_ice(struct session *session);

/* ---- data channels (data.c) ---- */

/* The session may get data channels: its DTLS is kept. Before session_connect(). */
void session_want_data(struct session *session);

/* Whether it has or can have data channels: not if it was restored (its DTLS died with the
 * control that had it), and not when they have ended. */
bool session_has_data(const struct session *session);

/* Opens the association, as soon as DTLS is done. Once more is no error. Returns 0,
 * -ENOTCONN if it cannot have any, or -ENOMEM. */
int session_data_open(struct session *session);

/* As dsctp_send(); -EINPROGRESS as long as DTLS is not done. */
int session_data_send(struct session *session, const struct dsctp_channel *channel,
                      uint32_t ppid, const void *data, size_t len);

/* Closes a data channel. */
void session_data_reset(struct session *session, uint16_t stream);

/* Adds a fingerprint as signaling writes it ("sha-256", "AB:CD:..."). Returns 0, -ENOTSUP
 * for an unknown hash (to be passed over), -EBADMSG, or -ENOSPC. */
int session_dtls_add(struct session_dtls *dtls, const char *algorithm, const char *value);

/* The peer's handle in the dataplane. */
uint64_t session_peer(const struct session *session);
enum session_state session_state(const struct session *session);
const char *session_state_name(enum session_state state);

/* The SRTP profile that DTLS agreed on (its IANA number); 0 until there are keys. */
uint32_t session_profile(const struct session *session);

/* The path that the peer chose, NULL if none yet; borrowed until the loop goes on. */
const struct path *session_path(const struct session *session);

#endif
