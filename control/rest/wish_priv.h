/* What the files of WHIP and WHEP share; see wish.h. */
#ifndef REST_WISH_PRIV_H
#define REST_WISH_PRIV_H

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

#include "meeting/meeting.h"
#include "net/net.h"
#include "proto/sdp_answer.h"
#include "rest/rest.h"
#include "rest/wish.h"

enum {
    WISH_ID = 32,        /* characters: 192 random bits, for who knows it may do all */
    WISH_ETAG = 12,      /* without its quotes */
    WISH_SECTIONS = 2,   /* one a kind */
    WISH_TICK_MS = 500,  /* how often sessions are looked at */
    WISH_CONNECT_S = 30, /* that a client may take until ICE and DTLS are done */
    WISH_IDLE_S = 30,  /* that a viewer waits for whom it watches, or anybody, to return */
    WISH_RETRY_S = 2,  /* what Retry-After says */
    WISH_PENDING = 256 /* sessions of one user that are not connected */
};

#define WISH_SDP "application/sdp"

struct wish_section {
    uint8_t index; /* in the offer */
    enum rtp_kind kind;
    struct rtp_params *params; /* a publisher's, or the consumer's; owned; until answered */
    char object[MEETING_OBJECT_ID + 1]; /* the consumer */
};

struct wish_session {
    struct wish *wish;
    char id[WISH_ID + 1];
    char etag[WISH_ETAG + 3]; /* with its quotes */
    bool viewer;              /* WHEP */
    bool counter;             /* our own offer waits for the client's answer */
    bool dying;          /* ends at the next tick: it may not while it is called back */
    const char *reason;  /* constant: why */
    struct net_req *req; /* the POST, until it is answered */
    struct participant *p;
    char transport_id[MEETING_OBJECT_ID + 1];
    struct sdp *offer; /* the client's until it is answered; ours until it is */
    struct session_dtls dtls;
    enum sdp_setup setup;      /* of our answer */
    uint64_t remote_ufrag;     /* wish_ufrag() of the client's ICE generation */
    char mid[RTP_MID_MAX + 1]; /* of the tagged section, which carries the transport */
    char
        source[MEETING_OBJECT_ID + 1]; /* names what a viewer gets: who sends it at first */
    uint8_t n_sections, n_ready;
    struct wish_section sections[WISH_SECTIONS];
    uint64_t since_us;
    uint64_t idle_us; /* a viewer's: it gets nothing since then; 0: it gets something */
    struct wish_user *pending; /* who is counted for it until it is connected; or NULL */
    UT_hash_handle hh;
};

/* A user with sessions that are not connected yet. */
struct wish_user {
    char key[2 * AUTH_ID_MAX + 2]; /* tenant, newline, user id */
    uint32_t n;
    UT_hash_handle hh;
};

struct wish {
    const struct rest_conf *conf;
    struct loop_timer *tick;
    struct wish_session *sessions; /* by id */
    struct wish_user *users;       /* by key */
    struct wish_wait *waits;       /* POSTs that wait */
};

/* Where a request wants to. */
struct wish_target {
    bool viewer;
    char meeting_id[MEETING_ID_MAX + 1];
    char session_id[WISH_ID + 1]; /* empty: the endpoint */
};

/* A POST that waits for its turn, or whose meeting is being read. */
struct wish_wait {
    struct arrival arrival;
    struct wish *wish;   /* NULL: gone, and the client with it */
    struct net_req *req; /* NULL: the client is gone */
    struct auth_identity who;
    struct wish_target target;
    struct wish_wait *next;
};

/* ---- wish.c ---- */

/* A session of nobody yet, with this id (NULL: a new one); NULL without memory. */
struct wish_session *wish_session_create(struct wish *wish, bool viewer, const char *id);

struct wish_session *wish_session_find(struct wish *wish, const struct wish_target *target);

/* Counts a session as one of 'who' that is not connected, until it is or ends. Returns 0,
 * -EAGAIN if there are too many, or -ENOMEM. */
int wish_session_pend(struct wish_session *s, const struct auth_identity *who);

/* Ends it at the next turn. */
void wish_session_kill(struct wish_session *s, const char *reason);

/* Ends it at once: not from within a callback of meeting/. */
void wish_session_end(struct wish_session *s);

void wish_new_etag(struct wish_session *s);

/* An ICE ufrag as a number: it is compared only, and may be long. */
uint64_t wish_ufrag(const char *ufrag);

/* Stores what a successor of this process has to know of the session. */
void wish_save(const struct wish_session *s);

/* ---- wish_http.c: each ends the request ---- */

void wish_problem(struct net_req *req, unsigned status, const char *code,
                  const char *message);
void wish_problem_of(struct net_req *req, const struct meeting_error *err);

/* Headers of sessions: Location, ETag, Link; the body is application/sdp. */
void wish_respond_session(struct wish_session *s, unsigned status, const char *sdp);

/* Who asks. False: answered with 401. */
bool wish_authorize(struct wish *wish, struct net_req *req, struct auth_identity *who);

/* True if the Content-Type is 'type' (parameters do not count). */
bool wish_has_type(struct net_req *req, const char *type);

/* ---- wish_post.c ---- */

/* Whoever asked is gone, or the service ends: it does not wait any longer. */
void wish_wait_drop(struct wish_wait *wait);

void wish_post(struct wish *wish, const struct wish_target *target, struct net_req *req);

/* DTLS fingerprints and role of a description. Returns 0, or -EINVAL with 'err'. */
int wish_take_dtls(const struct sdp *sdp, struct session_dtls *out, struct sdp_error *err);

/* ---- wish_media.c ---- */

/* Opens the transport of a session whose participant has joined, then all else, and answers
 * s->req, whatever comes of it. */
void wish_start(struct wish_session *s);

/* The client's answer to our offer. Returns 0, or -1 with 'err'. */
int wish_take_answer(struct wish_session *s, const struct sdp *answer,
                     struct meeting_error *err);

/* The ICE fragment of a restarted session. NULL without memory. */
char *wish_ice_fragment(struct wish_session *s);

struct transport *wish_transport(const struct wish_session *s);

#endif
